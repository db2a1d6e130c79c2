/*
 * lock.c
 *		The run lock: one writer of our tables at a time in a database.
 *
 * An advisory lock of the transaction, so that commit and rollback release
 * it and nothing else can.  We poll instead of waiting in the lock's queue:
 * waiting is then bounded by migrate.run_lock_timeout whatever lock_timeout
 * says, and the deadlock detector never has to choose between the runner and
 * a waiter.  In return a waiter looks whether it blocks the runner itself,
 * and gives up when it does.
 *
 * A run that commits step by step has nothing but the session to hold the lock
 * with: it takes both keys for the session (mig_lock_hold), looks before each
 * record whether it has them still, because a script can drop them
 * (pg_advisory_unlock_all), and releases them on every way out.  It waits
 * without a snapshot: the concurrent index builds of the run that it waits for
 * would wait for that.
 *
 * The first pauses are short, because most runs that others wait for at
 * application start are short; then they grow to MAX_PAUSE.
 *
 * A third key is that of the scratch (schema/scratch.c), which one session of a
 * database has at a time.  It is waited for in the same way.
 */
#include "migrate.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "script/excerpt.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "store/lock.h"
#include "store/wait.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define FIRST_PAUSE		5		/* ms */
#define MAX_PAUSE		200		/* ms */

/* Who holds one of our keys. */
typedef struct Holder
{
	bool		found;
	int			pid;			/* 0: a prepared transaction */
	bool		stepwise;		/* holds the other key too */
} Holder;

/* A key that is waited for. */
typedef struct Wanted
{
	int			key;
	bool		stepwise;		/* for the session, by a stepwise run */
	int			timeout;		/* ms; 0: none */
	const char *name;			/* what the key is, for errors */
	const char *holder;			/* what its holder does */
	const char *hint;			/* what to do after the timeout */
} Wanted;

/* What errors call the keys. */
static const char run_lock[] = "run lock of migrate";
static const char scratch_lock[] = "scratch of migrate";

/* Whether this session holds both keys. */
static bool held = false;

static void wait_for_run_lock(bool stepwise);
static void wait_for(const Wanted *wanted);
static void set_tag(LOCKTAG *tag, int key);
static bool try_lock(int key, bool session);
static void poll(const Wanted *wanted, TimestampTz start, bool *ended);
static void end_transaction(void);
static Holder find_holder(int key);
static bool we_block(int pid);
pg_noreturn static void give_up(Holder holder, TimestampTz since, const char *name,
								const char *hint);

/*
 * Take the run lock until the end of the transaction.  function names the
 * caller for errors.  Errors: 25006 in a read-only transaction or on a
 * standby, MG012 after migrate.run_lock_timeout or when a stepwise run holds
 * the lock, 40P01 when the holder waits for us.
 */
void
mig_lock_acquire(const char *function)
{
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	wait_for_run_lock(false);
}

/*
 * Take both keys for the session.  To be called in a transaction without a
 * snapshot.  Errors: as mig_lock_acquire, but another stepwise run is waited
 * for.  Whatever happens afterwards, mig_lock_release must be called.
 */
void
mig_lock_hold(const char *function)
{
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	wait_for_run_lock(true);
	held = true;
	/* a run that has the second key has the first: only a lock by hand is in the way */
	if (!try_lock(MIG_LOCK_STEPWISE, true))
		give_up(find_holder(MIG_LOCK_STEPWISE), GetCurrentTimestamp(), run_lock,
				"It is no run of migrate: it has only the second key. Call again when it has released that.");
}

/*
 * Return whether the session still holds both keys.
 */
bool
mig_lock_is_held(void)
{
	LOCKTAG		run;
	LOCKTAG		stepwise;

	set_tag(&run, MIG_LOCK_RUN);
	set_tag(&stepwise, MIG_LOCK_STEPWISE);
	return mig_LockHeldByMe(&run, ExclusiveLock) &&
		mig_LockHeldByMe(&stepwise, ExclusiveLock);
}

/*
 * MG012 when it does not.
 */
void
mig_lock_check_held(void)
{
	if (!mig_lock_is_held())
		ereport(ERROR,
				(errcode(ERRCODE_MIG_LOCK_NOT_HAD),
				 errmsg("the run lock of migrate was lost"),
				 errdetail("A script released it, with pg_advisory_unlock_all() for example."),
				 errhint("Scripts must leave the advisory locks of migrate alone.")));
}

