/*
 * privileges.c
 *		Privileges as lists, and those of new objects.
 *
 * Default privileges give a new object more than it has without them, or less.  Those of
 * a schema are given besides those of the database, which take the place of what a new
 * object has without any.
 *
 * Everything is allocated in the current memory context.
 */
#include "migrate.h"

#include "catalog/pg_default_acl.h"
#include "compat.h"
#include "kind/privileges.h"
#include "utils/builtins.h"

/* The types of objects that there are default privileges of. */
typedef struct DefaultType
{
	char		code;			/* in pg_default_acl */
	ObjectType	type;
} DefaultType;

static const DefaultType types[] = {
	{'r', OBJECT_TABLE}, {'S', OBJECT_SEQUENCE}, {'f', OBJECT_FUNCTION}, {'T', OBJECT_TYPE},
	{'n', OBJECT_SCHEMA}, {'L', OBJECT_LARGEOBJECT}
};

static List *items_of_creator(List *defaults, Oid creator, const SchemaObject *object,
							  ObjectType type, Oid owner, List *without);
static const AclItem *as_owner(const AclItem *item, Oid creator, Oid owner);
static List *unite(List *items, List *others);
static List *intersect(List *items, List *others);
static AclItem *make_item(const AclItem *like, AclMode rights, AclMode options);

/*
 * Return the items (AclItem *) of privileges.
 */
List *
mig_privileges_items(const Acl *acl)
{
	List	   *items = NIL;

	for (int i = 0; i < ACL_NUM(acl); i++)
		items = lappend(items, &ACL_DAT(acl)[i]);
	return items;
}

/*
 * Return the items (AclItem *) of privileges as they were read, separated by commas;
 * NULL: none.  A comma can be in a name, which has quotes then.
 */
List *
mig_privileges_parse(const char *text)
{
	List	   *items = NIL;

	while (text != NULL && *text != '\0')
	{
		bool		quoted = false;
		const char *end = text;

		for (; *end != '\0' && (quoted || *end != ','); end++)
			if (*end == '"')
				quoted = !quoted;
		items = lappend(items, DatumGetAclItemP(
							DirectFunctionCall1(aclitemin,
												CStringGetDatum(pnstrdup(text, end - text)))));
		text = *end == ',' ? end + strspn(end, ", ") : end;
	}
	return items;
}

/*
 * Return the item of a list (AclItem *) that has the roles of another; NULL: none.
 */
const AclItem *
mig_privileges_find(List *items, const AclItem *like)
{
	ListCell   *lc;

	foreach(lc, items)
	{
		const AclItem *item = lfirst(lc);

		if (item->ai_grantee == like->ai_grantee && item->ai_grantor == like->ai_grantor)
			return item;
	}
	return NULL;
}

/*
 * Return the privileges that a new object of a type may have, and those that it has, when it
 * has been given to its owner: by some default privileges (SchemaObject *), whichever role
 * makes it; without them, the last ones (AclItem *).
 */
NewPrivileges
mig_privileges_of_new(List *defaults, const SchemaObject *object, ObjectType type,
						  Oid owner, List *without)
{
	NewPrivileges	grants = {without, without};
	ListCell   *lc;

	foreach(lc, defaults)
	{
		Oid			creator = mig_privileges_default_role(lfirst(lc));
		List	   *items = items_of_creator(defaults, creator, object, type, owner, without);

		grants.possible = unite(grants.possible, items);
		grants.certain = intersect(grants.certain, items);
	}
	return grants;
}

/*
 * Return the privileges of a new object (AclItem *) when a role has made it.
 */
