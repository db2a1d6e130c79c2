/*
 * online.h
 *		Statements that do not block a table for long.
 */
#ifndef MIG_ONLINE_H
#define MIG_ONLINE_H

#include "migrate.h"

#include "kind/objects.h"

extern List *mig_online_actions(List *actions, const Schema *from, const Schema *to);

#endif							/* MIG_ONLINE_H */
