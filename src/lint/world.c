/*
 * world.c
 *		The relations that the statements of a plan meet: those of the catalogs, and
 *		what the plan has done to them so far.
 *
 * A relation is looked up in what the plan has made, renamed and dropped, and then
 * in the catalogs, as the script would find it: with the search_path
 * of the session, which the walk over a script sets as the script does.  What is
 * not there is NULL.
 *
 * All is in the memory context of the world.
 */
#include "migrate.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "lint/world.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

/* An entry of the names. */
typedef struct Entry
{
	char		key[2 * NAMEDATALEN];
	WorldRelation *relation;	/* NULL: there is none any more */
} Entry;

static WorldRelation *find_in(World *world, const char *schema, const char *name);
static WorldRelation *take(World *world, Oid oid, const char *schema, const char *name);
static void enter(World *world, WorldRelation *relation);
static void make_key(char *key, const char *schema, const char *name);
static char *schema_of_new(const World *world, const RangeVar *name);
static List *path(void);

/*
 * Return an empty world, in the current memory context, and have relations of the
 * catalogs read by a function, which gets their OID, schema and name.
 */
World *
mig_world_create(void (*read) (World *world, WorldRelation *relation))
{
	World	   *world = palloc0(sizeof(World));
	HASHCTL		control;

	memset(&control, 0, sizeof(control));
	control.keysize = 2 * NAMEDATALEN;
	control.entrysize = sizeof(Entry);
	control.hcxt = CurrentMemoryContext;
	world->context = CurrentMemoryContext;
	world->read = read;
	world->entries = hash_create("migrate lint relations", 256, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return world;
}

/*
 * Return the relation that a name of a script means, or NULL.
 */
WorldRelation *
mig_world_find(World *world, const RangeVar *name)
{
	ListCell   *lc;

	if (name == NULL)
		return NULL;
	if (name->schemaname != NULL)
		return find_in(world, name->schemaname, name->relname);
	foreach(lc, path())
	{
		WorldRelation *relation = find_in(world, lfirst(lc), name->relname);

		if (relation != NULL)
			return relation;
	}
	return NULL;
}

/*
 * Return the relation that a list of names (String) means, or NULL.
 */
WorldRelation *
mig_world_find_names(World *world, List *names)
{
	RangeVar	name = {.type = T_RangeVar};
	int			n = list_length(names);

	if (n < 1 || n > 3)
		return NULL;
	name.relname = strVal(llast(names));
	if (n > 1)
		name.schemaname = strVal(list_nth(names, n - 2));
	return mig_world_find(world, &name);
}

/*
 * Return a relation of the catalogs by its OID; NULL when it is not there, or the
 * plan dropped it.
 */
WorldRelation *
mig_world_find_oid(World *world, Oid oid)
{
	char	   *name;
	char	   *schema;
	ListCell   *lc;

	foreach(lc, world->relations)
	{
		WorldRelation *relation = lfirst(lc);

		if (relation->oid == oid)
			return relation->dropped ? NULL : relation;
	}
	name = get_rel_name(oid);
	schema = name == NULL ? NULL : get_namespace_name(get_rel_namespace(oid));
	return schema == NULL ? NULL : take(world, oid, schema, name);
}

/*
 * Return whether the plan has dropped a relation of the catalogs.
 */
bool
mig_world_has_dropped(const World *world, Oid oid)
{
	ListCell   *lc;

	foreach(lc, world->relations)
	{
		const WorldRelation *relation = lfirst(lc);

		if (relation->oid == oid)
			return relation->dropped;
	}
	return false;
}

/*
 * Return the relation of a schema, or NULL.
 */
static WorldRelation *
find_in(World *world, const char *schema, const char *name)
{
	char		key[2 * NAMEDATALEN];
	Entry	   *entry;
	Oid			namespace;
	Oid			oid;

	make_key(key, schema, name);
	entry = hash_search(world->entries, key, HASH_FIND, NULL);
	if (entry != NULL)
		return entry->relation;
	if (strcmp(schema, "pg_temp") == 0)
		return NULL;
	namespace = get_namespace_oid(schema, true);
	oid = OidIsValid(namespace) ? get_relname_relid(name, namespace) : InvalidOid;
	return OidIsValid(oid) ? take(world, oid, schema, name) : NULL;
}

/*
 * Read a relation of the catalogs and enter it under its name.
 */
static WorldRelation *
take(World *world, Oid oid, const char *schema, const char *name)
{
	MemoryContext old = MemoryContextSwitchTo(world->context);
	WorldRelation *relation = palloc0(sizeof(WorldRelation));

	relation->oid = oid;
	relation->schema = pstrdup(schema);
	relation->name = pstrdup(name);
	enter(world, relation);
	world->relations = lappend(world->relations, relation);
	world->read(world, relation);
	MemoryContextSwitchTo(old);
	return relation;
}

/*
 * Add a relation that the plan makes, and return it.
 */
WorldRelation *
mig_world_add(World *world, const RangeVar *name, char kind)
{
	MemoryContext old = MemoryContextSwitchTo(world->context);
	WorldRelation *relation = palloc0(sizeof(WorldRelation));

	relation->schema = schema_of_new(world, name);
	relation->name = pstrdup(name->relname);
	relation->kind = kind;
	relation->persistence = name->relpersistence;
	relation->made = true;
	enter(world, relation);
	world->relations = lappend(world->relations, relation);
	MemoryContextSwitchTo(old);
	return relation;
}

/*
 * Return the schema in which a statement makes what it names so.
 */
static char *
schema_of_new(const World *world, const RangeVar *name)
{
	ListCell   *lc;

	if (name->schemaname != NULL)
		return pstrdup(name->schemaname);
	if (name->relpersistence == RELPERSISTENCE_TEMP)
		return pstrdup("pg_temp");
	foreach(lc, path())
	{
		const char *schema = lfirst(lc);

		if (strcmp(schema, "pg_temp") == 0 || strcmp(schema, "pg_catalog") == 0)
			continue;
		if (mig_world_has(world->schemas, schema) ||
			OidIsValid(get_namespace_oid(schema, true)))
			return pstrdup(schema);
	}
	return pstrdup("public");
}

/*
 * Give a relation another name; NULL leaves its schema or its name.
 */
void
mig_world_rename(World *world, WorldRelation *relation, const char *schema,
				 const char *name)
{
	MemoryContext old = MemoryContextSwitchTo(world->context);
	char		key[2 * NAMEDATALEN];
	Entry	   *entry;
	bool		found;

	make_key(key, relation->schema, relation->name);
	entry = hash_search(world->entries, key, HASH_ENTER, &found);
	entry->relation = NULL;
	if (schema != NULL)
		relation->schema = pstrdup(schema);
	if (name != NULL)
		relation->name = pstrdup(name);
	enter(world, relation);
	MemoryContextSwitchTo(old);
}

/*
 * Note that the plan drops a relation, and its indexes with it.
 */
void
mig_world_drop(World *world, WorldRelation *relation)
{
	char		key[2 * NAMEDATALEN];
	Entry	   *entry;
	bool		found;
	ListCell   *lc;

	make_key(key, relation->schema, relation->name);
	entry = hash_search(world->entries, key, HASH_ENTER, &found);
	entry->relation = NULL;
	relation->dropped = true;
	if (relation->table != NULL)
		relation->table->indexes = list_delete_ptr(relation->table->indexes, relation);
	foreach(lc, list_copy(relation->indexes))
		mig_world_drop(world, lfirst(lc));
}

/*
 * Enter a relation under its name.
 */
static void
enter(World *world, WorldRelation *relation)
{
	Entry	   *entry;
	bool		found;

	make_key(relation->key, relation->schema, relation->name);
	entry = hash_search(world->entries, relation->key, HASH_ENTER, &found);
	entry->relation = relation;
}

/*
 * Write the key of a name.
 */
static void
make_key(char *key, const char *schema, const char *name)
{
	memset(key, 0, 2 * NAMEDATALEN);
	strlcpy(key, schema, NAMEDATALEN);
	strlcpy(key + NAMEDATALEN, name, NAMEDATALEN);
}

/*
 * Return the schemas (char *) in which names without one are looked for, in order,
 * also those that are not there yet.
 */
static List *
path(void)
{
	List	   *names;
	List	   *result = NIL;
	ListCell   *lc;

	if (!SplitIdentifierString(pstrdup(namespace_search_path), ',', &names))
		return NIL;
	if (!mig_world_has(names, "pg_temp"))
		result = lappend(result, "pg_temp");
	if (!mig_world_has(names, "pg_catalog"))
		result = lappend(result, "pg_catalog");
	foreach(lc, names)
	{
		char	   *name = lfirst(lc);

		if (strcmp(name, "$user") == 0)
			name = GetUserNameFromId(GetUserId(), true);
		if (name != NULL)
			result = lappend(result, name);
	}
	return result;
}

/*
 * Return the name of a relation for a message, with its schema and quoted where
 * that is needed.
 */
char *
mig_world_identity(const WorldRelation *relation)
{
	return quote_qualified_identifier(relation->schema, relation->name);
}

/*
 * Return a column of a table, or NULL.
 */
WorldColumn *
mig_world_column(const WorldRelation *table, const char *name)
{
	ListCell   *lc;

	if (table->table != NULL)
		return NULL;
	foreach(lc, table->columns)
	{
		WorldColumn *column = lfirst(lc);

		if (strcmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

/*
 * Return a constraint of a table, or NULL.
 */
WorldConstraint *
mig_world_constraint(const WorldRelation *table, const char *name)
{
	ListCell   *lc;

	foreach(lc, table->constraints)
	{
		WorldConstraint *constraint = lfirst(lc);

		if (strcmp(constraint->name, name) == 0)
			return constraint;
	}
	return NULL;
}

/*
 * Return whether an index of a table begins with some columns (char *), in any order;
 * with unique, whether one makes rows with equal values in them impossible: it has no
 * other columns, and covers all rows.
 */
bool
mig_world_is_indexed(const WorldRelation *table, List *columns, bool unique)
{
	ListCell   *lc;

	foreach(lc, table->indexes)
	{
		const WorldRelation *index = lfirst(lc);
		int			n = 0;
		ListCell   *column;

		if (index->partial || (unique && !index->unique))
			continue;
		foreach(column, index->columns)
		{
			if (lfirst(column) == NULL || !mig_world_has(columns, lfirst(column)))
				break;
			n++;
		}
		if (unique ? n == list_length(index->columns) : n >= list_length(columns))
			return true;
	}
	return false;
}

/*
 * Return the type or function of a name that the plan made last, or NULL.
 */
const WorldObject *
mig_world_object(const World *world, char kind, const char *name)
{
	const WorldObject *found = NULL;
	ListCell   *lc;

	foreach(lc, world->objects)
	{
		const WorldObject *object = lfirst(lc);

		if (object->kind == kind && strcmp(object->name, name) == 0)
			found = object;
	}
	return found;
}

/*
 * Return whether a name is in a list (char *, without NULL).
 */
bool
mig_world_has(const List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}
