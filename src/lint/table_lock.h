/*
 * table_lock.h
 *		Which locks a statement takes on tables that were there before the plan.
 */
#ifndef MIG_TABLE_LOCK_H
#define MIG_TABLE_LOCK_H

#include "migrate.h"

#include "lint/world.h"
#include "storage/lockdefs.h"

/* A lock. */
typedef struct TableLock
{
	WorldRelation *table;
	LOCKMODE	mode;
} TableLock;

extern List *mig_table_lock_all(World *world, const Node *stmt);
extern const char *mig_table_lock_mode(LOCKMODE mode);
extern bool mig_table_lock_is_full(const Node *stmt);
extern bool mig_table_lock_is_on(const DefElem *option);

#endif							/* MIG_TABLE_LOCK_H */
