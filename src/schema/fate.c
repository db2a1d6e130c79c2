/*
 * fate.c
 *		What becomes of each object, given the differences between two schemas.
 *
 * An object that differs is altered in place where its kind can do that, and else
 * dropped and created again.  What uses an object that is dropped has to be dropped
 * before, and created again after, with everything it had: never CASCADE.  Where that
 * would lose rows, it is refused.  Nothing is written here.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "kind/column.h"
#include "kind/kinds.h"
#include "kind/writer.h"
#include "miscadmin.h"
#include "schema/alter.h"
#include "schema/fate.h"

static void begin(Fates *fates);
static bool put_aside(Fates *fates, const SchemaObject *object);
static void decide(Fates *fates, const Difference *difference);
static void check_typed(Fates *fates, const Difference *difference);
static bool is_typed(const SchemaObject *table);
static void check_inherited(Fates *fates, const Difference *difference);
static bool is_in_key(const SchemaObject *object);
static bool can_be_inherited(const SchemaObject *object);
static bool may_inherit(const SchemaObject *object);
static bool stays_heir(const SchemaObject *from, const SchemaObject *to);
static const Difference *without_inherited(const Fates *fates,
										   const Difference *difference);
static ParentNotNull not_null_of(const Difference *difference, const char *before,
								 const char *after);
static const Difference *with_heir(Fates *fates, const Difference *difference);
static void copy_heirs(Fates *fates, const SchemaObject *column, const Difference *cause);
static List *without(List *properties, const char *name);
static bool needs_new_type(const Fates *fates, const Difference *difference);
static void disturb(Fates *fates, const SchemaObject *object);
static void disturb_user(Fates *fates, const SchemaObject *used, const ObjectUser *user);
static bool disturb_column(Fates *fates, const SchemaObject *used, const ObjectUser *user);
static bool is_type(const SchemaObject *object);
static void set_redefault(Fates *fates, const SchemaObject *column, const Difference *cause);
static bool is_rebuilt_by_server(const SchemaObject *object);
static void set_fate(Fates *fates, const SchemaObject *object, Fate fate,
					 const Difference *cause);
static bool is_said(const SchemaObject *object);
static bool is_felt(const SchemaObject *column, const Difference *cause);
static void refuse(Fates *fates, const SchemaObject *object, const Difference *cause);
static bool can_drop(const SchemaObject *object);
static bool is_replaceable(const SchemaObject *object, const SchemaObject *after);
static SchemaObject *root_of(const Fates *fates, SchemaObject *object);
static bool is_detached(const Fates *fates, const SchemaObject *table);

/*
 * Decide what becomes of the objects of a schema that is to become another one, in the
 * current memory context.  The differences are those between both, whose uses have been
 * read; rebuilt are enums (SchemaObject *, as they will be) that have to be made again.
 */
Fates
mig_fate_decide(const Schema *from, const Schema *to, List *differences, List *rebuilt)
{
	Fates		fates = {.from = from, .to = to, .rebuilt = rebuilt};
	bool		found;
	ListCell   *lc;

	begin(&fates);
	foreach(lc, differences)
		decide(&fates, lfirst(lc));
	while (fates.pending != NIL)
	{
		const SchemaObject *object = llast(fates.pending);

		fates.pending = list_truncate(fates.pending, list_length(fates.pending) - 1);
		disturb(&fates, object);
	}
	/* users come after what they use, but for domains and composite types */
	do
	{
		found = false;
		foreach(lc, from->objects)
			found |= put_aside(&fates, lfirst(lc));
	} while (found);
	return fates;
}

/*
 * Have the types that a domain or the attributes of a composite type have be set aside with
 * that, whose values are there until the columns have the new one.  Return whether there
 * were any.
 */
static bool
put_aside(Fates *fates, const SchemaObject *object)
{
	const SchemaObject *type = object->kind == &mig_kinds_column ? object->owner : object;
	bool		found = false;
	ListCell   *lc;

	if ((type->kind != &mig_kinds_composite_type && type->kind != &mig_kinds_domain) ||
		!mig_fate_is_aside(fates, type))
		return false;
	foreach(lc, object->uses)
	{
		const ObjectUse *use = lfirst(lc);
		const SchemaObject *used = use->object;

		if (use->phase != PHASE_CREATE || used->number < 0 || !is_type(used) ||
			fates->of[used->number] != FATE_REPLACE || fates->aside[used->number])
			continue;
		fates->aside[used->number] = true;
		found = true;
	}
	return found;
}

