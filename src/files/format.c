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

#include "files/dbmate.h"
#include "files/format.h"
#include "files/native.h"
#include "script/script.h"
#include "script/text.h"

#define UTF8_BOM			"\xEF\xBB\xBF"

/* The first that recognizes a file reads it; the last one recognizes all. */
static const FileFormat formats[] = {
	{"native", true, NULL, mig_native_recognizes, mig_native_read},
	{"dbmate", false, mig_dbmate_takes, mig_dbmate_recognizes, mig_dbmate_read},
};

static const FileFormat *recognize(const Header *header);
static void read_section(RevisionFile *file, const char *content,
						 int first_line, const ScriptSection *sections,
						 MigDirection direction);

/*
 * Read a revision file.
 *
 * content is in the server encoding; name is the file's, or NULL, and is kept
 * by reference in the result.  Whether the parents exist is for the caller to
 * say.  The scripts have gone through mig_script_check.
 *
 * With upgrade_only the downgrade script is not read, as if there were none.
 *
 * The result is in the current memory context.  Errors: MG011, or the server
 * parser's own codes, with file and line.
 */
RevisionFile *
mig_format_read(const char *content, const char *name, bool upgrade_only)
{
	RevisionFile *file = palloc0(sizeof(RevisionFile));
	ScriptOrigin origin = {0};
	ScriptSection sections[2];
	Header		header;
	const char *body;

	file->name = name;
	if ((GetDatabaseEncoding() == PG_UTF8 ||
		 GetDatabaseEncoding() == PG_SQL_ASCII) &&
		strncmp(content, UTF8_BOM, strlen(UTF8_BOM)) == 0)
		content += strlen(UTF8_BOM);

	body = mig_header_begin(&header, content, name);
	origin.first_line = header.line;
	file->format = recognize(&header);
	file->format->reads(&file->rev, &header);
	mig_header_end(&header);

	origin.file = name;
	origin.revision = file->rev.revision;
	mig_script_sections(body, &origin, upgrade_only, sections);
	read_section(file, body, origin.first_line, sections, MIG_UPGRADE);
	if (upgrade_only)
		file->rev.downgrade_transactional = true;
	else
		read_section(file, body, origin.first_line, sections, MIG_DOWNGRADE);
	return file;
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
	text = pnstrdup(content + section->body, end - section->body);
	checked = mig_script_check(text, section->transactional, &origin);
	pfree(text);

	if (direction == MIG_UPGRADE)
		file->rev.upgrade_sql = checked;
	else
		file->rev.downgrade_sql = checked;
}
