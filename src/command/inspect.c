/*
 * inspect.c
 *		What is looked at: current, heads, bases, branches, pending, history,
 *		show, graph, resolve.
 *
 * Nothing here writes or takes a lock; all of it works in a read-only
 * transaction and on a hot standby.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "revision/draw.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/names.h"
#include "revision/plan.h"
#include "revision/revision.h"
#include "revision/target.h"
#include "run/report.h"
#include "sql.h"
#include "store/ledger.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/history.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(migrate_current);
PG_FUNCTION_INFO_V1(migrate_heads);
PG_FUNCTION_INFO_V1(migrate_bases);
PG_FUNCTION_INFO_V1(migrate_branches);
PG_FUNCTION_INFO_V1(migrate_pending);
PG_FUNCTION_INFO_V1(migrate_history);
PG_FUNCTION_INFO_V1(migrate_show);
PG_FUNCTION_INFO_V1(migrate_graph);
PG_FUNCTION_INFO_V1(migrate_resolve);

#define HISTORY_COLUMNS 13

/* A way to draw the graph. */
typedef struct Format
{
	const char *name;
	List	   *(*draw) (const DrawInput *input);
} Format;

static const Format formats[] = {
	{"text", mig_draw_text},
	{"dot", mig_draw_dot},
	{"mermaid", mig_draw_mermaid}
};

static Position read_with_lines(bool purge, HistoryLine ***lines);
static HistoryLine **lines_by_node(const Graph *graph, List *all);
pg_noreturn static void lines_differ(const char *revision);
static const Format *find_format(const char *name);
static char **messages(const Graph *graph, HistoryLine **lines);
static void show_revision(StringInfo buf, const Position *position, int node);
static void show_edges(StringInfo buf, const Graph *graph, const GraphNode *self);
static void show_ids(StringInfo buf, const char *title, const Graph *graph,
					 const GraphLinks *links);
static void show_names(StringInfo buf, const char *title, List *names);
static void show_message(StringInfo buf, const char *message);
static void show_script(StringInfo buf, const char *direction,
						const char *sql, bool transactional);
static void put_line(Tuplestorestate *store, TupleDesc tupdesc,
					 const Position *position, int node,
					 const HistoryLine *line, bool is_applied);
static Datum links_datum(const Graph *graph, const GraphLinks *links);
static Datum strings_datum(List *strings);

/*
 * Implement migrate.current(): return the version rows.
 */
Datum
migrate_current(PG_FUNCTION_ARGS)
{
	List	   *versions;
	Scope		scope;

	mig_scope_enter(&scope);
	versions = mig_ledger_read_versions(&scope);
	mig_scope_leave(&scope);
	mig_report_incomplete();
	return mig_sql_ids(fcinfo, versions);
}

/*
 * Implement migrate.heads(). Errors: MG010.
 */
Datum
migrate_heads(PG_FUNCTION_ARGS)
{
	Graph	   *graph = mig_position_read(true).graph;

	return mig_sql_ids(fcinfo,
					   mig_graph_ids(graph,
									 mig_graph_heads(graph, GRAPH_DOWN)));
}

/*
 * Implement migrate.bases(). Errors: MG010.
 */
Datum
migrate_bases(PG_FUNCTION_ARGS)
{
	Graph	   *graph = mig_position_read(true).graph;

	return mig_sql_ids(fcinfo, mig_graph_ids(graph, mig_graph_bases(graph)));
}

/*
 * Implement migrate.branches(): return the branch points. Errors: MG010.
 */
Datum
migrate_branches(PG_FUNCTION_ARGS)
{
	Graph	   *graph = mig_position_read(true).graph;
	Bitmapset  *points = NULL;

	for (int i = 0; i < graph->n; i++)
		if (graph->nodes[i].child.n > 1)
			points = bms_add_member(points, i);
	return mig_sql_ids(fcinfo, mig_graph_ids(graph, points));
}

/*
 * Implement migrate.pending(target): return what an upgrade would apply.
 * Errors: as those of upgrade.
 */
Datum
migrate_pending(PG_FUNCTION_ARGS)
{
	char	   *target = mig_sql_text_arg(fcinfo, 0, "target");
	Position	position = mig_position_read(false);
	List	   *plan = mig_plan_upgrade(position.graph, position.rows, target);

	mig_report_incomplete();
	return mig_sql_ids(fcinfo, mig_graph_plan_ids(position.graph, plan, 0,
												  list_length(plan)));
}

