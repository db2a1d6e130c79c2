/*
 * page.c
 *		A rehearsal as a page of HTML.
 *
 * One file for a pull request: no script, nothing from the network, light or dark as
 * the reader has it, narrow or wide.  It begins with what matters most: whether all
 * ran, who would have waited for how long, what was copied.
 */
#include "migrate.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "rehearsal/html.h"
#include "rehearsal/page.h"
#include "revision/draw.h"
#include "script/excerpt.h"
#include "storage/lock.h"
#include "store/history.h"
#include "store/position.h"
#include "store/scope.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* Most bytes of a statement that are shown. */
#define MAX_SQL			4000

/* Most relations in the picture of the locks; the others are in a list to unfold. */
#define MAX_TIMELINES	20

/* A page under way. */
typedef struct Report
{
	StringInfoData html;
	const RehearsalOptions *options;
	const Rehearsal *rehearsal;
	List	   *findings;
	char	  **messages;		/* of revisions, by node number */
	int64		longest;		/* the greatest value of each bar */
	double		most_wal;
	double		most_rewritten;
} Report;

/* The locks on a relation, in the picture of the locks. */
typedef struct Timeline
{
	const char *relation;
	int			strength;		/* of the strongest */
	int64		since;			/* of that one */
	List	   *rows;			/* RehearsalRow *: statements that took them... */
	List	   *locks;			/* RelationLocked *: ...which these are of */
} Timeline;

