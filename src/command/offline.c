/*
 * offline.c
 *		A plan as an SQL script for psql.
 *
 * migrate.upgrade_sql() and migrate.downgrade_sql() write the script.  They
 * only read, and take no lock.  The script's transaction begins with
 * migrate.begin_script(), which takes the run lock and refuses a database in
 * another state; then come the scripts of the revisions as they are, each
 * followed by migrate.record() (command/offline_script).
 *
 * A revision that is not transactional ends the transaction; its statements
 * are run by psql at top level, and the next transaction begins with another
 * migrate.begin_script() and records it.  From the first of these commits on
 * the session holds both keys of the run lock, so that nobody else comes in
 * between: others see a stepwise run.
 *
 * With per_revision every revision is a transaction of its own, likewise.  A
 * transaction that fails changes nothing, and the next migrate.begin_script()
 * finds other version rows than it expects: so nothing runs after a failed
 * revision, whether the client stops at errors or not.
 *
 * What a script SETs is restored by migrate.record().  Only the role is restored
 * by the script itself, in SQL, because the role that a revision leaves
 * behind may not be able to call us.
 *
 * What a script holds must not reach psql's own commands, whatever it does to the
 * session: script/psql writes it in a form that psql reads in one way only.  Where
 * it has a backslash or is not ASCII, psql is restricted to SQL besides, and stops
 * at errors: in a failed transaction nothing can be set.
 */
#include "migrate.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/plan.h"
#include "run/execute.h"
#include "run/report.h"
#include "script/checksum.h"
#include "script/excerpt.h"
#include "script/psql.h"
#include "script/script.h"
#include "script/statement.h"
#include "sql.h"
#include "store/lock.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/verify.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/*
 * Where a script keeps the OIDs of the roles that it restores: psql's variables, which no
 * RESET ALL or DISCARD ALL of a revision's script forgets.
 */
#define ROLE_VARIABLE	"migrate_role"
#define SESSION_VARIABLE	"migrate_session_role"

/* A script being written. */
typedef struct Offline
{
	MigDirection direction;
	Graph	   *graph;
	Bitmapset  *start;			/* version rows before the first step */
	List	   *plan;			/* of node numbers */
	List	   *ids;			/* of char *, one a step */
	List	   *digests;		/* of ScriptDigest *, one a step */
	PlanRows   *now;			/* after the steps written */
	bool		per_revision;	/* each revision is a transaction */
	bool		top_level;		/* not all revisions are transactional */
	bool		stepwise;		/* more than one transaction */
	List	   *new_enums;		/* names of enum types that this transaction creates */
	const char *adds_value;		/* first revision of it that adds a value to another */
	const char *unsafe;			/* such a revision that another one follows */
	bool		roles;			/* a script may change the role */
	bool		plain;			/* nothing of a revision's has a backslash, or is
								 * not ASCII */
	const char *encoding;		/* of the file */
	StringInfoData out;
} Offline;

PG_FUNCTION_INFO_V1(migrate_upgrade_sql);
PG_FUNCTION_INFO_V1(migrate_downgrade_sql);

static char *write_script(FunctionCallInfo fcinfo, MigDirection direction);
static void make_plan(Offline *offline, const char *target);
static void check_plan(Offline *offline);
static void write_steps(Offline *offline);
static void write_step(Offline *offline, int number);
static void note_enums(Offline *offline, const StoredScript *script, bool committed);
static int	next_commit(const Offline *offline, int number);
static StoredScript *read_script(const char *revision, MigDirection direction);
static char *step_title(const Offline *offline, int number, const char *message);
static char *write_head(const Offline *offline, const char *token);
static void append_remarks(const Offline *offline, StringInfo head);
static char *write_begin(const Offline *offline, int from, int to, bool resume);
static void append_comment(StringInfo out, const char *text);
static void append_ids(StringInfo out, List *ids);
static void append_script(Offline *offline, const StoredScript *script,
						  bool transactional);
static void append_line(Offline *offline, const char *line);
static const char *file_encoding(void);
static void check_encoding(const char *text);
static void append_restriction(StringInfo out, const char *token);
static bool may_change_role(const char *sql);
static char *describe_rows(const Graph *graph, const Bitmapset *rows);

