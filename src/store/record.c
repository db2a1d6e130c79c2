/*
 * record.c
 *		Writing steps that are done: version rows, applied, log.
 *
 * All functions must be called in a scope (store/scope).  What is recorded of
 * one step does not cost more the more revisions there are.
 */
#include "migrate.h"

#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/plan.h"
#include "store/heads.h"
#include "store/ledger.h"
#include "store/record.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Rows are written this many at a time, so that they take little memory. */
#define WRITE_AHEAD 1000

static void write_log(const Scope *scope, PlanRows *rows, List *plan, int from,
					  int to,
					  MigDirection direction, const RecordDone *done,
					  const char *role);
static List *checksums_of(const RecordDone *done, int from, int to);
static void remember_heads(const Scope *scope, const Graph *graph);
static void take_step(PlanRows *rows, int node, MigDirection direction);

/*
 * MG007 when a script that runs as the owner of our tables wrote to them:
 * unless the version rows are rows, and what is applied is what they imply.
 */
void
mig_record_check_unchanged(const Scope *scope, const Graph *graph,
						   const Bitmapset *rows)
{
	Bitmapset  *applied = mig_graph_ancestors(graph, rows, GRAPH_REAL);

	if (!mig_ids_equal(mig_ledger_read_versions(scope),
							mig_graph_ids(graph, rows)) ||
		!mig_ids_equal(mig_ledger_read_applied(scope),
							mig_graph_ids(graph, applied)))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("a migration script changed the version rows of migrate"),
				 errhint("Scripts must leave the tables of migrate alone.")));
}

/*
 * The same, for what can have happened in this session only: when writes, from
 * mig_ledger_count_writes in this transaction, is still the number, nothing
 * has.  So it does not cost more the more revisions there are.
 */
void
mig_record_check_unchanged_since(const Scope *scope, int64 writes,
								 const Graph *graph, const Bitmapset *rows)
{
	if (writes < 0 || writes != mig_ledger_count_writes())
		mig_record_check_unchanged(scope, graph, rows);
}

/*
 * Take one step in rows, which grow in their own memory context, and write it
 * as done: version rows, heads when they are not known, applied, log.  The
 * version rows must be those of rows.  checksum is that of the upgrade script;
 * NULL: what applied says.  Returns the ids of the rows after it, allocated in
 * context.  MG007 when the revision or a version row is gone.
 */
List *
mig_record_step(const Scope *scope, PlanRows *rows, int node,
				MigDirection direction, const char *checksum, TimestampTz started_at, int64 duration, const char *role)
{
	const char *revision = rows->graph->nodes[node].revision;
	char	   *applied_as;
	LedgerStep step;
	MemoryContext old;

	mig_scope_by_key();
	step.operation = mig_direction_name(direction);
	step.revision = revision;
	step.versions_before = mig_graph_ids(rows->graph, rows->rows);
	take_step(rows, node, direction);
	old = MemoryContextSwitchTo(scope->context);
	step.versions_after = mig_graph_ids(rows->graph, rows->rows);
	MemoryContextSwitchTo(old);
	step.started_at = started_at;
	step.duration = duration;

	remember_heads(scope, rows->graph);
	mig_ledger_change_versions(scope, step.versions_before, step.versions_after);
	if (direction == MIG_UPGRADE)
		applied_as = mig_ledger_add_one_upgraded(scope, revision,
												 GetCurrentTimestamp());
	else
		applied_as = mig_ledger_remove_one_applied(scope, revision);
	step.checksum = checksum != NULL ? checksum : applied_as;
	mig_ledger_add_one_log(scope, &step, role);
	return step.versions_after;
}

/*
 * Write all steps of a plan (node numbers) as done, each with what done holds
 * for it.  rows are those before the first one, and become those after the
 * last one.  MG007 when a revision that was applied is gone.
 */
void
mig_record_plan(const Scope *scope, PlanRows *rows, List *plan,
				MigDirection direction, const RecordDone *done, const char *role)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext chunk = AllocSetContextCreate(outer, "migrate records",
												ALLOCSET_DEFAULT_SIZES);
	TimestampTz now = GetCurrentTimestamp();
	int			n = list_length(plan);

	if (direction == MIG_UPGRADE)
		mig_revisions_check_there(scope, rows->graph,
								  mig_graph_plan_ids(rows->graph, plan, 0, n));
	else
		mig_ledger_remove_applied(scope, mig_graph_plan_ids(rows->graph, plan, 0, n));
	for (int from = 0; from < n; from += WRITE_AHEAD)
	{
		int			to = Min(from + WRITE_AHEAD, n);

		MemoryContextSwitchTo(chunk);
		write_log(scope, rows, plan, from, to, direction, done, role);
		if (direction == MIG_UPGRADE)
			mig_ledger_add_upgraded(scope,
									mig_graph_plan_ids(rows->graph, plan, from,
													   to), checksums_of(done,
																		 from, to), now);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(chunk);
	}
	MemoryContextDelete(chunk);
	remember_heads(scope, rows->graph);
	mig_ledger_set_versions(scope, mig_graph_ids(rows->graph, rows->rows));
}

/*
 * Write the log rows of steps from (from 0) up to, not including, to, and take
 * them in rows.
 */
static void
write_log(const Scope *scope, PlanRows *rows, List *plan, int from, int to,
		  MigDirection direction,
		  const RecordDone *done, const char *role)
{
	List	   *before = mig_graph_ids(rows->graph, rows->rows);
	List	   *steps = NIL;

	for (int i = from; i < to; i++)
	{
		LedgerStep *step = palloc(sizeof(LedgerStep));
		int			node = list_nth_int(plan, i);

		take_step(rows, node, direction);
		step->operation = mig_direction_name(direction);
		step->revision = rows->graph->nodes[node].revision;
		step->checksum = done[i].checksum;
		step->versions_before = before;
		step->versions_after = before = mig_graph_ids(rows->graph, rows->rows);
		step->started_at = done[i].started_at;
		step->duration = done[i].duration;
		steps = lappend(steps, step);
	}
	mig_ledger_add_log(scope, steps, role);
}

/*
 * Checksums (char *) of the steps from up to, not including, to.
 */
static List *
checksums_of(const RecordDone *done, int from, int to)
{
	List	   *checksums = NIL;

	for (int i = from; i < to; i++)
	{
		const char *checksum = done[i].checksum;

		checksums = lappend(checksums, unconstify(char *, checksum));
	}
	return checksums;
}

/*
 * Write down the heads, unless they are known or a script changed the graph.
 */
static void
remember_heads(const Scope *scope, const Graph *graph)
{
	if (graph->changes == mig_heads_graph_changes())
		mig_heads_remember(scope, graph);
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
