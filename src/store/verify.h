/*
 * verify.h
 *		Checking that our tables agree, and what can refuse a plan, before
 *		anything runs.
 */
#ifndef MIG_VERIFY_H
#define MIG_VERIFY_H

#include "migrate.h"

#include "store/position.h"

extern Position mig_verify_position(void);
extern void mig_verify_applied(const Graph *graph, const Bitmapset *rows,
							   List *applied);
extern void mig_verify_edited(List *edited);
extern void mig_verify_nothing_pending(const Position *position);
extern void mig_verify_place(void);
extern void mig_verify_plan(MigDirection direction, const Graph *graph,
							const Bitmapset *rows, List *plan, const char *target,
							bool stepwise);

#endif							/* MIG_VERIFY_H */
