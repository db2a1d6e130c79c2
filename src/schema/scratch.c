/*
 * scratch.c
 *		The scratch: empty twins of schemas, in a subtransaction that is rolled back.
 *
 * To compare what is declared with what is there, it is made: under its own names,
 * in this database, in a subtransaction of the caller's transaction.  The managed
 * schemas get other names in it, and empty twins have theirs; objects of extensions
 * move over.  Nobody else ever sees any of that, and others go on reading and writing
 * the live schemas.  doc/internals.md has the reasons, and what it costs.
 *
 * Locks: our key of the scratch, which one session of a database has at a time;
 * AccessShareLock on the schemas; and the rows of what is renamed or moved, which
 * others that change them wait for.  lock_timeout is migrate.scratch_lock_timeout
 * meanwhile, unless it is shorter.
 *
 * What a rollback does not restore is restored here, after an error too: enum values
 * that the transaction has added (the server forgets them when we let it use new
 * ones), advisory locks, locks on sequences that are gone.  lastval() is lost: it is
 * an error until the next nextval(), when the scratch has called that.
 */
#include "migrate.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "miscadmin.h"
#include "run/deferred.h"
#include "run/execute.h"
#include "schema/attempt.h"
#include "schema/guard.h"
#include "schema/held.h"
#include "schema/hide.h"
#include "schema/managed.h"
#include "schema/published.h"
#include "schema/scratch.h"
#include "schema/twin.h"
#include "storage/proc.h"
#include "store/lock.h"
#include "store/scope.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

/* A run under way. */
typedef struct ScratchRun
{
	const ScratchOptions *options;
	Attempts   *attempts;
	Scratch		scratch;
	bool		entered;		/* the body was called */
	MemoryContext work;			/* of the run, a child of the caller's */
	MemoryContext caller;
	ResourceOwner owner;
	HeldLocks  *held;
	void	   *enums;			/* values that the transaction has added */
	int			flags;			/* MyXactFlags */
} ScratchRun;

/* Whether there is a scratch. */
static bool active = false;

static void check_call(const ScratchOptions *options);
static void check_schema(const char *name);
static void check_owner(const char *name, Oid schema);
static ErrorData *run(ScratchRun *run, void (*body) (Scratch *scratch, void *argument),
					  void *argument);
static void begin(ScratchRun *run);
static void end(ScratchRun *run);
static void enter(ScratchRun *run);
static void set_limits(const ScratchOptions *options);
static void set(const char *name, const char *value);
static bool may_be_over(const ErrorData *error);
static void complete_error(ErrorData *error, bool entered);

/*
 * Run a function in a scratch of the managed schemas.  It has the memory context of
 * the caller, where it allocates its results; the Scratch that it gets is there only
 * as long as it runs.  Whatever it does is rolled back.  It must take its own
 * snapshots, and leave neither one of these nor SPI.  It runs once: what can fail
 * because of others is done before.
 *
 * Errors, before anything is done: 25006 in a read-only transaction or on a standby,
 * 25000 in parallel mode, 55000 in a migration script or another scratch, 22023 for
 * names that cannot be managed, 42501 when the caller does not own the schemas or may
 * not create schemas.  MG012 when another session has a scratch, 55P03 when locks of
 * others are in the way.  Errors of the function are passed on as they are.
 */
void
mig_scratch_run(const ScratchOptions *options,
				void (*body) (Scratch *scratch, void *argument), void *argument)
{
	Attempts	attempts = {0};

	check_call(options);
	for (;;)
	{
		ScratchRun	state = {.options = options, .attempts = &attempts};
		ErrorData  *error = run(&state, body, argument);

		if (error == NULL)
			return;
		if (state.entered || !may_be_over(error) || !mig_attempt_again(&attempts, error))
		{
			complete_error(error, state.entered);
			ReThrowError(error);
		}
		FreeErrorData(error);
	}
}

/*
 * Return whether what made an attempt to enter fail may be over in the next one.
 */
