/*
 * client.h
 *		Whether the client is still there.
 */
#ifndef MIG_CLIENT_H
#define MIG_CLIENT_H

#include "migrate.h"

extern void mig_client_check(void);

#endif							/* MIG_CLIENT_H */
