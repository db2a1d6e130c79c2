/*
 * twin.c
 *		The catalogs' rows that make a scratch: empty twins of schemas.
 *
 * Rows of the catalogs are changed without the commands that usually do so: these
 * ask for rights, take locks on all that they touch, and refuse some of it.  It is
 * only for a subtransaction that is rolled back, and the caller has checked the
 * rights.  No dependency is written: nothing of what is changed here is dropped
 * before the rollback.
 *
 * Another session that has changed one of these rows is waited for; when it commits,
 * the server reports XX000, "tuple concurrently updated", as it does for all changes
 * of catalogs.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "kind/grants.h"
#include "miscadmin.h"
#include "schema/rows.h"
#include "schema/twin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* What a row of pg_depend is about: the key of the table of members. */
typedef struct Member
{
	Oid			classid;
	Oid			objid;
} Member;

static void rename_schema(Oid live);
static void check_snapshot(HeapTuple tuple);
static Oid	new_owner(const char *name, Oid owner);
static void set_privileges(Oid twin, Datum acl, bool isnull);
static HTAB *find_members(void);
static List *add_dependents(HTAB *members, const Member *of);
static bool moves_along(Form_pg_depend dependency, bool of_extension);
static AttrNumber namespace_column(Oid classid);
static void move(Oid classid, Oid objid, List *live, List *twins);
static void set_schema(Relation catalog, HeapTuple tuple, AttrNumber column,
					   List *live, List *twins);
static Oid	twin_of(Oid schema, List *live, List *twins);
static void delete_rows(Oid catalogid);

/*
 * Return the schema of a name, InvalidOid if there is none, locked so that it cannot
 * be dropped.
 */
Oid
mig_twin_lock_schema(const char *name)
{
	Oid			schema = get_namespace_oid(name, true);

	while (OidIsValid(schema))
	{
		Oid			again;

		LockDatabaseObject(NamespaceRelationId, schema, 0, AccessShareLock);
		again = get_namespace_oid(name, true);
		if (again == schema)
			break;
		UnlockDatabaseObject(NamespaceRelationId, schema, 0, AccessShareLock);
		schema = again;
	}
	return schema;
}

/*
 * Give a schema another name, and make an empty one of its own name, with the same
 * owner and privileges, or those of a new one.  Returns that.
 */
Oid
mig_twin_make(Oid live, const char *name, bool new_rights)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(live));
	Oid			twin;
	Oid			owner;
	Datum		acl;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "schema %u does not exist", live);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	acl = SysCacheGetAttr(NAMESPACEOID, tuple, Anum_pg_namespace_nspacl, &isnull);
	if (!isnull)
		acl = PointerGetDatum(PG_DETOAST_DATUM_COPY(acl));
	ReleaseSysCache(tuple);

	rename_schema(live);
	if (new_rights)
		owner = new_owner(name, owner);
	twin = NamespaceCreate(name, owner, false);
	CommandCounterIncrement();
	if (!new_rights)
		set_privileges(twin, acl, isnull);
	else if (mig_grants_is_public(name))
		set_privileges(twin, PointerGetDatum(mig_grants_initial(name, owner)), false);
	return twin;
}

/*
 * Return who owns the twin of a schema before anything is said about it: the schema's
 * own owner, but for public the one that it has in a new database.  A caller who
 * is not that one could not use it then, and needs public to be his own.
 */
static Oid
new_owner(const char *name, Oid owner)
{
	if (mig_grants_is_public(name) && OidIsValid(MIG_PUBLIC_OWNER) &&
		has_privs_of_role(GetUserId(), MIG_PUBLIC_OWNER))
		return MIG_PUBLIC_OWNER;
	return owner;
}

/*
 * Give a schema a name that nobody has.  Errors: 40001.
 */
