/*
 * stepwise.c
 *		Moving, committed revision by revision: upgrade_stepwise and
 *		downgrade_stepwise.
 *
 * 1. Read and plan; when nothing is missing, that is all.
 * 2. Commit, to have no snapshot any more, and take the run lock for the
 *    session: one that waits for it with a snapshot would keep the concurrent
 *    index builds of the run before it from ending.
 * 3. Plan again, and check what can be checked.
 * 4. Each revision: a transactional script runs in one transaction with its
 *    record (stepwise/retry tries it again when locks are in the way), another
 *    one piece by piece (stepwise/units).
 *
 * An error leaves what was committed, and another call resumes from there.
 * Whatever way it ends, the lock is released and the session's settings are as
 * they were.
 *
 * Memory: what lasts as long as the call is in a context of the CALL's own
 * portal, which commits and rollbacks leave alone.
 */
#include "migrate.h"

#include "access/xact.h"
#include "compat.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "revision/plan.h"
#include "run/execute.h"
#include "run/report.h"
#include "run/session.h"
#include "sql.h"
#include "stepwise/intent.h"
#include "stepwise/progress.h"
#include "stepwise/retry.h"
#include "stepwise/units.h"
#include "storage/proc.h"
#include "store/ledger.h"
#include "store/lock.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/verify.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(migrate_upgrade_stepwise);
PG_FUNCTION_INFO_V1(migrate_downgrade_stepwise);

/* A run. */
typedef struct Stepwise
{
	MigDirection direction;
	const char *target;
	const char *function;		/* for messages */
	LedgerActor actor;
	TimestampTz start;
	MemoryContext context;		/* as long as the run */
	MemoryContext step_context;
	Graph	   *graph;
	PlanRows   *rows;			/* as they are recorded */
	bool		is_first;		/* there was none before, and no incomplete script */
	List	   *plan;			/* of node numbers */
	SessionSettings *settings;	/* to be restored, or NULL */
} Stepwise;

/* A step of it. */
typedef struct Step
{
	Stepwise   *run;
	int			number;			/* from 0 */
	int			node;
	ExecuteScript script;
	const char *checksum;
	TimestampTz started_at;
	bool		transactional;
	int64		writes;			/* to our tables, before the script; -1: not known,
								 * because it runs in several transactions */
	bool		taken;			/* in run->rows */
} Step;

static void run_stepwise(FunctionCallInfo fcinfo, MigDirection direction,
						 const char *function);
static void check_call(FunctionCallInfo fcinfo, const char *function);
static bool make_plan(Stepwise *run, bool locked);
static void leave_snapshot(void);
static void run_plan(Stepwise *run);
static void begin_run(const Attempt *attempt);
static void run_step(Stepwise *run, int number);
static StoredScript *read_script(const Stepwise *run, const char *revision);
static void run_transaction(const Attempt *attempt);
static void record_step(void *arg, TimestampTz started_at);
static Running running(const Stepwise *run, int number);
static void clean_up(Stepwise *run);

/*
 * Implement migrate.upgrade_stepwise(target). Errors: as run_stepwise.
 */
Datum
migrate_upgrade_stepwise(PG_FUNCTION_ARGS)
{
	run_stepwise(fcinfo, MIG_UPGRADE, "migrate.upgrade_stepwise()");
	PG_RETURN_VOID();
}

/*
 * Implement migrate.downgrade_stepwise(target). Errors: as run_stepwise.
 */
Datum
migrate_downgrade_stepwise(PG_FUNCTION_ARGS)
{
	run_stepwise(fcinfo, MIG_DOWNGRADE, "migrate.downgrade_stepwise()");
	PG_RETURN_VOID();
}

/*
 * Run a plan step by step. Errors: 25001 where we may not commit, 55000 in a
 * script, those of make_plan and mig_lock_hold, and those that the scripts
 * raise.
 */
