/*
 * rules_column.c
 *		Rules about columns and their types.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "compat.h"
#include "lint/catalog.h"
#include "lint/dependents.h"
#include "lint/expression.h"
#include "lint/rules.h"
#include "nodes/nodeFuncs.h"

static void column_not_null_no_default(Lint *lint, WorldRelation *table,
									   const AlterTableCmd *cmd);
static void volatile_default(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void stored_generated(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void identity_existing(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void domain_column(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static const ColumnDef *added(WorldRelation *table, const AlterTableCmd *cmd);
static const Constraint *constraint_of(const ColumnDef *column, ConstrType type);
static const char *type_word(const TypeName *type);
static bool is_serial(const ColumnDef *column);
static void json_column(Lint *lint, const Node *stmt);
static void type_change_rewrite(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static bool is_to_new_type(const Lint *lint, const AlterTableCmd *cmd);
static void type_change_checked(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void type_change_dependents(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void type_change_foreign_key(Lint *lint, WorldRelation *table,
									const AlterTableCmd *cmd);
static void found_foreign_key(Lint *lint, const WorldColumn *column,
							  const WorldConstraint *constraint, WorldRelation *other);
static void collation_change(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void type_change_index(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static bool is_of_column(const WorldRelation *table, const char *name);
static const WorldColumn *retyped(WorldRelation *table, const AlterTableCmd *cmd,
								  TypeChange *change);
static bool names_column(Node *node, void *name);
static bool is_checked(const WorldRelation *table, const WorldColumn *column);
static bool reads_number(Node *node, void *number);
static void int_primary_key(Lint *lint, const Node *stmt);
static void serial(Lint *lint, const Node *stmt);
static void fixed_char(Lint *lint, const Node *stmt);
static void varchar_n(Lint *lint, const Node *stmt);
static void timestamp_column(Lint *lint, const Node *stmt);
static List *new_columns(const Node *stmt);
static void find_type(Lint *lint, const Node *stmt, const char *type, bool modified,
					  const char *message);

const LintRule mig_rules_column[] = {
	{
		.id = "column-not-null-no-default", .severity = LINT_ERROR,
		.summary = "ADD COLUMN ... NOT NULL without a default fails where the table has rows",
		.advice = "Give it a default, which is stored once and not in each row; or add it without NOT NULL, fill it in batches, and then SET NOT NULL.",
		.example = "ALTER TABLE users ADD COLUMN country text NOT NULL;",
		.counter_example = "ALTER TABLE users ADD COLUMN country text NOT NULL DEFAULT 'FR';",
		.shows = "error 23502",
		.command = column_not_null_no_default
	},
	{
		.id = "volatile-default", .severity = LINT_ERROR, .slow = true,
		.summary = "ADD COLUMN with a volatile default rewrites the table under ACCESS EXCLUSIVE",
		.advice = "Add the column without it, then SET DEFAULT, which is for new rows only, and fill the others in batches.",
		.example = "ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid();",
		.counter_example = "ALTER TABLE users ADD COLUMN since timestamptz DEFAULT now();",
		.shows = "lock AccessExclusiveLock users, rewrite users",
		.command = volatile_default
	},
	{
		.id = "stored-generated", .severity = LINT_ERROR, .slow = true,
		.summary = "ADD COLUMN ... GENERATED ... STORED rewrites the table under ACCESS EXCLUSIVE",
		.advice = "An ordinary column, a trigger that fills it, and batches for the rows that are there; from 18 on, a virtual generated column.",
		.example = "ALTER TABLE users ADD COLUMN double_score int GENERATED ALWAYS AS (score * 2) STORED;",
		.counter_example = "ALTER TABLE users ADD COLUMN double_score int;",
		.shows = "lock AccessExclusiveLock users, rewrite users",
		.command = stored_generated
	},
	{
		.id = "identity-existing", .severity = LINT_ERROR, .slow = true,
		.summary = "ADD COLUMN with identity or serial rewrites the table under ACCESS EXCLUSIVE",
		.advice = "Add the column, fill it in batches, and then ALTER COLUMN ... ADD GENERATED ... AS IDENTITY, which rewrites nothing.",
		.example = "ALTER TABLE users ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;",
		.counter_example = "ALTER TABLE items ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;",
		.shows = "lock AccessExclusiveLock users, rewrite users",
		.command = identity_existing
	},
	{
		.id = "domain-column", .severity = LINT_ERROR, .slow = true,
		.summary = "ADD COLUMN of a domain that has constraints rewrites the table under ACCESS EXCLUSIVE",
		.advice = "A column of the type below the domain with a CHECK ... NOT VALID, or no constraint while it is filled.",
		.example = "ALTER TABLE users ADD COLUMN paid amount;",
		.counter_example = "ALTER TABLE users ADD COLUMN paid numeric;",
		.shows = "lock AccessExclusiveLock users, rewrite users",
		.command = domain_column
	},
	{
		.id = "json-column", .severity = LINT_WARNING,
		.summary = "type json has no equality: DISTINCT, GROUP BY and UNION over it fail",
		.advice = "jsonb.",
		.example = "ALTER TABLE users ADD COLUMN data json; SELECT DISTINCT data FROM users;",
		.counter_example = "ALTER TABLE users ADD COLUMN data jsonb; SELECT DISTINCT data FROM users;",
		.shows = "error 42883",
		.statement = json_column
	},
	{
		.id = "type-change-rewrite", .severity = LINT_ERROR, .slow = true,
		.summary = "ALTER COLUMN ... TYPE rewrites the table and its indexes under ACCESS EXCLUSIVE",
		.advice = "A new column of the new type, kept up by a trigger and filled in batches; then swap the names.",
		.example = "ALTER TABLE users ALTER COLUMN score TYPE bigint;",
		.counter_example = "ALTER TABLE users ALTER COLUMN title TYPE varchar(100); ALTER TABLE users ALTER COLUMN title TYPE text;",
		.shows = "lock AccessExclusiveLock users, rewrite users",
		.command = type_change_rewrite
	},
	{
		.id = "type-change-checked", .severity = LINT_ERROR, .slow = true,
		.summary = "ALTER COLUMN ... TYPE, even to a wider type, checks all rows again when a CHECK reads the column",
		.advice = "Drop the CHECK, alter the type, add it NOT VALID, and validate it in a later revision.",
		.example = "ALTER TABLE users ALTER COLUMN name TYPE varchar(100);",
		.counter_example = "ALTER TABLE users ALTER COLUMN title TYPE varchar(100);",
		.shows = "lock AccessExclusiveLock users, scan users",
		.command = type_change_checked
	},
	{
		.id = "type-change-dependents", .severity = LINT_ERROR,
		.summary = "ALTER COLUMN ... TYPE fails where a view, a policy or a generated column uses the column",
		.advice = "Drop what uses it before, and make it again afterwards, in the same revision.",
		.example = "ALTER TABLE users ALTER COLUMN rank TYPE bigint;",
		.counter_example = "DROP VIEW ranks; ALTER TABLE users ALTER COLUMN rank TYPE bigint;",
		.shows = "error 0A000",
		.command = type_change_dependents
	},
	{
		.id = "type-change-foreign-key", .severity = LINT_ERROR, .slow = true,
		.summary = "ALTER COLUMN ... TYPE of a column of a foreign key locks the other table too, and may check the key again",
		.advice = "Drop the foreign key before, and add it NOT VALID afterwards; validate it in a later revision.",
		.example = "ALTER TABLE orders ALTER COLUMN user_id TYPE integer;",
		.counter_example = "ALTER TABLE orders ALTER COLUMN total TYPE bigint;",
		.shows = "lock AccessExclusiveLock users",
		.command = type_change_foreign_key
	},
	{
		.id = "collation-change", .severity = LINT_ERROR, .slow = true,
		.summary = "another collation rebuilds the indexes of the column under ACCESS EXCLUSIVE",
		.advice = "Build an index with the collation concurrently, and leave that of the column; or a new column.",
		.example = "ALTER TABLE users ALTER COLUMN email TYPE text COLLATE \"C\";",
		.counter_example = "ALTER TABLE users ALTER COLUMN title TYPE varchar(50) COLLATE \"C\";",
		.shows = "lock AccessExclusiveLock users, rewrite users_email_idx",
		.command = collation_change
	},
	{
		.id = "type-change-index", .severity = LINT_ERROR, .slow = true,
		.summary = "ALTER COLUMN ... TYPE that leaves the rows as they are builds indexes again under ACCESS EXCLUSIVE: those with an expression or a condition, or whose operator class is not for the new type",
		.advice = "DROP INDEX CONCURRENTLY, alter the type, and CREATE INDEX CONCURRENTLY, in three revisions; run stepwise.",
		.example = "ALTER TABLE pages ALTER COLUMN slug TYPE varchar(100);",
		.counter_example = "ALTER TABLE pages ALTER COLUMN title TYPE varchar(100);",
		.shows = "lock AccessExclusiveLock pages, rewrite pages_slug_idx",
		.command = type_change_index
	},
	{
		.id = "int-primary-key", .severity = LINT_WARNING, .off = true,
		.summary = "a primary key of type integer or smallint ends at some number",
		.advice = "bigint.",
		.example = "CREATE TABLE rooms (id integer PRIMARY KEY);",
		.counter_example = "CREATE TABLE rooms (id bigint PRIMARY KEY);",
		.unconfirmed = "what fails is a later INSERT",
		.statement = int_primary_key
	},
	{
		.id = "serial", .severity = LINT_WARNING, .off = true,
		.summary = "serial makes a sequence that is no part of the column: its rights are others, and its default can be overwritten",
		.advice = "GENERATED ... AS IDENTITY.",
		.example = "CREATE TABLE rooms (id bigserial PRIMARY KEY);",
		.counter_example = "CREATE TABLE rooms (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);",
		.unconfirmed = "a matter of taste and rights",
		.statement = serial
	},
	{
		.id = "char", .severity = LINT_WARNING, .off = true,
		.summary = "char(n) is padded with blanks, which some operators count and others do not",
		.advice = "text.",
		.example = "CREATE TABLE rooms (code char(4));",
		.counter_example = "CREATE TABLE rooms (code text);",
		.unconfirmed = "a matter of what is compared",
		.statement = fixed_char
	},
	{
		.id = "varchar-n", .severity = LINT_WARNING, .off = true,
		.summary = "a length that is in the type can be made shorter only by a rewrite",
		.advice = "text, with a CHECK where there is a limit.",
		.example = "CREATE TABLE rooms (code varchar(40));",
		.counter_example = "CREATE TABLE rooms (code varchar);",
		.unconfirmed = "what is slow is a later change",
		.statement = varchar_n
	},
	{
		.id = "timestamp", .severity = LINT_WARNING, .off = true,
		.summary = "timestamp without time zone is no point in time",
		.advice = "timestamptz.",
		.example = "CREATE TABLE rooms (at timestamp);",
		.counter_example = "CREATE TABLE rooms (at timestamptz);",
		.unconfirmed = "a matter of what is meant",
		.statement = timestamp_column
	},
	{.id = NULL}
};

/* --------------------------------------------------------------- new ones ---- */

