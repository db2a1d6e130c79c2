/*
 * format.c
 *		Reading revision files, whatever their format.
 *
 * A file begins with comment lines, of which its format takes id, message and
 * parents, and has its scripts after marker lines.  Where the scripts begin is
 * for the lexer to say (mig_script_sections), because a marker line counts
 * outside of literals and block comments only; each script then goes through
 * mig_script_check.
 *
 * Errors name file and line: before the first marker by the error
 * context of header.c, after it by those of script.c.  Nothing here catches an
 * error.
 *
 * No locks, no catalog access; callable in and out of a transaction block.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "mb/pg_wchar.h"

#include "files/bytes.h"
#include "files/dbmate.h"
#include "files/format.h"
#include "files/native.h"
#include "script/script.h"
#include "script/text.h"

/* The first that recognizes a file reads it; the last one recognizes all. */
static const FileFormat formats[] = {
	{"native", true, NULL, mig_native_recognizes, mig_native_read},
	{"dbmate", false, mig_dbmate_takes, mig_dbmate_recognizes, mig_dbmate_read},
};

static const FileFormat *recognize(const Header *header);
static const char *skip_section(const char *text, MigDirection direction,
								const char *script, bool transactional);
static void read_section(RevisionFile *file, const char *content,
						 int first_line, const ScriptSection *sections,
						 MigDirection direction);

/*
 * Read a revision file: mig_format_begin and mig_format_read_scripts.
 */
RevisionFile *
mig_format_read(const char *content, const char *name, bool upgrade_only)
{
	RevisionFile *file = mig_format_begin(content, name);

	mig_format_read_scripts(file, upgrade_only);
	return file;
}

/*
 * Read what a revision file says before its scripts.
 *
 * content is in the server encoding, and name is the file's, or NULL; both are kept
 * by reference in the result.  Whether the parents exist is for the caller to say.
 *
 * The result is in the current memory context.  Errors: MG011, with file and line.
 */
RevisionFile *
mig_format_begin(const char *content, const char *name)
{
	RevisionFile *file = palloc0(sizeof(RevisionFile));
	Header		header;

	file->name = name;
	file->rev.file_name = name;
	if ((GetDatabaseEncoding() == PG_UTF8 ||
		 GetDatabaseEncoding() == PG_SQL_ASCII) &&
		strncmp(content, UTF8_BOM, strlen(UTF8_BOM)) == 0)
		content += strlen(UTF8_BOM);

	file->body = mig_header_begin(&header, content, name);
	file->body_line = header.line;
	file->format = recognize(&header);
	file->format->reads(&file->rev, &header);
	mig_header_end(&header);
	return file;
}

/*
 * If a file has the scripts of a stored revision, letter by letter up to line ends and
 * white space at their ends, take them from there, by reference, and return true.
 * They were checked when they were stored, and need not be again.
 */
bool
mig_format_take_scripts(RevisionFile *file, const Revision *stored)
{
	const char *rest = skip_section(file->body, MIG_UPGRADE, stored->upgrade_sql,
									stored->upgrade_transactional);
	int			down = rest ? rest - file->body : 0;

	if (rest != NULL && stored->downgrade_sql != NULL)
		rest = skip_section(rest, MIG_DOWNGRADE, stored->downgrade_sql,
							stored->downgrade_transactional);
	if (rest == NULL || *rest != '\0')
		return false;
	if (file->name != NULL)
		file->rev.line[MIG_UPGRADE] = file->body_line + 1;
	if (file->name != NULL && stored->downgrade_sql != NULL)
		file->rev.line[MIG_DOWNGRADE] = file->body_line + mig_text_line(file->body, down);
	file->rev.upgrade_sql = stored->upgrade_sql;
	file->rev.upgrade_transactional = stored->upgrade_transactional;
	file->rev.downgrade_sql = stored->downgrade_sql;
	file->rev.downgrade_transactional = stored->downgrade_transactional;
	file->has_scripts = true;
	return true;
}

/*
 * Return what follows a section of a file's text, its marker line, a script and white
 * space; NULL when text does not begin with such a section.
 */
static const char *
skip_section(const char *text, MigDirection direction, const char *script,
			 bool transactional)
{
	MigDirection marked;
	const char *options;
	char	   *option;

	if (strncmp(text, "--", 2) != 0 || !mig_script_marker(text + 2, &marked, &options) ||
		marked != direction)
		return NULL;
	option = mig_text_trim(options, mig_text_line_end(options, 0));
	if (strcmp(option, transactional ? "" : "transaction:false") != 0)
		return NULL;
	text += mig_text_line_end(text, 0);
	text += mig_text_skip_line_end(text, 0);
	for (; *script; script++, text++)
	{
		if (*script == '\n' && text[strspn(text, "\r")] == '\n')
			text += strspn(text, "\r");
		if (*text != *script)
			return NULL;
	}
	while (mig_text_is_space(*text))
		text++;
	return *text == '\0' || mig_text_is_line_end(text[-1]) ? text : NULL;
}

/*
 * Read the scripts of a file that was begun; they go through mig_script_check.  With
 * upgrade_only the downgrade script is not read, as if there were none.
 *
 * What is read is in the current memory context.  Errors: MG011, or the server
 * parser's own codes, with file and line.
 */
void
mig_format_read_scripts(RevisionFile *file, bool upgrade_only)
{
	ScriptOrigin origin = {.file = file->name, .revision = file->rev.revision,
	.first_line = file->body_line};
	ScriptSection sections[2];

	mig_script_sections(file->body, &origin, upgrade_only, sections);
	read_section(file, file->body, origin.first_line, sections, MIG_UPGRADE);
	if (upgrade_only)
		file->rev.downgrade_transactional = true;
	else
		read_section(file, file->body, origin.first_line, sections, MIG_DOWNGRADE);
	file->has_scripts = true;
}

/*
 * Return the format of this name, or NULL.
 */
const FileFormat *
mig_format_find(const char *name)
{
	for (int i = 0; i < (int) lengthof(formats); i++)
	{
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	}
	return NULL;
}

/*
 * Return the format of a file that begins with these lines.
 */
static const FileFormat *
recognize(const Header *header)
{
	const FileFormat *format = formats;

	while (!format->recognizes(header))
		format++;
	return format;
}

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
	if (file->name != NULL)
		file->rev.line[direction] = first_line + mig_text_line(content, section->marker);
	text = pnstrdup(content + section->body, end - section->body);
	checked = mig_script_check(text, section->transactional, &origin);
	pfree(text);

	if (direction == MIG_UPGRADE)
		file->rev.upgrade_sql = checked;
	else
		file->rev.downgrade_sql = checked;
}
