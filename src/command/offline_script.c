/*
 * offline_script.c
 *		What a script for psql (command/offline) calls while it runs.
 *
 * migrate.begin_script() takes the run lock, refuses a database in another
 * state, and remembers what the session has set and which scripts are run.
 * migrate.record() restores these settings, as a mover does when a script ends,
 * and records one step.
 */
#include "migrate.h"

#include "access/xact.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/plan.h"
#include "revision/revision.h"
#include "run/deferred.h"
#include "run/execute.h"
#include "run/session.h"
#include "sql.h"
#include "store/heads.h"
#include "store/ledger.h"
#include "store/lock.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/verify.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * The script that this session runs.  It outlives transactions, because a
 * script that is not transactional does; all but the memory is only looked at
 * in a transaction that has called migrate.begin_script().
 */
typedef struct ScriptRun
{
	MemoryContext context;		/* NULL: none yet */
	bool		in_transaction; /* begun, or resumed, in this one */
	SubTransactionId subtransaction;	/* and in this part of it */
	bool		resumed;		/* this transaction is not the script's first */
	PlanRows   *rows;			/* where the last step of this transaction led;
								 * NULL when it must be read */
	PlanRows   *left;			/* where the transaction before led, likewise */
	MemoryContext rows_context; /* of rows and left, when it outlives transactions */
	int64		writes;			/* as many as there were then */
	TimestampTz mark;			/* when the last step was recorded */
	SessionSettings *settings;	/* of the session, before the script */
	List	   *steps;			/* ScriptDigest *: what this transaction is to run */
} ScriptRun;

static ScriptRun run;

PG_FUNCTION_INFO_V1(migrate_begin_script);
PG_FUNCTION_INFO_V1(migrate_record);

static MigDirection direction_arg(FunctionCallInfo fcinfo, int n);
static List *steps_arg(FunctionCallInfo fcinfo, int n);
static void check_start(const Position *position, List *versions, List *steps,
						MigDirection direction, bool resume);
static const char *hint_of_start(const Graph *graph, const Bitmapset *applied,
								 List *steps, MigDirection direction, bool resume);
static void check_digests(const Graph *graph, List *steps, MigDirection direction);
static int	find_revision(const Graph *graph, const char *revision);
static PlanRows *find_left(List *steps, MigDirection direction);
static void begin_run(bool resume);
static void remember_steps(List *steps);
static const char *checksum_of(const char *revision);
static void end_of_transaction(void *arg);
static void end_of_subtransaction(SubXactEvent event, SubTransactionId self,
								  SubTransactionId parent, void *arg);
static void end_script(const char *revision, MigDirection direction);
static PlanRows *find_rows(int64 writes);
static MemoryContext rows_context(void);
static bool are_current(const PlanRows *rows, int64 writes);
static void check_step(const PlanRows *rows, int node, MigDirection direction);
static bool all_are(const PlanRows *rows, const GraphLinks *links, bool applied);
static Bitmapset *find_between(const PlanRows *rows, int node,
							   MigDirection direction);
static List *record_step(PlanRows *rows, int node, MigDirection direction);

/* Argument n: 22023 unless "upgrade" or "downgrade". */
static MigDirection
direction_arg(FunctionCallInfo fcinfo, int n)
{
	const char *operation = mig_sql_text_arg(fcinfo, n, "operation");

	if (strcmp(operation, mig_direction_name(MIG_UPGRADE)) == 0)
		return MIG_UPGRADE;
	if (strcmp(operation, mig_direction_name(MIG_DOWNGRADE)) == 0)
		return MIG_DOWNGRADE;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid operation: \"%s\"", operation),
			 errhint("Operations are \"upgrade\" and \"downgrade\".")));
}

/*
 * MG005 unless the version rows are versions (char *).  steps (ScriptDigest *) and
 * resume are for the hint.
 */
