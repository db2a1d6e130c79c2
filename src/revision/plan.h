/*
 * plan.h
 *		Target and version rows to ordered steps, and the rows after each.
 */
#ifndef MIG_PLAN_H
#define MIG_PLAN_H

#include "revision/graph.h"

/* The version rows while steps are taken, one after the other. */
typedef struct PlanRows
{
	const Graph *graph;
	bool	   *applied;		/* by node number */
	int		   *successors;		/* by node number: how many applied ones it has */
	Bitmapset  *rows;			/* the maximal elements of what is applied */
	List	   *removed;		/* from rows by the last step: node numbers */
	List	   *added;			/* to rows by the last step, likewise */
} PlanRows;

/* One step of a stamp. */
typedef struct StampStep
{
	int			node;			/* becomes a version row; -1: base */
	List	   *removed;		/* version rows that it replaces: node numbers */
} StampStep;

extern List *mig_plan_upgrade(const Graph *graph, const Bitmapset *rows,
							  const char *target);
extern List *mig_plan_downgrade(const Graph *graph, const Bitmapset *rows,
								const char *target);
extern List *mig_plan_range(const Graph *graph, const Bitmapset *rows,
							const char *range, MigDirection direction,
							Bitmapset **start);
extern List *mig_plan_stamp(const Graph *graph, const Bitmapset *rows,
							List *targets, bool purge, Bitmapset **after);

extern List *mig_plan_sort(const Graph *graph, const Bitmapset *set);

extern PlanRows *mig_plan_rows_begin(const Graph *graph, const Bitmapset *rows);
extern void mig_plan_rows_step(PlanRows *state, int node,
							   MigDirection direction);

#endif							/* MIG_PLAN_H */
