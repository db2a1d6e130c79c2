/*
 * linter.h
 *		The walk of lint over a plan.
 */
#ifndef MIG_LINTER_H
#define MIG_LINTER_H

#include "migrate.h"

#include "lint/rules.h"

extern List *mig_linter_plan(const char *target, MigDirection direction);
extern List *mig_linter_parse_rules(const char *value);
extern double mig_linter_parse_rows(const char *value);

#endif							/* MIG_LINTER_H */
