/*
 * text.h
 *		White space, lines and comments of a text.
 *
 * White space is the ASCII one of the server's lexer: a server encoding never
 * uses ASCII bytes inside of a multibyte character.
 */
#ifndef MIG_TEXT_H
#define MIG_TEXT_H

#include "migrate.h"

#include "lib/stringinfo.h"

#include "nodes/pg_list.h"

/* The white space of the server's lexer. */
static inline bool
mig_text_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * Return whether a character is a space or a tab.
 */
static inline bool
mig_text_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The lexer ends a "--" comment at either. */
static inline bool
mig_text_is_line_end(char c)
{
	return c == '\0' || c == '\n' || c == '\r';
}

extern bool mig_text_is_control(const char *text);
extern int	mig_text_line(const char *text, int offset);
extern int	mig_text_line_end(const char *text, int offset);
extern int	mig_text_skip_line_end(const char *text, int offset);
extern int	mig_text_skip_comment(const char *text, int offset);
extern int	mig_text_skip_gap(const char *text, int offset);
extern char *mig_text_comparable(const char *text);
extern char *mig_text_trim(const char *text, int len);
extern bool mig_text_ends_with(const char *text, const char *end);
extern void mig_text_append_comment(StringInfo script, const char *text);

#endif							/* MIG_TEXT_H */