/*
 * Return the script that takes a database along the plan for a target, which may
 * be a range "start:target".  The arguments are those of the SQL functions.
 * Changes nothing.  Errors: 22004 for a null.
 */
static char *
write_script(FunctionCallInfo fcinfo, MigDirection direction)
{
	Offline		offline = {.direction = direction, .plain = true};
	char	   *target = mig_sql_text_arg(fcinfo, 0, "target");
	char	   *token = NULL;
	char	   *text;

	offline.per_revision = mig_sql_bool_arg(fcinfo, 1, "per_revision");
	make_plan(&offline, target);
	check_plan(&offline);
	offline.now = mig_plan_rows_begin(offline.graph, offline.start);
	initStringInfo(&offline.out);
	offline.encoding = file_encoding();
	write_steps(&offline);

	/* a checksum of the rest: nobody can have put it there */
	if (!offline.plain)
		token = pnstrdup(mig_checksum_hex(&offline.out), 32);
	/* the head depends on what the scripts hold */
	text = psprintf("%s%s%s", write_head(&offline, token), offline.out.data,
					token ? psprintf("\n:unrestrict_%s\n", token) : "");
	check_encoding(text);
	return text;
}

/*
 * Read the position and make the plan.  For the database's own position it is
 * checked as a mover does: MG007, MG008, MG010.
 */
static void
make_plan(Offline *offline, const char *target)
{
	bool		is_range = strchr(target, ':') != NULL;
	Position	position = is_range ? mig_position_read(false) :
		mig_verify_position();

	if (!is_range)
		mig_partial_refuse(mig_partial_read_all());
	mig_report_no_revisions(position.graph);
	offline->graph = position.graph;
	offline->start = position.rows;
	if (is_range)
		offline->plan = mig_plan_range(position.graph, position.rows, target,
									   offline->direction, &offline->start);
	else if (offline->direction == MIG_UPGRADE)
		offline->plan = mig_plan_upgrade(position.graph, position.rows, target);
	else
		offline->plan = mig_plan_downgrade(position.graph, position.rows, target);
	offline->ids = mig_graph_plan_ids(offline->graph, offline->plan, 0,
									  list_length(offline->plan));
}

/*
 * Read what the steps' scripts are.  MG006 when there is none.
 */
static void
check_plan(Offline *offline)
{
	Scope		scope;
	ListCell   *lc;

	mig_scope_enter(&scope);
	offline->digests = mig_revisions_read_digests(&scope, offline->ids,
												  offline->direction);
	mig_scope_leave(&scope);
	foreach(lc, offline->digests)
	{
		ScriptDigest *step = lfirst(lc);

		if (step->digest == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_NO_DOWNGRADE),
					 errmsg("revision \"%s\" has no downgrade script",
							step->revision),
					 errhint("Give it one with migrate.edit('%s', downgrade => ...), or choose a target above it.",
							 step->revision)));
		offline->top_level |= !step->transactional;
	}
	offline->stepwise = offline->top_level ||
		(offline->per_revision && list_length(offline->plan) > 1);
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
	const ScriptDigest *step = list_nth(offline->digests, number);
	StoredScript *script = read_script(step->revision, offline->direction);
	StringInfo	out = &offline->out;
	bool		commits = !step->transactional || (offline->per_revision && number > 0);

	if (commits)
		appendStringInfoString(out, "\nCOMMIT;\n");
	appendStringInfoChar(out, '\n');
	append_comment(out, step_title(offline, number, script->message));
	if (commits && step->transactional)
	{
		appendStringInfoString(out, "BEGIN;\n");
		append_line(offline, write_begin(offline, number, number + 1, true));
	}
	append_script(offline, script, step->transactional);
	note_enums(offline, script, commits);
	if (may_change_role(script->sql))
	{
		offline->roles = true;
		appendStringInfoString(out,
							   "SELECT pg_catalog.set_config('session_authorization', r.rolname::pg_catalog.text, false)\n"
							   "\tFROM pg_catalog.pg_roles AS r WHERE r.oid OPERATOR(pg_catalog.=) :'" SESSION_VARIABLE "';\n"
							   "SELECT pg_catalog.set_config('role', coalesce((SELECT r.rolname::pg_catalog.text\n"
							   "\tFROM pg_catalog.pg_roles AS r WHERE r.oid OPERATOR(pg_catalog.=) :'" ROLE_VARIABLE "'), 'none'), false);\n");
	}
	if (!step->transactional)
	{
		appendStringInfoString(out, "\nBEGIN;\n");
		append_line(offline, write_begin(offline, number, next_commit(offline, number),
										 true));
	}
	append_line(offline, psprintf("SELECT migrate.record('%s', %s);",
								  mig_direction_name(offline->direction),
								  quote_literal_cstr(step->revision)));
}

