/*
 * objects.h
 *		Database objects and whole schemas in memory: identity, properties, uses.
 *
 * A schema that was read is a plain structure: it knows the catalogs' texts and
 * OIDs, and stays as it is when the catalogs change.
 */
#ifndef MIG_OBJECTS_H
#define MIG_OBJECTS_H

#include "migrate.h"

#include "catalog/objectaddress.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"

/*
 * The steps in which an object is made.  Each is an action of its own, so that
 * two objects that use each other can be made: one is created, then the other,
 * then the first gets the default that calls it.
 */
typedef enum ObjectPhase
{
	PHASE_CREATE,
	PHASE_DEFAULT,				/* default of a column, query of a view */
	PHASE_ATTACH,				/* partition or index attached to its parent */
	PHASE_STATE,				/* what ALTER says of it afterwards */
	PHASE_COMMENT,
	PHASE_COUNT
} ObjectPhase;

/* Columns of a kind's query that are no properties. */
#define KIND_FIXED_COLUMNS 7

/*
 * Properties that are not compared: the query that a view can begin with and the like, a
 * name that the server would not choose again, whether a column is part of a partition key,
 * and whether a table is rewritten to add it.
 */
#define KIND_STANDIN "standin"
#define KIND_SHARED_NAME "shared_name"
#define KIND_PARTITION_KEY "in_partition_key"
#define KIND_REWRITES "rewrites"

struct SchemaObject;
struct Writer;
struct Action;
struct Difference;

/* How messages name an object. */
typedef enum KindIdentity
{
	IDENTITY_NAME,				/* schema.name(arguments), or "name on schema.parent" */
	IDENTITY_COLUMN,			/* schema.parent.name */
	IDENTITY_OPERATOR,			/* schema.name(types), as messages name operators */
	IDENTITY_USING,				/* schema.name USING arguments */
	IDENTITY_AS_IS				/* the name is that already */
} KindIdentity;

/*
 * A kind of objects.  Its query reads all of them in the managed schemas, whose
 * OIDs are $1 (oid[]), with search_path "pg_catalog, pg_temp", so that nothing in
 * it has to be qualified and all names in its results are.  $2 says whether owners
 * and privileges are read, too.  Its first columns (KIND_COLUMNS) are
 *
 *	id oid, subid int4	address of the object, with the kind's catalog
 *	owner oid			of the kind's owner catalog; 0: none
 *	schema, parent, name, arguments
 *
 * and all others, of type text, are properties, called as the column.  It has no
 * ORDER BY: mig_read_schema adds it.
 */
typedef struct Kind
{
	const char *name;			/* as compare() prints it */
	Oid			catalog;
	Oid			owner_catalog;	/* of the objects that its objects belong to */
	KindIdentity identity;
	bool		part_of_owner;	/* made together with its owner */
	bool		of_database;	/* its objects are in no schema */
	bool		has_rows;		/* rows go with its objects */
	const char *query;

	/*
	 * Write what makes an object; NULL: migrate cannot, and reports differences
	 * as unsupported.
	 */
	void		(*create) (const struct SchemaObject *object, struct Writer *writer);

	/*
	 * Divide what makes an object in two, where it is in a circle: the action that
	 * creates it, which needs nothing but types then, and one of PHASE_DEFAULT.  NULL:
	 * that cannot be done.
	 */
	void		(*divide) (const struct SchemaObject *object, struct Action *create,
						   struct Writer *writer);

	/*
	 * Write what adds an object to its owner, which is there; of kinds that are part
	 * of their owner.
	 */
	void		(*add) (const struct SchemaObject *object, struct Writer *writer);

	/*
	 * Write what alters an object in place where properties differ that not all kinds
	 * have.  Return false, having written anything or nothing, when that cannot be
	 * done; NULL: it never can.
	 */
	bool		(*alter) (const struct Difference *difference, struct Writer *writer);

	/* Return what drops an object; NULL: DROP and what COMMENT ON says. */
	const char *(*drop) (const struct SchemaObject *object);

	/*
	 * Of kinds that are not written, for hints: what CREATE and ALTER have after the
	 * name.
	 */
	const char *create_by_hand;
	const char *alter_by_hand;

	const char *comment_on;		/* the keywords for the kind; NULL: no comments */

	/* Return what COMMENT ON names an object by; NULL: its identity. */
	const char *(*comment_name) (const struct SchemaObject *object);
} Kind;

