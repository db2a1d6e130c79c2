/*
 * rehearsal.c
 *		A plan run on the real tables, and rolled back.
 *
 * The scripts run as the caller, as upgrade and downgrade run them, but in a
 * subtransaction that is always rolled back, and with each statement measured.  What is
 * not transactional runs in its plain form, since a rollback has to be possible.
 *
 * A rehearsal holds every lock that it gets until it ends, so it gives way: it waits for
 * others only for migrate.rehearse_lock_timeout, looks for deadlocks before others do,
 * and ends after migrate.rehearse_timeout.  It takes the run lock, in the
 * subtransaction: no run of migrations is beside it, and none waits for it longer.
 *
 * An error of a script is what was to be found out, and the last row of the result.  An
 * error before the first statement is one of the function.
 */
#include "migrate.h"

#include "access/xact.h"
#include "catalog/pg_enum.h"
#include "commands/prepare.h"
#include "compat.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "rehearsal/clock.h"
#include "rehearsal/rehearsal.h"
#include "revision/ids.h"
#include "revision/plan.h"
#include "run/deferred.h"
#include "run/execute.h"
#include "run/report.h"
#include "schema/compare.h"
#include "schema/differ.h"
#include "schema/finding.h"
#include "schema/held.h"
#include "schema/mend.h"
#include "schema/read.h"
#include "script/statement.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/query.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/subtransaction.h"
#include "store/verify.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

/* A rehearsal under way. */
typedef struct Run
{
	const RehearsalOptions *options;
	Rehearsal	rehearsal;
	MemoryContext caller;
	ResourceOwner owner;
	List	   *prepared;		/* char *: prepared statements of the session */
	HeldLocks  *held;			/* what a rollback does not restore... */
	void	   *enums;
	void	   *deferred;
	int			flags;
	int			statement_timeout;	/* of the session */
	bool		has_own_timeout;	/* the script that failed had set another */
	Relations  *relations;		/* NULL: no script runs yet */
	bool		is_first;
	TimestampTz start;
	TimestampTz statement_start;
	uint64		wal_start;
	RehearsalRow *current;		/* of the script, or the statement, that runs */
	bool		in_statement;
	const char *sql;			/* of the script that runs */
} Run;

/* Differences of the schemas before and after, to be settled. */
typedef struct Settling
{
	const Project *project;
	const Schema *before;
	const Schema *after;
	List	   *differences;
} Settling;

/* The subtransaction of the rehearsal under way. */
static SubTransactionId rehearsing = InvalidSubTransactionId;

static void begin(Run *run);
static List *read_prepared(void);
static void forget_prepared(const Run *run);
static void at_abort(SubXactEvent event, SubTransactionId self, SubTransactionId parent,
					 void *argument);
static void end(Run *run);
static ErrorData *attempt(Run *run);
static void rehearse(Run *run);
static void make_plan(Run *run);
static void run_plan(Run *run, const List *plan, MigDirection direction);
static void run_script(Run *run, int node, MigDirection direction, int number, int n);
static StoredScript *read_script(const char *revision, MigDirection direction);
static bool needs_steps(const Run *run);
static void run_way_back(Run *run);
static Schema *read_schema(const Project *project);
static List *find_differences(const Project *project, const Schema *before,
							  const Schema *after);
static void settle(void *argument);
static void report_differences(Run *run, List *differences);
static void begin_statement(const ScriptStatement *statement, void *argument);
static List *plain_form(RawStmt *raw, void *argument);
static void end_statement(const ScriptStatement *statement, int64 rows, void *argument);
static RehearsalRow *new_row(const Run *run, const char *revision, MigDirection direction,
							 int step);
static void add_row(Run *run, RehearsalRow *row);
static void measure(const Run *run, RehearsalRow *row);
static bool is_finding(const Run *run, const ErrorData *error);
static void report_failure(Run *run, const ErrorData *error);
static char *describe_error(const ErrorData *error);

/*
 * Rehearse a plan; the result is in the current memory context.  Errors: 25006 in a
 * read-only transaction or on a standby, 55000 in a migration script, MG012, and those
 * with which upgrade or downgrade refuse a plan.  Errors of scripts are in the result,
 * but for a cancel of the caller's.
 */