static const char style[] =
"<style>\n"
":root{color-scheme:light dark;--bg:#fff;--fg:#1c2128;--soft:#5b6570;--line:#d9dee4;"
"--card:#f6f8fa;--all:#c4314b;--writes:#c96a00;--some:#2b6cb0;--none:#7d8791;--time:#2f7d5b;"
"--wal:#7a4fb5;--copy:#a8442a;--bad:#b42318;--badbg:#fdecea;--ok:#17693f;--okbg:#e7f6ed;"
"--notebg:#fff5e0;--note:#7a4a00}\n"
"@media(prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e4e8ec;--soft:#9aa5b1;"
"--line:#333b44;--card:#1d232a;--all:#f0657c;--writes:#f0a04b;--some:#6cabf0;--none:#8a949e;"
"--time:#5dbd92;--wal:#b491ea;--copy:#e58a70;--bad:#ff9a8f;--badbg:#3a1b1a;--ok:#74d6a0;"
"--okbg:#14301f;--notebg:#33270f;--note:#f0c070}}\n"
"*{box-sizing:border-box}body{margin:0 auto;max-width:76rem;padding:1.5rem;background:var(--bg);"
"color:var(--fg);font:16px/1.5 system-ui,sans-serif}\n"
"h1{font-size:1.6rem;margin:0 0 .2rem;overflow-wrap:anywhere}h2{font-size:1.2rem;margin:2.2rem 0 "
".7rem}h3{font-size:1.05rem;margin:1.6rem 0 .6rem;overflow-wrap:anywhere}h3 span{font-weight:400}\n"
"a{color:inherit}.soft,footer{color:var(--soft)}pre,code,.mono{font:.85rem/1.5 ui-monospace,monospace}\n"
"pre{margin:0;overflow-x:auto;unicode-bidi:isolate}pre.sql{white-space:pre-wrap;"
"overflow-wrap:anywhere}\n"
".verdict{margin:1rem 0;padding:.8rem 1rem;border-radius:.5rem;border-left:.35rem solid;"
"overflow-wrap:anywhere}.ok{color:var(--ok);background:var(--okbg)}.bad{color:var(--bad);"
"background:var(--badbg)}.note{color:var(--note);background:var(--notebg)}\n"
".facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.8rem;"
"margin:1rem 0}.facts div{background:var(--card);border:1px solid var(--line);"
"border-radius:.5rem;padding:.6rem .8rem}.facts b{display:block;font-size:1.25rem;"
"overflow-wrap:anywhere}.facts span{color:var(--soft);font-size:.85rem}\n"
".plan{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem}\n"
".tl{display:grid;grid-template-columns:minmax(8rem,18rem) 1fr;gap:.3rem 1rem;align-items:center}\n"
".tl .who{font:.82rem/1.3 ui-monospace,monospace;overflow-wrap:anywhere}.tl .who small{display:"
"block;color:var(--soft);font-family:system-ui,sans-serif}\n"
".track{position:relative;height:1.3rem;background:var(--card);border:1px solid var(--line);"
"border-radius:.25rem;overflow:hidden}.track i{position:absolute;top:0;bottom:0;right:0;"
"min-width:3px}.track .run{right:auto;background:var(--time);min-width:1px;"
"border-left:1px solid var(--card)}.axis{display:flex;justify-content:space-between;color:var(--soft);"
"font-size:.8rem}\n"
".all{background:var(--all)}.writes{background:var(--writes)}.some{background:var(--some)}"
".none{background:var(--none)}\n"
".legend{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;margin:0 0 .8rem;padding:0;list-style:none;"
"font-size:.85rem}.legend i{display:inline-block;width:.9rem;height:.9rem;border-radius:.2rem;"
"margin-right:.4rem;vertical-align:-.1rem}\n"
".st{border:1px solid var(--line);border-radius:.5rem;margin:0 0 .8rem;overflow:hidden}"
".st>header{display:flex;justify-content:space-between;gap:1rem;padding:.35rem 1rem;"
"background:var(--card);border-bottom:1px solid var(--line);font-size:.85rem;"
"color:var(--soft)}.st .body{display:grid;grid-template-columns:1fr minmax(16rem,22rem);"
"gap:1rem;padding:.8rem 1rem}.st .verdict{margin:0;border-radius:0;font-size:.9rem}"
".failed{border-color:var(--bad)}\n"
".bars{display:grid;grid-template-columns:4.8rem 1fr 5.2rem;gap:.3rem .6rem;align-items:center;"
"align-content:start;font-size:.85rem}.bar{height:.7rem;background:var(--card);"
"border-radius:.2rem;overflow:hidden}.bar i{display:block;height:100%;min-width:2px}"
".time{background:var(--time)}.wal{background:var(--wal)}.copy{background:var(--copy)}"
".bars>:nth-child(3n){text-align:right;white-space:nowrap}\n"
".chips{display:flex;flex-wrap:wrap;gap:.3rem;margin:.6rem 0 0;padding:0;list-style:none;"
"font-size:.8rem}.chips li{border:1px solid var(--line);border-left:.3rem solid var(--none);"
"border-radius:.25rem;padding:.05rem .45rem;overflow-wrap:anywhere}.chips .c-all{"
"border-left-color:var(--all)}.chips .c-writes{border-left-color:var(--writes)}.chips .c-some{"
"border-left-color:var(--some)}.chips .c-copy{border-left-color:var(--copy)}\n"
"details{margin:.6rem 0}summary{cursor:pointer}footer{margin-top:2.5rem;font-size:.85rem;"
"border-top:1px solid var(--line);padding-top:.8rem}\n"
"@media(max-width:46rem){body{padding:1rem .8rem}.st .body{grid-template-columns:1fr}"
".tl{grid-template-columns:1fr;gap:.1rem}.tl .track{margin-bottom:.5rem}}\n"
"</style>\n";

static void find_maxima(Report *page);
static char **read_messages(const Graph *graph);
static void write_head(Report *page);
static int	count_problems(const Rehearsal *rehearsal);
static bool is_note(const RehearsalRow *row);
static void write_verdict(Report *page);
static void write_facts(Report *page);
static void write_fact(Report *page, const char *value, const char *what);
static void write_plan(Report *page);
static Graph *graph_of_plan(const Rehearsal *rehearsal);
static List *ids_in(const Graph *graph, const GraphLinks *links, const Bitmapset *nodes);
static void write_locks(Report *page);
static List *find_timelines(const Rehearsal *rehearsal);
static int	compare_timelines(const ListCell *a, const ListCell *b);
static void write_runs(Report *page);
static void write_timeline(Report *page, const Timeline *timeline);
static const char *class_of_lock(int strength);
static void write_statements(Report *page);
static void write_step(Report *page, const RehearsalRow *row);
static void write_statement(Report *page, const RehearsalRow *row);
static void write_sql(Report *page, const char *sql);
static void write_bars(Report *page, const RehearsalRow *row);
static void write_bar(Report *page, const char *name, const char *class, double value,
					  double greatest, const char *text);
