/*
 * verify.c
 *		Checking that our tables agree, and what can refuse a plan, before
 *		anything runs.
 */
#include "migrate.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_subscription_rel.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/plan.h"
#include "store/ledger.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/verify.h"
#include "utils/acl.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static void warn_subscriber(void);
static void warn_citus_worker(void);
static bool is_of_extension(Oid relation, const char *name);
static int32 read_group(Oid relation);
static bool are_transactional(List *ids);

/*
 * Read the position, in the current memory context, checked as a mover does:
 * MG010 unless migrate.applied is what the
 * version rows imply, MG007 when an applied revision was edited.  All is read
 * at one moment, because a caller that only looks has no lock.
 */
Position
mig_verify_position(void)
{
	Position	position;
	List	   *applied;
	List	   *edited;
	Scope		scope;

	mig_scope_enter(&scope);
	position = mig_position_in_scope(&scope, false);
	applied = mig_ledger_read_applied(&scope);
	edited = mig_ledger_read_edited(&scope);
	mig_scope_leave(&scope);
	mig_verify_applied(position.graph, position.rows, applied);
	mig_verify_edited(edited);
	return position;
}

/*
 * MG010 unless applied, the ids in migrate.applied, is what the version rows
 * imply; our functions never leave it otherwise.
 */
void
mig_verify_applied(const Graph *graph, const Bitmapset *rows,
						   List *applied)
{
	List	   *implied = mig_graph_ids(graph,
										mig_graph_ancestors(graph, rows, GRAPH_REAL));

	if (!mig_ids_equal(applied, implied))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BROKEN_GRAPH),
				 errmsg("migrate.applied does not agree with migrate.versions"),
				 errdetail("%d revisions are recorded as applied, %d are implied by the version rows.",
						   list_length(applied), list_length(implied)),
				 errhint("The tables were changed by hand. SELECT migrate.stamp(..., purge => true) sets both anew.")));
}

/*
 * MG007 when applied revisions were edited; edited are their ids.
 */
void
mig_verify_edited(List *edited)
{
	if (edited == NIL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_MIG_CHANGED),
			 errmsg("revision \"%s\" was changed after it was applied",
					(char *) linitial(edited)),
			 errdetail("The checksums of these applied revisions differ: %s.", mig_ids_quote(edited)),
			 errhint("Put the upgrade script back as it was and the change into a new revision; or, to accept it, SELECT migrate.stamp(ARRAY(SELECT migrate.current()), purge => true).")));
}

/*
 * Warn when this database is not the place to move: a subscription writes its
 * version rows, or it is a worker's of Citus.
 */
void
mig_verify_place(void)
{
	warn_subscriber();
	warn_citus_worker();
}

/*
 * Warn when a subscription writes the version rows of this database: what they
 * say was run at the publisher, not here.
 */
static void
warn_subscriber(void)
{
	Oid			table = get_relname_relid("versions",
										  get_namespace_oid(MIG_SCHEMA, true));
	CatCList   *list;
	Oid			subscription = InvalidOid;

	list = SearchSysCacheList1(SUBSCRIPTIONRELMAP, ObjectIdGetDatum(table));
	if (list->n_members > 0)
		subscription = ((Form_pg_subscription_rel)
						GETSTRUCT(&list->members[0]->tuple))->srsubid;
	ReleaseSysCacheList(list);
	if (OidIsValid(subscription))
		ereport(WARNING,
				(errmsg("version rows of this database are written by subscription \"%s\"",
						get_subscription_name(subscription, true)),
				 errdetail("What they say was run at the publisher, not here."),
				 errhint("Leave schema migrate out of the publication.")));
}

/*
 * Warn on a worker of Citus: the position is the coordinator's, and what is run
 * here makes objects of this node only.  Citus' own catalog says which group of
 * nodes this one is in; the coordinator's is 0.  Without it this is one look-up
 * in a cache.
 */
