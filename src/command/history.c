/*
 * history.c
 *		What is looked at: current, heads, bases, branches, pending, history,
 *		resolve.
 *
 * Nothing here writes or takes a lock; all of it works in a read-only
 * transaction and on a hot standby.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "command/position.h"
#include "command/result.h"
#include "revision/plan.h"
#include "revision/target.h"
#include "store/scope.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(migrate_current);
PG_FUNCTION_INFO_V1(migrate_heads);
PG_FUNCTION_INFO_V1(migrate_bases);
PG_FUNCTION_INFO_V1(migrate_branches);
PG_FUNCTION_INFO_V1(migrate_pending);
PG_FUNCTION_INFO_V1(migrate_history);
PG_FUNCTION_INFO_V1(migrate_resolve);

#define HISTORY_COLUMNS 13

static CatalogLine **read_lines(const Graph *graph);
static void put_line(Tuplestorestate *store, TupleDesc tupdesc,
					 const Position *position, int node,
					 const CatalogLine *line, bool is_applied);
static Datum links_datum(const Graph *graph, const GraphLinks *links);
static Datum strings_datum(List *strings);

/* SELECT migrate.current() */
Datum
migrate_current(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *versions;
	Scope		scope;

	mig_scope_enter(&scope);
	versions = mig_catalog_read_versions(context);
	mig_scope_leave(&scope);
	return mig_result_ids(fcinfo, versions);
}

/* SELECT migrate.heads() */
Datum
migrate_heads(PG_FUNCTION_ARGS)
{
	Graph	   *graph = mig_position_read(true).graph;

	return mig_result_ids(fcinfo, mig_graph_ids(graph, mig_graph_heads(graph, GRAPH_DOWN)));
}

/* SELECT migrate.bases() */
Datum
migrate_bases(PG_FUNCTION_ARGS)
{
	Graph	   *graph = mig_position_read(true).graph;

	return mig_result_ids(fcinfo, mig_graph_ids(graph, mig_graph_bases(graph)));
}

/* SELECT migrate.branches() */
Datum
migrate_branches(PG_FUNCTION_ARGS)
{
	Graph	   *graph = mig_position_read(true).graph;
	Bitmapset  *points = NULL;

	for (int i = 0; i < graph->n; i++)
		if (graph->nodes[i].child.n > 1)
			points = bms_add_member(points, i);
	return mig_result_ids(fcinfo, mig_graph_ids(graph, points));
}

/* SELECT migrate.pending(target) */
Datum
migrate_pending(PG_FUNCTION_ARGS)
{
	char	   *target = mig_result_text_arg(fcinfo, 0, "target");
	Position	position = mig_position_read(false);
	List	   *ids = NIL;
	ListCell   *lc;

	foreach(lc, mig_plan_upgrade(position.graph, position.rows, target))
		ids = lappend(ids, unconstify(char *, position.graph->nodes[lfirst_int(lc)].revision));
	return mig_result_ids(fcinfo, ids);
}

/* SELECT migrate.resolve(target) */
Datum
migrate_resolve(PG_FUNCTION_ARGS)
{
	char	   *target = mig_result_text_arg(fcinfo, 0, "target");
	Position	position = mig_position_read(false);

	return mig_result_ids(fcinfo,
						  mig_graph_ids(position.graph,
										mig_target_resolve(position.graph, position.rows, target)));
}

/* SELECT * FROM migrate.history(range) */
Datum
migrate_history(PG_FUNCTION_ARGS)
{
	Position	position = mig_position_read(PG_ARGISNULL(0));
	const Graph *graph = position.graph;
	Bitmapset  *applied = mig_graph_ancestors(graph, position.rows, GRAPH_REAL);
	Bitmapset  *range = NULL;
	CatalogLine **lines;
	TupleDesc	tupdesc;
	Tuplestorestate *store;

	if (!PG_ARGISNULL(0))
		range = mig_target_range(graph, position.rows,
								 mig_result_text_arg(fcinfo, 0, "range"));
	lines = read_lines(graph);
	store = mig_result_begin(fcinfo, &tupdesc);
	for (int i = graph->n - 1; i >= 0; i--)
	{
		int			node = graph->order[i];

		if (lines[node] != NULL &&
			(PG_ARGISNULL(0) || bms_is_member(node, range)))
			put_line(store, tupdesc, &position, node, lines[node],
					 bms_is_member(node, applied));
	}
	return (Datum) 0;
}

/*
 * Line of each node, by node number; NULL for one that was dropped since the
 * graph was read.
 */
static CatalogLine **
read_lines(const Graph *graph)
{
	CatalogLine **lines = palloc0((graph->n + 1) * sizeof(CatalogLine *));
	MemoryContext context = CurrentMemoryContext;
	List	   *all;
	ListCell   *lc;
	Scope		scope;

	mig_scope_enter(&scope);
	all = mig_catalog_read_lines(context);
	mig_scope_leave(&scope);
	foreach(lc, all)
	{
		CatalogLine *line = lfirst(lc);
		int			node = mig_graph_find_id(graph, line->revision);

		if (node >= 0)
			lines[node] = line;
	}
	return lines;
}

/*
 * Add a revision's row to the result.
 */
static void
put_line(Tuplestorestate *store, TupleDesc tupdesc, const Position *position,
		 int node, const CatalogLine *line, bool is_applied)
{
	const Graph *graph = position->graph;
	const GraphNode *self = &graph->nodes[node];
	Datum		values[HISTORY_COLUMNS];
	bool		nulls[HISTORY_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(self->revision);
	values[1] = links_datum(graph, &self->down);
	values[2] = strings_datum(self->depends_on);
	values[3] = strings_datum(self->branch_labels);
	values[4] = CStringGetTextDatum(line->message);
	values[5] = BoolGetDatum(self->child.n == 0);
	values[6] = BoolGetDatum(self->down.n == 0);
	values[7] = BoolGetDatum(self->child.n > 1);
	values[8] = BoolGetDatum(self->down.n > 1);
	values[9] = BoolGetDatum(bms_is_member(node, position->rows));
	values[10] = BoolGetDatum(is_applied);
	values[11] = TimestampTzGetDatum(line->applied_at);
	nulls[11] = !line->is_applied;
	values[12] = TimestampTzGetDatum(line->created_at);
	tuplestore_putvalues(store, tupdesc, values, nulls);
}

/* text[] of the ids that links lead to */
static Datum
links_datum(const Graph *graph, const GraphLinks *links)
{
	List	   *ids = NIL;

	for (int k = 0; k < links->n; k++)
		ids = lappend(ids, unconstify(char *, graph->nodes[links->to[k]].revision));
	return strings_datum(ids);
}

/* text[] of strings */
static Datum
strings_datum(List *strings)
{
	Datum	   *elements = palloc((list_length(strings) + 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, strings)
		elements[n++] = CStringGetTextDatum((char *) lfirst(lc));
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}
