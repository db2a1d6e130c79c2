/*
 * linter.c
 *		The walk of lint over a plan.
 *
 * The scripts of a plan are parsed, and nothing of them is run.  Each statement is
 * shown to the rules, and then written into the world (lint/effect), so that those
 * after it meet what it makes.  What a script sets of search_path is set while it is
 * walked over, because names mean what the script would find.
 *
 * It works in a read-only transaction and on a standby.  Tables that are named are
 * opened with ACCESS SHARE.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "compat.h"
#include "lint/catalog.h"
#include "lint/effect.h"
#include "lint/rules.h"
#include "lint/table_lock.h"
#include "lint/linter.h"
#include "miscadmin.h"
#include "revision/plan.h"
#include "revision/revision.h"
#include "script/statement.h"
#include "script/text.h"
#include "storage/proc.h"
#include "store/position.h"
#include "store/project.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

/* Where something was made, to be looked at when the plan has ended. */
typedef struct Place
{
	int			step;
	const StoredScript *script;
	const ScriptStatement *statement;
	List	   *ignored;
} Place;

/* What is read before the walk. */
typedef struct Reading
{
	List	   *scripts;		/* of StoredScript *, in the order of the plan */
	List	   *downgrades;		/* likewise, of the same revisions; NIL: those are linted */
} Reading;

static Reading read_plan(Lint *lint, const char *target);
static List *read_scripts(const Scope *scope, List *ids, MigDirection direction);
static const StoredScript *downgrade_of(const Reading *reading, const char *revision);
static void walk_script(Lint *lint);
static void show_end(Lint *lint, List *ignored);
static void walk_statement(Lint *lint, const ScriptStatement *statement, int gap);
static void note_transaction(Lint *lint, const ScriptStatement *statement);
static void walk_commands(Lint *lint, const AlterTableStmt *stmt);
static void show_constraints(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void show_constraint(Lint *lint, WorldRelation *table, const Constraint *constraint,
							const ColumnDef *column);
static void show_statement(Lint *lint, const Node *stmt);
static void note_locks(Lint *lint, const Node *stmt);
static void note_setting(Lint *lint, const Node *stmt);
static void note_call(Lint *lint, const FuncCall *call);
static const char *constant(Node *node);
static void set_variable(Lint *lint, const char *name, const char *value);
static void walk_end(Lint *lint);
static List *ignored_in_script(const Lint *lint);
static List *ignored_in(const char *sql, int from, int to);
static List *ignored_on_line(const char *line);
static int	compare_findings(const ListCell *a, const ListCell *b);

/*
 * Lint the scripts that a move to a target would run, or those of a range, and return
 * the findings (LintFinding *) in the order of the plan, in the current memory context.
 * Errors: as those of the move for its target; the parser's.
 */
List *
mig_linter_plan(const char *target, MigDirection direction)
{
	Lint		lint = {.direction = direction};
	Reading		reading;
	ListCell   *lc;

	lint.world = mig_world_create(mig_catalog_read);
	lint.session_timeout = LockTimeout > 0;
	reading = read_plan(&lint, target);
	foreach(lc, reading.scripts)
		lint.stepwise = lint.stepwise || !((StoredScript *) lfirst(lc))->transactional;
	foreach(lc, reading.scripts)
	{
		lint.script = lfirst(lc);
		lint.downgrade = downgrade_of(&reading, lint.script->revision);
		if (lint.script->sql != NULL)
			walk_script(&lint);
		lint.step++;
	}
	walk_end(&lint);
	list_sort(lint.findings, compare_findings);
	return lint.findings;
}

/*
 * Read the plan, its scripts and the settings.
 */
static Reading
read_plan(Lint *lint, const char *target)
{
	Reading		reading = {NIL, NIL};
	Position	position = mig_position_read(false);
	Bitmapset  *start;
	List	   *plan;
	List	   *ids;
	char	   *disable;
	char	   *enable;
	char	   *rows;
	Scope		scope;

	if (strchr(target, ':') != NULL)
		plan = mig_plan_range(position.graph, position.rows, target, lint->direction, &start);
	else if (lint->direction == MIG_UPGRADE)
		plan = mig_plan_upgrade(position.graph, position.rows, target);
	else
		plan = mig_plan_downgrade(position.graph, position.rows, target);
	ids = mig_graph_plan_ids(position.graph, plan, 0, list_length(plan));
	mig_scope_enter(&scope);
	disable = mig_project_read_setting(&scope, "lint_disable");
	enable = mig_project_read_setting(&scope, "lint_enable");
	rows = mig_project_read_setting(&scope, "lint_large_rows");
	reading.scripts = read_scripts(&scope, ids, lint->direction);
	if (lint->direction == MIG_UPGRADE)
		reading.downgrades = mig_revisions_read_scripts(&scope, ids, MIG_DOWNGRADE);
	mig_scope_leave(&scope);
	lint->disabled = mig_linter_parse_rules(disable);
	lint->enabled = mig_linter_parse_rules(enable);
	lint->large_rows = mig_linter_parse_rows(rows);
	return reading;
}

/*
 * Return the scripts (StoredScript *) of a direction, also long ones, in the order of
 * the ids.
 */
static List *
read_scripts(const Scope *scope, List *ids, MigDirection direction)
{
	List	   *scripts = mig_revisions_read_scripts(scope, ids, direction);
	List	   *digests = mig_revisions_read_digests(scope, ids, direction);
	ListCell   *lc;

	foreach(lc, scripts)
	{
		StoredScript *script = lfirst(lc);

		if (script->is_long)
			script = mig_revisions_read_script(scope, script->revision, direction);
		script->transactional =
			((ScriptDigest *) list_nth(digests, foreach_current_index(lc)))->transactional;
		lfirst(lc) = script;
	}
	return scripts;
}

/*
 * Return the names of rules (char *) of the value of a setting, which may be NULL.
 * "types" means those about types that are off by default.  Errors: 22023.
 */
List *
mig_linter_parse_rules(const char *value)
{
	static const char *const types[] = {
		"int-primary-key", "serial", "char", "varchar-n", "timestamp"
	};
	List	   *words = NIL;
	List	   *names = NIL;
	ListCell   *lc;

	if (value == NULL)
		return NIL;
	for (char *word = strtok(pstrdup(value), ", \t\n"); word != NULL;
		 word = strtok(NULL, ", \t\n"))
		words = lappend(words, word);
	foreach(lc, words)
	{
		if (strcmp(lfirst(lc), "types") == 0)
			for (size_t i = 0; i < lengthof(types); i++)
				names = lappend(names, unconstify(char *, types[i]));
		else if (mig_rules_find(lfirst(lc)) != NULL)
			names = lappend(names, lfirst(lc));
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("lint has no rule \"%s\"", mig_revision_clip(lfirst(lc))),
					 errhint("SELECT id FROM migrate.lint_rules() lists them.")));
	}
	return names;
}

