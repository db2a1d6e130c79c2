/*
 * graph.c
 *		The revision graph in memory: names, parents, closures, order.
 *
 * Pure computation over palloc'd memory; nothing here reads a table.  All
 * walks are iterative and bounded by the number of edges, so that a graph of
 * any depth is safe.  Whatever is wrong with a graph that was put into the
 * tables by hand is reported by mig_graph_index and mig_graph_link with
 * MG010; a Graph that came through both is acyclic and complete.
 *
 * The order: Kahn's algorithm, taking the revision with the least id (bytes)
 * among those whose parents and dependencies are all out.  It depends on
 * nothing but the graph.
 */
#include "migrate.h"

#include "common/hashfn.h"
#include "lib/binaryheap.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/revision.h"
#include "utils/memutils.h"

typedef struct NameEntry
{
	const char *name;			/* hash key: the string, not the pointer */
	int			node;
} NameEntry;

static uint32 name_hash(const void *key, Size keysize);
static int	name_match(const void *a, const void *b, Size keysize);
static int	compare_nodes(const void *a, const void *b);
static void add_name(Graph *graph, const char *name, int node, bool is_label);
static void link_parents(Graph *graph, int node);
static int *resolve_links(Graph *graph, int node, List *names, int *n);
static void link_children(Graph *graph);
static void append_link(GraphLinks *links, int to);
static void sort_topologically(Graph *graph);
static int	compare_ready(Datum a, Datum b, void *arg);
static void report_cycle(const Graph *graph, const int *waiting);
static Bitmapset *closure(const Graph *graph, const Bitmapset *from,
						  GraphEdges edges, bool upwards);

/*
 * Return a new, empty graph in the current memory context, which will also
 * hold all that is added to it.
 */
Graph *
mig_graph_create(void)
{
	Graph	   *graph = palloc0(sizeof(Graph));

	graph->size = 64;
	graph->nodes = palloc_extended(graph->size * sizeof(GraphNode),
								   MCXT_ALLOC_HUGE);
	return graph;
}

/*
 * Add a revision.  The strings and lists are kept, not copied; they must live
 * as long as the graph.
 */
void
mig_graph_add(Graph *graph, const char *revision, List *down_revisions,
			  List *depends_on, List *branch_labels)
{
	GraphNode  *node;

	if (graph->n == graph->size)
	{
		graph->size *= 2;
		graph->nodes = repalloc_huge(graph->nodes,
									 graph->size * sizeof(GraphNode));
	}
	node = &graph->nodes[graph->n++];
	memset(node, 0, sizeof(GraphNode));
	node->revision = revision;
	node->down_revisions = down_revisions;
	node->depends_on = depends_on;
	node->branch_labels = branch_labels;
}

/*
 * Number the nodes by id and make ids and labels findable.  Errors: MG010 for
 * a name that cannot be one, an id that is there twice, a label that another
 * revision uses as id or label.
 */
void
mig_graph_index(Graph *graph)
{
	HASHCTL		ctl;

	qsort(graph->nodes, graph->n, sizeof(GraphNode), compare_nodes);

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(char *);
	ctl.entrysize = sizeof(NameEntry);
	ctl.hash = name_hash;
	ctl.match = name_match;
	ctl.hcxt = CurrentMemoryContext;
	graph->names = hash_create("migrate revision names", Max(graph->n, 16),
							   &ctl, HASH_ELEM | HASH_FUNCTION | HASH_COMPARE |
							   HASH_CONTEXT);

	for (int i = 0; i < graph->n; i++)
		add_name(graph, graph->nodes[i].revision, i, false);
	for (int i = 0; i < graph->n; i++)
	{
		ListCell   *lc;

		foreach(lc, graph->nodes[i].branch_labels)
			add_name(graph, lfirst(lc), i, true);
	}
}

/*
 * Connect the nodes by their down_revisions and depends_on, which must hold
 * ids by now, and sort topologically.  Errors: MG010 for a missing parent or
 * dependency and for a cycle.
 */
void
mig_graph_link(Graph *graph)
{
	for (int i = 0; i < graph->n; i++)
		link_parents(graph, i);
	link_children(graph);
	sort_topologically(graph);
}