/*
 * Note who uses each object.
 */
static void
begin(Fates *fates)
{
	int			count = list_length(fates->from->objects) + 1;
	ListCell   *lc;

	fates->of = palloc0(sizeof(Fate) * count);
	fates->redefault = palloc0(sizeof(bool) * count);
	fates->retype = palloc0(sizeof(bool) * count);
	fates->copied = palloc0(sizeof(bool) * count);
	fates->aside = palloc0(sizeof(bool) * count);
	fates->alters = palloc0(sizeof(Difference *) * count);
	fates->causes = palloc0(sizeof(Difference *) * count);
	fates->users = palloc0(sizeof(List *) * count);
	foreach(lc, fates->from->objects)
	{
		SchemaObject *object = lfirst(lc);
		ListCell   *used;

		foreach(used, object->uses)
		{
			const ObjectUse *use = lfirst(used);
			ObjectUser *user = palloc(sizeof(ObjectUser));

			if (use->object->number < 0)
				continue;
			user->object = object;
			user->phase = use->phase;
			fates->users[use->object->number] =
				lappend(fates->users[use->object->number], user);
		}
	}
}

/*
 * Decide what becomes of an object that differs.
 */
static void
decide(Fates *fates, const Difference *difference)
{
	Writer		trial = {.type = ACTION_ALTER};

	check_typed(fates, difference);
	if (difference->from == NULL)
	{
		check_inherited(fates, difference);
		return;
	}
	if (difference->to != NULL && is_in_key(difference->from) &&
		(mig_writer_has(difference, "type") || mig_writer_has(difference, "collation")))
		refuse(fates, difference->from, difference);
	if (difference->to != NULL)
		difference = without_inherited(fates, difference);
	if (difference->to != NULL && difference->to->kind == &mig_kinds_column &&
		mig_writer_has(difference, "inherited"))
	{
		difference = with_heir(fates, difference);
		if (difference->properties == NIL)
			return;
	}
	if (difference->to == NULL)
		set_fate(fates, difference->from, FATE_DROP, difference);
	else if (needs_new_type(fates, difference))
		set_fate(fates, difference->from->owner, FATE_REPLACE, difference);
	else if (!list_member_ptr(fates->rebuilt, difference->to) &&
			 mig_alter_write(difference, &trial))
	{
		fates->alters[difference->from->number] = difference;
		set_fate(fates, difference->from, FATE_ALTER, difference);
	}
	else
		set_fate(fates, difference->from, FATE_REPLACE, difference);
}

/*
 * Refuse to change an attribute of a type that there are tables of.
 */
static void
check_typed(Fates *fates, const Difference *difference)
{
	const SchemaObject *attribute = difference->to ? difference->to : difference->from;
	const SchemaObject *type;
	ListCell   *lc;

	if (attribute->kind != &mig_kinds_column ||
		attribute->owner->kind != &mig_kinds_composite_type)
		return;
	if (difference->from != NULL && difference->to != NULL &&
		!mig_writer_has(difference, "type") && !mig_writer_has(difference, "collation"))
		return;
	type = mig_objects_find(fates->from, attribute->owner);
	foreach(lc, type != NULL ? fates->users[type->number] : NIL)
	{
		const SchemaObject *table = ((const ObjectUser *) lfirst(lc))->object;

		if (table->kind == &mig_kinds_table && is_typed(table) &&
			is_typed(mig_objects_find(fates->to, table)))
			refuse(fates, table, difference);
	}
}

/*
 * Return whether a table, which may be NULL, is one of a composite type.
 */
static bool
is_typed(const SchemaObject *table)
{
	return table != NULL && mig_objects_property(table, "of_type") != NULL;
}

/*
 * Refuse to have a column that is new come from a parent that its table has not had: the
 * table would need one of its own to inherit.
 */
static void
check_inherited(Fates *fates, const Difference *difference)
{
	const SchemaObject *column = difference->to;
	const SchemaObject *table;

	if (column->kind != &mig_kinds_column || column->owner->kind != &mig_kinds_table ||
		mig_objects_property(column, "inherited") == NULL)
		return;
	table = mig_objects_find(fates->from, column->owner);
	if (table != NULL && !stays_heir(table, column->owner))
		refuse(fates, table, difference);
}

/*
 * Return whether an object is a column in a partition key, whose type the server does not
 * change.
 */
