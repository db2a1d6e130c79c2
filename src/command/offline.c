/*
 * offline.c
 *		A plan as an SQL script for psql, and what such a script calls.
 *
 * migrate.upgrade_sql() and migrate.downgrade_sql() write the script.  They
 * only read, and take no lock.  The script's transaction begins with
 * migrate.begin_script(), which takes the run lock and refuses a database in
 * another state; then come the scripts of the revisions as they are, each
 * with migrate.record() behind it.
 *
 * A revision that is not transactional ends the transaction; its statements
 * are run by psql at top level, and the next transaction begins with another
 * migrate.begin_script() and records it.  From the first of these commits on
 * the session holds both keys of the run lock, so that nobody else comes in
 * between: others see a stepwise run.
 *
 * What a script SETs is put back by migrate.record().  In SQL there is no
 * nest level of settings that outlives a statement, so begin_script remembers
 * which settings the session had set, and record compares.  Only the role is
 * put back by the script itself, in SQL, because the role that a revision
 * leaves behind may not be able to call us.
 *
 * psql replaces :name, :'name' and :"name" outside of literals.  In a script
 * that was checked these can only be bounds of array slices, where a space
 * behind the colon changes nothing.
 */
#include "migrate.h"

#include "access/xact.h"
#include "command/execute.h"
#include "command/position.h"
#include "command/result.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scanner.h"
#include "revision/plan.h"
#include "revision/script.h"
#include "revision/text.h"
#include "revision/text.h"
#include "store/lock.h"
#include "store/scope.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Where a script keeps the roles that it puts back. */
#define ROLE_SETTING	"migrate_script.role"
#define SESSION_SETTING	"migrate_script.session_authorization"

/* A script being written. */
typedef struct Offline
{
	MigDirection direction;
	Graph	   *graph;
	Bitmapset  *start;			/* version rows before the first step */
	List	   *plan;			/* of node numbers */
	List	   *ids;			/* of char *, one a step */
	List	   *digests;		/* of CatalogDigest *, one a step */
	PlanRows   *now;			/* after the steps written */
	bool		stepwise;		/* not all revisions are transactional */
	bool		roles;			/* a script may change the role */
	StringInfoData out;
} Offline;

/* A setting that the session has set. */
typedef struct Setting
{
	char	   *name;
	char	   *value;
} Setting;

/*
 * The script that this session runs.  It outlives transactions, because a
 * script that is not transactional does; all but the memory is only looked at
 * in a transaction that has called migrate.begin_script().
 */
typedef struct ScriptRun
{
	MemoryContext context;		/* NULL: none yet */
	bool		in_transaction; /* begun, or gone on with, in this one */
	PlanRows   *rows;			/* where the last step of this transaction led;
								 * NULL when it must be read */
	uint64		graph_changes;	/* as long as this number is the same */
	TimestampTz mark;			/* when the last step was recorded */
	char	   *session_authorization;
	char	   *role;
	List	   *settings;		/* of Setting * */
} ScriptRun;

static ScriptRun run;

PG_FUNCTION_INFO_V1(migrate_upgrade_sql);
PG_FUNCTION_INFO_V1(migrate_downgrade_sql);
PG_FUNCTION_INFO_V1(migrate_begin_script);
PG_FUNCTION_INFO_V1(migrate_record);

static char *write_script(MigDirection direction, const char *target);
static void make_plan(Offline *offline, const char *target);
static void check_plan(Offline *offline);
static void write_steps(Offline *offline);
static void write_step(Offline *offline, int number);
static int	next_commit(const Offline *offline, int number);
static CatalogScript *read_script(const char *revision, MigDirection direction);
static char *step_title(const Offline *offline, int number, const char *message);
static char *write_head(const Offline *offline);
static void write_begin(StringInfo out, const Offline *offline, int from, int to,
						bool goes_on);
static void append_comment(StringInfo out, const char *text);
static void append_ids(StringInfo out, List *ids);
static void append_for_psql(StringInfo out, const CatalogScript *script,
							bool transactional, MigDirection direction);
static bool is_for_psql(char c);
static bool may_change_role(const char *sql);
static char *join(List *ids, const char *none);

