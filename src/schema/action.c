/*
 * action.c
 *		From differences to actions.
 *
 * An object that differs is altered in place where its kind can do that, and else
 * dropped and created again.  What uses an object that is dropped has to be dropped
 * before, and created again after, with everything it had: never CASCADE.  Where that
 * would lose rows, the plan refuses.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "kind/column.h"
#include "kind/grants.h"
#include "kind/kinds.h"
#include "kind/writer.h"
#include "lib/stringinfo.h"
#include "schema/action.h"
#include "schema/order.h"
#include "utils/builtins.h"

/* What becomes of an object of the schema before. */
typedef enum Fate
{
	FATE_KEEP,
	FATE_ALTER,
	FATE_REPLACE,
	FATE_DROP
} Fate;

/* An object that uses another. */
typedef struct User
{
	SchemaObject *object;
	ObjectPhase phase;			/* of the user */
} User;

/* The plan. */
typedef struct ChangePlan
{
	const Schema *from;
	const Schema *to;
	Fate	   *fates;			/* of each object of from */
	bool	   *redefault;		/* of each: its default is taken away meanwhile */
	bool	   *retype;			/* of each: a column whose type is made again */
	bool	   *aside;			/* of each: a type that has another name meanwhile, until
								 * the columns of it have the new one */
	const Difference **alters;	/* of each, where it is altered */
	const Difference **causes;	/* of each, why it does not stay as it is */
	List	   *refusals;		/* Refusal * */
	List	  **users;			/* User * of each */
	List	   *pending;		/* SchemaObject *, of from, whose users are not looked at */
	bool	   *is_written;		/* of each object of to */
	List	   *rebuilt;		/* SchemaObject *: enums to be made again */
	Writer		writer;
} ChangePlan;

static bool has_functions(List *actions);
static void begin(ChangePlan *plan);
static List *find_touched(const ChangePlan *plan);
static void touch_uses(const ChangePlan *plan, const SchemaObject *object, bool *is_in,
					   List **touched);
static void touch(const ChangePlan *plan, SchemaObject *object, bool *is_in, List **touched);
static void add_touched(const ChangePlan *plan, SchemaObject *object, bool *is_in,
						List **touched);
static List *find_used_values(const ChangePlan *plan);
static bool is_value_used(const ChangePlan *plan, const Action *add, const char *label);
static void decide_all(ChangePlan *plan, List *differences);
static void decide(ChangePlan *plan, const Difference *difference);
static const SchemaObject *parent_column(const ChangePlan *plan, const SchemaObject *column,
										 const Schema *schema);
static bool is_heir(const SchemaObject *table);
static const Difference *without_inherited(const ChangePlan *plan,
										   const Difference *difference);
static bool alter(const Difference *difference, Writer *writer);
static bool is_common(const char *property);
static void disturb(ChangePlan *plan, const SchemaObject *object);
static bool disturb_column(ChangePlan *plan, const SchemaObject *used, const User *user);
static void disturb_user(ChangePlan *plan, const SchemaObject *used, const User *user);
static void set_redefault(ChangePlan *plan, const SchemaObject *column,
						  const Difference *cause);
static bool is_rebuilt_by_server(const SchemaObject *object);
static void set_fate(ChangePlan *plan, const SchemaObject *object, Fate fate,
					 const Difference *cause);
static void refuse(ChangePlan *plan, const SchemaObject *object, const Difference *cause);
static bool can_drop(const SchemaObject *object);
static bool is_replaceable(const SchemaObject *object, const SchemaObject *after);
static SchemaObject **find_roots(const ChangePlan *plan);
static SchemaObject *root_of(const ChangePlan *plan, SchemaObject *object);
static bool is_detached(const ChangePlan *plan, const SchemaObject *table);
static bool is_gone(const ChangePlan *plan, const SchemaObject *object);
static bool is_aside(const ChangePlan *plan, const SchemaObject *object);
static void write_drops(ChangePlan *plan, SchemaObject **roots, List *differences);
static void add_rename_hazard(const ChangePlan *plan, Action *drop, List *differences);
static bool may_be_renamed(const SchemaObject *from, const SchemaObject *to);
static void drop_aside(ChangePlan *plan, SchemaObject *type);
static const char *aside_name(const SchemaObject *type);
static void write_creates(ChangePlan *plan, List *differences);
static void write_object(ChangePlan *plan, SchemaObject *object, bool replaced);
static void add_hazard(const ChangePlan *plan, const SchemaObject *object, Action *action);
static void write_alters(ChangePlan *plan);
static void write_type(ChangePlan *plan, const SchemaObject *object);
static void write_default(ChangePlan *plan, const SchemaObject *object);

