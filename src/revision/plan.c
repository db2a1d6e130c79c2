/*
 * plan.c
 *		Target and version rows to ordered steps, and the rows after each.
 *
 * What is applied is the real ancestors of the rows; the rows are always the
 * maximal elements of what is applied.  A plan is a list of node numbers
 * (upgrade: parents before children; downgrade: the other way round).
 * Everything is palloc'd in the current memory context.
 */
#include "migrate.h"

#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/plan.h"
#include "revision/target.h"

static void check_rows(const Graph *graph, const Bitmapset *rows);
static Bitmapset *overlap(const Graph *graph, const Bitmapset *set);
static void check_targets(const Graph *graph, const Bitmapset *targets);
static List *upgrade_to(const Graph *graph, const Bitmapset *rows,
						const Bitmapset *targets);
static List *downgrade_to(const Graph *graph, const Bitmapset *rows,
						  const DowngradeTarget *to, const char *text);
static void check_not_reversed(const Graph *graph, const Bitmapset *start,
							   const Bitmapset *targets, const char *range);
static Bitmapset *downgrade_roots(const Graph *graph,
								  const DowngradeTarget *target,
								  const char *text);
static Bitmapset *replaceable(const Graph *graph, const Bitmapset *rows,
							  const Bitmapset *destinations);
static StampStep *stamp_step(int node, Bitmapset **rows, const Bitmapset *gone);
static List *members(const Bitmapset *set);
static void count_successor(PlanRows *state, int node, int n);
static void change_rows(PlanRows *state);

/*
 * MG005 unless the rows are the maximal elements of what they imply.  Our own
 * functions never leave them otherwise.
 */
static void
check_rows(const Graph *graph, const Bitmapset *rows)
{
	Bitmapset  *below = overlap(graph, rows);

	if (!bms_is_empty(below))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("current revision %s overlaps with other current revisions",
						mig_ids_quote(mig_graph_ids(graph, below))),
				 errdetail("migrate.versions holds %s; a revision that another one implies must not be there.",
						   mig_ids_quote(mig_graph_ids(graph, rows))),
				 errhint("SELECT migrate.stamp(..., purge => true) sets the rows anew.")));
}

/*
 * Return revisions that an upgrade to target applies, in order; NIL when there
 * is nothing to do.
 */
List *
mig_plan_upgrade(const Graph *graph, const Bitmapset *rows, const char *target)
{
	return upgrade_to(graph, rows, mig_target_upgrade(graph, rows, target));
}

/*
 * Return revisions that a downgrade to target reverts, in order. MG005 when
 * the target is not one that is applied.
 */
List *
mig_plan_downgrade(const Graph *graph, const Bitmapset *rows,
				   const char *target)
{
	DowngradeTarget to = mig_target_downgrade(graph, rows, target);

	return downgrade_to(graph, rows, &to, target);
}

/*
 * Return the plan of a range "start:target", and in *start the rows that it
 * begins with, whatever the database's rows are. MG005 when an upgrade's
 * target is below its start, or a downgrade's not.
 */
List *
mig_plan_range(const Graph *graph, const Bitmapset *rows, const char *range,
			   MigDirection direction, Bitmapset **start)
{
	MoveRange	move = mig_target_move_range(graph, rows, range, direction);
	const Bitmapset *from = move.from_rows ? rows : move.start;

	*start = move.start;
	if (direction == MIG_UPGRADE)
	{
		Bitmapset  *targets = mig_target_upgrade(graph, from, move.target);

		check_not_reversed(graph, move.start, targets, range);
		return upgrade_to(graph, move.start, targets);
	}
	else
	{
		DowngradeTarget to = mig_target_downgrade(graph, from, move.target);

		return downgrade_to(graph, move.start, &to, move.target);
	}
}

/*
 * Steps of a stamp to several targets (char *): for each the revision and the
 * rows that it replaces, and in *after the rows after the last one.  With purge
 * the rows are emptied first.  A target that is a row already makes no step.
 *
 * What the targets replace is the rows on their lineage, by down revision and
 * by dependency; other rows stay.  MG005 when one target implies another.
 */
