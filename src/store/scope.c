/*
 * scope.c
 *		Entering and leaving our own bookkeeping.
 *
 * Between mig_scope_enter and mig_scope_leave we are connected to SPI, act
 * with the rights of an owner of our tables, in a security-restricted
 * operation (so that nothing run there can change roles or leave deferred
 * work behind), and search_path holds pg_catalog only.  No user code runs in
 * between: the queries name our own tables, built-in functions and operators,
 * all qualified.
 *
 * Usually all tables have one owner.  Where they do not, each query acts as the
 * owner of its one table (mig_scope_act_as_owner): no owner's triggers and
 * policies ever run as another role.
 *
 * When an error leaves a scope, (sub)transaction abort puts role, settings
 * and SPI back; there is nothing to catch.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/spi.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "store/scope.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* Whether a migration script is running; writers refuse to be called then. */
static bool in_script = false;

static Oid	table_owner(const char *name);
static void check_usage(Oid owner, const char *table);
static void check_version(void);
static char *installed_version(void);
pg_noreturn static void not_installed(void);

/*
 * 55000 when a migration script calls a function of ours that writes.
 */
void
mig_scope_refuse_in_script(const char *function)
{
	if (in_script)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s cannot be called from a migration script", function)));
}

/*
 * Say that a script begins or ends; return what was the case before.  The caller
 * restores that in PG_FINALLY.
 */
bool
mig_scope_set_in_script(bool value)
{
	bool		before = in_script;

	in_script = value;
	return before;
}

/*
 * Begin bookkeeping.  What the store returns until mig_scope_leave is allocated
 * in the memory context that is current now; meanwhile SPI's is.  Errors: 55000
 * when the extension is not installed, or of another version; 25000 in a parallel
 * operation, where our functions are when their owner has made them PARALLEL SAFE.
 */
void
mig_scope_enter(Scope *scope)
{
	Oid			owner;

	PreventCommandIfParallelMode("a function of migrate");
	owner = table_owner("versions");
	if (!OidIsValid(owner))
		not_installed();
	scope->context = CurrentMemoryContext;
	scope->writes_latest = false;
	GetUserIdAndSecContext(&scope->caller, &scope->security_context);
	scope->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	/* our queries are short; compiling one costs more than all of them */
	if (jit_enabled)
		(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	SetUserIdAndSecContext(owner,
						   scope->security_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	PushActiveSnapshot(GetLatestSnapshot());
	check_version();
}

/*
 * For the rest of the scope, plan queries so that they look up keys.  A table
 * that grows while a session loads revisions has no statistics yet, and a plan
 * made when it was small would read all of it again and again.
 */
void
mig_scope_by_key(void)
{
	(void) set_config_option("enable_seqscan", "off", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/*
 * End bookkeeping.  What was allocated in SPI's context is gone.
 */
void
mig_scope_leave(const Scope *scope)
{
	PopActiveSnapshot();
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	SetUserIdAndSecContext(scope->caller, scope->security_context);
	AtEOXact_GUC(false, scope->guc_level);
}

/*
 * Act as the owner of one of our tables until the next call, or the end of the
 * scope; of one that does not exist, go on as before.  Errors: 42501 when the
 * owner may not use the schema, because the table or the schema was given to
 * another role.
 */
void
mig_scope_act_as_owner(const Scope *scope, const char *table)
{
	Oid			owner = table_owner(table);

	if (!OidIsValid(owner))
		return;
	check_usage(owner, table);
	SetUserIdAndSecContext(owner,
						   scope->security_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
}

/*
 * Return the owner of one of our tables, InvalidOid if it does not exist.
 */
static Oid
table_owner(const char *name)
{
	Oid			schema = get_namespace_oid(MIG_SCHEMA, true);
	Oid			table = OidIsValid(schema) ?
		get_relname_relid(name, schema) : InvalidOid;
	HeapTuple	tuple;
	Oid			owner;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * 42501 when the owner of a table may not use the schema.  The server would say
 * so too, but neither for whom nor why.
 */
static void
check_usage(Oid owner, const char *table)
{
	const char *name;

	if (mig_schema_has_usage(get_namespace_oid(MIG_SCHEMA, false), owner))
		return;
	name = GetUserNameFromId(owner, false);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("role \"%s\" does not have USAGE on schema \"%s\"", name, MIG_SCHEMA),
			 errdetail("It owns table \"%s.%s\", which is accessed with its owner's privileges.",
					   MIG_SCHEMA, table),
			 errhint("GRANT USAGE ON SCHEMA %s TO %s;", MIG_SCHEMA, quote_identifier(name))));
}

/*
 * At the first call of a session, compare the library's version with that of
 * the installed SQL.  Reads pg_extension directly: a query of its own would
 * be most of what a call with nothing to do costs in a new session.
 */
static void
check_version(void)
{
	static bool checked = false;
	char	   *version;

	if (checked)
		return;
	version = installed_version();
	if (version == NULL)
		not_installed();
	if (strcmp(version, MIG_VERSION) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("library of extension \"migrate\" is version %s, but version %s is installed in this database",
						MIG_VERSION, version),
				 errhint("ALTER EXTENSION migrate UPDATE; then start a new session.")));
	checked = true;
}

/*
 * Version in pg_extension; NULL when there is none.
 */
static char *
installed_version(void)
{
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum("migrate"));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(extensions), &isnull);

		version = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return version;
}

/*
 * Report, with 55000, that the extension is not installed in this database.
 */
static void
not_installed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("extension \"migrate\" is not installed in this database"),
			 errhint("CREATE EXTENSION migrate;")));
}
