/*
 * order.h
 *		The order of actions.
 */
#ifndef MIG_ORDER_H
#define MIG_ORDER_H

#include "migrate.h"

#include "kind/writer.h"

extern List *mig_order_actions(Writer *writer, const Schema *schema);

#endif							/* MIG_ORDER_H */
