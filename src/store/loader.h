/*
 * loader.h
 *		Storing what revision files say.
 */
#ifndef MIG_LOADER_H
#define MIG_LOADER_H

#include "migrate.h"

#include "files/format.h"

/* How a revision in files and the database compare. */
typedef struct FileStatus
{
	const char *revision;
	const char *name;			/* of the file; NULL: there is none */
	const char *state;
	const char *detail;			/* may be NULL */
} FileStatus;

extern void mig_loader_store_one(RevisionFile *file, const char *function);
extern List *mig_loader_store(List *files, bool with_prune, const char *function);
extern List *mig_loader_status(List *files);
extern void mig_loader_recognize(List *files);

#endif							/* MIG_LOADER_H */