/*
 * Release what mig_lock_hold took and a script did not.  Must not be called
 * with an error under way.
 */
void
mig_lock_release(void)
{
	const int	keys[] = {MIG_LOCK_STEPWISE, MIG_LOCK_RUN};

	if (!held)
		return;
	held = false;
	for (size_t i = 0; i < lengthof(keys); i++)
	{
		LOCKTAG		tag;

		set_tag(&tag, keys[i]);
		if (mig_LockHeldByMe(&tag, ExclusiveLock))
			(void) LockRelease(&tag, ExclusiveLock, true);
	}
}

/*
 * Process id of another session that runs step by step; 0 when there is none.
 */
int
mig_lock_stepwise_pid(void)
{
	Holder		holder = find_holder(MIG_LOCK_RUN);

	return holder.stepwise ? holder.pid : 0;
}

/*
 * Sleep, but wake up for interrupts.  Holds no catalog snapshot meanwhile.
 */
void
mig_lock_pause(int ms)
{
	InvalidateCatalogSnapshotConditionally();
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Take the key of the scratch until the end of the current (sub)transaction.
 * Errors: MG012 after migrate.scratch_lock_timeout, 40P01 when the holder waits for
 * us.
 */
void
mig_lock_scratch(void)
{
	const Wanted wanted = {
		.key = MIG_LOCK_SCRATCH, .timeout = mig_scratch_lock_timeout,
		.name = scratch_lock, .holder = "which has a scratch,",
		.hint = "Call again when it has ended, or raise migrate.scratch_lock_timeout."
	};

	wait_for(&wanted);
}

/*
 * Poll until we have the run lock, for the transaction or, as a stepwise run,
 * for the session.
 */
static void
wait_for_run_lock(bool stepwise)
{
	const Wanted wanted = {
		.key = MIG_LOCK_RUN, .stepwise = stepwise, .timeout = mig_run_lock_timeout,
		.name = run_lock, .holder = "which runs migrations,",
		.hint = "Call again when it has ended, or raise migrate.run_lock_timeout."
	};

	wait_for(&wanted);
}

/*
 * Poll until we have a key.
 */
static void
wait_for(const Wanted *wanted)
{
	TimestampTz start = GetCurrentTimestamp();
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context = NULL;
	int			pause = FIRST_PAUSE;
	bool		ended = false;

	while (!try_lock(wanted->key, wanted->stepwise))
	{
		if (context == NULL)
			context = AllocSetContextCreate(old, "migrate lock poll",
											ALLOCSET_DEFAULT_SIZES);
		MemoryContextSwitchTo(context);
		poll(wanted, start, &ended);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
		mig_wait_check();
		mig_lock_pause(pause);
		pause = Min(pause * 2, MAX_PAUSE);
	}
	if (context != NULL)
		MemoryContextDelete(context);
}

/*
 * Look whether waiting on makes sense; an error when it does not.  *ended: the
 * holder waited for us at the last look, and the transaction was ended for it.
 */
static void
poll(const Wanted *wanted, TimestampTz start, bool *ended)
{
	Holder		holder;

	CHECK_FOR_INTERRUPTS();
	holder = find_holder(wanted->key);
	/* before the next test: its index builds wait for every session with a snapshot */
	if (wanted->key == MIG_LOCK_RUN && holder.stepwise && !wanted->stepwise)
		give_up(holder, start, wanted->name,
				"Call again when it has ended: it commits step by step, and is not waited for.");
	if (holder.pid == 0 || !we_block(holder.pid))
		*ended = false;
	else if (wanted->stepwise && !*ended)
	{
		end_transaction();
		*ended = true;
		return;
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
				 errmsg("deadlock detected"),
				 errdetail("Process %d, %s waits for a lock that this transaction holds.",
						   holder.pid, wanted->holder),
				 errhint("Call migrate before anything else in the transaction.")));
	if (wanted->timeout > 0 &&
		TimestampDifferenceExceeds(start, GetCurrentTimestamp(), wanted->timeout))
		give_up(holder, start, wanted->name, wanted->hint);
}

