/*
 * draw.c
 *		The revision graph to look at: lines in a terminal, Graphviz, Mermaid.
 *
 * The text is a picture as "git log --graph" draws it.  A lane is a vertical
 * line that leads down to a revision which is not drawn yet.  Between two
 * revisions lane i stands in column i, and no two lanes lead to the same one;
 * a column takes two characters.  A revision is drawn in these steps:
 *
 * 1. spread: where three or more parents need room, the lanes to the right
 *	  make way, one column a line;
 * 2. the line of the revision itself, in the column of its lane, or of a new
 *	  lane on the right when it has no children;
 * 3. branch_out: its lane becomes one lane for each parent;
 * 4. close_up: lanes to the same revision become one, the left of them, and
 *	  gaps are closed.  Every lane that has to go left moves one column a
 *	  line; only the first of them may go far in one line, "_|_|/".
 *
 * A lane on its way to the left crosses those that stay: it meets another at
 * the end of a line and continues as "/" in the next, while the other continues
 * as "|".  So the picture can be read back; test/t/draw.t does.
 */
#include "migrate.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "revision/draw.h"
#include "script/excerpt.h"

/* A line that leads down to a revision. */
typedef struct Lane
{
	int			node;
	int			column;
	int			target;			/* column to go to while lanes close up */
} Lane;

/* A text picture under way. */
typedef struct TextPicture
{
	const DrawInput *input;
	Lane	   *lanes;			/* from left to right */
	int			nlanes;
	int		   *targets;		/* by node number; -1 when close_up is not at
								 * work */
	int			base_column;	/* where the last line shows a base, when no
								 * line of connectors is under it; else -1 */
	List	   *lines;
} TextPicture;

static int *drawing_order(const Graph *graph);
static int	release(const GraphLinks *links, int *waiting, int *stack, int depth);
static void draw_revision(TextPicture *picture, int node);
static int	find_lane(const TextPicture *picture, int node);
static void open_lane(TextPicture *picture, int node);
static void put_gap(TextPicture *picture);
static void spread(TextPicture *picture, int column, int by);
static void put_revision(TextPicture *picture, int column, int node);
static void branch_out(TextPicture *picture, int column, const GraphLinks *parents);
static void put_branches(TextPicture *picture, int column, int n);
static void close_up(TextPicture *picture);
static bool choose_targets(TextPicture *picture);
static bool move_left(TextPicture *picture);
static void merge_lanes(TextPicture *picture);
static char *blank_line(const TextPicture *picture, int more);
static void put_line(TextPicture *picture, char *line);
static void put_text(TextPicture *picture, char *line, const char *text);
static char *describe(const DrawInput *input, int node);
static void append_marks(StringInfo buf, const DrawInput *input, int node);
static void append_names(StringInfo buf, const char *before, List *names);
static char *dot_quote(const char *id);
static void dot_node(StringInfo buf, const DrawInput *input, int node);
static void dot_label(StringInfo buf, const char *text);
static void mermaid_label(StringInfo buf, const char *text);
static List *mermaid_classes(List *lines, const DrawInput *input);
static List *put_edges(List *lines, const Graph *graph, int node,
					   char *(*edge) (const Graph *, int, int, bool));
static char *dot_edge(const Graph *graph, int from, int to, bool depends);
static char *mermaid_edge(const Graph *graph, int from, int to, bool depends);

/*
 * Lines for a terminal, newest first: "*" is a revision that is applied, "o"
 * one that is not.  Dependencies are named, not drawn.
 */
List *
mig_draw_text(const DrawInput *input)
{
	int			n = input->graph->n;
	int		   *order = drawing_order(input->graph);
	TextPicture picture = {input, NULL, 0, NULL, -1, NIL};

	/* Lanes lead to different nodes, but for those of the last parents. */
	picture.lanes = palloc_extended((2 * n + 1) * sizeof(Lane), MCXT_ALLOC_HUGE);
	picture.targets = palloc((n + 1) * sizeof(int));
	for (int i = 0; i < n; i++)
		picture.targets[i] = -1;
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		draw_revision(&picture, order[i]);
	}
	return picture.lines;
}

/*
 * Return a graph in the language of Graphviz, with the newest on top.
 * Dependencies are dashed.
 */
