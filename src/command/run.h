/*
 * run.h
 *		Moving: a plan run in the caller's transaction.
 */
#ifndef MIG_RUN_H
#define MIG_RUN_H

#include "migrate.h"

#include "store/catalog.h"

extern bool mig_run_is_at_heads(MigDirection direction, const char *target);

#endif							/* MIG_RUN_H */
