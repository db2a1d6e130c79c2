/*
 * ledger.c
 *		What is applied: version rows, applied and log, which are written
 *		together.
 *
 * What is recorded of one step does not cost more the more revisions there are.
 */
#include "migrate.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/plan.h"
#include "store/heads.h"
#include "store/ledger.h"
#include "store/query.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* Rows are written this many at a time, so that they take little memory. */
#define WRITE_AHEAD 1000

/* One step, for the log. */
typedef struct LedgerStep
{
	const char *operation;		/* "upgrade", "downgrade", "stamp", "capture" */
	const char *revision;		/* NULL: base */
	const char *checksum;		/* NULL with revision */
	List	   *removed;		/* version rows, of char *; in byte order */
	List	   *added;			/* likewise */
	int			count;			/* number of version rows afterwards */
	TimestampTz started_at;
	int64		duration;		/* microseconds */
} LedgerStep;

static void read_checksums(uint64 n, List **revisions, List **checksums);
static void set_versions(const Scope *scope, List *before, List *after);
static void change_versions(const Scope *scope, List *removed, List *added);
pg_noreturn static void version_is_gone(const char *revision);
static void add_applied(const Scope *scope, List *revisions, const char *how,
						TimestampTz applied_at);
static uint64 insert_applied(const Scope *scope, List *revisions, List *checksums,
							 const char *how, TimestampTz applied_at);
static char *add_one_upgraded(const Scope *scope, const char *revision,
							  const char *checksum, TimestampTz applied_at);
static char *remove_one_applied(const Scope *scope, const char *revision);
pg_noreturn static void was_dropped(void);
static void remove_applied(const Scope *scope, List *revisions);
static void clear_applied(const Scope *scope);
static void add_log(const Scope *scope, List *steps, const LedgerActor *actor);
static void add_one_log(const Scope *scope, const LedgerStep *step, const LedgerActor *actor);
static void append_rows(List **ones, List **lists, List *rows);
static char *array_text(List *strings);
static uint64 write_ids(const Scope *scope, StoreQuery *query, List *ids);
static uint64 write_id(const Scope *scope, StoreQuery *query, const char *id);
static void write_log(const Scope *scope, PlanRows *rows, List *plan, int from, int to,
					  MigDirection direction, const LedgerDone *done,
					  const LedgerActor *actor);
static List *checksums_of(const LedgerDone *done, int from, int to);
static void remember_heads(const Scope *scope, const Graph *graph);
static void take_step(PlanRows *rows, int node, MigDirection direction);
static List *ids_of(const Graph *graph, List *nodes);
static void record_stamp(const Scope *scope, const Graph *graph, const Bitmapset *from,
						 const Bitmapset *to, List *steps, bool purge,
						 const char *operation, const LedgerActor *actor);
static List *stamp_log(const Scope *scope, const Graph *graph, List *steps,
					   List *before, bool purge, const char *operation);
static List *checksums_of_stamp(const Scope *scope, const Graph *graph, List *steps);
static void stamp_applied(const Scope *scope, const Graph *graph, const Bitmapset *from,
						  const Bitmapset *rows, bool purge, const char *how);

/*
 * Return who acts, for the log, in the current memory context.  To be called
 * before a script runs: what a script sets does not count.  Must be called
 * outside of a scope.
 */
LedgerActor
mig_ledger_actor(void)
{
	LedgerActor actor;

	actor.session_role = GetUserNameFromId(GetSessionUserId(), false);
	actor.role = GetUserNameFromId(GetUserId(), false);
	actor.application_name = pstrdup(application_name ? application_name : "");
	return actor;
}

/*
 * Return how many rows this transaction has inserted, updated and deleted in
 * migrate.versions and migrate.applied, those that were rolled back too; -1
 * when that is not known. As long as the number is the same, this session has
 * written to neither. Needs no scope.
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
 * Return the ids of the version rows (char *), in byte order.
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
 * Return the ids of the applied revisions (char *), in byte order.
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
 * Return the ids of applied revisions whose upgrade script is not what it was when
 * they were applied, or that are gone (char *), in byte order.
 */
