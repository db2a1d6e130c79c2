/*
 * record.h
 *		Writing steps that are done.
 */
#ifndef MIG_RECORD_H
#define MIG_RECORD_H

#include "migrate.h"

#include "revision/plan.h"
#include "store/revisions.h"

/* Length of a checksum. */
#define RECORD_CHECKSUM_LENGTH 64

/* What is recorded of a step that is done. */
typedef struct RecordDone
{
	TimestampTz started_at;
	int64		duration;		/* microseconds */
	char		checksum[RECORD_CHECKSUM_LENGTH + 1];
} RecordDone;

extern void mig_record_check_unchanged(const Scope *scope, const Graph *graph,
									   const Bitmapset *rows);
extern void mig_record_check_unchanged_since(const Scope *scope, int64 writes,
											 const Graph *graph, const Bitmapset *rows);
extern List *mig_record_step(const Scope *scope, PlanRows *rows, int node,
							 MigDirection direction, const char *checksum, TimestampTz started_at, int64 duration, const char *role);
extern void mig_record_plan(const Scope *scope, PlanRows *rows, List *plan,
							MigDirection direction, const RecordDone *done, const char *role);

#endif							/* MIG_RECORD_H */
