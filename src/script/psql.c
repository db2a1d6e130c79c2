/*
 * psql.c
 *		A script as psql is to be given it.
 *
 * psql reads a file line by line, by the settings that the session has: where a
 * literal ends depends on standard_conforming_strings, where a character ends on
 * client_encoding.  A script can change both in many ways, and what psql then
 * takes for the outside of a literal may hold a command of its own, \! above all.
 * So a script is written in a form that psql reads in one way only, whatever is
 * set and whatever version it is of:
 *
 *  - A literal in plain quotes that has a backslash becomes one of the form
 *    E'...', in which a backslash means the same whatever the setting.  \' becomes
 *    '', because of backslash_quote.
 *
 *  - U&'...' becomes E'...': the server refuses it while the setting is off.
 *
 *  - A literal in several parts, on several lines, becomes one part wherever a
 *    backslash is in it: psql takes the parts for literals in plain quotes.
 *
 *  - A statement with characters that are not ASCII begins on a line of its own,
 *    after a line that sets client_encoding to that of the file (the pin).  psql
 *    takes what is set at the beginning of a line.  Where the script sets
 *    client_encoding, what it has set is restored after the statement: COPY goes
 *    by it.  What a function sets that the script only calls is not.
 *
 *  - psql ends a statement at a semicolon outside of parentheses and, since 14,
 *    outside of the body of an SQL function, which it finds by counting BEGIN,
 *    CASE and END in CREATE FUNCTION and CREATE PROCEDURE.  A pin must be a
 *    statement of its own for psql too.  So these words are quoted where they are
 *    names, and what would be counted wrongly all the same is refused.
 *
 *  - A literal that touches a letter or digit before it gets a space between:
 *    versions differ in whether 1e'x' begins with a number.
 *
 *  - psql replaces :name, :'name' and :"name" outside of literals.  In a script
 *    that was checked these can only be bounds of array slices, or between the
 *    name and value of a JSON object, where a space after the colon changes
 *    nothing.
 *
 *  - Left out are the lines \restrict and \unrestrict of pg_dump, which would forbid
 *    what the file has for psql itself; settings that only newer servers know; and
 *    in a transactional script BEGIN and COMMIT around large objects, of which COMMIT
 *    would end the transaction of the file.
 *
 *  - The rows of a COPY follow its line, and belong to it: a pin is before both.
 *
 * All else is byte for byte what is stored.
 */
#include "migrate.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "script/psql.h"
#include "script/statement.h"
#include "script/text.h"
#include "script/tokens.h"
#include "utils/builtins.h"

/* Where a script keeps the client_encoding that it restores. */
#define ENCODING_SETTING	"migrate_script.client_encoding"

/* The words by which psql knows a statement whose BEGIN and END it counts. */
#define HEAD_WORDS	4

typedef struct Token
{
	int			kind;			/* of the server's lexer; 0 at the end */
	int			start;
	int			end;
} Token;

/* A script under way. */
typedef struct PsqlScript
{
	const char *stored;			/* the script */
	const char *sql;			/* with blanks in place of what is left out */
	const ScriptOrigin *origin;
	const char *encoding;		/* of the file */
	bool		local;			/* set it for the transaction only */
	bool		restores;		/* the script may set client_encoding */
	List	   *statements;		/* of ScriptStatement * */

	ScriptTokens tokens;
	Token		previous;
	int			written;		/* offset up to which tokens.text was taken */

	/* the statement under way, as psql counts */
	int			parens;
	int			words;			/* identifiers and keywords so far */
	char		head[HEAD_WORDS];	/* initials of create, or, replace, function */
	int			depth;			/* of BEGIN and CASE in an SQL body */
	int			body_end;		/* where that statement ends; -1 outside of one */

	bool		cut;			/* out ends in a line end of ours */
	StringInfoData segment;		/* a statement, with what is before it */
	StringInfoData out;
} PsqlScript;

