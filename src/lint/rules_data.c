/*
 * rules_data.c
 *		Rules about rows and values.
 */
#include "migrate.h"

#include "compat.h"
#include "lint/rules.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"

static void backfill_in_transaction(Lint *lint, const Node *stmt);
static bool is_bounded(const Node *where);
static void enum_value_used(Lint *lint, const Node *stmt);
static bool has_literal(const Lint *lint, const char *literal);
static void not_repeatable(Lint *lint, const Node *stmt);

const LintRule mig_rules_data[] = {
	{
		.id = "backfill-in-transaction", .severity = LINT_WARNING,
		.summary = "UPDATE or DELETE of all rows of a large table: rows stay locked to its end, and the table doubles",
		.advice = "Batches that commit, in a transaction:false script; large is the setting lint_large_rows.",
		.example = "UPDATE users SET score = 0;",
		.counter_example = "UPDATE users SET score = 0 WHERE id BETWEEN 1 AND 1000;",
		.unconfirmed = "a matter of how many rows there are",
		.statement = backfill_in_transaction
	},
	{
		.id = "enum-value-used", .severity = LINT_ERROR,
		.summary = "a value that is added to an enum type cannot be used in the same transaction",
		.advice = "Use it in a later revision, and run both stepwise.",
		.example = "ALTER TYPE mood ADD VALUE 'odd'; ALTER TABLE users ALTER COLUMN mood SET DEFAULT 'odd';",
		.counter_example = "ALTER TYPE mood ADD VALUE 'odd'; ALTER TABLE users ALTER COLUMN mood SET DEFAULT 'glad';",
		.shows = "error 55P04",
		.statement = enum_value_used
	},
	{
		.id = "not-repeatable", .severity = LINT_WARNING,
		.summary = "whether a CALL or DO of a transaction:false script has ended cannot be told after a crash: MG013",
		.advice = "Write it so that it can be run again, and say so in a comment that ignores the rule: the answer to migrate.resume() is 'again' then.",
		.example = "-- migrate:up transaction:false\nDO 'BEGIN UPDATE users SET score = 1 WHERE id = 1; COMMIT; END';",
		.counter_example = "-- migrate:up transaction:false\nUPDATE users SET score = 1 WHERE id = 1;",
		.unconfirmed = "it takes a crash at the right moment",
		.statement = not_repeatable
	},
	{.id = NULL}
};

/*
 * Find UPDATE and DELETE of most rows of a large table, also in WITH.
 */
static void
backfill_in_transaction(Lint *lint, const Node *stmt)
{
	const RangeVar *name;
	const Node *where;
	const WithClause *with = IsA(stmt, SelectStmt) ? ((const SelectStmt *) stmt)->withClause :
		IsA(stmt, InsertStmt) ? ((const InsertStmt *) stmt)->withClause :
		IsA(stmt, UpdateStmt) ? ((const UpdateStmt *) stmt)->withClause :
		IsA(stmt, DeleteStmt) ? ((const DeleteStmt *) stmt)->withClause : NULL;
	WorldRelation *table;
	ListCell   *lc;

	foreach(lc, with != NULL ? with->ctes : NIL)
		backfill_in_transaction(lint, ((const CommonTableExpr *) lfirst(lc))->ctequery);

	if (IsA(stmt, UpdateStmt))
	{
		name = ((const UpdateStmt *) stmt)->relation;
		where = ((const UpdateStmt *) stmt)->whereClause;
	}
	else if (IsA(stmt, DeleteStmt))
	{
		name = ((const DeleteStmt *) stmt)->relation;
		where = ((const DeleteStmt *) stmt)->whereClause;
	}
	else
		return;
	table = mig_rules_table(lint, name);
	if (table == NULL || is_bounded(where) ||
		(table->rows < lint->large_rows && !mig_lint_assume_rows))
		return;
	if (table->rows < lint->large_rows)
		mig_rules_found(lint, NULL, "all rows of table %s are written in one transaction",
						mig_world_identity(table));
	else
		mig_rules_found(lint, NULL, "all rows of table %s, about %.0f, are written in one transaction",
						mig_world_identity(table), table->rows);
}

