/*
 * header.c
 *		The comment lines that a revision file begins with.
 *
 * They end at the marker "-- migrate:up".  What they mean is for the formats to
 * say; that there are no other lines, and what Alembic's names are, is here, and
 * so is what a message can be that these lines hold.
 *
 * No locks, no catalog access; callable in and out of a transaction block.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "compat.h"
#include "miscadmin.h"

#include "files/foreign.h"
#include "files/header.h"
#include "revision/revision.h"
#include "script/excerpt.h"
#include "script/script.h"
#include "script/text.h"

#define MARKER_HINT \
	"A revision file holds a line \"-- migrate:up\", the upgrade script, and if it can be downgraded a line \"-- migrate:down\" and the downgrade script."

static const char *const labels[HEADER_KEYS] = {
	"Revision ID", "Revises", "Depends On", "Branch Labels", "Create Date"
};

static bool is_up_marker(const Header *header, const char *line);
static int	skip_block_comments(const char *line);
static HeaderLine *read_line(const Header *header, const char *line, int len);
pg_noreturn static void refuse(const Header *header, const char *fault);
static HeaderKey header_key(const char *line, const char **value);
static void header_error_context(void *arg);

/*
 * Read the lines before the marker "-- migrate:up", and return where that line
 * begins; header->line is its number.  Block comments, of a licence for one, are
 * passed over.
 *
 * Until mig_header_end, errors name the file and header->line.  name may be NULL
 * and is kept by reference.  Errors: MG011 for another line than a comment, and
 * for a file without the marker.
 */
const char *
mig_header_begin(Header *header, const char *content, const char *name)
{
	memset(header, 0, sizeof(Header));
	header->name = name;
	header->content = content;
	header->callback.callback = header_error_context;
	header->callback.arg = header;
	header->callback.previous = error_context_stack;
	error_context_stack = &header->callback;

	for (header->line = 1; *content != '\0';)
	{
		int			comments = skip_block_comments(content);
		int			end;
		int			next;

		CHECK_FOR_INTERRUPTS();
		if (is_up_marker(header, content))
			return content;
		header->line += mig_text_line(content, comments) - 1;
		content += comments;
		end = mig_text_line_end(content, 0);
		next = mig_text_skip_line_end(content, end);
		header->lines = lappend(header->lines,
								read_line(header, content, end));
		if (next > end && content[next - 1] == '\n')
			header->line++;
		content += next;
	}
	refuse(header, "revision file has no line \"-- migrate:up\"");
	return NULL;				/* keep compiler quiet */
}

/*
 * End what mig_header_begin began: errors are about something else from now on.
 */
void
mig_header_end(Header *header)
{
	error_context_stack = header->callback.previous;
}

/*
 * Return how a key is written.
 */
const char *
mig_header_label(HeaderKey key)
{
	return labels[key];
}

/*
 * Check that name can be an id or a label; kind says which. Errors: MG011.
 */
void
mig_header_check_name(const char *name, const char *kind)
{
	const char *fault = mig_revision_name_fault(name);

	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s \"%s\" %s", kind, mig_revision_clip(name), fault)));
}

/*
 * Check a revision's message and return it in canonical form: LF line ends, no
 * white space around it nor at the end of a line.  Errors: 22023 for none, and
 * for one that a revision file could not hold.
 */
char *
mig_header_check_message(const char *message)
{
	char	   *result;
	const char *problem;

	if (message == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("message of a revision must not be null")));
	result = mig_header_message(message);
	if (*result == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("message of a revision must not be empty")));
	problem = mig_header_message_fault(result);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("message of a revision must not have a line that begins with \"%s\"",
						problem),
				 errdetail("In a revision file such a line has a meaning of its own.")));
	return result;
}

/*
 * Return a message in canonical form: see mig_header_check_message.
 */
char *
mig_header_message(const char *message)
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

/*
 * Return what makes a canonical message one that no file can hold, or NULL.
 */
const char *
mig_header_message_fault(const char *message)
{
	for (;;)
	{
		int			len = mig_text_line_end(message, 0);
		char	   *line = pnstrdup(message, len);
		const char *value;
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

/* Does the first marker line of a file begin here? */
static bool
is_up_marker(const Header *header, const char *line)
{
	MigDirection direction;
	const char *options;

	if (strncmp(line, "--", 2) != 0 ||
		!mig_script_marker(line + 2, &direction, &options))
		return false;
	if (direction == MIG_DOWNGRADE)
		refuse(header, "\"-- migrate:down\" comes before \"-- migrate:up\"");
	return true;
}

/*
 * Refuse a file for a fault, and say what it may be instead.  Errors: MG011.
 */
static void
refuse(const Header *header, const char *fault)
{
	const char *foreign = mig_foreign_describe(header->content, header->name);

	ereport(ERROR,
			(errcode(ERRCODE_MIG_BAD_SCRIPT),
			 errmsg_internal("%s", fault),
			 foreign ? errdetail_internal("%s", foreign) : 0,
			 errhint(MARKER_HINT)));
}

/*
 * Return the offset after the block comments that a line begins with; they may
 * take more lines.
 */
static int
skip_block_comments(const char *line)
{
	int			after = 0;

	for (;;)
	{
		int			start = after;

		while (mig_text_is_blank(line[start]))
			start++;
		if (line[start] != '/' || line[start + 1] != '*')
			return after;
		after = mig_text_skip_comment(line, start);
	}
}

/*
 * Return the line of len bytes at line, header->line. Errors: MG011 when it is not
 * a comment.
 */
static HeaderLine *
read_line(const Header *header, const char *line, int len)
{
	HeaderLine *result = palloc0(sizeof(HeaderLine));
	const char *end = line + len;

	result->number = header->line;
	result->key = KEY_NONE;
	while (line < end && mig_text_is_space(*line))
		line++;
	if (line == end)
		return result;
	if (strncmp(line, "--", 2) != 0)
		refuse(header, "only comment lines may come before \"-- migrate:up\"");
	result->text = pnstrdup(line + 2, end - line - 2);
	result->key = header_key(result->text, &result->value);
	return result;
}

/*
 * Return which key a comment line, given without its "--", begins with.
 * Sets *value to a mig_text_trim copy of what follows the colon.
 */
static HeaderKey
header_key(const char *line, const char **value)
{
	const char *colon = strchr(line, ':');
	char	   *name;

	if (colon == NULL)
		return KEY_NONE;
	name = mig_text_trim(line, colon - line);
	for (int key = 0; key < HEADER_KEYS; key++)
	{
		if (pg_strcasecmp(name, labels[key]) == 0)
		{
			*value = mig_text_trim(colon + 1, strlen(colon + 1));
			return (HeaderKey) key;
		}
	}
	return KEY_NONE;
}

/* Error context callback: file and line. */
static void
header_error_context(void *arg)
{
	const Header *header = arg;
	const char *what = "revision file";

	if (header->name != NULL)
		what = psprintf("revision file \"%s\"", mig_excerpt_printable(header->name));
	if (header->line > 0)
		errcontext("%s, line %d", what, header->line);
	else
		errcontext("%s", what);
}
