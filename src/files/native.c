/*
 * native.c
 *		Our own revision files: a message, then Alembic's header, as comments.
 *
 * Errors name file and line, by the error context of header.c.
 *
 * No locks, no catalog access; callable in and out of a transaction block.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "miscadmin.h"
#include "script/excerpt.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#include "files/native.h"
#include "script/script.h"
#include "script/text.h"

static void read_key(Revision *rev, Header *header, const HeaderLine *line,
					 int *seen);
static void read_value(Revision *rev, HeaderKey key, const char *value);
static void check_keys(Header *header, const int *seen);
static List *read_list(const char *value, bool base_word);
static TimestampTz read_date(const char *value);
static void date_error_context(void *arg);
static void write_message(StringInfo out, const char *message);
static void write_list(StringInfo out, HeaderKey key, List *items);
static void write_date(StringInfo out, TimestampTz date);
static void write_section(StringInfo out, MigDirection direction,
						  const char *sql, bool transactional);

/*
 * Return whether one of the lines has one of Alembic's names.
 */
bool
mig_native_recognizes(const Header *header)
{
	ListCell   *lc;

	foreach(lc, header->lines)
	{
		if (((HeaderLine *) lfirst(lc))->key != KEY_NONE)
			return true;
	}
	return false;
}

/*
 * Put what the lines say into rev: id, message, parents, dependencies, labels
 * and date.  The lists come out as written: ids, prefixes or labels.
 * Errors: MG011.
 */
void
mig_native_read(Revision *rev, Header *header)
{
	StringInfoData message;
	int			seen[HEADER_KEYS] = {0};	/* line of each key, 0: not there */
	ListCell   *lc;

	initStringInfo(&message);
	foreach(lc, header->lines)
	{
		const HeaderLine *line = lfirst(lc);

		if (line->text != NULL &&
			(line->key == KEY_REVISION || seen[KEY_REVISION] != 0))
			read_key(rev, header, line, seen);
		else
			appendStringInfo(&message, "%s\n", line->text == NULL ? "" :
							 line->text[0] == ' ' ? line->text + 1 : line->text);
	}
	check_keys(header, seen);
	rev->message = mig_header_message(message.data);
	if (*rev->message == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("revision file has no message"),
				 errhint("Write the message as a comment before \"-- Revision ID: %s\".",
						 rev->revision)));
}

/*
 * Return the content of a revision's file. mig_format_read reads the same
 * revision from it, provided that message and scripts have gone through their
 * checks and that a missing downgrade script counts as transactional.
 *
 * The result is in the current memory context.  Errors: MG011 for an id or a
 * label that the header's lists cannot hold.
 */
char *
mig_native_write(const Revision *rev)
{
	StringInfoData out;

	initStringInfo(&out);
	write_message(&out, rev->message);
	appendStringInfo(&out, "-- %s: %s\n",
					 mig_header_label(KEY_REVISION), rev->revision);
	write_list(&out, KEY_REVISES, rev->down_revisions);
	write_list(&out, KEY_DEPENDS_ON, rev->depends_on);
	write_list(&out, KEY_BRANCH_LABELS, rev->branch_labels);
	if (rev->has_created_at)
		write_date(&out, rev->created_at);
	write_section(&out, MIG_UPGRADE, rev->upgrade_sql,
				  rev->upgrade_transactional);
	if (rev->downgrade_sql != NULL)
		write_section(&out, MIG_DOWNGRADE, rev->downgrade_sql,
					  rev->downgrade_transactional);
	return out.data;
}

/*
 * Take a line from "Revision ID" on, and note in seen where its key is.
 */
static void
read_key(Revision *rev, Header *header, const HeaderLine *line, int *seen)
{
	header->line = line->number;
	if (line->key == KEY_NONE)
	{
		if (*mig_text_trim(line->text, strlen(line->text)) == '\0')
			return;
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("unrecognized line in the header of a revision file"),
				 errdetail("Between \"Revision ID\" and \"-- migrate:up\" only \"Revises\", \"Depends On\", \"Branch Labels\" and \"Create Date\" are allowed."),
				 errhint("Write the message before \"Revision ID\", and comments on the script after \"-- migrate:up\".")));
	}
	if (seen[line->key] != 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("\"%s\" is given twice in the header of a revision file",
						mig_header_label(line->key))));
	seen[line->key] = line->number;
	read_value(rev, line->key, line->value);
}

/* Put the value of a header line into the revision. */
static void
read_value(Revision *rev, HeaderKey key, const char *value)
{
	ListCell   *lc;

	switch (key)
	{
		case KEY_REVISION:
			if (*value == '\0')
				ereport(ERROR,
						(errcode(ERRCODE_MIG_BAD_SCRIPT),
						 errmsg("\"%s\" of a revision file is empty",
								mig_header_label(key))));
			mig_header_check_name(value, "revision identifier");
			rev->revision = pstrdup(value);
			break;
		case KEY_REVISES:
			rev->down_revisions = read_list(value, true);
			break;
		case KEY_DEPENDS_ON:
			rev->depends_on = read_list(value, false);
			break;
		case KEY_BRANCH_LABELS:
			rev->branch_labels = read_list(value, false);
			foreach(lc, rev->branch_labels)
				mig_header_check_name(lfirst(lc), "branch label");
			break;
		case KEY_CREATE_DATE:
			rev->created_at = read_date(value);
			rev->has_created_at = true;
			break;
		case KEY_NONE:
			break;
	}
}

