/*
 * verify.h
 *		What is checked before a plan begins.
 */
#ifndef MIG_VERIFY_H
#define MIG_VERIFY_H

#include "migrate.h"

#include "revision/graph.h"

extern void mig_verify_check(MigDirection direction, const Graph *graph,
							const Bitmapset *rows, List *plan,
							const char *target, bool stepwise);

#endif							/* MIG_VERIFY_H */
