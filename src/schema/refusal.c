/*
 * refusal.c
 *		What is not generated, and what to write by hand instead.
 */
#include "migrate.h"

#include "kind/kinds.h"
#include "kind/writer.h"
#include "schema/compare.h"
#include "schema/refusal.h"
#include "utils/builtins.h"

static const char *by_hand(const SchemaObject *from, const SchemaObject *to);
static bool changes(const Refusal *refusal, const Kind *kind, const char *property);
static bool is_key_column(const SchemaObject *object);
static const char *hint_for(const Refusal *refusal, bool is_back);
static const char *hint_to_copy(const SchemaObject *table, const char *key);
static const char *hint_to_repartition(const Refusal *refusal);
static const SchemaObject *partitioned_by(const SchemaObject *column);
static const char *hint_to_inherit(const Difference *cause, bool is_back);
static const char *hint_to_convert(const SchemaObject *column, const Difference *cause);

/*
 * Check that migrate can write what differs.  Errors: 0A000.
 */
void
mig_refusal_check_kinds(List *differences)
{
	ListCell   *lc;

	foreach(lc, differences)
	{
		const Difference *difference = lfirst(lc);
		const SchemaObject *object = difference->to ? difference->to : difference->from;

		if (strcmp(mig_compare_action(difference), "unsupported") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot generate a script for %s %s", object->kind->name,
							object->identity),
					 errdetail("migrate compares objects of this kind, but does not write them."),
					 errhint("Write a revision by hand: %s; and back: %s. Or leave it out with the setting \"exclude\".",
							 by_hand(difference->from, difference->to),
							 by_hand(difference->to, difference->from))));
	}
}

/*
 * Return the statement that would turn an object into another; NULL: there is none.
 */
static const char *
by_hand(const SchemaObject *from, const SchemaObject *to)
{
	const SchemaObject *object = to ? to : from;
	const Kind *kind = object->kind;
	/* user mappings have no comments */
	const char *target = kind->comment_on != NULL ? mig_writer_target(object) :
		psprintf("USER MAPPING %s", object->identity);

	if (to == NULL)
		return psprintf("DROP %s", target);
	return psprintf("%s %s%s", from == NULL ? "CREATE" : "ALTER", target,
					from == NULL ? kind->create_by_hand : kind->alter_by_hand);
}

/*
 * Check that no rows would be lost; is_back: the plan is that of a downgrade.  Errors:
 * 0A000.
 */
void
mig_refusal_check(const ActionPlan *plan, bool is_back)
{
	const Refusal *refusal;

	if (plan->circle != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot generate a script whose statements wait for each other"),
				 errdetail("%s", plan->circle),
				 errhint("Write a revision by hand that changes them one after the other.")));
	if (plan->refusals == NIL)
		return;
	refusal = linitial(plan->refusals);
	if (changes(refusal, &mig_kinds_table, "partition_key"))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot generate a script that changes how table %s is partitioned",
						mig_objects_qualified(refusal->object)),
				 errdetail("It would have to be dropped and created again, without its rows."),
				 errhint("%s", hint_for(refusal, is_back))));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot generate a script that changes %s %s",
					refusal->object->kind->name, refusal->object->identity),
			 is_key_column(refusal->object) ?
			 errdetail("The server does not change the type of a column that is part of a partition key.") :
			 is_back ?
			 errdetail("On the way back it would have to be dropped and created again, without its rows.") :
			 errdetail("It would have to be dropped and created again, without its rows."),
			 errhint("%s", hint_for(refusal, is_back))));
}

/*
 * Return whether what is refused is that an object of a kind changes a property itself.
 */
static bool
changes(const Refusal *refusal, const Kind *kind, const char *property)
{
	const Difference *cause = refusal->cause;

	return cause != NULL && cause->from == refusal->object && cause->to != NULL &&
		refusal->object->kind == kind && mig_writer_has(cause, property);
}

/*
 * Return whether an object is a column in a partition key.
 */
static bool
is_key_column(const SchemaObject *object)
{
	return object->kind == &mig_kinds_column &&
		mig_objects_property(object, KIND_PARTITION_KEY) != NULL;
}

/*
 * Return what to do where a change is refused: the statements to write by hand.
 */
