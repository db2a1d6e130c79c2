/*
 * revisions.c
 *		Revisions as they are stored (migrate.revisions).
 *
 * The heads that are written down beside them are in store/heads.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "revision/graph.h"
#include "store/heads.h"
#include "store/query.h"
#include "store/revisions.h"
#include "store/test_data.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Longest script that is read together with others, in bytes. */
#define LONG_SCRIPT 8192

static void *revision_of_row(uint64 row);
static void *script_of_row(uint64 row);
static void *whole_script_of_row(uint64 row);
static void *digest_of_row(uint64 row);
static int64 count(const Scope *scope, StoreQuery *query, Datum *values);
static void write_revision(const Scope *scope, StoreQuery *query, const Revision *rev,
						   const char *role);

/*
 * Return the graph of all revisions, neither indexed nor linked yet: authors
 * add to it first.
 */
Graph *
mig_revisions_read_graph(const Scope *scope)
{
	static StoreQuery query = {
		"SELECT revision, down_revisions, depends_on, branch_labels"
		" FROM migrate.revisions", 0, {0}, NULL
	};
	uint64		n = mig_query_read(scope, &query, NULL, NULL);
	MemoryContext old = MemoryContextSwitchTo(scope->context);
	Graph	   *graph = mig_graph_create();

	graph->changes = mig_heads_graph_changes();
	for (uint64 row = 0; row < n; row++)
		mig_graph_add(graph, mig_query_text(row, 1), mig_query_list(row, 2),
					  mig_query_list(row, 3), mig_query_list(row, 4));
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	return graph;
}

/*
 * Return a whole revision, or NULL when there is none of that id.
 */
