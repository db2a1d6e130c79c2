/*
 * deferred.c
 *		Deferred constraints between the scripts of one transaction.
 *
 * A script that has a transaction of its own ends with its deferred checks, and
 * what it has SET CONSTRAINTS to ends with it.  Scripts that share a transaction
 * shall not differ from that: at the end of each, what it has deferred is
 * checked, and each constraint gets the mode back that it was declared with.
 *
 * The server has no command for either.  SET CONSTRAINTS name IMMEDIATE checks
 * what is pending, and changes the mode; so the mode is set again afterwards.
 * SET CONSTRAINTS ALL, of which a script may make use, cannot be undone in its
 * transaction: it also holds for constraints that are created later.  Then the
 * modes are set anew ("base"): ALL DEFERRED, and IMMEDIATE by name for those that
 * were declared so, which includes those that are created afterwards.  A
 * hook sees both, SET CONSTRAINTS and new constraints, at any depth.
 *
 * Modes cannot be read.  Those that the caller has set before the run hold until
 * the first script that sets modes or leaves checks.  The checks that were pending
 * then are the caller's own: they are on certain tables, and the constraints of
 * these tables are left alone.
 *
 * Constraints are named with their schemas, so that no search_path counts.  Those
 * in schemas that the caller may not use cannot be named, and wait for the commit.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_namespace.h"
#include "commands/trigger.h"
#include "compat.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/pg_list.h"
#include "run/deferred.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* A constraint. */
typedef struct DeferrableCheck
{
	Oid			oid;
	Oid			schema;
	Oid			table;
	Oid			referenced;		/* table, or InvalidOid */
	bool		deferred;		/* initially */
	char	   *name;
} DeferrableCheck;

/* What is known of a transaction in which scripts run that share it. */
typedef struct DeferredState
{
	LocalTransactionId transaction; /* to which the rest belongs */
	List	   *callers;		/* Oid: tables with checks that the caller has deferred */
	bool		modes_set;		/* by SET CONSTRAINTS, since the last script ended */
	bool		base;			/* ALL DEFERRED is in force, and is ours */
	List	   *immediate;		/* Oid: constraints that are IMMEDIATE all the same */
} DeferredState;

static DeferredState state;

/* In a scratch, whose rollback restores the modes, but not what is known of them. */
static bool suspended = false;

static ProcessUtility_hook_type next_hook = NULL;

static void process_utility(MIG_UTILITY_PARAMETERS);
static bool is_active(void);
static void follow_changes(void);
static List *read_constraints(bool deferrable);
static bool has_events(void);
static List *find_pending(List *constraints, List *fired);
static List *pending_tables(List *constraints);
static void restore_modes(List *fired);
static void set_base(List *constraints);
static List *initially(List *constraints, bool deferred);
static bool are_clear(List *constraints);
static void set_modes(List *constraints, bool deferred);
static void set_all_modes(bool deferred);
static List *oids_of(List *constraints);
static void remember(List **oids, List *value);

/*
 * Begin a run of scripts that share the current transaction, which may have
 * begun long before.  The first one installs the hook.
 */
void
mig_deferred_begin(void)
{
	static bool installed = false;

	if (!installed)
	{
		next_hook = ProcessUtility_hook;
		ProcessUtility_hook = process_utility;
		installed = true;
	}
	if (!is_active())
		memset(&state, 0, sizeof(state));
	state.transaction = mig_local_xid();
	state.modes_set = false;
	state.callers = NIL;
	if (has_events())
		remember(&state.callers, pending_tables(read_constraints(true)));
}

/*
 * End a script that shares its transaction with others: check what it has
 * deferred, and restore the modes.  Errors: those of the checks.
 */
void
mig_deferred_end_script(void)
{
	List	   *fired = NIL;
	List	   *pending;

	if (!is_active())
		return;
	/* a trigger can defer checks of other constraints */
	while (has_events() &&
		   (pending = find_pending(read_constraints(true), fired)) != NIL)
	{
		fired = list_concat(fired, pending);
		set_modes(pending, false);
	}
	if (fired != NIL || state.modes_set)
		restore_modes(fired);
	state.modes_set = false;
}

/*
 * End a script that has a transaction of its own: check what it has deferred.
 * Errors: those of the checks.
 */
void
mig_deferred_end_alone(void)
{
	set_all_modes(false);
}

/*
 * Begin, or end, to look away from what sets modes.
 */