static void
warn_citus_worker(void)
{
	Oid			table = get_relname_relid("pg_dist_local_group", PG_CATALOG_NAMESPACE);
	int32		group;

	if (!OidIsValid(table) || !is_of_extension(table, "citus") ||
		pg_class_aclcheck(table, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return;
	group = read_group(table);
	if (group != 0)
		ereport(WARNING,
				(errmsg("this database is on a worker of Citus, in group %d", group),
				 errdetail("The position is that of the coordinator. What is run here makes objects of this worker only."),
				 errhint("Call migrate at the coordinator.")));
}

/*
 * Return whether a relation is a member of the extension of this name.
 */
static bool
is_of_extension(Oid relation, const char *name)
{
	Oid			extension = getExtensionOfObject(RelationRelationId, relation);
	const char *found = OidIsValid(extension) ? get_extension_name(extension) : NULL;

	return found != NULL && strcmp(found, name) == 0;
}

/*
 * Return the group in the one row of Citus' table; 0 when there is none.  As for
 * other tables that are not ours, it is read without a query.
 */
static int32
read_group(Oid relation)
{
	Relation	table = table_open(relation, AccessShareLock);
	AttrNumber	column = get_attnum(relation, "groupid");
	int32		group = 0;

	if (table->rd_rel->relkind == RELKIND_RELATION && column > 0 &&
		get_atttype(relation, column) == INT4OID)
	{
		TupleTableSlot *slot = table_slot_create(table, NULL);
		Snapshot	latest = RegisterSnapshot(GetLatestSnapshot());
		TableScanDesc scan = mig_table_beginscan(table, latest);
		bool		isnull = true;
		Datum		value = (Datum) 0;

		if (table_scan_getnextslot(scan, ForwardScanDirection, slot))
			value = slot_getattr(slot, column, &isnull);
		if (!isnull)
			group = DatumGetInt32(value);
		table_endscan(scan);
		UnregisterSnapshot(latest);
		ExecDropSingleTupleTableSlot(slot);
	}
	table_close(table, AccessShareLock);
	return group;
}

/*
 * Everything that can refuse a plan before it begins.  stepwise: it is run step
 * by step, so scripts need not be transactional, and one that has begun may be
 * ended.  To be called under the run lock.  Errors: MG005, MG006, MG007, MG008,
 * MG010.
 */
void
mig_verify_plan(MigDirection direction, const Graph *graph,
				const Bitmapset *rows, List *plan, const char *target,
				bool stepwise)
{
	List	   *ids = mig_graph_plan_ids(graph, plan, 0, list_length(plan));
	List	   *applied;
	List	   *edited;
	List	   *partials;
	char	   *missing = NULL;
	char	   *not_transactional = NULL;
	Scope		scope;

	mig_scope_enter(&scope);
	applied = mig_ledger_read_applied(&scope);
	edited = mig_ledger_read_edited(&scope);
	if (direction == MIG_DOWNGRADE)
		missing = mig_revisions_first_without_downgrade(&scope, ids);
	if (!stepwise)
		not_transactional = mig_revisions_first_not_transactional(&scope, ids,
																  direction);
	partials = mig_partial_read(&scope);
	mig_scope_leave(&scope);

	if (stepwise)
		mig_partial_refuse_direction(partials, direction, rows);
	else
		mig_partial_refuse(partials);
	mig_verify_applied(graph, rows, applied);
	mig_verify_edited(edited);
	if (missing != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NO_DOWNGRADE),
				 errmsg("revision \"%s\" has no downgrade script", missing),
				 errhint("Nothing was reverted. Give it one with migrate.edit('%s', downgrade => ...), or choose a target above it.",
						 missing)));
	if (not_transactional != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NOT_TRANSACTIONAL),
				 errmsg("%s script of revision \"%s\" is not transactional",
						mig_direction_name(direction), not_transactional),
				 errdetail("It cannot run together with others in one transaction."),
				 errhint("CALL migrate.%s_stepwise('%s');",
						 mig_direction_name(direction), target)));
}

/*
 * MG004 unless every revision is applied.
 */
void
mig_verify_nothing_pending(const Position *position)
{
	List	   *plan = mig_plan_upgrade(position->graph, position->rows, "heads");
	List	   *ids = mig_graph_plan_ids(position->graph, plan, 0, list_length(plan));

	if (ids != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NOT_UP_TO_DATE),
				 errmsg("target database is not up to date"),
				 errdetail("Pending revisions: %s.", mig_ids_quote(ids)),
				 are_transactional(ids) ?
				 errhint("SELECT migrate.upgrade('heads');") :
				 errhint("CALL migrate.upgrade_stepwise('heads');")));
}

/*
 * Return whether all upgrade scripts of some revisions (char *) are
 * transactional.
 */
static bool
are_transactional(List *ids)
{
	char	   *other;
	Scope		scope;

	mig_scope_enter(&scope);
	other = mig_revisions_first_not_transactional(&scope, ids, MIG_UPGRADE);
	mig_scope_leave(&scope);
	return other == NULL;
}
