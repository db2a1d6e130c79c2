/*
 * scratch.h
 *		The scratch: empty twins of schemas, in a subtransaction that is rolled back.
 */
#ifndef MIG_SCRATCH_H
#define MIG_SCRATCH_H

#include "migrate.h"

#include "nodes/pg_list.h"

typedef struct ScratchOptions
{
	List	   *schemas;		/* char *: names of the managed schemas, each once */
	bool		hide;			/* hide live objects from look-ups in the catalogs
								 * too: for replays of revisions only */
	bool		is_replay;		/* of scripts that have run before */
	bool		hide_publications;	/* from look-ups in the catalogs */
	bool		keep_default_privileges;	/* for most replays; a model begins without */
	bool		new_rights;		/* schemas have the privileges of new ones, not their
								 * live ones */
	const char *function;		/* who needs it, "migrate.compare()", for errors; NULL:
								 * "a comparison of schemas" */
} ScratchOptions;

typedef struct Scratch
{
	List	   *live;			/* Oid of each managed schema, InvalidOid if it does not
								 * exist */
	List	   *twins;			/* Oid of its empty twin, InvalidOid where there is no
								 * live one */
} Scratch;

extern void mig_scratch_run(const ScratchOptions *options,
							void (*body) (Scratch *scratch, void *argument),
							void *argument);

#endif							/* MIG_SCRATCH_H */
