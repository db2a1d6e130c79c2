/*
 * lint.c
 *		What experience says of the scripts that are to run: lint, lint_rules.
 *
 * Nothing here writes; it works in a read-only transaction and on a hot standby.
 */
#include "migrate.h"

#include "compat.h"
#include "lint/rules.h"
#include "lint/linter.h"
#include "revision/revision.h"
#include "sql.h"
#include "utils/builtins.h"

#define LINT_COLUMNS 8
#define RULE_COLUMNS 9

PG_FUNCTION_INFO_V1(migrate_lint);
PG_FUNCTION_INFO_V1(migrate_lint_rules);

static MigDirection direction_of(const char *word);
static void put_text(Datum *values, bool *nulls, int column, const char *text);

/*
 * Implement migrate.lint(target, way). Errors: 22023; those of the move for its
 * target; the parser's.
 */
Datum
migrate_lint(PG_FUNCTION_ARGS)
{
	char	   *target = mig_sql_text_arg(fcinfo, 0, "target");
	MigDirection direction = direction_of(mig_sql_text_arg(fcinfo, 1, "way"));
	List	   *findings = mig_linter_plan(target, direction);
	TupleDesc	tupdesc;
	Tuplestorestate *store = mig_sql_begin(fcinfo, &tupdesc);
	ListCell   *lc;

	foreach(lc, findings)
	{
		const LintFinding *finding = lfirst(lc);
		Datum		values[LINT_COLUMNS];
		bool		nulls[LINT_COLUMNS] = {false};

		values[0] = CStringGetTextDatum(finding->revision);
		values[1] = CStringGetTextDatum(mig_direction_name(finding->direction));
		values[2] = Int32GetDatum(finding->statement);
		nulls[2] = finding->statement == 0;
		values[3] = Int32GetDatum(finding->line);
		nulls[3] = finding->line == 0;
		values[4] = CStringGetTextDatum(finding->rule->id);
		values[5] = CStringGetTextDatum(mig_rules_severity(finding->rule));
		values[6] = CStringGetTextDatum(finding->message);
		values[7] = CStringGetTextDatum(finding->rule->advice);
		tuplestore_putvalues(store, tupdesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * Implement migrate.lint_rules(): return the rules.
 */
Datum
migrate_lint_rules(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	Tuplestorestate *store = mig_sql_begin(fcinfo, &tupdesc);
	const LintRule *rule = NULL;

	while ((rule = mig_rules_next(rule)) != NULL)
	{
		Datum		values[RULE_COLUMNS];
		bool		nulls[RULE_COLUMNS] = {false};

		put_text(values, nulls, 0, rule->id);
		put_text(values, nulls, 1, mig_rules_severity(rule));
		values[2] = BoolGetDatum(!rule->off);
		values[3] = Int32GetDatum(rule->since);
		nulls[3] = rule->since == 0;
		put_text(values, nulls, 4, rule->summary);
		put_text(values, nulls, 5, rule->advice);
		put_text(values, nulls, 6, rule->example);
		put_text(values, nulls, 7, rule->counter_example);
		put_text(values, nulls, 8, rule->shows != NULL ? rule->shows :
				 psprintf("not confirmed: %s", rule->unconfirmed));
		tuplestore_putvalues(store, tupdesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * Return the direction of a word.  Errors: 22023.
 */
static MigDirection
direction_of(const char *word)
{
	for (MigDirection direction = MIG_UPGRADE; direction <= MIG_DOWNGRADE; direction++)
		if (strcmp(word, mig_direction_name(direction)) == 0)
			return direction;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized way \"%s\"", mig_revision_clip(word)),
			 errhint("Use \"upgrade\" or \"downgrade\".")));
}

/*
 * Put a text into a column of a row; NULL is null.
 */
static void
put_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}