/*
 * Check that the keys that a header needs were seen.
 */
static void
check_keys(Header *header, const int *seen)
{
	ListCell   *lc;

	if (seen[KEY_REVISION] == 0)
	{
		foreach(lc, header->lines)
		{
			const HeaderLine *line = lfirst(lc);

			header->line = line->number;
			if (line->key != KEY_NONE)
				break;
		}
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("header of a revision file has no \"Revision ID\"")));
	}
	header->line = seen[KEY_REVISION];
	if (seen[KEY_REVISES] == 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("header of a revision file has no \"Revises\""),
				 errhint("Write \"-- Revises:\" without a value for a revision that has no parent.")));
}

/* Read a comma-separated list; with base_word "base" means an empty one. */
static List *
read_list(const char *value, bool base_word)
{
	List	   *result = NIL;

	if (*value == '\0' || strcmp(value, "None") == 0 ||
		(base_word && strcmp(value, "base") == 0))
		return NIL;
	for (;;)
	{
		int			len = strcspn(value, ",");
		char	   *item = mig_text_trim(value, len);

		if (*item == '\0')
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BAD_SCRIPT),
					 errmsg("empty item in a list of the header of a revision file")));
		result = lappend(result, item);
		if (value[len] == '\0')
			return result;
		value += len + 1;
	}
}

/* Read a "Create Date"; what is none is MG011. */
static TimestampTz
read_date(const char *value)
{
	ErrorContextCallback callback;
	Datum		date;

	callback.callback = date_error_context;
	callback.arg = NULL;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	date = DirectFunctionCall3(timestamptz_in, CStringGetDatum(value),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	error_context_stack = callback.previous;
	return DatumGetTimestampTz(date);
}

/* Give the type's input errors our code; they are worded well enough. */
static void
date_error_context(void *arg)
{
	(void) arg;
	if (ERRCODE_TO_CATEGORY(geterrcode()) == ERRCODE_DATA_EXCEPTION)
		errcode(ERRCODE_MIG_BAD_SCRIPT);
}

/* Append the message as comment lines, and an empty one after it. */
static void
write_message(StringInfo out, const char *message)
{
	for (;;)
	{
		int			len = mig_text_line_end(message, 0);

		appendStringInfoString(out, len > 0 ? "-- " : "--");
		appendBinaryStringInfo(out, message, len);
		appendStringInfoChar(out, '\n');
		if (message[len] == '\0')
			break;
		message += mig_text_skip_line_end(message, len);
	}
	appendStringInfoString(out, "--\n");
}

/* A header line with a list; refuses items that would be read otherwise. */
static void
write_list(StringInfo out, HeaderKey key, List *items)
{
	ListCell   *lc;
	const char *separator = " ";

	appendStringInfo(out, "-- %s:", mig_header_label(key));
	foreach(lc, items)
	{
		const char *item = lfirst(lc);

		if (*item == '\0' || strpbrk(item, ",\r\n") != NULL ||
			strcmp(item, "None") == 0 || strcmp(item, "base") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BAD_SCRIPT),
					 errmsg("\"%s\" cannot stand in the header of a revision file",
							mig_excerpt_printable(item))));
		appendStringInfo(out, "%s%s", separator, item);
		separator = ", ";
	}
	appendStringInfoChar(out, '\n');
}

/* The date in UTC and ISO style, whatever the session's settings. */
static void
write_date(StringInfo out, TimestampTz date)
{
	char		buf[MAXDATELEN + 1];
	struct pg_tm tm;
	fsec_t		fsec;

	if (TIMESTAMP_NOT_FINITE(date))
		EncodeSpecialTimestamp(date, buf);
	else if (timestamp2tm(date, NULL, &tm, &fsec, NULL, NULL) == 0)
	{
		tm.tm_isdst = 0;		/* or the zone is not written */
		EncodeDateTime(&tm, fsec, true, 0, NULL, USE_ISO_DATES, buf);
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	appendStringInfo(out, "-- %s: %s\n",
					 mig_header_label(KEY_CREATE_DATE), buf);
}

/* A blank line, a marker line and the script. */
static void
write_section(StringInfo out, MigDirection direction, const char *sql,
			  bool transactional)
{
	char	   *text = mig_script_canonical(sql, strlen(sql));

	appendStringInfo(out, "\n-- migrate:%s%s\n",
					 direction == MIG_UPGRADE ? "up" : "down",
					 transactional ? "" : " transaction:false");
	if (*text != '\0')
	{
		appendStringInfoString(out, text);
		appendStringInfoChar(out, '\n');
	}
	pfree(text);
}
