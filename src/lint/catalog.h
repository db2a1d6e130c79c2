/*
 * catalog.h
 *		What the catalogs say of a relation that a plan meets.
 */
#ifndef MIG_CATALOG_H
#define MIG_CATALOG_H

#include "migrate.h"

#include "lint/world.h"

extern void mig_catalog_read(World *world, WorldRelation *relation);
extern bool mig_catalog_is_rebuilt(Oid index, AttrNumber column, Oid type);
extern bool mig_catalog_name_is_volatile(const char *name);

#endif							/* MIG_CATALOG_H */
