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
	Bitmapset  *rows;			/* the maximal elements of what is applied */
} PlanRows;

/* One step of a stamp. */
typedef struct StampStep
{
	int			node;			/* -1: base */
	Bitmapset  *rows;			/* version rows afterwards */
} StampStep;

extern List *mig_plan_upgrade(const Graph *graph, const Bitmapset *rows,
							  const char *target);
extern List *mig_plan_downgrade(const Graph *graph, const Bitmapset *rows,
								const char *target);
extern List *mig_plan_range(const Graph *graph, const Bitmapset *rows,
							const char *range, MigDirection direction,
							Bitmapset **start);
extern List *mig_plan_stamp(const Graph *graph, const Bitmapset *rows,
							List *targets, bool purge);

extern PlanRows *mig_plan_rows_begin(const Graph *graph, const Bitmapset *rows);
extern void mig_plan_rows_step(PlanRows *state, int node,
							   MigDirection direction);

#endif							/* MIG_PLAN_H */
