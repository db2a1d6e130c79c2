/*
 * tokens.c
 *		A walk over the tokens of a script, without what is in it for psql.
 *
 * The lexer is the server's.  What pg_dump writes for psql is no SQL, and the
 * server's lexer and parser never see it: they get blanks in its place, so that
 * offsets and lines stay what they are.
 *
 *  - Lines \restrict KEY and \unrestrict KEY between statements: they forbid psql
 *    its own commands, of which a script has none.
 *
 *  - The rows of a COPY from the client.  They begin on the line after its
 *    semicolon, and a line "\." ends them, whatever they hold: psql does not look
 *    at the format either.
 *
 * The lexer reads a copy of the text that it makes, in which it puts a NUL after
 * the token that it has returned.  Blanks are written into that copy, too, always
 * after a line end that follows the token, where the lexer has not been.
 *
 * No locks, no catalog access.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "mb/pg_wchar.h"
#include "parser/parser.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "compat.h"
#include "script/text.h"
#include "script/tokens.h"

static bool token_is(const ScriptTokens *tokens, const char *word);
static void see_token(ScriptTokens *tokens);
static void take_rows(ScriptTokens *tokens);
static bool may_precede_rows(const char *text, int len);
static const char *find_rows_end(const char *line);
static void mask_restrictions(ScriptTokens *tokens, int from);
static int	restriction_length(const char *text, int start);
static void mask(ScriptTokens *tokens, int from, int to);

/*
 * Begin a walk over a text, before its first token.  tokens->text and the rows
 * are in the current memory context, text itself where there is nothing for psql
 * in it; all else is freed by mig_tokens_end.
 */
void
mig_tokens_begin(ScriptTokens *tokens, const char *text)
{
	MemoryContext old;

	memset(tokens, 0, sizeof(ScriptTokens));
	tokens->text = text;
	tokens->len = strlen(text);
	tokens->copy = -1;
	tokens->is_last = true;
	tokens->context = CurrentMemoryContext;
	tokens->work = AllocSetContextCreate(CurrentMemoryContext, "migrate script scan",
										 ALLOCSET_DEFAULT_SIZES);

	/* what the lexer tells about long identifiers, the parser tells again */
	tokens->guc_level = NewGUCNestLevel();
	(void) set_config_option("client_min_messages", "error",
							 PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	mask_restrictions(tokens, 0);
	old = MemoryContextSwitchTo(tokens->work);
	tokens->scanner = scanner_init(tokens->text, &tokens->extra, &ScanKeywords,
								   ScanKeywordTokens);
	MemoryContextSwitchTo(old);
	mig_make_lexer_standard(&tokens->extra);
	tokens->extra.backslash_quote = BACKSLASH_QUOTE_ON;
}

/*
 * Go to the next token; false at the end, with a last gap before it.  Errors: the
 * lexer's; MG011 for a COPY from the client whose rows have no end.
 */
bool
mig_tokens_next(ScriptTokens *tokens)
{
	core_YYSTYPE value;
	YYLTYPE		location;
	MemoryContext old = MemoryContextSwitchTo(tokens->work);

	tokens->gap = tokens->end;
	tokens->kind = core_yylex(&value, &location, tokens->scanner);
	MemoryContextSwitchTo(old);
	tokens->is_first = tokens->is_last;
	if (tokens->kind == 0)
	{
		tokens->start = tokens->end = tokens->len;
		if (tokens->client == COPY_FROM_CLIENT && !tokens->is_first)
			take_rows(tokens);
		return false;
	}
	/* the lexer puts a NUL after the token in its own copy of the text */
	tokens->start = location;
	tokens->end = location + strlen(tokens->extra.scanbuf + location);
	see_token(tokens);
	return true;
}

/*
 * End a walk.
 */
void
mig_tokens_end(ScriptTokens *tokens)
{
	AtEOXact_GUC(true, tokens->guc_level);
	MemoryContextDelete(tokens->work);
}

/*
 * Return whether the token is a word without quotes, given in lower case.
 */
static bool
token_is(const ScriptTokens *tokens, const char *word)
{
	int			len = tokens->end - tokens->start;

	return len == (int) strlen(word) &&
		pg_strncasecmp(tokens->text + tokens->start, word, len) == 0;
}

/*
 * Keep track of the statement, and of what it speaks to.
 */
static void
see_token(ScriptTokens *tokens)
{
	char		c = tokens->text[tokens->start];

	if (tokens->is_first)
	{
		tokens->copy = token_is(tokens, "copy") ? tokens->start : -1;
		tokens->client = COPY_OTHER;
		tokens->parens = 0;
	}
	/* the grammar takes STDIN and STDOUT for the same */
	else if (tokens->copy >= 0 && tokens->direction &&
			 (token_is(tokens, "stdin") || token_is(tokens, "stdout")))
		tokens->client = tokens->from ? COPY_FROM_CLIENT : COPY_TO_CLIENT;
	tokens->from = token_is(tokens, "from");
	tokens->direction = tokens->parens == 0 && (tokens->from || token_is(tokens, "to"));

	tokens->parens += (c == '(') - (c == ')');
	tokens->is_last = c == ';' && tokens->parens <= 0;
	if (!tokens->is_last)
		return;
	if (tokens->client == COPY_FROM_CLIENT)
		take_rows(tokens);
	else
		mask_restrictions(tokens, tokens->end);
}

/*
 * Note where the rows of the COPY are that has ended, and blank them.  Errors:
 * MG011.
 */
static void
take_rows(ScriptTokens *tokens)
{
	const char *text = tokens->text;
	const char *line_end = strchr(text + tokens->end, '\n');
	const char *end = line_end != NULL ? find_rows_end(line_end + 1) : NULL;
	ScriptRows *rows;
	MemoryContext old;

	if (end == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("rows of COPY are not terminated"),
				 errdetail("They begin on the line after the statement and end with a line \"\\.\"."),
				 errhint("Write the rows into the script as pg_dump does, or use INSERT, or COPY with a file of the server."),
				 errposition(pg_mbstrlen_with_len(text, tokens->copy) + 1)));
	if (!may_precede_rows(text + tokens->end, line_end - (text + tokens->end)))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("the rest of the line after a COPY must be empty"),
				 errdetail("The rows begin on the line after it."),
				 errposition(pg_mbstrlen_with_len(text, tokens->copy) + 1)));

	old = MemoryContextSwitchTo(tokens->context);
	rows = palloc(sizeof(ScriptRows));
	rows->copy = tokens->copy;
	rows->semicolon = tokens->start;
	rows->begin = line_end + 1 - text;
	rows->end = end - text;
	rows->after = rows->end + strcspn(end, "\n");
	tokens->rows = lappend(tokens->rows, rows);
	MemoryContextSwitchTo(old);

	mask(tokens, rows->begin, rows->after);
	mask_restrictions(tokens, rows->after);
}