static void
rename_schema(Oid live)
{
	Relation	catalog = table_open(NamespaceRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(NAMESPACEOID, ObjectIdGetDatum(live));
	char		name[NAMEDATALEN];

	check_snapshot(tuple);
	snprintf(name, sizeof(name), "mig_live_%u", live);
	namestrcpy(&((Form_pg_namespace) GETSTRUCT(tuple))->nspname, name);
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	table_close(catalog, NoLock);
	CommandCounterIncrement();
}

/*
 * 40001 where the snapshot of the transaction is older than a row that is to be changed:
 * queries would find the older one too.
 */
static void
check_snapshot(HeapTuple tuple)
{
	TransactionId xid = HeapTupleHeaderGetXmin(tuple->t_data);

	if (IsolationUsesXactSnapshot() && TransactionIdIsNormal(xid) &&
		!TransactionIdIsCurrentTransactionId(xid) &&
		XidInMVCCSnapshot(xid, GetTransactionSnapshot()))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update")));
}

/*
 * Give a twin privileges in place of those that it was created with.
 */
static void
set_privileges(Oid twin, Datum acl, bool isnull)
{
	Relation	catalog = table_open(NamespaceRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(NAMESPACEOID, ObjectIdGetDatum(twin));
	Datum		values[Natts_pg_namespace] = {0};
	bool		nulls[Natts_pg_namespace] = {0};
	bool		replaces[Natts_pg_namespace] = {0};

	values[Anum_pg_namespace_nspacl - 1] = acl;
	nulls[Anum_pg_namespace_nspacl - 1] = isnull;
	replaces[Anum_pg_namespace_nspacl - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(catalog), values, nulls, replaces);
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	table_close(catalog, NoLock);
	CommandCounterIncrement();
}

/*
 * Move what belongs to extensions from schemas to their twins, and let extensions
 * that are installed in these be in the twins.
 */
void
mig_twin_move_members(List *live, List *twins)
{
	HTAB	   *members = find_members();
	HASH_SEQ_STATUS status;
	Member	   *member;
	Relation	catalog;
	SysScanDesc scan;
	HeapTuple	tuple;

	hash_seq_init(&status, members);
	while ((member = hash_seq_search(&status)) != NULL)
		move(member->classid, member->objid, live, twins);
	hash_destroy(members);

	catalog = table_open(ExtensionRelationId, RowExclusiveLock);
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		set_schema(catalog, tuple, Anum_pg_extension_extnamespace, live, twins);
	systable_endscan(scan);
	table_close(catalog, NoLock);
	CommandCounterIncrement();
}

/*
 * Return the members of all extensions (Member), with their array types, row types,
 * indexes, constraints and sequences.
 */
static HTAB *
find_members(void)
{
	HASHCTL		control = {
		.keysize = sizeof(Member), .entrysize = sizeof(Member),
		.hcxt = CurrentMemoryContext
	};
	HTAB	   *members = hash_create("migrate members", 256, &control,
									  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	Member		extensions = {ExtensionRelationId, InvalidOid};
	List	   *todo = add_dependents(members, &extensions);

	/* the list grows meanwhile */
	for (int at = 0; at < list_length(todo); at++)
	{
		const Member *member = list_nth(todo, at);

		/* the index of a primary key is a part of the constraint, not of the table */
		if (member->classid == RelationRelationId || member->classid == TypeRelationId ||
			member->classid == ConstraintRelationId)
			todo = list_concat(todo, add_dependents(members, member));
	}
	return members;
}

/*
 * Add what moves with an object to the members, or of extensions all that moves with
 * any; return those that were not there (Member *).
 */
static List *
add_dependents(HTAB *members, const Member *of)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	bool		of_extensions = !OidIsValid(of->objid);
	List	   *added = NIL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(of->classid));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(of->objid));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL,
							  of_extensions ? 1 : 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend dependency = (Form_pg_depend) GETSTRUCT(tuple);
		Member		key = {dependency->classid, dependency->objid};
		Member	   *entry;
		bool		found;

		if (!moves_along(dependency, of_extensions))
			continue;
		entry = hash_search(members, &key, HASH_ENTER, &found);
		if (!found)
			added = lappend(added, entry);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return added;
}

/*
 * Return whether the object of a dependency is a member of an extension, or else a
 * part of one.  A table is no part of another, though a partition is dropped with
 * its parent.
 */
static bool
moves_along(Form_pg_depend dependency, bool of_extension)
{
	char		kind;

	if (of_extension)
		return dependency->deptype == DEPENDENCY_EXTENSION;
	if (dependency->deptype != DEPENDENCY_INTERNAL &&
		dependency->deptype != DEPENDENCY_AUTO)
		return false;
	if (dependency->classid != RelationRelationId)
		return true;
	kind = get_rel_relkind(dependency->objid);
	return kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX ||
		kind == RELKIND_SEQUENCE || kind == RELKIND_COMPOSITE_TYPE;
}

/*
 * Return the column with the schema of the objects in a catalog; InvalidAttrNumber
 * if they are in none.
 */