Rehearsal
mig_rehearsal_run(const RehearsalOptions *options)
{
	Run			run = {.options = options, .statement_timeout = StatementTimeout};
	ErrorData  *error;

	mig_scope_refuse_in_script(options->function);
	PreventCommandDuringRecovery(options->function);
	PreventCommandIfReadOnly(options->function);
	PreventCommandIfParallelMode(options->function);
	mig_verify_place();
	begin(&run);
	error = attempt(&run);
	end(&run);
	forget_prepared(&run);
	if (error != NULL && !is_finding(&run, error))
	{
		/* before any script */
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			mig_clock_check();
		ReThrowError(error);
	}
	if (error != NULL)
		report_failure(&run, error);
	return run.rehearsal;
}

/*
 * Remember what a rollback does not restore, and begin a subtransaction.
 */
static void
begin(Run *run)
{
	static bool installed = false;
	Size		size;

	if (!installed)
		RegisterSubXactCallback(at_abort, NULL);
	installed = true;
	mig_clock_reset();
	run->caller = CurrentMemoryContext;
	run->owner = CurrentResourceOwner;
	run->prepared = read_prepared();
	run->held = mig_held_remember();
	size = EstimateUncommittedEnumsSpace();
	run->enums = palloc(size);
	SerializeUncommittedEnums(run->enums, size);
	run->deferred = mig_deferred_save();
	run->flags = MyXactFlags;
	/* see schema/scratch: what the caches have been sent would be in the way */
	(void) GetCurrentCommandId(true);
	CommandCounterIncrement();
	BeginInternalSubTransaction(NULL);
	rehearsing = GetCurrentSubTransactionId();
	MemoryContextSwitchTo(run->caller);
}

/*
 * Return the names (char *) of the session's prepared statements, in the current memory
 * context.
 */
static List *
read_prepared(void)
{
	static StoreQuery query = {
		.sql = "SELECT name FROM pg_catalog.pg_prepared_statements"
	};
	List	   *names;
	Scope		scope;

	mig_scope_enter(&scope);
	names = mig_query_texts(&scope, &query, NULL);
	mig_scope_leave(&scope);
	return names;
}

/*
 * Deallocate what the scripts have prepared, which a rollback does not.
 */
static void
forget_prepared(const Run *run)
{
	ListCell   *lc;

	foreach(lc, read_prepared())
		if (!mig_ids_contain_all(run->prepared, list_make1(lfirst(lc))))
			DropPreparedStatement(lfirst(lc), false);
}

/*
 * Stop what is called while a rehearsal runs, when its subtransaction is rolled back; a
 * callback.  A session that is terminated comes here, and nowhere else.
 */
static void
at_abort(SubXactEvent event, SubTransactionId self, SubTransactionId parent, void *argument)
{
	(void) parent;
	(void) argument;
	if (event != SUBXACT_EVENT_ABORT_SUB || self != rehearsing)
		return;
	rehearsing = InvalidSubTransactionId;
	mig_clock_end();
	mig_relations_end();
}

/*
 * Rehearse; return the error with which that has ended, in the caller's memory, or NULL.
 */
static ErrorData *
attempt(Run *run)
{
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		rehearse(run);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(run->caller);
		error = CopyErrorData();
		FlushErrorState();
		HOLD_INTERRUPTS();
		/* what the error has left is to be seen before the rollback releases it */
		LWLockReleaseAll();
		if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
			error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED || mig_clock_ran_out())
			mig_clock_find_holder();
		run->has_own_timeout = StatementTimeout != run->statement_timeout;
		if (run->in_statement)
			measure(run, run->current);
		if (run->relations != NULL)
			mig_relations_suspend(run->relations);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	return error;
}

/*
 * Roll back, and restore the rest.  Nothing can fail here, and no interrupt comes
 * between.
 */
