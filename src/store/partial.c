/*
 * partial.c
 *		Scripts that have begun and not ended (migrate.partial), and the run
 *		that is under way (migrate.running).
 *
 * Every query is constant and names everything with its schema.  scope.c says
 * with whose rights and on which snapshot it runs.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "store/partial.h"
#include "store/query.h"
#include "store/scope.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static void *partial_of_row(uint64 row);
static List *oids_value(uint64 row, int column);
static Datum direction_name(MigDirection direction);

/*
 * All of them (Partial *), by id in byte order.
 */
List *
mig_partial_read(const Scope *scope)
{
	static StoreQuery query = {
		"SELECT revision, direction, statements, statements_done, digest,"
		" in_doubt, started_at, statement_started_at, intent, intent_existed,"
		" intent_relations, intent_indexes, intent_database, settings"
		" FROM migrate.partial ORDER BY revision COLLATE pg_catalog.\"C\"",
		0, {0}, NULL
	};

	return mig_query_rows(scope, &query, NULL, partial_of_row);
}

/*
 * Whether there is any.
 */
bool
mig_partial_exists(const Scope *scope)
{
	static StoreQuery query = {"SELECT FROM migrate.partial LIMIT 1", 0, {0}, NULL};

	return mig_query_read(scope, &query, NULL, NULL) > 0;
}

/*
 * Store one, in place of what was stored of its revision.
 */
void
mig_partial_write(const Scope *scope, const Partial *partial)
{
	static StoreQuery query = {
		"INSERT INTO migrate.partial (revision, direction, statements,"
		" statements_done, digest, in_doubt, started_at, statement_started_at,"
		" intent, intent_existed, intent_relations, intent_indexes, intent_database,"
		" settings)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
		" ON CONFLICT ON CONSTRAINT partial_pkey DO UPDATE SET"
		" direction = $2, statements = $3, statements_done = $4, digest = $5,"
		" in_doubt = $6, started_at = $7, statement_started_at = $8,"
		" intent = $9, intent_existed = $10, intent_relations = $11,"
		" intent_indexes = $12, intent_database = $13, settings = $14",
		14, {TEXTOID, TEXTOID, INT4OID, INT4OID, TEXTOID, BOOLOID,
			TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, BOOLOID, OIDARRAYOID,
			OIDARRAYOID, TEXTOID, TEXTARRAYOID}, NULL
	};
	Datum		values[14];
	char		nulls[] = "              ";

	values[0] = CStringGetTextDatum(partial->revision);
	values[1] = direction_name(partial->direction);
	values[2] = Int32GetDatum(partial->statements);
	values[3] = Int32GetDatum(partial->statements_done);
	values[4] = CStringGetTextDatum(partial->digest);
	values[5] = BoolGetDatum(partial->in_doubt);
	values[6] = TimestampTzGetDatum(partial->started_at);
	values[7] = TimestampTzGetDatum(partial->statement_started_at);
	values[8] = (Datum) 0;
	if (partial->intent != NULL)
		values[8] = CStringGetTextDatum(partial->intent);
	else
		nulls[8] = 'n';
	values[9] = BoolGetDatum(partial->existed);
	values[10] = mig_query_oid_array(partial->relations);
	values[11] = mig_query_oid_array(partial->indexes);
	values[12] = (Datum) 0;
	if (partial->database != NULL)
		values[12] = CStringGetTextDatum(partial->database);
	else
		nulls[12] = 'n';
	values[13] = mig_query_text_array(partial->settings);
	if (mig_query_write(scope, &query, values, nulls) != 1)
		elog(ERROR, "could not write what is done of revision \"%s\"",
			 partial->revision);
}

/*
 * Forget that of one revision, if there is one.
 */
void
mig_partial_delete(const Scope *scope, const char *revision)
{
	static StoreQuery query = {
		"DELETE FROM migrate.partial WHERE revision OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	Datum		values[1] = {CStringGetTextDatum(revision)};

	(void) mig_query_write(scope, &query, values, NULL);
}

/*
 * A run begins: the row of the last one, which may have crashed, goes.
 */
void
mig_partial_begin_run(const Scope *scope, const Running *running)
{
	static StoreQuery query = {
		"INSERT INTO migrate.running (pid, operation, target, revision, step,"
		" steps, started_at, step_started_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
		7, {INT4OID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID,
			TIMESTAMPTZOID}, NULL
	};
	Datum		values[7];

	mig_partial_end_run(scope);
	values[0] = Int32GetDatum(MyProcPid);
	values[1] = direction_name(running->direction);
	values[2] = CStringGetTextDatum(running->target);
	values[3] = CStringGetTextDatum(running->revision);
	values[4] = Int32GetDatum(running->step);
	values[5] = Int32GetDatum(running->steps);
	values[6] = TimestampTzGetDatum(running->started_at);
	(void) mig_query_write(scope, &query, values, NULL);
}

/*
 * The next step of the run begins.
 */
void
mig_partial_next_step(const Scope *scope, const Running *running)
{
	static StoreQuery query = {
		"UPDATE migrate.running SET revision = $1, step = $2, steps = $3,"
		" step_started_at = pg_catalog.clock_timestamp()",
		3, {TEXTOID, INT4OID, INT4OID}, NULL
	};
	Datum		values[3];

	values[0] = CStringGetTextDatum(running->revision);
	values[1] = Int32GetDatum(running->step);
	values[2] = Int32GetDatum(running->steps);
	(void) mig_query_write(scope, &query, values, NULL);
}

/*
 * The run ends.
 */
void
mig_partial_end_run(const Scope *scope)
{
	static StoreQuery query = {"DELETE FROM migrate.running", 0, {0}, NULL};

	(void) mig_query_write(scope, &query, NULL, NULL);
}

/*
 * A row of the last result, in the current memory context.
 */
static void *
partial_of_row(uint64 row)
{
	Partial    *partial = palloc0(sizeof(Partial));

	partial->revision = mig_query_text(row, 1);
	partial->direction = strcmp(mig_query_text(row, 2), "upgrade") == 0 ?
		MIG_UPGRADE : MIG_DOWNGRADE;
	partial->statements = mig_query_int(row, 3);
	partial->statements_done = mig_query_int(row, 4);
	partial->digest = mig_query_text(row, 5);
	partial->in_doubt = mig_query_bool(row, 6);
	partial->started_at = mig_query_time(row, 7);
	partial->statement_started_at = mig_query_time(row, 8);
	partial->intent = mig_query_text_or_null(row, 9);
	partial->existed = mig_query_bool(row, 10);
	partial->relations = oids_value(row, 11);
	partial->indexes = oids_value(row, 12);
	partial->database = mig_query_text_or_null(row, 13);
	partial->settings = mig_query_list(row, 14);
	return partial;
}

/*
 * oid[] to a list, in the current memory context.
 */
static List *
oids_value(uint64 row, int column)
{
	bool		isnull;
	Datum		value = mig_query_value(row, column, OIDARRAYOID, &isnull);
	Datum	   *elements;
	int			n;
	List	   *oids = NIL;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(value), OIDOID, sizeof(Oid), true,
					  TYPALIGN_INT, &elements, NULL, &n);
	for (int i = 0; i < n; i++)
		oids = lappend_oid(oids, DatumGetObjectId(elements[i]));
	return oids;
}

static Datum
direction_name(MigDirection direction)
{
	return CStringGetTextDatum(direction == MIG_UPGRADE ? "upgrade" : "downgrade");
}
