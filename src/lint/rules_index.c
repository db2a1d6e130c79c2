/*
 * rules_index.c
 *		Rules about indexes and keys.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "lint/effect.h"
#include "lint/expression.h"
#include "lint/rules.h"
#include "lint/table_lock.h"
#include "utils/builtins.h"

/* An index over more columns is wide. */
#define WIDE_INDEX 3

static void index_not_concurrent(Lint *lint, const Node *stmt);
static bool is_there(Lint *lint, const IndexStmt *stmt, const WorldRelation *table);
static void drop_index_not_concurrent(Lint *lint, const Node *stmt);
static void reindex_not_concurrent(Lint *lint, const Node *stmt);
static bool is_concurrent_reindex(const ReindexStmt *stmt);
static void concurrent_partitioned(Lint *lint, const Node *stmt);
static void unique_constraint(Lint *lint, WorldRelation *table, const Constraint *constraint,
							  const ColumnDef *column);
static void primary_key(Lint *lint, WorldRelation *table, const Constraint *constraint,
						const ColumnDef *column);
static void builds_key(Lint *lint, WorldRelation *table, const Constraint *constraint,
					   const ColumnDef *column, ConstrType type, const char *name);
static void primary_key_nullable(Lint *lint, WorldRelation *table,
								 const Constraint *constraint, const ColumnDef *column);
static void exclusion_constraint(Lint *lint, WorldRelation *table,
								 const Constraint *constraint, const ColumnDef *column);
static void unique_index_may_fail(Lint *lint, const Node *stmt);
static void unique_key_may_fail(Lint *lint, WorldRelation *table, const Constraint *constraint,
								const ColumnDef *column);
static void may_fail(Lint *lint, WorldRelation *table, List *columns);
static void index_wide(Lint *lint, const Node *stmt);
static List *index_columns(const IndexStmt *stmt);