/*
 * Return what turns one schema into another, in the current memory context.  The
 * differences are those between both, whose uses have been read.
 */
ActionPlan
mig_action_plan(const Schema *from, const Schema *to, List *differences)
{
	ChangePlan	plan;
	OrderedChange change = {.from = from, .to = to};
	List	   *rebuilt = NIL;
	ActionPlan	result;
	int			known;

	do
	{
		known = list_length(rebuilt);
		plan = (ChangePlan) {
			.from = from, .to = to, .rebuilt = rebuilt, .writer.with_rows = true
		};
		begin(&plan);
		decide_all(&plan, differences);
		change.roots = find_roots(&plan);
		write_drops(&plan, change.roots, differences);
		write_creates(&plan, differences);
		write_alters(&plan);
		rebuilt = find_used_values(&plan);
	} while (list_length(rebuilt) > known);
	result.actions = mig_order_actions(&plan.writer, &change, &result.circle);
	result.refusals = plan.refusals;
	result.touched = find_touched(&plan);
	return result;
}

/*
 * Return the objects of the schema before that change, or that new ones use, with all of
 * their tables and what uses any of that.
 */
static List *
find_touched(const ChangePlan *plan)
{
	bool	   *is_in = palloc0(sizeof(bool) * (list_length(plan->from->objects) + 1));
	List	   *touched = NIL;
	ListCell   *lc;

	foreach(lc, plan->from->objects)
	{
		SchemaObject *object = lfirst(lc);

		if (plan->fates[object->number] != FATE_KEEP || plan->redefault[object->number])
			touch(plan, object, is_in, &touched);
		if (plan->alters[object->number] != NULL)
			touch_uses(plan, plan->alters[object->number]->to, is_in, &touched);
	}
	foreach(lc, plan->to->objects)
	{
		const SchemaObject *object = lfirst(lc);

		if (!plan->is_written[object->number])
			continue;
		if (object->owner != NULL)
			touch(plan, mig_objects_find(plan->from, object->owner), is_in, &touched);
		touch_uses(plan, object, is_in, &touched);
	}
	return touched;
}

/*
 * Add what an object, as it will be, uses and is there before.
 */
static void
touch_uses(const ChangePlan *plan, const SchemaObject *object, bool *is_in, List **touched)
{
	ListCell   *lc;

	foreach(lc, object->uses)
		touch(plan, mig_objects_find(plan->from, ((ObjectUse *) lfirst(lc))->object), is_in,
			  touched);
}

/*
 * Add an object, unless it is NULL, with what it belongs to and all that belongs to that,
 * and the users of all, to a list.
 */
static void
touch(const ChangePlan *plan, SchemaObject *object, bool *is_in, List **touched)
{
	ListCell   *lc;

	if (object == NULL)
		return;
	if (object->owner != NULL)
		object = object->owner;
	add_touched(plan, object, is_in, touched);
	foreach(lc, object->children)
		add_touched(plan, lfirst(lc), is_in, touched);
}

/*
 * Add an object and its users to a list.
 */
static void
add_touched(const ChangePlan *plan, SchemaObject *object, bool *is_in, List **touched)
{
	ListCell   *lc;

	if (object->number < 0 || is_in[object->number])
		return;
	is_in[object->number] = true;
	*touched = lappend(*touched, object);
	foreach(lc, plan->users[object->number])
		*touched = list_append_unique_ptr(*touched, ((const User *) lfirst(lc))->object);
}

/*
 * Return the enums (SchemaObject *, as they will be) that have to be made again: a value
 * that is added cannot be used in the same transaction.
 */
