/*
 * ids.c
 *		Lists of revision identifiers (char *), and of other names.
 *
 * The order is that of the bytes, whatever the locale.
 */
#include "migrate.h"

#include "lib/stringinfo.h"
#include "revision/ids.h"

/* How many ids a message lists before it says "and N more". */
#define MAX_LISTED 10

static bool contains(List *ids, const char *id);
static int	compare(const ListCell *a, const ListCell *b);

/*
 * Return whether two lists hold the same ids in the same order.
 */
bool
mig_ids_equal(List *a, List *b)
{
	ListCell   *la;
	ListCell   *lb;

	if (list_length(a) != list_length(b))
		return false;
	forboth(la, a, lb, b)
		if (strcmp(lfirst(la), lfirst(lb)) != 0)
			return false;
	return true;
}

/*
 * Return whether two lists hold the same ids in whatever order.
 */
bool
mig_ids_equal_as_sets(List *a, List *b)
{
	return list_length(a) == list_length(b) &&
		mig_ids_contain_all(a, b) && mig_ids_contain_all(b, a);
}

/*
 * Return whether id is one of ids.
 */
static bool
contains(List *ids, const char *id)
{
	ListCell   *lc;

	foreach(lc, ids)
		if (strcmp(lfirst(lc), id) == 0)
			return true;
	return false;
}

/*
 * Return whether all of others are among ids.
 */
bool
mig_ids_contain_all(List *ids, List *others)
{
	ListCell   *lc;

	foreach(lc, others)
		if (!contains(ids, lfirst(lc)))
			return false;
	return true;
}

/*
 * Return whether any of others is among ids.
 */
bool
mig_ids_contain_any(List *ids, List *others)
{
	ListCell   *lc;

	foreach(lc, others)
		if (contains(ids, lfirst(lc)))
			return true;
	return false;
}

/*
 * Return whether an id occurs twice.
 */
bool
mig_ids_have_duplicates(List *ids)
{
	List	   *seen = NIL;
	ListCell   *lc;

	foreach(lc, ids)
	{
		if (contains(seen, lfirst(lc)))
			return true;
		seen = lappend(seen, lfirst(lc));
	}
	return false;
}

/*
 * Sort ids in place, in byte order.
 */
void
mig_ids_sort(List *ids)
{
	list_sort(ids, compare);
}

/*
 * Return the ids of a that are not in b.  Both must be in byte order, and the
 * result is.
 */
List *
mig_ids_difference(List *a, List *b)
{
	List	   *difference = NIL;
	ListCell   *lc;
	int			i = 0;

	foreach(lc, a)
	{
		int			order = 1;

		while (i < list_length(b) && (order = strcmp(list_nth(b, i), lfirst(lc))) < 0)
			i++;
		if (i == list_length(b) || order != 0)
			difference = lappend(difference, lfirst(lc));
	}
	return difference;
}

/*
 * Return ids with commas between them: "a, b".
 */
char *
mig_ids_join(List *ids)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, ids)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", (char *) lfirst(lc));
	return buf.data;
}

/*
 * Return ids as a message lists them: in double quotes with commas between
 * them, and of a long list the first ones and how many more there are.
 */
char *
mig_ids_quote(List *ids)
{
	StringInfoData buf;
	int			shown = 0;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, ids)
		if (shown++ < MAX_LISTED)
			appendStringInfo(&buf, "%s\"%s\"", shown > 1 ? ", " : "",
							 (char *) lfirst(lc));
	if (shown > MAX_LISTED)
		appendStringInfo(&buf, " and %d more", shown - MAX_LISTED);
	return buf.data;
}

/*
 * Compare two ids, for list_sort.
 */
static int
compare(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}