static bool
is_in_key(const SchemaObject *object)
{
	return object->kind == &mig_kinds_column &&
		mig_objects_property(object, KIND_PARTITION_KEY) != NULL;
}

/*
 * Return the column or constraint that one of a partition or an heir has from its parent,
 * which it has before and after; NULL: none.  It is made, altered and dropped with the
 * parent's.
 */
const SchemaObject *
mig_fate_inherited(const Fates *fates, const SchemaObject *object, const Schema *schema)
{
	const SchemaObject *table = object->owner;
	ListCell   *lc;

	if (!can_be_inherited(object) ||
		!stays_heir(mig_objects_find(fates->from, table),
					mig_objects_find(fates->to, table)))
		return NULL;
	foreach(lc, table->uses)
	{
		const SchemaObject *parent = ((const ObjectUse *) lfirst(lc))->object;
		SchemaObject like = *object;

		if (parent->kind != &mig_kinds_table)
			continue;
		like.schema = parent->schema;
		like.parent = parent->name;
		if (mig_objects_find(schema, &like) != NULL)
			return mig_objects_find(schema, &like);
	}
	return NULL;
}

/*
 * Return whether an object is a column of a table, or a check that its table has from
 * another.
 */
static bool
can_be_inherited(const SchemaObject *object)
{
	if (object->owner == NULL || !may_inherit(object->owner))
		return false;
	return object->kind == &mig_kinds_column ||
		(object->kind == &mig_kinds_constraint &&
		 mig_objects_property(object, "inherited") != NULL);
}

/*
 * Return whether an object is of a kind that can inherit.
 */
static bool
may_inherit(const SchemaObject *object)
{
	return object->kind == &mig_kinds_table || object->kind == &mig_kinds_foreign_table;
}

/*
 * Return whether a table, which may be NULL before or after, is a partition or inherits all
 * the time: one that gets other parents or another bound has none in between.
 */
static bool
stays_heir(const SchemaObject *from, const SchemaObject *to)
{
	static const char *const properties[] = {"partition_of", "partition_bound", "inherits"};
	bool		is_heir = false;

	if (from == NULL || to == NULL)
		return false;
	for (size_t i = 0; i < lengthof(properties); i++)
	{
		const char *before = mig_objects_property(from, properties[i]);
		const char *after = mig_objects_property(to, properties[i]);

		if (strcmp(before ? before : "", after ? after : "") != 0)
			return false;
		is_heir |= before != NULL;
	}
	return is_heir;
}

/*
 * Return a difference without the properties that are altered with those of a parent.
 */
static const Difference *
without_inherited(const Fates *fates, const Difference *difference)
{
	const SchemaObject *from = mig_fate_inherited(fates, difference->from, fates->from);
	const SchemaObject *to = mig_fate_inherited(fates, difference->to, fates->to);
	Difference *own;
	ListCell   *lc;

	if (from == NULL || to == NULL)
		return difference;
	own = palloc(sizeof(Difference));
	*own = *difference;
	own->properties = NIL;
	foreach(lc, difference->properties)
	{
		ObjectProperty *property = lfirst(lc);
		const char *before = mig_objects_property(from, property->name);
		const char *after = mig_objects_property(to, property->name);
		bool		recurses = strcmp(property->name, "type") == 0 ||
			strcmp(property->name, "collation") == 0 ||
			strcmp(property->name, "not_null") == 0 ||
			strcmp(property->name, "generated") == 0 ||
			difference->to->kind == &mig_kinds_constraint;

		if (strcmp(property->name, "not_null") == 0)
		{
			own->parent_not_null = not_null_of(difference, before, after);
			recurses = own->parent_not_null == PARENT_KEEPS_NOT_NULL;
		}
		if (!recurses || strcmp(before ? before : "", after ? after : "") == 0)
			own->properties = lappend(own->properties, property);
	}
	return own;
}

/*
 * Return what becomes of the NOT NULL of a column, which differs, with that of its parent,
 * which is given.  Since 18, one that a column has itself is another constraint than the
 * parent's, which the server drops with that of the parent.
 */
static ParentNotNull
not_null_of(const Difference *difference, const char *before, const char *after)
{
	if (mig_objects_property(difference->from, "not_null") == NULL ||
		mig_objects_property(difference->to, "not_null") == NULL)
		return PARENT_KEEPS_NOT_NULL;
	if (before == NULL && after != NULL &&
		mig_objects_property(difference->to, "own_not_null") == NULL)
		return PARENT_GETS_NOT_NULL;
	if (before != NULL && after == NULL &&
		mig_objects_property(difference->from, "own_not_null") == NULL)
		return PARENT_LOSES_NOT_NULL;
	return PARENT_KEEPS_NOT_NULL;
}

