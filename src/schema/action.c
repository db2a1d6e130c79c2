/*
 * action.c
 *		From differences to actions: the statements.
 *
 * What becomes of each object is decided in schema/fate; here it is written.
 */
#include "migrate.h"

#include "kind/column.h"
#include "kind/grants.h"
#include "kind/kept.h"
#include "kind/kinds.h"
#include "kind/sequence.h"
#include "kind/writer.h"
#include "lib/stringinfo.h"
#include "schema/action.h"
#include "schema/alter.h"
#include "schema/order.h"
#include "script/text.h"
#include "utils/builtins.h"

/* The plan. */
typedef struct ChangePlan
{
	Fates		fates;
	bool	   *is_written;		/* of each object of the schema after */
	Writer		writer;
} ChangePlan;

/* What a plan changes, and what the changes need. */
typedef struct Touched
{
	const ChangePlan *plan;
	List	   *objects;		/* SchemaObject *, of the schema before */
	bool	   *is_in;			/* of each of its objects, whether it is among them */
	bool	   *has_users;		/* likewise, with those who use it */
} Touched;

static void write_plan(ChangePlan *plan, OrderedChange *change, List *differences,
					   List *rebuilt);
static List *find_replaced_sequences(const ChangePlan *plan);
static void replace_identity(const ChangePlan *plan, const SchemaObject *sequence,
							 Action *create);
static bool has_rights(const Schema *schema);
static void keep_rights(ChangePlan *plan, ActionPlan *result);
static List *find_kept_sequences(const ChangePlan *plan);
static List *find_kind(const Schema *schema, const Kind *kind);
static List *find_touched(const ChangePlan *plan);
static void touch_uses(Touched *touched, const SchemaObject *object);
static void touch(Touched *touched, SchemaObject *object);
static void add_touched(Touched *touched, SchemaObject *object, bool users);
static List *find_used_values(const ChangePlan *plan, bool all);
static const char *added_value(const Action *action);
static bool is_value_used(const ChangePlan *plan, const Action *add, const char *label);
static void write_drops(ChangePlan *plan, SchemaObject **roots, List *differences);
static void add_rename_hazard(const ChangePlan *plan, Action *drop, List *differences);
static bool may_be_renamed(const SchemaObject *from, const SchemaObject *to);
static Action *drop_aside(ChangePlan *plan, SchemaObject *object);
static void write_creates(ChangePlan *plan, List *differences);
static bool is_made_with_owner(const ChangePlan *plan, const SchemaObject *object);
static void write_object(ChangePlan *plan, SchemaObject *object, bool replaced);
static void drop_inherited_defaults(ChangePlan *plan, const SchemaObject *table);
static const SchemaObject *parent_made_with(const ChangePlan *plan, const SchemaObject *object);
static void write_part(ChangePlan *plan, SchemaObject *object);
static void add_hazard(const ChangePlan *plan, const SchemaObject *object, Action *action);
static void write_alters(ChangePlan *plan);
static void write_alter(ChangePlan *plan, const Difference *difference);
static void write_type(ChangePlan *plan, const SchemaObject *object);
static bool is_retyped(const ChangePlan *plan, const SchemaObject *column);
static void write_targets(ChangePlan *plan, const SchemaObject *object);
static void write_storage(ChangePlan *plan, const SchemaObject *column);
static void write_default(ChangePlan *plan, const SchemaObject *object);

/*
 * Return what turns one schema into another, in the current memory context.  The
 * differences are those between both, whose uses have been read.  uses_values: a script
 * was found to use enum values that it adds.
 */
