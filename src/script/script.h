/*
 * script.h
 *		The text of scripts: check and split.
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

/*
 * One statement of a script.  The tree is to be looked at only: the server writes
 * into the trees that it analyzes and runs, and positions in it are those of the
 * whole script.  To run a statement, mig_script_parse its own text.
 */
typedef struct ScriptStatement
{
	const RawStmt *raw;
	int			number;			/* from 1 */
	int			begin;			/* byte offset of its own text: at the block
								 * comments right before it, such as hints for
								 * the planner */
	int			location;		/* byte offset of its first token */
	int			len;			/* bytes, without the semicolon */
	int			line;			/* line of its first token, from 1 */
	int			rows;			/* byte offset of the rows of a COPY; -1: none */
	int			rows_len;		/* up to the line "\." */
	bool		top_level;		/* marked "-- migrate:top-level" */
	bool		large_objects;	/* BEGIN or COMMIT, with nothing between but the data
								 * of large objects: in a transaction, nothing */
} ScriptStatement;

/* Where a script comes from, for messages; each may be NULL or 0. */
typedef struct ScriptOrigin
{
	const char *file;			/* file name */
	const char *model;			/* name of the model that it is */
	const char *revision;		/* revision id */
	MigDirection direction;
	int			first_line;		/* line of the file where the script begins,
								 * from 1; 0 when it is in no file */
} ScriptOrigin;

/* One of the two scripts of a file. */
typedef struct ScriptSection
{
	bool		present;
	bool		transactional;
	int			marker;			/* offset of the marker line */
	int			body;			/* offset of the line after it */
} ScriptSection;

extern char *mig_script_check(const char *sql, bool transactional,
							  const ScriptOrigin *origin);
extern List *mig_script_parse(const char *sql);
extern List *mig_script_split(const char *sql);
extern bool mig_script_same(const char *a, const char *b);
extern char *mig_script_canonical(const char *text, int len);
extern void mig_script_sections(const char *text, const ScriptOrigin *origin,
								bool upgrade_only, ScriptSection *sections);
extern bool mig_script_marker(const char *line, MigDirection *direction,
							  const char **options);

#endif							/* MIG_SCRIPT_H */
