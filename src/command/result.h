/*
 * result.h
 *		Arguments and results of our SQL functions.
 */
#ifndef MIG_RESULT_H
#define MIG_RESULT_H

#include "migrate.h"

#include "fmgr.h"
#include "funcapi.h"
#include "nodes/pg_list.h"
#include "utils/tuplestore.h"

extern char *mig_result_text_arg(FunctionCallInfo fcinfo, int n, const char *name);
extern List *mig_result_array_arg(FunctionCallInfo fcinfo, int n, const char *name);
extern Tuplestorestate *mig_result_begin(FunctionCallInfo fcinfo, TupleDesc *tupdesc);
extern Datum mig_result_ids(FunctionCallInfo fcinfo, List *ids);

#endif							/* MIG_RESULT_H */