List *
mig_plan_stamp(const Graph *graph, const Bitmapset *rows, List *targets,
			   bool purge, Bitmapset **after)
{
	Bitmapset  *destinations = NULL;
	Bitmapset  *now = purge ? NULL : bms_copy(rows);
	Bitmapset  *old;
	List	   *steps = NIL;
	ListCell   *lc;
	int			i = -1;

	foreach(lc, targets)
	{
		StampTarget target = mig_target_stamp(graph, rows, lfirst(lc));
		Bitmapset  *gone = bms_intersect(now, target.lineage);

		destinations = bms_add_members(destinations, target.destinations);
		if (bms_is_empty(target.destinations) && !bms_is_empty(gone))
			steps = lappend(steps, stamp_step(TARGET_BASE, &now, gone));
	}
	check_targets(graph, destinations);

	old = replaceable(graph, now, destinations);
	while ((i = bms_next_member(destinations, i)) >= 0)
	{
		Bitmapset  *gone = NULL;

		if (bms_is_member(i, now))
			continue;
		if (!bms_is_empty(old))
			gone = bms_int_members(mig_graph_lineage(graph, i, GRAPH_REAL), old);
		old = bms_del_members(old, gone);
		steps = lappend(steps, stamp_step(i, &now, gone));
		bms_free(gone);
	}
	*after = now;
	return steps;
}

/*
 * Return rows on the lineage of one of destinations, which are not rows
 * themselves.  Most stamps have few, and no destination that is stamped replaces
 * another one; so the lineage of each is looked at only while there are any.
 */
static Bitmapset *
replaceable(const Graph *graph, const Bitmapset *rows, const Bitmapset *destinations)
{
	Bitmapset  *lineage = bms_union(mig_graph_ancestors(graph, destinations, GRAPH_REAL),
									mig_graph_descendants(graph, destinations, GRAPH_REAL));

	return bms_del_members(bms_int_members(lineage, rows), destinations);
}

/*
 * Return the step that makes node a row, unless it is base, and takes away the
 * rows that are gone; rows become those after it.
 */
static StampStep *
stamp_step(int node, Bitmapset **rows, const Bitmapset *gone)
{
	StampStep  *step = palloc(sizeof(StampStep));

	step->node = node;
	step->removed = members(gone);
	*rows = bms_del_members(*rows, gone);
	if (node != TARGET_BASE)
		*rows = bms_add_member(*rows, node);
	return step;
}

/*
 * Return the members of a set as a list.
 */
static List *
members(const Bitmapset *set)
{
	List	   *list = NIL;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
		list = lappend_int(list, i);
	return list;
}

/*
 * State for mig_plan_rows_step, beginning at rows.
 */
PlanRows *
mig_plan_rows_begin(const Graph *graph, const Bitmapset *rows)
{
	PlanRows   *state = palloc0(sizeof(PlanRows));
	Bitmapset  *applied = mig_graph_ancestors(graph, rows, GRAPH_REAL);
	int			i = -1;

	state->graph = graph;
	state->rows = bms_copy(rows);
	state->applied = palloc0(graph->n * sizeof(bool) + 1);
	state->successors = palloc0((graph->n + 1) * sizeof(int));
	while ((i = bms_next_member(applied, i)) >= 0)
	{
		state->applied[i] = true;
		count_successor(state, i, 1);
	}
	bms_free(applied);
	return state;
}

/*
 * Count n applied successors more of all parents and dependencies of a node.
 */
static void
count_successor(PlanRows *state, int node, int n)
{
	const GraphNode *self = &state->graph->nodes[node];

	for (int k = 0; k < self->down.n; k++)
		state->successors[self->down.to[k]] += n;
	for (int k = 0; k < self->depends.n; k++)
		state->successors[self->depends.to[k]] += n;
}

/*
 * Take one step and bring state->rows up to date.  The steps must come in the
 * order of a plan.  One costs what it changes, however many rows there are.
 */
void
mig_plan_rows_step(PlanRows *state, int node, MigDirection direction)
{
	const GraphNode *self = &state->graph->nodes[node];
	const GraphLinks *parents[2] = {&self->down, &self->depends};
	bool		up = (direction == MIG_UPGRADE);
	List	   *changed = NIL;

	state->applied[node] = up;
	count_successor(state, node, up ? 1 : -1);
	for (int kind = 0; kind < 2; kind++)
		for (int k = 0; k < parents[kind]->n; k++)
		{
			int			parent = parents[kind]->to[k];

			if (up ? bms_is_member(parent, state->rows) : state->successors[parent] == 0)
				changed = lappend_int(changed, parent);
		}

	list_free(state->removed);
	list_free(state->added);
	state->removed = up ? changed : list_make1_int(node);
	state->added = up ? list_make1_int(node) : changed;
	change_rows(state);
}

/*
 * Bring state->rows up to date with what the last step removed and added.
 */
static void
change_rows(PlanRows *state)
{
	ListCell   *lc;

	foreach(lc, state->removed)
		state->rows = bms_del_member(state->rows, lfirst_int(lc));
	foreach(lc, state->added)
		state->rows = bms_add_member(state->rows, lfirst_int(lc));
}

/*
 * Return revisions that are missing for targets, in order.
 */
