/*
 * upgrade.h
 *		Moving: a plan run in the caller's transaction.
 */
#ifndef MIG_UPGRADE_H
#define MIG_UPGRADE_H

#include "migrate.h"

#include "store/revisions.h"

extern bool mig_upgrade_is_at_heads(MigDirection direction, const char *target);

#endif							/* MIG_UPGRADE_H */