/*
 * A stepwise run that waits has nothing in its transaction, but a concurrent
 * index build that looked while it had a snapshot, for the time of a look at
 * the catalogs, waits for its end.  Those that wait for us after that wait for a
 * lock of the session.
 */
static void
end_transaction(void)
{
	MemoryContext context = CurrentMemoryContext;

	CommitTransactionCommand();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);
}

/*
 * Set the tag of one of our keys.
 */
static void
set_tag(LOCKTAG *tag, int key)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, MIG_LOCK_CLASS, key, 2);
}

/*
 * Take a key for the transaction or the session, if nobody else has it; return
 * whether it was taken.
 */
static bool
try_lock(int key, bool session)
{
	LOCKTAG		tag;

	set_tag(&tag, key);
	return LockAcquire(&tag, ExclusiveLock, session, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Return which other session holds one of our keys, and whether it holds the
 * other one too, as a stepwise run does.  Two sessions can have a key each, taken
 * by hand.
 */
static Holder
find_holder(int key)
{
	LockData   *locks = GetLockStatusData();
	Holder		holder = {false, 0, false};
	LOCKTAG		wanted;
	LOCKTAG		other;
	int			other_pid = -1;

	set_tag(&wanted, key);
	set_tag(&other, key == MIG_LOCK_RUN ? MIG_LOCK_STEPWISE : MIG_LOCK_RUN);
	for (int i = 0; i < locks->nelements; i++)
	{
		LockInstanceData *lock = &locks->locks[i];

		if (lock->holdMask == 0 || lock->pid == MyProcPid)
			continue;
		if (memcmp(&lock->locktag, &wanted, sizeof(LOCKTAG)) == 0)
		{
			holder.found = true;
			holder.pid = lock->pid;
		}
		else if (memcmp(&lock->locktag, &other, sizeof(LOCKTAG)) == 0)
			other_pid = lock->pid;
	}
	holder.stepwise = holder.found && holder.pid == other_pid;
	return holder;
}

/*
 * Return whether a process waits for us, directly or for one that does. The
 * server's own detector cannot see it, because polling is not waiting.
 */
static bool
we_block(int pid)
{
	List	   *todo = list_make1_int(pid);

	/* the list grows while we go along it */
	for (int at = 0; at < list_length(todo); at++)
	{
		Datum		blockers = DirectFunctionCall1(pg_blocking_pids,
												   Int32GetDatum(list_nth_int(todo, at)));
		ArrayType  *array = DatumGetArrayTypeP(blockers);
		int		   *pids = (int *) ARR_DATA_PTR(array);
		int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

		for (int i = 0; i < n; i++)
		{
			if (pids[i] == MyProcPid)
				return true;
			if (pids[i] != 0)
				todo = list_append_unique_int(todo, pids[i]);
		}
	}
	return false;
}

/*
 * Report, with MG012, who holds the lock of that name, as whom and since when.  The hint says
 * what to do when it is a session.
 */
static void
give_up(Holder holder, TimestampTz since, const char *name, const char *hint)
{
	long		waited = TimestampDifferenceMilliseconds(since,
														 GetCurrentTimestamp());
	const char *role;
	MigBackend	backend;

	if (holder.found && holder.pid == 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_LOCK_NOT_HAD),
				 errmsg("could not obtain the %s", name),
				 errdetail("A prepared transaction holds it. Waited %ld ms.", waited),
				 errhint("pg_prepared_xacts shows it; end it with COMMIT PREPARED or ROLLBACK PREPARED.")));
	if (!holder.found || !mig_backend_status(holder.pid, &backend))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_LOCK_NOT_HAD),
				 errmsg("could not obtain the %s", name),
				 errdetail("Waited %ld ms; its last holder is gone now.", waited),
				 errhint("Call again.")));
	role = GetUserNameFromId(backend.role, true);
	ereport(ERROR,
			(errcode(ERRCODE_MIG_LOCK_NOT_HAD),
			 errmsg("could not obtain the %s", name),
			 errdetail("Process %d (role \"%s\", application \"%s\", in its transaction since %s) holds it. Waited %ld ms.",
					   holder.pid, role ? mig_excerpt_printable(role) : "?",
					   backend.application,
					   timestamptz_to_str(backend.since), waited),
			 errhint("%s", hint)));
}
