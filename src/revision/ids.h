/*
 * ids.h
 *		Lists of revision identifiers (char *), and of other names.
 *
 * Pure: works on what it is given.  Results are palloc'd in the current memory
 * context; the strings in them are those that were given.
 */
#ifndef MIG_IDS_H
#define MIG_IDS_H

#include "migrate.h"

#include "nodes/pg_list.h"

extern bool mig_ids_equal(List *a, List *b);
extern bool mig_ids_equal_as_sets(List *a, List *b);
extern bool mig_ids_contain_all(List *ids, List *others);
extern bool mig_ids_contain_any(List *ids, List *others);
extern bool mig_ids_have_duplicates(List *ids);
extern void mig_ids_sort(List *ids);
extern List *mig_ids_difference(List *a, List *b);
extern char *mig_ids_join(List *ids);
extern char *mig_ids_quote(List *ids);

#endif							/* MIG_IDS_H */
