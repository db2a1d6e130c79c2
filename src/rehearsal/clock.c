/*
 * clock.c
 *		How long a rehearsal may take, and how long it waits for locks of others.
 *
 * A timeout of ours fires every few milliseconds while a rehearsal runs.  When the
 * time is over it cancels what runs, as statement_timeout does, and again until the
 * rehearsal ends, since a block of PL/pgSQL can catch that.  One that always does would
 * hold its locks for ever: at last the session is ended.  And it sees whether the
 * process waits for a lock: for which one, and since when, which the server tells
 * nobody afterwards.  So a wait is known but for the last few milliseconds.
 *
 * The timeout's handler runs at any moment.  It reads only what this process alone
 * changes, and the lock that is waited for, which cannot go away meanwhile.
 */
#include "migrate.h"

#include <signal.h>

#include "catalog/pg_authid.h"
#include "compat.h"
#include "miscadmin.h"
#include "rehearsal/clock.h"
#include "script/excerpt.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

/* Between two looks, in milliseconds. */
#define INTERVAL		5

/* Between two attempts to cancel what runs. */
#define CANCEL_INTERVAL	50

/* How many attempts there are before the session is ended. */
#define MAX_CANCELS		20

/* How long we wait before we look for a deadlock: it is for us to give way. */
#define DEADLOCK_WAIT	50

/* Most bytes of a query that a message has. */
#define MAX_QUERY		200

static TimeoutId timeout = MAX_TIMEOUTS;	/* not registered yet */

/* What the handler knows. */
static volatile TimestampTz ends_at;	/* 0: without end */
static int	wait_limit;			/* in milliseconds, whatever a script sets; 0: none */
static volatile bool ran_out;
static volatile int cancels;	/* since then */
static volatile TimestampTz waits_since;	/* the last wait that was seen; 0: none */
static volatile TimestampTz waits_until;
static volatile int64 waited;	/* before that one, in microseconds */
static LOCKTAG wanted_tag;		/* what it waits for */
static LOCKMODE wanted_mode;

/* Who was in the way of it. */
typedef struct LockHolder
{
	bool		found;
	bool		holds;			/* false: waits before us */
	int			pid;			/* 0: a prepared transaction */
	LOCKMODE	mode;
	bool		is_known;		/* the backend was there still */
	MigBackend	backend;
} LockHolder;

static LockHolder holder;

static void handler(void);
static void cancel(void);
static void see_wait(TimestampTz now);
static void set(const char *name, int value);
static LOCKMODE mode_in_the_way(LOCKMASK modes);
static char *describe_wanted(void);
static bool may_see_query(Oid role);

/*
 * Forget what was found out in an earlier rehearsal.
 */
void
mig_clock_reset(void)
{
	ran_out = false;
	cancels = 0;
	waits_since = 0;
	waited = 0;
	holder.found = false;
}

/*
 * Start the clock.  Sets what bounds waits for locks until the current nest level of
 * settings ends.  Whatever happens, mig_clock_end must be called.
 */
void
mig_clock_begin(void)
{
	if (timeout == MAX_TIMEOUTS)
		timeout = RegisterTimeout(USER_TIMEOUT, handler);
	ends_at = mig_rehearse_timeout > 0 ?
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), mig_rehearse_timeout) : 0;
	wait_limit = mig_rehearse_lock_timeout;
	set("deadlock_timeout", Min(DeadlockTimeout, DEADLOCK_WAIT));
	mig_clock_limit_waits();
	enable_timeout_after(timeout, INTERVAL);
}

/*
 * Stop it.  A cancel that it has sent does not outlive it.
 */
void
mig_clock_end(void)
{
	if (timeout != MAX_TIMEOUTS)
		disable_timeout(timeout, false);
	if (ran_out)
		QueryCancelPending = false;
}

/*
 * Report, with 57014, that the time is over, if it is.
 */
void
mig_clock_check(void)
{
	if (ran_out)
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("canceling rehearsal due to migrate.rehearse_timeout")));
}

/*
 * Return whether the time is over.
 */
bool
mig_clock_ran_out(void)
{
	return ran_out;
}

/*
 * Note that a statement begins.
 */
void
mig_clock_mark(void)
{
	waits_since = 0;
	waited = 0;
}

/*
 * Return how long, in microseconds, locks were waited for since the last mark.
 */
int64
mig_clock_waited(void)
{
	return waited + (waits_since != 0 ? waits_until - waits_since : 0);
}

/*
 * Have what runs now wait for a lock no longer than it may, whatever a script has set.
 */
