/*
 * closure.c
 *		Parts of a schema that can stand alone.
 */
#include "migrate.h"

#include "kind/kinds.h"
#include "schema/closure.h"

static void add_checks(const SchemaObject *table, bool *is_in, List **pending);
static void add(SchemaObject *object, bool *is_in, List **pending);

/*
 * Return some objects (SchemaObject *) of a schema, whose uses have been read, with
 * all that they use and belong to, in the schema's order; in the current memory
 * context.
 */
List *
mig_closure_of(const Schema *schema, List *objects)
{
	bool	   *is_in = palloc0(sizeof(bool) * (list_length(schema->objects) + 1));
	List	   *pending = NIL;
	List	   *closure = NIL;
	ListCell   *lc;

	foreach(lc, objects)
		add(lfirst(lc), is_in, &pending);
	while (pending != NIL)
	{
		SchemaObject *object = llast(pending);

		pending = list_truncate(pending, list_length(pending) - 1);
		if (object->owner != NULL)
			add(object->owner, is_in, &pending);
		foreach(lc, object->uses)
		{
			SchemaObject *used = ((ObjectUse *) lfirst(lc))->object;

			add(used, is_in, &pending);
			if (object->kind == &mig_kinds_table || object->kind == &mig_kinds_foreign_table)
				add_checks(used, is_in, &pending);
		}
		foreach(lc, object->children)
			if (((SchemaObject *) lfirst(lc))->kind->part_of_owner)
				add(lfirst(lc), is_in, &pending);
	}
	foreach(lc, schema->objects)
		if (is_in[((SchemaObject *) lfirst(lc))->number])
			closure = lappend(closure, lfirst(lc));
	return closure;
}

/*
 * Add the checks of an object that a table uses: those of a parent are its own, too.
 */
static void
add_checks(const SchemaObject *table, bool *is_in, List **pending)
{
	ListCell   *lc;

	foreach(lc, table->children)
	{
		SchemaObject *child = lfirst(lc);

		if (child->kind == &mig_kinds_constraint &&
			strcmp(mig_objects_property(child, "type"), "check") == 0)
			add(child, is_in, pending);
	}
}

/*
 * Add an object of the schema that is not in yet.
 */
static void
add(SchemaObject *object, bool *is_in, List **pending)
{
	if (object->number < 0 || is_in[object->number])
		return;
	is_in[object->number] = true;
	*pending = lappend(*pending, object);
}