List *
mig_draw_dot(const DrawInput *input)
{
	const Graph *graph = input->graph;
	List	   *lines = NIL;

	lines = lappend(lines, pstrdup("digraph migrate {"));
	lines = lappend(lines, pstrdup("\trankdir=BT;"));
	lines = lappend(lines,
					pstrdup("\tnode [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"Helvetica\"];"));
	for (int i = 0; i < graph->n; i++)
	{
		StringInfoData buf;

		initStringInfo(&buf);
		dot_node(&buf, input, graph->order[i]);
		lines = lappend(lines, buf.data);
	}
	for (int i = 0; i < graph->n; i++)
		lines = put_edges(lines, graph, graph->order[i], dot_edge);
	return lappend(lines, pstrdup("}"));
}

/*
 * Return a flowchart in the language of Mermaid, which goes up. Dependencies
 * are dotted. Nodes have names of our own, n0, n1 and so on: what Mermaid
 * takes as a name is narrower than what an id can be.
 */
List *
mig_draw_mermaid(const DrawInput *input)
{
	const Graph *graph = input->graph;
	List	   *lines = list_make1(pstrdup("flowchart BT"));

	for (int i = 0; i < graph->n; i++)
	{
		int			node = graph->order[i];
		StringInfoData title;
		StringInfoData buf;

		initStringInfo(&title);
		append_marks(&title, input, node);
		initStringInfo(&buf);
		appendStringInfo(&buf, "    n%d[\"", node);
		mermaid_label(&buf, title.data);
		appendStringInfoString(&buf, "<br/>");
		mermaid_label(&buf, mig_excerpt_line(input->messages[node]));
		appendStringInfoString(&buf, "\"]");
		lines = lappend(lines, buf.data);
	}
	for (int i = 0; i < graph->n; i++)
		lines = put_edges(lines, graph, graph->order[i], mermaid_edge);
	return mermaid_classes(lines, input);
}

/* ---------------------------------------------------------------- order ---- */

/*
 * Return node numbers in the order in which the text shows them: children and
 * dependents before parents and dependencies, and each branch in one piece as
 * far as that goes. The last parent's branch comes before the first's, whose
 * lane goes straight down.
 */
static int *
drawing_order(const Graph *graph)
{
	int		   *order = palloc((graph->n + 1) * sizeof(int));
	int		   *stack = palloc((graph->n + 1) * sizeof(int));
	int		   *waiting = palloc((graph->n + 1) * sizeof(int));
	int			depth = 0;
	int			done = 0;

	for (int i = 0; i < graph->n; i++)
	{
		int			node = graph->order[i];

		waiting[node] = graph->nodes[node].child.n + graph->nodes[node].dependent.n;
		if (waiting[node] == 0)
			stack[depth++] = node;
	}
	while (depth > 0)
	{
		int			node = stack[--depth];

		order[done++] = node;
		depth = release(&graph->nodes[node].depends, waiting, stack, depth);
		depth = release(&graph->nodes[node].down, waiting, stack, depth);
	}
	return order;
}

/*
 * One less to wait for at the other end of links; one that waits no more goes
 * on the stack.  Returns its depth.
 */
static int
release(const GraphLinks *links, int *waiting, int *stack, int depth)
{
	for (int k = 0; k < links->n; k++)
		if (--waiting[links->to[k]] == 0)
			stack[depth++] = links->to[k];
	return depth;
}

/* ----------------------------------------------------------------- text ---- */

/*
 * Draw the line of a revision, and the lines of edges that lead to it.
 */
static void
draw_revision(TextPicture *picture, int node)
{
	const GraphLinks *parents = &picture->input->graph->nodes[node].down;
	int			column = find_lane(picture, node);
	int			last = column + Max(parents->n - 2, 0);

	/* directly under a base it would look like that one's parent */
	if (picture->base_column >= column && picture->base_column <= last)
		put_gap(picture);
	if (column == picture->nlanes)
		open_lane(picture, node);
	spread(picture, column, parents->n - 2);
	put_revision(picture, column, node);
	branch_out(picture, column, parents);
	close_up(picture);
	/* with lanes to its right there are connectors now */
	picture->base_column = parents->n == 0 && column == picture->nlanes ? column : -1;
}

