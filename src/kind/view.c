/*
 * view.c
 *		Views and materialized views.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

static void create(const SchemaObject *object, Writer *writer);
static void divide(const SchemaObject *object, Action *create_action, Writer *writer);
static void create_materialized(const SchemaObject *object, Writer *writer);
static const char *options_of(const SchemaObject *object);

const Kind	mig_kinds_view = {
	.name = "view",
	.catalog = RelationRelationId,
	.query = KIND_OF_SCHEMA("c", "rel") ", "
	"pg_get_viewdef(c.oid) AS definition, " KIND_OPTIONS("c.reloptions") " AS options, "
	"(SELECT 'SELECT' || string_agg(format(E'\\n    NULL::%s%s AS %I', "
	"format_type(a.atttypid, a.atttypmod), CASE WHEN a.attcollation <> t.typcollation "
	"THEN ' COLLATE ' || " KIND_QUALIFIED("pg_collation", "coll", "a.attcollation") " END, "
	"a.attname), ',' ORDER BY a.attnum) FROM pg_attribute a JOIN pg_type t "
	"ON t.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0) AS " KIND_STANDIN " "
	"FROM " KIND_RELATIONS("'v'"),
	.create = create,
	.divide = divide,
	.comment_on = "VIEW"
};

const Kind	mig_kinds_materialized_view = {
	.name = "materialized view",
	.catalog = RelationRelationId,
	.query = KIND_OF_SCHEMA("c", "rel") ", "
	"pg_get_viewdef(c.oid) AS definition, " KIND_STORAGE_OPTIONS " AS options, "
	"(SELECT a.amname FROM pg_am a WHERE a.oid = c.relam) AS access_method, "
	KIND_TABLESPACE("c.reltablespace") " AS tablespace "
	"FROM " KIND_RELATIONS("'m'"),
	.create = create_materialized,
	.comment_on = "MATERIALIZED VIEW"
};

/*
 * Write CREATE VIEW.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	mig_writer_add(writer, object, PHASE_CREATE, "CREATE VIEW %s%s AS\n%s",
				   mig_objects_qualified(object), options_of(object),
				   mig_writer_definition(object));
}

/*
 * Have a view be made with nulls for its columns first, and with its query later.
 */
static void
divide(const SchemaObject *object, Action *create_action, Writer *writer)
{
	create_action->sql = psprintf("CREATE VIEW %s AS\n%s", mig_objects_qualified(object),
								  mig_objects_property(object, KIND_STANDIN));
	mig_writer_add(writer, object, PHASE_DEFAULT, "CREATE OR REPLACE VIEW %s%s AS\n%s",
				   mig_objects_qualified(object), options_of(object),
				   mig_writer_definition(object));
}

/*
 * Write CREATE MATERIALIZED VIEW, without its rows.
 */
static void
create_materialized(const SchemaObject *object, Writer *writer)
{
	const char *access_method = mig_objects_property(object, "access_method");
	const char *tablespace = mig_objects_property(object, "tablespace");
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE MATERIALIZED VIEW %s", mig_objects_qualified(object));
	if (access_method != NULL && strcmp(access_method, "heap") != 0)
		appendStringInfo(&sql, " USING %s", quote_identifier(access_method));
	mig_writer_clause(&sql, object, " WITH (", "options", ")");
	if (tablespace != NULL)
		appendStringInfo(&sql, " TABLESPACE %s", quote_identifier(tablespace));
	mig_writer_add(writer, object, PHASE_CREATE, "%s AS\n%s\n  WITH NO DATA", sql.data,
				   mig_writer_definition(object));
}

/*
 * Return the options of a view, with a space before.
 */
static const char *
options_of(const SchemaObject *object)
{
	const char *options = mig_objects_property(object, "options");

	return options != NULL ? psprintf(" WITH (%s)", options) : "";
}
