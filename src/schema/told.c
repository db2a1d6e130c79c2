/*
 * told.c
 *		Renames that a caller tells.
 *
 * Their order means nothing.  What belongs to a table is named with the table's old or new
 * name, and renamed before the table; a name that another object has is taken after that
 * one has been renamed.  Names are read as in SQL.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "parser/scansup.h"
#include "schema/rename.h"
#include "schema/told.h"
#include "script/text.h"
#include "utils/builtins.h"

/* A rename as it was told: "kind identity -> new_name". */
typedef struct Told
{
	const char *text;
	const char *old;			/* what is before the arrow, without white space around */
	const char *key;			/* the same in the form of key_of */
	const char *name;
	const SchemaObject *object; /* that has the old name; NULL: not found yet */
} Told;

static Told *parse(const char *text);
static void refuse(const char *text);
static const char *key_of(const char *text, const char *end);
static const char *next_token(const char *at, char **name);
static bool is_name_begin(char c);
static void find(const Schema *live, List *all, List *parents, bool of_parent);
static const char *key_under(const SchemaObject *object, const char *parent);
static const char *renamed_parent(const SchemaObject *object, List *parents);
static void check(const Told *told, const Schema *live, const Schema *declared, List *all,
				  List *parents);
static bool is_declared(const Schema *declared, const SchemaObject *like);
static bool is_renamed(const SchemaObject *object, List *all);
static bool is_in_place_of(const SchemaObject *object, const Told *told);
static bool is_same(const char *one, const char *other);
static bool is_same_target(const Told *one, const Told *other);
static List *sort(List *all);
static bool is_free(const Told *told, List *left);

/*
 * Return the renames (Rename *) that some texts (char *) tell, in an order in which they can
 * be done.  The models (Model *) may rename the tables.  Errors: 22023 for what cannot be
 * read or is renamed twice, 42704 for an object that does not exist, and for a new name
 * that is not declared, 42710 for one that is taken, 0A000 for a circle.
 */
List *
mig_told_read(const Schema *live, const Schema *declared, List *models, List *texts)
{
	List	   *all = NIL;
	List	   *parents = NIL;
	List	   *renames = NIL;
	ListCell   *lc;

	if (texts == NIL)
		return NIL;
	foreach(lc, texts)
		all = lappend(all, parse(lfirst(lc)));
	find(live, all, NIL, false);
	foreach(lc, all)
	{
		const Told *told = lfirst(lc);

		if (told->object != NULL)
			parents = lappend(parents, mig_rename_make(told->object, told->name));
	}
	parents = list_concat(parents, mig_rename_read_models(live, declared, models));
	find(live, all, parents, true);
	foreach(lc, all)
		check(lfirst(lc), live, declared, all, parents);
	foreach(lc, sort(all))
	{
		const Told *told = lfirst(lc);

		renames = lappend(renames, mig_rename_make(told->object, told->name));
	}
	return renames;
}

/*
 * Read a rename.  Errors: 22023.
 */
static Told *
parse(const char *text)
{
	Told	   *told = palloc0(sizeof(Told));
	const char *at = text;
	const char *arrow = NULL;
	char	   *name;

	while (at != NULL && *at != '\0' && arrow == NULL)
	{
		if (strncmp(at, "->", 2) == 0)
			arrow = at;
		else
			at = next_token(at, &name);
	}
	if (arrow == NULL)
		refuse(text);
	told->text = text;
	told->old = mig_text_trim(text, arrow - text);
	told->key = key_of(text, arrow);
	at = arrow + 2;
	while (scanner_isspace(*at))
		at++;
	at = next_token(at, &name);
	told->name = name;
	while (at != NULL && scanner_isspace(*at))
		at++;
	if (*told->old == '\0' || told->key == NULL || name == NULL || *at != '\0')
		refuse(text);
	return told;
}

/*
 * Report a rename that cannot be read.
 */
static void
refuse(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid rename \"%s\"", text),
			 errhint("Renames look like \"column public.users.fullname -> full_name\", with names as in SQL.")));
}

/*
 * Return a text with each name in it written in one way, and no white space but between two
 * names; NULL when it cannot be read.
 */
