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
	const char *body;			/* from the marker of the upgrade script on... */
	int			body_line;		/* ...which is this line, from 1 */
	bool		has_scripts;	/* rev has them */
	bool		looked_up;		/* stored is known: */
	const Revision *stored;		/* what was stored then; NULL: nothing */
} RevisionFile;

extern RevisionFile *mig_format_begin(const char *content, const char *name);
extern bool mig_format_take_scripts(RevisionFile *file, const Revision *stored);
extern void mig_format_read_scripts(RevisionFile *file, bool upgrade_only);
extern RevisionFile *mig_format_read(const char *content, const char *name,
									 bool upgrade_only);
extern const FileFormat *mig_format_find(const char *name);

#endif							/* MIG_FORMAT_H */