/*
 * Note whether a script adds a value to an enum type, or follows one that did in
 * the same transaction, where it cannot use that: not after a commit, and not when
 * the type is new, too.
 */
static void
note_enums(Offline *offline, const StoredScript *script, bool committed)
{
	MemoryContext kept = GetMemoryChunkContext(offline->plan);
	ListCell   *lc;

	if (committed)
	{
		offline->new_enums = NIL;
		offline->adds_value = NULL;
	}
	if (offline->unsafe == NULL)
		offline->unsafe = offline->adds_value;
	if (!script->transactional)
		return;
	foreach(lc, mig_script_split(script->sql))
	{
		const RawStmt *raw = ((ScriptStatement *) lfirst(lc))->raw;
		const char *created = mig_statement_creates_enum(raw);
		const char *added = mig_statement_adds_enum_value(raw);
		MemoryContext old = MemoryContextSwitchTo(kept);

		if (created != NULL)
			offline->new_enums = lappend(offline->new_enums, pstrdup(created));
		if (added != NULL && offline->adds_value == NULL &&
			!mig_ids_contain_any(offline->new_enums, list_make1(unconstify(char *, added))))
			offline->adds_value = pstrdup(script->revision);
		MemoryContextSwitchTo(old);
	}
}

/*
 * Return the number of the step after those that the next commit, after step
 * number, makes last: up to the next one that is not transactional, that
 * included; or with per_revision this one only.
 */
static int
next_commit(const Offline *offline, int number)
{
	int			n = list_length(offline->digests);

	if (offline->per_revision)
		return number + 1;
	for (number++; number < n; number++)
		if (!((ScriptDigest *) list_nth(offline->digests, number))->transactional)
			return number + 1;
	return n;
}

/*
 * Return a revision's script with its text, in the current memory context.
 */
static StoredScript *
read_script(const char *revision, MigDirection direction)
{
	StoredScript *script;
	Scope		scope;

	mig_scope_enter(&scope);
	script = mig_revisions_read_script(&scope, revision, direction);
	mig_scope_leave(&scope);
	if (script == NULL)
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
	const GraphNode *node = &offline->graph->nodes[list_nth_int(offline->plan,
																number)];
	const char *summary = mig_excerpt_line(message);
	char	   *from = mig_ids_join(mig_graph_link_ids(offline->graph, &node->down));

	if (offline->direction == MIG_UPGRADE)
		return psprintf("Running upgrade %s -> %s, %s", from, node->revision,
						summary);
	return psprintf("Running downgrade %s -> %s, %s", node->revision, from, summary);
}

/*
 * Return what stands before the first step, for a script whose steps are
 * written.
 */
