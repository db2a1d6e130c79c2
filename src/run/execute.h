/*
 * execute.h
 *		Running one script, and telling where it failed.
 */
#ifndef MIG_EXECUTE_H
#define MIG_EXECUTE_H

#include "migrate.h"

#include "script/script.h"

/* A script about to run. */
typedef struct ExecuteScript
{
	const char *revision;
	MigDirection direction;
	const char *sql;
	const char *file_name;		/* where it was loaded from; NULL: not known */
	int			first_line;		/* of that file where it begins, from 1; 0: not known */
	bool		is_first;		/* nothing is applied, and no script was begun: what
								 * exists already may predate us */
	bool		follows;		/* another script of this transaction has run */
	bool		stepwise;		/* committed when it is done: other hints */
	bool		by_units;		/* not transactional: other hints, too */
	int			statement_timeout;	/* what it was before the script; a script
									 * that sets another has it counted for each
									 * statement */
	const char *progress;		/* what pg_stat_activity shows before the
								 * statement, "k/n" and the like */
	const char *title;			/* what messages call it; NULL: by its revision or
								 * model */
	const char *model;			/* name of the model that it is; NULL: the script
								 * of a revision */
	bool		in_plain_form;	/* not transactional, and run in a transaction all the
								 * same: BEGIN and COMMIT are for "before" to pass
								 * over */
	bool		in_scratch;		/* what it does is rolled back: event triggers do
								 * not fire, no statement is logged or timed, and
								 * mig_execute_end_script is not for it */
	/* called before a statement is parsed; an error of these is the statement's */
	void		(*begin) (const ScriptStatement *statement, void *argument);
	/* called when it is parsed: what it returns (RawStmt *) is run in its place */
	List	   *(*before) (RawStmt *raw, void *argument);
	/* called when it has run; rows that it changed or returned, -1: it counts none */
	void		(*after) (const ScriptStatement *statement, int64 rows, void *argument);
	void	   *argument;		/* of these, and of hint */
	void		(*at_end) (void);	/* called in place of what mig_execute_end_script
									 * does; an error is the script's */
	const char *(*hint) (const ErrorData *error, void *argument);	/* returns that of
																	 * an error, or
																	 * NULL */
} ExecuteScript;

extern void mig_execute_script(const ExecuteScript *script);
extern void mig_execute_end_script(const ExecuteScript *script);

/* a script that is run in pieces */
extern List *mig_execute_parse(const ExecuteScript *script);
extern void mig_execute_statements(const ExecuteScript *script, List *statements);
extern void mig_execute_top_level(const ExecuteScript *script,
								  ScriptStatement *statement);
extern void mig_execute_probe(void);
extern void mig_execute_commit(const ExecuteScript *script);

extern List *mig_execute_blockers(void);
extern void mig_execute_end_activity(void);

#endif							/* MIG_EXECUTE_H */