static void write_chips(Report *page, const RehearsalRow *row);
static void write_names(Report *page, const char *class, const char *what, List *names);
static void write_problem(Report *page, const RehearsalRow *row);
static void write_findings(Report *page, const RehearsalRow *row, int statement);
static double rewritten_bytes(const RehearsalRow *row);

/*
 * Return a rehearsal as a page, in the current memory context, with what there is to
 * say about its statements (PageFinding *) and about all of it besides; the note may be
 * NULL.
 */
char *
mig_page_write(const RehearsalOptions *options, const Rehearsal *rehearsal, List *findings,
			   const char *note)
{
	Report		page = {.options = options, .rehearsal = rehearsal, .findings = findings};

	initStringInfo(&page.html);
	page.messages = read_messages(rehearsal->graph);
	find_maxima(&page);
	write_head(&page);
	write_verdict(&page);
	if (note != NULL)
		appendStringInfo(&page.html, "<p class=\"verdict note\">%s</p>\n", note);
	write_facts(&page);
	write_plan(&page);
	write_locks(&page);
	write_statements(&page);
	appendStringInfo(&page.html,
					 "<footer>Everything on this page was rolled back. Locks are those on relations "
					 "that were there before; each is held to the end. Made by migrate %s.</footer>\n"
					 "</body>\n</html>\n", MIG_VERSION);
	return page.html.data;
}

/*
 * Find the greatest value of each kind of bar.
 */
static void
find_maxima(Report *page)
{
	ListCell   *lc;

	foreach(lc, page->rehearsal->rows)
	{
		const RehearsalRow *row = lfirst(lc);

		page->longest = Max(page->longest, row->duration);
		page->most_wal = Max(page->most_wal, (double) row->wal_bytes);
		page->most_rewritten = Max(page->most_rewritten, rewritten_bytes(row));
	}
}

/*
 * Return the messages of revisions, by node number.
 */
static char **
read_messages(const Graph *graph)
{
	char	  **messages = palloc((graph->n + 1) * sizeof(char *));
	List	   *lines;
	ListCell   *lc;
	Scope		scope;

	for (int i = 0; i < graph->n; i++)
		messages[i] = "";
	mig_scope_enter(&scope);
	lines = mig_history_read(&scope);
	mig_scope_leave(&scope);
	foreach(lc, lines)
	{
		const HistoryLine *line = lfirst(lc);
		int			node = mig_graph_find_id(graph, line->revision);

		if (node >= 0)
			messages[node] = line->message;
	}
	return messages;
}

/*
 * Write what a page begins with.  How many problems there are is in its head too, for
 * programs.
 */
static void
write_head(Report *page)
{
	StringInfo	html = &page->html;
	const RehearsalOptions *options = page->options;
	const char *title = psprintf("Rehearsal of %s to %s%s",
								 mig_direction_name(options->direction), options->target,
								 options->round_trip ? ", and back" : "");

	appendStringInfoString(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
						   "<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
						   "content=\"width=device-width, initial-scale=1\">\n");
	appendStringInfo(html, "<meta name=\"migrate-problems\" content=\"%d\">\n<title>",
					 count_problems(page->rehearsal));
	mig_html_append(html, title);
	appendStringInfo(html, "</title>\n%s</head>\n<body>\n<h1>", style);
	mig_html_append(html, title);
	appendStringInfoString(html, "</h1>\n<p class=\"soft\">Database ");
	mig_html_append(html, get_database_name(MyDatabaseId));
	appendStringInfoString(html, ", PostgreSQL ");
	mig_html_append(html, GetConfigOption("server_version", false, false));
	appendStringInfoString(html, ", as ");
	mig_html_append(html, GetUserNameFromId(GetUserId(), false));
	appendStringInfoString(html, ", ");
	mig_html_append(html, timestamptz_to_str(GetCurrentTimestamp()));
	appendStringInfoString(html, "</p>\n");
}

