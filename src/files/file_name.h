/*
 * file_name.h
 *		Names of revision files: from an id and a message, and back.
 *
 * All results are palloc'd in the caller's current memory context.
 */
#ifndef MIG_FILE_NAME_H
#define MIG_FILE_NAME_H

#include "migrate.h"

#include "nodes/pg_list.h"

extern char *mig_file_name_write(const char *revision, const char *message,
								 bool apart);
extern List *mig_file_name_ids(const char *name);

#endif							/* MIG_FILE_NAME_H */