List *
mig_ledger_read_edited(const Scope *scope)
{
	static StoreQuery applied = {
		"SELECT revision, checksum FROM migrate.applied"
		" ORDER BY revision COLLATE pg_catalog.\"C\"", 0, {0}, NULL
	};
	static StoreQuery stored = {
		"SELECT revision, checksum FROM migrate.revisions"
		" ORDER BY revision COLLATE pg_catalog.\"C\"", 0, {0}, NULL
	};
	List	   *revisions;
	List	   *checksums;
	List	   *edited = NIL;
	MemoryContext old;
	uint64		row = 0;
	uint64		n;
	ListCell   *id;
	ListCell   *checksum;

	read_checksums(mig_query_read(scope, &applied, NULL, NULL), &revisions, &checksums);
	n = mig_query_read(scope, &stored, NULL, NULL);
	old = MemoryContextSwitchTo(scope->context);
	forboth(id, revisions, checksum, checksums)
	{
		const char *now = NULL;
		int			order = -1;

		while (row < n && (order = strcmp(mig_query_text(row, 1), lfirst(id))) < 0)
			row++;
		if (row < n && order == 0)
			now = mig_query_text_or_null(row, 2);
		if (now == NULL || strcmp(now, lfirst(checksum)) != 0)
			edited = lappend(edited, pstrdup(lfirst(id)));
	}
	MemoryContextSwitchTo(old);
	return edited;
}

/*
 * Return the ids of revisions that were moved or stamped here, each once (char *),
 * in no particular order.
 */
List *
mig_ledger_read_logged(const Scope *scope)
{
	static StoreQuery query = {
		"SELECT DISTINCT revision FROM migrate.steps WHERE revision IS NOT NULL",
		0, {0}, NULL
	};

	return mig_query_texts(scope, &query, NULL);
}

/*
 * Return the first two columns, id and checksum (both char *), of the last
 * query's n rows.  Errors: 55000 for a null.
 */
static void
read_checksums(uint64 n, List **revisions, List **checksums)
{
	*revisions = *checksums = NIL;
	for (uint64 row = 0; row < n; row++)
	{
		*revisions = lappend(*revisions, mig_query_text(row, 1));
		*checksums = lappend(*checksums, mig_query_text(row, 2));
	}
}

/*
 * Change the version rows from before (char *, in byte order) to after
 * (likewise), for the rest of the scope by keys: for ANY of as many elements as
 * there are rows a scan compares each with each, before 14.  MG007 when a row of
 * before is not there.
 */
static void
set_versions(const Scope *scope, List *before, List *after)
{
	static StoreQuery remove = {
		"DELETE FROM migrate.versions WHERE revision OPERATOR(pg_catalog.=) ANY ($1)",
		1, {TEXTARRAYOID}, NULL
	};
	static StoreQuery insert = {
		"INSERT INTO migrate.versions (revision)"
		" SELECT u.revision FROM pg_catalog.unnest($1) AS u (revision)",
		1, {TEXTARRAYOID}, NULL
	};
	List	   *removed = mig_ids_difference(before, after);
	List	   *added = mig_ids_difference(after, before);

	mig_scope_by_key();
	if (removed != NIL &&
		write_ids(scope, &remove, removed) != (uint64) list_length(removed))
		version_is_gone(linitial(removed));
	if (added != NIL)
		(void) write_ids(scope, &insert, added);
}

/*
 * Take version rows away (char *), and add others, by keys.  In a transaction
 * with many steps the table is full of rows that are dead but cannot be removed
 * yet, so nothing may scan it; see mig_scope_by_key.  MG007 when a row to be
 * removed is not there.
 */
static void
change_versions(const Scope *scope, List *removed, List *added)
{
	static StoreQuery remove = {
		"DELETE FROM migrate.versions WHERE revision OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	static StoreQuery insert = {
		"INSERT INTO migrate.versions (revision) VALUES ($1)", 1, {TEXTOID}, NULL
	};
	ListCell   *lc;

	foreach(lc, removed)
		if (write_id(scope, &remove, lfirst(lc)) != 1)
			version_is_gone(lfirst(lc));
	foreach(lc, added)
		(void) write_id(scope, &insert, lfirst(lc));
}

/*
 * Report, with MG007, that a version row is gone.
 */
