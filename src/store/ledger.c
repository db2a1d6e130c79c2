/*
 * ledger.c
 *		SQL that writes what was done: version rows, applied, log.
 *
 * Every query is constant, names everything with its schema (operators too)
 * and takes its values as parameters.  scope.c says with whose rights and on
 * which snapshot it runs.
 */
#include "migrate.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "fmgr.h"
#include "pgstat.h"
#include "revision/ids.h"
#include "store/ledger.h"
#include "store/query.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

pg_noreturn static void was_dropped(void);
static void append_rows(List **ones, List **lists, List *rows);
static char *array_text(List *strings);
static void write_ids(const Scope *scope, StoreQuery *query, List *ids);
static uint64 write_id(const Scope *scope, StoreQuery *query, const char *id);

/*
 * How many rows this transaction has inserted, updated and deleted in
 * migrate.versions and migrate.applied, those that were rolled back too; -1
 * when that is not known.  As long as the number is the same, this session has
 * written to neither.  Needs no scope.
 *
 * It is the server's statistics that count.  A TRUNCATE takes back what they
 * counted, but gives the table another file.
 */
int64
mig_ledger_count_writes(void)
{
	static const char *const tables[] = {"versions", "applied"};
	Oid			schema = get_namespace_oid(MIG_SCHEMA, true);
	int64		n = 0;

	for (size_t i = 0; i < lengthof(tables); i++)
	{
		Oid			table = OidIsValid(schema) ?
			get_relname_relid(tables[i], schema) : InvalidOid;
		Relation	relation = OidIsValid(table) ?
			try_relation_open(table, AccessShareLock) : NULL;
		bool		counts;

		if (relation == NULL)
			return -1;
		counts = pgstat_track_counts &&
			relation->rd_createSubid == InvalidSubTransactionId &&
			relation->rd_firstRelfilelocatorSubid == InvalidSubTransactionId;
		relation_close(relation, NoLock);
		if (!counts)
			return -1;
		n += DatumGetInt64(DirectFunctionCall1(pg_stat_get_xact_tuples_inserted,
											   table));
		n += DatumGetInt64(DirectFunctionCall1(pg_stat_get_xact_tuples_updated,
											   table));
		n += DatumGetInt64(DirectFunctionCall1(pg_stat_get_xact_tuples_deleted,
											   table));
	}
	return n;
}

/*
 * Ids of the version rows (char *), in byte order.
 */
List *
mig_ledger_read_versions(const Scope *scope)
{
	static StoreQuery query = {
		"SELECT revision FROM migrate.versions"
		" ORDER BY revision COLLATE pg_catalog.\"C\"", 0, {0}, NULL
	};

	return mig_query_texts(scope, &query, NULL);
}

/*
 * Ids of the applied revisions (char *), in byte order.
 */
List *
mig_ledger_read_applied(const Scope *scope)
{
	static StoreQuery query = {
		"SELECT revision FROM migrate.applied"
		" ORDER BY revision COLLATE pg_catalog.\"C\"", 0, {0}, NULL
	};

	return mig_query_texts(scope, &query, NULL);
}

/*
 * Ids of applied revisions whose upgrade script is not what it was when they
 * were applied, or that are gone (char *), in byte order.
 */
List *
mig_ledger_read_edited(const Scope *scope)
{
	static StoreQuery query = {
		"SELECT a.revision FROM migrate.applied a"
		" LEFT JOIN migrate.revisions r"
		" ON r.revision OPERATOR(pg_catalog.=) a.revision"
		" WHERE r.checksum IS NULL"
		" OR r.checksum OPERATOR(pg_catalog.<>) a.checksum"
		" ORDER BY a.revision COLLATE pg_catalog.\"C\"", 0, {0}, NULL
	};

	return mig_query_texts(scope, &query, NULL);
}

/*
 * Make the version rows be exactly versions (char *).
 */