/*
 * Column of the lane that leads to node; when there is none, that of a new
 * lane on the right.
 */
static int
find_lane(const TextPicture *picture, int node)
{
	int			column = 0;

	while (column < picture->nlanes && picture->lanes[column].node != node)
		column++;
	return column;
}

/*
 * A new lane on the right.
 */
static void
open_lane(TextPicture *picture, int node)
{
	picture->lanes[picture->nlanes].node = node;
	picture->lanes[picture->nlanes].column = picture->nlanes;
	picture->nlanes++;
}

/*
 * A line that shows nothing but the lanes.
 */
static void
put_gap(TextPicture *picture)
{
	char	   *line = blank_line(picture, 0);

	for (int i = 0; i < picture->nlanes; i++)
		line[2 * i] = '|';
	put_line(picture, line);
}

/*
 * Move the lanes to the right of column away from it.
 */
static void
spread(TextPicture *picture, int column, int by)
{
	if (column == picture->nlanes - 1)
		return;
	for (; by > 0; by--)
	{
		char	   *line = blank_line(picture, 1);

		for (int i = 0; i <= column; i++)
			line[2 * i] = '|';
		for (int i = column + 1; i < picture->nlanes; i++)
			line[2 * picture->lanes[i].column++ + 1] = '\\';
		put_line(picture, line);
	}
}

/*
 * The line of the revision in column: "| * | id, message"; with more than two
 * parents "*---. id", for them to hang on.
 */
static void
put_revision(TextPicture *picture, int column, int node)
{
	const DrawInput *input = picture->input;
	int			parents = input->graph->nodes[node].down.n;
	char	   *line = blank_line(picture, parents);

	for (int i = 0; i < picture->nlanes; i++)
		line[2 * picture->lanes[i].column] = '|';
	line[2 * column] = bms_is_member(node, input->applied) ? '*' : 'o';
	for (int at = 2 * column + 1; at < 2 * (column + parents - 2); at++)
		line[at] = '-';
	if (parents > 2)
		line[2 * (column + parents - 2)] = '.';
	put_text(picture, line, describe(input, node));
}

/*
 * The lane in column becomes one for each parent.  A base's just ends.
 */
static void
branch_out(TextPicture *picture, int column, const GraphLinks *parents)
{
	Lane	   *lane = &picture->lanes[column];

	if (parents->n > 1)
		put_branches(picture, column, parents->n);
	memmove(lane + parents->n, lane + 1,
			(picture->nlanes - column - 1) * sizeof(Lane));
	for (int k = 0; k < parents->n; k++)
	{
		lane[k].node = parents->to[k];
		lane[k].column = column + k;
	}
	picture->nlanes += parents->n - 1;
}

/*
 * The line under a merge of n parents: "|\ \", and the lanes to the right
 * make way for the last of them.
 */
static void
put_branches(TextPicture *picture, int column, int n)
{
	char	   *line = blank_line(picture, n);

	for (int i = 0; i <= column; i++)
		line[2 * i] = '|';
	for (int k = 1; k < n; k++)
		line[2 * (column + k) - 1] = '\\';
	for (int i = column + 1; i < picture->nlanes; i++)
		line[2 * picture->lanes[i].column++ + 1] = '\\';
	put_line(picture, line);
}

/*
 * Make one of the lanes that lead to the same revision, and close gaps.
 */
static void
close_up(TextPicture *picture)
{
	if (!choose_targets(picture))
		return;
	while (move_left(picture))
		CHECK_FOR_INTERRUPTS();
	merge_lanes(picture);
}

/*
 * Where the lanes should stand; whether that is not where they are.
 */
static bool
choose_targets(TextPicture *picture)
{
	int		   *targets = picture->targets;
	int			next = 0;
	bool		moves = false;

	for (int i = 0; i < picture->nlanes; i++)
	{
		Lane	   *lane = &picture->lanes[i];

		if (targets[lane->node] < 0)
			targets[lane->node] = next++;
		lane->target = targets[lane->node];
		moves |= lane->target != lane->column;
	}
	for (int i = 0; i < picture->nlanes; i++)
		targets[picture->lanes[i].node] = -1;
	return moves;
}

