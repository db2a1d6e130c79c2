/*
 * rows.h
 *		Rows of the catalogs, whichever the catalog.
 */
#ifndef MIG_ROWS_H
#define MIG_ROWS_H

#include "migrate.h"

#include "access/htup.h"
#include "utils/relcache.h"

extern HeapTuple mig_rows_fetch(Relation catalog, Oid oid);
extern HeapTuple mig_rows_lock_relation(Relation catalog, HeapTuple tuple, Oid relation);
extern Oid	mig_rows_oid(Relation catalog, HeapTuple tuple, AttrNumber column);

#endif							/* MIG_ROWS_H */