static void
version_is_gone(const char *revision)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIG_CHANGED),
			 errmsg("current revision \"%s\" is not in migrate.versions any more",
					revision)));
}

/*
 * Record revisions (char *) as applied, with the checksums they have now.
 */
static void
add_applied(const Scope *scope, List *revisions, const char *how,
			TimestampTz applied_at)
{
	static StoreQuery query = {
		"SELECT revision, checksum FROM migrate.revisions"
		" WHERE revision OPERATOR(pg_catalog.=) ANY ($1)",
		1, {TEXTARRAYOID}, NULL
	};
	uint64		n = list_length(revisions);
	List	   *checksums;
	Datum		ids;

	if (n == 0)
		return;
	ids = mig_query_text_array(revisions);
	if (mig_query_read(scope, &query, &ids, NULL) != n)
		was_dropped();
	read_checksums(n, &revisions, &checksums);
	if (insert_applied(scope, revisions, checksums, how, applied_at) != n)
		was_dropped();
}

/*
 * Record revisions (char *) as applied, each with a checksum (char *).  That they
 * are still there is for the caller to see.  Returns the number of rows.
 */
static uint64
insert_applied(const Scope *scope, List *revisions, List *checksums, const char *how,
			   TimestampTz applied_at)
{
	static StoreQuery query = {
		"INSERT INTO migrate.applied (revision, checksum, applied_at, how)"
		" SELECT u.revision, u.checksum, $3, $4"
		" FROM (SELECT pg_catalog.unnest($1) AS revision,"
		" pg_catalog.unnest($2) AS checksum) AS u",
		4, {TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID, TEXTOID}, NULL
	};
	Datum		values[4];

	values[0] = mig_query_text_array(revisions);
	values[1] = mig_query_text_array(checksums);
	values[2] = TimestampTzGetDatum(applied_at);
	values[3] = CStringGetTextDatum(how);
	return mig_query_write(scope, &query, values, NULL);
}

/*
 * Record one revision as applied by an upgrade, with the checksum of the script
 * that was run; NULL: the one that it has now.  Returns it.
 */
static char *
add_one_upgraded(const Scope *scope, const char *revision, const char *checksum,
				 TimestampTz applied_at)
{
	static StoreQuery read = {
		"SELECT checksum FROM migrate.revisions WHERE revision OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	static StoreQuery insert = {
		"INSERT INTO migrate.applied (revision, checksum, applied_at, how)"
		" VALUES ($1, $2, $3, 'upgrade')",
		3, {TEXTOID, TEXTOID, TIMESTAMPTZOID}, NULL
	};
	Datum		values[3] = {CStringGetTextDatum(revision)};
	char	   *applied_as;

	if (mig_query_read(scope, &read, values, NULL) != 1)
		was_dropped();
	applied_as = MemoryContextStrdup(scope->context,
									 checksum != NULL ? checksum : mig_query_text(0, 1));
	values[1] = CStringGetTextDatum(applied_as);
	values[2] = TimestampTzGetDatum(applied_at);
	if (mig_query_write(scope, &insert, values, NULL) != 1)
		was_dropped();
	return applied_as;
}

/*
 * Record one revision as no longer applied.  Returns the checksum that it was
 * applied with, in context; NULL when it was not applied.
 */
static char *
remove_one_applied(const Scope *scope, const char *revision)
{
	static StoreQuery query = {
		"DELETE FROM migrate.applied WHERE revision OPERATOR(pg_catalog.=) $1"
		" RETURNING checksum", 1, {TEXTOID}, NULL
	};

	if (write_id(scope, &query, revision) == 0)
		return NULL;
	return MemoryContextStrdup(scope->context, mig_query_text(0, 1));
}

/*
 * Report, with MG007, that a revision is gone.
 */
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
static void
remove_applied(const Scope *scope, List *revisions)
{
	static StoreQuery query = {
		"DELETE FROM migrate.applied"
		" WHERE revision OPERATOR(pg_catalog.=) ANY ($1)",
		1, {TEXTARRAYOID}, NULL
	};

	if (revisions != NIL)
		(void) write_ids(scope, &query, revisions);
}

/*
 * Record that nothing is applied.
 */
