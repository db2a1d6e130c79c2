/*
 * query.c
 *		Queries on our own tables: cached plans and typed values.
 *
 * A query names at most one table of ours and runs as its owner, which need not
 * own the others.
 *
 * Reads see what was committed when the scope began, whatever the isolation
 * level, because they follow the run lock; and all reads of one scope see the
 * same, so that what is read without the lock fits together.  After a write
 * they see that too.  Writes use the transaction's snapshot, so that the
 * server's own check of concurrent updates stays in force.
 */
#include "migrate.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "store/query.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* What is known of a query that was run. */
typedef struct StorePlan
{
	char		table[NAMEDATALEN]; /* of ours that it names, or empty */
	SPIPlanPtr	plan;
} StorePlan;

static void *id_of_row(uint64 number);
static Datum not_null(uint64 row, int column, Oid type);
pg_noreturn static void null_element(void);
pg_noreturn static void null_value(int column);
static void note_table(const StoreQuery *query);
static const char *find_table(const char *sql, char name[NAMEDATALEN]);
static void prepare(StoreQuery *query);
static uint64 execute(const Scope *scope, StoreQuery *query, Datum *values,
					  const char *nulls, bool read_only);

/*
 * Run a query that reads.  Returns the number of rows; mig_query_value gets at
 * them until the next query.
 */
uint64
mig_query_read(const Scope *scope, StoreQuery *query, Datum *values,
			   const char *nulls)
{
	return execute(scope, query, values, nulls, true);
}

/*
 * The same on the transaction's own snapshot, which in REPEATABLE READ and
 * SERIALIZABLE may be old.
 */
uint64
mig_query_read_transaction(const Scope *scope, StoreQuery *query)
{
	uint64		n;

	PushActiveSnapshot(GetTransactionSnapshot());
	n = execute(scope, query, NULL, NULL, true);
	PopActiveSnapshot();
	return n;
}

/*
 * Run a query that writes.  Returns the number of rows written.
 */
uint64
mig_query_write(const Scope *scope, StoreQuery *query, Datum *values,
			   const char *nulls)
{
	uint64		n = execute(scope, query, values, nulls, false);

	CommandCounterIncrement();
	PopActiveSnapshot();
	PushActiveSnapshot(GetLatestSnapshot());
	return n;
}

/*
 * Run a query that reads, and return what row makes of each row of its result,
 * in the scope's context.
 */
List *
mig_query_rows(const Scope *scope, StoreQuery *query, Datum *values,
			   void *(*row) (uint64 number))
{
	uint64		n = mig_query_read(scope, query, values, NULL);
	MemoryContext old = MemoryContextSwitchTo(scope->context);
	List	   *rows = NIL;

	for (uint64 number = 0; number < n; number++)
		rows = lappend(rows, row(number));
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	return rows;
}

/*
 * Run a query that reads and has one column, which is an OID, and return its rows
 * (Oid) in the scope's context.
 */
List *
mig_query_oids(const Scope *scope, StoreQuery *query, Datum *values)
{
	uint64		n = mig_query_read(scope, query, values, NULL);
	MemoryContext old = MemoryContextSwitchTo(scope->context);
	List	   *oids = NIL;
	bool		isnull;

	for (uint64 row = 0; row < n; row++)
		oids = lappend_oid(oids,
						   DatumGetObjectId(mig_query_value(row, 1, OIDOID,
															&isnull)));
	MemoryContextSwitchTo(old);
	return oids;
}

/*
 * Run a query that reads and has one column, which is an id or a label, and
 * return its rows (char *) in the scope's context.  Errors: MG010 for a null.
 */
List *
mig_query_texts(const Scope *scope, StoreQuery *query, Datum *values)
{
	return mig_query_rows(scope, query, values, id_of_row);
}

/*
 * Return the first column of a row, for mig_query_texts.
 */
static void *
id_of_row(uint64 number)
{
	char	   *id = mig_query_text_or_null(number, 1);

	if (id == NULL)
		null_element();
	return id;
}

/*
 * A value of the last query's result, which must be of a type.  By-reference
 * values point into SPI's memory.  Errors: 55000.
 *
 * The tables' owner need not be a superuser and can alter them: what is read
 * as something else than it is could be an address.
 */
Datum
mig_query_value(uint64 row, int column, Oid type, bool *isnull)
{
	TupleDesc	desc;

	/* a rule may have made another query of it */
	if (SPI_tuptable == NULL || row >= SPI_tuptable->numvals)
		elog(ERROR, "row " UINT64_FORMAT " is not in the result", row);
	desc = SPI_tuptable->tupdesc;
	if (SPI_gettypeid(desc, column) != type)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of extension \"migrate\" is of type %s, not %s",
						SPI_fname(desc, column),
						format_type_be(SPI_gettypeid(desc, column)),
						format_type_be(type)),
				 errhint("A table in schema migrate was altered.")));
	return SPI_getbinval(SPI_tuptable->vals[row], desc, column, isnull);
}

/*
 * Return a text of the last query's result, copied to the current memory
 * context.
 */
