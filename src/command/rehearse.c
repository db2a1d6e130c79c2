/*
 * rehearse.c
 *		What a plan would do, found out by doing it: rehearse, rehearsal_report.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "lint/linter.h"
#include "rehearsal/page.h"
#include "rehearsal/rehearsal.h"
#include "sql.h"
#include "storage/proc.h"
#include "store/subtransaction.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(migrate_rehearse);
PG_FUNCTION_INFO_V1(migrate_rehearsal_report);

/* Columns of its result. */
enum
{
	COLUMN_STEP,
	COLUMN_REVISION,
	COLUMN_STATEMENT,
	COLUMN_LINE,
	COLUMN_SQL,
	COLUMN_DURATION,
	COLUMN_WAL_BYTES,
	COLUMN_ROWS_AFFECTED,
	COLUMN_LOCKS,
	COLUMN_WAITED,
	COLUMN_REWRITES,
	COLUMN_SCANS,
	COLUMN_PROBLEM,
	COLUMNS
};

/* What lint finds in the scripts of a plan. */
typedef struct Linted
{
	const RehearsalOptions *options;
	List	   *findings;		/* PageFinding * */
	const char *note;			/* why there are none; NULL: it has looked */
} Linted;

static RehearsalOptions options_args(FunctionCallInfo fcinfo, const char *function);
static void lint_plan(void *argument);
static void lint_shortly(Linted *linted);
static MigDirection direction_arg(FunctionCallInfo fcinfo, int n);
static void put_row(const RehearsalRow *row, Tuplestorestate *store, TupleDesc tupdesc);
static void fill_statement(const RehearsalRow *row, Datum *values, bool *nulls);
static Datum interval(int64 microseconds);
static Datum texts_of_locks(List *locks);
static Datum oids_of_names(List *names);

/*
 * Implement migrate.rehearse(target, direction, round_trip). Errors: those of
 * mig_rehearsal_run.
 */
Datum
migrate_rehearse(PG_FUNCTION_ARGS)
{
	RehearsalOptions options = options_args(fcinfo, "migrate.rehearse()");
	Rehearsal	rehearsal;
	TupleDesc	tupdesc;
	Tuplestorestate *store;
	ListCell   *lc;

	store = mig_sql_begin(fcinfo, &tupdesc);
	rehearsal = mig_rehearsal_run(&options);
	foreach(lc, rehearsal.rows)
		put_row(lfirst(lc), store, tupdesc);
	return (Datum) 0;
}

/*
 * Implement migrate.rehearsal_report(target, direction, round_trip). Errors: those of
 * mig_rehearsal_run, and of reading the scripts.
 */
Datum
migrate_rehearsal_report(PG_FUNCTION_ARGS)
{
	RehearsalOptions options = options_args(fcinfo, "migrate.rehearsal_report()");
	Linted		linted = {.options = &options};
	Rehearsal	rehearsal;

	lint_shortly(&linted);
	rehearsal = mig_rehearsal_run(&options);
	PG_RETURN_TEXT_P(cstring_to_text(mig_page_write(&options, &rehearsal, linted.findings,
													linted.note)));
}

/*
 * Lint, but wait for locks of others no longer than a rehearsal does.
 */
static void
lint_shortly(Linted *linted)
{
	int			guc_level = NewGUCNestLevel();
	ErrorData  *error;

	if (mig_rehearse_lock_timeout > 0 &&
		(LockTimeout == 0 || LockTimeout > mig_rehearse_lock_timeout))
		(void) set_config_option("lock_timeout", psprintf("%d", mig_rehearse_lock_timeout),
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	error = mig_subtransaction_try(lint_plan, linted);
	AtEOXact_GUC(false, guc_level);
	if (error == NULL)
		return;
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
	linted->note = "Lint could not look at a table that another session has locked.";
}

/*
 * Find what lint finds in the scripts of the plan.  Errors: those of the move for its
 * target.
 */
static void
lint_plan(void *argument)
{
	Linted	   *linted = argument;
	const RehearsalOptions *options = linted->options;
	ListCell   *lc;

	foreach(lc, mig_linter_plan(options->target, options->direction))
	{
		const LintFinding *found = lfirst(lc);
		PageFinding *finding = palloc(sizeof(PageFinding));

		finding->revision = found->revision;
		finding->direction = found->direction;
		finding->statement = found->statement;
		finding->rule = found->rule->id;
		finding->severity = mig_rules_severity(found->rule);
		finding->message = found->message;
		finding->advice = found->rule->advice;
		linted->findings = lappend(linted->findings, finding);
	}
}

/*
 * Return the arguments of a function that rehearses.  Errors: 22004, 22023.
 */
static RehearsalOptions
options_args(FunctionCallInfo fcinfo, const char *function)
{
	RehearsalOptions options = {.function = function};

	options.target = mig_sql_text_arg(fcinfo, 0, "target");
	options.direction = direction_arg(fcinfo, 1);
	options.round_trip = mig_sql_bool_arg(fcinfo, 2, "round_trip");
	return options;
}

/*
 * Return argument n (from 0), a direction.  Errors: 22004, 22023.
 */
static MigDirection
direction_arg(FunctionCallInfo fcinfo, int n)
{
	const char *name = mig_sql_text_arg(fcinfo, n, "direction");

	if (strcmp(name, mig_direction_name(MIG_UPGRADE)) == 0)
		return MIG_UPGRADE;
	if (strcmp(name, mig_direction_name(MIG_DOWNGRADE)) == 0)
		return MIG_DOWNGRADE;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized direction \"%s\"", name),
			 errhint("The directions are: upgrade, downgrade.")));
}

