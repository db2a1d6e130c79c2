/*
 * upgrade.c
 *		Moving: a plan run in the caller's transaction.
 *
 * 1. Read graph and version rows without a lock; when nothing is missing,
 *    that is all.
 * 2. Take the run lock.  Unless nothing was committed since then, read again,
 *    plan again: the last holder of the lock may have done the work.
 * 3. Check what can be checked before anything runs: no applied revision was
 *    edited (MG007), every script of the plan is there (MG006) and
 *    transactional (MG008).
 * 4. Run the scripts as the caller, one after the other.
 * 5. Record all steps together: version rows, applied, log.  Nobody can see
 *    our tables between steps but the scripts themselves, which find the
 *    position from before the run.
 *
 * An error anywhere leaves nothing, because all of it is one transaction.
 */
#include "migrate.h"

#include "access/xact.h"
#include "command/upgrade.h"
#include "miscadmin.h"
#include "revision/graph.h"
#include "revision/plan.h"
#include "run/deferred.h"
#include "run/execute.h"
#include "run/report.h"
#include "sql.h"
#include "storage/proc.h"
#include "store/ledger.h"
#include "store/lock.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/verify.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Scripts are read this many at a time. */
#define READ_AHEAD 64

/* A move under way. */
typedef struct Move
{
	MigDirection direction;
	const char *target;
	MemoryContext context;		/* of what make_plan makes; NULL: not yet */
	PositionSeen seen;			/* of what the plan was made */
	Graph	   *graph;
	Bitmapset  *rows;			/* before the first step */
	List	   *plan;			/* of node numbers */
	LedgerDone *done;			/* one a step */
	LedgerActor actor;
} Move;

PG_FUNCTION_INFO_V1(migrate_upgrade);
PG_FUNCTION_INFO_V1(migrate_downgrade);
PG_FUNCTION_INFO_V1(migrate_refuse_number);

static void make_plan(Move *move);
static void run_plan(Move *move);
static List *read_ahead(const Move *move, int number);
static void run_step(Move *move, int number, StoredScript *stored);
static void record_plan(const Move *move);

/*
 * Upgrade or downgrade to target; function names the SQL function for errors.
 * Returns the ids moved, in order, in the current memory context.  Errors: as
 * the comments of the SQL functions say.
 */
List *
mig_upgrade_run(MigDirection direction, const char *target, const char *function)
{
	TimestampTz start = GetCurrentTimestamp();
	Move		move = {.direction = direction, .target = target};
	List	   *moved;
	const char *at;

	mig_scope_refuse_in_script(function);
	mig_verify_place();
	move.actor = mig_ledger_actor();
	at = direction == MIG_UPGRADE ? mig_position_at_heads(target) : NULL;
	if (at != NULL)
	{
		mig_report_nothing_to_do(at);
		return NIL;
	}
	make_plan(&move);
	/* an unfinished script may be one that is running just now */
	if (move.plan != NIL ||
		(mig_partial_exists() && mig_lock_stepwise_pid() == 0))
	{
		mig_position_begin_write(function);
		if (!mig_position_is_unchanged(&move.seen))
			make_plan(&move);
		mig_verify_plan(direction, move.graph, move.rows, move.plan, target, false);
	}
	if (move.plan == NIL)
	{
		mig_report_no_revisions(move.graph);
		mig_report_nothing_to_do(mig_position_describe(move.graph, move.rows));
		return NIL;
	}

	PG_TRY();
	{
		run_plan(&move);
	}
	PG_FINALLY();
	{
		mig_execute_end_activity();
	}
	PG_END_TRY();
	record_plan(&move);

	moved = mig_graph_plan_ids(move.graph, move.plan, 0, list_length(move.plan));
	mig_report_end(direction, target, list_length(moved), start);
	return moved;
}

/*
 * Read the position and make the plan for it.  A plan from before is freed.
 */
