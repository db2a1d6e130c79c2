/*
 * rename.h
 *		Renames: told by models, or seen in definitions.
 */
#ifndef MIG_RENAME_H
#define MIG_RENAME_H

#include "migrate.h"

#include "kind/objects.h"

/* A rename. */
typedef struct Rename
{
	const SchemaObject *object;	/* before */
	const char *name;			/* the new one */
	const char *there;			/* statements without a semicolon */
	const char *back;
} Rename;

extern Rename *mig_rename_make(const SchemaObject *object, const char *name);
extern List *mig_rename_read_models(const Schema *live, const Schema *declared, List *models);
extern List *mig_rename_find(List *differences);
extern List *mig_rename_same(const Schema *from, const Schema *to);

#endif							/* MIG_RENAME_H */
