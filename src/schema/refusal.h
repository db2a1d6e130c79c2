/*
 * refusal.h
 *		What is not generated, and what to write by hand instead.
 */
#ifndef MIG_REFUSAL_H
#define MIG_REFUSAL_H

#include "migrate.h"

#include "schema/action.h"

extern void mig_refusal_check_kinds(List *differences);
extern void mig_refusal_check(const ActionPlan *plan, bool is_back);

#endif							/* MIG_REFUSAL_H */
