/*
 * world.h
 *		The relations that the statements of a plan meet: those of the catalogs, and
 *		what the plan has done to them so far.
 */
#ifndef MIG_WORLD_H
#define MIG_WORLD_H

#include "migrate.h"

#include "nodes/parsenodes.h"
#include "utils/hsearch.h"

/* A column. */
typedef struct WorldColumn
{
	char	   *name;
	AttrNumber	number;			/* in the catalogs; 0: the plan made it */
	Oid			type;			/* InvalidOid: not known, see type_name */
	int32		typmod;
	Oid			collation;
	const TypeName *type_name;	/* as a statement of the plan has it; NULL: that of the
								 * catalogs */
	bool		not_null;
	bool		generated;
} WorldColumn;

/* A constraint of a table. */
typedef struct WorldConstraint
{
	char	   *name;
	char		type;			/* as in pg_constraint */
	bool		valid;
	List	   *columns;		/* of char * */
	const Node *raw;			/* a condition as a statement of the plan has it */
	Node	   *stored;			/* one of the catalogs */
	struct WorldRelation *other;	/* the table that a foreign key refers to; may be
									 * NULL */
	List	   *other_columns;	/* of char *; NIL: its primary key, or not known */
	bool		made;			/* by the plan */
	int			transaction;	/* of the plan, in which it was made */
	const void *place;			/* that of the world when it was made */
} WorldConstraint;

/* A table, an index, a view, a sequence. */
typedef struct WorldRelation
{
	char		key[2 * NAMEDATALEN];	/* schema and name, padded with zeros */
	char	   *schema;
	char	   *name;
	Oid			oid;			/* InvalidOid: the plan made it */
	char		kind;			/* as in pg_class */
	char		persistence;	/* likewise */
	Oid			tablespace;
	Oid			access_method;
	bool		made;			/* by the plan */
	bool		has_rows;		/* at least one page, here or in a partition */
	bool		unknown;		/* its columns are not known: the plan made it from a
								 * query */
	double		rows;			/* an estimate */
	bool		populated;		/* of a materialized view */
	List	   *columns;		/* of WorldColumn *; of an index, of char *, NULL for an
								 * expression */
	List	   *constraints;	/* of WorldConstraint * */
	List	   *indexes;		/* of WorldRelation * */
	struct WorldRelation *parent;	/* of a partition */
	Oid			default_partition;	/* of the catalogs, of a partitioned table */

	/* of an index */
	struct WorldRelation *table;
	bool		unique;
	bool		partial;

	/* what the plan does */
	int			scanned;		/* number of the last transaction that scans it under a
								 * lock of its own, by ALTER TABLE */
	bool		dropped;
} WorldRelation;

/* A type or a function that the plan made. */
typedef struct WorldObject
{
	char	   *name;			/* without its schema */
	char		kind;			/* 't': a type; 'f': a function */
	bool		is_volatile;	/* a function */
	bool		is_domain;
	int			transaction;
} WorldObject;

/* All of them. */
typedef struct World World;

struct World
{
	MemoryContext context;
	HTAB	   *entries;		/* names to relations */
	List	   *relations;		/* of WorldRelation *, as they were met */
	List	   *objects;		/* of WorldObject * */
	List	   *schemas;		/* of char *: those that the plan made */
	List	   *dropped;		/* of char *: triggers, policies and functions that it
								 * dropped */
	int			transaction;	/* number of the one that the next statement is in */
	const void *place;			/* of the next statement, the walk's own */
	void		(*read) (World *world, WorldRelation *relation);
};

extern World *mig_world_create(void (*read) (World *world, WorldRelation *relation));
extern WorldRelation *mig_world_find(World *world, const RangeVar *name);
extern WorldRelation *mig_world_find_names(World *world, List *names);
extern WorldRelation *mig_world_find_oid(World *world, Oid oid);
extern bool mig_world_has_dropped(const World *world, Oid oid);
extern WorldRelation *mig_world_add(World *world, const RangeVar *name, char kind);
extern void mig_world_rename(World *world, WorldRelation *relation, const char *schema,
							 const char *name);
extern void mig_world_drop(World *world, WorldRelation *relation);
extern char *mig_world_identity(const WorldRelation *relation);
extern WorldColumn *mig_world_column(const WorldRelation *table, const char *name);
extern WorldConstraint *mig_world_constraint(const WorldRelation *table, const char *name);
extern bool mig_world_is_indexed(const WorldRelation *table, List *columns, bool unique);
extern const WorldObject *mig_world_object(const World *world, char kind, const char *name);
extern bool mig_world_has(const List *names, const char *name);

#endif							/* MIG_WORLD_H */
