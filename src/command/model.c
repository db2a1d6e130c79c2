/*
 * model.c
 *		Models, schemas as SQL, and their comparison with the database: set_model,
 *		drop_model, schema_sql, compare, drift.
 *
 * Models are what the authors of revisions write, and run with the rights of the
 * one who compares; so do the scripts of revisions with those of the one who
 * upgrades.
 */
#include "migrate.h"

#include "compat.h"
#include "kind/objects.h"
#include "schema/compare.h"
#include "schema/differ.h"
#include "schema/generate.h"
#include "schema/rename.h"
#include "script/script.h"
#include "sql.h"
#include "store/position.h"
#include "store/project.h"
#include "store/scope.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(migrate_set_model);
PG_FUNCTION_INFO_V1(migrate_drop_model);
PG_FUNCTION_INFO_V1(migrate_schema_sql);
PG_FUNCTION_INFO_V1(migrate_compare);
PG_FUNCTION_INFO_V1(migrate_drift);

static Datum put_differences(FunctionCallInfo fcinfo, const Project *project,
							 const Differing *differing);
static void put_rename(Tuplestorestate *store, TupleDesc desc, const Rename *rename);
static void put_difference(Tuplestorestate *store, TupleDesc desc,
						   const Difference *difference, const Generated *generated);

/*
 * Implement migrate.set_model(ddl, name, ordinal): store a model.  Errors: 22004
 * and 22023 for arguments, MG011 and the parser's for its text.
 */
Datum
migrate_set_model(PG_FUNCTION_ARGS)
{
	const char *ddl = mig_sql_text_arg(fcinfo, 0, "ddl");
	const char *name = mig_sql_text_arg(fcinfo, 1, "name");
	int			ordinal = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	ScriptOrigin origin = {.model = name, .first_line = 1};
	Scope		scope;

	if (*name == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of a model must not be empty")));
	ddl = mig_script_check(ddl, false, &origin);
	mig_position_begin_write("migrate.set_model()");
	mig_scope_enter(&scope);
	mig_project_write_model(&scope, name, PG_ARGISNULL(2) ? NULL : &ordinal, ddl);
	mig_scope_leave(&scope);
	PG_RETURN_VOID();
}

/*
 * Implement migrate.drop_model(name).  Errors: 42704 when there is none.
 */
Datum
migrate_drop_model(PG_FUNCTION_ARGS)
{
	const char *name = mig_sql_text_arg(fcinfo, 0, "name");
	bool		found;
	Scope		scope;

	mig_position_begin_write("migrate.drop_model()");
	mig_scope_enter(&scope);
	found = mig_project_drop_model(&scope, name);
	mig_scope_leave(&scope);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" does not exist", name)));
	PG_RETURN_VOID();
}

/*
 * Implement migrate.schema_sql(source).  Errors: 22023 for another source; those of
 * the models.
 */
Datum
migrate_schema_sql(PG_FUNCTION_ARGS)
{
	const char *source = mig_sql_text_arg(fcinfo, 0, "source");
	Project		project = mig_differ_project("migrate.schema_sql()");
	const char *script;

	if (strcmp(source, "live") == 0)
		script = mig_differ_live_sql(&project);
	else if (strcmp(source, "models") == 0)
	{
		mig_differ_check_models(&project);
		script = mig_differ_models_sql(&project);
	}
	else if (strcmp(source, "revisions") == 0)
		script = mig_differ_revisions_sql(&project);
	else
		mig_differ_unrecognized(source, "live, models, revisions");
	PG_RETURN_TEXT_P(cstring_to_text(script));
}

/*
 * Implement migrate.compare(source).  Errors: as schema_sql.
 */
Datum
migrate_compare(PG_FUNCTION_ARGS)
{
	const char *source = mig_sql_text_arg(fcinfo, 0, "source");
	Project		project = mig_differ_project("migrate.compare()");
	Differing	differing = mig_differ_source(&project, source);

	return put_differences(fcinfo, &project, &differing);
}

/*
 * Implement migrate.drift().  Errors: those of migrate.compare('revisions').
 */
Datum
migrate_drift(PG_FUNCTION_ARGS)
{
	Project		project = mig_differ_project("migrate.drift()");
	Differing	differing = mig_differ_drift(&project);

	return put_differences(fcinfo, &project, &differing);
}

/*
 * Make differences the result, with the statements that would take them away.
 */
static Datum
put_differences(FunctionCallInfo fcinfo, const Project *project, const Differing *differing)
{
	TupleDesc	desc;
	Tuplestorestate *store = mig_sql_begin(fcinfo, &desc);
	Generated	generated = {0};
	ListCell   *lc;

	if (differing->differences != NIL)
		generated = mig_generate_plan(project, differing, NIL);
	foreach(lc, generated.renames)
		put_rename(store, desc, lfirst(lc));
	foreach(lc, generated.differing.differences)
		put_difference(store, desc, lfirst(lc), &generated);
	return (Datum) 0;
}

/*
 * Add a rename to the result.
 */
static void
put_rename(Tuplestorestate *store, TupleDesc desc, const Rename *rename)
{
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = CStringGetTextDatum("rename");
	values[1] = CStringGetTextDatum(rename->object->kind->name);
	values[2] = CStringGetTextDatum(rename->object->identity);
	values[3] = CStringGetTextDatum(rename->name);
	values[4] = CStringGetTextDatum(rename->there);
	values[5] = CStringGetTextDatum(rename->back);
	nulls[6] = true;
	tuplestore_putvalues(store, desc, values, nulls);
}

/*
 * Add a difference to the result.
 */
static void
put_difference(Tuplestorestate *store, TupleDesc desc, const Difference *difference,
			   const Generated *generated)
{
	const SchemaObject *object = difference->to ? difference->to : difference->from;
	const char *texts[7] = {
		mig_compare_action(difference), object->kind->name, object->identity,
		mig_compare_detail(difference),
		mig_generate_part(&generated->upgrade, difference),
		mig_generate_part(&generated->downgrade, difference),
		mig_generate_hazard(&generated->upgrade, difference)
	};
	Datum		values[7];
	bool		nulls[7];

	for (size_t i = 0; i < lengthof(texts); i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	tuplestore_putvalues(store, desc, values, nulls);
}
