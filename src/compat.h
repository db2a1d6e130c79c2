/*
 * compat.h
 *		Differences between the server versions that we support, 13 to 19.
 *
 * Every test of PG_VERSION_NUM stands here.  Each block says what changed in
 * which version; the code uses the newest version's form.
 */
#ifndef MIG_COMPAT_H
#define MIG_COMPAT_H

#include "postgres.h"

#include "access/xact.h"
#include "datatype/timestamp.h"
#include "executor/executor.h"
#include "nodes/parsenodes.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"

/*
 * A statement of the extended protocol that is not the first before a Sync; the
 * minor releases of August 2022 began to know it.
 */
#ifdef XACT_FLAGS_PIPELINING
#define mig_in_pipeline() ((MyXactFlags & XACT_FLAGS_PIPELINING) != 0)
#else
#define mig_in_pipeline() false
#endif

/* The server's macro is for the compiler that the server was built with. */
#ifdef __clang__
#define mig_attribute_printf(f, a) __attribute__((format(__printf__, f, a)))
#else
#define mig_attribute_printf(f, a)	pg_attribute_printf(f, a)
#endif

/* 15 renamed the analysis of a statement without parameters. */
#if PG_VERSION_NUM < 150000
#define pg_analyze_and_rewrite_fixedparams(raw, sql, types, n, env) \
	pg_analyze_and_rewrite(raw, sql, types, n, env)
#endif

/* 14 made ProcessUtility copy the tree on request (readOnlyTree). */
#if PG_VERSION_NUM < 140000
#define mig_ProcessUtility(stmt, sql, context, dest, completion) \
	ProcessUtility(stmt, sql, context, NULL, NULL, dest, completion)
#else
#define mig_ProcessUtility(stmt, sql, context, dest, completion) \
	ProcessUtility(stmt, sql, false, context, NULL, NULL, dest, completion)
#endif

/* The same of the hook that stands before it. */
#if PG_VERSION_NUM < 140000
#define MIG_UTILITY_PARAMETERS \
	PlannedStmt *planned, const char *text, ProcessUtilityContext context, \
	ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest, \
	QueryCompletion *completion
#define MIG_UTILITY_ARGUMENTS \
	planned, text, context, params, environment, dest, completion
#else
#define MIG_UTILITY_PARAMETERS \
	PlannedStmt *planned, const char *text, bool read_only_tree, \
	ProcessUtilityContext context, ParamListInfo params, \
	QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion
#define MIG_UTILITY_ARGUMENTS \
	planned, text, read_only_tree, context, params, environment, dest, completion
#endif

/* 18 dropped ExecutorRun's execute_once. */
#if PG_VERSION_NUM < 180000
#define mig_ExecutorRun(qdesc) ExecutorRun(qdesc, ForwardScanDirection, 0, true)
#else
#define mig_ExecutorRun(qdesc) ExecutorRun(qdesc, ForwardScanDirection, 0)
#endif

/* 18 made the attribute of functions that do not return a prefix keyword. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 15 reserves the prefix of an extension's settings under another name. */
#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* 16 returns the settings (utils/guc_tables.h) together with their number. */
#if PG_VERSION_NUM < 160000
#define mig_get_guc_variables(n) (*(n) = GetNumConfigOptions(), get_guc_variables())
#else
#define mig_get_guc_variables(n) get_guc_variables(n)
#endif

/*
 * 14 gave REINDEX a list of options and DETACH PARTITION its CONCURRENTLY; the
 * commands that refresh a subscription cannot run in a transaction block since
 * then.
 */
#if PG_VERSION_NUM < 140000
#define MigReindexIsConcurrent(stmt)	((stmt)->concurrent)
#define MigReindexParams(stmt)			NIL
#define mig_set_reindex_params(stmt, params) \
	((void) (params), (stmt)->concurrent = false)