static void
clear_applied(const Scope *scope)
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
static void
add_log(const Scope *scope, List *steps, const LedgerActor *actor)
{
	static StoreQuery query = {
		"INSERT INTO migrate.steps (operation, revision, checksum, removed, added,"
		" versions_count, started_at, duration, session_role,"
		" effective_role, application_name, client_addr, server_version)"
		" SELECT $1, u.revision, u.checksum,"
		" CASE WHEN u.gone IS NULL THEN u.all_gone::pg_catalog.text[] ELSE ARRAY[u.gone] END,"
		" CASE WHEN u.new IS NULL THEN u.all_new::pg_catalog.text[] ELSE ARRAY[u.new] END,"
		" u.count, u.started_at, u.duration, $11, $2, $12,"
		" (SELECT pg_catalog.inet_client_addr()),"
		" (SELECT pg_catalog.current_setting('server_version'))"
		" FROM (SELECT pg_catalog.unnest($3) AS revision, pg_catalog.unnest($4) AS checksum,"
		" pg_catalog.unnest($5) AS gone, pg_catalog.unnest($6) AS all_gone,"
		" pg_catalog.unnest($7) AS new, pg_catalog.unnest($8) AS all_new,"
		" pg_catalog.unnest($9) AS started_at, pg_catalog.unnest($10) AS duration,"
		" pg_catalog.unnest($13) AS count) AS u",
		13, {TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, INTERVALARRAYOID, TEXTOID,
			TEXTOID, INT4ARRAYOID}, NULL
	};
	int			n = list_length(steps);
	List	   *texts[6] = {NIL, NIL, NIL, NIL, NIL, NIL};
	Datum	   *started = palloc(Max(n, 1) * sizeof(Datum));
	Datum	   *duration = palloc(Max(n, 1) * sizeof(Datum));
	Datum	   *counts = palloc(Max(n, 1) * sizeof(Datum));
	Interval   *intervals = palloc0(Max(n, 1) * sizeof(Interval));
	Datum		values[13];
	ListCell   *lc;

	if (steps == NIL)
		return;
	foreach(lc, steps)
	{
		const LedgerStep *step = lfirst(lc);
		int			i = foreach_current_index(lc);

		texts[0] = lappend(texts[0], unconstify(char *, step->revision));
		texts[1] = lappend(texts[1], unconstify(char *, step->checksum));
		append_rows(&texts[2], &texts[3], step->removed);
		append_rows(&texts[4], &texts[5], step->added);
		counts[i] = Int32GetDatum(step->count);
		started[i] = TimestampTzGetDatum(step->started_at);
		intervals[i].time = step->duration;
		duration[i] = IntervalPGetDatum(&intervals[i]);
	}
	values[0] = CStringGetTextDatum(((LedgerStep *) linitial(steps))->operation);
	values[1] = CStringGetTextDatum(actor->role);
	for (int i = 0; i < 6; i++)
		values[i + 2] = mig_query_text_array(texts[i]);
	values[8] = PointerGetDatum(construct_array(started, n, TIMESTAMPTZOID,
												sizeof(TimestampTz),
												FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[9] = PointerGetDatum(construct_array(duration, n, INTERVALOID,
												sizeof(Interval), false,
												TYPALIGN_DOUBLE));
	values[10] = CStringGetTextDatum(actor->session_role);
	values[11] = CStringGetTextDatum(actor->application_name);
	values[12] = PointerGetDatum(construct_array(counts, n, INT4OID, sizeof(int32), true,
												 TYPALIGN_INT));
	(void) mig_query_write(scope, &query, values, NULL);
}

/*
 * Add one row to the log, likewise.
 */
static void
add_one_log(const Scope *scope, const LedgerStep *step, const LedgerActor *actor)
{
	static StoreQuery query = {
		"INSERT INTO migrate.steps (operation, revision, checksum, removed, added,"
		" versions_count, started_at, duration, session_role,"
		" effective_role, application_name, client_addr, server_version)"
		" VALUES ($1, $2, $3, $4, $5, $11, $6, $7, $9, $8, $10,"
		" pg_catalog.inet_client_addr(), pg_catalog.current_setting('server_version'))",
		11, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID,
			INTERVALOID, TEXTOID, TEXTOID, TEXTOID, INT4OID}, NULL
	};
	Interval	duration = {.time = step->duration};
	Datum		values[11];
	char		nulls[] = "           ";

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
	values[3] = mig_query_text_array(step->removed);
	values[4] = mig_query_text_array(step->added);
	values[5] = TimestampTzGetDatum(step->started_at);
	values[6] = IntervalPGetDatum(&duration);
	values[7] = CStringGetTextDatum(actor->role);
	values[8] = CStringGetTextDatum(actor->session_role);
	values[9] = CStringGetTextDatum(actor->application_name);
	values[10] = Int32GetDatum(step->count);
	(void) mig_query_write(scope, &query, values, nulls);
}

/*
 * Append version rows that a step removed or added to two lists of strings: the
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
 * Return the text of a text[] of strings.
 */
static char *
array_text(List *strings)
{
	return OidOutputFunctionCall(F_ARRAY_OUT, mig_query_text_array(strings));
}

/*
 * Run a query that writes and takes a list of ids.  Returns the number of rows.
 */
static uint64
write_ids(const Scope *scope, StoreQuery *query, List *ids)
{
	Datum		values[1];

	values[0] = mig_query_text_array(ids);
	return mig_query_write(scope, query, values, NULL);
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

/*
 * MG007 when a script that runs as the owner of our tables wrote to them:
 * unless the version rows are rows, and what is applied is what they imply.
 */
void
mig_ledger_check_unchanged(const Scope *scope, const Graph *graph,
						   const Bitmapset *rows)
{
	Bitmapset  *applied = mig_graph_ancestors(graph, rows, GRAPH_REAL);

	if (!mig_ids_equal(mig_ledger_read_versions(scope),
							mig_graph_ids(graph, rows)) ||
		!mig_ids_equal(mig_ledger_read_applied(scope),
							mig_graph_ids(graph, applied)))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("a migration script changed the version rows of migrate"),
				 errhint("Scripts must leave the tables of migrate alone.")));
}

