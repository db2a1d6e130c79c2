/*
 * ledger.h
 *		What is applied: version rows, applied and log, which are written
 *		together.
 *
 * Every function with a scope is to be called within it.
 */
#ifndef MIG_LEDGER_H
#define MIG_LEDGER_H

#include "migrate.h"

#include "datatype/timestamp.h"
#include "revision/plan.h"
#include "store/scope.h"

/* Length of a checksum. */
#define LEDGER_CHECKSUM_LENGTH 64

/* What is recorded of a step that was done. */
typedef struct LedgerDone
{
	TimestampTz started_at;
	int64		duration;		/* microseconds */
	char		checksum[LEDGER_CHECKSUM_LENGTH + 1];
} LedgerDone;

/* Who acts, for the log. */
typedef struct LedgerActor
{
	const char *session_role;
	const char *role;
	const char *application_name;
} LedgerActor;

extern LedgerActor mig_ledger_actor(void);
extern int64 mig_ledger_count_writes(void);
extern List *mig_ledger_read_versions(const Scope *scope);
extern List *mig_ledger_read_applied(const Scope *scope);
extern List *mig_ledger_read_edited(const Scope *scope);
extern List *mig_ledger_read_logged(const Scope *scope);
extern void mig_ledger_check_unchanged(const Scope *scope, const Graph *graph,
									   const Bitmapset *rows);
extern void mig_ledger_check_unchanged_since(const Scope *scope, int64 writes,
											 const Graph *graph, const Bitmapset *rows);
extern void mig_ledger_record_step(const Scope *scope, PlanRows *rows, int node,
								   MigDirection direction, const char *checksum,
								   TimestampTz started_at, int64 duration,
								   const LedgerActor *actor);
extern void mig_ledger_record_plan(const Scope *scope, PlanRows *rows, List *plan,
								   MigDirection direction, const LedgerDone *done,
								   const LedgerActor *actor);
extern void mig_ledger_record_stamp(const Scope *scope, const Graph *graph,
									const Bitmapset *from, const Bitmapset *to,
									List *steps, bool purge, const LedgerActor *actor);
extern void mig_ledger_record_capture(const Scope *scope, const Graph *graph,
									  const Bitmapset *from, const Bitmapset *to,
									  List *steps, const LedgerActor *actor);

#endif							/* MIG_LEDGER_H */
