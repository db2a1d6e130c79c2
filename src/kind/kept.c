/*
 * kept.c
 *		Owners and privileges of what is dropped and made again, as statements.
 *
 * Where privileges are not compared, a script does not know them: each database has its
 * own.  So it looks when it runs.  Before anything is dropped, a setting gets the
 * statements that give the objects their owners and privileges, and at the end they are
 * run.  Privileges that an object has by default are taken away first.
 */
#include "migrate.h"

#include "kind/grants.h"
#include "kind/kept.h"
#include "kind/kinds.h"
#include "kind/writer.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

/* The setting. */
#define SETTING "kept.privileges"

/* Where objects of a kind have their owner and privileges. */
typedef struct Keeping
{
	const Kind *kind;
	const char *catalog;
	const char *prefix;			/* of the catalog's columns */
	const char *type;			/* of acldefault(); NULL: no privileges */
	const char *reg;			/* type whose input finds the object; NULL: by its name */
} Keeping;

static const Keeping keepings[] = {
	{&mig_kinds_view, "pg_class", "rel", "r", "regclass"},
	{&mig_kinds_materialized_view, "pg_class", "rel", "r", "regclass"},
	{&mig_kinds_foreign_table, "pg_class", "rel", "r", "regclass"},
	{&mig_kinds_function, "pg_proc", "pro", "f", "regprocedure"},
	{&mig_kinds_procedure, "pg_proc", "pro", "f", "regprocedure"},
	{&mig_kinds_aggregate, "pg_proc", "pro", "f", "regprocedure"},
	{&mig_kinds_enum, "pg_type", "typ", "T", "regtype"},
	{&mig_kinds_domain, "pg_type", "typ", "T", "regtype"},
	{&mig_kinds_composite_type, "pg_type", "typ", "T", "regtype"},
	{&mig_kinds_range, "pg_type", "typ", "T", "regtype"},
	{&mig_kinds_collation, "pg_collation", "coll", NULL, "regcollation"},
	{&mig_kinds_operator, "pg_operator", "opr", NULL, "regoperator"},
	{&mig_kinds_search_dictionary, "pg_ts_dict", "dict", NULL, "regdictionary"},
	{&mig_kinds_search_configuration, "pg_ts_config", "cfg", NULL, "regconfig"},
	{&mig_kinds_statistics, "pg_statistic_ext", "stx", NULL, NULL},
	{&mig_kinds_conversion, "pg_conversion", "con", NULL, NULL},
	{&mig_kinds_language, "pg_language", "lan", "l", NULL},
	{&mig_kinds_wrapper, "pg_foreign_data_wrapper", "fdw", "F", NULL},
	{&mig_kinds_server, "pg_foreign_server", "srv", "S", NULL},
	{&mig_kinds_publication, "pg_publication", "pub", NULL, NULL}
};

static const Keeping *keeping_of(const SchemaObject *object);
static void append_object(StringInfo sql, const SchemaObject *object, const Keeping *keeping,
						  int n);
static void append_condition(StringInfo sql, const SchemaObject *object,
							 const Keeping *keeping);
static void append_columns(StringInfo sql, const SchemaObject *relation, const char *column,
						   int n);
static void append_sequence(StringInfo sql, const KeptSequence *sequence, int n);

/* The statements of a row k: for the owner, and each privilege in the order of granting. */
static const char statements[] =
"SELECT 0 AS m, format('ALTER %s OWNER TO %s', k.object, k.owner::regrole) AS sql\n"
"            WHERE k.object IS NOT NULL\n"
"            UNION ALL SELECT 1, format('REVOKE ALL ON %s FROM %s', k.target, concat_ws(', ',\n"
"                'PUBLIC', k.owner::regrole, (SELECT string_agg(i.grantee::regrole::text, ', ')\n"
"                FROM pg_default_acl d, aclexplode(d.defaclacl) i WHERE i.grantee <> 0)))\n"
"            WHERE k.part = '' AND k.target IS NOT NULL\n"
"            UNION ALL SELECT 1 + i.n, format(CASE WHEN i.grantor = k.owner THEN '%2$s' ELSE\n"
"                'SET LOCAL ROLE %1$s; %2$s; SET LOCAL ROLE %3$I' END, i.grantor::regrole,\n"
"                format('GRANT %s%s ON %s TO %s%s', i.privilege, k.part, k.target,\n"
"                CASE i.grantee WHEN 0 THEN 'PUBLIC' ELSE i.grantee::regrole::text END,\n"
"                CASE WHEN i.may_grant THEN ' WITH GRANT OPTION' END), current_setting('role'))\n"
"            FROM aclexplode(k.acl) WITH ORDINALITY\n"
"                i (grantor, grantee, privilege, may_grant, n)";

/*
 * Return what remembers the owners and privileges of some objects (SchemaObject *), and the
 * privileges on sequences (KeptSequence *) that others take the place of, in the current
 * memory context; NULL: they have none.
 */
