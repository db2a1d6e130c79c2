/*
 * execute.c
 *		Running one script, and telling where it failed.
 *
 * The script is split into its statements; each is parsed, planned and run with
 * a text of its own, as if psql had sent it, because that is what extensions
 * expect that log statements or send them to other servers.  debug_query_string
 * is that text while the statement runs.  A script runs as the caller, in the
 * caller's transaction, with the caller's settings; what it SETs is restored when
 * it ends.
 *
 * Errors keep everything they have.  An error context callback moves the
 * position to the statement (only that is quoted, never the whole script),
 * adds a line that names revision, statement and line, and adds a hint where
 * we know one.
 */
#include "migrate.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/execdesc.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parser.h"
#include "pgstat.h"
#include "run/copy.h"
#include "run/deferred.h"
#include "run/execute.h"
#include "run/report.h"
#include "run/session.h"
#include "script/creation.h"
#include "script/excerpt.h"
#include "script/script.h"
#include "script/statement.h"
#include "script/text.h"
#include "storage/proc.h"
#include "store/scope.h"
#include "store/wait.h"
#include "tcop/cmdtag.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

/* Most bytes of a statement that pg_stat_activity gets. */
#define MAX_ACTIVITY 1024

/* Most of those who block us that are remembered. */
#define MAX_BLOCKERS 8

/* A script under way, as the error context callback knows it. */
typedef struct ErrorArgument
{
	const ExecuteScript *script;
	List	   *statements;		/* to run */
	List	   *result;			/* parsed */
	const ScriptStatement *current; /* NULL while parsing */
	const char *client_query;	/* debug_query_string, but for a statement's */
	const char *place;			/* where no statement of it is, "at its commit" */
	bool		top_level;
	bool		timed;			/* statement_timeout is that of the script... */
	TimestampTz timed_at;		/* ...since then... */
	TimestampTz timeout;		/* ...and the client's statement's is at; 0: none */
	MemoryContext context;
	MemoryContext caller;
} ErrorArgument;

/* What execute() does with a script. */
typedef void (*ExecuteBody) (ErrorArgument *argument);

/* Who blocked the last script; see mig_execute_blockers. */
static int	blockers[MAX_BLOCKERS];
static int	nblockers = 0;

static List *execute(const ExecuteScript *script, List *statements, ExecuteBody body);
static void parse(ErrorArgument *argument);
static void parse_and_run(ErrorArgument *argument);
static void run_statements(ErrorArgument *argument);
static void run_top_level(ErrorArgument *argument);
static Portal run_portal(const char *text, CommandTag tag);
static void commit(ErrorArgument *argument);
static void end_script(ErrorArgument *argument);
static char *begin_statement(ErrorArgument *argument, const ScriptStatement *statement);
static void end_statement(ErrorArgument *argument);
static RawStmt *parse_statement(const char *text);
static List *plan_statement(RawStmt *raw, const char *text);
static void check_statement(const ErrorArgument *argument,
							const ScriptStatement *statement);
static void begin_timeout(ErrorArgument *argument);
static void end_timeout(ErrorArgument *argument);
static void quote_line(const char *sql);
static void quote_statement(const ErrorArgument *argument, const ErrorData *error);
static int	error_offset(const ErrorArgument *argument, const ErrorData *error);
static void note_blockers(void);
static int64 run_statement(const char *text, const ExecuteScript *script,
						   const ScriptStatement *statement);
static int64 run_copy(const char *text, const char *rows, int len);
static void log_text(const ErrorArgument *argument, const RawStmt *raw, const char *text);
static int64 run_planned(PlannedStmt *planned, const char *sql,
						 ProcessUtilityContext context);
static int64 run_utility(PlannedStmt *planned, const char *sql,
						 ProcessUtilityContext context, DestReceiver *dest);
static void call_hook(const ExecuteScript *script, const ScriptStatement *statement,
					  int64 rows);
static void show_activity(const ExecuteScript *script,
						  const ScriptStatement *statement);
static void error_callback(void *arg);
static const char *describe(const ExecuteScript *script);
static const char *describe_place(const ErrorArgument *argument);
static int	find_line(const ErrorArgument *argument, const ErrorData *error);
static int	line_of_row(const ErrorArgument *argument, const ErrorData *error);
static int	block_line(const char *statement, const DoStmt *block,
					   const ErrorData *error);