void
mig_deferred_suspend(bool suspend)
{
	suspended = suspend;
}

/*
 * Return what is known now, in the current memory context: for a subtransaction whose
 * rollback restores the modes.
 */
void *
mig_deferred_save(void)
{
	DeferredState *saved = palloc(sizeof(DeferredState));

	*saved = state;
	return saved;
}

/*
 * Know again what mig_deferred_save has returned in this transaction.
 */
void
mig_deferred_restore(const void *saved)
{
	state = *(const DeferredState *) saved;
}

/*
 * See a statement that sets modes or creates constraints, when it has run; a hook
 * of the server.
 */
static void
process_utility(MIG_UTILITY_PARAMETERS)
{
	/* the tree may be gone afterwards */
	const Node *stmt = planned->utilityStmt;
	bool		sets = IsA(stmt, ConstraintsSetStmt);
	bool		sets_all = sets && ((const ConstraintsSetStmt *) stmt)->constraints == NIL;
	bool		defines = state.base && is_active() &&
		context != PROCESS_UTILITY_SUBCOMMAND &&
		GetCommandLogLevel(planned->utilityStmt) == LOGSTMT_DDL;

	if (next_hook != NULL)
		next_hook(MIG_UTILITY_ARGUMENTS);
	else
		standard_ProcessUtility(MIG_UTILITY_ARGUMENTS);
	if (!is_active())
		return;
	state.modes_set |= sets;
	state.base &= !sets_all;
	if (defines && state.base)
		follow_changes();
}

/*
 * Return whether state is that of the current transaction, and counts.
 */
static bool
is_active(void)
{
	return !suspended && state.transaction != InvalidLocalTransactionId &&
		state.transaction == mig_local_xid();
}

/*
 * With the base in force, give constraints that are new, or declared anew, the
 * mode that they are declared with.
 */
static void
follow_changes(void)
{
	List	   *immediate;
	List	   *fresh = NIL;
	List	   *deferred = NIL;
	ListCell   *lc;

	CommandCounterIncrement();
	foreach(lc, read_constraints(true))
	{
		DeferrableCheck *constraint = lfirst(lc);
		bool		known = list_member_oid(state.immediate, constraint->oid);

		if (!known && !constraint->deferred)
			fresh = lappend(fresh, constraint);
		else if (known && constraint->deferred)
			deferred = lappend(deferred, constraint);
	}
	set_modes(fresh, false);
	if (are_clear(deferred))
		set_modes(deferred, true);
	immediate = list_difference_oid(list_concat_copy(state.immediate, oids_of(fresh)),
									oids_of(deferred));
	remember(&state.immediate, immediate);
}

/*
 * Return the constraints (DeferrableCheck *) that are deferrable, or those that are
 * not, in the current memory context; but for those of others' temporary tables and
 * of schemas that the current role may not use.
 */
static List *
read_constraints(bool deferrable)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	List	   *constraints = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
		DeferrableCheck *constraint;

		if (form->condeferrable != deferrable)
			continue;
		if (isOtherTempNamespace(form->connamespace) ||
			!mig_schema_has_usage(form->connamespace, GetUserId()))
			continue;
		constraint = palloc(sizeof(DeferrableCheck));
		constraint->oid = form->oid;
		constraint->schema = form->connamespace;
		constraint->table = form->conrelid;
		constraint->referenced = form->confrelid;
		constraint->deferred = form->condeferred;
		constraint->name = pstrdup(NameStr(form->conname));
		constraints = lappend(constraints, constraint);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return constraints;
}

/*
 * Return whether any trigger of this transaction was to be fired after a statement,
 * or later.  The server keeps these events in a memory context from the first one
 * on; so scripts that only define things need no look at the catalog.
 */
static bool
has_events(void)
{
	for (MemoryContext child = TopTransactionContext->firstchild; child != NULL;
		 child = child->nextchild)
		if (strcmp(child->name, "AfterTriggerEvents") == 0)
			return true;
	return false;
}

/*
 * Return those constraints with checks to be made, but for the caller's and those
 * that have been made.
 */
static List *
find_pending(List *constraints, List *fired)
{
	List	   *tables = list_difference_oid(pending_tables(constraints), state.callers);
	List	   *found = NIL;
	List	   *done;
	ListCell   *lc;

	if (tables == NIL)
		return NIL;
	done = oids_of(fired);
	foreach(lc, constraints)
	{
		DeferrableCheck *constraint = lfirst(lc);

		if ((list_member_oid(tables, constraint->table) ||
			 list_member_oid(tables, constraint->referenced)) &&
			!list_member_oid(done, constraint->oid))
			found = lappend(found, constraint);
	}
	return found;
}