/*
 * Return whether psql reads nothing from the rest of a line, which it would run
 * after the rows: it is blank, or one "--" comment.
 */
static bool
may_precede_rows(const char *text, int len)
{
	int			i = 0;

	if (len > 0 && text[len - 1] == '\r')
		len--;
	while (i < len && mig_text_is_blank(text[i]))
		i++;
	if (text[i] == '-' && text[i + 1] == '-')
		i = mig_text_line_end(text, i);
	return i >= len;
}

/*
 * Return the first line "\." from a line on, or NULL.
 */
static const char *
find_rows_end(const char *line)
{
	while (line != NULL)
	{
		if (line[0] == '\\' && line[1] == '.' &&
			(line[2] == '\0' || line[2] == '\n' ||
			 (line[2] == '\r' && (line[3] == '\n' || line[3] == '\0'))))
			return line;
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	return NULL;
}

/*
 * Blank the lines \restrict and \unrestrict before the statement that begins at
 * or after an offset.
 */
static void
mask_restrictions(ScriptTokens *tokens, int from)
{
	for (;;)
	{
		int			start = mig_text_skip_gap(tokens->text, from);
		int			len = restriction_length(tokens->text, start);

		if (len == 0)
			return;
		mask(tokens, start, start + len);
		from = start + len;
	}
}

/*
 * Return the length of a command \restrict or \unrestrict at an offset, with its
 * key, if it has its line to itself; otherwise 0.
 */
static int
restriction_length(const char *text, int start)
{
	static const char *const commands[] = {"\\restrict", "\\unrestrict"};
	int			before = start;

	while (before > 0 && mig_text_is_blank(text[before - 1]))
		before--;
	if (before > 0 && text[before - 1] != '\n')
		return 0;
	for (size_t i = 0; i < lengthof(commands); i++)
	{
		int			len = strlen(commands[i]);
		int			key;

		if (strncmp(text + start, commands[i], len) != 0)
			continue;
		key = len + strspn(text + start + len, " \t");
		len = key + strspn(text + start + key,
						   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
		if (len > key && mig_text_is_blank(text[start + key - 1]) &&
			mig_text_is_line_end(text[start + len + strspn(text + start + len, " \t")]))
			return len;
	}
	return 0;
}

/*
 * Write blanks over a part of the text that the lexer has not come to; ends of
 * lines stay.
 */
static void
mask(ScriptTokens *tokens, int from, int to)
{
	char	   *p;
	char	   *end;

	if (tokens->masked == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(tokens->context);

		tokens->masked = palloc_extended((Size) tokens->len + 1, MCXT_ALLOC_HUGE);
		MemoryContextSwitchTo(old);
		memcpy(tokens->masked, tokens->text, tokens->len + 1);
		tokens->text = tokens->masked;
	}
	end = tokens->masked + to;
	for (p = tokens->masked + from; p < end; p++)
	{
		char	   *line_end = memchr(p, '\n', end - p);

		line_end = line_end != NULL ? line_end : end;
		memset(p, ' ', line_end - p);
		p = line_end;
	}
	if (tokens->scanner != NULL)
		memcpy(tokens->extra.scanbuf + from, tokens->masked + from, to - from);
}
