/*
 * loader.c
 *		Storing what revision files say.
 *
 * A client that loads a project file by file asks twice about every file: is it
 * stored, and can it be added?  Both can be told by looking up a few keys.  A
 * revision whose id is new has no children, so that no cycle can arise, and the
 * graph stays sound when its parents and dependencies exist and its names are
 * free.  The heads are not known afterwards; the next upgrade, which has
 * something to do, writes them down.
 *
 * Where that is not plain (names that are prefixes or labels, whatever would be
 * an error) the graph is read.  A list of files is stored whole or not at all:
 * first it is compared without a lock, and files that change nothing end there;
 * otherwise the lock is taken and everything is read and compared again.
 *
 * The graph that the files would make is built in memory: what is stored,
 * with the revisions of the files in place of those of the same id.  Parents
 * and dependencies are resolved in it, so that files may refer to each other
 * in any order, by id, prefix or label.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "access/xact.h"
#include "files/format.h"
#include "lib/stringinfo.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/names.h"
#include "revision/revision.h"
#include "revision/target.h"
#include "script/excerpt.h"
#include "script/script.h"
#include "store/heads.h"
#include "store/ledger.h"
#include "store/loader.h"
#include "store/lock.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"

/* A revision to be written. */
typedef struct Change
{
	const Revision *rev;
	const Revision *old;		/* what it replaces; NULL: it is new */
	bool		only_place;		/* in which file, and on which lines */
} Change;

/* What storing files would change. */
typedef struct Changes
{
	Position	position;		/* before */
	Bitmapset  *applied;		/* in the graph before */
	Graph	   *graph;			/* after */
	Change	  **of_node;		/* in that; NULL: nothing */
	List	   *ordered;		/* of Change *, parents before children */
	const char *role;			/* who changes it */
} Changes;

/* Which file an error is about. */
typedef struct FileContext
{
	ErrorContextCallback callback;
	const RevisionFile *only;	/* NULL: there are several */
	const RevisionFile *file;	/* NULL: none in particular */
} FileContext;

static bool is_stored(const RevisionFile *file);
static bool add_leaf(const RevisionFile *file, const char *function);
static bool can_add(const Scope *scope, const Revision *rev);
static bool can_wait(const Changes *changes);
static void write_changes(const Scope *scope, const Changes *changes);
static List *find_prunable(const Changes *changes, List *files);
static void prune(const Scope *scope, List *ids);
static void report_pruned(List *revisions);
static void report_replaced(const Change *change);
static List *differences(const Revision *old, const Revision *now);
static FileStatus *status_of(const Changes *changes, int node, List *files, List *edited);
static const RevisionFile *file_of(List *files, const char *revision);
static Changes find_changes(List *files, bool locked);
static void check_distinct(List *files);
static int	compare_files(const ListCell *a, const ListCell *b);
static Graph *combine(const Graph *stored, List *files);
static List *copy_files(List *files);
static List *stored_of(List *files, bool locked);
static List *ids_of(List *files);
static void context_begin(FileContext *context, List *files);
static void give_parents(const Graph *stored, List *files, FileContext *context,
						 int notice);
static Bitmapset *heads_before(const Graph *graph, List *files);
static void chain(List *files, const Graph *graph, const Bitmapset *heads, int notice);
static void resolve_parents(Graph *graph, List *files, FileContext *context);
static void check_parents_exist(const Graph *graph, List *files, FileContext *context);
static List *missing_names(const Graph *graph, const Revision *rev);
static List *resolve_names(const Graph *graph, List *names);
static Change *compare(const Revision *old, const Revision *now, bool applied);
static void check_applied(const Revision *old, const Revision *now);
static void file_callback(void *arg);

/*
 * Store the revision of one file.  Errors: MG001 to MG003, MG007, MG010, 25006,
 * 40001, 40P01, MG012.
 */
void
mig_loader_store_one(RevisionFile *file, const char *function)
{
	if (!is_stored(file) && !add_leaf(file, function))
		(void) mig_loader_store(list_make1(file), false, function);
}

/*
 * Store what is new or changed in files (RevisionFile *), and with prune drop what
 * is in none of them, not applied and not needed; returns the ids of what was stored,
 * parents before children.  Errors: as mig_loader_store_one, MG011 for two files with
 * one id.
 */
