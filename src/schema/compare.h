/*
 * compare.h
 *		The differences between two schemas.
 */
#ifndef MIG_COMPARE_H
#define MIG_COMPARE_H

#include "migrate.h"

#include "kind/objects.h"

/* A difference: what would have to be done to the first schema to make it the second. */
typedef struct Difference
{
	const SchemaObject *from;	/* NULL: to be created */
	const SchemaObject *to;		/* NULL: to be dropped */
	List	   *properties;		/* ObjectProperty *, of "to", that differ */
} Difference;

extern List *mig_compare_schemas(const Schema *from, const Schema *to);
extern bool mig_compare_is_text(const Difference *difference);
extern const char *mig_compare_action(const Difference *difference);
extern const char *mig_compare_detail(const Difference *difference);

#endif							/* MIG_COMPARE_H */
