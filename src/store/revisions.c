/*
 * revisions.c
 *		SQL against our own tables: reading them, and writing revisions and
 *		settings; rows to plain structs.
 *
 * Every query is constant, names everything with its schema (operators too)
 * and takes its values as parameters.  scope.c says with whose rights and on
 * which snapshot it runs.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "compat.h"
#include "fmgr.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "script/text.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* Longest script that is read together with others, in bytes. */
#define LONG_SCRIPT 8192

PG_FUNCTION_INFO_V1(migrate_forget_heads);

/* How often this session changed revisions, parents or dependencies. */
static uint64 graph_changes = 0;

static List *array_strings(Datum array);
pg_noreturn static void null_element(void);
static List *array_value(uint64 row, int column);
static TimestampTz time_value(uint64 row, int column);
static List *collect_ids(uint64 n, MemoryContext context);
static List *read_ids(ScopeQuery *query, MemoryContext context);
static char *read_first(ScopeQuery *query, List *revisions, MemoryContext context);
static void write_revision(ScopeQuery *query, const Revision *rev, const char *role);

/*
 * The graph of all revisions, neither indexed nor linked yet: authors add to
 * it first.
 */
Graph *
mig_revisions_read_revisions(MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT revision, down_revisions, depends_on, branch_labels"
		" FROM migrate.revisions", 0, {0}, NULL
	};
	uint64		n = mig_scope_read(&query, NULL, NULL);
	MemoryContext old = MemoryContextSwitchTo(context);
	Graph	   *graph = mig_graph_create();

	graph->changes = graph_changes;
	for (uint64 row = 0; row < n; row++)
		mig_graph_add(graph, mig_scope_text(row, 1), array_value(row, 2),
					  array_value(row, 3), array_value(row, 4));
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	return graph;
}

/*
 * Whether this session has changed revisions, parents or dependencies since
 * the graph was read; others cannot while it holds the run lock.
 */
bool
mig_revisions_graph_changed(const Graph *graph)
{
	return graph->changes != graph_changes;
}

/*
 * The linked graph and the version rows.  Errors: MG010 when the graph is
 * broken or a row names no revision; with purge such rows are passed over.
 */
Position
mig_revisions_read_position(MemoryContext context, bool purge)
{
	Position	position = {NULL, NULL};
	List	   *versions;
	MemoryContext old;
	ListCell   *lc;

	position.graph = mig_revisions_read_revisions(context);
	versions = mig_revisions_read_versions(context);
	old = MemoryContextSwitchTo(context);
	mig_graph_index(position.graph);
	mig_graph_link(position.graph);
	foreach(lc, versions)
	{
		int			node = mig_graph_find_id(position.graph, lfirst(lc));

		if (node >= 0)
			position.rows = bms_add_member(position.rows, node);
		else if (!purge)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BROKEN_GRAPH),
					 errmsg("current revision \"%s\" is not present in migrate.revisions",
							(char *) lfirst(lc)),
					 errhint("Load its revision file, or set the rows anew with SELECT migrate.stamp(..., purge => true).")));
	}
	MemoryContextSwitchTo(old);
	return position;
}

/*
 * Ids of the version rows (char *), in byte order.
 */
List *
mig_revisions_read_versions(MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT revision FROM migrate.versions"
		" ORDER BY revision COLLATE pg_catalog.\"C\"", 0, {0}, NULL
	};

	return read_ids(&query, context);
}

/*
 * Ids of applied revisions whose upgrade script is not what it was when they
 * were applied, or that are gone (char *), in byte order.
 */
List *
mig_revisions_read_edited(MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT a.revision FROM migrate.applied a"
		" LEFT JOIN migrate.revisions r"
		" ON r.revision OPERATOR(pg_catalog.=) a.revision"
		" WHERE r.checksum IS NULL"
		" OR r.checksum OPERATOR(pg_catalog.<>) a.checksum"
		" ORDER BY a.revision COLLATE pg_catalog.\"C\"", 0, {0}, NULL
	};

	return read_ids(&query, context);
}

/*
 * What the history shows besides the graph (CatalogLine *), by id in byte
 * order.
 */