const LintRule mig_rules_index[] = {
	{
		.id = "index-not-concurrent", .severity = LINT_ERROR, .slow = true,
		.summary = "CREATE INDEX makes writes to the table wait until it is built",
		.advice = "CREATE INDEX CONCURRENTLY, in a transaction:false script; of a partitioned table, on each partition, then ON ONLY the table, and ATTACH PARTITION.",
		.example = "CREATE INDEX users_score_idx ON users (score);",
		.counter_example = "CREATE INDEX CONCURRENTLY users_score_idx ON users (score);",
		.shows = "lock ShareLock users, scan users",
		.statement = index_not_concurrent
	},
	{
		.id = "drop-index-not-concurrent", .severity = LINT_ERROR,
		.summary = "DROP INDEX waits for all who use the table, and lets nobody read it meanwhile",
		.advice = "DROP INDEX CONCURRENTLY, in a transaction:false script; the index of a partitioned table can only be dropped so, with a lock_timeout.",
		.example = "DROP INDEX users_email_idx;",
		.counter_example = "DROP INDEX CONCURRENTLY users_email_idx;",
		.shows = "lock AccessExclusiveLock users",
		.statement = drop_index_not_concurrent
	},
	{
		.id = "reindex-not-concurrent", .severity = LINT_ERROR, .slow = true,
		.summary = "REINDEX makes writes to the table wait, and reads that plan with the index",
		.advice = "REINDEX ... CONCURRENTLY, in a transaction:false script.",
		.example = "REINDEX INDEX users_email_idx;",
		.counter_example = "REINDEX INDEX CONCURRENTLY users_email_idx;",
		.shows = "lock ShareLock users, lock AccessExclusiveLock users_email_idx",
		.statement = reindex_not_concurrent
	},
	{
		.id = "concurrent-partitioned", .severity = LINT_ERROR,
		.summary = "the server refuses CREATE INDEX CONCURRENTLY on a partitioned table",
		.advice = "Build it concurrently on each partition, then CREATE INDEX ... ON ONLY the table, and ALTER INDEX ... ATTACH PARTITION for each.",
		.example = "CREATE INDEX CONCURRENTLY logs_note_idx ON logs (note);",
		.counter_example = "CREATE INDEX CONCURRENTLY logs_2024_note_idx ON logs_2024 (note);",
		.shows = "error 0A000",
		.statement = concurrent_partitioned
	},
	{
		.id = "unique-constraint", .severity = LINT_ERROR, .slow = true,
		.summary = "ADD UNIQUE locks the table against reads and writes while the index is built",
		.advice = "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... UNIQUE USING INDEX.",
		.example = "ALTER TABLE items ADD CONSTRAINT items_id_key UNIQUE (id);",
		.counter_example = "ALTER TABLE items ADD CONSTRAINT items_id_key UNIQUE USING INDEX items_id_idx;",
		.shows = "lock AccessExclusiveLock items, scan items",
		.constraint = unique_constraint
	},
	{
		.id = "primary-key", .severity = LINT_ERROR, .slow = true,
		.summary = "ADD PRIMARY KEY locks the table against reads and writes while the index is built",
		.advice = "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... PRIMARY KEY USING INDEX.",
		.example = "ALTER TABLE items ADD CONSTRAINT items_pkey PRIMARY KEY (id);",
		.counter_example = "ALTER TABLE items ADD CONSTRAINT items_pkey PRIMARY KEY USING INDEX items_id_idx;",
		.shows = "lock AccessExclusiveLock items, scan items",
		.constraint = primary_key
	},
	{
		.id = "primary-key-nullable", .severity = LINT_ERROR, .slow = true,
		.summary = "a primary key over columns that can be null has the table scanned under its lock",
		.advice = "Make the columns NOT NULL first: a CHECK (... IS NOT NULL) NOT VALID, VALIDATE, SET NOT NULL.",
		.example = "ALTER TABLE items ADD CONSTRAINT items_pkey PRIMARY KEY USING INDEX items_ref_idx;",
		.counter_example = "ALTER TABLE items ADD CONSTRAINT items_pkey PRIMARY KEY USING INDEX items_id_idx;",
		.shows = "lock AccessExclusiveLock items, scan items",
		.constraint = primary_key_nullable
	},
	{
		.id = "exclusion-constraint", .severity = LINT_ERROR, .slow = true,
		.summary = "ADD EXCLUDE locks the table against reads and writes while the index is built",
		.advice = "There is no concurrent form: fill a new table that has the constraint, and swap them; or do it at a quiet time.",
		.example = "ALTER TABLE users ADD EXCLUDE USING gist (place WITH &&);",
		.counter_example = "CREATE TABLE rooms (place box, EXCLUDE USING gist (place WITH &&));",
		.shows = "lock AccessExclusiveLock users, scan users",
		.constraint = exclusion_constraint
	},
	{
		.id = "unique-may-fail", .severity = LINT_WARNING,
		.summary = "a unique index fails after all the work when rows of the table are equal",
		.advice = "Run the query of the message first; mend what it finds in a revision before.",
		.example = "CREATE UNIQUE INDEX users_score_key ON users (score);",
		.counter_example = "CREATE UNIQUE INDEX users_id_key ON users (id);",
		.shows = "error 23505",
		.statement = unique_index_may_fail, .constraint = unique_key_may_fail
	},
	{
		.id = "index-wide", .severity = LINT_WARNING, .off = true,
		.summary = "an index over more than three columns is large, and rarely used to its end",
		.advice = "Look whether the first columns alone, or INCLUDE, would do.",
		.example = "CREATE INDEX users_wide_idx ON users (email, name, age, score);",
		.counter_example = "CREATE INDEX users_narrow_idx ON users (email, name);",
		.unconfirmed = "a matter of what the index costs and is used for",
		.statement = index_wide
	},
	{.id = NULL}
};

/*
 * Find CREATE INDEX without CONCURRENTLY; ON ONLY a partitioned table builds nothing.
 */
static void
index_not_concurrent(Lint *lint, const Node *stmt)
{
	const IndexStmt *index = (const IndexStmt *) stmt;
	WorldRelation *table;

	if (!IsA(stmt, IndexStmt) || index->concurrent)
		return;
	table = mig_rules_table(lint, index->relation);
	if (table == NULL || is_there(lint, index, table) ||
		(table->kind == RELKIND_PARTITIONED_TABLE && !index->relation->inh))
		return;
	mig_rules_found(lint, table, "writes to table %s wait until the index is built (SHARE)",
					mig_world_identity(table));
}

