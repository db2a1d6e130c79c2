/*
 * directory.h
 *		Reading files and directories of the server.
 */
#ifndef MIG_DIRECTORY_H
#define MIG_DIRECTORY_H

#include "migrate.h"

#include "nodes/pg_list.h"

extern List *mig_directory_list(const char *path);
extern char *mig_directory_read_file(const char *path, const char *name, char **shown);

#endif							/* MIG_DIRECTORY_H */