/*
 * Return the number of a setting, or its default for NULL.  Errors: 22023.
 */
double
mig_linter_parse_rows(const char *value)
{
	char	   *end;
	double		rows;

	if (value == NULL)
		return 10000;
	errno = 0;
	rows = strtod(value, &end);
	if (end == value || *end != '\0' || errno != 0 || !(rows >= 0 && rows < 1e18))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for \"lint_large_rows\": \"%s\"",
						mig_revision_clip(value)),
				 errhint("It is a number of rows, such as 10000.")));
	return rows;
}

/*
 * Return the downgrade script of a revision, or NULL when those are linted.
 */
static const StoredScript *
downgrade_of(const Reading *reading, const char *revision)
{
	ListCell   *lc;

	foreach(lc, reading->downgrades)
	{
		const StoredScript *script = lfirst(lc);

		if (strcmp(script->revision, revision) == 0)
			return script;
	}
	return NULL;
}

/*
 * Walk over the statements of a script, with what it sets of search_path.
 */
static void
walk_script(Lint *lint)
{
	const char *sql = lint->script->sql;
	const LintRule *rule = NULL;
	int			guc_level = NewGUCNestLevel();
	int			gap = 0;
	ListCell   *lc;

	lint->statements = mig_script_split(sql);
	lint->has_timeout = false;
	lint->told_timeout = false;
	lint->told_setting = false;
	lint->in_block = false;
	lint->exclusive = NULL;
	lint->world->transaction++;
	lint->statement = NULL;
	lint->ignored = ignored_in_script(lint);
	while ((rule = mig_rules_next(rule)) != NULL)
	{
		lint->rule = rule;
		if (rule->script != NULL && mig_rules_is_on(lint, rule))
			rule->script(lint);
	}
	foreach(lc, lint->statements)
	{
		const ScriptStatement *statement = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		walk_statement(lint, statement, gap);
		gap = statement->location + statement->len;
	}
	show_end(lint, ignored_in(sql, gap, strlen(sql)));
	AtEOXact_GUC(false, guc_level);
}

/*
 * Show the names that comments after the last statement ignore to the rule about those
 * that are none.
 */
static void
show_end(Lint *lint, List *ignored)
{
	lint->statement = NULL;
	lint->ignored = ignored;
	lint->rule = mig_rules_find("unknown-rule");
	if (mig_rules_is_on(lint, lint->rule))
		lint->rule->statement(lint, NULL);
}

/*
 * Show a statement to the rules, and write it into the world.
 */