static MigDirection direction_arg(FunctionCallInfo fcinfo, int n);
static List *steps_arg(FunctionCallInfo fcinfo, int n);
static Position read_position(bool check);
static void check_start(const Position *position, List *versions, List *steps,
						MigDirection direction);
static int	compare_ids(const ListCell *a, const ListCell *b);
static void check_digests(const Graph *graph, List *steps, MigDirection direction);
static int	find_revision(const Graph *graph, const char *revision);
static PlanRows *find_rows(void);
static bool are_current(const PlanRows *rows);
static void check_step(const PlanRows *rows, int node, MigDirection direction);
static List *record_step(PlanRows *rows, int node, MigDirection direction);

static void remember_settings(bool goes_on);
static void end_of_transaction(void *arg);
static void put_back_settings(void);
static List *read_settings(void);
static bool is_set_otherwise(const char *name);
static const Setting *find_setting(List *settings, const char *name);
static void set_setting(const char *name, const char *value);

/* ----------
 * Writing the script
 * ----------
 */

/*
 * The script that takes a database along the plan for target, which may be a
 * range "start:target".  Changes nothing.
 */
static char *
write_script(MigDirection direction, const char *target)
{
	Offline		offline = {.direction = direction};

	make_plan(&offline, target);
	check_plan(&offline);
	offline.now = mig_plan_rows_begin(offline.graph, offline.start);
	initStringInfo(&offline.out);
	write_steps(&offline);

	/* the head depends on what the scripts hold */
	return psprintf("%s%s", write_head(&offline), offline.out.data);
}

/*
 * Read the position and make the plan.  For the database's own position it is
 * checked as a mover does: MG007, MG010.
 */
static void
make_plan(Offline *offline, const char *target)
{
	bool		is_range = strchr(target, ':') != NULL;
	Position	position = read_position(!is_range);
	ListCell   *lc;

	offline->graph = position.graph;
	offline->start = position.rows;
	if (is_range)
		offline->plan = mig_plan_range(position.graph, position.rows, target,
									   offline->direction, &offline->start);
	else if (offline->direction == MIG_UPGRADE)
		offline->plan = mig_plan_upgrade(position.graph, position.rows, target);
	else
		offline->plan = mig_plan_downgrade(position.graph, position.rows, target);
	foreach(lc, offline->plan)
		offline->ids = lappend(offline->ids,
							   unconstify(char *, offline->graph->nodes[lfirst_int(lc)].revision));
}

/*
 * Read what the steps' scripts are.  MG006 when there is none.
 */
static void
check_plan(Offline *offline)
{
	MemoryContext context = CurrentMemoryContext;
	Scope		scope;
	ListCell   *lc;

	mig_scope_enter(&scope);
	offline->digests = mig_catalog_read_digests(offline->ids, offline->direction,
												context);
	mig_scope_leave(&scope);
	foreach(lc, offline->digests)
	{
		CatalogDigest *step = lfirst(lc);

		if (step->digest == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_NO_DOWNGRADE),
					 errmsg("revision \"%s\" has no downgrade script", step->revision),
					 errhint("Give it one with migrate.edit('%s', downgrade => ...), or choose a target above it.",
							 step->revision)));
		offline->stepwise |= !step->transactional;
	}
}

/*
 * Write all steps, in a transaction that the head begins, to the end of the
 * script.
 */
static void
write_steps(Offline *offline)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext step = AllocSetContextCreate(outer, "migrate offline step",
											   ALLOCSET_DEFAULT_SIZES);
	StringInfo	out = &offline->out;

	for (int i = 0; i < list_length(offline->plan); i++)
	{
		MemoryContextSwitchTo(step);
		write_step(offline, i);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(step);
		mig_plan_rows_step(offline->now, list_nth_int(offline->plan, i),
						   offline->direction);
	}
	appendStringInfoString(out, "\nCOMMIT;\n");
	if (offline->stepwise)
		appendStringInfo(out, "SELECT pg_catalog.pg_advisory_unlock(%d, %d), pg_catalog.pg_advisory_unlock(%d, %d);\n",
						 MIG_LOCK_CLASS, MIG_LOCK_STEPWISE, MIG_LOCK_CLASS, MIG_LOCK_RUN);
	MemoryContextDelete(step);
}

/*
 * Write step number (from 0): a comment in the words of the movers, the
 * script, and what records it.
 */
