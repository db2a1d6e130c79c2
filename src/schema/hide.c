/*
 * hide.c
 *		Live objects hidden from scripts that look into the catalogs.
 *
 * A script that asks the catalogs for a name alone, "IF NOT EXISTS (SELECT FROM
 * pg_tables WHERE tablename = ...)", meets the live object too, though its schema has
 * another name.  So the rows of relations, types, functions and constraints are
 * deleted.  What the session has in use cannot be deleted: it gets another name.
 *
 * While rows are hidden, other sessions that ALTER, ANALYZE, TRUNCATE or GRANT wait for
 * the end of the scratch, which is why that is done for few scripts only.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "miscadmin.h"
#include "schema/hide.h"
#include "schema/rows.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/rel.h"

/* A catalog, and which columns of it count. */
typedef struct Hidden
{
	Oid			catalog;
	AttrNumber	oid;
	AttrNumber	name;
	AttrNumber	schema;
	AttrNumber	relation;		/* whose use keeps the row; InvalidAttrNumber: none */
} Hidden;

static const Hidden hidden[] = {
	{RelationRelationId, Anum_pg_class_oid, Anum_pg_class_relname,
	Anum_pg_class_relnamespace, Anum_pg_class_oid},
	{TypeRelationId, Anum_pg_type_oid, Anum_pg_type_typname,
	Anum_pg_type_typnamespace, Anum_pg_type_typrelid},
	{ProcedureRelationId, Anum_pg_proc_oid, Anum_pg_proc_proname,
	Anum_pg_proc_pronamespace, InvalidAttrNumber},
	{ConstraintRelationId, Anum_pg_constraint_oid, Anum_pg_constraint_conname,
	Anum_pg_constraint_connamespace, Anum_pg_constraint_conrelid},
};

static void hide_in(const Hidden *what, List *live);
static List *find_rows(Relation catalog, const Hidden *what, List *live);
static void hide_row(Relation catalog, const Hidden *what, HeapTuple tuple);
static void rename_row(Relation catalog, HeapTuple tuple, AttrNumber column, Oid oid);
static bool is_in_use(Oid relation);

/*
 * Hide what is in some schemas, which have twins already.  Errors: XX000 when others
 * change the same rows.
 */
void
mig_hide_live(List *live)
{
	for (size_t i = 0; i < lengthof(hidden); i++)
		hide_in(&hidden[i], live);
	CommandCounterIncrement();
}

/*
 * Hide an object that is in no schema: it gets a name that nobody asks for, or is
 * deleted where it has none.  Errors: XX000 when others change the same row.
 */
void
mig_hide_object(const ObjectAddress *object)
{
	Relation	catalog = table_open(object->classId, RowExclusiveLock);
	HeapTuple	tuple = mig_rows_fetch(catalog, object->objectId);
	AttrNumber	column = get_object_attnum_name(object->classId);

	if (HeapTupleIsValid(tuple) && column != InvalidAttrNumber)
		rename_row(catalog, tuple, column, object->objectId);
	else if (HeapTupleIsValid(tuple))
		CatalogTupleDelete(catalog, &tuple->t_self);
	table_close(catalog, NoLock);
	CommandCounterIncrement();
}

/*
 * Have an operator class no longer be the default one of its type.
 */
void
mig_hide_default(Oid operator_class)
{
	Relation	catalog = table_open(OperatorClassRelationId, RowExclusiveLock);
	HeapTuple	tuple = mig_rows_fetch(catalog, operator_class);

	if (HeapTupleIsValid(tuple))
	{
		((Form_pg_opclass) GETSTRUCT(tuple))->opcdefault = false;
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	}
	table_close(catalog, NoLock);
	CommandCounterIncrement();
}

/*
 * Hide the rows of one catalog.
 */
static void
hide_in(const Hidden *what, List *live)
{
	Relation	catalog = table_open(what->catalog, RowExclusiveLock);
	ListCell   *lc;

	foreach(lc, find_rows(catalog, what, live))
	{
		CHECK_FOR_INTERRUPTS();
		hide_row(catalog, what, lfirst(lc));
	}
	table_close(catalog, NoLock);
}

/*
 * Return copies of a catalog's rows (HeapTuple) that are of some schemas.
 */
static List *
find_rows(Relation catalog, const Hidden *what, List *live)
{
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	List	   *rows = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			schema = mig_rows_oid(catalog, tuple, what->schema);

		if (OidIsValid(schema) && list_member_oid(live, schema))
			rows = lappend(rows, heap_copytuple(tuple));
	}
	systable_endscan(scan);
	return rows;
}

/*
 * Delete a row, or give its object a name that nobody asks for.
 */
static void
hide_row(Relation catalog, const Hidden *what, HeapTuple tuple)
{
	Oid			oid = mig_rows_oid(catalog, tuple, what->oid);
	Oid			relation = what->relation == InvalidAttrNumber ? InvalidOid :
		mig_rows_oid(catalog, tuple, what->relation);
	bool		of_relation = what->catalog == RelationRelationId;
	ItemPointerData place;

	if (of_relation)
		tuple = mig_rows_lock_relation(catalog, tuple, oid);
	place = tuple->t_self;
	if (is_in_use(relation))
		rename_row(catalog, tuple, what->name, oid);
	else
		CatalogTupleDelete(catalog, &place);
	if (of_relation)
		UnlockTuple(catalog, &place, ExclusiveLock);
}

/*
 * Give the object of a row a name that nobody asks for.
 */
static void
rename_row(Relation catalog, HeapTuple tuple, AttrNumber column, Oid oid)
{
	char		hiding[NAMEDATALEN];
	bool		isnull;
	Name		name = DatumGetName(heap_getattr(tuple, column, RelationGetDescr(catalog),
												 &isnull));

	snprintf(hiding, sizeof(hiding), "mig_live_%u", oid);
	namestrcpy(name, hiding);
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
}

/*
 * Return whether this session has any lock on a relation, as it has on what it has
 * open.
 */
static bool
is_in_use(Oid relation)
{
	LOCKTAG		tag;

	if (!OidIsValid(relation))
		return false;
	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relation);
	for (LOCKMODE mode = 1; mode <= MaxLockMode; mode++)
		if (mig_LockHeldByMe(&tag, mode))
			return true;
	return false;
}
