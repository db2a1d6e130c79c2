/*
 * rules_constraint.c
 *		Rules about constraints.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "compat.h"
#include "lint/dependents.h"
#include "lint/effect.h"
#include "lint/expression.h"
#include "lint/rules.h"

static void foreign_key_validated(Lint *lint, WorldRelation *table,
								  const Constraint *constraint, const ColumnDef *column);
static bool has_default(const ColumnDef *column);
static void check_validated(Lint *lint, WorldRelation *table, const Constraint *constraint,
							const ColumnDef *column);
static void validate_same_transaction(Lint *lint, WorldRelation *table,
									  const AlterTableCmd *cmd);
static void not_null_scan(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void domain_constraint(Lint *lint, const Node *stmt);
static void unindexed_foreign_key(Lint *lint, const WorldRelation *table,
								  const WorldConstraint *constraint);
static void drop_not_null(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void drop_foreign_key(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void drop_primary_key(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static const WorldConstraint *dropped(WorldRelation *table, const AlterTableCmd *cmd,
									  char type);

const LintRule mig_rules_constraint[] = {
	{
		.id = "foreign-key-validated", .severity = LINT_ERROR, .slow = true,
		.summary = "ADD FOREIGN KEY makes writes to both tables wait while all rows are checked",
		.advice = "ADD ... NOT VALID, and VALIDATE CONSTRAINT in a later revision; run stepwise.",
		.example = "ALTER TABLE invoices ADD CONSTRAINT invoices_user_id_fkey FOREIGN KEY (user_id) REFERENCES users;",
		.counter_example = "ALTER TABLE invoices ADD CONSTRAINT invoices_user_id_fkey FOREIGN KEY (user_id) REFERENCES users NOT VALID;",
		.shows = "lock ShareRowExclusiveLock users, lock ShareRowExclusiveLock invoices, scan invoices",
		.constraint = foreign_key_validated
	},
	{
		.id = "check-validated", .severity = LINT_ERROR, .slow = true,
		.summary = "ADD CHECK locks the table against reads and writes while all rows are checked",
		.advice = "ADD ... NOT VALID, and VALIDATE CONSTRAINT in a later revision; run stepwise.",
		.example = "ALTER TABLE users ADD CONSTRAINT users_score_check CHECK (score >= 0);",
		.counter_example = "ALTER TABLE users ADD CONSTRAINT users_score_check CHECK (score >= 0) NOT VALID;",
		.shows = "lock AccessExclusiveLock users, scan users",
		.constraint = check_validated
	},
	{
		.id = "validate-same-transaction", .severity = LINT_ERROR, .slow = true,
		.summary = "VALIDATE CONSTRAINT in the transaction of ADD ... NOT VALID keeps the strong lock of that through its scan",
		.advice = "Validate in a later revision, and run both stepwise.",
		.example = "ALTER TABLE users ADD CONSTRAINT users_score_check CHECK (score >= 0) NOT VALID; ALTER TABLE users VALIDATE CONSTRAINT users_score_check;",
		.counter_example = "ALTER TABLE items VALIDATE CONSTRAINT items_ref_check;",
		.shows = "lock AccessExclusiveLock users, scan users",
		.command = validate_same_transaction
	},
	{
		.id = "not-null-scan", .severity = LINT_ERROR, .slow = true,
		.summary = "SET NOT NULL locks the table against reads and writes while all rows are checked",
		.advice = "A valid CHECK (... IS NOT NULL) spares the scan: add it NOT VALID, validate it in a later revision, then SET NOT NULL. From 18 on: ADD CONSTRAINT ... NOT NULL ... NOT VALID, and VALIDATE.",
		.example = "ALTER TABLE users ALTER COLUMN score SET NOT NULL;",
		.counter_example = "ALTER TABLE users ALTER COLUMN age SET NOT NULL;",
		.shows = "lock AccessExclusiveLock users, scan users",
		.command = not_null_scan
	},
	{
		.id = "domain-constraint", .severity = LINT_ERROR, .slow = true,
		.summary = "a constraint of a domain makes writes to all tables that use it wait while their rows are checked",
		.advice = "ALTER DOMAIN ... ADD CONSTRAINT ... NOT VALID; VALIDATE, which scans under SHARE, at a quiet time.",
		.example = "ALTER DOMAIN amount ADD CONSTRAINT amount_limit CHECK (VALUE < 1000000);",
		.counter_example = "ALTER DOMAIN amount ADD CONSTRAINT amount_limit CHECK (VALUE < 1000000) NOT VALID;",
		.shows = "lock ShareLock stock, scan stock",
		.statement = domain_constraint
	},
	{
		.id = "unindexed-foreign-key", .severity = LINT_WARNING,
		.summary = "no index begins with the columns of a foreign key: DELETE of a referenced row reads the whole table",
		.advice = "CREATE INDEX CONCURRENTLY over the columns, before the constraint.",
		.example = "ALTER TABLE invoices ADD CONSTRAINT invoices_user_id_fkey FOREIGN KEY (user_id) REFERENCES users NOT VALID;",
		.counter_example = "ALTER TABLE invoices ADD CONSTRAINT invoices_item_id_fkey FOREIGN KEY (item_id) REFERENCES items (id) NOT VALID;",
		.unconfirmed = "what is slow is a later statement, the DELETE",
		.at_end = unindexed_foreign_key
	},
	{
		.id = "drop-not-null", .severity = LINT_WARNING,
		.summary = "programs that read the column meet NULL from then on",
		.advice = "Say in a comment that ignores the rule why they can.",
		.example = "ALTER TABLE users ALTER COLUMN code DROP NOT NULL;",
		.counter_example = "ALTER TABLE users ALTER COLUMN code SET DEFAULT 'x';",
		.unconfirmed = "a matter of the programs",
		.command = drop_not_null
	},
	{
		.id = "drop-foreign-key", .severity = LINT_WARNING,
		.summary = "rows without a parent are possible from then on; the referenced table is locked, too",
		.advice = "Say in a comment that ignores the rule why; set a lock_timeout.",
		.example = "ALTER TABLE orders DROP CONSTRAINT orders_user_id_fkey;",
		.counter_example = "ALTER TABLE orders DROP CONSTRAINT orders_total_check;",
		.shows = "lock AccessExclusiveLock orders, lock AccessExclusiveLock users",
		.command = drop_foreign_key
	},
	{
		.id = "drop-primary-key", .severity = LINT_WARNING,
		.summary = "rows that are equal are possible from then on; logical replication of UPDATE and DELETE fails",
		.advice = "Say in a comment that ignores the rule why, or add the new key before.",
		.example = "ALTER TABLE invoices DROP CONSTRAINT invoices_pkey;",
		.counter_example = "ALTER TABLE orders DROP CONSTRAINT orders_total_check;",
		.unconfirmed = "a matter of the programs and subscribers",
		.command = drop_primary_key
	},
	{.id = NULL}
};

/*
 * Find a foreign key that is checked at once.  That of a new column without a default
 * is not: all its values are null.
 */
