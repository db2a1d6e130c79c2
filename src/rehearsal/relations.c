/*
 * relations.c
 *		What a statement does to relations that were there before it.
 *
 * That a relation was there before, under which name and in which file, is asked of
 * the catalogs with a snapshot of the beginning.  A relation is looked at when the
 * session first has a lock on it: without one nobody reads or writes it.  Whether it has
 * a new file is looked at when the relation cache hears that it has changed.  Scans
 * are what the session's statistics count.
 *
 * To be used in a subtransaction that is rolled back, by one user at a time.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "compat.h"
#include "rehearsal/relation_locks.h"
#include "rehearsal/relations.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* A relation that was there before. */
typedef struct Watched
{
	Oid			oid;			/* the key; must be first */
	const char *name;			/* qualified and quoted */
	const char *bare_name;
	Oid			schema;
	Oid			table;			/* of an index; else InvalidOid */
	char		kind;
	Oid			file;			/* after the last statement */
	bool		is_gone;
	int64		scans;			/* counted up to the last statement */
	struct Watched *next_touched;
	bool		is_touched;		/* in that list */
} Watched;

/* What the session's statistics had of a table at the beginning. */
typedef struct Counted
{
	Oid			table;			/* the key; must be first */
	int64		scans;
} Counted;

struct Relations
{
	MemoryContext context;
	Snapshot	snapshot;		/* of the beginning; NULL: it is as then again */
	RelationLocks *locks;
	Oid			schema;			/* the last one whose name was read... */
	const char *schema_name;
	HTAB	   *watched;		/* Watched */
	HTAB	   *counted;		/* Counted */
	List	   *tables;			/* Watched *: those that can be scanned */
	Watched    *touched;
	bool		all_touched;
	List	   *suspended;		/* RelationLock *: locks of the last statement */
};

/* Whose callback is called. */
static Relations *active = NULL;

static void touch(Datum argument, Oid relation);
static void touch_one(Relations *relations, Watched *watched);
static void count_tables(Relations *relations);
static List *report_locks(Relations *relations, List *changed);
static void append_locks(Relations *relations, List **locks, const RelationLock *lock);
static bool is_worth_reporting(const Watched *watched);
static int	compare_locks(const ListCell *a, const ListCell *b);
static int	compare_names(const ListCell *a, const ListCell *b);
static List *report_rewrites(Relations *relations);
static bool has_new_file(Watched *watched, Oid *now);
static Oid	successor(const Watched *watched);
static Oid	file_of(Oid relation, bool *exists);
static double size_of(Oid relation);
static List *report_scans(Relations *relations);
static RelationName *name_of(const Watched *watched);
static Watched *find(Relations *relations, Oid relation);
static Watched *add(Relations *relations, Oid relation, Form_pg_class form);
static const char *read_schema_name(Relations *relations, Oid schema);
static HeapTuple read_row(const Relations *relations, Oid catalog, Oid index, AttrNumber key,
						  Oid value);
static Oid	table_of_index(const Relations *relations, Oid index);

/*
 * Remember what is there, in the current memory context, and locks that are held.
 */
