/*
 * twin.h
 *		The catalogs' rows that make a scratch: empty twins of schemas.
 */
#ifndef MIG_TWIN_H
#define MIG_TWIN_H

#include "migrate.h"

#include "nodes/pg_list.h"

extern Oid	mig_twin_lock_schema(const char *name);
extern Oid	mig_twin_make(Oid live, const char *name, bool new_rights);
extern void mig_twin_move_members(List *live, List *twins);
extern void mig_twin_move_privileges(List *live, List *twins);
extern void mig_twin_drop_privileges(List *live);
extern void mig_twin_clear_database(void);

#endif							/* MIG_TWIN_H */
