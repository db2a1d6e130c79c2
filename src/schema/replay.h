/*
 * replay.h
 *		The upgrade scripts of revisions, run again in the scratch.
 */
#ifndef MIG_REPLAY_H
#define MIG_REPLAY_H

#include "migrate.h"

#include "kind/objects.h"
#include "nodes/pg_list.h"
#include "revision/graph.h"
#include "schema/mend.h"
#include "schema/scratch.h"

/* What is run again. */
typedef struct Replay
{
	List	   *scripts;		/* StoredScript *, in the order of a plan */
	bool		looks;			/* one of them looks into the catalogs */
	bool		asks;			/* one of them asks the catalogs for publications */
	bool		gives;			/* one of them changes default privileges */
	char	   *tables;			/* DDL of the tables of other migration tools; NULL:
								 * none */
	const char *function;		/* who needs it, for errors */
} Replay;

extern Replay *mig_replay_read(const Schema *live, const char *function);
extern Replay *mig_replay_read_some(const Schema *live, const Graph *graph,
									const Bitmapset *revisions, const char *function);
extern Replay *mig_replay_prepare(const Schema *live, List *scripts, const char *function);
extern ScratchOptions mig_replay_options(const Replay *replay, List *schemas, bool rights);
extern void mig_replay_begin(const Replay *replay, List *schemas, DeclareNotes *notes);
extern void mig_replay_run(const Replay *replay, int from, int to, DeclareNotes *notes);

#endif							/* MIG_REPLAY_H */
