/*
 * trace.c
 *		What the downgrade of a revision leaves.
 *
 * Every revision is upgraded; then its downgrade is run, looked at and rolled back.  The
 * managed schemas, and those that the revisions have made, are read before and after, as
 * a comparison reads them, so that an empty downgrade of a revision that did something
 * leaves what it did.  What builds on a revision that failed is not looked at.
 */
#include "migrate.h"

#include "kind/kinds.h"
#include "revision/ids.h"
#include "schema/action.h"
#include "schema/compare.h"
#include "schema/fence.h"
#include "schema/read.h"
#include "testing/trace.h"
#include "utils/memutils.h"

/* A search under way. */
typedef struct Search
{
	Project		project;		/* it manages also the schemas that revisions have made */
	const Bitmapset *kept;		/* nodes that are not downgraded */
	List	   *traces;			/* Trace * */
	Bitmapset  *failed;			/* nodes whose upgrade failed, or was not tried */
	Schema	   *before;			/* the next upgrade */
	MemoryContext before_context;	/* of that */
} Search;

static void search(Walk *walk);
static Trace *trace_step(Walk *walk, Search *search, const WalkStep *step);
static Schema *look(Walk *walk, MemoryContext *context);
static Schema *read_all(Walk *walk, bool uses);
static const char *why_not(const Walk *walk, const Search *search, const WalkStep *step);
static const char *why_not_back(const Search *search, const WalkStep *step);
static void look_back(Walk *walk, void *argument);
static const char *write_missing(const Trace *trace);
static List *find_orders(const Schema *before, const Schema *after);
static bool has_other_order(const SchemaObject *before, const SchemaObject *after);
static List *columns_of(const SchemaObject *table);
static int	compare_numbers(const ListCell *a, const ListCell *b);
static void settle(const Walk *walk, const Project *project, Trace *trace);
static List *find_unmanaged(const Walk *walk, List *differences);

/*
 * Return what is known of the downgrades (Trace *) of all revisions of a walk, but for some
 * (nodes) that are not to be downgraded, in the current memory context.  Errors: those of
 * the scratch.
 */
List *
mig_trace_find(Walk *walk, const Bitmapset *kept)
{
	Search		state = {.project = *walk->project, .kept = kept};
	ListCell   *lc;

	mig_walk_run(walk, search, &state);
	foreach(lc, state.traces)
		settle(walk, &state.project, lfirst(lc));
	return state.traces;
}

/*
 * Look at one revision after the other, in the scratch.
 */
static void
search(Walk *walk)
{
	Search	   *search = walk->argument;
	ListCell   *lc;

	foreach(lc, walk->steps)
		search->traces = lappend(search->traces, trace_step(walk, search, lfirst(lc)));
}

/*
 * Upgrade a revision, and look at its downgrade.  What was read is kept where that is
 * needed to tell what differs.
 */
static Trace *
trace_step(Walk *walk, Search *search, const WalkStep *step)
{
	Trace	   *trace = palloc0(sizeof(Trace));
	MemoryContext before = search->before_context;

	trace->step = step;
	trace->skip = why_not(walk, search, step);
	if (trace->skip != NULL)
		return trace;
	if (search->before == NULL)
		search->before = look(walk, &before);
	trace->before = search->before;
	trace->fault = mig_walk_move(walk, step, MIG_UPGRADE);
	if (trace->fault != NULL)
	{
		search->failed = bms_add_member(search->failed, step->node);
		return trace;
	}
	search->before = look(walk, &search->before_context);
	trace->skip = why_not_back(search, step);
	if (trace->skip == NULL)
		trace->fault = mig_walk_try_back(walk, step, look_back, trace);
	/* both have to stay to be settled */
	if (trace->after == NULL)
		MemoryContextDelete(before);
	return trace;
}

/*
 * Return what is there now, in a memory context of its own, which is stored.
 */