static int	body_line(const char *statement, const ErrorData *error);
static const char *find_hint(const ErrorArgument *argument, const ErrorData *error);
static const char *hint_of_model(const ErrorData *error);
static bool is_of_sequential_mode(const ErrorData *error);
static const char *hint_of_sequential_mode(const ExecuteScript *script);
static const char *hint_of_existing(const ErrorArgument *argument);
static bool has_created(const ErrorArgument *argument);
static const char *hint_of_transaction(const ErrorArgument *argument);

/*
 * Run a script to its end, in the caller's transaction.  What it allocates is
 * freed; settings, role, search_path and constraint modes are restored, and no
 * check that it has deferred is left.  pg_stat_activity is left
 * at the last statement: mig_execute_end_activity is the caller's to call, also
 * after an error.  Errors: whatever the script raises.
 */
void
mig_execute_script(const ExecuteScript *script)
{
	int			guc_level;

	mig_session_name_user();
	guc_level = NewGUCNestLevel();
	/* setting it would have the end of the level look at all settings */
	if (!mig_strings_are_standard())
		(void) set_config_option("standard_conforming_strings", "on", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	execute(script, NIL, parse_and_run);
	AtEOXact_GUC(false, guc_level);
	if (!script->in_scratch)
		mig_execute_end_script(script);
}

/*
 * End a script that has run in the caller's transaction: check the constraints
 * that it has deferred, and restore their modes.  Errors: those of the checks.
 */
void
mig_execute_end_script(const ExecuteScript *script)
{
	execute(script, NIL, end_script);
}

/*
 * Return the statements of a script (ScriptStatement *), in the current memory
 * context. Errors: those of the parser.
 */
List *
mig_execute_parse(const ExecuteScript *script)
{
	return execute(script, NIL, parse);
}

/*
 * Run some statements (ScriptStatement *) of a script in the caller's
 * transaction.  What they SET stays set.
 */
void
mig_execute_statements(const ExecuteScript *script, List *statements)
{
	execute(script, statements, run_statements);
}

/*
 * Run one statement as a client would, outside of a transaction block: it may
 * commit by itself.  To be called in a transaction that has done nothing yet;
 * on return there is one, not committed.
 */
void
mig_execute_top_level(const ExecuteScript *script, ScriptStatement *statement)
{
	execute(script, list_make1(statement), run_top_level);
}

/*
 * Run a statement that does nothing as mig_execute_top_level does, to see whether
 * modules of the server let us.  Errors: theirs.
 */
void
mig_execute_probe(void)
{
	PortalDrop(run_portal("SHOW transaction_read_only", CMDTAG_SHOW), false);
}

/*
 * Commit, and begin a new transaction.  What commit finds, a deferred
 * constraint for one, is reported as the script's.  The current memory context
 * stays.
 */
void
mig_execute_commit(const ExecuteScript *script)
{
	execute(script, NIL, commit);
}

/*
 * Process ids of those whose locks a statement of the last script waited for,
 * as they were when it had waited for deadlock_timeout.  Known only where
 * log_lock_waits is on.
 */
List *
mig_execute_blockers(void)
{
	List	   *pids = NIL;

	for (int i = 0; i < nblockers; i++)
		pids = lappend_int(pids, blockers[i]);
	return pids;
}

/*
 * Do something with a script: errors are told with its name, and our functions
 * that write refuse to be called.  The body runs in a memory context that is
 * deleted afterwards.  Returns argument.result.
 */
static List *
execute(const ExecuteScript *script, List *statements, ExecuteBody body)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorArgument argument = {.script = script, .statements = statements,
		.client_query = debug_query_string, .caller = caller};
	ErrorContextCallback callback;
	bool		before;

	argument.context = AllocSetContextCreate(caller, "migrate script",
											 ALLOCSET_DEFAULT_SIZES);
	callback.callback = error_callback;
	callback.arg = &argument;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	nblockers = 0;

	/* nothing may fail between this and PG_TRY */
	before = mig_scope_set_in_script(true);
	PG_TRY();
	{
		MemoryContextSwitchTo(argument.context);
		body(&argument);
	}
	PG_FINALLY();
	{
		end_statement(&argument);
		mig_scope_set_in_script(before);
	}
	PG_END_TRY();

	error_context_stack = callback.previous;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(argument.context);
	return argument.result;
}

/*
 * Have pg_stat_activity show the client's own query again; in a process that has
 * none, as in most background workers, nothing.
 */