Relations *
mig_relations_begin(void)
{
	static bool installed = false;
	Relations  *relations = palloc0(sizeof(Relations));
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Watched),
	.hcxt = CurrentMemoryContext};
	ListCell   *lc;

	relations->context = CurrentMemoryContext;
	relations->watched = hash_create("migrate relations", 256, &control,
									 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	control.entrysize = sizeof(Counted);
	relations->counted = hash_create("migrate scans", 64, &control,
									 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	/* else relations are not counted when they are opened */
	(void) set_config_option("track_counts", "on", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	relations->snapshot = RegisterSnapshot(GetLatestSnapshot());
	count_tables(relations);
	relations->locks = mig_relation_locks_begin();
	foreach(lc, mig_relation_locks_look(relations->locks))
		(void) find(relations, ((RelationLock *) lfirst(lc))->relation);
	if (!installed)
		CacheRegisterRelcacheCallback(touch, (Datum) 0);
	installed = true;
	active = relations;
	return relations;
}

/*
 * Stop being called when relations change, also after an error.
 */
void
mig_relations_end(void)
{
	active = NULL;
}

/*
 * Note that a statement begins: what was done up to now is not its doing.
 */
void
mig_relations_mark(Relations *relations)
{
	MemoryContext old = MemoryContextSwitchTo(relations->context);

	list_free(mig_relation_locks_look(relations->locks));
	list_free_deep(report_scans(relations));
	MemoryContextSwitchTo(old);
}

/*
 * Return what was done to relations since the last mark or call, in the current memory
 * context, to the end of which they live.  TRUNCATE makes new files that are no copies,
 * and builds the indexes of empty tables.
 */
RelationChanges
mig_relations_changes(Relations *relations, bool is_truncate)
{
	RelationChanges changes = {NIL, NIL, NIL};
	List	   *changed;

	/* catalogs are to be as the statement has left them */
	CommandCounterIncrement();
	changed = mig_relation_locks_look(relations->locks);
	changes.locks = report_locks(relations, changed);
	list_free(changed);
	changes.rewrites = report_rewrites(relations);
	changes.scans = report_scans(relations);
	if (is_truncate)
		changes.rewrites = changes.scans = NIL;
	return changes;
}

/*
 * Remember the locks of a statement that has failed, before they are released.
 */
void
mig_relations_suspend(Relations *relations)
{
	MemoryContext old = MemoryContextSwitchTo(relations->context);

	relations->suspended = mig_relation_locks_look(relations->locks);
	relations->snapshot = NULL;
	active = NULL;
	MemoryContextSwitchTo(old);
}

/*
 * After that and a rollback: return what the statement has done until it failed, as
 * mig_relations_changes; its new files are gone.
 */
RelationChanges
mig_relations_after(Relations *relations)
{
	RelationChanges changes = {NIL, NIL, NIL};

	changes.locks = report_locks(relations, relations->suspended);
	changes.scans = report_scans(relations);
	return changes;
}

/*
 * Note that a relation has changed; a callback of the relation cache.  It must not fail.
 */
static void
touch(Datum argument, Oid relation)
{
	Watched    *watched;

	(void) argument;
	if (active == NULL)
		return;
	if (!OidIsValid(relation))
	{
		active->all_touched = true;
		return;
	}
	watched = hash_search(active->watched, &relation, HASH_FIND, NULL);
	if (watched != NULL)
		touch_one(active, watched);
}

/*
 * Have a relation's file looked at after the statement.
 */
static void
touch_one(Relations *relations, Watched *watched)
{
	if (watched->is_touched || watched->is_gone)
		return;
	watched->is_touched = true;
	watched->next_touched = relations->touched;
	relations->touched = watched;
}

/*
 * Remember what the session has counted of tables in earlier statements and
 * transactions.
 */
static void
count_tables(Relations *relations)
{
	Relation	catalog = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, relations->snapshot,
										  0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);
		Oid			table = form->oid;
		int64		scans;

		if (table < FirstNormalObjectId || !RELKIND_HAS_STORAGE(form->relkind))
			continue;
		scans = mig_count_scans(table);
		if (scans != 0)
			((Counted *) hash_search(relations->counted, &table, HASH_ENTER, NULL))->scans = scans;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/*
 * Return the locks (RelationLocked *) to report of those that are new (RelationLock *).
 */
static List *
report_locks(Relations *relations, List *changed)
{
	List	   *locks = NIL;
	ListCell   *lc;

	foreach(lc, changed)
		append_locks(relations, &locks, lfirst(lc));
	list_sort(locks, compare_locks);
	return locks;
}

/*
 * Append the new modes of one relation: of these the ones that keep others waiting whom
 * neither the modes that were held before nor a stronger one does.  Those on an index
 * count only where its table's does not cover them.
 */
static void
append_locks(Relations *relations, List **locks, const RelationLock *lock)
{
	const Watched *watched = find(relations, lock->relation);
	LOCKMASK	covered;

	if (watched == NULL || !is_worth_reporting(watched))
		return;
	covered = mig_relation_locks_conflicts(lock->before);
	if (OidIsValid(watched->table))
		covered |= mig_relation_locks_conflicts(mig_relation_locks_held(relations->locks,
																		watched->table));
	for (LOCKMODE mode = MaxLockMode; mode >= 1; mode--)
	{
		LOCKMASK	conflicts = mig_relation_locks_conflicts(LOCKBIT_ON(mode));
		RelationLocked *locked;

		if (!(lock->held & ~lock->before & LOCKBIT_ON(mode)) || (conflicts & ~covered) == 0)
			continue;
		covered |= conflicts;
		locked = palloc(sizeof(RelationLocked));
		locked->mode = GetLockmodeName(DEFAULT_LOCKMETHOD, mode);
		locked->strength = mode;
		locked->relation = watched->name;
		*locks = lappend(*locks, locked);
	}
}

/*
 * Return whether others can meet a lock on a relation: nobody uses a TOAST table without
 * its table.
 */
static bool
is_worth_reporting(const Watched *watched)
{
	return watched->schema != PG_TOAST_NAMESPACE;
}

/*
 * Compare two locks: the strongest first, then by name.
 */
static int
compare_locks(const ListCell *a, const ListCell *b)
{
	const RelationLocked *one = lfirst(a);
	const RelationLocked *other = lfirst(b);

	if (one->strength != other->strength)
		return other->strength - one->strength;
	return strcmp(one->relation, other->relation);
}

/*
 * Compare two relations by name.
 */
static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(((const RelationName *) lfirst(a))->name,
				  ((const RelationName *) lfirst(b))->name);
}

/*
 * Return the relations (RelationName *) that have new files.
 */
static List *
report_rewrites(Relations *relations)
{
	List	   *rewrites = NIL;
	Watched    *watched;
	Oid			now;

	if (relations->all_touched)
	{
		HASH_SEQ_STATUS status;

		hash_seq_init(&status, relations->watched);
		while ((watched = hash_seq_search(&status)) != NULL)
			touch_one(relations, watched);
		relations->all_touched = false;
	}
	while ((watched = relations->touched) != NULL)
	{
		relations->touched = watched->next_touched;
		watched->is_touched = false;
		if (has_new_file(watched, &now))
		{
			rewrites = lappend(rewrites, name_of(watched));
			((RelationName *) llast(rewrites))->bytes = size_of(now);
		}
	}
	list_sort(rewrites, compare_names);
	return rewrites;
}

/*
 * Return whether a relation that has changed has a new file, and remember that; *now
 * becomes the relation that has it.  Of a sequence it is no copy.
 */
static bool
has_new_file(Watched *watched, Oid *now)
{
	Oid			before = watched->file;
	bool		exists;

	*now = watched->oid;
	watched->file = file_of(watched->oid, &exists);
	if (!exists)
	{
		watched->is_gone = true;
		*now = successor(watched);
		watched->file = file_of(*now, &exists);
	}
	return OidIsValid(watched->file) && watched->file != before &&
		watched->kind != RELKIND_SEQUENCE;
}

/*
 * Return what was made in place of an index or a TOAST table that is gone, as ALTER TABLE
 * does; InvalidOid if nothing was.
 */
static Oid
successor(const Watched *watched)
{
	Oid			relation;

	if (!OidIsValid(watched->table) && watched->kind != RELKIND_TOASTVALUE)
		return InvalidOid;
	relation = get_relname_relid(watched->bare_name, watched->schema);
	return OidIsValid(relation) && get_rel_relkind(relation) == watched->kind ?
		relation : InvalidOid;
}

/*
 * Return the size, in bytes, of a relation's file, which this transaction has made and so
 * has a lock on.
 */
static double
size_of(Oid relation)
{
	Relation	opened = relation_open(relation, NoLock);
	double		bytes = (double) RelationGetNumberOfBlocks(opened) * BLCKSZ;

	relation_close(opened, NoLock);
	return bytes;
}

/*
 * Return the file of a relation, InvalidOid if it has none or does not exist.
 */
static Oid
file_of(Oid relation, bool *exists)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			file = InvalidOid;

	*exists = HeapTupleIsValid(tuple);
	if (*exists)
	{
		file = ((Form_pg_class) GETSTRUCT(tuple))->relfilenode;
		ReleaseSysCache(tuple);
	}
	return file;
}

