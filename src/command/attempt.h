/*
 * attempt.h
 *		One transaction of a stepwise run: tried, and tried again when others'
 *		locks are in the way.
 */
#ifndef MIG_ATTEMPT_H
#define MIG_ATTEMPT_H

#include "migrate.h"

#include "command/execute.h"

extern void mig_attempt_run(const ExecuteScript *script, void (*body) (void *arg),
						void *arg);
extern ErrorData *mig_attempt_roll_back(MemoryContext context);

#endif							/* MIG_ATTEMPT_H */
