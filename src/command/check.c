/*
 * check.c
 *		Whether the database is what revisions and models say: check,
 *		check_revisions.
 *
 * The revisions are checked first, which writes nothing and takes no lock, and
 * works in a read-only transaction, on a hot standby and for everybody who may use
 * the schema.  All is read in one scope, so that a migration that commits meanwhile
 * is seen whole or not at all.  Comparing with the models is another matter: their
 * DDL runs, with the caller's rights, in the scratch.
 */
#include "migrate.h"

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

/* What check has read. */
typedef struct State
{
	Position	position;
	List	   *applied;		/* ids */
	List	   *edited;			/* ids */
	List	   *partials;		/* Partial * */
	bool		has_models;
} State;

static State check_revisions(void);
static State read_state(void);
static void check_some_loaded(const Graph *graph);
static void check_none_incomplete(List *partials);
static void check_models(void);

/*
 * Implement migrate.check(models). Errors: MG004, MG007, MG009, MG010; those of the
 * comparison.
 */
Datum
migrate_check(PG_FUNCTION_ARGS)
{
	bool		models = mig_sql_bool_arg(fcinfo, 0, "models");
	State		state = check_revisions();

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
	(void) check_revisions();
	PG_RETURN_BOOL(true);
}

/*
 * Check that all revisions are applied, and none has changed since.  Return what
 * was read.
 */
static State
check_revisions(void)
{
	State		state = read_state();

	mig_verify_applied(state.position.graph, state.position.rows, state.applied);
	mig_verify_edited(state.edited);
	check_some_loaded(state.position.graph);
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
