/*
 * dependents.c
 *		What depends on an object of the catalogs: what CASCADE drops besides, what keeps a
 *		column's type from being altered, which tables use a domain.
 *
 * It is read in pg_depend, as the server does it.  Nothing is locked.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "lint/dependents.h"
#include "miscadmin.h"
#include "rewrite/rewriteSupport.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* An object, or a part of one, that is dropped. */
typedef struct Dropped
{
	ObjectAddress address;		/* the key; must be first */
	bool		by_itself;		/* not as a part of what is dropped */
} Dropped;

/* What CASCADE drops, as far as it is known. */
typedef struct Cascade
{
	World	   *world;
	HTAB	   *table;			/* Dropped */
	List	   *dropped;		/* Dropped *, as they were found */
} Cascade;

static List *referrers(Oid catalog, Oid object, int part);
static void follow(Cascade *cascade, const ObjectAddress *address);
static void drop(Cascade *cascade, ObjectAddress address, bool by_itself);
static bool is_whole(const Cascade *cascade, Oid catalog, Oid object);
static List *describe(const Cascade *cascade);
static bool is_gone(const World *world, const ObjectAddress *address);
static Oid	owner_of(const ObjectAddress *address);
static Oid	view_of(Oid rule);
static bool is_in_the_way(World *world, ObjectAddress *address, Oid table,
						  AttrNumber column);
static bool is_dropped(const World *world, Oid catalog, Oid index, AttrNumber key, Oid oid,
					   AttrNumber column);
static ObjectAddress column_of_default(Oid value);
static Oid	column_of_row(Oid catalog, Oid index, AttrNumber key, Oid oid,
						  AttrNumber column);

/*
 * Return how other objects depend on one (FormData_pg_depend *), or on a part of it, 0
 * being all of it with its parts; in the current memory context.
 */
