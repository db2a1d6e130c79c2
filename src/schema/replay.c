/*
 * replay.c
 *		The upgrade scripts of revisions, run again in the scratch.
 *
 * What the database should look like at its version rows is what the scripts make of
 * an empty one, from base to the rows.  They run in the order of a plan, each with
 * settings, temporary tables and deferred checks of its own, those that are not
 * transactional in their plain form.
 *
 * Scripts may use the table in which another migration tool keeps its revisions, which
 * no script has made: such tables are there from the beginning, and empty, as the live
 * ones are defined.
 */
#include "migrate.h"

#include "kind/kinds.h"
#include "revision/graph.h"
#include "revision/plan.h"
#include "run/report.h"
#include "schema/closure.h"
#include "schema/declare.h"
#include "schema/guard.h"
#include "schema/published.h"
#include "schema/read.h"
#include "schema/replay.h"
#include "schema/write.h"
#include "script/script.h"
#include "store/ledger.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/verify.h"
#include "utils/memutils.h"

/* Tables of other migration tools. */
static const char *const tool_tables[] = {
	"alembic_version", "schema_migrations", "schema_version", "schemaversion",
	"flyway_schema_history", "databasechangelog", "databasechangeloglock",
	"django_migrations", "ar_internal_metadata", "__diesel_schema_migrations",
	"_sqlx_migrations", "refinery_schema_history", "_prisma_migrations",
	"goose_db_version", "gopg_migrations", "gorp_migrations", "bun_migrations",
	"bun_migration_locks", "atlas_schema_revisions", "knex_migrations",
	"knex_migrations_lock", "pgmigrations", "migrations", "SequelizeMeta",
	"mikro_orm_migrations", "__EFMigrationsHistory", "log_migration"
};

/* Catalogs in which scripts look for what is there, without "pg_". */
static const char *const catalogs[] = {
	"attrdef", "attribute", "class", "constraint", "depend", "description", "enum",
	"get_constraintdef", "get_indexdef", "index", "indexes", "inherits", "matviews",
	"namespace", "partitioned_table", "policies", "policy", "proc", "rewrite", "rules",
	"sequence", "sequences", "statistic_ext", "tables", "trigger", "type", "views"
};

static List *read_scripts(const Scope *scope, const Graph *graph,
						  const Bitmapset *revisions);
static void report_empty_base(const Position *position, List *scripts);
static bool looks_into_catalogs(const char *sql);
static bool is_catalog(const char *name);
static bool changes_default_privileges(const char *sql);
static char *write_tables(const Schema *live, List *scripts);
static bool is_of_tool(const SchemaObject *object);
static bool is_created(const char *table, List *scripts);
static bool creates(const char *sql, const char *table);

/*
 * Read the scripts of what is applied, in the current memory context; live is the live
 * schema.  Errors: MG007 when an applied revision was edited, MG010.
 */
Replay *
mig_replay_read(const Schema *live, const char *function)
{
	Replay	   *replay;
	Position	position;
	List	   *applied;
	List	   *edited;
	List	   *scripts;
	Scope		scope;

	mig_scope_enter(&scope);
	position = mig_position_in_scope(&scope, false);
	applied = mig_ledger_read_applied(&scope);
	edited = mig_ledger_read_edited(&scope);
	scripts = read_scripts(&scope, position.graph,
						   mig_graph_ancestors(position.graph, position.rows, GRAPH_REAL));
	mig_scope_leave(&scope);
	mig_verify_applied(position.graph, position.rows, applied);
	mig_verify_edited(edited);
	replay = mig_replay_prepare(live, scripts, function);
	report_empty_base(&position, scripts);
	mig_report_incomplete();
	return replay;
}

/*
 * Read the scripts of some revisions (nodes), which include their ancestors, applied or
 * not, in the current memory context; live is the live schema.
 */
Replay *
mig_replay_read_some(const Schema *live, const Graph *graph, const Bitmapset *revisions,
					 const char *function)
{
	List	   *scripts;
	Scope		scope;

	mig_scope_enter(&scope);
	scripts = read_scripts(&scope, graph, revisions);
	mig_scope_leave(&scope);
	return mig_replay_prepare(live, scripts, function);
}

/*
 * Return what is needed to run some scripts (StoredScript *) again, in the current memory
 * context; live is the live schema.
 */
Replay *
mig_replay_prepare(const Schema *live, List *scripts, const char *function)
{
	Replay	   *replay = palloc0(sizeof(Replay));
	ListCell   *lc;

	replay->function = function;
	replay->scripts = scripts;
	foreach(lc, scripts)
	{
		const char *sql = ((StoredScript *) lfirst(lc))->sql;

		replay->looks |= looks_into_catalogs(sql);
		replay->asks |= mig_published_is_asked(sql);
		replay->gives |= changes_default_privileges(sql);
	}
	replay->tables = write_tables(live, scripts);
	return replay;
}

/*
 * Return whether a script may change default privileges.
 */
static bool
changes_default_privileges(const char *sql)
{
	static const char first[] = "default";
	static const char second[] = "privileges";

	for (; *sql != '\0'; sql++)
		if (pg_strncasecmp(sql, first, strlen(first)) == 0)
		{
			const char *next = sql + strlen(first);

			next += strspn(next, " \t\n\r\f");
			if (pg_strncasecmp(next, second, strlen(second)) == 0)
				return true;
		}
	return false;
}

/*
 * Return the upgrade scripts (StoredScript *) of some revisions (nodes), in the order of
 * a plan.
 */