void
mig_ledger_set_versions(const Scope *scope, List *versions)
{
	static StoreQuery remove = {
		"DELETE FROM migrate.versions"
		" WHERE revision OPERATOR(pg_catalog.<>) ALL ($1)",
		1, {TEXTARRAYOID}, NULL
	};
	static StoreQuery insert = {
		"INSERT INTO migrate.versions (revision)"
		" SELECT u.revision FROM pg_catalog.unnest($1) AS u (revision)"
		" WHERE NOT EXISTS (SELECT 1 FROM migrate.versions v"
		" WHERE v.revision OPERATOR(pg_catalog.=) u.revision)",
		1, {TEXTARRAYOID}, NULL
	};

	write_ids(scope, &remove, versions);
	write_ids(scope, &insert, versions);
}

/*
 * Change the version rows by keys: take away those of before (char *, in byte
 * order) that are not in after (likewise), and add the others of after.  In a
 * transaction with many steps the table is full of rows that are dead but
 * cannot be removed yet, so nothing may scan it; see mig_scope_by_key.  MG007
 * when a row of before is not there.
 */
void
mig_ledger_change_versions(const Scope *scope, List *before, List *after)
{
	static StoreQuery remove = {
		"DELETE FROM migrate.versions WHERE revision OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	static StoreQuery insert = {
		"INSERT INTO migrate.versions (revision) VALUES ($1)", 1, {TEXTOID}, NULL
	};
	ListCell   *lc;

	foreach(lc, mig_ids_difference(before, after))
		if (write_id(scope, &remove, lfirst(lc)) != 1)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_CHANGED),
					 errmsg("current revision \"%s\" is not in migrate.versions any more",
							(char *) lfirst(lc))));
	foreach(lc, mig_ids_difference(after, before))
		(void) write_id(scope, &insert, lfirst(lc));
}

/*
 * Record revisions (char *) as applied, with the checksums they have now.
 */
void
mig_ledger_add_applied(const Scope *scope, List *revisions, const char *how,
					   TimestampTz applied_at)
{
	static StoreQuery query = {
		"INSERT INTO migrate.applied (revision, checksum, applied_at, how)"
		" SELECT r.revision, r.checksum, $2, $3 FROM migrate.revisions r"
		" WHERE r.revision OPERATOR(pg_catalog.=) ANY ($1)",
		3, {TEXTARRAYOID, TIMESTAMPTZOID, TEXTOID}, NULL
	};
	Datum		values[3];

	if (revisions == NIL)
		return;
	values[0] = mig_query_text_array(revisions);
	values[1] = TimestampTzGetDatum(applied_at);
	values[2] = CStringGetTextDatum(how);
	if (mig_query_write(scope, &query, values, NULL) !=
		(uint64) list_length(revisions))
		was_dropped();
}

/*
 * Record revisions (char *) as applied by an upgrade, each with the checksum
 * (char *) that it had when its script was read.  That they are still there is
 * for mig_revisions_check_there to see.
 */
void
mig_ledger_add_upgraded(const Scope *scope, List *revisions, List *checksums,
						TimestampTz applied_at)
{
	static StoreQuery query = {
		"INSERT INTO migrate.applied (revision, checksum, applied_at, how)"
		" SELECT u.revision, u.checksum, $3, 'upgrade'"
		" FROM (SELECT pg_catalog.unnest($1) AS revision,"
		" pg_catalog.unnest($2) AS checksum) AS u",
		3, {TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID}, NULL
	};
	Datum		values[3];

	if (revisions == NIL)
		return;
	values[0] = mig_query_text_array(revisions);
	values[1] = mig_query_text_array(checksums);
	values[2] = TimestampTzGetDatum(applied_at);
	(void) mig_query_write(scope, &query, values, NULL);
}

/*
 * Record one revision as applied by an upgrade, with the checksum that it has
 * now, which is returned (in context).
 */