/*
 * Implement migrate.resolve(target): return the revisions that an identifier
 * names. Errors: MG001 to MG003, MG005, MG010.
 */
Datum
migrate_resolve(PG_FUNCTION_ARGS)
{
	char	   *target = mig_sql_text_arg(fcinfo, 0, "target");
	Position	position = mig_position_read(false);

	return mig_sql_ids(fcinfo,
						  mig_graph_ids(position.graph,
										mig_target_resolve(position.graph,
														   position.rows, target)));
}

/*
 * Implement migrate.history(range): return revisions, newest first. Errors:
 * MG001 to MG003, MG005, MG010.
 */
Datum
migrate_history(PG_FUNCTION_ARGS)
{
	HistoryLine **lines;
	Position	position = read_with_lines(PG_ARGISNULL(0), &lines);
	const Graph *graph = position.graph;
	Bitmapset  *applied = mig_graph_ancestors(graph, position.rows, GRAPH_REAL);
	Bitmapset  *range = NULL;
	TupleDesc	tupdesc;
	Tuplestorestate *store;

	if (!PG_ARGISNULL(0))
		range = mig_target_range(graph, position.rows,
								 mig_sql_text_arg(fcinfo, 0, "range"));
	store = mig_sql_begin(fcinfo, &tupdesc);
	for (int i = graph->n - 1; i >= 0; i--)
	{
		int			node = graph->order[i];

		if (PG_ARGISNULL(0) || bms_is_member(node, range))
			put_line(store, tupdesc, &position, node, lines[node],
					 bms_is_member(node, applied));
	}
	return (Datum) 0;
}

/*
 * Implement migrate.show(revision): return Alembic's verbose entry and the
 * scripts. Errors: as migrate.resolve.
 */
Datum
migrate_show(PG_FUNCTION_ARGS)
{
	char	   *target = mig_sql_text_arg(fcinfo, 0, "revision");
	Position	position = mig_position_read(false);
	Bitmapset  *found = mig_target_resolve(position.graph, position.rows, target);
	StringInfoData buf;
	int			node = -1;

	initStringInfo(&buf);
	while ((node = bms_next_member(found, node)) >= 0)
	{
		if (buf.len > 0)
			appendStringInfoChar(&buf, '\n');
		show_revision(&buf, &position, node);
	}
	/* the client that prints it ends the last line */
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, Max(buf.len - 1, 0)));
}

/*
 * Implement migrate.graph(format): return a drawing of the graph. Errors:
 * 22023, MG010.
 */
Datum
migrate_graph(PG_FUNCTION_ARGS)
{
	const Format *format = find_format(mig_sql_text_arg(fcinfo, 0, "format"));
	HistoryLine **lines;
	Position	position = read_with_lines(true, &lines);
	DrawInput	input;

	input.graph = position.graph;
	input.current = position.rows;
	input.applied = mig_graph_ancestors(position.graph, position.rows, GRAPH_REAL);
	input.messages = messages(position.graph, lines);
	return mig_sql_ids(fcinfo, format->draw(&input));
}

/*
 * Graph, version rows, and the line of each node by its number, read together
 * so that they fit together, in the current memory context.  Errors: MG010;
 * with purge, version rows that name no revision are passed over.
 */
static Position
read_with_lines(bool purge, HistoryLine ***lines)
{
	Position	position;
	List	   *all;
	Scope		scope;

	mig_scope_enter(&scope);
	position = mig_position_in_scope(&scope, purge);
	all = mig_history_read(&scope);
	mig_scope_leave(&scope);
	*lines = lines_by_node(position.graph, all);
	return position;
}

/*
 * Return the lines (HistoryLine *) by node number. Errors: 55000 when they are
 * of other revisions.
 */
static HistoryLine **
lines_by_node(const Graph *graph, List *all)
{
	HistoryLine **lines = palloc0((graph->n + 1) * sizeof(HistoryLine *));
	ListCell   *lc;

	foreach(lc, all)
	{
		HistoryLine *line = lfirst(lc);
		int			node = mig_graph_find_id(graph, line->revision);

		if (node < 0)
			lines_differ(line->revision);
		lines[node] = line;
	}
	for (int i = 0; i < graph->n; i++)
		if (lines[i] == NULL)
			lines_differ(graph->nodes[i].revision);
	return lines;
}

/*
 * Only where a table was made a view, or given a policy, can
 * one snapshot show a revision now and not then.
 */
static void
lines_differ(const char *revision)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("revision \"%s\" came or went while migrate.revisions was read", revision),
			 errhint("A table in schema migrate was altered.")));
}

