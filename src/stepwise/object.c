/*
 * object.c
 *		What a statement creates, drops or detaches: databases, tablespaces,
 *		subscriptions, indexes that are dropped, partitions.
 *
 * A name can come to mean something else while no session runs the script, so
 * what was found by the name before is remembered by its OID, and of what is
 * found later it is asked whether it is what the statement makes.
 */
#include "migrate.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_tablespace.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "compat.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "port.h"
#include "stepwise/object.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static Oid	index_named(const DropStmt *stmt);
static Oid	partition_named(const AlterTableStmt *stmt);
static const PartitionCmd *detached(const AlterTableStmt *stmt);
static bool database_fits(const CreatedbStmt *stmt, Oid database);
static bool tablespace_fits(const CreateTableSpaceStmt *stmt, Oid tablespace);
static bool subscription_fits(const CreateSubscriptionStmt *stmt, Oid subscription);

/*
 * Return what the name in a statement means now, InvalidOid if nothing: a
 * database, tablespace or subscription that is created or dropped, an index that
 * is dropped, a partition that is detached.
 */
Oid
mig_object_named(const RawStmt *raw)
{
	Node	   *stmt = raw->stmt;

	switch (nodeTag(stmt))
	{
		case T_CreatedbStmt:
			return get_database_oid(((CreatedbStmt *) stmt)->dbname, true);
		case T_DropdbStmt:
			return get_database_oid(((DropdbStmt *) stmt)->dbname, true);
		case T_CreateTableSpaceStmt:
			return get_tablespace_oid(((CreateTableSpaceStmt *) stmt)->tablespacename, true);
		case T_DropTableSpaceStmt:
			return get_tablespace_oid(((DropTableSpaceStmt *) stmt)->tablespacename, true);
		case T_CreateSubscriptionStmt:
			return get_subscription_oid(((CreateSubscriptionStmt *) stmt)->subname, true);
		case T_DropSubscriptionStmt:
			return get_subscription_oid(((DropSubscriptionStmt *) stmt)->subname, true);
		case T_DropStmt:
			return index_named((DropStmt *) stmt);
		case T_AlterTableStmt:
			return partition_named((AlterTableStmt *) stmt);
		default:
			return InvalidOid;
	}
}

/*
 * Return the index that DROP INDEX CONCURRENTLY drops, InvalidOid if there is
 * none.  It takes one only.
 */
static Oid
index_named(const DropStmt *stmt)
{
	if (!stmt->concurrent)
		return InvalidOid;
	return RangeVarGetRelid(makeRangeVarFromNameList(linitial(stmt->objects)), NoLock, true);
}

/*
 * Return the partition that a statement detaches, InvalidOid if there is none.
 */
static Oid
partition_named(const AlterTableStmt *stmt)
{
	const PartitionCmd *command = detached(stmt);
	Oid			relation = command == NULL ? InvalidOid :
		RangeVarGetRelid(command->name, NoLock, true);

	return get_rel_relispartition(relation) ? relation : InvalidOid;
}

/*
 * Return the command of a statement that detaches a partition, or NULL.
 */
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
 * Return whether what a statement was to drop or to detach, under whatever name,
 * is still there, and still a partition.
 */
bool
mig_object_exists(const RawStmt *raw, Oid object)
{
	switch (nodeTag(raw->stmt))
	{
		case T_DropdbStmt:
			return get_database_name(object) != NULL;
		case T_DropTableSpaceStmt:
			return get_tablespace_name(object) != NULL;
		case T_DropSubscriptionStmt:
			return get_subscription_name(object, true) != NULL;
		case T_AlterTableStmt:
			return get_rel_relispartition(object);
		default:
			return get_rel_relkind(object) != '\0';
	}
}

/*
 * Return whether what has the name that a statement gives is what the statement
 * makes, as far as the catalogs tell.
 */
bool
mig_object_fits(const RawStmt *raw, Oid object)
{
	switch (nodeTag(raw->stmt))
	{
		case T_CreatedbStmt:
			return database_fits(castNode(CreatedbStmt, raw->stmt), object);
		case T_CreateTableSpaceStmt:
			return tablespace_fits(castNode(CreateTableSpaceStmt, raw->stmt), object);
		case T_CreateSubscriptionStmt:
			return subscription_fits(castNode(CreateSubscriptionStmt, raw->stmt), object);
		default:
			return false;
	}
}

/*
 * Return whether a database has the owner that a statement gives it.  What it was
 * copied from cannot be seen.
 */
static bool
database_fits(const CreatedbStmt *stmt, Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	Oid			owner = GetUserId();
	bool		fits;
	ListCell   *lc;

	if (!HeapTupleIsValid(tuple))
		return false;
	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "owner") == 0 && option->arg != NULL)
			owner = get_role_oid(defGetString(option), true);
	}
	fits = ((Form_pg_database) GETSTRUCT(tuple))->datdba == owner;
	ReleaseSysCache(tuple);
	return fits;
}

/*
 * Return whether a tablespace has the owner and the directory that a statement
 * gives it.
 */
static bool
tablespace_fits(const CreateTableSpaceStmt *stmt, Oid tablespace)
{
	HeapTuple	tuple = SearchSysCache1(TABLESPACEOID, ObjectIdGetDatum(tablespace));
	Oid			owner = stmt->owner != NULL ? get_rolespec_oid(stmt->owner, true) : GetUserId();
	char	   *wanted = pstrdup(stmt->location);
	Datum		location;
	bool		fits;

	if (!HeapTupleIsValid(tuple))
		return false;
	fits = ((Form_pg_tablespace) GETSTRUCT(tuple))->spcowner == owner;
	ReleaseSysCache(tuple);
	if (!fits)
		return false;
	canonicalize_path(wanted);
	location = DirectFunctionCall1(pg_tablespace_location, ObjectIdGetDatum(tablespace));
	return strcmp(TextDatumGetCString(location), wanted) == 0;
}

/*
 * Return whether a subscription is to the publications of a statement, with its
 * connection or foreign server.
 */
static bool
subscription_fits(const CreateSubscriptionStmt *stmt, Oid subscription)
{
	HeapTuple	tuple = SearchSysCache1(SUBSCRIPTIONOID, ObjectIdGetDatum(subscription));
	Subscription *found = GetSubscription(subscription, true);
	const char *server = MigServerOfStatement(stmt);
	Oid			wanted = server != NULL ? get_foreign_server_oid(server, true) : InvalidOid;
	const char *connection = NULL;
	Datum		value;
	bool		isnull;
	bool		fits;

	if (!HeapTupleIsValid(tuple))
		return false;
	value = SysCacheGetAttr(SUBSCRIPTIONOID, tuple, Anum_pg_subscription_subconninfo, &isnull);
	if (!isnull)
		connection = TextDatumGetCString(value);
	fits = MigServerOfSubscription(tuple) == wanted &&
		(connection == NULL || stmt->conninfo == NULL ? connection == stmt->conninfo :
		 strcmp(connection, stmt->conninfo) == 0) &&
		found != NULL && equal(found->publications, stmt->publication);
	ReleaseSysCache(tuple);
	return fits;
}
