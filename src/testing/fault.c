/*
 * fault.c
 *		What was wrong with a script that a test has run.
 *
 * A script that fails on empty tables may be wrong, or may need rows that only production
 * has.  An error that missing rows cause, of a statement that reads rows, excuses it: the
 * test could not look, and says so.  Everything else is a failure.
 */
#include "migrate.h"

#include "lib/stringinfo.h"
#include "schema/fence.h"
#include "testing/fault.h"

static const char *find_excuse(const ErrorData *error, bool reads);
static bool is_of_missing_rows(int sqlstate, bool reads);
static void append_part(List **lines, const char *label, const char *text);

/*
 * Return a fault, in the current memory context; reads: the statement may depend on rows
 * that are there.
 */
Fault *
mig_fault_make(const ErrorData *error, const char *revision, MigDirection direction,
			   bool reads)
{
	Fault	   *fault = palloc(sizeof(Fault));

	fault->revision = revision;
	fault->direction = direction;
	fault->error = error;
	fault->excuse = find_excuse(error, reads);
	return fault;
}

/*
 * Return why an error says nothing about a script, or NULL.
 */
static const char *
find_excuse(const ErrorData *error, bool reads)
{
	if (mig_fence_has_refused() && error->sqlerrcode == ERRCODE_FEATURE_NOT_SUPPORTED)
		return error->message;
	if (error->sqlerrcode == ERRCODE_MIG_BAD_SCRIPT)
		return error->message;
	if (error->sqlerrcode == ERRCODE_INVALID_TRANSACTION_TERMINATION)
		return "it commits, and tests run in a transaction that is rolled back";
	if (is_of_missing_rows(error->sqlerrcode, reads))
		return psprintf("it needs rows: %s", error->message);
	return NULL;
}

/*
 * Return whether an error is one that a script raises where rows are missing that it
 * expects; reads: its statement may depend on rows.
 */
static bool
is_of_missing_rows(int sqlstate, bool reads)
{
	switch (sqlstate)
	{
		case ERRCODE_NO_DATA:
		case ERRCODE_NO_DATA_FOUND:
		case ERRCODE_FOREIGN_KEY_VIOLATION:
			return true;
		case ERRCODE_RAISE_EXCEPTION:
		case ERRCODE_ASSERT_FAILURE:
		case ERRCODE_NOT_NULL_VIOLATION:
		case ERRCODE_NULL_VALUE_NOT_ALLOWED:
			return reads;
		default:
			return false;
	}
}

/*
 * Return a fault as lines (char *): what failed, with what error, and where.
 */
List *
mig_fault_describe(const Fault *fault)
{
	const ErrorData *error = fault->error;
	List	   *lines;

	lines = list_make1(psprintf("%s of revision \"%s\" failed: %s",
								mig_direction_name(fault->direction), fault->revision,
								error->message));
	append_part(&lines, "DETAIL", error->detail);
	append_part(&lines, "HINT", error->hint);
	append_part(&lines, "QUERY", error->internalquery);
	append_part(&lines, "CONTEXT", error->context);
	if (fault->excuse != NULL)
		lines = lappend(lines, "If it needs rows, give it some with migrate.set_revision_data(), or leave it out: skip => '{...}'.");
	return lines;
}

/*
 * Append a part of an error to its lines, if it has that.
 */
static void
append_part(List **lines, const char *label, const char *text)
{
	if (text != NULL)
		*lines = lappend(*lines, psprintf("%s: %s", label, text));
}
