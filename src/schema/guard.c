/*
 * guard.c
 *		Statements that must not run in a scratch, at any depth.
 *
 * A scratch is rolled back, and that must be all there is to do.  So what acts on the
 * session, on the whole server or on the live schemas is refused, whether it is a
 * statement of a model or one that a function or a DO block executes: a hook of the
 * server sees all of them.  What extensions do in their own scripts is theirs.
 *
 * The hook also sees temporary tables that end with the transaction, so that one
 * script does not find those of another.
 */
#include "migrate.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "compat.h"
#include "schema/guard.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* Why a statement is refused. */
typedef enum Reason
{
	ALLOWED,
	OF_SESSION,
	OF_SERVER,
	OF_DATABASE,
	OF_SCHEMA,
	OF_FILES,
	OF_MAINTENANCE,
	OF_TRANSACTION
} Reason;

/* What to do instead. */
static const char *const hints[] = {
	[ALLOWED] = "",
	[OF_SESSION] = "It acts on the session, which a model leaves as it is. Remove the statement.",
	[OF_SERVER] = "It acts on the whole server, not on a schema of this database. Remove the statement, and run it by itself.",
	[OF_DATABASE] = "It acts on the whole database, not on a schema. Remove the statement, and run it by itself.",
	[OF_SCHEMA] = "A model says what there is, beginning with empty schemas. Remove the statement.",
	[OF_FILES] = "Only rows that are in the model itself can be copied: COPY ... FROM stdin.",
	[OF_MAINTENANCE] = "It changes no definition. Remove the statement.",
	[OF_TRANSACTION] = "It is about the whole transaction, and not only about the model. Name the constraints instead of ALL.",
};

static ProcessUtility_hook_type next_hook = NULL;
static bool active = false;
static List *on_commit = NIL;	/* Oid: temporary tables, in on_commit_context */
static MemoryContext on_commit_context;

static void process_utility(MIG_UTILITY_PARAMETERS);
static void check(Node *stmt);
static Reason find_reason(const Node *stmt);
static Reason reason_by_object(ObjectType type);
static RangeVar *dropped_on_commit(Node *stmt);
static void note_dropped(RangeVar *table);

/*
 * Begin to look at statements.  Until mig_guard_end, which must be called whatever
 * happens.
 */
void
mig_guard_begin(void)
{
	static bool installed = false;

	if (!installed)
	{
		next_hook = ProcessUtility_hook;
		ProcessUtility_hook = process_utility;
		installed = true;
	}
	on_commit = NIL;
	on_commit_context = CurrentMemoryContext;
	active = true;
}

/*
 * End what mig_guard_begin has begun.
 */
void
mig_guard_end(void)
{
	active = false;
	on_commit = NIL;
}

/*
 * Drop the temporary tables that a commit would drop here.
 */
void
mig_guard_drop_on_commit(void)
{
	ObjectAddresses *tables = new_object_addresses();
	ListCell   *lc;

	foreach(lc, on_commit)
	{
		ObjectAddress table;

		ObjectAddressSet(table, RelationRelationId, lfirst_oid(lc));
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table.objectId)))
			add_exact_object_address(&table, tables);
	}
	performMultipleDeletions(tables, DROP_CASCADE,
							 PERFORM_DELETION_INTERNAL | PERFORM_DELETION_QUIETLY);
	free_object_addresses(tables);
	on_commit = NIL;
	CommandCounterIncrement();
}

/*
 * Look at a statement that is about to run; a hook of the server.  Errors: MG011.
 */
static void
process_utility(MIG_UTILITY_PARAMETERS)
{
	/* the tree may be gone afterwards */
	bool		looks = active && !creating_extension;
	RangeVar   *table = looks ? copyObject(dropped_on_commit(planned->utilityStmt)) : NULL;

	if (looks)
	{
		check(planned->utilityStmt);
		/* writes into the rows of live tables where they are */
		if (IsA(planned->utilityStmt, VacuumStmt))
			return;
	}
	if (next_hook != NULL)
		next_hook(MIG_UTILITY_ARGUMENTS);
	else
		standard_ProcessUtility(MIG_UTILITY_ARGUMENTS);
	if (table != NULL)
		note_dropped(table);
}

/*
 * MG011 for a statement that cannot be run here.
 */
