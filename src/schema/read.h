/*
 * read.h
 *		Reading the objects of schemas from the catalogs.
 */
#ifndef MIG_READ_H
#define MIG_READ_H

#include "migrate.h"

#include "kind/objects.h"

extern Schema *mig_read_schema(List *names, List *oids, bool rights);
extern Schema *mig_read_database(List *names, List *oids);
extern void mig_read_uses(Schema *schema);

#endif							/* MIG_READ_H */