/*
 * Return a difference in whether a column is inherited: without that, where it stays when
 * the parent's is dropped, or the table no longer inherits.  Where it is to be that of a
 * new one of the parent, note that its values are copied.
 */
static const Difference *
with_heir(Fates *fates, const Difference *difference)
{
	const SchemaObject *from = mig_fate_inherited(fates, difference->from, fates->from);
	const SchemaObject *to = mig_fate_inherited(fates, difference->to, fates->to);
	Difference *own;

	if (mig_objects_property(difference->to, "inherited") != NULL)
	{
		fates->copied[difference->from->number] = from == NULL && to != NULL;
		if (from == NULL && to != NULL)
			copy_heirs(fates, difference->from, difference);
		return difference;
	}
	if (stays_heir(difference->from->owner, difference->to->owner) &&
		(from == NULL || to != NULL || !mig_fate_is_left_to_heirs(fates, from)))
		return difference;
	own = palloc(sizeof(Difference));
	*own = *difference;
	own->properties = without(difference->properties, "inherited");
	return own;
}

/*
 * Note that the columns which tables have from one that is copied are, too: with all that
 * uses them.
 */
static void
copy_heirs(Fates *fates, const SchemaObject *column, const Difference *cause)
{
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, fates->from->objects)
	{
		const SchemaObject *heir = lfirst(lc);

		if (heir->kind != &mig_kinds_column || fates->copied[heir->number] ||
			mig_fate_inherited(fates, heir, fates->from) != column)
			continue;
		fates->copied[heir->number] = true;
		set_fate(fates, heir, FATE_REPLACE, cause);
		copy_heirs(fates, heir, cause);
	}
}

/*
 * Return whether a column of a table goes, and all that inherit it keep it as their own.
 */
bool
mig_fate_is_left_to_heirs(const Fates *fates, const SchemaObject *column)
{
	bool		has_heir = false;
	ListCell   *lc;

	if (column->kind != &mig_kinds_column || column->owner->kind != &mig_kinds_table ||
		mig_objects_find(fates->to, column) != NULL)
		return false;
	foreach(lc, fates->users[column->owner->number])
	{
		const SchemaObject *heir = ((const ObjectUser *) lfirst(lc))->object;
		SchemaObject like = *column;

		if (!may_inherit(heir) || mig_objects_property(heir, "inherits") == NULL)
			continue;
		like.schema = heir->schema;
		like.parent = heir->name;
		if (mig_objects_find(fates->to, &like) == NULL ||
			mig_objects_property(mig_objects_find(fates->to, &like), "inherited") != NULL)
			return false;
		has_heir = true;
	}
	return has_heir;
}

/*
 * Return properties (ObjectProperty *) without one.
 */
static List *
without(List *properties, const char *name)
{
	List	   *rest = NIL;
	ListCell   *lc;

	foreach(lc, properties)
		if (strcmp(((const ObjectProperty *) lfirst(lc))->name, name) != 0)
			rest = lappend(rest, lfirst(lc));
	return rest;
}

/*
 * Return whether a difference is one in the type of an attribute that cannot be altered,
 * because columns have the composite type.
 */
static bool
needs_new_type(const Fates *fates, const Difference *difference)
{
	const SchemaObject *type = difference->from->owner;
	ListCell   *lc;

	if (difference->from->kind != &mig_kinds_column ||
		type->kind != &mig_kinds_composite_type ||
		!(mig_writer_has(difference, "type") || mig_writer_has(difference, "collation")))
		return false;
	foreach(lc, fates->users[type->number])
	{
		const SchemaObject *user = ((const ObjectUser *) lfirst(lc))->object;

		if (user->kind == &mig_kinds_column || user->kind == &mig_kinds_domain)
			return true;
	}
	return false;
}

/*
 * Have what uses an object that goes, or is altered, go or be altered, too.
 */