List *
mig_loader_store(List *files, bool with_prune, const char *function)
{
	Changes		changes;
	List	   *pruned;
	List	   *gone;
	List	   *ids = NIL;
	ListCell   *lc;
	Scope		scope;

	check_distinct(files);
	changes = find_changes(files, false);
	if (can_wait(&changes) && (!with_prune || find_prunable(&changes, files) == NIL))
		return NIL;

	mig_position_begin_write(function);
	changes = find_changes(files, true);
	pruned = with_prune ? find_prunable(&changes, files) : NIL;
	foreach(lc, changes.ordered)
		if (((Change *) lfirst(lc))->old != NULL)
			mig_partial_check_edit(((Change *) lfirst(lc))->rev);
	mig_scope_enter(&scope);
	write_changes(&scope, &changes);
	gone = pruned != NIL ? mig_revisions_read_several(&scope, pruned) : NIL;
	prune(&scope, pruned);
	mig_scope_leave(&scope);

	report_pruned(gone);
	foreach(lc, changes.ordered)
	{
		const Change *change = lfirst(lc);

		if (change->only_place)
			continue;
		report_replaced(change);
		ids = lappend(ids, change->rev->revision);
	}
	return ids;
}

/*
 * Return how files (RevisionFile *) and the database differ, one FileStatus for each
 * revision of either, parents before children.  Errors: MG001 to MG003, MG010, MG011,
 * as when they are stored.
 */
List *
mig_loader_status(List *files)
{
	Changes		changes;
	List	   *edited;
	List	   *result = NIL;
	Scope		scope;

	check_distinct(files);
	changes = find_changes(files, false);
	files = list_copy(files);
	list_sort(files, compare_files);
	mig_scope_enter(&scope);
	edited = mig_ledger_read_edited(&scope);
	mig_scope_leave(&scope);
	for (int i = 0; i < changes.graph->n; i++)
		result = lappend(result, status_of(&changes, changes.graph->order[i], files, edited));
	return result;
}

/*
 * Fill in the scripts of those of files (RevisionFile *) whose texts are stored as
 * they are, which need not be parsed again.
 */
void
mig_loader_recognize(List *files)
{
	List	   *stored;
	ListCell   *lc;
	ListCell   *rest;
	Scope		scope;

	mig_scope_enter(&scope);
	stored = mig_revisions_read_several(&scope, ids_of(files));
	mig_scope_leave(&scope);
	forboth(lc, files, rest, stored)
	{
		RevisionFile *file = lfirst(lc);

		file->looked_up = true;
		file->stored = lfirst(rest);
		if (file->stored != NULL)
			(void) mig_format_take_scripts(file, file->stored);
	}
}

/*
 * Return whether a file's revision is stored already, by its key; true only when
 * the file's parents are written as ids.
 */
static bool
is_stored(const RevisionFile *file)
{
	Revision   *stored;
	Scope		scope;

	if (!file->format->has_header)
		return false;
	mig_scope_enter(&scope);
	mig_scope_by_key();
	stored = mig_revisions_read_one(&scope, file->rev.revision);
	mig_scope_leave(&scope);
	return stored != NULL && mig_revision_same(stored, &file->rev) &&
		(file->name == NULL || mig_revision_same_place(stored, &file->rev));
}

/*
 * Store a new revision, if it can be done without reading the graph; otherwise
 * return false.  Takes the run lock, unless it can be seen before that it is of
 * no use.
 */
static bool
add_leaf(const RevisionFile *file, const char *function)
{
	const Revision *rev = &file->rev;
	const char *role = mig_position_caller();
	bool		added;
	Scope		scope;

	if (!file->format->has_header || IsolationUsesXactSnapshot())
		return false;
	mig_scope_enter(&scope);
	mig_scope_by_key();
	added = can_add(&scope, rev);
	mig_scope_leave(&scope);
	if (!added)
		return false;

	mig_position_begin_write(function);
	mig_scope_enter(&scope);
	mig_scope_by_key();
	added = can_add(&scope, rev);
	if (added)
		mig_revisions_insert(&scope, rev, role);
	mig_scope_leave(&scope);
	return added;
}

/*
 * Return whether rev is new, its names are free and what it refers to exists.
 */