static Token next_token(PsqlScript *script);
static void take_literal(PsqlScript *script, Token token);
static Token take_unicode_literal(PsqlScript *script, Token token);
static void take_word(PsqlScript *script, Token token);
static void take_symbol(PsqlScript *script, Token token);
static void take_rows(PsqlScript *script, Token token);
static char *leave_out(const PsqlScript *script, bool transactional);
static void append_before(PsqlScript *script, Token token, bool space);
static void append_as_is(PsqlScript *script, Token token);

static bool in_routine(const PsqlScript *script);
static bool is_name(const PsqlScript *script, Token token);
static bool begins_body(const PsqlScript *script, Token token);
static int	statement_end(const PsqlScript *script, int offset);
static void end_statement(PsqlScript *script, Token token);
static void refuse(const PsqlScript *script, int offset);

static bool may_set_encoding(const PsqlScript *script);
static bool sets_encoding_of_file(const PsqlScript *script, const RawStmt *raw);
static bool contains(const char *text, int len, const char *word);

static bool is_literal(const char *token);
static bool is_word(char c);
static bool word_is(const PsqlScript *script, Token token, const char *word);
static bool begins_variable(char c);
static bool needs_rewriting(const char *token, int len);
static void append_literal(StringInfo out, const char *token, int len);
static void append_escaped(StringInfo out, const char *value);
static char *unicode_value(const char *literal, int len);
static void end_segment(PsqlScript *script, bool last);

/*
 * Return a script that was checked (script/script) so that psql sends it as it
 * is, with a semicolon and a line end at its end.  encoding is that of the file;
 * local is for a file that is run within one transaction, transactional for a
 * script that is run within one; origin is for messages.  Errors: MG011 for a
 * function whose end psql would not find.
 */
char *
mig_psql_script(const char *sql, const char *encoding, bool local, bool transactional,
				const ScriptOrigin *origin)
{
	PsqlScript	script = {.stored = sql, .encoding = encoding, .local = local,
	.origin = origin};
	Token		token;

	initStringInfo(&script.segment);
	initStringInfo(&script.out);
	script.body_end = -1;
	script.statements = mig_script_split(sql);
	script.sql = leave_out(&script, transactional);
	script.restores = !mig_psql_is_ascii(sql) && may_set_encoding(&script);
	mig_tokens_begin(&script.tokens, script.sql);
	token = next_token(&script);
	while (token.kind != 0)
	{
		const char *text = script.sql + token.start;
		Token		following = {0};

		if ((*text == 'U' || *text == 'u') && text[1] == '&' && text[2] == '\'')
			following = take_unicode_literal(&script, token);
		else
		{
			if (is_literal(text))
				take_literal(&script, token);
			else if (IS_HIGHBIT_SET(*text) || isalpha((unsigned char) *text) || *text == '_')
				take_word(&script, token);
			else
				take_symbol(&script, token);
			following = next_token(&script);
		}
		script.previous = token;
		token = following;
	}
	mig_tokens_end(&script.tokens);

	if (script.previous.kind != 0 && script.previous.kind != ';')
	{
		end_statement(&script, token);
		appendStringInfoChar(&script.segment, ';');
	}
	/* comments at the end */
	appendStringInfoString(&script.segment, script.sql + script.written);
	if (*sql)
		appendStringInfoChar(&script.segment, '\n');
	end_segment(&script, true);
	return script.out.data;
}

/*
 * Return whether psql reads a text in one way, whatever is set and whatever
 * fails: it finds no command of its own, and no character of several bytes.
 */
bool
mig_psql_is_plain(const char *text)
{
	return strchr(text, '\\') == NULL && mig_psql_is_ascii(text);
}

/*
 * Return whether a text is ASCII.
 */
bool
mig_psql_is_ascii(const char *text)
{
	for (; *text; text++)
		if (IS_HIGHBIT_SET(*text))
			return false;
	return true;
}

/*
 * Return the line, without its end, that sets client_encoding to that of the file.
 * local is for SET LOCAL.
 */
char *
mig_psql_pin(const char *encoding, bool local)
{
	return psprintf("SET %sclient_encoding = %s;", local ? "LOCAL " : "",
					quote_literal_cstr(encoding));
}