static void
write_step(Offline *offline, int number)
{
	const CatalogDigest *step = list_nth(offline->digests, number);
	CatalogScript *script = read_script(step->revision, offline->direction);
	StringInfo	out = &offline->out;

	if (!step->transactional)
		appendStringInfoString(out, "\nCOMMIT;\n");
	appendStringInfoChar(out, '\n');
	append_comment(out, step_title(offline, number, script->message));
	append_for_psql(out, script, step->transactional, offline->direction);
	if (may_change_role(script->sql))
	{
		offline->roles = true;
		appendStringInfoString(out,
							   "SELECT pg_catalog.set_config('session_authorization', pg_catalog.current_setting('" SESSION_SETTING "'), false);\n"
							   "SELECT pg_catalog.set_config('role', pg_catalog.current_setting('" ROLE_SETTING "'), false);\n");
	}
	if (!step->transactional)
	{
		appendStringInfoString(out, "\nBEGIN;\n");
		write_begin(out, offline, number, next_commit(offline, number), true);
	}
	appendStringInfo(out, "SELECT migrate.record('%s', %s);\n",
					 mig_execute_direction_name(offline->direction),
					 quote_literal_cstr(step->revision));
}

/*
 * The step behind those that one commit, after step number, makes last: up to
 * the next one that is not transactional, that included.
 */
static int
next_commit(const Offline *offline, int number)
{
	int			n = list_length(offline->digests);

	for (number++; number < n; number++)
		if (!((CatalogDigest *) list_nth(offline->digests, number))->transactional)
			return number + 1;
	return n;
}

/*
 * A revision's script with its text.
 */
static CatalogScript *
read_script(const char *revision, MigDirection direction)
{
	MemoryContext context = CurrentMemoryContext;
	CatalogScript *script = NULL;
	List	   *found;
	Scope		scope;

	mig_scope_enter(&scope);
	found = mig_catalog_read_scripts(list_make1(unconstify(char *, revision)),
									 direction, context);
	if (found != NIL)
	{
		script = linitial(found);
		if (script->is_long)
			script->sql = mig_catalog_read_sql(revision, direction, context);
	}
	mig_scope_leave(&scope);
	if (script == NULL || script->sql == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("revision \"%s\" was changed while the script was made",
						revision)));
	return script;
}

/*
 * "Running upgrade a, b -> c, message".
 */
static char *
step_title(const Offline *offline, int number, const char *message)
{
	const GraphNode *node = &offline->graph->nodes[list_nth_int(offline->plan, number)];
	const char *summary = pnstrdup(message, strcspn(message, "\r\n"));
	List	   *parents = NIL;
	char	   *from;

	for (int k = 0; k < node->down.n; k++)
		parents = lappend(parents,
						  unconstify(char *, offline->graph->nodes[node->down.to[k]].revision));
	from = join(parents, "");
	if (offline->direction == MIG_UPGRADE)
		return psprintf("Running upgrade %s -> %s, %s", from, node->revision, summary);
	return psprintf("Running downgrade %s -> %s, %s", node->revision, from, summary);
}

/*
 * What stands before the first step, for a script whose steps are written.
 */