static bool
can_add(const Scope *scope, const Revision *rev)
{
	List	   *own = lcons(rev->revision, list_copy(rev->branch_labels));
	List	   *parents = list_concat(list_copy(rev->down_revisions),
									  rev->depends_on);
	List	   *stored;

	if (mig_ids_have_duplicates(own) || mig_ids_have_duplicates(rev->down_revisions) ||
		mig_ids_have_duplicates(rev->depends_on))
		return false;
	stored = mig_revisions_find_ids(scope, list_concat(list_copy(own), parents));
	return mig_ids_contain_all(stored, parents) && !mig_ids_contain_any(stored,
																		own) &&
		!mig_ids_contain_any(mig_revisions_read_labels(scope), own);
}

/*
 * Return whether nothing has changed; or nothing but where files are, which is not
 * worth an error where it cannot be written, or a wait for a stepwise run.
 */
static bool
can_wait(const Changes *changes)
{
	ListCell   *lc;

	foreach(lc, changes->ordered)
		if (!((Change *) lfirst(lc))->only_place)
			return false;
	return changes->ordered == NIL || XactReadOnly || mig_lock_stepwise_pid() != 0;
}

/*
 * Write what changed.
 */
static void
write_changes(const Scope *scope, const Changes *changes)
{
	ListCell   *lc;

	foreach(lc, changes->ordered)
	{
		const Change *change = lfirst(lc);

		if (change->old == NULL)
			mig_revisions_insert(scope, change->rev, changes->role);
		else
			mig_revisions_update(scope, change->rev, changes->role);
	}
	if (changes->ordered != NIL)
		mig_heads_remember(scope, changes->graph);
}

/*
 * Return the ids that are in none of files, not applied, not incomplete, and that
 * nothing else refers to, children before parents.
 */
static List *
find_prunable(const Changes *changes, List *files)
{
	const Graph *graph = changes->graph;
	Bitmapset  *kept = NULL;
	List	   *prunable = NIL;
	ListCell   *lc;

	foreach(lc, files)
		kept = bms_add_member(kept, mig_graph_find_id(graph,
													  ((RevisionFile *) lfirst(lc))->rev.revision));
	foreach(lc, mig_partial_read_all())
	{
		int			node = mig_graph_find_id(graph, ((Partial *) lfirst(lc))->revision);

		if (node >= 0)
			kept = bms_add_member(kept, node);
	}
	foreach(lc, mig_graph_ids(changes->position.graph, changes->applied))
	{
		int			node = mig_graph_find_id(graph, lfirst(lc));

		if (node >= 0)
			kept = bms_add_member(kept, node);
	}
	kept = mig_graph_ancestors(graph, kept, GRAPH_REAL);
	for (int i = graph->n - 1; i >= 0; i--)
		if (!bms_is_member(graph->order[i], kept))
			prunable = lappend(prunable,
							   unconstify(char *, graph->nodes[graph->order[i]].revision));
	return prunable;
}

/*
 * Drop revisions (char *), given children before parents.
 */
static void
prune(const Scope *scope, List *ids)
{
	ListCell   *lc;

	foreach(lc, ids)
		mig_revisions_delete(scope, lfirst(lc));
	if (ids != NIL)
		mig_heads_remember(scope, mig_position_in_scope(scope, true).graph);
}

/*
 * Say what was dropped (Revision *).
 */
static void
report_pruned(List *revisions)
{
	ListCell   *lc;

	foreach(lc, revisions)
	{
		const Revision *rev = lfirst(lc);

		ereport(NOTICE,
				(errmsg("dropped revision \"%s\", %s", rev->revision,
						mig_excerpt_for_client(mig_excerpt_line(rev->message))),
				 errdetail("No file has it, and it is not applied.")));
	}
}

/*
 * Say that a revision was replaced, and what of it.  Another script and another
 * message may be another change, whose author chose the same id.
 */
static void
report_replaced(const Change *change)
{
	const Revision *old = change->old;
	const Revision *now = change->rev;
	bool		other;
	List	   *parts;

	if (old == NULL)
		return;
	parts = differences(old, now);
	other = strcmp(old->message, now->message) != 0 &&
		(!mig_script_same(old->upgrade_sql, now->upgrade_sql) ||
		 old->upgrade_transactional != now->upgrade_transactional);
	ereport(other ? WARNING : NOTICE,
			(errmsg("replaced revision \"%s\", %s", old->revision,
					mig_excerpt_for_client(mig_excerpt_line(old->message))),
			 errdetail("Changed: %s.", mig_excerpt_for_client(mig_ids_join(parts))),
			 other ? errhint("If these are two changes with the same identifier, give the new one an identifier of its own, and load both files again.") : 0));
}

