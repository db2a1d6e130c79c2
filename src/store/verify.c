/*
 * verify.c
 *		What is checked before a plan begins.
 */
#include "migrate.h"

#include "revision/graph.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/unfinished.h"
#include "store/verify.h"

/*
 * Everything that can refuse a plan before it begins.  stepwise: it is run step
 * by step, so scripts need not be transactional, and one that has begun may be
 * ended.  To be called under the run lock.  Errors: MG005, MG006, MG007, MG008,
 * MG010.
 */
void
mig_verify_check(MigDirection direction, const Graph *graph,
				const Bitmapset *rows, List *plan, const char *target,
				bool stepwise)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *ids = mig_graph_plan_ids(graph, plan, 0, list_length(plan));
	List	   *applied;
	List	   *edited;
	List	   *partials;
	char	   *missing = NULL;
	char	   *not_transactional = NULL;
	Scope		scope;

	mig_scope_enter(&scope);
	applied = mig_revisions_read_applied(context);
	edited = mig_revisions_read_edited(context);
	if (direction == MIG_DOWNGRADE)
		missing = mig_revisions_first_without_downgrade(ids, context);
	if (!stepwise)
		not_transactional = mig_revisions_first_not_transactional(ids, direction, context);
	partials = mig_partial_read(context);
	mig_scope_leave(&scope);

	if (stepwise)
		mig_unfinished_refuse_direction(partials, direction, rows);
	else
		mig_unfinished_refuse(partials);
	mig_position_check_applied(graph, rows, applied);
	mig_position_check_edited(edited);
	if (missing != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NO_DOWNGRADE),
				 errmsg("revision \"%s\" has no downgrade script", missing),
				 errhint("Nothing was reverted. Give it one with migrate.edit('%s', downgrade => ...), or choose a target above it.",
						 missing)));
	if (not_transactional != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NOT_TRANSACTIONAL),
				 errmsg("%s script of revision \"%s\" is not transactional",
						mig_direction_name(direction), not_transactional),
				 errdetail("It cannot run together with others in one transaction."),
				 errhint("CALL migrate.%s_stepwise('%s');",
						 mig_direction_name(direction), target)));
}
