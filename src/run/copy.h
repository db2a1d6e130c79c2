/*
 * copy.h
 *		COPY with its rows in the script.
 */
#ifndef MIG_COPY_H
#define MIG_COPY_H

#include "migrate.h"

#include "nodes/parsenodes.h"

extern uint64 mig_copy_rows(const CopyStmt *copy, const char *query, const char *rows,
							int len);

#endif							/* MIG_COPY_H */
