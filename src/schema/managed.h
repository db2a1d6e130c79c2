/*
 * managed.h
 *		Which schemas are compared.
 */
#ifndef MIG_MANAGED_H
#define MIG_MANAGED_H

#include "migrate.h"

#include "nodes/pg_list.h"
#include "store/scope.h"

extern List *mig_managed_read(const Scope *scope);
extern List *mig_managed_parse(const char *list);
extern void mig_managed_check_name(const char *name);
extern List *mig_managed_oids(List *names);

#endif							/* MIG_MANAGED_H */