static void
end(Run *run)
{
	HOLD_INTERRUPTS();
	if (run->start != 0)
		run->rehearsal.duration = GetCurrentTimestamp() - run->start;
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(run->caller);
	CurrentResourceOwner = run->owner;
	AtEOXact_Enum();
	RestoreUncommittedEnums(run->enums);
	mig_deferred_restore(run->deferred);
	mig_held_restore(run->held);
	if (!(run->flags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE))
		MyXactFlags &= ~XACT_FLAGS_ACCESSEDTEMPNAMESPACE;
	mig_execute_end_activity();
	RESUME_INTERRUPTS();
}

/*
 * Take the run lock, plan, and run the plan.
 */
static void
rehearse(Run *run)
{
	const RehearsalOptions *options = run->options;
	const Rehearsal *rehearsal = &run->rehearsal;
	Schema	   *before = NULL;
	Project		project;

	mig_position_begin_write(options->function);
	mig_clock_begin();
	make_plan(run);
	if (rehearsal->plan == NIL)
	{
		mig_report_no_revisions(rehearsal->graph);
		mig_report_nothing_to_do(mig_position_describe(rehearsal->graph, rehearsal->current));
		return;
	}
	run->rehearsal.stepwise = needs_steps(run);
	run->is_first = bms_is_empty(rehearsal->current) && options->direction == MIG_UPGRADE;
	if (options->round_trip)
	{
		project = mig_differ_project(options->function);
		before = read_schema(&project);
	}
	mig_deferred_begin();
	run->relations = mig_relations_begin();
	run->start = GetCurrentTimestamp();
	run_plan(run, rehearsal->plan, options->direction);
	if (options->round_trip)
	{
		run_way_back(run);
		mig_clock_mark();
		report_differences(run, find_differences(&project, before, read_schema(&project)));
		mig_clock_check();
	}
}

/*
 * Read the position, and make and check the plan for it.
 */
static void
make_plan(Run *run)
{
	const RehearsalOptions *options = run->options;
	Position	position = mig_position_read(false);
	List	   *plan;

	plan = options->direction == MIG_UPGRADE ?
		mig_plan_upgrade(position.graph, position.rows, options->target) :
		mig_plan_downgrade(position.graph, position.rows, options->target);
	mig_partial_refuse(mig_partial_read_all());
	mig_verify_plan(options->direction, position.graph, position.rows, plan,
					options->target, true);
	run->rehearsal.graph = position.graph;
	run->rehearsal.current = position.rows;
	run->rehearsal.plan = plan;
}

/*
 * Return whether the plan can only be run in steps that commit.
 */
static bool
needs_steps(const Run *run)
{
	const Rehearsal *rehearsal = &run->rehearsal;
	List	   *ids = mig_graph_plan_ids(rehearsal->graph, rehearsal->plan, 0,
										 list_length(rehearsal->plan));
	char	   *first;
	Scope		scope;

	mig_scope_enter(&scope);
	first = mig_revisions_first_not_transactional(&scope, ids, run->options->direction);
	mig_scope_leave(&scope);
	return first != NULL;
}

/*
 * Run the scripts of a plan.
 */
static void
run_plan(Run *run, const List *plan, MigDirection direction)
{
	MemoryContext step = AllocSetContextCreate(run->caller, "migrate step",
											   ALLOCSET_DEFAULT_SIZES);
	int			number = 0;
	ListCell   *lc;

	foreach(lc, plan)
	{
		MemoryContextSwitchTo(step);
		run_script(run, lfirst_int(lc), direction, ++number, list_length(plan));
		MemoryContextSwitchTo(run->caller);
		MemoryContextReset(step);
	}
	MemoryContextDelete(step);
}

/*
 * Run the script of a revision (node), number of n (from 1) in its direction.
 */
static void
run_script(Run *run, int node, MigDirection direction, int number, int n)
{
	const GraphNode *self = &run->rehearsal.graph->nodes[node];
	bool		is_back = direction != run->options->direction;
	StoredScript *stored;
	ExecuteScript script = {.revision = self->revision, .direction = direction,
		.statement_timeout = run->statement_timeout, .is_first = run->is_first && number == 1,
		.follows = number > 1 || is_back, .stepwise = run->rehearsal.stepwise,
		.begin = begin_statement, .after = end_statement, .argument = run};

	run->in_statement = false;
	run->current = new_row(run, self->revision, direction, is_back ? n + number : number);
	mig_clock_check();
	stored = read_script(self->revision, direction);
	script.sql = run->sql = stored->sql;
	script.file_name = stored->file_name;
	script.first_line = stored->line;
	script.in_plain_form = script.by_units = !stored->transactional;
	if (script.in_plain_form)
		script.before = plain_form;
	script.progress = psprintf("rehearsal of %s %d/%d %s", mig_direction_name(direction),
							   number, n, self->revision);
	mig_execute_script(&script);
	/* a run in steps would have committed */
	if (run->rehearsal.stepwise)
		AtEOXact_Enum();
}