static char *
write_head(const Offline *offline)
{
	const char *session = offline->stepwise ? "" : "LOCAL ";
	int			n = list_length(offline->plan);
	bool		ascii = true;
	StringInfoData head;

	for (int i = 0; i < offline->out.len && ascii; i++)
		ascii = !IS_HIGHBIT_SET(offline->out.data[i]);
	initStringInfo(&head);
	append_comment(&head,
				   psprintf("migrate " MIG_VERSION ": %s from %s to %s, %s",
							mig_execute_direction_name(offline->direction),
							join(mig_graph_ids(offline->graph, offline->start), "base"),
							join(mig_graph_ids(offline->graph, offline->now->rows), "base"),
							n == 0 ? "nothing to do" :
							psprintf("%d revision%s", n, n == 1 ? "" : "s")));
	appendStringInfoString(&head, "-- psql -X -v ON_ERROR_STOP=1 -f FILE\n");
	if (offline->stepwise)
		appendStringInfoString(&head,
							   "-- Not in one transaction: a revision that is not transactional commits what is before it.\n"
							   "\\set ON_ERROR_STOP on\n"
							   "\\set AUTOCOMMIT on\n");
	appendStringInfo(&head, "\n%sSET %sstandard_conforming_strings = on;\n",
					 offline->stepwise ? "" : "BEGIN;\n", session);
	if (!ascii && pg_get_client_encoding() != PG_SQL_ASCII)
		appendStringInfo(&head, "SET %sclient_encoding = %s;\n", session,
						 quote_literal_cstr(pg_get_client_encoding_name()));
	if (offline->roles)
		appendStringInfoString(&head,
							   "SELECT pg_catalog.set_config('" SESSION_SETTING "', pg_catalog.current_setting('session_authorization'), false),\n"
							   "\tpg_catalog.set_config('" ROLE_SETTING "', pg_catalog.current_setting('role'), false);\n");
	if (offline->stepwise)
		appendStringInfoString(&head, "BEGIN;\n");
	write_begin(&head, offline, 0, n, false);
	if (offline->stepwise)
		appendStringInfo(&head, "SELECT pg_catalog.pg_advisory_lock(%d, %d), pg_catalog.pg_advisory_lock(%d, %d);\n",
						 MIG_LOCK_CLASS, MIG_LOCK_RUN, MIG_LOCK_CLASS, MIG_LOCK_STEPWISE);
	return head.data;
}

/*
 * The call of migrate.begin_script() for steps from (from 0) up to, not
 * including, to.  The rows are those before step from.
 */
static void
write_begin(StringInfo out, const Offline *offline, int from, int to, bool goes_on)
{
	const Bitmapset *rows = goes_on ? offline->now->rows : offline->start;

	appendStringInfo(out, "SELECT migrate.begin_script('%s', ",
					 mig_execute_direction_name(offline->direction));
	append_ids(out, mig_graph_ids(offline->graph, rows));
	appendStringInfoString(out, from == to ? ", '{}'" : ", ARRAY[");
	for (int i = from; i < to; i++)
	{
		const CatalogDigest *step = list_nth(offline->digests, i);

		appendStringInfo(out, "%s\n\t[%s, '%s']", i > from ? "," : "",
						 quote_literal_cstr(step->revision), step->digest);
	}
	appendStringInfo(out, "%s%s);\n", from == to ? "" : "]",
					 goes_on ? ", goes_on => true" : "");
}

/*
 * Append one line of comment, whatever text holds.
 */
static void
append_comment(StringInfo out, const char *text)
{
	appendStringInfoString(out, "-- ");
	for (; *text; text++)
		appendStringInfoChar(out, (unsigned char) *text < ' ' ? ' ' : *text);
	appendStringInfoChar(out, '\n');
}

/*
 * Append ids (char *) as an array of SQL.
 */
static void
append_ids(StringInfo out, List *ids)
{
	ListCell   *lc;

	if (ids == NIL)
	{
		appendStringInfoString(out, "'{}'");
		return;
	}
	foreach(lc, ids)
		appendStringInfo(out, "%s%s", lc == list_head(ids) ? "ARRAY[" : ", ",
						 quote_literal_cstr(lfirst(lc)));
	appendStringInfoChar(out, ']');
}

/*
 * Append a script so that psql sends it as it is: with a space between a colon
 * and what could be the name of a variable, and a semicolon at its end.
 *
 * The script is checked as when it entered, because somebody may have put it
 * into the table by hand: psql would run its own commands, and COMMIT.
 */
static void
append_for_psql(StringInfo out, const CatalogScript *script, bool transactional,
				MigDirection direction)
{
	ScriptOrigin origin = {NULL, script->revision, direction, 0};
	const char *sql = mig_script_check(script->sql, transactional, &origin);
	core_yy_extra_type extra;
	core_yyscan_t scanner = scanner_init(sql, &extra, &ScanKeywords, ScanKeywordTokens);
	core_YYSTYPE value;
	YYLTYPE		location;
	int			written = 0;
	int			end = 0;
	int			token;
	bool		closed = true;

	extra.standard_conforming_strings = true;
	extra.escape_string_warning = false;
	while ((token = core_yylex(&value, &location, scanner)) != 0)
	{
		/* the lexer puts a NUL behind the token in its own copy of the text */
		end = location + strlen(extra.scanbuf + location);
		closed = (token == ';');
		if (token == ':' && is_for_psql(sql[end]))
		{
			appendBinaryStringInfo(out, sql + written, end - written);
			appendStringInfoChar(out, ' ');
			written = end;
		}
	}
	scanner_finish(scanner);
	appendBinaryStringInfo(out, sql + written, end - written);
	if (!closed)
		appendStringInfoChar(out, ';');
	appendStringInfo(out, "%s%s", sql + end, *sql ? "\n" : "");
}

