/*
 * excerpt.h
 *		Parts of a text that messages show, and places in it.
 *
 * Text work in the server encoding; mig_excerpt_for_client also looks at the
 * client's.  All results are palloc'd in the current memory context.
 */
#ifndef MIG_EXCERPT_H
#define MIG_EXCERPT_H

#include "migrate.h"

/* Most bytes of a statement that an error quotes. */
#define EXCERPT_SIZE 8192

/* A part of a text. */
typedef struct Excerpt
{
	char	   *text;
	int			position;		/* of the place it was made for, in characters
								 * from 1 */
} Excerpt;

extern Excerpt mig_excerpt_around(const char *text, int start, int len, int at);
extern char *mig_excerpt_clip(const char *text, int len, int limit);
extern int	mig_excerpt_clip_length(const char *text, int len, int limit);
extern char *mig_excerpt_for_client(const char *text);
extern char *mig_excerpt_line(const char *text);
extern char *mig_excerpt_printable(const char *text);
extern char *mig_excerpt_lines(const char *text);
extern int	mig_excerpt_offset(const char *text, int nchars);

/* for error context callbacks */
extern int	mig_excerpt_error_offset(const char *text);
extern void mig_excerpt_quote(const char *text, int start, int len, int at);
extern void mig_excerpt_quote_start(const char *text, int start, int len);
extern void mig_excerpt_clean_message(MemoryContext context);

#endif							/* MIG_EXCERPT_H */