/*
 * Find ADD COLUMN ... NOT NULL with nothing to put into the rows that are there.
 */
static void
column_not_null_no_default(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	const ColumnDef *column = added(table, cmd);

	if (column == NULL || is_serial(column) || column->raw_default != NULL ||
		constraint_of(column, CONSTR_DEFAULT) != NULL ||
		constraint_of(column, CONSTR_IDENTITY) != NULL ||
		constraint_of(column, CONSTR_GENERATED) != NULL)
		return;
	if (constraint_of(column, CONSTR_NOTNULL) != NULL ||
		constraint_of(column, CONSTR_PRIMARY) != NULL)
		mig_rules_found(lint, NULL, "column \"%s\" of table %s, which has rows, has no value for them",
						column->colname, mig_world_identity(table));
}

/*
 * Find ADD COLUMN with a volatile default.
 */
static void
volatile_default(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	const ColumnDef *column = added(table, cmd);
	const Constraint *constraint = column == NULL ? NULL :
		constraint_of(column, CONSTR_DEFAULT);

	if (constraint != NULL && mig_expression_is_volatile(lint->world, constraint->raw_expr))
		mig_rules_found(lint, table, "default of column \"%s\" is volatile: table %s is rewritten under ACCESS EXCLUSIVE",
						column->colname, mig_world_identity(table));
}