/*
 * The same, for what can have happened in this session only: when writes, from
 * mig_ledger_count_writes in this transaction, is still the number, nothing
 * has.  So it does not cost more the more revisions there are.
 */
void
mig_ledger_check_unchanged_since(const Scope *scope, int64 writes,
								 const Graph *graph, const Bitmapset *rows)
{
	if (writes < 0 || writes != mig_ledger_count_writes())
		mig_ledger_check_unchanged(scope, graph, rows);
}

/*
 * Take one step in rows, which grow in their own memory context, and write it
 * as done: version rows, heads when they are not known, applied, log.  The
 * version rows must be those of rows.  checksum is that of the upgrade script;
 * NULL: what applied says.  MG007 when the revision or a version row is gone.
 */
void
mig_ledger_record_step(const Scope *scope, PlanRows *rows, int node,
					   MigDirection direction, const char *checksum,
					   TimestampTz started_at, int64 duration,
					   const LedgerActor *actor)
{
	const char *revision = rows->graph->nodes[node].revision;
	char	   *applied_as;
	LedgerStep step;

	mig_scope_by_key();
	step.operation = mig_direction_name(direction);
	step.revision = revision;
	take_step(rows, node, direction);
	step.removed = ids_of(rows->graph, rows->removed);
	step.added = ids_of(rows->graph, rows->added);
	step.count = bms_num_members(rows->rows);
	step.started_at = started_at;
	step.duration = duration;

	remember_heads(scope, rows->graph);
	change_versions(scope, step.removed, step.added);
	if (direction == MIG_UPGRADE)
		applied_as = add_one_upgraded(scope, revision, checksum, GetCurrentTimestamp());
	else
		applied_as = remove_one_applied(scope, revision);
	step.checksum = checksum != NULL ? checksum : applied_as;
	add_one_log(scope, &step, actor);
}

/*
 * Write all steps of a plan (node numbers) as done, each with what done holds
 * for it.  rows are those before the first one, and become those after the
 * last one.  MG007 when a revision that was applied is gone.
 */
