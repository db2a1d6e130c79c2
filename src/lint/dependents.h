/*
 * dependents.h
 *		What depends on an object of the catalogs.
 */
#ifndef MIG_DEPENDENTS_H
#define MIG_DEPENDENTS_H

#include "migrate.h"

#include "lint/world.h"

extern List *mig_dependents_dropped(World *world, Oid catalog, Oid object, int part);
extern List *mig_dependents_users(World *world, Oid table, AttrNumber column);
extern List *mig_dependents_referring(World *world, const WorldRelation *table,
									  const WorldColumn *column);
extern List *mig_dependents_domain_tables(Oid type);

#endif							/* MIG_DEPENDENTS_H */
