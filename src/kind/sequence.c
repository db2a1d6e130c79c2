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

/* What a sequence begins with, and the values that it can have. */
typedef struct SequenceRange
{
	const char *name;			/* qualified */
	const char *type;			/* NULL: that of an identity column */
	int64		start;
	int64		minimum;
	int64		maximum;
} SequenceRange;

static void create(const SchemaObject *object, Writer *writer);
static bool change(const Difference *difference, Writer *writer);
static void change_options(const SequenceRange *from, const SequenceRange *to,
						   const char *options, Action *action);
static SequenceRange range_of(const SchemaObject *sequence);
static SequenceRange range_of_identity(const SchemaObject *column);
static const char *options_of_identity(const SchemaObject *column, const char **name);
static bool includes(const SequenceRange *range, const SequenceRange *other);
static const char *widest_type(const SequenceRange *from, const SequenceRange *to);
static const char *value_outside(const SequenceRange *from, const SequenceRange *to);
static const char *take_value(const SequenceRange *sequence, const SequenceRange *other);

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
	{
		SequenceRange before = range_of(difference->from);
		SequenceRange after = range_of(to);
		Action	   *action = mig_writer_add(writer, to, PHASE_CREATE, "%s", "");

		change_options(&before, &after,
					   psprintf(" AS %s START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s %sCYCLE",
								after.type, mig_objects_property(to, "start"),
								mig_objects_property(to, "increment"),
								mig_objects_property(to, "minimum"),
								mig_objects_property(to, "maximum"),
								mig_objects_property(to, "cache"),
								mig_objects_property(to, "cycle") ? "" : "NO "), action);
	}
	return true;
}

/*
 * Have an action alter the options of a sequence.  The server refuses that while the value
 * is outside of the new bounds: it moves before, within bounds that hold both.
 */
static void
change_options(const SequenceRange *from, const SequenceRange *to, const char *options,
			   Action *action)
{
	StringInfoData sql;

	initStringInfo(&sql);
	if (!includes(to, from))
	{
		action->hazard =
			"moves the value of the sequence to its start where the new bounds leave it out";
		if (to->start < from->minimum || to->start > from->maximum)
			appendStringInfo(&sql, "ALTER SEQUENCE %s%s MINVALUE " INT64_FORMAT " MAXVALUE "
							 INT64_FORMAT ";\n", to->name, widest_type(from, to),
							 Min(from->minimum, to->minimum), Max(from->maximum, to->maximum));
		appendStringInfo(&sql, "SELECT pg_catalog.setval(%s, " INT64_FORMAT ", false) FROM %s "
						 "WHERE %s;\n", quote_literal_cstr(to->name), to->start, to->name,
						 value_outside(from, to));
	}
	appendStringInfo(&sql, "ALTER SEQUENCE %s%s", to->name, options);
	action->sql = sql.data;
}

/*
 * Return the range of a sequence.
 */
static SequenceRange
range_of(const SchemaObject *sequence)
{
	return (SequenceRange)
	{
		.name = mig_objects_qualified(sequence),
		.type = mig_objects_property(sequence, "type"),
		.start = strtoll(mig_objects_property(sequence, "start"), NULL, 10),
		.minimum = strtoll(mig_objects_property(sequence, "minimum"), NULL, 10),
		.maximum = strtoll(mig_objects_property(sequence, "maximum"), NULL, 10)
	};
}

/*
 * Return the range of the sequence that a column has as an identity.
 */
static SequenceRange
range_of_identity(const SchemaObject *column)
{
	SequenceRange range = {.name = NULL};
	const char *options = options_of_identity(column, &range.name);

	if (sscanf(options, " START WITH " INT64_FORMAT " INCREMENT BY %*s MINVALUE " INT64_FORMAT
			   " MAXVALUE " INT64_FORMAT, &range.start, &range.minimum, &range.maximum) != 3)
		elog(ERROR, "unexpected options of an identity: %s", options);
	return range;
}

/*
 * Divide what the property identity_sequence of a column says in the qualified name of the
 * sequence and its options, which are returned.
 */
static const char *
options_of_identity(const SchemaObject *column, const char **name)
{
	const char *begin = mig_objects_property(column, "identity_sequence") +
		strlen("SEQUENCE NAME ");
	const char *options = NULL;

	/* the last one: a name can have it, too */
	for (const char *at = strstr(begin, " START WITH "); at; at = strstr(at + 1, " START WITH "))
		options = at;
	Assert(options != NULL);
	*name = pnstrdup(begin, options - begin);
	return options;
}

/*
 * Return whether a range has all values of another.
 */
static bool
includes(const SequenceRange *range, const SequenceRange *other)
{
	return other->minimum >= range->minimum && other->maximum <= range->maximum;
}

/*
 * Return what ALTER SEQUENCE says of the type where bounds have to hold the values of two
 * ranges: nothing where the type is wide enough.
 */
