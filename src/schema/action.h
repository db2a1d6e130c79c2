/*
 * action.h
 *		From differences to actions: the statements.
 */
#ifndef MIG_ACTION_H
#define MIG_ACTION_H

#include "migrate.h"

#include "kind/objects.h"
#include "schema/fate.h"

/* A plan. */
typedef struct ActionPlan
{
	List	   *actions;		/* Action *, in the order in which they can run */
	List	   *refusals;		/* Refusal *; if there are any, the plan is not whole */
	char	   *circle;			/* statements that wait for each other, likewise; NULL: none */
	bool		stepwise;		/* the statements have to be committed one by one */
	List	   *touched;		/* SchemaObject *, of the schema before: what changes, and
								 * what new objects use */
} ActionPlan;

extern ActionPlan mig_action_plan(const Schema *from, const Schema *to, List *differences,
								  bool uses_values);
extern char *mig_action_script(List *actions);
extern bool mig_action_makes_functions(List *actions);

#endif							/* MIG_ACTION_H */
