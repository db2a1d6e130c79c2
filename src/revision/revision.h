/*
 * revision.h
 *		What a revision is, and what it can be called.
 */
#ifndef MIG_REVISION_H
#define MIG_REVISION_H

#include "migrate.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/*
 * A revision as authors see it; the store keeps it and files hold it.  The
 * lists are of char *: ids, but in what a file's reader returns as the file has
 * them (ids, prefixes, labels).
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
	const char *file_name;		/* NULL: not known */
	int			line[2];		/* of that file where the script of a direction begins,
								 * from 1; 0: not known */
} Revision;

extern bool mig_revision_same(const Revision *a, const Revision *b);
extern bool mig_revision_same_place(const Revision *a, const Revision *b);
extern const char *mig_revision_name_fault(const char *name);
extern const char *mig_revision_clip(const char *name);

#endif							/* MIG_REVISION_H */