/*
 * Return the tables (RelationName *) that were scanned.
 */
static List *
report_scans(Relations *relations)
{
	List	   *scans = NIL;
	ListCell   *lc;

	foreach(lc, relations->tables)
	{
		Watched    *watched = lfirst(lc);
		int64		now = mig_count_scans(watched->oid);

		if (now > watched->scans)
			scans = lappend(scans, name_of(watched));
		watched->scans = now;
		if (watched->is_gone)
			relations->tables = foreach_delete_current(relations->tables, lc);
	}
	list_sort(scans, compare_names);
	return scans;
}

/*
 * Return what a relation is reported as.
 */
static RelationName *
name_of(const Watched *watched)
{
	RelationName *name = palloc0(sizeof(RelationName));

	name->oid = watched->oid;
	name->name = watched->name;
	return name;
}

/*
 * Return a relation on which a lock was seen; NULL if it was not there before.
 */
static Watched *
find(Relations *relations, Oid relation)
{
	Watched    *watched = hash_search(relations->watched, &relation, HASH_FIND, NULL);
	HeapTuple	tuple;

	if (watched != NULL)
		return watched;
	tuple = read_row(relations, RelationRelationId, ClassOidIndexId, Anum_pg_class_oid,
					 relation);
	if (!HeapTupleIsValid(tuple))
		return NULL;
	watched = add(relations, relation, (Form_pg_class) GETSTRUCT(tuple));
	heap_freetuple(tuple);
	return watched;
}