static char *
write_head(const Offline *offline, const char *token)
{
	const char *session = offline->stepwise ? "" : "LOCAL ";
	int			n = list_length(offline->plan);
	char	   *begin = write_begin(offline, 0, n, false);
	StringInfoData head;

	initStringInfo(&head);
	append_comment(&head,
				   psprintf("migrate " MIG_VERSION ": %s from %s to %s, %s",
							mig_direction_name(offline->direction),
							describe_rows(offline->graph, offline->start),
							describe_rows(offline->graph, offline->now->rows),
							n == 0 ? "nothing to do" :
							psprintf("%d revision%s", n, n == 1 ? "" : "s")));
	appendStringInfoString(&head, "-- psql -X -v ON_ERROR_STOP=1 -f FILE\n");
	append_remarks(offline, &head);
	if (offline->roles)
		appendStringInfoString(&head,
							   "SELECT s.oid AS " SESSION_VARIABLE ", coalesce(r.oid, 0) AS " ROLE_VARIABLE "\n"
							   "\tFROM pg_catalog.pg_roles AS s LEFT JOIN pg_catalog.pg_roles AS r\n"
							   "\t\tON r.rolname OPERATOR(pg_catalog.=) pg_catalog.current_setting('role')::pg_catalog.name\n"
							   "\tWHERE s.rolname OPERATOR(pg_catalog.=) SESSION_USER \\gset\n");
	if (token != NULL)
		append_restriction(&head, token);
	appendStringInfo(&head, "\n%sSET %sstandard_conforming_strings = on;\n",
					 offline->stepwise ? "" : "BEGIN;\n", session);
	if (!mig_psql_is_ascii(begin) || !mig_psql_is_ascii(offline->out.data))
		appendStringInfo(&head, "%s\n", mig_psql_pin(offline->encoding,
													 !offline->stepwise));
	if (offline->stepwise)
		appendStringInfoString(&head, "BEGIN;\n");
	appendStringInfo(&head, "%s\n", begin);
	if (offline->stepwise)
		appendStringInfo(&head, "SELECT pg_catalog.pg_advisory_lock(%d, %d), pg_catalog.pg_advisory_lock(%d, %d);\n",
						 MIG_LOCK_CLASS, MIG_LOCK_RUN, MIG_LOCK_CLASS, MIG_LOCK_STEPWISE);
	return head.data;
}

/*
 * Append what is to be known of the script's transactions.
 */
static void
append_remarks(const Offline *offline, StringInfo head)
{
	if (offline->stepwise && offline->per_revision)
		appendStringInfoString(head,
							   "-- Not in one transaction: each revision commits what is before it.\n");
	else if (offline->stepwise)
		appendStringInfoString(head,
							   "-- Not in one transaction: a revision that is not transactional commits what is before it.\n");
	if (offline->unsafe != NULL)
	{
		append_comment(head,
					   psprintf("Revision %s adds a value to an enum type. A later revision that uses the value fails in the same",
								offline->unsafe));
		appendStringInfoString(head,
							   "-- transaction (55P04, unsafe use of new value). If so, write the script with per_revision => true.\n");
	}
	if (offline->top_level)
		appendStringInfoString(head,
							   "\\set ON_ERROR_STOP on\n"
							   "\\set AUTOCOMMIT on\n");
}

/*
 * Return the call of migrate.begin_script() for steps from (from 0) up to, not
 * including, to.  The rows are those before step from.
 */
static char *
write_begin(const Offline *offline, int from, int to, bool resume)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "SELECT migrate.begin_script('%s', ",
					 mig_direction_name(offline->direction));
	append_ids(&out, mig_graph_ids(offline->graph,
								   resume ? offline->now->rows : offline->start));
	appendStringInfoString(&out, from == to ? ", '{}'" : ", ARRAY[");
	for (int i = from; i < to; i++)
	{
		const ScriptDigest *step = list_nth(offline->digests, i);

		appendStringInfo(&out, "%s\n\t[%s, '%s']", i > from ? "," : "",
						 quote_literal_cstr(step->revision), step->digest);
	}
	appendStringInfo(&out, "%s%s);", from == to ? "" : "]",
					 resume ? ", resume => true" : "");
	return out.data;
}

/*
 * Append one line of comment.
 */
