/*
 * fault.h
 *		What was wrong with a script that a test has run.
 */
#ifndef MIG_FAULT_H
#define MIG_FAULT_H

#include "migrate.h"

#include "nodes/pg_list.h"

/* An error of a script. */
typedef struct Fault
{
	const char *revision;
	MigDirection direction;
	const ErrorData *error;
	const char *excuse;			/* why it says nothing about the script, as a clause;
								 * NULL: it does */
} Fault;

extern Fault *mig_fault_make(const ErrorData *error, const char *revision,
							 MigDirection direction, bool reads);
extern List *mig_fault_describe(const Fault *fault);

#endif							/* MIG_FAULT_H */
