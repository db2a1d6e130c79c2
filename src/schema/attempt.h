/*
 * attempt.h
 *		What others are in the way of, attempted again.
 */
#ifndef MIG_ATTEMPT_H
#define MIG_ATTEMPT_H

#include "migrate.h"

#include "datatype/timestamp.h"

/* Attempts at the same work; all zero before the first one. */
typedef struct Attempts
{
	TimestampTz since;			/* when the first one began to wait for others */
	int			timeout;		/* of all of them, in milliseconds; 0: none */
	int			refused;		/* how many failed because of what others had changed */
} Attempts;

extern void mig_attempt_begin(Attempts *attempts);
extern void mig_attempt_wait_shortly(const Attempts *attempts);
extern void mig_attempt_wait_long(const Attempts *attempts);
extern bool mig_attempt_again(Attempts *attempts, const ErrorData *error);
extern bool mig_attempt_is_of_others(const ErrorData *error);
extern void mig_attempt_complete(ErrorData *error);

#endif							/* MIG_ATTEMPT_H */