/* ----------
 * Tokens
 * ----------
 */

/*
 * Return the next token, one of kind 0 at the end.
 */
static Token
next_token(PsqlScript *script)
{
	ScriptTokens *tokens = &script->tokens;

	(void) mig_tokens_next(tokens);
	script->sql = tokens->text;
	return (Token) {tokens->kind, tokens->start, tokens->end};
}

/*
 * Take a literal or an identifier in quotes, of whatever kind but U&'...'.
 */
static void
take_literal(PsqlScript *script, Token token)
{
	const char *sql = script->sql;
	StringInfo	segment = &script->segment;
	bool		touches = token.start > 0 && token.start == script->written &&
		is_word(sql[token.start - 1]);
	bool		national = touches && sql[token.start] == '\'' &&
		script->previous.end - script->previous.start == 1 &&
		(sql[token.start - 1] == 'N' || sql[token.start - 1] == 'n');

	if (!needs_rewriting(sql + token.start, token.end - token.start))
	{
		append_before(script, token, touches && !national);
		append_as_is(script, token);
		return;
	}
	append_before(script, token, touches && !national);
	if (national)
	{
		/* N'...' cannot be N E'...' */
		segment->len--;
		appendStringInfoString(segment, "nchar ");
	}
	append_literal(segment, sql + token.start, token.end - token.start);
	script->written = token.end;
}

/*
 * Take U&'...', and UESCAPE after it.  Returns the token after that.
 */
static Token
take_unicode_literal(PsqlScript *script, Token token)
{
	const char *sql = script->sql;
	bool		touches = token.start > 0 && token.start == script->written &&
		is_word(sql[token.start - 1]);
	Token		following = next_token(script);

	if (following.kind != 0 && word_is(script, following, "uescape"))
	{
		token.end = next_token(script).end;
		following = next_token(script);
	}
	append_before(script, token, touches);
	append_escaped(&script->segment,
				   unicode_value(sql + token.start, token.end - token.start));
	script->written = token.end;
	return following;
}

/*
 * Take an identifier without quotes or a keyword, and count it as psql does.
 */
static void
take_word(PsqlScript *script, Token token)
{
	static const char *const heads[] = {"create", "or", "replace", "function", "procedure"};
	bool		counts;

	for (size_t i = 0; script->words < HEAD_WORDS && i < lengthof(heads); i++)
		if (word_is(script, token, heads[i]))
			script->head[script->words] = *heads[i];
	script->words++;

	append_before(script, token, false);
	counts = in_routine(script) && script->parens == 0 &&
		(word_is(script, token, "begin") || word_is(script, token, "end") ||
		 word_is(script, token, "case"));
	if (counts && is_name(script, token))
	{
		appendStringInfoChar(&script->segment, '"');
		for (int i = token.start; i < token.end; i++)
			appendStringInfoChar(&script->segment,
								 pg_tolower((unsigned char) script->sql[i]));
		appendStringInfoChar(&script->segment, '"');
		script->written = token.end;
		return;
	}
	append_as_is(script, token);
	if (!counts)
		return;
	if (word_is(script, token, "begin"))
	{
		if (script->body_end < 0)
			script->body_end = statement_end(script, token.start);
		script->depth++;
	}
	else if (script->depth > 0)
		script->depth += word_is(script, token, "case") ? 1 : -1;
}

/*
 * Take what is neither a word nor in quotes.
 */
static void
take_symbol(PsqlScript *script, Token token)
{
	append_before(script, token, false);
	append_as_is(script, token);
	switch (token.kind)
	{
		case '(':
			script->parens++;
			break;
		case ')':
			script->parens -= (script->parens > 0);
			break;
		case ':':
			if (begins_variable(script->sql[token.end]))
				appendStringInfoChar(&script->segment, ' ');
			break;
		case ';':
			if (script->parens > 0)
				break;
			if (token.start >= script->body_end)
			{
				end_statement(script, token);
				take_rows(script, token);
				end_segment(script, false);
			}
			else if (script->depth == 0)
				refuse(script, token.start);
			break;
		default:
			break;
	}
}