Revision *
mig_revisions_read_one(const Scope *scope, const char *revision)
{
	static StoreQuery query = {
		"SELECT revision, down_revisions, depends_on, branch_labels, message,"
		" upgrade_sql, downgrade_sql, upgrade_transactional,"
		" downgrade_transactional, created_at, file_name,"
		" COALESCE(upgrade_line, 0), COALESCE(downgrade_line, 0)"
		" FROM migrate.revisions WHERE revision OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	Datum		values[1] = {CStringGetTextDatum(revision)};
	List	   *found = mig_query_rows(scope, &query, values, revision_of_row);

	return found != NIL ? linitial(found) : NULL;
}

/*
 * Return whole revisions, one for each of some ids (char *), in their order; NULL
 * where there is none.
 */
List *
mig_revisions_read_several(const Scope *scope, List *revisions)
{
	static StoreQuery query = {
		"SELECT r.revision, r.down_revisions, r.depends_on, r.branch_labels, r.message,"
		" r.upgrade_sql, r.downgrade_sql, r.upgrade_transactional,"
		" r.downgrade_transactional, r.created_at, r.file_name, COALESCE(r.upgrade_line, 0),"
		" COALESCE(r.downgrade_line, 0)"
		" FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (revision, n)"
		" LEFT JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) u.revision"
		" ORDER BY u.n",
		1, {TEXTARRAYOID}, NULL
	};
	Datum		values[1] = {mig_query_text_array(revisions)};

	return mig_query_rows(scope, &query, values, revision_of_row);
}

/*
 * Return a Revision, for mig_query_rows; NULL for a row without one.
 */
static void *
revision_of_row(uint64 row)
{
	Revision   *rev;

	if (mig_query_text_or_null(row, 1) == NULL)
		return NULL;
	rev = palloc0(sizeof(Revision));
	rev->revision = mig_query_text(row, 1);
	rev->down_revisions = mig_query_list(row, 2);
	rev->depends_on = mig_query_list(row, 3);
	rev->branch_labels = mig_query_list(row, 4);
	rev->message = mig_query_text(row, 5);
	rev->upgrade_sql = mig_query_text(row, 6);
	rev->downgrade_sql = mig_query_text_or_null(row, 7);
	rev->upgrade_transactional = mig_query_bool(row, 8);
	rev->downgrade_transactional = mig_query_bool(row, 9);
	rev->created_at = mig_query_time(row, 10);
	rev->has_created_at = true;
	rev->file_name = mig_query_text_or_null(row, 11);
	rev->line[MIG_UPGRADE] = mig_query_int(row, 12);
	rev->line[MIG_DOWNGRADE] = mig_query_int(row, 13);
	return rev;
}

/*
 * Return the scripts of one direction (StoredScript *) of some revisions
 * (char *), in their order.  Those over LONG_SCRIPT bytes come without their
 * text, so that reading many at once takes little memory.
 */
List *
mig_revisions_read_scripts(const Scope *scope, List *revisions,
						   MigDirection direction)
{
#define SCRIPTS_QUERY(column, line, transactional) \
	"SELECT r.revision, r.message, r.checksum," \
	" CASE WHEN pg_catalog.octet_length(" column ") OPERATOR(pg_catalog.<=) $2" \
	" THEN " column " END," \
	" COALESCE(pg_catalog.octet_length(" column ") OPERATOR(pg_catalog.>) $2, false)," \
	" r.file_name, COALESCE(" line ", 0), " transactional \
	" FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (revision, n)" \
	" JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) u.revision" \
	" ORDER BY u.n"
	static StoreQuery queries[2] = {
		{SCRIPTS_QUERY("r.upgrade_sql", "r.upgrade_line", "r.upgrade_transactional"),
		2, {TEXTARRAYOID, INT4OID}, NULL},
		{SCRIPTS_QUERY("r.downgrade_sql", "r.downgrade_line", "r.downgrade_transactional"),
		2, {TEXTARRAYOID, INT4OID}, NULL}
	};
	Datum		values[2] = {mig_query_text_array(revisions), Int32GetDatum(LONG_SCRIPT)};

	return mig_query_rows(scope, &queries[direction], values, script_of_row);
}

/*
 * Return a StoredScript that may be without its text, for mig_query_rows.
 */
static void *
script_of_row(uint64 row)
{
	StoredScript *script = palloc0(sizeof(StoredScript));

	script->revision = mig_query_text(row, 1);
	script->message = mig_query_text(row, 2);
	script->checksum = mig_query_text(row, 3);
	script->sql = mig_query_text_or_null(row, 4);
	script->is_long = mig_query_bool(row, 5);
	script->file_name = mig_query_text_or_null(row, 6);
	script->line = mig_query_int(row, 7);
	script->transactional = mig_query_bool(row, 8);
	return script;
}

/*
 * Return the scripts of one direction (StoredScript *) of some revisions (char *), in
 * their order, however long they are.
 */
List *
mig_revisions_read_whole_scripts(const Scope *scope, List *revisions,
								 MigDirection direction)
{
	List	   *scripts = mig_revisions_read_scripts(scope, revisions, direction);
	ListCell   *lc;

	foreach(lc, scripts)
	{
		const StoredScript *script = lfirst(lc);

		if (script->is_long)
			lfirst(lc) = mig_revisions_read_script(scope, script->revision, direction);
	}
	return scripts;
}

/*
 * Return the script of one direction of a revision, however long, or NULL when
 * it, or the revision, is not there.
 */
StoredScript *
mig_revisions_read_script(const Scope *scope, const char *revision,
						  MigDirection direction)
{
	static StoreQuery queries[2] = {
		{"SELECT revision, message, checksum, upgrade_sql, upgrade_transactional,"
			" file_name, COALESCE(upgrade_line, 0)"
			" FROM migrate.revisions WHERE revision OPERATOR(pg_catalog.=) $1"
			" AND upgrade_sql IS NOT NULL",
		1, {TEXTOID}, NULL},
		{"SELECT revision, message, checksum, downgrade_sql, downgrade_transactional,"
			" file_name, COALESCE(downgrade_line, 0)"
			" FROM migrate.revisions WHERE revision OPERATOR(pg_catalog.=) $1"
			" AND downgrade_sql IS NOT NULL",
		1, {TEXTOID}, NULL}
	};
	Datum		values[1] = {CStringGetTextDatum(revision)};
	List	   *found = mig_query_rows(scope, &queries[direction], values,
									   whole_script_of_row);

	return found != NIL ? linitial(found) : NULL;
}

/*
 * Return a StoredScript with its text, for mig_query_rows.
 */
static void *
whole_script_of_row(uint64 row)
{
	StoredScript *script = palloc0(sizeof(StoredScript));

	script->revision = mig_query_text(row, 1);
	script->message = mig_query_text(row, 2);
	script->checksum = mig_query_text(row, 3);
	script->sql = mig_query_text(row, 4);
	script->transactional = mig_query_bool(row, 5);
	script->file_name = mig_query_text_or_null(row, 6);
	script->line = mig_query_int(row, 7);
	return script;
}

/*
 * Return what the scripts of one direction of some revisions (char *) are
 * recognized by (ScriptDigest *), in their order, one for each.
 */
List *
mig_revisions_read_digests(const Scope *scope, List *revisions,
						   MigDirection direction)
{
#define DIGESTS_QUERY(digest, transactional) \
	"SELECT u.revision, " digest ", COALESCE(" transactional ", true)" \
	" FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (revision, n)" \
	" LEFT JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) u.revision" \
	" ORDER BY u.n"
	static StoreQuery queries[2] = {
		{DIGESTS_QUERY("r.checksum", "r.upgrade_transactional"),
		1, {TEXTARRAYOID}, NULL},
		{DIGESTS_QUERY("migrate.script_checksum(r.downgrade_sql, r.downgrade_transactional)",
					   "r.downgrade_transactional"),
		1, {TEXTARRAYOID}, NULL}
	};
	Datum		values[1] = {mig_query_text_array(revisions)};

	return mig_query_rows(scope, &queries[direction], values, digest_of_row);
}

/*
 * Return a ScriptDigest, for mig_query_rows.
 */
static void *
digest_of_row(uint64 row)
{
	ScriptDigest *digest = palloc(sizeof(ScriptDigest));

	digest->revision = mig_query_text(row, 1);
	digest->digest = mig_query_text_or_null(row, 2);
	digest->transactional = mig_query_bool(row, 3);
	return digest;
}

/*
 * Return the first of revisions (char *) that has no downgrade script, or NULL.
 */
char *
mig_revisions_first_without_downgrade(const Scope *scope, List *revisions)
{
	static StoreQuery query = {
		"SELECT r.revision FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (revision, n)"
		" JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) u.revision"
		" WHERE r.downgrade_sql IS NULL ORDER BY u.n LIMIT 1",
		1, {TEXTARRAYOID}, NULL
	};
	Datum		values[1] = {mig_query_text_array(revisions)};
	List	   *found = mig_query_texts(scope, &query, values);

	return found != NIL ? linitial(found) : NULL;
}

/*
 * Return the first of revisions (char *) whose script is not transactional, or
 * NULL.
 */
char *
mig_revisions_first_not_transactional(const Scope *scope, List *revisions,
									  MigDirection direction)
{
	static StoreQuery queries[2] = {
		{"SELECT r.revision FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (revision, n)"
			" JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) u.revision"
			" WHERE NOT r.upgrade_transactional ORDER BY u.n LIMIT 1",
		1, {TEXTARRAYOID}, NULL},
		{"SELECT r.revision FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (revision, n)"
			" JOIN migrate.revisions r ON r.revision OPERATOR(pg_catalog.=) u.revision"
			" WHERE NOT r.downgrade_transactional ORDER BY u.n LIMIT 1",
		1, {TEXTARRAYOID}, NULL}
	};
	Datum		values[1] = {mig_query_text_array(revisions)};
	List	   *found = mig_query_texts(scope, &queries[direction], values);

	return found != NIL ? linitial(found) : NULL;
}

/*
 * Return those of names (char *) that are ids.
 */
List *
mig_revisions_find_ids(const Scope *scope, List *names)
{
	static StoreQuery query = {
		"SELECT revision FROM migrate.revisions"
		" WHERE revision OPERATOR(pg_catalog.=) ANY ($1)",
		1, {TEXTARRAYOID}, NULL
	};
	Datum		values[1] = {mig_query_text_array(names)};

	return mig_query_texts(scope, &query, values);
}

/*
 * Return all branch labels (char *).  An index has the revisions that have
 * some.
 */
List *
mig_revisions_read_labels(const Scope *scope)
{
	static StoreQuery query = {
		"SELECT l.label FROM migrate.revisions r,"
		" pg_catalog.unnest(r.branch_labels) AS l (label)"
		" WHERE r.branch_labels OPERATOR(pg_catalog.<>) '{}'", 0, {0}, NULL
	};

	return mig_query_texts(scope, &query, NULL);
}

/*
 * Check that revisions (char *) of a graph are still there, under the run lock.
 * Other sessions could only have dropped one by hand, which the number of
 * revisions tells; this session could have added one too.  Errors: MG007.
 */
void
mig_revisions_check_there(const Scope *scope, const Graph *graph, List *revisions)
{
	static StoreQuery all = {
		"SELECT pg_catalog.count(*) FROM migrate.revisions", 0, {0}, NULL
	};
	static StoreQuery these = {
		"SELECT pg_catalog.count(*) FROM migrate.revisions"
		" WHERE revision OPERATOR(pg_catalog.=) ANY ($1)",
		1, {TEXTARRAYOID}, NULL
	};
	Datum		values[1] = {mig_query_text_array(revisions)};

	if (graph->changes == mig_heads_graph_changes() ?
		count(scope, &all, NULL) < graph->n :
		count(scope, &these, values) < list_length(revisions))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("a revision was dropped while it was being applied")));
}