/*
 * Return the node whose id or label is exactly name; -1 when there is none.
 */
int
mig_graph_find(const Graph *graph, const char *name)
{
	NameEntry  *entry = hash_search(graph->names, &name, HASH_FIND, NULL);

	return entry ? entry->node : -1;
}

/*
 * Return the node whose id is exactly revision; -1 when there is none.
 */
int
mig_graph_find_id(const Graph *graph, const char *revision)
{
	int			node = mig_graph_find(graph, revision);

	if (node >= 0 && strcmp(graph->nodes[node].revision, revision) != 0)
		return -1;
	return node;
}

/*
 * Return the nodes in from and all below them.
 */
Bitmapset *
mig_graph_ancestors(const Graph *graph, const Bitmapset *from, GraphEdges edges)
{
	return closure(graph, from, edges, false);
}

/*
 * Return the nodes in from and all above them.
 */
Bitmapset *
mig_graph_descendants(const Graph *graph, const Bitmapset *from,
					  GraphEdges edges)
{
	return closure(graph, from, edges, true);
}

/*
 * Return the lineage of a node: itself, its ancestors and its descendants.
 */
Bitmapset *
mig_graph_lineage(const Graph *graph, int node, GraphEdges edges)
{
	Bitmapset  *self = bms_make_singleton(node);

	return bms_join(closure(graph, self, edges, false),
					closure(graph, self, edges, true));
}

/*
 * Nodes without a successor, by down revision or by both kinds of edges.
 */
Bitmapset *
mig_graph_heads(const Graph *graph, GraphEdges edges)
{
	Bitmapset  *heads = NULL;

	for (int i = 0; i < graph->n; i++)
		if (graph->nodes[i].child.n == 0 &&
			(edges == GRAPH_DOWN || graph->nodes[i].dependent.n == 0))
			heads = bms_add_member(heads, i);
	return heads;
}

/*
 * Nodes without a down revision.
 */
Bitmapset *
mig_graph_bases(const Graph *graph)
{
	Bitmapset  *bases = NULL;

	for (int i = 0; i < graph->n; i++)
		if (graph->nodes[i].down.n == 0)
			bases = bms_add_member(bases, i);
	return bases;
}

/*
 * Return the members of set that are no real ancestor of another member.
 */
Bitmapset *
mig_graph_maximal(const Graph *graph, const Bitmapset *set)
{
	Bitmapset  *parents = NULL;
	Bitmapset  *below;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
	{
		const GraphNode *node = &graph->nodes[i];

		for (int k = 0; k < node->down.n; k++)
			parents = bms_add_member(parents, node->down.to[k]);
		for (int k = 0; k < node->depends.n; k++)
			parents = bms_add_member(parents, node->depends.to[k]);
	}
	below = closure(graph, parents, GRAPH_REAL, false);
	return bms_difference(set, below);
}

/*
 * Return the ids of the members of set (const char *, the graph's own strings), in
 * byte order.
 */
List *
mig_graph_ids(const Graph *graph, const Bitmapset *set)
{
	List	   *ids = NIL;
	int			i = -1;

	while ((i = bms_next_member(set, i)) >= 0)
		ids = lappend(ids, unconstify(char *, graph->nodes[i].revision));
	return ids;
}

/*
 * Return the ids of a plan (node numbers) from its step number from up to, not
 * including, to (both from 0; what lies outside is left out): char *, the
 * graph's own strings, in the plan's order.
 */
List *
mig_graph_plan_ids(const Graph *graph, List *plan, int from, int to)
{
	List	   *ids = NIL;

	for (int i = from; i < to && i < list_length(plan); i++)
		ids = lappend(ids,
					  unconstify(char *,
								 graph->nodes[list_nth_int(plan, i)].revision));
	return ids;
}

/*
 * Return the ids that some links of a node lead to, likewise.
 */
List *
mig_graph_link_ids(const Graph *graph, const GraphLinks *links)
{
	List	   *ids = NIL;

	for (int k = 0; k < links->n; k++)
		ids = lappend(ids, unconstify(char *, graph->nodes[links->to[k]].revision));
	return ids;
}

