/*
 * fingerprint.h
 *		A hash of all that a comparison reads.
 */
#ifndef MIG_FINGERPRINT_H
#define MIG_FINGERPRINT_H

#include "migrate.h"

extern char *mig_fingerprint_take(const char *project);
extern char *mig_fingerprint_of_text(const char *text);

#endif							/* MIG_FINGERPRINT_H */