/*
 * Return what differs in two revisions of one id, as a list of phrases.
 */
static List *
differences(const Revision *old, const Revision *now)
{
	List	   *parts = NIL;

	if (!mig_script_same(old->upgrade_sql, now->upgrade_sql) ||
		old->upgrade_transactional != now->upgrade_transactional)
		parts = lappend(parts, "upgrade script");
	if (!mig_script_same(old->downgrade_sql, now->downgrade_sql) ||
		old->downgrade_transactional != now->downgrade_transactional)
		parts = lappend(parts, "downgrade script");
	if (strcmp(old->message, now->message) != 0)
		parts = lappend(parts, psprintf("message (now \"%s\")",
										mig_excerpt_line(now->message)));
	if (!mig_ids_equal_as_sets(old->down_revisions, now->down_revisions))
		parts = lappend(parts, "down revisions");
	if (!mig_ids_equal_as_sets(old->depends_on, now->depends_on))
		parts = lappend(parts, "dependencies");
	if (!mig_ids_equal_as_sets(old->branch_labels, now->branch_labels))
		parts = lappend(parts, "branch labels");
	return parts != NIL ? parts : list_make1("order of names");
}

/*
 * Return the status of a revision that is in files or in the database.
 */
static FileStatus *
status_of(const Changes *changes, int node, List *files, List *edited)
{
	const char *id = changes->graph->nodes[node].revision;
	const Change *change = changes->of_node[node];
	const RevisionFile *file = file_of(files, id);
	int			stored = mig_graph_find_id(changes->position.graph, id);
	bool		applied = stored >= 0 && bms_is_member(stored, changes->applied);
	FileStatus *status = palloc0(sizeof(FileStatus));

	status->revision = id;
	status->name = file ? file->name : NULL;
	if (file == NULL)
	{
		status->state = "database only";
		status->detail = applied ? "applied" : "pending";
	}
	else if (stored < 0)
		status->state = "not loaded";
	else if (change != NULL && !change->only_place)
	{
		status->state = applied ? "edited" : "changed";
		status->detail = mig_ids_join(differences(change->old, change->rev));
	}
	else if (mig_ids_contain_any(edited, list_make1(unconstify(char *, id))))
	{
		status->state = "edited";
		status->detail = "upgrade script in the database";
	}
	else
		status->state = applied ? "applied" : "pending";
	return status;
}

/*
 * Return the one of files, which are sorted by id, that has a revision, or NULL.
 */
