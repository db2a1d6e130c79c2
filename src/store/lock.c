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
 * The first pauses are short, because most runs that others wait for at
 * application start are short; then they grow to MAX_PAUSE.
 */
#include "migrate.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "store/lock.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define FIRST_PAUSE		5		/* ms */
#define MAX_PAUSE		200		/* ms */

static void set_tag(LOCKTAG *tag, int key);
static bool try_lock(int key);
static int	find_holder(int key);
static bool we_block(int pid);
static void pause_ms(int ms);
pg_noreturn static void give_up(int holder, TimestampTz since);

/*
 * Take the run lock until the end of the transaction.  function names the
 * caller for errors.  Errors: 25006 in a read-only transaction or on a
 * standby, MG012 after migrate.run_lock_timeout or when a stepwise run holds
 * the lock, 40P01 when the holder waits for us.
 */
void
mig_lock_acquire(const char *function)
{
	TimestampTz start = GetCurrentTimestamp();
	int			pause = FIRST_PAUSE;

	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);

	while (!try_lock(MIG_LOCK_RUN))
	{
		int			holder;

		CHECK_FOR_INTERRUPTS();
		holder = find_holder(MIG_LOCK_RUN);
		if (holder != 0 && we_block(holder))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
					 errmsg("deadlock detected"),
					 errdetail("Process %d, which runs migrations, waits for a lock that this transaction holds.",
							   holder),
					 errhint("Call migrate before anything else in the transaction.")));
		if (find_holder(MIG_LOCK_STEPWISE) != 0 ||
			(mig_run_lock_timeout > 0 &&
			 TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
										mig_run_lock_timeout)))
			give_up(holder, start);
		pause_ms(pause);
		pause = Min(pause * 2, MAX_PAUSE);
	}
}

static void
set_tag(LOCKTAG *tag, int key)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, MIG_LOCK_CLASS, key, 2);
}

static bool
try_lock(int key)
{
	LOCKTAG		tag;

	set_tag(&tag, key);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Process id of the backend that holds a key; 0 when none does.
 */
static int
find_holder(int key)
{
	LockData   *locks = GetLockStatusData();
	LOCKTAG		tag;
	int			pid = 0;

	set_tag(&tag, key);
	for (int i = 0; i < locks->nelements && pid == 0; i++)
		if (memcmp(&locks->locks[i].locktag, &tag, sizeof(LOCKTAG)) == 0 &&
			locks->locks[i].holdMask != 0 &&
			locks->locks[i].pid != MyProcPid)
			pid = locks->locks[i].pid;
	return pid;
}

/*
 * Whether a process waits for a lock that we hold (or have queued for before
 * it).
 */
static bool
we_block(int pid)
{
	ArrayType  *blockers = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids,
																  Int32GetDatum(pid)));
	int		   *pids = (int *) ARR_DATA_PTR(blockers);
	int			n = ArrayGetNItems(ARR_NDIM(blockers), ARR_DIMS(blockers));

	for (int i = 0; i < n; i++)
		if (pids[i] == MyProcPid)
			return true;
	return false;
}

/*
 * Sleep, but wake up for interrupts.
 */
static void
pause_ms(int ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * MG012, saying who holds the lock, as whom and since when.
 */
static void
give_up(int holder, TimestampTz since)
{
	long		waited = TimestampDifferenceMilliseconds(since, GetCurrentTimestamp());
	MigBackend	backend;

	if (!mig_backend_status(holder, &backend))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_LOCK_NOT_HAD),
				 errmsg("could not obtain the run lock of migrate"),
				 errdetail("Waited %ld ms; whoever held it last is gone now.", waited),
				 errhint("Call again.")));
	ereport(ERROR,
			(errcode(ERRCODE_MIG_LOCK_NOT_HAD),
			 errmsg("could not obtain the run lock of migrate"),
			 errdetail("Process %d (role \"%s\", application \"%s\", in its transaction since %s) holds it. Waited %ld ms.",
					   holder, GetUserNameFromId(backend.role, true),
					   backend.application,
					   timestamptz_to_str(backend.since), waited),
			 errhint("Call again when it has ended, or raise migrate.run_lock_timeout.")));
}
