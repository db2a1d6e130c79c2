/*
 * write.h
 *		Schemas as scripts.
 */
#ifndef MIG_WRITE_H
#define MIG_WRITE_H

#include "migrate.h"

#include "kind/objects.h"

extern char *mig_write_schema(const Schema *schema, List *objects);
extern char *mig_write_again(const Schema *schema, List *objects);

#endif							/* MIG_WRITE_H */