/*
 * Whether psql takes a colon before c for the beginning of a variable.
 */
static bool
is_for_psql(char c)
{
	return IS_HIGHBIT_SET(c) || isalnum((unsigned char) c) ||
		(c != '\0' && strchr("_'\"{", c) != NULL);
}

/*
 * Whether the text of a script speaks of roles; false alarms do no harm.
 */
static bool
may_change_role(const char *sql)
{
	for (; *sql; sql++)
		if (pg_strncasecmp(sql, "role", 4) == 0 ||
			pg_strncasecmp(sql, "authorization", 13) == 0)
			return true;
	return false;
}

/*
 * Ids (char *) with commas between them; none when there are none.
 */
static char *
join(List *ids, const char *none)
{
	StringInfoData list;
	ListCell   *lc;

	initStringInfo(&list);
	foreach(lc, ids)
		appendStringInfo(&list, "%s%s", list.len ? ", " : "", (char *) lfirst(lc));
	return list.len ? list.data : pstrdup(none);
}

/* SELECT migrate.upgrade_sql(target) */
Datum
migrate_upgrade_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(write_script(MIG_UPGRADE,
												  mig_result_text_arg(fcinfo, 0, "target"))));
}

/* SELECT migrate.downgrade_sql(target) */
Datum
migrate_downgrade_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(write_script(MIG_DOWNGRADE,
												  mig_result_text_arg(fcinfo, 0, "target"))));
}

/* ----------
 * Running the script
 * ----------
 */

/* Argument n: 22023 unless "upgrade" or "downgrade". */
static MigDirection
direction_arg(FunctionCallInfo fcinfo, int n)
{
	const char *operation = mig_result_text_arg(fcinfo, n, "operation");

	if (strcmp(operation, mig_execute_direction_name(MIG_UPGRADE)) == 0)
		return MIG_UPGRADE;
	if (strcmp(operation, mig_execute_direction_name(MIG_DOWNGRADE)) == 0)
		return MIG_DOWNGRADE;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid operation: \"%s\"", operation),
			 errhint("Operations are \"upgrade\" and \"downgrade\".")));
}

/*
 * The position; with check, MG010 unless migrate.applied is what the rows
 * imply, and MG007 when an applied revision was edited.  All is read at one
 * moment, because whoever only looks has no lock.
 */
static Position
read_position(bool check)
{
	MemoryContext context = CurrentMemoryContext;
	Position	position;
	List	   *applied;
	List	   *edited;
	Scope		scope;

	mig_scope_enter(&scope);
	position = mig_catalog_read_position(context, false);
	applied = mig_catalog_read_applied(context);
	edited = mig_catalog_read_edited(context);
	mig_scope_leave(&scope);
	if (check)
	{
		mig_position_check_applied(position.graph, position.rows, applied);
		mig_position_check_edited(edited);
	}
	return position;
}

/*
 * MG005 unless the version rows are versions (char *).  steps (CatalogDigest
 * *) are told from those that are done, for the hint.
 */
static void
check_start(const Position *position, List *versions, List *steps,
			MigDirection direction)
{
	const Graph *graph = position->graph;
	Bitmapset  *applied = mig_graph_ancestors(graph, position->rows, GRAPH_REAL);
	List	   *rows = mig_graph_ids(graph, position->rows);
	bool		done = (steps != NIL);
	ListCell   *lc;

	list_sort(versions, compare_ids);
	if (mig_text_same_list(versions, rows))
		return;
	foreach(lc, steps)
	{
		int			node = mig_graph_find_id(graph, ((CatalogDigest *) lfirst(lc))->revision);

		if ((node >= 0 && bms_is_member(node, applied)) != (direction == MIG_UPGRADE))
			done = false;
	}
	ereport(ERROR,
			(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
			 errmsg("this script does not start from the current revisions"),
			 errdetail("It starts from %s; the current revisions are: %s.",
					   versions == NIL ? "base" : mig_graph_quote_names(versions),
					   rows == NIL ? "none" : mig_graph_quote_names(rows)),
			 done ? errhint("What the script does is done already.") :
			 errhint("Make the script again, with migrate.upgrade_sql() or migrate.downgrade_sql().")));
}

