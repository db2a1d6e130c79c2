/*
 * html.c
 *		Texts as HTML.
 *
 * What comes out is ASCII, so that it does not depend on the encoding in which it is
 * stored.  Characters that a reader would not see, or that turn the direction of what
 * follows, are named in place: SQL that is reviewed must be the SQL that runs.
 */
#include "migrate.h"

#include "mb/pg_wchar.h"
#include "rehearsal/html.h"

/* The character for what is none. */
#define REPLACEMENT 0xFFFD

static int	next_character(const unsigned char *at, const unsigned char *end, pg_wchar *c);
static void append_character(StringInfo page, pg_wchar c);
static bool is_hidden(pg_wchar c);

/*
 * Append a text so that a page shows it, in an element or in a quoted attribute.
 */
void
mig_html_append(StringInfo page, const char *text)
{
	int			len = strlen(text);
	const unsigned char *at = (const unsigned char *) pg_server_to_any(text, len, PG_UTF8);
	const unsigned char *end = at + strlen((const char *) at);

	while (at < end)
	{
		pg_wchar	c;

		at += next_character(at, end, &c);
		append_character(page, c);
	}
}

/*
 * Read the next character; return how many bytes it takes.
 */
static int
next_character(const unsigned char *at, const unsigned char *end, pg_wchar *c)
{
	int			len = pg_utf_mblen(at);

	if (at + len > end || !pg_utf8_islegal(at, len))
	{
		*c = REPLACEMENT;
		return 1;
	}
	*c = utf8_to_unicode(at);
	return len;
}

/*
 * Append one character.
 */
static void
append_character(StringInfo page, pg_wchar c)
{
	switch (c)
	{
		case '&':
			appendStringInfoString(page, "&amp;");
			break;
		case '<':
			appendStringInfoString(page, "&lt;");
			break;
		case '>':
			appendStringInfoString(page, "&gt;");
			break;
		case '"':
			appendStringInfoString(page, "&quot;");
			break;
		case '\'':
			appendStringInfoString(page, "&#39;");
			break;
		default:
			if (is_hidden(c))
				appendStringInfo(page, "[U+%04X]", (unsigned int) c);
			else if (c < 0x80)
				appendStringInfoChar(page, (char) c);
			else
				appendStringInfo(page, "&#%u;", (unsigned int) c);
	}
}

/*
 * Return whether a character cannot be seen, or changes the order of others.
 */
static bool
is_hidden(pg_wchar c)
{
	return (c < ' ' && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0) ||
		(c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
		(c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || c == 0x061C ||
		(c >= 0xE0000 && c <= 0xE0FFF);
}

/*
 * Return a number of bytes as people read it.
 */
char *
mig_html_bytes(double bytes)
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
	int			unit = 0;

	while (bytes >= 1024 && unit < (int) lengthof(units) - 1)
	{
		bytes /= 1024;
		unit++;
	}
	return psprintf(unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

/*
 * Return a time as people read it.
 */
char *
mig_html_time(int64 microseconds)
{
	double		ms = microseconds / 1000.0;

	if (ms < 1000)
		return psprintf(ms < 10 ? "%.2f ms" : ms < 100 ? "%.1f ms" : "%.0f ms", ms);
	if (ms < 60000)
		return psprintf("%.2f s", ms / 1000);
	return psprintf("%d min %d s", (int) (ms / 60000), (int) (ms / 1000) % 60);
}
