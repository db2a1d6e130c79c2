/*
 * leftover.c
 *		Invalid indexes that a build left which did not end.
 *
 * An invalid index is ours to remove when all of this is so: it is of a table
 * whose indexes the recorded statement builds, it was not there when that began,
 * it has a name that this statement makes, and it is what the statement makes.
 * All others belong to users, who may rely on what they enforce.
 *
 * The statement is that of the intent, not of the script, which can have been
 * edited since.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "script/script.h"
#include "stepwise/leftover.h"
#include "stepwise/shape.h"
#include "storage/lmgr.h"
#include "store/query.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

static bool is_left_by(const Node *stmt, const PartialIntent *intent,
					   const InvalidIndex *index);
static bool is_copy(const ReindexStmt *stmt, const InvalidIndex *index);
static bool is_reindexed(const ReindexStmt *stmt, Oid index);
static bool is_name_of_copy(const char *name, Oid original);
static List *read_invalid(const Scope *scope, List *relations, List *except);
static void *index_of_row(uint64 row);
static bool is_invalid(Relation indexes, Oid index, Snapshot snapshot);

/*
 * Return the invalid indexes (InvalidIndex *) that the statement of an intent
 * left, in the current memory context.
 */
List *
mig_leftover_find(const PartialIntent *intent)
{
	List	   *statements;
	List	   *found;
	Scope		scope;
	ListCell   *lc;

	if (intent->relations == NIL || intent->statement == NULL)
		return NIL;
	mig_scope_enter(&scope);
	found = read_invalid(&scope, intent->relations, intent->indexes);
	mig_scope_leave(&scope);
	if (found == NIL)
		return NIL;
	statements = mig_script_split(intent->statement);
	foreach(lc, found)
		if (statements == NIL ||
			!is_left_by(((ScriptStatement *) linitial(statements))->raw->stmt, intent,
						lfirst(lc)))
			found = foreach_delete_current(found, lc);
	return found;
}

/*
 * Return whether an index, which was not there before, is what a statement leaves
 * that does not end.
 */
static bool
is_left_by(const Node *stmt, const PartialIntent *intent, const InvalidIndex *index)
{
	if (IsA(stmt, IndexStmt))
		return index->relation == linitial_oid(intent->relations) &&
			mig_shape_fits((const IndexStmt *) stmt, index->relation, index->index);
	return IsA(stmt, ReindexStmt) && is_copy((const ReindexStmt *) stmt, index);
}

/*
 * Return whether an index is one that a REINDEX makes of another index of its
 * table and drops in the end: the new one, or after they have changed names the
 * old one.
 */
static bool
is_copy(const ReindexStmt *stmt, const InvalidIndex *index)
{
	List	   *others;
	Scope		scope;
	ListCell   *lc;

	mig_scope_enter(&scope);
	others = mig_leftover_indexes(&scope, list_make1_oid(index->relation));
	mig_scope_leave(&scope);
	foreach(lc, others)
	{
		Oid			other = lfirst_oid(lc);

		if (other != index->index && is_reindexed(stmt, other) &&
			is_name_of_copy(index->name, other) && mig_shape_same(other, index->index))
			return true;
	}
	return false;
}

/*
 * Return whether a REINDEX, which is about the table of an index, is about this
 * index too: REINDEX INDEX may be about another one.
 */
static bool
is_reindexed(const ReindexStmt *stmt, Oid index)
{
	Oid			named;

	if (stmt->kind != REINDEX_OBJECT_INDEX)
		return true;
	named = RangeVarGetRelid(stmt->relation, NoLock, true);
	return named == index || get_rel_relkind(named) == RELKIND_PARTITIONED_INDEX;
}

/*
 * Return whether REINDEX CONCURRENTLY gives such a name to a copy of an index:
 * it ends in _ccnew or _ccold, and a number where that is taken.
 */
static bool
is_name_of_copy(const char *name, Oid original)
{
	static const char *const labels[] = {"ccnew", "ccold"};
	const char *original_name = get_rel_name(original);
	const char *number = name + strlen(name);

	while (number > name && number[-1] >= '0' && number[-1] <= '9')
		number--;
	for (size_t i = 0; i < lengthof(labels) && original_name != NULL; i++)
		if (strcmp(name, makeObjectName(original_name, NULL,
										psprintf("%s%s", labels[i], number))) == 0)
			return true;
	return false;
}