static int
compare_ids(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/*
 * MG007 unless the scripts of steps (CatalogDigest *) are what they were;
 * MG001 when a revision is not there.
 */
static void
check_digests(const Graph *graph, List *steps, MigDirection direction)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *ids = NIL;
	List	   *stored;
	Scope		scope;
	ListCell   *lc;
	ListCell   *now;

	foreach(lc, steps)
	{
		ids = lappend(ids, ((CatalogDigest *) lfirst(lc))->revision);
		(void) find_revision(graph, llast(ids));
	}
	mig_scope_enter(&scope);
	stored = mig_catalog_read_digests(ids, direction, context);
	mig_scope_leave(&scope);
	forboth(lc, steps, now, stored)
	{
		const CatalogDigest *step = lfirst(lc);
		const char *digest = ((CatalogDigest *) lfirst(now))->digest;

		if (digest == NULL || strcmp(step->digest, digest) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_CHANGED),
					 errmsg("revision \"%s\" was changed after this script was made",
							step->revision),
					 errhint("Make the script again, with migrate.upgrade_sql() or migrate.downgrade_sql().")));
	}
}

/*
 * Node of an id, no prefix and no label.  MG001 when there is none.
 */
static int
find_revision(const Graph *graph, const char *revision)
{
	int			node = mig_graph_find_id(graph, revision);

	if (node < 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NO_SUCH_REVISION),
				 errmsg("can't locate revision identified by \"%s\"",
						mig_graph_clip(revision)),
				 errhint("Load its revision file first; the id must be given in full.")));
	return node;
}

/*
 * Remember what the session has set, and note the time.  With goes_on what was
 * remembered stays, so that a revision that was run outside of a transaction
 * is not remembered as the session's own.
 */
static void
remember_settings(bool goes_on)
{
	MemoryContextCallback *callback;

	if (!goes_on || run.context == NULL)
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
													  "migrate script run",
													  ALLOCSET_SMALL_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);
		List	   *settings = read_settings();
		char	   *role = GetConfigOptionByName("role", NULL, false);
		char	   *session = GetConfigOptionByName("session_authorization", NULL, false);

		MemoryContextSwitchTo(old);
		MemoryContextSetParent(context, TopMemoryContext);
		if (run.context != NULL)
			MemoryContextDelete(run.context);
		run.context = context;
		run.settings = settings;
		run.role = role;
		run.session_authorization = session;
		run.mark = GetCurrentTimestamp();
	}

	callback = MemoryContextAlloc(TopTransactionContext, sizeof(MemoryContextCallback));
	callback->func = end_of_transaction;
	callback->arg = &run;
	MemoryContextRegisterResetCallback(TopTransactionContext, callback);
	run.in_transaction = true;
}

/* callback of TopTransactionContext */
static void
end_of_transaction(void *arg)
{
	ScriptRun  *ended = arg;

	ended->in_transaction = false;
	ended->rows = NULL;
}

/*
 * Put back what the session has set since it was remembered, as SET and RESET
 * would: that which was not set then is reset.  Errors: those of SET, when a
 * script did what the caller may not undo.
 */
static void
put_back_settings(void)
{
	List	   *now;
	ListCell   *lc;

	if (strcmp(run.session_authorization,
			   GetConfigOptionByName("session_authorization", NULL, false)) != 0)
		set_setting("session_authorization", run.session_authorization);
	if (strcmp(run.role, GetConfigOptionByName("role", NULL, false)) != 0)
		set_setting("role", run.role);

	now = read_settings();
	foreach(lc, now)
		if (find_setting(run.settings, ((Setting *) lfirst(lc))->name) == NULL)
			set_setting(((Setting *) lfirst(lc))->name, NULL);
	foreach(lc, run.settings)
	{
		const Setting *was = lfirst(lc);
		const Setting *is = find_setting(now, was->name);

		if (is == NULL || strcmp(is->value, was->value) != 0)
			set_setting(was->name, was->value);
	}
}

