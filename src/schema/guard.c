/*
 * guard.c
 *		Statements that must not run in a scratch, at any depth.
 *
 * A scratch is rolled back, and that must be all there is to do.  So what acts on the
 * session, on the whole server or on the live schemas is refused, whether it is a
 * statement of a model or one that a function or a DO block executes: a hook of the
 * server sees all of them.  What extensions do in their own scripts is theirs.
 *
 * Scripts of revisions have run once already, and may do more than a model may.  When
 * they are run again, what acts outside of the scratch is passed over where the
 * schema does not depend on it, and only the rest is refused.
 *
 * The hook also sees temporary tables that end with the transaction, so that one
 * script does not find those of another.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "compat.h"
#include "nodes/makefuncs.h"
#include "schema/fence.h"
#include "schema/guard.h"
#include "schema/managed.h"
#include "schema/published.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
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
static List *schemas = NIL;		/* char *: managed ones, in a replay */
static DeclareNotes *replay = NULL; /* of scripts of revisions; NULL: models are run */
static List *on_commit = NIL;	/* Oid: temporary tables, in on_commit_context */
static MemoryContext on_commit_context;

static void process_utility(MIG_UTILITY_PARAMETERS);
static bool passes_over(Node *stmt);
static bool passes_over_session(const Node *stmt);
static bool is_there(const Node *stmt);
static void note_extension(const Node *stmt);
static void set_constraints(bool deferred, bool only_initially);
static List *find_constraints(bool only_initially);
static void check(Node *stmt);
static void refuse(const Node *stmt, const char *hint);
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
 * Let what runs be scripts of revisions from now on, which may change some schemas
 * (char *).  Extensions are noted.  Both must stay until mig_guard_end.
 */
void
mig_guard_replay(List *names, DeclareNotes *notes)
{
	schemas = names;
	replay = notes;
	mig_fence_begin(names);
}

/*
 * End what mig_guard_begin has begun.
 */
void
mig_guard_end(void)
{
	mig_fence_end();
	schemas = NIL;
	replay = NULL;
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
	RangeVar   *table = looks ? dropped_on_commit(planned->utilityStmt) : NULL;

	if (table != NULL)
		table = copyObject(table);
	if (looks)
	{
		if (replay != NULL && passes_over(planned->utilityStmt))
			return;
		check(planned->utilityStmt);
		mig_published_make_room(planned->utilityStmt);
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
 * Return whether a statement of a replay is passed over, or was done otherwise.
 * Errors: MG011 and those of the fence.
 */
static bool
passes_over(Node *stmt)
{
	mig_fence_check(stmt);
	note_extension(stmt);
	switch (find_reason(stmt))
	{
		case OF_SESSION:
			return passes_over_session(stmt);
		case OF_SERVER:
			return !IsA(stmt, CreateRoleStmt) || is_there(stmt);
		case OF_DATABASE:
			if (IsA(stmt, DropOwnedStmt))
				refuse(stmt, "It would drop live objects.");
			return true;
		case OF_FILES:
			if (((const CopyStmt *) stmt)->is_from)
				refuse(stmt, "The file may be another one by now.");
			return true;
		case OF_MAINTENANCE:
			return true;
		case OF_TRANSACTION:
			/* ALL would be those of the live tables, too */
			set_constraints(((const ConstraintsSetStmt *) stmt)->deferred, false);
			return true;
		default:
			return is_there(stmt);
	}
}

/*
 * Return whether a statement of a replay that acts on the session is passed over.
 */
static bool
passes_over_session(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_PrepareStmt:
		case T_ExecuteStmt:
		case T_DeallocateStmt:
			refuse(stmt, "A prepared statement would remain in the session.");
			return true;
		case T_LoadStmt:
			return false;
		default:
			return true;
	}
}

/*
 * Return whether a statement of a replay creates what the database, or the server,
 * has already.
 */
static bool
is_there(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateExtensionStmt:
			return OidIsValid(get_extension_oid(((const CreateExtensionStmt *) stmt)->extname,
												true));
		case T_CreateRoleStmt:
			return OidIsValid(get_role_oid(((const CreateRoleStmt *) stmt)->role, true));
		case T_CreateSchemaStmt:
			if (((const CreateSchemaStmt *) stmt)->schemaElts != NIL ||
				((const CreateSchemaStmt *) stmt)->schemaname == NULL ||
				!OidIsValid(get_namespace_oid(((const CreateSchemaStmt *) stmt)->schemaname,
											  true)))
				return false;
			mig_mend_own_schema((const CreateSchemaStmt *) stmt, replay);
			return true;
		default:
			return false;
	}
}

/*
 * Note which extensions a replay has created, and not dropped again.
 */
static void
note_extension(const Node *stmt)
{
	ListCell   *lc;

	if (IsA(stmt, CreateExtensionStmt))
		mig_mend_note_extension(replay, ((const CreateExtensionStmt *) stmt)->extname, true);
	else if (IsA(stmt, DropStmt) &&
			 ((const DropStmt *) stmt)->removeType == OBJECT_EXTENSION)
		foreach(lc, ((const DropStmt *) stmt)->objects)
			mig_mend_note_extension(replay, strVal(lfirst(lc)), false);
}

/*
 * End a script of a replay: check what it has deferred, and let the constraints be as
 * they were declared.  Those of the live tables are left alone.  Errors: those of the
 * checks.
 */
void
mig_guard_check_deferred(void)
{
	set_constraints(false, false);
	set_constraints(true, true);
}

/*
 * Set the mode of the constraints of the managed schemas, or only of those that are
 * deferred initially.  Errors: those of the checks.
 */
static void
set_constraints(bool deferred, bool only_initially)
{
	ConstraintsSetStmt *stmt = makeNode(ConstraintsSetStmt);

	stmt->constraints = find_constraints(only_initially);
	stmt->deferred = deferred;
	if (stmt->constraints != NIL)
		AfterTriggerSetState(stmt);
}

/*
 * Return the names (RangeVar *) of the constraints of the managed schemas that can be
 * deferred, or of those that are so initially.
 */
static List *
find_constraints(bool only_initially)
{
	Relation	catalog;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *names = NIL;
	List	   *oids = mig_managed_oids(schemas);

	CommandCounterIncrement();
	catalog = table_open(ConstraintRelationId, AccessShareLock);
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint row = (Form_pg_constraint) GETSTRUCT(tuple);

		if (row->condeferrable && (row->condeferred || !only_initially) &&
			OidIsValid(row->connamespace) && list_member_oid(oids, row->connamespace))
			names = lappend(names, makeRangeVar(get_namespace_name(row->connamespace),
												pstrdup(NameStr(row->conname)), -1));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return names;
}

/*
 * MG011 for a statement that cannot be run in a model.
 */
static void
check(Node *stmt)
{
	Reason		reason = replay == NULL ? find_reason(stmt) : ALLOWED;

	if (reason != ALLOWED)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s cannot be used in a model", CreateCommandName(stmt)),
				 errhint("%s", hints[reason])));
}

/*
 * MG011 for a statement that cannot be run again.
 */
static void
refuse(const Node *stmt, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIG_BAD_SCRIPT),
			 errmsg("%s cannot be run again in a comparison",
					CreateCommandName(unconstify(Node *, stmt))),
			 errdetail("%s", hint)));
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