/*
 * Return how many rows have a problem that is no note.
 */
static int
count_problems(const Rehearsal *rehearsal)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, rehearsal->rows)
	{
		const RehearsalRow *row = lfirst(lc);

		n += row->problem != NULL && !is_note(row);
	}
	return n;
}

/*
 * Return whether the problem of a row, if it has one, is only a note on how the statement
 * was run.
 */
static bool
is_note(const RehearsalRow *row)
{
	return row->sql != NULL && !row->failed;
}

/*
 * Write how it ended.
 */
static void
write_verdict(Report *page)
{
	StringInfo	html = &page->html;
	const List *rows = page->rehearsal->rows;
	const RehearsalRow *last = rows != NIL ? llast(rows) : NULL;
	int			problems = count_problems(page->rehearsal);

	if (page->rehearsal->plan == NIL)
		appendStringInfoString(html, "<p class=\"verdict ok\">There was nothing to do.</p>\n");
	else if (last != NULL && last->failed)
	{
		appendStringInfoString(html, "<div class=\"verdict bad\"><b>It ended early</b>, in revision ");
		mig_html_append(html, last->revision != NULL ? last->revision : "");
		if (last->sql != NULL)
			appendStringInfo(html, ", <a href=\"#s%d-%d\">statement %d</a>", last->step,
							 last->statement, last->statement);
		appendStringInfoString(html, ".<br>");
		mig_html_append(html, last->problem);
		appendStringInfoString(html, "</div>\n");
	}
	else if (problems > 0)
		appendStringInfo(html, "<p class=\"verdict bad\"><b>The way back does not lead back:</b> %d "
						 "object%s not as before. They are listed at the end.</p>\n", problems,
						 problems == 1 ? " is" : "s are");
	else
		appendStringInfo(html, "<p class=\"verdict ok\">All statements ran, and were rolled "
						 "back%s.</p>\n",
						 page->options->round_trip ? "; the way back leads back" : "");
}

/*
 * Write the figures of all of it.
 */
static void
write_facts(Report *page)
{
	const Rehearsal *rehearsal = page->rehearsal;
	List	   *timelines = find_timelines(rehearsal);
	int			statements = 0;
	int			rewrites = 0;
	double		wal = 0;
	ListCell   *lc;

	foreach(lc, rehearsal->rows)
	{
		const RehearsalRow *row = lfirst(lc);

		statements += row->sql != NULL;
		wal += row->wal_bytes;
		rewrites += list_length(row->changes.rewrites);
	}
	appendStringInfoString(&page->html, "<div class=\"facts\">\n");
	write_fact(page, psprintf("%d", list_length(rehearsal->plan)),
			   list_length(rehearsal->plan) == 1 ? "revision" : "revisions");
	write_fact(page, psprintf("%d", statements), statements == 1 ? "statement" : "statements");
	write_fact(page, mig_html_time(rehearsal->duration), "in all");
	write_fact(page, mig_html_bytes(wal), "of WAL");
	write_fact(page, psprintf("%d", rewrites), rewrites == 1 ? "relation rewritten" :
			   "relations rewritten");
	if (timelines != NIL)
	{
		const Timeline *first = linitial(timelines);

		write_fact(page, mig_html_time(rehearsal->duration - first->since),
				   psprintf("longest %s", GetLockmodeName(DEFAULT_LOCKMETHOD, first->strength)));
	}
	appendStringInfoString(&page->html, "</div>\n");
}

/*
 * Write one figure.
 */
static void
write_fact(Report *page, const char *value, const char *what)
{
	appendStringInfoString(&page->html, "<div><b>");
	mig_html_append(&page->html, value);
	appendStringInfoString(&page->html, "</b><span>");
	mig_html_append(&page->html, what);
	appendStringInfoString(&page->html, "</span></div>\n");
}

