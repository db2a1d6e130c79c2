/*
 * retry.h
 *		One transaction of a stepwise run: attempted, and attempted again when
 *		locks of others are in the way.
 */
#ifndef MIG_RETRY_H
#define MIG_RETRY_H

#include "migrate.h"

#include "run/execute.h"

/* What bounds the waits for locks of a transaction. */
typedef enum RetryWaits
{
	RETRY_SHORT_WAITS,			/* migrate.lock_timeout */
	RETRY_OWN_WAITS				/* what is set already */
} RetryWaits;

/*
 * One attempt at a transaction.  Only the loop of mig_retry_run makes one, in a
 * transaction that has done nothing yet: so what takes an Attempt is what can be
 * rolled back and repeated, and work that another part of the transaction did
 * cannot be lost with it.
 */
typedef struct Attempt Attempt;

typedef void (*AttemptBody) (const Attempt *attempt);

/* How a transaction that was given up ended. */
typedef struct RetryFailure
{
	ErrorData  *error;
	bool		committed;		/* the body had committed a part of its work */
} RetryFailure;

extern void *mig_retry_argument(const Attempt *attempt);
extern void mig_retry_run(const ExecuteScript *script, AttemptBody body, void *arg);
extern bool mig_retry_try(const ExecuteScript *script, RetryWaits waits,
						  AttemptBody body, void *arg, RetryFailure *failure);
extern ErrorData *mig_retry_roll_back(MemoryContext context);

#endif							/* MIG_RETRY_H */
