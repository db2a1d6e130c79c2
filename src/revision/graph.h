/*
 * graph.h
 *		The revision graph in memory.
 *
 * A graph is built with mig_graph_create, mig_graph_add for each revision,
 * mig_graph_index and mig_graph_link; after that it does not change.  Nodes
 * are numbered from 0 in the byte order of their ids, so that everything that
 * walks node sets in ascending order gives the same answer on every server.
 * Sets of nodes are Bitmapsets.
 */
#ifndef MIG_GRAPH_H
#define MIG_GRAPH_H

#include "migrate.h"

#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"

/* What counts as a parent. */
typedef enum GraphEdges
{
	GRAPH_DOWN,					/* down revisions only */
	GRAPH_REAL					/* down revisions and dependencies */
} GraphEdges;

/* A short array of node numbers. */
typedef struct GraphLinks
{
	int			n;
	int		   *to;
} GraphLinks;

typedef struct GraphNode
{
	const char *revision;
	List	   *down_revisions; /* of char *; resolved ids before linking */
	List	   *depends_on;		/* of char *, likewise */
	List	   *branch_labels;	/* of char *, as declared on this revision */
	GraphLinks	down;			/* parents by down revision, in their order */
	GraphLinks	depends;		/* dependencies that are not also in down */
	GraphLinks	child;			/* inverse of down, ascending */
	GraphLinks	dependent;		/* inverse of depends, ascending */
	int			rank;			/* place in the topological order, from 0 */
} GraphNode;

typedef struct Graph
{
	int			n;				/* number of nodes */
	int			size;			/* allocated nodes */
	GraphNode  *nodes;
	int		   *order;			/* node numbers, parents before children */
	HTAB	   *names;			/* id or label to node number */
	uint64		changes;		/* for store/revisions: when it was read */
} Graph;

extern Graph *mig_graph_create(void);
extern void mig_graph_add(Graph *graph, const char *revision,
						  List *down_revisions, List *depends_on,
						  List *branch_labels);
extern void mig_graph_index(Graph *graph);
extern void mig_graph_link(Graph *graph);

extern int	mig_graph_find(const Graph *graph, const char *name);
extern int	mig_graph_find_id(const Graph *graph, const char *revision);

extern Bitmapset *mig_graph_ancestors(const Graph *graph, const Bitmapset *from,
									  GraphEdges edges);
extern Bitmapset *mig_graph_descendants(const Graph *graph,
										const Bitmapset *from, GraphEdges edges);
extern Bitmapset *mig_graph_lineage(const Graph *graph, int node,
									GraphEdges edges);
extern Bitmapset *mig_graph_heads(const Graph *graph, GraphEdges edges);
extern Bitmapset *mig_graph_bases(const Graph *graph);
extern Bitmapset *mig_graph_maximal(const Graph *graph, const Bitmapset *set);
extern List *mig_graph_ids(const Graph *graph, const Bitmapset *set);
extern List *mig_graph_plan_ids(const Graph *graph, List *plan, int from, int to);
extern List *mig_graph_link_ids(const Graph *graph, const GraphLinks *links);

#endif							/* MIG_GRAPH_H */
