/*
 * function.c
 *		Functions, procedures and aggregates.
 */
#include "migrate.h"

#include "catalog/pg_proc.h"
#include "compat.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"

/* The beginning and the end of a query that reads routines. */
#define FIXED_COLUMNS KIND_OF_SCHEMA_WITH("p", "pro", "oidvectortypes(p.proargtypes)") ", "
#define ROUTINES(prokinds) \
	"FROM " KIND_IN_SCHEMAS("pg_proc", "p", "pro") "AND p.prokind IN (" prokinds ") " \
	"AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass " \
	"AND i.objid = p.oid AND i.deptype = 'i') "

static void create(const SchemaObject *object, Writer *writer);
static void create_aggregate(const SchemaObject *object, Writer *writer);
static bool change(const Difference *difference, Writer *writer);
static const char *aggregate_name(const SchemaObject *object);

const Kind	mig_kinds_function = {
	.name = "function",
	.catalog = ProcedureRelationId,
	.query = FIXED_COLUMNS
	"pg_get_functiondef(p.oid) AS definition "
	ROUTINES("'f', 'w'"),
	.create = create,
	.alter = change,
	.comment_on = "FUNCTION"
};

const Kind	mig_kinds_procedure = {
	.name = "procedure",
	.catalog = ProcedureRelationId,
	.query = FIXED_COLUMNS
	"pg_get_functiondef(p.oid) AS definition "
	ROUTINES("'p'"),
	.create = create,
	.alter = change,
	.comment_on = "PROCEDURE"
};

const Kind	mig_kinds_aggregate = {
	.name = "aggregate",
	.catalog = ProcedureRelationId,
	.query = FIXED_COLUMNS
	"pg_get_function_arguments(p.oid) AS signature, "
	KIND_FUNCTION("a.aggtransfn") " AS transition, format_type(a.aggtranstype, NULL) AS state_type, "
	"nullif(a.aggtransspace, 0)::text AS state_size, " KIND_FUNCTION("a.aggfinalfn") " AS final, "
	"CASE WHEN a.aggfinalextra THEN 'true' END AS final_extra, "
	"CASE WHEN a.aggfinalfn <> 0 THEN CASE a.aggfinalmodify WHEN 'r' THEN 'read_only' "
	"WHEN 's' THEN 'shareable' ELSE 'read_write' END END AS final_modify, "
	KIND_FUNCTION("a.aggcombinefn") " AS combine, " KIND_FUNCTION("a.aggserialfn") " AS serialize, "
	KIND_FUNCTION("a.aggdeserialfn") " AS deserialize, quote_literal(a.agginitval) AS initial, "
	KIND_FUNCTION("a.aggmtransfn") " AS moving_transition, "
	KIND_FUNCTION("a.aggminvtransfn") " AS moving_inverse, "
	KIND_TYPE("a.aggmtranstype") " AS moving_state_type, "
	"nullif(a.aggmtransspace, 0)::text AS moving_state_size, "
	KIND_FUNCTION("a.aggmfinalfn") " AS moving_final, "
	"CASE WHEN a.aggmfinalextra THEN 'true' END AS moving_final_extra, "
	"CASE WHEN a.aggmfinalfn <> 0 THEN CASE a.aggmfinalmodify WHEN 'r' THEN 'read_only' "
	"WHEN 's' THEN 'shareable' ELSE 'read_write' END END AS moving_final_modify, "
	"quote_literal(a.aggminitval) AS moving_initial, "
	KIND_OPERATOR("a.aggsortop") " AS sort_operator, "
	"CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' END AS parallel, "
	"CASE a.aggkind WHEN 'h' THEN 'true' END AS hypothetical "
	ROUTINES("'a'") "JOIN pg_aggregate a ON a.aggfnoid = p.oid",
	.create = create_aggregate,
	.comment_on = "AGGREGATE",
	.comment_name = aggregate_name
};

/*
 * Write CREATE FUNCTION or CREATE PROCEDURE.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	mig_writer_add(writer, object, PHASE_CREATE, "%s", mig_writer_definition(object));
}

/*
 * Write CREATE AGGREGATE.
 */
static void
create_aggregate(const SchemaObject *object, Writer *writer)
{
	static const WriterOption options[] = {
		{"stype", "state_type"}, {"sspace", "state_size"}, {"finalfunc", "final"},
		{"finalfunc_modify", "final_modify"}, {"combinefunc", "combine"},
		{"serialfunc", "serialize"}, {"deserialfunc", "deserialize"}, {"initcond", "initial"},
		{"msfunc", "moving_transition"}, {"minvfunc", "moving_inverse"},
		{"mstype", "moving_state_type"}, {"msspace", "moving_state_size"},
		{"mfinalfunc", "moving_final"}, {"mfinalfunc_modify", "moving_final_modify"},
		{"minitcond", "moving_initial"}, {"sortop", "sort_operator"}, {"parallel", "parallel"}
	};
	static const WriterOption flags[] = {
		{"finalfunc_extra", "final_extra"}, {"mfinalfunc_extra", "moving_final_extra"},
		{"hypothetical", "hypothetical"}
	};
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %s (\n    sfunc = %s", mig_writer_target(object),
					 mig_objects_property(object, "transition"));
	mig_writer_options(&sql, object, ",\n    ", OPTION_VALUE, options, lengthof(options));
	mig_writer_options(&sql, object, ",\n    ", OPTION_FLAG, flags, lengthof(flags));
	mig_writer_add(writer, object, PHASE_CREATE, "%s\n)", sql.data);
}

/*
 * Return the name of an aggregate with its arguments.
 */
static const char *
aggregate_name(const SchemaObject *object)
{
	const char *signature = mig_objects_property(object, "signature");

	return psprintf("%s(%s)", mig_objects_qualified(object),
					*signature ? signature : "*");
}

/*
 * Write what replaces a function whose arguments and result stay.  Return false when
 * they do not.
 */
static bool
change(const Difference *difference, Writer *writer)
{
	const char *before = mig_objects_property(difference->from, "definition");
	const char *after = mig_objects_property(difference->to, "definition");
	const char *head_end = strstr(after, "\n LANGUAGE ");

	if (head_end == NULL ||
		strncmp(before, after, head_end - after + strlen("\n LANGUAGE ")) != 0)
		return false;
	create(difference->to, writer);
	return true;
}
