/*
 * database.c
 *		Schemas, extensions, publications and subscriptions.
 */
#include "migrate.h"

#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_subscription.h"
#include "compat.h"
#include "kind/grants.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

static void create_schema(const SchemaObject *object, Writer *writer);
static void create_extension(const SchemaObject *object, Writer *writer);
static void create_publication(const SchemaObject *object, Writer *writer);
static const char *drop_extension(const SchemaObject *object);

const Kind	mig_kinds_schema = {
	.name = "schema",
	.catalog = NamespaceRelationId,
	.of_database = true,
	.query = KIND_OF_DATABASE("n.oid", "n.nspname") " "
	"FROM pg_namespace n WHERE n.oid = ANY ($1)",
	.create = create_schema,
	.comment_on = "SCHEMA"
};

const Kind	mig_kinds_extension = {
	.name = "extension",
	.catalog = ExtensionRelationId,
	.of_database = true,
	.query = KIND_OF_DATABASE("e.oid", "e.extname") ", "
	"n.nspname::text AS in_schema "
	"FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
	"WHERE e.extname NOT IN ('plpgsql', 'migrate')",
	.create = create_extension,
	.drop = drop_extension
};

const Kind	mig_kinds_publication = {
	.name = "publication",
	.catalog = PublicationRelationId,
	.of_database = true,
	.query = KIND_OF_DATABASE("p.oid", "p.pubname") ", "
	"CASE WHEN p.puballtables THEN 'true' END AS all_tables, "
	"(SELECT string_agg(t.definition, ', ' ORDER BY t.definition) FROM ("
	"SELECT '" MIG_PUBLICATION_TABLE "' || r.prrelid::regclass" MIG_PUBLICATION_DETAILS " AS definition "
	"FROM pg_publication_rel r WHERE r.prpubid = p.oid "
	MIG_PUBLICATION_SCHEMAS ") t) AS members, "
	"concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, "
	"CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END, "
	"CASE WHEN p.pubtruncate THEN 'truncate' END) AS publish, "
	"CASE WHEN p.pubviaroot THEN 'true' END AS via_root, "
	MIG_PUBLICATION_GENERATED " AS generated_columns "
	"FROM pg_publication p WHERE " KIND_NOT_MEMBER("pg_publication", "p.oid"),
	.create = create_publication,
	.comment_on = "PUBLICATION"
};

/* Who may not read the connection cannot compare it. */
const Kind	mig_kinds_subscription = {
	.name = "subscription",
	.catalog = SubscriptionRelationId,
	.of_database = true,
	.query = KIND_OF_DATABASE(MIG_SUBSCRIPTION_OID, "x.subname") ", "
	"array_to_string(ARRAY(SELECT p FROM unnest(x.subpublications) p ORDER BY p), ', ') "
	"AS publications, "
	"CASE WHEN NOT x.subenabled THEN 'true' END AS disabled, x.subslotname::text AS slot, "
	MIG_SUBSCRIPTION_OPTIONS " AS options "
	"FROM pg_subscription x WHERE x.subdbid = (SELECT d.oid FROM pg_database d "
	"WHERE d.datname = current_database())",
	.create_by_hand = " CONNECTION '...' PUBLICATION ...",
	.alter_by_hand = " ...",
	.comment_on = "SUBSCRIPTION"
};

/*
 * Write CREATE SCHEMA, but for the one that every database has; owner and privileges
 * where they were read.
 */
static void
create_schema(const SchemaObject *object, Writer *writer)
{
	if (!mig_grants_is_public(object->name))
		mig_writer_add(writer, object, PHASE_CREATE, "CREATE SCHEMA %s",
					   quote_identifier(object->name));
}

/*
 * Write CREATE EXTENSION.
 */
static void
create_extension(const SchemaObject *object, Writer *writer)
{
	mig_writer_add(writer, object, PHASE_CREATE,
				   "CREATE EXTENSION IF NOT EXISTS %s WITH SCHEMA %s",
				   quote_identifier(object->name),
				   quote_identifier(mig_objects_property(object, "in_schema")));
}

/*
 * Write CREATE PUBLICATION.
 */
static void
create_publication(const SchemaObject *object, Writer *writer)
{
	const char *members = mig_objects_property(object, "members");
	const char *generated = mig_objects_property(object, "generated_columns");
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE PUBLICATION %s", quote_identifier(object->name));
	if (mig_objects_property(object, "all_tables") != NULL)
		appendStringInfoString(&sql, " FOR ALL TABLES");
	else if (members != NULL)
		appendStringInfo(&sql, MIG_PUBLICATION_FOR "%s", members);
	appendStringInfo(&sql, " WITH (publish = '%s'%s%s%s)",
					 mig_objects_property(object, "publish"),
					 mig_objects_property(object, "via_root") ?
					 ", publish_via_partition_root = true" : "",
					 generated ? ", publish_generated_columns = " : "",
					 generated ? generated : "");
	mig_writer_add(writer, object, PHASE_CREATE, "%s", sql.data);
}

/*
 * Return what drops an extension.
 */
static const char *
drop_extension(const SchemaObject *object)
{
	return psprintf("DROP EXTENSION %s", quote_identifier(object->name));
}
