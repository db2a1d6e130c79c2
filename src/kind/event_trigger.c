/*
 * event_trigger.c
 *		Event triggers.
 *
 * Only a superuser can make them: for other roles, those that are there count as they
 * are.
 */
#include "migrate.h"

#include "catalog/pg_event_trigger.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

static void create(const SchemaObject *object, Writer *writer);
static bool change(const Difference *difference, Writer *writer);
static void write_enabled(const SchemaObject *object, Writer *writer);

const Kind	mig_kinds_event_trigger = {
	.name = "event trigger",
	.catalog = EventTriggerRelationId,
	.of_database = true,
	.query = KIND_OF_DATABASE("e.oid", "e.evtname") ", "
	"e.evtevent::text AS event, e.evtfoid::regproc::text AS function, "
	"(SELECT string_agg(quote_literal(t), ', ' ORDER BY t) FROM unnest(e.evttags) t) AS tags, "
	KIND_ENABLED("e.evtenabled") " AS enabled "
	"FROM pg_event_trigger e WHERE " KIND_NOT_MEMBER("pg_event_trigger", "e.oid")
	" AND (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user)",
	.create = create,
	.alter = change,
	.comment_on = "EVENT TRIGGER"
};

/*
 * Write CREATE EVENT TRIGGER, and when the trigger fires.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE EVENT TRIGGER %s ON %s", quote_identifier(object->name),
					 mig_objects_property(object, "event"));
	mig_writer_clause(&sql, object, " WHEN TAG IN (", "tags", ")");
	mig_writer_clause(&sql, object, " EXECUTE FUNCTION ", "function", "()");
	mig_writer_add(writer, object, PHASE_CREATE, "%s", sql.data);
	write_enabled(object, writer);
}

/*
 * Write when an event trigger fires, if nothing else differs.
 */
static bool
change(const Difference *difference, Writer *writer)
{
	if (!mig_writer_has(difference, "enabled") || list_length(difference->properties) > 1)
		return false;
	write_enabled(difference->to, writer);
	return true;
}

/*
 * Write when an event trigger fires, where that is not as usual or altered.
 */
static void
write_enabled(const SchemaObject *object, Writer *writer)
{
	const char *enabled = mig_objects_property(object, "enabled");

	if (enabled == NULL && writer->type == ACTION_ALTER)
		enabled = "enable";
	if (enabled != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "ALTER EVENT TRIGGER %s %s",
					   quote_identifier(object->name), enabled);
}
