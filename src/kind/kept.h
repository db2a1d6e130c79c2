/*
 * kept.h
 *		Owners and privileges of what is dropped and made again, as statements.
 */
#ifndef MIG_KEPT_H
#define MIG_KEPT_H

#include "migrate.h"

#include "nodes/pg_list.h"

extern char *mig_kept_save(List *objects);
extern const char *mig_kept_restore(void);

#endif							/* MIG_KEPT_H */
