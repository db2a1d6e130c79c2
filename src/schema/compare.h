/*
 * compare.h
 *		The differences between two schemas.
 */
#ifndef MIG_COMPARE_H
#define MIG_COMPARE_H

#include "migrate.h"

#include "kind/objects.h"

extern List *mig_compare_schemas(const Schema *from, const Schema *to);
extern bool mig_compare_is_text(const Difference *difference);
extern const char *mig_compare_action(const Difference *difference);
extern const char *mig_compare_detail(const Difference *difference);
extern char *mig_compare_line(const Difference *difference);
extern char *mig_compare_list(List *differences);

#endif							/* MIG_COMPARE_H */
