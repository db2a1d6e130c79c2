/*
 * tokens.h
 *		A walk over the tokens of a script, without what is in it for psql.
 */
#ifndef MIG_TOKENS_H
#define MIG_TOKENS_H

#include "migrate.h"

#include "nodes/pg_list.h"
#include "parser/scanner.h"

/* The rows of a COPY from the client, as offsets. */
typedef struct ScriptRows
{
	int			copy;			/* the statement's first word */
	int			semicolon;
	int			begin;			/* the line after that one */
	int			end;			/* the line "\." */
	int			after;			/* where that line ends */
} ScriptRows;

/* What a statement of COPY speaks to. */
typedef enum ScriptCopy
{
	COPY_OTHER,					/* no COPY, or one of a file */
	COPY_FROM_CLIENT,
	COPY_TO_CLIENT
} ScriptCopy;

/* A walk, at a token. */
typedef struct ScriptTokens
{
	const char *text;			/* has blanks in place of what is for psql only, so
								 * far */
	int			len;
	int			kind;			/* of the server's lexer; 0 at the end */
	int			gap;			/* where white space and comments begin... */
	int			start;			/* ...that end where this token begins */
	int			end;
	bool		is_first;		/* of its statement */
	bool		is_last;		/* the semicolon that ends a statement */
	int			copy;			/* where a COPY begins that we are in, or -1 */
	ScriptCopy	client;			/* known from the word that says so on */
	List	   *rows;			/* of ScriptRows *, so far */

	/* the walk's own */
	char	   *masked;			/* text, once there are blanks of ours in it */
	int			parens;
	bool		direction;		/* is the token FROM or TO? */
	bool		from;
	int			guc_level;
	MemoryContext context;
	MemoryContext work;
	core_yy_extra_type extra;
	core_yyscan_t scanner;
} ScriptTokens;

extern void mig_tokens_begin(ScriptTokens *tokens, const char *text);
extern bool mig_tokens_next(ScriptTokens *tokens);
extern void mig_tokens_end(ScriptTokens *tokens);

#endif							/* MIG_TOKENS_H */
