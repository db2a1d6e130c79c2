/*
 * retry.h
 *		One transaction of a stepwise run: tried, and tried again when others'
 *		locks are in the way.
 */
#ifndef MIG_RETRY_H
#define MIG_RETRY_H

#include "migrate.h"

#include "run/execute.h"

extern void mig_retry_run(const ExecuteScript *script, void (*body) (void *arg),
						void *arg);
extern ErrorData *mig_retry_roll_back(MemoryContext context);

#endif							/* MIG_RETRY_H */