/*
 * Return a script, in the current memory context.  Errors: MG006 where there is none.
 */
static StoredScript *
read_script(const char *revision, MigDirection direction)
{
	StoredScript *stored;
	Scope		scope;

	mig_scope_enter(&scope);
	stored = mig_revisions_read_script(&scope, revision, direction);
	mig_scope_leave(&scope);
	if (stored == NULL || stored->sql == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NO_DOWNGRADE),
				 errmsg("revision \"%s\" has no %s script", revision,
						mig_direction_name(direction))));
	return stored;
}

/*
 * Run the plan backwards, with the scripts of the other direction.
 */
static void
run_way_back(Run *run)
{
	List	   *back = NIL;
	ListCell   *lc;

	foreach(lc, run->rehearsal.plan)
		back = lcons_int(lfirst_int(lc), back);
	run_plan(run, back, run->options->direction == MIG_UPGRADE ? MIG_DOWNGRADE : MIG_UPGRADE);
}

/*
 * Return what is in the managed schemas, with its uses, in the current memory context.
 */
static Schema *
read_schema(const Project *project)
{
	Schema	   *schema = mig_differ_live(project);

	mig_read_uses(schema);
	return schema;
}

/*
 * Return the differences between two schemas, without those that are only in how the
 * server prints a text.  Where the caller cannot have a scratch, these stay.
 */
static List *
find_differences(const Project *project, const Schema *before, const Schema *after)
{
	Settling	settling = {project, before, after, mig_compare_schemas(before, after)};
	ErrorData  *error = mig_subtransaction_try(settle, &settling);

	if (error != NULL && mig_finding_is_of_server(error))
		ReThrowError(error);
	return settling.differences;
}

/*
 * Settle differences.
 */
static void
settle(void *argument)
{
	Settling   *settling = argument;

	settling->differences = mig_differ_settle(settling->project, settling->before,
											  settling->after, settling->differences);
}

/*
 * Add a row for each object that is not as before.
 */
static void
report_differences(Run *run, List *differences)
{
	ListCell   *lc;

	foreach(lc, differences)
	{
		const Difference *difference = lfirst(lc);
		const SchemaObject *object = difference->to != NULL ? difference->to :
			difference->from;
		RehearsalRow *row = new_row(run, NULL, run->options->direction,
									2 * list_length(run->rehearsal.plan));
		const char *detail;

		if (difference->from == NULL)
			detail = "was not there before";
		else if (difference->to == NULL)
			detail = "is not there any more";
		else
			detail = psprintf("differs: %s", mig_compare_detail(difference));
		row->problem = psprintf("not as before: %s %s %s", object->kind->name,
								object->identity, detail);
		add_row(run, row);
	}
}

/*
 * Note that a statement begins; a hook of mig_execute_script.
 */
static void
begin_statement(const ScriptStatement *statement, void *argument)
{
	Run		   *run = argument;
	MemoryContext old = MemoryContextSwitchTo(run->caller);
	RehearsalRow *row = new_row(run, run->current->revision, run->current->direction,
								run->current->step);

	row->statement = statement->number;
	row->line = statement->line;
	row->sql = pnstrdup(run->sql + statement->location, statement->len);
	run->current = row;
	run->in_statement = true;
	mig_clock_check();
	mig_clock_limit_waits();
	mig_relations_mark(run->relations);
	MemoryContextSwitchTo(old);
	mig_clock_mark();
	run->wal_start = pgWalUsage.wal_bytes;
	run->statement_start = GetCurrentTimestamp();
	row->began = run->statement_start - run->start;
}

