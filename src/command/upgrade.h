/*
 * upgrade.h
 *		Moving: a plan run in the caller's transaction.
 */
#ifndef MIG_UPGRADE_H
#define MIG_UPGRADE_H

#include "migrate.h"

#include "nodes/pg_list.h"

extern List *mig_upgrade_run(MigDirection direction, const char *target,
							 const char *function);

#endif							/* MIG_UPGRADE_H */
