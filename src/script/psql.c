/*
 * psql.c
 *		A script as psql is to be given it.
 *
 * psql reads a file by the settings that the session has: where a literal ends
 * depends on standard_conforming_strings, and where a character ends on
 * client_encoding.  A script can change both in many ways, and what psql then
 * takes for the outside of a literal may hold a command of its own, \! above all.
 * So a script is written in a form that psql reads in one way only:
 *
 *  - A literal in plain quotes that has a backslash becomes one of the form
 *    E'...', in which a backslash means the same whatever the setting.
 *
 *    One that has \' in it gets '' instead.
 *
 *  - A statement with characters that are not ASCII begins on a line of its own,
 *    after a line that sets client_encoding to that of the file.  psql reads a
 *    line by the settings that it has when the line begins.
 *
 *  - A literal that touches a letter or digit before it gets a space between:
 *    versions differ in whether 1e'x' begins with a number.
 *
 *  - psql replaces :name, :'name' and :"name" outside of literals.  In a script
 *    that was checked these can only be bounds of array slices, where a space
 *    after the colon changes nothing.
 *
 * All else is byte for byte what is stored.
 */
#include "migrate.h"

#include "lib/stringinfo.h"
#include "parser/scanner.h"
#include "script/psql.h"

/* A script under way. */
typedef struct PsqlScript
{
	const char *sql;
	const char *pin;			/* the line that sets client_encoding, or NULL */
	int			written;		/* offset up to which sql was taken */
	StringInfoData segment;		/* a statement, with what is before it */
	StringInfoData out;
} PsqlScript;

static void take_token(PsqlScript *script, int start, int end, const char *value);
static const char *quoted_value(const char *token, const core_YYSTYPE *value);
static bool needs_escapes(const char *token, int len);
static bool is_literal(const char *token);
static bool is_word(char c);
static bool begins_variable(char c);
static void append_escape_literal(StringInfo out, const char *value);
static void end_segment(PsqlScript *script);

/*
 * Return a script that was checked (script/script) so that psql sends it as it
 * is, with a semicolon and a line end at its end.  pin is the line that sets
 * client_encoding, without its end; NULL where there is no need.
 */
char *
mig_psql_script(const char *sql, const char *pin)
{
	PsqlScript	script = {.sql = sql, .pin = pin};
	core_yy_extra_type extra;
	core_yyscan_t scanner = scanner_init(sql, &extra, &ScanKeywords, ScanKeywordTokens);
	core_YYSTYPE value;
	YYLTYPE		location;
	int			end = 0;
	int			token;
	bool		closed = true;

	initStringInfo(&script.segment);
	initStringInfo(&script.out);
	extra.standard_conforming_strings = true;
	extra.escape_string_warning = false;
	while ((token = core_yylex(&value, &location, scanner)) != 0)
	{
		/* the lexer puts a NUL after the token in its own copy of the text */
		end = location + strlen(extra.scanbuf + location);
		take_token(&script, location, end, quoted_value(sql + location, &value));
		closed = token == ';';
		if (closed)
			end_segment(&script);
	}
	scanner_finish(scanner);
	if (!closed)
		appendStringInfoChar(&script.segment, ';');
	/* comments at the end */
	appendStringInfoString(&script.segment, sql + end);
	if (*sql)
		appendStringInfoChar(&script.segment, '\n');
	end_segment(&script);
	return script.out.data;
}

/*
 * Return whether psql finds no command of its own in a text, however it reads
 * it: there is no backslash.
 */
bool
mig_psql_is_plain(const char *text)
{
	return strchr(text, '\\') == NULL;
}

/*
 * Add the next token, and what is before it, to the segment.  value is that of a
 * literal in plain quotes, or of the form E'...'.
 */
static void
take_token(PsqlScript *script, int start, int end, const char *value)
{
	const char *sql = script->sql;
	StringInfo	segment = &script->segment;
	bool		escaped = value != NULL && needs_escapes(sql + start, end - start);
	bool		touches = start > 0 && start == script->written;
	bool		national = touches && value != NULL &&
		sql[start] == '\'' && (sql[start - 1] == 'N' || sql[start - 1] == 'n') &&
		(start == 1 || !is_word(sql[start - 2]));

	appendBinaryStringInfo(segment, sql + script->written, start - script->written);
	if (national && escaped)
	{
		/* N'...' cannot be N E'...' */
		segment->len--;
		appendStringInfoString(segment, "nchar ");
	}
	else if (touches && !national && is_literal(sql + start) && is_word(sql[start - 1]))
		appendStringInfoChar(segment, ' ');
	if (escaped)
		append_escape_literal(segment, value);
	else
		appendBinaryStringInfo(segment, sql + start, end - start);
	if (end - start == 1 && sql[start] == ':' && begins_variable(sql[end]))
		appendStringInfoChar(segment, ' ');
	script->written = end;
}

/*
 * Return the value of a token that is a literal in plain quotes or of the form
 * E'...'; NULL for others.
 */
static const char *
quoted_value(const char *token, const core_YYSTYPE *value)
{
	if (*token == 'E' || *token == 'e')
		token++;
	return *token == '\'' ? value->str : NULL;
}

/*
 * Return whether such a literal is to be written anew: one in plain quotes if it
 * has a backslash, the other if it may have \', which the server refuses while
 * client_encoding is one of those that no server has.
 */
static bool
needs_escapes(const char *token, int len)
{
	if (*token == '\'')
		return memchr(token, '\\', len) != NULL;
	for (int i = 0; i + 1 < len; i++)
		if (token[i] == '\\' && token[i + 1] == '\'')
			return true;
	return false;
}

/*
 * Return whether a token is a literal or an identifier in quotes, of whatever
 * kind.
 */
static bool
is_literal(const char *token)
{
	if (*token == 'U' || *token == 'u')
		return token[1] == '&' && (token[2] == '\'' || token[2] == '"');
	if (*token != '\0' && strchr("eEbBxX", *token) != NULL)
		return token[1] == '\'';
	return *token == '\'' || *token == '"' || *token == '$';
}

/*
 * Return whether a character can be part of an identifier or a number, or ends a
 * literal.
 */
static bool
is_word(char c)
{
	return IS_HIGHBIT_SET(c) || isalnum((unsigned char) c) || c == '_' || c == '$' ||
		c == '\'' || c == '"';
}

/*
 * Return whether psql takes a colon before a character for the beginning of a
 * variable.
 */
static bool
begins_variable(char c)
{
	return IS_HIGHBIT_SET(c) || isalnum((unsigned char) c) ||
		(c != '\0' && strchr("_'\"{", c) != NULL);
}

/*
 * Append a literal of the form E'...'.
 */
static void
append_escape_literal(StringInfo out, const char *value)
{
	appendStringInfoString(out, "E'");
	for (; *value; value++)
	{
		if (*value == '\'' || *value == '\\')
			appendStringInfoChar(out, *value);
		appendStringInfoChar(out, *value);
	}
	appendStringInfoChar(out, '\'');
}

/*
 * Write the segment, after the pin if it is not ASCII.
 */
static void
end_segment(PsqlScript *script)
{
	const char *text = script->segment.data;
	bool		ascii = true;

	for (const char *p = text; *p && ascii; p++)
		ascii = !IS_HIGHBIT_SET(*p);
	if (!ascii && script->pin != NULL)
	{
		if (script->out.len > 0)
			appendStringInfoChar(&script->out, '\n');
		appendStringInfo(&script->out, "%s\n", script->pin);
		text += (*text == '\n');
	}
	appendStringInfoString(&script->out, text);
	resetStringInfo(&script->segment);
}