void
mig_execute_end_activity(void)
{
	pgstat_report_activity(STATE_RUNNING, debug_query_string ? debug_query_string : "");
}

/*
 * Parse the script into argument->result, in the caller's memory.
 */
static void
parse(ErrorArgument *argument)
{
	MemoryContextSwitchTo(argument->caller);
	argument->result = mig_script_split(argument->script->sql);
	MemoryContextSwitchTo(argument->context);
}

/*
 * Parse the script and run its statements.
 */
static void
parse_and_run(ErrorArgument *argument)
{
	argument->statements = mig_script_split(argument->script->sql);
	run_statements(argument);
}

/*
 * Run the statements one after the other, each with a memory context of its
 * own.
 */
static void
run_statements(ErrorArgument *argument)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext inner = AllocSetContextCreate(outer, "migrate statement",
												ALLOCSET_DEFAULT_SIZES);
	ListCell   *lc;

	foreach(lc, argument->statements)
	{
		argument->current = lfirst(lc);
		check_statement(argument, lfirst(lc));
	}
	foreach(lc, argument->statements)
	{
		ScriptStatement *statement = lfirst(lc);
		const ExecuteScript *script = argument->script;
		int64		rows;

		CHECK_FOR_INTERRUPTS();
		mig_wait_check();
		/* the transaction is there already */
		if (statement->large_objects)
			continue;
		MemoryContextSwitchTo(inner);
		if (script->begin != NULL)
			script->begin(statement, script->argument);
		rows = run_statement(begin_statement(argument, statement), script, statement);
		end_statement(argument);
		call_hook(script, statement, rows);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(inner);
	}
	/* what the last statement did must be visible to our bookkeeping */
	CommandCounterIncrement();
}

/*
 * Run one statement at top level, and so that it may commit.
 */
static void
run_top_level(ErrorArgument *argument)
{
	ScriptStatement *statement = linitial(argument->statements);
	Portal		portal;
	const char *text;

	CHECK_FOR_INTERRUPTS();
	mig_wait_check();
	argument->current = statement;
	argument->top_level = true;
	check_statement(argument, statement);

	text = begin_statement(argument, statement);
	portal = run_portal(text, CreateCommandTag(statement->raw->stmt));
	end_statement(argument);
	PortalDrop(portal, false);
	call_hook(argument->script, statement, -1);
	MemoryContextSwitchTo(argument->context);
}

/*
 * Run one statement in a portal of its own, because the unnamed one is the
 * CALL that we are in, and return the portal.  The plan must live as long as the
 * statement runs: the current memory context must not be a transaction's.
 */