#define MigDetachIsConcurrent(cmd)		((void) (cmd), false)
#define MigDetachIsFinalize(cmd)		((void) (cmd), false)
#define mig_make_detach_plain(cmd)		((void) (cmd))
#define PartitionHasPendingDetach(oid)	((void) (oid), false)
#define MIG_SUBSCRIPTION_REFRESH_NEEDS_TOP_LEVEL	false
#else
#define MigReindexIsConcurrent(stmt)	false	/* one of its params */
#define MigReindexParams(stmt)			((stmt)->params)
#define mig_set_reindex_params(stmt, list) ((stmt)->params = (list))
#define MigDetachIsConcurrent(cmd)		(((PartitionCmd *) (cmd)->def)->concurrent)
#define MigDetachIsFinalize(cmd)		((cmd)->subtype == AT_DetachPartitionFinalize)
#define mig_make_detach_plain(cmd)		(((PartitionCmd *) (cmd)->def)->concurrent = false)
#define MIG_SUBSCRIPTION_REFRESH_NEEDS_TOP_LEVEL	true
#endif

/* 15 lets a unique index take nulls for equal. */
#if PG_VERSION_NUM < 150000
#define MigIndexStmtNullsNotDistinct(stmt)	((void) (stmt), false)
#define MigIndexNullsNotDistinct(form)		((void) (form), false)
#else
#define MigIndexStmtNullsNotDistinct(stmt)	((stmt)->nulls_not_distinct)
#define MigIndexNullsNotDistinct(form)		((form)->indnullsnotdistinct)
#endif

/* MERGE is new in 15. */
#if PG_VERSION_NUM >= 150000
#define MigIsMerge(stmt)				IsA(stmt, MergeStmt)
#else
#define MigIsMerge(stmt)				(false)
#endif

/*
 * 19 made CLUSTER a form of REPACK, which can also run CONCURRENTLY, and ANALYZE
 * afterwards.
 */
#if PG_VERSION_NUM < 190000
#define RepackStmt						ClusterStmt
#define T_RepackStmt					T_ClusterStmt
#define MigRepackIsCluster(stmt)		((void) (stmt), true)
#define MigRepackParams(stmt)			NIL
#define MigRepackTable(stmt)			((stmt)->relation)
#else
#define MigRepackIsCluster(stmt)		((stmt)->command == REPACK_COMMAND_CLUSTER)
#define MigRepackParams(stmt)			((stmt)->params)
#define MigRepackTable(stmt) \
	((stmt)->relation == NULL ? NULL : (stmt)->relation->relation)
#endif

/* 19 tells what ALTER SUBSCRIPTION refreshes. */
#if PG_VERSION_NUM < 190000
#define ALTER_SUBSCRIPTION_REFRESH_PUBLICATION	ALTER_SUBSCRIPTION_REFRESH
#endif

/* 19 lets a subscription have a foreign server in place of a connection. */
#if PG_VERSION_NUM < 190000
#define MigServerOfStatement(stmt)		((void) (stmt), (const char *) NULL)
#define MigServerOfSubscription(tuple)	((void) (tuple), InvalidOid)
#else
#define MigServerOfStatement(stmt)		((stmt)->servername)
#define MigServerOfSubscription(tuple)	(((Form_pg_subscription) GETSTRUCT(tuple))->subserver)
#endif

/*
 * 19 took the choice away how strings are read: standard_conforming_strings can
 * only be on, and the lexer has no such member any more.
 */
#if PG_VERSION_NUM < 190000
#define mig_strings_are_standard()		standard_conforming_strings
#define mig_make_lexer_standard(extra) \
	((extra)->standard_conforming_strings = true, \
	 (extra)->escape_string_warning = false)
#else
#define mig_strings_are_standard()		true
#define mig_make_lexer_standard(extra)	((void) (extra))
#endif

/* 19 has a level for each type of process, in an array (utils/guc.h). */
#if PG_VERSION_NUM < 190000
#define mig_log_min_messages()			log_min_messages
#else
#define mig_log_min_messages()			(log_min_messages[MyBackendType])
#endif

/*
 * 19 turned a setting around (utils/guc_tables.h): what is only of its type is
 * a part of it, where it was a part of what is only of its type.
 */
#if PG_VERSION_NUM < 190000
#define MigSettingReal(setting) \
	(*((const struct config_real *) (setting))->variable)
#define mig_setting_enum_name(setting, value) \
	config_enum_lookup_by_value((struct config_enum *) (setting), value)
#else
#define MigSettingReal(setting)			(*(setting)->_real.variable)
#define mig_setting_enum_name(setting, value) \
	config_enum_lookup_by_value(setting, value)
#endif