static const char *
key_of(const char *text, const char *end)
{
	StringInfoData key;
	bool		after_name = false;

	initStringInfo(&key);
	while (text < end)
	{
		const char *begin = text;
		char	   *name;

		if (scanner_isspace(*text))
		{
			text++;
			continue;
		}
		text = next_token(text, &name);
		if (text == NULL)
			return NULL;
		if (name != NULL)
			appendStringInfo(&key, "%s%s", after_name ? " " : "", quote_identifier(name));
		else
			appendBinaryStringInfo(&key, begin, text - begin);
		after_name = name != NULL;
	}
	return key.data;
}

/*
 * Read a token, a name or one character, and return its end; NULL when it cannot be read.  The
 * name is NULL for others.
 */
static const char *
next_token(const char *at, char **name)
{
	StringInfoData quoted;

	*name = NULL;
	if (is_name_begin(*at))
	{
		const char *end = at;

		while (is_name_begin(*end) || (*end >= '0' && *end <= '9') || *end == '$')
			end++;
		*name = downcase_truncate_identifier(at, end - at, false);
		return end;
	}
	if (*at != '"')
		return *at != '\0' ? at + 1 : at;
	initStringInfo(&quoted);
	for (at++; *at != '"' || at[1] == '"'; at++)
	{
		if (*at == '\0')
			return NULL;
		appendStringInfoChar(&quoted, *at);
		if (*at == '"')
			at++;
	}
	if (quoted.len == 0)
		return NULL;
	truncate_identifier(quoted.data, quoted.len, false);
	*name = quoted.data;
	return at + 1;
}

/*
 * Return whether a name that is not quoted can begin with a character.
 */
static bool
is_name_begin(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || IS_HIGHBIT_SET(c);
}

/*
 * Find the objects of renames (Told *): those that belong to others, under the old and the new
 * names of these (Rename *), or all the rest.
 */
static void
find(const Schema *live, List *all, List *parents, bool of_parent)
{
	ListCell   *lc;

	foreach(lc, live->objects)
	{
		const SchemaObject *object = lfirst(lc);
		const char *parent;
		const char *old;
		const char *new;
		ListCell   *cell;

		if ((object->parent != NULL) != of_parent)
			continue;
		parent = renamed_parent(object, parents);
		old = key_under(object, object->parent);
		new = parent != NULL ? key_under(object, parent) : NULL;
		foreach(cell, all)
		{
			Told	   *told = lfirst(cell);

			if (old != NULL && strcmp(told->key, old) == 0)
				told->object = object;
			else if (new != NULL && told->object == NULL && strcmp(told->key, new) == 0)
				told->object = object;
		}
	}
}

/*
 * Return the key of an object, if it belonged to something of that name; NULL: none.
 */
static const char *
key_under(const SchemaObject *object, const char *parent)
{
	SchemaObject like = *object;
	const char *text;

	like.parent = parent;
	text = psprintf("%s %s", object->kind->name,
					mig_objects_renamed(&like, object->name)->identity);
	return key_of(text, text + strlen(text));
}

/*
 * Return the new name of what an object belongs to, according to some renames (Rename *);
 * NULL: none.
 */
static const char *
renamed_parent(const SchemaObject *object, List *parents)
{
	ListCell   *lc;

	if (object->parent == NULL)
		return NULL;
	foreach(lc, parents)
	{
		const Rename *rename = lfirst(lc);

		if (rename->object->parent == NULL && object->owner != NULL &&
			rename->object->kind == object->owner->kind &&
			is_same(rename->object->schema, object->schema) &&
			strcmp(rename->object->name, object->parent) == 0)
			return rename->name;
	}
	return NULL;
}

/*
 * Check that a rename can be done and leads to what is declared.
 */