List *
mig_revisions_read_lines(MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT r.revision, r.message, a.applied_at, r.created_at"
		" FROM migrate.revisions r LEFT JOIN migrate.applied a"
		" ON r.revision OPERATOR(pg_catalog.=) a.revision"
		" ORDER BY r.revision COLLATE pg_catalog.\"C\"", 0, {0}, NULL
	};
	uint64		n = mig_scope_read(&query, NULL, NULL);
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *lines = NIL;

	for (uint64 row = 0; row < n; row++)
	{
		CatalogLine *line = palloc0(sizeof(CatalogLine));
		Datum		applied_at;
		bool		isnull;

		line->revision = mig_scope_text(row, 1);
		line->message = mig_scope_text(row, 2);
		applied_at = mig_scope_value(row, 3, TIMESTAMPTZOID, &isnull);
		line->is_applied = !isnull;
		if (!isnull)
			line->applied_at = DatumGetTimestampTz(applied_at);
		line->created_at = time_value(row, 4);
		lines = lappend(lines, line);
	}
	MemoryContextSwitchTo(old);
	return lines;
}

/*
 * A whole revision; NULL when there is none of that id.
 */
Revision *
mig_revisions_read_revision(const char *revision, MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT revision, down_revisions, depends_on, branch_labels, message,"
		" upgrade_sql, downgrade_sql, upgrade_transactional,"
		" downgrade_transactional, created_at"
		" FROM migrate.revisions WHERE revision OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	Datum		values[1] = {CStringGetTextDatum(revision)};
	MemoryContext old;
	Revision   *rev;
	bool		isnull;

	if (mig_scope_read(&query, values, NULL) == 0)
		return NULL;
	old = MemoryContextSwitchTo(context);
	rev = palloc0(sizeof(Revision));
	rev->revision = mig_scope_text(0, 1);
	rev->down_revisions = array_value(0, 2);
	rev->depends_on = array_value(0, 3);
	rev->branch_labels = array_value(0, 4);
	rev->message = mig_scope_text(0, 5);
	rev->upgrade_sql = mig_scope_text(0, 6);
	rev->downgrade_sql = mig_scope_text_or_null(0, 7);
	rev->upgrade_transactional = DatumGetBool(mig_scope_value(0, 8, BOOLOID, &isnull));
	rev->downgrade_transactional = DatumGetBool(mig_scope_value(0, 9, BOOLOID, &isnull));
	rev->created_at = time_value(0, 10);
	rev->has_created_at = true;
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	return rev;
}

/*
 * Scripts of one direction (CatalogScript *) of some revisions (char *), in
 * their order.  Those over LONG_SCRIPT bytes come without their text, so that
 * reading many at once takes little memory.
 */
List *
mig_revisions_read_scripts(List *revisions, MigDirection direction,
						 MemoryContext context)
{
#define SCRIPTS_QUERY(column) \
	"SELECT r.revision, r.message, r.checksum," \
	" CASE WHEN pg_catalog.octet_length(" column ") OPERATOR(pg_catalog.<=) $2 THEN " column " END," \
	" pg_catalog.octet_length(" column ") OPERATOR(pg_catalog.>) $2" \
	" FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (revision, n)" \
	" JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) u.revision" \
	" ORDER BY u.n"
	static ScopeQuery queries[2] = {
		{SCRIPTS_QUERY("r.upgrade_sql"), 2, {TEXTARRAYOID, INT4OID}, NULL},
		{SCRIPTS_QUERY("r.downgrade_sql"), 2, {TEXTARRAYOID, INT4OID}, NULL}
	};
	Datum		values[2] = {mig_scope_text_array(revisions), Int32GetDatum(LONG_SCRIPT)};
	uint64		n = mig_scope_read(&queries[direction], values, NULL);
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *scripts = NIL;

	for (uint64 row = 0; row < n; row++)
	{
		CatalogScript *script = palloc0(sizeof(CatalogScript));
		bool		isnull;
		Datum		is_long = mig_scope_value(row, 5, BOOLOID, &isnull);

		script->revision = mig_scope_text(row, 1);
		script->message = mig_scope_text(row, 2);
		script->checksum = mig_scope_text(row, 3);
		script->sql = mig_scope_text_or_null(row, 4);
		script->is_long = !isnull && DatumGetBool(is_long);
		scripts = lappend(scripts, script);
	}
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	return scripts;
}

/*
 * The script of one direction of a revision, however long; NULL when it, or the
 * revision, is not there.
 */
