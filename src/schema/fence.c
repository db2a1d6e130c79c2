/*
 * fence.c
 *		What the scripts of revisions may change in a scratch: the managed schemas.
 *
 * Only these have twins.  A statement that changes anything in another schema would
 * meet the live objects: it would fail because they exist already, lock them until
 * the scratch ends, and fire their triggers.  So it is refused, by the name of the
 * schema.  Statements are looked at before they run, as far as they say where they
 * create something; hooks of the server see what is altered, dropped and written, at
 * any depth.  Schemas that the scripts make themselves have nothing live in them.
 */
#include "migrate.h"

#include "access/htup_details.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "compat.h"
#include "executor/executor.h"
#include "nodes/bitmapset.h"
#include "nodes/parsenodes.h"
#include "parser/parsetree.h"
#include "schema/fence.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

static object_access_hook_type next_access = NULL;
static ExecutorStart_hook_type next_start = NULL;
static bool active = false;
static bool refused = false;
static List *managed = NIL;		/* char *: names of schemas */
static List *made = NIL;		/* Oid: schemas that are new, in context */
static MemoryContext context;

static void see_access(ObjectAccessType access, Oid classid, Oid objid, int subid,
					   void *argument);
static void see_query(QueryDesc *query, int flags);
static Oid	schema_of(Oid classid, Oid objid);
static Oid	schema_of_type(Oid type);
static void check_schema(Oid schema);
static void check_relation(const RangeVar *relation);
static void check_creation(RangeVar *relation);
static void check_name(List *name);

/*
 * Begin to refuse changes outside of some schemas (char *).  Until mig_fence_end,
 * which must be called whatever happens, and before the current memory context and the
 * names are freed.
 */
void
mig_fence_begin(List *schemas)
{
	static bool installed = false;

	if (!installed)
	{
		next_access = object_access_hook;
		object_access_hook = see_access;
		next_start = ExecutorStart_hook;
		ExecutorStart_hook = see_query;
		installed = true;
	}
	managed = schemas;
	made = NIL;
	context = CurrentMemoryContext;
	refused = false;
	active = true;
}

/*
 * End what mig_fence_begin has begun.
 */
void
mig_fence_end(void)
{
	active = false;
	managed = NIL;
	made = NIL;
}

/*
 * Return whether anything was refused since the last call.  A script can have caught the
 * error.
 */
bool
mig_fence_has_refused(void)
{
	bool		result = refused;

	refused = false;
	return result;
}

/*
 * Return the names (char *) of the schemas that scripts have made since mig_fence_begin and
 * that are there, managed or not, but for those of temporary tables; in the current memory
 * context.
 */
List *
mig_fence_new_schemas(void)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, made)
	{
		char	   *name = get_namespace_name(lfirst_oid(lc));

		if (name != NULL && !isAnyTempNamespace(lfirst_oid(lc)))
			names = lappend(names, name);
	}
	return names;
}

/*
 * See that an object is created, altered or dropped; a hook of the server.  Rows that
 * are new cannot be looked up yet: but for schemas, mig_fence_check sees to them.
 */
static void
see_access(ObjectAccessType access, Oid classid, Oid objid, int subid, void *argument)
{
	if (next_access != NULL)
		next_access(access, classid, objid, subid, argument);
	if (!active || creating_extension)
		return;
	if (access == OAT_POST_CREATE && classid == NamespaceRelationId)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		made = lappend_oid(made, objid);
		MemoryContextSwitchTo(old);
	}
	else if (access == OAT_POST_ALTER || access == OAT_DROP)
		check_schema(schema_of(classid, objid));
}

/*
 * See which relations a query writes; a hook of the server.
 */
