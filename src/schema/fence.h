/*
 * fence.h
 *		What the scripts of revisions may change in a scratch: the managed schemas.
 */
#ifndef MIG_FENCE_H
#define MIG_FENCE_H

#include "migrate.h"

#include "nodes/nodes.h"
#include "nodes/pg_list.h"

extern void mig_fence_begin(List *schemas);
extern void mig_fence_end(void);
extern void mig_fence_check(Node *stmt);
extern bool mig_fence_has_refused(void);
extern List *mig_fence_new_schemas(void);

#endif							/* MIG_FENCE_H */