CatalogScript *
mig_revisions_read_script(const char *revision, MigDirection direction,
						MemoryContext context)
{
	static ScopeQuery queries[2] = {
		{"SELECT message, checksum, upgrade_sql, upgrade_transactional"
			" FROM migrate.revisions WHERE revision OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL},
		{"SELECT message, checksum, downgrade_sql, downgrade_transactional"
			" FROM migrate.revisions WHERE revision OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL}
	};
	Datum		values[1] = {CStringGetTextDatum(revision)};
	CatalogScript *script;
	MemoryContext old;
	bool		isnull;

	if (mig_scope_read(&queries[direction], values, NULL) == 0)
		return NULL;
	old = MemoryContextSwitchTo(context);
	script = palloc0(sizeof(CatalogScript));
	script->revision = pstrdup(revision);
	script->message = mig_scope_text(0, 1);
	script->checksum = mig_scope_text(0, 2);
	script->sql = mig_scope_text_or_null(0, 3);
	script->transactional = DatumGetBool(mig_scope_value(0, 4, BOOLOID, &isnull));
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	return script->sql != NULL ? script : NULL;
}

/*
 * What the scripts of one direction of some revisions (char *) are recognized
 * by (CatalogDigest *), in their order, one for each.
 */
List *
mig_revisions_read_digests(List *revisions, MigDirection direction,
						 MemoryContext context)
{
#define DIGESTS_QUERY(digest, transactional) \
	"SELECT u.revision, " digest ", COALESCE(" transactional ", true)" \
	" FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (revision, n)" \
	" LEFT JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) u.revision" \
	" ORDER BY u.n"
	static ScopeQuery queries[2] = {
		{DIGESTS_QUERY("r.checksum", "r.upgrade_transactional"),
		1, {TEXTARRAYOID}, NULL},
		{DIGESTS_QUERY("migrate.script_checksum(r.downgrade_sql, r.downgrade_transactional)",
					   "r.downgrade_transactional"),
		1, {TEXTARRAYOID}, NULL}
	};
	Datum		values[1] = {mig_scope_text_array(revisions)};
	uint64		n = mig_scope_read(&queries[direction], values, NULL);
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *digests = NIL;

	for (uint64 row = 0; row < n; row++)
	{
		CatalogDigest *digest = palloc(sizeof(CatalogDigest));
		bool		isnull;

		digest->revision = mig_scope_text(row, 1);
		digest->digest = mig_scope_text_or_null(row, 2);
		digest->transactional = DatumGetBool(mig_scope_value(row, 3, BOOLOID, &isnull));
		digests = lappend(digests, digest);
	}
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	return digests;
}

/*
 * The text of one script; NULL when it, or the revision, is not there.
 */
char *
mig_revisions_read_sql(const char *revision, MigDirection direction,
					 MemoryContext context)
{
	static ScopeQuery queries[2] = {
		{"SELECT upgrade_sql FROM migrate.revisions"
			" WHERE revision OPERATOR(pg_catalog.=) $1", 1, {TEXTOID}, NULL},
		{"SELECT downgrade_sql FROM migrate.revisions"
			" WHERE revision OPERATOR(pg_catalog.=) $1", 1, {TEXTOID}, NULL}
	};
	Datum		values[1] = {CStringGetTextDatum(revision)};
	MemoryContext old;
	char	   *sql;

	if (mig_scope_read(&queries[direction], values, NULL) == 0)
		return NULL;
	old = MemoryContextSwitchTo(context);
	sql = mig_scope_text_or_null(0, 1);
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	return sql;
}

/*
 * The first of revisions (char *) that has no downgrade script, or NULL.
 */
char *
mig_revisions_first_without_downgrade(List *revisions, MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT r.revision FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (revision, n)"
		" JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) u.revision"
		" WHERE r.downgrade_sql IS NULL ORDER BY u.n LIMIT 1",
		1, {TEXTARRAYOID}, NULL
	};

	return read_first(&query, revisions, context);
}

/*
 * The first of revisions (char *) whose script is not transactional, or NULL.
 */
char *
mig_revisions_first_not_transactional(List *revisions, MigDirection direction,
									MemoryContext context)
{
	static ScopeQuery queries[2] = {
		{"SELECT r.revision FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (revision, n)"
			" JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) u.revision"
			" WHERE NOT r.upgrade_transactional ORDER BY u.n LIMIT 1",
		1, {TEXTARRAYOID}, NULL},
		{"SELECT r.revision FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (revision, n)"
			" JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) u.revision"
			" WHERE NOT r.downgrade_transactional ORDER BY u.n LIMIT 1",
		1, {TEXTARRAYOID}, NULL}
	};

	return read_first(&queries[direction], revisions, context);
}

/*
 * How many revisions are stored.
 */
int64
mig_revisions_count_revisions(void)
{
	static ScopeQuery query = {
		"SELECT pg_catalog.count(*) FROM migrate.revisions", 0, {0}, NULL
	};
	bool		isnull;

	(void) mig_scope_read(&query, NULL, NULL);
	return DatumGetInt64(mig_scope_value(0, 1, INT8OID, &isnull));
}

/*
 * Ids of the applied revisions (char *), in byte order.
 */
List *
mig_revisions_read_applied(MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT revision FROM migrate.applied"
		" ORDER BY revision COLLATE pg_catalog.\"C\"", 0, {0}, NULL
	};

	return read_ids(&query, context);
}