static void
check_start(const Position *position, List *versions, List *steps,
			MigDirection direction, bool resume)
{
	const Graph *graph = position->graph;
	List	   *rows = mig_graph_ids(graph, position->rows);

	mig_ids_sort(versions);
	if (mig_ids_equal(versions, rows))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
			 resume ?
			 errmsg("this part of the script does not start from the current revisions") :
			 errmsg("this script does not start from the current revisions"),
			 errdetail("It starts from %s; the current revisions are: %s.",
					   versions == NIL ? "base" : mig_ids_quote(versions),
					   rows == NIL ? "none" : mig_ids_quote(rows)),
			 errhint("%s", hint_of_start(graph,
										 mig_graph_ancestors(graph, position->rows, GRAPH_REAL),
										 steps, direction, resume))));
}

/*
 * Return what to do with a script that does not start from the current revisions,
 * by how many of its steps (ScriptDigest *) are done: all, the first ones because a
 * later one failed, or others.
 */
static const char *
hint_of_start(const Graph *graph, const Bitmapset *applied, List *steps,
			  MigDirection direction, bool resume)
{
	const char *function = direction == MIG_UPGRADE ? "migrate.upgrade_sql()" :
		"migrate.downgrade_sql()";
	int			n = list_length(steps);
	int			done = 0;
	int			first = 0;		/* of those, before one that is not */
	ListCell   *lc;

	foreach(lc, steps)
	{
		int			node = mig_graph_find_id(graph,
											 ((ScriptDigest *) lfirst(lc))->revision);

		if ((node >= 0 && bms_is_member(node, applied)) != (direction == MIG_UPGRADE))
			continue;
		first += (done == foreach_current_index(lc));
		done++;
	}
	if (resume && done == 0)
		return psprintf("A revision before it failed, or has not run. What was recorded stays; make a script of the rest, with %s.",
						function);
	if (n > 0 && done == n)
		return "What the script does is done already.";
	if (done > 0 && done == first)
		return psprintf("The first %d of its %d revisions are done, up to \"%s\". Make a script of the rest, with %s.",
						done, n, ((ScriptDigest *) list_nth(steps, done - 1))->revision,
						function);
	return "Make the script again, with migrate.upgrade_sql() or migrate.downgrade_sql().";
}

/*
 * MG007 unless the scripts of steps (ScriptDigest *) are what they were;
 * MG001 when a revision is not there.
 */
static void
check_digests(const Graph *graph, List *steps, MigDirection direction)
{
	List	   *ids = NIL;
	List	   *stored;
	Scope		scope;
	ListCell   *lc;
	ListCell   *now;

	foreach(lc, steps)
	{
		ids = lappend(ids, ((ScriptDigest *) lfirst(lc))->revision);
		(void) find_revision(graph, llast(ids));
	}
	mig_scope_enter(&scope);
	stored = mig_revisions_read_digests(&scope, ids, direction);
	mig_scope_leave(&scope);
	forboth(lc, steps, now, stored)
	{
		const ScriptDigest *step = lfirst(lc);
		const char *digest = ((ScriptDigest *) lfirst(now))->digest;

		if (digest == NULL || strcmp(step->digest, digest) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_CHANGED),
					 errmsg("revision \"%s\" was changed after this script was made",
							step->revision),
					 errhint("Make the script again, with migrate.upgrade_sql() or migrate.downgrade_sql().")));
	}
}

/*
 * Return the node of an id, no prefix and no label. MG001 when there is none.
 */
static int
find_revision(const Graph *graph, const char *revision)
{
	int			node = mig_graph_find_id(graph, revision);

	if (node < 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NO_SUCH_REVISION),
				 errmsg("can't locate revision identified by \"%s\"",
						mig_revision_clip(revision)),
				 errhint("Load its revision file first; the id must be given in full.")));
	return node;
}

/*
 * Return where the transaction before led, if all that is there is what that left:
 * it was not rolled back, this session has not changed the graph, and only steps
 * (ScriptDigest *) that are transactional are to be recorded, so that nothing was
 * run in between.  Nobody else can have written anything while we hold the lock.
 * Otherwise NULL.
 */