static void
foreign_key_validated(Lint *lint, WorldRelation *table, const Constraint *constraint,
					  const ColumnDef *column)
{
	WorldRelation *other;

	if (constraint->contype != CONSTR_FOREIGN || constraint->skip_validation ||
		!mig_rules_is_old(table) || (column != NULL && !has_default(column)))
		return;
	other = mig_world_find(lint->world, constraint->pktable);
	mig_rules_found(lint, table, "writes to table %s%s%s wait while all rows are checked (SHARE ROW EXCLUSIVE)",
					mig_world_identity(table),
					other == NULL || other == table ? "" : " and to ",
					other == NULL || other == table ? "" : mig_world_identity(other));
}

/*
 * Return whether a column has values of its own in the rows that are there.
 */
static bool
has_default(const ColumnDef *column)
{
	ListCell   *lc;

	foreach(lc, column->constraints)
	{
		ConstrType	type = ((Constraint *) lfirst(lc))->contype;

		if (type == CONSTR_DEFAULT || type == CONSTR_GENERATED || type == CONSTR_IDENTITY)
			return true;
	}
	return false;
}

/*
 * Find a CHECK that is checked at once.
 */
static void
check_validated(Lint *lint, WorldRelation *table, const Constraint *constraint,
				const ColumnDef *column pg_attribute_unused())
{
	if (constraint->contype == CONSTR_CHECK && !constraint->skip_validation &&
		mig_rules_is_old(table))
		mig_rules_found(lint, table, "table %s is locked against reads and writes (ACCESS EXCLUSIVE) while all rows are checked",
						mig_world_identity(table));
}

/*
 * Find VALIDATE in the transaction that added the constraint.
 */
static void
validate_same_transaction(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	const WorldConstraint *constraint;

	if (cmd->subtype != AT_ValidateConstraint || !mig_rules_is_old(table))
		return;
	constraint = mig_world_constraint(table, cmd->name);
	if (constraint != NULL && constraint->made && !constraint->valid &&
		constraint->transaction == lint->world->transaction)
		mig_rules_found(lint, table, "the lock of ADD CONSTRAINT on table %s (%s) is held while all rows are checked",
						mig_world_identity(table),
						constraint->type == CONSTRAINT_FOREIGN ? "SHARE ROW EXCLUSIVE" :
						"ACCESS EXCLUSIVE");
}

