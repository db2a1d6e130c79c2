/*
 * dbmate.h
 *		Revision files of dbmate: id and message are in the file's name.
 *
 * Pure text work.  All results are palloc'd in the caller's current memory
 * context.
 */
#ifndef MIG_DBMATE_H
#define MIG_DBMATE_H

#include "migrate.h"

#include "files/header.h"
#include "revision/revision.h"

extern bool mig_dbmate_takes(const char *name);
extern bool mig_dbmate_recognizes(const Header *header);
extern void mig_dbmate_read(Revision *rev, Header *header);

#endif							/* MIG_DBMATE_H */