static Portal
run_portal(const char *text, CommandTag tag)
{
	DestReceiver *dest = CreateDestReceiver(DestNone);
	List	   *plans = plan_statement(parse_statement(text), text);
	Portal		portal = CreateNewPortal();

	portal->visible = false;
	PortalDefineQuery(portal, NULL, text, tag, plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	(void) mig_PortalRun(portal, dest);
	return portal;
}

/*
 * Commit and begin a transaction.
 */
static void
commit(ErrorArgument *argument)
{
	argument->place = ", at its commit";
	CommitTransactionCommand();
	StartTransactionCommand();
	MemoryContextSwitchTo(argument->context);
}

/*
 * End a script, whose settings are restored.
 */
static void
end_script(ErrorArgument *argument)
{
	argument->place = ", at its end";
	if (argument->script->at_end != NULL)
		argument->script->at_end();
	else if (argument->script->stepwise)
		mig_deferred_end_alone();
	else
		mig_deferred_end_script();
}

/*
 * Begin a statement: return its own text, in the current memory context, where
 * it has to stay until end_statement.
 */
static char *
begin_statement(ErrorArgument *argument, const ScriptStatement *statement)
{
	const ExecuteScript *script = argument->script;
	char	   *text = pnstrdup(script->sql + statement->begin,
								statement->location - statement->begin + statement->len);

	argument->current = statement;
	debug_query_string = text;
	show_activity(script, statement);
	begin_timeout(argument);
	log_text(argument, statement->raw, text);
	return text;
}

/*
 * End a statement, or nothing: the session's query is the client's again.
 */
static void
end_statement(ErrorArgument *argument)
{
	end_timeout(argument);
	debug_query_string = argument->client_query;
}

/*
 * The server counts statement_timeout for the client's statement, which is the
 * call of ours.  When the script has set another, count that for the statement
 * that begins, as psql's would be.
 */
static void
begin_timeout(ErrorArgument *argument)
{
	if (argument->script->in_scratch ||
		StatementTimeout == argument->script->statement_timeout)
		return;
	argument->timed = true;
	argument->timed_at = GetCurrentTimestamp();
	argument->timeout = get_timeout_active(STATEMENT_TIMEOUT) ?
		get_timeout_finish_time(STATEMENT_TIMEOUT) : 0;
	if (StatementTimeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
	else
		disable_timeout(STATEMENT_TIMEOUT, false);
}

/*
 * Put back what begin_timeout changed, if it did.  The client's timeout stood
 * still meanwhile, or a script could not do without one.
 */
static void
end_timeout(ErrorArgument *argument)
{
	if (!argument->timed)
		return;
	argument->timed = false;
	if (argument->timeout != 0)
		enable_timeout_at(STATEMENT_TIMEOUT,
						  argument->timeout + (GetCurrentTimestamp() - argument->timed_at));
	else
		disable_timeout(STATEMENT_TIMEOUT, false);
}

/*
 * MG011 for what migrate.revision() and migrate.load() refuse, but that was put
 * into the table by hand: it would end our transaction, or speak to the client
 * in the middle of a query.
 */
static void
check_statement(const ErrorArgument *argument, const ScriptStatement *statement)
{
	const char *problem = mig_statement_cannot_run(statement->raw);
	bool		has_rows = statement->rows >= 0 && !argument->top_level;

	/* a script that is not transactional, run in a transaction, passes over it */
	if ((argument->script->in_plain_form ||
		 (argument->script->in_scratch && argument->script->model == NULL)) &&
		IsA(statement->raw->stmt, TransactionStmt))
		return;
	if (problem != NULL && !has_rows && !statement->large_objects)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s cannot be used in %s", problem,
						argument->script->model ? "a model" : "a migration script")));
}

/*
 * Analyze, rewrite, plan and run one statement; rules may make several of it.  Return
 * how many rows it has changed or returned; -1: it does not count them.
 */
static int64
run_statement(const char *text, const ExecuteScript *script,
			  const ScriptStatement *statement)
{
	const char *setting = mig_statement_unknown_setting(statement->raw);
	RawStmt    *raw;
	List	   *raws;
	ListCell   *lc;
	ListCell   *lc2;
	int64		rows = -1;

	if (setting != NULL)
	{
		if (!script->in_scratch)
			mig_report_message(psprintf("setting \"%s\" is left out: this server does not have it",
										setting));
		return -1;
	}
	CommandCounterIncrement();
	raw = parse_statement(text);
	raws = script->before != NULL ? script->before(raw, script->argument) : list_make1(raw);
	if (statement->rows >= 0)
		return run_copy(text, script->sql + statement->rows, statement->rows_len);
	foreach(lc, raws)
	{
		foreach(lc2, plan_statement(lfirst_node(RawStmt, lc), text))
		{
			PlannedStmt *planned = lfirst_node(PlannedStmt, lc2);
			int64		n = run_planned(planned, text,
										script->in_scratch ? PROCESS_UTILITY_SUBCOMMAND :
										PROCESS_UTILITY_QUERY);

			if (planned->canSetTag)
				rows = n;
		}
	}
	return rows;
}

/*
 * Run a COPY whose rows are in the script; return how many it has copied.
 */
static int64
run_copy(const char *text, const char *rows, int len)
{
	RawStmt    *raw = parse_statement(text);
	int64		n;

	PushActiveSnapshot(GetTransactionSnapshot());
	n = mig_copy_rows(castNode(CopyStmt, raw->stmt), text, rows, len);
	PopActiveSnapshot();
	return n;
}

/*
 * Parse one statement, in the current memory context.  Each run has a tree of its
 * own, because the server writes into it.
 */
static RawStmt *
parse_statement(const char *text)
{
	return linitial_node(RawStmt, mig_script_parse(text));
}

/*
 * Analyze, rewrite and plan one statement of a text, in the current memory context.
 */
static List *
plan_statement(RawStmt *raw, const char *text)
{
	List	   *queries;
	List	   *plans;

	PushActiveSnapshot(GetTransactionSnapshot());
	queries = pg_analyze_and_rewrite_fixedparams(raw, text, NULL, 0, NULL);
	plans = pg_plan_queries(queries, text, CURSOR_OPT_PARALLEL_OK, NULL);
	PopActiveSnapshot();
	return plans;
}

