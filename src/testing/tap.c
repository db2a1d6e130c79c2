/*
 * tap.c
 *		Results of tests, in the Test Anything Protocol.
 *
 * Where a test of pgTAP runs in the session, the results are pgTAP's: it counts what goes
 * through its own functions.  Elsewhere a call's result is a whole document with its plan,
 * as pg_prove wants it.
 */
#include "migrate.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "sql.h"
#include "testing/tap.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* The temporary table in which pgTAP has the plan and the count of a session. */
#define PGTAP_TABLE "__tcache__"

static const char *find_pgtap(void);
static List *write_plainly(List *results);
static List *pass_to_pgtap(List *results, const char *schema);
static char *query_text(const char *sql, int n, Oid *types, Datum *values);
static char *write_line(const char *text, bool escape);
static List *write_notes(List *lines, List *notes);

/*
 * Return results (TapResult *) of tests as SETOF text.  Errors: those of pgTAP's functions,
 * where a session of it is on.
 */
Datum
mig_tap_put(FunctionCallInfo fcinfo, List *results)
{
	const char *schema = find_pgtap();

	return mig_sql_ids(fcinfo, schema != NULL ? pass_to_pgtap(results, schema) :
					   write_plainly(results));
}

/*
 * Return the schema of pgTAP, if one of its plans is under way in this session, or NULL.
 */
static const char *
find_pgtap(void)
{
	static const char query[] = "SELECT n.nspname FROM pg_catalog.pg_extension e "
		"JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace "
		"WHERE e.extname OPERATOR(pg_catalog.=) 'pgtap'";
	Oid			temporary = LookupNamespaceNoError("pg_temp");
	char	   *schema;

	if (!OidIsValid(temporary) || !OidIsValid(get_relname_relid(PGTAP_TABLE, temporary)))
		return NULL;
	schema = query_text(query, 0, NULL, NULL);
	return schema != NULL ? quote_identifier(schema) : NULL;
}

/*
 * Return results as lines (char *), with a plan.
 */
static List *
write_plainly(List *results)
{
	List	   *lines = list_make1(psprintf("1..%d", list_length(results)));
	ListCell   *lc;

	foreach(lc, results)
	{
		const TapResult *result = lfirst(lc);
		StringInfoData line;

		initStringInfo(&line);
		appendStringInfo(&line, "%sok %d - %s", result->ok ? "" : "not ",
						 foreach_current_index(lc) + 1, write_line(result->name, true));
		if (result->skip != NULL)
			appendStringInfo(&line, " # SKIP %s", write_line(result->skip, true));
		lines = write_notes(lappend(lines, line.data), result->notes);
	}
	return lines;
}

/*
 * Have pgTAP count results, and return what it prints of them, as lines (char *).
 */
static List *
pass_to_pgtap(List *results, const char *schema)
{
	List	   *lines = NIL;
	ListCell   *lc;

	foreach(lc, results)
	{
		const TapResult *result = lfirst(lc);
		Oid			types[2] = {BOOLOID, TEXTOID};
		Datum		values[2];

		values[0] = BoolGetDatum(result->ok);
		values[1] = CStringGetTextDatum(write_line(result->name, false));
		if (result->skip == NULL)
			lines = lappend(lines, query_text(psprintf("SELECT %s.ok($1, $2)", schema), 2,
											  types, values));
		else
		{
			values[0] = CStringGetTextDatum(write_line(psprintf("%s: %s", result->name,
																result->skip), false));
			lines = lappend(lines, query_text(psprintf("SELECT %s.skip($1)", schema), 1,
											  &types[1], values));
		}
		lines = write_notes(lines, result->notes);
	}
	return lines;
}

/*
 * Run a query as the caller, and return the text of its one value, in the current memory
 * context; NULL: it has no row.  Errors: those of the query.
 */
static char *
query_text(const char *sql, int n, Oid *types, Datum *values)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *text = NULL;
	int			status;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	status = SPI_execute_with_args(sql, n, types, values, NULL, false, 0);
	if (status != SPI_OK_SELECT)
		elog(ERROR, "%s failed: %s", sql, SPI_result_code_string(status));
	if (SPI_processed > 0)
		text = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (text != NULL)
		text = MemoryContextStrdup(context, text);
	SPI_finish();
	return text;
}

/*
 * Return a text in one line; escape: with what begins a directive escaped.
 */
static char *
write_line(const char *text, bool escape)
{
	StringInfoData line;

	initStringInfo(&line);
	for (; *text != '\0'; text++)
	{
		if (escape && (*text == '#' || *text == '\\'))
			appendStringInfoChar(&line, '\\');
		appendStringInfoChar(&line, *text == '\n' || *text == '\r' ? ' ' : *text);
	}
	return line.data;
}

/*
 * Append notes (char *) to lines, as comments.
 */
static List *
write_notes(List *lines, List *notes)
{
	ListCell   *lc;

	foreach(lc, notes)
	{
		char	   *note = pstrdup(lfirst(lc));
		char	   *at;

		while ((at = strpbrk(note, "\r\n")) != NULL)
		{
			*at = '\0';
			lines = lappend(lines, psprintf("# %s", note));
			note = at + 1;
		}
		lines = lappend(lines, psprintf("# %s", note));
	}
	return lines;
}