static void
check(Node *stmt)
{
	Reason		reason = find_reason(stmt);

	if (reason != ALLOWED)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s cannot be used in a model", CreateCommandName(stmt)),
				 errhint("%s", hints[reason])));
}

/*
 * Return why a statement cannot be run here.
 */
static Reason
find_reason(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_PrepareStmt:
		case T_ExecuteStmt:
		case T_DeallocateStmt:
		case T_ListenStmt:
		case T_UnlistenStmt:
		case T_NotifyStmt:
		case T_LoadStmt:
		case T_DiscardStmt:
		case T_LockStmt:
			return OF_SESSION;
		case T_CreateRoleStmt:
		case T_AlterRoleStmt:
		case T_AlterRoleSetStmt:
		case T_DropRoleStmt:
		case T_GrantRoleStmt:
		case T_CreatedbStmt:
		case T_AlterDatabaseStmt:
		case T_AlterDatabaseSetStmt:
		case T_DropdbStmt:
		case T_CreateTableSpaceStmt:
		case T_DropTableSpaceStmt:
		case T_AlterTableSpaceOptionsStmt:
		case T_AlterTableMoveAllStmt:
		case T_AlterSystemStmt:
		case T_CheckPointStmt:
			return OF_SERVER;
		case T_CreateSubscriptionStmt:
		case T_AlterSubscriptionStmt:
		case T_DropSubscriptionStmt:
		case T_AlterExtensionStmt:
		case T_AlterExtensionContentsStmt:
		case T_DropOwnedStmt:
		case T_ReassignOwnedStmt:
			return OF_DATABASE;
		case T_DropStmt:
			return ((const DropStmt *) stmt)->removeType == OBJECT_SCHEMA ? OF_SCHEMA :
				reason_by_object(((const DropStmt *) stmt)->removeType);
		case T_RenameStmt:
			return reason_by_object(((const RenameStmt *) stmt)->renameType);
		case T_AlterOwnerStmt:
			return reason_by_object(((const AlterOwnerStmt *) stmt)->objectType);
		case T_AlterObjectSchemaStmt:
			return reason_by_object(((const AlterObjectSchemaStmt *) stmt)->objectType);
		case T_CopyStmt:
			return ((const CopyStmt *) stmt)->is_from &&
				((const CopyStmt *) stmt)->filename == NULL ? ALLOWED : OF_FILES;
		case T_VacuumStmt:
			return ((const VacuumStmt *) stmt)->is_vacuumcmd ? OF_MAINTENANCE : ALLOWED;
		case T_RepackStmt:
			return OF_MAINTENANCE;
		case T_ConstraintsSetStmt:
			return ((const ConstraintsSetStmt *) stmt)->constraints == NIL &&
				!((const ConstraintsSetStmt *) stmt)->deferred ? OF_TRANSACTION : ALLOWED;
		default:
			return ALLOWED;
	}
}

/*
 * Return why no object of a type can be changed here.
 */
static Reason
reason_by_object(ObjectType type)
{
	switch (type)
	{
		case OBJECT_ROLE:
		case OBJECT_DATABASE:
		case OBJECT_TABLESPACE:
			return OF_SERVER;
		case OBJECT_SUBSCRIPTION:
		case OBJECT_EXTENSION:
			return OF_DATABASE;
		default:
			return ALLOWED;
	}
}

/*
 * Return the table that a statement makes until the end of the transaction, or NULL.
 */
static RangeVar *
dropped_on_commit(Node *stmt)
{
	if (IsA(stmt, CreateStmt))
		return ((CreateStmt *) stmt)->oncommit == ONCOMMIT_DROP ?
			((CreateStmt *) stmt)->relation : NULL;
	if (IsA(stmt, CreateTableAsStmt))
		return ((CreateTableAsStmt *) stmt)->into->onCommit == ONCOMMIT_DROP ?
			((CreateTableAsStmt *) stmt)->into->rel : NULL;
	return NULL;
}

/*
 * Remember a temporary table that a commit would drop.
 */
static void
note_dropped(RangeVar *table)
{
	Oid			oid;
	MemoryContext old;

	CommandCounterIncrement();
	table->relpersistence = RELPERSISTENCE_TEMP;
	oid = RangeVarGetRelid(table, NoLock, true);
	old = MemoryContextSwitchTo(on_commit_context);
	on_commit = list_append_unique_oid(on_commit, oid);
	MemoryContextSwitchTo(old);
}
