/*
 * execute.h
 *		Running one script, and telling where it failed.
 */
#ifndef MIG_EXECUTE_H
#define MIG_EXECUTE_H

#include "migrate.h"

/* A script about to run. */
typedef struct ExecuteScript
{
	const char *revision;
	MigDirection direction;
	const char *sql;
	bool		no_rows;		/* the database had no version row: a name that
								 * exists already gets a hint */
	const char *progress;		/* what pg_stat_activity shows before the
								 * statement, "k/n" and the like */
} ExecuteScript;

extern void mig_execute_script(const ExecuteScript *script);
extern void mig_execute_end_activity(void);
extern const char *mig_execute_direction_name(MigDirection direction);

#endif							/* MIG_EXECUTE_H */
