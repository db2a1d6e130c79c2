/*
 * script.h
 *		The text of revision files and of scripts: read, check, split, write.
 *
 * Pure text work with the server's own lexer and parser: no SPI, no file
 * access, no catalog access.  All results are palloc'd in the caller's
 * current memory context.
 */
#ifndef MIG_SCRIPT_H
#define MIG_SCRIPT_H

#include "migrate.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

/*
 * A revision as authors see it; the catalog stores it and files hold it.
 * The lists are of char *.  In what mig_script_read returns they are as the
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

/*
 * One statement of a script.  stmt_location and stmt_len of the RawStmt are set
 * to location and len, so that they mean the same on every server version.
 */
typedef struct ScriptStatement
{
	RawStmt    *raw;
	int			number;			/* from 1 */
	int			location;		/* byte offset of its first token */
	int			len;			/* bytes, without the semicolon */
	int			line;			/* line of its first token, from 1 */
} ScriptStatement;

/* Where a script comes from, for messages; each may be NULL or 0. */
typedef struct ScriptOrigin
{
	const char *file;			/* file name */
	const char *revision;		/* revision id */
	MigDirection direction;
	int			first_line;		/* line of the file where the script begins,
								 * from 1; 0 when it is in no file */
} ScriptOrigin;

extern RevisionFile *mig_script_read(const char *content, const char *name);
extern char *mig_script_write(const Revision *rev);
extern char *mig_script_file_name(const char *revision, const char *message);
extern char *mig_script_check(const char *sql, bool transactional,
							  const ScriptOrigin *origin);
extern char *mig_script_check_message(const char *message);
extern List *mig_script_split(const char *sql);
extern bool mig_script_same(const char *a, const char *b);
extern int	mig_script_line(const char *sql, int offset);
extern const char *mig_script_needs_top_level(const RawStmt *raw);
extern int	mig_script_error_line(const char *sql, int start, int len);

#endif							/* MIG_SCRIPT_H */
