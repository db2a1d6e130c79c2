/*
 * rules_script.c
 *		Rules about scripts as a whole, and what they set.
 */
#include "migrate.h"

#include "compat.h"
#include "lint/rules.h"
#include "script/text.h"

static void irreversible(Lint *lint);
static void empty_downgrade(Lint *lint);
static bool is_explained(const char *sql);
static void session_setting(Lint *lint, const Node *stmt);
static void mixed_transaction_control(Lint *lint, const Node *stmt);
static void unknown_rule(Lint *lint, const Node *stmt);

const LintRule mig_rules_script[] = {
	{
		.id = "irreversible", .severity = LINT_WARNING,
		.summary = "the revision has no downgrade script: there is no way back over it",
		.advice = "migrate.derive_downgrade() writes one, proved, where the schema alone tells.",
		.example = "-- migrate:up\nCREATE TABLE rooms (id int);",
		.counter_example = "-- migrate:up\nCREATE TABLE rooms (id int);\n-- migrate:down\nDROP TABLE rooms;",
		.unconfirmed = "it is migrate that refuses the downgrade: MG006",
		.script = irreversible
	},
	{
		.id = "empty-downgrade", .severity = LINT_WARNING,
		.summary = "the downgrade does nothing, though the upgrade does something",
		.advice = "migrate.derive_downgrade() writes one; a comment in the script says why there is nothing to do.",
		.example = "-- migrate:up\nCREATE TABLE rooms (id int);\n-- migrate:down\n",
		.counter_example = "-- migrate:up\nANALYZE users;\n-- migrate:down\n-- Statistics do no harm.",
		.unconfirmed = "what is wrong is a later upgrade",
		.script = empty_downgrade
	},
	{
		.id = "session-setting", .severity = LINT_WARNING,
		.summary = "what a script SETs is restored when the script ends",
		.advice = "SET LOCAL says the same, and that it is meant; the first SET of a script is reported.",
		.example = "SET search_path = archive; CREATE TABLE rooms (id int);",
		.counter_example = "SET LOCAL search_path = archive; CREATE TABLE rooms (id int);",
		.unconfirmed = "it is migrate that restores it",
		.statement = session_setting
	},
	{
		.id = "mixed-transaction-control", .severity = LINT_WARNING,
		.summary = "SET LOCAL outside of BEGIN and COMMIT, in a transaction:false script, ends with its own statement",
		.advice = "SET, which lasts to the end of the script, or BEGIN and COMMIT around both.",
		.example = "-- migrate:up transaction:false\nSET LOCAL work_mem = '64MB';",
		.counter_example = "-- migrate:up transaction:false\nBEGIN;\nSET LOCAL work_mem = '64MB';\nCOMMIT;",
		.shows = "warning 25P01",
		.statement = mixed_transaction_control
	},
	{
		.id = "unknown-rule", .severity = LINT_WARNING,
		.summary = "a comment ignores a rule that does not exist, and so nothing",
		.advice = "migrate.lint_rules() lists the names.",
		.example = "-- migrate:ignore drop-tables: misspelled\nDROP TABLE invoices;",
		.counter_example = "-- migrate:ignore drop-table: nobody used it\nDROP TABLE invoices;",
		.unconfirmed = "it is not the server's",
		.statement = unknown_rule
	},
	{.id = NULL}
};

/*
 * Find upgrades that cannot be reverted.
 */
static void
irreversible(Lint *lint)
{
	if (lint->downgrade != NULL && lint->downgrade->sql == NULL && !lint->downgrade->is_long &&
		lint->statements != NIL)
		mig_rules_found(lint, NULL, "revision \"%s\" has no downgrade script",
						lint->script->revision);
}

/*
 * Find downgrades without a statement and without a comment that explains it.
 */
static void
empty_downgrade(Lint *lint)
{
	if (lint->downgrade != NULL && lint->downgrade->sql != NULL && lint->statements != NIL &&
		!is_explained(lint->downgrade->sql))
		mig_rules_found(lint, NULL, "downgrade of revision \"%s\" is empty",
						lint->script->revision);
}

/*
 * Return whether a script has anything besides white space.
 */
static bool
is_explained(const char *sql)
{
	for (; *sql != '\0'; sql++)
		if (!mig_text_is_space(*sql))
			return true;
	return false;
}

/*
 * Find the first SET of a transactional script that is not LOCAL.
 */
static void
session_setting(Lint *lint, const Node *stmt)
{
	const VariableSetStmt *set = (const VariableSetStmt *) stmt;

	if (!IsA(stmt, VariableSetStmt) || set->is_local || lint->told_setting ||
		!lint->script->transactional || set->kind == VAR_SET_MULTI ||
		set->kind == VAR_RESET || set->kind == VAR_RESET_ALL)
		return;
	lint->told_setting = true;
	mig_rules_found(lint, NULL, "\"%s\" is restored when the script ends", set->name);
}

/*
 * Find SET LOCAL that nothing is in a transaction with.
 */
static void
mixed_transaction_control(Lint *lint, const Node *stmt)
{
	const VariableSetStmt *set = (const VariableSetStmt *) stmt;

	if (IsA(stmt, VariableSetStmt) && set->is_local && !lint->script->transactional &&
		!lint->in_block && set->name != NULL)
		mig_rules_found(lint, NULL, "SET LOCAL of \"%s\" ends with this statement", set->name);
}

/*
 * Find names of comments that ignore rules which are not there.
 */
static void
unknown_rule(Lint *lint, const Node *stmt pg_attribute_unused())
{
	ListCell   *lc;

	foreach(lc, lint->ignored)
	{
		const char *name = lfirst(lc);

		if (mig_rules_find(name) == NULL)
			mig_rules_found(lint, NULL, name[0] == '\0' ?
							"\"-- migrate:ignore\" names no rule%s" :
							"there is no rule \"%s\" to ignore", name);
	}
}