void
mig_ledger_record_plan(const Scope *scope, PlanRows *rows, List *plan,
				MigDirection direction, const LedgerDone *done, const LedgerActor *actor)
{
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext chunk = AllocSetContextCreate(outer, "migrate records",
												ALLOCSET_DEFAULT_SIZES);
	TimestampTz now = GetCurrentTimestamp();
	List	   *before = mig_graph_ids(rows->graph, rows->rows);
	int			n = list_length(plan);

	if (direction == MIG_UPGRADE)
		mig_revisions_check_there(scope, rows->graph,
								  mig_graph_plan_ids(rows->graph, plan, 0, n));
	else
		remove_applied(scope, mig_graph_plan_ids(rows->graph, plan, 0, n));
	for (int from = 0; from < n; from += WRITE_AHEAD)
	{
		int			to = Min(from + WRITE_AHEAD, n);

		MemoryContextSwitchTo(chunk);
		write_log(scope, rows, plan, from, to, direction, done, actor);
		if (direction == MIG_UPGRADE)
			(void) insert_applied(scope, mig_graph_plan_ids(rows->graph, plan, from, to),
								  checksums_of(done, from, to), "upgrade", now);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(chunk);
	}
	MemoryContextDelete(chunk);
	remember_heads(scope, rows->graph);
	set_versions(scope, before, mig_graph_ids(rows->graph, rows->rows));
}

/*
 * Write the log rows of steps from (from 0) up to, not including, to, and take
 * them in rows.
 */
static void
write_log(const Scope *scope, PlanRows *rows, List *plan, int from, int to,
		  MigDirection direction, const LedgerDone *done,
		  const LedgerActor *actor)
{
	int			count = bms_num_members(rows->rows);
	List	   *steps = NIL;

	for (int i = from; i < to; i++)
	{
		LedgerStep *step = palloc(sizeof(LedgerStep));
		int			node = list_nth_int(plan, i);

		take_step(rows, node, direction);
		step->operation = mig_direction_name(direction);
		step->revision = rows->graph->nodes[node].revision;
		step->checksum = done[i].checksum;
		step->removed = ids_of(rows->graph, rows->removed);
		step->added = ids_of(rows->graph, rows->added);
		step->count = count += list_length(step->added) - list_length(step->removed);
		step->started_at = done[i].started_at;
		step->duration = done[i].duration;
		steps = lappend(steps, step);
	}
	add_log(scope, steps, actor);
}

/*
 * Checksums (char *) of the steps from up to, not including, to.
 */
static List *
checksums_of(const LedgerDone *done, int from, int to)
{
	List	   *checksums = NIL;

	for (int i = from; i < to; i++)
	{
		const char *checksum = done[i].checksum;

		checksums = lappend(checksums, unconstify(char *, checksum));
	}
	return checksums;
}

/*
 * Write down the heads, unless they are known or a script changed the graph.
 */
static void
remember_heads(const Scope *scope, const Graph *graph)
{
	if (graph->changes == mig_heads_graph_changes())
		mig_heads_remember(scope, graph);
}

/*
 * Take one step in rows, which grow in their own memory context.
 */
static void
take_step(PlanRows *rows, int node, MigDirection direction)
{
	MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(rows));

	mig_plan_rows_step(rows, node, direction);
	MemoryContextSwitchTo(old);
}

/*
 * Return the ids of some nodes (node numbers), in byte order.
 */
static List *
ids_of(const Graph *graph, List *nodes)
{
	List	   *ids = mig_graph_plan_ids(graph, nodes, 0, list_length(nodes));

	mig_ids_sort(ids);
	return ids;
}

/*
 * Write the steps of a stamp (StampStep *) as done: log, version rows, heads when
 * they are not known, applied.  from are the version rows before it, to those
 * after it.  Errors: MG007 when a revision is gone.
 */
void
mig_ledger_record_stamp(const Scope *scope, const Graph *graph, const Bitmapset *from,
						const Bitmapset *to, List *steps, bool purge,
						const LedgerActor *actor)
{
	record_stamp(scope, graph, from, to, steps, purge, "stamp", actor);
}

/*
 * The same for a capture: what its revision makes is there.
 */
void
mig_ledger_record_capture(const Scope *scope, const Graph *graph, const Bitmapset *from,
						  const Bitmapset *to, List *steps, const LedgerActor *actor)
{
	record_stamp(scope, graph, from, to, steps, false, "capture", actor);
}

