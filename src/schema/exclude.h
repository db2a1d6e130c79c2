/*
 * exclude.h
 *		Which objects are left out of comparisons.
 */
#ifndef MIG_EXCLUDE_H
#define MIG_EXCLUDE_H

#include "migrate.h"

#include "kind/objects.h"

extern List *mig_exclude_parse(const char *list);
extern void mig_exclude_apply(Schema *schema, List *patterns);

#endif							/* MIG_EXCLUDE_H */
