/*
 * autogenerate.c
 *		Scripts that are generated from a difference: diff_sql.
 */
#include "migrate.h"

#include "funcapi.h"
#include "schema/differ.h"
#include "schema/generate.h"
#include "sql.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(migrate_diff_sql);

/*
 * Implement migrate.diff_sql(source).  Errors: as compare, 0A000 and MG014.
 */
Datum
migrate_diff_sql(PG_FUNCTION_ARGS)
{
	const char *source = mig_sql_text_arg(fcinfo, 0, "source");
	Project		project = mig_differ_project("migrate.diff_sql()");
	Differing	differing = mig_differ_source(&project, source);
	GeneratedScripts scripts = mig_generate_scripts(&project, &differing, NIL, true);
	TupleDesc	desc;
	Tuplestorestate *store = mig_sql_begin(fcinfo, &desc);
	Datum		values[2];
	bool		nulls[2] = {false, false};

	values[0] = CStringGetTextDatum(scripts.upgrade);
	values[1] = CStringGetTextDatum(scripts.downgrade);
	tuplestore_putvalues(store, desc, values, nulls);
	return (Datum) 0;
}