static List *
find_used_values(const ChangePlan *plan)
{
	List	   *rebuilt = plan->rebuilt;
	ListCell   *lc;

	foreach(lc, plan->writer.actions)
	{
		const Action *action = lfirst(lc);
		const char *added = strstr(action->sql, " ADD VALUE ");

		if (action->type == ACTION_ALTER && action->object->kind == &mig_kinds_enum &&
			added != NULL && is_value_used(plan, action, added + strlen(" ADD VALUE ")))
			rebuilt = list_append_unique_ptr(rebuilt,
											 unconstify(SchemaObject *, action->object));
	}
	return rebuilt;
}

/*
 * Return whether another action has a value of an enum, whose quoted label is the
 * beginning of a text.
 */
static bool
is_value_used(const ChangePlan *plan, const Action *add, const char *label)
{
	const char *end = label + 1;
	const char *value;
	ListCell   *lc;

	while (*end != '\'' || end[1] == '\'')
		end += *end == '\'' ? 2 : 1;
	value = psprintf("%.*s::%s", (int) (end + 1 - label), label,
					 mig_objects_qualified(add->object));
	foreach(lc, plan->writer.actions)
		if (strstr(((const Action *) lfirst(lc))->sql, value) != NULL)
			return true;
	return false;
}

/*
 * Return actions (Action *) as a script.
 */
char *
mig_action_script(List *actions)
{
	StringInfoData script;
	ListCell   *lc;

	initStringInfo(&script);
	if (has_functions(actions))
		appendStringInfoString(&script, "SET LOCAL check_function_bodies = off;\n");
	foreach(lc, actions)
	{
		const Action *action = lfirst(lc);

		if (action->hazard != NULL)
			appendStringInfo(&script, "-- %s\n", action->hazard);
		appendStringInfo(&script, "%s;\n", action->sql);
	}
	return script.data;
}

/*
 * Return whether some actions (Action *) make functions, whose bodies may name what comes
 * later.
 */
static bool
has_functions(List *actions)
{
	ListCell   *lc;

	foreach(lc, actions)
	{
		const Action *action = lfirst(lc);

		if (action->type != ACTION_DROP && (action->object->kind == &mig_kinds_function ||
											action->object->kind == &mig_kinds_procedure))
			return true;
	}
	return false;
}

/*
 * Note who uses each object.
 */
static void
begin(ChangePlan *plan)
{
	int			count = list_length(plan->from->objects) + 1;
	ListCell   *lc;

	plan->fates = palloc0(sizeof(Fate) * count);
	plan->redefault = palloc0(sizeof(bool) * count);
	plan->retype = palloc0(sizeof(bool) * count);
	plan->aside = palloc0(sizeof(bool) * count);
	plan->alters = palloc0(sizeof(Difference *) * count);
	plan->causes = palloc0(sizeof(Difference *) * count);
	plan->users = palloc0(sizeof(List *) * count);
	plan->is_written = palloc0(sizeof(bool) * (list_length(plan->to->objects) + 1));
	foreach(lc, plan->from->objects)
	{
		SchemaObject *object = lfirst(lc);
		ListCell   *used;

		foreach(used, object->uses)
		{
			const ObjectUse *use = lfirst(used);
			User	   *user = palloc(sizeof(User));

			if (use->object->number < 0)
				continue;
			user->object = object;
			user->phase = use->phase;
			plan->users[use->object->number] =
				lappend(plan->users[use->object->number], user);
		}
	}
}

/*
 * Decide what becomes of the objects.
 */
static void
decide_all(ChangePlan *plan, List *differences)
{
	ListCell   *lc;

	foreach(lc, differences)
		decide(plan, lfirst(lc));
	while (plan->pending != NIL)
	{
		const SchemaObject *object = llast(plan->pending);

		plan->pending = list_truncate(plan->pending, list_length(plan->pending) - 1);
		disturb(plan, object);
	}
}

/*
 * Return the column that a column of a partition or an heir has from its parent, which it
 * has before and after; NULL: none.  It is altered with the parent's.
 */
