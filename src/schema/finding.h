/*
 * finding.h
 *		Errors that say something about the definitions that were run.
 */
#ifndef MIG_FINDING_H
#define MIG_FINDING_H

#include "migrate.h"

extern bool mig_finding_is_of_server(const ErrorData *error);
extern char *mig_finding_try(void (*body) (void *), void *argument);

#endif							/* MIG_FINDING_H */
