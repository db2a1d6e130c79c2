/*
 * compared.h
 *		The last comparison that found nothing (migrate.compared).
 */
#ifndef MIG_COMPARED_H
#define MIG_COMPARED_H

#include "migrate.h"

#include "store/scope.h"

extern char *mig_compared_read(const Scope *scope);
extern void mig_compared_write(const Scope *scope, const char *fingerprint);

#endif							/* MIG_COMPARED_H */