static List *
read_scripts(const Scope *scope, const Graph *graph, const Bitmapset *revisions)
{
	MemoryContext old = MemoryContextSwitchTo(scope->context);
	List	   *plan = mig_plan_sort(graph, revisions);
	List	   *ids = mig_graph_plan_ids(graph, plan, 0, list_length(plan));

	MemoryContextSwitchTo(old);
	return mig_revisions_read_whole_scripts(scope, ids, MIG_UPGRADE);
}

/*
 * Say that the first revision makes nothing, as a NOTICE: what the database held when
 * it was stamped counts as a difference.
 */
static void
report_empty_base(const Position *position, List *scripts)
{
	ListCell   *lc;

	foreach(lc, scripts)
	{
		const StoredScript *script = lfirst(lc);
		int			node = mig_graph_find_id(position->graph, script->revision);

		if (node < 0 || position->graph->nodes[node].down.n > 0 ||
			mig_script_split(script->sql) != NIL)
			continue;
		ereport(NOTICE,
				(errmsg("revision \"%s\", the first one, has an empty upgrade script",
						script->revision),
				 errdetail("What was there before it counts as a difference."),
				 errhint("A baseline has the schema that was there as its script.")));
	}
}

/*
 * Return whether a script may look for live objects by their names alone.
 */
static bool
looks_into_catalogs(const char *sql)
{
	for (const char *at = sql; *at != '\0'; at++)
	{
		if ((*at == 'p' || *at == 'P') && pg_strncasecmp(at, "pg_", 3) == 0 &&
			is_catalog(at + 3))
			return true;
		if ((*at == 'i' || *at == 'I') &&
			pg_strncasecmp(at, "information_schema", strlen("information_schema")) == 0)
			return true;
	}
	return false;
}

/*
 * Return whether a text begins with the name of a catalog, without "pg_".
 */
static bool
is_catalog(const char *name)
{
	size_t		len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	for (size_t i = 0; i < lengthof(catalogs); i++)
		if (strlen(catalogs[i]) == len && pg_strncasecmp(name, catalogs[i], len) == 0)
			return true;
	return false;
}

/*
 * Return DDL for those tables of other migration tools that are there, and that no
 * script makes; NULL if there are none.
 */
static char *
write_tables(const Schema *live, List *scripts)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, live->objects)
	{
		SchemaObject *object = lfirst(lc);

		if (!is_of_tool(object) || is_created(object->name, scripts))
			continue;
		tables = lappend(tables, object);
		tables = list_concat(tables, object->children);
	}
	return tables == NIL ? NULL : mig_write_schema(live, mig_closure_of(live, tables));
}

/*
 * Return whether an object is a table of another migration tool.
 */
static bool
is_of_tool(const SchemaObject *object)
{
	if (object->kind != &mig_kinds_table)
		return false;
	for (size_t i = 0; i < lengthof(tool_tables); i++)
		if (strcmp(object->name, tool_tables[i]) == 0)
			return true;
	return false;
}

/*
 * Return whether one of some scripts creates a table.
 */
static bool
is_created(const char *table, List *scripts)
{
	ListCell   *lc;

	foreach(lc, scripts)
	{
		const char *sql = ((const StoredScript *) lfirst(lc))->sql;

		/* most scripts need not be parsed for that */
		if (strstr(sql, table) != NULL && creates(sql, table))
			return true;
	}
	return false;
}

/*
 * Return whether a script has a statement that creates a table.
 */
static bool
creates(const char *sql, const char *table)
{
	ListCell   *lc;

	foreach(lc, mig_script_split(sql))
	{
		const Node *stmt = ((const ScriptStatement *) lfirst(lc))->raw->stmt;

		if (IsA(stmt, CreateStmt) &&
			strcmp(((const CreateStmt *) stmt)->relation->relname, table) == 0)
			return true;
	}
	return false;
}

/*
 * Return how a scratch of some schemas (char *) has to be for a replay.
 */
ScratchOptions
mig_replay_options(const Replay *replay, List *schemas, bool rights)
{
	ScratchOptions options = {.schemas = schemas, .is_replay = true, .new_rights = rights,
		/* those that the scripts make themselves count, where they are compared */
		.keep_default_privileges = !(rights && replay->gives),
		.hide = replay->looks, .hide_publications = replay->asks,
		.function = replay->function};

	return options;
}

/*
 * Make what the scripts need to be there, in a scratch of some schemas (char *).  Adds to
 * the notes, in the current memory context.
 */
void
mig_replay_begin(const Replay *replay, List *schemas, DeclareNotes *notes)
{
	notes->context = CurrentMemoryContext;
	if (replay->tables != NULL)
		mig_declare_model("tables of other migration tools", replay->tables, notes);
	notes->replay = true;
	mig_guard_replay(schemas, notes);
}

/*
 * Run the scripts from (from 0) up to, not including, to, after mig_replay_begin.  Adds to
 * the notes, in the current memory context.  Errors: those of the scripts, with revision,
 * statement and line as context.
 */
void
mig_replay_run(const Replay *replay, int from, int to, DeclareNotes *notes)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext step = AllocSetContextCreate(outer, "migrate step",
											   ALLOCSET_DEFAULT_SIZES);

	for (int i = from; i < to; i++)
	{
		const StoredScript *script = list_nth(replay->scripts, i);

		MemoryContextSwitchTo(step);
		mig_declare_revision(script, MIG_UPGRADE,
							 psprintf("replay %d/%d %s", i + 1,
									  list_length(replay->scripts), script->revision),
							 replay->function, notes);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(step);
	}
	MemoryContextDelete(step);
}
