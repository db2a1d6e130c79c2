/*
 * check.c
 *		Whether the database is what revisions and models say, and lint allows: check,
 *		check_revisions.
 *
 * The revisions are checked first, which writes nothing and takes no lock, and
 * works in a read-only transaction, on a hot standby and for everybody who may use
 * the schema.  All is read in one scope, so that a migration that commits meanwhile
 * is seen whole or not at all.  Comparing with the models is another matter: their
 * DDL runs, with the caller's rights, in the scratch.
 */
#include "migrate.h"

#include "lib/stringinfo.h"
#include "lint/rules.h"
#include "lint/linter.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "schema/compare.h"
#include "schema/differ.h"
#include "sql.h"
#include "store/ledger.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/project.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/verify.h"

PG_FUNCTION_INFO_V1(migrate_check);
PG_FUNCTION_INFO_V1(migrate_check_revisions);

/* Most findings that an error lists. */
#define LISTED_FINDINGS 10

/* What check has read. */
typedef struct State
{
	Position	position;
	List	   *applied;		/* ids */
	List	   *edited;			/* ids */
	List	   *partials;		/* Partial * */
	bool		has_models;
} State;

static State check_revisions(bool lint);
static State read_state(void);
static void check_some_loaded(const Graph *graph);
static void check_none_incomplete(List *partials);
static void check_models(void);
static void check_lint(void);
static void report_finding(const LintFinding *finding);
static char *describe_finding(const LintFinding *finding);

/*
 * Implement migrate.check(models, lint). Errors: MG004, MG007, MG009, MG010, MG015;
 * those of the comparison.
 */
Datum
migrate_check(PG_FUNCTION_ARGS)
{
	bool		models = mig_sql_bool_arg(fcinfo, 0, "models");
	bool		lint = mig_sql_bool_arg(fcinfo, 1, "lint");
	State		state = check_revisions(lint);

	if (models && state.has_models)
		check_models();
	PG_RETURN_BOOL(true);
}

/*
 * Implement migrate.check_revisions(). Errors: MG004, MG007, MG010.
 */
Datum
migrate_check_revisions(PG_FUNCTION_ARGS pg_attribute_unused())
{
	(void) check_revisions(false);
	PG_RETURN_BOOL(true);
}

/*
 * Check that all revisions are applied, and none has changed since.  Return what
 * was read.  With lint, those that are not applied are linted before they are the
 * error.
 */
static State
check_revisions(bool lint)
{
	State		state = read_state();

	mig_verify_applied(state.position.graph, state.position.rows, state.applied);
	mig_verify_edited(state.edited);
	check_some_loaded(state.position.graph);
	if (lint)
		check_lint();
	check_none_incomplete(state.partials);
	mig_verify_nothing_pending(&state.position);
	return state;
}

/*
 * In the current memory context.  Errors: MG010.
 */
static State
read_state(void)
{
	State		state;
	Scope		scope;

	mig_scope_enter(&scope);
	state.position = mig_position_in_scope(&scope, false);
	state.applied = mig_ledger_read_applied(&scope);
	state.edited = mig_ledger_read_edited(&scope);
	state.partials = mig_partial_read(&scope);
	state.has_models = mig_project_has_models(&scope);
	mig_scope_leave(&scope);
	return state;
}

/*
 * Check that there are revisions: a database whose revision files nobody has
 * loaded is not up to date.  Errors: MG004.
 */
static void
check_some_loaded(const Graph *graph)
{
	if (graph->n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NOT_UP_TO_DATE),
				 errmsg("target database is not up to date"),
				 errdetail("No revision is loaded."),
				 errhint("Load revision files with migrate.load_directory() or migrate.load().")));
}

/*
 * Check that no script is incomplete.  Errors: MG004.
 */
static void
check_none_incomplete(List *partials)
{
	const Partial *partial;

	if (partials == NIL)
		return;
	partial = linitial(partials);
	ereport(ERROR,
			(errcode(ERRCODE_MIG_NOT_UP_TO_DATE),
			 errmsg("target database is not up to date"),
			 errdetail("The %s of revision \"%s\" is incomplete. %s",
					   mig_direction_name(partial->direction), partial->revision,
					   mig_partial_describe(partial)),
			 errhint("Run CALL migrate.%s_stepwise(...) to resume.",
					 mig_direction_name(partial->direction))));
}

/*
 * Lint what is pending, as the setting lint_level says: off; warning, the findings are
 * warnings; error, those of that severity are an error.  Errors: MG015.
 */
static void
check_lint(void)
{
	char	   *level;
	int			errors = 0;
	StringInfoData list;
	ListCell   *lc;
	Scope		scope;

	mig_scope_enter(&scope);
	level = mig_project_read_setting(&scope, "lint_level");
	mig_scope_leave(&scope);
	if (level != NULL && strcmp(level, "off") == 0)
		return;
	initStringInfo(&list);
	foreach(lc, mig_linter_plan("heads", MIG_UPGRADE))
	{
		const LintFinding *finding = lfirst(lc);

		if (level == NULL || strcmp(level, "error") != 0 ||
			finding->rule->severity != LINT_ERROR)
			report_finding(finding);
		else if (++errors <= LISTED_FINDINGS)
			appendStringInfo(&list, "%s%s", errors > 1 ? "\n" : "",
							 describe_finding(finding));
	}
	if (errors > LISTED_FINDINGS)
		appendStringInfo(&list, "\nand %d more", errors - LISTED_FINDINGS);
	if (errors > 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_LINT),
				 errmsg("lint found what the project does not allow"),
				 errdetail("%s", list.data),
				 errhint("SELECT * FROM migrate.lint();")));
}

/*
 * Warn of a finding.
 */
static void
report_finding(const LintFinding *finding)
{
	ereport(WARNING,
			(errmsg("%s", describe_finding(finding)),
			 errhint("%s", finding->rule->advice)));
}

/*
 * Return a finding in one line: where, which rule, what.
 */
static char *
describe_finding(const LintFinding *finding)
{
	char	   *place = psprintf("%s of revision \"%s\"",
								 mig_direction_name(finding->direction), finding->revision);

	if (finding->line > 0)
		place = psprintf("%s, line %d", place, finding->line);
	return psprintf("%s: %s: %s", place, finding->rule->id, finding->message);
}

/*
 * Check that the database is what the models declare.  Errors: MG009, those of the
 * comparison.
 */
static void
check_models(void)
{
	Project		project = mig_differ_project("migrate.check()");
	List	   *differences = mig_differ_from_models(&project).differences;

	if (differences != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_DIFFERS),
				 errmsg("database differs from the models"),
				 errdetail("%s", mig_compare_list(differences)),
				 errhint("SELECT * FROM migrate.compare();")));
}
