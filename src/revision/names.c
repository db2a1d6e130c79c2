/*
 * names.c
 *		What revisions of a graph are called: prefixes, branch labels, new ids.
 */
#include "migrate.h"

#include "mb/pg_wchar.h"
#include "pgtime.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/names.h"
#include "utils/timestamp.h"

/* Fewest letters of a name that a prefix can stand for. */
#define MIN_ABBREVIATED 4

#define RANDOM_ID_BYTES 6
#define SERIAL_ID_DIGITS 4

static bool is_abbreviated(const char *name, const char *prefix, size_t len);
static bool spreads_down_to(const Graph *graph, int from, int node);
static bool is_junction(const GraphNode *node);
static char *random_id(const Graph *graph);
static char *serial_id(const Graph *graph, List *used);
static char *next_number(const char *number, int width);
static bool is_number(const char *id);
static int	compare_cells(const ListCell *a, const ListCell *b);
static int	compare_numbers(const char *a, const char *b);
static char *timestamp_id(const Graph *graph);

/*
 * Return ids and labels (char *) that begin with prefix, of the nodes in
 * within (NULL: all). As in Alembic, only names of more than three letters can
 * be abbreviated.
 */
List *
mig_names_with_prefix(const Graph *graph, const char *prefix,
					  const Bitmapset *within)
{
	List	   *found = NIL;
	size_t		len = strlen(prefix);

	for (int i = 0; i < graph->n; i++)
	{
		const GraphNode *node = &graph->nodes[i];
		ListCell   *lc;

		if (within != NULL && !bms_is_member(i, within))
			continue;
		if (is_abbreviated(node->revision, prefix, len))
			found = lappend(found, unconstify(char *, node->revision));
		foreach(lc, node->branch_labels)
			if (is_abbreviated(lfirst(lc), prefix, len))
				found = lappend(found, lfirst(lc));
	}
	return found;
}

/*
 * Return whether a name begins with a prefix of len bytes and may be
 * abbreviated.
 */
static bool
is_abbreviated(const char *name, const char *prefix, size_t len)
{
	return strncmp(name, prefix, len) == 0 &&
		pg_mbstrlen(name) >= MIN_ABBREVIATED;
}

/*
 * Return the branch labels (char *, the graph's own strings) that a node
 * bears, in byte order. As in Alembic, a label spreads up to all descendants
 * by down revision of the revision that declares it; and where neither that
 * one nor a descendant is a branch or merge point, down to, and not including,
 * the first that is.
 */
List *
mig_names_labels(const Graph *graph, int node)
{
	Bitmapset  *self = bms_make_singleton(node);
	Bitmapset  *below = mig_graph_ancestors(graph, self, GRAPH_DOWN);
	List	   *labels = NIL;

	for (int i = 0; i < graph->n; i++)
		if (graph->nodes[i].branch_labels != NIL &&
			(bms_is_member(i, below) || spreads_down_to(graph, i, node)))
			labels = list_concat(labels, graph->nodes[i].branch_labels);
	mig_ids_sort(labels);
	return labels;
}

/*
 * Return whether a label of from spreads to node, which is below it.
 */
static bool
spreads_down_to(const Graph *graph, int from, int node)
{
	int			at = from;

	/* up: without a branch there is one child at most */
	while (!is_junction(&graph->nodes[at]) && graph->nodes[at].child.n > 0)
		at = graph->nodes[at].child.to[0];
	if (is_junction(&graph->nodes[at]))
		return false;
	at = from;
	while (!is_junction(&graph->nodes[at]) && at != node && graph->nodes[at].down.n > 0)
		at = graph->nodes[at].down.to[0];
	return at == node && !is_junction(&graph->nodes[at]);
}

/*
 * Return a branch point, where a dependent counts too, or a merge point.
 */
static bool
is_junction(const GraphNode *node)
{
	return node->child.n + node->dependent.n > 1 || node->down.n > 1;
}

/*
 * Return whether scheme, the setting revision_ids or NULL, is that of numbers.
 */
bool
mig_names_are_serial(const char *scheme)
{
	return scheme != NULL && strcmp(scheme, "serial") == 0;
}

/*
 * Return an id for a new revision, by the setting revision_ids; scheme NULL is
 * its default.  A number is none of used, ids (char *) of revisions that there
 * were; the list is sorted.
 */
char *
mig_names_new_id(const Graph *graph, const char *scheme, List *used)
{
	if (mig_names_are_serial(scheme))
		return serial_id(graph, used);
	if (scheme != NULL && strcmp(scheme, "timestamp") == 0)
		return timestamp_id(graph);
	return random_id(graph);
}

