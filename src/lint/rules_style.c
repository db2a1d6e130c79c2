/*
 * rules_style.c
 *		Rules about names and rights.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "compat.h"
#include "lint/rules.h"
#include "script/excerpt.h"
#include "script/tokens.h"

static void identifier_too_long(Lint *lint);
static bool may_be_too_long(const char *sql);
static int	identifier_length(const char *token, int len);
static void unqualified(Lint *lint, const Node *stmt);
static const RangeVar *named_table(const Node *stmt);
static void grant_public(Lint *lint, const Node *stmt);
static void security_definer_path(Lint *lint, const Node *stmt);

const LintRule mig_rules_style[] = {
	{
		.id = "identifier-too-long", .severity = LINT_WARNING,
		.summary = "a name of more than 63 bytes is cut there",
		.advice = "A shorter name: two that are equal up to there are one.",
		.example = "CREATE TABLE a_table_with_a_name_that_is_longer_than_what_the_server_has_room_for (id int);",
		.counter_example = "CREATE TABLE a_table_with_a_name_that_is_shorter_than_what_there_is_room_for (id int);",
		.shows = "notice 42622",
		.script = identifier_too_long
	},
	{
		.id = "unqualified", .severity = LINT_WARNING, .off = true,
		.summary = "which table is meant depends on search_path",
		.advice = "Write the schema, or SET LOCAL search_path at the top of the script.",
		.example = "ALTER TABLE users ADD COLUMN phone text;",
		.counter_example = "ALTER TABLE public.users ADD COLUMN phone text;",
		.unconfirmed = "a matter of the session",
		.statement = unqualified
	},
	{
		.id = "grant-public", .severity = LINT_WARNING,
		.summary = "GRANT on a table to PUBLIC is to every role, also to those that are made later",
		.advice = "Grant it to a role, and that to others.",
		.example = "GRANT SELECT ON users TO PUBLIC;",
		.counter_example = "GRANT SELECT ON users TO pg_monitor;",
		.unconfirmed = "a matter of who may connect",
		.statement = grant_public
	},
	{
		.id = "security-definer-path", .severity = LINT_WARNING,
		.summary = "a SECURITY DEFINER function without SET search_path calls what its caller has put there",
		.advice = "SET search_path = ... in the function, with the schemas that it needs and pg_temp last.",
		.example = "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM users';",
		.counter_example = "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT count(*) FROM users';",
		.unconfirmed = "a matter of who calls it",
		.statement = security_definer_path
	},
	{.id = NULL}
};

/*
 * Find identifiers that the lexer cuts.
 */
static void
identifier_too_long(Lint *lint)
{
	ScriptTokens tokens;

	if (!may_be_too_long(lint->script->sql))
		return;
	mig_tokens_begin(&tokens, lint->script->sql);
	while (mig_tokens_next(&tokens))
	{
		const char *token = lint->script->sql + tokens.start;
		int			len = identifier_length(token, tokens.end - tokens.start);

		if (len >= NAMEDATALEN)
			mig_rules_found(lint, NULL, "%s has %d bytes, and is cut after %d",
							mig_excerpt_clip(token, tokens.end - tokens.start, 100), len,
							NAMEDATALEN - 1);
	}
	mig_tokens_end(&tokens);
}

/*
 * Return whether a script has a word, or something quoted, that is long enough.
 */
static bool
may_be_too_long(const char *sql)
{
	int			run = 0;
	const char *quote = NULL;

	for (; *sql != '\0'; sql++)
	{
		if (*sql == '"')
		{
			if (quote != NULL && sql - quote > NAMEDATALEN)
				return true;
			quote = sql;
		}
		run = IS_HIGHBIT_SET(*sql) || isalnum((unsigned char) *sql) || *sql == '_' ||
			*sql == '$' ? run + 1 : 0;
		if (run >= NAMEDATALEN)
			return true;
	}
	return false;
}

/*
 * Return the length of a token as an identifier; 0 for one that is none.
 */
static int
identifier_length(const char *token, int len)
{
	int			doubled = 0;

	if (IS_HIGHBIT_SET(token[0]) || isalpha((unsigned char) token[0]) || token[0] == '_')
		return memchr(token, '\'', len) != NULL || memchr(token, '"', len) != NULL ? 0 : len;
	if (token[0] != '"')
		return 0;
	for (int i = 1; i + 2 < len; i++)
		if (token[i] == '"' && token[i + 1] == '"')
		{
			doubled++;
			i++;
		}
	return len - 2 - doubled;
}

/*
 * Find tables without their schema.
 */
static void
unqualified(Lint *lint, const Node *stmt)
{
	const RangeVar *name = named_table(stmt);

	if (name != NULL && name->schemaname == NULL && name->relpersistence != RELPERSISTENCE_TEMP)
		mig_rules_found(lint, NULL, "\"%s\" is written without its schema", name->relname);
}

/*
 * Return the table that a statement is of, or NULL.
 */
static const RangeVar *
named_table(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			return ((const CreateStmt *) stmt)->relation;
		case T_AlterTableStmt:
			return ((const AlterTableStmt *) stmt)->relation;
		case T_IndexStmt:
			return ((const IndexStmt *) stmt)->relation;
		case T_InsertStmt:
			return ((const InsertStmt *) stmt)->relation;
		case T_UpdateStmt:
			return ((const UpdateStmt *) stmt)->relation;
		case T_DeleteStmt:
			return ((const DeleteStmt *) stmt)->relation;
		case T_ViewStmt:
			return ((const ViewStmt *) stmt)->view;
		case T_CreateTrigStmt:
			return ((const CreateTrigStmt *) stmt)->relation;
		default:
			return NULL;
	}
}

/*
 * Find GRANT of tables to PUBLIC.
 */
static void
grant_public(Lint *lint, const Node *stmt)
{
	const GrantStmt *grant = (const GrantStmt *) stmt;
	ListCell   *lc;

	if (!IsA(stmt, GrantStmt) || !grant->is_grant || grant->objtype != OBJECT_TABLE)
		return;
	foreach(lc, grant->grantees)
	{
		if (((RoleSpec *) lfirst(lc))->roletype == ROLESPEC_PUBLIC)
			mig_rules_found(lint, NULL, "every role gets the privilege");
	}
}

/*
 * Find SECURITY DEFINER functions without a search_path of their own.
 */
static void
security_definer_path(Lint *lint, const Node *stmt)
{
	bool		definer = false;
	bool		path = false;
	ListCell   *lc;

	if (!IsA(stmt, CreateFunctionStmt))
		return;
	foreach(lc, ((const CreateFunctionStmt *) stmt)->options)
	{
		const DefElem *option = lfirst(lc);

		if (strcmp(option->defname, "security") == 0)
			definer = MigBoolVal(option->arg);
		else if (strcmp(option->defname, "set") == 0)
			path = path || (((VariableSetStmt *) option->arg)->name != NULL &&
							strcmp(((VariableSetStmt *) option->arg)->name, "search_path") == 0);
	}
	if (definer && !path)
		mig_rules_found(lint, NULL, "function \"%s\" is SECURITY DEFINER without SET search_path",
						strVal(llast(((const CreateFunctionStmt *) stmt)->funcname)));
}
