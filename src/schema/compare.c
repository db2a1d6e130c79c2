/*
 * compare.c
 *		The differences between two schemas.
 *
 * Objects are paired by kind and names, and compared property by property.  What
 * belongs to a table that is dropped is not listed by itself, nor are the columns
 * of one that is created.
 */
#include "migrate.h"

#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "schema/compare.h"
#include "utils/builtins.h"

/* Most differences that an error lists. */
#define MAX_LISTED 10

/* Longest value of a property that messages show, in bytes. */
#define MAX_SHOWN 80

/*
 * Properties that are the server's print of an expression or a query.  What was
 * stored once and what was stored again after it had been printed can differ
 * though both mean the same.
 */
static const char *const texts[] = {
	"definition", "default", "generated", "using", "check", "partition_bound",
	"partition_key", "members"
};

static List *compare_objects(const SchemaObject *from, const SchemaObject *to);
static bool is_same(const char *a, const char *b);
static bool is_part(const Schema *other, const SchemaObject *object, bool created);
static List *append(List *list, const SchemaObject *from, const SchemaObject *to,
					List *properties);
static bool is_text(const char *name);

/*
 * Return the differences (Difference *) between two schemas, in the current memory
 * context: what is to be created or altered in the order of the second, then what
 * is to be dropped, users first.
 */
List *
mig_compare_schemas(const Schema *from, const Schema *to)
{
	List	   *differences = NIL;
	List	   *drops = NIL;
	ListCell   *lc;

	foreach(lc, to->objects)
	{
		const SchemaObject *object = lfirst(lc);
		const SchemaObject *before = mig_objects_find(from, object);
		List	   *properties;

		if (before == NULL)
		{
			if (!is_part(from, object, true))
				differences = append(differences, NULL, object, NIL);
			continue;
		}
		properties = compare_objects(before, object);
		if (properties != NIL)
			differences = append(differences, before, object, properties);
	}
	foreach(lc, from->objects)
	{
		const SchemaObject *object = lfirst(lc);

		if (mig_objects_find(to, object) == NULL && !is_part(to, object, false))
			drops = lcons(linitial(append(NIL, object, NULL, NIL)), drops);
	}
	return list_concat(differences, drops);
}

/*
 * Return the properties (ObjectProperty *) of the second object that the first
 * has otherwise.
 */
static List *
compare_objects(const SchemaObject *from, const SchemaObject *to)
{
	List	   *different = NIL;

	Assert(from->nproperties == to->nproperties);
	for (int i = 0; i < to->nproperties; i++)
		if (!is_same(from->properties[i].value, to->properties[i].value) &&
			strcmp(to->properties[i].name, KIND_STANDIN) != 0 &&
			strcmp(to->properties[i].name, KIND_SHARED_NAME) != 0 &&
			strcmp(to->properties[i].name, KIND_PARTITION_KEY) != 0 &&
			strcmp(to->properties[i].name, KIND_REWRITES) != 0)
			different = lappend(different, &to->properties[i]);
	return different;
}

/*
 * Compare two values, either of which may be NULL.
 */
static bool
is_same(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

/*
 * Return whether an object, which another schema does not have, is part of one that
 * it does not have either.
 */
static bool
is_part(const Schema *other, const SchemaObject *object, bool created)
{
	if (object->owner == NULL || (created && !object->kind->part_of_owner))
		return false;
	return mig_objects_find(other, object->owner) == NULL;
}

/*
 * Append a difference to a list.
 */
static List *
append(List *list, const SchemaObject *from, const SchemaObject *to, List *properties)
{
	Difference *difference = palloc0(sizeof(Difference));

	difference->from = from;
	difference->to = to;
	difference->properties = properties;
	return lappend(list, difference);
}

/*
 * Return whether two objects differ in nothing but texts that the server has
 * printed.
 */
bool
mig_compare_is_text(const Difference *difference)
{
	ListCell   *lc;

	if (difference->from == NULL || difference->to == NULL)
		return false;
	foreach(lc, difference->properties)
	{
		const ObjectProperty *property = lfirst(lc);

		if (!is_text(property->name) || property->value == NULL ||
			mig_objects_property(difference->from, property->name) == NULL)
			return false;
	}
	return true;
}

/*
 * Return whether a property is a text that the server has printed.
 */
static bool
is_text(const char *name)
{
	for (size_t i = 0; i < lengthof(texts); i++)
		if (strcmp(texts[i], name) == 0)
			return true;
	return false;
}

/*
 * Return what is to be done, as migrate.compare() calls it.
 */
const char *
mig_compare_action(const Difference *difference)
{
	const SchemaObject *object = difference->to ? difference->to : difference->from;

	if (object->kind->create == NULL && !object->kind->part_of_owner)
		return "unsupported";
	if (difference->from == NULL)
		return "create";
	return difference->to == NULL ? "drop" : "alter";
}

/*
 * Return which properties differ, and how where that is short; NULL where an
 * object is to be created or dropped.
 */
const char *
mig_compare_detail(const Difference *difference)
{
	StringInfoData detail;
	ListCell   *lc;

	if (difference->properties == NIL)
		return NULL;
	initStringInfo(&detail);
	foreach(lc, difference->properties)
	{
		const ObjectProperty *property = lfirst(lc);
		const char *from = mig_objects_property(difference->from, property->name);
		const char *to = property->value;

		appendStringInfo(&detail, "%s%s", detail.len > 0 ? "; " : "", property->name);
		if ((from == NULL || (strlen(from) <= MAX_SHOWN && strchr(from, '\n') == NULL)) &&
			(to == NULL || (strlen(to) <= MAX_SHOWN && strchr(to, '\n') == NULL)))
			appendStringInfo(&detail, ": %s -> %s", from ? from : "none", to ? to : "none");
	}
	return detail.data;
}

/*
 * Return what would have to be done, a line each; of many, the first.
 */
char *
mig_compare_list(List *differences)
{
	StringInfoData list;
	ListCell   *lc;

	initStringInfo(&list);
	foreach(lc, differences)
	{
		if (foreach_current_index(lc) == MAX_LISTED)
		{
			appendStringInfo(&list, "\nAnd %d more.", list_length(differences) - MAX_LISTED);
			break;
		}
		appendStringInfo(&list, "%s%s", list.len > 0 ? "\n" : "",
						 mig_compare_line(lfirst(lc)));
	}
	return list.data;
}

/*
 * Return what would have to be done about a difference, in a line.
 */
char *
mig_compare_line(const Difference *difference)
{
	const SchemaObject *object = difference->to ? difference->to : difference->from;
	const char *detail = mig_compare_detail(difference);

	return psprintf("%s %s %s%s%s", mig_compare_action(difference), object->kind->name,
					object->identity, detail ? ": " : "", detail ? detail : "");
}