/*
 * The settings that the session has set (Setting *), those of no known name
 * too.  pg_settings does not show these.
 */
static List *
read_settings(void)
{
	List	   *settings = NIL;
	int			n;
	struct config_generic **variables = mig_get_guc_variables(&n);

	for (int i = 0; i < n; i++)
	{
		const struct config_generic *variable = variables[i];
		const char *value;
		Setting    *setting;

		if (variable->source != PGC_S_SESSION ||
			(variable->context != PGC_USERSET && variable->context != PGC_SUSET) ||
			is_set_otherwise(variable->name))
			continue;
		value = GetConfigOption(variable->name, true, false);
		setting = palloc(sizeof(Setting));
		setting->name = pstrdup(variable->name);
		setting->value = pstrdup(value ? value : "");
		settings = lappend(settings, setting);
	}
	return settings;
}

/*
 * Whether a setting belongs to the transaction, cannot be read, or is put back
 * in another way.
 */
static bool
is_set_otherwise(const char *name)
{
	static const char *const names[] = {
		"transaction_isolation", "transaction_read_only",
		"transaction_deferrable", "seed", "role", "session_authorization"
	};

	for (size_t i = 0; i < lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static const Setting *
find_setting(List *settings, const char *name)
{
	ListCell   *lc;

	foreach(lc, settings)
		if (strcmp(((Setting *) lfirst(lc))->name, name) == 0)
			return lfirst(lc);
	return NULL;
}

/*
 * SET as the caller, for the session; value NULL: RESET.
 */
static void
set_setting(const char *name, const char *value)
{
	(void) set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
}

/*
 * The version rows as a plan's steps change them, which brings the graph.
 *
 * The first record of a transaction reads and checks all.  The next ones of a
 * script take what it left, if the rows are the same and the graph is: nobody
 * else can change them while we hold the lock.  In a subtransaction all is
 * read again, because it can be rolled back.
 */
static PlanRows *
find_rows(void)
{
	bool		keep = run.in_transaction && GetCurrentTransactionNestLevel() == 1;
	MemoryContext old = CurrentMemoryContext;
	Position	position;
	PlanRows   *rows;

	if (keep && run.rows != NULL && are_current(run.rows))
		return run.rows;
	if (keep)
		MemoryContextSwitchTo(AllocSetContextCreate(TopTransactionContext,
													"migrate recorded rows",
													ALLOCSET_DEFAULT_SIZES));
	run.rows = NULL;
	position = read_position(true);
	rows = mig_plan_rows_begin(position.graph, position.rows);
	if (keep)
	{
		run.rows = rows;
		run.graph_changes = mig_catalog_graph_changes();
	}
	MemoryContextSwitchTo(old);
	return rows;
}

/*
 * Whether rows and graph are what the tables hold.
 */
static bool
are_current(const PlanRows *rows)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *versions;
	Scope		scope;

	if (run.graph_changes != mig_catalog_graph_changes())
		return false;
	mig_scope_enter(&scope);
	versions = mig_catalog_read_versions(context);
	mig_scope_leave(&scope);
	return mig_text_same_list(versions, mig_graph_ids(rows->graph, rows->rows));
}

/*
 * MG005 unless the step is one that a mover could take from rows.
 */
static void
check_step(const PlanRows *rows, int node, MigDirection direction)
{
	const Graph *graph = rows->graph;
	const char *revision = graph->nodes[node].revision;
	Bitmapset  *self = bms_make_singleton(node);
	Bitmapset  *applied;
	Bitmapset  *between;

	if (rows->applied[node] != (direction == MIG_DOWNGRADE))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 direction == MIG_UPGRADE ?
				 errmsg("revision \"%s\" is applied already", revision) :
				 errmsg("revision \"%s\" is not applied", revision),
				 errhint("SELECT migrate.current() shows the current revisions.")));
	if (direction == MIG_DOWNGRADE && bms_is_member(node, rows->rows))
		return;
	applied = mig_graph_ancestors(graph, rows->rows, GRAPH_REAL);
	between = direction == MIG_UPGRADE ?
		bms_difference(mig_graph_ancestors(graph, self, GRAPH_REAL), applied) :
		bms_intersect(mig_graph_descendants(graph, self, GRAPH_REAL), applied);
	between = bms_del_member(between, node);
	if (!bms_is_empty(between))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("%s of revision \"%s\" is not the next step",
						mig_execute_direction_name(direction), revision),
				 direction == MIG_UPGRADE ?
				 errdetail("Not applied yet below it: %s.",
						   mig_graph_quote_list(graph, between)) :
				 errdetail("Applied above it: %s.",
						   mig_graph_quote_list(graph, between)),
				 errhint("Record the steps one by one, in the order in which they were done.")));
}

