/*
 * attempt.c
 *		What others are in the way of, attempted again.
 *
 * A comparison reads and changes rows of the catalogs that other sessions change, too,
 * and takes locks that they hold.  It is the one that gives way: no attempt waits as
 * long for a lock as others wait before they look for a deadlock, and before the next
 * one all that it holds is released.  So a comparison does not cost another session its
 * transaction.  And it ends: attempts are made for migrate.scratch_lock_timeout, or for
 * lock_timeout if that is shorter, and then the last error is what the caller gets.
 */
#include "migrate.h"

#include "schema/attempt.h"
#include "storage/proc.h"
#include "store/lock.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* How many attempts may fail because of what others have changed. */
#define MAX_REFUSED		20

/* Pause before another attempt, in milliseconds. */
#define PAUSE			10

/* The shortest wait of an attempt for a lock, in milliseconds. */
#define MIN_WAIT		50

static void set_lock_timeout(int timeout);

/*
 * Note that an attempt begins, before anything is set for it.
 */
void
mig_attempt_begin(Attempts *attempts)
{
	if (attempts->since != 0)
		return;
	attempts->since = GetCurrentTimestamp();
	attempts->timeout = mig_scratch_lock_timeout;
	if (LockTimeout > 0 && (attempts->timeout == 0 || LockTimeout < attempts->timeout))
		attempts->timeout = LockTimeout;
}

/*
 * Have the current subtransaction, which is an attempt, wait for locks as long as one
 * attempt may.
 */
void
mig_attempt_wait_shortly(const Attempts *attempts)
{
	int			timeout = Max(DeadlockTimeout / 2, MIN_WAIT);

	set_lock_timeout(attempts->timeout > 0 ? Min(attempts->timeout, timeout) : timeout);
}

/*
 * Have it wait for locks as long as all attempts may, because it is the last one.
 */
void
mig_attempt_wait_long(const Attempts *attempts)
{
	set_lock_timeout(attempts->timeout);
}

/*
 * Set lock_timeout for the current subtransaction.
 */
static void
set_lock_timeout(int timeout)
{
	(void) set_config_option("lock_timeout", psprintf("%d", timeout), PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * After an attempt has failed with an error that is due to others, and was rolled back:
 * return whether to make another, after a pause.
 */
bool
mig_attempt_again(Attempts *attempts, const ErrorData *error)
{
	/* a wait is counted by its time */
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE && ++attempts->refused >= MAX_REFUSED)
		return false;
	if (attempts->timeout > 0 &&
		TimestampDifferenceExceeds(attempts->since, GetCurrentTimestamp(), attempts->timeout))
		return false;
	mig_lock_pause(PAUSE);
	return true;
}

/*
 * Return whether an error says that others hold a lock, that they have changed a row that
 * we have to change, or that they wait for us while we wait for them.
 */
bool
mig_attempt_is_of_others(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED ||
		error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		(error->sqlerrcode == ERRCODE_INTERNAL_ERROR && error->message != NULL &&
		 strncmp(error->message, "tuple concurrently", strlen("tuple concurrently")) == 0);
}

/*
 * Say what can be done about an error with which attempts have ended.
 */
void
mig_attempt_complete(ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE && error->hint == NULL)
		error->hint = "Call again later, or raise migrate.scratch_lock_timeout.";
}
