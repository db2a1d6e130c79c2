/*
 * held.h
 *		Locks that the rollback of a subtransaction leaves, or takes away.
 */
#ifndef MIG_HELD_H
#define MIG_HELD_H

#include "migrate.h"

/* What the session held; opaque to callers. */
typedef struct HeldLocks HeldLocks;

extern HeldLocks *mig_held_remember(void);
extern void mig_held_restore(const HeldLocks *held);

#endif							/* MIG_HELD_H */