/*
 * Take the rows of the COPY that a semicolon ends, if it does.
 */
static void
take_rows(PsqlScript *script, Token token)
{
	List	   *list = script->tokens.rows;
	const ScriptRows *rows = list != NIL ? llast(list) : NULL;

	if (rows == NULL || rows->semicolon != token.start)
		return;
	appendBinaryStringInfo(&script->segment, script->stored + token.end,
						   rows->end - token.end);
	appendStringInfoString(&script->segment, "\\.");
	/* psql before 18 sends this line, too, and the server wants it to end as rows do */
	if (script->stored[rows->end - 2] == '\r')
		appendStringInfoChar(&script->segment, '\r');
	script->written = rows->after;
}

/*
 * Return a copy of the script with blanks in place of statements that are not run:
 * settings that this server does not know, and BEGIN and COMMIT in a transaction
 * that is there already.
 */
static char *
leave_out(const PsqlScript *script, bool transactional)
{
	char	   *text = pstrdup(script->stored);
	ListCell   *lc;

	foreach(lc, script->statements)
	{
		const ScriptStatement *statement = lfirst(lc);
		int			end = statement->location + statement->len;

		if (mig_statement_unknown_setting(statement->raw) == NULL &&
			!(transactional && statement->large_objects))
			continue;
		/* with its semicolon */
		end = mig_text_skip_gap(text, end);
		end += text[end] == ';';
		for (int i = statement->location; i < end; i++)
			if (!mig_text_is_space(text[i]))
				text[i] = ' ';
	}
	return text;
}

/*
 * Append what is before a token, and a space if one is needed.
 */
static void
append_before(PsqlScript *script, Token token, bool space)
{
	appendBinaryStringInfo(&script->segment, script->sql + script->written,
						   token.start - script->written);
	script->written = token.start;
	if (space)
		appendStringInfoChar(&script->segment, ' ');
}

/*
 * Append a token, which nothing is left before, as it is.
 */
static void
append_as_is(PsqlScript *script, Token token)
{
	appendBinaryStringInfo(&script->segment, script->sql + token.start,
						   token.end - token.start);
	script->written = token.end;
}

/* ----------
 * Where psql ends a statement
 * ----------
 */

/*
 * Return whether psql counts BEGIN, CASE and END in the statement under way.
 */
static bool
in_routine(const PsqlScript *script)
{
	const char *head = script->head;

	return head[0] == 'c' &&
		(head[1] == 'f' || head[1] == 'p' ||
		 (head[1] == 'o' && head[2] == 'r' && (head[3] == 'f' || head[3] == 'p')));
}

/*
 * Return whether BEGIN, CASE or END is a name: BEGIN without ATOMIC before a body,
 * anything after AS or a period in one.
 */
static bool
is_name(const PsqlScript *script, Token token)
{
	if (script->body_end < 0)
		return word_is(script, token, "begin") && !begins_body(script, token);
	return script->previous.kind == '.' || word_is(script, script->previous, "as");
}

/*
 * Return whether BEGIN is followed by ATOMIC.
 */
static bool
begins_body(const PsqlScript *script, Token token)
{
	int			start = mig_text_skip_gap(script->sql, token.end);
	Token		following = {0, start, start};

	while (is_word(script->sql[following.end]))
		following.end++;
	return word_is(script, following, "atomic");
}

/*
 * Return the end of the statement that an offset is in, without its semicolon.
 */
static int
statement_end(const PsqlScript *script, int offset)
{
	ListCell   *lc;

	foreach(lc, script->statements)
	{
		const ScriptStatement *statement = lfirst(lc);

		if (offset < statement->location + statement->len)
			return statement->location + statement->len;
	}
	return strlen(script->sql);
}

/*
 * End the statement under way at its semicolon or at the end of the script.
 */