/*
 * Return what is run in place of a statement of a script that is not transactional; a
 * hook.
 */
static List *
plain_form(RawStmt *raw, void *argument)
{
	Run		   *run = argument;
	const char *command = mig_statement_needs_top_level(raw);
	List	   *plain = mig_mend_plain(raw);

	if (command != NULL)
		run->current->problem = MemoryContextStrdup(run->caller, plain != NIL ?
													psprintf("ran in its plain form, not as %s", command) :
													psprintf("did not run: %s cannot be in a transaction", command));
	return plain;
}

/*
 * Note what a statement has done; a hook.
 */
static void
end_statement(const ScriptStatement *statement, int64 rows, void *argument)
{
	Run		   *run = argument;
	RehearsalRow *row = run->current;
	MemoryContext old = MemoryContextSwitchTo(run->caller);

	measure(run, row);
	/* it may have caught that the time is over */
	mig_clock_check();
	row->rows = rows;
	row->changes = mig_relations_changes(run->relations,
										 IsA(statement->raw->stmt, TruncateStmt));
	run->in_statement = false;
	if (!IsA(statement->raw->stmt, TransactionStmt))
		add_row(run, row);
	/* a unit of its own would have committed */
	if (run->rehearsal.stepwise)
		AtEOXact_Enum();
	MemoryContextSwitchTo(old);
}

/*
 * Return a new row, in the caller's memory.
 */
static RehearsalRow *
new_row(const Run *run, const char *revision, MigDirection direction, int step)
{
	RehearsalRow *row = MemoryContextAllocZero(run->caller, sizeof(RehearsalRow));

	row->revision = revision;
	row->direction = direction;
	row->step = step;
	row->rows = -1;
	return row;
}

/*
 * Add a row to the result.
 */
static void
add_row(Run *run, RehearsalRow *row)
{
	MemoryContext old = MemoryContextSwitchTo(run->caller);

	run->rehearsal.rows = lappend(run->rehearsal.rows, row);
	MemoryContextSwitchTo(old);
}

/*
 * Note how long the statement of a row has taken up to now.
 */
static void
measure(const Run *run, RehearsalRow *row)
{
	row->duration = GetCurrentTimestamp() - run->statement_start;
	row->wal_bytes = pgWalUsage.wal_bytes - run->wal_start;
	row->waited = mig_clock_waited();
}

/*
 * Return whether an error is one that the rehearsal was to find.  A cancel that is not
 * ours is none, unless it is that of a script's own statement_timeout.
 */
static bool
is_finding(const Run *run, const ErrorData *error)
{
	if (run->current == NULL)
		return false;
	if (error->sqlerrcode != ERRCODE_QUERY_CANCELED || mig_clock_ran_out())
		return true;
	return run->has_own_timeout && error->message_id != NULL &&
		strcmp(error->message_id, "canceling statement due to statement timeout") == 0;
}

/*
 * Make an error the last row.
 */
static void
report_failure(Run *run, const ErrorData *error)
{
	RehearsalRow *row = run->current;
	const char *holder = mig_clock_describe_holder();
	const char *text = describe_error(error);

	if (!run->in_statement)
		row = new_row(run, row->revision, row->direction, row->step);
	else
		row->changes = mig_relations_after(run->relations);
	if (holder != NULL)
		text = psprintf("%s. %s", text, holder);
	if (row->problem != NULL)
		text = psprintf("%s; %s", row->problem, text);
	row->problem = text;
	row->failed = true;
	add_row(run, row);
}

/*
 * Return what an error says.
 */
static char *
describe_error(const ErrorData *error)
{
	char	   *text;

	if (mig_clock_ran_out() && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		return psprintf("57014: the time was over (migrate.rehearse_timeout, %d ms)",
						mig_rehearse_timeout);
	text = psprintf("%s: %s", unpack_sql_state(error->sqlerrcode),
					error->message != NULL ? error->message : "");
	if (error->detail != NULL)
		text = psprintf("%s. %s", text, error->detail);
	if (error->hint != NULL)
		text = psprintf("%s Hint: %s", text, error->hint);
	return text;
}