static void
run_stepwise(FunctionCallInfo fcinfo, MigDirection direction, const char *function)
{
	Stepwise	run;
	const char *at;

	memset(&run, 0, sizeof(run));
	run.direction = direction;
	run.target = mig_sql_text_arg(fcinfo, 0, "target");
	run.function = function;
	run.start = GetCurrentTimestamp();
	run.context = AllocSetContextCreate(CurrentMemoryContext, "migrate stepwise",
										ALLOCSET_DEFAULT_SIZES);
	run.step_context = AllocSetContextCreate(run.context, "migrate step",
											 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(run.context);
	mig_scope_refuse_in_script(function);
	check_call(fcinfo, function);
	mig_verify_place();
	run.actor = mig_ledger_actor();
	at = direction == MIG_UPGRADE ? mig_position_at_heads(run.target) : NULL;
	if (at != NULL)
		mig_report_nothing_to_do(at);
	if (at != NULL || !make_plan(&run, false))
		return;

	leave_snapshot();
	PG_TRY();
	{
		mig_lock_hold(function);
		if (make_plan(&run, true))
			run_plan(&run);
	}
	PG_CATCH();
	{
		ErrorData  *error = mig_retry_roll_back(run.context);

		clean_up(&run);
		ReThrowError(error);
	}
	PG_END_TRY();
	clean_up(&run);
}

/*
 * 25001 unless we may commit.
 */
static void
check_call(FunctionCallInfo fcinfo, const char *function)
{
	const CallContext *call = (const CallContext *) fcinfo->context;

	if (call == NULL || !IsA(call, CallContext) || call->atomic ||
		IsTransactionBlock() || IsSubTransaction() || mig_in_pipeline() ||
		SPI_inside_nonatomic_context())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block, function or procedure",
						function),
				 errdetail("It commits revision by revision."),
				 errhint("CALL it by itself, outside of BEGIN ... COMMIT; a client that begins transactions by itself has to be set to autocommit.")));
}

/*
 * Read the position and make the plan for it.  Returns false when there is
 * nothing to do, and tells it.  Without the lock another run may be under way:
 * then nothing is refused, and a plan is only a reason to wait.
 */
static bool
make_plan(Stepwise *run, bool locked)
{
	Position	position = mig_position_read(false);

	run->graph = position.graph;
	run->rows = mig_plan_rows_begin(position.graph, position.rows);
	run->is_first = bms_is_empty(position.rows) && !mig_partial_exists();
	run->plan = run->direction == MIG_UPGRADE ?
		mig_plan_upgrade(position.graph, position.rows, run->target) :
		mig_plan_downgrade(position.graph, position.rows, run->target);
	if (locked)
		mig_verify_plan(run->direction, position.graph, position.rows, run->plan,
						run->target, true);
	else if (mig_partial_exists() && mig_lock_stepwise_pid() == 0)
		return true;
	if (run->plan != NIL)
		return true;
	mig_report_incomplete();
	mig_report_no_revisions(position.graph);
	mig_report_nothing_to_do(mig_position_describe(position.graph, position.rows));
	return false;
}

/*
 * Commit, and begin a transaction that has no snapshot.  The first commit goes
 * through SPI, which takes care of the snapshot that the CALL's portal holds.
 */