/*
 * One line of lanes that move to the left; false when all are where they
 * should be.  The first that moves has only lanes on its left that stay, and
 * so may go up to the column before its target at once.
 */
static bool
move_left(TextPicture *picture)
{
	char	   *line = blank_line(picture, 0);
	bool		moved = false;

	for (int i = 0; i < picture->nlanes; i++)
	{
		Lane	   *lane = &picture->lanes[i];
		int			from = lane->column;

		if (from == lane->target)
		{
			line[2 * from] = '|';
			continue;
		}
		lane->column = !moved && from - lane->target > 2 ?
			lane->target + 1 : from - 1;
		line[2 * from - 1] = '/';
		for (int at = 2 * lane->column + 1; at < 2 * from - 1; at++)
			if (line[at] == ' ')
				line[at] = '_';
		moved = true;
	}
	if (moved)
		put_line(picture, line);
	return moved;
}

/*
 * Keep one of the lanes that stand in the same column now.
 */
static void
merge_lanes(TextPicture *picture)
{
	int			kept = 0;

	for (int i = 0; i < picture->nlanes; i++)
		if (picture->lanes[i].target == kept)
			picture->lanes[kept++] = picture->lanes[i];
	picture->nlanes = kept;
}

/*
 * Return a line of blanks, as long as the lanes and so many columns more need.
 */
static char *
blank_line(const TextPicture *picture, int more)
{
	int			columns = 0;
	char	   *line;

	/* on its way to the left the last lane may be before others */
	for (int i = 0; i < picture->nlanes; i++)
		columns = Max(columns, picture->lanes[i].column + 1);
	columns += more;
	line = palloc(2 * columns + 1);
	memset(line, ' ', 2 * columns);
	line[2 * columns] = '\0';
	return line;
}

/*
 * Add a line to the picture, without blanks at its end.
 */
static void
put_line(TextPicture *picture, char *line)
{
	int			len = strlen(line);

	while (len > 0 && line[len - 1] == ' ')
		line[--len] = '\0';
	picture->lines = lappend(picture->lines, line);
}

/*
 * Likewise with text after the line, which is freed.
 */
static void
put_text(TextPicture *picture, char *line, const char *text)
{
	put_line(picture, line);
	llast(picture->lines) = psprintf("%s %s", line, text);
	pfree(line);
}

/* ---------------------------------------------------------- annotations ---- */

/*
 * Return "id (labels) (head) (current) (depends on ids), message".
 */
static char *
describe(const DrawInput *input, int node)
{
	const Graph *graph = input->graph;
	const GraphLinks *depends = &graph->nodes[node].depends;
	List	   *ids = NIL;
	StringInfoData buf;

	for (int k = 0; k < depends->n; k++)
		ids = lappend(ids, unconstify(char *, graph->nodes[depends->to[k]].revision));
	initStringInfo(&buf);
	append_marks(&buf, input, node);
	append_names(&buf, "depends on ", ids);
	appendStringInfo(&buf, ", %s", mig_excerpt_line(input->messages[node]));
	return buf.data;
}

/*
 * "id (labels) (head) (current)", in Alembic's words: an effective head is one
 * by down revision on which another revision depends.
 */
static void
append_marks(StringInfo buf, const DrawInput *input, int node)
{
	const GraphNode *self = &input->graph->nodes[node];

	appendStringInfoString(buf, self->revision);
	append_names(buf, "", self->branch_labels);
	if (self->child.n == 0)
		appendStringInfoString(buf,
							   self->dependent.n == 0 ? " (head)" : " (effective head)");
	if (bms_is_member(node, input->current))
		appendStringInfoString(buf, " (current)");
}

/*
 * Append " (before a, b)", or nothing without names.
 */
static void
append_names(StringInfo buf, const char *before, List *names)
{
	const char *separator = " (";
	ListCell   *lc;

	foreach(lc, names)
	{
		appendStringInfo(buf, "%s%s%s", separator, before, (char *) lfirst(lc));
		separator = ", ";
		before = "";
	}
	if (names != NIL)
		appendStringInfoChar(buf, ')');
}

/* ------------------------------------------------------------------ dot ---- */

/*
 * Return a quoted name. In one, \" is the only escape, but a backslash before
 * another backslash or the last quote would be misread.
 */