static void
append_comment(StringInfo out, const char *text)
{
	appendStringInfo(out, "-- %s\n", mig_excerpt_line(text));
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
 * Append a revision's script in the form for psql.
 *
 * The script is checked as when it entered, because it may have been put into
 * the table by hand: psql would run its own commands, and COMMIT.
 */
static void
append_script(Offline *offline, const StoredScript *script, bool transactional)
{
	ScriptOrigin origin = {.revision = script->revision, .direction = offline->direction};
	const char *sql = mig_script_check(script->sql, transactional, &origin);

	offline->plain &= mig_psql_is_plain(sql);
	appendStringInfoString(&offline->out,
						   mig_psql_script(sql, offline->encoding, !offline->stepwise,
										   transactional, &origin));
}

/*
 * Append a line of our own, after the one that sets client_encoding if there are
 * ids in it that are not ASCII.
 */
static void
append_line(Offline *offline, const char *line)
{
	offline->plain &= mig_psql_is_plain(line);
	if (!mig_psql_is_ascii(line))
		appendStringInfo(&offline->out, "%s\n", mig_psql_pin(offline->encoding,
															   !offline->stepwise));
	appendStringInfo(&offline->out, "%s\n", line);
}

/*
 * Return the encoding in which the client gets the script, and so writes the file.
 */
static const char *
file_encoding(void)
{
	if (GetDatabaseEncoding() == PG_SQL_ASCII || pg_get_client_encoding() == PG_SQL_ASCII)
		return GetDatabaseEncodingName();
	return pg_get_client_encoding_name();
}

/*
 * Refuse a client_encoding in which the script could not be written: 0A000 for one
 * in which a byte of a character may look like a backslash, 22P05 for one from
 * which other characters would come back.
 */
static void
check_encoding(const char *text)
{
	int			encoding = pg_get_client_encoding();
	int			len = strlen(text);
	char	   *sent;

	if (mig_psql_is_ascii(text) || encoding == GetDatabaseEncoding() ||
		encoding == PG_SQL_ASCII || GetDatabaseEncoding() == PG_SQL_ASCII)
		return;
	if (PG_ENCODING_IS_CLIENT_ONLY(encoding))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write a script for psql in client encoding \"%s\"",
						pg_get_client_encoding_name()),
				 errdetail("It has characters that are not ASCII, of which a byte can look like a backslash."),
				 errhint("Run SET client_encoding = '%s' first.", GetDatabaseEncodingName())));
	sent = pg_server_to_any(text, len, encoding);
	if (strcmp(pg_any_to_server(sent, strlen(sent), encoding), text) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
				 errmsg("script has characters that client encoding \"%s\" does not preserve",
						pg_get_client_encoding_name()),
				 errhint("Run SET client_encoding = '%s' first.", GetDatabaseEncodingName())));
}

/*
 * Append what restricts psql to SQL until the end of the file, where it can be:
 * the minor releases of August 2025 began to know \restrict.  The script ends with
 * the variable that lifts it, whose name nobody knows who wrote what is before it.
 */
static void
append_restriction(StringInfo out, const char *token)
{
	const char *column = "\tCASE WHEN known THEN pg_catalog.chr(92)"
		" OPERATOR(pg_catalog.||) '%s %s' ELSE '' END AS %s";

	appendStringInfoString(out,
						   "-- Until its end, psql runs SQL only, where it can be restricted to that.\n"
						   "\\set ON_ERROR_STOP on\n"
						   "SELECT\n");
	appendStringInfo(out, column, "restrict", token, "migrate_restrict");
	appendStringInfoString(out, ",\n");
	appendStringInfo(out, column, "unrestrict", token,
					 psprintf("unrestrict_%s", token));
	appendStringInfoString(out,
						   "\n\tFROM (SELECT EXISTS (SELECT FROM (VALUES (130022, 140000), (140019, 150000),\n"
						   "\t\t(150014, 160000), (160010, 170000), (170006, 10000000)) AS v (first, next)\n"
						   "\t\tWHERE :VERSION_NUM OPERATOR(pg_catalog.>=) first\n"
						   "\t\tAND :VERSION_NUM OPERATOR(pg_catalog.<) next)) AS psql (known) \\gset\n"
						   ":migrate_restrict\n");
}

/*
 * Return whether the text of a script speaks of roles; false alarms do no
 * harm.
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
 * Return version rows for a comment: their ids, or "base".
 */
static char *
describe_rows(const Graph *graph, const Bitmapset *rows)
{
	return bms_is_empty(rows) ? pstrdup("base") : mig_ids_join(mig_graph_ids(graph, rows));
}

/*
 * Implement migrate.upgrade_sql(target, per_revision). Errors: as those of upgrade,
 * but none of the run lock.
 */
Datum
migrate_upgrade_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(write_script(fcinfo, MIG_UPGRADE)));
}

/*
 * Implement migrate.downgrade_sql(target, per_revision). Errors: as those of
 * downgrade, but none of the run lock.
 */
Datum
migrate_downgrade_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(write_script(fcinfo, MIG_DOWNGRADE)));
}