/*
 * Log a statement where log_statement asks for it, as if the client had sent it.
 */
static void
log_text(const ErrorArgument *argument, const RawStmt *raw, const char *text)
{
	const ExecuteScript *script = argument->script;

	if (script->in_scratch || log_statement == LOGSTMT_NONE ||
		(log_statement != LOGSTMT_ALL &&
		 GetCommandLogLevel(raw->stmt) > (LogStmtLevel) log_statement))
		return;
	ereport(LOG,
			(errmsg("statement: %s", text),
			 errhidestmt(true),
			 errcontext("%s, statement %d, line %d", describe(script),
						argument->current->number, argument->current->line)));
}

/*
 * Run one planned statement on a fresh snapshot; rows that it returns are thrown away.
 * Return their number, or that of the rows that it has changed; -1: neither.
 */
static int64
run_planned(PlannedStmt *planned, const char *sql, ProcessUtilityContext context)
{
	DestReceiver *dest = CreateDestReceiver(DestNone);
	int64		rows;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (planned->commandType == CMD_UTILITY)
		rows = run_utility(planned, sql, context, dest);
	else
	{
		QueryDesc  *query = CreateQueryDesc(planned, sql, GetActiveSnapshot(),
											InvalidSnapshot, dest, NULL, NULL, 0);

		ExecutorStart(query, 0);
		mig_ExecutorRun(query);
		rows = query->estate->es_processed;
		ExecutorFinish(query);
		ExecutorEnd(query);
		FreeQueryDesc(query);
	}
	PopActiveSnapshot();
	return rows;
}

/*
 * Run a utility command; return the number of rows that it reports, -1 for none.
 */
static int64
run_utility(PlannedStmt *planned, const char *sql, ProcessUtilityContext context,
			DestReceiver *dest)
{
	QueryCompletion completion;

	InitializeQueryCompletion(&completion);
	mig_ProcessUtility(planned, sql, context, dest, &completion);
	return completion.commandTag != CMDTAG_UNKNOWN &&
		command_tag_display_rowcount(completion.commandTag) ?
		(int64) completion.nprocessed : -1;
}

/*
 * Call the script's hook for a statement that has run.
 */
static void
call_hook(const ExecuteScript *script, const ScriptStatement *statement, int64 rows)
{
	if (script->after != NULL)
		script->after(statement, rows, script->argument);
}

/*
 * Tell pg_stat_activity which statement begins.
 */
static void
show_activity(const ExecuteScript *script, const ScriptStatement *statement)
{
	char		text[MAX_ACTIVITY];
	const char *begin = script->sql + statement->location;
	int			len = mig_excerpt_clip_length(begin, statement->len,
											  MAX_ACTIVITY / 2);

	snprintf(text, sizeof(text), "migrate %s: %.*s", script->progress, len, begin);
	pgstat_report_activity(STATE_RUNNING, text);
}

/*
 * Complete an error that a script raises.  Messages below ERROR stay as they
 * are.
 */
static void
error_callback(void *arg)
{
	ErrorArgument *argument = arg;
	const ExecuteScript *script = argument->script;
	const ScriptStatement *current = argument->current;
	MemoryContext old = MemoryContextSwitchTo(argument->context);
	ErrorData  *error = CopyErrorData();
	const char *hint;
	int			line;

	MemoryContextSwitchTo(old);
	if (error->elevel < ERROR)
	{
		/* the server's log hears that we wait, if log_lock_waits is on */
		if (MyProc->waitLock != NULL)
			note_blockers();
		return;
	}
	if (current == NULL)
	{
		/* before the position is gone */
		const char *place = describe_place(argument);

		quote_line(script->sql);
		errcontext("%s%s", describe(script), place);
		return;
	}

	line = find_line(argument, error);
	old = MemoryContextSwitchTo(argument->context);
	quote_statement(argument, error);
	hint = find_hint(argument, error);
	MemoryContextSwitchTo(old);
	if (hint != NULL && error->hint != NULL)
		errhint("%s\n%s", error->hint, hint);
	else if (hint != NULL)
		errhint("%s", hint);
	if (script->file_name != NULL && script->first_line > 0)
		errcontext("%s, statement %d, line %d (line %d of file \"%s\")",
				   describe(script), current->number, line,
				   script->first_line - 1 + line,
				   mig_excerpt_printable(script->file_name));
	else
		errcontext("%s, statement %d, line %d", describe(script), current->number, line);
}

