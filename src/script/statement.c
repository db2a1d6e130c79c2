/*
 * statement.c
 *		What a statement of a script is and needs, told by its parse tree.
 *
 * The trees are raw: nothing is looked up in the catalogs.  The rules are those
 * of the server's own PreventInTransactionBlock calls; and an index option with a
 * namespace is one of an extension, which commits by itself: TimescaleDB's
 * transaction_per_chunk, which crashes the server inside of a transaction.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "compat.h"
#include "script/statement.h"

static const char *reindex_needs_top_level(const ReindexStmt *stmt);
static const char *repack_needs_top_level(const RepackStmt *stmt);
static const char *alter_table_needs_top_level(const AlterTableStmt *stmt);
static const char *subscription_needs_top_level(const AlterSubscriptionStmt *stmt);
static bool option_is_on(List *options, const char *name, bool missing);
static bool option_is_there(List *options, const char *name);
static bool has_namespace(List *options);
static bool contains(const char *text, const char *word);

/*
 * Return the name of a statement that cannot run inside a transaction block,
 * NULL for one that can. Where the server decides when it runs (DROP
 * SUBSCRIPTION, REINDEX of a partitioned table) the answer is NULL. The result
 * is a constant.
 */
const char *
mig_statement_needs_top_level(const RawStmt *raw)
{
	Node	   *stmt = raw->stmt;

	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			if (((IndexStmt *) stmt)->concurrent)
				return "CREATE INDEX CONCURRENTLY";
			return has_namespace(((IndexStmt *) stmt)->options) ?
				"CREATE INDEX with an option of an extension" : NULL;
		case T_DropStmt:
			return ((DropStmt *) stmt)->concurrent ?
				"DROP INDEX CONCURRENTLY" : NULL;
		case T_ReindexStmt:
			return reindex_needs_top_level((ReindexStmt *) stmt);
		case T_RepackStmt:
			return repack_needs_top_level((RepackStmt *) stmt);
		case T_VacuumStmt:
			return ((VacuumStmt *) stmt)->is_vacuumcmd ? "VACUUM" : NULL;
		case T_CreatedbStmt:
			return "CREATE DATABASE";
		case T_DropdbStmt:
			return "DROP DATABASE";
		case T_AlterDatabaseStmt:
			return option_is_there(((AlterDatabaseStmt *) stmt)->options,
								   "tablespace") ?
				"ALTER DATABASE SET TABLESPACE" : NULL;
		case T_CreateTableSpaceStmt:
			return "CREATE TABLESPACE";
		case T_DropTableSpaceStmt:
			return "DROP TABLESPACE";
		case T_AlterSystemStmt:
			return "ALTER SYSTEM";
		case T_AlterTableStmt:
			return alter_table_needs_top_level((AlterTableStmt *) stmt);
		case T_CreateSubscriptionStmt:
			{
				List	   *options = ((CreateSubscriptionStmt *) stmt)->options;

				return option_is_on(options, "connect", true) &&
					option_is_on(options, "create_slot", true) ?
					"CREATE SUBSCRIPTION" : NULL;
			}
		case T_AlterSubscriptionStmt:
			return subscription_needs_top_level((AlterSubscriptionStmt *) stmt);
		default:
			return NULL;
	}
}

/*
 * Return what a statement is, when it must never run inside of a migration: it
 * would end the transaction, speak to the client, or take from the session what
 * is not the script's.
 * NULL for all others. The result is a constant.
 */
const char *
mig_statement_cannot_run(const RawStmt *raw)
{
	switch (nodeTag(raw->stmt))
	{
		case T_TransactionStmt:
			return "transaction control";
		case T_CopyStmt:
			if (castNode(CopyStmt, raw->stmt)->filename == NULL)
				return "COPY from or to the client";
			return NULL;
		default:
			return mig_statement_clears_session(raw);
	}
}

/*
 * Return the name of a statement that takes away all of some kind that the session
 * has, what the client has made before the call too; NULL for others. The result
 * is a constant.
 */
const char *
mig_statement_clears_session(const RawStmt *raw)
{
	const Node *stmt = raw->stmt;

	switch (nodeTag(stmt))
	{
		case T_DiscardStmt:
			return "DISCARD";
		case T_DeallocateStmt:
			return ((const DeallocateStmt *) stmt)->name == NULL ? "DEALLOCATE ALL" : NULL;
		case T_ClosePortalStmt:
			return ((const ClosePortalStmt *) stmt)->portalname == NULL ? "CLOSE ALL" : NULL;
		case T_UnlistenStmt:
			return ((const UnlistenStmt *) stmt)->conditionname == NULL ? "UNLISTEN *" : NULL;
		default:
			return NULL;
	}
}

/*
 * Return the name of a statement that has no effect outside of a transaction block,
 * as the server calls it; NULL for others. *fails is whether the server refuses
 * it there, and does not only warn. The result is a constant.
 */