static void
check(const Told *told, const Schema *live, const Schema *declared, List *all, List *parents)
{
	SchemaObject like;
	const SchemaObject *after;
	ListCell   *lc;

	if (told->object == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s does not exist", told->old),
				 errhint("Renames name a kind and an object as migrate.compare() does, \"column public.users.fullname -> full_name\".")));
	foreach(lc, all)
	{
		const Told *other = lfirst(lc);

		if (other != told && (other->object == told->object || is_same_target(other, told)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("renames \"%s\" and \"%s\" exclude each other", other->text,
							told->text),
					 errhint("Each object, and each new name, can be in one rename only.")));
	}
	like = *told->object;
	if (renamed_parent(told->object, parents) != NULL)
		like.parent = renamed_parent(told->object, parents);
	after = mig_objects_renamed(&like, told->name);
	if (!is_declared(declared, after))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s %s is not in the models", after->kind->name, after->identity),
				 errhint("The new name of \"%s\" has to be one that the models declare.",
						 told->text)));
	foreach(lc, live->objects)
		if (is_in_place_of(lfirst(lc), told) && !is_renamed(lfirst(lc), all))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("%s %s already exists", after->kind->name, after->identity),
					 errhint("Rename or drop it in a revision of its own first.")));
}

/*
 * Return whether there is an object of that kind and name in a schema.  Types of arguments can
 * have other names.
 */
static bool
is_declared(const Schema *declared, const SchemaObject *like)
{
	ListCell   *lc;

	foreach(lc, declared->objects)
	{
		const SchemaObject *object = lfirst(lc);

		if (object->kind == like->kind && strcmp(object->name, like->name) == 0 &&
			is_same(object->schema, like->schema) && is_same(object->parent, like->parent))
			return true;
	}
	return false;
}

/*
 * Return whether an object is among those to be renamed (Told *).
 */
static bool
is_renamed(const SchemaObject *object, List *all)
{
	ListCell   *lc;

	foreach(lc, all)
		if (((const Told *) lfirst(lc))->object == object)
			return true;
	return false;
}

/*
 * Return whether an object has the new name of another one, so that they cannot both be
 * there.
 */
static bool
is_in_place_of(const SchemaObject *object, const Told *told)
{
	const SchemaObject *other = told->object;

	if (object->address.classId != other->address.classId ||
		(object->address.objectSubId != 0) != (other->address.objectSubId != 0) ||
		strcmp(object->name, told->name) != 0 || !is_same(object->schema, other->schema) ||
		!is_same(object->arguments, other->arguments))
		return false;
	/* indexes share their names with tables, whatever they belong to */
	return (object->address.classId == RelationRelationId && object->address.objectSubId == 0) ||
		is_same(object->parent, other->parent);
}

/*
 * Return whether two names, which can be NULL, are the same.
 */
static bool
is_same(const char *one, const char *other)
{
	return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
}

/*
 * Return whether two renames would give two objects the same name.
 */
static bool
is_same_target(const Told *one, const Told *other)
{
	return one->object != NULL && other->object != NULL &&
		is_in_place_of(mig_objects_renamed(one->object, one->name), other);
}

/*
 * Return renames (Told *) in an order in which each name is free when it is given, and what
 * belongs to a table comes before it.  Errors: 0A000.
 */
static List *
sort(List *all)
{
	List	   *left = NIL;
	List	   *sorted = NIL;
	ListCell   *lc;

	foreach(lc, all)
		if (((const Told *) lfirst(lc))->object->parent != NULL)
			left = lappend(left, lfirst(lc));
	foreach(lc, all)
		if (((const Told *) lfirst(lc))->object->parent == NULL)
			left = lappend(left, lfirst(lc));
	while (left != NIL)
	{
		Told	   *next = NULL;

		foreach(lc, left)
			if (next == NULL && is_free(lfirst(lc), left))
				next = lfirst(lc);
		if (next == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("%s cannot take the name of an object that takes its name",
							((const Told *) linitial(left))->old),
					 errhint("Give one of them another name in a revision of its own first.")));
		left = list_delete_ptr(left, next);
		sorted = lappend(sorted, next);
	}
	return sorted;
}

/*
 * Return whether none of the renames that are left (Told *) frees the name that one of them
 * gives.
 */
static bool
is_free(const Told *told, List *left)
{
	ListCell   *lc;

	foreach(lc, left)
		if (is_in_place_of(((const Told *) lfirst(lc))->object, told))
			return false;
	return true;
}
