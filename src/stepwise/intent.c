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
 * set.
 *
 * What is there counts as made by the statement only when the intent does not
 * have it from before and it is what the statement makes; what is gone counts as
 * dropped by the OID that the intent has.  A name alone decides nothing, but in
 * a restored database, where OIDs mean nothing.
 *
 * A statement that has failed before the client's eyes is not in doubt, and is
 * run again.  Only a partition that it has begun to detach is taken up where it
 * is.
 */
#include "migrate.h"

#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "script/statement.h"
#include "stepwise/intent.h"
#include "stepwise/leftover.h"
#include "stepwise/object.h"
#include "stepwise/shape.h"
#include "store/query.h"
#include "store/scope.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static char *this_database(void);
static Oid	find_relation(const RangeVar *name);
static List *built_tables(const RawStmt *raw);
static List *reindexed_tables(const ReindexStmt *stmt);
static List *with_partitions(Oid relation);
static IntentOutcome decide_create_index(const IndexStmt *stmt,
										 const PartialIntent *intent);
static IntentOutcome decide_creation(const RawStmt *raw, const PartialIntent *intent);
static IntentOutcome decide_removal(const RawStmt *raw, const PartialIntent *intent);
static IntentOutcome decide_detach(const RawStmt *raw, const PartialIntent *intent,
								   char **instead);
static bool commits_by_itself(const RawStmt *raw);
static List *read_toast_tables(const Scope *scope, List *relations);
static List *read_tables(const Scope *scope, Oid schema);

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
 * Return what is to be written down before a statement of a script is started by
 * itself, where digest is that of the statement and all before it, in the current
 * memory context.
 */