/*
 * Whether models are declared.
 */
bool
mig_revisions_has_models(void)
{
	static ScopeQuery query = {"SELECT FROM migrate.models LIMIT 1", 0, {0}, NULL};

	return mig_scope_read(&query, NULL, NULL) > 0;
}

/*
 * Whether the transaction's snapshot shows other revisions or settings, or
 * another position, than the latest one.  Rows are compared with their xmin: what a
 * committed transaction wrote again counts as changed.
 */
bool
mig_revisions_snapshot_is_stale(void)
{
	static ScopeQuery query = {
		"SELECT pg_catalog.concat("
		"(SELECT pg_catalog.string_agg(v.revision, ',' ORDER BY v.revision COLLATE pg_catalog.\"C\")"
		" FROM migrate.versions v), '/',"
		" (SELECT pg_catalog.max(l.id) FROM migrate.log l), '/',"
		" (SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat(r.revision, '@', r.xmin), ','"
		" ORDER BY r.revision COLLATE pg_catalog.\"C\")) FROM migrate.revisions r), '/',"
		" (SELECT pg_catalog.string_agg(pg_catalog.concat(s.name, '@', s.xmin), ','"
		" ORDER BY s.name COLLATE pg_catalog.\"C\") FROM migrate.settings s))",
		0, {0}, NULL
	};
	char	   *old;

	(void) mig_scope_read_transaction(&query);
	old = mig_scope_text(0, 1);
	(void) mig_scope_read(&query, NULL, NULL);
	return strcmp(old, mig_scope_text(0, 1)) != 0;
}

/*
 * The version rows (char *, in byte order), when they are the heads and the
 * heads are known, which they are not while a script is partly run; otherwise
 * NIL, which says nothing.  real: all real heads; otherwise the one head by
 * down revision.
 *
 * Reads two small tables, however many revisions there are.  The query is as
 * plain as can be, because planning it is most of its cost in a new session.
 */
List *
mig_revisions_read_heads_if_current(bool real, MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT revision, is_real, true FROM migrate.revisions_heads"
		" UNION ALL SELECT revision, true, false FROM migrate.versions",
		0, {0}, NULL
	};
	uint64		n = mig_scope_read(&query, NULL, NULL);
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *heads = NIL;
	List	   *versions = NIL;

	for (uint64 row = 0; row < n; row++)
	{
		bool		isnull;
		bool		wanted = DatumGetBool(mig_scope_value(row, 2, BOOLOID, &isnull)) || !real;

		if (!DatumGetBool(mig_scope_value(row, 3, BOOLOID, &isnull)))
			versions = lappend(versions, mig_scope_text(row, 1));
		else if (wanted)
			heads = lappend(heads, mig_scope_text(row, 1));
	}
	MemoryContextSwitchTo(old);
	mig_ids_sort(heads);
	mig_ids_sort(versions);
	if ((!real && list_length(heads) != 1) || !mig_ids_equal(heads, versions))
		return NIL;
	return versions;
}

/*
 * Those of names (char *) that are ids.
 */
List *
mig_revisions_find_ids(List *names, MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT revision FROM migrate.revisions"
		" WHERE revision OPERATOR(pg_catalog.=) ANY ($1)",
		1, {TEXTARRAYOID}, NULL
	};
	Datum		values[1];

	values[0] = mig_scope_text_array(names);
	return collect_ids(mig_scope_read(&query, values, NULL), context);
}

