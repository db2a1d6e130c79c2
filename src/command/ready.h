/*
 * ready.h
 *		What is checked before a plan begins.
 */
#ifndef MIG_READY_H
#define MIG_READY_H

#include "migrate.h"

#include "revision/graph.h"

extern void mig_ready_check(MigDirection direction, const Graph *graph,
							const Bitmapset *rows, List *plan,
							const char *target, bool stepwise);

#endif							/* MIG_READY_H */
