/*
 * online.c
 *		Statements that do not block a table for long (setting online).
 *
 * What scans or builds while others wait is replaced by steps that are committed one by
 * one: indexes are built and dropped CONCURRENTLY, keys made of such an index, foreign
 * keys and checks are NOT VALID first, and so is a check that spares SET NOT NULL its
 * scan.  Only tables that are there before and after are treated so, and partitioned ones
 * only where the server can do it.  See "Patterns" in doc/online.md.
 */
#include "migrate.h"

#include "commands/defrem.h"
#include "kind/index.h"
#include "kind/kinds.h"
#include "kind/writer.h"
#include "schema/online.h"
#include "script/text.h"
#include "utils/builtins.h"

/* The statements so far. */
typedef struct Steps
{
	const Schema *from;
	const Schema *to;
	List	   *before;			/* Action *, as they were planned */
	List	   *actions;		/* Action * */
	List	   *early;			/* Action *, those of before that came already */
	List	   *late;			/* Action *, drops of indexes whose place others take */
	bool		any;			/* whether one was replaced */
} Steps;

static bool stays(const Steps *steps, const SchemaObject *table);
static bool replace(Steps *steps, const Action *action);
static bool replace_index(Steps *steps, const Action *action);
static bool replace_drop_index(Steps *steps, const Action *action);
static const char *concurrent_form(const Action *action);
static const char *new_name(const Steps *steps, const SchemaObject *index);
static bool is_relation(const Schema *schema, const SchemaObject *index, const char *name);
static const char *concurrent_drop(const Action *drop);
static bool can_wait(const Steps *steps, const SchemaObject *index);
static bool replace_constraint(Steps *steps, const Action *action);
static void make_key(Steps *steps, const Action *action, const char *keyword);
static void replace_not_nulls(Steps *steps, const Action *key);
static bool replace_not_null(Steps *steps, const Action *action);
static const char *before_last(const char *text, const char *part);
static const char *check_name(const Steps *steps, const SchemaObject *column);
static bool is_used(const Schema *schema, const SchemaObject *column, const char *name);
static bool begins_with(const char *text, const char *beginning);
static Action *add(Steps *steps, const Action *action, const char *sql, const char *hazard);

/*
 * Return actions (Action *) that do the same as those of a plan from one schema to another,
 * in the current memory context, to be committed one by one.  Where there is nothing to
 * replace, NIL is returned, and they can run in one transaction.
 */
List *
mig_online_actions(List *actions, const Schema *from, const Schema *to)
{
	Steps		steps = {.from = from, .to = to, .before = actions};
	ListCell   *lc;

	foreach(lc, actions)
	{
		const Action *action = lfirst(lc);

		if (list_member_ptr(steps.early, action))
			continue;
		if (action->object->owner != NULL && stays(&steps, action->object->owner) &&
			replace(&steps, action))
			steps.any = true;
		else
			steps.actions = lappend(steps.actions, lfirst(lc));
	}
	return steps.any ? steps.actions : NIL;
}

/*
 * Return whether a table is there before and is not dropped.
 */
static bool
stays(const Steps *steps, const SchemaObject *table)
{
	ListCell   *lc;

	if (mig_objects_find(steps->from, table) == NULL)
		return false;
	foreach(lc, steps->before)
	{
		const Action *action = lfirst(lc);

		if (action->type == ACTION_DROP && action->object->kind == table->kind &&
			strcmp(action->object->identity, table->identity) == 0)
			return false;
	}
	return true;
}

/*
 * Add what replaces an action.  Return false when nothing does.
 */
static bool
replace(Steps *steps, const Action *action)
{
	const Kind *kind = action->object->kind;

	if (kind == &mig_kinds_index)
		return action->type == ACTION_DROP ? replace_drop_index(steps, action) :
			replace_index(steps, action);
	if (kind == &mig_kinds_constraint && action->type == ACTION_CREATE)
		return replace_constraint(steps, action);
	if (kind == &mig_kinds_column && action->type == ACTION_ALTER)
		return replace_not_null(steps, action);
	return false;
}