static const RevisionFile *
file_of(List *files, const char *revision)
{
	int			low = 0;
	int			high = list_length(files);

	while (low < high)
	{
		int			middle = (low + high) / 2;
		const RevisionFile *file = list_nth(files, middle);
		int			order = strcmp(file->rev.revision, revision);

		if (order == 0)
			return file;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * Return what storing files would change. Works on copies of files, because it
 * replaces the names in them by ids, and what a name means may be another revision
 * the next time. Without the lock the answer is preliminary: no messages, no MG007.
 * Errors: MG001, MG002, MG003, MG007, MG010, with the file's name in the
 * context where they are about one.
 */
static Changes
find_changes(List *files, bool locked)
{
	Changes		changes = {.role = mig_position_caller()};
	FileContext context;
	List	   *stored;
	ListCell   *lc;
	ListCell   *rest;

	changes.position = mig_position_read(true);
	changes.applied = mig_graph_ancestors(changes.position.graph, changes.position.rows,
										  GRAPH_REAL);
	files = copy_files(files);
	context_begin(&context, files);
	give_parents(changes.position.graph, files, &context, locked ? NOTICE : DEBUG1);
	changes.graph = combine(changes.position.graph, files);
	mig_graph_index(changes.graph);
	resolve_parents(changes.graph, files, &context);
	mig_graph_link(changes.graph);

	stored = stored_of(files, locked);
	changes.of_node = palloc0((changes.graph->n + 1) * sizeof(Change *));
	forboth(lc, files, rest, stored)
	{
		RevisionFile *file = lfirst(lc);
		int			node = mig_graph_find_id(changes.position.graph, file->rev.revision);

		context.file = file;
		changes.of_node[mig_graph_find_id(changes.graph, file->rev.revision)] =
			compare(lfirst(rest), &file->rev,
					locked && node >= 0 && bms_is_member(node, changes.applied));
	}
	error_context_stack = context.callback.previous;

	for (int i = 0; i < changes.graph->n; i++)
		if (changes.of_node[changes.graph->order[i]] != NULL)
			changes.ordered = lappend(changes.ordered,
									  changes.of_node[changes.graph->order[i]]);
	return changes;
}

/*
 * Return shallow copies of files (RevisionFile *).
 */
static List *
copy_files(List *files)
{
	List	   *copies = NIL;
	ListCell   *lc;

	foreach(lc, files)
	{
		RevisionFile *copy = palloc(sizeof(RevisionFile));

		*copy = *(RevisionFile *) lfirst(lc);
		copies = lappend(copies, copy);
	}
	return copies;
}

/*
 * Return what is stored of files (RevisionFile *), NULL for nothing, in their order.
 * Without the lock, what was found when they were looked up is good enough.
 */
static List *
stored_of(List *files, bool locked)
{
	List	   *stored = NIL;
	ListCell   *lc;
	Scope		scope;

	if (!locked && ((RevisionFile *) linitial(files))->looked_up)
	{
		foreach(lc, files)
			stored = lappend(stored, unconstify(Revision *,
												((RevisionFile *) lfirst(lc))->stored));
		return stored;
	}
	mig_scope_enter(&scope);
	stored = mig_revisions_read_several(&scope, ids_of(files));
	mig_scope_leave(&scope);
	return stored;
}

/*
 * Return the ids of files (RevisionFile *), in their order.
 */
static List *
ids_of(List *files)
{
	List	   *ids = NIL;
	ListCell   *lc;

	foreach(lc, files)
		ids = lappend(ids, ((RevisionFile *) lfirst(lc))->rev.revision);
	return ids;
}

/*
 * Begin to say in errors which file they are about: the only one, or the one
 * that context->file is set to.
 */
static void
context_begin(FileContext *context, List *files)
{
	context->only = list_length(files) == 1 ? linitial(files) : NULL;
	context->file = context->only;
	context->callback.callback = file_callback;
	context->callback.arg = context;
	context->callback.previous = error_context_stack;
	error_context_stack = &context->callback;
}

/*
 * MG011 for two files with the same id.
 */
static void
check_distinct(List *files)
{
	List	   *sorted = list_copy(files);
	const RevisionFile *last = NULL;
	ListCell   *lc;

	list_sort(sorted, compare_files);
	foreach(lc, sorted)
	{
		const RevisionFile *file = lfirst(lc);

		if (last != NULL && strcmp(last->rev.revision, file->rev.revision) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BAD_SCRIPT),
					 errmsg("revision \"%s\" is in two files, \"%s\" and \"%s\"",
							file->rev.revision, mig_excerpt_printable(last->name),
							mig_excerpt_printable(file->name)),
					 errhint("If two branches chose the same identifier, give one file another identifier, and the other revision as its parent.")));
		last = file;
	}
}

/*
 * Compare two files by id, then by name, for list_sort.
 */
static int
compare_files(const ListCell *a, const ListCell *b)
{
	const RevisionFile *fa = lfirst(a);
	const RevisionFile *fb = lfirst(b);
	int			order = strcmp(fa->rev.revision, fb->rev.revision);

	return order != 0 || fa->name == NULL || fb->name == NULL ? order :
		strcmp(fa->name, fb->name);
}

/*
 * Return the stored graph with the revisions of files added or put in place,
 * not yet indexed.
 */
static Graph *
combine(const Graph *stored, List *files)
{
	Graph	   *graph = mig_graph_create();
	Bitmapset  *replaced = NULL;
	ListCell   *lc;

	foreach(lc, files)
	{
		const Revision *rev = &((RevisionFile *) lfirst(lc))->rev;
		int			node = mig_graph_find_id(stored, rev->revision);

		if (node >= 0)
			replaced = bms_add_member(replaced, node);
		mig_graph_add(graph, rev->revision, rev->down_revisions,
					  rev->depends_on, rev->branch_labels);
	}
	for (int i = 0; i < stored->n; i++)
		if (!bms_is_member(i, replaced))
			mig_graph_add(graph, stored->nodes[i].revision,
						  stored->nodes[i].down_revisions,
						  stored->nodes[i].depends_on,
						  stored->nodes[i].branch_labels);
	return graph;
}

