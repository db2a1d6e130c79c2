/*
 * heads.c
 *		The heads, written down (migrate.revisions_heads), and whether the
 *		graph has changed.
 *
 * What every application asks when it starts must not cost more the more
 * revisions there are.  So the functions that write under the run lock write
 * the heads down when they are not known, and a trigger on migrate.revisions
 * and migrate.partial forgets them at every change, no matter who writes: the
 * rows are the heads, or there are none.
 *
 * The same trigger counts how often this session changes the graph; others
 * cannot while it holds the run lock.
 */
#include "migrate.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "store/heads.h"
#include "store/query.h"
#include "storage/lmgr.h"
#include "store/scope.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(migrate_forget_heads);

static bool read_heads(const Scope *latest, int n, Datum values[2]);
static bool is_ours(Relation relation, const char *name);

/* How often this session changed revisions, parents or dependencies. */
static uint64 graph_changes = 0;

/*
 * Return how often this session has changed the graph.
 */
uint64
mig_heads_graph_changes(void)
{
	return graph_changes;
}

/*
 * Return the version rows (char *, in byte order), when they are the heads and
 * the heads are known, which they are not while a script is partly run;
 * otherwise NIL, which says nothing. real: all real heads; otherwise the one
 * head by down revision.
 *
 * Reads two small tables, however many revisions there are.  The queries are as
 * plain as can be, because planning them is most of their cost in a new session.
 */
List *
mig_heads_read_if_current(const Scope *scope, bool real)
{
	static StoreQuery read_heads = {
		"SELECT revision, is_real FROM migrate.revisions_heads", 0, {0}, NULL
	};
	static StoreQuery read_versions = {
		"SELECT revision FROM migrate.versions", 0, {0}, NULL
	};
	uint64		n = mig_query_read(scope, &read_heads, NULL, NULL);
	List	   *heads = NIL;
	List	   *versions;

	for (uint64 row = 0; row < n; row++)
		if (!real || mig_query_bool(row, 2))
			heads = lappend(heads, mig_query_text(row, 1));
	if (heads == NIL)
		return NIL;
	versions = mig_query_texts(scope, &read_versions, NULL);
	mig_ids_sort(heads);
	mig_ids_sort(versions);
	if ((!real && list_length(heads) != 1) || !mig_ids_equal(heads, versions))
		return NIL;
	return versions;
}

/*
 * Write down the heads, unless they are known.  graph is what the caller has read
 * and maybe added to; when it is not all that is stored, because a revision was
 * added by hand meanwhile, nothing is written.
 *
 * A transaction that is writing revisions by hand has made the heads unknown and
 * cannot see what we write, so nothing is written while there is one, and none
 * can begin until we have committed.
 */
void
mig_heads_remember(const Scope *scope, const Graph *graph)
{
	static StoreQuery known = {
		"SELECT 1 FROM migrate.revisions_heads LIMIT 1", 0, {0}, NULL
	};
	static StoreQuery partial = {
		"SELECT 1 FROM migrate.partial LIMIT 1", 0, {0}, NULL
	};
	static StoreQuery insert = {
		"INSERT INTO migrate.revisions_heads (revision, is_real)"
		" SELECT u.revision, u.revision OPERATOR(pg_catalog.=) ANY ($2)"
		" FROM pg_catalog.unnest($1) AS u (revision)",
		2, {TEXTARRAYOID, TEXTARRAYOID}, NULL
	};
	Scope		latest = *scope;
	Datum		values[2];

	latest.writes_latest = true;
	if (mig_query_read(scope, &known, NULL, NULL) > 0 ||
		mig_query_read(scope, &partial, NULL, NULL) > 0 ||
		!ConditionalLockRelationOid(get_relname_relid("revisions",
													  get_namespace_oid(MIG_SCHEMA, false)),
									ShareLock))
		return;
	if (read_heads(&latest, graph->n, values))
		(void) mig_query_write(&latest, &insert, values, NULL);
}

/*
 * Read the heads by down revision, and those of them that are real, into two
 * arrays, as they are now, when nobody can write revisions.  Return false when
 * there are not n revisions.  The query takes sets, because for NOT ... ANY of as
 * many rows as there are revisions the server compares each with each.
 */
static bool
read_heads(const Scope *latest, int n, Datum values[2])
{
	static StoreQuery query = {
		"SELECT h.revision, d.revision IS NULL"
		" FROM (SELECT r.revision FROM migrate.revisions r EXCEPT"
		" SELECT pg_catalog.unnest(c.down_revisions) FROM migrate.revisions c) AS h"
		" LEFT JOIN (SELECT DISTINCT pg_catalog.unnest(r.depends_on) AS revision"
		" FROM migrate.revisions r) AS d"
		" ON d.revision OPERATOR(pg_catalog.=) h.revision"
		" WHERE (SELECT pg_catalog.count(*) FROM migrate.revisions) OPERATOR(pg_catalog.=) $1",
		1, {INT8OID}, NULL
	};
	Datum		count = Int64GetDatum(n);
	List	   *heads = NIL;
	List	   *real = NIL;
	uint64		rows = mig_query_write(latest, &query, &count, NULL);

	for (uint64 row = 0; row < rows; row++)
	{
		char	   *head = mig_query_text(row, 1);

		heads = lappend(heads, head);
		if (mig_query_bool(row, 2))
			real = lappend(real, head);
	}
	values[0] = mig_query_text_array(heads);
	values[1] = mig_query_text_array(real);
	return rows > 0;
}

/*
 * Implement migrate.forget_heads(), the trigger of migrate.revisions and
 * migrate.partial: the heads are not known any more.  It acts as the owner of
 * migrate.revisions_heads, because a role that may write that table need not be
 * allowed to write this one.  Errors: 39P01 anywhere else; its owner can create
 * other triggers with it.
 */
Datum
migrate_forget_heads(PG_FUNCTION_ARGS)
{
	static StoreQuery query = {"DELETE FROM migrate.revisions_heads", 0, {0}, NULL};
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Scope		scope;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("migrate.forget_heads() can only be called as a trigger")));
	if (!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!(is_ours(trigger->tg_relation, "revisions") ||
		  is_ours(trigger->tg_relation, "partial")))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("migrate.forget_heads() can only be an AFTER trigger of migrate.revisions or migrate.partial")));
	if (is_ours(trigger->tg_relation, "revisions"))
		graph_changes++;
	mig_scope_enter(&scope);
	scope.writes_latest = true;
	(void) mig_query_write(&scope, &query, NULL, NULL);
	mig_scope_leave(&scope);
	return PointerGetDatum(NULL);
}

/*
 * Return whether a relation is the table of ours with this name.
 */
static bool
is_ours(Relation relation, const char *name)
{
	return strcmp(RelationGetRelationName(relation), name) == 0 &&
		RelationGetNamespace(relation) == get_namespace_oid(MIG_SCHEMA, true);
}