ActionPlan
mig_action_plan(const Schema *from, const Schema *to, List *differences, bool uses_values)
{
	ChangePlan	plan;
	OrderedChange change = {.from = from, .to = to};
	List	   *rebuilt = NIL;
	ActionPlan	result = {.actions = NIL};
	int			known;

	do
	{
		known = list_length(rebuilt);
		write_plan(&plan, &change, differences, rebuilt);
		rebuilt = find_used_values(&plan, uses_values);
	} while (list_length(rebuilt) > known);
	result.actions = mig_order_actions(&plan.writer, &change, &result.circle);
	if (!has_rights(from))
		keep_rights(&plan, &result);
	result.refusals = plan.fates.refusals;
	/* default privileges are in force for all that is made */
	result.touched = list_concat_unique_ptr(find_touched(&plan),
											find_kind(from, &mig_kinds_default_privileges));
	return result;
}

/*
 * Write all actions of a change, where some enums (SchemaObject *, as they will be) are made
 * again.
 */
static void
write_plan(ChangePlan *plan, OrderedChange *change, List *differences, List *rebuilt)
{
	*plan = (ChangePlan) {
		.fates = mig_fate_decide(change->from, change->to, differences, rebuilt),
		.is_written = palloc0(sizeof(bool) * (list_length(change->to->objects) + 1)),
		.writer.with_rows = true
	};
	plan->writer.defaults = find_kind(change->from, &mig_kinds_default_privileges);
	plan->writer.aside = find_replaced_sequences(plan);
	change->roots = mig_fate_roots(&plan->fates);
	write_drops(plan, change->roots, differences);
	write_creates(plan, differences);
	write_alters(plan);
}

/*
 * Return the sequences that go where columns with such a default become identities.
 */
static List *
find_replaced_sequences(const ChangePlan *plan)
{
	List	   *sequences = NIL;
	ListCell   *lc;

	foreach(lc, plan->fates.from->objects)
	{
		const SchemaObject *object = lfirst(lc);
		const Difference *difference = plan->fates.alters[object->number];
		const SchemaObject *sequence;

		if (difference == NULL || object->kind != &mig_kinds_column ||
			mig_objects_property(difference->to, "identity") == NULL)
			continue;
		sequence = mig_sequence_of_default(object);
		if (sequence != NULL && sequence->number >= 0 && mig_fate_is_gone(&plan->fates, sequence))
			sequences = list_append_unique_ptr(sequences, unconstify(SchemaObject *, sequence));
	}
	return sequences;
}

/*
 * Have the action that creates a sequence give it the value of the identity whose column it
 * belongs to, if that was one.
 */
static void
replace_identity(const ChangePlan *plan, const SchemaObject *sequence, Action *create)
{
	ListCell   *lc;

	foreach(lc, sequence->uses)
	{
		const SchemaObject *column = ((const ObjectUse *) lfirst(lc))->object;
		const SchemaObject *before = mig_objects_find(plan->fates.from, column);

		if (column->kind != &mig_kinds_column || before == NULL ||
			mig_sequence_of_default(column) != sequence ||
			mig_sequence_of_identity(before) == NULL ||
			mig_sequence_of_identity(column) != NULL)
			continue;
		mig_sequence_replace_identity(create, sequence, before);
		create->hazard = "roles that insert need USAGE on the sequence, which an identity spares";
		return;
	}
}

/*
 * Return whether owners and privileges of a schema's objects have been read.
 */
static bool
has_rights(const Schema *schema)
{
	return schema->objects == NIL ||
		mig_objects_has_property(linitial(schema->objects), "owner");
}

/*
 * Have what is dropped and made again keep its owners and privileges, whatever these are.
 */
static void
keep_rights(ChangePlan *plan, ActionPlan *result)
{
	List	   *objects = NIL;
	const SchemaObject *some;
	Action	   *action;
	char	   *save;
	ListCell   *lc;

	foreach(lc, plan->fates.from->objects)
		if (plan->fates.of[((SchemaObject *) lfirst(lc))->number] == FATE_REPLACE)
			objects = lappend(objects, lfirst(lc));
	save = mig_kept_save(objects, find_kept_sequences(plan));
	if (save == NULL)
		return;
	plan->writer.type = ACTION_ALTER;
	plan->writer.cause = NULL;
	some = linitial(plan->fates.from->objects);
	action = mig_writer_add(&plan->writer, some, PHASE_CREATE, "%s", save);
	action->hazard = "remembers the owners and privileges of what is made again";
	result->actions = lcons(action, result->actions);
	action = mig_writer_add(&plan->writer, some, PHASE_COMMENT, "%s", mig_kept_restore());
	action->hazard = "gives them to it again";
	result->actions = lappend(result->actions, action);
}

