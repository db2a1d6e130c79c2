/*
 * type.c
 *		Enums, domains, composite types, range types and base types.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "kind/column.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"

/* The types of a kind in the managed schemas. */
#define TYPES(typtype) KIND_IN_SCHEMAS("pg_type", "t", "typ") "AND t.typtype = '" typtype "' "

static void create_enum(const SchemaObject *object, Writer *writer);
static void create_domain(const SchemaObject *object, Writer *writer);
static void create_composite(const SchemaObject *object, Writer *writer);
static void create_range(const SchemaObject *object, Writer *writer);
static bool change_enum(const Difference *difference, Writer *writer);
static const char *next_label(const char **at);
static bool change_domain(const Difference *difference, Writer *writer);

const Kind	mig_kinds_enum = {
	.name = "enum",
	.catalog = TypeRelationId,
	.query = KIND_OF_SCHEMA("t", "typ") ", "
	"(SELECT string_agg(quote_literal(l.enumlabel), ', ' ORDER BY l.enumsortorder) "
	"FROM pg_enum l WHERE l.enumtypid = t.oid) AS labels "
	"FROM " TYPES("e"),
	.create = create_enum,
	.alter = change_enum,
	.comment_on = "TYPE"
};

const Kind	mig_kinds_domain = {
	.name = "domain",
	.catalog = TypeRelationId,
	.query = KIND_OF_SCHEMA("t", "typ") ", "
	"format_type(t.typbasetype, t.typtypmod) AS type, "
	"CASE WHEN t.typcollation <> b.typcollation THEN "
	KIND_QUALIFIED("pg_collation", "coll", "t.typcollation") " END AS collation, "
	"CASE WHEN t.typnotnull THEN " MIG_DOMAIN_NOT_NULL " END AS not_null, "
	"pg_get_expr(t.typdefaultbin, 0) AS \"default\" "
	"FROM " TYPES("d") "JOIN pg_type b ON b.oid = t.typbasetype",
	.create = create_domain,
	.alter = change_domain,
	.comment_on = "DOMAIN"
};

const Kind	mig_kinds_composite_type = {
	.name = "composite type",
	.catalog = RelationRelationId,
	.query = KIND_OF_SCHEMA("c", "rel") " "
	"FROM " KIND_RELATIONS("'c'")
	"WHERE NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass "
	"AND e.objid = c.reltype AND e.deptype = 'e')",
	.create = create_composite,
	.comment_on = "TYPE"
};

const Kind	mig_kinds_range = {
	.name = "range type",
	.catalog = TypeRelationId,
	.query = KIND_OF_SCHEMA("t", "typ") ", "
	"format_type(r.rngsubtype, NULL) AS subtype, "
	"(SELECT CASE WHEN NOT c.opcdefault THEN quote_ident(cn.nspname) || '.' || "
	"quote_ident(c.opcname) END FROM pg_opclass c JOIN pg_namespace cn "
	"ON cn.oid = c.opcnamespace WHERE c.oid = r.rngsubopc) AS operator_class, "
	"CASE WHEN r.rngcollation <> b.typcollation THEN "
	KIND_QUALIFIED("pg_collation", "coll", "r.rngcollation") " END AS collation, "
	KIND_FUNCTION("r.rngcanonical") " AS canonical, "
	KIND_FUNCTION("r.rngsubdiff") " AS difference, "
	MIG_RANGE_MULTIRANGE " AS multirange "
	"FROM " TYPES("r") "JOIN pg_range r ON r.rngtypid = t.oid "
	"JOIN pg_type b ON b.oid = r.rngsubtype",
	.create = create_range,
	.comment_on = "TYPE"
};

const Kind	mig_kinds_base_type = {
	.name = "base type",
	.catalog = TypeRelationId,
	.query = KIND_OF_SCHEMA("t", "typ") ", "
	"CASE WHEN t.typisdefined THEN 'true' END AS is_defined, t.typlen::text AS length, "
	"CASE WHEN t.typbyval THEN 'true' END AS by_value, t.typcategory::text AS category, "
	"CASE WHEN t.typispreferred THEN 'true' END AS preferred, t.typdelim::text AS delimiter, "
	KIND_FUNCTION("t.typinput") " AS input, " KIND_FUNCTION("t.typoutput") " AS output, "
	KIND_FUNCTION("t.typreceive") " AS receive, " KIND_FUNCTION("t.typsend") " AS send, "
	KIND_FUNCTION("t.typmodin") " AS modifier_input, " KIND_FUNCTION("t.typmodout")
	" AS modifier_output, " KIND_FUNCTION("t.typanalyze") " AS \"analyze\", "
	"t.typalign::text AS alignment, t.typstorage::text AS storage, t.typdefault AS \"default\", "
	KIND_TYPE("t.typelem") " AS element "
	"FROM " TYPES("b")
	"AND NOT EXISTS (SELECT FROM pg_type el WHERE el.typarray = t.oid)",
	.create_by_hand = " (INPUT = ..., OUTPUT = ...)",
	.alter_by_hand = " SET (...)",
	.comment_on = "TYPE"
};