/*
 * Give the files without a header their parents.  One that is stored keeps
 * those it has.  A new one becomes the child of the one before it in the order
 * of the list, the first of them the child of the last one loaded before.  Files
 * with a header may come after them.
 */
static void
give_parents(const Graph *stored, List *files, FileContext *context, int notice)
{
	List	   *others = NIL;
	List	   *chained = NIL;
	Graph	   *graph;
	ListCell   *lc;

	foreach(lc, files)
	{
		RevisionFile *file = lfirst(lc);
		int			node = mig_graph_find_id(stored, file->rev.revision);

		if (!file->format->has_header && node >= 0)
		{
			const GraphNode *self = &stored->nodes[node];

			file->rev.down_revisions = self->down_revisions;
			file->rev.depends_on = self->depends_on;
			file->rev.branch_labels = self->branch_labels;
		}
		if (!file->format->has_header && node < 0)
			chained = lappend(chained, file);
		else
			others = lappend(others, file);
	}
	if (chained == NIL)
		return;
	graph = combine(stored, files);
	mig_graph_index(graph);
	resolve_parents(graph, others, context);
	mig_graph_link(graph);
	chain(chained, graph, heads_before(graph, chained), notice);
}

/*
 * Return the heads that a graph has without files, which have no parents in it yet, and
 * without what comes after these.
 */
static Bitmapset *
heads_before(const Graph *graph, List *files)
{
	Bitmapset  *after = NULL;
	Bitmapset  *parents = NULL;
	Bitmapset  *heads = NULL;
	ListCell   *lc;

	foreach(lc, files)
	{
		const RevisionFile *file = lfirst(lc);

		after = bms_add_member(after, mig_graph_find_id(graph, file->rev.revision));
	}
	after = mig_graph_descendants(graph, after, GRAPH_DOWN);
	for (int i = 0; i < graph->n; i++)
		for (int k = 0; !bms_is_member(i, after) && k < graph->nodes[i].down.n; k++)
			parents = bms_add_member(parents, graph->nodes[i].down.to[k]);
	for (int i = 0; i < graph->n; i++)
		if (!bms_is_member(i, after) && !bms_is_member(i, parents))
			heads = bms_add_member(heads, i);
	return heads;
}

/*
 * Make a chain of files on the one of heads.  MG003 when there are several.
 */
static void
chain(List *files, const Graph *graph, const Bitmapset *heads, int notice)
{
	const char *tip = NULL;
	ListCell   *lc;

	if (bms_membership(heads) == BMS_MULTIPLE)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_MULTIPLE_HEADS),
				 errmsg("multiple head revisions are present, and a file without a header follows none of them"),
				 errdetail("The heads are %s.", mig_ids_quote(mig_graph_ids(graph, heads))),
				 errhint("Give the files headers, or join the heads with migrate.merge().")));
	if (!bms_is_empty(heads))
		tip = graph->nodes[bms_singleton_member(heads)].revision;
	foreach(lc, files)
	{
		RevisionFile *file = lfirst(lc);

		if (tip != NULL && strcmp(file->rev.revision, tip) < 0)
			ereport(notice,
					(errmsg("revision \"%s\" sorts before \"%s\", which was loaded earlier, and becomes its child",
							file->rev.revision, tip)));
		file->rev.down_revisions = tip ? list_make1(unconstify(char *, tip)) : NIL;
		tip = file->rev.revision;
	}
}

/*
 * Replace the names of parents and dependencies in files by ids, there and in
 * the graph, which is indexed and not yet linked.  Errors: MG001, MG002.
 */
static void
resolve_parents(Graph *graph, List *files, FileContext *context)
{
	ListCell   *lc;

	check_parents_exist(graph, files, context);
	foreach(lc, files)
	{
		RevisionFile *file = lfirst(lc);
		GraphNode  *node = &graph->nodes[mig_graph_find_id(graph,
														   file->rev.revision)];

		context->file = file;
		file->rev.down_revisions = resolve_names(graph, file->rev.down_revisions);
		file->rev.depends_on = resolve_names(graph, file->rev.depends_on);
		node->down_revisions = file->rev.down_revisions;
		node->depends_on = file->rev.depends_on;
	}
	context->file = context->only;
}

/*
 * Check that something has each name that files give as a parent or dependency.
 * Errors: MG001, for all of them.
 */
