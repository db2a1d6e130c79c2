/*
 * native.h
 *		Our own revision files: a message, then Alembic's header, as comments.
 *
 * Pure text work.  All results are palloc'd in the caller's current memory
 * context.
 */
#ifndef MIG_NATIVE_H
#define MIG_NATIVE_H

#include "migrate.h"

#include "files/header.h"
#include "revision/revision.h"

extern bool mig_native_recognizes(const Header *header);
extern void mig_native_read(Revision *rev, Header *header);
extern char *mig_native_write(const Revision *rev);

#endif							/* MIG_NATIVE_H */