static void
walk_statement(Lint *lint, const ScriptStatement *statement, int gap)
{
	const Node *stmt = statement->raw->stmt;
	Place	   *place = palloc(sizeof(Place));

	lint->statement = statement;
	lint->ignored = ignored_in(lint->script->sql, gap, statement->location);
	lint->slow = false;
	note_transaction(lint, statement);
	lint->locks = mig_table_lock_all(lint->world, stmt);
	place->step = lint->step;
	place->script = lint->script;
	place->statement = statement;
	place->ignored = lint->ignored;
	lint->world->place = place;
	if (IsA(stmt, AlterTableStmt))
		walk_commands(lint, (const AlterTableStmt *) stmt);
	show_statement(lint, stmt);
	note_locks(lint, stmt);
	note_setting(lint, stmt);
	mig_effect_statement(lint->world, stmt);
}

/*
 * Note which transaction a statement is in: a script that is not transactional has one
 * for each statement, but for those between BEGIN and COMMIT.
 */
static void
note_transaction(Lint *lint, const ScriptStatement *statement)
{
	bool		begins = mig_statement_is_begin(statement->raw);

	if (lint->script->transactional)
		return;
	if (!lint->in_block || begins)
	{
		lint->world->transaction++;
		lint->exclusive = NULL;
	}
	if (begins)
		lint->in_block = true;
	else if (mig_statement_is_commit(statement->raw))
		lint->in_block = false;
}

/*
 * Show the commands of an ALTER TABLE to the rules, one after the other.
 */
static void
walk_commands(Lint *lint, const AlterTableStmt *stmt)
{
	WorldRelation *table = mig_world_find(lint->world, stmt->relation);
	ListCell   *lc;

	if (table == NULL || table->kind == RELKIND_COMPOSITE_TYPE)
		return;
	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst(lc);
		const LintRule *rule = NULL;

		while ((rule = mig_rules_next(rule)) != NULL)
		{
			lint->rule = rule;
			if (rule->command != NULL && mig_rules_is_on(lint, rule))
				rule->command(lint, table, cmd);
		}
		show_constraints(lint, table, cmd);
		mig_effect_command(lint->world, table, cmd);
	}
}

/*
 * Show the constraints that a command adds to the rules.
 */
static void
show_constraints(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	const ColumnDef *column = (const ColumnDef *) cmd->def;
	ListCell   *lc;

	if (cmd->subtype == AT_AddConstraint)
		show_constraint(lint, table, (const Constraint *) cmd->def, NULL);
	if (cmd->subtype != AT_AddColumn ||
		(cmd->missing_ok && mig_world_column(table, column->colname) != NULL))
		return;
	foreach(lc, column->constraints)
		show_constraint(lint, table, lfirst(lc), column);
}

/*
 * Show a constraint to the rules; column is that with which it is added, or NULL.
 */
static void
show_constraint(Lint *lint, WorldRelation *table, const Constraint *constraint,
				const ColumnDef *column)
{
	const LintRule *rule = NULL;

	while ((rule = mig_rules_next(rule)) != NULL)
	{
		lint->rule = rule;
		if (rule->constraint != NULL && mig_rules_is_on(lint, rule))
			rule->constraint(lint, table, constraint, column);
	}
}

/*
 * Show a statement as a whole to the rules.
 */
static void
show_statement(Lint *lint, const Node *stmt)
{
	const LintRule *rule = NULL;

	while ((rule = mig_rules_next(rule)) != NULL)
	{
		lint->rule = rule;
		if (rule->statement != NULL && mig_rules_is_on(lint, rule))
			rule->statement(lint, stmt);
	}
}

/*
 * Note what the transaction holds and has read from now on.
 */
static void
note_locks(Lint *lint, const Node *stmt)
{
	ListCell   *lc;

	foreach(lc, lint->locks)
	{
		const TableLock *lock = lfirst(lc);

		if (lock->mode == AccessExclusiveLock && mig_rules_is_old(lock->table))
			lint->exclusive = lock->table;
	}
	if (IsA(stmt, AlterTableStmt) && lint->slow)
	{
		WorldRelation *table = mig_world_find(lint->world,
											  ((const AlterTableStmt *) stmt)->relation);

		if (table != NULL)
			table->scanned = lint->world->transaction;
	}
}

/* -------------------------------------------------------------- settings ---- */

/*
 * Note what a statement sets of search_path, TimeZone and lock_timeout, also with
 * set_config().
 */
static void
note_setting(Lint *lint, const Node *stmt)
{
	const VariableSetStmt *set = (const VariableSetStmt *) stmt;

	if (IsA(stmt, VariableSetStmt))
	{
		if (set->name == NULL)
			return;
		set_variable(lint, set->name, set->kind == VAR_SET_VALUE ?
					 ExtractSetVariableArgs(unconstify(VariableSetStmt *, set)) : NULL);
	}
	else if (IsA(stmt, SelectStmt))
	{
		ListCell   *lc;

		foreach(lc, ((const SelectStmt *) stmt)->targetList)
		{
			const ResTarget *target = lfirst(lc);

			if (target->val != NULL && IsA(target->val, FuncCall))
				note_call(lint, (const FuncCall *) target->val);
		}
	}
}