static void
leave_snapshot(void)
{
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	SPI_commit();
	SPI_start_transaction();
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

/*
 * Run the steps of the plan.
 */
static void
run_plan(Stepwise *run)
{
	int			n = list_length(run->plan);
	ExecuteScript nothing = {.revision = run->graph->nodes[linitial_int(run->plan)].revision,
	.direction = run->direction};

	mig_retry_run(&nothing, begin_run, run);
	for (int i = 0; i < n; i++)
	{
		MemoryContextSwitchTo(run->step_context);
		run_step(run, i);
		MemoryContextSwitchTo(run->context);
		MemoryContextReset(run->step_context);
	}
	mig_report_end(run->direction, run->target, n, run->start);
}

/*
 * Write that a run begins; the body of an attempt.
 */
static void
begin_run(const Attempt *attempt)
{
	Running		first = running(mig_retry_argument(attempt), 0);
	Scope		scope;

	mig_scope_enter(&scope);
	mig_progress_begin(&scope, &first);
	mig_scope_leave(&scope);
}

/*
 * Run step number (from 0) of the plan.
 */
static void
run_step(Stepwise *run, int number)
{
	Step	   *step = palloc0(sizeof(Step));
	int			node = list_nth_int(run->plan, number);
	const GraphNode *self = &run->graph->nodes[node];
	StoredScript *stored;

	step->run = run;
	step->number = number;
	step->node = node;
	step->started_at = GetCurrentTimestamp();
	stored = read_script(run, self->revision);
	step->checksum = stored->checksum;
	step->transactional = stored->transactional;
	step->writes = -1;
	step->script.revision = self->revision;
	step->script.direction = run->direction;
	step->script.sql = stored->sql;
	step->script.file_name = stored->file_name;
	step->script.first_line = stored->line;
	step->script.is_first = run->is_first && number == 0;
	step->script.stepwise = true;
	step->script.by_units = !stored->transactional;
	step->script.after = mig_intent_check_result;
	step->script.statement_timeout = StatementTimeout;
	step->script.progress = psprintf("%s %d/%d %s",
									 mig_direction_name(run->direction),
									 number + 1, list_length(run->plan), self->revision);

	mig_report_step(run->direction, run->graph, self, stored->message);
	mig_report_empty_script(run->direction, self, stored->sql);
	if (stored->transactional)
		mig_retry_run(&step->script, run_transaction, step);
	else
		mig_units_run(&step->script, record_step, step, &run->settings);
}

/*
 * Return the script of a revision, in the current memory context.
 */
static StoredScript *
read_script(const Stepwise *run, const char *revision)
{
	StoredScript *script;
	Scope		scope;

	mig_scope_enter(&scope);
	mig_scope_by_key();
	script = mig_revisions_read_script(&scope, revision, run->direction);
	mig_scope_leave(&scope);
	if (script == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("revision \"%s\" was changed while migrations ran",
						revision)));
	return script;
}

/*
 * A transactional revision; the body of an attempt.
 */
static void
run_transaction(const Attempt *attempt)
{
	Step	   *step = mig_retry_argument(attempt);

	step->writes = mig_ledger_count_writes();
	mig_execute_script(&step->script);
	record_step(step, step->started_at);
}

/*
 * Write that a step is done, in the transaction that did it, or its last part.
 * When that is rolled back and done again, this is too.
 */
static void
record_step(void *arg, TimestampTz started_at)
{
	Step	   *step = arg;
	Stepwise   *run = step->run;
	MemoryContext context = CurrentMemoryContext;
	Running		next;
	Scope		scope;

	if (step->taken)
	{
		MemoryContextSwitchTo(GetMemoryChunkContext(run->rows));
		mig_plan_rows_step(run->rows, step->node, run->direction == MIG_UPGRADE ?
						   MIG_DOWNGRADE : MIG_UPGRADE);
		MemoryContextSwitchTo(context);
		step->taken = false;
	}
	mig_lock_check_held();
	mig_scope_enter(&scope);
	mig_ledger_check_unchanged_since(&scope, step->writes, run->graph,
									 run->rows->rows);
	if (!step->transactional)
		mig_partial_remove(&scope, step->script.revision);
	step->taken = true;
	mig_ledger_record_step(&scope, run->rows, step->node, run->direction,
						   step->checksum, started_at,
						   GetCurrentTimestamp() - started_at, &run->actor);
	if (step->number + 1 == list_length(run->plan))
		mig_progress_end(&scope);
	else
	{
		next = running(run, step->number + 1);
		mig_progress_next(&scope, &next);
	}
	mig_scope_leave(&scope);
}

/*
 * Return what migrate.progress is to show when step number (from 0) begins.
 */
static Running
running(const Stepwise *run, int number)
{
	Running		now;

	now.direction = run->direction;
	now.target = run->target;
	now.revision = run->graph->nodes[list_nth_int(run->plan, number)].revision;
	now.step = number + 1;
	now.steps = list_length(run->plan);
	now.started_at = run->start;
	return now;
}

/*
 * At the end of a run, however it came: release the lock, and have the session
 * as it was.  With an error under way the transaction is a new one; settings
 * that are restored must be committed, or the error would undo it.
 */
static void
clean_up(Stepwise *run)
{
	mig_lock_release();
	mig_execute_end_activity();
	if (run->settings != NULL)
	{
		mig_session_restore(run->settings);
		run->settings = NULL;
		CommitTransactionCommand();
		StartTransactionCommand();
	}
	MemoryContextSwitchTo(run->context);
}
