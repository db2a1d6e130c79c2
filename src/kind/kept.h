/*
 * kept.h
 *		Owners and privileges of what is dropped and made again, as statements.
 */
#ifndef MIG_KEPT_H
#define MIG_KEPT_H

#include "migrate.h"

#include "nodes/pg_list.h"

/* A sequence that another takes the place of. */
typedef struct KeptSequence
{
	const char *from;			/* qualified */
	const char *to;				/* likewise */
} KeptSequence;

extern char *mig_kept_save(List *objects, List *sequences);
extern const char *mig_kept_restore(void);

#endif							/* MIG_KEPT_H */
