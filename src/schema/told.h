/*
 * told.h
 *		Renames that a caller tells.
 */
#ifndef MIG_TOLD_H
#define MIG_TOLD_H

#include "migrate.h"

#include "kind/objects.h"

extern List *mig_told_read(const Schema *live, const Schema *declared, List *models,
						   List *texts);

#endif							/* MIG_TOLD_H */
