/*
 * load.c
 *		Loading revision files: load, load_directory.
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
 */
#include "migrate.h"

#include "access/xact.h"
#include "files/directory.h"
#include "files/format.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/names.h"
#include "revision/revision.h"
#include "revision/target.h"
#include "script/excerpt.h"
#include "script/script.h"
#include "sql.h"
#include "store/heads.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "utils/builtins.h"
#include "utils/resowner.h"

PG_FUNCTION_INFO_V1(migrate_load);
PG_FUNCTION_INFO_V1(migrate_load_directory);

/* About how many bytes of faults of files are told. */
#define MAX_FAULTS		8192

/* A revision to be written. */
typedef struct Change
{
	const Revision *rev;
	const Revision *old;		/* what it replaces; NULL: it is new */
} Change;

/* A directory that is being read. */
typedef struct Directory
{
	const char *path;
	const FileFormat *format;	/* NULL: any */
	bool		allow_broken;	/* downgrade scripts */
	List	   *files;			/* RevisionFile * */
	List	   *faults;			/* ErrorData * */
} Directory;

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
static List *load_files(List *files, const char *function);
static void report_replaced(const Change *change);
static List *differences(const Revision *old, const Revision *now);
static List *find_changes(List *files, bool locked, Graph **after);
static void check_distinct(List *files);
static int	compare_files(const ListCell *a, const ListCell *b);
static Graph *combine(const Graph *stored, List *files);
static List *copy_files(List *files);
static void context_begin(FileContext *context, List *files);
static void give_parents(const Graph *stored, List *files, FileContext *context,
						 int notice);
static void chain(List *files, Graph *graph, int notice);
static void resolve_parents(Graph *graph, List *files, FileContext *context);
static void check_parents_exist(const Graph *graph, List *files, FileContext *context);
static List *missing_names(const Graph *graph, const Revision *rev);
static List *resolve_names(const Graph *graph, List *names);
static Change *compare(const Graph *stored, const Bitmapset *applied,
					   RevisionFile *file);
static void check_applied(const Revision *old, const Revision *now);
static void file_callback(void *arg);
static const FileFormat *format_arg(FunctionCallInfo fcinfo);
static void check_format(List *files, const FileFormat *format);
static void read_of_directory(Directory *directory, const char *name);
static RevisionFile *try_to_read(const char *path, const char *name, bool upgrade_only,
								 ErrorData **fault);
static bool is_of_file(const ErrorData *error);
static void warn_of_downgrade(const RevisionFile *file, const ErrorData *fault);
static char *describe_fault(const ErrorData *fault);
static void refuse_faults(const Directory *directory, int files);

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
	return stored != NULL && mig_revision_same(stored, &file->rev);
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
 * Store what is new or changed in files (RevisionFile *); returns the ids of
 * those, parents before children.
 */
static List *
load_files(List *files, const char *function)
{
	const char *role = mig_position_caller();
	List	   *changes;
	List	   *ids = NIL;
	Graph	   *graph;
	ListCell   *lc;
	Scope		scope;

	check_distinct(files);
	if (find_changes(files, false, &graph) == NIL)
		return NIL;

	mig_position_begin_write(function);
	changes = find_changes(files, true, &graph);
	foreach(lc, changes)
		if (((Change *) lfirst(lc))->old != NULL)
			mig_partial_check_edit(((Change *) lfirst(lc))->rev);
	mig_scope_enter(&scope);
	foreach(lc, changes)
	{
		Change	   *change = lfirst(lc);

		if (change->old == NULL)
			mig_revisions_insert(&scope, change->rev, role);
		else
			mig_revisions_update(&scope, change->rev, role);
	}
	mig_heads_remember(&scope, graph);
	mig_scope_leave(&scope);

	foreach(lc, changes)
	{
		report_replaced(lfirst(lc));
		ids = lappend(ids, ((Change *) lfirst(lc))->rev->revision);
	}
	return ids;
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
 * Return what storing files would change (Change *), parents before children,
 * and the graph after it. Works on copies of files, because it replaces the
 * names in them by ids, and what a name means may be another revision the next
 * time. Without the lock the answer is preliminary: no messages, no MG007.
 * Errors: MG001, MG002, MG003, MG007, MG010, with the file's name in the
 * context where they are about one.
 */
static List *
find_changes(List *files, bool locked, Graph **after)
{
	Position	position = mig_position_read(true);
	Bitmapset  *applied = mig_graph_ancestors(position.graph, position.rows,
											  GRAPH_REAL);
	FileContext context;
	Graph	   *graph;
	Change	  **changes;
	List	   *ordered = NIL;
	ListCell   *lc;

	files = copy_files(files);
	context_begin(&context, files);
	give_parents(position.graph, files, &context, locked ? NOTICE : DEBUG1);
	graph = combine(position.graph, files);
	mig_graph_index(graph);
	resolve_parents(graph, files, &context);
	mig_graph_link(graph);
	*after = graph;

	changes = palloc0((graph->n + 1) * sizeof(Change *));
	foreach(lc, files)
	{
		RevisionFile *file = lfirst(lc);

		context.file = file;
		changes[mig_graph_find_id(graph, file->rev.revision)] =
			compare(position.graph, locked ? applied : NULL, file);
	}
	error_context_stack = context.callback.previous;

	for (int i = 0; i < graph->n; i++)
		if (changes[graph->order[i]] != NULL)
			ordered = lappend(ordered, changes[graph->order[i]]);
	return ordered;
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
							mig_excerpt_printable(file->name))));
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
 * of the list, the first of them the child of the last one loaded before.
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
	graph = combine(stored, others);
	mig_graph_index(graph);
	resolve_parents(graph, others, context);
	mig_graph_link(graph);
	chain(chained, graph, notice);
}