/*
 * Return whether CREATE INDEX IF NOT EXISTS finds its name taken, and builds nothing.
 */
static bool
is_there(Lint *lint, const IndexStmt *stmt, const WorldRelation *table)
{
	RangeVar	name = {.type = T_RangeVar, .schemaname = table->schema, .relname = stmt->idxname};

	return stmt->if_not_exists && mig_world_find(lint->world, &name) != NULL;
}

/*
 * Find DROP INDEX without CONCURRENTLY.
 */
static void
drop_index_not_concurrent(Lint *lint, const Node *stmt)
{
	const DropStmt *drop = (const DropStmt *) stmt;
	ListCell   *lc;

	if (!IsA(stmt, DropStmt) || drop->removeType != OBJECT_INDEX || drop->concurrent)
		return;
	foreach(lc, drop->objects)
	{
		WorldRelation *index = mig_world_find_names(lint->world, lfirst(lc));

		if (index == NULL || index->made || index->table == NULL || index->table->made)
			continue;
		mig_rules_found(lint, index->table, "table %s is locked against reads and writes (ACCESS EXCLUSIVE)%s",
						mig_world_identity(index->table),
						index->kind == RELKIND_PARTITIONED_INDEX ?
						", with its partitions: such an index cannot be dropped concurrently" : "");
	}
}

/*
 * Find REINDEX without CONCURRENTLY.
 */
static void
reindex_not_concurrent(Lint *lint, const Node *stmt)
{
	const ReindexStmt *reindex = (const ReindexStmt *) stmt;
	WorldRelation *table;

	if (!IsA(stmt, ReindexStmt) || is_concurrent_reindex(reindex))
		return;
	if (reindex->relation == NULL)
	{
		mig_rules_found(lint, NULL, "writes to each table wait while its indexes are rebuilt (SHARE)");
		return;
	}
	table = mig_world_find(lint->world, reindex->relation);
	if (table != NULL && table->table != NULL)
		table = table->table;
	if (mig_rules_is_old(table))
		mig_rules_found(lint, table, "writes to table %s wait while its index is rebuilt (SHARE), and the index is locked (ACCESS EXCLUSIVE)",
						mig_world_identity(table));
}

/*
 * Return whether REINDEX is CONCURRENTLY.
 */
static bool
is_concurrent_reindex(const ReindexStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, MigReindexParams(stmt))
	{
		const DefElem *option = lfirst(lc);

		if (strcmp(option->defname, "concurrently") == 0 && mig_table_lock_is_on(option))
			return true;
	}
	return MigReindexIsConcurrent(stmt);
}

/*
 * Find CREATE INDEX CONCURRENTLY on a partitioned table.
 */
static void
concurrent_partitioned(Lint *lint, const Node *stmt)
{
	const IndexStmt *index = (const IndexStmt *) stmt;
	WorldRelation *table;

	if (!IsA(stmt, IndexStmt) || !index->concurrent)
		return;
	table = mig_world_find(lint->world, index->relation);
	if (table != NULL && table->kind == RELKIND_PARTITIONED_TABLE)
		mig_rules_found(lint, NULL, "table %s is partitioned: its index cannot be built concurrently",
						mig_world_identity(table));
}

/*
 * Find UNIQUE that builds its index.
 */
static void
unique_constraint(Lint *lint, WorldRelation *table, const Constraint *constraint,
				  const ColumnDef *column)
{
	builds_key(lint, table, constraint, column, CONSTR_UNIQUE, "unique constraint");
}

/*
 * Find PRIMARY KEY that builds its index.
 */
static void
primary_key(Lint *lint, WorldRelation *table, const Constraint *constraint,
			const ColumnDef *column)
{
	builds_key(lint, table, constraint, column, CONSTR_PRIMARY, "primary key");
}

/*
 * Find a key of a type that builds its index.
 */
static void
builds_key(Lint *lint, WorldRelation *table, const Constraint *constraint,
		   const ColumnDef *column pg_attribute_unused(), ConstrType type, const char *name)
{
	if (constraint->contype == type && constraint->indexname == NULL && mig_rules_is_old(table))
		mig_rules_found(lint, table, "table %s is locked against reads and writes (ACCESS EXCLUSIVE) while the index of the %s is built",
						mig_world_identity(table), name);
}