static List *
referrers(Oid catalog, Oid object, int part)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	List	   *result = NIL;
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(catalog));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object));
	ScanKeyInit(&key[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(part));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, part != 0 ? 3 : 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = palloc(sizeof(FormData_pg_depend));

		*form = *(Form_pg_depend) GETSTRUCT(tuple);
		result = lappend(result, form);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* ------------------------------------------------------------------ CASCADE ---- */

/*
 * Return descriptions (char *) of what DROP ... CASCADE of an object, or of a part of one
 * that is not 0, drops and the server would name: what is no part of what is dropped
 * anyway, nor of what the plan has dropped before.  In the current memory context.
 */
List *
mig_dependents_dropped(World *world, Oid catalog, Oid object, int part)
{
	HASHCTL		control = {.keysize = sizeof(ObjectAddress), .entrysize = sizeof(Dropped),
	.hcxt = CurrentMemoryContext};
	Cascade		cascade = {.world = world};
	List	   *described;

	cascade.table = hash_create("migrate lint cascade", 64, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	drop(&cascade, (ObjectAddress) {catalog, object, part}, false);
	for (int i = 0; i < list_length(cascade.dropped); i++)
	{
		CHECK_FOR_INTERRUPTS();
		follow(&cascade, &((Dropped *) list_nth(cascade.dropped, i))->address);
	}
	described = describe(&cascade);
	hash_destroy(cascade.table);
	return described;
}

/*
 * Drop what depends on an object.
 */
static void
follow(Cascade *cascade, const ObjectAddress *address)
{
	ListCell   *lc;

	foreach(lc, referrers(address->classId, address->objectId, address->objectSubId))
	{
		const FormData_pg_depend *form = lfirst(lc);
		ObjectAddress dependent = {form->classid, form->objid, form->objsubid};
		Oid			view = dependent.classId == RewriteRelationId ?
			view_of(dependent.objectId) : InvalidOid;

		/* without its rule it is no view */
		if (OidIsValid(view) && view == address->objectId)
			continue;
		if (OidIsValid(view))
			dependent = (ObjectAddress) {RelationRelationId, view, 0};
		if (!is_gone(cascade->world, &dependent))
			drop(cascade, dependent, form->deptype == DEPENDENCY_NORMAL);
	}
}

/*
 * Note that an object is dropped, by itself or as a part of another one; what is dropped in
 * both ways is a part.
 */
static void
drop(Cascade *cascade, ObjectAddress address, bool by_itself)
{
	Dropped    *dropped;
	bool		found;

	if (address.objectSubId != 0 && is_whole(cascade, address.classId, address.objectId))
		return;
	dropped = hash_search(cascade->table, &address, HASH_ENTER, &found);
	dropped->by_itself = by_itself && (!found || dropped->by_itself);
	if (!found)
		cascade->dropped = lappend(cascade->dropped, dropped);
}

/*
 * Return whether an object as a whole is known to be dropped.
 */
static bool
is_whole(const Cascade *cascade, Oid catalog, Oid object)
{
	ObjectAddress address = {catalog, object, 0};

	return hash_search(cascade->table, &address, HASH_FIND, NULL) != NULL;
}

/*
 * Return descriptions (char *) of what is dropped by itself, and is no part of a relation
 * that is.
 */
static List *
describe(const Cascade *cascade)
{
	List	   *described = NIL;
	ListCell   *lc;

	foreach(lc, cascade->dropped)
	{
		const Dropped *dropped = lfirst(lc);
		const ObjectAddress *address = &dropped->address;
		Oid			owner = owner_of(address);
		bool		is_part = address->classId != RelationRelationId || address->objectSubId != 0;
		char	   *text;

		if (!dropped->by_itself ||
			(is_part && OidIsValid(owner) && is_whole(cascade, RelationRelationId, owner)))
			continue;
		text = mig_getObjectDescription(address);
		if (text != NULL)
			described = lappend(described, text);
	}
	return described;
}

/*
 * Return whether the plan has dropped an object, or the relation that it is a part of.
 */
static bool
is_gone(const World *world, const ObjectAddress *address)
{
	Oid			owner = owner_of(address);

	switch (address->classId)
	{
		case TriggerRelationId:
			return is_dropped(world, TriggerRelationId, TriggerOidIndexId,
							  Anum_pg_trigger_oid, address->objectId, Anum_pg_trigger_tgname);
		case PolicyRelationId:
			return is_dropped(world, PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid,
							  address->objectId, Anum_pg_policy_polname);
		case ProcedureRelationId:
			return is_dropped(world, ProcedureRelationId, ProcedureOidIndexId,
							  Anum_pg_proc_oid, address->objectId, Anum_pg_proc_proname);
		default:
			return OidIsValid(owner) && mig_world_has_dropped(world, owner);
	}
}

/*
 * Return the relation that an object is, or is a part of; InvalidOid for others.
 */
static Oid
owner_of(const ObjectAddress *address)
{
	switch (address->classId)
	{
		case RelationRelationId:
			return address->objectId;
		case RewriteRelationId:
			return column_of_row(RewriteRelationId, RewriteOidIndexId, Anum_pg_rewrite_oid,
								 address->objectId, Anum_pg_rewrite_ev_class);
		case ConstraintRelationId:
			return column_of_row(ConstraintRelationId, ConstraintOidIndexId,
								 Anum_pg_constraint_oid, address->objectId,
								 Anum_pg_constraint_conrelid);
		case TriggerRelationId:
			return column_of_row(TriggerRelationId, TriggerOidIndexId, Anum_pg_trigger_oid,
								 address->objectId, Anum_pg_trigger_tgrelid);
		case PolicyRelationId:
			return column_of_row(PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid,
								 address->objectId, Anum_pg_policy_polrelid);
		case AttrDefaultRelationId:
			return column_of_default(address->objectId).objectId;
		default:
			return InvalidOid;
	}
}

/*
 * Return the view or materialized view that a rule makes, or InvalidOid.
 */
static Oid
view_of(Oid rule)
{
	Oid			view = column_of_row(RewriteRelationId, RewriteOidIndexId,
									 Anum_pg_rewrite_oid, rule, Anum_pg_rewrite_ev_class);
	HeapTuple	tuple = SearchSysCache2(RULERELNAME, ObjectIdGetDatum(view),
										CStringGetDatum(ViewSelectRuleName));
	bool		makes = HeapTupleIsValid(tuple) &&
		((Form_pg_rewrite) GETSTRUCT(tuple))->oid == rule;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return makes ? view : InvalidOid;
}

/* -------------------------------------------------------------------- types ---- */

/*
 * Return descriptions (char *) of what keeps the type of a column of a table from
 * being altered: views, functions, triggers, policies, generated columns, without
 * what the plan has dropped.
 */
List *
mig_dependents_users(World *world, Oid table, AttrNumber column)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, referrers(RelationRelationId, table, column))
	{
		const FormData_pg_depend *form = lfirst(lc);
		ObjectAddress address = {form->classid, form->objid, form->objsubid};
		char	   *text;

		if (!is_in_the_way(world, &address, table, column))
			continue;
		text = mig_getObjectDescription(&address);
		if (text != NULL && !mig_world_has(result, text))
			result = lappend(result, text);
	}
	return result;
}

