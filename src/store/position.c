/*
 * position.c
 *		Reading where the database is, before looking or moving.
 */
#include "migrate.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_subscription_rel.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "script/text.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static char *describe_heads(List *ids);

/*
 * Graph and version rows, in the current memory context.  Errors: MG010; with
 * purge, version rows that name no revision are passed over.
 */
Position
mig_position_read(bool purge)
{
	MemoryContext context = CurrentMemoryContext;
	Position	position;
	Scope		scope;

	mig_scope_enter(&scope);
	position = mig_revisions_read_position(context, purge);
	mig_scope_leave(&scope);
	return position;
}

/*
 * The same, never with purge; seen becomes what could be seen, in the current
 * memory context.
 */
Position
mig_position_read_seen(PositionSeen *seen)
{
	MemoryContext context = CurrentMemoryContext;
	Position	position;
	Snapshot	snapshot;
	Scope		scope;

	mig_scope_enter(&scope);
	snapshot = GetActiveSnapshot();
	seen->next = snapshot->xmax;
	seen->command = snapshot->curcid;
	seen->running_count = snapshot->xcnt;
	seen->running = MemoryContextAlloc(context, (snapshot->xcnt + 1) * sizeof(TransactionId));
	if (snapshot->xcnt > 0)
		memcpy(seen->running, snapshot->xip, snapshot->xcnt * sizeof(TransactionId));
	position = mig_revisions_read_position(context, false);
	mig_scope_leave(&scope);
	return position;
}

/*
 * Whether now the same can be seen, so that reading again would find the same
 * position.  No means that any transaction has ended since, or that we wrote
 * something ourselves.
 *
 * Two snapshots see the same when they have the same first transaction that
 * they do not see, and the same ones before it that were running: every other
 * one before it has ended for both.
 */
bool
mig_position_is_unchanged(const PositionSeen *seen)
{
	Snapshot	now;
	bool		same;
	Scope		scope;

	mig_scope_enter(&scope);
	now = GetActiveSnapshot();
	same = !now->takenDuringRecovery && seen->next == now->xmax &&
		seen->command == now->curcid && seen->running_count == now->xcnt &&
		(now->xcnt == 0 ||
		 memcmp(seen->running, now->xip, now->xcnt * sizeof(TransactionId)) == 0);
	mig_scope_leave(&scope);
	return same;
}

/*
 * The same, checked as a mover does: MG010 unless migrate.applied is what the
 * version rows imply, MG007 when an applied revision was edited.  All is read
 * at one moment, because whoever only looks has no lock.
 */
Position
mig_position_read_checked(void)
{
	MemoryContext context = CurrentMemoryContext;
	Position	position;
	List	   *applied;
	List	   *edited;
	Scope		scope;

	mig_scope_enter(&scope);
	position = mig_revisions_read_position(context, false);
	applied = mig_revisions_read_applied(context);
	edited = mig_revisions_read_edited(context);
	mig_scope_leave(&scope);
	mig_position_check_applied(position.graph, position.rows, applied);
	mig_position_check_edited(edited);
	return position;
}

/*
 * In REPEATABLE READ and SERIALIZABLE: 40001 when the transaction's snapshot
 * shows another position, or other revisions, than the latest one.  Whoever
 * decides by the snapshot would decide on what is no longer so.
 */
void
mig_position_check_snapshot(void)
{
	Scope		scope;
	bool		stale;

	if (!IsolationUsesXactSnapshot())
		return;
	mig_scope_enter(&scope);
	stale = mig_revisions_snapshot_is_stale();
	mig_scope_leave(&scope);
	if (stale)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent migrations"),
				 errhint("Retry the transaction, or use READ COMMITTED.")));
}

/*
 * MG010 unless applied, the ids in migrate.applied, is what the version rows
 * imply; our functions never leave it otherwise.
 */
void
mig_position_check_applied(const Graph *graph, const Bitmapset *rows,
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
				 errhint("Somebody changed the tables by hand. SELECT migrate.stamp(..., purge => true) sets both anew.")));
}

/*
 * MG007 when applied revisions were edited; edited are their ids.
 */
void
mig_position_check_edited(List *edited)
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
 * Warn when a subscription writes the version rows of this database: what they
 * say was run at the publisher, not here.
 */
void
mig_position_warn_subscriber(void)
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
 * Return the position for a message when an upgrade to target, "head" or
 * "heads", has nothing to do and that is known without reading the graph;
 * otherwise NULL, which says nothing.  Every application asks this when it
 * starts.
 */
char *
mig_position_at_heads(const char *target)
{
	bool		real = strcmp(target, "heads") == 0;
	MemoryContext context = CurrentMemoryContext;
	List	   *heads;
	Scope		scope;

	if (IsolationUsesXactSnapshot() || (!real && strcmp(target, "head") != 0))
		return NULL;
	mig_scope_enter(&scope);
	heads = mig_revisions_read_heads_if_current(real, context);
	mig_scope_leave(&scope);
	return heads != NIL ? describe_heads(heads) : NULL;
}

/*
 * The position for a message: "base", "0003", "head 0003", "heads a, b".
 */
char *
mig_position_describe(const Graph *graph, const Bitmapset *rows)
{
	List	   *ids = mig_graph_ids(graph, rows);

	if (ids == NIL)
		return pstrdup("base");
	if (bms_equal(rows, mig_graph_heads(graph, GRAPH_REAL)))
		return describe_heads(ids);
	return mig_ids_join(ids);
}

/*
 * The same, when the rows (char *) are known to be all heads.
 */
static char *
describe_heads(List *ids)
{
	return psprintf("%s %s", list_length(ids) == 1 ? "head" : "heads", mig_ids_join(ids));
}

/*
 * Name of the caller's current role, for the log.  Must be called outside of
 * a scope.
 */
const char *
mig_position_caller(void)
{
	return GetUserNameFromId(GetUserId(), false);
}