/*
 * Make a chain of files on the one head of graph.  MG003 when it has several.
 */
static void
chain(List *files, Graph *graph, int notice)
{
	Bitmapset  *heads = mig_graph_heads(graph, GRAPH_DOWN);
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
 * Return what storing one file changes; NULL for nothing.
 */
static Change *
compare(const Graph *stored, const Bitmapset *applied, RevisionFile *file)
{
	const Revision *now = &file->rev;
	int			node = mig_graph_find_id(stored, now->revision);
	Change	   *change = palloc(sizeof(Change));
	Revision   *old = NULL;
	Scope		scope;

	change->rev = now;
	change->old = NULL;
	if (node < 0)
		return change;

	mig_scope_enter(&scope);
	old = mig_revisions_read_one(&scope, now->revision);
	mig_scope_leave(&scope);
	if (old != NULL && bms_is_member(node, applied))
		check_applied(old, now);
	if (old != NULL && mig_revision_same(old, now))
		return NULL;
	change->old = old;
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

/*
 * Return the format that argument 1 names, NULL for auto.
 * Errors: 22004, 22023.
 */
static const FileFormat *
format_arg(FunctionCallInfo fcinfo)
{
	char	   *name = mig_sql_text_arg(fcinfo, 1, "format");
	const FileFormat *format;

	if (strcmp(name, "auto") == 0)
		return NULL;
	format = mig_format_find(name);
	if (format == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized format \"%s\"", name),
				 errhint("Use auto, native or dbmate.")));
	return format;
}

/*
 * Check that all files are of a format. Errors: MG011.
 */
static void
check_format(List *files, const FileFormat *format)
{
	ListCell   *lc;

	foreach(lc, files)
	{
		const RevisionFile *file = lfirst(lc);

		if (file->format == format)
			continue;
		if (format->has_header)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BAD_SCRIPT),
					 errmsg("revision file \"%s\" has no header",
							mig_excerpt_printable(file->name)),
					 errhint("Begin it with comment lines \"-- Revision ID: ...\" and \"-- Revises: ...\", or use the format dbmate or auto.")));
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("revision file \"%s\" has a header, which files of dbmate do not",
						mig_excerpt_printable(file->name)),
				 errhint("Use the format native or auto.")));
	}
}

/*
 * Implement migrate.load(content, name): store the revision of one file.
 * Errors: MG001 to MG003, MG007, MG010, MG011, and the parser's.
 */
Datum
migrate_load(PG_FUNCTION_ARGS)
{
	char	   *content = mig_sql_text_arg(fcinfo, 0, "content");
	RevisionFile *file;
	char	   *name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));

	mig_scope_refuse_in_script("migrate.load()");
	file = mig_format_read(content, name, false);
	if (!is_stored(file) && !add_leaf(file, "migrate.load()"))
		(void) load_files(list_make1(file), "migrate.load()");
	PG_RETURN_TEXT_P(cstring_to_text(file->rev.revision));
}

/*
 * Implement migrate.load_directory(path, format, allow_broken_downgrades): store the
 * revisions of all files of a directory of the server. Errors: as migrate.load,
 * those of mig_directory_list and mig_directory_read_file, 22004, 22023.
 */