static AttrNumber
namespace_column(Oid classid)
{
	if (!is_objectclass_supported(classid))
		return InvalidAttrNumber;
	return get_object_attnum_namespace(classid);
}

/*
 * Move an object from its schema to the twin, if that has one.
 */
static void
move(Oid classid, Oid objid, List *live, List *twins)
{
	AttrNumber	column = namespace_column(classid);
	Relation	catalog;
	HeapTuple	tuple;

	if (column == InvalidAttrNumber)
		return;
	catalog = table_open(classid, RowExclusiveLock);
	tuple = mig_rows_fetch(catalog, objid);
	if (HeapTupleIsValid(tuple) &&
		OidIsValid(twin_of(mig_rows_oid(catalog, tuple, column), live, twins)))
	{
		ItemPointerData place;

		if (classid == RelationRelationId)
			tuple = mig_rows_lock_relation(catalog, tuple, objid);
		place = tuple->t_self;
		set_schema(catalog, tuple, column, live, twins);
		if (classid == RelationRelationId)
			UnlockTuple(catalog, &place, ExclusiveLock);
	}
	table_close(catalog, NoLock);
}

/*
 * Set the schema in a column of a catalog's row to the twin of what is there, if that
 * has one.
 */
static void
set_schema(Relation catalog, HeapTuple tuple, AttrNumber column, List *live, List *twins)
{
	TupleDesc	descriptor = RelationGetDescr(catalog);
	Oid			twin = twin_of(mig_rows_oid(catalog, tuple, column), live, twins);
	Datum	   *values;
	bool	   *nulls;
	bool	   *replaces;
	HeapTuple	changed;

	if (!OidIsValid(twin))
		return;
	values = palloc0(sizeof(Datum) * descriptor->natts);
	nulls = palloc0(sizeof(bool) * descriptor->natts);
	replaces = palloc0(sizeof(bool) * descriptor->natts);
	values[column - 1] = ObjectIdGetDatum(twin);
	replaces[column - 1] = true;
	changed = heap_modify_tuple(tuple, descriptor, values, nulls, replaces);
	CatalogTupleUpdate(catalog, &tuple->t_self, changed);
	heap_freetuple(changed);
	pfree(values);
	pfree(nulls);
	pfree(replaces);
}

/*
 * Return the twin of a schema, InvalidOid if it has none.
 */
static Oid
twin_of(Oid schema, List *live, List *twins)
{
	ListCell   *lc;
	ListCell   *lc2;

	forboth(lc, live, lc2, twins)
		if (lfirst_oid(lc) == schema)
			return lfirst_oid(lc2);
	return InvalidOid;
}

/*
 * Have the default privileges of schemas be in force in their twins.
 */
void
mig_twin_move_privileges(List *live, List *twins)
{
	Relation	catalog = table_open(DefaultAclRelationId, RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		set_schema(catalog, tuple, Anum_pg_default_acl_defaclnamespace, live, twins);
	systable_endscan(scan);
	table_close(catalog, NoLock);
	CommandCounterIncrement();
}

/*
 * Delete all default privileges: those of any schema, and those of some schemas.
 */
void
mig_twin_drop_privileges(List *live)
{
	Relation	catalog = table_open(DefaultAclRelationId, RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			schema = ((Form_pg_default_acl) GETSTRUCT(tuple))->defaclnamespace;

		if (!OidIsValid(schema) || list_member_oid(live, schema))
			CatalogTupleDelete(catalog, &tuple->t_self);
	}
	systable_endscan(scan);
	table_close(catalog, NoLock);
	CommandCounterIncrement();
}

/*
 * Delete what is the whole database's: event triggers, which would see what is run
 * here, and what publications publish.
 */
void
mig_twin_clear_database(void)
{
	const Oid	catalogs[] = {
		EventTriggerRelationId, PublicationRelRelationId, MIG_PUBLICATION_NAMESPACE
	};

	for (size_t i = 0; i < lengthof(catalogs); i++)
		if (OidIsValid(catalogs[i]))
			delete_rows(catalogs[i]);
	CommandCounterIncrement();
}

/*
 * Delete all rows of a catalog.
 */
static void
delete_rows(Oid catalogid)
{
	Relation	catalog = table_open(catalogid, RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		CatalogTupleDelete(catalog, &tuple->t_self);
	systable_endscan(scan);
	table_close(catalog, NoLock);
}