static void
disturb(Fates *fates, const SchemaObject *object)
{
	ListCell   *lc;

	if (mig_fate_is_gone(fates, object))
		foreach(lc, object->children)
		{
			set_fate(fates, lfirst(lc), fates->of[object->number],
					 fates->causes[object->number]);
			/* what was said of it could go before, without a user of it */
			if (is_said(lfirst(lc)))
				fates->pending = lappend(fates->pending, lfirst(lc));
		}
	foreach(lc, fates->users[object->number])
		disturb_user(fates, object, lfirst(lc));
}

/*
 * Have a user of an object go or be altered.
 */
static void
disturb_user(Fates *fates, const SchemaObject *used, const ObjectUser *user)
{
	SchemaObject *object = user->object;
	Fate		fate = fates->of[used->number];

	if (mig_fate_is_gone(fates, object) || user->phase == PHASE_STATE)
		return;
	if (fate == FATE_ALTER && is_rebuilt_by_server(object))
		return;
	if (fate == FATE_REPLACE && !mig_column_can_convert(used, mig_objects_find(fates->to, used),
														object))
	{
		refuse(fates, object, fates->causes[used->number]);
		return;
	}
	/* what differs does not use it any more */
	if ((fate == FATE_DROP || user->phase == PHASE_ATTACH) &&
		fates->of[object->number] == FATE_ALTER)
		return;
	if (object->kind == &mig_kinds_column && disturb_column(fates, used, user))
		return;
	set_fate(fates, object, FATE_REPLACE, fates->causes[used->number]);
}

/*
 * Have a column that uses an object be altered, if that is enough.
 */
static bool
disturb_column(Fates *fates, const SchemaObject *used, const ObjectUser *user)
{
	SchemaObject *column = user->object;

	if (user->phase == PHASE_DEFAULT)
	{
		if (mig_fate_is_gone(fates, used))
			set_redefault(fates, column, fates->causes[used->number]);
		return true;
	}
	if (column->owner->kind == &mig_kinds_composite_type)
	{
		set_fate(fates, column->owner, FATE_REPLACE, fates->causes[used->number]);
		return true;
	}
	if (fates->of[used->number] == FATE_DROP)
		return false;
	if (!is_type(used) || mig_objects_property(column, "generated") != NULL)
		return false;
	if (is_in_key(column))
		refuse(fates, column, fates->causes[used->number]);
	fates->aside[used->number] = true;
	fates->retype[column->number] = true;
	set_fate(fates, column, FATE_ALTER, fates->causes[used->number]);
	return true;
}

/*
 * Return whether an object is a type that can be renamed.
 */
static bool
is_type(const SchemaObject *object)
{
	return object->address.classId == TypeRelationId ||
		object->kind == &mig_kinds_composite_type;
}

/*
 * Have the default of a column be taken away, and set again.
 */
static void
set_redefault(Fates *fates, const SchemaObject *column, const Difference *cause)
{
	fates->redefault[column->number] = true;
	if (fates->causes[column->number] == NULL)
		fates->causes[column->number] = cause;
}

/*
 * Return whether the server itself makes an object again when a column that it uses is
 * altered.
 */
static bool
is_rebuilt_by_server(const SchemaObject *object)
{
	return object->kind == &mig_kinds_index || object->kind == &mig_kinds_constraint ||
		object->kind == &mig_kinds_statistics || object->kind == &mig_kinds_table ||
		object->kind == &mig_kinds_sequence;
}

/*
 * Set what becomes of an object, if that is more than what was to become of it.
 */
static void
set_fate(Fates *fates, const SchemaObject *object, Fate fate, const Difference *cause)
{
	Fate	   *now = &fates->of[object->number];

	if (fate == FATE_REPLACE && mig_objects_find(fates->to, object) == NULL)
		fate = FATE_DROP;
	if (fate <= *now)
		return;
	if (fate >= FATE_REPLACE &&
		(object->owner == NULL || !mig_fate_is_gone(fates, object->owner)) &&
		!fates->copied[object->number] &&
		!(can_drop(object) &&
		  (fate == FATE_DROP || is_replaceable(object, mig_objects_find(fates->to, object)))))
	{
		refuse(fates, object, cause);
		return;
	}
	*now = fate;
	if (fates->causes[object->number] == NULL)
		fates->causes[object->number] = cause;
	if (is_said(object) && !mig_fate_is_gone(fates, object->owner))
		return;
	if (fate != FATE_ALTER || (object->kind == &mig_kinds_column && is_felt(object, cause)))
		fates->pending = lappend(fates->pending, unconstify(SchemaObject *, object));
}