PartialIntent
mig_intent_prepare(const ScriptStatement *statement, const char *sql, char *digest)
{
	const RawStmt *raw = statement->raw;
	List	   *relations = built_tables(raw);
	PartialIntent intent;
	Scope		scope;

	memset(&intent, 0, sizeof(PartialIntent));
	intent.digest = digest;
	intent.object = mig_object_named(raw);
	intent.database = this_database();
	if (relations == NIL)
		return intent;
	intent.statement = pnstrdup(sql + statement->location, statement->len);
	mig_scope_enter(&scope);
	if (IsA(raw->stmt, ReindexStmt))
	{
		intent.relations = list_concat(relations, read_toast_tables(&scope, relations));
		intent.indexes = mig_leftover_invalid(&scope, intent.relations);
	}
	else
	{
		intent.relations = relations;
		intent.indexes = mig_leftover_indexes(&scope, relations);
	}
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
	intent->elsewhere = true;
	intent->object = InvalidOid;
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
		case T_AlterTableStmt:
			return known ? decide_detach(raw, intent, instead) : INTENT_UNKNOWN;
		case T_DropStmt:
			return known ? decide_removal(raw, intent) : INTENT_UNKNOWN;
		case T_CreatedbStmt:
		case T_CreateTableSpaceStmt:
		case T_CreateSubscriptionStmt:
			return decide_creation(raw, intent);
		case T_DropdbStmt:
		case T_DropTableSpaceStmt:
		case T_DropSubscriptionStmt:
			return decide_removal(raw, intent);
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
 * 55000 when CREATE INDEX IF NOT EXISTS found an index that is not valid, and
 * so did nothing and is not done.
 */
void
mig_intent_check_result(const ScriptStatement *statement, int64 rows, void *argument)
{
	const IndexStmt *stmt = (const IndexStmt *) statement->raw->stmt;
	Oid			table;
	Oid			index;

	(void) rows;
	(void) argument;
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
 * Return what no other database has, but for a copy of this one with all its OIDs,
 * as CREATE DATABASE ... TEMPLATE makes it: the system identifier, which initdb
 * makes, and the OID of the table that the intent is in.
 */
static char *
this_database(void)
{
	return psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(),
					get_relname_relid("partial", get_namespace_oid(MIG_SCHEMA, false)));
}

/*
 * Return a relation by its name, InvalidOid when there is none.
 */
static Oid
find_relation(const RangeVar *name)
{
	return RangeVarGetRelid(name, NoLock, true);
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
 * Decide about CREATE INDEX CONCURRENTLY: an index that the table did not have
 * before, that is valid and that is what the statement makes is its own.  Under
 * IF NOT EXISTS repeating does no harm, once the leftovers are gone.
 */
static IntentOutcome
decide_create_index(const IndexStmt *stmt, const PartialIntent *intent)
{
	Oid			table = find_relation(stmt->relation);
	List	   *indexes;
	Scope		scope;
	ListCell   *lc;

	if (stmt->if_not_exists || !OidIsValid(table) ||
		(!intent->elsewhere && !list_member_oid(intent->relations, table)))
		return INTENT_AGAIN;
	mig_scope_enter(&scope);
	indexes = mig_leftover_indexes(&scope, list_make1_oid(table));
	mig_scope_leave(&scope);
	foreach(lc, indexes)
		if (!list_member_oid(intent->indexes, lfirst_oid(lc)) &&
			get_index_isvalid(lfirst_oid(lc)) &&
			mig_shape_fits(stmt, table, lfirst_oid(lc)))
			return INTENT_DONE;
	return INTENT_AGAIN;
}

/*
 * Decide about CREATE of what the catalogs show only when it is whole.  A
 * subscription that is not there may have left its slot with the publisher.
 */
static IntentOutcome
decide_creation(const RawStmt *raw, const PartialIntent *intent)
{
	Oid			now = mig_object_named(raw);

	if (intent->elsewhere || OidIsValid(intent->object))
		return INTENT_AGAIN;
	if (OidIsValid(now))
		return mig_object_fits(raw, now) ? INTENT_DONE : INTENT_AGAIN;
	return IsA(raw->stmt, CreateSubscriptionStmt) ? INTENT_UNKNOWN : INTENT_AGAIN;
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
 * Decide about what drops or detaches something: it is about what the name meant
 * when it began.  Where that is still there, but the name means something else
 * now, only a person can say which is to go.
 */
static IntentOutcome
decide_removal(const RawStmt *raw, const PartialIntent *intent)
{
	Oid			now = mig_object_named(raw);

	if (intent->elsewhere)
		return OidIsValid(now) ? INTENT_AGAIN : INTENT_DONE;
	/* it has failed then, or had nothing to do */
	if (!OidIsValid(intent->object))
		return INTENT_AGAIN;
	if (!mig_object_exists(raw, intent->object))
		return INTENT_DONE;
	return OidIsValid(now) && now != intent->object ? INTENT_UNKNOWN : INTENT_AGAIN;
}

/*
 * Decide about DETACH PARTITION CONCURRENTLY.  It commits in its middle: then the
 * partition is pending to be detached, and FINALIZE does the rest.
 */
static IntentOutcome
decide_detach(const RawStmt *raw, const PartialIntent *intent, char **instead)
{
	Oid			parent = find_relation(castNode(AlterTableStmt, raw->stmt)->relation);
	Oid			child = intent->elsewhere ? mig_object_named(raw) : intent->object;

	if (!OidIsValid(parent) || !get_rel_relispartition(child) ||
		!PartitionHasPendingDetach(child))
		return decide_removal(raw, intent);
	*instead = psprintf("ALTER TABLE %s DETACH PARTITION %s FINALIZE",
						quote_qualified_identifier(get_namespace_name(get_rel_namespace(parent)),
												   get_rel_name(parent)),
						quote_qualified_identifier(get_namespace_name(get_rel_namespace(child)),
												   get_rel_name(child)));
	return INTENT_INSTEAD;
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

	return mig_query_oids(scope, &query, values);
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

	return mig_query_oids(scope, &query, values);
}