/* 19 gave table_beginscan (access/tableam.h) options. */
#if PG_VERSION_NUM < 190000
#define mig_table_beginscan(table, snapshot) table_beginscan(table, snapshot, 0, NULL)
#else
#define mig_table_beginscan(table, snapshot) table_beginscan(table, snapshot, 0, NULL, SO_NONE)
#endif

/* 14 renamed the predefined roles' macros. */
#if PG_VERSION_NUM < 140000
#define ROLE_PG_READ_SERVER_FILES	DEFAULT_ROLE_READ_SERVER_FILES
#endif

/* 14 renamed what keeps the values that this transaction has added to enums. */
#if PG_VERSION_NUM < 140000
#define EstimateUncommittedEnumsSpace()	EstimateEnumBlacklistSpace()
#define SerializeUncommittedEnums(space, size) SerializeEnumBlacklist(space, size)
#define RestoreUncommittedEnums(space)	RestoreEnumBlacklist(space)
#endif

/* 15 publishes schemas. */
#if PG_VERSION_NUM < 150000
#define MIG_PUBLICATION_NAMESPACE		InvalidOid
#else
#include "catalog/pg_publication_namespace.h"
#define MIG_PUBLICATION_NAMESPACE		PublicationNamespaceRelationId
#endif

/*
 * 15 made public the database owner's, and lets only that one create in it.  Before, the
 * role that ran initdb has it, and pg_dump did not write whose it is.
 */
#if PG_VERSION_NUM < 150000
#define MIG_PUBLIC_OWNER				InvalidOid
#define MIG_PUBLIC_RIGHTS				(ACL_USAGE | ACL_CREATE)
#else
#include "catalog/pg_authid.h"
#define MIG_PUBLIC_OWNER				ROLE_PG_DATABASE_OWNER
#define MIG_PUBLIC_RIGHTS				ACL_USAGE
#endif

/* 17 has the privilege MAINTAIN. */
#if PG_VERSION_NUM < 170000
#define MIG_ACL_MAINTAIN				ACL_NO_RIGHTS
#else
#define MIG_ACL_MAINTAIN				ACL_MAINTAIN
#endif

/* 16 made the right to SET ROLE one of its own. */
#if PG_VERSION_NUM < 160000
#define mig_can_set_role(member, role)	is_member_of_role(member, role)
#else
#define mig_can_set_role(member, role)	member_can_set_role(member, role)
#endif

/* 18 gave LockAcquireExtended (storage/lock.h) the choice to log a failure. */
#if PG_VERSION_NUM < 180000
#define mig_lock_locally(tag, mode, locallock) \
	LockAcquireExtended(tag, mode, false, true, true, locallock)
#else
#define mig_lock_locally(tag, mode, locallock) \
	LockAcquireExtended(tag, mode, false, true, true, locallock, false)
#endif

/* 16 checks the privileges on all kinds of objects with one function. */
#if PG_VERSION_NUM < 160000
#define mig_database_may_create(role) \
	(pg_database_aclcheck(MyDatabaseId, role, ACL_CREATE) == ACLCHECK_OK)
#define mig_schema_may_create(schema, role) \
	(pg_namespace_aclcheck(schema, role, ACL_CREATE) == ACLCHECK_OK)
#define mig_schema_has_usage(schema, role) \
	(pg_namespace_aclcheck(schema, role, ACL_USAGE) == ACLCHECK_OK)
#define mig_server_is_owned(server, role) pg_foreign_server_ownercheck(server, role)
#else
#define mig_database_may_create(role) \
	(object_aclcheck(DatabaseRelationId, MyDatabaseId, role, ACL_CREATE) == ACLCHECK_OK)
#define mig_schema_may_create(schema, role) \
	(object_aclcheck(NamespaceRelationId, schema, role, ACL_CREATE) == ACLCHECK_OK)
#define mig_schema_has_usage(schema, role) \
	(object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK)
#define mig_server_is_owned(server, role) \
	object_ownercheck(ForeignServerRelationId, server, role)
#endif

/* 16 renamed what the relation cache calls a table's file. */
#if PG_VERSION_NUM < 160000
#define rd_firstRelfilelocatorSubid rd_firstRelfilenodeSubid
#endif

/*
 * 14 can see that the client is gone without reading from it.  Declared here,
 * because libpq/libpq.h needs the headers of GSSAPI.
 */
#if PG_VERSION_NUM < 140000
#define pq_check_connection() true
#else
extern bool pq_check_connection(void);
#endif