/*
 * Write the steps of a stamp or a capture as done.
 */
static void
record_stamp(const Scope *scope, const Graph *graph, const Bitmapset *from,
			 const Bitmapset *to, List *steps, bool purge, const char *operation,
			 const LedgerActor *actor)
{
	StampStep	base = {-1, NIL};
	List	   *before = mig_ledger_read_versions(scope);

	/* a purge to base is a step too */
	if (purge && steps == NIL)
		steps = list_make1(&base);
	add_log(scope, stamp_log(scope, graph, steps, before, purge, operation), actor);
	mig_heads_remember(scope, graph);
	set_versions(scope, before, mig_graph_ids(graph, to));
	stamp_applied(scope, graph, from, to, purge, operation);
}

/*
 * Return what the log is to have of the steps of a stamp (StampStep *), as
 * LedgerStep *.  before are the version rows before it (char *, in byte order),
 * which the first step of a purge takes away.
 */
static List *
stamp_log(const Scope *scope, const Graph *graph, List *steps, List *before, bool purge,
		  const char *operation)
{
	TimestampTz start = GetCurrentTimestamp();
	List	   *checksums = checksums_of_stamp(scope, graph, steps);
	int			count = list_length(before);
	List	   *logged = NIL;
	ListCell   *lc;
	ListCell   *checksum;

	forboth(lc, steps, checksum, checksums)
	{
		const StampStep *stamped = lfirst(lc);
		LedgerStep *step = palloc(sizeof(LedgerStep));
		List	   *added = stamped->node < 0 ? NIL :
			ids_of(graph, list_make1_int(stamped->node));
		bool		is_purge = purge && logged == NIL;

		step->operation = operation;
		step->revision = added == NIL ? NULL : linitial(added);
		step->checksum = lfirst(checksum);
		step->removed = is_purge ? mig_ids_difference(before, added) :
			ids_of(graph, stamped->removed);
		step->added = is_purge ? mig_ids_difference(added, before) : added;
		step->count = count += list_length(step->added) - list_length(step->removed);
		step->started_at = start;
		step->duration = GetCurrentTimestamp() - start;
		logged = lappend(logged, step);
	}
	return logged;
}

/*
 * Return the checksums (char *) of the revisions that steps stamp (StampStep *),
 * NULL for base.  Errors: MG007 when one is gone.
 */
static List *
checksums_of_stamp(const Scope *scope, const Graph *graph, List *steps)
{
	List	   *ids = NIL;
	List	   *digests;
	List	   *checksums = NIL;
	int			next = 0;
	ListCell   *lc;

	foreach(lc, steps)
		if (((StampStep *) lfirst(lc))->node >= 0)
			ids = lappend_int(ids, ((StampStep *) lfirst(lc))->node);
	ids = mig_graph_plan_ids(graph, ids, 0, list_length(ids));
	digests = mig_revisions_read_digests(scope, ids, MIG_UPGRADE);
	foreach(lc, steps)
	{
		const ScriptDigest *digest = NULL;

		if (((StampStep *) lfirst(lc))->node >= 0)
			digest = list_nth(digests, next++);
		if (digest != NULL && digest->digest == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_CHANGED),
					 errmsg("revision \"%s\" was dropped while it was being stamped",
							digest->revision)));
		checksums = lappend(checksums, digest != NULL ? digest->digest : NULL);
	}
	return checksums;
}

/*
 * Bring migrate.applied in line with the new rows.  Revisions that stay
 * applied keep their rows, unless purge records all of them anew.
 */
static void
stamp_applied(const Scope *scope, const Graph *graph, const Bitmapset *from,
			  const Bitmapset *rows, bool purge, const char *how)
{
	Bitmapset  *before = mig_graph_ancestors(graph, from, GRAPH_REAL);
	Bitmapset  *after = mig_graph_ancestors(graph, rows, GRAPH_REAL);

	if (purge)
	{
		clear_applied(scope);
		before = NULL;
	}
	remove_applied(scope, mig_graph_ids(graph, bms_difference(before, after)));
	add_applied(scope, mig_graph_ids(graph, bms_difference(after, before)), how,
				GetCurrentTimestamp());
}
