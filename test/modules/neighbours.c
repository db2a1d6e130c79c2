/*
 * neighbours.c
 *		For tests: hooks with the habits of other people's extensions.
 *
 * The setting neighbours.habits is a list of these:
 *
 * single		a nested statement whose text holds several is refused, as by Citus,
 *				which sends the text to other servers
 * places		what is planned, run or analyzed must lie within its text, as
 *				pg_stat_statements and auto_explain take it for granted
 * top_level	CLUSTER of a table and CREATE MATERIALIZED VIEW, when the name
 *				begins with "hyper", and an index with the option neighbours.chunks
 *				need the top level and commit when they are done, as TimescaleDB's
 * audit		a utility statement at top level inside of another is refused, as
 *				by pgaudit before February 2025
 *
 * Not here: pglogical's habit of running statements in background workers that
 * have a port but no client, see worker.c and backends.t.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC;

#if PG_VERSION_NUM < 140000
#define READ_ONLY_TREE
#define READ_ONLY_TREE_ARG
#define JUMBLE
#define JUMBLE_ARG
#else
#define READ_ONLY_TREE		bool readOnlyTree,
#define READ_ONLY_TREE_ARG	readOnlyTree,
#if PG_VERSION_NUM < 190000
#define JUMBLE				, JumbleState *jstate
#else
#define JUMBLE				, const JumbleState *jstate
#endif
#define JUMBLE_ARG			, jstate
#endif

#if PG_VERSION_NUM < 190000
#define EXPLAIN_STATE
#define EXPLAIN_STATE_ARG
#else
#define EXPLAIN_STATE		, ExplainState *explain
#define EXPLAIN_STATE_ARG	, explain
#endif

static char *habits;
static int	depth = 0;			/* of statements that run within each other */
static int	utilities = 0;		/* of those, utility statements at top level */

static ProcessUtility_hook_type next_utility;
static planner_hook_type next_planner;
static ExecutorStart_hook_type next_start;
static ExecutorRun_hook_type next_run;
static post_parse_analyze_hook_type next_analyze;

extern PGDLLEXPORT void _PG_init(void);

/* Is a habit asked for? */
static bool
has(const char *habit)
{
	return habits != NULL && strstr(habits, habit) != NULL;
}

/*
 * How many statements a text has; 0 for one that is none to the server's parser,
 * such as an expression of PL/pgSQL.
 */
static int
count_statements(const char *sql)
{
	MemoryContext context = CurrentMemoryContext;
	int			result = 0;

	PG_TRY();
	{
		result = list_length(pg_parse_query(sql));
	}
	PG_CATCH();
	{
		/* the parser has left nothing behind but memory */
		MemoryContextSwitchTo(context);
		FlushErrorState();
		result = 0;
	}
	PG_END_TRY();
	return result;
}

/* Refuses a nested text of several statements; extension scripts have one. */
static void
check_single(const char *sql)
{
	if (depth > 0 && !creating_extension && has("single") && count_statements(sql) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("cannot insert multiple commands into a prepared statement")));
}

/* Refuses a statement that is not within its text. */
static void
check_place(const char *sql, int location, int len)
{
	if (!has("places"))
		return;
	if (sql == NULL)
		elog(ERROR, "statement without a text");
	if (location > (int) strlen(sql) || location + Max(len, 0) > (int) strlen(sql))
		elog(ERROR, "statement at %d, of length %d, is not in its text: %s", location, len, sql);
}

/* What of a statement needs the top level, or NULL. */
static const char *
top_level_name(Node *stmt)
{
	const char *name = NULL;

	if (IsA(stmt, CreateTableAsStmt))
		name = ((CreateTableAsStmt *) stmt)->into->rel->relname;
#if PG_VERSION_NUM < 190000
	else if (IsA(stmt, ClusterStmt) && ((ClusterStmt *) stmt)->relation != NULL)
		name = ((ClusterStmt *) stmt)->relation->relname;
#else
	else if (IsA(stmt, RepackStmt) && ((RepackStmt *) stmt)->relation != NULL)
		name = ((RepackStmt *) stmt)->relation->relation->relname;
#endif
	if (name == NULL || strncmp(name, "hyper", 5) != 0)
		return NULL;
	return GetCommandTagName(CreateCommandTag(stmt));
}