const char *
mig_statement_needs_block(const RawStmt *raw, bool *fails)
{
	const VariableSetStmt *set = (const VariableSetStmt *) raw->stmt;

	*fails = IsA(raw->stmt, LockStmt) || IsA(raw->stmt, DeclareCursorStmt);
	switch (nodeTag(raw->stmt))
	{
		case T_LockStmt:
			return "LOCK TABLE";
		case T_DeclareCursorStmt:
			return ((const DeclareCursorStmt *) raw->stmt)->options & CURSOR_OPT_HOLD ?
				NULL : "DECLARE CURSOR";
		case T_ConstraintsSetStmt:
			return "SET CONSTRAINTS";
		case T_VariableSetStmt:
			if (set->kind == VAR_SET_MULTI)
				return strncmp(set->name, "TRANSACTION", strlen("TRANSACTION")) == 0 ?
					"SET TRANSACTION" : NULL;
			return set->is_local ? "SET LOCAL" : NULL;
		default:
			return NULL;
	}
}

/* Is it a BEGIN without options? */
bool
mig_statement_is_begin(const RawStmt *raw)
{
	const TransactionStmt *control = (const TransactionStmt *) raw->stmt;

	return IsA(control, TransactionStmt) &&
		(control->kind == TRANS_STMT_BEGIN ||
		 control->kind == TRANS_STMT_START) &&
		control->options == NIL;
}

/* Is it a COMMIT without options? */
bool
mig_statement_is_commit(const RawStmt *raw)
{
	const TransactionStmt *control = (const TransactionStmt *) raw->stmt;

	return IsA(control, TransactionStmt) &&
		control->kind == TRANS_STMT_COMMIT && !control->chain;
}

/*
 * Can it commit while it runs?  CALL, and DO unless its body, in PL/pgSQL, has
 * none of the words without which it cannot.
 */
bool
mig_statement_may_commit(const RawStmt *raw)
{
	static const char *const words[] = {"commit", "rollback", "call"};
	const char *body = "";
	ListCell   *lc;

	if (IsA(raw->stmt, CallStmt))
		return true;
	if (!IsA(raw->stmt, DoStmt))
		return false;
	foreach(lc, castNode(DoStmt, raw->stmt)->args)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "as") == 0)
			body = strVal(option->arg);
		else if (strcmp(strVal(option->arg), "plpgsql") != 0)
			return true;
	}
	for (size_t i = 0; i < lengthof(words); i++)
		if (contains(body, words[i]))
			return true;
	return false;
}

/* Is this a SET of standard_conforming_strings to off? */
bool
mig_statement_turns_strings_off(const RawStmt *raw)
{
	const VariableSetStmt *set = (const VariableSetStmt *) raw->stmt;
	A_Const    *value;
	bool		on = true;

	if (!IsA(set, VariableSetStmt) || set->kind != VAR_SET_VALUE ||
		pg_strcasecmp(set->name, "standard_conforming_strings") != 0)
		return false;
	value = linitial(set->args);
	if (!IsA(value, A_Const))
		return false;
	if (IsA(&value->val, Integer))
		return intVal(&value->val) == 0;
	return IsA(&value->val, String) &&
		parse_bool(strVal(&value->val), &on) && !on;
}

/*
 * Return the name, without its schema, of the enum type that a statement creates;
 * NULL for all other statements.
 */
const char *
mig_statement_creates_enum(const RawStmt *raw)
{
	if (!IsA(raw->stmt, CreateEnumStmt))
		return NULL;
	return strVal(llast(castNode(CreateEnumStmt, raw->stmt)->typeName));
}

/*
 * Return the name, likewise, of the enum type that a statement adds a value to; NULL
 * for all other statements.
 */
const char *
mig_statement_adds_enum_value(const RawStmt *raw)
{
	if (!IsA(raw->stmt, AlterEnumStmt) ||
		castNode(AlterEnumStmt, raw->stmt)->oldVal != NULL)
		return NULL;
	return strVal(llast(castNode(AlterEnumStmt, raw->stmt)->typeName));
}

/*
 * Return whether a statement writes the data of a large object in the way of
 * pg_dump, with the calls that it has for that and nothing else.
 */
