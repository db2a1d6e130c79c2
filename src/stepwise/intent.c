/*
 * intent.c
 *		Statements that commit by themselves: what is written down before one
 *		begins, and what became of one that did not end.
 *
 * Before such a statement begins, its intent is committed (migrate.partial).
 * When the session dies, the next one finds the intent and asks the catalogs:
 * the index is there and valid, so it was built; the dropped one is gone, so it
 * was dropped.  VACUUM, REINDEX and the like are repeated, which does no harm.
 * For what the catalogs cannot tell, a procedure that commits above all, the
 * answer is unknown, and a person has to say it: migrate.resume().
 *
 * Names are looked up as the caller, with the search_path that the script has
 * set, without locks: nobody else runs migrations, and what others do to the
 * same objects meanwhile is theirs to answer for.
 *
 * An interrupted build leaves an invalid index.  The intent lists the indexes
 * that the tables had before, by OID: an invalid one that is not among them is
 * ours to remove, and nothing else is.  REINDEX makes an old index invalid,
 * under a new name, before it drops it; so its intent lists those that were
 * invalid before.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/tablespace.h"
#include "compat.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "script/statement.h"
#include "stepwise/intent.h"
#include "storage/lmgr.h"
#include "store/query.h"
#include "store/scope.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static bool is_invalid(Relation indexes, Oid index, Snapshot snapshot);
static char *this_database(void);
static Oid	find_relation(const RangeVar *name);
static bool database_exists(const char *name);
static bool tablespace_exists(const char *name);
static bool subscription_exists(const char *name);
static bool makes_existing(const RawStmt *raw);
static List *built_tables(const RawStmt *raw);
static List *reindexed_tables(const ReindexStmt *stmt);
static List *with_partitions(Oid relation);
static List *dropped_index(const RawStmt *raw);
static List *invalid_indexes(const Scope *scope, List *relations);
static IntentOutcome decide_create_index(const IndexStmt *stmt,
										 const PartialIntent *intent);
static IntentOutcome decide_unnamed_index(const IndexStmt *stmt, Oid table,
										  const PartialIntent *intent);
static bool commits_by_itself(const RawStmt *raw);
static bool same_index(const IndexStmt *stmt, Oid index);
static void plain_index(IndexStmt *stmt);
static IntentOutcome decide_drop_index(const DropStmt *stmt, const PartialIntent *intent);
static IntentOutcome decide_detach(const AlterTableStmt *stmt, char **instead);
static const PartitionCmd *detached(const AlterTableStmt *stmt);
static IntentOutcome made(const RawStmt *raw, const PartialIntent *intent);
static IntentOutcome gone(bool exists);
static bool is_reindex_leftover(const char *name);
static List *read_toast_tables(const Scope *scope, List *relations);
static List *read_tables(const Scope *scope, Oid schema);
static List *read_indexes(const Scope *scope, List *relations);
static List *read_invalid_indexes(const Scope *scope, List *relations, List *except);
static List *read_oids(const Scope *scope, StoreQuery *query, Datum *values);
static void *index_of_row(uint64 row);

/*
 * Return whether a statement must run at top level because of what the
 * catalogs say: REINDEX, CLUSTER and REPACK of what is partitioned.
 */
bool
mig_intent_needs_top_level(const RawStmt *raw)
{
	const RangeVar *name = NULL;
	char		kind;

	if (IsA(raw->stmt, ReindexStmt))
		name = castNode(ReindexStmt, raw->stmt)->relation;
	else if (IsA(raw->stmt, RepackStmt))
		name = MigRepackTable(castNode(RepackStmt, raw->stmt));
	if (name == NULL)
		return false;
	kind = get_rel_relkind(find_relation(name));
	return kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_PARTITIONED_INDEX;
}

/*
 * Return what is to be written down before a statement is started by itself,
 * where digest is that of the statement and all before it, in the current memory
 * context.
 */
PartialIntent
mig_intent_prepare(const RawStmt *raw, char *digest)
{
	List	   *relations = built_tables(raw);
	PartialIntent intent;
	Scope		scope;

	intent.digest = digest;
	intent.existed = makes_existing(raw);
	intent.database = this_database();
	intent.relations = NIL;
	intent.indexes = dropped_index(raw);
	if (relations == NIL)
		return intent;
	mig_scope_enter(&scope);
	relations = list_concat(relations, read_toast_tables(&scope, relations));
	intent.relations = relations;
	if (IsA(raw->stmt, ReindexStmt))
		intent.indexes = invalid_indexes(&scope, relations);
	else
		intent.indexes = read_indexes(&scope, relations);
	mig_scope_leave(&scope);
	return intent;
}

