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
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/partition.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "lint/catalog.h"
#include "miscadmin.h"
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
static bool is_in_the_way(World *world, ObjectAddress *address, Oid table,
						  AttrNumber column);
static Oid	relation_of(ObjectAddress *address);
static bool is_dropped(const World *world, Oid catalog, Oid index, AttrNumber key, Oid oid,
					   AttrNumber column);
static ObjectAddress column_of_default(Oid value);
static Oid	column_of_row(Oid catalog, Oid index, AttrNumber key, Oid oid,
						  AttrNumber column);

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
 * Return descriptions (char *) of what depends on an object of the database and is no
 * part of it, nor of what the plan has dropped: what CASCADE drops first.  In the
 * current memory context.
 */
List *
mig_catalog_dependents(World *world, Oid class, Oid object)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	List	   *result = NIL;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(class));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress address = {form->classid, form->objid, form->objsubid};
		Oid			owner = relation_of(&address);
		char	   *text;

		if (form->deptype != DEPENDENCY_NORMAL || owner == object ||
			(OidIsValid(owner) && mig_world_find_oid(world, owner) == NULL))
			continue;
		text = mig_getObjectDescription(&address);
		if (text != NULL && !mig_world_has(result, text))
			result = lappend(result, text);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return result;
}

/*
 * Return the relation that an object is, or is a part of; InvalidOid for others.  A
 * rule becomes the view that it makes.
 */
static Oid
relation_of(ObjectAddress *address)
{
	switch (address->classId)
	{
		case RelationRelationId:
			return address->objectId;
		case RewriteRelationId:
			address->objectId = column_of_row(RewriteRelationId, RewriteOidIndexId,
											  Anum_pg_rewrite_oid, address->objectId,
											  Anum_pg_rewrite_ev_class);
			address->classId = RelationRelationId;
			return address->objectId;
		case ConstraintRelationId:
			return column_of_row(ConstraintRelationId, ConstraintOidIndexId,
								 Anum_pg_constraint_oid, address->objectId,
								 Anum_pg_constraint_conrelid);
		case AttrDefaultRelationId:
			*address = column_of_default(address->objectId);
			return address->objectId;
		default:
			return InvalidOid;
	}
}

/*
 * Return descriptions (char *) of what keeps the type of a column of a table from
 * being altered: views, functions, triggers, policies, generated columns, without
 * views that the plan has dropped.
 */
List *
mig_catalog_users(World *world, Oid table, AttrNumber column)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	List	   *result = NIL;
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table));
	ScanKeyInit(&key[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(column));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 3, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress address = {form->classid, form->objid, form->objsubid};
		char	   *text;

		if (!is_in_the_way(world, &address, table, column))
			continue;
		text = mig_getObjectDescription(&address);
		if (text != NULL && !mig_world_has(result, text))
			result = lappend(result, text);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return result;
}

/*
 * Return whether an object that depends on a column keeps its type from being
 * altered; for a rule, the address becomes that of the view.  The default of the
 * column itself does not, nor do indexes, constraints and sequences.
 */
static bool
is_in_the_way(World *world, ObjectAddress *address, Oid table, AttrNumber column)
{
	switch (address->classId)
	{
		case RewriteRelationId:
			return mig_world_find_oid(world, relation_of(address)) != NULL;
		case AttrDefaultRelationId:
			return relation_of(address) != table || address->objectSubId != column;
		case RelationRelationId:
			return address->objectId == table && address->objectSubId != 0 &&
				address->objectSubId != column;
		case TriggerRelationId:
			return !is_dropped(world, TriggerRelationId, TriggerOidIndexId,
							   Anum_pg_trigger_oid, address->objectId,
							   Anum_pg_trigger_tgname);
		case PolicyRelationId:
			return !is_dropped(world, PolicyRelationId, PolicyOidIndexId,
							   Anum_pg_policy_oid, address->objectId, Anum_pg_policy_polname);
		case ProcedureRelationId:
			return !is_dropped(world, ProcedureRelationId, ProcedureOidIndexId,
							   Anum_pg_proc_oid, address->objectId, Anum_pg_proc_proname);
		default:
			return false;
	}
}

/*
 * Return the tables (oids) that have a column of a domain, or of a domain over it.
 */
List *
mig_catalog_domain_tables(Oid type)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	List	   *result = NIL;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(TypeRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(type));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		char		kind;

		if (form->classid == TypeRelationId && get_typtype(form->objid) == TYPTYPE_DOMAIN)
			result = list_concat_unique_oid(result, mig_catalog_domain_tables(form->objid));
		if (form->classid != RelationRelationId || form->objsubid == 0)
			continue;
		kind = get_rel_relkind(form->objid);
		if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ||
			kind == RELKIND_MATVIEW)
			result = list_append_unique_oid(result, form->objid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return result;
}

/*
 * Return whether the plan has dropped an object of a catalog, by its name.
 */
static bool
is_dropped(const World *world, Oid catalog, Oid index, AttrNumber key, Oid oid,
		   AttrNumber column)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	ScanKeyData scan_key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		dropped = true;

	ScanKeyInit(&scan_key, key, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	scan = systable_beginscan(rel, index, true, NULL, 1, &scan_key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		name = heap_getattr(tuple, column, RelationGetDescr(rel), &isnull);

		dropped = mig_world_has(world->dropped, NameStr(*DatumGetName(name)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return dropped;
}

/*
 * Return the column that a default is of.
 */
static ObjectAddress
column_of_default(Oid value)
{
	ObjectAddress address = {RelationRelationId, InvalidOid, 0};

	address.objectId = column_of_row(AttrDefaultRelationId, AttrDefaultOidIndexId,
									 Anum_pg_attrdef_oid, value, Anum_pg_attrdef_adrelid);
	address.objectSubId = (int) column_of_row(AttrDefaultRelationId, AttrDefaultOidIndexId,
											  Anum_pg_attrdef_oid, value,
											  Anum_pg_attrdef_adnum);
	return address;
}

/*
 * Return a value, an OID or a number, of the row of a catalog that an OID names;
 * 0 when there is no such row.
 */
static Oid
column_of_row(Oid catalog, Oid index, AttrNumber key, Oid oid, AttrNumber column)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	ScanKeyData scan_key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			result = InvalidOid;

	ScanKeyInit(&scan_key, key, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	scan = systable_beginscan(rel, index, true, NULL, 1, &scan_key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, column, RelationGetDescr(rel), &isnull);

		result = column == Anum_pg_attrdef_adnum && catalog == AttrDefaultRelationId ?
			(Oid) DatumGetInt16(value) : DatumGetObjectId(value);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
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