/*
 * Add a revision's row to the result.
 */
static void
put_line(Tuplestorestate *store, TupleDesc tupdesc, const Position *position,
		 int node, const HistoryLine *line, bool is_applied)
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

/*
 * Return the format of that name; 22023 when there is none.
 */
static const Format *
find_format(const char *name)
{
	for (size_t i = 0; i < lengthof(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized graph format \"%s\"", mig_revision_clip(name)),
			 errhint("Use \"text\", \"dot\" or \"mermaid\".")));
}

/*
 * Return the messages of the revisions, by node number.
 */
static char **
messages(const Graph *graph, HistoryLine **lines)
{
	char	  **messages = palloc((graph->n + 1) * sizeof(char *));

	for (int i = 0; i < graph->n; i++)
		messages[i] = lines[i]->message;
	return messages;
}

/* ----------------------------------------------------------------- show ---- */

/*
 * Append Alembic's verbose entry of a revision, and after it the scripts as a
 * revision file has them.
 */
static void
show_revision(StringInfo buf, const Position *position, int node)
{
	const GraphNode *self = &position->graph->nodes[node];
	Revision   *rev;
	Scope		scope;

	mig_scope_enter(&scope);
	rev = mig_revisions_read_one(&scope, self->revision);
	mig_scope_leave(&scope);
	if (rev == NULL)			/* dropped since the graph was read */
		return;

	appendStringInfo(buf, "Rev: %s%s%s%s%s\n", self->revision,
					 self->child.n == 0 ? " (head)" : "",
					 self->child.n > 1 ? " (branchpoint)" : "",
					 self->down.n > 1 ? " (mergepoint)" : "",
					 bms_is_member(node, position->rows) ? " (current)" : "");
	show_edges(buf, position->graph, self);
	show_names(buf, "Branch names", mig_names_labels(position->graph, node));
	show_message(buf, rev->message);
	show_script(buf, "up", rev->upgrade_sql, rev->upgrade_transactional);
	show_script(buf, "down", rev->downgrade_sql, rev->downgrade_transactional);
}

/*
 * Append the lines about parents, dependencies and children.
 */
static void
show_edges(StringInfo buf, const Graph *graph, const GraphNode *self)
{
	if (self->down.n == 0)
		appendStringInfoString(buf, "Parent: <base>\n");
	else
		show_ids(buf, self->down.n > 1 ? "Merges" : "Parent", graph, &self->down);
	show_names(buf, "Also depends on", self->depends_on);
	if (self->child.n > 1)
		show_ids(buf, "Branches into", graph, &self->child);
}

/*
 * Append "Title: a, b" for the ids that some links lead to.
 */
static void
show_ids(StringInfo buf, const char *title, const Graph *graph,
		 const GraphLinks *links)
{
	show_names(buf, title, mig_graph_link_ids(graph, links));
}

/*
 * Append "Title: a, b", or nothing without names.
 */
static void
show_names(StringInfo buf, const char *title, List *names)
{
	if (names != NIL)
		appendStringInfo(buf, "%s: %s\n", title, mig_ids_join(names));
}

/*
 * Append a blank line, and every line of the message indented.
 */
static void
show_message(StringInfo buf, const char *message)
{
	appendStringInfoChar(buf, '\n');
	for (const char *line = message; *line;)
	{
		int			len = strcspn(line, "\n");

		appendStringInfo(buf, "    %.*s\n", len, line);
		line += len + (line[len] == '\n');
	}
}

/*
 * Append a script after its marker line, or a comment that there is none.
 */
static void
show_script(StringInfo buf, const char *direction, const char *sql,
			bool transactional)
{
	if (sql == NULL)
	{
		appendStringInfo(buf, "\n-- no migrate:%s: cannot be downgraded\n", direction);
		return;
	}
	appendStringInfo(buf, "\n-- migrate:%s%s\n", direction,
					 transactional ? "" : " transaction:false");
	if (*sql)
		appendStringInfo(buf, "%s\n", sql);
}

/* -------------------------------------------------------------- columns ---- */

/*
 * Return a text[] of the ids that some links lead to.
 */
static Datum
links_datum(const Graph *graph, const GraphLinks *links)
{
	return strings_datum(mig_graph_link_ids(graph, links));
}

/*
 * Return a text[] of strings.
 */
static Datum
strings_datum(List *strings)
{
	Datum	   *elements = palloc((list_length(strings) + 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, strings)
		elements[n++] = CStringGetTextDatum((char *) lfirst(lc));
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}