/*
 * Write one step that is done: version rows, applied, log.  rows become those
 * behind it; returns their ids.
 */
static List *
record_step(PlanRows *rows, int node, MigDirection direction)
{
	char	   *revision = unconstify(char *, rows->graph->nodes[node].revision);
	const char *role = mig_position_caller();
	MemoryContext context = CurrentMemoryContext;
	TimestampTz now = GetCurrentTimestamp();
	CatalogDigest *digest;
	CatalogStep step;
	Scope		scope;

	step.operation = mig_execute_direction_name(direction);
	step.revision = revision;
	step.versions_before = mig_graph_ids(rows->graph, rows->rows);
	MemoryContextSwitchTo(GetMemoryChunkContext(rows));
	mig_plan_rows_step(rows, node, direction);
	MemoryContextSwitchTo(context);
	step.versions_after = mig_graph_ids(rows->graph, rows->rows);
	step.started_at = run.in_transaction ? run.mark : GetCurrentTransactionStartTimestamp();
	step.duration = now - step.started_at;

	mig_scope_enter(&scope);
	digest = linitial(mig_catalog_read_digests(list_make1(revision), MIG_UPGRADE, context));
	step.checksum = digest->digest;
	mig_catalog_add_log(list_make1(&step), role);
	mig_catalog_remember_heads(rows->graph);
	mig_catalog_set_versions(step.versions_after);
	if (direction == MIG_UPGRADE)
		mig_catalog_add_applied(list_make1(revision), "upgrade", now);
	else
		mig_catalog_remove_applied(list_make1(revision));
	mig_scope_leave(&scope);
	run.mark = now;
	return step.versions_after;
}

/*
 * SELECT migrate.begin_script(operation, versions, steps, goes_on)
 */
Datum
migrate_begin_script(PG_FUNCTION_ARGS)
{
	MigDirection direction = direction_arg(fcinfo, 0);
	List	   *versions = mig_result_array_arg(fcinfo, 1, "versions");
	List	   *steps = steps_arg(fcinfo, 2);
	bool		goes_on = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	Position	position;

	mig_scope_refuse_in_script("migrate.begin_script()");
	mig_lock_acquire("migrate.begin_script()");
	position = read_position(true);
	mig_position_check_snapshot();
	check_start(&position, versions, steps, direction);
	check_digests(position.graph, steps, direction);
	remember_settings(goes_on);
	PG_RETURN_VOID();
}

/*
 * Argument n, an array of pairs, as a list of CatalogDigest *.
 */
static List *
steps_arg(FunctionCallInfo fcinfo, int n)
{
	List	   *strings = mig_result_array_arg(fcinfo, n, "steps");
	List	   *steps = NIL;

	if (list_length(strings) % 2 != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("steps must be pairs of revision and checksum")));
	for (int i = 0; i < list_length(strings); i += 2)
	{
		CatalogDigest *step = palloc0(sizeof(CatalogDigest));

		step->revision = list_nth(strings, i);
		step->digest = list_nth(strings, i + 1);
		steps = lappend(steps, step);
	}
	return steps;
}

/*
 * SELECT migrate.record(operation, revision)
 *
 * Settings are put back first, so that the log names the caller.
 */
Datum
migrate_record(PG_FUNCTION_ARGS)
{
	MigDirection direction = direction_arg(fcinfo, 0);
	char	   *revision = mig_result_text_arg(fcinfo, 1, "revision");
	PlanRows   *rows;
	int			node;

	mig_scope_refuse_in_script("migrate.record()");
	mig_lock_acquire("migrate.record()");
	mig_position_check_snapshot();
	if (run.in_transaction)
		put_back_settings();
	rows = find_rows();
	node = find_revision(rows->graph, revision);
	check_step(rows, node, direction);
	return mig_result_ids(fcinfo, record_step(rows, node, direction));
}
