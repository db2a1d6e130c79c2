/*
 * guard.h
 *		Statements that must not run in a scratch, at any depth.
 */
#ifndef MIG_GUARD_H
#define MIG_GUARD_H

#include "migrate.h"

#include "nodes/pg_list.h"
#include "schema/mend.h"

extern void mig_guard_begin(void);
extern void mig_guard_replay(List *schemas, DeclareNotes *notes);
extern void mig_guard_end(void);
extern void mig_guard_drop_on_commit(void);
extern void mig_guard_check_deferred(void);

#endif							/* MIG_GUARD_H */