/*
 * Return whether a condition chooses few rows, as far as it can be seen: it has
 * something other than a test for NULL, a boolean or an inequality.
 */
static bool
is_bounded(const Node *where)
{
	ListCell   *lc;

	if (where == NULL || IsA(where, NullTest) || IsA(where, BooleanTest) ||
		IsA(where, A_Const) || IsA(where, ColumnRef))
		return false;
	if (IsA(where, A_Expr))
	{
		const char *operator = strVal(llast(((const A_Expr *) where)->name));

		return strcmp(operator, "<>") != 0 && strcmp(operator, "!=") != 0;
	}
	if (!IsA(where, BoolExpr))
		return true;
	if (((const BoolExpr *) where)->boolop == NOT_EXPR)
		return false;
	foreach(lc, ((const BoolExpr *) where)->args)
	{
		bool		bounded = is_bounded(lfirst(lc));

		/* all arms of an OR must be, one of an AND */
		if (bounded == (((const BoolExpr *) where)->boolop == AND_EXPR))
			return bounded;
	}
	return ((const BoolExpr *) where)->boolop == OR_EXPR;
}

/*
 * Find the use of an enum value that the transaction has added; a whole plan that can
 * be run in one transaction counts as one.  Note the values that are added.
 */
static void
enum_value_used(Lint *lint, const Node *stmt)
{
	const AlterEnumStmt *alter = (const AlterEnumStmt *) stmt;
	const WorldObject *type;
	MemoryContext old;
	LintValue  *value;
	ListCell   *lc;

	foreach(lc, lint->values)
	{
		bool		same;

		value = lfirst(lc);
		same = value->transaction == lint->world->transaction;
		if ((!same && lint->stepwise) || !has_literal(lint, value->literal) ||
			(IsA(stmt, AlterEnumStmt) && alter->newVal != NULL))
			continue;
		mig_rules_found(lint, NULL, "value %s is used in the transaction that adds it%s%s%s",
						value->literal, same ? "" : ", in revision \"",
						same ? "" : value->revision, same ? "" : "\", unless the plan is run stepwise");
	}
	if (!IsA(stmt, AlterEnumStmt) || alter->oldVal != NULL || alter->newVal == NULL)
		return;
	type = mig_world_object(lint->world, 't', strVal(llast(alter->typeName)));
	if (type != NULL && type->transaction == lint->world->transaction && MIG_SERVER_MAJOR >= 17)
		return;
	old = MemoryContextSwitchTo(lint->world->context);
	value = palloc(sizeof(LintValue));
	value->literal = quote_literal_cstr(alter->newVal);
	value->revision = lint->script->revision;
	value->transaction = lint->world->transaction;
	lint->values = lappend(lint->values, value);
	MemoryContextSwitchTo(old);
}

/*
 * Return whether the text of the statement has a literal.
 */
static bool
has_literal(const Lint *lint, const char *literal)
{
	const char *text = lint->script->sql + lint->statement->location;
	int			len = strlen(literal);

	for (int i = 0; i + len <= lint->statement->len; i++)
		if (strncmp(text + i, literal, len) == 0)
			return true;
	return false;
}

/*
 * Find statements of a script that is run by units of which nobody can tell, after a
 * crash, whether they have ended.
 */
static void
not_repeatable(Lint *lint, const Node *stmt)
{
	if (lint->script->transactional || lint->in_block)
		return;
	if (IsA(stmt, CallStmt) || IsA(stmt, DoStmt))
		mig_rules_found(lint, NULL, "after a crash it cannot be told whether this %s has ended",
						IsA(stmt, CallStmt) ? "CALL" : "DO");
	else if (lint->statement->top_level)
		mig_rules_found(lint, NULL, "after a crash it cannot be told whether this statement, which is run at top level, has ended");
}
