/*
 * relation_locks.c
 *		The locks of this session on relations, and which of them are new.
 *
 * pg_locks copies the locks of all sessions, which after each statement costs more
 * than most statements.  This reads the session's own, in the lock manager's memory,
 * and of them what was added since the last look: each of its partitions has a list
 * of the locks of a process, to which new ones are appended.  So a look costs a few
 * comparisons where nothing was locked, however many locks are held.
 *
 * Weak locks are in slots of the process, until a session that wants a strong one
 * moves them to the lists.  They are read first, without a lock of ours: only this
 * process fills them, and what is moved meanwhile is found in the lists.
 *
 * Relations of the system count as little as those of other databases.
 */
#include "migrate.h"

#include "access/transam.h"
#include "compat.h"
#include "miscadmin.h"
#include "rehearsal/relation_locks.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* The last lock of a partition at the last look. */
typedef struct Tail
{
	PROCLOCK   *proclock;		/* NULL: there was none */
	LOCKTAG		tag;
} Tail;

struct RelationLocks
{
	MemoryContext context;
	HTAB	   *relations;		/* RelationLock */
	List	   *growing;		/* RelationLock *: those that can become stronger, and
								 * are in the lists */
	Tail		tails[NUM_LOCK_PARTITIONS];
};

/* Bits of a slot for a weak lock, and the mode of the first one. */
#define WEAK_BITS		3
#define WEAK_FIRST		1

static void look_at_weak(RelationLocks *locks, List **changed);
static void look_at_growing(RelationLocks *locks, List **changed);
static void look_at_partition(RelationLocks *locks, int partition, List **changed);
static bool is_tail(const Tail *tail, const PROCLOCK *proclock);
static bool is_relation(const LOCKTAG *tag);
static bool is_of_relation(const PROCLOCK *proclock, Oid relation);
static RelationLock *note(RelationLocks *locks, Oid relation, LOCKMASK modes, List **changed);

/*
 * Begin to look, in the current memory context; the first look finds all that is held.
 */
RelationLocks *
mig_relation_locks_begin(void)
{
	RelationLocks *locks = palloc0(sizeof(RelationLocks));
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(RelationLock),
	.hcxt = CurrentMemoryContext};

	locks->context = CurrentMemoryContext;
	locks->relations = hash_create("migrate locks", 256, &control,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return locks;
}

/*
 * Look again; return the relations (RelationLock *) on which modes are held that were
 * not at the last look, in the current memory context.
 */
List *
mig_relation_locks_look(RelationLocks *locks)
{
	List	   *changed = NIL;
	ListCell   *lc;

	look_at_weak(locks, &changed);
	for (int i = 0; i < NUM_LOCK_PARTITIONS; i++)
		look_at_partition(locks, i, &changed);
	look_at_growing(locks, &changed);
	foreach(lc, changed)
		((RelationLock *) lfirst(lc))->is_changed = false;
	return changed;
}

/*
 * Return the modes in which a relation was held at the last look.
 */
LOCKMASK
mig_relation_locks_held(const RelationLocks *locks, Oid relation)
{
	const RelationLock *lock = hash_search(locks->relations, &relation, HASH_FIND, NULL);

	return lock != NULL ? lock->held : 0;
}

/*
 * Return which modes of others some modes keep waiting.
 */
LOCKMASK
mig_relation_locks_conflicts(LOCKMASK modes)
{
	LOCKMASK	conflicts = 0;

	for (LOCKMODE mode = 1; mode <= MaxLockMode; mode++)
	{
		if (!(modes & LOCKBIT_ON(mode)))
			continue;
		for (LOCKMODE other = 1; other <= MaxLockMode; other++)
			if (DoLockModesConflict(mode, other))
				conflicts |= LOCKBIT_ON(other);
	}
	return conflicts;
}

/*
 * Look at the slots for weak locks.
 */
static void
look_at_weak(RelationLocks *locks, List **changed)
{
	for (int group = 0; group < MIG_WEAK_LOCK_GROUPS; group++)
	{
		uint64		bits = mig_weak_lock_bits(group);

		for (int i = 0; bits != 0 && i < MIG_WEAK_LOCKS_IN_GROUP; i++)
		{
			LOCKMASK	modes = (bits & ((1 << WEAK_BITS) - 1)) << WEAK_FIRST;
			Oid			relation = MyProc->fpRelId[group * MIG_WEAK_LOCKS_IN_GROUP + i];

			if (modes != 0 && relation >= FirstNormalObjectId)
				(void) note(locks, relation, modes, changed);
			bits >>= WEAK_BITS;
		}
	}
}

