/*
 * default_privileges.c
 *		Default privileges.
 *
 * They are read where privileges are compared.
 *
 * Everything is allocated in the current memory context.
 */
#include "migrate.h"

#include "catalog/pg_default_acl.h"
#include "kind/grants.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "kind/privileges.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

static void create(const SchemaObject *object, Writer *writer);
static bool change(const Difference *difference, Writer *writer);
static const char *drop(const SchemaObject *object);
static List *items_of(const SchemaObject *object);
static List *initial_items(const SchemaObject *object);

const Kind	mig_kinds_default_privileges = {
	.name = "default privileges",
	.catalog = DefaultAclRelationId,
	.identity = IDENTITY_AS_IS,
	.of_database = true,
	.query =
	KIND_OF_DATABASE("x.oid", "format('FOR ROLE %I%s ON %s', pg_get_userbyid(x.defaclrole), "
					 "' IN SCHEMA ' || quote_ident(n.nspname), "
					 "CASE x.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' "
					 "WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' "
					 "WHEN 'L' THEN 'LARGE OBJECTS' ELSE x.defaclobjtype::text END)") ", "
	"pg_get_userbyid(x.defaclrole)::text AS role, n.nspname::text AS in_schema, "
	"x.defaclobjtype::text AS type, "
	"(SELECT string_agg(i::text, ', ' ORDER BY i::text COLLATE \"C\") "
	"FROM unnest(x.defaclacl) i) AS grants "
	"FROM pg_default_acl x LEFT JOIN pg_namespace n ON n.oid = x.defaclnamespace "
	"WHERE $2 AND (x.defaclnamespace = 0 OR x.defaclnamespace = ANY ($1))",
	.create = create,
	.alter = change,
	.drop = drop
};

/*
 * Write what gives default privileges.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	List	   *initial = initial_items(object);

	mig_grants_write_changes(object, &(NewPrivileges) {initial, initial}, items_of(object),
							 mig_privileges_default_role(object), writer);
}

/*
 * Write what gives other default privileges.
 */
static bool
change(const Difference *difference, Writer *writer)
{
	List	   *before = items_of(difference->from);

	mig_grants_write_changes(difference->to, &(NewPrivileges) {before, before},
							 items_of(difference->to),
							 mig_privileges_default_role(difference->to), writer);
	return true;
}

/*
 * Return what takes default privileges away.
 */
static const char *
drop(const SchemaObject *object)
{
	Writer		writer = {.actions = NIL};
	List	   *items = items_of(object);
	StringInfoData sql;
	ListCell   *lc;

	mig_grants_write_changes(object, &(NewPrivileges) {items, items}, initial_items(object),
							 mig_privileges_default_role(object), &writer);
	initStringInfo(&sql);
	foreach(lc, writer.actions)
		appendStringInfo(&sql, "%s%s", sql.len > 0 ? ";\n" : "",
						 ((const Action *) lfirst(lc))->sql);
	return sql.data;
}

/*
 * Return the items (AclItem *) of default privileges.
 */
static List *
items_of(const SchemaObject *object)
{
	return mig_privileges_parse(mig_objects_property(object, "grants"));
}

/*
 * Return the items (AclItem *) without default privileges: none of a schema, those of a
 * new object else.
 */
static List *
initial_items(const SchemaObject *object)
{
	return mig_objects_property(object, "in_schema") != NULL ? NIL :
		mig_privileges_items(acldefault(mig_privileges_default_type(object),
										mig_privileges_default_role(object)));
}