/*
 * All branch labels (char *).  An index has the revisions that have some.
 */
List *
mig_revisions_read_labels(MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT l.label FROM migrate.revisions r,"
		" pg_catalog.unnest(r.branch_labels) AS l (label)"
		" WHERE r.branch_labels OPERATOR(pg_catalog.<>) '{}'", 0, {0}, NULL
	};

	return read_ids(&query, context);
}

/*
 * Value of a project setting, NULL when it is not set.
 */
char *
mig_revisions_read_setting(const char *name, MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT value FROM migrate.settings WHERE name OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	Datum		values[1] = {CStringGetTextDatum(name)};

	if (mig_scope_read(&query, values, NULL) == 0)
		return NULL;
	return MemoryContextStrdup(context, mig_scope_text(0, 1));
}

/*
 * Store a new revision, as role.
 */
void
mig_revisions_insert_revision(const Revision *rev, const char *role)
{
	static ScopeQuery query = {
		"INSERT INTO migrate.revisions (revision, down_revisions, depends_on,"
		" branch_labels, message, upgrade_sql, downgrade_sql,"
		" upgrade_transactional, downgrade_transactional, created_by,"
		" modified_by, created_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10,"
		" COALESCE($11, pg_catalog.now()))",
		11, {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID,
			TEXTOID, TEXTOID, BOOLOID, BOOLOID, TEXTOID, TIMESTAMPTZOID}, NULL
	};

	write_revision(&query, rev, role);
}

/*
 * Replace a revision, as role.  created_at and created_by stay.
 */
void
mig_revisions_update_revision(const Revision *rev, const char *role)
{
	static ScopeQuery query = {
		"UPDATE migrate.revisions SET down_revisions = $2, depends_on = $3,"
		" branch_labels = $4, message = $5, upgrade_sql = $6,"
		" downgrade_sql = $7, upgrade_transactional = $8,"
		" downgrade_transactional = $9, modified_by = $10"
		" WHERE revision OPERATOR(pg_catalog.=) $1",
		11, {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID,
			TEXTOID, TEXTOID, BOOLOID, BOOLOID, TEXTOID, TIMESTAMPTZOID}, NULL
	};

	write_revision(&query, rev, role);
}

/*
 * Forget a revision.
 */
void
mig_revisions_delete_revision(const char *revision)
{
	static ScopeQuery query = {
		"DELETE FROM migrate.revisions WHERE revision OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	Datum		values[1] = {CStringGetTextDatum(revision)};

	if (mig_scope_write(&query, values, NULL) != 1)
		elog(ERROR, "revision \"%s\" is gone", revision);
}

/*
 * Write down the heads of the graph, unless they are known or the graph is not
 * all that is stored, because somebody added a revision by hand.
 */
void
mig_revisions_remember_heads(const Graph *graph)
{
	static ScopeQuery known = {
		"SELECT 1 FROM migrate.revisions_heads"
		" UNION ALL SELECT 1 FROM migrate.partial LIMIT 1", 0, {0}, NULL
	};
	static ScopeQuery insert = {
		"INSERT INTO migrate.revisions_heads (revision, is_real)"
		" SELECT u.revision, u.revision OPERATOR(pg_catalog.=) ANY ($2)"
		" FROM pg_catalog.unnest($1) AS u (revision)",
		2, {TEXTARRAYOID, TEXTARRAYOID}, NULL
	};
	Datum		values[2];

	if (mig_scope_read(&known, NULL, NULL) > 0 || mig_revisions_count_revisions() != graph->n)
		return;
	values[0] = mig_scope_text_array(mig_graph_ids(graph, mig_graph_heads(graph, GRAPH_DOWN)));
	values[1] = mig_scope_text_array(mig_graph_ids(graph, mig_graph_heads(graph, GRAPH_REAL)));
	(void) mig_scope_write(&insert, values, NULL);
}

/*
 * Set a project setting; value NULL removes it.
 */
void
mig_revisions_write_setting(const char *name, const char *value)
{
	static ScopeQuery remove = {
		"DELETE FROM migrate.settings WHERE name OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	static ScopeQuery insert = {
		"INSERT INTO migrate.settings (name, value) VALUES ($1, $2)",
		2, {TEXTOID, TEXTOID}, NULL
	};
	Datum		values[2];

	values[0] = CStringGetTextDatum(name);
	(void) mig_scope_write(&remove, values, NULL);
	if (value == NULL)
		return;
	values[1] = CStringGetTextDatum(value);
	(void) mig_scope_write(&insert, values, NULL);
}

/*
 * Strings of a text[], in the current memory context.  MG010 for a NULL
 * element, which only somebody who writes the table by hand can put there.
 */
static List *
array_strings(Datum array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	List	   *strings = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			null_element();
		strings = lappend(strings, TextDatumGetCString(elements[i]));
	}
	return strings;
}