/*
 * Find ADD COLUMN of a stored generated column.
 */
static void
stored_generated(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	const ColumnDef *column = added(table, cmd);
	const Constraint *constraint = column == NULL ? NULL :
		constraint_of(column, CONSTR_GENERATED);

	if (constraint != NULL && MigIsStored(constraint))
		mig_rules_found(lint, table, "column \"%s\" is generated and stored: table %s is rewritten under ACCESS EXCLUSIVE",
						column->colname, mig_world_identity(table));
}

/*
 * Find ADD COLUMN of a column that counts.
 */
static void
identity_existing(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	const ColumnDef *column = added(table, cmd);

	if (column != NULL &&
		(is_serial(column) || constraint_of(column, CONSTR_IDENTITY) != NULL))
		mig_rules_found(lint, table, "column \"%s\" gets a number in each row: table %s is rewritten under ACCESS EXCLUSIVE",
						column->colname, mig_world_identity(table));
}

/*
 * Find ADD COLUMN of a domain with constraints.
 */
static void
domain_column(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	const ColumnDef *column = added(table, cmd);

	if (column != NULL && !is_serial(column) &&
		mig_expression_domain_is_checked(column->typeName))
		mig_rules_found(lint, table, "column \"%s\" is of a domain with constraints: table %s is rewritten under ACCESS EXCLUSIVE",
						column->colname, mig_world_identity(table));
}