/*
 * Forget the OIDs of an intent of another database: in a restored one they mean
 * other things, or nothing.
 */
void
mig_intent_forget_elsewhere(PartialIntent *intent)
{
	if (intent->database != NULL && strcmp(intent->database, this_database()) == 0)
		return;
	intent->relations = NIL;
	intent->indexes = NIL;
}

/*
 * Return what became of a statement that did not end. For INTENT_INSTEAD
 * *instead is the statement to run, in the current memory context.
 */
IntentOutcome
mig_intent_decide(const RawStmt *raw, const PartialIntent *intent, char **instead)
{
	Node	   *stmt = raw->stmt;
	bool		known = commits_by_itself(raw);

	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return known ? decide_create_index((IndexStmt *) stmt, intent) : INTENT_UNKNOWN;
		case T_DropStmt:
			return known ? decide_drop_index((DropStmt *) stmt, intent) : INTENT_UNKNOWN;
		case T_AlterTableStmt:
			return known ? decide_detach((AlterTableStmt *) stmt, instead) : INTENT_UNKNOWN;
		case T_CreatedbStmt:
		case T_CreateTableSpaceStmt:
		case T_CreateSubscriptionStmt:
			return made(raw, intent);
		case T_DropdbStmt:
			if (((DropdbStmt *) stmt)->missing_ok)
				return INTENT_AGAIN;
			return gone(database_exists(((DropdbStmt *) stmt)->dbname));
		case T_DropTableSpaceStmt:
			if (((DropTableSpaceStmt *) stmt)->missing_ok)
				return INTENT_AGAIN;
			return gone(tablespace_exists(((DropTableSpaceStmt *) stmt)->tablespacename));
		case T_DropSubscriptionStmt:
			if (((DropSubscriptionStmt *) stmt)->missing_ok)
				return INTENT_AGAIN;
			return gone(subscription_exists(((DropSubscriptionStmt *) stmt)->subname));
		case T_ReindexStmt:
		case T_VacuumStmt:
		case T_RepackStmt:
		case T_AlterSystemStmt:
		case T_AlterDatabaseStmt:
		case T_AlterSubscriptionStmt:
			return INTENT_AGAIN;
		default:
			return INTENT_UNKNOWN;
	}
}

/*
 * Return the invalid indexes (InvalidIndex *) that a statement which did not
 * end left, in the current memory context. raw is the statement, NULL when it
 * was edited since.
 */
List *
mig_intent_leftovers(const RawStmt *raw, const PartialIntent *intent)
{
	List	   *found;
	Scope		scope;
	ListCell   *lc;

	if (intent->relations == NIL)
		return NIL;
	mig_scope_enter(&scope);
	found = read_invalid_indexes(&scope, intent->relations, intent->indexes);
	mig_scope_leave(&scope);
	if (raw != NULL && IsA(raw->stmt, ReindexStmt))
		foreach(lc, found)
			if (!is_reindex_leftover(((InvalidIndex *) lfirst(lc))->name))
				found = foreach_delete_current(found, lc);
	return found;
}

/*
 * Return whether an index is still there and still invalid, for a caller who
 * holds a lock on its table that a concurrent build needs.
 *
 * A build releases its lock on the table before the transaction that makes the
 * index valid has ended.  So a writer of the index's row is waited for.
 */
bool
mig_intent_is_leftover(const InvalidIndex *index)
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

/*
 * 55000 when CREATE INDEX IF NOT EXISTS found an index that is not valid, and
 * so did nothing and is not done.
 */
void
mig_intent_check_result(const RawStmt *raw)
{
	const IndexStmt *stmt = (const IndexStmt *) raw->stmt;
	Oid			table;
	Oid			index;

	if (!IsA(stmt, IndexStmt) || !stmt->concurrent || !stmt->if_not_exists)
		return;
	table = find_relation(stmt->relation);
	index = get_relname_relid(stmt->idxname, get_rel_namespace(table));
	if (OidIsValid(index) && get_rel_relkind(index) == RELKIND_INDEX &&
		!get_index_isvalid(index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" exists and is invalid", stmt->idxname),
				 errdetail("It was there before this script ran; queries do not use it."),
				 errhint("DROP INDEX CONCURRENTLY %s; then call again.",
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(index)),
													stmt->idxname))));
}

/*
 * Return what no other database has: the system identifier, which initdb
 * makes, and the OID.
 */