/* 17 merged LockHeldByMe and LockOrStrongerHeldByMe. */
#if PG_VERSION_NUM < 170000
#define mig_LockHeldByMe(tag, mode) LockHeldByMe(tag, mode)
#else
#define mig_LockHeldByMe(tag, mode) LockHeldByMe(tag, mode, false)
#endif

/* 17 put the number of the transaction into a struct. */
#if PG_VERSION_NUM < 170000
#define mig_local_xid() (MyProc->lxid)
#else
#define mig_local_xid() (MyProc->vxid.lxid)
#endif

/* 18 dropped PortalRun's run_once. */
#if PG_VERSION_NUM < 180000
#define mig_PortalRun(portal, dest) \
	PortalRun(portal, FETCH_ALL, true, true, dest, dest, NULL)
#else
#define mig_PortalRun(portal, dest) \
	PortalRun(portal, FETCH_ALL, true, dest, dest, NULL)
#endif

/* 14 gave BeginCopyFrom (commands/copy.h) the condition of COPY's WHERE. */
#if PG_VERSION_NUM < 140000
#define CopyFromState					CopyState
#define MIG_COPY_ROWS_HAS_WHERE			false
#define mig_BeginCopyFrom(pstate, rel, where, source, columns, options) \
	BeginCopyFrom(pstate, rel, NULL, false, source, columns, options)
#else
#define MIG_COPY_ROWS_HAS_WHERE			true
#define mig_BeginCopyFrom(pstate, rel, where, source, columns, options) \
	BeginCopyFrom(pstate, rel, where, NULL, false, source, columns, options)
#endif

/* 16 moved the privileges that a query needs out of its table entries. */
#if PG_VERSION_NUM < 160000
#define MigNeededPrivileges				RangeTblEntry
#define MigNeededOf(item)				((item)->p_rte)
#define mig_check_needed(pstate, needed) \
	((void) (needed), (void) ExecCheckRTPerms((pstate)->p_rtable, true))
#else
#define MigNeededPrivileges				RTEPermissionInfo
#define MigNeededOf(item)				((item)->p_perminfo)
#define mig_check_needed(pstate, needed) \
	((void) ExecCheckPermissions((pstate)->p_rtable, list_make1(needed), true))
#endif

/*
 * Columns of catalogs, as the queries of the kinds of objects (kind/) name them:
 * 14 brought compression, 18 constraints for NOT NULL.  The last is what a
 * column's definition says, with the constraint's name where that is no default;
 * of one that it cannot say, because the column is inherited or the constraint not
 * valid, what ALTER TABLE does.
 * INHERITED: nothing, because the parent has said it.  SHARED is the usual name
 * where another constraint of the schema has it, too: the server would not choose it.
 */
#if PG_VERSION_NUM < 140000
#define MIG_COLUMN_COMPRESSION			"''"
#else
#define MIG_COLUMN_COMPRESSION			"a.attcompression"
#endif
#if PG_VERSION_NUM < 180000
#define MIG_NOT_NULL_HAS_NAME			false
#define MIG_COLUMN_NOT_NULL				"'NOT NULL'"
#define MIG_COLUMN_OWN_NOT_NULL \
	"CASE WHEN a.attnotnull AND a.attinhcount > 0 AND NOT a.attislocal " \
	"AND NOT EXISTS (SELECT FROM pg_inherits h JOIN pg_attribute pa " \
	"ON pa.attrelid = h.inhparent AND pa.attname = a.attname AND pa.attnotnull " \
	"WHERE h.inhrelid = c.oid) " \
	"THEN format('ALTER COLUMN %I SET NOT NULL', a.attname) END"
#define MIG_COLUMN_NOT_NULL_COMMENT		"NULL::text"
#define MIG_COLUMN_NOT_NULL_SHARED		"NULL::text"
#else
#define MIG_NOT_NULL_HAS_NAME			true
#define MIG_COLUMN_NOT_NULL \
	"(SELECT CASE WHEN NOT o.conislocal AND NOT c.relispartition THEN 'INHERITED' ELSE " \
	"CASE WHEN o.conname <> c.relname || '_' || a.attname || '_not_null' " \
	"THEN format('CONSTRAINT %I ', o.conname) ELSE '' END || 'NOT NULL' || " \
	"CASE WHEN o.connoinherit THEN ' NO INHERIT' ELSE '' END END " \
	"FROM pg_constraint o WHERE o.conrelid = c.oid AND o.contype = 'n' " \
	"AND o.conkey[1] = a.attnum AND o.convalidated)"
