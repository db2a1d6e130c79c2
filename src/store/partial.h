/*
 * partial.h
 *		Non-transactional scripts that are incomplete (migrate.partial), as a
 *		state machine.
 *
 * A script's statements are done one after the other:
 *
 *	done n -- advance --> done n + 1
 *	done n -- begin --> done n, statement n + 1 in doubt
 *	in doubt -- advance, fail, resolve --> not in doubt
 *
 * A transition changes the structure; mig_partial_store writes what it is then.
 */
#ifndef MIG_PARTIAL_H
#define MIG_PARTIAL_H

#include "migrate.h"

#include "nodes/bitmapset.h"
#include "revision/revision.h"
#include "script/unit.h"
#include "store/scope.h"
#include "utils/timestamp.h"

/* What is written down before a statement that commits by itself. */
typedef struct PartialIntent
{
	char	   *digest;			/* of the statement and all before it; NULL: there is
								 * no intent */
	char	   *statement;		/* its text, if it builds indexes; else NULL */
	Oid			object;			/* what it creates, drops or detaches, as its name
								 * was found before; InvalidOid: nothing was */
	List	   *relations;		/* Oid: tables whose indexes it builds */
	List	   *indexes;		/* Oid: indexes that these had before; for REINDEX
								 * those that were invalid */
	char	   *database;		/* where these OIDs are valid; NULL: not known */
	bool		elsewhere;		/* that is not here: they are forgotten.  Not stored */
} PartialIntent;

/* A script that is incomplete. */
typedef struct Partial
{
	char	   *revision;
	MigDirection direction;
	int			statements;		/* of the script */
	int			statements_done;
	char	   *digest;			/* of those */
	List	   *settings;		/* char *: what those have set, see run/session */
	bool		in_doubt;		/* the next statement was started by itself, and
								 * nobody knows whether it ended */
	TimestampTz started_at;
	TimestampTz statement_started_at;	/* when the next statement was */
	PartialIntent intent;
	bool		is_stored;		/* there is a row of an earlier call */
} Partial;

/* reading; these enter a scope of their own but for the first */
extern List *mig_partial_read(const Scope *scope);
extern List *mig_partial_read_all(void);
extern bool mig_partial_exists(void);
extern Partial mig_partial_of(const char *revision, MigDirection direction);

/* transitions, and writing */
extern void mig_partial_begin(Partial *partial, const PartialIntent *intent);
extern void mig_partial_fail(Partial *partial, bool without_effect);
extern void mig_partial_advance(Partial *partial, int done, char *digest);
extern void mig_partial_resolve(const Partial *partial, bool done);
extern void mig_partial_store(const Scope *scope, const Partial *partial);
extern void mig_partial_remove(const Scope *scope, const char *revision);
extern void mig_partial_discard(const char *revision);

/* what others may do meanwhile */
extern void mig_partial_refuse(List *partials);
extern void mig_partial_refuse_direction(List *partials, MigDirection direction,
										 const Bitmapset *rows);
extern void mig_partial_check_edit(const Revision *rev);
extern char *mig_partial_describe(const Partial *partial);

#endif							/* MIG_PARTIAL_H */
