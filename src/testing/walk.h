/*
 * walk.h
 *		Revisions moved up and down, one by one, in a scratch.
 */
#ifndef MIG_WALK_H
#define MIG_WALK_H

#include "migrate.h"

#include "kind/objects.h"
#include "revision/graph.h"
#include "schema/differ.h"
#include "schema/replay.h"
#include "store/revisions.h"
#include "store/test_data.h"
#include "testing/fault.h"

/* A revision of a walk. */
typedef struct WalkStep
{
	int			node;
	const char *revision;
	const char *message;
	const StoredScript *scripts[2]; /* by direction; that of a downgrade can be
									 * missing */
	const TestData *data;		/* rows for it; NULL: none */
	bool		is_left_out;	/* its scripts are not run */
} WalkStep;

/* A walk. */
typedef struct Walk
{
	const Project *project;
	const Graph *graph;
	List	   *steps;			/* WalkStep *, of all revisions, in the order of a plan */
	Replay	   *replay;			/* of all scripts */
	MemoryContext context;		/* of what outlives the scratch */
	DeclareNotes *notes;		/* in the scratch */
	void		(*body) (struct Walk *walk);
	void	   *argument;		/* of body */
} Walk;

extern Walk *mig_walk_read(const Project *project, const Graph *graph,
						   const Bitmapset *left_out);
extern void mig_walk_run(Walk *walk, void (*body) (Walk *walk), void *argument);
extern Fault *mig_walk_move(Walk *walk, const WalkStep *step, MigDirection direction);
extern Fault *mig_walk_try_back(Walk *walk, const WalkStep *step,
								void (*look) (Walk *walk, void *argument), void *argument);
extern Schema *mig_walk_look(const Walk *walk);
extern char *mig_walk_plain_form(const WalkStep *step, MigDirection direction);

#endif							/* MIG_WALK_H */
