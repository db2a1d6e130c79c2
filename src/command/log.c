/*
 * log.c
 *		The view migrate.log: the version rows before each step.
 *
 * migrate.steps holds what a step removed and added, so that a step costs what
 * it changes, however many version rows there are.  The aggregate
 * migrate.undo_steps goes back from the version rows of now, newest step first;
 * as a window function it undoes each step once.  What it returns is only as
 * good as the steps: one that does not fit to the rows after it, because others
 * were deleted or migrate.versions was written by hand, makes it and all older
 * ones unknown, which is better than wrong.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "sql.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* The version rows while steps are undone. */
typedef struct Rows
{
	bool		known;
	int			n;
	int			size;			/* allocated */
	char	  **ids;			/* in byte order */
} Rows;

PG_FUNCTION_INFO_V1(migrate_undo_step);
PG_FUNCTION_INFO_V1(migrate_undone);

static Rows *begin_rows(List *ids);
static int	find_place(const Rows *rows, const char *id, bool *found);
static bool add_row(Rows *rows, const char *id);
static bool remove_row(Rows *rows, const char *id);
static bool undo(Rows *rows, List *removed, List *added, int count);

/*
 * Implement migrate.undo_step(state, versions, removed, added, versions_count),
 * the transition of the aggregate: undo a step.  The state lives as long as the
 * aggregation; it begins with versions.  Errors: 22004 for a null; 55000 when it
 * is not called by an aggregate.
 */
Datum
migrate_undo_step(PG_FUNCTION_ARGS)
{
	MemoryContext aggregation;
	MemoryContext old;
	Rows	   *rows;

	mig_sql_check_arg(fcinfo, 4, "versions_count");
	if (!AggCheckCallContext(fcinfo, &aggregation))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migrate.undo_step() can only be called by migrate.undo_steps()")));
	old = MemoryContextSwitchTo(aggregation);
	rows = PG_ARGISNULL(0) ? begin_rows(mig_sql_array_arg(fcinfo, 1, "versions")) :
		(Rows *) PG_GETARG_POINTER(0);
	MemoryContextSwitchTo(old);
	if (rows->known)
	{
		List	   *removed = mig_sql_array_arg(fcinfo, 2, "removed");
		List	   *added = mig_sql_array_arg(fcinfo, 3, "added");

		MemoryContextSwitchTo(aggregation);
		rows->known = undo(rows, removed, added, PG_GETARG_INT32(4));
		MemoryContextSwitchTo(old);
	}
	PG_RETURN_POINTER(rows);
}

/*
 * Implement migrate.undone(state), what the aggregate returns: the version rows,
 * or NULL when they are not known.
 */
Datum
migrate_undone(PG_FUNCTION_ARGS)
{
	const Rows *rows;
	Datum	   *elements;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	rows = (const Rows *) PG_GETARG_POINTER(0);
	if (!rows->known)
		PG_RETURN_NULL();
	elements = palloc((rows->n + 1) * sizeof(Datum));
	for (int i = 0; i < rows->n; i++)
		elements[i] = CStringGetTextDatum(rows->ids[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, rows->n, TEXTOID, -1, false,
										  TYPALIGN_INT));
}

/*
 * Return the rows that hold ids (char *), in the current memory context.
 */
static Rows *
begin_rows(List *ids)
{
	Rows	   *rows = palloc0(sizeof(Rows));
	ListCell   *lc;

	rows->known = true;
	foreach(lc, ids)
		rows->known &= add_row(rows, lfirst(lc));
	return rows;
}

/*
 * Undo a step; false when it cannot be the last one that led to rows, which are
 * then of no use.
 */
static bool
undo(Rows *rows, List *removed, List *added, int count)
{
	ListCell   *lc;

	if (rows->n != count)
		return false;
	foreach(lc, added)
		if (!remove_row(rows, lfirst(lc)))
			return false;
	foreach(lc, removed)
		if (!add_row(rows, lfirst(lc)))
			return false;
	return true;
}

/*
 * Return the place of an id, or where it would be.
 */
static int
find_place(const Rows *rows, const char *id, bool *found)
{
	int			low = 0;
	int			high = rows->n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (strcmp(rows->ids[middle], id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = low < rows->n && strcmp(rows->ids[low], id) == 0;
	return low;
}

/*
 * Add a copy of an id, in the current memory context; false when it is there.
 */
static bool
add_row(Rows *rows, const char *id)
{
	bool		found;
	int			place = find_place(rows, id, &found);

	if (found)
		return false;
	if (rows->n == rows->size)
	{
		rows->size = Max(8, 2 * rows->size);
		rows->ids = rows->ids == NULL ? palloc(rows->size * sizeof(char *)) :
			repalloc(rows->ids, rows->size * sizeof(char *));
	}
	memmove(&rows->ids[place + 1], &rows->ids[place], (rows->n - place) * sizeof(char *));
	rows->ids[place] = pstrdup(id);
	rows->n++;
	return true;
}

/*
 * Remove an id; false when it is not there.
 */
static bool
remove_row(Rows *rows, const char *id)
{
	bool		found;
	int			place = find_place(rows, id, &found);

	if (!found)
		return false;
	pfree(rows->ids[place]);
	rows->n--;
	memmove(&rows->ids[place], &rows->ids[place + 1], (rows->n - place) * sizeof(char *));
	return true;
}