void
mig_clock_limit_waits(void)
{
	if (wait_limit > 0 && (LockTimeout == 0 || LockTimeout > wait_limit))
		(void) set_config_option("lock_timeout", psprintf("%d", wait_limit), PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
}

/*
 * Set something, in milliseconds, that only a superuser may set, until the current nest
 * level ends.
 */
static void
set(const char *name, int value)
{
	(void) set_config_option(name, psprintf("%d", value), PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Look what the process does; called by the server when the timeout fires, at any
 * moment.
 */
static void
handler(void)
{
	TimestampTz now = GetCurrentTimestamp();
	int			interval = INTERVAL;

	see_wait(now);
	if (ends_at != 0 && now >= ends_at)
	{
		ran_out = true;
		cancel();
		interval = CANCEL_INTERVAL;
	}
	enable_timeout_after(timeout, interval);
}

/*
 * Cancel what runs, and what it has started.
 */
static void
cancel(void)
{
#ifndef WIN32
	(void) kill(-MyProcPid, SIGINT);
#endif
	InterruptPending = true;
	QueryCancelPending = true;
	if (++cancels > MAX_CANCELS)
		ProcDiePending = true;
	SetLatch(MyLatch);
}

/*
 * Note for which lock the process waits, if it does.  Each wait starts the timeout that
 * looks for deadlocks.
 */
static void
see_wait(TimestampTz now)
{
	const LOCK *lock = MyProc->waitLock;
	TimestampTz since;

	if (lock == NULL)
		return;
	since = get_timeout_start_time(DEADLOCK_TIMEOUT);
	if (since != waits_since)
	{
		if (waits_since != 0)
			waited += waits_until - waits_since;
		waits_since = since;
	}
	waits_until = now;
	wanted_tag = lock->tag;
	wanted_mode = MyProc->waitLockMode;
}

/*
 * After a wait for a lock has ended with an error, find out who is in the way, or waits
 * before us.  Works without the catalogs.
 */
void
mig_clock_find_holder(void)
{
	LockData   *locks;

	holder.found = false;
	if (waits_since == 0)
		return;
	locks = GetLockStatusData();
	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];
		LOCKMODE	held = mode_in_the_way(lock->holdMask);
		LOCKMODE	awaited = lock->waitLockMode != NoLock ?
			mode_in_the_way(LOCKBIT_ON(lock->waitLockMode)) : NoLock;

		if (lock->pid == MyProcPid || (held == NoLock && awaited == NoLock) ||
			memcmp(&lock->locktag, &wanted_tag, sizeof(LOCKTAG)) != 0)
			continue;
		if (holder.found && (holder.holds || held == NoLock))
			continue;
		holder.found = true;
		holder.holds = held != NoLock;
		holder.pid = lock->pid;
		holder.mode = held != NoLock ? held : awaited;
	}
	holder.is_known = holder.found && holder.pid != 0 &&
		mig_backend_status(holder.pid, &holder.backend);
}

/*
 * Return the strongest of some modes that is in the way of the one we wait for; NoLock
 * if none is.
 */
static LOCKMODE
mode_in_the_way(LOCKMASK modes)
{
	for (LOCKMODE mode = MaxLockMode; mode >= 1; mode--)
		if ((modes & LOCKBIT_ON(mode)) && DoLockModesConflict(mode, wanted_mode))
			return mode;
	return NoLock;
}

/*
 * Return who that was, as a sentence, in the current memory context; NULL if nobody was
 * found.
 */
char *
mig_clock_describe_holder(void)
{
	const char *role;
	char	   *text;

	if (!holder.found)
		return NULL;
	text = describe_wanted();
	if (holder.pid == 0)
		return psprintf("%s: a prepared transaction holds %s; pg_prepared_xacts shows it.",
						text, GetLockmodeName(DEFAULT_LOCKMETHOD, holder.mode));
	text = psprintf("%s: process %d %s %s", text, holder.pid,
					holder.holds ? "holds" : "waits before us for",
					GetLockmodeName(DEFAULT_LOCKMETHOD, holder.mode));
	if (!holder.is_known)
		return psprintf("%s.", text);
	role = GetUserNameFromId(holder.backend.role, true);
	text = psprintf("%s (role \"%s\", application \"%s\", in its transaction since %s)", text,
					role != NULL ? mig_excerpt_printable(role) : "?",
					mig_excerpt_printable(holder.backend.application),
					timestamptz_to_str(holder.backend.since));
	if (!may_see_query(holder.backend.role))
		return psprintf("%s.", text);
	return psprintf("%s, with: %s", text,
					mig_excerpt_printable(mig_excerpt_clip(holder.backend.query,
														   strlen(holder.backend.query),
														   MAX_QUERY)));
}

/*
 * Return what was waited for.
 */
static char *
describe_wanted(void)
{
	LOCKTAG		tag = wanted_tag;
	const char *mode = GetLockmodeName(DEFAULT_LOCKMETHOD, wanted_mode);
	const char *name = NULL;

	if ((tag.locktag_type == LOCKTAG_RELATION || tag.locktag_type == LOCKTAG_TUPLE) &&
		tag.locktag_field1 == MyDatabaseId)
		name = get_rel_name(tag.locktag_field2);
	if (name != NULL)
		name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(tag.locktag_field2)),
										  name);
	if (tag.locktag_type == LOCKTAG_TRANSACTION)
		return pstrdup("rows that another transaction has changed");
	if (name == NULL)
		return psprintf("%s on an object that is no relation", mode);
	return psprintf("%s on %s%s", mode, tag.locktag_type == LOCKTAG_TUPLE ? "a row of " : "",
					name);
}

/*
 * Return whether the caller may see what sessions of a role do, as in pg_stat_activity.
 */
static bool
may_see_query(Oid role)
{
	return has_privs_of_role(GetUserId(), role) ||
		is_member_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}
