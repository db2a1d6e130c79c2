/*
 * wait.h
 *		Whether the client is still there.
 */
#ifndef MIG_WAIT_H
#define MIG_WAIT_H

#include "migrate.h"

extern void mig_wait_check(void);

#endif							/* MIG_WAIT_H */