static void
check_parents_exist(const Graph *graph, List *files, FileContext *context)
{
	StringInfoData detail;
	const char *first = NULL;
	ListCell   *lc;

	initStringInfo(&detail);
	foreach(lc, files)
	{
		const RevisionFile *file = lfirst(lc);
		List	   *missing = missing_names(graph, &file->rev);

		if (missing == NIL)
			continue;
		first = first ? first : linitial(missing);
		appendStringInfo(&detail, "%sRevision \"%s\"%s refers to %s.",
						 detail.len > 0 ? "\n" : "", file->rev.revision,
						 context->only || file->name == NULL ? "" :
						 psprintf(" of file \"%s\"", mig_excerpt_printable(file->name)),
						 mig_excerpt_printable(mig_ids_quote(missing)));
	}
	if (first != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NO_SUCH_REVISION),
				 errmsg("can't locate revision identified by \"%s\"", mig_revision_clip(first)),
				 errdetail_internal("%s", mig_excerpt_for_client(detail.data)),
				 errhint("Load the files of parents and dependencies first, or all files together with migrate.load_directory().")));
}

/*
 * Return the names of parents and dependencies of rev that nothing in graph has.
 */
static List *
missing_names(const Graph *graph, const Revision *rev)
{
	List	   *missing = NIL;
	ListCell   *lc;

	foreach(lc, list_concat(list_copy(rev->down_revisions), rev->depends_on))
		if (mig_graph_find(graph, lfirst(lc)) < 0 &&
			mig_names_with_prefix(graph, lfirst(lc), NULL) == NIL)
			missing = lappend(missing, lfirst(lc));
	return missing;
}

/*
 * Return the ids of names, in their order, each once.
 */
static List *
resolve_names(const Graph *graph, List *names)
{
	List	   *ids = NIL;
	Bitmapset  *seen = NULL;
	ListCell   *lc;

	foreach(lc, names)
	{
		int			node = mig_target_name(graph, lfirst(lc));

		if (bms_is_member(node, seen))
			continue;
		seen = bms_add_member(seen, node);
		ids = lappend(ids, unconstify(char *, graph->nodes[node].revision));
	}
	return ids;
}

/*
 * Return what storing one revision changes, where old (NULL: none) is stored; NULL for
 * nothing.  Errors: MG007 for one that is applied.
 */
static Change *
compare(const Revision *old, const Revision *now, bool applied)
{
	bool		same = old != NULL && mig_revision_same(old, now);
	Change	   *change;

	if (old != NULL && applied)
		check_applied(old, now);
	if (same && (now->file_name == NULL || mig_revision_same_place(old, now)))
		return NULL;
	change = palloc(sizeof(Change));
	change->rev = now;
	change->old = old;
	change->only_place = same;
	return change;
}

/*
 * MG007 when a file would change what an applied revision did or needs.
 */
static void
check_applied(const Revision *old, const Revision *now)
{
	const char *what = NULL;
	bool		other;

	if (!mig_script_same(old->upgrade_sql, now->upgrade_sql) ||
		old->upgrade_transactional != now->upgrade_transactional)
		what = "upgrade script";
	else if (!mig_ids_equal_as_sets(old->down_revisions, now->down_revisions))
		what = "down revisions";
	else if (!mig_ids_equal_as_sets(old->depends_on, now->depends_on))
		what = "dependencies";
	if (what == NULL)
		return;
	other = strcmp(old->message, now->message) != 0;
	ereport(ERROR,
			(errcode(ERRCODE_MIG_CHANGED),
			 errmsg("cannot change the %s of revision \"%s\" because it is applied",
					what, old->revision),
			 other ? errdetail("The message of the applied revision is \"%s\", that of the file is \"%s\".",
							   mig_excerpt_for_client(mig_excerpt_line(old->message)),
							   mig_excerpt_for_client(mig_excerpt_line(now->message))) : 0,
			 other ? errhint("If two branches chose the same identifier, give this file one of its own, and \"%s\" or a later revision as its parent. Otherwise restore the file and make the change in a new revision.",
							 old->revision) :
			 errhint("Restore the file and make the change in a new revision.")));
}

/*
 * Say which file an error is about; an error context callback.
 */
static void
file_callback(void *arg)
{
	const RevisionFile *file = ((FileContext *) arg)->file;

	if (file != NULL && file->name != NULL)
		errcontext("revision file \"%s\"", mig_excerpt_printable(file->name));
}