/*
 * Return all indexes (Oid) of some tables (Oid), valid or not, in the scope's
 * context.
 */
List *
mig_leftover_indexes(const Scope *scope, List *relations)
{
	static StoreQuery query = {
		"SELECT indexrelid FROM pg_catalog.pg_index"
		" WHERE indrelid OPERATOR(pg_catalog.=) ANY ($1)",
		1, {OIDARRAYOID}, NULL
	};
	Datum		values[1] = {mig_query_oid_array(relations)};

	return mig_query_oids(scope, &query, values);
}

/*
 * Return the indexes (Oid) of some tables (Oid) that are invalid, in the scope's
 * context.
 */
List *
mig_leftover_invalid(const Scope *scope, List *relations)
{
	List	   *found = read_invalid(scope, relations, NIL);
	MemoryContext old = MemoryContextSwitchTo(scope->context);
	List	   *indexes = NIL;
	ListCell   *lc;

	foreach(lc, found)
		indexes = lappend_oid(indexes, ((InvalidIndex *) lfirst(lc))->index);
	MemoryContextSwitchTo(old);
	return indexes;
}

/*
 * Return the invalid indexes (InvalidIndex *) of some tables (Oid), but those
 * in except (Oid) and partitioned ones.
 */
static List *
read_invalid(const Scope *scope, List *relations, List *except)
{
	static StoreQuery query = {
		"SELECT i.indexrelid, i.indrelid, n.nspname::pg_catalog.text, c.relname::pg_catalog.text"
		" FROM pg_catalog.pg_index i"
		" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid"
		" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
		" WHERE i.indrelid OPERATOR(pg_catalog.=) ANY ($1) AND NOT i.indisvalid"
		" AND c.relkind OPERATOR(pg_catalog.=) 'i'::pg_catalog.\"char\""
		" AND i.indexrelid OPERATOR(pg_catalog.<>) ALL ($2)"
		" ORDER BY i.indexrelid",
		2, {OIDARRAYOID, OIDARRAYOID}, NULL
	};
	Datum		values[2] = {mig_query_oid_array(relations), mig_query_oid_array(except)};

	return mig_query_rows(scope, &query, values, index_of_row);
}

/*
 * Return an InvalidIndex, for mig_query_rows.
 */
static void *
index_of_row(uint64 row)
{
	InvalidIndex *index = palloc(sizeof(InvalidIndex));
	bool		isnull;

	index->index = DatumGetObjectId(mig_query_value(row, 1, OIDOID, &isnull));
	index->relation = DatumGetObjectId(mig_query_value(row, 2, OIDOID, &isnull));
	index->schema = mig_query_text(row, 3);
	index->name = mig_query_text(row, 4);
	return index;
}

/*
 * Return whether an index is still there and still invalid, for a caller who
 * holds a lock on its table that a concurrent build needs.
 *
 * A build releases its lock on the table before the transaction that makes the
 * index valid has ended.  So a writer of the index's row is waited for.
 */
bool
mig_leftover_is_there(const InvalidIndex *index)
{
	Relation	indexes = table_open(IndexRelationId, AccessShareLock);
	SnapshotData dirty;
	TransactionId writer;
	bool		invalid;

	do
	{
		InitDirtySnapshot(dirty);
		invalid = is_invalid(indexes, index->index, &dirty);
		writer = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
		if (TransactionIdIsValid(writer))
			XactLockTableWait(writer, NULL, NULL, XLTW_None);
	} while (TransactionIdIsValid(writer));
	table_close(indexes, AccessShareLock);
	return invalid;
}

/*
 * Return whether a snapshot shows an index, and as an invalid one.
 */
static bool
is_invalid(Relation indexes, Oid index, Snapshot snapshot)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		invalid;

	ScanKeyInit(&key, Anum_pg_index_indexrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(index));
	scan = systable_beginscan(indexes, IndexRelidIndexId, true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	invalid = HeapTupleIsValid(tuple) && !((Form_pg_index) GETSTRUCT(tuple))->indisvalid;
	systable_endscan(scan);
	return invalid;
}