/*
 * Return what a query counts.
 */
static int64
count(const Scope *scope, StoreQuery *query, Datum *values)
{
	bool		isnull;

	(void) mig_query_read(scope, query, values, NULL);
	return DatumGetInt64(mig_query_value(0, 1, INT8OID, &isnull));
}

/* What write_revision passes: the parameters of both queries. */
#define REVISION_VALUES \
	14, {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, \
		BOOLOID, BOOLOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, INT4OID, INT4OID}

/*
 * Store a new revision, as role.
 */
void
mig_revisions_insert(const Scope *scope, const Revision *rev, const char *role)
{
	static StoreQuery query = {
		"INSERT INTO migrate.revisions (revision, down_revisions, depends_on,"
		" branch_labels, message, upgrade_sql, downgrade_sql,"
		" upgrade_transactional, downgrade_transactional, created_by,"
		" modified_by, created_at, file_name, upgrade_line, downgrade_line)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10,"
		" COALESCE($11, pg_catalog.now()), $12, $13, $14)",
		REVISION_VALUES, NULL
	};

	write_revision(scope, &query, rev, role);
}

/*
 * Replace a revision, as role.  created_at and created_by stay.
 */
void
mig_revisions_update(const Scope *scope, const Revision *rev, const char *role)
{
	static StoreQuery query = {
		"UPDATE migrate.revisions SET down_revisions = $2, depends_on = $3,"
		" branch_labels = $4, message = $5, upgrade_sql = $6,"
		" downgrade_sql = $7, upgrade_transactional = $8,"
		" downgrade_transactional = $9, modified_by = $10, file_name = $12,"
		" upgrade_line = $13, downgrade_line = $14"
		" WHERE revision OPERATOR(pg_catalog.=) $1",
		REVISION_VALUES, NULL
	};

	write_revision(scope, &query, rev, role);
}