static Schema *
look(Walk *walk, MemoryContext *context)
{
	MemoryContext old;
	Schema	   *schema;

	*context = AllocSetContextCreate(walk->context, "migrate trace", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(*context);
	schema = read_all(walk, true);
	MemoryContextSwitchTo(old);
	return schema;
}

/*
 * Read the managed schemas, and those that revisions have made so far, with their uses if
 * these are wanted.  One that is gone again is empty.
 */
static Schema *
read_all(Walk *walk, bool uses)
{
	Project    *project = &((Search *) walk->argument)->project;
	ListCell   *lc;

	foreach(lc, mig_fence_new_schemas())
	{
		MemoryContext old;

		if (mig_ids_contain_all(project->schemas, list_make1(lfirst(lc))))
			continue;
		old = MemoryContextSwitchTo(walk->context);
		project->schemas = lappend(list_copy(project->schemas), pstrdup(lfirst(lc)));
		MemoryContextSwitchTo(old);
	}
	return mig_differ_read_scratch(project, walk->notes, uses);
}

/*
 * Return why the upgrade of a revision cannot be run, or NULL.
 */
static const char *
why_not(const Walk *walk, const Search *search, const WalkStep *step)
{
	Bitmapset  *ancestors = mig_graph_ancestors(walk->graph, bms_make_singleton(step->node),
												GRAPH_REAL);
	int			failed = bms_next_member(bms_intersect(ancestors, search->failed), -1);

	if (failed < 0)
		return NULL;
	return psprintf("it builds on revision \"%s\", which could not be run",
					walk->graph->nodes[failed].revision);
}

/*
 * Return why the downgrade of a revision is not run, or NULL.
 */
static const char *
why_not_back(const Search *search, const WalkStep *step)
{
	if (step->is_left_out)
		return "it is left out";
	if (bms_is_member(step->node, search->kept))
		return "it is not above the lowest revision";
	if (step->scripts[MIG_DOWNGRADE]->sql == NULL)
		return "it cannot be downgraded";
	return NULL;
}

/*
 * Compare what is there after a downgrade, before that is rolled back, with what was there
 * before its upgrade.
 */
static void
look_back(Walk *walk, void *argument)
{
	Trace	   *trace = argument;
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(walk->context, "migrate trace",
												  ALLOCSET_DEFAULT_SIZES);
	Schema	   *after;
	List	   *differences;

	MemoryContextSwitchTo(context);
	after = read_all(walk, false);
	differences = mig_compare_schemas(after, trace->before);
	if (differences != NIL)
		mig_read_uses(after);
	MemoryContextSwitchTo(walk->context);
	trace->orders = find_orders(trace->before, after);
	MemoryContextSwitchTo(old);
	if (differences == NIL)
	{
		MemoryContextDelete(context);
		return;
	}
	trace->differences = differences;
	trace->after = after;
}

/*
 * Settle the differences that a downgrade has left, outside of the scratch, and say what
 * would take them away.
 */
static void
settle(const Walk *walk, const Project *project, Trace *trace)
{
	if (trace->differences == NIL)
		return;
	trace->differences = mig_differ_settle(project, trace->after, trace->before,
										   trace->differences);
	if (trace->differences == NIL)
		return;
	trace->missing = write_missing(trace);
	trace->unmanaged = find_unmanaged(walk, trace->differences);
}

/*
 * Return the schemas (char *) of some differences which the project does not manage.
 */
static List *
find_unmanaged(const Walk *walk, List *differences)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, differences)
	{
		const Difference *difference = lfirst(lc);
		const SchemaObject *object = difference->from != NULL ? difference->from :
			difference->to;
		const char *schema = strcmp(object->kind->name, "schema") == 0 ? object->name :
			object->schema;
		List	   *name = schema == NULL ? NIL : list_make1(unconstify(char *, schema));

		if (!mig_ids_contain_all(walk->project->schemas, name) &&
			!mig_ids_contain_all(names, name))
			names = list_concat(names, name);
	}
	return names;
}

/*
 * Return the statements that would take the differences of a downgrade away; NULL: they
 * cannot be written.
 */
static const char *
write_missing(const Trace *trace)
{
	ActionPlan	plan = mig_action_plan(trace->after, trace->before, trace->differences, false);
	ListCell   *lc;

	foreach(lc, trace->differences)
		if (strcmp(mig_compare_action(lfirst(lc)), "unsupported") == 0)
			return NULL;
	if (plan.circle != NULL || plan.refusals != NIL)
		return NULL;
	return mig_action_script(plan.actions);
}

/*
 * Return the names (char *) of the tables whose columns are the same, but in another order.
 */
static List *
find_orders(const Schema *before, const Schema *after)
{
	List	   *orders = NIL;
	ListCell   *lc;

	foreach(lc, before->objects)
	{
		const SchemaObject *table = lfirst(lc);
		const SchemaObject *other;

		if (table->kind != &mig_kinds_table)
			continue;
		other = mig_objects_find(after, table);
		if (other != NULL && has_other_order(table, other))
			orders = lappend(orders, pstrdup(table->identity));
	}
	return orders;
}

/*
 * Return whether two tables have the same columns in another order.
 */
static bool
has_other_order(const SchemaObject *before, const SchemaObject *after)
{
	List	   *from = columns_of(before);
	List	   *to = columns_of(after);
	ListCell   *lc;
	ListCell   *lc2;
	bool		differs = false;

	if (list_length(from) != list_length(to))
		return false;
	forboth(lc, from, lc2, to)
	{
		differs |= strcmp(lfirst(lc), lfirst(lc2)) != 0;
		if (!mig_ids_contain_all(to, list_make1(lfirst(lc))))
			return false;
	}
	return differs;
}

/*
 * Return the names of a table's columns (char *), in their order.
 */
static List *
columns_of(const SchemaObject *table)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, table->children)
		if (((const SchemaObject *) lfirst(lc))->kind == &mig_kinds_column)
			columns = lappend(columns, lfirst(lc));
	list_sort(columns, compare_numbers);
	foreach(lc, columns)
		lfirst(lc) = unconstify(char *, ((const SchemaObject *) lfirst(lc))->name);
	return columns;
}

/*
 * Compare two columns by their numbers.
 */
static int
compare_numbers(const ListCell *a, const ListCell *b)
{
	return ((const SchemaObject *) lfirst(a))->address.objectSubId -
		((const SchemaObject *) lfirst(b))->address.objectSubId;
}