char *
mig_ledger_add_one_upgraded(const Scope *scope, const char *revision,
							TimestampTz applied_at)
{
	static StoreQuery query = {
		"INSERT INTO migrate.applied (revision, checksum, applied_at, how)"
		" SELECT r.revision, r.checksum, $2, 'upgrade' FROM migrate.revisions r"
		" WHERE r.revision OPERATOR(pg_catalog.=) $1 RETURNING checksum",
		2, {TEXTOID, TIMESTAMPTZOID}, NULL
	};
	Datum		values[2];

	values[0] = CStringGetTextDatum(revision);
	values[1] = TimestampTzGetDatum(applied_at);
	if (mig_query_write(scope, &query, values, NULL) != 1)
		was_dropped();
	return MemoryContextStrdup(scope->context, mig_query_text(0, 1));
}

/*
 * Record one revision as no longer applied.  Returns the checksum that it was
 * applied with, in context; NULL when it was not applied.
 */
char *
mig_ledger_remove_one_applied(const Scope *scope, const char *revision)
{
	static StoreQuery query = {
		"DELETE FROM migrate.applied WHERE revision OPERATOR(pg_catalog.=) $1"
		" RETURNING checksum", 1, {TEXTOID}, NULL
	};

	if (write_id(scope, &query, revision) == 0)
		return NULL;
	return MemoryContextStrdup(scope->context, mig_query_text(0, 1));
}

static void
was_dropped(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIG_CHANGED),
			 errmsg("a revision was dropped while it was being applied")));
}

/*
 * Record revisions (char *) as no longer applied.
 */
void
mig_ledger_remove_applied(const Scope *scope, List *revisions)
{
	static StoreQuery query = {
		"DELETE FROM migrate.applied"
		" WHERE revision OPERATOR(pg_catalog.=) ANY ($1)",
		1, {TEXTARRAYOID}, NULL
	};

	if (revisions != NIL)
		write_ids(scope, &query, revisions);
}

/*
 * Record that nothing is applied.
 */
void
mig_ledger_clear_applied(const Scope *scope)
{
	static StoreQuery query = {"DELETE FROM migrate.applied", 0, {0}, NULL};

	(void) mig_query_write(scope, &query, NULL, NULL);
}

/*
 * Add rows to the log, for steps (LedgerStep *) of one operation that role
 * took.
 *
 * unnest would take an array of arrays apart.  So lists of one revision, which
 * is most of them, travel as that revision, and others as the text of an array.
 */