static void
end_statement(PsqlScript *script, Token token)
{
	if (script->depth > 0)
		refuse(script, token.start);
	script->parens = 0;
	script->words = 0;
	script->body_end = -1;
	memset(script->head, 0, sizeof(script->head));
}

/*
 * MG011: psql would not end a function's statement where the server does.
 */
static void
refuse(const PsqlScript *script, int offset)
{
	const ScriptOrigin *origin = script->origin;

	ereport(ERROR,
			(errcode(ERRCODE_MIG_BAD_SCRIPT),
			 errmsg("psql would not find the end of a function's body"),
			 errdetail("It counts BEGIN, CASE and END, names included."),
			 errhint("Write names that are \"begin\", \"case\" or \"end\" in quotes."),
			 errcontext("%s script of revision \"%s\", line %d",
						mig_direction_name(origin->direction), origin->revision,
						mig_text_line(script->sql, offset))));
}

/* ----------
 * What sets client_encoding
 * ----------
 */

/*
 * Return whether the script may set client_encoding to another than the file's.
 */
static bool
may_set_encoding(const PsqlScript *script)
{
	static const char *const words[] = {"client_encoding", "names", "reset"};
	bool		found = false;
	ListCell   *lc;

	for (size_t i = 0; i < lengthof(words); i++)
		found |= contains(script->sql, strlen(script->sql), words[i]);
	if (!found)
		return false;
	foreach(lc, script->statements)
	{
		const ScriptStatement *statement = lfirst(lc);
		const VariableSetStmt *set = (const VariableSetStmt *) statement->raw->stmt;

		if (sets_encoding_of_file(script, statement->raw))
			continue;
		if (IsA(set, VariableSetStmt) &&
			(set->name == NULL || pg_strcasecmp(set->name, words[0]) == 0))
			return true;
		if (contains(script->sql + statement->location, statement->len, words[0]))
			return true;
	}
	return false;
}

/*
 * Return whether a statement sets client_encoding to the file's, as pg_dump does.
 */
static bool
sets_encoding_of_file(const PsqlScript *script, const RawStmt *raw)
{
	const VariableSetStmt *set = (const VariableSetStmt *) raw->stmt;
	A_Const    *value;

	if (!IsA(set, VariableSetStmt) || set->kind != VAR_SET_VALUE ||
		pg_strcasecmp(set->name, "client_encoding") != 0)
		return false;
	value = linitial(set->args);
	return IsA(value, A_Const) && IsA(&value->val, String) &&
		pg_char_to_encoding(strVal(&value->val)) == pg_char_to_encoding(script->encoding);
}

/*
 * Return whether a word, in lower case, is anywhere in a text.
 */
static bool
contains(const char *text, int len, const char *word)
{
	int			n = strlen(word);

	for (int i = 0; i + n <= len; i++)
		if (pg_strncasecmp(text + i, word, n) == 0)
			return true;
	return false;
}

/* ----------
 * Characters
 * ----------
 */

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
	/* $1 is a parameter */
	return *token == '\'' || *token == '"' ||
		(*token == '$' && !isdigit((unsigned char) token[1]));
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
 * Return whether a token is a word, given in lower case, without quotes.
 */