/* A property: a fact about an object that is compared. */
typedef struct ObjectProperty
{
	const char *name;			/* a constant of the kind's query */
	const char *value;			/* NULL: not set */
} ObjectProperty;

/* An object. */
typedef struct SchemaObject
{
	const Kind *kind;
	ObjectAddress address;		/* in the catalogs, when it was read */
	const char *schema;			/* NULL: of the database */
	const char *parent;			/* name of the table and the like that it belongs
								 * to; NULL: none */
	const char *name;
	const char *arguments;		/* types of a function's; NULL: none */
	const char *identity;		/* as messages name it, without the kind */
	struct SchemaObject *owner; /* the object that parent names; NULL: not read */
	List	   *children;		/* SchemaObject *, those whose owner it is */
	List	   *uses;			/* ObjectUse *; see mig_read_uses */
	int			nproperties;
	ObjectProperty *properties; /* in the order of the kind's query */
	int			number;			/* of the schema's objects, from 0; -1: of none any
								 * more */
} SchemaObject;

/* What becomes of the NOT NULL that a column has or is to have from that of a parent. */
typedef enum ParentNotNull
{
	PARENT_KEEPS_NOT_NULL,
	PARENT_GETS_NOT_NULL,		/* in the place of the column's own */
	PARENT_LOSES_NOT_NULL		/* and the column has one of its own after */
} ParentNotNull;

/* A difference: what would have to be done to one object to make it another. */
typedef struct Difference
{
	const SchemaObject *from;	/* NULL: to be created */
	const SchemaObject *to;		/* NULL: to be dropped */
	List	   *properties;		/* ObjectProperty *, of "to", that differ */
	ParentNotNull parent_not_null;
} Difference;

/* What an object uses. */
typedef struct ObjectUse
{
	SchemaObject *object;
	ObjectPhase phase;			/* of the user, before which it has to be there */
} ObjectUse;

/* All objects of the managed schemas. */
typedef struct Schema
{
	List	   *objects;		/* SchemaObject *, in the order of the kinds, then
								 * that of their queries */
	HTAB	   *by_key;			/* identity to object */
	HTAB	   *by_address;		/* ObjectAddress to object */
	List	   *names;			/* of the managed schemas (char *) */
	bool		has_uses;		/* mig_read_uses has filled them in */
} Schema;

extern Schema *mig_objects_new_schema(List *names);
extern void mig_objects_add(Schema *schema, SchemaObject *object);
extern void mig_objects_keep(Schema *schema, List *objects);
extern SchemaObject *mig_objects_find(const Schema *schema, const SchemaObject *like);
extern SchemaObject *mig_objects_at(const Schema *schema, const ObjectAddress *address);
extern void mig_objects_alias(Schema *schema, const ObjectAddress *address,
							  SchemaObject *object);
extern SchemaObject *mig_objects_renamed(const SchemaObject *object, const char *name);
extern const char *mig_objects_property(const SchemaObject *object, const char *name);
extern const char *mig_objects_qualified(const SchemaObject *object);
extern const char *mig_objects_aside_name(const SchemaObject *object);
extern bool mig_objects_is_partitioned(const SchemaObject *object);
extern bool mig_objects_has_property(const SchemaObject *object, const char *name);
extern const char *mig_objects_parent(const SchemaObject *object);

#endif							/* MIG_OBJECTS_H */
