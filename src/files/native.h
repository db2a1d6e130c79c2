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

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

/*
 * A revision as authors see it; the catalog stores it and files hold it.
 * The lists are of char *.  In what mig_native_read returns they are as the
 * file has them (ids, prefixes, labels); elsewhere they are ids.
 */
typedef struct Revision
{
	char	   *revision;
	List	   *down_revisions;
	List	   *depends_on;
	List	   *branch_labels;
	char	   *message;
	char	   *upgrade_sql;
	char	   *downgrade_sql;	/* NULL: cannot be downgraded */
	bool		upgrade_transactional;
	bool		downgrade_transactional;
	bool		has_created_at;
	TimestampTz created_at;
} Revision;

/* What a revision file says. */
typedef struct RevisionFile
{
	Revision	rev;
	bool		has_header;		/* false: id and message are from the name, and
								 * rev.down_revisions is not known */
	const char *name;			/* as given, for messages; may be NULL */
} RevisionFile;

extern RevisionFile *mig_native_read(const char *content, const char *name);
extern bool mig_native_same(const Revision *a, const Revision *b);
extern char *mig_native_write(const Revision *rev);
extern char *mig_native_name(const char *revision, const char *message);
extern char *mig_native_check_message(const char *message);

#endif							/* MIG_NATIVE_H */
