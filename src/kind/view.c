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
static bool change(const Difference *difference, Writer *writer);
static bool change_materialized(const Difference *difference, Writer *writer);

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
	.alter = change,
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
	.alter = change_materialized,
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
 * Write CREATE MATERIALIZED VIEW, with its rows where there are any.
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
	mig_writer_add(writer, object, PHASE_CREATE, "%s AS\n%s%s", sql.data,
				   mig_writer_definition(object), writer->with_rows ? "" : "\n  WITH NO DATA");
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

/*
 * Write what replaces a view whose columns stay, though others can follow.  Return false
 * when they do not.
 */
static bool
change(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *before = mig_objects_property(difference->from, KIND_STANDIN);
	const char *after = mig_objects_property(to, KIND_STANDIN);
	size_t		length = before != NULL ? strlen(before) : 0;

	if (!mig_writer_has(difference, "definition"))
	{
		mig_writer_change_options(difference, "options",
								  psprintf("ALTER VIEW %s", mig_objects_qualified(to)), writer);
		return true;
	}
	if (before == NULL || after == NULL || strncmp(before, after, length) != 0 ||
		(after[length] != '\0' && after[length] != ','))
		return false;
	mig_writer_add(writer, to, PHASE_CREATE, "CREATE OR REPLACE VIEW %s%s AS\n%s",
				   mig_objects_qualified(to), options_of(to), mig_writer_definition(to));
	return true;
}

/*
 * Write what alters a materialized view in place; return false when that cannot be done.
 */
static bool
change_materialized(const Difference *difference, Writer *writer)
{
	const char *alter = psprintf("ALTER MATERIALIZED VIEW %s",
								 mig_objects_qualified(difference->to));
	const char *tablespace = mig_objects_property(difference->to, "tablespace");
	ListCell   *lc;

	foreach(lc, difference->properties)
	{
		const char *property = ((ObjectProperty *) lfirst(lc))->name;

		if (strcmp(property, "options") == 0)
			mig_writer_change_options(difference, "options", alter, writer);
		else if (strcmp(property, "tablespace") == 0)
			mig_writer_add(writer, difference->to, PHASE_STATE, "%s SET TABLESPACE %s", alter,
						   tablespace ? quote_identifier(tablespace) : "pg_default");
		else
			return false;
	}
	return true;
}
