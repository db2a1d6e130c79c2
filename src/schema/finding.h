/*
 * finding.h
 *		Errors that say something about the definitions that were run.
 */
#ifndef MIG_FINDING_H
#define MIG_FINDING_H

#include "migrate.h"

extern char *mig_finding_try(void (*body) (void *), void *argument);

#endif							/* MIG_FINDING_H */