/*
 * Add a relation that was there before, with its row of then.
 */
static Watched *
add(Relations *relations, Oid relation, Form_pg_class form)
{
	Oid			table = form->relkind == RELKIND_INDEX ||
		form->relkind == RELKIND_PARTITIONED_INDEX ?
		table_of_index(relations, relation) : InvalidOid;
	MemoryContext old = MemoryContextSwitchTo(relations->context);
	Watched    *watched = hash_search(relations->watched, &relation, HASH_ENTER, NULL);
	const Counted *counted = hash_search(relations->counted, &relation, HASH_FIND, NULL);

	memset((char *) watched + sizeof(Oid), 0, sizeof(Watched) - sizeof(Oid));
	watched->bare_name = pstrdup(NameStr(form->relname));
	watched->name = quote_qualified_identifier(read_schema_name(relations, form->relnamespace),
											   watched->bare_name);
	watched->schema = form->relnamespace;
	watched->kind = form->relkind;
	watched->file = form->relfilenode;
	watched->table = table;
	watched->scans = counted != NULL ? counted->scans : 0;
	if (form->relkind == RELKIND_RELATION || form->relkind == RELKIND_MATVIEW)
		relations->tables = lappend(relations->tables, watched);
	touch_one(relations, watched);
	MemoryContextSwitchTo(old);
	return watched;
}

/*
 * Return the name of a schema that was there before; NULL if there is none.
 */
static const char *
read_schema_name(Relations *relations, Oid schema)
{
	HeapTuple	tuple;

	if (schema == PG_TOAST_NAMESPACE)
		return "pg_toast";
	if (schema == relations->schema)
		return relations->schema_name;
	tuple = read_row(relations, NamespaceRelationId, NamespaceOidIndexId,
					 Anum_pg_namespace_oid, schema);
	relations->schema = schema;
	relations->schema_name = HeapTupleIsValid(tuple) ?
		MemoryContextStrdup(relations->context,
							NameStr(((Form_pg_namespace) GETSTRUCT(tuple))->nspname)) : NULL;
	return relations->schema_name;
}

/*
 * Return a row of a catalog of the beginning, by its key, palloc'd; NULL if there is
 * none.
 */
static HeapTuple
read_row(const Relations *relations, Oid catalog, Oid index, AttrNumber key, Oid value)
{
	Relation	relation = table_open(catalog, AccessShareLock);
	ScanKeyData scan_key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&scan_key, key, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
	scan = systable_beginscan(relation, index, true, relations->snapshot, 1, &scan_key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return tuple;
}

/*
 * Return the table of an index.
 */
static Oid
table_of_index(const Relations *relations, Oid index)
{
	HeapTuple	tuple = read_row(relations, IndexRelationId, IndexRelidIndexId,
								 Anum_pg_index_indexrelid, index);
	Oid			table = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		table = ((Form_pg_index) GETSTRUCT(tuple))->indrelid;
		heap_freetuple(tuple);
	}
	return table;
}