/*
 * Return whether an object that depends on a column keeps its type from being
 * altered; for a rule or a default, the address becomes that of the relation or the
 * column that it is of.  The default of the column itself does not, nor do indexes,
 * constraints and sequences.
 */
static bool
is_in_the_way(World *world, ObjectAddress *address, Oid table, AttrNumber column)
{
	switch (address->classId)
	{
		case RewriteRelationId:
			*address = (ObjectAddress) {RelationRelationId, owner_of(address), 0};
			return !is_gone(world, address);
		case AttrDefaultRelationId:
			*address = column_of_default(address->objectId);
			return address->objectId != table || address->objectSubId != column;
		case RelationRelationId:
			return address->objectId == table && address->objectSubId != 0 &&
				address->objectSubId != column;
		case TriggerRelationId:
		case PolicyRelationId:
		case ProcedureRelationId:
			return !is_gone(world, address);
		default:
			return false;
	}
}

/*
 * Return the tables (WorldRelation *) of the foreign keys that refer to a column of a table,
 * each with that constraint (WorldConstraint *) after it, but for those of the table itself
 * and those that the plan has dropped.
 */
List *
mig_dependents_referring(World *world, const WorldRelation *table, const WorldColumn *column)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, referrers(RelationRelationId, table->oid, column->number))
	{
		const FormData_pg_depend *form = lfirst(lc);
		ObjectAddress address = {form->classid, form->objid, form->objsubid};
		Oid			owner = form->classid == ConstraintRelationId ? owner_of(&address) : InvalidOid;
		char	   *name = OidIsValid(owner) ? get_constraint_name(form->objid) : NULL;
		WorldRelation *other;
		WorldConstraint *constraint;

		if (name == NULL || owner == table->oid)
			continue;
		other = mig_world_find_oid(world, owner);
		constraint = other == NULL ? NULL : mig_world_constraint(other, name);
		if (constraint != NULL && constraint->type == CONSTRAINT_FOREIGN)
			result = lappend(lappend(result, other), constraint);
	}
	return result;
}

/*
 * Return the tables (oids) that have a column of a domain, or of a domain over it.
 */
List *
mig_dependents_domain_tables(Oid type)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, referrers(TypeRelationId, type, 0))
	{
		const FormData_pg_depend *form = lfirst(lc);
		char		kind;

		if (form->classid == TypeRelationId && get_typtype(form->objid) == TYPTYPE_DOMAIN)
			result = list_concat_unique_oid(result, mig_dependents_domain_tables(form->objid));
		if (form->classid != RelationRelationId || form->objsubid == 0)
			continue;
		kind = get_rel_relkind(form->objid);
		if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ||
			kind == RELKIND_MATVIEW)
			result = list_append_unique_oid(result, form->objid);
	}
	return result;
}

/* --------------------------------------------------------------------- rows ---- */

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