/*
 * Look at what was appended to the list of a partition.
 */
static void
look_at_partition(RelationLocks *locks, int partition, List **changed)
{
	LWLock	   *lock = LockHashPartitionLockByIndex(partition);
	Tail	   *tail = &locks->tails[partition];
	PROCLOCK   *last;
	PROCLOCK   *proclock;

	LWLockAcquire(lock, LW_SHARED);
	last = mig_proclock_before(partition, NULL);
	for (proclock = last; proclock != NULL && !is_tail(tail, proclock);
		 proclock = mig_proclock_before(partition, proclock))
	{
		const LOCKTAG *tag = &proclock->tag.myLock->tag;
		RelationLock *relation;

		if (!is_relation(tag))
			continue;
		relation = note(locks, tag->locktag_field2, proclock->holdMask, changed);
		if (relation->proclock == NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(locks->context);

			locks->growing = lappend(locks->growing, relation);
			MemoryContextSwitchTo(old);
		}
		relation->proclock = proclock;
	}
	tail->proclock = last;
	if (last != NULL)
		tail->tag = last->tag.myLock->tag;
	LWLockRelease(lock);
}

/*
 * Return whether a lock was the last one of its partition at the last look.
 */
static bool
is_tail(const Tail *tail, const PROCLOCK *proclock)
{
	return proclock == tail->proclock &&
		memcmp(&proclock->tag.myLock->tag, &tail->tag, sizeof(LOCKTAG)) == 0;
}

/*
 * Return whether a lock is on a relation of this database, and not one of the system.
 */
static bool
is_relation(const LOCKTAG *tag)
{
	return tag->locktag_type == LOCKTAG_RELATION && tag->locktag_field1 == MyDatabaseId &&
		tag->locktag_field2 >= FirstNormalObjectId;
}

/*
 * Look at locks that were there before: a stronger mode of one is appended to no list.
 * Only this process changes its own modes, and an entry that was freed is memory of the
 * lock manager still, so that no lock is needed.
 */
static void
look_at_growing(RelationLocks *locks, List **changed)
{
	List	   *left = NIL;
	bool		fewer = false;
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, locks->growing)
	{
		RelationLock *relation = lfirst(lc);

		if (is_of_relation(relation->proclock, relation->relation))
			(void) note(locks, relation->relation, relation->proclock->holdMask, changed);
		fewer |= (relation->held & LOCKBIT_ON(AccessExclusiveLock)) != 0;
	}
	if (!fewer)
		return;
	/* what keeps everybody waiting cannot become stronger */
	old = MemoryContextSwitchTo(locks->context);
	foreach(lc, locks->growing)
		if (!(((RelationLock *) lfirst(lc))->held & LOCKBIT_ON(AccessExclusiveLock)))
			left = lappend(left, lfirst(lc));
	list_free(locks->growing);
	locks->growing = left;
	MemoryContextSwitchTo(old);
}

/*
 * Return whether a lock of which we know is still ours, and on that relation.
 */
static bool
is_of_relation(const PROCLOCK *proclock, Oid relation)
{
	return proclock->tag.myProc == MyProc && is_relation(&proclock->tag.myLock->tag) &&
		proclock->tag.myLock->tag.locktag_field2 == relation;
}

/*
 * Note that a relation is held in some modes.
 */
static RelationLock *
note(RelationLocks *locks, Oid relation, LOCKMASK modes, List **changed)
{
	bool		found;
	RelationLock *lock = hash_search(locks->relations, &relation, HASH_ENTER, &found);

	if (!found)
	{
		lock->held = 0;
		lock->proclock = NULL;
		lock->is_changed = false;
	}
	if (!lock->is_changed)
		lock->before = lock->held;
	if ((modes & ~lock->held) != 0)
	{
		if (!lock->is_changed)
			*changed = lappend(*changed, lock);
		lock->is_changed = true;
		lock->held |= modes;
	}
	return lock;
}