Datum
migrate_load_directory(PG_FUNCTION_ARGS)
{
	Directory	directory = {.path = mig_sql_text_arg(fcinfo, 0, "path"),
	.format = format_arg(fcinfo),
	.allow_broken = mig_sql_bool_arg(fcinfo, 2, "allow_broken_downgrades")};
	List	   *names;
	ListCell   *lc;

	mig_scope_refuse_in_script("migrate.load_directory()");
	names = mig_directory_list(directory.path);
	foreach(lc, names)
		read_of_directory(&directory, lfirst(lc));
	refuse_faults(&directory, list_length(names));
	if (directory.files == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("directory \"%s\" has no files of %s",
						mig_excerpt_printable(directory.path), directory.format->name),
				 errhint("Use the format native or auto.")));
	if (directory.format != NULL)
		check_format(directory.files, directory.format);
	return mig_sql_ids(fcinfo, load_files(directory.files, "migrate.load_directory()"));
}

/*
 * Read a file of a directory into directory->files, or note its fault.
 */
static void
read_of_directory(Directory *directory, const char *name)
{
	RevisionFile *file;
	ErrorData  *fault;

	if (directory->format != NULL && directory->format->takes != NULL &&
		!directory->format->takes(name))
	{
		ereport(NOTICE,
				(errmsg("file \"%s\" is left out", mig_excerpt_printable(name)),
				 errdetail("Files of %s have names that begin with a digit.",
						   directory->format->name)));
		return;
	}
	file = try_to_read(directory->path, name, false, &fault);
	if (file == NULL && directory->allow_broken)
	{
		ErrorData  *other;

		file = try_to_read(directory->path, name, true, &other);
		if (file != NULL)
			warn_of_downgrade(file, fault);
	}
	if (file != NULL)
		directory->files = lappend(directory->files, file);
	else
		directory->faults = lappend(directory->faults, fault);
}

/*
 * Return a file of a directory, read in a subtransaction; NULL when it cannot be
 * taken, and then *fault is why.  Errors: those that are not the file's.
 */
static RevisionFile *
try_to_read(const char *path, const char *name, bool upgrade_only, ErrorData **fault)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	RevisionFile *volatile file = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		char	   *shown;
		char	   *content = mig_directory_read_file(path, name, &shown);

		file = mig_format_read(content, shown, upgrade_only);
		pfree(content);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		*fault = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		file = NULL;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (file == NULL && !is_of_file(*fault))
		ReThrowError(*fault);
	return file;
}

/*
 * Return whether an error can be one of a file, and not of the server or the client.
 */
static bool
is_of_file(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return error->elevel == ERROR && category != ERRCODE_OPERATOR_INTERVENTION &&
		category != ERRCODE_INSUFFICIENT_RESOURCES && category != ERRCODE_INTERNAL_ERROR;
}

/*
 * Warn that a downgrade script is left out because it cannot be taken.
 */
static void
warn_of_downgrade(const RevisionFile *file, const ErrorData *fault)
{
	ereport(WARNING,
			(errmsg("revision \"%s\" cannot be downgraded: its downgrade script is left out",
					file->rev.revision),
			 errdetail("%s", describe_fault(fault)),
			 errhint("Give it another with migrate.edit('%s', downgrade => ...).",
					 file->rev.revision)));
}

/*
 * Return an error as a line: where it is, and what.
 */
static char *
describe_fault(const ErrorData *fault)
{
	char	   *message = mig_excerpt_printable(fault->message);

	if (fault->context != NULL)
		message = psprintf("%s: %s", mig_excerpt_line(fault->context), message);
	return mig_excerpt_for_client(message);
}

/*
 * Raise the faults of a directory of so many files, if there are any: the only one as
 * it is, several as one error, MG011.
 */
static void
refuse_faults(const Directory *directory, int files)
{
	int			n = list_length(directory->faults);
	StringInfoData lines;
	ListCell   *lc;

	if (n == 1)
		ReThrowError(linitial(directory->faults));
	if (n == 0)
		return;
	initStringInfo(&lines);
	foreach(lc, directory->faults)
	{
		appendStringInfo(&lines, "%s%s", lines.len > 0 ? "\n" : "",
						 describe_fault(lfirst(lc)));
		if (lines.len > MAX_FAULTS && lnext(directory->faults, lc) != NULL)
		{
			appendStringInfoString(&lines, "\n...");
			break;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_MIG_BAD_SCRIPT),
			 errmsg("%d of %d revision files of directory \"%s\" cannot be loaded",
					n, files, mig_excerpt_printable(directory->path)),
			 errdetail_internal("%s", lines.data)));
}
