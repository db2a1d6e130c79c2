/*
 * ledger.h
 *		SQL that writes what was done: version rows, applied, log.
 *
 * Every function but mig_ledger_count_writes must be called between
 * mig_scope_enter and mig_scope_leave.
 */
#ifndef MIG_LEDGER_H
#define MIG_LEDGER_H

#include "migrate.h"

#include "store/revisions.h"

/* One step done, for the log. */
typedef struct LedgerStep
{
	const char *operation;		/* "upgrade", "downgrade", "stamp" */
	const char *revision;		/* NULL: base */
	const char *checksum;		/* NULL with revision */
	List	   *versions_before;	/* of char * */
	List	   *versions_after;
	TimestampTz started_at;
	int64		duration;		/* microseconds */
} LedgerStep;

extern int64 mig_ledger_count_writes(void);
extern List *mig_ledger_read_versions(const Scope *scope);
extern List *mig_ledger_read_applied(const Scope *scope);
extern List *mig_ledger_read_edited(const Scope *scope);
extern void mig_ledger_set_versions(const Scope *scope, List *versions);
extern void mig_ledger_change_versions(const Scope *scope, List *before, List *after);
extern void mig_ledger_add_applied(const Scope *scope, List *revisions,
								   const char *how, TimestampTz applied_at);
extern void mig_ledger_add_upgraded(const Scope *scope, List *revisions,
									List *checksums, TimestampTz applied_at);
extern char *mig_ledger_add_one_upgraded(const Scope *scope,
										 const char *revision, TimestampTz applied_at);
extern void mig_ledger_remove_applied(const Scope *scope, List *revisions);
extern char *mig_ledger_remove_one_applied(const Scope *scope, const char *revision);
extern void mig_ledger_clear_applied(const Scope *scope);
extern void mig_ledger_add_log(const Scope *scope, List *steps, const char *role);
extern void mig_ledger_add_one_log(const Scope *scope, const LedgerStep *step,
								   const char *role);

#endif							/* MIG_LEDGER_H */
