/*
 * relation_locks.h
 *		The locks of this session on relations, and which of them are new.
 */
#ifndef MIG_RELATION_LOCKS_H
#define MIG_RELATION_LOCKS_H

#include "migrate.h"

#include "nodes/pg_list.h"
#include "storage/lock.h"

/* The locks on one relation. */
typedef struct RelationLock
{
	Oid			relation;		/* the key; must be first */
	LOCKMASK	before;			/* modes that were held when it was last looked */
	LOCKMASK	held;
	PROCLOCK   *proclock;		/* of the strong modes, and of weak ones that were moved
								 * there; NULL: none */
	bool		is_changed;		/* held is more than before */
} RelationLock;

/* All of them; opaque to callers. */
typedef struct RelationLocks RelationLocks;

extern RelationLocks *mig_relation_locks_begin(void);
extern List *mig_relation_locks_look(RelationLocks *locks);
extern LOCKMASK mig_relation_locks_held(const RelationLocks *locks, Oid relation);
extern LOCKMASK mig_relation_locks_conflicts(LOCKMASK modes);

#endif							/* MIG_RELATION_LOCKS_H */