/*
 * Write the picture of the plan.
 */
static void
write_plan(Report *page)
{
	const Rehearsal *rehearsal = page->rehearsal;
	DrawInput	input = {0};
	Bitmapset  *applied;
	char	  **messages;
	Graph	   *graph;
	ListCell   *lc;

	if (rehearsal->plan == NIL)
		return;
	graph = graph_of_plan(rehearsal);
	applied = mig_graph_ancestors(rehearsal->graph, rehearsal->current, GRAPH_REAL);
	messages = palloc((graph->n + 1) * sizeof(char *));
	for (int i = 0; i < graph->n; i++)
	{
		int			node = mig_graph_find_id(rehearsal->graph, graph->nodes[i].revision);

		messages[i] = page->messages[node];
		if (bms_is_member(node, rehearsal->current))
			input.current = bms_add_member(unconstify(Bitmapset *, input.current), i);
		if (bms_is_member(node, applied))
			input.applied = bms_add_member(unconstify(Bitmapset *, input.applied), i);
	}
	input.graph = graph;
	input.messages = messages;
	appendStringInfoString(&page->html, "<h2>The plan</h2>\n<p class=\"soft\">Newest first; "
						   "<code>*</code> is applied, <code>o</code> is not.</p>\n"
						   "<pre class=\"plan\">");
	foreach(lc, mig_draw_text(&input))
	{
		mig_html_append(&page->html, lfirst(lc));
		appendStringInfoChar(&page->html, '\n');
	}
	appendStringInfoString(&page->html, "</pre>\n");
}

/*
 * Return the graph of the revisions of the plan and of those that it stands on.
 */
static Graph *
graph_of_plan(const Rehearsal *rehearsal)
{
	const Graph *graph = rehearsal->graph;
	Graph	   *part = mig_graph_create();
	Bitmapset  *nodes = NULL;
	ListCell   *lc;

	foreach(lc, rehearsal->plan)
	{
		const GraphNode *node = &graph->nodes[lfirst_int(lc)];

		nodes = bms_add_member(nodes, lfirst_int(lc));
		for (int k = 0; k < node->down.n; k++)
			nodes = bms_add_member(nodes, node->down.to[k]);
		for (int k = 0; k < node->depends.n; k++)
			nodes = bms_add_member(nodes, node->depends.to[k]);
	}
	for (int i = 0; i < graph->n; i++)
		if (bms_is_member(i, nodes))
			mig_graph_add(part, graph->nodes[i].revision,
						  ids_in(graph, &graph->nodes[i].down, nodes),
						  ids_in(graph, &graph->nodes[i].depends, nodes),
						  graph->nodes[i].branch_labels);
	mig_graph_index(part);
	mig_graph_link(part);
	return part;
}

/*
 * Return the ids (char *) at the other end of links that are in a set.
 */
static List *
ids_in(const Graph *graph, const GraphLinks *links, const Bitmapset *nodes)
{
	List	   *ids = NIL;

	for (int k = 0; k < links->n; k++)
		if (bms_is_member(links->to[k], nodes))
			ids = lappend(ids, unconstify(char *, graph->nodes[links->to[k]].revision));
	return ids;
}

/*
 * Write the picture of the locks.
 */