/*
 * Return the sequences (KeptSequence *) that go where identities come, and the other way
 * round, with what takes their place.
 */
static List *
find_kept_sequences(const ChangePlan *plan)
{
	List	   *kept = NIL;
	ListCell   *lc;

	foreach(lc, plan->fates.from->objects)
	{
		const SchemaObject *column = lfirst(lc);
		const Difference *difference = plan->fates.alters[column->number];
		const SchemaObject *old;
		const SchemaObject *new;
		KeptSequence *sequence;

		if (difference == NULL || column->kind != &mig_kinds_column ||
			!mig_writer_has(difference, "identity"))
			continue;
		old = mig_sequence_of_default(column);
		new = mig_sequence_of_default(difference->to);
		sequence = palloc(sizeof(KeptSequence));
		sequence->from = mig_sequence_of_identity(column);
		sequence->to = mig_sequence_of_identity(difference->to);
		if (sequence->from == NULL && list_member_ptr(plan->writer.aside, old))
			sequence->from = mig_objects_qualified(old);
		if (sequence->to == NULL && new != NULL &&
			mig_objects_find(plan->fates.from, new) == NULL)
			sequence->to = mig_objects_qualified(new);
		if (sequence->from != NULL && sequence->to != NULL &&
			(old != NULL || new != NULL))
			kept = lappend(kept, sequence);
	}
	return kept;
}

/*
 * Return the objects of a schema (SchemaObject *) that are of a kind.
 */
static List *
find_kind(const Schema *schema, const Kind *kind)
{
	List	   *objects = NIL;
	ListCell   *lc;

	foreach(lc, schema->objects)
		if (((SchemaObject *) lfirst(lc))->kind == kind)
			objects = lappend(objects, lfirst(lc));
	return objects;
}

/*
 * Return the objects of the schema before that change, or that new ones use, with all of
 * their tables and what uses any of that.
 */
static List *
find_touched(const ChangePlan *plan)
{
	int			count = list_length(plan->fates.from->objects) + 1;
	Touched		touched = {
		.plan = plan,
		.is_in = palloc0(sizeof(bool) * count),
		.has_users = palloc0(sizeof(bool) * count)
	};
	ListCell   *lc;

	foreach(lc, plan->fates.from->objects)
	{
		SchemaObject *object = lfirst(lc);

		if (plan->fates.of[object->number] != FATE_KEEP || plan->fates.redefault[object->number])
			touch(&touched, object);
		if (plan->fates.alters[object->number] != NULL)
			touch_uses(&touched, plan->fates.alters[object->number]->to);
	}
	foreach(lc, plan->fates.to->objects)
	{
		const SchemaObject *object = lfirst(lc);

		if (!plan->is_written[object->number])
			continue;
		if (object->owner != NULL)
			touch(&touched, mig_objects_find(plan->fates.from, object->owner));
		touch_uses(&touched, object);
	}
	return touched.objects;
}

/*
 * Add what an object, as it will be, uses and is there before.  Who else uses that does not
 * matter, but for tables: what is made for one can be made for its partitions, too.
 */
static void
touch_uses(Touched *touched, const SchemaObject *object)
{
	ListCell   *lc;

	foreach(lc, object->uses)
	{
		SchemaObject *used =
			mig_objects_find(touched->plan->fates.from, ((ObjectUse *) lfirst(lc))->object);

		if (used != NULL && used->owner == NULL && used->kind != &mig_kinds_table &&
			used->kind != &mig_kinds_foreign_table)
			add_touched(touched, used, false);
		else
			touch(touched, used);
	}
}

