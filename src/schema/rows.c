/*
 * rows.c
 *		Rows of the catalogs, whichever the catalog.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/objectaddress.h"
#include "schema/rows.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

/*
 * Return a copy of an object's row, NULL if there is none.
 */
HeapTuple
mig_rows_fetch(Relation catalog, Oid oid)
{
	Oid			classid = RelationGetRelid(catalog);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, get_object_attnum_oid(classid), BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(oid));
	scan = systable_beginscan(catalog, get_object_oid_index(classid), true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	return tuple;
}

/*
 * Lock the row of a relation against VACUUM and the like, which write into it in
 * place; return a copy of its newest version.  The caller unlocks that place with
 * UnlockTuple.  Errors: XX000 if it is gone.
 */
HeapTuple
mig_rows_lock_relation(Relation catalog, HeapTuple tuple, Oid relation)
{
	for (;;)
	{
		ItemPointerData place = tuple->t_self;

		LockTuple(catalog, &place, ExclusiveLock);
		tuple = mig_rows_fetch(catalog, relation);
		if (HeapTupleIsValid(tuple) && ItemPointerEquals(&place, &tuple->t_self))
			return tuple;
		UnlockTuple(catalog, &place, ExclusiveLock);
		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "tuple concurrently deleted");
	}
}

/*
 * Return the OID that stands in a column of a catalog's row.
 */
Oid
mig_rows_oid(Relation catalog, HeapTuple tuple, AttrNumber column)
{
	bool		isnull;

	return DatumGetObjectId(heap_getattr(tuple, column, RelationGetDescr(catalog), &isnull));
}