static void
write_locks(Report *page)
{
	StringInfo	html = &page->html;
	List	   *timelines = find_timelines(page->rehearsal);
	ListCell   *lc;

	if (timelines == NIL)
		return;
	appendStringInfoString(html, "<h2>Locks</h2>\n<ul class=\"legend\">"
						   "<li><i class=\"all\"></i>nobody else reads or writes</li>"
						   "<li><i class=\"writes\"></i>nobody else writes</li>"
						   "<li><i class=\"some\"></i>others read and write, few commands wait</li>"
						   "<li><i class=\"none\"></i>read</li></ul>\n");
	if (page->rehearsal->stepwise)
		appendStringInfoString(html, "<p class=\"soft\">Not all scripts are transactional. A run in "
							   "steps commits each revision, and releases its locks then; here all "
							   "are held to the end.</p>\n");
	appendStringInfoString(html, "<div class=\"tl\">\n");
	write_runs(page);
	foreach(lc, timelines)
	{
		if (foreach_current_index(lc) == MAX_TIMELINES)
			appendStringInfo(html, "</div>\n<details><summary>%d more relations</summary>\n"
							 "<div class=\"tl\">\n", list_length(timelines) - MAX_TIMELINES);
		write_timeline(page, lfirst(lc));
	}
	if (list_length(timelines) > MAX_TIMELINES)
		appendStringInfoString(html, "</div></details>\n<div class=\"tl\">\n");
	appendStringInfo(html, "<span></span><div class=\"axis\"><span>0</span><span>%s</span></div>\n"
					 "</div>\n", mig_html_time(page->rehearsal->duration));
}

/*
 * Return the relations (Timeline *) that were locked, the strongest locks first.
 */
static List *
find_timelines(const Rehearsal *rehearsal)
{
	List	   *timelines = NIL;
	HASHCTL		control = {.keysize = sizeof(char *), .entrysize = sizeof(char *) + sizeof(void *),
	.hcxt = CurrentMemoryContext};
	HTAB	   *known = hash_create("migrate timelines", 64, &control,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, rehearsal->rows)
	{
		RehearsalRow *row = lfirst(lc);

		foreach(lc2, row->changes.locks)
		{
			RelationLocked *lock = lfirst(lc2);
			bool		found;
			/* one relation has one name, in one place */
			void	  **entry = hash_search(known, &lock->relation, HASH_ENTER, &found);
			Timeline   *timeline = found ? entry[1] : palloc0(sizeof(Timeline));

			if (!found)
				timelines = lappend(timelines, timeline);
			entry[1] = timeline;
			timeline->relation = lock->relation;
			if (lock->strength > timeline->strength)
			{
				timeline->strength = lock->strength;
				timeline->since = row->began + row->waited;
			}
			timeline->rows = lappend(timeline->rows, row);
			timeline->locks = lappend(timeline->locks, lock);
		}
	}
	list_sort(timelines, compare_timelines);
	return timelines;
}

/*
 * Compare two relations: the strongest lock first, then the longest.
 */
static int
compare_timelines(const ListCell *a, const ListCell *b)
{
	const Timeline *one = lfirst(a);
	const Timeline *other = lfirst(b);

	if (one->strength != other->strength)
		return other->strength - one->strength;
	if (one->since != other->since)
		return one->since < other->since ? -1 : 1;
	return strcmp(one->relation, other->relation);
}

/*
 * Write the line of the statements: when each ran.
 */
static void
write_runs(Report *page)
{
	StringInfo	html = &page->html;
	double		all = Max(page->rehearsal->duration, 1);
	ListCell   *lc;

	appendStringInfoString(html, "<span class=\"who\"><small>statements</small></span>"
						   "<div class=\"track\">");
	foreach(lc, page->rehearsal->rows)
	{
		const RehearsalRow *row = lfirst(lc);

		if (row->sql != NULL)
			appendStringInfo(html, "<i class=\"run\" style=\"left:%.2f%%;width:%.2f%%\" "
							 "title=\"%d.%d\"></i>", 100 * row->began / all,
							 100 * row->duration / all, row->step, row->statement);
	}
	appendStringInfoString(html, "</div>\n");
}

/*
 * Write the line of one relation: from each lock to the end.
 */
static void
write_timeline(Report *page, const Timeline *timeline)
{
	StringInfo	html = &page->html;
	int64		all = Max(page->rehearsal->duration, 1);
	ListCell   *lc;
	ListCell   *lc2;

	appendStringInfoString(html, "<span class=\"who\">");
	mig_html_append(html, timeline->relation);
	appendStringInfo(html, "<small>%s, %s</small></span><div class=\"track\">",
					 GetLockmodeName(DEFAULT_LOCKMETHOD, timeline->strength),
					 mig_html_time(all - timeline->since));
	forboth(lc, timeline->rows, lc2, timeline->locks)
	{
		const RehearsalRow *row = lfirst(lc);
		const RelationLocked *lock = lfirst(lc2);

		appendStringInfo(html, "<i class=\"%s\" style=\"left:%.2f%%\" title=\"%s since %s\"></i>",
						 class_of_lock(lock->strength),
						 Min(100.0 * (row->began + row->waited) / all, 99.5), lock->mode,
						 mig_html_time(row->began + row->waited));
	}
	appendStringInfoString(html, "</div>\n");
}