/*
 * Add an object, unless it is NULL, with what it belongs to and all that belongs to that,
 * and the users of all.
 */
static void
touch(Touched *touched, SchemaObject *object)
{
	ListCell   *lc;

	if (object == NULL)
		return;
	if (object->owner != NULL)
		object = object->owner;
	add_touched(touched, object, true);
	foreach(lc, object->children)
		add_touched(touched, lfirst(lc), true);
}

/*
 * Add an object, with its users or without.
 */
static void
add_touched(Touched *touched, SchemaObject *object, bool users)
{
	ListCell   *lc;

	if (object->number < 0)
		return;
	if (!touched->is_in[object->number])
		touched->objects = lappend(touched->objects, object);
	touched->is_in[object->number] = true;
	if (!users || touched->has_users[object->number])
		return;
	touched->has_users[object->number] = true;
	foreach(lc, touched->plan->fates.users[object->number])
		add_touched(touched, ((const ObjectUser *) lfirst(lc))->object, false);
}

/*
 * Return the enums (SchemaObject *, as they will be) that have to be made again: a value
 * that is added cannot be used in the same transaction.  Not all uses can be seen in the
 * statements: all, where one of these was found in another way.
 */
static List *
find_used_values(const ChangePlan *plan, bool all)
{
	List	   *rebuilt = plan->fates.rebuilt;
	ListCell   *lc;

	foreach(lc, plan->writer.actions)
	{
		const Action *action = lfirst(lc);
		const char *added = added_value(action);

		if (added != NULL && (all || is_value_used(plan, action, added)))
			rebuilt = list_append_unique_ptr(rebuilt,
											 unconstify(SchemaObject *, action->object));
	}
	return rebuilt;
}

/*
 * Return the quoted label, with which the rest of the statement begins, that an action adds
 * to an enum; NULL: none.
 */
static const char *
added_value(const Action *action)
{
	static const char add[] = " ADD VALUE ";
	const char *name;

	if (action->type != ACTION_ALTER || action->object->kind != &mig_kinds_enum ||
		action->phase != PHASE_CREATE)
		return NULL;
	name = psprintf("ALTER TYPE %s%s", mig_objects_qualified(action->object), add);
	return strncmp(action->sql, name, strlen(name)) == 0 ? action->sql + strlen(name) : NULL;
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
	foreach(lc, actions)
	{
		const Action *action = lfirst(lc);

		if (action->hazard != NULL)
			mig_text_append_comment(&script, action->hazard);
		appendStringInfo(&script, "%s;\n", action->sql);
	}
	return script.data;
}

/*
 * Return whether some actions (Action *) make functions, whose bodies may name what comes
 * later.
 */
bool
mig_action_makes_functions(List *actions)
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
 * Write what drops objects, users first.
 */
