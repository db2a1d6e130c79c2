/*
 * draw.h
 *		The revision graph to look at: lines in a terminal, Graphviz, Mermaid.
 *
 * Pure: works on what it is given.  The lines (char *) are palloc'd in the
 * current memory context.
 */
#ifndef MIG_DRAW_H
#define MIG_DRAW_H

#include "migrate.h"

#include "revision/graph.h"

/* What is drawn. */
typedef struct DrawInput
{
	const Graph *graph;
	const Bitmapset *current;	/* the version rows */
	const Bitmapset *applied;
	char	  **messages;		/* by node number */
} DrawInput;

extern List *mig_draw_text(const DrawInput *input);
extern List *mig_draw_dot(const DrawInput *input);
extern List *mig_draw_mermaid(const DrawInput *input);

#endif							/* MIG_DRAW_H */
