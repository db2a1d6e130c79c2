/*
 * excerpt.c
 *		Parts of a text that messages show, and places in it.
 *
 * A message quotes a statement, never a whole script, and at most EXCERPT_SIZE
 * bytes of it.  This is the one place that cuts, and it cuts between
 * characters: a broken one could not be sent to a client of another encoding,
 * which would see an error about that in place of ours.
 *
 * A character that the client's encoding does not have does the same, and in a
 * notice it ends the run.  mig_excerpt_for_client replaces it, but not in what
 * error context callbacks quote: the server has no conversion that tells without
 * an error, in all versions, and no error may be raised in a callback.
 *
 * The server counts error positions in characters from 1, we count offsets in
 * bytes from 0.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "script/excerpt.h"
#include "script/text.h"

static char *replace_controls(const char *text, const char *kept);
static int	cut_encoding(void);
static bool can_be_sent(const char *text, int len);
static int	step_forward(const char *text, int from, int to, int goal);

/*
 * Return the len bytes of text at start, without control characters; of more than
 * EXCERPT_SIZE bytes, those around the offset at.  The excerpt is widened to hold
 * that offset.
 */
Excerpt
mig_excerpt_around(const char *text, int start, int len, int at)
{
	int			from = Min(start, at);
	int			to = Max(start + len, at);
	Excerpt		excerpt;

	if (to - from > EXCERPT_SIZE)
	{
		from = step_forward(text, from, at, at - EXCERPT_SIZE / 2);
		to = from + mig_excerpt_clip_length(text + from, to - from, EXCERPT_SIZE);
	}
	excerpt.text = mig_excerpt_lines(pnstrdup(text + from, to - from));
	excerpt.position = pg_mbstrlen_with_len(text + from, at - from) + 1;
	return excerpt;
}

/*
 * Return the first characters of the len bytes of text, limit bytes of them at
 * most, and "..." where some are left out.
 */
char *
mig_excerpt_clip(const char *text, int len, int limit)
{
	int			shown = mig_excerpt_clip_length(text, len, limit);

	return psprintf("%.*s%s", shown, text, shown < len ? "..." : "");
}

/*
 * Return how many of the len bytes of text are whole characters within the
 * first limit bytes.
 */
int
mig_excerpt_clip_length(const char *text, int len, int limit)
{
	return len <= limit ? len : pg_encoding_mbcliplen(cut_encoding(), text, len, limit);
}

/*
 * Return a copy of text with a question mark for each character that cannot be
 * sent to the client: one that its encoding does not have, or bytes that are no
 * text, as in the query of a session of another database.
 *
 * Not for use while an error is raised, neither in an error context callback nor
 * in the arguments of ereport: the error that is caught here would end that one.
 */
char *
mig_excerpt_for_client(const char *text)
{
	StringInfoData buf;

	if (can_be_sent(text, strlen(text)))
		return pstrdup(text);
	initStringInfo(&buf);
	while (*text)
	{
		int			len = strnlen(text, pg_encoding_mblen(cut_encoding(), text));

		if (can_be_sent(text, len))
			appendBinaryStringInfo(&buf, text, len);
		else
			appendStringInfoChar(&buf, '?');
		text += len;
	}
	return buf.data;
}

/*
 * Return the first line of a text as mig_excerpt_printable does.
 */
char *
mig_excerpt_line(const char *text)
{
	return mig_excerpt_printable(pnstrdup(text, strcspn(text, "\r\n")));
}

/*
 * Return a copy of a text with a space in place of each control character: it goes
 * to terminals.  What is not valid in the server encoding, as a file name need not
 * be, becomes question marks.
 */
char *
mig_excerpt_printable(const char *text)
{
	return replace_controls(text, "");
}

/*
 * The same, but ends of lines and tabs stay.
 */
char *
mig_excerpt_lines(const char *text)
{
	return replace_controls(text, "\n\t");
}

/*
 * Return a copy of a text with a space in place of each control character but
 * those in kept.
 */