static void
see_query(QueryDesc *query, int flags)
{
	if (active && !creating_extension)
	{
		Bitmapset  *written = mig_result_relations(query->plannedstmt);
		int			i = -1;

		while ((i = bms_next_member(written, i)) >= 0)
			check_schema(get_rel_namespace(rt_fetch(i, query->plannedstmt->rtable)->relid));
		bms_free(written);
	}
	if (next_start != NULL)
		next_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

/*
 * Return the schema that an object is in, or is; InvalidOid if that does not matter.
 */
static Oid
schema_of(Oid classid, Oid objid)
{
	switch (classid)
	{
		case RelationRelationId:
			return get_rel_namespace(objid);
		case ProcedureRelationId:
			return get_func_namespace(objid);
		case TypeRelationId:
			return schema_of_type(objid);
		case NamespaceRelationId:
			return objid;
		default:
			return InvalidOid;
	}
}

/*
 * Return the schema of a type, InvalidOid if there is no such type.
 */
static Oid
schema_of_type(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			schema;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	schema = ((Form_pg_type) GETSTRUCT(tuple))->typnamespace;
	ReleaseSysCache(tuple);
	return schema;
}

/*
 * 0A000 if a schema is none that scripts may change.
 */
static void
check_schema(Oid schema)
{
	char	   *name;
	ListCell   *lc;

	if (!OidIsValid(schema) || IsCatalogNamespace(schema) || IsToastNamespace(schema) ||
		isAnyTempNamespace(schema) || list_member_oid(made, schema))
		return;
	name = get_namespace_name(schema);
	if (name == NULL)
		return;
	foreach(lc, managed)
		if (strcmp(lfirst(lc), name) == 0)
			return;
	refused = true;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("script changes schema \"%s\", which is not managed", name),
			 errdetail("Run again, it would meet the live objects there."),
			 errhint("Add the schema to the setting managed_schemas, with migrate.configure().")));
}

/*
 * Check where a statement that is about to run creates something.  Errors: 0A000;
 * those of the server for schemas that do not exist.
 */
void
mig_fence_check(Node *stmt)
{
	if (!active || creating_extension)
		return;
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
		case T_CreateForeignTableStmt:
			check_creation(((CreateStmt *) stmt)->relation);
			break;
		case T_CreateTableAsStmt:
			check_creation(((CreateTableAsStmt *) stmt)->into->rel);
			break;
		case T_ViewStmt:
			check_creation(((ViewStmt *) stmt)->view);
			break;
		case T_CreateSeqStmt:
			check_creation(((CreateSeqStmt *) stmt)->sequence);
			break;
		case T_CompositeTypeStmt:
			check_creation(((CompositeTypeStmt *) stmt)->typevar);
			break;
		case T_CreateEnumStmt:
			check_name(((CreateEnumStmt *) stmt)->typeName);
			break;
		case T_CreateRangeStmt:
			check_name(((CreateRangeStmt *) stmt)->typeName);
			break;
		case T_CreateDomainStmt:
			check_name(((CreateDomainStmt *) stmt)->domainname);
			break;
		case T_CreateFunctionStmt:
			check_name(((CreateFunctionStmt *) stmt)->funcname);
			break;
		case T_IndexStmt:
			check_relation(((IndexStmt *) stmt)->relation);
			break;
		case T_CreateTrigStmt:
			check_relation(((CreateTrigStmt *) stmt)->relation);
			break;
		case T_RuleStmt:
			check_relation(((RuleStmt *) stmt)->relation);
			break;
		case T_CreatePolicyStmt:
			check_relation(((CreatePolicyStmt *) stmt)->table);
			break;
		case T_AlterTableStmt:
			check_relation(((AlterTableStmt *) stmt)->relation);
			break;
		case T_CopyStmt:
			check_relation(((CopyStmt *) stmt)->relation);
			break;
		default:
			break;
	}
}

/*
 * Check a relation that may be there.
 */
static void
check_relation(const RangeVar *relation)
{
	if (relation != NULL)
		check_schema(get_rel_namespace(RangeVarGetRelid(relation, NoLock, true)));
}

/*
 * Check a relation that is to be created.
 */
static void
check_creation(RangeVar *relation)
{
	if (relation->relpersistence != RELPERSISTENCE_TEMP)
		check_schema(RangeVarGetCreationNamespace(relation));
}

/*
 * Check a name of a type or function that is to be created.
 */
static void
check_name(List *name)
{
	char	   *last;

	check_schema(QualifiedNameGetCreationNamespace(name, &last));
}
