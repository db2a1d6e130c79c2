/*
 * trigger.c
 *		Triggers and rules of tables and views.
 *
 * The triggers that a partition has from its parent are read where they are
 * enabled otherwise.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "compat.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "utils/builtins.h"

static void create(const SchemaObject *object, Writer *writer);
static void create_rule(const SchemaObject *object, Writer *writer);
static bool change(const Difference *difference, Writer *writer);
static const char *drop(const SchemaObject *object);
static bool change_rule(const Difference *difference, Writer *writer);
static void write_enabled(const SchemaObject *object, const char *what, Writer *writer);

const Kind	mig_kinds_trigger = {
	.name = "trigger",
	.catalog = TriggerRelationId,
	.owner_catalog = RelationRelationId,
	.query = KIND_OF_RELATION("t", "tg") ", "
	"CASE WHEN p.oid IS NULL THEN pg_get_triggerdef(t.oid) END AS definition, "
	"CASE WHEN p.oid IS NOT NULL AND t.tgenabled = 'O' THEN 'enable' ELSE "
	KIND_ENABLED("t.tgenabled") " END AS enabled, "
	"CASE WHEN p.tgenabled = 'O' THEN 'enable' ELSE " KIND_ENABLED("p.tgenabled")
	" END AS " KIND_STANDIN " "
	"FROM " KIND_RELATIONS("'r', 'p', 'v', 'f'")
	"JOIN pg_trigger t ON t.tgrelid = c.oid "
	"LEFT JOIN pg_trigger p ON p.oid = " MIG_TRIGGER_PARENT " "
	"WHERE CASE WHEN p.oid IS NULL THEN NOT t.tgisinternal "
	"ELSE p.tgenabled <> t.tgenabled AND p.tgname = t.tgname END",
	.create = create,
	.alter = change,
	.drop = drop,
	.comment_on = "TRIGGER"
};

const Kind	mig_kinds_rule = {
	.name = "rule",
	.catalog = RewriteRelationId,
	.owner_catalog = RelationRelationId,
	.query = KIND_OF_RELATION("r", "rule") ", "
	"pg_get_ruledef(r.oid) AS definition, " KIND_ENABLED("r.ev_enabled") " AS enabled "
	"FROM " KIND_RELATIONS("'r', 'p', 'v', 'f'")
	"JOIN pg_rewrite r ON r.ev_class = c.oid AND r.ev_type <> '1'",
	.create = create_rule,
	.alter = change_rule,
	.comment_on = "RULE"
};

/*
 * Write CREATE TRIGGER, and when the trigger fires.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	const char *definition = mig_objects_property(object, "definition");

	if (definition != NULL)
		mig_writer_add(writer, object, PHASE_CREATE, "%s", definition);
	write_enabled(object, "TRIGGER", writer);
}

/*
 * Write CREATE RULE, and when the rule is in force.
 */
static void
create_rule(const SchemaObject *object, Writer *writer)
{
	mig_writer_add(writer, object, PHASE_CREATE, "%s", mig_writer_definition(object));
	write_enabled(object, "RULE", writer);
}

/*
 * Write when a trigger or a rule fires, where that is not as usual or altered.
 */
static void
write_enabled(const SchemaObject *object, const char *what, Writer *writer)
{
	const char *enabled = mig_objects_property(object, "enabled");

	if (enabled == NULL && writer->type == ACTION_ALTER)
		enabled = "enable";
	if (enabled != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "ALTER TABLE %s %s %s %s",
					   mig_objects_parent(object), enabled, what,
					   quote_identifier(object->name));
}

/*
 * Write when a trigger fires, if nothing else differs.
 */
static bool
change(const Difference *difference, Writer *writer)
{
	if (mig_writer_has(difference, "definition"))
		return false;
	write_enabled(difference->to, "TRIGGER", writer);
	return true;
}

/*
 * Return what drops a trigger; of a partition's, what gives it the state of its parent's.
 */
static const char *
drop(const SchemaObject *object)
{
	if (mig_objects_property(object, "definition") != NULL)
		return psprintf("DROP %s", mig_writer_target(object));
	return psprintf("ALTER TABLE %s %s TRIGGER %s", mig_objects_parent(object),
					mig_objects_property(object, KIND_STANDIN),
					quote_identifier(object->name));
}

/*
 * Write when a rule is in force, if nothing else differs.
 */
static bool
change_rule(const Difference *difference, Writer *writer)
{
	if (mig_writer_has(difference, "definition"))
		return false;
	write_enabled(difference->to, "RULE", writer);
	return true;
}
