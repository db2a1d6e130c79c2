/*
 * unit.h
 *		A non-transactional script as units that are run and recorded one by
 *		one.
 */
#ifndef MIG_UNIT_H
#define MIG_UNIT_H

#include "migrate.h"

#include "script/script.h"

typedef enum UnitKind
{
	UNIT_TRANSACTION,			/* in one transaction, together with its record */
	UNIT_TOP_LEVEL,				/* a command that commits by itself */
	UNIT_PROCEDURE				/* CALL or DO, which may commit */
} UnitKind;

/* What is run and recorded together. */
typedef struct ScriptUnit
{
	UnitKind	kind;
	int			first;			/* numbers of its statements in the script, */
	int			last;			/* BEGIN and COMMIT of a group included */
	List	   *statements;		/* of ScriptStatement, without those two */
} ScriptUnit;

extern List *mig_unit_split(List *statements);
extern char *mig_unit_digest(const char *sql, List *statements, int n);
extern char *mig_unit_digest_next(const char *digest, const char *sql,
								  const ScriptStatement *statement);

#endif							/* MIG_UNIT_H */
