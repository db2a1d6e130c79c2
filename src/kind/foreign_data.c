/*
 * foreign_data.c
 *		Foreign data wrappers, servers, user mappings.
 *
 * Options of user mappings are passwords as often as not: that they differ is said,
 * not what they are.
 */
#include "migrate.h"

#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

static void create_wrapper(const SchemaObject *object, Writer *writer);
static bool change_wrapper(const Difference *difference, Writer *writer);
static void create_server(const SchemaObject *object, Writer *writer);
static bool change_server(const Difference *difference, Writer *writer);

const Kind	mig_kinds_wrapper = {
	.name = "foreign data wrapper",
	.catalog = ForeignDataWrapperRelationId,
	.of_database = true,
	.query = KIND_OF_DATABASE("x.oid", "x.fdwname") ", "
	KIND_FUNCTION("x.fdwhandler") " AS handler, "
	KIND_FUNCTION("x.fdwvalidator") " AS validator, "
	KIND_FOREIGN_OPTIONS("x.fdwoptions") " AS options "
	"FROM pg_foreign_data_wrapper x WHERE x.oid >= 16384 AND "
	KIND_NOT_MEMBER("pg_foreign_data_wrapper", "x.oid"),
	.create = create_wrapper,
	.alter = change_wrapper,
	.comment_on = "FOREIGN DATA WRAPPER"
};

const Kind	mig_kinds_server = {
	.name = "server",
	.catalog = ForeignServerRelationId,
	.of_database = true,
	.query = KIND_OF_DATABASE("x.oid", "x.srvname") ", "
	"w.fdwname::text AS wrapper, x.srvtype AS type, x.srvversion AS version, "
	KIND_FOREIGN_OPTIONS("x.srvoptions") " AS options "
	"FROM pg_foreign_server x JOIN pg_foreign_data_wrapper w ON w.oid = x.srvfdw "
	"WHERE " KIND_NOT_MEMBER("pg_foreign_server", "x.oid"),
	.create = create_server,
	.alter = change_server,
	.comment_on = "SERVER"
};

/* Messages do not show a value of more than one line. */
const Kind	mig_kinds_user_mapping = {
	.name = "user mapping",
	.catalog = UserMappingRelationId,
	.identity = IDENTITY_AS_IS,
	.of_database = true,
	.query =
	KIND_OF_DATABASE("x.umid", "format('FOR %s SERVER %I', CASE WHEN x.umuser = 0 "
					 "THEN 'PUBLIC' ELSE quote_ident(x.usename) END, x.srvname)") ", "
	"E'\\n' || " KIND_FOREIGN_OPTIONS("x.umoptions") " AS options "
	"FROM pg_user_mappings x WHERE " KIND_NOT_MEMBER("pg_user_mapping", "x.umid"),
	.create_by_hand = " OPTIONS (...)",
	.alter_by_hand = " OPTIONS (...)"
};

/*
 * Write CREATE FOREIGN DATA WRAPPER.
 */
static void
create_wrapper(const SchemaObject *object, Writer *writer)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %s", mig_writer_target(object));
	mig_writer_clause(&sql, object, " HANDLER ", "handler", "");
	mig_writer_clause(&sql, object, " VALIDATOR ", "validator", "");
	mig_writer_clause(&sql, object, " OPTIONS (", "options", ")");
	mig_writer_add(writer, object, PHASE_CREATE, "%s", sql.data);
}

/*
 * Write CREATE SERVER.
 */
static void
create_server(const SchemaObject *object, Writer *writer)
{
	const char *type = mig_objects_property(object, "type");
	const char *version = mig_objects_property(object, "version");
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %s", mig_writer_target(object));
	if (type != NULL)
		appendStringInfo(&sql, " TYPE %s", quote_literal_cstr(type));
	if (version != NULL)
		appendStringInfo(&sql, " VERSION %s", quote_literal_cstr(version));
	appendStringInfo(&sql, " FOREIGN DATA WRAPPER %s",
					 quote_identifier(mig_objects_property(object, "wrapper")));
	mig_writer_clause(&sql, object, " OPTIONS (", "options", ")");
	mig_writer_add(writer, object, PHASE_CREATE, "%s", sql.data);
}

/*
 * Write what alters a foreign data wrapper in place.
 */
static bool
change_wrapper(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *alter = psprintf("ALTER %s", mig_writer_target(to));
	const char *handler = mig_objects_property(to, "handler");
	const char *validator = mig_objects_property(to, "validator");

	if (mig_writer_has(difference, "handler"))
		mig_writer_add(writer, to, PHASE_CREATE, "%s %sHANDLER%s%s", alter,
					   handler ? "" : "NO ", handler ? " " : "", handler ? handler : "");
	if (mig_writer_has(difference, "validator"))
		mig_writer_add(writer, to, PHASE_CREATE, "%s %sVALIDATOR%s%s", alter,
					   validator ? "" : "NO ", validator ? " " : "",
					   validator ? validator : "");
	if (mig_writer_has(difference, "options"))
		mig_writer_change_foreign(difference, "options", alter, writer);
	return true;
}

/*
 * Write what alters a server in place; return false when that cannot be done, for another
 * wrapper or type.
 */
static bool
change_server(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *alter = psprintf("ALTER %s", mig_writer_target(to));
	const char *version = mig_objects_property(to, "version");

	if (mig_writer_has(difference, "wrapper") || mig_writer_has(difference, "type"))
		return false;
	if (mig_writer_has(difference, "version"))
		mig_writer_add(writer, to, PHASE_CREATE, "%s VERSION %s", alter,
					   version ? quote_literal_cstr(version) : "NULL");
	if (mig_writer_has(difference, "options"))
		mig_writer_change_foreign(difference, "options", alter, writer);
	return true;
}
