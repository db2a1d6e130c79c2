/*
 * subtransaction.h
 *		Something that is run in a subtransaction, and may fail.
 */
#ifndef MIG_SUBTRANSACTION_H
#define MIG_SUBTRANSACTION_H

#include "migrate.h"

extern ErrorData *mig_subtransaction_try(void (*body) (void *argument), void *argument);

#endif							/* MIG_SUBTRANSACTION_H */