static bool
may_be_over(const ErrorData *error)
{
	/* with one snapshot for all, queries would still find the old row */
	if (IsolationUsesXactSnapshot() && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		return false;
	return mig_attempt_is_of_others(error);
}

/*
 * Check that there can be a scratch, and that the caller may have it.  Errors: those
 * of mig_scratch_run.
 */
static void
check_call(const ScratchOptions *options)
{
	const char *function = options->function ? options->function :
		"a comparison of schemas";
	ListCell   *lc;

	mig_scope_refuse_in_script(function);
	if (active)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s cannot be called from within another", function)));
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	foreach(lc, options->schemas)
		check_schema(lfirst(lc));
	if (!mig_database_may_create(GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for database %s", get_database_name(MyDatabaseId)),
				 errdetail("A comparison makes schemas, which it rolls back."),
				 errhint("GRANT CREATE ON DATABASE %s TO %s;",
						 quote_identifier(get_database_name(MyDatabaseId)),
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/*
 * Check that a schema can be managed, and that it is the caller's if it exists.
 */
static void
check_schema(const char *name)
{
	Oid			schema = get_namespace_oid(name, true);

	mig_managed_check_name(name);
	if (!OidIsValid(schema))
		return;
	if (OidIsValid(getExtensionOfObject(NamespaceRelationId, schema)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("schema \"%s\" cannot be managed", name),
				 errdetail("It belongs to an extension.")));
	check_owner(name, schema);
}

/*
 * Check that a schema is the caller's: 42501.
 */
static void
check_owner(const char *name, Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return;
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	if (has_privs_of_role(GetUserId(), owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of schema %s", name),
			 errdetail("It belongs to role \"%s\".", GetUserNameFromId(owner, false)),
			 errhint("ALTER SCHEMA %s OWNER TO %s;", quote_identifier(name),
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/*
 * Make one attempt; return the error, in the caller's memory, or NULL.
 */
static ErrorData *
run(ScratchRun *run, void (*body) (Scratch *scratch, void *argument), void *argument)
{
	ErrorData  *volatile error = NULL;

	begin(run);
	PG_TRY();
	{
		MemoryContextSwitchTo(run->work);
		enter(run);
		MemoryContextSwitchTo(run->caller);
		run->entered = true;
		body(&run->scratch, argument);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(run->caller);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	end(run);
	return error;
}

/*
 * Remember what a rollback does not restore, and begin a subtransaction.
 */
static void
begin(ScratchRun *run)
{
	Size		size;

	run->caller = CurrentMemoryContext;
	run->owner = CurrentResourceOwner;
	run->work = AllocSetContextCreate(run->caller, "migrate scratch", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(run->work);
	run->held = mig_held_remember();
	size = EstimateUncommittedEnumsSpace();
	run->enums = palloc(size);
	SerializeUncommittedEnums(run->enums, size);
	run->flags = MyXactFlags;
	MemoryContextSwitchTo(run->caller);
	/*
	 * What the caches have been sent since the last change to a catalog, as by ALTER DOMAIN
	 * DROP CONSTRAINT, would be in the way; a command that has changed nothing does not
	 * process it.
	 */
	(void) GetCurrentCommandId(true);
	CommandCounterIncrement();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(run->caller);
	active = true;
	mig_deferred_suspend(true);
}

/*
 * Roll back, and restore the rest.  Nothing can fail here, and no interrupt comes
 * between.
 */
static void
end(ScratchRun *run)
{
	HOLD_INTERRUPTS();
	active = false;
	mig_deferred_suspend(false);
	mig_guard_end();
	mig_published_end();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(run->work);
	CurrentResourceOwner = run->owner;
	AtEOXact_Enum();
	RestoreUncommittedEnums(run->enums);
	mig_held_restore(run->held);
	/* temporary tables of the scratch do not keep anybody from PREPARE TRANSACTION */
	if (!(run->flags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE))
		MyXactFlags &= ~XACT_FLAGS_ACCESSEDTEMPNAMESPACE;
	/* what is gone takes memory to the end of the transaction, and longer */
	InvalidateSystemCaches();
	mig_execute_end_activity();
	MemoryContextSwitchTo(run->caller);
	MemoryContextDelete(run->work);
	RESUME_INTERRUPTS();
}

/*
 * Make the scratch.  Errors: XX000 when others change the same rows.
 */
static void
enter(ScratchRun *run)
{
	Scratch    *scratch = &run->scratch;
	ListCell   *lc;
	ListCell   *lc2;

	set_limits(run->options);
	mig_lock_scratch();
	/* not before: who has the key is waited for apart from locks */
	mig_attempt_begin(run->attempts);
	mig_attempt_wait_shortly(run->attempts);
	mig_guard_begin();
	mig_twin_clear_database();
	mig_published_suspend(run->options->hide_publications);
	foreach(lc, run->options->schemas)
		scratch->live = lappend_oid(scratch->live, mig_twin_lock_schema(lfirst(lc)));
	/* a new schema would get those of all schemas */
	if (!run->options->keep_default_privileges)
		mig_twin_drop_privileges(scratch->live);
	forboth(lc, run->options->schemas, lc2, scratch->live)
	{
		Oid			live = lfirst_oid(lc2);

		/* the owner may have changed while we waited */
		if (OidIsValid(live))
			check_owner(lfirst(lc), live);
		scratch->twins = lappend_oid(scratch->twins, OidIsValid(live) ?
									 mig_twin_make(live, lfirst(lc),
												   run->options->new_rights) : InvalidOid);
	}
	mig_twin_move_members(scratch->live, scratch->twins);
	if (run->options->keep_default_privileges)
		mig_twin_move_privileges(scratch->live, scratch->twins);
	if (run->options->hide)
		mig_hide_live(scratch->live);
	mig_attempt_wait_long(run->attempts);
}

/*
 * Set what holds in the scratch.
 */
static void
set_limits(const ScratchOptions *options)
{
	set("jit", "off");
	/* 17 and newer can do without them; auto_explain would write all of it to the log */
	set("event_triggers", "off");
	set("auto_explain.log_min_duration", "-1");
	/* PL/pgSQL keeps what it has compiled, also of functions that are gone */
	if (options->is_replay)
		set("check_function_bodies", "off");
}

/*
 * Set something for the scratch, if the server knows it.
 */
static void
set(const char *name, const char *value)
{
	if (GetConfigOption(name, true, false) != NULL)
		(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
}

/*
 * Say what can be done about an error that is of the scratch, not of what is run in
 * it.
 */
static void
complete_error(ErrorData *error, bool entered)
{
	if (mig_attempt_is_of_others(error) && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE &&
		(!entered || error->sqlerrcode == ERRCODE_INTERNAL_ERROR))
		error->sqlerrcode = ERRCODE_T_R_SERIALIZATION_FAILURE;
	if (error->sqlerrcode == ERRCODE_OUT_OF_MEMORY && error->hint != NULL &&
		strstr(error->hint, "max_locks_per_transaction") != NULL)
		error->hint = "A comparison locks about ten objects for each table that is declared. Increase max_locks_per_transaction.";
	mig_attempt_complete(error);
}
