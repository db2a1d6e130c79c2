/*
 * trace.h
 *		What the downgrade of a revision leaves.
 */
#ifndef MIG_TRACE_H
#define MIG_TRACE_H

#include "migrate.h"

#include "nodes/pg_list.h"
#include "testing/walk.h"

/* What is known of the downgrade of a revision. */
typedef struct Trace
{
	const WalkStep *step;
	const char *skip;			/* why nothing is; NULL: something is */
	Fault	   *fault;			/* of its upgrade or downgrade; NULL: none */
	List	   *differences;	/* Difference *, what would have to be done after it */
	const char *missing;		/* statements that do, or why there are none */
	Schema	   *before;			/* the upgrade */
	Schema	   *after;			/* the downgrade */
	List	   *unmanaged;		/* char *: schemas of differences that are not managed */
	List	   *orders;			/* char *: tables of which only the order of columns is
								 * not as before */
} Trace;

extern List *mig_trace_find(Walk *walk, const Bitmapset *kept);

#endif							/* MIG_TRACE_H */
