/*
 * foreign.c
 *		Telling files of other migration tools by their markers and names.
 *
 * Only errors need it: a file that is none of ours is refused, and its reader is
 * told what it looks like.  Facts about the tools are from their documentation.
 *
 * No locks, no catalog access; callable in and out of a transaction block.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "files/foreign.h"
#include "script/excerpt.h"
#include "script/script.h"
#include "script/text.h"

/* How comment lines of other tools begin, without the "--". */
static const struct
{
	const char *begins;
	const char *tool;
}			markers[] =
{
	{"+goose", "goose"},
	{"+migrate", "sql-migrate"},
	{"+micrate", "micrate"},
	{"rambler", "rambler"},
	{"liquibase formatted sql", "Liquibase"},
	{"changeset", "Liquibase"},
	{"Up Migration", "node-pg-migrate"},
	{"Down Migration", "node-pg-migrate"},
	{"> statement-breakpoint", "Drizzle"},
	{"Deploy ", "Sqitch"},
	{"Revert ", "Sqitch"},
	{"!Ups", "Play evolutions"},
	{"@UP", "a tool with the markers @UP and @DOWN"},
	{"@UNDO", "MyBatis Migrations"},
	{"//@UNDO", "MyBatis Migrations"},
};

static const char *tool_of_line(const char *line, const char *end);
static bool is_like_marker(const char *line, const char *end);
static const char *tool_of_name(const char *name);

/*
 * Return a sentence that says which other tool a file looks like one of, or which
 * of its lines is almost a marker; NULL when nothing is known.  name may be NULL.
 * The result is in the current memory context.
 */
const char *
mig_foreign_describe(const char *content, const char *name)
{
	const char *line = content;
	const char *tool;

	for (int number = 1; *line; number++)
	{
		const char *end = line + mig_text_line_end(line, 0);

		tool = tool_of_line(line, end);
		if (tool != NULL)
			return psprintf("Line %d, \"%s\", is one of %s.", number,
							mig_excerpt_line(pnstrdup(line, end - line)), tool);
		if (is_like_marker(line, end))
			return psprintf("Line %d, \"%s\", is not written as a marker is.", number,
							mig_excerpt_line(pnstrdup(line, end - line)));
		line = end + mig_text_skip_line_end(end, 0);
	}
	tool = name != NULL ? tool_of_name(name) : NULL;
	return tool ? psprintf("Its name is like those of %s.", tool) : NULL;
}

/*
 * Return the tool whose marker is in this line, or NULL.
 */
static const char *
tool_of_line(const char *line, const char *end)
{
	if (*line == '#')			/* Play's is "# --- !Ups" */
		line++;
	while (line < end && (*line == '-' || mig_text_is_blank(*line)))
		line++;
	for (size_t i = 0; i < lengthof(markers); i++)
	{
		size_t		len = strlen(markers[i].begins);

		if ((size_t) (end - line) >= len &&
			pg_strncasecmp(line, markers[i].begins, len) == 0)
			return markers[i].tool;
	}
	return NULL;
}

/*
 * Return whether a line is a comment that says "migrate", then "up" or "down", but
 * is no marker: "-- migrate: up", "--- migrate:up", "-- Migrate:Down".
 */
static bool
is_like_marker(const char *line, const char *end)
{
	static const char word[] = "migrate";
	MigDirection direction;
	const char *options;

	if (mig_script_marker(line + strspn(line, "-"), &direction, &options) &&
		strspn(line, "-") == 2)
		return false;
	while (line < end && mig_text_is_blank(*line))
		line++;
	if (end - line < 2 || line[0] != '-' || line[1] != '-')
		return false;
	while (line < end && (*line == '-' || mig_text_is_blank(*line)))
		line++;
	if (pg_strncasecmp(line, word, strlen(word)) != 0)
		return false;
	line += strlen(word);
	while (line < end && (*line == ':' || *line == '-' || mig_text_is_blank(*line)))
		line++;
	if (pg_strncasecmp(line, "up", 2) == 0)
		line += 2;
	else if (pg_strncasecmp(line, "down", 4) == 0)
		line += 4;
	else
		return false;
	return line == end || *line == ':' || mig_text_is_blank(*line);
}

/*
 * Return the tool that gives its files names like this one, or NULL.
 */
static const char *
tool_of_name(const char *name)
{
	const char *base = last_dir_separator(name);

	base = base ? base + 1 : name;
	if (mig_text_ends_with(base, ".up.sql") || mig_text_ends_with(base, ".down.sql"))
		return "golang-migrate and others that have a file for each direction";
	if ((*base == 'V' || *base == 'U' || *base == 'R') && strstr(base, "__") != NULL)
		return "Flyway";
	if (strcmp(base, "up.sql") == 0 || strcmp(base, "down.sql") == 0)
		return "Diesel";
	if (strcmp(base, "migration.sql") == 0)
		return "Prisma";
	return NULL;
}