/*
 * Return what a script is called in messages, in the current memory context.
 */
static const char *
describe(const ExecuteScript *script)
{
	if (script->title != NULL)
		return script->title;
	if (script->model != NULL)
		return psprintf("model \"%s\"", script->model);
	return psprintf("revision \"%s\", %s script", script->revision,
					mig_direction_name(script->direction));
}

/*
 * Return where in a script an error is that is not of one of its statements, in the
 * current memory context.  A script of a revision was parsed before it was stored.
 */
static const char *
describe_place(const ErrorArgument *argument)
{
	const char *sql = argument->script->sql;
	int			offset = argument->script->model != NULL ? mig_excerpt_error_offset(sql) : -1;

	if (offset >= 0)
		return psprintf(", line %d", mig_text_line(sql, offset));
	return argument->place != NULL ? argument->place : "";
}

/*
 * Have an error that has a position in the script, because that could not be
 * parsed, quote the line that it is in.  Without the script, as at the end of one
 * that psql has run, there is nothing to quote.
 */
static void
quote_line(const char *sql)
{
	int			offset = sql != NULL ? mig_excerpt_error_offset(sql) : -1;
	int			start = offset;

	if (offset < 0)
		return;
	while (start > 0 && !mig_text_is_line_end(sql[start - 1]))
		start--;
	mig_excerpt_quote(sql, start, mig_text_line_end(sql, offset) - start, offset);
}

/*
 * Have an error quote the statement that it is about, and of a long statement
 * only what is around its position.  The current context must be
 * argument->context.
 */
static void
quote_statement(const ErrorArgument *argument, const ErrorData *error)
{
	const char *sql = argument->script->sql;
	const ScriptStatement *current = argument->current;
	const char *query = error->internalquery;

	if (error->cursorpos > 0)
		mig_excerpt_quote(sql, current->location, current->len,
						  error_offset(argument, error));
	else if (query == NULL)
		mig_excerpt_quote_start(sql, current->location, current->len);
	else if (strlen(query) > EXCERPT_SIZE && error->internalpos > 0)
		mig_excerpt_quote(query, 0, strlen(query),
						  mig_excerpt_offset(query, error->internalpos - 1));
	else if (strlen(query) > EXCERPT_SIZE)
		mig_excerpt_quote_start(query, 0, strlen(query));
}

/*
 * Return the byte offset in the script of an error's position, which is one in
 * the text of the statement.
 */
static int
error_offset(const ErrorArgument *argument, const ErrorData *error)
{
	const ScriptStatement *current = argument->current;
	int			offset = current->begin +
		mig_excerpt_offset(argument->script->sql + current->begin, error->cursorpos - 1);

	return Max(offset, current->location);
}

/*
 * Remember who holds the locks that we wait for.
 */
static void
note_blockers(void)
{
	ArrayType  *array = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids,
															   Int32GetDatum(MyProcPid)));
	int		   *pids = (int *) ARR_DATA_PTR(array);

	nblockers = Min(ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)), MAX_BLOCKERS);
	for (int i = 0; i < nblockers; i++)
		blockers[i] = pids[i];
}

/*
 * Return line of the script where an error arose: that of its position, else
 * that of the place in a function body, else that of the statement.
 */
static int
find_line(const ErrorArgument *argument, const ErrorData *error)
{
	const char *sql = argument->script->sql;
	const ScriptStatement *current = argument->current;
	MemoryContext old;
	int			in_body = 0;

	if (error->cursorpos > 0)
		return current->line - 1 +
			mig_text_line(sql + current->location,
						  error_offset(argument, error) - current->location);

	if (current->rows >= 0)
		return line_of_row(argument, error);
	old = MemoryContextSwitchTo(argument->context);
	if (IsA(current->raw->stmt, DoStmt))
		in_body = block_line(pnstrdup(sql + current->location, current->len),
							 castNode(DoStmt, current->raw->stmt), error);
	if (in_body == 0 && (IsA(current->raw->stmt, DoStmt) ||
						 IsA(current->raw->stmt, CreateFunctionStmt)))
		in_body = body_line(pnstrdup(sql + current->location, current->len), error);
	MemoryContextSwitchTo(old);
	return in_body > 0 ? current->line + in_body - 1 : current->line;
}

