/*
 * relations.h
 *		What a statement does to relations that were there before it.
 */
#ifndef MIG_RELATIONS_H
#define MIG_RELATIONS_H

#include "migrate.h"

#include "nodes/pg_list.h"

/* What was done to relations; the lists are in the order of names. */
typedef struct RelationChanges
{
	List	   *locks;			/* RelationLocked *, the strongest first */
	List	   *rewrites;		/* RelationName *: they have new files */
	List	   *scans;			/* RelationName *: tables that were scanned whole */
} RelationChanges;

typedef struct RelationName
{
	Oid			oid;
	const char *name;			/* qualified and quoted, as it was before */
	double		bytes;			/* size of the new file, of what was rewritten */
} RelationName;

/* A lock. */
typedef struct RelationLocked
{
	const char *mode;			/* "AccessExclusiveLock", a constant */
	int			strength;		/* the mode as a number */
	const char *relation;		/* qualified and quoted, as it was before */
} RelationLocked;

/* The relations that were there before; opaque to callers. */
typedef struct Relations Relations;

extern Relations *mig_relations_begin(void);
extern void mig_relations_mark(Relations *relations);
extern RelationChanges mig_relations_changes(Relations *relations, bool is_truncate);
extern void mig_relations_suspend(Relations *relations);
extern RelationChanges mig_relations_after(Relations *relations);
extern void mig_relations_end(void);

#endif							/* MIG_RELATIONS_H */