static char *
this_database(void)
{
	return psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(), MyDatabaseId);
}

/* InvalidOid when there is none. */
static Oid
find_relation(const RangeVar *name)
{
	return RangeVarGetRelid(name, NoLock, true);
}

/*
 * Return whether what a statement makes is there before it runs.
 */
static bool
makes_existing(const RawStmt *raw)
{
	switch (nodeTag(raw->stmt))
	{
		case T_CreatedbStmt:
			return database_exists(castNode(CreatedbStmt, raw->stmt)->dbname);
		case T_CreateTableSpaceStmt:
			return tablespace_exists(castNode(CreateTableSpaceStmt, raw->stmt)->tablespacename);
		case T_CreateSubscriptionStmt:
			return subscription_exists(castNode(CreateSubscriptionStmt, raw->stmt)->subname);
		default:
			return false;
	}
}

/*
 * Return whether there is a database of a name.
 */
static bool
database_exists(const char *name)
{
	return OidIsValid(get_database_oid(name, true));
}

/*
 * Return whether there is a tablespace of a name.
 */
static bool
tablespace_exists(const char *name)
{
	return OidIsValid(get_tablespace_oid(name, true));
}

/*
 * Return whether this database has a subscription of a name.
 */
static bool
subscription_exists(const char *name)
{
	return OidIsValid(get_subscription_oid(name, true));
}

/*
 * Return the tables (Oid) whose indexes a statement builds concurrently.
 */
static List *
built_tables(const RawStmt *raw)
{
	List	   *tables = NIL;

	if (IsA(raw->stmt, IndexStmt))
	{
		Oid			table = find_relation(castNode(IndexStmt, raw->stmt)->relation);

		if (OidIsValid(table))
			tables = list_make1_oid(table);
	}
	else if (IsA(raw->stmt, ReindexStmt))
		tables = reindexed_tables(castNode(ReindexStmt, raw->stmt));
	return tables;
}

/*
 * Return the tables (Oid) whose indexes a REINDEX builds.
 */
static List *
reindexed_tables(const ReindexStmt *stmt)
{
	Oid			relation;
	Oid			schema = InvalidOid;
	List	   *tables;
	Scope		scope;

	if (stmt->kind == REINDEX_OBJECT_INDEX || stmt->kind == REINDEX_OBJECT_TABLE)
	{
		relation = find_relation(stmt->relation);
		if (OidIsValid(relation) && stmt->kind == REINDEX_OBJECT_INDEX)
			relation = IndexGetRelation(relation, true);
		return OidIsValid(relation) ? with_partitions(relation) : NIL;
	}
	if (stmt->kind == REINDEX_OBJECT_SCHEMA)
	{
		schema = get_namespace_oid(stmt->name, true);
		if (!OidIsValid(schema))
			return NIL;
	}
	mig_scope_enter(&scope);
	tables = read_tables(&scope, schema);
	mig_scope_leave(&scope);
	return tables;
}

/*
 * Return a table and its partitions.
 */
static List *
with_partitions(Oid relation)
{
	return find_all_inheritors(relation, NoLock, NULL);
}

/*
 * Return the index (Oid) that DROP INDEX CONCURRENTLY is about to drop, as a
 * list.
 */
static List *
dropped_index(const RawStmt *raw)
{
	const DropStmt *stmt = (const DropStmt *) raw->stmt;
	List	   *indexes = NIL;

	if (IsA(stmt, DropStmt))
	{
		Oid			index = find_relation(makeRangeVarFromNameList(linitial(stmt->objects)));

		if (OidIsValid(index))
			indexes = list_make1_oid(index);
	}
	return indexes;
}

/*
 * Return the indexes (Oid) of some tables (Oid) that are invalid, in the scope's
 * context.
 */
static List *
invalid_indexes(const Scope *scope, List *relations)
{
	List	   *found = read_invalid_indexes(scope, relations, NIL);
	MemoryContext old = MemoryContextSwitchTo(scope->context);
	List	   *indexes = NIL;
	ListCell   *lc;

	foreach(lc, found)
		indexes = lappend_oid(indexes, ((InvalidIndex *) lfirst(lc))->index);
	MemoryContextSwitchTo(old);
	return indexes;
}

/*
 * CREATE INDEX CONCURRENTLY.  Under IF NOT EXISTS repeating does no harm, once
 * the leftovers are gone.
 */