static PlanRows *
find_left(List *steps, MigDirection direction)
{
	PlanRows   *left = run.left;
	List	   *ids = NIL;
	bool		same;
	Scope		scope;
	ListCell   *lc;

	if (left == NULL || left->graph->changes != mig_heads_graph_changes())
		return NULL;
	foreach(lc, steps)
		ids = lappend(ids, ((ScriptDigest *) lfirst(lc))->revision);
	mig_scope_enter(&scope);
	mig_scope_by_key();
	same = mig_ids_equal(mig_ledger_read_versions(&scope),
						 mig_graph_ids(left->graph, left->rows));
	foreach(lc, mig_revisions_read_digests(&scope, ids, direction))
		same &= ((ScriptDigest *) lfirst(lc))->transactional;
	mig_scope_leave(&scope);
	return same ? left : NULL;
}

/*
 * Note that this transaction runs a script, what the session has set, and the
 * time.  With resume what was remembered stays, so that a revision that was
 * run outside of a transaction is not remembered as the session's own.
 */
static void
begin_run(bool resume)
{
	static bool registered = false;
	MemoryContextCallback *callback;

	if (!resume || run.context == NULL)
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
													  "migrate script run",
													  ALLOCSET_SMALL_SIZES);
		SessionSettings *settings = mig_session_remember(context);

		MemoryContextSetParent(context, TopMemoryContext);
		if (run.context != NULL)
			MemoryContextDelete(run.context);
		run.context = context;
		run.rows_context = NULL;
		run.left = NULL;
		run.settings = settings;
		run.mark = GetCurrentTimestamp();
	}

	callback = MemoryContextAlloc(TopTransactionContext,
								  sizeof(MemoryContextCallback));
	callback->func = end_of_transaction;
	callback->arg = &run;
	MemoryContextRegisterResetCallback(TopTransactionContext, callback);
	mig_deferred_begin();
	run.in_transaction = true;
	run.resumed = resume;
	run.writes = -1;
	run.subtransaction = GetCurrentSubTransactionId();
	if (!registered)
		RegisterSubXactCallback(end_of_subtransaction, NULL);
	registered = true;
}

/*
 * Remember the steps (ScriptDigest *) of a script, whose digests were those of
 * the stored scripts when it began.
 */
static void
remember_steps(List *steps)
{
	MemoryContext old = MemoryContextSwitchTo(run.context);
	ListCell   *lc;

	run.steps = NIL;
	foreach(lc, steps)
	{
		ScriptDigest *step = palloc(sizeof(ScriptDigest));

		step->revision = pstrdup(((ScriptDigest *) lfirst(lc))->revision);
		step->digest = pstrdup(((ScriptDigest *) lfirst(lc))->digest);
		run.steps = lappend(run.steps, step);
	}
	MemoryContextSwitchTo(old);
}

/*
 * Return the checksum of the script that was run for a revision, or NULL when it
 * is of no step of a script, but was recorded by hand.
 */
static const char *
checksum_of(const char *revision)
{
	ListCell   *lc;

	foreach(lc, run.steps)
		if (strcmp(((ScriptDigest *) lfirst(lc))->revision, revision) == 0)
			return ((ScriptDigest *) lfirst(lc))->digest;
	return NULL;
}

/*
 * Forget that a script has begun when the savepoint after which it did is rolled
 * back; a callback of subtransactions.
 */
static void
end_of_subtransaction(SubXactEvent event, SubTransactionId self,
					  SubTransactionId parent, void *arg)
{
	(void) arg;
	if (!run.in_transaction || run.subtransaction != self)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		run.subtransaction = parent;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		end_of_transaction(&run);
}

/*
 * Forget what belongs to the transaction; a callback of TopTransactionContext.
 */
static void
end_of_transaction(void *arg)
{
	ScriptRun  *ended = arg;

	ended->in_transaction = false;
	ended->left = ended->resumed ? ended->rows : NULL;
	ended->rows = NULL;
}

/*
 * End the script that was run for a step, as a mover does.
 */
static void
end_script(const char *revision, MigDirection direction)
{
	ExecuteScript script = {.revision = revision, .direction = direction};

	mig_session_restore(run.settings);
	mig_execute_end_script(&script);
}

