/*
 * scope.c
 *		Entering and leaving our own bookkeeping.
 *
 * Between mig_scope_enter and mig_scope_leave we are connected to SPI, act
 * with the rights of the owner of our tables, in a security-restricted
 * operation (so that nothing run there can change roles or leave deferred
 * work behind), and search_path holds pg_catalog only.  No user code runs in
 * between: the queries name our own tables, built-in functions and operators,
 * all qualified.
 *
 * When an error leaves a scope, (sub)transaction abort puts role, settings
 * and SPI back; there is nothing to catch.
 *
 * Reads see what was committed when the scope began, whatever the isolation
 * level, because they follow the run lock; and all reads of one scope see the
 * same, so that what is read without the lock fits together.  After a write
 * they see that too.  Writes use the transaction's snapshot, so that the
 * server's own check of concurrent updates stays in force.
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
#include "catalog/pg_type.h"
#include "compat.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "store/scope.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* Whether a migration script is running; writers refuse to be called then. */
static bool in_script = false;

static Oid	tables_owner(void);
static void check_version(void);
static char *installed_version(void);
pg_noreturn static void not_installed(void);
static void prepare(ScopeQuery *query);
static uint64 execute(ScopeQuery *query, Datum *values, const char *nulls,
					  bool read_only);

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
 * Say that a script begins or ends; returns what was the case before.  Whoever
 * sets it puts the old value back in PG_FINALLY.
 */
bool
mig_scope_set_in_script(bool value)
{
	bool		before = in_script;

	in_script = value;
	return before;
}

/*
 * Begin bookkeeping; the memory context is SPI's until mig_scope_leave.
 * Errors: 55000 when the extension is not there or of another version.
 */
void
mig_scope_enter(Scope *scope)
{
	Oid			owner = tables_owner();

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
 * Run a query that reads.  Returns the number of rows; mig_scope_value gets at
 * them until the next query.
 */
uint64
mig_scope_read(ScopeQuery *query, Datum *values, const char *nulls)
{
	return execute(query, values, nulls, true);
}

/*
 * The same on the transaction's own snapshot, which in REPEATABLE READ and
 * SERIALIZABLE may be old.
 */
uint64
mig_scope_read_transaction(ScopeQuery *query)
{
	uint64		n;

	PushActiveSnapshot(GetTransactionSnapshot());
	n = execute(query, NULL, NULL, true);
	PopActiveSnapshot();
	return n;
}

/*
 * Run a query that writes.  Returns the number of rows written.
 */
uint64
mig_scope_write(ScopeQuery *query, Datum *values, const char *nulls)
{
	uint64		n = execute(query, values, nulls, false);

	CommandCounterIncrement();
	PopActiveSnapshot();
	PushActiveSnapshot(GetLatestSnapshot());
	return n;
}

/*
 * A value of the last query's result, which must be of a type.  By-reference
 * values point into SPI's memory.  Errors: 55000.
 *
 * The tables' owner need not be a superuser and can alter them: what is read
 * as something else than it is could be an address.
 */
Datum
mig_scope_value(uint64 row, int column, Oid type, bool *isnull)
{
	TupleDesc	desc;

	/* a rule may have made another query of it */
	if (SPI_tuptable == NULL || row >= SPI_tuptable->numvals)
		elog(ERROR, "row " UINT64_FORMAT " is not in the result", row);
	desc = SPI_tuptable->tupdesc;
	if (SPI_gettypeid(desc, column) != type)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of extension \"migrate\" is of type %s, not %s",
						SPI_fname(desc, column),
						format_type_be(SPI_gettypeid(desc, column)),
						format_type_be(type)),
				 errhint("Somebody altered a table in schema migrate.")));
	return SPI_getbinval(SPI_tuptable->vals[row], desc, column, isnull);
}

/*
 * A text of the last query's result, copied to the current memory context.
 */
char *
mig_scope_text_or_null(uint64 row, int column)
{
	bool		isnull;
	Datum		value = mig_scope_value(row, column, TEXTOID, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * The same for a column that holds no nulls.  Errors: 55000.
 */
char *
mig_scope_text(uint64 row, int column)
{
	char	   *text = mig_scope_text_or_null(row, column);

	if (text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of extension \"migrate\" contains a null value",
						SPI_fname(SPI_tuptable->tupdesc, column)),
				 errhint("Somebody altered a table in schema migrate.")));
	return text;
}

/*
 * oid[] for a query's value, in the current memory context.
 */
Datum
mig_scope_oid_array(List *oids)
{
	Datum	   *elements = palloc(Max(list_length(oids), 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, oids)
		elements[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(elements, n, OIDOID, sizeof(Oid),
										   true, TYPALIGN_INT));
}

/*
 * text[] of strings, in the current memory context; a NULL pointer is a NULL.
 */
Datum
mig_scope_text_array(List *strings)
{
	int			n = list_length(strings);
	Datum	   *elements = palloc(Max(n, 1) * sizeof(Datum));
	bool	   *nulls = palloc0(Max(n, 1) * sizeof(bool));
	int			lower_bound = 1;
	ListCell   *lc;

	if (n == 0)
		return PointerGetDatum(construct_empty_array(TEXTOID));
	n = 0;
	foreach(lc, strings)
	{
		nulls[n] = lfirst(lc) == NULL;
		elements[n] = nulls[n] ? (Datum) 0 : CStringGetTextDatum((char *) lfirst(lc));
		n++;
	}
	return PointerGetDatum(construct_md_array(elements, nulls, 1, &n, &lower_bound,
											  TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * Owner of migrate.versions, which the installation script gave to whoever
 * installed the extension.
 */
static Oid
tables_owner(void)
{
	Oid			schema = get_namespace_oid(MIG_SCHEMA, true);
	Oid			table = OidIsValid(schema) ?
		get_relname_relid("versions", schema) : InvalidOid;
	HeapTuple	tuple;
	Oid			owner;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	if (!HeapTupleIsValid(tuple))
		not_installed();
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
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

static void
not_installed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("extension \"migrate\" is not installed in this database"),
			 errhint("CREATE EXTENSION migrate;")));
}

/*
 * Make the query's plan, to be kept.
 */
static void
prepare(ScopeQuery *query)
{
	SPIPlanPtr	plan = SPI_prepare(query->sql, query->nargs, query->argtypes);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed for \"%s\": %s", query->sql,
			 SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	query->plan = plan;
}

/*
 * Run a query and check SPI's result code.
 */
static uint64
execute(ScopeQuery *query, Datum *values, const char *nulls, bool read_only)
{
	int			result;

	if (query->plan == NULL)
		prepare(query);
	result = SPI_execute_plan(query->plan, values, nulls, read_only, 0);
	if (result < 0)
		elog(ERROR, "query \"%s\" failed: %s", query->sql,
			 SPI_result_code_string(result));
	return SPI_processed;
}