/*
 * Insert or update a revision; both queries have the same parameters.
 */
static void
write_revision(const Scope *scope, StoreQuery *query, const Revision *rev,
			   const char *role)
{
	Datum		values[14];
	char		nulls[15] = "              ";

	values[0] = CStringGetTextDatum(rev->revision);
	values[1] = mig_query_text_array(rev->down_revisions);
	values[2] = mig_query_text_array(rev->depends_on);
	values[3] = mig_query_text_array(rev->branch_labels);
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
	values[11] = (Datum) 0;
	if (rev->file_name != NULL)
		values[11] = CStringGetTextDatum(rev->file_name);
	else
		nulls[11] = 'n';
	for (int direction = 0; direction < 2; direction++)
	{
		values[12 + direction] = Int32GetDatum(rev->line[direction]);
		if (rev->file_name == NULL || rev->line[direction] == 0)
			nulls[12 + direction] = 'n';
	}
	if (mig_query_write(scope, query, values, nulls) != 1)
		elog(ERROR, "could not write revision \"%s\"", rev->revision);
}

/*
 * Delete a revision, and the rows that it is tested with.
 */
void
mig_revisions_delete(const Scope *scope, const char *revision)
{
	static StoreQuery query = {
		"DELETE FROM migrate.revisions WHERE revision OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	Datum		values[1] = {CStringGetTextDatum(revision)};

	if (mig_query_write(scope, &query, values, NULL) != 1)
		elog(ERROR, "revision \"%s\" is gone", revision);
	mig_test_data_forget(scope, revision);
}