/*
 * Return the class for what a lock keeps others from.
 */
static const char *
class_of_lock(int strength)
{
	switch (strength)
	{
		case AccessExclusiveLock:
			return "all";
		case ShareLock:
		case ShareRowExclusiveLock:
		case ExclusiveLock:
			return "writes";
		case AccessShareLock:
			return "none";
		default:
			return "some";
	}
}

/*
 * Write all statements, by step.
 */
static void
write_statements(Report *page)
{
	int			step = 0;
	ListCell   *lc;

	if (page->rehearsal->rows == NIL)
		return;
	appendStringInfoString(&page->html, "<h2>Statements</h2>\n");
	foreach(lc, page->rehearsal->rows)
	{
		const RehearsalRow *row = lfirst(lc);

		if (row->revision != NULL && row->step != step)
			write_step(page, row);
		else if (row->revision == NULL && step != 0)
			appendStringInfoString(&page->html, "<h3>Not as before</h3>\n");
		step = row->revision != NULL ? row->step : 0;
		if (row->sql != NULL)
			write_statement(page, row);
		else
			write_problem(page, row);
	}
}

/*
 * Write the heading of a step, with what there is to say about its script.
 */
static void
write_step(Report *page, const RehearsalRow *row)
{
	StringInfo	html = &page->html;
	int			node = mig_graph_find_id(page->rehearsal->graph, row->revision);

	appendStringInfo(html, "<h3>%d. %s of ", row->step, mig_direction_name(row->direction));
	mig_html_append(html, row->revision);
	if (node >= 0 && page->messages[node][0] != '\0')
	{
		appendStringInfoString(html, " <span class=\"soft\">");
		mig_html_append(html, mig_excerpt_line(page->messages[node]));
		appendStringInfoString(html, "</span>");
	}
	appendStringInfoString(html, "</h3>\n");
	write_findings(page, row, 0);
}

/*
 * Write one statement.
 */
static void
write_statement(Report *page, const RehearsalRow *row)
{
	StringInfo	html = &page->html;

	appendStringInfo(html, "<article class=\"st%s\" id=\"s%d-%d\"><header><span>statement %d, line %d"
					 "</span><span>", row->failed ? " failed" : "", row->step, row->statement,
					 row->statement, row->line);
	if (row->rows >= 0)
		appendStringInfo(html, INT64_FORMAT " row%s", row->rows, row->rows == 1 ? "" : "s");
	appendStringInfoString(html, "</span></header>\n");
	write_problem(page, row);
	write_findings(page, row, row->statement);
	appendStringInfoString(html, "<div class=\"body\"><div>");
	write_sql(page, row->sql);
	write_chips(page, row);
	appendStringInfoString(html, "</div>");
	write_bars(page, row);
	appendStringInfoString(html, "</div></article>\n");
}

/*
 * Write the text of a statement, and of a long one its begin.
 */
static void
write_sql(Report *page, const char *sql)
{
	int			len = strlen(sql);

	appendStringInfoString(&page->html, "<pre class=\"sql\">");
	mig_html_append(&page->html, mig_excerpt_clip(sql, len, MAX_SQL));
	appendStringInfoString(&page->html, "</pre>");
	if (len > MAX_SQL)
		appendStringInfo(&page->html, "<p class=\"soft\">%s in all.</p>", mig_html_bytes(len));
}

/*
 * Write what a statement took.
 */
