/*
 * sql.c
 *		Arguments and results of our SQL functions.
 *
 * Functions that return sets materialize: all the work is done at the first
 * call, whatever the query does with the rows.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "sql.h"
#include "utils/array.h"
#include "utils/builtins.h"

static List *elements_arg(FunctionCallInfo fcinfo, int n, const char *name, Oid type);

/*
 * Check that argument n (from 0) is not null. Errors: 22004.
 */
void
mig_sql_check_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

/*
 * Return text argument n (from 0) as a string in the current memory context.
 * Errors: 22004 for NULL.
 */
char *
mig_sql_text_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	mig_sql_check_arg(fcinfo, n, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * Return boolean argument n (from 0). Errors: 22004 for NULL.
 */
bool
mig_sql_bool_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	mig_sql_check_arg(fcinfo, n, name);
	return PG_GETARG_BOOL(n);
}

/*
 * Return text[] argument n (from 0) as a list of strings. Errors: 22004 for a
 * null and for a null element.
 */
List *
mig_sql_array_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	List	   *strings = elements_arg(fcinfo, n, name, TEXTOID);
	ListCell   *lc;

	foreach(lc, strings)
		lfirst(lc) = text_to_cstring(lfirst(lc));
	return strings;
}

/*
 * Return bytea[] argument n (from 0) as a list of bytea *, not copied. Errors: 22004
 * for a null and for a null element.
 */
List *
mig_sql_bytes_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	return elements_arg(fcinfo, n, name, BYTEAOID);
}

/*
 * Return an array argument whose elements are of a varlena type as a list of them,
 * detoasted. Errors: 22004 for a null and for a null element.
 */
static List *
elements_arg(FunctionCallInfo fcinfo, int n, const char *name, Oid type)
{
	List	   *list = NIL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	mig_sql_check_arg(fcinfo, n, name);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), type, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not contain null values", name)));
		list = lappend(list, PG_DETOAST_DATUM_PACKED(elements[i]));
	}
	return list;
}

/*
 * Begin a materialized result; the tuplestore lives as long as the query.
 */
Tuplestorestate *
mig_sql_begin(FunctionCallInfo fcinfo, TupleDesc *tupdesc)
{
	ReturnSetInfo *info = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext old;
	Oid			type;

	if (info == NULL || !IsA(info, ReturnSetInfo) ||
		(info->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	old = MemoryContextSwitchTo(info->econtext->ecxt_per_query_memory);
	if (get_call_result_type(fcinfo, &type, tupdesc) != TYPEFUNC_COMPOSITE)
	{
		*tupdesc = CreateTemplateTupleDesc(1);
		TupleDescInitEntry(*tupdesc, 1, "revision", type, -1, 0);
	}
	info->returnMode = SFRM_Materialize;
	info->setDesc = *tupdesc;
	info->setResult = tuplestore_begin_heap((info->allowedModes & SFRM_Materialize_Random) != 0,
											false, work_mem);
	MemoryContextSwitchTo(old);
	return info->setResult;
}

/*
 * Return a list of ids (char *) as SETOF text.
 */
Datum
mig_sql_ids(FunctionCallInfo fcinfo, List *ids)
{
	TupleDesc	tupdesc;
	Tuplestorestate *store = mig_sql_begin(fcinfo, &tupdesc);
	ListCell   *lc;

	foreach(lc, ids)
	{
		Datum		values[1] = {CStringGetTextDatum((char *) lfirst(lc))};
		bool		nulls[1] = {false};

		tuplestore_putvalues(store, tupdesc, values, nulls);
		pfree(DatumGetPointer(values[0]));
	}
	return (Datum) 0;
}