static IntentOutcome
decide_create_index(const IndexStmt *stmt, const PartialIntent *intent)
{
	Oid			table = find_relation(stmt->relation);
	Oid			index;

	if (stmt->if_not_exists || !OidIsValid(table))
		return INTENT_AGAIN;
	if (stmt->idxname == NULL)
		return decide_unnamed_index(stmt, table, intent);
	index = get_relname_relid(stmt->idxname, get_rel_namespace(table));
	if (!OidIsValid(index) || list_member_oid(intent->indexes, index) ||
		get_rel_relkind(index) != RELKIND_INDEX ||
		IndexGetRelation(index, true) != table || !get_index_isvalid(index))
		return INTENT_AGAIN;
	return INTENT_DONE;
}

/*
 * Return the server chose the name: a valid index that was not there before
 * and reads as the statement does is the one. One that reads otherwise may be
 * of another session, or the same in other words.
 */
static IntentOutcome
decide_unnamed_index(const IndexStmt *stmt, Oid table, const PartialIntent *intent)
{
	IntentOutcome outcome = INTENT_AGAIN;
	List	   *indexes;
	Scope		scope;
	ListCell   *lc;

	mig_scope_enter(&scope);
	indexes = read_indexes(&scope, list_make1_oid(table));
	mig_scope_leave(&scope);
	foreach(lc, indexes)
	{
		Oid			index = lfirst_oid(lc);

		if (list_member_oid(intent->indexes, index) || !get_index_isvalid(index))
			continue;
		if (same_index(stmt, index))
			return INTENT_DONE;
		outcome = INTENT_UNKNOWN;
	}
	return outcome;
}

/*
 * Return whether the definition of an index, parsed, is what a statement says.
 */
static bool
same_index(const IndexStmt *stmt, Oid index)
{
	Datum		definition = DirectFunctionCall1(pg_get_indexdef,
												 ObjectIdGetDatum(index));
	List	   *parsed = pg_parse_query(TextDatumGetCString(definition));
	IndexStmt  *other = (IndexStmt *) linitial_node(RawStmt, parsed)->stmt;
	IndexStmt  *self = copyObject(unconstify(IndexStmt *, stmt));

	if (!IsA(other, IndexStmt))
		return false;
	plain_index(self);
	plain_index(other);
	return equal(self, other);
}

/*
 * Take away what may differ between a statement and what the server makes of
 * it, and is not what the index is.
 */
static void
plain_index(IndexStmt *stmt)
{
	ListCell   *lc;

	stmt->idxname = NULL;
	stmt->relation = NULL;
	stmt->tableSpace = NULL;
	stmt->concurrent = false;
	stmt->if_not_exists = false;
	foreach(lc, stmt->indexParams)
	{
		IndexElem  *element = lfirst_node(IndexElem, lc);
		bool		descending = element->ordering == SORTBY_DESC;

		if (element->ordering == SORTBY_ASC)
			element->ordering = SORTBY_DEFAULT;
		if (element->nulls_ordering == (descending ? SORTBY_NULLS_FIRST : SORTBY_NULLS_LAST))
			element->nulls_ordering = SORTBY_NULLS_DEFAULT;
	}
}

/*
 * DROP INDEX CONCURRENTLY.  Decided by OID, where it is known: once an index
 * is gone, the search_path may have another one of its name.
 */
static IntentOutcome
decide_drop_index(const DropStmt *stmt, const PartialIntent *intent)
{
	if (intent->indexes != NIL)
		return gone(get_rel_relkind(linitial_oid(intent->indexes)) != '\0');
	if (stmt->missing_ok)
		return INTENT_AGAIN;
	return gone(OidIsValid(find_relation(makeRangeVarFromNameList(linitial(stmt->objects)))));
}

/*
 * Return whether the server itself has a statement commit: what it leaves behind
 * is known then.  Others run at top level because an extension wants it so.
 */
static bool
commits_by_itself(const RawStmt *raw)
{
	if (IsA(raw->stmt, IndexStmt))
		return castNode(IndexStmt, raw->stmt)->concurrent;
	return mig_statement_needs_top_level(raw) != NULL;
}

/*
 * DETACH PARTITION CONCURRENTLY commits in its middle: then the partition is
 * pending to be detached, and FINALIZE does the rest.
 */
