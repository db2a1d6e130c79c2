/*
 * foreign.h
 *		Telling files of other migration tools by their markers and names.
 */
#ifndef MIG_FOREIGN_H
#define MIG_FOREIGN_H

#include "migrate.h"

extern const char *mig_foreign_describe(const char *content, const char *name);

#endif							/* MIG_FOREIGN_H */
