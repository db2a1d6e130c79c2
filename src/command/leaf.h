/*
 * leaf.h
 *		Storing a revision that nothing refers to, without reading the graph.
 */
#ifndef MIG_LEAF_H
#define MIG_LEAF_H

#include "migrate.h"

#include "files/native.h"

extern bool mig_leaf_is_stored(const RevisionFile *file);
extern bool mig_leaf_add(const RevisionFile *file, const char *function);

#endif							/* MIG_LEAF_H */