/*
 * Return the line of the script with the row of a COPY that failed; that of the
 * statement when it was no row.
 *
 * The server reports it with a context line "COPY table, line N ...", whatever the
 * language of messages, where N counts from the first row.
 */
static int
line_of_row(const ErrorArgument *argument, const ErrorData *error)
{
	const ScriptStatement *current = argument->current;
	const char *table = castNode(CopyStmt, current->raw->stmt)->relation->relname;
	const char *frame = error->context;
	const char *sql = argument->script->sql + current->location;
	int			line = 0;

	while (frame != NULL && line == 0)
	{
		if (strncmp(frame, "COPY ", 5) == 0 &&
			strncmp(frame + 5, table, strlen(table)) == 0)
		{
			frame += 5 + strlen(table);
			line = atoi(frame + strcspn(frame, "0123456789\n"));
		}
		frame = strchr(frame, '\n');
		frame = frame != NULL ? frame + 1 : NULL;
	}
	if (line <= 0)
		return current->line;
	return current->line - 1 + mig_text_line(sql, current->rows - current->location) +
		line - 1;
}

/*
 * Line, within the text of a DO statement, of what failed while the block
 * ran; 0 when it cannot be told.
 *
 * PL/pgSQL reports it with a context line "... inline_code_block ... N ...",
 * whatever the language of messages, where N counts from the line on which
 * the body begins.  The outermost such frame, the last line, is ours.
 */
static int
block_line(const char *statement, const DoStmt *block, const ErrorData *error)
{
	const char *frame = NULL;
	const char *next = error->context;
	const char *body = NULL;
	ListCell   *lc;

	while (next != NULL && (next = strstr(next, "inline_code_block")) != NULL)
		frame = next += strlen("inline_code_block");
	if (frame == NULL)
		return 0;
	foreach(lc, block->args)
		if (strcmp(lfirst_node(DefElem, lc)->defname, "as") == 0)
			body = strstr(statement, strVal(lfirst_node(DefElem, lc)->arg));
	frame += strcspn(frame, "0123456789\n");
	if (body == NULL || *frame < '0' || *frame > '9')
		return 0;
	return mig_text_line(statement, body - statement) + atoi(frame) - 1;
}

/*
 * Line, within the text of a CREATE FUNCTION or DO statement, of a place in
 * its body that the language could not compile; 0 when it cannot be told.
 *
 * The languages report it with the body as internal query and a position in
 * it; the body stands in the statement word for word when it is
 * dollar-quoted.
 */
static int
body_line(const char *statement, const ErrorData *error)
{
	const char *body;

	if (error->internalquery == NULL || error->internalpos <= 0)
		return 0;
	body = strstr(statement, error->internalquery);
	if (body == NULL)
		return 0;
	return mig_text_line(statement,
						   body - statement + mig_excerpt_offset(error->internalquery,
														  error->internalpos - 1));
}

/*
 * What to type next, for errors that mean something particular here; NULL
 * when we know nothing.
 */
static const char *
find_hint(const ErrorArgument *argument, const ErrorData *error)
{
	const ExecuteScript *script = argument->script;
	bool		up = script->direction == MIG_UPGRADE;

	if (script->hint != NULL)
		return script->hint(error, script->argument);
	if (script->model != NULL)
		return hint_of_model(error);
	if (is_of_sequential_mode(error))
		return hint_of_sequential_mode(script);
	switch (error->sqlerrcode)
	{
		case ERRCODE_DUPLICATE_TABLE:
		case ERRCODE_DUPLICATE_COLUMN:
		case ERRCODE_DUPLICATE_OBJECT:
		case ERRCODE_DUPLICATE_FUNCTION:
		case ERRCODE_DUPLICATE_SCHEMA:
			return hint_of_existing(argument);
		case ERRCODE_OUT_OF_MEMORY:
			if (script->stepwise)
				return NULL;
			return up ? "CALL migrate.upgrade_stepwise(...) commits revision by revision." :
				"CALL migrate.downgrade_stepwise(...) commits revision by revision.";
		case ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE:
			if (script->stepwise)
				return hint_of_transaction(argument);
			return up ? "CALL migrate.upgrade_stepwise(...) commits revision by revision." :
				"CALL migrate.downgrade_stepwise(...) commits revision by revision.";
		case ERRCODE_INVALID_TRANSACTION_TERMINATION:
		case ERRCODE_ACTIVE_SQL_TRANSACTION:
			return hint_of_transaction(argument);
		case ERRCODE_OBJECT_IN_USE:
			return "If it is about pending trigger events: SET CONSTRAINTS ALL IMMEDIATE in the script, before this statement.";
		default:
			return NULL;
	}
}