/*
 * MG010 when the id or a label of a new revision is taken.  The graph would
 * find it too, but might blame the revision that has it.
 */
void
mig_names_check_free(const Graph *graph, const Revision *rev)
{
	int			node = mig_graph_find(graph, rev->revision);
	ListCell   *lc;

	if (node >= 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BROKEN_GRAPH),
				 strcmp(graph->nodes[node].revision, rev->revision) == 0 ?
				 errmsg("revision \"%s\" is already present", rev->revision) :
				 errmsg("revision identifier \"%s\" is already used as branch label of revision \"%s\"",
						rev->revision, graph->nodes[node].revision)));
	foreach(lc, rev->branch_labels)
	{
		const char *label = lfirst(lc);

		node = mig_graph_find(graph, label);
		if (node >= 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BROKEN_GRAPH),
					 errmsg("branch label \"%s\" is already used by revision \"%s\"",
							label, graph->nodes[node].revision)));
		if (strcmp(label, rev->revision) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BROKEN_GRAPH),
					 errmsg("branch label \"%s\" is the identifier of its own revision",
							label)));
	}
}

/*
 * 12 hexadecimal digits that no revision has.
 */
static char *
random_id(const Graph *graph)
{
	unsigned char bytes[RANDOM_ID_BYTES];
	char	   *id = palloc(2 * RANDOM_ID_BYTES + 1);

	do
	{
		if (!pg_strong_random(bytes, RANDOM_ID_BYTES))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		for (int i = 0; i < RANDOM_ID_BYTES; i++)
			snprintf(id + 2 * i, 3, "%02x", bytes[i]);
	} while (mig_graph_find(graph, id) >= 0);
	return id;
}

/*
 * One more than the greatest id that is a decimal number, of any length, with
 * at least SERIAL_ID_DIGITS digits and as many as that id; or the first number
 * after it that is none of used.
 */
static char *
serial_id(const Graph *graph, List *used)
{
	const char *greatest = "0";
	int			width = SERIAL_ID_DIGITS;
	char	   *next;
	ListCell   *lc;

	for (int i = 0; i < graph->n; i++)
	{
		const char *id = graph->nodes[i].revision;

		if (!is_number(id) || compare_numbers(id, greatest) < 0)
			continue;
		greatest = id;
		width = Max(SERIAL_ID_DIGITS, (int) strlen(id));
	}
	next = next_number(greatest, width);

	list_sort(used, compare_cells);
	foreach(lc, used)
		if (is_number(lfirst(lc)) && compare_numbers(lfirst(lc), next) == 0)
			next = next_number(next, strlen(next));
	return next;
}

/*
 * Return whether an id is a decimal number.
 */
static bool
is_number(const char *id)
{
	return strspn(id, "0123456789") == strlen(id);
}

/*
 * Return one more than a decimal number, with at least width digits.
 */
static char *
next_number(const char *number, int width)
{
	int			len = strlen(number);
	char	   *next = palloc(width + 2);	/* with room for a carry in front */
	int			i;

	memset(next, '0', width + 1);
	next[width + 1] = '\0';
	memcpy(next + width + 1 - len, number, len);
	for (i = width; next[i] == '9'; i--)
		next[i] = '0';
	next[i]++;
	return next[0] == '0' ? next + 1 : next;
}

/*
 * Compare two ids as numbers, for list_sort.  Where others than numbers are does
 * not matter.
 */
static int
compare_cells(const ListCell *a, const ListCell *b)
{
	return compare_numbers(lfirst(a), lfirst(b));
}

/*
 * Compare two strings of decimal digits as numbers.
 */
static int
compare_numbers(const char *a, const char *b)
{
	size_t		la;
	size_t		lb;

	a += strspn(a, "0");
	b += strspn(b, "0");
	la = strlen(a);
	lb = strlen(b);
	return la == lb ? strcmp(a, b) : (la < lb ? -1 : 1);
}

/*
 * Return the time in UTC as YYYYMMDDHHMMSS, or the next second that is free.
 */
static char *
timestamp_id(const Graph *graph)
{
	pg_time_t	now = timestamptz_to_time_t(GetCurrentTimestamp());
	char	   *id = palloc(16);

	do
	{
		pg_strftime(id, 16, "%Y%m%d%H%M%S", pg_gmtime(&now));
		now++;
	} while (mig_graph_find(graph, id) >= 0);
	return id;
}
