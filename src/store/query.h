/*
 * query.h
 *		Queries on our own tables: cached plans and typed values.
 *
 * To be used within a scope.  The values of a result are there until the next
 * query.
 */
#ifndef MIG_QUERY_H
#define MIG_QUERY_H

#include "migrate.h"

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "nodes/pg_list.h"
#include "store/scope.h"

/* Most parameters that one of our queries has. */
#define QUERY_MAX_ARGS 16

/*
 * A query.  It is constant, names one table of ours at most, and names
 * everything, operators too, with its schema; a static variable of this type
 * holds its plan for the rest of the session.
 */
typedef struct StoreQuery
{
	const char *sql;
	int			nargs;
	Oid			argtypes[QUERY_MAX_ARGS];
	struct StorePlan *plan;		/* NULL until first used */
} StoreQuery;

extern uint64 mig_query_read(const Scope *scope, StoreQuery *query, Datum *values,
							 const char *nulls);
extern uint64 mig_query_read_transaction(const Scope *scope, StoreQuery *query);
extern uint64 mig_query_write(const Scope *scope, StoreQuery *query, Datum *values,
							  const char *nulls);

extern List *mig_query_rows(const Scope *scope, StoreQuery *query, Datum *values,
							void *(*row) (uint64 number));
extern List *mig_query_texts(const Scope *scope, StoreQuery *query, Datum *values);
extern List *mig_query_oids(const Scope *scope, StoreQuery *query, Datum *values);

extern Datum mig_query_value(uint64 row, int column, Oid type, bool *isnull);
extern bool mig_query_bool(uint64 row, int column);
extern int32 mig_query_int(uint64 row, int column);
extern TimestampTz mig_query_time(uint64 row, int column);
extern char *mig_query_text(uint64 row, int column);
extern char *mig_query_text_or_null(uint64 row, int column);
extern List *mig_query_list(uint64 row, int column);

extern Datum mig_query_oid_array(List *oids);
extern Datum mig_query_text_array(List *strings);

#endif							/* MIG_QUERY_H */
