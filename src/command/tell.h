/*
 * tell.h
 *		Saying what a run does, while it does it.
 */
#ifndef MIG_TELL_H
#define MIG_TELL_H

#include "migrate.h"

#include "revision/graph.h"
#include "utils/timestamp.h"

extern void mig_tell_message(const char *text);
extern void mig_tell_step(MigDirection direction, const Graph *graph,
						  const GraphNode *node, const char *message);
extern void mig_tell_end(MigDirection direction, const char *target, int n,
						 TimestampTz start);

#endif							/* MIG_TELL_H */
