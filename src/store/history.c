/*
 * history.c
 *		What the history shows besides the graph.
 */
#include "migrate.h"

#include "store/history.h"
#include "store/query.h"

static void mark_applied(const Scope *scope, List *lines);
static void *line_of_row(uint64 row);

/*
 * Return what the history shows besides the graph (HistoryLine *), by id in
 * byte order.
 */
List *
mig_history_read(const Scope *scope)
{
	static StoreQuery query = {
		"SELECT revision, message, created_at FROM migrate.revisions"
		" ORDER BY revision COLLATE pg_catalog.\"C\"", 0, {0}, NULL
	};
	List	   *lines = mig_query_rows(scope, &query, NULL, line_of_row);

	mark_applied(scope, lines);
	return lines;
}

/*
 * Mark those of the lines (HistoryLine *, by id in byte order) that are applied.
 */
static void
mark_applied(const Scope *scope, List *lines)
{
	static StoreQuery query = {
		"SELECT revision, applied_at FROM migrate.applied"
		" ORDER BY revision COLLATE pg_catalog.\"C\"", 0, {0}, NULL
	};
	uint64		n = mig_query_read(scope, &query, NULL, NULL);
	uint64		row = 0;
	ListCell   *lc;

	foreach(lc, lines)
	{
		HistoryLine *line = lfirst(lc);
		int			order = -1;

		while (row < n && (order = strcmp(mig_query_text(row, 1), line->revision)) < 0)
			row++;
		if (row == n || order != 0)
			continue;
		line->is_applied = true;
		line->applied_at = mig_query_time(row, 2);
	}
}

/*
 * Return a HistoryLine of a revision that is not applied, for mig_query_rows.
 */
static void *
line_of_row(uint64 row)
{
	HistoryLine *line = palloc0(sizeof(HistoryLine));

	line->revision = mig_query_text(row, 1);
	line->message = mig_query_text(row, 2);
	line->applied_at = line->created_at = mig_query_time(row, 3);
	return line;
}
