/*
 * record.c
 *		Writing steps that are done: version rows, applied, log.
 *
 * All functions must be called in a scope (store/scope).  What is recorded of
 * one step does not cost more the more revisions there are.
 */
#include "migrate.h"

#include "command/execute.h"
#include "command/record.h"
#include "revision/text.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Log rows are written this many at a time. */
#define LOG_ROWS 1000

static List *write_log(PlanRows *rows, List *plan, MigDirection direction,
					   const RecordDone *done, const char *role);
static void take_step(PlanRows *rows, int node, MigDirection direction);
static void write_position(const Graph *graph, List *versions, List *moved,
						   MigDirection direction);

/*
 * MG007 when a script that runs as the owner of our tables wrote to them:
 * unless the version rows are rows, and what is applied is what they imply.
 */
void
mig_record_check_unchanged(const Graph *graph, const Bitmapset *rows)
{
	MemoryContext context = CurrentMemoryContext;
	Bitmapset  *applied = mig_graph_ancestors(graph, rows, GRAPH_REAL);

	if (!mig_text_same_list(mig_catalog_read_versions(context),
							mig_graph_ids(graph, rows)) ||
		!mig_text_same_list(mig_catalog_read_applied(context),
							mig_graph_ids(graph, applied)))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("a migration script changed the version rows of migrate"),
				 errhint("Scripts must leave the tables of migrate alone.")));
}

/*
 * Take one step in rows, which grow in their own memory context, and write it
 * as done: log, heads when they are not known, version rows, applied.
 * checksum is that of the upgrade script; NULL reads it.  Returns the ids of
 * the rows after it, allocated in context.  MG007 when the revision is gone.
 */
List *
mig_record_step(PlanRows *rows, int node, MigDirection direction,
				const char *checksum, TimestampTz started_at, int64 duration,
				const char *role, MemoryContext context)
{
	char	   *revision = unconstify(char *, rows->graph->nodes[node].revision);
	CatalogStep step;
	MemoryContext old;

	if (checksum == NULL)
	{
		List	   *digests = mig_catalog_read_digests(list_make1(revision), MIG_UPGRADE,
													   CurrentMemoryContext);

		checksum = ((CatalogDigest *) linitial(digests))->digest;
	}
	step.operation = mig_execute_direction_name(direction);
	step.revision = revision;
	step.checksum = checksum;
	step.versions_before = mig_graph_ids(rows->graph, rows->rows);
	take_step(rows, node, direction);
	old = MemoryContextSwitchTo(context);
	step.versions_after = mig_graph_ids(rows->graph, rows->rows);
	MemoryContextSwitchTo(old);
	step.started_at = started_at;
	step.duration = duration;

	mig_catalog_add_log(list_make1(&step), role);
	write_position(rows->graph, step.versions_after, list_make1(revision), direction);
	return step.versions_after;
}

/*
 * Write all steps of a plan (node numbers) as done, each with what done holds
 * for it.  rows are those before the first one, and become those after the
 * last one.
 */
void
mig_record_plan(PlanRows *rows, List *plan, MigDirection direction,
				const RecordDone *done, const char *role)
{
	List	   *moved = NIL;
	List	   *after;
	ListCell   *lc;

	foreach(lc, plan)
		moved = lappend(moved, unconstify(char *, rows->graph->nodes[lfirst_int(lc)].revision));
	after = write_log(rows, plan, direction, done, role);
	write_position(rows->graph, after, moved, direction);
}

/*
 * Write the log rows of a plan, and take its steps in rows.  Returns the ids
 * after the last.  The memory is freed every LOG_ROWS steps.
 */
static List *
write_log(PlanRows *rows, List *plan, MigDirection direction,
		  const RecordDone *done, const char *role)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext chunk = AllocSetContextCreate(outer, "migrate log rows",
												ALLOCSET_DEFAULT_SIZES);
	List	   *before = mig_graph_ids(rows->graph, rows->rows);
	List	   *steps = NIL;
	int			n = list_length(plan);

	for (int i = 0; i < n; i++)
	{
		CatalogStep *step = MemoryContextAlloc(chunk, sizeof(CatalogStep));
		int			node = list_nth_int(plan, i);

		take_step(rows, node, direction);
		MemoryContextSwitchTo(chunk);
		step->operation = mig_execute_direction_name(direction);
		step->revision = rows->graph->nodes[node].revision;
		step->checksum = done[i].checksum;
		step->versions_before = before;
		step->versions_after = before = mig_graph_ids(rows->graph, rows->rows);
		step->started_at = done[i].started_at;
		step->duration = done[i].duration;
		steps = lappend(steps, step);
		if (list_length(steps) == LOG_ROWS || i == n - 1)
		{
			mig_catalog_add_log(steps, role);
			steps = NIL;
			MemoryContextSwitchTo(outer);
			before = mig_graph_ids(rows->graph, rows->rows);
			MemoryContextReset(chunk);
		}
		MemoryContextSwitchTo(outer);
	}
	MemoryContextDelete(chunk);
	return before;
}

/*
 * Take one step in rows, which grow in their own memory context.
 */
static void
take_step(PlanRows *rows, int node, MigDirection direction)
{
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(rows));

	mig_plan_rows_step(rows, node, direction);
	MemoryContextSwitchTo(old);
}

/*
 * Write the version rows, the heads when they are not known, and that the
 * revisions moved (char *) are applied or no longer.
 */
static void
write_position(const Graph *graph, List *versions, List *moved,
			   MigDirection direction)
{
	mig_catalog_remember_heads(graph);
	mig_catalog_set_versions(versions);
	if (direction == MIG_UPGRADE)
		mig_catalog_add_applied(moved, mig_execute_direction_name(MIG_UPGRADE),
								GetCurrentTimestamp());
	else
		mig_catalog_remove_applied(moved);
}