static const SchemaObject *
parent_column(const ChangePlan *plan, const SchemaObject *column, const Schema *schema)
{
	const SchemaObject *table = column->owner;
	ListCell   *lc;

	if (column->kind != &mig_kinds_column || table->kind != &mig_kinds_table ||
		!is_heir(mig_objects_find(plan->from, table)) ||
		!is_heir(mig_objects_find(plan->to, table)))
		return NULL;
	foreach(lc, table->uses)
	{
		const SchemaObject *parent = ((const ObjectUse *) lfirst(lc))->object;
		SchemaObject like = *column;

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
 * Return whether a table, which may be NULL, is a partition or inherits.
 */
static bool
is_heir(const SchemaObject *table)
{
	return table != NULL && (mig_objects_property(table, "partition_of") != NULL ||
							 mig_objects_property(table, "inherits") != NULL);
}

/*
 * Return a difference without the properties that are altered with those of a parent.
 */
static const Difference *
without_inherited(const ChangePlan *plan, const Difference *difference)
{
	const SchemaObject *from = parent_column(plan, difference->from, plan->from);
	const SchemaObject *to = parent_column(plan, difference->to, plan->to);
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
			strcmp(property->name, "generated") == 0;

		if (!recurses || strcmp(before ? before : "", after ? after : "") == 0)
			own->properties = lappend(own->properties, property);
	}
	return own;
}

/*
 * Decide what becomes of an object that differs.
 */
static void
decide(ChangePlan *plan, const Difference *difference)
{
	Writer		trial = {.type = ACTION_ALTER};

	if (difference->from == NULL)
		return;
	if (difference->to != NULL)
		difference = without_inherited(plan, difference);
	if (difference->to == NULL)
		set_fate(plan, difference->from, FATE_DROP, difference);
	else if (!list_member_ptr(plan->rebuilt, difference->to) && alter(difference, &trial))
	{
		plan->alters[difference->from->number] = difference;
		set_fate(plan, difference->from, FATE_ALTER, difference);
	}
	else
		set_fate(plan, difference->from, FATE_REPLACE, difference);
}

/*
 * Write what alters an object in place; return false when that cannot be done.
 */
static bool
alter(const Difference *difference, Writer *writer)
{
	const Kind *kind = difference->to->kind;
	Difference	own = *difference;
	ListCell   *lc;

	own.properties = NIL;
	foreach(lc, difference->properties)
	{
		ObjectProperty *property = lfirst(lc);

		if (!is_common(property->name))
			own.properties = lappend(own.properties, property);
		else if (strcmp(property->name, "comment") == 0)
			mig_writer_comment(writer, difference->to);
		else if (strcmp(property->name, "security_label") == 0)
			return false;
	}
	if (mig_writer_has(difference, "owner") || mig_writer_has(difference, "privileges"))
		mig_grants_change(difference, writer);
	if (own.properties == NIL)
		return true;
	return kind->alter != NULL && kind->alter(&own, writer);
}

/*
 * Return whether a property is one that all kinds have.
 */
static bool
is_common(const char *property)
{
	return strcmp(property, "comment") == 0 || strcmp(property, "security_label") == 0 ||
		strcmp(property, "owner") == 0 || strcmp(property, "privileges") == 0;
}

/*
 * Have what uses an object that goes, or is altered, go or be altered, too.
 */
static void
disturb(ChangePlan *plan, const SchemaObject *object)
{
	ListCell   *lc;

	if (is_gone(plan, object))
		foreach(lc, object->children)
			set_fate(plan, lfirst(lc), plan->fates[object->number],
					 plan->causes[object->number]);
	foreach(lc, plan->users[object->number])
		disturb_user(plan, object, lfirst(lc));
}

/*
 * Have a user of an object go or be altered.
 */
static void
disturb_user(ChangePlan *plan, const SchemaObject *used, const User *user)
{
	SchemaObject *object = user->object;
	Fate		fate = plan->fates[used->number];

	if (is_gone(plan, object) || user->phase == PHASE_STATE)
		return;
	if (fate == FATE_ALTER && is_rebuilt_by_server(object))
		return;
	/* what differs does not use it any more */
	if ((fate == FATE_DROP || user->phase == PHASE_ATTACH) &&
		plan->fates[object->number] == FATE_ALTER)
		return;
	if (object->kind == &mig_kinds_column && disturb_column(plan, used, user))
		return;
	set_fate(plan, object, FATE_REPLACE, plan->causes[used->number]);
}

/*
 * Have a column that uses an object be altered, if that is enough.
 */
static bool
disturb_column(ChangePlan *plan, const SchemaObject *used, const User *user)
{
	SchemaObject *column = user->object;

	if (user->phase == PHASE_DEFAULT)
	{
		if (is_gone(plan, used))
			set_redefault(plan, column, plan->causes[used->number]);
		return true;
	}
	if (column->owner->kind == &mig_kinds_composite_type)
	{
		set_fate(plan, column->owner, FATE_REPLACE, plan->causes[used->number]);
		return true;
	}
	if (plan->fates[used->number] == FATE_DROP)
		return false;
	if (used->address.classId != TypeRelationId &&
		used->kind != &mig_kinds_composite_type)
		return false;
	plan->aside[used->number] = true;
	plan->retype[column->number] = true;
	set_fate(plan, column, FATE_ALTER, plan->causes[used->number]);
	return true;
}

/*
 * Have the default of a column be taken away, and set again.
 */
static void
set_redefault(ChangePlan *plan, const SchemaObject *column, const Difference *cause)
{
	plan->redefault[column->number] = true;
	if (plan->causes[column->number] == NULL)
		plan->causes[column->number] = cause;
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
set_fate(ChangePlan *plan, const SchemaObject *object, Fate fate, const Difference *cause)
{
	Fate	   *now = &plan->fates[object->number];

	if (fate == FATE_REPLACE && mig_objects_find(plan->to, object) == NULL)
		fate = FATE_DROP;
	if (fate <= *now)
		return;
	if (fate >= FATE_REPLACE && (object->owner == NULL || !is_gone(plan, object->owner)) &&
		!(can_drop(object) &&
		  (fate == FATE_DROP || is_replaceable(object, mig_objects_find(plan->to, object)))))
	{
		refuse(plan, object, cause);
		return;
	}
	*now = fate;
	if (plan->causes[object->number] == NULL)
		plan->causes[object->number] = cause;
	if (fate != FATE_ALTER || object->kind == &mig_kinds_column)
		plan->pending = lappend(plan->pending, unconstify(SchemaObject *, object));
}

/*
 * Note that an object cannot be dropped and created again.
 */
static void
refuse(ChangePlan *plan, const SchemaObject *object, const Difference *cause)
{
	Refusal    *refusal = palloc(sizeof(Refusal));

	refusal->cause = cause;
	refusal->object = object;
	plan->refusals = lappend(plan->refusals, refusal);
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
static SchemaObject **
find_roots(const ChangePlan *plan)
{
	SchemaObject **roots =
		palloc0(sizeof(SchemaObject *) * (list_length(plan->from->objects) + 1));
	ListCell   *lc;

	foreach(lc, plan->from->objects)
	{
		SchemaObject *object = lfirst(lc);

		if (is_gone(plan, object))
			roots[object->number] = root_of(plan, object);
		else if (plan->redefault[object->number])
			roots[object->number] = object;
	}
	return roots;
}

/*
 * Return the object that drops another when it is dropped, or that itself.
 */
static SchemaObject *
root_of(const ChangePlan *plan, SchemaObject *object)
{
	const SchemaObject *parent = parent_column(plan, object, plan->from);
	ListCell   *lc;

	if (object->owner != NULL && is_gone(plan, object->owner))
		return root_of(plan, object->owner);
	if (parent != NULL && is_gone(plan, parent))
		return root_of(plan, unconstify(SchemaObject *, parent));
	if (object->kind == &mig_kinds_table)
		return object;
	foreach(lc, object->uses)
	{
		const ObjectUse *use = lfirst(lc);

		if ((use->phase == PHASE_STATE ||
			 (use->phase == PHASE_ATTACH && !is_detached(plan, object->owner))) &&
			use->object->number >= 0 && is_gone(plan, use->object))
			return root_of(plan, use->object);
	}
	return object;
}

/*
 * Return whether a table, which may be NULL, is no longer the partition that it was.
 */
static bool
is_detached(const ChangePlan *plan, const SchemaObject *table)
{
	return table != NULL && plan->alters[table->number] != NULL &&
		mig_writer_has(plan->alters[table->number], "partition_of");
}

/*
 * Return whether an object is dropped, to be created again or not.
 */
static bool
is_gone(const ChangePlan *plan, const SchemaObject *object)
{
	return plan->fates[object->number] >= FATE_REPLACE;
}

/*
 * Return whether a type is made again while columns have it.
 */
static bool
is_aside(const ChangePlan *plan, const SchemaObject *object)
{
	return plan->aside[object->number] && plan->fates[object->number] == FATE_REPLACE;
}

/*
 * Write what drops objects, users first.
 */
static void
write_drops(ChangePlan *plan, SchemaObject **roots, List *differences)
{
	for (int i = list_length(plan->from->objects) - 1; i >= 0; i--)
	{
		if (roots[i] == NULL || roots[i]->number != i)
			continue;
		plan->writer.cause = plan->causes[i];
		if (is_aside(plan, roots[i]))
			drop_aside(plan, roots[i]);
		else if (is_gone(plan, roots[i]))
			add_rename_hazard(plan, mig_writer_drop(&plan->writer, roots[i]), differences);
		else
			mig_column_drop_default(roots[i], &plan->writer);
	}
}

/*
 * Say of what is dropped with its data that it might have another name now.
 */
static void
add_rename_hazard(const ChangePlan *plan, Action *drop, List *differences)
{
	ListCell   *lc;

	if (drop->hazard == NULL || plan->fates[drop->object->number] != FATE_DROP)
		return;
	foreach(lc, differences)
	{
		const Difference *difference = lfirst(lc);

		if (difference->from != NULL || !may_be_renamed(drop->object, difference->to))
			continue;
		drop->hazard = psprintf("%s; if %s is its new name, the model has to say so: "
								"-- migrate:renamed_from %s", drop->hazard,
								difference->to->identity, quote_identifier(drop->object->name));
		return;
	}
}

/*
 * Return whether an object could be another under a new name: a column of the same table
 * and type, or a table with columns of the same names.
 */
static bool
may_be_renamed(const SchemaObject *from, const SchemaObject *to)
{
	ListCell   *lc;
	ListCell   *other;

	if (from->kind != to->kind || strcmp(from->schema, to->schema) != 0)
		return false;
	if (from->kind == &mig_kinds_column)
		return strcmp(from->parent, to->parent) == 0 &&
			strcmp(mig_objects_property(from, "type"), mig_objects_property(to, "type")) == 0;
	if (from->kind != &mig_kinds_table ||
		list_length(from->children) != list_length(to->children))
		return false;
	forboth(lc, from->children, other, to->children)
		if (strcmp(((SchemaObject *) lfirst(lc))->name,
				   ((SchemaObject *) lfirst(other))->name) != 0 &&
			((SchemaObject *) lfirst(lc))->kind == &mig_kinds_column)
			return false;
	return true;
}

/*
 * Write what drops a type that has another name by then.
 */
static void
drop_aside(ChangePlan *plan, SchemaObject *type)
{
	SchemaObject *renamed = mig_objects_renamed(type, aside_name(type));
	Action	   *action = mig_writer_drop(&plan->writer, renamed);

	action->object = type;
	action->aside = true;
}

/*
 * Return the name of a type until the columns of it have the new one.
 */
static const char *
aside_name(const SchemaObject *type)
{
	return makeObjectName(type->name, NULL, "old");
}

/*
 * Write what creates objects.
 */
static void
write_creates(ChangePlan *plan, List *differences)
{
	ListCell   *lc;

	plan->writer.type = ACTION_CREATE;
	foreach(lc, differences)
	{
		const Difference *difference = lfirst(lc);

		plan->writer.cause = difference;
		if (difference->from == NULL)
			write_object(plan, unconstify(SchemaObject *, difference->to), false);
	}
	foreach(lc, plan->from->objects)
	{
		const SchemaObject *object = lfirst(lc);

		plan->writer.cause = plan->causes[object->number];
		if (is_aside(plan, object))
			mig_writer_add(&plan->writer, mig_objects_find(plan->to, object), PHASE_CREATE,
						   "ALTER %s RENAME TO %s", mig_writer_target(object),
						   quote_identifier(aside_name(object)));
		if (plan->fates[object->number] == FATE_REPLACE)
			write_object(plan, mig_objects_find(plan->to, object), true);
	}
}

/*
 * Write what creates an object and what is made together with it; of an object that
 * is made again all that belongs to it.
 */
static void
write_object(ChangePlan *plan, SchemaObject *object, bool replaced)
{
	bool		add = object->kind->part_of_owner && !plan->is_written[object->owner->number];
	const SchemaObject *parent;
	ListCell   *lc;

	if (plan->is_written[object->number])
		return;
	plan->is_written[object->number] = true;
	parent = add ? parent_column(plan, object, plan->to) : NULL;
	if (parent != NULL && mig_objects_find(plan->from, parent) == NULL)
		return;
	if (add && object->kind->add != NULL)
		mig_writer_part(&plan->writer, object);
	else
		add_hazard(plan, object, mig_writer_object(&plan->writer, object));
	mig_grants_write(object, &plan->writer);
	foreach(lc, object->children)
	{
		SchemaObject *child = lfirst(lc);

		if (child->number >= 0 && (replaced || child->kind->part_of_owner))
			write_object(plan, child, replaced);
	}
}

/*
 * Say of the first statement that makes an object, unless it is NULL, what can happen where
 * there are rows and what is lost.
 */
static void
add_hazard(const ChangePlan *plan, const SchemaObject *object, Action *action)
{
	const SchemaObject *before = mig_objects_find(plan->from, object);
	const char *type = object->kind == &mig_kinds_constraint ?
		mig_objects_property(object, "type") : "";

	if (action == NULL || action->hazard != NULL)
		return;
	if (before != NULL && object->owner == NULL)
		action->hazard = "is made again: what was granted on it has to be granted again";
	else if (object->owner == NULL || mig_objects_find(plan->from, object->owner) == NULL)
		return;
	else if (object->kind == &mig_kinds_index)
		action->hazard = "blocks writes while the index is built";
	else if (strcmp(type, "foreign key") == 0 || strcmp(type, "check") == 0)
		action->hazard = "fails on rows that violate it, and scans the table under a lock";
	else if (*type != '\0')
		action->hazard = "fails on duplicate rows, and blocks the table while the index is built";
}

/*
 * Write what alters objects in place.
 */
static void
write_alters(ChangePlan *plan)
{
	ListCell   *lc;

	plan->writer.type = ACTION_ALTER;
	foreach(lc, plan->from->objects)
	{
		const SchemaObject *object = lfirst(lc);

		plan->writer.cause = plan->causes[object->number];
		if (plan->alters[object->number] != NULL && !is_gone(plan, object))
			(void) alter(plan->alters[object->number], &plan->writer);
		if (plan->retype[object->number] && !is_gone(plan, object))
			write_type(plan, object);
		if (plan->redefault[object->number] && !is_gone(plan, object))
			write_default(plan, object);
	}
}

/*
 * Write what gives a column the type that is made again under its name, unless its
 * alteration does that.
 */
static void
write_type(ChangePlan *plan, const SchemaObject *object)
{
	const Difference *difference = plan->alters[object->number];

	if (difference == NULL || !mig_writer_has(difference, "type"))
		mig_column_write_type(mig_objects_find(plan->to, object), &plan->writer);
}

/*
 * Write what sets the default of a column again that was taken away, unless its
 * alteration does that.
 */
static void
write_default(ChangePlan *plan, const SchemaObject *object)
{
	const SchemaObject *after = mig_objects_find(plan->to, object);
	const Difference *difference = plan->alters[object->number];

	if (mig_objects_property(after, "default") != NULL &&
		(difference == NULL || !mig_writer_has(difference, "default")))
		mig_column_write_default(after, &plan->writer);
}