static char *
replace_controls(const char *text, const char *kept)
{
	bool		valid = pg_verifymbstr(text, strlen(text), true);
	char	   *copy = palloc(strlen(text) + 1);
	char	   *to = copy;

	while (*text)
	{
		int			len = valid ? pg_mblen(text) : 1;

		if (valid ? mig_text_is_control(text) && strchr(kept, *text) == NULL :
			*text < ' ' || *text > '~')
			*to++ = valid ? ' ' : '?';
		else
		{
			memcpy(to, text, len);
			to += len;
		}
		text += len;
	}
	*to = '\0';
	return copy;
}

/*
 * Return the offset of the character number nchars (from 0) of text.
 */
int
mig_excerpt_offset(const char *text, int nchars)
{
	const char *p = text;

	while (nchars-- > 0 && *p)
		p += pg_mblen(p);
	return p - text;
}

/*
 * Return the offset in text of the current error's position, or -1 if it has
 * none.
 */
int
mig_excerpt_error_offset(const char *text)
{
	int			position = geterrposition();

	return position > 0 ? mig_excerpt_offset(text, position - 1) : -1;
}

/*
 * Have the current error quote the len bytes of text at start, as an internal
 * query with its position at the offset at, in place of the position that it
 * has.
 */
void
mig_excerpt_quote(const char *text, int start, int len, int at)
{
	Excerpt		excerpt = mig_excerpt_around(text, start, len, at);

	errposition(0);
	internalerrposition(excerpt.position);
	internalerrquery(excerpt.text);
}

/*
 * Have the current error quote the beginning of the len bytes of text at start,
 * as an internal query without a position.
 */
void
mig_excerpt_quote_start(const char *text, int start, int len)
{
	internalerrquery(mig_excerpt_around(text, start, len, start).text);
}

/*
 * Have the message of the current error show no control characters: the parser
 * quotes what it stumbles over.  What is allocated for that is in context.
 */
void
mig_excerpt_clean_message(MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	ErrorData  *error = CopyErrorData();
	const char *clean = error->message != NULL ? mig_excerpt_lines(error->message) : "";

	MemoryContextSwitchTo(old);
	if (error->message != NULL && strcmp(clean, error->message) != 0)
		errmsg_internal("%s", clean);
}

/*
 * Return the encoding whose characters are not to be cut: the server's, but
 * where that is SQL_ASCII the client's, because bytes are then sent as they are,
 * and must be text there.
 */
static int
cut_encoding(void)
{
	int			encoding = GetDatabaseEncoding();

	return encoding == PG_SQL_ASCII ? pg_get_client_encoding() : encoding;
}

/*
 * Return whether the len bytes of text can be converted for the client.
 *
 * The conversion is a function of bytes that the session has looked up when
 * client_encoding was set: it takes nothing that its error would have to release,
 * so the error can be caught without a subtransaction.
 */
static bool
can_be_sent(const char *text, int len)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool possible = true;

	if (!pg_verify_mbstr(cut_encoding(), text, len, true))
		return false;
	PG_TRY();
	{
		char	   *converted;

		/* until PG_END_TRY: nobody adds to an error that nobody sees */
		error_context_stack = NULL;
		converted = pg_server_to_client(text, len);
		if (converted != text)
			pfree(converted);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (geterrcode() != ERRCODE_UNTRANSLATABLE_CHARACTER &&
			geterrcode() != ERRCODE_CHARACTER_NOT_IN_REPERTOIRE)
			PG_RE_THROW();
		FlushErrorState();
		possible = false;
	}
	PG_END_TRY();
	return possible;
}

/*
 * Return the offset of the first character of text at or after the offset goal,
 * which lies between from, where a character begins, and to.
 */
static int
step_forward(const char *text, int from, int to, int goal)
{
	while (from < goal && from < to)
		from += pg_encoding_mblen(cut_encoding(), text + from);
	return Min(from, to);
}