/*
 * Have an index be built concurrently, unless it is that of a partitioned table, which is
 * only a name for those of the partitions.  Where it replaces another of its name, that one
 * is there until it is built.
 */
static bool
replace_index(Steps *steps, const Action *action)
{
	const char *form = concurrent_form(action);
	const char *name = quote_identifier(action->object->name);
	const Action *drop = NULL;
	const char *rest;
	ListCell   *lc;

	if (form == NULL)
		return false;
	foreach(lc, steps->late)
		if (strcmp(((const Action *) lfirst(lc))->object->identity,
				   action->object->identity) == 0)
			drop = lfirst(lc);
	rest = action->sql + strlen(form) + strlen(name);
	if (drop != NULL)
		name = quote_identifier(new_name(steps, action->object));
	add(steps, action, psprintf("%sCONCURRENTLY %s%s", form, name, rest),
		strstr(form, "UNIQUE") ? "fails on duplicate rows" : NULL);
	if (drop != NULL)
	{
		add(steps, action, concurrent_drop(drop), NULL);
		add(steps, action, psprintf("ALTER INDEX %s RENAME TO %s",
									quote_qualified_identifier(action->object->schema,
															   new_name(steps, action->object)),
									quote_identifier(action->object->name)), NULL);
	}
	return true;
}

/*
 * Return the beginning of an action, if that makes an index which can be built concurrently;
 * NULL: it does not.
 */
static const char *
concurrent_form(const Action *action)
{
	static const char *const forms[] = {"CREATE INDEX ", "CREATE UNIQUE INDEX "};
	const char *name = quote_identifier(action->object->name);

	if (mig_objects_is_partitioned(action->object->owner))
		return NULL;
	for (size_t i = 0; i < lengthof(forms); i++)
		if (begins_with(action->sql, psprintf("%s%s ON ", forms[i], name)))
			return forms[i];
	return NULL;
}

/*
 * Return a name for an index while the one that it replaces is there, which no relation of
 * their schema has, before or after.
 */
static const char *
new_name(const Steps *steps, const SchemaObject *index)
{
	const char *name = makeObjectName(index->name, NULL, "new");

	for (int i = 1; is_relation(steps->from, index, name) || is_relation(steps->to, index, name);
		 i++)
		name = makeObjectName(index->name, NULL, psprintf("new%d", i));
	return name;
}

/*
 * Return whether a relation of the schema that an index is in has a name.
 */
static bool
is_relation(const Schema *schema, const SchemaObject *index, const char *name)
{
	ListCell   *lc;

	foreach(lc, schema->objects)
	{
		const SchemaObject *object = lfirst(lc);

		if (object->schema != NULL && strcmp(object->schema, index->schema) == 0 &&
			strcmp(object->name, name) == 0)
			return true;
	}
	return false;
}

/*
 * Have an index be dropped concurrently, which the server does for those of one table; one
 * that is replaced when the other is built.
 */
static bool
replace_drop_index(Steps *steps, const Action *action)
{
	if (concurrent_drop(action) == NULL)
		return false;
	if (can_wait(steps, action->object))
		steps->late = lappend(steps->late, unconstify(Action *, action));
	else
		add(steps, action, concurrent_drop(action),
			mig_objects_find(steps->to, action->object) != NULL ?
			"queries are without the index until it is built again" : action->hazard);
	return true;
}

/*
 * Return the statement that drops an index concurrently, in place of an action; NULL: there
 * is none.
 */
static const char *
concurrent_drop(const Action *drop)
{
	static const char form[] = "DROP INDEX ";

	if (!begins_with(drop->sql, form) || mig_objects_is_partitioned(drop->object->owner))
		return NULL;
	return psprintf("%sCONCURRENTLY %s", form, drop->sql + strlen(form));
}