/*
 * Find NOT NULL that has to look at all rows.
 */
static void
not_null_scan(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	const char *name = NULL;
	const WorldColumn *column;

	if (cmd->subtype == AT_SetNotNull)
		name = cmd->name;
	else if (cmd->subtype == AT_AddConstraint &&
			 ((Constraint *) cmd->def)->contype == CONSTR_NOTNULL &&
			 !((Constraint *) cmd->def)->skip_validation &&
			 ((Constraint *) cmd->def)->keys != NIL)
		name = strVal(linitial(((Constraint *) cmd->def)->keys));
	if (name == NULL || !mig_rules_is_old(table))
		return;
	column = mig_world_column(table, name);
	if (column != NULL && !column->not_null && !mig_expression_rules_out_null(table, name))
		mig_rules_found(lint, table, "table %s is locked against reads and writes (ACCESS EXCLUSIVE) while column \"%s\" of all rows is checked",
						mig_world_identity(table), name);
}

/*
 * Find a constraint of a domain that is checked at once, in tables that have rows.
 */
static void
domain_constraint(Lint *lint, const Node *stmt)
{
	const AlterDomainStmt *alter = (const AlterDomainStmt *) stmt;
	TypeName	name = {.type = T_TypeName, .typemod = -1, .location = -1};
	int32		typmod;
	Oid			type;
	ListCell   *lc;

	if (!IsA(stmt, AlterDomainStmt) ||
		!(alter->subtype == 'O' || alter->subtype == 'V' ||
		  (alter->subtype == 'C' && !((Constraint *) alter->def)->skip_validation)))
		return;
	name.names = alter->typeName;
	type = mig_expression_type(&name, &typmod);
	if (!OidIsValid(type))
		return;
	foreach(lc, mig_dependents_domain_tables(type))
	{
		WorldRelation *table = mig_world_find_oid(lint->world, lfirst_oid(lc));

		if (!mig_rules_is_old(table))
			continue;
		mig_rules_found(lint, table, "writes to table %s, which uses the domain, wait while all rows are checked (SHARE)",
						mig_world_identity(table));
		return;
	}
}

/*
 * Find DROP NOT NULL.
 */
static void
drop_not_null(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	const WorldColumn *column;

	if (cmd->subtype != AT_DropNotNull || table->made)
		return;
	column = mig_world_column(table, cmd->name);
	if (column != NULL && column->not_null && column->number > 0)
		mig_rules_found(lint, NULL, "column \"%s\" of table %s can be null from now on",
						cmd->name, mig_world_identity(table));
}

/*
 * Find DROP CONSTRAINT of a foreign key.
 */
static void
drop_foreign_key(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	const WorldConstraint *constraint = dropped(table, cmd, CONSTRAINT_FOREIGN);

	if (constraint != NULL)
		mig_rules_found(lint, NULL, "foreign key \"%s\" is dropped: %s%s%s locked against reads and writes (ACCESS EXCLUSIVE)",
						constraint->name, mig_world_identity(table),
						constraint->other != NULL && constraint->other != table ? " and " : "",
						constraint->other != NULL && constraint->other != table ?
						psprintf("%s are", mig_world_identity(constraint->other)) : " is");
}

/*
 * Find DROP CONSTRAINT of a primary key.
 */
static void
drop_primary_key(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	if (dropped(table, cmd, CONSTRAINT_PRIMARY) != NULL)
		mig_rules_found(lint, NULL, "table %s has no primary key from now on",
						mig_world_identity(table));
}

/*
 * Return the constraint of a type that a command drops, which the plan did not make,
 * or NULL.
 */
static const WorldConstraint *
dropped(WorldRelation *table, const AlterTableCmd *cmd, char type)
{
	const WorldConstraint *constraint;

	if (cmd->subtype != AT_DropConstraint)
		return NULL;
	constraint = mig_world_constraint(table, cmd->name);
	return constraint != NULL && constraint->type == type && !constraint->made ?
		constraint : NULL;
}

/*
 * Find a foreign key that no index serves when the plan has ended.
 */
static void
unindexed_foreign_key(Lint *lint, const WorldRelation *table,
					  const WorldConstraint *constraint)
{
	if (constraint->type == CONSTRAINT_FOREIGN && constraint->columns != NIL &&
		!mig_world_is_indexed(table, constraint->columns, false))
		mig_rules_found(lint, NULL, "no index of table %s begins with the columns of foreign key \"%s\"",
						mig_world_identity(table), constraint->name);
}
