/*
 * rules_lock.c
 *		Rules about locks, and about what is held while something else runs.
 */
#include "migrate.h"

#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "compat.h"
#include "lint/expression.h"
#include "lint/rules.h"
#include "lint/table_lock.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"

static void detach_not_concurrent(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void attach_without_check(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static bool has_new_check(const WorldRelation *table);
static void partition_lock(Lint *lint, const Node *stmt);
static void table_rewrite(Lint *lint, const Node *stmt);
static bool names_no_table(const Node *stmt);
static void all_move(Lint *lint, const AlterTableMoveAllStmt *stmt);
static void table_rewrite_command(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void refresh_not_concurrent(Lint *lint, const Node *stmt);
static void several_alters(Lint *lint, const Node *stmt);
static bool is_scanned_before(Lint *lint, const Node *stmt);
static void statements_under_exclusive(Lint *lint, const Node *stmt);
static bool reads_rows(Lint *lint, const Node *stmt);
static bool names_old(Node *node, void *lint);
static void trigger_lock(Lint *lint, const Node *stmt);
static void exclusive_lock(Lint *lint, const Node *stmt);
static bool is_brief(const Node *stmt);
static bool is_brief_command(const AlterTableCmd *cmd);
static void lock_timeout(Lint *lint, const Node *stmt);
static bool lacks_timeout(const Lint *lint);
static const TableLock *strong_lock(const Lint *lint);

const LintRule mig_rules_lock[] = {
	{
		.id = "detach-not-concurrent", .severity = LINT_ERROR, .since = 14,
		.summary = "DETACH PARTITION locks the partitioned table against reads and writes",
		.advice = "DETACH PARTITION ... CONCURRENTLY, in a transaction:false script; where there is a default partition, which forbids that, with a lock_timeout.",
		.example = "ALTER TABLE logs DETACH PARTITION logs_2024;",
		.counter_example = "ALTER TABLE logs DETACH PARTITION logs_2024 CONCURRENTLY;",
		.shows = "lock AccessExclusiveLock logs",
		.command = detach_not_concurrent
	},
	{
		.id = "attach-without-check", .severity = LINT_ERROR, .slow = true,
		.summary = "ATTACH PARTITION locks the table that it attaches, and the default partition, against reads and writes while their rows are checked",
		.advice = "First a valid CHECK that says what the partition holds, and one on the default partition that excludes that; indexes, too.",
		.example = "ALTER TABLE logs ATTACH PARTITION logs_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
		.counter_example = "ALTER TABLE logs ATTACH PARTITION logs_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');",
		.shows = "lock AccessExclusiveLock logs_2026, scan logs_2026",
		.command = attach_without_check
	},
	{
		.id = "partition-lock", .severity = LINT_ERROR,
		.summary = "CREATE TABLE ... PARTITION OF, and DROP of a partition, lock the partitioned table and its default partition against reads and writes",
		.advice = "CREATE TABLE ... LIKE, then ATTACH PARTITION; DETACH PARTITION ... CONCURRENTLY, then DROP; or a lock_timeout.",
		.example = "CREATE TABLE logs_2028 PARTITION OF logs FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');",
		.counter_example = "CREATE TABLE logs_2028 (LIKE logs); ALTER TABLE logs ATTACH PARTITION logs_2028 FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');",
		.shows = "lock AccessExclusiveLock logs",
		.statement = partition_lock
	},
	{
		.id = "table-rewrite", .severity = LINT_ERROR, .slow = true,
		.summary = "VACUUM FULL, CLUSTER, SET LOGGED, SET UNLOGGED, SET TABLESPACE and SET ACCESS METHOD rewrite the table under ACCESS EXCLUSIVE",
		.advice = "At a quiet time, or with pg_repack.",
		.example = "ALTER TABLE items SET UNLOGGED;",
		.counter_example = "ALTER TABLE items SET LOGGED;",
		.shows = "lock AccessExclusiveLock items, rewrite items",
		.statement = table_rewrite, .command = table_rewrite_command
	},
	{
		.id = "refresh-not-concurrent", .severity = LINT_ERROR, .slow = true,
		.summary = "REFRESH MATERIALIZED VIEW locks the view against reads until it is filled",
		.advice = "REFRESH MATERIALIZED VIEW CONCURRENTLY, which takes a unique index.",
		.example = "REFRESH MATERIALIZED VIEW totals;",
		.counter_example = "REFRESH MATERIALIZED VIEW CONCURRENTLY totals;",
		.shows = "lock AccessExclusiveLock totals",
		.statement = refresh_not_concurrent
	},
	{
		.id = "several-alters", .severity = LINT_WARNING,
		.summary = "several ALTER TABLE of one table read or rewrite it several times",
		.advice = "One ALTER TABLE with all commands reads it once.",
		.example = "ALTER TABLE users ALTER COLUMN score SET NOT NULL; ALTER TABLE users ADD CHECK (score > 0);",
		.counter_example = "ALTER TABLE users ALTER COLUMN score SET NOT NULL, ADD CHECK (score > 0);",
		.shows = "scan users 2",
		.statement = several_alters
	},
	{
		.id = "statements-under-exclusive", .severity = LINT_ERROR,
		.summary = "a statement that reads or writes many rows runs while a table is locked against reads and writes by one before it",
		.advice = "Split the revision, and run stepwise.",
		.example = "ALTER TABLE users ADD COLUMN phone text; UPDATE orders SET total = total + 1;",
		.counter_example = "ALTER TABLE users ADD COLUMN phone text; ALTER TABLE users ALTER COLUMN phone SET DEFAULT '';",
		.shows = "lock AccessExclusiveLock users, scan orders",
		.statement = statements_under_exclusive
	},
	{
		.id = "trigger-lock", .severity = LINT_WARNING,
		.summary = "CREATE TRIGGER waits for writers, and makes those after it wait",
		.advice = "SET LOCAL lock_timeout before it, or run stepwise.",
		.example = "CREATE TRIGGER touch AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION touch();",
		.counter_example = "SET LOCAL lock_timeout = '200ms'; CREATE TRIGGER touch AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION touch();",
		.shows = "lock ShareRowExclusiveLock users, waits",
		.statement = trigger_lock
	},
	{
		.id = "exclusive-lock", .severity = LINT_WARNING,
		.summary = "policies, row level security, rules, DROP TRIGGER, OWNER TO and SET STORAGE wait for all who use the table, and make those after them wait",
		.advice = "SET LOCAL lock_timeout before it, or run stepwise.",
		.example = "CREATE POLICY own ON users USING (true);",
		.counter_example = "SET LOCAL lock_timeout = '200ms'; CREATE POLICY own ON users USING (true);",
		.shows = "lock AccessExclusiveLock users, waits",
		.statement = exclusive_lock
	},
	{
		.id = "lock-timeout", .severity = LINT_WARNING,
		.summary = "a strong lock on a table, with no lock_timeout: while it waits, all who come after it wait",
		.advice = "SET LOCAL lock_timeout at the top of the script, or run stepwise, which has migrate.lock_timeout and tries again.",
		.example = "ALTER TABLE users ADD COLUMN phone text;",
		.counter_example = "SET LOCAL lock_timeout = '200ms'; ALTER TABLE users ADD COLUMN phone text;",
		.shows = "lock AccessExclusiveLock users, waits",
		.statement = lock_timeout
	},
	{.id = NULL}
};

/* ------------------------------------------------------------ partitions ---- */

/*
 * Find DETACH PARTITION without CONCURRENTLY.
 */
static void
detach_not_concurrent(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	if (cmd->subtype == AT_DetachPartition && !MigDetachIsConcurrent(cmd) &&
		mig_rules_is_old(table))
		mig_rules_found(lint, NULL, "table %s is locked against reads and writes (ACCESS EXCLUSIVE)%s",
						mig_world_identity(table), OidIsValid(table->default_partition) ?
						"; its default partition forbids CONCURRENTLY" : "");
}

/*
 * Find ATTACH PARTITION of an old table whose constraints do not imply the bound.
 */
static void
attach_without_check(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	WorldRelation *partition;
	WorldRelation *rest;

	if (cmd->subtype != AT_AttachPartition || table->table != NULL)
		return;
	partition = mig_rules_table(lint, ((PartitionCmd *) cmd->def)->name);
	if (partition != NULL && partition->table == NULL && !table->made &&
		!has_new_check(partition) &&
		!mig_expression_implies_bound(table, partition, (PartitionCmd *) cmd->def))
		mig_rules_found(lint, partition, "table %s is locked against reads and writes (ACCESS EXCLUSIVE) while all rows are checked against the bound",
						mig_world_identity(partition));
	rest = OidIsValid(table->default_partition) ?
		mig_world_find_oid(lint->world, table->default_partition) : NULL;
	if (mig_rules_is_old(rest) && !has_new_check(rest))
		mig_rules_found(lint, rest, "default partition %s is locked against reads and writes (ACCESS EXCLUSIVE), and scanned unless a CHECK excludes the bound",
						mig_world_identity(rest));
}

/*
 * Return whether the plan made a CHECK of a table that is valid.
 */
static bool
has_new_check(const WorldRelation *table)
{
	ListCell   *lc;

	foreach(lc, table->constraints)
	{
		const WorldConstraint *constraint = lfirst(lc);

		if (constraint->type == CONSTRAINT_CHECK && constraint->made && constraint->valid)
			return true;
	}
	return false;
}

/*
 * Find partitions that come or go with the lock of their parent.
 */
static void
partition_lock(Lint *lint, const Node *stmt)
{
	WorldRelation *parent = NULL;

	if (IsA(stmt, CreateStmt) && ((const CreateStmt *) stmt)->partbound != NULL &&
		lint->locks != NIL)
		parent = mig_world_find(lint->world,
								linitial(((const CreateStmt *) stmt)->inhRelations));
	else if (IsA(stmt, DropStmt) && ((const DropStmt *) stmt)->removeType == OBJECT_TABLE)
	{
		ListCell   *lc;

		foreach(lc, ((const DropStmt *) stmt)->objects)
		{
			WorldRelation *table = mig_world_find_names(lint->world, lfirst(lc));

			if (table != NULL && table->parent != NULL && !table->parent->dropped)
				parent = table->parent;
		}
	}
	if (mig_rules_is_old(parent))
		mig_rules_found(lint, NULL, "partitioned table %s is locked against reads and writes (ACCESS EXCLUSIVE)",
						mig_world_identity(parent));
}

/* -------------------------------------------------------------- rewrites ---- */

/*
 * Find VACUUM FULL and CLUSTER, and what moves all tables, indexes or materialized views of
 * a tablespace.
 */
static void
table_rewrite(Lint *lint, const Node *stmt)
{
	ListCell   *lc;

	if (IsA(stmt, AlterTableMoveAllStmt))
		all_move(lint, (const AlterTableMoveAllStmt *) stmt);
	if (mig_table_lock_is_full(stmt) && names_no_table(stmt))
		mig_rules_found(lint, NULL, "each table%s is rewritten under ACCESS EXCLUSIVE",
						IsA(stmt, RepackStmt) ? " that was clustered before" : "");
	if (!IsA(stmt, VacuumStmt) && !IsA(stmt, RepackStmt))
		return;
	foreach(lc, lint->locks)
	{
		const TableLock *lock = lfirst(lc);

		if (lock->mode == AccessExclusiveLock && mig_rules_is_old(lock->table))
			mig_rules_found(lint, lock->table, "table %s is rewritten under ACCESS EXCLUSIVE",
							mig_world_identity(lock->table));
	}
}

/*
 * Return whether a VACUUM or CLUSTER is of all tables.
 */
static bool
names_no_table(const Node *stmt)
{
	return IsA(stmt, VacuumStmt) ? ((const VacuumStmt *) stmt)->rels == NIL :
		MigRepackTable((const RepackStmt *) stmt) == NULL;
}

/*
 * Find a move of all that is in a tablespace to another one.
 */
static void
all_move(Lint *lint, const AlterTableMoveAllStmt *stmt)
{
	Oid			from = get_tablespace_oid(stmt->orig_tablespacename, true);
	Oid			to = get_tablespace_oid(stmt->new_tablespacename, true);

	if (OidIsValid(from) && OidIsValid(to) && from != to)
		mig_rules_found(lint, NULL, "all %s of tablespace \"%s\" are rewritten under ACCESS EXCLUSIVE",
						stmt->objtype == OBJECT_INDEX ? "indexes" :
						stmt->objtype == OBJECT_MATVIEW ? "materialized views" : "tables",
						stmt->orig_tablespacename);
}

/*
 * Find the commands of ALTER TABLE that write the table into another file, unless it
 * is already as they make it.
 */
static void
table_rewrite_command(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	bool		rewrites = false;

	if (!mig_rules_is_old(table) || table->kind == RELKIND_PARTITIONED_TABLE)
		return;
	if (cmd->subtype == AT_SetLogged)
		rewrites = table->persistence == RELPERSISTENCE_UNLOGGED;
	else if (cmd->subtype == AT_SetUnLogged)
		rewrites = table->persistence == RELPERSISTENCE_PERMANENT;
	else if (cmd->subtype == AT_SetTableSpace)
	{
		Oid			tablespace = get_tablespace_oid(cmd->name, true);

		rewrites = OidIsValid(tablespace) &&
			(tablespace == MyDatabaseTableSpace ? InvalidOid : tablespace) !=
			table->tablespace;
	}
	else if (MigSetsAccessMethod(cmd) && cmd->name != NULL)
		rewrites = get_table_am_oid(cmd->name, true) != table->access_method;
	if (rewrites)
		mig_rules_found(lint, table, "%s is rewritten under ACCESS EXCLUSIVE",
						mig_world_identity(table));
}

/*
 * Find REFRESH MATERIALIZED VIEW of one that is filled.
 */
static void
refresh_not_concurrent(Lint *lint, const Node *stmt)
{
	const RefreshMatViewStmt *refresh = (const RefreshMatViewStmt *) stmt;
	WorldRelation *view;

	if (!IsA(stmt, RefreshMatViewStmt) || refresh->concurrent || refresh->skipData)
		return;
	view = mig_rules_table(lint, refresh->relation);
	if (view != NULL && view->populated)
		mig_rules_found(lint, view, "materialized view %s cannot be read until it is filled (ACCESS EXCLUSIVE)",
						mig_world_identity(view));
}

/* -------------------------------------------------------- what is held ---- */

/*
 * Find an ALTER TABLE that reads or rewrites a table which another one of the
 * transaction has read or rewritten.
 */
static void
several_alters(Lint *lint, const Node *stmt)
{
	if (lint->slow && is_scanned_before(lint, stmt))
		mig_rules_found(lint, NULL, "an ALTER TABLE before it has read or rewritten table %s already",
						quote_identifier(((const AlterTableStmt *) stmt)->relation->relname));
}

/*
 * Return whether a statement is an ALTER TABLE of a table that one before it, in the
 * same transaction, has read.
 */
static bool
is_scanned_before(Lint *lint, const Node *stmt)
{
	WorldRelation *table;

	if (!IsA(stmt, AlterTableStmt))
		return false;
	table = mig_world_find(lint->world, ((const AlterTableStmt *) stmt)->relation);
	return table != NULL && table->scanned == lint->world->transaction;
}

/*
 * Find statements that take long while a table is locked against all others.
 */
static void
statements_under_exclusive(Lint *lint, const Node *stmt)
{
	if (lint->exclusive == NULL || is_scanned_before(lint, stmt) ||
		!(lint->slow || reads_rows(lint, stmt)))
		return;
	mig_rules_found(lint, NULL, "table %s stays locked against reads and writes (ACCESS EXCLUSIVE) while this statement runs",
					mig_world_identity(lint->exclusive));
}

/*
 * Return whether a statement reads or writes rows of an old table, as far as its first
 * words say.
 */
static bool
reads_rows(Lint *lint, const Node *stmt)
{
	const AlterTableStmt *alter = (const AlterTableStmt *) stmt;
	ListCell   *lc;

	switch (nodeTag(stmt))
	{
		case T_UpdateStmt:
			return mig_rules_table(lint, ((const UpdateStmt *) stmt)->relation) != NULL;
		case T_DeleteStmt:
			return mig_rules_table(lint, ((const DeleteStmt *) stmt)->relation) != NULL;
		case T_InsertStmt:
			return names_old(((const InsertStmt *) stmt)->selectStmt, lint) ||
				names_old((Node *) ((const InsertStmt *) stmt)->withClause, lint);
		case T_CreateTableAsStmt:
			return names_old(((const CreateTableAsStmt *) stmt)->query, lint);
		case T_SelectStmt:
			return ((const SelectStmt *) stmt)->intoClause != NULL &&
				names_old(unconstify(Node *, stmt), lint);
		case T_AlterTableStmt:
			foreach(lc, alter->cmds)
			{
				if (((AlterTableCmd *) lfirst(lc))->subtype == AT_ValidateConstraint)
					return mig_rules_table(lint, alter->relation) != NULL;
			}
			return false;
		default:
			return false;
	}
}

/*
 * Return whether a query, as it is written, reads an old table.
 */
static bool
names_old(Node *node, void *lint)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
		return mig_rules_table(lint, (RangeVar *) node) != NULL;
	return raw_expression_tree_walker(node, names_old, lint);
}

/*
 * Find CREATE TRIGGER.
 */
static void
trigger_lock(Lint *lint, const Node *stmt)
{
	WorldRelation *table;

	if (!IsA(stmt, CreateTrigStmt) || !lacks_timeout(lint))
		return;
	table = mig_rules_table(lint, ((const CreateTrigStmt *) stmt)->relation);
	if (table != NULL)
		mig_rules_found(lint, NULL, "writes to table %s wait while this waits for its lock (SHARE ROW EXCLUSIVE)",
						mig_world_identity(table));
}

/*
 * Find statements that take ACCESS EXCLUSIVE for a moment, and of which few know it.
 */
static void
exclusive_lock(Lint *lint, const Node *stmt)
{
	const TableLock *lock = strong_lock(lint);

	if (lock != NULL && is_brief(stmt) && lacks_timeout(lint))
		mig_rules_found(lint, NULL, "reads and writes of table %s wait while this waits for its lock (%s)",
						mig_world_identity(lock->table), mig_table_lock_mode(lock->mode));
}

/*
 * Return whether a statement is one of those.
 */
static bool
is_brief(const Node *stmt)
{
	ListCell   *lc;

	switch (nodeTag(stmt))
	{
		case T_CreatePolicyStmt:
		case T_AlterPolicyStmt:
		case T_RuleStmt:
			return true;
		case T_DropStmt:
			return ((const DropStmt *) stmt)->removeType == OBJECT_TRIGGER ||
				((const DropStmt *) stmt)->removeType == OBJECT_RULE ||
				((const DropStmt *) stmt)->removeType == OBJECT_POLICY;
		case T_AlterTableStmt:
			foreach(lc, ((const AlterTableStmt *) stmt)->cmds)
			{
				if (!is_brief_command(lfirst(lc)))
					return false;
			}
			return true;
		default:
			return false;
	}
}

/*
 * Return whether a command of ALTER TABLE is one of those.
 */
static bool
is_brief_command(const AlterTableCmd *cmd)
{
	switch (cmd->subtype)
	{
		case AT_ChangeOwner:
		case AT_EnableRowSecurity:
		case AT_DisableRowSecurity:
		case AT_ForceRowSecurity:
		case AT_NoForceRowSecurity:
		case AT_SetStorage:
			return true;
		default:
			return false;
	}
}

/*
 * Find the first statement of a script that takes a strong lock without a timeout.
 */
static void
lock_timeout(Lint *lint, const Node *stmt)
{
	const TableLock *lock = strong_lock(lint);

	if (lint->told_timeout || lock == NULL || !lacks_timeout(lint) || is_brief(stmt) ||
		IsA(stmt, CreateTrigStmt))
		return;
	lint->told_timeout = true;
	mig_rules_found(lint, NULL, "%s of table %s wait while this waits for its lock (%s)",
					lock->mode == AccessExclusiveLock ? "reads and writes" : "writes",
					mig_world_identity(lock->table), mig_table_lock_mode(lock->mode));
}

/*
 * Return whether nothing bounds how long a script waits for a lock: neither the script
 * nor the session, nor a stepwise run, which the plan requires.
 */
static bool
lacks_timeout(const Lint *lint)
{
	return !lint->stepwise && !lint->session_timeout && !lint->has_timeout;
}

/*
 * Return a lock of the statement on an old table that writers have to wait for, or
 * NULL.
 */
static const TableLock *
strong_lock(const Lint *lint)
{
	ListCell   *lc;

	foreach(lc, lint->locks)
	{
		const TableLock *lock = lfirst(lc);

		if (lock->mode >= ShareLock && mig_rules_is_old(lock->table))
			return lock;
	}
	return NULL;
}
