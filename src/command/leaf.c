/*
 * leaf.c
 *		Storing a revision that nothing refers to, without reading the graph.
 *
 * Whoever loads a project file by file asks twice for every file: is it there
 * already, and can it be added?  Both can be told by looking up a few keys.  A
 * revision whose id is new has no children, so that no cycle can arise, and
 * the graph stays sound when its parents and dependencies are there and its
 * names are free.
 *
 * Where that is not plain (names that are prefixes or labels, anything that
 * would be an error) the functions say false, and load.c reads the graph.
 *
 * The heads are not known afterwards; the next upgrade, which has something to
 * do, writes them down.
 */
#include "migrate.h"

#include "access/xact.h"
#include "command/leaf.h"
#include "revision/ids.h"
#include "revision/revision.h"
#include "store/lock.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"

static bool can_add(const Revision *rev);

/*
 * Whether just this is stored: true only when the file's parents are written as
 * ids.
 */
bool
mig_leaf_is_stored(const RevisionFile *file)
{
	MemoryContext context = CurrentMemoryContext;
	Revision   *stored;
	Scope		scope;

	if (!file->has_header)
		return false;
	mig_scope_enter(&scope);
	mig_scope_by_key();
	stored = mig_revisions_read_revision(file->rev.revision, context);
	mig_scope_leave(&scope);
	return stored != NULL && mig_revision_same(stored, &file->rev);
}

/*
 * Store a new revision, if it can be done without reading the graph; false
 * when not.  Takes the run lock, unless it can be seen before that it is no
 * use.
 */
bool
mig_leaf_add(const RevisionFile *file, const char *function)
{
	const Revision *rev = &file->rev;
	const char *role = mig_position_caller();
	bool		added;
	Scope		scope;

	if (!file->has_header || IsolationUsesXactSnapshot())
		return false;
	mig_scope_enter(&scope);
	mig_scope_by_key();
	added = can_add(rev);
	mig_scope_leave(&scope);
	if (!added)
		return false;

	mig_lock_acquire(function);
	mig_scope_enter(&scope);
	mig_scope_by_key();
	added = can_add(rev);
	if (added)
		mig_revisions_insert_revision(rev, role);
	mig_scope_leave(&scope);
	return added;
}

/*
 * Whether rev is new, its names are free and what it refers to is there.
 */
static bool
can_add(const Revision *rev)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *own = lcons(rev->revision, list_copy(rev->branch_labels));
	List	   *parents = list_concat(list_copy(rev->down_revisions), rev->depends_on);
	List	   *stored;

	if (mig_ids_have_duplicates(own) || mig_ids_have_duplicates(rev->down_revisions) ||
		mig_ids_have_duplicates(rev->depends_on))
		return false;
	stored = mig_revisions_find_ids(list_concat(list_copy(own), parents), context);
	return mig_ids_contain_all(stored, parents) && !mig_ids_contain_any(stored, own) &&
		!mig_ids_contain_any(mig_revisions_read_labels(context), own);
}
