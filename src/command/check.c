/*
 * check.c
 *		Whether the database is what the revisions say: check.
 *
 * Writes nothing and takes no lock; works in a read-only transaction, on a hot
 * standby and for everybody who may use the schema.  All is read in one scope,
 * so that a migration that commits meanwhile is seen whole or not at all.
 */
#include "migrate.h"

#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/plan.h"
#include "sql.h"
#include "store/ledger.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/project.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/verify.h"

PG_FUNCTION_INFO_V1(migrate_check);

/* What check has read. */
typedef struct State
{
	Position	position;
	List	   *applied;		/* ids */
	List	   *edited;			/* ids */
	List	   *partials;		/* Partial * */
	bool		has_models;
} State;

static State read_state(void);
static void check_some_loaded(const Graph *graph);
static void check_none_incomplete(List *partials);
static void check_nothing_pending(const Position *position);
static bool are_transactional(List *ids);
static void check_models(bool has_models);

/*
 * Implement migrate.check(models). Errors: MG004, MG007, MG010, 0A000.
 */
Datum
migrate_check(PG_FUNCTION_ARGS)
{
	bool		models = mig_sql_bool_arg(fcinfo, 0, "models");
	State		state;

	state = read_state();
	mig_verify_applied(state.position.graph, state.position.rows, state.applied);
	mig_verify_edited(state.edited);
	check_some_loaded(state.position.graph);
	check_none_incomplete(state.partials);
	check_nothing_pending(&state.position);
	if (models)
		check_models(state.has_models);
	PG_RETURN_BOOL(true);
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
 * MG004 unless every revision is applied.
 */
static void
check_nothing_pending(const Position *position)
{
	List	   *plan = mig_plan_upgrade(position->graph, position->rows, "heads");
	List	   *ids = mig_graph_plan_ids(position->graph, plan, 0, list_length(plan));

	if (ids != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NOT_UP_TO_DATE),
				 errmsg("target database is not up to date"),
				 errdetail("Pending revisions: %s.", mig_ids_quote(ids)),
				 are_transactional(ids) ?
				 errhint("SELECT migrate.upgrade('heads');") :
				 errhint("CALL migrate.upgrade_stepwise('heads');")));
}

/*
 * Return whether all upgrade scripts of some revisions (char *) are
 * transactional.
 */
static bool
are_transactional(List *ids)
{
	char	   *other;
	Scope		scope;

	mig_scope_enter(&scope);
	other = mig_revisions_first_not_transactional(&scope, ids, MIG_UPGRADE);
	mig_scope_leave(&scope);
	return other == NULL;
}

/*
 * 0A000 when models are declared.
 */
static void
check_models(bool has_models)
{
	if (has_models)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("comparing the database with models is not available in this version of migrate"),
				 errhint("SELECT migrate.check(models => false) checks the revisions alone.")));
}
