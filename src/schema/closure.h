/*
 * closure.h
 *		Parts of a schema that can stand alone.
 */
#ifndef MIG_CLOSURE_H
#define MIG_CLOSURE_H

#include "migrate.h"

#include "kind/objects.h"

extern List *mig_closure_of(const Schema *schema, List *objects);

#endif							/* MIG_CLOSURE_H */
