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
#include "catalog/pg_type.h"
#include "command/execute.h"
#include "command/position.h"
#include "command/result.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/scanner.h"
#include "revision/plan.h"
#include "revision/script.h"
#include "store/lock.h"
#include "store/scope.h"
#include "utils/builtins.h"
#include "utils/guc.h"
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
	TimestampTz mark;			/* when the last step was recorded */
	char	   *session_authorization;
	char	   *role;
	List	   *settings;		/* of Setting *, by name in byte order */
} ScriptRun;

static ScriptRun run;

PG_FUNCTION_INFO_V1(migrate_upgrade_sql);
PG_FUNCTION_INFO_V1(migrate_downgrade_sql);
PG_FUNCTION_INFO_V1(migrate_begin_script);
PG_FUNCTION_INFO_V1(migrate_record);

static char *write_script(MigDirection direction, const char *target);
static void make_plan(Offline *offline, const char *target, bool *own);
static void check_plan(Offline *offline, bool own);
static void check_position(const Graph *graph, const Bitmapset *rows,
						   List *applied, List *edited);
static void write_steps(Offline *offline);
static void write_step(Offline *offline, int number);
static int	next_commit(const Offline *offline, int number);
static char *read_script(const Offline *offline, int number);
static char *write_head(const Offline *offline);
static void write_begin(StringInfo out, const Offline *offline, int from, int to,
						bool goes_on);
static void append_comment(StringInfo out, const char *text);
static void append_ids(StringInfo out, List *ids);
static void append_for_psql(StringInfo out, const char *sql);
static bool is_for_psql(char c);
static bool may_change_role(const char *sql);
static char *join(List *ids, const char *none);

static MigDirection direction_arg(FunctionCallInfo fcinfo, int n);
static void check_start(const Position *position, List *versions, List *steps,
						MigDirection direction);
static void check_digests(List *steps, MigDirection direction);
static void remember_settings(bool goes_on);
static void end_of_transaction(void *arg);
static void put_back_settings(void);
static List *read_settings(void);
static void set_setting(const char *name, const char *value);
static void check_step(const Position *position, int node, MigDirection direction);
static void record_step(const Position *position, int node,
						MigDirection direction, PlanRows *rows);

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
	StringInfoData body;
	bool		own;

	make_plan(&offline, target, &own);
	check_plan(&offline, own);
	offline.now = mig_plan_rows_begin(offline.graph, offline.start);
	initStringInfo(&offline.out);
	write_steps(&offline);

	/* the head depends on what the scripts hold */
	body = offline.out;
	initStringInfo(&offline.out);
	appendStringInfoString(&offline.out, write_head(&offline));
	appendBinaryStringInfo(&offline.out, body.data, body.len);
	return offline.out.data;
}

/*
 * Read the position and make the plan.  *own: the script starts from the
 * database's own rows.
 */
static void
make_plan(Offline *offline, const char *target, bool *own)
{
	Position	position = mig_position_read(false);
	ListCell   *lc;

	offline->graph = position.graph;
	*own = strchr(target, ':') == NULL;
	offline->start = position.rows;
	if (!*own)
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
 * What a mover would refuse before it runs anything: MG006, and for the
 * database's own position MG007 and MG010.
 */
static void
check_plan(Offline *offline, bool own)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *applied;
	List	   *edited;
	Scope		scope;
	ListCell   *lc;

	mig_scope_enter(&scope);
	applied = mig_catalog_read_applied(context);
	edited = mig_catalog_read_edited(context);
	offline->digests = mig_catalog_read_digests(offline->ids, offline->direction,
												context);
	mig_scope_leave(&scope);

	if (own)
		check_position(offline->graph, offline->start, applied, edited);
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
 * MG010 unless migrate.applied is what the rows imply, MG007 when an applied
 * revision was edited.
 */
static void
check_position(const Graph *graph, const Bitmapset *rows, List *applied,
			   List *edited)
{
	List	   *implied = mig_graph_ids(graph, mig_graph_ancestors(graph, rows, GRAPH_REAL));

	if (!mig_catalog_same_ids(applied, implied))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BROKEN_GRAPH),
				 errmsg("migrate.applied does not agree with migrate.versions"),
				 errdetail("%d revisions are recorded as applied, %d are implied by the version rows.",
						   list_length(applied), list_length(implied)),
				 errhint("Somebody changed the tables by hand. SELECT migrate.stamp(..., purge => true) sets both anew.")));
	if (edited != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("revision \"%s\" was changed after it was applied",
						(char *) linitial(edited)),
				 errdetail("The checksums of these applied revisions differ: %s.",
						   mig_graph_quote_names(edited)),
				 errhint("Put the upgrade script back as it was and the change into a new revision; or, to accept it, SELECT migrate.stamp(ARRAY(SELECT migrate.current()), purge => true).")));
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
	StringInfo	out = &offline->out;
	char	   *sql = read_script(offline, number);

	if (!step->transactional)
		appendStringInfoString(out, "\nCOMMIT;\n");
	appendStringInfoChar(out, '\n');
	append_comment(out, mig_execute_step_title(offline->graph,
											   list_nth_int(offline->plan, number),
											   offline->direction, ""));
	append_for_psql(out, sql);
	if (may_change_role(sql))
	{
		offline->roles = true;
		appendStringInfoString(out,
							   "SELECT pg_catalog.set_config('session_authorization', pg_catalog.current_setting('" SESSION_SETTING "'), false);\n"
							   "SELECT pg_catalog.set_config('role', pg_catalog.current_setting('" ROLE_SETTING "'), false);\n");
	}
	if (!step->transactional)
	{
		appendStringInfoString(out, "BEGIN;\n");
		write_begin(out, offline, number, next_commit(offline, number), true);
	}
	appendStringInfo(out, "SELECT migrate.record('%s', %s);\n",
					 mig_execute_direction_name(offline->direction),
					 quote_literal_cstr(step->revision));
}
