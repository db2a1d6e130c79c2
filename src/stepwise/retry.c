/*
 * retry.c
 *		One transaction of a stepwise run: tried, and tried again when others'
 *		locks are in the way.
 *
 * What waits for a lock stands in front of everybody who comes later and wants
 * a weaker one: an ALTER TABLE that waits for a long report stops all queries of that
 * table.  So it waits for migrate.lock_timeout only, gives up, leaves the way
 * free for a while, longer each time and never at regular times, and tries
 * again.
 *
 * The default is shorter than the default of deadlock_timeout: when another
 * session comes to wait for us while we wait for it, we are gone before its
 * detector looks, and it never hears of it.
 *
 * Who was in the way is asked while we wait, because afterwards it cannot be
 * known: with log_lock_waits on, the server tells its log after
 * deadlock_timeout that we wait, and our error context callback listens
 * (mig_execute_blockers).
 */
#include "migrate.h"

#include "access/xact.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "run/execute.h"
#include "script/excerpt.h"
#include "stepwise/retry.h"
#include "storage/proc.h"
#include "store/lock.h"
#include "store/wait.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define FIRST_PAUSE		200		/* ms */
#define MAX_PAUSE		30000	/* ms */

/* Most bytes of a blocker's query that are told. */
#define MAX_QUERY		200

struct Attempt
{
	void	   *arg;
};

static bool attempt(const ExecuteScript *script, RetryWaits waits, AttemptBody body,
					void *arg, RetryFailure *failure);
static void listen_to_waits(RetryWaits waits);
static void sleep_before_retry(int pause);
static void set_for_transaction(const char *name, int value);
static bool is_retried(int sqlerrcode);
static int	pause_before(int retry);
static void report_retry(const ErrorData *error, int retry, int pause);
static void note_retries(ErrorData *error);
static char *describe_blockers(void);

/*
 * Attempt a transaction of short waits, and raise its error when it is given up.
 * See mig_retry_try.
 */
void
mig_retry_run(const ExecuteScript *script, AttemptBody body, void *arg)
{
	RetryFailure failure;

	if (!mig_retry_try(script, RETRY_SHORT_WAITS, body, arg, &failure))
		ReThrowError(failure.error);
}

/*
 * Call body in the transaction that there is, which must have done nothing yet,
 * and commit; script is for messages.  What body sets stays set.
 *
 * Lock timeouts, deadlocks and serialization failures are rolled back and
 * attempted again, at most migrate.lock_retries times, for as long as all that
 * body did since it was called was rolled back with them: a body that has
 * committed (as a procedure can) is never repeated.  body must not rely on
 * anything that it left in memory.
 *
 * Return whether it was committed.  If not, *failure has the error, in the
 * current memory context, and there is a new transaction.
 */
bool
mig_retry_try(const ExecuteScript *script, RetryWaits waits, AttemptBody body,
			  void *arg, RetryFailure *failure)
{
	for (int retry = 1; !attempt(script, waits, body, arg, failure); retry++)
	{
		int			pause;

		if (failure->committed || !is_retried(failure->error->sqlerrcode))
			return false;
		if (retry > mig_lock_retries)
		{
			note_retries(failure->error);
			return false;
		}
		pause = pause_before(retry);
		report_retry(failure->error, retry, pause);
		FreeErrorData(failure->error);
		sleep_before_retry(pause);
	}
	return true;
}

/*
 * Return what mig_retry_run was given for its body.
 */
void *
mig_retry_argument(const Attempt *attempt)
{
	return attempt->arg;
}

/*
 * Sleep for some milliseconds, with an eye on interrupts and the client.
 */
static void
sleep_before_retry(int pause)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pause);

	while (GetCurrentTimestamp() < end)
	{
		mig_wait_check();
		mig_lock_pause(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end) + 1);
	}
}

/*
 * In PG_CATCH: take the error, in context, roll back and begin a new
 * transaction.
 */
ErrorData *
mig_retry_roll_back(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortCurrentTransaction();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	return error;
}

/*
 * Run body once and commit; see mig_retry_try.
 *
 * The settings of the attempt hold until the commit is over, because deferred
 * triggers fire in it and wait for locks as well: the end of the transaction is
 * what ends their level.
 */
static bool
attempt(const ExecuteScript *script, RetryWaits waits, AttemptBody body, void *arg,
		RetryFailure *failure)
{
	MemoryContext context = CurrentMemoryContext;
	LocalTransactionId began = mig_local_xid();
	Attempt		self = {arg};
	volatile bool done = false;

	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		elog(ERROR, "a transaction that has written already cannot be repeated");
	PG_TRY();
	{
		(void) NewGUCNestLevel();
		listen_to_waits(waits);
		body(&self);
		mig_execute_commit(script);
		done = true;
	}
	PG_CATCH();
	{
		/* before the rollback, which ends the transaction */
		failure->committed = began != mig_local_xid();
		failure->error = mig_retry_roll_back(context);
	}
	PG_END_TRY();
	return done;
}

