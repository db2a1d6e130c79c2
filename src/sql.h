/*
 * sql.h
 *		Arguments and results of our SQL functions.
 */
#ifndef MIG_SQL_H
#define MIG_SQL_H

#include "migrate.h"

#include "fmgr.h"
#include "funcapi.h"
#include "nodes/pg_list.h"
#include "utils/tuplestore.h"

extern void mig_sql_check_arg(FunctionCallInfo fcinfo, int n, const char *name);
extern char *mig_sql_text_arg(FunctionCallInfo fcinfo, int n, const char *name);
extern bool mig_sql_bool_arg(FunctionCallInfo fcinfo, int n, const char *name);
extern List *mig_sql_array_arg(FunctionCallInfo fcinfo, int n, const char *name);
extern List *mig_sql_bytes_arg(FunctionCallInfo fcinfo, int n, const char *name);
extern Tuplestorestate *mig_sql_begin(FunctionCallInfo fcinfo, TupleDesc *tupdesc);
extern Datum mig_sql_ids(FunctionCallInfo fcinfo, List *ids);

#endif							/* MIG_SQL_H */
