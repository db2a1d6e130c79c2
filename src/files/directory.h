/*
 * directory.h
 *		Reading files and directories of the server.
 */
#ifndef MIG_DIRECTORY_H
#define MIG_DIRECTORY_H

#include "migrate.h"

#include "nodes/pg_list.h"

/* A file: its name without the directory, and its text. */
typedef struct SourceFile
{
	char	   *name;
	char	   *content;
} SourceFile;

extern List *mig_directory_read_directory(const char *path);

#endif							/* MIG_DIRECTORY_H */