/*
 * Return whether an index that is dropped can stay until another of its name is built: there
 * is one, and nothing else happens to what the index is on.
 */
static bool
can_wait(const Steps *steps, const SchemaObject *index)
{
	bool		is_built = false;
	ListCell   *lc;

	foreach(lc, steps->before)
	{
		const Action *action = lfirst(lc);
		ListCell   *used;

		if (action->object->kind == &mig_kinds_index && action->type == ACTION_CREATE &&
			strcmp(action->object->identity, index->identity) == 0)
			is_built |= concurrent_form(action) != NULL;
		foreach(used, index->uses)
		{
			const SchemaObject *object = ((const ObjectUse *) lfirst(used))->object;

			if (object->kind == action->object->kind &&
				strcmp(object->identity, action->object->identity) == 0)
				return false;
		}
	}
	return is_built;
}

/*
 * Have a constraint be added without a scan, or a key without the time that its index
 * takes.  A foreign key of a partitioned table cannot be NOT VALID before 18, and keys of
 * partitions are made with those of their parent.
 */
static bool
replace_constraint(Steps *steps, const Action *action)
{
	const SchemaObject *object = action->object;
	const char *type = mig_objects_property(object, "type");
	const char *definition = mig_objects_property(object, "definition");
	bool		is_partitioned = mig_objects_is_partitioned(object->owner);
	bool		is_check = strcmp(type, "check") == 0;

	if (action->phase != PHASE_CREATE || !begins_with(action->sql, "ALTER TABLE ") ||
		mig_text_ends_with(definition, " NOT VALID") || mig_text_ends_with(definition, " NOT ENFORCED"))
		return false;
	if (is_check || (strcmp(type, "foreign key") == 0 && !is_partitioned))
	{
		add(steps, action, psprintf("%s NOT VALID", action->sql), NULL)->before_attach =
			action->before_attach;
		add(steps, action, psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s",
									mig_objects_parent(object),
									quote_identifier(object->name)),
			"fails on rows that violate it");
		return true;
	}
	if (is_partitioned || strstr(definition, " WITHOUT OVERLAPS") != NULL)
		return false;
	if (strcmp(type, "unique") == 0 || strcmp(type, "primary key") == 0)
	{
		if (*type == 'p')
			replace_not_nulls(steps, action);
		make_key(steps, action, *type == 'u' ? "UNIQUE" : "PRIMARY KEY");
		return true;
	}
	return false;
}

/*
 * Make a key of an index that is built concurrently.  The definition of the key has what
 * the index needs between its keyword and DEFERRABLE.
 */
static void
make_key(Steps *steps, const Action *action, const char *keyword)
{
	static const char nulls[] = "NULLS NOT DISTINCT ";
	static const char *const ends[] = {" DEFERRABLE INITIALLY DEFERRED", " DEFERRABLE"};
	const SchemaObject *object = action->object;
	const char *name = quote_identifier(object->name);
	const char *rest = mig_objects_property(object, "definition") + strlen(keyword) + 1;
	const char *tablespace = mig_objects_property(object, "index_tablespace");
	const char *options = mig_objects_property(object, "index_options");
	bool		has_nulls = begins_with(rest, nulls);
	const char *end = "";

	for (size_t i = 0; i < lengthof(ends) && *end == '\0'; i++)
		if (mig_text_ends_with(rest, ends[i]))
			end = ends[i];
	rest += has_nulls ? strlen(nulls) : 0;
	add(steps, action, psprintf("CREATE UNIQUE INDEX CONCURRENTLY %s ON %s %s%s%s%s%s%s%s", name,
								mig_objects_parent(object),
								pnstrdup(rest, strlen(rest) - strlen(end)),
								has_nulls ? " NULLS NOT DISTINCT" : "",
								options ? " WITH (" : "", options ? options : "",
								options ? ")" : "", tablespace ? " TABLESPACE " : "",
								tablespace ? quote_identifier(tablespace) : ""),
		"fails on duplicate rows");
	add(steps, action, psprintf("ALTER TABLE ONLY %s ADD CONSTRAINT %s %s USING INDEX %s%s",
								mig_objects_parent(object), name, keyword, name, end),
		NULL);
}