/*
 * Find a primary key over columns that can be null.
 */
static void
primary_key_nullable(Lint *lint, WorldRelation *table, const Constraint *constraint,
					 const ColumnDef *column)
{
	List	   *columns = mig_effect_strings(constraint->keys);
	ListCell   *lc;

	if (constraint->contype != CONSTR_PRIMARY || column != NULL || !mig_rules_is_old(table))
		return;
	if (constraint->indexname != NULL)
	{
		RangeVar	name = {.type = T_RangeVar, .schemaname = table->schema};
		WorldRelation *index;

		name.relname = constraint->indexname;
		index = mig_world_find(lint->world, &name);
		columns = index == NULL ? NIL : index->columns;
	}
	foreach(lc, columns)
	{
		const WorldColumn *key = lfirst(lc) == NULL ? NULL :
			mig_world_column(table, lfirst(lc));

		if (key == NULL || key->not_null || mig_expression_rules_out_null(table, key->name))
			continue;
		mig_rules_found(lint, table, "column \"%s\" of table %s can be null: the table is scanned under ACCESS EXCLUSIVE",
						key->name, mig_world_identity(table));
		return;
	}
}

/*
 * Find EXCLUDE.
 */
static void
exclusion_constraint(Lint *lint, WorldRelation *table, const Constraint *constraint,
					 const ColumnDef *column pg_attribute_unused())
{
	if (constraint->contype == CONSTR_EXCLUSION && mig_rules_is_old(table))
		mig_rules_found(lint, table, "table %s is locked against reads and writes (ACCESS EXCLUSIVE) while the index of the constraint is built",
						mig_world_identity(table));
}

/*
 * Find a unique index over rows that are there.
 */
static void
unique_index_may_fail(Lint *lint, const Node *stmt)
{
	const IndexStmt *index = (const IndexStmt *) stmt;
	WorldRelation *table;

	if (!IsA(stmt, IndexStmt) || !index->unique || index->whereClause != NULL)
		return;
	table = mig_rules_table(lint, index->relation);
	if (table != NULL && !is_there(lint, index, table))
		may_fail(lint, table, index_columns(index));
}

/*
 * Find a key over rows that are there.
 */
static void
unique_key_may_fail(Lint *lint, WorldRelation *table, const Constraint *constraint,
					const ColumnDef *column)
{
	if ((constraint->contype == CONSTR_UNIQUE || constraint->contype == CONSTR_PRIMARY) &&
		column == NULL && constraint->indexname == NULL && mig_rules_is_old(table))
		may_fail(lint, table, mig_effect_strings(constraint->keys));
}

/*
 * Report columns of an old table in which rows may be equal.  Expressions, NULL in the
 * list, are not looked into, and a column that the plan made is null in all rows.
 */
static void
may_fail(Lint *lint, WorldRelation *table, List *columns)
{
	StringInfoData list;
	ListCell   *lc;

	if (columns == NIL || list_member_ptr(columns, NULL) ||
		mig_world_is_indexed(table, columns, true))
		return;
	initStringInfo(&list);
	foreach(lc, columns)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 quote_identifier(lfirst(lc)));
	mig_rules_found(lint, NULL, "fails when rows are equal: SELECT %s, count(*) FROM %s GROUP BY %s HAVING count(*) > 1",
					list.data, mig_world_identity(table), list.data);
}

/*
 * Find an index over many columns.
 */
static void
index_wide(Lint *lint, const Node *stmt)
{
	const IndexStmt *index = (const IndexStmt *) stmt;

	if (IsA(stmt, IndexStmt) && !index->unique &&
		list_length(index->indexParams) > WIDE_INDEX)
		mig_rules_found(lint, NULL, "index is over %d columns", list_length(index->indexParams));
}

/*
 * Return the columns (char *) of an index; NULL for an expression.
 */
static List *
index_columns(const IndexStmt *stmt)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, stmt->indexParams)
		columns = lappend(columns, ((IndexElem *) lfirst(lc))->name);
	return columns;
}
