/*
 * language.c
 *		Languages and access methods, besides the server's own.
 */
#include "migrate.h"

#include "catalog/pg_am.h"
#include "catalog/pg_language.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"

static void create(const SchemaObject *object, Writer *writer);
static void create_access_method(const SchemaObject *object, Writer *writer);

const Kind	mig_kinds_language = {
	.name = "language",
	.catalog = LanguageRelationId,
	.of_database = true,
	.query = KIND_OF_DATABASE("x.oid", "x.lanname") ", "
	"CASE WHEN x.lanpltrusted THEN 'true' END AS trusted, "
	KIND_FUNCTION("x.lanplcallfoid") " AS handler, "
	KIND_FUNCTION("x.laninline") " AS inline, "
	KIND_FUNCTION("x.lanvalidator") " AS validator "
	"FROM pg_language x WHERE x.oid >= 16384 AND " KIND_NOT_MEMBER("pg_language", "x.oid"),
	.create = create,
	.comment_on = "LANGUAGE"
};

const Kind	mig_kinds_access_method = {
	.name = "access method",
	.catalog = AccessMethodRelationId,
	.of_database = true,
	.query = KIND_OF_DATABASE("x.oid", "x.amname") ", "
	"CASE x.amtype WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END AS type, "
	KIND_FUNCTION("x.amhandler") " AS handler "
	"FROM pg_am x WHERE x.oid >= 16384 AND " KIND_NOT_MEMBER("pg_am", "x.oid"),
	.create = create_access_method,
	.comment_on = "ACCESS METHOD"
};

/*
 * Write CREATE LANGUAGE.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %s%s",
					 mig_objects_property(object, "trusted") ? "TRUSTED " : "",
					 mig_writer_target(object));
	mig_writer_clause(&sql, object, " HANDLER ", "handler", "");
	mig_writer_clause(&sql, object, " INLINE ", "inline", "");
	mig_writer_clause(&sql, object, " VALIDATOR ", "validator", "");
	mig_writer_add(writer, object, PHASE_CREATE, "%s", sql.data);
}

/*
 * Write CREATE ACCESS METHOD.
 */
static void
create_access_method(const SchemaObject *object, Writer *writer)
{
	mig_writer_add(writer, object, PHASE_CREATE, "CREATE %s TYPE %s HANDLER %s",
				   mig_writer_target(object), mig_objects_property(object, "type"),
				   mig_objects_property(object, "handler"));
}
