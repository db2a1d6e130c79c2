/*
 * hide.h
 *		Live objects hidden from scripts that look into the catalogs.
 */
#ifndef MIG_HIDE_H
#define MIG_HIDE_H

#include "migrate.h"

#include "catalog/objectaddress.h"
#include "nodes/pg_list.h"

extern void mig_hide_live(List *live);
extern void mig_hide_object(const ObjectAddress *object);
extern void mig_hide_default(Oid operator_class);

#endif							/* MIG_HIDE_H */
