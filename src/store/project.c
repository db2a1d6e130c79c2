/*
 * project.c
 *		The project's settings and models (migrate.settings, migrate.models).
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "store/project.h"
#include "store/query.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static void *read_model(uint64 row);

/*
 * Return the value of a setting, or NULL when it is not set.
 */
char *
mig_project_read_setting(const Scope *scope, const char *name)
{
	static StoreQuery query = {
		"SELECT value FROM migrate.settings WHERE name OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	Datum		values[1] = {CStringGetTextDatum(name)};

	if (mig_query_read(scope, &query, values, NULL) == 0)
		return NULL;
	return MemoryContextStrdup(scope->context, mig_query_text(0, 1));
}

/*
 * Return whether a setting is on.
 */
bool
mig_project_is_on(const Scope *scope, const char *name)
{
	const char *value = mig_project_read_setting(scope, name);

	return value != NULL && strcmp(value, "on") == 0;
}

/*
 * Set a setting; value NULL removes it.
 */
void
mig_project_write_setting(const Scope *scope, const char *name, const char *value)
{
	static StoreQuery remove = {
		"DELETE FROM migrate.settings WHERE name OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	static StoreQuery insert = {
		"INSERT INTO migrate.settings (name, value) VALUES ($1, $2)",
		2, {TEXTOID, TEXTOID}, NULL
	};
	Datum		values[2];

	values[0] = CStringGetTextDatum(name);
	(void) mig_query_write(scope, &remove, values, NULL);
	if (value == NULL)
		return;
	values[1] = CStringGetTextDatum(value);
	(void) mig_query_write(scope, &insert, values, NULL);
}

/*
 * Return whether models are declared.
 */
bool
mig_project_has_models(const Scope *scope)
{
	static StoreQuery query = {"SELECT FROM migrate.models LIMIT 1", 0, {0}, NULL};

	return mig_query_read(scope, &query, NULL, NULL) > 0;
}

/*
 * Return the models (Model *) in the order in which they are run, in the scope's
 * context.
 */
List *
mig_project_read_models(const Scope *scope)
{
	static StoreQuery query = {
		"SELECT name, ddl FROM migrate.models ORDER BY ordinal, name COLLATE pg_catalog.\"C\"",
		0, {0}, NULL
	};

	return mig_query_rows(scope, &query, NULL, read_model);
}

/*
 * Return a model of one row of the query.
 */
static void *
read_model(uint64 row)
{
	Model	   *model = palloc(sizeof(Model));

	model->name = mig_query_text(row, 1);
	model->ddl = mig_query_text(row, 2);
	return model;
}

/*
 * Store a model, in place of one of its name.  Without an ordinal it keeps that, or
 * comes after all others.
 */
void
mig_project_write_model(const Scope *scope, const char *name, const int *ordinal,
						const char *ddl)
{
	static StoreQuery query = {
		"INSERT INTO migrate.models AS m (name, ordinal, ddl) "
		"SELECT $1, COALESCE($2, pg_catalog.max(o.ordinal) OPERATOR(pg_catalog.+) 1, 1), $3 "
		"FROM migrate.models o "
		"ON CONFLICT (name) DO UPDATE SET ddl = excluded.ddl, ordinal = COALESCE($2, m.ordinal)",
		3, {TEXTOID, INT4OID, TEXTOID}, NULL
	};
	char		nulls[4] = {' ', ordinal == NULL ? 'n' : ' ', ' ', '\0'};
	Datum		values[3];

	values[0] = CStringGetTextDatum(name);
	values[1] = Int32GetDatum(ordinal != NULL ? *ordinal : 0);
	values[2] = CStringGetTextDatum(ddl);
	(void) mig_query_write(scope, &query, values, nulls);
}

/*
 * Forget a model.  Return whether there was one of the name.
 */
bool
mig_project_drop_model(const Scope *scope, const char *name)
{
	static StoreQuery query = {
		"DELETE FROM migrate.models WHERE name OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	Datum		values[1] = {CStringGetTextDatum(name)};

	return mig_query_write(scope, &query, values, NULL) > 0;
}
