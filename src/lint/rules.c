/*
 * rules.c
 *		The rules of lint as one list, and what all of them use.
 */
#include "migrate.h"

#include "compat.h"
#include "lib/stringinfo.h"
#include "lint/rules.h"
#include "catalog/pg_class.h"
#include "utils/memutils.h"

static const LintRule *const groups[] = {
	mig_rules_index,
	mig_rules_constraint,
	mig_rules_column,
	mig_rules_drop,
	mig_rules_lock,
	mig_rules_data,
	mig_rules_script,
	mig_rules_style
};

/*
 * Return the rule after a rule, the first one after NULL, and NULL after the last.
 */
const LintRule *
mig_rules_next(const LintRule *rule)
{
	if (rule == NULL)
		return groups[0];
	if (rule[1].id != NULL)
		return rule + 1;
	for (size_t i = 0; i + 1 < lengthof(groups); i++)
	{
		const LintRule *last = groups[i];

		while (last[1].id != NULL)
			last++;
		if (last == rule)
			return groups[i + 1];
	}
	return NULL;
}

/*
 * Return the rule of a name, or NULL.
 */
const LintRule *
mig_rules_find(const char *id)
{
	const LintRule *rule = NULL;

	while ((rule = mig_rules_next(rule)) != NULL)
		if (strcmp(rule->id, id) == 0)
			return rule;
	return NULL;
}

/*
 * Return the word for the severity of a rule, a constant.
 */
const char *
mig_rules_severity(const LintRule *rule)
{
	return rule->severity == LINT_ERROR ? "error" : "warning";
}

/*
 * Return whether a rule is for this server, and not turned off.
 */
bool
mig_rules_is_on(const Lint *lint, const LintRule *rule)
{
	if (mig_world_has(lint->disabled, rule->id) || rule->since > MIG_SERVER_MAJOR)
		return false;
	return !rule->off || mig_world_has(lint->enabled, rule->id);
}

/*
 * Report that the rule at work has found something about the statement at hand, or
 * about the script where there is none.  The table, which may be NULL, is that which
 * the statement holds while it reads it.
 */
void
mig_rules_found(Lint *lint, WorldRelation *table, const char *format,...)
{
	MemoryContext old;
	LintFinding *finding;
	StringInfoData buf;

	if (mig_world_has(lint->ignored, lint->rule->id))
		return;
	old = MemoryContextSwitchTo(lint->world->context);
	initStringInfo(&buf);
	for (;;)
	{
		va_list		arguments;
		int			needed;

		va_start(arguments, format);
		needed = appendStringInfoVA(&buf, format, arguments);
		va_end(arguments);
		if (needed == 0)
			break;
		enlargeStringInfo(&buf, needed);
	}
	finding = palloc0(sizeof(LintFinding));
	finding->revision = lint->script->revision;
	finding->direction = lint->direction;
	finding->statement = lint->statement == NULL ? 0 : lint->statement->number;
	finding->line = lint->statement == NULL ? 0 : lint->statement->line;
	finding->rule = lint->rule;
	finding->message = buf.data;
	finding->step = lint->step;
	finding->number = list_length(lint->findings);
	lint->findings = lappend(lint->findings, finding);
	MemoryContextSwitchTo(old);
	if (lint->rule->slow && table != NULL)
		lint->slow = true;
}

/*
 * Return whether a table was there before the plan, and has rows, or counts as if it
 * had.
 */
bool
mig_rules_is_old(const WorldRelation *table)
{
	return table != NULL && !table->made && table->persistence != RELPERSISTENCE_TEMP &&
		(table->has_rows || mig_lint_assume_rows);
}

/*
 * Return the table that a statement names when it is old, or NULL.
 */
WorldRelation *
mig_rules_table(Lint *lint, const RangeVar *name)
{
	WorldRelation *table = mig_world_find(lint->world, name);

	return mig_rules_is_old(table) ? table : NULL;
}
