/*
 * cast.c
 *		Casts, conversions of encodings, transforms.
 *
 * Casts and transforms are in no schema.  They belong to those of their types: what is
 * between the server's own types counts as the database's, and what is of a schema
 * that is not managed is left out.
 */
#include "migrate.h"

#include "catalog/pg_cast.h"
#include "catalog/pg_conversion.h"
#include "catalog/pg_transform.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

/*
 * True for what is made by a user, and of a managed schema or none.  The cast of a
 * range type to its multirange is made with the type.
 */
#define IS_OURS(catalog, types) \
	"x.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend xe " \
	"WHERE xe.classid = '" catalog "'::regclass AND xe.objid = x.oid " \
	"AND xe.deptype IN ('e', 'i')) " \
	"AND (EXISTS (SELECT FROM pg_type t WHERE t.oid IN (" types ") " \
	"AND t.typnamespace = ANY ($1)) OR NOT EXISTS (SELECT FROM pg_type t " \
	"WHERE t.oid IN (" types ") AND t.typnamespace >= 16384)) "

/* The function of an id, with its arguments; null for none. */
#define SIGNATURE(column) "CASE WHEN " column " <> 0 THEN " column "::regprocedure::text END"

static void create(const SchemaObject *object, Writer *writer);
static void create_conversion(const SchemaObject *object, Writer *writer);
static void create_transform(const SchemaObject *object, Writer *writer);

const Kind	mig_kinds_cast = {
	.name = "cast",
	.catalog = CastRelationId,
	.identity = IDENTITY_AS_IS,
	.of_database = true,
	.query =
	KIND_OF_DATABASE("x.oid", "format('(%s AS %s)', format_type(x.castsource, NULL), "
					 "format_type(x.casttarget, NULL))") ", "
	SIGNATURE("x.castfunc") " AS function, "
	"CASE x.castmethod WHEN 'i' THEN 'inout' WHEN 'b' THEN 'binary' ELSE 'function' END "
	"AS method, "
	"CASE x.castcontext WHEN 'a' THEN 'assignment' WHEN 'i' THEN 'implicit' END AS context "
	"FROM pg_cast x WHERE " IS_OURS("pg_cast", "x.castsource, x.casttarget"),
	.create = create,
	.comment_on = "CAST"
};

const Kind	mig_kinds_conversion = {
	.name = "conversion",
	.catalog = ConversionRelationId,
	.query = KIND_OF_SCHEMA("x", "con") ", "
	"pg_encoding_to_char(x.conforencoding)::text AS from_encoding, "
	"pg_encoding_to_char(x.contoencoding)::text AS to_encoding, "
	KIND_FUNCTION("x.conproc") " AS function, "
	"CASE WHEN x.condefault THEN 'true' END AS is_default "
	"FROM " KIND_IN_SCHEMAS("pg_conversion", "x", "con"),
	.create = create_conversion,
	.comment_on = "CONVERSION"
};

const Kind	mig_kinds_transform = {
	.name = "transform",
	.catalog = TransformRelationId,
	.identity = IDENTITY_AS_IS,
	.of_database = true,
	.query =
	KIND_OF_DATABASE("x.oid", "format('FOR %s LANGUAGE %I', format_type(x.trftype, NULL), "
					 "l.lanname)") ", "
	SIGNATURE("x.trffromsql") " AS from_sql, " SIGNATURE("x.trftosql") " AS to_sql "
	"FROM pg_transform x JOIN pg_language l ON l.oid = x.trflang "
	"WHERE " IS_OURS("pg_transform", "x.trftype"),
	.create = create_transform,
	.comment_on = "TRANSFORM"
};

/*
 * Write CREATE CAST.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	const char *method = mig_objects_property(object, "method");
	const char *function = mig_objects_property(object, "function");
	const char *with = "WITHOUT FUNCTION";
	StringInfoData sql;

	if (strcmp(method, "inout") == 0)
		with = "WITH INOUT";
	else if (function != NULL)
		with = psprintf("WITH FUNCTION %s", function);
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %s %s", mig_writer_target(object), with);
	mig_writer_clause(&sql, object, " AS ", "context", "");
	mig_writer_add(writer, object, PHASE_CREATE, "%s", sql.data);
}

/*
 * Write CREATE CONVERSION.
 */
static void
create_conversion(const SchemaObject *object, Writer *writer)
{
	mig_writer_add(writer, object, PHASE_CREATE,
				   "CREATE %sCONVERSION %s FOR %s TO %s FROM %s",
				   mig_objects_property(object, "is_default") ? "DEFAULT " : "",
				   mig_objects_qualified(object),
				   quote_literal_cstr(mig_objects_property(object, "from_encoding")),
				   quote_literal_cstr(mig_objects_property(object, "to_encoding")),
				   mig_objects_property(object, "function"));
}

/*
 * Write CREATE TRANSFORM.
 */
static void
create_transform(const SchemaObject *object, Writer *writer)
{
	const char *to_sql = mig_objects_property(object, "to_sql");
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %s (", mig_writer_target(object));
	mig_writer_clause(&sql, object, "FROM SQL WITH FUNCTION ", "from_sql",
					  to_sql != NULL ? ", " : "");
	mig_writer_clause(&sql, object, "TO SQL WITH FUNCTION ", "to_sql", "");
	mig_writer_add(writer, object, PHASE_CREATE, "%s)", sql.data);
}
