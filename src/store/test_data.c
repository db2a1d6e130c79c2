/*
 * test_data.c
 *		Rows that revisions are tested with (migrate.revision_data).
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "store/query.h"
#include "store/test_data.h"
#include "utils/builtins.h"

static void *data_of_row(uint64 row);

/*
 * Return what all revisions are tested with (TestData *), in the scope's context.
 */
List *
mig_test_data_read(const Scope *scope)
{
	static StoreQuery query = {
		"SELECT revision,"
		" pg_catalog.min(sql) FILTER (WHERE at OPERATOR(pg_catalog.=) 'before'),"
		" pg_catalog.min(sql) FILTER (WHERE at OPERATOR(pg_catalog.=) 'after')"
		" FROM migrate.revision_data GROUP BY revision",
		0, {0}, NULL
	};

	return mig_query_rows(scope, &query, NULL, data_of_row);
}

/*
 * Return the TestData of a row, for mig_query_rows.
 */
static void *
data_of_row(uint64 row)
{
	TestData   *data = palloc(sizeof(TestData));

	data->revision = mig_query_text(row, 1);
	data->before = mig_query_text_or_null(row, 2);
	data->after = mig_query_text_or_null(row, 3);
	return data;
}

/*
 * Store what a revision is tested with at a time, before or after its upgrade; NULL: nothing.
 */
void
mig_test_data_write(const Scope *scope, const char *revision, const char *when,
					const char *sql)
{
	static StoreQuery remove = {
		"DELETE FROM migrate.revision_data WHERE revision OPERATOR(pg_catalog.=) $1"
		" AND at OPERATOR(pg_catalog.=) $2",
		2, {TEXTOID, TEXTOID}, NULL
	};
	static StoreQuery insert = {
		"INSERT INTO migrate.revision_data (revision, at, sql) VALUES ($1, $2, $3)",
		3, {TEXTOID, TEXTOID, TEXTOID}, NULL
	};
	Datum		values[3];

	values[0] = CStringGetTextDatum(revision);
	values[1] = CStringGetTextDatum(when);
	(void) mig_query_write(scope, &remove, values, NULL);
	if (sql == NULL)
		return;
	values[2] = CStringGetTextDatum(sql);
	(void) mig_query_write(scope, &insert, values, NULL);
}

/*
 * Forget what a revision is tested with.
 */
void
mig_test_data_forget(const Scope *scope, const char *revision)
{
	static StoreQuery query = {
		"DELETE FROM migrate.revision_data WHERE revision OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	Datum		values[1] = {CStringGetTextDatum(revision)};

	(void) mig_query_write(scope, &query, values, NULL);
}