#define MIG_COLUMN_OWN_NOT_NULL \
	"(SELECT format('ADD CONSTRAINT %I NOT NULL %I%s%s', o.conname, a.attname, " \
	"CASE WHEN o.connoinherit THEN ' NO INHERIT' END, " \
	"CASE WHEN NOT o.convalidated THEN ' NOT VALID' END) " \
	"FROM pg_constraint o WHERE o.conrelid = c.oid AND o.contype = 'n' " \
	"AND o.conkey[1] = a.attnum AND o.conislocal AND (NOT o.convalidated " \
	"OR (a.attinhcount > 0 AND NOT a.attislocal AND NOT c.relispartition)))"
#define MIG_COLUMN_NOT_NULL_COMMENT \
	"(SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', o.conname, c.oid::regclass, " \
	"obj_description(o.oid, 'pg_constraint')) FROM pg_constraint o WHERE o.conrelid = c.oid " \
	"AND o.contype = 'n' AND o.conkey[1] = a.attnum " \
	"AND obj_description(o.oid, 'pg_constraint') IS NOT NULL)"
#define MIG_COLUMN_NOT_NULL_SHARED \
	"(SELECT quote_ident(o.conname) FROM pg_constraint o WHERE o.conrelid = c.oid " \
	"AND o.contype = 'n' AND o.conkey[1] = a.attnum " \
	"AND o.conname = c.relname || '_' || a.attname || '_not_null' " \
	"AND EXISTS (SELECT FROM pg_constraint other WHERE other.conname = o.conname " \
	"AND other.connamespace = o.connamespace AND other.oid <> o.oid AND other.conislocal))"
#endif

/* 15 alters the access method of a table. */
#define MIG_CAN_SET_ACCESS_METHOD		(PG_VERSION_NUM >= 150000)

/* 14 brought multiranges, 18 a constraint for a domain's NOT NULL. */
#if PG_VERSION_NUM < 140000
#define MIG_RANGE_MULTIRANGE			"NULL::text"
#else
#define MIG_RANGE_MULTIRANGE			"format_type(r.rngmultitypid, NULL)"
#endif
#if PG_VERSION_NUM < 170000
#define MIG_DOMAIN_NOT_NULL				"'NOT NULL'"
#else
#define MIG_DOMAIN_NOT_NULL \
	"(SELECT CASE WHEN o.conname <> t.typname || '_not_null' " \
	"THEN format('CONSTRAINT %I ', o.conname) ELSE '' END || 'NOT NULL' " \
	"FROM pg_constraint o WHERE o.contypid = t.oid AND o.contype = 'n')"
#endif

/* 13 keeps the parent of a partition's trigger in pg_depend only. */
#if PG_VERSION_NUM < 140000
#define MIG_TRIGGER_PARENT \
	"(SELECT x.refobjid FROM pg_depend x WHERE x.classid = 'pg_trigger'::regclass " \
	"AND x.objid = t.oid AND x.refclassid = 'pg_trigger'::regclass AND x.deptype = 'P')"
#else
#define MIG_TRIGGER_PARENT				"nullif(t.tgparentid, 0)"
#endif

/*
 * 15 publishes whole schemas, some columns and some rows; 18 generated columns.
 * Table r of a publication p.
 */
#if PG_VERSION_NUM < 150000
#define MIG_PUBLICATION_FOR				" FOR TABLE "
#define MIG_PUBLICATION_TABLE			"ONLY "
#define MIG_PUBLICATION_DETAILS			""
#define MIG_PUBLICATION_SCHEMAS			""
#else
#define MIG_PUBLICATION_FOR				" FOR "
#define MIG_PUBLICATION_TABLE			"TABLE ONLY "
#define MIG_PUBLICATION_DETAILS \
	" || coalesce((SELECT ' (' || string_agg(quote_ident(a.attname), ', ' " \
	"ORDER BY a.attname) || ')' FROM pg_attribute a WHERE a.attrelid = r.prrelid " \
	"AND a.attnum = ANY (r.prattrs)), '') " \
	"|| coalesce(' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')', '')"