static void
write_bars(Report *page, const RehearsalRow *row)
{
	double		rewritten = rewritten_bytes(row);

	appendStringInfoString(&page->html, "<div class=\"bars\">");
	write_bar(page, "time", "time", row->duration, page->longest, mig_html_time(row->duration));
	if (row->waited > 0)
		write_bar(page, "waited", "writes", row->waited, page->longest,
				  mig_html_time(row->waited));
	write_bar(page, "WAL", "wal", row->wal_bytes, page->most_wal,
			  mig_html_bytes(row->wal_bytes));
	if (row->changes.rewrites != NIL)
		write_bar(page, "rewritten", "copy", rewritten, page->most_rewritten,
				  mig_html_bytes(rewritten));
	appendStringInfoString(&page->html, "</div>");
}

/*
 * Write one bar.
 */
static void
write_bar(Report *page, const char *name, const char *class, double value, double greatest,
		  const char *text)
{
	appendStringInfo(&page->html, "<span>%s</span><div class=\"bar\">", name);
	if (value > 0)
		appendStringInfo(&page->html, "<i class=\"%s\" style=\"width:%.1f%%\"></i>", class,
						 100 * value / Max(greatest, 1));
	appendStringInfo(&page->html, "</div><span>%s</span>", text);
}

/*
 * Write what a statement did to relations.
 */
static void
write_chips(Report *page, const RehearsalRow *row)
{
	StringInfo	html = &page->html;
	ListCell   *lc;

	if (row->changes.locks == NIL && row->changes.rewrites == NIL && row->changes.scans == NIL)
		return;
	appendStringInfoString(html, "<ul class=\"chips\">");
	foreach(lc, row->changes.locks)
	{
		const RelationLocked *lock = lfirst(lc);

		appendStringInfo(html, "<li class=\"c-%s\">%s on ", class_of_lock(lock->strength),
						 lock->mode);
		mig_html_append(html, lock->relation);
		appendStringInfoString(html, "</li>");
	}
	write_names(page, "c-copy", "rewrites", row->changes.rewrites);
	write_names(page, "", "scans", row->changes.scans);
	appendStringInfoString(html, "</ul>");
}

/*
 * Write some relations (RelationName *).
 */
static void
write_names(Report *page, const char *class, const char *what, List *names)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		appendStringInfo(&page->html, "<li class=\"%s\">%s ", class, what);
		mig_html_append(&page->html, ((const RelationName *) lfirst(lc))->name);
		appendStringInfoString(&page->html, "</li>");
	}
}

/*
 * Write the problem of a row, if it has one.
 */
static void
write_problem(Report *page, const RehearsalRow *row)
{
	if (row->problem == NULL)
		return;
	appendStringInfo(&page->html, "<p class=\"verdict %s\">", is_note(row) ? "note" : "bad");
	mig_html_append(&page->html, row->problem);
	appendStringInfoString(&page->html, "</p>\n");
}

/*
 * Write what else there is to say about a statement of a row's script, or, with 0, about
 * the script.
 */
static void
write_findings(Report *page, const RehearsalRow *row, int statement)
{
	StringInfo	html = &page->html;
	ListCell   *lc;

	foreach(lc, page->findings)
	{
		const PageFinding *finding = lfirst(lc);

		if (finding->statement != statement || finding->direction != row->direction ||
			strcmp(finding->revision, row->revision) != 0)
			continue;
		appendStringInfo(html, "<p class=\"verdict %s\"><b>",
						 strcmp(finding->severity, "error") == 0 ? "bad" : "note");
		mig_html_append(html, finding->rule);
		appendStringInfoString(html, "</b>: ");
		mig_html_append(html, finding->message);
		if (finding->advice != NULL)
		{
			appendStringInfoString(html, "<br>");
			mig_html_append(html, finding->advice);
		}
		appendStringInfoString(html, "</p>\n");
	}
}

/*
 * Return how many bytes the new files have that a statement makes.
 */
static double
rewritten_bytes(const RehearsalRow *row)
{
	double		bytes = 0;
	ListCell   *lc;

	foreach(lc, row->changes.rewrites)
		bytes += ((const RelationName *) lfirst(lc))->bytes;
	return bytes;
}
