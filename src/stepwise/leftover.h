/*
 * leftover.h
 *		Invalid indexes that a build left which did not end.
 */
#ifndef MIG_LEFTOVER_H
#define MIG_LEFTOVER_H

#include "migrate.h"

#include "nodes/pg_list.h"
#include "store/partial.h"
#include "store/scope.h"

/* An index that is not valid. */
typedef struct InvalidIndex
{
	Oid			index;
	Oid			relation;
	char	   *schema;
	char	   *name;
} InvalidIndex;

extern List *mig_leftover_find(const PartialIntent *intent);
extern bool mig_leftover_is_there(const InvalidIndex *index);

/* the indexes of tables */
extern List *mig_leftover_indexes(const Scope *scope, List *relations);
extern List *mig_leftover_invalid(const Scope *scope, List *relations);

#endif							/* MIG_LEFTOVER_H */