/*
 * Return the version rows as a plan's steps change them, which brings the
 * graph.
 *
 * The first record of a transaction reads and checks all.  The next ones of a
 * script take what it left, if this session did not change the rows meanwhile,
 * nor the graph: nobody else can while we hold the lock.  writes are those
 * when the script's step ended.  In a subtransaction all is
 * read again, because it can be rolled back.
 */
static PlanRows *
find_rows(int64 writes)
{
	bool		keep = run.in_transaction && GetCurrentTransactionNestLevel() == 1;
	MemoryContext old = CurrentMemoryContext;
	Position	position;
	PlanRows   *rows;

	if (keep && run.rows != NULL && are_current(run.rows, writes))
		return run.rows;
	run.rows = NULL;
	if (keep)
		MemoryContextSwitchTo(rows_context());
	position = mig_verify_position();
	rows = mig_plan_rows_begin(position.graph, position.rows);
	if (keep)
		run.rows = rows;
	MemoryContextSwitchTo(old);
	return rows;
}

/*
 * Return a new memory context for where the next steps lead: until the end of the
 * transaction, or in a script that has several, until the script's end.
 */
static MemoryContext
rows_context(void)
{
	if (!run.resumed)
		return AllocSetContextCreate(TopTransactionContext, "migrate recorded rows",
									 ALLOCSET_DEFAULT_SIZES);
	run.left = NULL;
	if (run.rows_context != NULL)
		MemoryContextDelete(run.rows_context);
	run.rows_context = NULL;
	run.rows_context = AllocSetContextCreate(run.context, "migrate recorded rows",
											 ALLOCSET_DEFAULT_SIZES);
	return run.rows_context;
}

/*
 * Return whether rows, which the last step left, and the graph are what the
 * tables hold.
 */
static bool
are_current(const PlanRows *rows, int64 writes)
{
	List	   *versions;
	Scope		scope;

	if (rows->graph->changes != mig_heads_graph_changes())
		return false;
	if (writes >= 0 && writes == run.writes)
		return true;
	mig_scope_enter(&scope);
	versions = mig_ledger_read_versions(&scope);
	mig_scope_leave(&scope);
	return mig_ids_equal(versions, mig_graph_ids(rows->graph, rows->rows));
}

/*
 * MG005 unless the step is one that a mover could take from rows.
 */
static void
check_step(const PlanRows *rows, int node, MigDirection direction)
{
	const Graph *graph = rows->graph;
	const char *revision = graph->nodes[node].revision;
	const GraphNode *self = &graph->nodes[node];
	Bitmapset  *between;

	if (rows->applied[node] != (direction == MIG_DOWNGRADE))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 direction == MIG_UPGRADE ?
				 errmsg("revision \"%s\" is applied already", revision) :
				 errmsg("revision \"%s\" is not applied", revision),
				 errhint("SELECT migrate.current() shows the current revisions.")));

	/* what is applied has all that is below it applied */
	if (direction == MIG_UPGRADE ?
		all_are(rows, &self->down, true) && all_are(rows, &self->depends, true) :
		all_are(rows, &self->child, false) && all_are(rows, &self->dependent, false))
		return;
	between = find_between(rows, node, direction);
	ereport(ERROR,
			(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
			 errmsg("%s of revision \"%s\" is not the next step",
					mig_direction_name(direction), revision),
			 direction == MIG_UPGRADE ?
			 errdetail("Not applied yet below it: %s.",
					   mig_ids_quote(mig_graph_ids(graph, between))) :
			 errdetail("Applied above it: %s.",
					   mig_ids_quote(mig_graph_ids(graph, between))),
			 errhint("Record the steps one by one, in the order in which they were done.")));
}

/*
 * Return whether all of some nodes are applied, or none.
 */
static bool
all_are(const PlanRows *rows, const GraphLinks *links, bool applied)
{
	for (int k = 0; k < links->n; k++)
		if (rows->applied[links->to[k]] != applied)
			return false;
	return true;
}

/*
 * Return what must move before a node does: below it and not applied, or above
 * it and applied.
 */
