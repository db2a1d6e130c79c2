/*
 * constraint.c
 *		Constraints of tables and of domains.
 *
 * NOT NULL is a property of the column, also where the server has a constraint
 * for it.  What a partition's foreign key has from its parent is not read: the
 * server makes it when the parent's is made.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "kind/index.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "utils/builtins.h"

static void create(const SchemaObject *object, Writer *writer);
static bool storage_fits(const SchemaObject *object);
static void create_of_domain(const SchemaObject *object, Writer *writer);
static bool change(const Difference *difference, Writer *writer);
static const char *drop(const SchemaObject *object);
static const char *drop_of_domain(const SchemaObject *object);
static const char *domain_constraint_name(const SchemaObject *object);

const Kind	mig_kinds_constraint = {
	.name = "constraint",
	.catalog = ConstraintRelationId,
	.owner_catalog = RelationRelationId,
	.query = KIND_OF_RELATION("k", "con") ", "
	"CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' "
	"WHEN 'f' THEN 'foreign key' WHEN 'c' THEN 'check' ELSE 'exclude' END AS type, "
	"pg_get_constraintdef(k.oid) AS definition, "
	"CASE WHEN k.contype = 'c' AND k.coninhcount > 0 AND NOT k.conislocal "
	"THEN CASE WHEN c.relispartition THEN 'by partition' ELSE 'true' END END AS inherited, "
	"CASE WHEN k.contype IN ('p', 'u', 'x') THEN obj_description(k.conindid, 'pg_class') END "
	"AS index_comment, "
	KIND_INDEX_PROPERTIES
	"FROM " KIND_RELATIONS("'r', 'p', 'f'")
	"JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f', 'c', 'x') "
	"AND NOT (k.contype = 'f' AND k.conparentid <> 0) "
	"LEFT JOIN pg_index i ON i.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x') "
	"LEFT JOIN pg_class ic ON ic.oid = i.indexrelid",
	.create = create,
	.alter = change,
	.drop = drop,
	.comment_on = "CONSTRAINT"
};

const Kind	mig_kinds_domain_constraint = {
	.name = "domain constraint",
	.catalog = ConstraintRelationId,
	.owner_catalog = TypeRelationId,
	.query =
	KIND_COLUMNS("k.oid", "0", "t.oid", "n.nspname", "t.typname", "k.conname", "NULL") ", "
	"pg_get_constraintdef(k.oid) AS definition "
	"FROM " KIND_IN_SCHEMAS("pg_type", "t", "typ") "AND t.typtype = 'd' "
	"JOIN pg_constraint k ON k.contypid = t.oid AND k.contype = 'c'",
	.create = create_of_domain,
	.drop = drop_of_domain,
	.comment_on = "CONSTRAINT",
	.comment_name = domain_constraint_name
};

/*
 * Write ALTER TABLE ... ADD CONSTRAINT.  Checks are inherited as they are added;
 * a foreign key of a partitioned table is one of its partitions, too; keys are
 * those of one table.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	const char *type = mig_objects_property(object, "type");
	const char *inherited = mig_objects_property(object, "inherited");
	const char *index_comment = mig_objects_property(object, "index_comment");
	bool		is_check = strcmp(type, "check") == 0;
	bool		recurses = is_check ||
		(strcmp(type, "foreign key") == 0 && object->owner != NULL &&
		 mig_objects_is_partitioned(object->owner));
	Action	   *action;

	if (inherited != NULL && strcmp(inherited, "true") == 0)
		return;
	action = mig_writer_add(writer, object, PHASE_CREATE,
							"ALTER TABLE %s%s ADD CONSTRAINT %s %s%s",
							recurses ? "" : "ONLY ", mig_objects_parent(object),
							quote_identifier(object->name),
							mig_objects_property(object, "definition"),
							storage_fits(object) ? mig_index_storage(object) : "");
	if (is_check)
		action->before_attach = object->owner;
	if (index_comment != NULL)
		mig_writer_add(writer, object, PHASE_COMMENT, "COMMENT ON INDEX %s IS %s",
					   mig_objects_qualified(object), quote_literal_cstr(index_comment));
	if (!storage_fits(object))
		mig_index_alter_storage(object, writer);
	mig_index_create_state(object, writer);
}

/*
 * Return whether what the definition of a constraint leaves out of its index can be
 * written at its end.  It has to come before WHERE and DEFERRABLE.
 */
static bool
storage_fits(const SchemaObject *object)
{
	return strcmp(mig_objects_property(object, "type"), "exclude") != 0 &&
		strstr(mig_objects_property(object, "definition"), " DEFERRABLE") == NULL;
}

/*
 * Write ALTER DOMAIN ... ADD CONSTRAINT.
 */
static void
create_of_domain(const SchemaObject *object, Writer *writer)
{
	mig_writer_add(writer, object, PHASE_CREATE, "ALTER DOMAIN %s ADD CONSTRAINT %s %s",
				   mig_objects_parent(object), quote_identifier(object->name),
				   mig_objects_property(object, "definition"));
}

/*
 * Return what COMMENT ON CONSTRAINT names a domain's constraint by.
 */
static const char *
domain_constraint_name(const SchemaObject *object)
{
	return psprintf("%s ON DOMAIN %s", quote_identifier(object->name),
					mig_objects_parent(object));
}

/*
 * Write what alters a constraint in place; return false when that cannot be done.
 */
static bool
change(const Difference *difference, Writer *writer)
{
	const char *before = mig_objects_property(difference->from, "definition");
	const char *after = mig_objects_property(difference->to, "definition");
	bool		valid = strcmp(before, psprintf("%s NOT VALID", after)) == 0;
	ListCell   *lc;

	foreach(lc, difference->properties)
	{
		const char *name = ((ObjectProperty *) lfirst(lc))->name;

		if (strcmp(name, "definition") == 0 && valid)
			mig_writer_add(writer, difference->to, PHASE_STATE,
						   "ALTER TABLE %s VALIDATE CONSTRAINT %s",
						   mig_objects_parent(difference->to),
						   quote_identifier(difference->to->name))->hazard =
				"fails on rows that violate the constraint";
		else if (!mig_index_change(difference, name, writer))
			return false;
	}
	return true;
}

/*
 * Return what drops a table's constraint.
 */
static const char *
drop(const SchemaObject *object)
{
	return psprintf("ALTER TABLE %s DROP CONSTRAINT %s", mig_objects_parent(object),
					quote_identifier(object->name));
}

/*
 * Return what drops a domain's constraint.
 */
static const char *
drop_of_domain(const SchemaObject *object)
{
	return psprintf("ALTER DOMAIN %s DROP CONSTRAINT %s", mig_objects_parent(object),
					quote_identifier(object->name));
}