/*
 * Return what to look at when something that a model creates exists already; NULL for
 * all other errors.
 */
static const char *
hint_of_model(const ErrorData *error)
{
	switch (error->sqlerrcode)
	{
		case ERRCODE_DUPLICATE_TABLE:
		case ERRCODE_DUPLICATE_OBJECT:
		case ERRCODE_DUPLICATE_FUNCTION:
			return "Models begin with empty schemas, but only those of the setting managed_schemas are: other schemas are as they are.";
		default:
			return NULL;
	}
}

/*
 * Return whether Citus cannot run a statement because an earlier one of the
 * transaction has worked over several connections to a node.  It has no code for
 * that; its hints name the setting.
 */
static bool
is_of_sequential_mode(const ErrorData *error)
{
	return (error->hint != NULL && strstr(error->hint, "citus.multi_shard_modify_mode")) ||
		(error->message != NULL &&
		 strstr(error->message, "because there was a parallel operation on a distributed table"));
}

/*
 * Return where to make that setting: not in the script that fails when an earlier
 * one of the transaction has done the work.
 */
static const char *
hint_of_sequential_mode(const ExecuteScript *script)
{
	if (script->stepwise)
		return "The setting must come first in the script, or in its BEGIN ... COMMIT.";
	return script->direction == MIG_UPGRADE ?
		"In the transaction of migrate.upgrade(), the setting must come before that call; or CALL migrate.upgrade_stepwise(...), which commits revision by revision." :
		"In the transaction of migrate.downgrade(), the setting must come before that call; or CALL migrate.downgrade_stepwise(...), which commits revision by revision.";
}

/*
 * Return what to type next when the object that a statement creates exists
 * already; NULL when we know nothing.  A stamp is right only where nothing shows
 * that the object is of another origin: what no statement of the script has
 * created, in a database in which no script has run.
 */
static const char *
hint_of_existing(const ErrorArgument *argument)
{
	const ExecuteScript *script = argument->script;

	switch (mig_creation_kind(argument->current->raw))
	{
		case CREATION_IN_SCHEMA:
			if (script->is_first && script->direction == MIG_UPGRADE && !has_created(argument))
				return "If this schema predates migrate: SELECT migrate.stamp('head'), or the revision that it corresponds to.";
			return NULL;
		case CREATION_TEMPORARY:
			if (!script->follows)
				return NULL;
			return script->direction == MIG_UPGRADE ?
				"If an earlier revision has created it ON COMMIT DROP: CALL migrate.upgrade_stepwise(...) commits revision by revision." :
				"If an earlier revision has created it ON COMMIT DROP: CALL migrate.downgrade_stepwise(...) commits revision by revision.";
		case CREATION_OF_PUBLIC:
			return "Every database has this schema. Remove the statement, or use IF NOT EXISTS.";
		default:
			return NULL;
	}
}

/*
 * Return whether a statement before the current one has created something that
 * did not exist.
 */
static bool
has_created(const ErrorArgument *argument)
{
	ListCell   *lc;

	foreach(lc, argument->statements)
	{
		if (lfirst(lc) == argument->current)
			break;
		if (mig_creation_fails_on_existing(((ScriptStatement *) lfirst(lc))->raw))
			return true;
	}
	return false;
}

/*
 * Return what to type next when a statement does not bear a transaction around
 * it, in which it was run; NULL when there is none that could be taken away.
 */
static const char *
hint_of_transaction(const ErrorArgument *argument)
{
	if (argument->top_level)
		return NULL;
	if (argument->script->in_plain_form)
		return "What commits cannot be rolled back: try this script with CALL migrate.upgrade_stepwise(...), in a copy of the database.";
	if (argument->script->by_units)
		return "Move the statement out of BEGIN ... COMMIT.";
	return argument->script->direction == MIG_UPGRADE ?
		"Such a script needs \"-- migrate:up transaction:false\" (transactional => false), and CALL migrate.upgrade_stepwise(...)." :
		"Such a script needs \"-- migrate:down transaction:false\" (transactional => false), and CALL migrate.downgrade_stepwise(...).";
}