bool
mig_statement_writes_large_object(const RawStmt *raw)
{
	static const char *const names[] = {"lo_open", "lowrite", "lo_close"};
	const SelectStmt *select = (const SelectStmt *) raw->stmt;
	const FuncCall *call;
	const char *name;

	if (!IsA(select, SelectStmt) || list_length(select->targetList) != 1)
		return false;
	call = (const FuncCall *) linitial_node(ResTarget, select->targetList)->val;
	if (!IsA(call, FuncCall) || list_length(call->funcname) != 2 ||
		strcmp(strVal(linitial(call->funcname)), "pg_catalog") != 0)
		return false;
	name = strVal(llast(call->funcname));
	for (size_t i = 0; i < lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/*
 * Return the name of the setting that a statement sets to 0, where it is one that
 * pg_dump of a newer server sets so and this server does not know, otherwise NULL.
 * 0 is what those servers have by default, and means no limit: not to set it is the
 * same.
 */
const char *
mig_statement_unknown_setting(const RawStmt *raw)
{
	static const char *const names[] = {"transaction_timeout", "idle_session_timeout"};
	const VariableSetStmt *set = (const VariableSetStmt *) raw->stmt;
	A_Const    *value;

	if (!IsA(set, VariableSetStmt) || set->kind != VAR_SET_VALUE ||
		list_length(set->args) != 1)
		return NULL;
	value = linitial(set->args);
	if (!IsA(value, A_Const) || !IsA(&value->val, Integer) || intVal(&value->val) != 0)
		return NULL;
	for (size_t i = 0; i < lengthof(names); i++)
		if (pg_strcasecmp(set->name, names[i]) == 0 &&
			GetConfigOption(names[i], true, false) == NULL)
			return names[i];
	return NULL;
}

/*
 * Return which part of a COPY cannot be used with rows in the script, NULL if all
 * can.  The result is a constant.
 */
const char *
mig_statement_rows_fault(const RawStmt *raw)
{
	const CopyStmt *copy = castNode(CopyStmt, raw->stmt);
	ListCell   *lc;

	if (copy->whereClause != NULL && !MIG_COPY_ROWS_HAS_WHERE)
		return "WHERE, on this version of the server,";
	foreach(lc, copy->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "encoding") == 0)
			return "the option ENCODING";
		if (strcmp(option->defname, "format") == 0 &&
			pg_strcasecmp(defGetString(option), "binary") == 0)
			return "the binary format";
	}
	return NULL;
}

/*
 * Return the name of a REINDEX that cannot run in a transaction block, or
 * NULL.
 */
static const char *
reindex_needs_top_level(const ReindexStmt *stmt)
{
	if (MigReindexIsConcurrent(stmt) ||
		option_is_on(MigReindexParams(stmt), "concurrently", false))
		return "REINDEX CONCURRENTLY";
	switch (stmt->kind)
	{
		case REINDEX_OBJECT_SCHEMA:
			return "REINDEX SCHEMA";
		case REINDEX_OBJECT_SYSTEM:
			return "REINDEX SYSTEM";
		case REINDEX_OBJECT_DATABASE:
			return "REINDEX DATABASE";
		default:
			return NULL;
	}
}

/*
 * Return the name of a CLUSTER or REPACK that cannot run in a transaction block,
 * or NULL.
 */
static const char *
repack_needs_top_level(const RepackStmt *stmt)
{
	if (MigRepackIsCluster(stmt))
		return stmt->relation == NULL ? "CLUSTER without a table" : NULL;
	if (option_is_on(MigRepackParams(stmt), "concurrently", false))
		return "REPACK (CONCURRENTLY)";
	if (option_is_on(MigRepackParams(stmt), "analyze", false))
		return "REPACK (ANALYZE)";
	return stmt->relation == NULL ? "REPACK without a table" : NULL;
}

/*
 * Return the name of an ALTER TABLE that cannot run in a transaction block, or
 * NULL.
 */
static const char *
alter_table_needs_top_level(const AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_DetachPartition && MigDetachIsConcurrent(cmd))
			return "ALTER TABLE DETACH PARTITION CONCURRENTLY";
	}
	return NULL;
}

/*
 * Return the name of an ALTER SUBSCRIPTION that cannot run in a transaction
 * block, or NULL.
 */
static const char *
subscription_needs_top_level(const AlterSubscriptionStmt *stmt)
{
	/* any option that names what cannot be rolled back on the other side */
	if (stmt->kind == ALTER_SUBSCRIPTION_OPTIONS)
	{
		if (option_is_there(stmt->options, "failover"))
			return "ALTER SUBSCRIPTION SET (failover)";
		if (!option_is_on(stmt->options, "two_phase", true))
			return "ALTER SUBSCRIPTION SET (two_phase)";
		return NULL;
	}
	if (!MIG_SUBSCRIPTION_REFRESH_NEEDS_TOP_LEVEL)
		return NULL;
	if (stmt->kind == ALTER_SUBSCRIPTION_REFRESH_PUBLICATION)
		return "ALTER SUBSCRIPTION REFRESH PUBLICATION";
	if (stmt->publication != NIL &&
		option_is_on(stmt->options, "refresh", true))
		return "ALTER SUBSCRIPTION with refresh";
	return NULL;
}

/* The value of a boolean option, missing if it is not there. */
static bool
option_is_on(List *options, const char *name, bool missing)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			return defGetBoolean(option);
	}
	return missing;
}

/*
 * Return whether an option is given.
 */
static bool
option_is_there(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, name) == 0)
			return true;
	}
	return false;
}

/*
 * Return whether one of some options (DefElem) has a namespace.
 */
static bool
has_namespace(List *options)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		if (lfirst_node(DefElem, lc)->defnamespace != NULL)
			return true;
	}
	return false;
}

/* Is word, in lower case, anywhere in text? */
static bool
contains(const char *text, const char *word)
{
	for (; *text; text++)
		if (pg_strncasecmp(text, word, strlen(word)) == 0)
			return true;
	return false;
}
