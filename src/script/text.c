/*
 * text.c
 *		White space, lines and comments of a text.
 *
 * What scripts and revision files both need.  Offsets are in bytes.  Nothing
 * here allocates, but what returns a text, and nothing throws.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "mb/pg_wchar.h"
#include "script/text.h"

/* The line that a byte offset is in, from 1.  Looks at no byte after it. */
int
mig_text_line(const char *text, int offset)
{
	const char *p = text;
	const char *end = text + offset;
	int			line = 1;

	while (p < end && (p = memchr(p, '\n', end - p)) != NULL)
	{
		line++;
		p++;
	}
	return line;
}

/* Offset of the end of the line that offset is in. */
int
mig_text_line_end(const char *text, int offset)
{
	return offset + strcspn(text + offset, "\r\n");
}

/* Return the offset of the line after the line end at offset. */
int
mig_text_skip_line_end(const char *text, int offset)
{
	if (text[offset] == '\r')
		offset++;
	if (text[offset] == '\n')
		offset++;
	return offset;
}

/* Return the offset after the comment that begins at offset. */
int
mig_text_skip_comment(const char *text, int offset)
{
	int			depth = 0;

	if (text[offset] == '-')
		return mig_text_line_end(text, offset);
	while (text[offset] != '\0')
	{
		if (text[offset] == '/' && text[offset + 1] == '*')
		{
			depth++;
			offset += 2;
		}
		else if (text[offset] == '*' && text[offset + 1] == '/')
		{
			offset += 2;
			if (--depth == 0)
				break;
		}
		else
			offset++;
	}
	return offset;
}

/* Offset behind white space and comments at offset. */
int
mig_text_skip_gap(const char *text, int offset)
{
	for (;;)
	{
		if (mig_text_is_space(text[offset]))
			offset++;
		else if ((text[offset] == '-' && text[offset + 1] == '-') ||
				 (text[offset] == '/' && text[offset + 1] == '*'))
			offset = mig_text_skip_comment(text, offset);
		else
			return offset;
	}
}

/* A copy of a text without white space around it. */
char *
mig_text_trim(const char *text, int len)
{
	while (len > 0 && mig_text_is_space(text[len - 1]))
		len--;
	while (len > 0 && mig_text_is_space(*text))
	{
		text++;
		len--;
	}
	return pnstrdup(text, len);
}

/*
 * Return whether a character, given by its first byte, is a control character: one
 * that a terminal obeys in place of showing it.  Besides those of ASCII these are
 * those of ISO 6429 that have the high bit set, and what Unicode has to end lines
 * and to turn the direction of writing, with which a text can look like another.
 */
bool
mig_text_is_control(const char *text)
{
	unsigned char first = (unsigned char) *text;
	pg_wchar	code;

	if (first < ' ' || first == 0x7f)
		return true;
	if (!IS_HIGHBIT_SET(first))
		return false;
	switch (GetDatabaseEncoding())
	{
		case PG_UTF8:
			code = utf8_to_unicode((const unsigned char *) text);
			return code <= 0x9f || code == 0x061c || code == 0x200e || code == 0x200f ||
				(code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
		case PG_LATIN1:
		case PG_LATIN2:
		case PG_LATIN3:
		case PG_LATIN4:
		case PG_LATIN5:
		case PG_LATIN6:
		case PG_LATIN7:
		case PG_LATIN8:
		case PG_LATIN9:
		case PG_LATIN10:
		case PG_ISO_8859_5:
		case PG_ISO_8859_6:
		case PG_ISO_8859_7:
		case PG_ISO_8859_8:
			return first <= 0x9f;
		default:
			return false;
	}
}

/*
 * Return a copy of a script in the form in which scripts are compared and
 * checksums made: with LF line ends, and without the blank lines before the
 * first line that is neither blank nor a "--" comment. So neither line ends
 * count nor the line that a BEGIN left empty when it was taken off.
 */
char *
mig_text_comparable(const char *text)
{
	char	   *copy = palloc_extended(strlen(text) + 1, MCXT_ALLOC_HUGE);
	char	   *to = copy;
	bool		in_front = true;

	while (*text != '\0')
	{
		int			end = strcspn(text, "\n");
		int			first = strspn(text, " \t\r\f\v");
		bool		blank = first >= end;

		in_front = in_front && (blank || strncmp(text + first, "--", 2) == 0);
		if (!(in_front && blank))
		{
			int			len = end > 0 && text[end] == '\n' && text[end - 1] == '\r' ? end - 1 : end;

			memcpy(to, text, len);
			to += len;
			if (text[end] == '\n')
				*to++ = '\n';
		}
		text += end + (text[end] == '\n');
	}
	*to = '\0';
	return copy;
}

/*
 * Append a text to a script as a comment, with all of its lines: names in it can have ends of
 * lines.
 */
void
mig_text_append_comment(StringInfo script, const char *text)
{
	appendStringInfoString(script, "-- ");
	for (const char *at = text; *at != '\0'; at++)
	{
		appendStringInfoChar(script, *at);
		if (mig_text_is_line_end(*at))
			appendStringInfoString(script, "-- ");
	}
	appendStringInfoChar(script, '\n');
}

/*
 * Return whether a text ends with another.
 */
bool
mig_text_ends_with(const char *text, const char *end)
{
	size_t		len = strlen(text);

	return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}