char *
mig_query_text_or_null(uint64 row, int column)
{
	bool		isnull;
	Datum		value = mig_query_value(row, column, TEXTOID, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * The same for a column that holds no nulls.  Errors: 55000.
 */
char *
mig_query_text(uint64 row, int column)
{
	char	   *text = mig_query_text_or_null(row, column);

	if (text == NULL)
		null_value(column);
	return text;
}

/*
 * Return a column that holds no nulls.  Errors: 55000.
 */
static Datum
not_null(uint64 row, int column, Oid type)
{
	bool		isnull;
	Datum		value = mig_query_value(row, column, type, &isnull);

	if (isnull)
		null_value(column);
	return value;
}

/*
 * Return a boolean of the last query's result.  Errors: 55000.
 */
bool
mig_query_bool(uint64 row, int column)
{
	return DatumGetBool(not_null(row, column, BOOLOID));
}

/*
 * Return an integer of the last query's result.  Errors: 55000.
 */
int32
mig_query_int(uint64 row, int column)
{
	return DatumGetInt32(not_null(row, column, INT4OID));
}

/*
 * Return a time of the last query's result.  Errors: 55000.
 */
TimestampTz
mig_query_time(uint64 row, int column)
{
	return DatumGetTimestampTz(not_null(row, column, TIMESTAMPTZOID));
}

/*
 * Return the strings of a text[] of the last query's result, copied to the
 * current memory context; NIL for a null.  Errors: 55000, and MG010 for a null
 * element, which only a write by hand can put there.
 */
List *
mig_query_list(uint64 row, int column)
{
	bool		isnull;
	Datum		array = mig_query_value(row, column, TEXTARRAYOID, &isnull);
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	List	   *strings = NIL;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			null_element();
		strings = lappend(strings, TextDatumGetCString(elements[i]));
	}
	return strings;
}

/*
 * Report a null in a list of ids, or of labels.
 */
static void
null_element(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIG_BROKEN_GRAPH),
			 errmsg("a list of revisions or labels in migrate.revisions contains a null value")));
}

/*
 * Report a null in a column that has none as it was created.
 */
static void
null_value(int column)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("column \"%s\" of extension \"migrate\" contains a null value",
					SPI_fname(SPI_tuptable->tupdesc, column)),
			 errhint("A table in schema migrate was altered.")));
}

/*
 * Return an oid[] for a query's value, in the current memory context.
 */
Datum
mig_query_oid_array(List *oids)
{
	Datum	   *elements = palloc(Max(list_length(oids), 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, oids)
		elements[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(elements, n, OIDOID, sizeof(Oid),
										   true, TYPALIGN_INT));
}

/*
 * Return a text[] of strings, in the current memory context; a NULL pointer is
 * a null.
 */
Datum
mig_query_text_array(List *strings)
{
	int			n = list_length(strings);
	Datum	   *elements = palloc(Max(n, 1) * sizeof(Datum));
	bool	   *nulls = palloc0(Max(n, 1) * sizeof(bool));
	int			lower_bound = 1;
	ListCell   *lc;

	if (n == 0)
		return PointerGetDatum(construct_empty_array(TEXTOID));
	n = 0;
	foreach(lc, strings)
	{
		nulls[n] = lfirst(lc) == NULL;
		elements[n] = nulls[n] ? (Datum) 0 : CStringGetTextDatum((char *) lfirst(lc));
		n++;
	}
	return PointerGetDatum(construct_md_array(elements, nulls, 1, &n, &lower_bound,
											  TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * Note the table of ours that a query names, if it names one.
 */
static void
note_table(const StoreQuery *query)
{
	char	   *noted = query->plan->table;
	char		table[NAMEDATALEN];
	const char *rest = find_table(query->sql, noted);

	while (rest != NULL && (rest = find_table(rest, table)) != NULL)
		if (strcmp(table, noted) != 0)
			elog(ERROR, "query \"%s\" names two tables", query->sql);
}

/*
 * Find the next table of ours that sql names, but no function of ours.  Returns
 * the text after its name, or NULL if there is none.
 */
static const char *
find_table(const char *sql, char name[NAMEDATALEN])
{
	const char *rest = sql;

	while ((rest = strstr(rest, MIG_SCHEMA ".")) != NULL)
	{
		const char *begin = rest + strlen(MIG_SCHEMA ".");

		rest = begin + strspn(begin, "abcdefghijklmnopqrstuvwxyz_");
		if (*rest == '(')
			continue;
		strlcpy(name, begin, Min(rest - begin + 1, NAMEDATALEN));
		return rest;
	}
	return NULL;
}

/*
 * Make the query's plan, to be kept.
 */
static void
prepare(StoreQuery *query)
{
	SPIPlanPtr	plan = SPI_prepare(query->sql, query->nargs, query->argtypes);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed for \"%s\": %s", query->sql,
			 SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	query->plan->plan = plan;
}

/*
 * Run a query as the owner of its table, and check SPI's result code.  A query
 * that names no table of ours runs as the role that we are.
 */
static uint64
execute(const Scope *scope, StoreQuery *query, Datum *values,
		const char *nulls, bool read_only)
{
	int			result;

	Assert(scope != NULL && scope->context != NULL);
	if (query->plan == NULL)
	{
		query->plan = MemoryContextAllocZero(TopMemoryContext, sizeof(StorePlan));
		note_table(query);
	}
	if (query->plan->table[0] != '\0')
		mig_scope_act_as_owner(scope, query->plan->table);
	if (query->plan->plan == NULL)
		prepare(query);
	result = !read_only && scope->writes_latest ?
		SPI_execute_snapshot(query->plan->plan, values, nulls, GetLatestSnapshot(),
							 InvalidSnapshot, false, true, 0) :
		SPI_execute_plan(query->plan->plan, values, nulls, read_only, 0);
	if (result < 0)
		elog(ERROR, "query \"%s\" failed: %s", query->sql,
			 SPI_result_code_string(result));
	return SPI_processed;
}