static const char *
hint_for(const Refusal *refusal, bool is_back)
{
	const SchemaObject *object = refusal->object;
	const Difference *cause = refusal->cause;
	const char *name = object->identity;

	if (changes(refusal, &mig_kinds_table, "partition_key"))
		return hint_to_copy(object, mig_objects_property(cause->to, "partition_key"));
	if (is_key_column(object))
		return hint_to_repartition(refusal);
	if (changes(refusal, &mig_kinds_column, "inherited") ||
		(cause != NULL && cause->from == NULL && cause->to->kind == &mig_kinds_column &&
		 cause->to->owner->kind == &mig_kinds_table))
		return hint_to_inherit(cause, is_back);
	if (object->kind == &mig_kinds_table && mig_objects_property(object, "of_type") != NULL)
		return psprintf("Write a revision by hand: ALTER TABLE %s NOT OF; ALTER TYPE %s ...; the same of the columns of the table; ALTER TABLE %s OF %s.",
						name, mig_objects_property(object, "of_type"), name,
						mig_objects_property(object, "of_type"));
	if (object->kind == &mig_kinds_column && cause != NULL)
		return hint_to_convert(object, cause);
	if (object->kind == &mig_kinds_extension && cause != NULL && cause->to != NULL)
		return psprintf("Write a revision by hand: ALTER EXTENSION %s SET SCHEMA %s; and back: ALTER EXTENSION %s SET SCHEMA %s.",
						name, quote_identifier(mig_objects_property(cause->to, "in_schema")),
						name, quote_identifier(mig_objects_property(cause->from, "in_schema")));
	if (object->kind == &mig_kinds_table)
		return hint_to_copy(object, mig_objects_property(object, "partition_key"));
	return psprintf("Write a revision by hand: CREATE %s ...; alter what uses %s; DROP %s.",
					mig_writer_target(mig_objects_renamed(object, mig_objects_aside_name(object))),
					name, mig_writer_target(object));
}

/*
 * Return how to make a table again by hand, with its rows; key: how it is partitioned then,
 * NULL: not.
 */
static const char *
hint_to_copy(const SchemaObject *table, const char *key)
{
	const char *name = mig_objects_qualified(table);
	const char *aside = quote_identifier(mig_objects_aside_name(table));
	const char *old = quote_qualified_identifier(table->schema, mig_objects_aside_name(table));
	const char *inherits = mig_objects_property(table, "inherits");

	return psprintf("Write a revision by hand: ALTER TABLE %s RENAME TO %s; CREATE TABLE %s (...)%s%s%s%s%s and its partitions, indexes and constraints; INSERT INTO %s SELECT * FROM %s; DROP TABLE %s.",
					name, aside, name, inherits ? " INHERITS (" : "", inherits ? inherits : "",
					inherits ? ")" : "", key ? " PARTITION BY " : "", key ? key : "", name, old,
					old);
}

/*
 * Return how to change by hand the type of a column in a partition key.  An enum can get
 * values in place.
 */
static const char *
hint_to_repartition(const Refusal *refusal)
{
	const SchemaObject *table = partitioned_by(refusal->object);
	const Difference *cause = refusal->cause;
	const char *hint = hint_to_copy(table, mig_objects_property(table, "partition_key"));

	if (cause == NULL || cause->from == NULL || cause->from->kind != &mig_kinds_enum)
		return hint;
	return psprintf("New values can be added by hand, in a revision of their own: ALTER TYPE %s ADD VALUE .... To take values away, or back, write%s",
					mig_objects_qualified(cause->from), hint + strlen("Write"));
}

/*
 * Return the table at the top of the partitions that one with a column belongs to.
 */
static const SchemaObject *
partitioned_by(const SchemaObject *column)
{
	const SchemaObject *table = column->owner;
	const SchemaObject *parent;

	do
	{
		ListCell   *lc;

		parent = NULL;
		foreach(lc, table->uses)
		{
			const ObjectUse *use = lfirst(lc);

			if (use->phase == PHASE_ATTACH && use->object->kind == &mig_kinds_table)
				parent = use->object;
		}
		if (parent != NULL)
			table = parent;
	} while (parent != NULL);
	return table;
}

/*
 * Return what to do where a column is to be that of a parent only, or no longer is.
 */
static const char *
hint_to_inherit(const Difference *cause, bool is_back)
{
	const SchemaObject *table = cause->to->owner;
	bool		inherited = mig_objects_property(cause->to, "inherited") != NULL;

	if (is_back)
		return hint_to_copy(table, NULL);

	return psprintf("Have the model %s column %s in table %s, %s. Or write%s", inherited ?
					"declare" : "not declare", quote_identifier(cause->to->name),
					mig_objects_qualified(table), inherited ?
					"too, which ALTER TABLE ... INHERIT takes as it is" :
					"which has it from its parent", hint_to_copy(table, NULL) + strlen("Write"));
}

/*
 * Return how to give a column by hand a type that is made again.
 */
static const char *
hint_to_convert(const SchemaObject *column, const Difference *cause)
{
	const SchemaObject *type = cause->from->kind == &mig_kinds_column ? cause->from->owner :
		cause->from;
	const char *aside = mig_objects_aside_name(type);

	return psprintf("Write a revision by hand: ALTER %s RENAME TO %s; CREATE %s ...; ALTER TABLE %s ALTER COLUMN %s TYPE %s USING ...; DROP %s.",
					mig_writer_target(type), quote_identifier(aside), mig_writer_target(type),
					mig_objects_parent(column), quote_identifier(column->name),
					mig_objects_property(column, "type"),
					mig_writer_target(mig_objects_renamed(type, aside)));
}