/*
 * Return whether an object is no more than what is said of something that another makes: a
 * column of a view, the trigger that a partition has from its parent.
 */
static bool
is_said(const SchemaObject *object)
{
	if (object->kind == &mig_kinds_trigger)
		return mig_objects_property(object, "definition") == NULL;
	return object->kind == &mig_kinds_column &&
		(object->owner->kind == &mig_kinds_view ||
		 object->owner->kind == &mig_kinds_materialized_view);
}

/*
 * Return whether the server lets nobody use a column that is altered for a reason: because
 * of another object, or in one of these properties.
 */
static bool
is_felt(const SchemaObject *column, const Difference *cause)
{
	static const char *const felt[] = {"type", "collation", "generated", "inherited"};

	if (cause->from != column)
		return true;
	for (size_t i = 0; i < lengthof(felt); i++)
		if (mig_writer_has(cause, felt[i]))
			return true;
	return false;
}

/*
 * Note that an object cannot be dropped and created again.
 */
static void
refuse(Fates *fates, const SchemaObject *object, const Difference *cause)
{
	Refusal    *refusal = palloc(sizeof(Refusal));

	refusal->cause = cause;
	refusal->object = object;
	fates->refusals = lappend(fates->refusals, refusal);
}

/*
 * Return whether migrate can write what drops an object.
 */
static bool
can_drop(const SchemaObject *object)
{
	return object->kind->drop != NULL || object->kind->comment_on != NULL;
}

/*
 * Return whether an object can be dropped and created again without the loss of rows.
 */
static bool
is_replaceable(const SchemaObject *object, const SchemaObject *after)
{
	return object->kind != &mig_kinds_table && object->kind != &mig_kinds_schema &&
		object->kind != &mig_kinds_extension && object->kind->create != NULL &&
		(object->kind != &mig_kinds_column ||
		 mig_objects_property(object, "generated") != NULL ||
		 mig_objects_property(after, "generated") != NULL);
}

/*
 * Return of each object of the schema before the one with which it is dropped; a column
 * whose default is taken away counts as such.
 */
SchemaObject **
mig_fate_roots(const Fates *fates)
{
	SchemaObject **roots =
		palloc0(sizeof(SchemaObject *) * (list_length(fates->from->objects) + 1));
	ListCell   *lc;

	foreach(lc, fates->from->objects)
	{
		SchemaObject *object = lfirst(lc);

		if (fates->copied[object->number] && !mig_fate_is_gone(fates, object->owner))
			continue;
		if (mig_fate_is_gone(fates, object))
			roots[object->number] = root_of(fates, object);
		else if (fates->redefault[object->number])
			roots[object->number] = object;
	}
	return roots;
}

/*
 * Return the object that drops another when it is dropped, or that itself.
 */
static SchemaObject *
root_of(const Fates *fates, SchemaObject *object)
{
	const SchemaObject *parent = mig_fate_inherited(fates, object, fates->from);
	ListCell   *lc;

	if (object->owner != NULL && mig_fate_is_gone(fates, object->owner))
		return root_of(fates, object->owner);
	if (parent != NULL && mig_fate_is_gone(fates, parent))
		return root_of(fates, unconstify(SchemaObject *, parent));
	if (object->kind == &mig_kinds_table)
		return object;
	foreach(lc, object->uses)
	{
		const ObjectUse *use = lfirst(lc);

		if ((use->phase == PHASE_STATE ||
			 (use->phase == PHASE_ATTACH && !is_detached(fates, object->owner))) &&
			use->object->number >= 0 && mig_fate_is_gone(fates, use->object))
			return root_of(fates, use->object);
	}
	return object;
}

/*
 * Return whether a table, which may be NULL, is no longer the partition that it was.
 */
static bool
is_detached(const Fates *fates, const SchemaObject *table)
{
	return table != NULL && fates->alters[table->number] != NULL &&
		(mig_writer_has(fates->alters[table->number], "partition_of") ||
		 mig_writer_has(fates->alters[table->number], "partition_bound"));
}

/*
 * Return whether an object is dropped, to be created again or not.
 */
bool
mig_fate_is_gone(const Fates *fates, const SchemaObject *object)
{
	return fates->of[object->number] >= FATE_REPLACE;
}

/*
 * Return whether a type is made again while columns have it.
 */
bool
mig_fate_is_aside(const Fates *fates, const SchemaObject *object)
{
	return fates->aside[object->number] && fates->of[object->number] == FATE_REPLACE;
}
