/*
 * scope.h
 *		Entering and leaving our own bookkeeping.
 */
#ifndef MIG_SCOPE_H
#define MIG_SCOPE_H

#include "migrate.h"

/*
 * What was in force before mig_scope_enter.  The functions of store/ take a
 * scope first: they may only be called within it.
 */
typedef struct Scope
{
	MemoryContext context;		/* holds what they return */
	Oid			caller;			/* current role of the caller */
	int			security_context;
	int			guc_level;
	bool		writes_latest;	/* writes are on the latest snapshot, not on that of
								 * the transaction */
} Scope;

extern void mig_scope_refuse_in_script(const char *function);
extern bool mig_scope_set_in_script(bool in_script);

extern void mig_scope_enter(Scope *scope);
extern void mig_scope_act_as_owner(const Scope *scope, const char *table);
extern void mig_scope_by_key(void);
extern void mig_scope_leave(const Scope *scope);

#endif							/* MIG_SCOPE_H */