/*
 * Return the column that a command adds to an old table, or NULL.
 */
static const ColumnDef *
added(WorldRelation *table, const AlterTableCmd *cmd)
{
	const ColumnDef *column = (const ColumnDef *) cmd->def;

	if (cmd->subtype != AT_AddColumn || !mig_rules_is_old(table) ||
		(cmd->missing_ok && mig_world_column(table, column->colname) != NULL))
		return NULL;
	return column;
}

/*
 * Return the constraint of a type that a column is written with, or NULL.
 */
static const Constraint *
constraint_of(const ColumnDef *column, ConstrType type)
{
	ListCell   *lc;

	foreach(lc, column->constraints)
	{
		const Constraint *constraint = lfirst(lc);

		if (constraint->contype == type)
			return constraint;
	}
	return NULL;
}

/*
 * Return the last word of a type's name, which counts only where it is one of the
 * server's; "" otherwise.
 */
static const char *
type_word(const TypeName *type)
{
	if (type == NULL || type->names == NIL || type->setof ||
		(list_length(type->names) > 1 &&
		 strcmp(strVal(linitial(type->names)), "pg_catalog") != 0))
		return "";
	return strVal(llast(type->names));
}

/*
 * Return whether a column is of one of the types that count.
 */
static bool
is_serial(const ColumnDef *column)
{
	static const char *const words[] = {
		"serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"
	};
	const char *word = type_word(column->typeName);

	for (size_t i = 0; i < lengthof(words); i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

/* ---------------------------------------------------------- altered ones ---- */

/*
 * Find ALTER TYPE that rewrites.
 */
static void
type_change_rewrite(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	TypeChange	change;
	const WorldColumn *column = retyped(table, cmd, &change);

	if (column != NULL && (change == TYPE_CHANGE_REWRITE ||
						   (change == TYPE_CHANGE_UNKNOWN && is_to_new_type(lint, cmd))))
		mig_rules_found(lint, table, "type of column \"%s\" changes: table %s and its indexes are rewritten under ACCESS EXCLUSIVE",
						column->name, mig_world_identity(table));
}

/*
 * Return whether a column gets a type that the plan made, and that no other is stored as.
 */
static bool
is_to_new_type(const Lint *lint, const AlterTableCmd *cmd)
{
	const TypeName *name = ((const ColumnDef *) cmd->def)->typeName;
	const WorldObject *type = name->names == NIL ? NULL :
		mig_world_object(lint->world, 't', strVal(llast(name->names)));

	return type != NULL && !type->is_domain;
}

/*
 * Find ALTER TYPE that does not rewrite, but has a CHECK checked again.
 */
static void
type_change_checked(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	TypeChange	change;
	const WorldColumn *column = retyped(table, cmd, &change);

	if (column != NULL && is_checked(table, column) &&
		(change == TYPE_CHANGE_NONE || change == TYPE_CHANGE_COLLATION))
		mig_rules_found(lint, table, "a CHECK reads column \"%s\": all rows of table %s are checked again under ACCESS EXCLUSIVE",
						column->name, mig_world_identity(table));
}

/*
 * Find ALTER TYPE of a column that something uses which is in the way.
 */
static void
type_change_dependents(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	TypeChange	change;
	const WorldColumn *column = retyped(table, cmd, &change);
	ListCell   *lc;

	if (column == NULL || column->number == 0)
		return;
	foreach(lc, mig_dependents_users(lint->world, table->oid, column->number))
	{
		mig_rules_found(lint, NULL, "%s uses column \"%s\": its type cannot be altered",
						(char *) lfirst(lc), column->name);
		return;
	}
}

/*
 * Find ALTER TYPE of a column of a foreign key, at either end.
 */
static void
type_change_foreign_key(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	TypeChange	change;
	const WorldColumn *column = retyped(table, cmd, &change);
	List	   *referring;
	ListCell   *lc;

	if (column == NULL)
		return;
	foreach(lc, table->constraints)
	{
		const WorldConstraint *constraint = lfirst(lc);

		if (constraint->type != CONSTRAINT_FOREIGN ||
			!mig_rules_is_old(constraint->other) ||
			!mig_world_has(constraint->columns, column->name))
			continue;
		found_foreign_key(lint, column, constraint, constraint->other);
		return;
	}
	if (column->number == 0)
		return;
	referring = mig_dependents_referring(lint->world, table, column);
	for (int i = 0; i < list_length(referring); i += 2)
		if (mig_rules_is_old(list_nth(referring, i)))
			found_foreign_key(lint, column, list_nth(referring, i + 1), list_nth(referring, i));
}

/*
 * Report a foreign key of a column, for which another table is locked.
 */
static void
found_foreign_key(Lint *lint, const WorldColumn *column, const WorldConstraint *constraint,
				  WorldRelation *other)
{
	mig_rules_found(lint, other, "column \"%s\" is of foreign key \"%s\": table %s is locked against reads and writes, too (ACCESS EXCLUSIVE)",
					column->name, constraint->name, mig_world_identity(other));
}

/*
 * Find ALTER TYPE that changes the collation only, where indexes are built with it.
 */
static void
collation_change(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	TypeChange	change;
	const WorldColumn *column = retyped(table, cmd, &change);

	if (column != NULL && change == TYPE_CHANGE_COLLATION && is_of_column(table, column->name))
		mig_rules_found(lint, table, "indexes of table %s over column \"%s\" are rebuilt under ACCESS EXCLUSIVE",
						mig_world_identity(table), column->name);
}

/*
 * Find ALTER TYPE that does not rewrite, but has an index built again that is no finding
 * of collation_change.
 */
static void
type_change_index(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	TypeChange	change;
	const WorldColumn *column = retyped(table, cmd, &change);
	int32		typmod;
	Oid			type;
	ListCell   *lc;

	if (column == NULL || column->number == 0 ||
		!(change == TYPE_CHANGE_NONE ||
		  (change == TYPE_CHANGE_COLLATION && !is_of_column(table, column->name))))
		return;
	type = mig_expression_type(((const ColumnDef *) cmd->def)->typeName, &typmod);
	foreach(lc, table->indexes)
	{
		const WorldRelation *index = lfirst(lc);

		if (OidIsValid(index->oid) && mig_catalog_is_rebuilt(index->oid, column->number, type))
			mig_rules_found(lint, table, "index %s of table %s is built again under ACCESS EXCLUSIVE",
							mig_world_identity(index), mig_world_identity(table));
	}
}

/*
 * Return whether an index of a table has a column.
 */
static bool
is_of_column(const WorldRelation *table, const char *name)
{
	ListCell   *lc;

	foreach(lc, table->indexes)
	{
		ListCell   *each;

		foreach(each, ((WorldRelation *) lfirst(lc))->columns)
		{
			if (lfirst(each) != NULL && strcmp(lfirst(each), name) == 0)
				return true;
		}
	}
	return false;
}

/*
 * Return the column of an old table of which a command alters the type, and what that
 * does; NULL for other commands.
 */
static const WorldColumn *
retyped(WorldRelation *table, const AlterTableCmd *cmd, TypeChange *change)
{
	const WorldColumn *column;

	if (cmd->subtype != AT_AlterColumnType || !mig_rules_is_old(table) ||
		table->kind == RELKIND_VIEW || table->kind == RELKIND_COMPOSITE_TYPE)
		return NULL;
	column = mig_world_column(table, cmd->name);
	if (column == NULL)
		return NULL;
	*change = mig_expression_type_change(table, column, (const ColumnDef *) cmd->def);
	return column;
}

/*
 * Return whether a valid CHECK of a table reads a column.
 */
static bool
is_checked(const WorldRelation *table, const WorldColumn *column)
{
	ListCell   *lc;
	AttrNumber	number = column->number;

	foreach(lc, table->constraints)
	{
		const WorldConstraint *constraint = lfirst(lc);

		if (constraint->type != CONSTRAINT_CHECK || !constraint->valid)
			continue;
		if (constraint->raw != NULL ?
			names_column(unconstify(Node *, constraint->raw), column->name) :
			number > 0 && reads_number(constraint->stored, &number))
			return true;
	}
	return false;
}

/*
 * Return whether an expression, as it is written, names a column.
 */
static bool
names_column(Node *node, void *name)
{
	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node	   *last = llast(castNode(ColumnRef, node)->fields);

		return IsA(last, String) && strcmp(strVal(last), name) == 0;
	}
	return raw_expression_tree_walker(node, names_column, name);
}

/*
 * Return whether an expression of the catalogs reads a column, given by its number.
 */
static bool
reads_number(Node *node, void *number)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return castNode(Var, node)->varattno == *(AttrNumber *) number;
	return expression_tree_walker(node, reads_number, number);
}