static bool
word_is(const PsqlScript *script, Token token, const char *word)
{
	int			len = token.end - token.start;

	return len == (int) strlen(word) &&
		pg_strncasecmp(script->sql + token.start, word, len) == 0;
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

/* ----------
 * Literals
 * ----------
 */

/*
 * Return whether a literal is to be written anew: one of the form E'...' if it may
 * have \' in it, or if a part of it may end in a backslash; others if they have a
 * backslash.
 */
static bool
needs_rewriting(const char *token, int len)
{
	if (*token == '"' || *token == '$' || *token == 'U' || *token == 'u')
		return false;
	if (*token != 'E' && *token != 'e')
		return memchr(token, '\\', len) != NULL;
	for (int i = 0; i + 1 < len; i++)
		if (token[i] == '\\' && token[i + 1] == '\'')
			return true;
	return false;
}

/*
 * Append a literal that is not U&'...' in one part, one in plain quotes as
 * E'...'.
 */
static void
append_literal(StringInfo out, const char *token, int len)
{
	bool		plain = *token == '\'';
	bool		escapes = *token == 'E' || *token == 'e';
	int			i = plain ? 1 : 2;

	appendStringInfoChar(out, plain ? 'E' : *token);
	appendStringInfoChar(out, '\'');
	while (i < len)
	{
		if (token[i] == '\'' && token[i + 1] == '\'' && i + 1 < len)
		{
			appendStringInfoString(out, "''");
			i += 2;
		}
		else if (token[i] == '\'')
			i = mig_text_skip_gap(token, i + 1) + 1;	/* to the next part */
		else if (token[i] == '\\' && escapes)
		{
			/* what is escaped cannot end the literal */
			appendStringInfoChar(out, token[i + 1] == '\'' ? '\'' : '\\');
			appendStringInfoChar(out, token[i + 1]);
			i += 2;
		}
		else
		{
			if (token[i] == '\\' && plain)
				appendStringInfoChar(out, '\\');
			appendStringInfoChar(out, token[i++]);
		}
	}
	appendStringInfoChar(out, '\'');
}

/*
 * Append a value as a literal of the form E'...', in ASCII where the database is
 * in UTF-8: it came from one in ASCII.
 */
static void
append_escaped(StringInfo out, const char *value)
{
	bool		utf8 = GetDatabaseEncoding() == PG_UTF8;

	appendStringInfoString(out, "E'");
	while (*value)
	{
		if (utf8 && IS_HIGHBIT_SET(*value))
		{
			unsigned int c = utf8_to_unicode((const unsigned char *) value);

			appendStringInfo(out, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
			value += pg_utf_mblen((const unsigned char *) value);
			continue;
		}
		if (*value == '\'' || *value == '\\')
			appendStringInfoChar(out, *value);
		appendStringInfoChar(out, *value++);
	}
	appendStringInfoChar(out, '\'');
}

/*
 * Return the value of U&'...', with UESCAPE or without.
 */
static char *
unicode_value(const char *literal, int len)
{
	List	   *statements = mig_script_split(psprintf("SELECT %s", pnstrdup(literal, len)));
	const RawStmt *raw = ((ScriptStatement *) linitial(statements))->raw;
	ResTarget  *target = linitial(castNode(SelectStmt, raw->stmt)->targetList);

	return strVal(&castNode(A_Const, target->val)->val);
}

/* ----------
 * Output
 * ----------
 */

/*
 * Write the segment, after the pin if it is not ASCII.  last is for what follows
 * the last semicolon.
 */
static void
end_segment(PsqlScript *script, bool last)
{
	const char *text = script->segment.data;
	StringInfo	out = &script->out;
	bool		pinned = !mig_psql_is_ascii(text);

	if (pinned && out->len > 0 && !script->cut)
		appendStringInfoChar(out, '\n');
	if ((pinned || script->cut) && *text == '\n')
		text++;
	if (pinned && script->restores)
		appendStringInfoString(out,
							   "SELECT pg_catalog.set_config('" ENCODING_SETTING "',"
							   " pg_catalog.current_setting('client_encoding'), false);\n");
	if (pinned)
		appendStringInfo(out, "%s\n", mig_psql_pin(script->encoding, script->local));
	appendStringInfoString(out, text);
	script->cut = pinned && script->restores && !last;
	if (script->cut)
		appendStringInfo(out,
						 "\nSELECT pg_catalog.set_config('client_encoding',"
						 " pg_catalog.current_setting('" ENCODING_SETTING "'), %s)\n"
						 "\tWHERE pg_catalog.current_setting('client_encoding')"
						 " OPERATOR(pg_catalog.=) %s\n"
						 "\tAND pg_catalog.current_setting('" ENCODING_SETTING "')"
						 " OPERATOR(pg_catalog.<>) '';\n",
						 script->local ? "true" : "false",
						 quote_literal_cstr(script->encoding));
	resetStringInfo(&script->segment);
}
