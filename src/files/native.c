/*
 * native.c
 *		Revision files: a file's text to a revision and back.
 *
 * A file is a header in comment lines, and behind marker lines its scripts.
 * The header is read line by line here; where the scripts begin is for the
 * lexer to say (mig_script_sections), because a marker line counts outside of
 * literals and block comments only; each script then goes through
 * mig_script_check.
 *
 * Errors are told with file and line: in the header by an error context
 * callback of ours, after it by those of script.c.  Nothing here catches an
 * error.
 *
 * No locks, no catalog access; callable in and out of a transaction block.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#include "files/native.h"
#include "revision/revision.h"
#include "script/script.h"
#include "script/text.h"

/* Alembic's truncate_slug_length, in characters. */
#define SLUG_LENGTH			40

/* Longest file name that common file systems take, in bytes. */
#define FILE_NAME_LENGTH	255

#define UTF8_BOM			"\xEF\xBB\xBF"

#define MARKER_HINT \
	"A revision file holds a line \"-- migrate:up\", the upgrade script, and if it can be downgraded a line \"-- migrate:down\" and the downgrade script."

typedef enum HeaderKey
{
	KEY_NONE = -1,
	KEY_REVISION,
	KEY_REVISES,
	KEY_DEPENDS_ON,
	KEY_BRANCH_LABELS,
	KEY_CREATE_DATE
} HeaderKey;

#define HEADER_KEYS		(KEY_CREATE_DATE + 1)

static const char *const header_keys[HEADER_KEYS] = {
	"Revision ID", "Revises", "Depends On", "Branch Labels", "Create Date"
};

/* A header that is being read. */
typedef struct Header
{
	ErrorContextCallback callback;
	const char *name;			/* of the file, may be NULL */
	int			line;			/* where an error is, 0: nowhere */
	StringInfoData message;
	int			seen[HEADER_KEYS];	/* line of each key, 0: not there */
	int			stray_line;		/* line of a key without a revision id */
} Header;

static void read_section(RevisionFile *file, const char *content,
						 int first_line, const ScriptSection *sections,
						 MigDirection direction);
static const char *read_header(RevisionFile *file, const char *content,
							   int *line);
static void header_error_context(void *arg);
static bool is_up_marker(const char *line);
static void read_header_line(RevisionFile *file, Header *header,
							 const char *line);
static void read_header_value(Revision *rev, HeaderKey key, const char *value);
static void finish_header(RevisionFile *file, Header *header);
static void read_file_name(RevisionFile *file);
static HeaderKey header_key(const char *line, char **value);
static List *read_list(const char *value, bool base_word);
static void check_name(const char *name, const char *kind);
static TimestampTz read_date(const char *value);
static void date_error_context(void *arg);
static char *canonical_message(const char *message);
static const char *message_problem(const char *message);
static void write_message(StringInfo out, const char *message);
static void write_list(StringInfo out, HeaderKey key, List *items);
static void write_date(StringInfo out, TimestampTz date);
static void write_section(StringInfo out, MigDirection direction,
						  const char *sql, bool transactional);
static bool is_safe(const char *p);
static char *file_name_id(const char *revision, bool apart);
static char *decoded_id(const char *name, int len);
static char *slug(const char *message);

/*
 * Read a revision file.
 *
 * content is in the server encoding; name is the file's, or NULL, and is kept
 * by reference in the result.  The lists come out as written: ids, prefixes or
 * labels; whether the parents exist is for the caller to say.  The scripts have
 * gone through mig_script_check.  Without a "Revision ID" line, id and message
 * come from the name, and comment lines before "-- migrate:up" are dropped, as
 * dbmate ignores them.
 *
 * The result is in the current memory context.  Errors: MG011, or the server
 * parser's own codes, with file and line.
 */
RevisionFile *
mig_native_read(const char *content, const char *name)
{
	RevisionFile *file = palloc0(sizeof(RevisionFile));
	ScriptOrigin origin = {0};
	ScriptSection sections[2];
	const char *body;

	file->name = name;
	if ((GetDatabaseEncoding() == PG_UTF8 ||
		 GetDatabaseEncoding() == PG_SQL_ASCII) &&
		strncmp(content, UTF8_BOM, strlen(UTF8_BOM)) == 0)
		content += strlen(UTF8_BOM);

	body = read_header(file, content, &origin.first_line);
	origin.file = name;
	origin.revision = file->rev.revision;
	mig_script_sections(body, &origin, sections);
	read_section(file, body, origin.first_line, sections, MIG_UPGRADE);
	read_section(file, body, origin.first_line, sections, MIG_DOWNGRADE);
	return file;
}

