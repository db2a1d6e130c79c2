/*
 * catalog.c
 *		What the catalogs say of a relation that a plan meets.
 *
 * A relation is opened with ACCESS SHARE, as a SELECT would, for its size: a table
 * counts as empty when its file, and those of its partitions and children, have no
 * page.  That asks for no privilege, and reads no row.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "compat.h"
#include "lint/catalog.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/catcache.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static void read_size(WorldRelation *relation, Relation rel);
static void count_rows(WorldRelation *relation, Relation rel);
static void read_columns(WorldRelation *relation, Relation rel);
static void read_constraints(World *world, WorldRelation *relation);
static void read_constraint(World *world, WorldRelation *relation, HeapTuple tuple,
							Relation catalog);
static List *read_key(Oid table, Datum key);
static void read_indexes(World *world, WorldRelation *relation, Relation rel);
static void read_index(World *world, WorldRelation *relation, Relation rel);
static bool has_other_class(Relation index, AttrNumber column, Oid type);

/*
 * Fill in what the catalogs say of a relation, whose OID, schema and name are there,
 * in the current memory context.
 */
void
mig_catalog_read(World *world, WorldRelation *relation)
{
	Relation	rel = try_relation_open(relation->oid, AccessShareLock);

	if (rel == NULL)
	{
		relation->dropped = true;
		return;
	}
	relation->kind = rel->rd_rel->relkind;
	relation->persistence = rel->rd_rel->relpersistence;
	relation->tablespace = rel->rd_rel->reltablespace;
	relation->access_method = rel->rd_rel->relam;
	relation->populated = rel->rd_rel->relispopulated;
	if (relation->kind == RELKIND_INDEX || relation->kind == RELKIND_PARTITIONED_INDEX)
		read_index(world, relation, rel);
	else
	{
		read_size(relation, rel);
		read_columns(relation, rel);
		read_indexes(world, relation, rel);
		if (relation->kind == RELKIND_PARTITIONED_TABLE)
			relation->default_partition = get_default_partition_oid(relation->oid);
		if (rel->rd_rel->relispartition)
			relation->parent = mig_world_find_oid(world,
												  mig_get_partition_parent(relation->oid));
		read_constraints(world, relation);
	}
	relation_close(rel, AccessShareLock);
}

/*
 * Read whether a relation has rows, and about how many, with its partitions and
 * children.
 */
static void
read_size(WorldRelation *relation, Relation rel)
{
	ListCell   *lc;

	if (relation->kind == RELKIND_VIEW || relation->kind == RELKIND_FOREIGN_TABLE ||
		relation->kind == RELKIND_COMPOSITE_TYPE || relation->kind == RELKIND_SEQUENCE)
	{
		relation->has_rows = true;
		return;
	}
	if (!rel->rd_rel->relhassubclass)
	{
		count_rows(relation, rel);
		return;
	}
	foreach(lc, find_all_inheritors(relation->oid, AccessShareLock, NULL))
	{
		Relation	child = try_relation_open(lfirst_oid(lc), NoLock);

		if (child == NULL)
			continue;
		count_rows(relation, child);
		relation_close(child, NoLock);
	}
}

/*
 * Add the size of one table, which is open, to that of a relation.
 */
static void
count_rows(WorldRelation *relation, Relation rel)
{
	BlockNumber pages;
	double		rows;
	double		visible;
	char		kind = rel->rd_rel->relkind;

	if (kind == RELKIND_FOREIGN_TABLE)
		relation->has_rows = true;
	if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW)
		return;
	if (RELATION_IS_OTHER_TEMP(rel) || RelationGetNumberOfBlocks(rel) == 0)
		return;
	relation->has_rows = true;
	estimate_rel_size(rel, NULL, &pages, &rows, &visible);
	relation->rows += rows;
}

/*
 * Read the columns of a relation.
 */
static void
read_columns(WorldRelation *relation, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		WorldColumn *column;

		if (att->attisdropped)
			continue;
		column = palloc0(sizeof(WorldColumn));
		column->name = pstrdup(NameStr(att->attname));
		column->number = att->attnum;
		column->type = att->atttypid;
		column->typmod = att->atttypmod;
		column->collation = att->attcollation;
		column->not_null = att->attnotnull;
		column->generated = att->attgenerated != '\0';
		relation->columns = lappend(relation->columns, column);
	}
}

/*
 * Read the constraints of a table.
 */
static void
read_constraints(World *world, WorldRelation *relation)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relation->oid));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		read_constraint(world, relation, tuple, catalog);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/*
 * Read one constraint of a table.  The NOT NULL constraint of a column says of the
 * column whether it is valid.
 */
