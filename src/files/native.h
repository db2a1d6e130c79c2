/*
 * native.h
 *		Revision files: a file's text to a revision and back.
 *
 * Pure text work: no SPI, no file access, no catalog access.  All results are
 * palloc'd in the caller's current memory context.
 */
#ifndef MIG_NATIVE_H
#define MIG_NATIVE_H

#include "migrate.h"

#include "revision/revision.h"

/* What a revision file says. */
typedef struct RevisionFile
{
	Revision	rev;
	bool		has_header;		/* false: id and message are from the name, and
								 * rev.down_revisions is not known */
	const char *name;			/* as given, for messages; may be NULL */
} RevisionFile;

extern RevisionFile *mig_native_read(const char *content, const char *name);
extern char *mig_native_write(const Revision *rev);
extern char *mig_native_name(const char *revision, const char *message, bool apart);
extern List *mig_native_name_ids(const char *name);
extern char *mig_native_check_message(const char *message);

#endif							/* MIG_NATIVE_H */
