/*
 * author.h
 *		What commands that write a new revision share.
 */
#ifndef MIG_AUTHOR_H
#define MIG_AUTHOR_H

#include "migrate.h"

#include "revision/revision.h"
#include "schema/generate.h"
#include "store/position.h"

extern int	mig_author_one_revision(const Position *position, const char *target);
extern char *mig_author_new_id(const Position *position, const char *rev_id);
extern void mig_author_fill_generated(Revision *rev, const GeneratedScripts *scripts);
extern void mig_author_insert(const Position *position, Revision *rev);

#endif							/* MIG_AUTHOR_H */