static void
make_plan(Move *move)
{
	MemoryContext outer = CurrentMemoryContext;
	Position	position;

	if (move->context != NULL)
		MemoryContextReset(move->context);
	else
		move->context = AllocSetContextCreate(outer, "migrate plan",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(move->context);
	position = mig_position_read_seen(&move->seen);
	mig_position_check_snapshot();
	move->graph = position.graph;
	move->rows = position.rows;
	move->plan = move->direction == MIG_UPGRADE ?
		mig_plan_upgrade(move->graph, move->rows, move->target) :
		mig_plan_downgrade(move->graph, move->rows, move->target);
	MemoryContextSwitchTo(outer);
}

/*
 * Run the scripts of the plan.  What a step allocates is freed before the
 * next, what was read ahead with the last of them.
 */
static void
run_plan(Move *move)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext ahead = AllocSetContextCreate(outer, "migrate scripts",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext step = AllocSetContextCreate(outer, "migrate step",
											   ALLOCSET_DEFAULT_SIZES);
	List	   *scripts = NIL;
	int			n = list_length(move->plan);

	mig_deferred_begin();
	/* zeroed, so that memory does not grow while scripts run */
	move->done = palloc_extended(n * sizeof(LedgerDone),
								 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < n; i++)
	{
		if (i % READ_AHEAD == 0)
		{
			MemoryContextReset(ahead);
			MemoryContextSwitchTo(ahead);
			scripts = read_ahead(move, i);
		}
		MemoryContextSwitchTo(step);
		run_step(move, i, list_nth(scripts, i % READ_AHEAD));
		MemoryContextSwitchTo(outer);
		MemoryContextReset(step);
	}
	MemoryContextDelete(step);
	MemoryContextDelete(ahead);
}

/*
 * Return the next READ_AHEAD scripts of the plan, from step number (from 0) on,
 * in the current memory context.
 */
static List *
read_ahead(const Move *move, int number)
{
	List	   *ids = mig_graph_plan_ids(move->graph, move->plan, number,
										 number + READ_AHEAD);
	List	   *scripts;
	Scope		scope;

	mig_scope_enter(&scope);
	scripts = mig_revisions_read_scripts(&scope, ids, move->direction);
	mig_scope_leave(&scope);
	if (list_length(scripts) != list_length(ids))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("a revision was dropped while migrations ran")));
	return scripts;
}

/*
 * Run one script, step number (from 0) of the plan.
 */
static void
run_step(Move *move, int number, StoredScript *stored)
{
	const GraphNode *self = &move->graph->nodes[list_nth_int(move->plan, number)];
	ExecuteScript script = {.revision = self->revision, .direction = move->direction,
	.statement_timeout = StatementTimeout};
	LedgerDone *done = &move->done[number];
	Scope		scope;

	done->started_at = GetCurrentTimestamp();
	if (stored->is_long)
	{
		mig_scope_enter(&scope);
		stored = mig_revisions_read_script(&scope, self->revision, move->direction);
		mig_scope_leave(&scope);
	}
	if (stored == NULL || stored->sql == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("revision \"%s\" was changed while migrations ran",
						self->revision)));
	script.sql = stored->sql;
	script.file_name = stored->file_name;
	script.first_line = stored->line;
	strlcpy(done->checksum, stored->checksum, sizeof(done->checksum));

	mig_report_step(move->direction, move->graph, self, stored->message);
	mig_report_empty_script(move->direction, self, stored->sql);
	script.is_first = number == 0 && bms_is_empty(move->rows);
	script.follows = number > 0;
	script.progress = psprintf("%s %d/%d %s",
							   mig_direction_name(move->direction),
							   number + 1, list_length(move->plan), self->revision);
	mig_execute_script(&script);
	done->duration = GetCurrentTimestamp() - done->started_at;
}

/*
 * Write the version rows, what is applied, and a log row for each step.
 */
static void
record_plan(const Move *move)
{
	Scope		scope;

	mig_scope_enter(&scope);
	mig_ledger_check_unchanged(&scope, move->graph, move->rows);
	mig_ledger_record_plan(&scope, mig_plan_rows_begin(move->graph, move->rows),
						   move->plan, move->direction, move->done, &move->actor);
	mig_scope_leave(&scope);
}

/*
 * Implement migrate.upgrade(target). Errors: as mig_upgrade_run.
 */
Datum
migrate_upgrade(PG_FUNCTION_ARGS)
{
	return mig_sql_ids(fcinfo,
						  mig_upgrade_run(MIG_UPGRADE,
										  mig_sql_text_arg(fcinfo, 0, "target"),
										  "migrate.upgrade()"));
}

/*
 * Implement migrate.downgrade(target). Errors: as mig_upgrade_run.
 */
Datum
migrate_downgrade(PG_FUNCTION_ARGS)
{
	return mig_sql_ids(fcinfo,
						  mig_upgrade_run(MIG_DOWNGRADE,
										  mig_sql_text_arg(fcinfo, 0, "target"),
										  "migrate.downgrade()"));
}

/*
 * Implement migrate.upgrade(integer) and migrate.downgrade(integer), which only say
 * that an identifier is meant: without them the server says that there is no such
 * function. Errors: 42804; 22004 for a null.
 */
Datum
migrate_refuse_number(PG_FUNCTION_ARGS)
{
	const char *function = get_func_name(fcinfo->flinfo->fn_oid);
	int			number;

	mig_sql_check_arg(fcinfo, 0, "target");
	number = PG_GETARG_INT32(0);
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("target must be an identifier, not a number"),
			 number < 0 ?
			 errhint("Quote it: SELECT migrate.%s('%d');", function, number) :
			 errhint("Quote it: SELECT migrate.%s('%d') for the revision of this name, or '+%d' for so many steps.",
					 function, number, number)));
	PG_RETURN_NULL();
}
