/*
 * position.c
 *		Reading where the database is, before looking or moving.
 */
#include "migrate.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "store/heads.h"
#include "store/ledger.h"
#include "store/lock.h"
#include "store/position.h"
#include "store/query.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "utils/snapmgr.h"

static bool snapshot_is_stale(const Scope *scope);
static char *describe_heads(List *ids);

/*
 * Return the linked graph and the version rows. Errors: MG010 when the graph
 * is broken or a row names no revision; with purge such rows are passed over.
 */
Position
mig_position_in_scope(const Scope *scope, bool purge)
{
	Position	position = {NULL, NULL};
	List	   *versions;
	MemoryContext old;
	ListCell   *lc;

	position.graph = mig_revisions_read_graph(scope);
	versions = mig_ledger_read_versions(scope);
	old = MemoryContextSwitchTo(scope->context);
	mig_graph_index(position.graph);
	mig_graph_link(position.graph);
	foreach(lc, versions)
	{
		int			node = mig_graph_find_id(position.graph, lfirst(lc));

		if (node >= 0)
			position.rows = bms_add_member(position.rows, node);
		else if (!purge)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BROKEN_GRAPH),
					 errmsg("current revision \"%s\" is not present in migrate.revisions",
							(char *) lfirst(lc)),
					 errhint("Load its revision file, or set the rows anew with SELECT migrate.stamp(..., purge => true).")));
	}
	MemoryContextSwitchTo(old);
	return position;
}

/*
 * Graph and version rows, in the current memory context.  Errors: MG010; with
 * purge, version rows that name no revision are passed over.
 */
Position
mig_position_read(bool purge)
{
	Position	position;
	Scope		scope;

	mig_scope_enter(&scope);
	position = mig_position_in_scope(&scope, purge);
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
	Position	position;
	Snapshot	snapshot;
	Scope		scope;

	mig_scope_enter(&scope);
	snapshot = GetActiveSnapshot();
	seen->next = snapshot->xmax;
	seen->command = snapshot->curcid;
	seen->running_count = snapshot->xcnt;
	seen->running = MemoryContextAlloc(scope.context,
									   (snapshot->xcnt + 1) * sizeof(TransactionId));
	if (snapshot->xcnt > 0)
		memcpy(seen->running, snapshot->xip, snapshot->xcnt * sizeof(TransactionId));
	position = mig_position_in_scope(&scope, false);
	mig_scope_leave(&scope);
	return position;
}

/*
 * Return whether now the same can be seen, so that reading again would find
 * the same position. No means that any transaction has ended since, or that we
 * wrote something ourselves.
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
 * Begin to write our tables: take the run lock until the end of the
 * transaction.  function names the caller for errors.  Errors: 55000 in a
 * migration script, 25006, MG012 and 40P01 of mig_lock_acquire, 40001 of
 * mig_position_check_snapshot.
 */
void
mig_position_begin_write(const char *function)
{
	mig_scope_refuse_in_script(function);
	mig_lock_acquire(function);
	mig_position_check_snapshot();
}

/*
 * In REPEATABLE READ and SERIALIZABLE: 40001 when the transaction's snapshot
 * shows another position, or other revisions, than the latest one.  A
 * decision by the snapshot would be one on what is no longer so.
 */
void
mig_position_check_snapshot(void)
{
	Scope		scope;
	bool		stale;

	if (!IsolationUsesXactSnapshot())
		return;
	mig_scope_enter(&scope);
	stale = snapshot_is_stale(&scope);
	mig_scope_leave(&scope);
	if (stale)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent migrations"),
				 errhint("Retry the transaction, or use READ COMMITTED.")));
}

/*
 * Return whether the transaction's snapshot shows other revisions or settings,
 * or another position, than the latest one. Rows are compared with their xmin:
 * one that a committed transaction wrote again counts as changed.
 */
static bool
snapshot_is_stale(const Scope *scope)
{
	static StoreQuery queries[] = {
		{"SELECT pg_catalog.concat(pg_catalog.string_agg(v.revision, ','"
			" ORDER BY v.revision COLLATE pg_catalog.\"C\")) FROM migrate.versions v",
			0, {0}, NULL},
		{"SELECT pg_catalog.concat(pg_catalog.max(s.id)) FROM migrate.steps s",
			0, {0}, NULL},
		{"SELECT pg_catalog.concat(pg_catalog.md5(pg_catalog.string_agg("
			"pg_catalog.concat(r.revision, '@', r.xmin), ','"
			" ORDER BY r.revision COLLATE pg_catalog.\"C\"))) FROM migrate.revisions r",
			0, {0}, NULL},
		{"SELECT pg_catalog.concat(pg_catalog.string_agg("
			"pg_catalog.concat(s.name, '@', s.xmin), ','"
			" ORDER BY s.name COLLATE pg_catalog.\"C\")) FROM migrate.settings s",
			0, {0}, NULL}
	};

	for (size_t i = 0; i < lengthof(queries); i++)
	{
		char	   *old;

		(void) mig_query_read_transaction(scope, &queries[i]);
		old = mig_query_text(0, 1);
		(void) mig_query_read(scope, &queries[i], NULL, NULL);
		if (strcmp(old, mig_query_text(0, 1)) != 0)
			return true;
	}
	return false;
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
	List	   *heads;
	Scope		scope;

	if (IsolationUsesXactSnapshot() || (!real && strcmp(target, "head") != 0))
		return NULL;
	mig_scope_enter(&scope);
	heads = mig_heads_read_if_current(&scope, real);
	mig_scope_leave(&scope);
	return heads != NIL ? describe_heads(heads) : NULL;
}

/*
 * Return the position for a message: "base", "0003", "head 0003", "heads a,
 * b".
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
	return psprintf("%s %s", list_length(ids) == 1 ? "head" : "heads",
					mig_ids_join(ids));
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
