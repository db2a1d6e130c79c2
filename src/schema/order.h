/*
 * order.h
 *		The order of actions.
 */
#ifndef MIG_ORDER_H
#define MIG_ORDER_H

#include "migrate.h"

#include "kind/writer.h"

/* What actions make of what. */
typedef struct OrderedChange
{
	const Schema *from;			/* NULL: of nothing */
	const Schema *to;
	SchemaObject **roots;		/* of each object of from, the one with which it is
								 * dropped, which can be itself; NULL: it is not dropped */
} OrderedChange;

extern List *mig_order_actions(Writer *writer, const OrderedChange *change, char **circle);

#endif							/* MIG_ORDER_H */