#define MIG_PUBLICATION_SCHEMAS \
	"UNION ALL SELECT 'TABLES IN SCHEMA ' || quote_ident(n.nspname) " \
	"FROM pg_publication_namespace r JOIN pg_namespace n ON n.oid = r.pnnspid " \
	"WHERE r.pnpubid = p.oid"
#endif
#if PG_VERSION_NUM < 180000
#define MIG_PUBLICATION_GENERATED		"NULL::text"
#else
#define MIG_PUBLICATION_GENERATED		"CASE p.pubgencols WHEN 's' THEN 'stored' END"
#endif

/*
 * Subscription x: what everybody may read of it.  14 brought its OID to that, and
 * streaming; 15 commit in two phases; 16 where rows come from; 17 failover.
 */
#if PG_VERSION_NUM < 140000
#define MIG_SUBSCRIPTION_OID \
	"coalesce((SELECT min(s.subid) FROM pg_stat_subscription s " \
	"WHERE s.subname = x.subname), 0)"
#define MIG_SUBSCRIPTION_OPTIONS		"NULL::text"
#elif PG_VERSION_NUM < 150000
#define MIG_SUBSCRIPTION_OID			"x.oid"
#define MIG_SUBSCRIPTION_OPTIONS \
	"format('synchronous_commit=%s binary=%s streaming=%s', x.subsynccommit, x.subbinary, " \
	"x.substream)"
#elif PG_VERSION_NUM < 160000
#define MIG_SUBSCRIPTION_OID			"x.oid"
#define MIG_SUBSCRIPTION_OPTIONS \
	"format('synchronous_commit=%s binary=%s streaming=%s two_phase=%s disable_on_error=%s', " \
	"x.subsynccommit, x.subbinary, x.substream, x.subtwophasestate <> 'd', x.subdisableonerr)"
#else
#define MIG_SUBSCRIPTION_OID			"x.oid"
#define MIG_SUBSCRIPTION_OPTIONS \
	"format('synchronous_commit=%s binary=%s streaming=%s two_phase=%s disable_on_error=%s " \
	"password_required=%s run_as_owner=%s origin=%s" MIG_SUBSCRIPTION_FAILOVER ", " \
	"x.subsynccommit, x.subbinary, x.substream, x.subtwophasestate <> 'd', " \
	"x.subdisableonerr, x.subpasswordrequired, x.subrunasowner, x.suborigin)"
#if PG_VERSION_NUM < 170000
#define MIG_SUBSCRIPTION_FAILOVER		"'"
#else
#define MIG_SUBSCRIPTION_FAILOVER		" failover=' || x.subfailover"
#endif
#endif

/*
 * Collation o: 15 gave those of ICU a column of their own, 16 rules, and 17 made
 * it that of all providers but libc.
 */
#if PG_VERSION_NUM < 150000
#define MIG_COLLATION_LOCALE \
	"NULL::text AS locale, o.collcollate::text AS lc_collate, " \
	"o.collctype::text AS lc_ctype, NULL::text AS rules "
#elif PG_VERSION_NUM < 160000
#define MIG_COLLATION_LOCALE \
	"o.colliculocale AS locale, o.collcollate AS lc_collate, o.collctype AS lc_ctype, " \
	"NULL::text AS rules "
#elif PG_VERSION_NUM < 170000
#define MIG_COLLATION_LOCALE \
	"o.colliculocale AS locale, o.collcollate AS lc_collate, o.collctype AS lc_ctype, " \
	"o.collicurules AS rules "
#else
#define MIG_COLLATION_LOCALE \
	"o.colllocale AS locale, o.collcollate AS lc_collate, o.collctype AS lc_ctype, " \
	"o.collicurules AS rules "
#endif

/* 18 brought a counter of frozen pages. */
#if PG_VERSION_NUM < 180000
#define MigClassMaskFrozen(form)		((void) (form))
#else
#define MigClassMaskFrozen(form)		((form)->relallfrozen = 0)
#endif

/*
 * What other backends do: the functions that read their status were renamed
 * in 16 (pgstat_fetch_stat_local_beentry went by index, not by backend id).
 * mig_backend_status (compat.c) hides it.
 */
typedef struct MigBackend
{
	Oid			role;
	char		application[NAMEDATALEN];
	TimestampTz since;			/* start of its transaction, or of the backend */
	char	   *query;			/* palloc'd */
} MigBackend;

