/*
 * indexes.h
 *		The indexes of tables, read from the server's catalogs.
 *
 * Must be called between mig_scope_enter and mig_scope_leave.
 */
#ifndef MIG_INDEXES_H
#define MIG_INDEXES_H

#include "migrate.h"

#include "nodes/pg_list.h"

/* An index that a build did not finish. */
typedef struct InvalidIndex
{
	Oid			index;
	Oid			relation;
	char	   *schema;
	char	   *name;
} InvalidIndex;

extern List *mig_indexes_toast_tables(List *relations, MemoryContext context);
extern List *mig_indexes_tables(Oid schema, MemoryContext context);
extern List *mig_indexes_read(List *relations, MemoryContext context);
extern List *mig_indexes_read_invalid(List *relations, List *except,
									  MemoryContext context);

#endif							/* MIG_INDEXES_H */
