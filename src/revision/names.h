/*
 * names.h
 *		What revisions of a graph are called: prefixes, branch labels, new ids.
 *
 * Pure: works on what it is given.
 */
#ifndef MIG_NAMES_H
#define MIG_NAMES_H

#include "migrate.h"

#include "revision/graph.h"
#include "revision/revision.h"

extern List *mig_names_with_prefix(const Graph *graph, const char *prefix,
								   const Bitmapset *within);
extern List *mig_names_labels(const Graph *graph, int node);
extern char *mig_names_new_id(const Graph *graph, const char *scheme, List *used);
extern bool mig_names_are_serial(const char *scheme);
extern void mig_names_check_free(const Graph *graph, const Revision *rev);

#endif							/* MIG_NAMES_H */