/*
 * Note what a call of set_config() sets, where its arguments are constants.
 */
static void
note_call(Lint *lint, const FuncCall *call)
{
	const char *name;
	const char *value;

	if (strcmp(strVal(llast(call->funcname)), "set_config") != 0 ||
		list_length(call->args) != 3)
		return;
	name = constant(linitial(call->args));
	value = constant(lsecond(call->args));
	if (name != NULL && value != NULL)
		set_variable(lint, name, value);
}

/*
 * Return the text of a constant, or NULL.
 */
static const char *
constant(Node *node)
{
	return IsA(node, A_Const) ? MigStringOfConst((A_Const *) node) : NULL;
}

/*
 * Set a variable to the end of the script; NULL: to its default.  A value that is not
 * valid sets nothing.
 */
static void
set_variable(Lint *lint, const char *name, const char *value)
{
	if (pg_strcasecmp(name, "lock_timeout") == 0)
		lint->has_timeout = value != NULL && strcmp(value, "0") != 0;
	else if (pg_strcasecmp(name, "search_path") == 0 || pg_strcasecmp(name, "timezone") == 0)
		(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, DEBUG5, false);
}

/* ------------------------------------------------------------------- end ---- */

/*
 * Show the constraints that the plan made, of tables that it left, to the rules that
 * look at them when it has ended.
 */
static void
walk_end(Lint *lint)
{
	ListCell   *lc;

	foreach(lc, lint->world->relations)
	{
		const WorldRelation *table = lfirst(lc);
		ListCell   *each;

		if (table->dropped)
			continue;
		foreach(each, table->constraints)
		{
			const WorldConstraint *constraint = lfirst(each);
			const Place *place = constraint->place;
			const LintRule *rule = NULL;

			if (place == NULL)
				continue;
			lint->step = place->step;
			lint->script = place->script;
			lint->statement = place->statement;
			lint->ignored = place->ignored;
			while ((rule = mig_rules_next(rule)) != NULL)
			{
				lint->rule = rule;
				if (rule->at_end != NULL && mig_rules_is_on(lint, rule))
					rule->at_end(lint, table, constraint);
			}
		}
	}
}

/*
 * Return the names (char *) of rules that comments between the statements of a script
 * ignore.
 */
static List *
ignored_in_script(const Lint *lint)
{
	const char *sql = lint->script->sql;
	List	   *names = NIL;
	int			gap = 0;
	ListCell   *lc;

	foreach(lc, lint->statements)
	{
		const ScriptStatement *statement = lfirst(lc);

		names = list_concat(names, ignored_in(sql, gap, statement->location));
		gap = statement->location + statement->len;
	}
	return list_concat(names, ignored_in(sql, gap, strlen(sql)));
}

/*
 * Return the names (char *) of rules that comments between two offsets, where there
 * are no tokens, ignore.
 */
static List *
ignored_in(const char *sql, int from, int to)
{
	List	   *names = NIL;
	bool		line_begins = true;

	for (int i = from; i < to; i++)
	{
		if (line_begins && sql[i] == '-' && sql[i + 1] == '-')
			names = list_concat(names, ignored_on_line(sql + i + 2));
		line_begins = sql[i] == '\n' || (line_begins && mig_text_is_blank(sql[i]));
	}
	return names;
}

/*
 * Return the names of rules that a comment, from after its dashes on, ignores.
 */
static List *
ignored_on_line(const char *line)
{
	static const char marker[] = "migrate:ignore";
	List	   *names = NIL;
	int			end = 0;
	char	   *list;

	while (mig_text_is_blank(*line))
		line++;
	if (strncmp(line, marker, strlen(marker)) != 0)
		return NIL;
	line += strlen(marker);
	if (!mig_text_is_blank(*line) && !mig_text_is_line_end(*line))
		return NIL;
	while (!mig_text_is_line_end(line[end]) && line[end] != ':')
		end++;
	list = pnstrdup(line, end);
	for (char *name = strtok(list, ", \t"); name != NULL; name = strtok(NULL, ", \t"))
		names = lappend(names, name);
	return names == NIL ? list_make1(pstrdup("")) : names;
}

/*
 * Compare findings by where they are, for a sort.
 */
static int
compare_findings(const ListCell *a, const ListCell *b)
{
	const LintFinding *left = lfirst(a);
	const LintFinding *right = lfirst(b);

	if (left->step != right->step)
		return left->step < right->step ? -1 : 1;
	if (left->statement != right->statement)
		return left->statement < right->statement ? -1 : 1;
	return left->number < right->number ? -1 : left->number > right->number;
}