static List *
upgrade_to(const Graph *graph, const Bitmapset *rows, const Bitmapset *targets)
{
	Bitmapset  *needed;

	check_targets(graph, targets);
	check_rows(graph, rows);
	needed = mig_graph_ancestors(graph, targets, GRAPH_REAL);
	needed = bms_del_members(needed,
							 mig_graph_ancestors(graph, rows, GRAPH_REAL));
	return mig_plan_sort(graph, needed);
}

/*
 * Return revisions that are applied above a target, which text names, in the
 * order in which they go.
 */
static List *
downgrade_to(const Graph *graph, const Bitmapset *rows,
			 const DowngradeTarget *to, const char *text)
{
	Bitmapset  *reverted;
	List	   *upwards;
	List	   *plan = NIL;

	reverted = mig_graph_descendants(graph, downgrade_roots(graph, to, text),
									 GRAPH_REAL);
	reverted = bms_int_members(reverted,
							   mig_graph_ancestors(graph, rows, GRAPH_REAL));
	if (to->node != TARGET_BASE && bms_is_empty(reverted) &&
		!bms_is_member(to->node, rows))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("destination \"%s\" is not a valid downgrade target from the current revisions",
						text),
				 errdetail("The current revisions are: %s.",
						   bms_is_empty(rows) ? "none" : mig_ids_quote(mig_graph_ids(graph, rows)))));
	upwards = mig_plan_sort(graph, reverted);
	for (int i = list_length(upwards) - 1; i >= 0; i--)
		plan = lappend_int(plan, list_nth_int(upwards, i));
	return plan;
}

/*
 * MG005 when all targets lie below the start of a range: an upgrade cannot
 * get there.
 */
static void
check_not_reversed(const Graph *graph, const Bitmapset *start,
				   const Bitmapset *targets, const char *range)
{
	if (!bms_equal(start, targets) &&
		bms_is_subset(targets, mig_graph_ancestors(graph, start, GRAPH_REAL)))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("range \"%s\" is reversed", range),
				 errdetail("%s is below %s.",
						   bms_is_empty(targets) ? "base" :
						   mig_ids_quote(mig_graph_ids(graph, targets)),
						   mig_ids_quote(mig_graph_ids(graph, start))),
				 errhint("The older end of an upgrade's range comes first; migrate.downgrade_sql() goes down.")));
}

/*
 * Return members of set that another member implies.
 */
static Bitmapset *
overlap(const Graph *graph, const Bitmapset *set)
{
	return bms_difference(set, mig_graph_maximal(graph, set));
}

/*
 * MG005 when one target implies another.
 */
static void
check_targets(const Graph *graph, const Bitmapset *targets)
{
	Bitmapset  *below = overlap(graph, targets);

	if (!bms_is_empty(below))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("requested revision %s overlaps with other requested revisions",
						mig_ids_quote(mig_graph_ids(graph, below))),
				 errdetail("The requested revisions are %s.",
						   mig_ids_quote(mig_graph_ids(graph, targets))),
				 errhint("Leave out what another requested revision implies.")));
}

/*
 * Return the lowest revisions that must go: the children of the target by down
 * revision (for base: all bases). Where there are several and the target names
 * a branch, only the branch's own.
 */
static Bitmapset *
downgrade_roots(const Graph *graph, const DowngradeTarget *target,
				const char *text)
{
	Bitmapset  *roots = NULL;

	if (target->node == TARGET_BASE)
		roots = mig_graph_bases(graph);
	else
	{
		const GraphLinks *child = &graph->nodes[target->node].child;

		for (int k = 0; k < child->n; k++)
			roots = bms_add_member(roots, child->to[k]);
	}
	if (target->branch != NULL && bms_membership(roots) == BMS_MULTIPLE)
	{
		Bitmapset  *branch;

		branch = bms_make_singleton(mig_target_name(graph, target->branch));
		roots = bms_int_members(roots,
								mig_graph_ancestors(graph, branch, GRAPH_DOWN));
		if (bms_is_empty(roots))
			ereport(ERROR,
					(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
					 errmsg("destination \"%s\" is not a valid downgrade target from the current revisions",
							text),
					 errdetail("Branch \"%s\" does not pass through a revision above it.",
							   target->branch)));
	}
	return roots;
}

/*
 * Return the members of a set as a list of node numbers, parents before children.
 */
List *
mig_plan_sort(const Graph *graph, const Bitmapset *set)
{
	List	   *sorted = NIL;

	for (int i = 0; i < graph->n; i++)
		if (bms_is_member(graph->order[i], set))
			sorted = lappend_int(sorted, graph->order[i]);
	return sorted;
}
