/*
 * indexes.h
 *		The indexes of tables, read from the server's catalogs.
 *
 * Must be called between mig_scope_enter and mig_scope_leave.
 */
#ifndef MIG_INDEXES_H
#define MIG_INDEXES_H

#include "migrate.h"

#include "store/scope.h"

/* An index that a build did not finish. */
typedef struct InvalidIndex
{
	Oid			index;
	Oid			relation;
	char	   *schema;
	char	   *name;
} InvalidIndex;

extern List *mig_indexes_toast_tables(const Scope *scope, List *relations);
extern List *mig_indexes_tables(const Scope *scope, Oid schema);
extern List *mig_indexes_read(const Scope *scope, List *relations);
extern List *mig_indexes_read_invalid(const Scope *scope, List *relations,
									  List *except);

#endif							/* MIG_INDEXES_H */