/*
 * Have what makes columns of a table NOT NULL come now, and not after the primary key, which
 * would scan the table for it.
 */
static void
replace_not_nulls(Steps *steps, const Action *key)
{
	bool		after = false;
	ListCell   *lc;

	foreach(lc, steps->before)
	{
		Action	   *action = lfirst(lc);

		after |= action == key;
		if (after && action->object->owner == key->object->owner &&
			action->type == ACTION_ALTER && action->object->kind == &mig_kinds_column &&
			replace_not_null(steps, action))
			steps->early = lappend(steps->early, action);
	}
}

/*
 * Have a check spare SET NOT NULL its scan under an exclusive lock.  The constraint that
 * NOT NULL is since 18, where it has a name of its own, is first NOT VALID.
 */
static bool
replace_not_null(Steps *steps, const Action *action)
{
	const SchemaObject *object = action->object;
	const char *table = mig_objects_parent(object);
	const char *column = quote_identifier(object->name);
	const char *name;

	if (begins_with(action->sql, psprintf("ALTER TABLE %s ADD CONSTRAINT ", table)) &&
		!mig_text_ends_with(action->sql, " NOT VALID"))
	{
		name = action->sql + strlen("ALTER TABLE ") + strlen(table) + strlen(" ADD CONSTRAINT ");
		add(steps, action, psprintf("%s NOT VALID", action->sql), NULL);
		add(steps, action, psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s", table,
									before_last(name, psprintf(" NOT NULL %s", column))),
			"fails on rows with a null");
		return true;
	}
	if (strcmp(action->sql, psprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", table,
									 column)) != 0)
		return false;
	name = quote_identifier(check_name(steps, object));
	add(steps, action, psprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s IS NOT NULL) NOT VALID",
								table, name, column), NULL);
	add(steps, action, psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s", table, name),
		"fails on rows with a null");
	add(steps, action, action->sql, NULL);
	add(steps, action, psprintf("ALTER TABLE %s DROP CONSTRAINT %s", table, name), NULL);
	return true;
}

/*
 * Return what a text has before the last place where it has another.
 */
static const char *
before_last(const char *text, const char *part)
{
	const char *last = text;

	for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
		last = at;
	return pnstrdup(text, last - text);
}

/*
 * Return a name for a check on a column that no constraint of its table has, before or
 * after.
 */
static const char *
check_name(const Steps *steps, const SchemaObject *column)
{
	const char *name = makeObjectName(column->parent, column->name, "is_set");

	for (int i = 1; is_used(steps->from, column, name) || is_used(steps->to, column, name); i++)
		name = makeObjectName(column->parent, column->name, psprintf("is_set%d", i));
	return name;
}

/*
 * Return whether a constraint of a column's table has a name.
 */
static bool
is_used(const Schema *schema, const SchemaObject *column, const char *name)
{
	const SchemaObject *table = mig_objects_find(schema, column->owner);
	ListCell   *lc;

	if (table == NULL)
		return false;
	foreach(lc, table->children)
	{
		const SchemaObject *child = lfirst(lc);

		if (child->kind == &mig_kinds_constraint && strcmp(child->name, name) == 0)
			return true;
	}
	return false;
}

/*
 * Return whether a text begins with another.
 */
static bool
begins_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

/*
 * Add a statement that is there for the same reason as an action.
 */
static Action *
add(Steps *steps, const Action *action, const char *sql, const char *hazard)
{
	Action	   *step = palloc(sizeof(Action));

	*step = *action;
	step->sql = sql;
	step->hazard = hazard;
	steps->actions = lappend(steps->actions, step);
	return step;
}
