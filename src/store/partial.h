/*
 * partial.h
 *		Scripts that have begun and not ended, and the run that is under way.
 *
 * Every function must be called between mig_scope_enter and mig_scope_leave.
 */
#ifndef MIG_PARTIAL_H
#define MIG_PARTIAL_H

#include "migrate.h"

#include "store/scope.h"
#include "utils/timestamp.h"

/* A non-transactional script that has begun and not ended. */
typedef struct Partial
{
	char	   *revision;
	MigDirection direction;
	int			statements;		/* of the script */
	int			statements_done;
	char	   *digest;			/* of those */
	bool		in_doubt;		/* the next one has begun, by itself, and
								 * nobody knows whether it ended */
	TimestampTz started_at;
	TimestampTz statement_started_at;	/* when the next one began */
	List	   *settings;		/* char *: what the statements that are done have set,
								 * see run/session */

	/* the intent: a statement that commits by itself and has begun */
	char	   *intent;			/* its digest, with all before it; NULL: none */
	bool		existed;		/* what it makes was there before */
	List	   *relations;		/* Oid: tables whose indexes it builds */
	List	   *indexes;		/* Oid: indexes that these had before; for REINDEX those that were
								 * invalid; for DROP INDEX the one */
	char	   *database;		/* whose OIDs these are; NULL: not known */
} Partial;

/* What migrate.progress shows of a run. */
typedef struct Running
{
	MigDirection direction;
	const char *target;
	const char *revision;
	int			step;			/* from 1 */
	int			steps;
	TimestampTz started_at;
} Running;

extern List *mig_partial_read(const Scope *scope);
extern bool mig_partial_exists(const Scope *scope);
extern void mig_partial_write(const Scope *scope, const Partial *partial);
extern void mig_partial_delete(const Scope *scope, const char *revision);

extern void mig_partial_begin_run(const Scope *scope, const Running *running);
extern void mig_partial_next_step(const Scope *scope, const Running *running);
extern void mig_partial_end_run(const Scope *scope);

#endif							/* MIG_PARTIAL_H */
