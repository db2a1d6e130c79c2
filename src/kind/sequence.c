/*
 * sequence.c
 *		Sequences, besides those of identity columns.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "compat.h"
#include "kind/kind.h"
#include "kind/kinds.h"

static void create(const SchemaObject *object, Writer *writer);
static bool change(const Difference *difference, Writer *writer);

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
