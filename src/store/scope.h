/*
 * scope.h
 *		Entering and leaving our own bookkeeping.
 */
#ifndef MIG_SCOPE_H
#define MIG_SCOPE_H

#include "migrate.h"

#include "executor/spi.h"

/* Most parameters that one of our queries has. */
#define SCOPE_MAX_ARGS 16

/* What was in force before mig_scope_enter; opaque to callers. */
typedef struct Scope
{
	Oid			caller;			/* current role of the caller */
	int			security_context;
	int			guc_level;
} Scope;

/*
 * One of our queries.  A static variable of this type holds its plan for the
 * rest of the session.
 */
typedef struct ScopeQuery
{
	const char *sql;
	int			nargs;
	Oid			argtypes[SCOPE_MAX_ARGS];
	SPIPlanPtr	plan;			/* NULL until first used */
} ScopeQuery;

extern void mig_scope_refuse_in_script(const char *function);
extern bool mig_scope_set_in_script(bool in_script);

extern void mig_scope_enter(Scope *scope);
extern void mig_scope_by_key(void);
extern void mig_scope_leave(const Scope *scope);
extern uint64 mig_scope_read(ScopeQuery *query, Datum *values, const char *nulls);
extern uint64 mig_scope_read_transaction(ScopeQuery *query);
extern uint64 mig_scope_write(ScopeQuery *query, Datum *values, const char *nulls);
extern Datum mig_scope_oid_array(List *oids);
extern Datum mig_scope_text_array(List *strings);
extern Datum mig_scope_value(uint64 row, int column, Oid type, bool *isnull);
extern char *mig_scope_text(uint64 row, int column);
extern char *mig_scope_text_or_null(uint64 row, int column);

#endif							/* MIG_SCOPE_H */