char *
mig_kept_save(List *objects, List *sequences)
{
	StringInfoData rows;
	char	   *body;
	char	   *quote = pstrdup("$kept$");
	int			n = 0;
	ListCell   *lc;

	initStringInfo(&rows);
	foreach(lc, objects)
	{
		const SchemaObject *object = lfirst(lc);
		const Keeping *keeping = keeping_of(object);

		n++;
		if (keeping != NULL)
			append_object(&rows, object, keeping, n);
		else if (object->kind == &mig_kinds_column)
			append_columns(&rows, object->owner, object->name, n);
		if (keeping != NULL && strcmp(keeping->catalog, "pg_class") == 0)
			append_columns(&rows, object, NULL, n);
	}
	foreach(lc, sequences)
		append_sequence(&rows, lfirst(lc), ++n);
	if (rows.len == 0)
		return NULL;
	body = psprintf("\nDECLARE\n    path text := pg_catalog.current_setting('search_path');\n"
					"BEGIN\n"
					"    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);\n"
					"    PERFORM set_config('" SETTING "', (\n"
					"        SELECT coalesce(json_agg(s.sql ORDER BY k.n, s.m), '[]')::text\n"
					"        FROM (%s\n        ) k, LATERAL (\n            %s\n        ) s), false);\n"
					"    PERFORM set_config('search_path', path, true);\nEND\n",
					rows.data, statements);
	while (strstr(body, quote) != NULL)
		quote = psprintf("$_%s", quote + 1);
	return psprintf("DO %s%s%s", quote, body, quote);
}

/*
 * Return what gives these objects their owners and privileges again.  A column may be gone.
 */
const char *
mig_kept_restore(void)
{
	return "DO $kept$\nDECLARE\n    statement text;\nBEGIN\n"
		"    FOR statement IN SELECT pg_catalog.json_array_elements_text(\n"
		"        pg_catalog.current_setting('" SETTING "')::pg_catalog.json)\n"
		"    LOOP\n"
		"        BEGIN\n"
		"            EXECUTE statement;\n"
		"        EXCEPTION WHEN undefined_column THEN\n"
		"        END;\n"
		"    END LOOP;\n"
		"    PERFORM pg_catalog.set_config('" SETTING "', '', false);\n"
		"END\n$kept$";
}

/*
 * Return where an object has its owner and privileges, NULL if it has none of its own.
 */
static const Keeping *
keeping_of(const SchemaObject *object)
{
	for (size_t i = 0; i < lengthof(keepings); i++)
		if (keepings[i].kind == object->kind)
			return &keepings[i];
	return NULL;
}

/*
 * Append the query of an object's row.
 */
static void
append_object(StringInfo sql, const SchemaObject *object, const Keeping *keeping, int n)
{
	const char *prefix = keeping->prefix;

	appendStringInfo(sql, "%s\n            SELECT %d AS n, %s AS object, ",
					 sql->len > 0 ? "\n            UNION ALL" : "", n,
					 quote_literal_cstr(mig_writer_target(object)));
	if (keeping->type != NULL)
		appendStringInfo(sql, "%s AS target,\n"
						 "                '' AS part, %sowner AS owner, coalesce(%sacl, acldefault('%s', %sowner)) AS acl",
						 quote_literal_cstr(mig_grants_target(object)), prefix, prefix,
						 keeping->type, prefix);
	else
		appendStringInfo(sql, "NULL AS target, '' AS part, %sowner AS owner,\n"
						 "                NULL::aclitem[] AS acl", prefix);
	appendStringInfo(sql, "\n                FROM %s WHERE ", keeping->catalog);
	append_condition(sql, object, keeping);
}

/*
 * Append what finds an object in its catalog.
 */
static void
append_condition(StringInfo sql, const SchemaObject *object, const Keeping *keeping)
{
	if (keeping->reg != NULL)
	{
		appendStringInfo(sql, "oid = %s::%s", quote_literal_cstr(object->identity),
						 keeping->reg);
		return;
	}
	appendStringInfo(sql, "%sname = %s", keeping->prefix, quote_literal_cstr(object->name));
	if (object->schema != NULL)
		appendStringInfo(sql, " AND %snamespace = %s::regnamespace", keeping->prefix,
						 quote_literal_cstr(quote_identifier(object->schema)));
}

/*
 * Append the query of the rows of a relation's columns, or of one of them.
 */
static void
append_columns(StringInfo sql, const SchemaObject *relation, const char *column, int n)
{
	const char *name = mig_objects_qualified(relation);

	appendStringInfo(sql, "%s\n            SELECT %d AS n, NULL AS object, %s AS target, "
					 "format(' (%%I)', attname) AS part,\n"
					 "                (SELECT relowner FROM pg_class c WHERE c.oid = attrelid) "
					 "AS owner, attacl AS acl\n"
					 "                FROM pg_attribute WHERE attrelid = %s::regclass "
					 "AND attacl IS NOT NULL",
					 sql->len > 0 ? "\n            UNION ALL" : "", n,
					 quote_literal_cstr(psprintf("TABLE %s", name)), quote_literal_cstr(name));
	if (column != NULL)
		appendStringInfo(sql, " AND attname = %s", quote_literal_cstr(column));
}

/*
 * Append the query of the row of a sequence's privileges, where any were granted.
 */
static void
append_sequence(StringInfo sql, const KeptSequence *sequence, int n)
{
	appendStringInfo(sql, "%s\n            SELECT %d AS n, NULL AS object, %s AS target, "
					 "'' AS part, relowner AS owner, relacl AS acl\n"
					 "                FROM pg_class WHERE oid = %s::regclass "
					 "AND relacl IS NOT NULL",
					 sql->len > 0 ? "\n            UNION ALL" : "", n,
					 quote_literal_cstr(psprintf("SEQUENCE %s", sequence->to)),
					 quote_literal_cstr(sequence->from));
}
