/*
 * bytes.c
 *		The text of files, of their bytes.
 *
 * Files are UTF-8 whatever the encodings of the database and of the client are: they
 * come from a repository.  A byte order mark is dropped.
 *
 * No locks; callable in a transaction only, because conversions are looked up.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "mb/pg_wchar.h"

#include "files/bytes.h"
#include "script/excerpt.h"

/* What encoding_error_context() needs to know. */
typedef struct EncodingPlace
{
	const char *path;
	const char *text;
	int			len;
} EncodingPlace;

static void refuse_nul(const char *path, const char *bytes, int len);
static int	line_of(const char *text, const char *end);
static void encoding_error_context(void *arg);

/*
 * Return the text of a file, which path names in messages, in the server encoding and
 * the current memory context.  Errors: MG011 for a NUL byte, and those of
 * mig_bytes_to_server, with the line.
 */
char *
mig_bytes_text(const char *path, const char *bytes, int len)
{
	refuse_nul(path, bytes, len);
	if (len >= (int) strlen(UTF8_BOM) && memcmp(bytes, UTF8_BOM, strlen(UTF8_BOM)) == 0)
	{
		bytes += strlen(UTF8_BOM);
		len -= strlen(UTF8_BOM);
	}
	return mig_bytes_to_server(path, bytes, len);
}

/*
 * Return a copy of UTF-8 text in the server encoding, verified.  Errors: 22021, 22P05,
 * with the line.
 */
char *
mig_bytes_to_server(const char *path, const char *text, int len)
{
	ErrorContextCallback callback;
	EncodingPlace place;
	char	   *result;

	place.path = path;
	place.text = text;
	place.len = len;
	callback.callback = encoding_error_context;
	callback.arg = &place;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	result = pg_any_to_server(text, len, PG_UTF8);
	error_context_stack = callback.previous;
	return result == text ? pnstrdup(text, len) : result;
}

/*
 * Report a NUL byte, which no text can have. Errors: MG011.
 */
static void
refuse_nul(const char *path, const char *bytes, int len)
{
	const char *nul = memchr(bytes, '\0', len);

	if (nul != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("file \"%s\" holds a zero byte", mig_excerpt_printable(path)),
				 errhint("Revision files are text in UTF-8."),
				 errcontext("revision file \"%s\", line %d", mig_excerpt_printable(path),
							line_of(bytes, nul))));
}

/* The line that end is in, from 1. */
static int
line_of(const char *text, const char *end)
{
	int			line = 1;

	while ((text = memchr(text, '\n', end - text)) != NULL)
	{
		line++;
		text++;
	}
	return line;
}

/* Error context callback: file and, for bytes that are not UTF-8, the line. */
static void
encoding_error_context(void *arg)
{
	const EncodingPlace *place = arg;
	const char *end = place->text + place->len;
	const char *p = place->text;

	while (p < end)
	{
		int			len = pg_encoding_mblen(PG_UTF8, p);

		if (len > end - p || !pg_utf8_islegal((const unsigned char *) p, len))
			break;
		p += len;
	}
	if (p < end)
		errcontext("revision file \"%s\", line %d", mig_excerpt_printable(place->path),
				   line_of(place->text, p));
	else
		errcontext("revision file \"%s\"", mig_excerpt_printable(place->path));
}