/*
 * Check a revision's message and return it in canonical form: LF line ends, no
 * white space around it nor at the end of a line.  Errors: 22023 for none, and
 * for one that a revision file could not hold.
 */
char *
mig_native_check_message(const char *message)
{
	char	   *result;
	const char *problem;

	if (message == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("message of a revision must not be null")));
	result = canonical_message(message);
	if (*result == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("message of a revision must not be empty")));
	problem = message_problem(result);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("message of a revision must not have a line that begins with \"%s\"",
						problem),
				 errdetail("In a revision file such a line has a meaning of its own.")));
	return result;
}

/*
 * Return the content of a revision's file. mig_native_read reads the same
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
					 header_keys[KEY_REVISION], rev->revision);
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
 * "a_b" with "c"; mig_native_name_ids finds them.  With apart the id is followed
 * by a hash, as a long one is.
 */
char *
mig_native_name(const char *revision, const char *message, bool apart)
{
	char	   *id = file_name_id(revision, apart);
	char	   *words = slug(message ? message : "");

	if (*words == '\0' ||
		strlen(id) + strlen(words) + strlen("_.sql") > FILE_NAME_LENGTH)
		return psprintf("%s.sql", id);
	return psprintf("%s_%s.sql", id, words);
}

/*
 * Return the ids (char *) that a revision can have whose file has this name,
 * which is one of mig_native_name's without a hash.
 */
List *
mig_native_name_ids(const char *name)
{
	int			len = strlen(name) - strlen(".sql");
	List	   *ids = list_make1(decoded_id(name, len));

	for (int i = 1; i < len; i++)
		if (name[i] == '_')
			ids = lappend(ids, decoded_id(name, i));
	return ids;
}

/* ----------
 * Reading a file
 * ----------
 */

/*
 * Check the script of one direction and put it into the file's revision.
 * first_line is the line of the file where content begins.
 */
static void
read_section(RevisionFile *file, const char *content, int first_line,
			 const ScriptSection *sections, MigDirection direction)
{
	const ScriptSection *section = &sections[direction];
	ScriptOrigin origin = {0};
	char	   *text;
	char	   *checked;
	int			end;

	if (direction == MIG_UPGRADE)
		file->rev.upgrade_transactional = section->transactional;
	else
		file->rev.downgrade_transactional =
			!section->present || section->transactional;
	if (!section->present)
		return;

	origin.file = file->name;
	origin.revision = file->rev.revision;
	origin.direction = direction;
	origin.first_line = first_line - 1 +
		mig_text_line(content, section->body);
	if (direction == MIG_UPGRADE && sections[MIG_DOWNGRADE].present)
		end = sections[MIG_DOWNGRADE].marker;
	else
		end = section->body + strlen(content + section->body);
	text = pnstrdup(content + section->body, end - section->body);
	checked = mig_script_check(text, section->transactional, &origin);
	pfree(text);

	if (direction == MIG_UPGRADE)
		file->rev.upgrade_sql = checked;
	else
		file->rev.downgrade_sql = checked;
}

/*
 * Read all before the "-- migrate:up" line, and return the start of that line;
 * *line is set to its number.
 */