/* ----------------------------------------------------------------- types ---- */

/*
 * Return the columns (ColumnDef *) that a statement makes.
 */
static List *
new_columns(const Node *stmt)
{
	List	   *columns = NIL;
	ListCell   *lc;

	if (IsA(stmt, CreateStmt))
	{
		foreach(lc, ((const CreateStmt *) stmt)->tableElts)
		{
			if (IsA(lfirst(lc), ColumnDef))
				columns = lappend(columns, lfirst(lc));
		}
	}
	else if (IsA(stmt, AlterTableStmt))
	{
		foreach(lc, ((const AlterTableStmt *) stmt)->cmds)
		{
			const AlterTableCmd *cmd = lfirst(lc);

			if (cmd->subtype == AT_AddColumn)
				columns = lappend(columns, cmd->def);
		}
	}
	return columns;
}

/*
 * Find new columns of a type of the server, with or without a length.
 */
static void
find_type(Lint *lint, const Node *stmt, const char *type, bool modified, const char *message)
{
	ListCell   *lc;

	foreach(lc, new_columns(stmt))
	{
		const ColumnDef *column = lfirst(lc);

		if (strcmp(type_word(column->typeName), type) == 0 &&
			(!modified || column->typeName->typmods != NIL))
			mig_rules_found(lint, NULL, "column \"%s\" is %s", column->colname, message);
	}
}