/*
 * Return the tables (Oid) of constraints that have any checks pending.
 */
static List *
pending_tables(List *constraints)
{
	List	   *tables = NIL;
	List	   *pending = NIL;
	ListCell   *lc;

	foreach(lc, constraints)
	{
		DeferrableCheck *constraint = lfirst(lc);

		tables = lappend_oid(tables, constraint->table);
		if (OidIsValid(constraint->referenced))
			tables = lappend_oid(tables, constraint->referenced);
	}
	list_sort(tables, list_oid_cmp);
	list_deduplicate_oid(tables);
	foreach(lc, tables)
		if (AfterTriggerPendingOnRel(lfirst_oid(lc)))
			pending = lappend_oid(pending, lfirst_oid(lc));
	return pending;
}

/*
 * Give all constraints the modes that they are declared with, after those fired
 * were made IMMEDIATE.
 */
static void
restore_modes(List *fired)
{
	List	   *deferred = initially(fired, true);

	if (state.modes_set || state.base || !are_clear(deferred))
		set_base(read_constraints(true));
	else
		set_modes(deferred, true);
}

/*
 * Give constraints, which are all that are deferrable, the modes that they are
 * declared with, whatever is in force.
 */
static void
set_base(List *constraints)
{
	List	   *immediate = NIL;
	ListCell   *lc;

	foreach(lc, initially(constraints, false))
	{
		DeferrableCheck *constraint = lfirst(lc);

		/* the caller has deferred it */
		if (!list_member_oid(state.callers, constraint->table) &&
			!list_member_oid(state.callers, constraint->referenced))
			immediate = lappend(immediate, constraint);
	}
	set_all_modes(true);
	set_modes(immediate, false);
	remember(&state.immediate, oids_of(immediate));
	state.base = true;
}

/*
 * Return those constraints that are declared INITIALLY DEFERRED, or those that are
 * not.
 */
static List *
initially(List *constraints, bool deferred)
{
	List	   *found = NIL;
	ListCell   *lc;

	foreach(lc, constraints)
		if (((DeferrableCheck *) lfirst(lc))->deferred == deferred)
			found = lappend(found, lfirst(lc));
	return found;
}

/*
 * Return whether no other constraints, which are not to be deferred, have the names
 * of these, as constraints of several tables can.
 */
static bool
are_clear(List *constraints)
{
	List	   *others;
	ListCell   *lc;

	if (constraints == NIL)
		return true;
	others = list_concat(read_constraints(false), initially(read_constraints(true), false));
	foreach(lc, others)
	{
		DeferrableCheck *other = lfirst(lc);
		ListCell   *lc2;

		foreach(lc2, constraints)
		{
			DeferrableCheck *constraint = lfirst(lc2);

			if (other->schema == constraint->schema &&
				strcmp(other->name, constraint->name) == 0)
				return false;
		}
	}
	return true;
}

/*
 * SET CONSTRAINTS for some constraints.
 */
static void
set_modes(List *constraints, bool deferred)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);
	ListCell   *lc;

	/* no name at all would mean ALL */
	if (constraints == NIL)
		return;
	stmt->deferred = deferred;
	foreach(lc, constraints)
	{
		DeferrableCheck *constraint = lfirst(lc);

		stmt->constraints = lappend(stmt->constraints,
									makeRangeVar(get_namespace_name(constraint->schema),
												 constraint->name, -1));
	}
	AfterTriggerSetState(stmt);
}

/*
 * SET CONSTRAINTS ALL.
 */
static void
set_all_modes(bool deferred)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);

	stmt->deferred = deferred;
	AfterTriggerSetState(stmt);
}

/*
 * Return the OIDs of constraints.
 */
static List *
oids_of(List *constraints)
{
	List	   *oids = NIL;
	ListCell   *lc;

	foreach(lc, constraints)
		oids = lappend_oid(oids, ((DeferrableCheck *) lfirst(lc))->oid);
	return oids;
}

/*
 * Keep a list of OIDs as long as the transaction.
 */
static void
remember(List **oids, List *value)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	*oids = list_copy(value);
	MemoryContextSwitchTo(old);
}