static void
read_constraint(World *world, WorldRelation *relation, HeapTuple tuple, Relation catalog)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	WorldConstraint *constraint = palloc0(sizeof(WorldConstraint));
	bool		isnull;
	Datum		value;

	constraint->name = pstrdup(NameStr(form->conname));
	constraint->type = form->contype;
	constraint->valid = form->convalidated;
	value = heap_getattr(tuple, Anum_pg_constraint_conkey, RelationGetDescr(catalog), &isnull);
	if (!isnull)
		constraint->columns = read_key(relation->oid, value);
	value = heap_getattr(tuple, Anum_pg_constraint_conbin, RelationGetDescr(catalog), &isnull);
	if (!isnull && constraint->type == CONSTRAINT_CHECK)
		constraint->stored = stringToNode(TextDatumGetCString(value));
	relation->constraints = lappend(relation->constraints, constraint);
	if (constraint->type == 'n' && !constraint->valid && constraint->columns != NIL)
	{
		WorldColumn *column = mig_world_column(relation, linitial(constraint->columns));

		if (column != NULL)
			column->not_null = false;
	}
	if (constraint->type != CONSTRAINT_FOREIGN)
		return;
	constraint->other = mig_world_find_oid(world, form->confrelid);
	value = heap_getattr(tuple, Anum_pg_constraint_confkey, RelationGetDescr(catalog), &isnull);
	if (!isnull)
		constraint->other_columns = read_key(form->confrelid, value);
}

/*
 * Return the names (char *) of columns of a table, given as an array of their numbers.
 */
static List *
read_key(Oid table, Datum key)
{
	ArrayType  *array = DatumGetArrayTypeP(key);
	int16	   *numbers = (int16 *) ARR_DATA_PTR(array);
	List	   *names = NIL;

	for (int i = 0; i < ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)); i++)
	{
		char	   *name = get_attname(table, numbers[i], true);

		if (name != NULL)
			names = lappend(names, name);
	}
	return names;
}

/*
 * Read the indexes of a table that are valid.
 */
static void
read_indexes(World *world, WorldRelation *relation, Relation rel)
{
	ListCell   *lc;

	if (relation->kind != RELKIND_RELATION && relation->kind != RELKIND_PARTITIONED_TABLE &&
		relation->kind != RELKIND_MATVIEW)
		return;
	foreach(lc, RelationGetIndexList(rel))
		(void) mig_world_find_oid(world, lfirst_oid(lc));
}

/*
 * Read what is of an index only, and enter it with its table.
 */
static void
read_index(World *world, WorldRelation *relation, Relation rel)
{
	Form_pg_index form = rel->rd_index;

	relation->has_rows = true;
	relation->unique = form->indisunique && form->indimmediate && form->indisvalid;
	relation->partial = RelationGetIndexPredicate(rel) != NIL || !form->indisvalid;
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		AttrNumber	number = form->indkey.values[i];

		relation->columns = lappend(relation->columns, number == 0 ? NULL :
									get_attname(form->indrelid, number, true));
	}
	relation->table = mig_world_find_oid(world, form->indrelid);
	if (relation->table == NULL)
		return;
	if (!list_member_ptr(relation->table->indexes, relation))
		relation->table->indexes = lappend(relation->table->indexes, relation);
	relation->has_rows = relation->table->has_rows;
}

/*
 * Return whether ALTER COLUMN ... TYPE builds an index of the catalogs again that is over a
 * column, given by its number, though the rows of the table stay as they are.  The server
 * does, unless the index is of columns only, has no condition, and its operator class is
 * for the new type, too.
 */
bool
mig_catalog_is_rebuilt(Oid index, AttrNumber column, Oid type)
{
	Relation	rel = try_relation_open(index, AccessShareLock);
	Bitmapset  *read = NULL;
	bool		rebuilt;

	if (rel == NULL)
		return false;
	pull_varattnos((Node *) RelationGetIndexExpressions(rel), 1, &read);
	pull_varattnos((Node *) RelationGetIndexPredicate(rel), 1, &read);
	for (int i = 0; i < rel->rd_index->indnatts; i++)
		if (rel->rd_index->indkey.values[i] == column)
			read = bms_add_member(read, column - FirstLowInvalidHeapAttributeNumber);
	if (!bms_is_member(column - FirstLowInvalidHeapAttributeNumber, read))
		rebuilt = false;
	else if (RelationGetIndexExpressions(rel) != NIL || RelationGetIndexPredicate(rel) != NIL ||
			 !rel->rd_index->indisvalid)
		rebuilt = true;
	else
		rebuilt = has_other_class(rel, column, type);
	relation_close(rel, AccessShareLock);
	return rebuilt;
}

/*
 * Return whether an index would have another operator class for a column if that were of
 * another type.  One that is the default of its type becomes that of the other; an
 * operator class of several types is for one at a time.
 */
static bool
has_other_class(Relation index, AttrNumber column, Oid type)
{
	Oid			old = get_atttype(index->rd_index->indrelid, column);
	bool		isnull;
	oidvector  *classes = (oidvector *)
		DatumGetPointer(SysCacheGetAttr(INDEXRELID, index->rd_indextuple,
										Anum_pg_index_indclass, &isnull));

	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		Oid			class = classes->values[i];

		if (index->rd_index->indkey.values[i] != column)
			continue;
		if (GetDefaultOpClass(old, index->rd_rel->relam) == class &&
			GetDefaultOpClass(type, index->rd_rel->relam) != class)
			return true;
		if (old != type && IsPolymorphicType(get_opclass_input_type(class)))
			return true;
	}
	return false;
}

/*
 * Return whether all functions of a name are volatile, whatever their arguments, and
 * there is one.
 */
bool
mig_catalog_name_is_volatile(const char *name)
{
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	bool		all = list->n_members > 0;

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);

		all = all && form->provolatile == PROVOLATILE_VOLATILE;
	}
	ReleaseSysCacheList(list);
	return all;
}