static Bitmapset *
find_between(const PlanRows *rows, int node, MigDirection direction)
{
	Bitmapset  *self = bms_make_singleton(node);
	Bitmapset  *applied = mig_graph_ancestors(rows->graph, rows->rows, GRAPH_REAL);
	Bitmapset  *between = direction == MIG_UPGRADE ?
		bms_difference(mig_graph_ancestors(rows->graph, self, GRAPH_REAL), applied) :
		bms_intersect(mig_graph_descendants(rows->graph, self, GRAPH_REAL), applied);

	return bms_del_member(between, node);
}

/*
 * Write one step that is done, by the clock since the last one.  rows become
 * those after it; return their ids.
 */
static List *
record_step(PlanRows *rows, int node, MigDirection direction)
{
	LedgerActor actor = mig_ledger_actor();
	const char *checksum = run.in_transaction && direction == MIG_UPGRADE ?
		checksum_of(rows->graph->nodes[node].revision) : NULL;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz start = run.in_transaction ? run.mark : GetCurrentTransactionStartTimestamp();
	Scope		scope;

	mig_scope_enter(&scope);
	mig_ledger_record_step(&scope, rows, node, direction, checksum, start, now - start,
						   &actor);
	mig_scope_leave(&scope);
	run.mark = now;
	run.writes = mig_ledger_count_writes();
	return mig_graph_ids(rows->graph, rows->rows);
}

/*
 * Implement migrate.begin_script(operation, versions, steps, resume): begin a
 * transaction of an offline script.  To resume one, the session must still hold
 * the lock that it took before.  Errors: MG001, MG005, MG007, MG008, MG010, MG012.
 */
Datum
migrate_begin_script(PG_FUNCTION_ARGS)
{
	MigDirection direction = direction_arg(fcinfo, 0);
	List	   *versions = mig_sql_array_arg(fcinfo, 1, "versions");
	List	   *steps = steps_arg(fcinfo, 2);
	bool		resume = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	PlanRows   *left = NULL;
	Position	position;

	mig_position_begin_write("migrate.begin_script()");
	/* what was run outside of a transaction could have dropped it */
	if (resume)
	{
		mig_lock_check_held();
		left = find_left(steps, direction);
	}
	if (left != NULL)
	{
		position.graph = unconstify(Graph *, left->graph);
		position.rows = left->rows;
	}
	else
		position = mig_verify_position();
	mig_partial_refuse(mig_partial_read_all());
	check_start(&position, versions, steps, direction, resume);
	check_digests(position.graph, steps, direction);
	begin_run(resume);
	run.rows = left;
	remember_steps(steps);
	PG_RETURN_VOID();
}

/*
 * Argument n, an array of pairs, as a list of ScriptDigest *.
 */
static List *
steps_arg(FunctionCallInfo fcinfo, int n)
{
	List	   *strings = mig_sql_array_arg(fcinfo, n, "steps");
	List	   *steps = NIL;

	if (list_length(strings) % 2 != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("steps must be pairs of revision and checksum")));
	for (int i = 0; i < list_length(strings); i += 2)
	{
		ScriptDigest *step = palloc0(sizeof(ScriptDigest));

		step->revision = list_nth(strings, i);
		step->digest = list_nth(strings, i + 1);
		steps = lappend(steps, step);
	}
	return steps;
}

/*
 * Implement migrate.record(operation, revision): record one step that was done.
 * Settings are restored first, so that the log names the caller.  Errors: MG001,
 * MG005, MG007, MG010, MG012.
 */
Datum
migrate_record(PG_FUNCTION_ARGS)
{
	MigDirection direction = direction_arg(fcinfo, 0);
	char	   *revision = mig_sql_text_arg(fcinfo, 1, "revision");
	PlanRows   *rows;
	int64		writes;
	int			node;

	mig_position_begin_write("migrate.record()");
	/* with the settings of the script: it may have turned counting off */
	writes = mig_ledger_count_writes();
	if (run.in_transaction)
		end_script(revision, direction);
	/* deferred triggers of the script count as well */
	if (writes >= 0)
		writes = mig_ledger_count_writes();
	rows = find_rows(writes);
	node = find_revision(rows->graph, revision);
	check_step(rows, node, direction);
	mig_partial_discard(revision);
	return mig_sql_ids(fcinfo, record_step(rows, node, direction));
}