static const char *
widest_type(const SequenceRange *from, const SequenceRange *to)
{
	bool		wide = to->type == NULL || strcmp(from->type, to->type) == 0 ||
		strcmp(from->type, "bigint") == 0 || strcmp(to->type, "smallint") == 0;

	return wide ? "" : psprintf(" AS %s", to->type);
}

/*
 * Return the condition that the value of a sequence with one range, which has not all of
 * its values in another, is outside of that.
 */
static const char *
value_outside(const SequenceRange *from, const SequenceRange *to)
{
	StringInfoData condition;

	initStringInfo(&condition);
	if (from->minimum < to->minimum)
		appendStringInfo(&condition, "last_value OPERATOR(pg_catalog.<) '" INT64_FORMAT "'",
						 to->minimum);
	if (from->maximum > to->maximum)
		appendStringInfo(&condition, "%slast_value OPERATOR(pg_catalog.>) '" INT64_FORMAT "'",
						 condition.len > 0 ? " OR " : "", to->maximum);
	return condition.data;
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
 * Return the qualified name of the sequence that a column has as an identity; NULL: it is
 * none.
 */
const char *
mig_sequence_of_identity(const SchemaObject *column)
{
	const char *name = NULL;

	if (mig_objects_property(column, "identity_sequence") != NULL)
		(void) options_of_identity(column, &name);
	return name;
}

/*
 * Write what alters the options of the sequence that a column has as an identity, while it
 * has the qualified name.
 */
void
mig_sequence_change_identity(const Difference *difference, ObjectPhase phase,
							 const char *name, Writer *writer)
{
	SequenceRange before = range_of_identity(difference->from);
	SequenceRange after = range_of_identity(difference->to);
	const char *options = options_of_identity(difference->to, &after.name);
	bool		cycles = strstr(options, " CYCLE") != NULL;

	after.name = name;
	change_options(&before, &after, psprintf("%s%s", options, cycles ? "" : " NO CYCLE"),
				   mig_writer_add(writer, difference->to, phase, "%s", ""));
}

/*
 * Have an action that makes a column an identity give it the value of another sequence,
 * unless that is NULL.  Where that one goes, it has another name from then on.
 */
void
mig_sequence_become_identity(Action *action, const SchemaObject *sequence,
							 const SchemaObject *column, Writer *writer)
{
	SequenceRange identity;
	SequenceRange old;

	if (sequence == NULL)
		return;
	identity = range_of_identity(column);
	old = range_of(sequence);
	if (list_member_ptr(writer->aside, sequence))
	{
		const char *aside = mig_objects_aside_name(sequence);

		action->sql = psprintf("ALTER SEQUENCE %s RENAME TO %s;\n%s", old.name,
							   quote_identifier(aside), action->sql);
		old.name = quote_qualified_identifier(sequence->schema, aside);
	}
	action->sql = psprintf("%s;\n%s", action->sql, take_value(&identity, &old));
}

/*
 * Have an action that creates a sequence give it the value of the one that a column had as
 * an identity, which goes.
 */
void
mig_sequence_replace_identity(Action *action, const SchemaObject *sequence,
							  const SchemaObject *column)
{
	const char *aside = mig_objects_aside_name(sequence);
	SequenceRange made = range_of(sequence);
	SequenceRange identity = range_of_identity(column);
	const char *rename = psprintf("ALTER SEQUENCE %s RENAME TO %s", identity.name,
								  quote_identifier(aside));

	identity.name = quote_qualified_identifier(sequence->schema, aside);
	action->sql = psprintf("%s;\n%s;\n%s", rename, action->sql, take_value(&made, &identity));
}

/*
 * Have an action that drops the identity of a column give its value to a sequence that is
 * there already and takes its place, unless that has gone further.
 */
void
mig_sequence_follow_identity(Action *action, const SchemaObject *sequence,
							 const SchemaObject *column)
{
	SequenceRange identity = range_of_identity(column);
	SequenceRange follower = range_of(sequence);
	bool		descends = *mig_objects_property(sequence, "increment") == '-';
	const char *outside = includes(&follower, &identity) ? "" :
		psprintf(" AND NOT (%s)", value_outside(&identity, &follower));

	action->sql = psprintf("SELECT pg_catalog.setval(%s, i.last_value, i.is_called) FROM "
						   "(SELECT last_value, is_called FROM %s) i, "
						   "(SELECT last_value AS value FROM %s) s "
						   "WHERE i.last_value OPERATOR(pg_catalog.%s) s.value%s;\n%s",
						   quote_literal_cstr(follower.name), identity.name, follower.name,
						   descends ? "<" : ">", outside, action->sql);
}

/*
 * Return the statement that gives a sequence the value of another, unless its bounds leave
 * that out.
 */
static const char *
take_value(const SequenceRange *sequence, const SequenceRange *other)
{
	return psprintf("SELECT pg_catalog.setval(%s, last_value, is_called) FROM %s%s",
					quote_literal_cstr(sequence->name), other->name,
					includes(sequence, other) ? "" :
					psprintf(" WHERE NOT (%s)", value_outside(other, sequence)));
}
