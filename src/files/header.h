/*
 * header.h
 *		The comment lines that a revision file begins with.
 *
 * Pure text work.  All results are palloc'd in the caller's current memory
 * context.
 */
#ifndef MIG_HEADER_H
#define MIG_HEADER_H

#include "migrate.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

/* What a line says that begins with one of Alembic's names. */
typedef enum HeaderKey
{
	KEY_NONE = -1,
	KEY_REVISION,
	KEY_REVISES,
	KEY_DEPENDS_ON,
	KEY_BRANCH_LABELS,
	KEY_CREATE_DATE
} HeaderKey;

#define HEADER_KEYS		(KEY_CREATE_DATE + 1)

/* A line before "-- migrate:up". */
typedef struct HeaderLine
{
	int			number;			/* in the file, from 1 */
	const char *text;			/* after the "--"; NULL: a blank line */
	HeaderKey	key;
	const char *value;			/* of the key, trimmed */
} HeaderLine;

/* All of them, while they are read: errors name the file and the line. */
typedef struct Header
{
	ErrorContextCallback callback;
	const char *name;			/* of the file, may be NULL */
	const char *content;		/* all of it */
	int			line;			/* where an error is, 0: nowhere */
	List	   *lines;			/* of HeaderLine */
} Header;

extern const char *mig_header_begin(Header *header, const char *content,
									const char *name);
extern void mig_header_end(Header *header);
extern const char *mig_header_label(HeaderKey key);
extern void mig_header_check_name(const char *name, const char *kind);
extern char *mig_header_message(const char *message);
extern const char *mig_header_message_fault(const char *message);
extern char *mig_header_check_message(const char *message);

#endif							/* MIG_HEADER_H */