/*
 * Add a row to the result.
 */
static void
put_row(const RehearsalRow *row, Tuplestorestate *store, TupleDesc tupdesc)
{
	Datum		values[COLUMNS] = {0};
	bool		nulls[COLUMNS];

	memset(nulls, true, sizeof(nulls));
	values[COLUMN_STEP] = Int32GetDatum(row->step);
	nulls[COLUMN_STEP] = false;
	if (row->revision != NULL)
		values[COLUMN_REVISION] = CStringGetTextDatum(row->revision);
	nulls[COLUMN_REVISION] = row->revision == NULL;
	if (row->sql != NULL)
		fill_statement(row, values, nulls);
	if (row->problem != NULL)
		values[COLUMN_PROBLEM] = CStringGetTextDatum(row->problem);
	nulls[COLUMN_PROBLEM] = row->problem == NULL;
	tuplestore_putvalues(store, tupdesc, values, nulls);
}

/*
 * Fill the columns that are about a statement.
 */
static void
fill_statement(const RehearsalRow *row, Datum *values, bool *nulls)
{
	char		bytes[32];

	memset(&nulls[COLUMN_STATEMENT], false, COLUMN_SCANS - COLUMN_STATEMENT + 1);
	values[COLUMN_STATEMENT] = Int32GetDatum(row->statement);
	values[COLUMN_LINE] = Int32GetDatum(row->line);
	values[COLUMN_SQL] = CStringGetTextDatum(row->sql);
	values[COLUMN_DURATION] = interval(row->duration);
	snprintf(bytes, sizeof(bytes), UINT64_FORMAT, row->wal_bytes);
	values[COLUMN_WAL_BYTES] = DirectFunctionCall3(numeric_in, CStringGetDatum(bytes),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1));
	values[COLUMN_ROWS_AFFECTED] = Int64GetDatum(row->rows);
	nulls[COLUMN_ROWS_AFFECTED] = row->rows < 0;
	values[COLUMN_LOCKS] = texts_of_locks(row->changes.locks);
	values[COLUMN_WAITED] = interval(row->waited);
	values[COLUMN_REWRITES] = oids_of_names(row->changes.rewrites);
	values[COLUMN_SCANS] = oids_of_names(row->changes.scans);
}

/*
 * Return a time as an interval.
 */
static Datum
interval(int64 microseconds)
{
	Interval   *result = palloc0(sizeof(Interval));

	result->time = microseconds;
	return IntervalPGetDatum(result);
}

/*
 * Return locks (RelationLocked *) as text[].
 */
static Datum
texts_of_locks(List *locks)
{
	Datum	   *texts = palloc(Max(list_length(locks), 1) * sizeof(Datum));
	ListCell   *lc;

	foreach(lc, locks)
	{
		const RelationLocked *lock = lfirst(lc);

		texts[foreach_current_index(lc)] =
			CStringGetTextDatum(psprintf("%s on %s", lock->mode, lock->relation));
	}
	return PointerGetDatum(construct_array(texts, list_length(locks), TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/*
 * Return relations (RelationName *) as regclass[].
 */
static Datum
oids_of_names(List *names)
{
	Datum	   *oids = palloc(Max(list_length(names), 1) * sizeof(Datum));
	ListCell   *lc;

	foreach(lc, names)
		oids[foreach_current_index(lc)] =
			ObjectIdGetDatum(((const RelationName *) lfirst(lc))->oid);
	return PointerGetDatum(construct_array(oids, list_length(names), REGCLASSOID, sizeof(Oid),
										   true, TYPALIGN_INT));
}
