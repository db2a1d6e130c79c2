/*
 * heads.h
 *		The heads, written down (migrate.revisions_heads), and whether the
 *		graph has changed.
 */
#ifndef MIG_HEADS_H
#define MIG_HEADS_H

#include "migrate.h"

#include "revision/graph.h"
#include "store/scope.h"

extern uint64 mig_heads_graph_changes(void);
extern List *mig_heads_read_if_current(const Scope *scope, bool real);
extern void mig_heads_remember(const Scope *scope, const Graph *graph);

#endif							/* MIG_HEADS_H */
