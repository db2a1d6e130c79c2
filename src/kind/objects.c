/*
 * objects.c
 *		Database objects and whole schemas in memory: identity, properties, uses.
 *
 * Everything is allocated in the current memory context, and lives as long as
 * that.
 */
#include "migrate.h"

#include "commands/defrem.h"
#include "common/hashfn.h"
#include "kind/objects.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* An entry of by_key; the key is a string in the entry's own memory. */
typedef struct KeyEntry
{
	const char *key;
	SchemaObject *object;
} KeyEntry;

/* An entry of by_address. */
typedef struct AddressEntry
{
	ObjectAddress address;
	SchemaObject *object;
} AddressEntry;

static const char *key_of(const SchemaObject *object);
static const char *identity_of(const SchemaObject *object);
static uint32 hash_key(const void *key, Size size);
static int	match_key(const void *a, const void *b, Size size);

/*
 * Return a schema without objects; names are those of the managed schemas.
 */
Schema *
mig_objects_new_schema(List *names)
{
	Schema	   *schema = palloc0(sizeof(Schema));
	HASHCTL		by_key = {.keysize = sizeof(char *), .entrysize = sizeof(KeyEntry),
		.hash = hash_key, .match = match_key, .hcxt = CurrentMemoryContext};
	HASHCTL		by_address = {.keysize = sizeof(ObjectAddress),
		.entrysize = sizeof(AddressEntry), .hcxt = CurrentMemoryContext};

	schema->names = names;
	schema->by_key = hash_create("migrate objects by name", 1024, &by_key,
								 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	schema->by_address = hash_create("migrate objects by address", 1024, &by_address,
									 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return schema;
}

/*
 * Add an object, whose names and address are there, to a schema; link it with
 * its owner.
 */
void
mig_objects_add(Schema *schema, SchemaObject *object)
{
	const char *key = key_of(object);
	KeyEntry   *entry = hash_search(schema->by_key, &key, HASH_ENTER, NULL);

	entry->object = object;
	object->identity = identity_of(object);
	object->number = list_length(schema->objects);
	schema->objects = lappend(schema->objects, object);
	mig_objects_alias(schema, &object->address, object);
	if (object->owner != NULL)
		object->owner->children = lappend(object->owner->children, object);
}

/*
 * Have a schema forget all but some of its objects (SchemaObject *), which are in
 * its order.
 */
void
mig_objects_keep(Schema *schema, List *objects)
{
	int			number = 0;
	ListCell   *lc;

	foreach(lc, schema->objects)
		((SchemaObject *) lfirst(lc))->number = -1;
	foreach(lc, objects)
		((SchemaObject *) lfirst(lc))->number = number++;
	foreach(lc, schema->objects)
	{
		SchemaObject *object = lfirst(lc);
		const char *key;

		if (object->number >= 0)
			continue;
		key = key_of(object);
		(void) hash_search(schema->by_key, &key, HASH_REMOVE, NULL);
	}
	schema->objects = objects;
}

/*
 * Return the object of a schema that has the kind and the names of another, or
 * NULL.
 */
SchemaObject *
mig_objects_find(const Schema *schema, const SchemaObject *like)
{
	const char *key = key_of(like);
	KeyEntry   *entry = hash_search(schema->by_key, &key, HASH_FIND, NULL);

	return entry != NULL ? entry->object : NULL;
}

/*
 * Return the object at an address of the catalogs, or that the address belongs
 * to, or NULL.
 */
SchemaObject *
mig_objects_at(const Schema *schema, const ObjectAddress *address)
{
	AddressEntry *entry = hash_search(schema->by_address, address, HASH_FIND, NULL);

	return entry != NULL ? entry->object : NULL;
}

/*
 * Note that an address, such as that of a table's row type, belongs to an
 * object.
 */
void
mig_objects_alias(Schema *schema, const ObjectAddress *address, SchemaObject *object)
{
	AddressEntry *entry = hash_search(schema->by_address, address, HASH_ENTER, NULL);

	entry->object = object;
}

/*
 * Return a copy of an object with another name.
 */
SchemaObject *
mig_objects_renamed(const SchemaObject *object, const char *name)
{
	SchemaObject *renamed = palloc(sizeof(SchemaObject));

	*renamed = *object;
	renamed->name = name;
	renamed->identity = identity_of(renamed);
	return renamed;
}

/*
 * Return the value of a property, NULL when it is not set.  Errors: XX000 when
 * the kind has no such property.
 */
const char *
mig_objects_property(const SchemaObject *object, const char *name)
{
	for (int i = 0; i < object->nproperties; i++)
		if (strcmp(object->properties[i].name, name) == 0)
			return object->properties[i].value;
	elog(ERROR, "kind \"%s\" has no property \"%s\"", object->kind->name, name);
	return NULL;				/* not reached */
}

/*
 * Return whether an object has a property, set or not.
 */
bool
mig_objects_has_property(const SchemaObject *object, const char *name)
{
	for (int i = 0; i < object->nproperties; i++)
		if (strcmp(object->properties[i].name, name) == 0)
			return true;
	return false;
}

/*
 * Return the name that an object has while another takes its place.
 */
const char *
mig_objects_aside_name(const SchemaObject *object)
{
	return makeObjectName(object->name, NULL, "old");
}

/*
 * Return whether an object is a partitioned table.
 */
bool
mig_objects_is_partitioned(const SchemaObject *object)
{
	return mig_objects_has_property(object, "partition_key") &&
		mig_objects_property(object, "partition_key") != NULL;
}

/*
 * Return the quoted name of an object with that of its schema.
 */
const char *
mig_objects_qualified(const SchemaObject *object)
{
	return quote_qualified_identifier(object->schema, object->name);
}

/*
 * Return the quoted name of what an object belongs to, with that of its schema.
 */
const char *
mig_objects_parent(const SchemaObject *object)
{
	return quote_qualified_identifier(object->schema, object->parent);
}

/*
 * Return what identifies an object among all of a schema.
 */
static const char *
key_of(const SchemaObject *object)
{
	return psprintf("%s\001%s\001%s\001%s\001%s", object->kind->name,
					object->schema ? object->schema : "",
					object->parent ? object->parent : "", object->name,
					object->arguments ? object->arguments : "");
}

/*
 * Return what messages call an object.
 */
static const char *
identity_of(const SchemaObject *object)
{
	if (object->kind->identity == IDENTITY_COLUMN)
		return psprintf("%s.%s", mig_objects_parent(object),
						quote_identifier(object->name));
	if (object->parent != NULL)
		return psprintf("%s on %s", quote_identifier(object->name),
						mig_objects_parent(object));
	if (object->kind->identity == IDENTITY_AS_IS)
		return object->name;
	if (object->kind->identity == IDENTITY_OPERATOR)
		return psprintf("%s.%s (%s)", quote_identifier(object->schema), object->name,
						object->arguments);
	if (object->kind->identity == IDENTITY_USING)
		return psprintf("%s USING %s", mig_objects_qualified(object), object->arguments);
	if (object->arguments != NULL)
		return psprintf("%s(%s)", mig_objects_qualified(object), object->arguments);
	return mig_objects_qualified(object);
}

/*
 * Hash a key, for the table by_key.
 */
static uint32
hash_key(const void *key, Size size pg_attribute_unused())
{
	const char *string = *(const char *const *) key;

	return hash_bytes((const unsigned char *) string, strlen(string));
}

/*
 * Compare two keys, for the table by_key.
 */
static int
match_key(const void *a, const void *b, Size size pg_attribute_unused())
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}
