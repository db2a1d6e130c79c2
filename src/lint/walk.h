/*
 * walk.h
 *		The walk of lint over a plan.
 */
#ifndef MIG_WALK_H
#define MIG_WALK_H

#include "migrate.h"

#include "lint/rules.h"

extern List *mig_walk_plan(const char *target, MigDirection direction);
extern List *mig_walk_parse_rules(const char *value);
extern double mig_walk_parse_rows(const char *value);

#endif							/* MIG_WALK_H */