static const char *
read_header(RevisionFile *file, const char *content, int *line)
{
	Header		header;
	int			offset = 0;

	memset(&header, 0, sizeof(Header));
	initStringInfo(&header.message);
	header.name = file->name;
	header.callback.callback = header_error_context;
	header.callback.arg = &header;
	header.callback.previous = error_context_stack;
	error_context_stack = &header.callback;
	for (header.line = 1; content[offset] != '\0';)
	{
		int			start = offset;
		int			end = mig_text_line_end(content, offset);
		int			next = mig_text_skip_line_end(content, end);

		CHECK_FOR_INTERRUPTS();
		if (is_up_marker(content + offset))
		{
			*line = header.line;
			finish_header(file, &header);
			error_context_stack = header.callback.previous;
			return content + offset;
		}
		while (start < end && mig_text_is_space(content[start]))
			start++;
		if (strncmp(content + start, "--", 2) == 0)
			read_header_line(file, &header,
							 pnstrdup(content + start + 2, end - start - 2));
		else if (start == end)
			appendStringInfoChar(&header.message, '\n');
		else
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BAD_SCRIPT),
					 errmsg("only comment lines may come before \"-- migrate:up\""),
					 errhint(MARKER_HINT)));
		if (next > end && content[next - 1] == '\n')
			header.line++;
		offset = next;
	}
	ereport(ERROR,
			(errcode(ERRCODE_MIG_BAD_SCRIPT),
			 errmsg("revision file has no line \"-- migrate:up\""),
			 errhint(MARKER_HINT)));
	return NULL;				/* keep compiler quiet */
}

/* Error context callback: file and line. */
static void
header_error_context(void *arg)
{
	const Header *header = arg;
	const char *what = "revision file";

	if (header->name != NULL)
		what = psprintf("revision file \"%s\"", header->name);
	if (header->line > 0)
		errcontext("%s, line %d", what, header->line);
	else
		errcontext("%s", what);
}

/* Does the first marker line of a file begin here? */
static bool
is_up_marker(const char *line)
{
	MigDirection direction;
	const char *options;

	if (strncmp(line, "--", 2) != 0 ||
		!mig_script_marker(line + 2, &direction, &options))
		return false;
	if (direction == MIG_DOWNGRADE)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("\"-- migrate:down\" comes before \"-- migrate:up\""),
				 errhint(MARKER_HINT)));
	return true;
}

/* Take one comment line, given without its "--", of the header. */
static void
read_header_line(RevisionFile *file, Header *header, const char *line)
{
	char	   *value = NULL;
	HeaderKey	key = header_key(line, &value);

	if (key != KEY_REVISION && header->seen[KEY_REVISION] == 0)
	{
		if (key != KEY_NONE && header->stray_line == 0)
			header->stray_line = header->line;
		appendStringInfo(&header->message, "%s\n",
						 line[0] == ' ' ? line + 1 : line);
		return;
	}
	if (key == KEY_NONE)
	{
		if (*mig_text_trim(line, strlen(line)) == '\0')
			return;
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("unrecognized line in the header of a revision file"),
				 errdetail("Between \"Revision ID\" and \"-- migrate:up\" only \"Revises\", \"Depends On\", \"Branch Labels\" and \"Create Date\" are allowed."),
				 errhint("Write the message before \"Revision ID\", and comments on the script after \"-- migrate:up\".")));
	}
	if (header->seen[key] != 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("\"%s\" is given twice in the header of a revision file",
						header_keys[key])));
	header->seen[key] = header->line;
	read_header_value(&file->rev, key, value);
}

/* Put the value of a header line into the revision. */
static void
read_header_value(Revision *rev, HeaderKey key, const char *value)
{
	ListCell   *lc;

	switch (key)
	{
		case KEY_REVISION:
			if (*value == '\0')
				ereport(ERROR,
						(errcode(ERRCODE_MIG_BAD_SCRIPT),
						 errmsg("\"%s\" of a revision file is empty",
								header_keys[key])));
			check_name(value, "revision identifier");
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
				check_name(lfirst(lc), "branch label");
			break;
		case KEY_CREATE_DATE:
			rev->created_at = read_date(value);
			rev->has_created_at = true;
			break;
		case KEY_NONE:
			break;
	}
}

/* The header has ended: is it whole?  Set what depends on all of its lines. */
static void
finish_header(RevisionFile *file, Header *header)
{
	file->has_header = header->seen[KEY_REVISION] != 0;
	if (!file->has_header)
	{
		header->line = header->stray_line;
		if (header->stray_line != 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BAD_SCRIPT),
					 errmsg("header of a revision file has no \"Revision ID\"")));
		read_file_name(file);
		return;
	}

	header->line = header->seen[KEY_REVISION];
	if (header->seen[KEY_REVISES] == 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("header of a revision file has no \"Revises\""),
				 errhint("Write \"-- Revises:\" without a value for a revision that has no parent.")));
	file->rev.message = canonical_message(header->message.data);
	if (*file->rev.message == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("revision file has no message"),
				 errhint("Write the message as a comment before \"-- Revision ID: %s\".",
						 file->rev.revision)));
}