/* Takes our option from an index: was it there? */
static bool
take_option(IndexStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst(lc);

		if (option->defnamespace != NULL && strcmp(option->defnamespace, "neighbours") == 0)
		{
			stmt->options = foreach_delete_current(stmt->options, lc);
			return true;
		}
	}
	return false;
}

static void
utility(PlannedStmt *pstmt, const char *sql, READ_ONLY_TREE ProcessUtilityContext context,
		ParamListInfo params, QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	bool		top = context == PROCESS_UTILITY_TOPLEVEL;
	bool		commits = false;

	if (context != PROCESS_UTILITY_SUBCOMMAND)
	{
		check_single(sql);
		check_place(sql, pstmt->stmt_location, pstmt->stmt_len);
	}
	if (top && utilities > 0 && has("audit"))
		elog(ERROR, "audit stack is not empty");
	if (has("top_level") && context != PROCESS_UTILITY_SUBCOMMAND)
	{
		const char *name = top_level_name(pstmt->utilityStmt);

		if (name != NULL)
			PreventInTransactionBlock(top, name);
		commits = name != NULL;
		if (IsA(pstmt->utilityStmt, IndexStmt))
		{
			pstmt = copyObject(pstmt);
			if (take_option((IndexStmt *) pstmt->utilityStmt))
			{
				/* this is where TimescaleDB says true */
				PreventInTransactionBlock(top, "CREATE INDEX with neighbours.chunks");
				commits = true;
			}
		}
	}

	depth++;
	utilities += top;
	PG_TRY();
	{
		if (next_utility)
			next_utility(pstmt, sql, READ_ONLY_TREE_ARG context, params, env, dest, qc);
		else
			standard_ProcessUtility(pstmt, sql, READ_ONLY_TREE_ARG context, params, env, dest, qc);
	}
	PG_FINALLY();
	{
		depth--;
		utilities -= top;
	}
	PG_END_TRY();
	if (commits)
	{
		if (ActiveSnapshotSet())
			PopActiveSnapshot();
		CommitTransactionCommand();
		StartTransactionCommand();
	}
}

static PlannedStmt *
plan(Query *query, const char *sql, int options, ParamListInfo params EXPLAIN_STATE)
{
	check_place(sql, query->stmt_location, query->stmt_len);
	return next_planner ? next_planner(query, sql, options, params EXPLAIN_STATE_ARG) :
		standard_planner(query, sql, options, params EXPLAIN_STATE_ARG);
}

static void
start(QueryDesc *desc, int eflags)
{
	check_single(desc->sourceText);
	check_place(desc->sourceText, desc->plannedstmt->stmt_location, desc->plannedstmt->stmt_len);
	if (next_start)
		next_start(desc, eflags);
	else
		standard_ExecutorStart(desc, eflags);
}

static void
#if PG_VERSION_NUM < 180000
run(QueryDesc *desc, ScanDirection direction, uint64 count, bool once)
#else
run(QueryDesc *desc, ScanDirection direction, uint64 count)
#endif
{
	depth++;
	PG_TRY();
	{
#if PG_VERSION_NUM < 180000
		if (next_run)
			next_run(desc, direction, count, once);
		else
			standard_ExecutorRun(desc, direction, count, once);
#else
		if (next_run)
			next_run(desc, direction, count);
		else
			standard_ExecutorRun(desc, direction, count);
#endif
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
}

static void
analyzed(ParseState *pstate, Query *query JUMBLE)
{
	check_place(pstate->p_sourcetext, query->stmt_location, query->stmt_len);
	if (next_analyze)
		next_analyze(pstate, query JUMBLE_ARG);
}

/* Installs the hooks, before or behind those of others. */
void
_PG_init(void)
{
	DefineCustomStringVariable("neighbours.habits", "What to do.", NULL, &habits,
							   "single,places,top_level", PGC_USERSET, 0, NULL, NULL, NULL);
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = utility;
	next_planner = planner_hook;
	planner_hook = plan;
	next_start = ExecutorStart_hook;
	ExecutorStart_hook = start;
	next_run = ExecutorRun_hook;
	ExecutorRun_hook = run;
	next_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = analyzed;
}