/*
 * Find columns of type json.
 */
static void
json_column(Lint *lint, const Node *stmt)
{
	find_type(lint, stmt, "json", false, "of type json, which has no equality");
}

/*
 * Find columns of type char(n).
 */
static void
fixed_char(Lint *lint, const Node *stmt)
{
	find_type(lint, stmt, "bpchar", true, "padded with blanks");
}

/*
 * Find columns of type varchar(n).
 */
static void
varchar_n(Lint *lint, const Node *stmt)
{
	find_type(lint, stmt, "varchar", true, "of a type with a length");
}

/*
 * Find columns of type timestamp.
 */
static void
timestamp_column(Lint *lint, const Node *stmt)
{
	find_type(lint, stmt, "timestamp", false, "a timestamp without time zone");
}

/*
 * Find columns of type serial.
 */
static void
serial(Lint *lint, const Node *stmt)
{
	ListCell   *lc;

	foreach(lc, new_columns(stmt))
	{
		const ColumnDef *column = lfirst(lc);

		if (is_serial(column))
			mig_rules_found(lint, NULL, "column \"%s\" is of type %s", column->colname,
							type_word(column->typeName));
	}
}

/*
 * Find primary keys of a short integer type.
 */
static void
int_primary_key(Lint *lint, const Node *stmt)
{
	List	   *columns = new_columns(stmt);
	List	   *keys = NIL;
	ListCell   *lc;

	if (IsA(stmt, CreateStmt))
	{
		foreach(lc, ((const CreateStmt *) stmt)->tableElts)
		{
			const Constraint *constraint = lfirst(lc);

			if (IsA(constraint, Constraint) && constraint->contype == CONSTR_PRIMARY &&
				list_length(constraint->keys) == 1)
				keys = lappend(keys, strVal(linitial(constraint->keys)));
		}
	}
	foreach(lc, columns)
	{
		const ColumnDef *column = lfirst(lc);
		const char *word = type_word(column->typeName);

		if ((constraint_of(column, CONSTR_PRIMARY) != NULL ||
			 mig_world_has(keys, column->colname)) &&
			(strcmp(word, "int4") == 0 || strcmp(word, "int2") == 0 ||
			 strcmp(word, "serial") == 0 || strcmp(word, "serial4") == 0 ||
			 strcmp(word, "smallserial") == 0 || strcmp(word, "serial2") == 0))
			mig_rules_found(lint, NULL, "primary key \"%s\" is of type %s", column->colname,
							strcmp(word, "int4") == 0 ? "integer" :
							strcmp(word, "int2") == 0 ? "smallint" : word);
	}
}