/* Take id and message from the file's name, as dbmate writes it. */
static void
read_file_name(RevisionFile *file)
{
	const char *base = file->name ? last_dir_separator(file->name) : NULL;
	const char *rest;
	int			len;

	base = base ? base + 1 : (file->name ? file->name : "");
	len = strlen(base);
	if (len >= 4 && strcmp(base + len - 4, ".sql") == 0)
		len -= 4;
	rest = memchr(base, '_', len);
	file->rev.revision = mig_text_trim(base, rest ? rest - base : len);
	if (*file->rev.revision == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("revision file has no \"Revision ID\", and its name gives none"),
				 errhint("Write a header, or name the file as in \"20240101120000_create_users.sql\".")));
	check_name(file->rev.revision, "revision identifier");

	if (rest != NULL)
	{
		char	   *words = pnstrdup(rest + 1, base + len - rest - 1);

		for (char *p = words; *p; p++)
		{
			if (*p == '_')
				*p = ' ';
		}
		file->rev.message = canonical_message(words);
	}
	if (file->rev.message == NULL || *file->rev.message == '\0')
		file->rev.message = pstrdup(file->rev.revision);
	if (message_problem(file->rev.message) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("name of the revision file cannot be used as a message")));
}

/*
 * Return which key a comment line, given without its "--", begins with.
 * Sets *value to a mig_text_trim copy of what follows the colon.
 */
static HeaderKey
header_key(const char *line, char **value)
{
	const char *colon = strchr(line, ':');
	char	   *name;

	if (colon == NULL)
		return KEY_NONE;
	name = mig_text_trim(line, colon - line);
	for (int key = 0; key < HEADER_KEYS; key++)
	{
		if (pg_strcasecmp(name, header_keys[key]) == 0)
		{
			*value = mig_text_trim(colon + 1, strlen(colon + 1));
			return (HeaderKey) key;
		}
	}
	return KEY_NONE;
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

/* MG011 when name cannot be an id or a label. */
static void
check_name(const char *name, const char *kind)
{
	const char *fault = mig_revision_name_fault(name);

	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s \"%s\" %s", kind, mig_revision_clip(name), fault)));
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

/* A message in canonical form, see mig_native_check_message. */
static char *
canonical_message(const char *message)
{
	StringInfoData out;

	initStringInfo(&out);
	for (;;)
	{
		int			len = mig_text_line_end(message, 0);
		int			next = mig_text_skip_line_end(message, len);

		while (len > 0 && mig_text_is_space(message[len - 1]))
			len--;
		appendBinaryStringInfo(&out, message, len);
		appendStringInfoChar(&out, '\n');
		if (message[next] == '\0')
			break;
		message += next;
	}
	return mig_text_trim(out.data, out.len);
}

/* What makes a canonical message one that no file can hold, or NULL. */
static const char *
message_problem(const char *message)
{
	for (;;)
	{
		int			len = mig_text_line_end(message, 0);
		char	   *line = pnstrdup(message, len);
		char	   *value;
		MigDirection direction;
		const char *options;

		if (header_key(line, &value) == KEY_REVISION)
			return "Revision ID:";
		if (mig_script_marker(line, &direction, &options))
			return direction == MIG_UPGRADE ? "migrate:up" : "migrate:down";
		if (message[len] == '\0')
			return NULL;
		message += len + 1;
	}
}

/* ----------
 * Writing a file
 * ----------
 */

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

	appendStringInfo(out, "-- %s:", header_keys[key]);
	foreach(lc, items)
	{
		const char *item = lfirst(lc);

		if (*item == '\0' || strpbrk(item, ",\r\n") != NULL ||
			strcmp(item, "None") == 0 || strcmp(item, "base") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BAD_SCRIPT),
					 errmsg("\"%s\" cannot stand in the header of a revision file",
							item)));
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
	appendStringInfo(out, "-- %s: %s\n", header_keys[KEY_CREATE_DATE], buf);
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
file_name_id(const char *revision, bool apart)
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
 * Return the id of which file_name_id made the len bytes at name.
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
