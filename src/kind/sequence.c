/*
 * sequence.c
 *		Sequences, besides those of identity columns.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "compat.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "kind/sequence.h"
#include "utils/builtins.h"

static void create(const SchemaObject *object, Writer *writer);
static bool change(const Difference *difference, Writer *writer);
static const char *take_value(const char *sequence, const char *other);

const Kind	mig_kinds_sequence = {
	.name = "sequence",
	.has_rows = true,
	.catalog = RelationRelationId,
	.query = KIND_OF_SCHEMA("c", "rel") ", "
	"CASE c.relpersistence WHEN 'u' THEN 'true' END AS unlogged, "
	"format_type(s.seqtypid, NULL) AS type, s.seqstart::text AS start, "
	"s.seqincrement::text AS increment, s.seqmin::text AS minimum, s.seqmax::text AS maximum, "
	"s.seqcache::text AS cache, CASE WHEN s.seqcycle THEN 'true' END AS cycle, "
	"(SELECT o.refobjid::regclass || '.' || quote_ident(a.attname) FROM pg_depend o "
	"JOIN pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid "
	"WHERE o.classid = 'pg_class'::regclass AND o.objid = c.oid AND o.deptype = 'a' "
	"AND o.refclassid = 'pg_class'::regclass) AS owned_by "
	"FROM " KIND_RELATIONS("'S'")
	"JOIN pg_sequence s ON s.seqrelid = c.oid "
	"WHERE NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = 'pg_class'::regclass "
	"AND o.objid = c.oid AND o.deptype = 'i')",
	.create = create,
	.alter = change,
	.comment_on = "SEQUENCE"
};

/*
 * Write CREATE SEQUENCE, and whose it is.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	const char *owned_by = mig_objects_property(object, "owned_by");

	mig_writer_add(writer, object, PHASE_CREATE,
				   "CREATE %sSEQUENCE %s AS %s START WITH %s INCREMENT BY %s MINVALUE %s "
				   "MAXVALUE %s CACHE %s%s",
				   mig_objects_property(object, "unlogged") ? "UNLOGGED " : "",
				   mig_objects_qualified(object), mig_objects_property(object, "type"),
				   mig_objects_property(object, "start"),
				   mig_objects_property(object, "increment"),
				   mig_objects_property(object, "minimum"),
				   mig_objects_property(object, "maximum"),
				   mig_objects_property(object, "cache"),
				   mig_objects_property(object, "cycle") ? " CYCLE" : "");
	if (owned_by != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "ALTER SEQUENCE %s OWNED BY %s",
					   mig_objects_qualified(object), owned_by);
}

/*
 * Write what alters a sequence in place, which keeps its value.  Return false when that
 * cannot be done.
 */
static bool
change(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *name = mig_objects_qualified(to);
	const char *owned_by = mig_objects_property(to, "owned_by");
	bool		has_options = false;
	ListCell   *lc;

	foreach(lc, difference->properties)
	{
		const char *property = ((ObjectProperty *) lfirst(lc))->name;

		if (strcmp(property, "unlogged") == 0)
			mig_writer_add(writer, to, PHASE_STATE, "ALTER SEQUENCE %s SET %s", name,
						   mig_objects_property(to, "unlogged") ? "UNLOGGED" : "LOGGED");
		else if (strcmp(property, "owned_by") == 0)
			mig_writer_add(writer, to, owned_by ? PHASE_STATE : PHASE_CREATE,
						   "ALTER SEQUENCE %s OWNED BY %s", name, owned_by ? owned_by : "NONE");
		else
			has_options = true;
	}
	if (has_options)
		mig_writer_add(writer, to, PHASE_CREATE,
					   "ALTER SEQUENCE %s AS %s START WITH %s INCREMENT BY %s MINVALUE %s "
					   "MAXVALUE %s CACHE %s %sCYCLE", name,
					   mig_objects_property(to, "type"), mig_objects_property(to, "start"),
					   mig_objects_property(to, "increment"),
					   mig_objects_property(to, "minimum"),
					   mig_objects_property(to, "maximum"), mig_objects_property(to, "cache"),
					   mig_objects_property(to, "cycle") ? "" : "NO ");
	return true;
}

/*
 * Return the sequence that the default of a column uses; NULL: none.
 */
const SchemaObject *
mig_sequence_of_default(const SchemaObject *column)
{
	ListCell   *lc;

	foreach(lc, column->uses)
	{
		const ObjectUse *use = lfirst(lc);

		if (use->phase == PHASE_DEFAULT && use->object->kind == &mig_kinds_sequence)
			return use->object;
	}
	return NULL;
}

/*
 * Have an action that makes a column an identity, whose sequence has the qualified name,
 * give it the value of another sequence, unless that is NULL.  Where that one goes, it
 * has another name from then on.
 */
void
mig_sequence_become_identity(Action *action, const SchemaObject *sequence,
							 const char *identity, Writer *writer)
{
	const char *old;

	if (sequence == NULL)
		return;
	old = mig_objects_qualified(sequence);
	if (list_member_ptr(writer->aside, sequence))
	{
		const char *aside = mig_objects_aside_name(sequence);

		action->sql = psprintf("ALTER SEQUENCE %s RENAME TO %s;\n%s", old,
							   quote_identifier(aside), action->sql);
		old = quote_qualified_identifier(sequence->schema, aside);
	}
	action->sql = psprintf("%s;\n%s", action->sql, take_value(identity, old));
}

/*
 * Have an action that creates a sequence give it the value of an identity's, which goes and
 * has the qualified name.
 */
void
mig_sequence_replace_identity(Action *action, const SchemaObject *sequence,
							  const char *identity)
{
	const char *aside = mig_objects_aside_name(sequence);

	action->sql = psprintf("ALTER SEQUENCE %s RENAME TO %s;\n%s;\n%s", identity,
						   quote_identifier(aside), action->sql,
						   take_value(mig_objects_qualified(sequence),
									  quote_qualified_identifier(sequence->schema, aside)));
}

/*
 * Have an action that drops an identity give its value to a sequence that is there already
 * and takes its place, unless that has gone further.
 */
void
mig_sequence_follow_identity(Action *action, const SchemaObject *sequence,
							 const char *identity)
{
	const char *name = mig_objects_qualified(sequence);
	bool		descends = *mig_objects_property(sequence, "increment") == '-';

	action->sql = psprintf("SELECT pg_catalog.setval(%s, i.last_value, i.is_called) FROM %s i, "
						   "%s s WHERE i.last_value OPERATOR(pg_catalog.%s) s.last_value;\n%s",
						   quote_literal_cstr(name), identity, name, descends ? "<" : ">",
						   action->sql);
}

/*
 * Return the statement that gives a sequence the value of another.
 */
static const char *
take_value(const char *sequence, const char *other)
{
	return psprintf("SELECT pg_catalog.setval(%s, last_value, is_called) FROM %s",
					quote_literal_cstr(sequence), other);
}
