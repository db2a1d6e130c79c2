/*
 * dbmate.c
 *		Revision files of dbmate: id and message are in the file's name.
 *
 * No locks, no catalog access; callable in and out of a transaction block.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "files/dbmate.h"
#include "script/text.h"

static char *name_message(const char *words, int len);

/*
 * Return true: whatever has the markers can be a file of dbmate.
 */
bool
mig_dbmate_recognizes(const Header *header)
{
	(void) header;
	return true;
}

/*
 * Return whether dbmate takes a file of this name for a migration: one that begins
 * with a digit.
 */
bool
mig_dbmate_takes(const char *name)
{
	const char *base = last_dir_separator(name);

	base = base ? base + 1 : name;
	return *base >= '0' && *base <= '9';
}

/*
 * Take id and message from the file's name; comments before the marker are
 * dropped, as dbmate ignores them.  Errors: MG011.
 *
 * The id is what dbmate takes for the version: the digits that the name begins with,
 * whatever follows them.  Of other names, which dbmate does not load, it is the
 * part before the first "_".
 */
void
mig_dbmate_read(Revision *rev, Header *header)
{
	const char *name = header->name ? header->name : "";
	const char *base = last_dir_separator(name);
	const char *rest;
	int			len;

	header->line = 0;
	base = base ? base + 1 : name;
	len = strlen(base);
	if (len >= 4 && strcmp(base + len - 4, ".sql") == 0)
		len -= 4;
	if (mig_dbmate_takes(base))
		rest = base + strspn(base, "0123456789");
	else
		rest = memchr(base, '_', len);
	rev->revision = mig_text_trim(base, rest ? rest - base : len);
	if (*rev->revision == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("revision file has no \"Revision ID\", and its name gives none"),
				 errhint("Write a header, or name the file as in \"20240101120000_create_users.sql\".")));
	mig_header_check_name(rev->revision, "revision identifier");

	if (rest != NULL)
		rev->message = name_message(rest, base + len - rest);
	if (rev->message == NULL || *rev->message == '\0')
		rev->message = pstrdup(rev->revision);
	if (mig_header_message_fault(rev->message) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("name of the revision file cannot be used as a message")));
}

/*
 * Return the message of which the len bytes at words are the file name's part, with
 * the character that separates them from the id: "-" or "_" separates the words,
 * too.
 */
static char *
name_message(const char *words, int len)
{
	char	   *message = pnstrdup(words, len);
	char		separator = *message;

	for (char *p = message; *p; p++)
	{
		if (*p == '_' || (separator == '-' && *p == '-'))
			*p = ' ';
	}
	return mig_header_message(message);
}