static IntentOutcome
decide_detach(const AlterTableStmt *stmt, char **instead)
{
	const PartitionCmd *command = detached(stmt);
	Oid			parent = find_relation(stmt->relation);
	Oid			child = command ? find_relation(command->name) : InvalidOid;

	if (!OidIsValid(parent) || !OidIsValid(child))
		return INTENT_AGAIN;
	if (!get_rel_relispartition(child))
		return INTENT_DONE;
	if (!PartitionHasPendingDetach(child))
		return INTENT_AGAIN;
	*instead = psprintf("ALTER TABLE %s DETACH PARTITION %s FINALIZE",
						quote_qualified_identifier(get_namespace_name(get_rel_namespace(parent)),
												   get_rel_name(parent)),
						quote_qualified_identifier(get_namespace_name(get_rel_namespace(child)),
												   get_rel_name(child)));
	return INTENT_INSTEAD;
}

/* NULL when the statement detaches nothing. */
static const PartitionCmd *
detached(const AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_DetachPartition)
			return (const PartitionCmd *) lfirst_node(AlterTableCmd, lc)->def;
	return NULL;
}

/*
 * CREATE of what the catalogs show only when it is whole.  A subscription that
 * is not there may have left its slot with the publisher.
 */
static IntentOutcome
made(const RawStmt *raw, const PartialIntent *intent)
{
	if (intent->existed)
		return INTENT_AGAIN;
	if (makes_existing(raw))
		return INTENT_DONE;
	return IsA(raw->stmt, CreateSubscriptionStmt) ? INTENT_UNKNOWN : INTENT_AGAIN;
}

/*
 * Return the outcome of a DROP, by whether its object exists.
 */
static IntentOutcome
gone(bool exists)
{
	return exists ? INTENT_AGAIN : INTENT_DONE;
}

/*
 * Return whether REINDEX CONCURRENTLY gives such a name: one that ends in
 * _ccnew or _ccold, and a number where that is taken.
 */
static bool
is_reindex_leftover(const char *name)
{
	int			len = strlen(name);

	while (len > 0 && name[len - 1] >= '0' && name[len - 1] <= '9')
		len--;
	return len >= 6 && (strncmp(name + len - 6, "_ccnew", 6) == 0 ||
						strncmp(name + len - 6, "_ccold", 6) == 0);
}

/*
 * Return the TOAST tables (Oid) that some tables (Oid) have.
 */
static List *
read_toast_tables(const Scope *scope, List *relations)
{
	static StoreQuery query = {
		"SELECT reltoastrelid FROM pg_catalog.pg_class"
		" WHERE oid OPERATOR(pg_catalog.=) ANY ($1)"
		" AND reltoastrelid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid",
		1, {OIDARRAYOID}, NULL
	};
	Datum		values[1] = {mig_query_oid_array(relations)};

	return read_oids(scope, &query, values);
}

/*
 * Return the tables (Oid) of a schema that can have indexes; of all schemas
 * for InvalidOid.
 */
static List *
read_tables(const Scope *scope, Oid schema)
{
	static StoreQuery query = {
		"SELECT oid FROM pg_catalog.pg_class"
		" WHERE relkind OPERATOR(pg_catalog.=) ANY ('{r,m,p}'::pg_catalog.\"char\"[])"
		" AND ($1 OPERATOR(pg_catalog.=) 0::pg_catalog.oid"
		" OR relnamespace OPERATOR(pg_catalog.=) $1)",
		1, {OIDOID}, NULL
	};
	Datum		values[1] = {ObjectIdGetDatum(schema)};

	return read_oids(scope, &query, values);
}

/*
 * Return all indexes (Oid) of some tables (Oid), valid or not.
 */
static List *
read_indexes(const Scope *scope, List *relations)
{
	static StoreQuery query = {
		"SELECT indexrelid FROM pg_catalog.pg_index"
		" WHERE indrelid OPERATOR(pg_catalog.=) ANY ($1)",
		1, {OIDARRAYOID}, NULL
	};
	Datum		values[1] = {mig_query_oid_array(relations)};

	return read_oids(scope, &query, values);
}

/*
 * Return the invalid indexes (InvalidIndex *) of some tables (Oid), but those
 * in except (Oid) and partitioned ones.
 */
static List *
read_invalid_indexes(const Scope *scope, List *relations, List *except)
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
 * Run a query whose one column is OIDs, and return them (Oid).
 */
static List *
read_oids(const Scope *scope, StoreQuery *query, Datum *values)
{
	uint64		n = mig_query_read(scope, query, values, NULL);
	MemoryContext old = MemoryContextSwitchTo(scope->context);
	List	   *oids = NIL;
	bool		isnull;

	for (uint64 row = 0; row < n; row++)
		oids = lappend_oid(oids,
						   DatumGetObjectId(mig_query_value(row, 1, OIDOID,
															&isnull)));
	MemoryContextSwitchTo(old);
	return oids;
}