static List *
items_of_creator(List *defaults, Oid creator, const SchemaObject *object, ObjectType type,
				 Oid owner, List *without)
{
	List	   *items = without;
	List	   *more = NIL;
	ListCell   *lc;

	foreach(lc, defaults)
	{
		const SchemaObject *other = lfirst(lc);
		const char *schema = mig_objects_property(other, "in_schema");
		List	   *given = NIL;
		ListCell   *item;

		if (mig_privileges_default_role(other) != creator ||
			mig_privileges_default_type(other) != type ||
			(schema != NULL && (object->schema == NULL || strcmp(schema, object->schema) != 0)))
			continue;
		foreach(item, mig_privileges_parse(mig_objects_property(other, "grants")))
			given = unite(given, list_make1(unconstify(AclItem *, as_owner(lfirst(item),
																		   creator, owner))));
		if (schema != NULL)
			more = given;
		else
			items = given;
	}
	return unite(items, more);
}

/*
 * Return an item as it is when the object has been given to its owner.
 */
static const AclItem *
as_owner(const AclItem *item, Oid creator, Oid owner)
{
	AclItem    *own = palloc(sizeof(AclItem));

	*own = *item;
	own->ai_grantor = owner;
	if (item->ai_grantee == creator)
		own->ai_grantee = owner;
	return own;
}

/*
 * Return what is in one of two lists (AclItem *).
 */
static List *
unite(List *items, List *others)
{
	List	   *united = NIL;
	ListCell   *lc;

	foreach(lc, items)
	{
		const AclItem *item = lfirst(lc);
		const AclItem *other = mig_privileges_find(others, item);

		united = lappend(united, other == NULL ? unconstify(AclItem *, item) :
						 make_item(item, ACLITEM_GET_PRIVS(*item) | ACLITEM_GET_PRIVS(*other),
								   ACLITEM_GET_GOPTIONS(*item) | ACLITEM_GET_GOPTIONS(*other)));
	}
	foreach(lc, others)
		if (mig_privileges_find(items, lfirst(lc)) == NULL)
			united = lappend(united, lfirst(lc));
	return united;
}

/*
 * Return what is in both of two lists (AclItem *).
 */
static List *
intersect(List *items, List *others)
{
	List	   *both = NIL;
	ListCell   *lc;

	foreach(lc, items)
	{
		const AclItem *item = lfirst(lc);
		const AclItem *other = mig_privileges_find(others, item);

		if (other != NULL)
			both = lappend(both, make_item(item,
										   ACLITEM_GET_PRIVS(*item) & ACLITEM_GET_PRIVS(*other),
										   ACLITEM_GET_GOPTIONS(*item) &
										   ACLITEM_GET_GOPTIONS(*other)));
	}
	return both;
}

/*
 * Return an item of the roles of another.
 */
static AclItem *
make_item(const AclItem *like, AclMode rights, AclMode options)
{
	AclItem    *item = palloc(sizeof(AclItem));

	*item = *like;
	ACLITEM_SET_PRIVS_GOPTIONS(*item, rights, options);
	return item;
}

/*
 * Return the role whose new objects get default privileges.  Errors: 42704 when it is gone
 * meanwhile.
 */
Oid
mig_privileges_default_role(const SchemaObject *object)
{
	return get_role_oid(mig_objects_property(object, "role"), false);
}

/*
 * Return the type of the objects that get default privileges.
 */
ObjectType
mig_privileges_default_type(const SchemaObject *object)
{
	char		code = *mig_objects_property(object, "type");

	for (size_t i = 0; i < lengthof(types); i++)
		if (types[i].code == code)
			return types[i].type;
	elog(ERROR, "unexpected type of default privileges \"%c\"", code);
	return OBJECT_TABLE;		/* not reached */
}

/*
 * Return the beginning of a statement that changes default privileges.
 */
const char *
mig_privileges_default_prefix(const SchemaObject *object)
{
	return psprintf("ALTER DEFAULT PRIVILEGES %.*s ",
					(int) (mig_privileges_default_target(object) - object->name) - 4,
					object->name);
}

/*
 * Return what such a statement has after ON.
 */
const char *
mig_privileges_default_target(const SchemaObject *object)
{
	const char *target = NULL;

	/* a role can be called like that, too */
	for (const char *at = object->name; (at = strstr(at, " ON ")) != NULL; at++)
		target = at + 4;
	return target;
}
