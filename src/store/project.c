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
