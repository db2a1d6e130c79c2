/*
 * file_name.c
 *		Names of revision files: from an id and a message, and back.
 *
 * No locks, no catalog access; nothing here fails.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "files/file_name.h"
#include "script/text.h"

/* Alembic's truncate_slug_length, in characters. */
#define SLUG_LENGTH			40

/* Longest file name that common file systems take, in bytes. */
#define FILE_NAME_LENGTH	255

static bool is_safe(const char *p);
static char *id_part(const char *revision, bool apart);
static char *decoded_id(const char *name, int len);
static char *slug(const char *message);

/*
 * Return the name of a revision's file: <revision>_<slug of the message>.sql.
 *
 * The result is one path component of at most 255 bytes for any id, in which
 * no character means anything to a shell or to psql: bytes of the id that are
 * not letters, digits, "." or "_" are written as %XX.  The slug is left
 * out where it does not fit, and an id that alone does not fit is cut and
 * told apart by a hash.  (The header of the file holds the id as it is.)  The
 * slug is lower-cased in ASCII only, so that the name does not depend on the
 * database's locale.
 *
 * Two revisions can have the same name, such as "a" with the message "b c" and
 * "a_b" with "c"; mig_file_name_ids finds them.  With apart the id is followed
 * by a hash, as a long one is.
 */
char *
mig_file_name_write(const char *revision, const char *message, bool apart)
{
	char	   *id = id_part(revision, apart);
	char	   *words = slug(message ? message : "");

	if (*words == '\0' ||
		strlen(id) + strlen(words) + strlen("_.sql") > FILE_NAME_LENGTH)
		return psprintf("%s.sql", id);
	return psprintf("%s_%s.sql", id, words);
}

/*
 * Return the ids (char *) that a revision can have whose file has this name,
 * which is one of mig_file_name_write's without a hash.
 */
List *
mig_file_name_ids(const char *name)
{
	int			len = strlen(name) - strlen(".sql");
	List	   *ids = list_make1(decoded_id(name, len));

	for (int i = 1; i < len; i++)
		if (name[i] == '_')
			ids = lappend(ids, decoded_id(name, i));
	return ids;
}

/*
 * Return whether a character, given by its first byte, may be in a file name as
 * it is.  Of those that are not ASCII all may but control characters.
 */
static bool
is_safe(const char *p)
{
	if (IS_HIGHBIT_SET(*p))
		return !mig_text_is_control(p);
	return *p == '.' || *p == '_' || (*p >= '0' && *p <= '9') ||
		(*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
}

/*
 * Return a revision id as the first part of a file name; with apart, or when it is
 * too long, with a hash.
 */
static char *
id_part(const char *revision, bool apart)
{
	const int	room = FILE_NAME_LENGTH - strlen(".sql");
	StringInfoData out;

	initStringInfo(&out);
	for (const char *p = revision; *p;)
	{
		bool		safe = is_safe(p) && !(*p == '.' && p == revision);

		for (int len = pg_mblen(p); len > 0 && *p; len--, p++)
			appendStringInfo(&out, safe ? "%c" : "%%%02X", (unsigned char) *p);
	}
	if (apart || out.len > room)
	{
		uint64		hash = hash_bytes_extended((const unsigned char *) revision,
											   strlen(revision), 0);
		int			len = pg_mbcliplen(out.data, out.len, Min(out.len, room - 17));

		/* not in the middle of a %XX */
		for (int i = 1; i <= 2 && len >= i; i++)
		{
			if (out.data[len - i] == '%')
				len -= i;
		}
		out.len = len;
		appendStringInfo(&out, "~%08x%08x",
						 (uint32) (hash >> 32), (uint32) hash);
	}
	return out.data;
}

/*
 * Return the id of which id_part made the len bytes at name.
 */
static char *
decoded_id(const char *name, int len)
{
	StringInfoData id;

	initStringInfo(&id);
	for (int i = 0; i < len; i++)
	{
		if (name[i] == '%' && i + 2 < len)
		{
			appendStringInfoChar(&id, (char) strtol(pnstrdup(name + i + 1, 2), NULL, 16));
			i += 2;
		}
		else
			appendStringInfoChar(&id, name[i]);
	}
	return id.data;
}

/*
 * Alembic's slug: words in lower case joined by "_", and where that is too long
 * cut at the last "_" and ended by one.  Outside of ASCII, all but control
 * characters counts as part of a word.
 */
static char *
slug(const char *message)
{
	StringInfoData out;
	int			len;

	initStringInfo(&out);
	for (const char *p = message; *p; p += len)
	{
		len = pg_mblen(p);
		if (is_safe(p) && *p != '.')
		{
			if (out.len > 0 && out.data[out.len - 1] == '\n')
				out.data[out.len - 1] = '_';
			appendBinaryStringInfo(&out, p, len);
			if (len == 1)
				out.data[out.len - 1] = pg_ascii_tolower((unsigned char) *p);
		}
		else if (out.len > 0 && out.data[out.len - 1] != '\n')
			appendStringInfoChar(&out, '\n');	/* a gap, if a word follows */
	}
	if (out.len > 0 && out.data[out.len - 1] == '\n')
		out.data[--out.len] = '\0';

	len = pg_mbcharcliplen(out.data, out.len, SLUG_LENGTH);
	if (len < out.len)
	{
		char	   *last;

		out.data[len] = '\0';
		out.len = len;
		last = strrchr(out.data, '_');
		if (last != NULL)
		{
			*last = '\0';
			out.len = last - out.data;
		}
		appendStringInfoChar(&out, '_');
	}
	return out.data;
}