/*
 * Return the hash of a key that is a pointer to a string; a dynahash callback.
 */
static uint32
name_hash(const void *key, Size keysize)
{
	const char *name = *(const char *const *) key;

	(void) keysize;
	return string_hash(name, strlen(name) + 1);
}

/*
 * Compare two such keys; a dynahash callback.
 */
static int
name_match(const void *a, const void *b, Size keysize)
{
	(void) keysize;
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/*
 * Compare two nodes by the bytes of their ids, for qsort.
 */
static int
compare_nodes(const void *a, const void *b)
{
	return strcmp(((const GraphNode *) a)->revision,
				  ((const GraphNode *) b)->revision);
}

/*
 * Enter a name, which must be well formed and free.
 */
static void
add_name(Graph *graph, const char *name, int node, bool is_label)
{
	const char *fault = mig_revision_name_fault(name);
	NameEntry  *entry;
	bool		found;

	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BROKEN_GRAPH),
				 is_label ?
				 errmsg("branch label \"%s\" of revision \"%s\" %s", mig_revision_clip(name),
						graph->nodes[node].revision, fault) :
				 errmsg("revision identifier \"%s\" %s", mig_revision_clip(name), fault)));

	entry = hash_search(graph->names, &name, HASH_ENTER, &found);
	if (found && !is_label)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BROKEN_GRAPH),
				 errmsg("revision \"%s\" is present more than once", name)));
	if (found)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BROKEN_GRAPH),
				 errmsg("branch label \"%s\" of revision \"%s\" is already used by revision \"%s\"",
						name, graph->nodes[node].revision,
						graph->nodes[entry->node].revision)));
	entry->node = node;
}

/*
 * Fill in down and depends of one node.  A dependency that is a down revision
 * too is one edge, the down revision.
 */
static void
link_parents(Graph *graph, int node)
{
	GraphNode  *self = &graph->nodes[node];
	int		   *depends;
	int			ndepends;

	self->down.to = resolve_links(graph, node, self->down_revisions,
								  &self->down.n);
	depends = resolve_links(graph, node, self->depends_on, &ndepends);
	self->depends.to = depends;
	for (int i = 0; i < ndepends; i++)
	{
		bool		is_down = false;

		for (int k = 0; k < self->down.n; k++)
			is_down |= (self->down.to[k] == depends[i]);
		if (!is_down)
			self->depends.to[self->depends.n++] = depends[i];
	}
}

/*
 * Return node numbers of names, each once, in a new array.
 */
static int *
resolve_links(Graph *graph, int node, List *names, int *n)
{
	int		   *links = names ? palloc(list_length(names) * sizeof(int)) : NULL;
	ListCell   *lc;

	*n = 0;
	foreach(lc, names)
	{
		int			parent = mig_graph_find_id(graph, lfirst(lc));
		bool		seen = false;

		if (parent < 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BROKEN_GRAPH),
					 errmsg("revision \"%s\", which revision \"%s\" refers to, is not present",
							(char *) lfirst(lc), graph->nodes[node].revision)));
		for (int k = 0; k < *n; k++)
			seen |= (links[k] == parent);
		if (!seen)
			links[(*n)++] = parent;
	}
	return links;
}

/*
 * Fill in child and dependent of all nodes.
 */
static void
link_children(Graph *graph)
{
	for (int i = 0; i < graph->n; i++)
	{
		GraphNode  *node = &graph->nodes[i];

		for (int k = 0; k < node->down.n; k++)
			append_link(&graph->nodes[node->down.to[k]].child, i);
		for (int k = 0; k < node->depends.n; k++)
			append_link(&graph->nodes[node->depends.to[k]].dependent, i);
	}
}

/*
 * Append to an array whose allocation is the next power of two of its length.
 */
static void
append_link(GraphLinks *links, int to)
{
	if (links->n == 0)
		links->to = palloc(sizeof(int));
	else if ((links->n & (links->n - 1)) == 0)
		links->to = repalloc(links->to, 2 * links->n * sizeof(int));
	links->to[links->n++] = to;
}