static char *
dot_quote(const char *id)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '"');
	for (const char *p = id; *p; p++)
	{
		if (*p == '"' || *p == '\\')
			appendStringInfoChar(&buf, '\\');
		appendStringInfoChar(&buf, *p);
	}
	appendStringInfoChar(&buf, '"');
	return buf.data;
}

/*
 * Append the line of a node, in the language of Graphviz.
 */
static void
dot_node(StringInfo buf, const DrawInput *input, int node)
{
	StringInfoData title;

	initStringInfo(&title);
	append_marks(&title, input, node);
	appendStringInfo(buf, "\t%s [label=\"",
					 dot_quote(input->graph->nodes[node].revision));
	dot_label(buf, title.data);
	appendStringInfoString(buf, "\\n");
	dot_label(buf, mig_excerpt_line(input->messages[node]));
	appendStringInfoChar(buf, '"');
	if (bms_is_member(node, input->applied))
		appendStringInfoString(buf, ", fillcolor=\"#d5e8d4\"");
	if (bms_is_member(node, input->current))
		appendStringInfoString(buf, ", penwidth=3");
	appendStringInfoString(buf, "];");
}

/*
 * Text in a quoted label, where backslash sequences and character entities
 * have a meaning.
 */
static void
dot_label(StringInfo buf, const char *text)
{
	for (const char *p = text; *p; p++)
	{
		if (*p == '"' || *p == '\\')
			appendStringInfo(buf, "\\%c", *p);
		else if (*p == '&')
			appendStringInfoString(buf, "&amp;");
		else
			appendStringInfoChar(buf, *p);
	}
}

/*
 * Return the line of an edge, in the language of Graphviz.
 */
static char *
dot_edge(const Graph *graph, int from, int to, bool depends)
{
	return psprintf("\t%s -> %s%s;", dot_quote(graph->nodes[from].revision),
					dot_quote(graph->nodes[to].revision),
					depends ? " [style=dashed]" : "");
}

/* -------------------------------------------------------------- mermaid ---- */

/*
 * Text in a quoted label.  What is not a letter, a digit or harmless becomes
 * Mermaid's #number;: besides quotes and tags there are comments (%%),
 * directives, and the searches for "style" and "classDef" that it makes over
 * the whole line.
 */
static void
mermaid_label(StringInfo buf, const char *text)
{
	for (const char *p = text; *p; p++)
	{
		unsigned char c = (unsigned char) *p;

		if (IS_HIGHBIT_SET(c) || isalnum(c) || strchr(" _,.()/-", c) != NULL)
			appendStringInfoChar(buf, *p);
		else
			appendStringInfo(buf, "#%d;", c);
	}
}

/*
 * Return the line of an edge, in the language of Mermaid.
 */
static char *
mermaid_edge(const Graph *graph, int from, int to, bool depends)
{
	(void) graph;
	return psprintf("    n%d %s n%d", from, depends ? "-.->" : "-->", to);
}

/*
 * Return lines with those that give classes, and so colours, to the nodes that
 * are applied and current.
 */
static List *
mermaid_classes(List *lines, const DrawInput *input)
{
	lines = lappend(lines, pstrdup("    classDef applied fill:#d5e8d4,stroke:#82b366,color:#000"));
	lines = lappend(lines, pstrdup("    classDef current stroke-width:4px"));
	for (int i = 0; i < input->graph->n; i++)
	{
		if (bms_is_member(i, input->applied))
			lines = lappend(lines, psprintf("    class n%d applied", i));
		if (bms_is_member(i, input->current))
			lines = lappend(lines, psprintf("    class n%d current", i));
	}
	return lines;
}

/*
 * Lines for the edges that lead to a node from below, made by edge.
 */
static List *
put_edges(List *lines, const Graph *graph, int node,
		  char *(*edge) (const Graph *, int, int, bool))
{
	const GraphNode *self = &graph->nodes[node];

	for (int k = 0; k < self->down.n; k++)
		lines = lappend(lines, edge(graph, self->down.to[k], node, false));
	for (int k = 0; k < self->depends.n; k++)
		lines = lappend(lines, edge(graph, self->depends.to[k], node, true));
	return lines;
}