const Kind	mig_kinds_shell_type = {
	.name = "shell type",
	.catalog = TypeRelationId,
	.query = KIND_OF_SCHEMA("t", "typ") " "
	"FROM " TYPES("p"),
	.create_by_hand = "",
	.alter_by_hand = " ...",
	.comment_on = "TYPE"
};

/*
 * Write CREATE TYPE ... AS ENUM.
 */
static void
create_enum(const SchemaObject *object, Writer *writer)
{
	const char *labels = mig_objects_property(object, "labels");

	mig_writer_add(writer, object, PHASE_CREATE, "CREATE TYPE %s AS ENUM (%s)",
				   mig_objects_qualified(object), labels != NULL ? labels : "");
}

/*
 * Write CREATE DOMAIN, without its constraints.
 */
static void
create_domain(const SchemaObject *object, Writer *writer)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE DOMAIN %s", mig_objects_qualified(object));
	mig_writer_clause(&sql, object, " AS ", "type", "");
	mig_writer_clause(&sql, object, " COLLATE ", "collation", "");
	mig_writer_clause(&sql, object, " ", "not_null", "");
	mig_writer_clause(&sql, object, " DEFAULT ", "default", "");
	mig_writer_add(writer, object, PHASE_CREATE, "%s", sql.data);
}

/*
 * Write CREATE TYPE ... AS with the attributes.
 */
static void
create_composite(const SchemaObject *object, Writer *writer)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TYPE %s AS", mig_objects_qualified(object));
	mig_column_append_all(&sql, object, false);
	mig_writer_add(writer, object, PHASE_CREATE, "%s", sql.data);
}

/*
 * Write CREATE TYPE ... AS RANGE.
 */
static void
create_range(const SchemaObject *object, Writer *writer)
{
	static const WriterOption options[] = {
		{"multirange_type_name", "multirange"}, {"subtype_opclass", "operator_class"},
		{"collation", "collation"}, {"canonical", "canonical"}, {"subtype_diff", "difference"}
	};
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TYPE %s AS RANGE (subtype = %s",
					 mig_objects_qualified(object), mig_objects_property(object, "subtype"));
	mig_writer_options(&sql, object, ", ", OPTION_VALUE, options, lengthof(options));
	mig_writer_add(writer, object, PHASE_CREATE, "%s)", sql.data);
}

/*
 * Write what adds labels to an enum.  Return false when there are others that go, or
 * change places.
 */
static bool
change_enum(const Difference *difference, Writer *writer)
{
	const char *name = mig_objects_qualified(difference->to);
	const char *before = mig_objects_property(difference->from, "labels");
	const char *after = mig_objects_property(difference->to, "labels");
	const char *previous = NULL;
	const char *old;

	if (before == NULL || after == NULL)
		return false;
	old = next_label(&before);
	while (*after != '\0')
	{
		const char *label = next_label(&after);

		if (old != NULL && strcmp(label, old) == 0)
			old = *before != '\0' ? next_label(&before) : NULL;
		else if (previous != NULL)
			mig_writer_add(writer, difference->to, PHASE_CREATE,
						   "ALTER TYPE %s ADD VALUE %s AFTER %s", name, label, previous);
		else
			mig_writer_add(writer, difference->to, PHASE_CREATE,
						   "ALTER TYPE %s ADD VALUE %s BEFORE %s", name, label, old);
		previous = label;
	}
	return old == NULL;
}

/*
 * Return the next of a list of quoted labels, as it is there, and go past it.
 */
static const char *
next_label(const char **at)
{
	const char *begin = *at;
	const char *end = begin;
	bool		quoted = false;

	for (; *end != '\0' && (quoted || *end != ','); end++)
		if (*end == '\'')
			quoted = !quoted;
	*at = end + strspn(end, ", ");
	return pnstrdup(begin, end - begin);
}

/*
 * Write what alters a domain in place; return false when that cannot be done.
 */
static bool
change_domain(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *name = mig_objects_qualified(to);
	const char *def = mig_objects_property(to, "default");
	const char *not_null = mig_objects_property(to, "not_null");
	ListCell   *lc;

	foreach(lc, difference->properties)
	{
		const char *property = ((ObjectProperty *) lfirst(lc))->name;

		if (strcmp(property, "default") == 0)
			mig_writer_add(writer, to, PHASE_DEFAULT, "ALTER DOMAIN %s %s DEFAULT%s%s", name,
						   def != NULL ? "SET" : "DROP", def != NULL ? " " : "",
						   def != NULL ? def : "");
		else if (strcmp(property, "not_null") == 0 &&
				 (not_null == NULL || strcmp(not_null, "NOT NULL") == 0))
			mig_writer_add(writer, to, PHASE_STATE, "ALTER DOMAIN %s %s NOT NULL", name,
						   not_null != NULL ? "SET" : "DROP")->hazard = not_null == NULL ? NULL :
				"fails on rows with a null, and scans the tables that have the domain";
		else
			return false;
	}
	return true;
}