/*
 * Set order and rank; MG010 when a cycle leaves nodes over.
 */
static void
sort_topologically(Graph *graph)
{
	int		   *waiting = palloc((graph->n + 1) * sizeof(int));
	binaryheap *ready = binaryheap_allocate(Max(graph->n, 1), compare_ready, NULL);
	int			done = 0;

	graph->order = palloc((graph->n + 1) * sizeof(int));
	for (int i = 0; i < graph->n; i++)
	{
		waiting[i] = graph->nodes[i].down.n + graph->nodes[i].depends.n;
		if (waiting[i] == 0)
			binaryheap_add_unordered(ready, Int32GetDatum(i));
	}
	binaryheap_build(ready);

	while (!binaryheap_empty(ready))
	{
		int			next = DatumGetInt32(binaryheap_remove_first(ready));
		GraphNode  *node = &graph->nodes[next];

		node->rank = done;
		graph->order[done++] = next;
		for (int k = 0; k < node->child.n; k++)
			if (--waiting[node->child.to[k]] == 0)
				binaryheap_add(ready, Int32GetDatum(node->child.to[k]));
		for (int k = 0; k < node->dependent.n; k++)
			if (--waiting[node->dependent.to[k]] == 0)
				binaryheap_add(ready, Int32GetDatum(node->dependent.to[k]));
	}
	if (done < graph->n)
		report_cycle(graph, waiting);
	binaryheap_free(ready);
	pfree(waiting);
}

/*
 * Compare two nodes for the heap. Its root is the greatest, so the order is
 * reversed.
 */
static int
compare_ready(Datum a, Datum b, void *arg)
{
	(void) arg;
	return DatumGetInt32(b) - DatumGetInt32(a);
}

/*
 * Report one cycle.  Every node that still waits has a parent that waits, so
 * going from parent to parent must come to a node twice.
 */
static void
report_cycle(const Graph *graph, const int *waiting)
{
	Bitmapset  *path = NULL;
	Bitmapset  *cycle = NULL;
	int			at = 0;

	while (waiting[at] == 0)
		at++;
	for (;;)
	{
		const GraphNode *node = &graph->nodes[at];
		int			next = -1;

		if (bms_is_member(at, cycle))
			break;
		if (bms_is_member(at, path))
			cycle = bms_add_member(cycle, at);
		path = bms_add_member(path, at);
		for (int k = 0; k < node->down.n && next < 0; k++)
			if (waiting[node->down.to[k]] > 0)
				next = node->down.to[k];
		for (int k = 0; k < node->depends.n && next < 0; k++)
			if (waiting[node->depends.to[k]] > 0)
				next = node->depends.to[k];
		at = next;
	}
	ereport(ERROR,
			(errcode(ERRCODE_MIG_BROKEN_GRAPH),
			 errmsg("cycle detected in revisions (%s)",
					mig_ids_quote(mig_graph_ids(graph, cycle)))));
}

/*
 * Return the nodes in from and all that can be reached from them in one
 * direction.
 */
static Bitmapset *
closure(const Graph *graph, const Bitmapset *from, GraphEdges edges,
		bool upwards)
{
	Bitmapset  *seen = bms_copy(from);
	int		   *stack = palloc((graph->n + 1) * sizeof(int));
	int			depth = 0;
	int			i = -1;

	while ((i = bms_next_member(from, i)) >= 0)
		stack[depth++] = i;
	while (depth > 0)
	{
		const GraphNode *node = &graph->nodes[stack[--depth]];
		const GraphLinks *links[2];
		int			nkinds = (edges == GRAPH_REAL) ? 2 : 1;

		links[0] = upwards ? &node->child : &node->down;
		links[1] = upwards ? &node->dependent : &node->depends;
		for (int kind = 0; kind < nkinds; kind++)
			for (int k = 0; k < links[kind]->n; k++)
			{
				int			to = links[kind]->to[k];

				if (bms_is_member(to, seen))
					continue;
				seen = bms_add_member(seen, to);
				stack[depth++] = to;
			}
	}
	pfree(stack);
	return seen;
}
