/*
 * held.c
 *		Locks that the rollback of a subtransaction leaves, or takes away.
 *
 * Most locks belong to the subtransaction that takes them, and end with it.  Two
 * kinds do not.  A sequence that was used stays locked to the end of the whole
 * transaction, even when it is gone: many scratches in one transaction would fill
 * the server's lock table.  And advisory locks of the session know no transaction;
 * they are counted, and any function can release them.
 *
 * How often the session holds a lock can only be read from the lock manager's local
 * entry, which one gets by taking the lock once more.  So each advisory lock that
 * was held before is taken by the caller's resource owner too until the end.  That
 * also keeps others from having it when it is released meanwhile.
 */
#include "migrate.h"

#include "compat.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "schema/held.h"
#include "storage/lock.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

/* An advisory lock that was held before. */
typedef struct Advisory
{
	LOCKTAG		tag;
	LOCKMODE	mode;
	int64		count;			/* by the session, apart from transactions */
} Advisory;

struct HeldLocks
{
	List	   *advisory;		/* Advisory * */
	List	   *dropped;		/* Oid: relations that were gone and locked before */
};

static bool is_ours(const LockInstanceData *lock, uint8 type);
static bool is_gone(const LockInstanceData *lock);
static void remember_advisory(HeldLocks *held, const LockInstanceData *lock);
static int64 session_count(const LOCKTAG *tag, LOCKMODE mode);
static int64 count_before(const HeldLocks *held, const LOCKTAG *tag, LOCKMODE mode);
static void restore_advisory(const HeldLocks *held, const LockInstanceData *lock);
static void release_dropped(const LockInstanceData *lock);

/*
 * Return what the session holds now, in the current memory context.  Takes its
 * advisory locks once more, for the current resource owner.
 */
HeldLocks *
mig_held_remember(void)
{
	LockData   *data = GetLockStatusData();
	HeldLocks  *held = palloc0(sizeof(HeldLocks));

	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];

		if (is_ours(lock, LOCKTAG_ADVISORY))
			remember_advisory(held, lock);
		else if (is_gone(lock))
			held->dropped = lappend_oid(held->dropped, lock->locktag.locktag_field2);
	}
	return held;
}

/*
 * After a rollback, make the session hold what it held, and no lock on a relation
 * that the rollback has removed.  The current resource owner must be that of
 * mig_held_remember.
 */
void
mig_held_restore(const HeldLocks *held)
{
	LockData   *data = GetLockStatusData();
	ListCell   *lc;

	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];

		if (is_ours(lock, LOCKTAG_ADVISORY))
			restore_advisory(held, lock);
		else if (is_gone(lock) &&
				 !list_member_oid(held->dropped, lock->locktag.locktag_field2))
			release_dropped(lock);
	}
	foreach(lc, held->advisory)
	{
		const Advisory *advisory = lfirst(lc);

		(void) LockRelease(&advisory->tag, advisory->mode, false);
	}
}

/*
 * Return whether this process holds a lock of some type.
 */
static bool
is_ours(const LockInstanceData *lock, uint8 type)
{
	return lock->pid == MyProcPid && lock->holdMask != 0 &&
		lock->locktag.locktag_type == type;
}

/*
 * Return whether this process holds a lock on a relation of this database that does
 * not exist.
 */
static bool
is_gone(const LockInstanceData *lock)
{
	return is_ours(lock, LOCKTAG_RELATION) &&
		lock->locktag.locktag_field1 == MyDatabaseId &&
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lock->locktag.locktag_field2));
}

/*
 * Remember an advisory lock in each of its modes.
 */
static void
remember_advisory(HeldLocks *held, const LockInstanceData *lock)
{
	for (LOCKMODE mode = 1; mode <= MaxLockMode; mode++)
	{
		Advisory   *advisory;
		LOCALLOCK  *local;

		if (!(lock->holdMask & LOCKBIT_ON(mode)))
			continue;
		advisory = palloc(sizeof(Advisory));
		advisory->tag = lock->locktag;
		advisory->mode = mode;
		advisory->count = session_count(&advisory->tag, mode);
		(void) mig_lock_locally(&advisory->tag, mode, &local);
		held->advisory = lappend(held->advisory, advisory);
	}
}

/*
 * Return how often the session, apart from transactions, holds a lock of which it
 * is known that it is held.
 */
static int64
session_count(const LOCKTAG *tag, LOCKMODE mode)
{
	LOCALLOCK  *local = NULL;
	int64		count = 0;

	(void) mig_lock_locally(tag, mode, &local);
	for (int i = 0; i < local->numLockOwners; i++)
		if (local->lockOwners[i].owner == NULL)
			count = local->lockOwners[i].nLocks;
	(void) LockRelease(tag, mode, false);
	return count;
}

/*
 * Return how often the session held a lock before.
 */
static int64
count_before(const HeldLocks *held, const LOCKTAG *tag, LOCKMODE mode)
{
	ListCell   *lc;

	foreach(lc, held->advisory)
	{
		const Advisory *advisory = lfirst(lc);

		if (advisory->mode == mode && memcmp(&advisory->tag, tag, sizeof(LOCKTAG)) == 0)
			return advisory->count;
	}
	return 0;
}

/*
 * Make the session hold an advisory lock as often as before.
 */
static void
restore_advisory(const HeldLocks *held, const LockInstanceData *lock)
{
	for (LOCKMODE mode = 1; mode <= MaxLockMode; mode++)
	{
		int64		before;
		int64		now;

		if (!(lock->holdMask & LOCKBIT_ON(mode)))
			continue;
		before = count_before(held, &lock->locktag, mode);
		now = session_count(&lock->locktag, mode);
		for (; now > before; now--)
			(void) LockRelease(&lock->locktag, mode, true);
		for (; now < before; now++)
			(void) LockAcquire(&lock->locktag, mode, true, true);
	}
}

/*
 * Release what the use of a sequence has left.
 */
static void
release_dropped(const LockInstanceData *lock)
{
	ResourceOwner before = CurrentResourceOwner;

	CurrentResourceOwner = TopTransactionResourceOwner;
	for (LOCKMODE mode = 1; mode <= MaxLockMode; mode++)
		while ((lock->holdMask & LOCKBIT_ON(mode)) &&
			   mig_LockHeldByMe(&lock->locktag, mode))
			if (!LockRelease(&lock->locktag, mode, false))
				break;
	CurrentResourceOwner = before;
}