static void
write_drops(ChangePlan *plan, SchemaObject **roots, List *differences)
{
	for (int i = list_length(plan->fates.from->objects) - 1; i >= 0; i--)
	{
		if (roots[i] == NULL || roots[i]->number != i)
			continue;
		plan->writer.cause = plan->fates.causes[i];
		if (mig_fate_is_aside(&plan->fates, roots[i]))
			drop_aside(plan, roots[i])->aside = true;
		else if (list_member_ptr(plan->writer.aside, roots[i]))
			drop_aside(plan, roots[i])->hazard = "its value is the new one's now";
		else if (mig_fate_is_gone(&plan->fates, roots[i]))
		{
			Action	   *drop = mig_writer_drop(&plan->writer, roots[i]);

			if (mig_fate_is_left_to_heirs(&plan->fates, roots[i]))
				drop->sql = mig_column_drop_only(roots[i]);
			add_rename_hazard(plan, drop, differences);
		}
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

	if (drop->hazard == NULL || plan->fates.of[drop->object->number] != FATE_DROP)
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
 * Write what drops a type or a sequence that has another name by then.
 */
static Action *
drop_aside(ChangePlan *plan, SchemaObject *object)
{
	SchemaObject *renamed = mig_objects_renamed(object, mig_objects_aside_name(object));
	Action	   *action = mig_writer_drop(&plan->writer, renamed);

	action->object = object;
	return action;
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
		if (difference->from == NULL && !is_made_with_owner(plan, difference->to))
			write_object(plan, unconstify(SchemaObject *, difference->to), false);
	}
	foreach(lc, plan->fates.from->objects)
	{
		const SchemaObject *object = lfirst(lc);

		plan->writer.cause = plan->fates.causes[object->number];
		if (mig_fate_is_aside(&plan->fates, object))
			mig_writer_add(&plan->writer, mig_objects_find(plan->fates.to, object), PHASE_CREATE,
						   "ALTER %s RENAME TO %s", mig_writer_target(object),
						   quote_identifier(mig_objects_aside_name(object)));
		if (plan->fates.of[object->number] == FATE_REPLACE)
			write_object(plan, mig_objects_find(plan->fates.to, object), true);
	}
}

/*
 * Return whether an object that is new is part of one that is made again.
 */
static bool
is_made_with_owner(const ChangePlan *plan, const SchemaObject *object)
{
	const SchemaObject *owner = object->kind->part_of_owner ?
		mig_objects_find(plan->fates.from, object->owner) : NULL;

	return owner != NULL && plan->fates.of[owner->number] == FATE_REPLACE;
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
	parent = parent_made_with(plan, object);
	if (parent != NULL && object->kind == &mig_kinds_column)
	{
		const SchemaObject *next;

		/* the column that is made gives its default to all of them */
		while ((next = parent_made_with(plan, parent)) != NULL)
			parent = next;
		mig_column_inherit(object, parent, &plan->writer);
	}
	else if (parent == NULL && add && object->kind->add != NULL)
		write_part(plan, object);
	else if (parent == NULL)
	{
		Action	   *action = mig_writer_object(&plan->writer, object);

		if (object->kind == &mig_kinds_sequence)
			replace_identity(plan, object, action);
		add_hazard(plan, object, action);
		drop_inherited_defaults(plan, object);
	}
	mig_grants_write(object, &plan->writer);
	foreach(lc, object->children)
	{
		SchemaObject *child = lfirst(lc);

		if (child->number >= 0 && (replaced || child->kind->part_of_owner))
			write_object(plan, child, replaced);
	}
}

/*
 * Have the columns of a new table that have no default not keep that which a parent has
 * when it is made.
 */
static void
drop_inherited_defaults(ChangePlan *plan, const SchemaObject *table)
{
	ListCell   *lc;

	if (table->kind != &mig_kinds_table && table->kind != &mig_kinds_foreign_table)
		return;
	foreach(lc, table->uses)
	{
		const SchemaObject *parent =
			mig_objects_find(plan->fates.from, ((const ObjectUse *) lfirst(lc))->object);
		ListCell   *child;

		if (parent == NULL || parent->kind != &mig_kinds_table ||
			mig_objects_property(table, "inherits") == NULL)
			continue;
		foreach(child, table->children)
		{
			const SchemaObject *column = lfirst(child);
			SchemaObject like = *column;
			const SchemaObject *before;

			like.schema = parent->schema;
			like.parent = parent->name;
			before = mig_objects_find(plan->fates.from, &like);
			if (column->kind == &mig_kinds_column && before != NULL &&
				mig_objects_property(column, "default") == NULL &&
				mig_objects_property(column, "generated") == NULL &&
				mig_objects_property(before, "default") != NULL)
				mig_column_write_default(column, &plan->writer);
		}
	}
}

/*
 * Return the column or constraint of a parent with which that of a table that is there is
 * made; NULL: it is made by itself.
 */
static const SchemaObject *
parent_made_with(const ChangePlan *plan, const SchemaObject *object)
{
	const SchemaObject *parent = mig_fate_inherited(&plan->fates, object, plan->fates.to);
	const SchemaObject *before;

	if (parent == NULL || plan->is_written[object->owner->number])
		return NULL;
	before = mig_objects_find(plan->fates.from, parent);
	return before == NULL || mig_fate_is_gone(&plan->fates, before) ? parent : NULL;
}

/*
 * Write what adds an object to its owner, and what keeps the values that heirs have in
 * columns of the same name.
 */
static void
write_part(ChangePlan *plan, SchemaObject *object)
{
	int			written = list_length(plan->writer.actions);
	ListCell   *lc;

	mig_writer_part(&plan->writer, object);
	foreach(lc, plan->fates.from->objects)
	{
		const SchemaObject *column = lfirst(lc);
		Action	   *action;

		if (!plan->fates.copied[column->number] ||
			mig_fate_inherited(&plan->fates, mig_objects_find(plan->fates.to, column),
							   plan->fates.to) != object)
			continue;
		action = list_nth(plan->writer.actions, written);
		action->sql = mig_column_copy(column, action->sql);
		action->hazard = "copies a column, which fires triggers and rewrites all rows";
	}
}

/*
 * Say of the first statement that makes an object, unless it is NULL, what can happen where
 * there are rows and what is lost.
 */
static void
add_hazard(const ChangePlan *plan, const SchemaObject *object, Action *action)
{
	const char *type = object->kind == &mig_kinds_constraint ?
		mig_objects_property(object, "type") : "";

	if (action == NULL || action->hazard != NULL)
		return;
	if (object->owner == NULL || mig_objects_find(plan->fates.from, object->owner) == NULL)
		return;
	if (object->kind == &mig_kinds_index && !mig_objects_is_partitioned(object->owner))
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
	foreach(lc, plan->fates.from->objects)
	{
		const SchemaObject *object = lfirst(lc);

		plan->writer.cause = plan->fates.causes[object->number];
		if (plan->fates.alters[object->number] != NULL && !mig_fate_is_gone(&plan->fates, object))
			write_alter(plan, plan->fates.alters[object->number]);
		if (plan->fates.retype[object->number] && !mig_fate_is_gone(&plan->fates, object))
			write_type(plan, object);
		if (object->kind == &mig_kinds_column && !mig_fate_is_gone(&plan->fates, object))
			write_storage(plan, object);
		if (!mig_fate_is_gone(&plan->fates, object))
			write_targets(plan, object);
		if (plan->fates.redefault[object->number] && !mig_fate_is_gone(&plan->fates, object))
			write_default(plan, object);
	}
}

/*
 * Return whether the type of a table's column changes, by itself or with that of a parent.
 */
static bool
is_retyped(const ChangePlan *plan, const SchemaObject *column)
{
	static const char *const properties[] = {"type", "collation"};
	const SchemaObject *to;

	if (column->kind != &mig_kinds_column || column->owner->kind != &mig_kinds_table ||
		column->number < 0 || mig_fate_is_gone(&plan->fates, column))
		return false;
	to = mig_objects_find(plan->fates.to, column);
	for (size_t i = 0; i < lengthof(properties); i++)
	{
		const char *before = mig_objects_property(column, properties[i]);
		const char *after = mig_objects_property(to, properties[i]);

		if (strcmp(before ? before : "", after ? after : "") != 0)
			return true;
	}
	return plan->fates.retype[column->number];
}

/*
 * Write the statistics targets of an index or of statistics again, which the server forgets
 * when it makes these again with the new type of a column.  Those that differ are written
 * with the alteration.
 */
static void
write_targets(ChangePlan *plan, const SchemaObject *object)
{
	const char *name = object->kind == &mig_kinds_statistics ? "target" : "index_statistics";
	const Difference *difference = plan->fates.alters[object->number];
	Difference	again = {.from = object};
	ObjectProperty property = {.name = name};
	int			written = list_length(plan->writer.actions);
	ListCell   *lc;

	if (!mig_objects_has_property(object, name) ||
		(difference != NULL && mig_writer_has(difference, name)))
		return;
	again.to = mig_objects_find(plan->fates.to, object);
	again.properties = list_make1(&property);
	if (mig_objects_property(again.to, name) == NULL)
		return;
	foreach(lc, object->uses)
	{
		const SchemaObject *used = ((const ObjectUse *) lfirst(lc))->object;

		if (!is_retyped(plan, used))
			continue;
		if (list_length(plan->writer.actions) == written)
			(void) object->kind->alter(&again, &plan->writer);
		for (int i = written; i < list_length(plan->writer.actions); i++)
			((Action *) list_nth(plan->writer.actions, i))->after =
				mig_objects_find(plan->fates.to, used);
	}
}

/*
 * Write the storage and the compression of a column of a table again, which the server
 * forgets when its type changes, by itself or with that of a parent.  Those that differ are
 * written with the alteration.
 */
static void
write_storage(ChangePlan *plan, const SchemaObject *column)
{
	const SchemaObject *to = mig_objects_find(plan->fates.to, column);
	const Difference *difference = plan->fates.alters[column->number];

	if (!is_retyped(plan, column))
		return;
	if (difference == NULL || !mig_writer_has(difference, "storage"))
		mig_column_write_storage(to, &plan->writer);
	if (difference == NULL || !mig_writer_has(difference, "compression"))
		mig_column_write_compression(to, &plan->writer);
}

/*
 * Write what alters an object in place.  Where a column is no identity any more, and its
 * default is of a sequence that is there, that gets the value.
 */
static void
write_alter(ChangePlan *plan, const Difference *difference)
{
	const SchemaObject *sequence;
	ListCell   *lc;

	(void) mig_alter_write(difference, &plan->writer);
	if (difference->to->kind != &mig_kinds_column ||
		mig_sequence_of_identity(difference->from) == NULL ||
		mig_sequence_of_identity(difference->to) != NULL)
		return;
	sequence = mig_sequence_of_default(difference->to);
	if (sequence == NULL || mig_objects_find(plan->fates.from, sequence) == NULL)
		return;
	foreach(lc, plan->writer.actions)
	{
		Action	   *action = lfirst(lc);

		if (action->object == difference->to && action->after == sequence)
			mig_sequence_follow_identity(action, sequence, difference->from);
	}
}

/*
 * Write what gives a column the type that is made again under its name, unless its
 * alteration does that, or that of the column of a parent.
 */
static void
write_type(ChangePlan *plan, const SchemaObject *object)
{
	const Difference *difference = plan->fates.alters[object->number];
	const SchemaObject *type = NULL;
	const SchemaObject *parent = mig_fate_inherited(&plan->fates, object, plan->fates.from);
	ListCell   *lc;

	if ((difference != NULL && mig_writer_has(difference, "type")) ||
		(parent != NULL && plan->fates.retype[parent->number]))
		return;
	foreach(lc, object->uses)
	{
		const SchemaObject *used = ((const ObjectUse *) lfirst(lc))->object;

		if (used->kind == &mig_kinds_composite_type && used->number >= 0 &&
			mig_fate_is_aside(&plan->fates, used))
			type = used;
	}
	mig_column_write_type(mig_objects_find(plan->fates.to, object), type,
						  type ? mig_objects_find(plan->fates.to, type) : NULL, &plan->writer);
}

/*
 * Write what sets the default of a column again that was taken away, unless its
 * alteration does that.
 */
static void
write_default(ChangePlan *plan, const SchemaObject *object)
{
	const SchemaObject *after = mig_objects_find(plan->fates.to, object);
	const Difference *difference = plan->fates.alters[object->number];

	if (mig_objects_property(after, "default") != NULL &&
		(difference == NULL || !mig_writer_has(difference, "default")))
		mig_column_write_default(after, &plan->writer);
}
