/*
 * tap.h
 *		Results of tests, in the Test Anything Protocol.
 */
#ifndef MIG_TAP_H
#define MIG_TAP_H

#include "migrate.h"

#include "fmgr.h"
#include "nodes/pg_list.h"

/* A result. */
typedef struct TapResult
{
	bool		ok;
	const char *name;
	const char *skip;			/* why it could not be found out; NULL: it was */
	List	   *notes;			/* char *, of one line or several */
} TapResult;

extern Datum mig_tap_put(FunctionCallInfo fcinfo, List *results);

#endif							/* MIG_TAP_H */
