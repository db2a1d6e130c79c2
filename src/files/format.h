/*
 * format.h
 *		Reading revision files, whatever their format.
 *
 * Pure text work: no SPI, no file access, no catalog access.  All results are
 * palloc'd in the caller's current memory context.
 */
#ifndef MIG_FORMAT_H
#define MIG_FORMAT_H

#include "migrate.h"

#include "files/header.h"
#include "revision/revision.h"

/* A format of revision files.  All of them have the markers of dbmate. */
typedef struct FileFormat
{
	const char *name;
	bool		has_header;		/* false: a file does not name its parents */
	bool		(*takes) (const char *name);	/* NULL: whatever its name is */
	bool		(*recognizes) (const Header *header);
	void		(*reads) (Revision *rev, Header *header);
} FileFormat;

/* What a revision file says. */
typedef struct RevisionFile
{
	Revision	rev;			/* down_revisions is not known without a header */
	const FileFormat *format;
	const char *name;			/* as given, for messages; may be NULL */
} RevisionFile;

extern RevisionFile *mig_format_read(const char *content, const char *name,
									 bool upgrade_only);
extern const FileFormat *mig_format_find(const char *name);

#endif							/* MIG_FORMAT_H */