/*
 * Have waits for locks end after migrate.lock_timeout, where they are to be
 * short, and hear who blocks before they end.
 */
static void
listen_to_waits(RetryWaits waits)
{
	int			wait = LockTimeout;

	if (waits == RETRY_SHORT_WAITS && mig_lock_timeout > 0 &&
		(wait == 0 || wait > mig_lock_timeout))
	{
		wait = mig_lock_timeout;
		set_for_transaction("lock_timeout", wait);
	}
	if (wait == 0)
		return;
	if (DeadlockTimeout >= wait)
		set_for_transaction("deadlock_timeout", Max(wait / 2, 1));
	(void) set_config_option("log_lock_waits", "on", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	/* what is neither logged nor sent never comes to our callback */
	if (mig_log_min_messages() > ERROR)
		(void) set_config_option("log_min_messages", "log", PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Set a number for the rest of the transaction, unless the script sets it
 * itself.
 */
static void
set_for_transaction(const char *name, int value)
{
	(void) set_config_option(name, psprintf("%d", value), PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Return whether an error is one of locks of others.
 */
static bool
is_retried(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED ||
		sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE;
}

/*
 * Milliseconds to wait: doubled each time, and a half more or less, by the
 * microseconds of the clock.
 */
static int
pause_before(int retry)
{
	int			pause = retry > 8 ? MAX_PAUSE : Min(FIRST_PAUSE << (retry - 1),
													MAX_PAUSE);

	return pause / 2 + (int) (GetCurrentTimestamp() % (pause + 1));
}

/*
 * Report that a transaction is attempted again, and who was in the way, whatever
 * migrate.step_messages says: a person may have to act.
 */
static void
report_retry(const ErrorData *error, int retry, int pause)
{
	const char *who = describe_blockers();
	const char *what = mig_excerpt_for_client(error->message);
	const char *where = error->context ? error->context : "";

	/* that of a deadlock has the processes */
	if (error->detail != NULL)
		where = psprintf("%s\n%s", error->detail, where);
	/* a notice that cannot be sent would end the run */
	what = mig_excerpt_lines(what);
	where = mig_excerpt_lines(mig_excerpt_for_client(where));
	ereport(NOTICE,
			(errmsg("%s; rolled back, retry %d of %d in %d ms",
					what, retry, mig_lock_retries, pause),
			 errdetail("%s", where),
			 who ? errhint("%s", who) : 0));
}

/*
 * Add to the error that ends an attempt how often it was made, and who was in
 * the way last.
 */
static void
note_retries(ErrorData *error)
{
	const char *who = describe_blockers();
	char	   *times = mig_lock_retries == 0 ?
		pstrdup("It was not retried, because migrate.lock_retries is 0.") :
		psprintf("Gave up after %d %s (migrate.lock_retries).", mig_lock_retries,
				 mig_lock_retries == 1 ? "retry" : "retries");

	if (who != NULL)
		times = psprintf("%s\n%s", times, who);
	error->detail = error->detail == NULL ? times :
		psprintf("%s\n%s", error->detail, times);
	if (error->hint == NULL && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		error->hint = pstrdup("End the transaction that is in the way, or call again when it has ended.");
}

/*
 * "Process 123 (role "app", application "psql") was in the way: SELECT ...", a
 * line each; NULL when nobody is known.
 */
static char *
describe_blockers(void)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, mig_execute_blockers())
	{
		int			pid = lfirst_int(lc);
		const char *query;
		const char *role;
		MigBackend	backend;

		if (buf.len > 0)
			appendStringInfoChar(&buf, '\n');
		if (pid == 0)
			appendStringInfoString(&buf, "A prepared transaction was in the way.");
		else if (!mig_backend_status(pid, &backend))
			appendStringInfo(&buf, "Process %d was in the way.", pid);
		else
		{
			query = pgstat_get_backend_current_activity(pid, true);
			query = mig_excerpt_clip(query, strlen(query), MAX_QUERY);
			/* of another database, it need not be text here */
			query = mig_excerpt_for_client(query);
			role = GetUserNameFromId(backend.role, true);
			appendStringInfo(&buf, "Process %d (role \"%s\", application \"%s\","
							 " in its transaction since %s) was in the way: %s",
							 pid, role ? mig_excerpt_printable(role) : "?",
							 backend.application, timestamptz_to_str(backend.since),
							 mig_excerpt_printable(query));
		}
	}
	return buf.len > 0 ? mig_excerpt_for_client(buf.data) : NULL;
}