/*
 * The locks of this process on relations, in the shared memory of the lock manager.
 * 16 made its lists dlists, 18 gave a process as many slots for weak locks as it may
 * have locks.
 */
#if PG_VERSION_NUM < 180000
#define MIG_WEAK_LOCK_GROUPS			1
#define mig_weak_lock_bits(group)		(MyProc->fpLockBits)
#define MIG_WEAK_LOCKS_IN_GROUP			FP_LOCK_SLOTS_PER_BACKEND
#else
#define MIG_WEAK_LOCK_GROUPS			FastPathLockGroupsPerBackend
#define mig_weak_lock_bits(group)		(MyProc->fpLockBits[group])
#define MIG_WEAK_LOCKS_IN_GROUP			FP_LOCK_SLOTS_PER_GROUP
#endif

/* 14 renamed the predefined role that may see what others do. */
#if PG_VERSION_NUM < 140000
#define ROLE_PG_READ_ALL_STATS			DEFAULT_ROLE_READ_ALL_STATS
#endif

struct PROCLOCK;
extern struct PROCLOCK *mig_proclock_before(int partition, struct PROCLOCK *at);
extern int64 mig_count_scans(Oid relation);

/*
 * 14 made what knows of the bound of a partition (partitioning/partbounds.h) do
 * without the partition, and get_partition_parent (catalog/partition.h) count those
 * that are being detached on request only; getObjectDescription (catalog/
 * objectaddress.h) can do without the object.
 */
#if PG_VERSION_NUM < 140000
#define mig_get_qual_from_partbound(table, parent, bound) \
	get_qual_from_partbound(table, parent, bound)
#define mig_get_partition_parent(table)	get_partition_parent(table)
#define mig_getObjectDescription(address) getObjectDescription(address)
#else
#define mig_get_qual_from_partbound(table, parent, bound) \
	get_qual_from_partbound(parent, bound)
#define mig_get_partition_parent(table)	get_partition_parent(table, true)
#define mig_getObjectDescription(address) getObjectDescription(address, true)
#endif

/* 19 tells which domains have constraints that may change in rows that are stored. */
#if PG_VERSION_NUM < 190000
#define MigDomainHasConstraints(type)	DomainHasConstraints(type)
#else
#define MigDomainHasConstraints(type)	DomainHasConstraints(type, NULL)
#endif

/* 14 renamed what says of which kind of relation a statement is. */
#if PG_VERSION_NUM < 140000
#define MigAlterTableKind(stmt)			((stmt)->relkind)
#define MigCreateTableAsKind(stmt)		((stmt)->relkind)
#else
#define MigCreateTableAsKind(stmt)		((stmt)->objtype)
#define MigAlterTableKind(stmt)			((stmt)->objtype)
#endif

/* 15 can change the access method of a table. */
#if PG_VERSION_NUM < 150000
#define MigSetsAccessMethod(cmd)		((void) (cmd), false)
#else
#define MigSetsAccessMethod(cmd)		((cmd)->subtype == AT_SetAccessMethod)
#endif

/* 15 made a boolean of a statement a node of its own, and the value of a constant a part of it. */
#if PG_VERSION_NUM < 150000
#define MigStringOfConst(node) \
	((node)->val.type == T_String ? strVal(&(node)->val) : NULL)
#define MigBoolVal(node)				(intVal(node) != 0)
#else
#define MigStringOfConst(node) \
	(!(node)->isnull && IsA(&(node)->val, String) ? strVal(&(node)->val) : NULL)
#define MigBoolVal(node)				boolVal(node)
#endif

/* 18 has generated columns that are not stored. */
#include "catalog/pg_attribute.h"
#if PG_VERSION_NUM < 180000
#define MigIsStored(constraint)			((void) (constraint), true)
#else
#define MigIsStored(constraint) \
	((constraint)->generated_kind == ATTRIBUTE_GENERATED_STORED)
#endif

/* What rules of lint are for. */
#define MIG_SERVER_MAJOR				(PG_VERSION_NUM / 10000)

extern void mig_parse_type(const char *name, Oid *type, int32 *typmod);
extern bool mig_backend_status(int pid, MigBackend *backend);
extern Bitmapset *mig_result_relations(const PlannedStmt *plan);

#endif							/* MIG_COMPAT_H */