void
mig_ledger_add_log(const Scope *scope, List *steps, const char *role)
{
	static StoreQuery query = {
		"INSERT INTO migrate.log (operation, revision, checksum,"
		" versions_before, versions_after, started_at, duration, session_role,"
		" effective_role, application_name, client_addr, server_version)"
		" SELECT $1, u.revision, u.checksum,"
		" CASE WHEN u.before IS NULL THEN u.all_before::pg_catalog.text[] ELSE ARRAY[u.before] END,"
		" CASE WHEN u.after IS NULL THEN u.all_after::pg_catalog.text[] ELSE ARRAY[u.after] END,"
		" u.started_at, u.duration, (SELECT SESSION_USER), $2,"
		" (SELECT pg_catalog.current_setting('application_name')),"
		" (SELECT pg_catalog.inet_client_addr()),"
		" (SELECT pg_catalog.current_setting('server_version'))"
		" FROM (SELECT pg_catalog.unnest($3) AS revision, pg_catalog.unnest($4) AS checksum,"
		" pg_catalog.unnest($5) AS before, pg_catalog.unnest($6) AS all_before,"
		" pg_catalog.unnest($7) AS after, pg_catalog.unnest($8) AS all_after,"
		" pg_catalog.unnest($9) AS started_at, pg_catalog.unnest($10) AS duration) AS u",
		10, {TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, INTERVALARRAYOID}, NULL
	};
	int			n = list_length(steps);
	List	   *texts[6] = {NIL, NIL, NIL, NIL, NIL, NIL};
	Datum	   *started = palloc(Max(n, 1) * sizeof(Datum));
	Datum	   *duration = palloc(Max(n, 1) * sizeof(Datum));
	Interval   *intervals = palloc0(Max(n, 1) * sizeof(Interval));
	Datum		values[10];
	ListCell   *lc;

	if (steps == NIL)
		return;
	foreach(lc, steps)
	{
		const LedgerStep *step = lfirst(lc);
		int			i = foreach_current_index(lc);

		texts[0] = lappend(texts[0], unconstify(char *, step->revision));
		texts[1] = lappend(texts[1], unconstify(char *, step->checksum));
		append_rows(&texts[2], &texts[3], step->versions_before);
		append_rows(&texts[4], &texts[5], step->versions_after);
		started[i] = TimestampTzGetDatum(step->started_at);
		intervals[i].time = step->duration;
		duration[i] = IntervalPGetDatum(&intervals[i]);
	}
	values[0] = CStringGetTextDatum(((LedgerStep *) linitial(steps))->operation);
	values[1] = CStringGetTextDatum(role);
	for (int i = 0; i < 6; i++)
		values[i + 2] = mig_query_text_array(texts[i]);
	values[8] = PointerGetDatum(construct_array(started, n, TIMESTAMPTZOID,
												sizeof(TimestampTz),
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[9] = PointerGetDatum(construct_array(duration, n, INTERVALOID,
												sizeof(Interval), false,
												TYPALIGN_DOUBLE));
	(void) mig_query_write(scope, &query, values, NULL);
}

/*
 * Add one row to the log, likewise.
 */
void
mig_ledger_add_one_log(const Scope *scope, const LedgerStep *step, const char *role)
{
	static StoreQuery query = {
		"INSERT INTO migrate.log (operation, revision, checksum,"
		" versions_before, versions_after, started_at, duration, session_role,"
		" effective_role, application_name, client_addr, server_version)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, SESSION_USER, $8,"
		" pg_catalog.current_setting('application_name'),"
		" pg_catalog.inet_client_addr(), pg_catalog.current_setting('server_version'))",
		8, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID,
			INTERVALOID, TEXTOID}, NULL
	};
	Interval	duration = {.time = step->duration};
	Datum		values[8];
	char		nulls[] = "        ";

	values[0] = CStringGetTextDatum(step->operation);
	values[1] = values[2] = (Datum) 0;
	if (step->revision != NULL)
		values[1] = CStringGetTextDatum(step->revision);
	else
		nulls[1] = 'n';
	if (step->checksum != NULL)
		values[2] = CStringGetTextDatum(step->checksum);
	else
		nulls[2] = 'n';
	values[3] = mig_query_text_array(step->versions_before);
	values[4] = mig_query_text_array(step->versions_after);
	values[5] = TimestampTzGetDatum(step->started_at);
	values[6] = IntervalPGetDatum(&duration);
	values[7] = CStringGetTextDatum(role);
	(void) mig_query_write(scope, &query, values, nulls);
}

/*
 * Append the version rows before or after a step to two lists of strings: the
 * one row there is to ones, otherwise the text of an array to lists, and NULL
 * to the other.
 */
static void
append_rows(List **ones, List **lists, List *rows)
{
	bool		is_one = list_length(rows) == 1;

	*ones = lappend(*ones, is_one ? linitial(rows) : NULL);
	*lists = lappend(*lists, is_one ? NULL : array_text(rows));
}

/*
 * The text of a text[] of strings.
 */
static char *
array_text(List *strings)
{
	return OidOutputFunctionCall(F_ARRAY_OUT, mig_query_text_array(strings));
}

/*
 * Run a query that writes and takes a list of ids.
 */
static void
write_ids(const Scope *scope, StoreQuery *query, List *ids)
{
	Datum		values[1];

	values[0] = mig_query_text_array(ids);
	(void) mig_query_write(scope, query, values, NULL);
}

/*
 * Run a query that writes and takes one id.  Returns the number of rows.
 */
static uint64
write_id(const Scope *scope, StoreQuery *query, const char *id)
{
	Datum		values[1] = {CStringGetTextDatum(id)};

	return mig_query_write(scope, query, values, NULL);
}
