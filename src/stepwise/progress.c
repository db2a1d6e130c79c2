/*
 * progress.c
 *		The run that is under way (migrate.running), for migrate.progress.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "stepwise/progress.h"
#include "store/query.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/*
 * Write that a run begins.  The row of the last one, which may have crashed, is
 * removed.
 */
void
mig_progress_begin(const Scope *scope, const Running *running)
{
	static StoreQuery query = {
		"INSERT INTO migrate.running (pid, operation, target, revision, step,"
		" steps, started_at, step_started_at)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
		7, {INT4OID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID,
			TIMESTAMPTZOID}, NULL
	};
	Datum		values[7];

	mig_progress_end(scope);
	values[0] = Int32GetDatum(MyProcPid);
	values[1] = CStringGetTextDatum(mig_direction_name(running->direction));
	values[2] = CStringGetTextDatum(running->target);
	values[3] = CStringGetTextDatum(running->revision);
	values[4] = Int32GetDatum(running->step);
	values[5] = Int32GetDatum(running->steps);
	values[6] = TimestampTzGetDatum(running->started_at);
	(void) mig_query_write(scope, &query, values, NULL);
}

/*
 * Write that the next step of the run begins.
 */
void
mig_progress_next(const Scope *scope, const Running *running)
{
	static StoreQuery query = {
		"UPDATE migrate.running SET revision = $1, step = $2, steps = $3,"
		" step_started_at = pg_catalog.clock_timestamp()",
		3, {TEXTOID, INT4OID, INT4OID}, NULL
	};
	Datum		values[3];

	values[0] = CStringGetTextDatum(running->revision);
	values[1] = Int32GetDatum(running->step);
	values[2] = Int32GetDatum(running->steps);
	(void) mig_query_write(scope, &query, values, NULL);
}

/*
 * Write that the run ends.
 */
void
mig_progress_end(const Scope *scope)
{
	static StoreQuery query = {"DELETE FROM migrate.running", 0, {0}, NULL};

	(void) mig_query_write(scope, &query, NULL, NULL);
}