static void
null_element(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIG_BROKEN_GRAPH),
			 errmsg("a list of revisions or labels in migrate.revisions contains a null value")));
}

/*
 * Columns of the last result as C values, copied to the current context.
 */
static List *
array_value(uint64 row, int column)
{
	bool		isnull;
	Datum		value = mig_scope_value(row, column, TEXTARRAYOID, &isnull);

	return isnull ? NIL : array_strings(value);
}

static TimestampTz
time_value(uint64 row, int column)
{
	bool		isnull;

	return DatumGetTimestampTz(mig_scope_value(row, column, TIMESTAMPTZOID, &isnull));
}

/*
 * Run a query without parameters whose one column is ids.
 */
static List *
read_ids(ScopeQuery *query, MemoryContext context)
{
	return collect_ids(mig_scope_read(query, NULL, NULL), context);
}

/*
 * The one column of the last result's n rows, as a list of strings.  MG010 for
 * a NULL.
 */
static List *
collect_ids(uint64 n, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *ids = NIL;

	for (uint64 row = 0; row < n; row++)
	{
		char	   *id = mig_scope_text_or_null(row, 1);

		if (id == NULL)
			null_element();
		ids = lappend(ids, id);
	}
	MemoryContextSwitchTo(old);
	return ids;
}

/*
 * Run a query over a list of ids that gives at most one id.
 */
static char *
read_first(ScopeQuery *query, List *revisions, MemoryContext context)
{
	Datum		values[1];

	values[0] = mig_scope_text_array(revisions);
	if (mig_scope_read(query, values, NULL) == 0)
		return NULL;
	return MemoryContextStrdup(context, mig_scope_text(0, 1));
}

/*
 * Insert or update a revision; both queries have the same parameters.
 */
static void
write_revision(ScopeQuery *query, const Revision *rev, const char *role)
{
	Datum		values[11];
	char		nulls[12] = "           ";

	values[0] = CStringGetTextDatum(rev->revision);
	values[1] = mig_scope_text_array(rev->down_revisions);
	values[2] = mig_scope_text_array(rev->depends_on);
	values[3] = mig_scope_text_array(rev->branch_labels);
	values[4] = CStringGetTextDatum(rev->message);
	values[5] = CStringGetTextDatum(rev->upgrade_sql);
	values[6] = (Datum) 0;
	if (rev->downgrade_sql != NULL)
		values[6] = CStringGetTextDatum(rev->downgrade_sql);
	else
		nulls[6] = 'n';
	values[7] = BoolGetDatum(rev->upgrade_transactional);
	values[8] = BoolGetDatum(rev->downgrade_transactional);
	values[9] = CStringGetTextDatum(role);
	values[10] = TimestampTzGetDatum(rev->created_at);
	if (!rev->has_created_at)
		nulls[10] = 'n';
	if (mig_scope_write(query, values, nulls) != 1)
		elog(ERROR, "could not write revision \"%s\"", rev->revision);
}

/*
 * Trigger of migrate.revisions and migrate.partial: the heads are not known any
 * more.  Runs with
 * the owner's rights, because whoever may write the table need not be allowed
 * to write this one.
 */
Datum
migrate_forget_heads(PG_FUNCTION_ARGS)
{
	static ScopeQuery query = {"DELETE FROM migrate.revisions_heads", 0, {0}, NULL};
	Scope		scope;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("migrate.forget_heads() can only be called as a trigger")));
	if (strcmp(RelationGetRelationName(((TriggerData *) fcinfo->context)->tg_relation),
			   "revisions") == 0)
		graph_changes++;
	mig_scope_enter(&scope);
	(void) mig_scope_write(&query, NULL, NULL);
	mig_scope_leave(&scope);
	return PointerGetDatum(NULL);
}
