/*
 * progress.h
 *		The run that is under way (migrate.running), for migrate.progress.
 */
#ifndef MIG_PROGRESS_H
#define MIG_PROGRESS_H

#include "migrate.h"

#include "datatype/timestamp.h"
#include "store/scope.h"

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

extern void mig_progress_begin(const Scope *scope, const Running *running);
extern void mig_progress_next(const Scope *scope, const Running *running);
extern void mig_progress_end(const Scope *scope);

#endif							/* MIG_PROGRESS_H */
