/*
 * script.c
 *		The text of scripts: check and split.
 *
 * A script goes through three steps before it is stored.  First the server's
 * own lexer walks over it (tokens.c), only to see what the parser could not tell
 * well or would stumble over: marker lines of revision files (which count outside
 * of literals and block comments only), psql's backslash commands, COPY to the
 * client, and the rows of COPY from it.  Then the server's own parser reads the
 * whole text at once, with blanks in place of these rows.  Then each parse tree is
 * looked at for what migrate cannot run.
 *
 * Scripts are read with standard_conforming_strings = on and backslash_quote = on,
 * whatever the session or an earlier statement has set, client_encoding included,
 * so that a script means the same for everybody.  \' is refused elsewhere because
 * of what it may become in an encoding of clients; our text is in the database's.
 *
 * Errors are told by one error context callback (ErrorPlace): it replaces the
 * error position, which is one in the whole script, by a short excerpt around
 * it, and adds the line in the script or the file.  Nothing here catches an
 * error.  Everything is linear in the size of the text, positions are turned
 * into characters only once an error is raised.
 *
 * The canonical form of a script has LF line ends and no white space at its end;
 * all else is kept byte for byte.
 *
 * No locks, no catalog access; callable in and out of a transaction block.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "compat.h"
#include "script/checksum.h"
#include "script/excerpt.h"
#include "script/script.h"
#include "script/statement.h"
#include "script/text.h"
#include "script/tokens.h"

/* What script_error_context() needs to know. */
typedef struct ErrorPlace
{
	ErrorContextCallback callback;
	MemoryContext context;
	const ScriptOrigin *origin; /* may be NULL */
	const char *text;
	int			first_line;		/* number of the first line of text */
	int			line;			/* line when the error has no position, or 0 */
	bool		converting;		/* the line is being converted to UTF-8 */
	const ScriptTokens *scan;	/* the walk that is under way, or NULL */
	int		   *ends;			/* offsets of the statements' semicolons */
	int			nends;
	int			maxends;
} ErrorPlace;

/* What to do instead of some of psql's commands. */
static const struct
{
	const char *command;
	const char *hint;
}			psql_hints[] =
{
	{"i", "Put the content of the included file into the script."},
	{"ir", "Put the content of the included file into the script."},
	{"include", "Put the content of the included file into the script."},
	{"include_relative", "Put the content of the included file into the script."},
	{"copy", "Use INSERT, or COPY ... FROM stdin with its rows in the script."},
	{".", "Rows of a COPY ... FROM stdin begin on the line after its semicolon."},
	{"restrict", "Write it on a line of its own before a statement, with a key of letters and digits."},
	{"unrestrict", "Write it on a line of its own before a statement, with the key of \\restrict."},
	{"set", "Write the value into the script."},
	{"gset", "Use a DO block with a variable."},
	{"gexec", "Use a DO block with EXECUTE."},
	{"if", "Use a DO block with IF."},
	{";", "Separate the statements with a plain semicolon."},
};

static List *scan_script(ErrorPlace *place, ScriptSection *sections, bool upgrade_only);
static List *split(const char *text, List *rows);
static void mark_large_objects(List *statements);
static ListCell *claim_rows(ScriptStatement *stmt, const char *sql, int end, List *rows,
							ListCell *next);
static void scan_gap(const ScriptTokens *scan, ErrorPlace *place,
					 ScriptSection *sections, bool before_statement);
static bool quotes_can_be_escaped(void);
static void set_for_parser(const char *name, const char *value);
static void check_top_level_marker(const char *text, int offset, ErrorPlace *place,
								   bool before_statement);
static const char *top_level_marker(const char *text, int offset);
static const char *needs_top_level(const ScriptStatement *stmt);
static void take_marker(const char *text, int offset, ErrorPlace *place,
						ScriptSection *sections);
static bool marker_transactional(const char *options);
static void refuse_psql_command(const ScriptTokens *scan, const ErrorPlace *place);
static void refuse_client_copy(const ErrorPlace *place, int offset);

static void check_encoding(const char *text, ErrorPlace *place);
static void place_begin(ScriptStatement *stmt, const char *sql, int offset);
static bool is_wrapped(List *statements);
static void check_statements(List *statements, bool transactional,
							 const ErrorPlace *place);
static void check_any(const ScriptStatement *stmt, const ErrorPlace *place);
static void check_transactional(const ScriptStatement *stmt,
								const ErrorPlace *place);
static const char *hint_of_control(const RawStmt *raw);
static const char *control_command(const ScriptStatement *stmt, const ErrorPlace *place);
static void check_nontransactional(const ScriptStatement *stmt,
								   const ScriptStatement **group,
								   const ErrorPlace *place);
static void check_control(const ScriptStatement *stmt,
						  const ScriptStatement **group,
						  const ErrorPlace *place);
static char *unwrap(const char *text, List *statements);
static int	cut_statement(StringInfo out, const char *text, int from,
						  const ScriptStatement *stmt);

static void place_enter(ErrorPlace *place, const char *text, int first_line,
						const ScriptOrigin *origin);
static void place_leave(const ErrorPlace *place);
static void place_add_end(ErrorPlace *place, int offset);
static int	place_error(const ErrorPlace *place, int offset);
static const char *place_text(const ErrorPlace *place);
static void script_error_context(void *arg);
static void shorten_lexer_error(const ErrorPlace *place, int offset);
static bool is_variable(const char *text, int offset);
static void place_statement(const ErrorPlace *place, int offset, int *start,
							int *end);

/*
 * Check a script that is about to be stored, and return what to store: the
 * canonical form (see the top of the file), without a BEGIN and COMMIT pair
 * that wraps a whole transactional script.  Checking the result again
 * returns it unchanged.  NULL gives NULL.
 *
 * origin, which may be NULL, is for messages only.  The result is in the
 * current memory context.  Errors: MG011 for what migrate cannot run, or the
 * server parser's own codes, both with the line.
 */
char *
mig_script_check(const char *sql, bool transactional,
				 const ScriptOrigin *origin)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext work;
	ErrorPlace	place;
	List	   *statements;
	List	   *rows;
	char	   *text;

	if (sql == NULL)
		return NULL;
	text = mig_script_canonical(sql, strlen(sql));
	work = AllocSetContextCreate(caller, "migrate script check",
								 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(work);

	place_enter(&place, text, origin ? Max(origin->first_line, 1) : 1, origin);
	rows = scan_script(&place, NULL, false);
	statements = split(place.text, rows);
	check_statements(statements, transactional, &place);
	check_encoding(text, &place);
	place_leave(&place);

	MemoryContextSwitchTo(caller);
	if (transactional && is_wrapped(statements))
	{
		char	   *wrapped = text;

		text = unwrap(wrapped, statements);
		pfree(wrapped);
	}
	MemoryContextDelete(work);
	return text;
}

/*
 * Parse a text, which is a script or a part of one, into raw trees; their
 * positions are those in this text.  The result is in the current memory context.
 * Errors: those of the parser.
 */
List *
mig_script_parse(const char *sql)
{
	List	   *raws;
	int			guc_level;

	if (mig_strings_are_standard() && quotes_can_be_escaped())
		return pg_parse_query(sql);
	guc_level = NewGUCNestLevel();
	set_for_parser("standard_conforming_strings", "on");
	set_for_parser("backslash_quote", "on");
	raws = pg_parse_query(sql);
	AtEOXact_GUC(true, guc_level);
	return raws;
}

/*
 * Return whether the parser takes \' for a quote, as things are set now.
 */
static bool
quotes_can_be_escaped(void)
{
	return backslash_quote == BACKSLASH_QUOTE_ON ||
		(backslash_quote == BACKSLASH_QUOTE_SAFE_ENCODING &&
		 !PG_ENCODING_IS_CLIENT_ONLY(pg_get_client_encoding()));
}

/*
 * Set something for as long as the current nest level of settings lasts.
 */
static void
set_for_parser(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Parse a script.
 *
 * Returns a list of ScriptStatement in the current memory context, empty
 * statements left out.  Errors: those of the server's parser, with an error
 * position in the whole text; MG011 for rows of COPY that have no end.
 */
List *
mig_script_split(const char *sql)
{
	ScriptTokens tokens;
	List	   *statements;

	/* what is for psql only has a backslash */
	if (strchr(sql, '\\') == NULL)
		return split(sql, NIL);
	mig_tokens_begin(&tokens, sql);
	while (mig_tokens_next(&tokens))
		CHECK_FOR_INTERRUPTS();
	mig_tokens_end(&tokens);
	statements = split(tokens.text, tokens.rows);
	if (tokens.text != sql)
		pfree(tokens.masked);
	return statements;
}

/*
 * Parse the text of a script that has blanks in place of what is for psql only,
 * such as rows (ScriptRows *).  Returns ScriptStatement *.
 */
static List *
split(const char *sql, List *rows)
{
	List	   *result = NIL;
	List	   *raws = mig_script_parse(sql);
	ListCell   *next_rows = list_head(rows);
	ListCell   *lc;
	int			len = strlen(sql);
	int			line = 1;
	int			counted = 0;	/* line is that of this offset */
	int			previous = 0;	/* where the previous statement ends */

	foreach(lc, raws)
	{
		RawStmt    *raw = lfirst_node(RawStmt, lc);
		ScriptStatement *stmt = palloc0(sizeof(ScriptStatement));
		int			end = raw->stmt_len > 0 ?
			raw->stmt_location + raw->stmt_len : len;

		place_begin(stmt, sql, previous);
		previous = end;
		stmt->raw = raw;
		next_rows = claim_rows(stmt, sql, end, rows, next_rows);
		while (end > stmt->location && mig_text_is_space(sql[end - 1]))
			end--;
		stmt->len = end - stmt->location;
		line += mig_text_line(sql + counted, stmt->location - counted) - 1;
		counted = stmt->location;
		stmt->line = line;
		stmt->number = list_length(result) + 1;
		raw->stmt_location = stmt->location;
		raw->stmt_len = stmt->len;
		result = lappend(result, stmt);
	}
	list_free(raws);
	mark_large_objects(result);
	return result;
}

/*
 * Mark each BEGIN and COMMIT of some statements (ScriptStatement *) that have
 * nothing between them but the data of large objects.
 */
static void
mark_large_objects(List *statements)
{
	ScriptStatement *begin = NULL;	/* with nothing else since */
	ListCell   *lc;

	foreach(lc, statements)
	{
		ScriptStatement *stmt = lfirst(lc);

		if (mig_statement_is_begin(stmt->raw))
			begin = stmt;
		else if (begin != NULL && begin->number + 1 < stmt->number &&
				 mig_statement_is_commit(stmt->raw))
		{
			begin->large_objects = stmt->large_objects = true;
			begin = NULL;
		}
		else if (begin != NULL && !mig_statement_writes_large_object(stmt->raw))
			begin = NULL;
	}
}

/*
 * Note in a statement of COPY, which ends at the offset end, its rows: those of
 * next, which are the next ones of rows.  Returns the ones after these.  Errors:
 * MG011 for rows that are no statement's, but in the middle of one: psql would not
 * take them for rows.
 */
static ListCell *
claim_rows(ScriptStatement *stmt, const char *sql, int end, List *rows, ListCell *next)
{
	const ScriptRows *own = next != NULL ? lfirst(next) : NULL;

	stmt->rows = -1;
	if (own == NULL || own->semicolon > end)
		return next;
	if (own->semicolon < end || !IsA(stmt->raw->stmt, CopyStmt))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("COPY from the client cannot be a part of another statement"),
				 errposition(pg_mbstrlen_with_len(sql, own->copy) + 1)));
	stmt->rows = own->begin;
	stmt->rows_len = own->end - own->begin;
	return lnext(rows, next);
}

/*
 * If a comment at offset marks a statement as one for the top level, check that
 * there is one after it. Errors: MG011.
 */
static void
check_top_level_marker(const char *text, int offset, ErrorPlace *place,
					   bool before_statement)
{
	const char *rest = top_level_marker(text, offset);

	if (rest == NULL)
		return;
	place->line = place->first_line - 1 + mig_text_line(text, offset);
	if (!before_statement)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("\"-- migrate:top-level\" is not followed by a statement"),
				 errhint("Write the line right before the statement that it is about.")));
	if (*mig_text_trim(rest, mig_text_line_end(rest, 0)) != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("unrecognized text after \"-- migrate:top-level\"")));
	place->line = 0;
}

/*
 * Return what follows "-- migrate:top-level" on its line, where a line that is
 * such a comment begins; otherwise NULL.
 */
static const char *
top_level_marker(const char *text, int offset)
{
	static const char marker[] = "migrate:top-level";
	const char *p = text + offset + 2;

	if (text[offset] != '-' ||
		(offset > 0 && !mig_text_is_line_end(text[offset - 1])))
		return NULL;
	while (mig_text_is_blank(*p))
		p++;
	if (strncmp(p, marker, strlen(marker)) != 0)
		return NULL;
	p += strlen(marker);
	return mig_text_is_blank(*p) || mig_text_is_line_end(*p) ? p : NULL;
}

/*
 * Return why a statement cannot be run in a transaction block: the name of the
 * statement or of its mark, otherwise NULL.
 */
static const char *
needs_top_level(const ScriptStatement *stmt)
{
	return stmt->top_level ? "\"-- migrate:top-level\"" :
		mig_statement_needs_top_level(stmt->raw);
}

/*
 * Set where a statement begins, of which offset is the end of the previous one,
 * and whether the comments before it mark it.
 *
 * The parser is not asked: before 18 it says where the semicolon ends, later
 * where the statement's first word is, after these comments.
 */
static void
place_begin(ScriptStatement *stmt, const char *sql, int offset)
{
	int			begin = -1;

	/* there may be empty statements in between */
	stmt->location = mig_text_skip_gap(sql, offset);
	while (sql[stmt->location] == ';')
	{
		offset = stmt->location + 1;
		stmt->location = mig_text_skip_gap(sql, offset);
	}
	while (offset < stmt->location)
	{
		if (mig_text_is_space(sql[offset]))
		{
			offset++;
			continue;
		}
		if (sql[offset] == '-')
		{
			begin = -1;
			stmt->top_level |= top_level_marker(sql, offset) != NULL;
		}
		else if (begin < 0)
			begin = offset;
		offset = mig_text_skip_comment(sql, offset);
	}
	stmt->begin = begin < 0 ? stmt->location : begin;
}

/* Are two texts the same, up to CRLF and LF?  NULL equals NULL only. */
bool
mig_script_same(const char *a, const char *b)
{
	char	   *ca;
	char	   *cb;
	bool		same;

	if (a == NULL || b == NULL)
		return a == b;
	ca = mig_text_comparable(a);
	cb = mig_text_comparable(b);
	same = strcmp(ca, cb) == 0;
	pfree(ca);
	pfree(cb);
	return same;
}

/*
 * Return the canonical form of a script: a copy with LF in place of CRLF, so that a
 * literal of several lines is the same wherever the script was checked out, and
 * without white space at its end. Lines stay where they are, so that an error in
 * line 40 says line 40.
 */
char *
mig_script_canonical(const char *text, int len)
{
	char	   *result;
	char	   *to;

	while (len > 0 && mig_text_is_space(text[len - 1]))
		len--;
	result = palloc_extended((Size) len + 1, MCXT_ALLOC_HUGE);
	to = result;
	for (int i = 0; i < len; i++)
	{
		if (text[i] == '\n')
			while (to > result && to[-1] == '\r')
				to--;
		*to++ = text[i];
	}
	*to = '\0';
	return result;
}

/*
 * Find the scripts in a revision file's text after its header.
 *
 * sections, indexed by MigDirection, is set; one whose marker line is missing
 * is not present.  origin says where the text comes from; its first_line is the
 * line where text begins.  With upgrade_only nothing after the marker of the
 * downgrade script and its first token is looked at.  Errors: MG011, or the server
 * lexer's own codes, with file and line.
 */
void
mig_script_sections(const char *text, const ScriptOrigin *origin, bool upgrade_only,
					ScriptSection *sections)
{
	ErrorPlace	place;

	memset(sections, 0, 2 * sizeof(ScriptSection));
	place_enter(&place, text, origin->first_line, origin);
	(void) scan_script(&place, sections, upgrade_only);
	place_leave(&place);
}

/*
 * Is a comment line, given without its "--", a marker?  Sets *direction and
 * *options, which then points after the marker's word.
 */
bool
mig_script_marker(const char *line, MigDirection *direction,
				 const char **options)
{
	while (mig_text_is_blank(*line))
		line++;
	if (strncmp(line, "migrate:up", 10) == 0)
	{
		*direction = MIG_UPGRADE;
		*options = line + 10;
	}
	else if (strncmp(line, "migrate:down", 12) == 0)
	{
		*direction = MIG_DOWNGRADE;
		*options = line + 12;
	}
	else
		return false;
	return mig_text_is_blank(**options) || mig_text_is_line_end(**options);
}

/* ----------
 * Lexing
 * ----------
 */

/*
 * Walk over a text before it is parsed: find the sections of a file, or refuse
 * marker lines if sections is NULL; refuse psql's commands and COPY to the client;
 * note where statements end, for messages.  Returns the rows of COPY (ScriptRows
 * *); place->text becomes the text without them, for the parser.
 */
static List *
scan_script(ErrorPlace *place, ScriptSection *sections, bool upgrade_only)
{
	ScriptTokens scan;

	mig_tokens_begin(&scan, place->text);
	place->scan = &scan;
	while (mig_tokens_next(&scan))
	{
		CHECK_FOR_INTERRUPTS();
		scan_gap(&scan, place, sections, scan.is_first);
		if (upgrade_only && sections[MIG_DOWNGRADE].present)
		{
			scan.gap = scan.start;
			break;
		}
		if (scan.text[scan.start] == '\\')
			refuse_psql_command(&scan, place);
		if (scan.client == COPY_TO_CLIENT)
			refuse_client_copy(place, scan.copy);
		if (scan.is_last)
			place_add_end(place, scan.start);
	}
	scan_gap(&scan, place, sections, false);
	place->scan = NULL;
	place->text = scan.text;
	mig_tokens_end(&scan);
	return scan.rows;
}

/* Look for marker lines in the white space and comments before a token. */
static void
scan_gap(const ScriptTokens *scan, ErrorPlace *place, ScriptSection *sections,
		 bool before_statement)
{
	const char *text = scan->text;
	int			offset = scan->gap;

	while (offset < scan->start)
	{
		MigDirection direction;
		const char *options;

		if (text[offset] == '-' &&
			(offset == 0 || mig_text_is_line_end(text[offset - 1])) &&
			mig_script_marker(text + offset + 2, &direction, &options))
			take_marker(text, offset, place, sections);
		else if (sections == NULL)
			check_top_level_marker(text, offset, place, before_statement);
		if (mig_text_is_space(text[offset]))
			offset++;
		else
			offset = mig_text_skip_comment(text, offset);
	}
}

/* Note the marker line at offset, or refuse it. */
static void
take_marker(const char *text, int offset, ErrorPlace *place, ScriptSection *sections)
{
	MigDirection direction;
	const char *options;
	ScriptSection    *section;

	place->line = place->first_line - 1 + mig_text_line(text, offset);
	mig_script_marker(text + offset + 2, &direction, &options);
	if (sections == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("script must not have a line \"-- migrate:%s\"",
						direction == MIG_UPGRADE ? "up" : "down"),
				 errdetail("In a revision file such a line begins a script."),
				 errhint("Give upgrade and downgrade script separately, or load the whole text with migrate.load().")));
	section = &sections[direction];
	if (section->present)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("revision file has two lines \"-- migrate:%s\"",
						direction == MIG_UPGRADE ? "up" : "down")));
	section->present = true;
	section->transactional = marker_transactional(options);
	section->marker = offset;
	section->body = mig_text_skip_line_end(text, mig_text_line_end(text, offset));
	place->line = 0;
}

/* Read the options after a marker, up to the end of the line. */
static bool
marker_transactional(const char *options)
{
	char	   *option = mig_text_trim(options, mig_text_line_end(options, 0));
	bool		result = true;

	if (strcmp(option, "transaction:false") == 0)
		result = false;
	else if (*option != '\0' && strcmp(option, "transaction:true") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("unrecognized option \"%s\" after a marker",
						mig_excerpt_printable(option)),
				 errhint("The option is \"transaction:false\" or \"transaction:true\".")));
	pfree(option);
	return result;
}

/* The token is a backslash, which only psql understands. */
static void
refuse_psql_command(const ScriptTokens *scan, const ErrorPlace *place)
{
	const char *rest = scan->text + scan->end;
	const char *hint = "Scripts are run by the server, not by psql: remove the command, or write what it does in SQL.";
	int			len = 0;
	char	   *command;

	while ((rest[len] >= 'a' && rest[len] <= 'z') ||
		   (rest[len] >= 'A' && rest[len] <= 'Z') || rest[len] == '_')
		len++;
	if (len == 0 && rest[0] > ' ' && rest[0] <= '~')
		len = 1;
	command = pnstrdup(rest, len);
	for (size_t i = 0; i < lengthof(psql_hints); i++)
	{
		if (strcmp(command, psql_hints[i].command) == 0)
			hint = psql_hints[i].hint;
	}
	ereport(ERROR,
			(errcode(ERRCODE_MIG_BAD_SCRIPT),
			 errmsg("psql command \"\\%s\" cannot be used in a script", command),
			 errhint("%s", hint),
			 place_error(place, scan->start)));
}

/*
 * Report, with MG011, a COPY to the client.
 */
static void
refuse_client_copy(const ErrorPlace *place, int offset)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIG_BAD_SCRIPT),
			 errmsg("COPY from or to the client cannot be used in a script"),
			 errhint("Use INSERT, or COPY with a file of the server."),
			 place_error(place, offset)));
}

/* ----------
 * Checking statements
 * ----------
 */

/* Does a plain BEGIN and COMMIT pair wrap all of the statements? */
static bool
is_wrapped(List *statements)
{
	return list_length(statements) >= 2 &&
		!((ScriptStatement *) linitial(statements))->large_objects &&
		mig_statement_is_begin(((ScriptStatement *) linitial(statements))->raw) &&
		mig_statement_is_commit(((ScriptStatement *) llast(statements))->raw);
}

/* Refuse what a script of this kind must not hold. */
static void
check_statements(List *statements, bool transactional, const ErrorPlace *place)
{
	bool		wrapped = transactional && is_wrapped(statements);
	const ScriptStatement *group = NULL;	/* BEGIN of an open group */
	ListCell   *lc;

	foreach(lc, statements)
	{
		const ScriptStatement *stmt = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		check_any(stmt, place);
		if (!transactional)
			check_nontransactional(stmt, &group, place);
		else if (!(wrapped && (stmt->number == 1 ||
							   stmt->number == list_length(statements))))
			check_transactional(stmt, place);
	}
	if (group != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("BEGIN has no COMMIT in the script"),
				 place_error(place, group->location)));
}

/* Refuse what no script must hold. */
static void
check_any(const ScriptStatement *stmt, const ErrorPlace *place)
{
	const Node *node = stmt->raw->stmt;
	const char *command = mig_statement_clears_session(stmt->raw);
	const char *fault = stmt->rows >= 0 ? mig_statement_rows_fault(stmt->raw) : NULL;

	if (stmt->top_level && (IsA(node, TransactionStmt) || stmt->rows >= 0))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s cannot be marked \"-- migrate:top-level\"",
						CreateCommandName(unconstify(Node *, node))),
				 place_error(place, stmt->location)));
	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s cannot be used in a COPY with rows in the script", fault),
				 errdetail("The rows are text, in the encoding of the script."),
				 place_error(place, stmt->location)));
	if (command != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s cannot be used in a script", command),
				 IsA(node, DiscardStmt) ?
				 errhint("Settings that a script changes are restored when it ends; drop temporary objects by name.") :
				 errhint("Write the names that the script has used; others are the client's."),
				 place_error(place, stmt->location)));
	if (mig_statement_turns_strings_off(stmt->raw))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("\"%s\" cannot be turned off in a script",
						"standard_conforming_strings"),
				 errdetail("Scripts are read with the setting turned on."),
				 errhint("Write strings with backslash escapes as E'...'."),
				 place_error(place, stmt->location)));
}

/* Refuse what a transactional script must not hold. */
static void
check_transactional(const ScriptStatement *stmt, const ErrorPlace *place)
{
	const char *command = needs_top_level(stmt);

	if (IsA(stmt->raw->stmt, TransactionStmt) && !stmt->large_objects)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s cannot be used in a transactional script",
						control_command(stmt, place)),
				 errdetail("The script runs within a transaction that migrate or its caller has begun."),
				 errhint("%s", hint_of_control(stmt->raw)),
				 place_error(place, stmt->location)));
	if (command != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s cannot be used in a transactional script", command),
				 errhint("Write \"-- migrate:%s transaction:false\" in the revision file, or pass transactional => false.",
						 place->origin && place->origin->direction == MIG_DOWNGRADE ?
						 "down" : "up"),
				 place_error(place, stmt->location)));
}

/*
 * Return the name of transaction control as it is written: the server calls END a
 * COMMIT, and ABORT a ROLLBACK.
 */
static const char *
control_command(const ScriptStatement *stmt, const ErrorPlace *place)
{
	const char *text = place_text(place) + stmt->location;

	if (pg_strncasecmp(text, "end", 3) == 0)
		return "END";
	if (pg_strncasecmp(text, "abort", 5) == 0)
		return "ABORT";
	return CreateCommandName(stmt->raw->stmt);
}

/*
 * Return what to do about transaction control in a transactional script.  A
 * script that is not transactional can hold BEGIN and COMMIT, and nothing else.
 */
static const char *
hint_of_control(const RawStmt *raw)
{
	if (mig_statement_is_begin(raw) || mig_statement_is_commit(raw))
		return "Remove the command, or make the script non-transactional.";
	switch (((const TransactionStmt *) raw->stmt)->kind)
	{
		case TRANS_STMT_SAVEPOINT:
		case TRANS_STMT_RELEASE:
		case TRANS_STMT_ROLLBACK_TO:
			return "Remove the command. A DO block with an EXCEPTION clause can undo what it has done.";
		default:
			return "Remove the command.";
	}
}

/*
 * Refuse what a non-transactional script must not hold.  *group is the BEGIN
 * of the group that the statement is in, or NULL; kept up to date.
 */
static void
check_nontransactional(const ScriptStatement *stmt,
					   const ScriptStatement **group, const ErrorPlace *place)
{
	const char *command;
	bool		fails;

	if (IsA(stmt->raw->stmt, TransactionStmt))
	{
		check_control(stmt, group, place);
		return;
	}
	command = *group ? needs_top_level(stmt) : NULL;
	if (command != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s cannot be used between BEGIN and COMMIT", command),
				 errhint("Move it after COMMIT."),
				 place_error(place, stmt->location)));
	command = *group ? NULL : mig_statement_needs_block(stmt->raw, &fails);
	if (command != NULL && fails)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s can only be used between BEGIN and COMMIT", command),
				 errhint("Write BEGIN before it, and COMMIT after the statements that need it."),
				 place_error(place, stmt->location)));
}

/* Transaction control in a non-transactional script: plain groups only. */
static void
check_control(const ScriptStatement *stmt, const ScriptStatement **group,
			  const ErrorPlace *place)
{
	if (mig_statement_is_begin(stmt->raw) && *group == NULL)
		*group = stmt;
	else if (mig_statement_is_commit(stmt->raw) && *group != NULL)
		*group = NULL;
	else if (mig_statement_is_begin(stmt->raw))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("BEGIN inside of a BEGIN and COMMIT group"),
				 place_error(place, stmt->location)));
	else if (mig_statement_is_commit(stmt->raw))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s without a BEGIN before it", control_command(stmt, place)),
				 place_error(place, stmt->location)));
	else
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("transaction control other than BEGIN and COMMIT cannot be used in a script"),
				 errhint("A non-transactional script may group statements with BEGIN and COMMIT, both without options."),
				 place_error(place, stmt->location)));
}

/*
 * Return the text without the BEGIN and COMMIT that wrap it. What stands
 * around these, comments mostly, stays; a line that holds nothing else goes.
 */
static char *
unwrap(const char *text, List *statements)
{
	StringInfoData out;
	int			from;
	char	   *result;

	initStringInfo(&out);
	from = cut_statement(&out, text, 0, linitial(statements));
	/* the lines that follow keep their numbers */
	if (mig_text_line(text, from) > mig_text_line(out.data, out.len))
		for (int n = mig_text_line(text, from) - mig_text_line(out.data,
															   out.len); n > 0; n--)
			appendStringInfoChar(&out, '\n');
	from = cut_statement(&out, text, from, llast(statements));
	appendStringInfoString(&out, text + from);
	result = mig_script_canonical(out.data, out.len);
	pfree(out.data);
	return result;
}

/*
 * Append the text from offset from up to a BEGIN or COMMIT statement, and the
 * comments inside of it; return the offset after it and its semicolon.
 */
static int
cut_statement(StringInfo out, const char *text, int from,
			  const ScriptStatement *stmt)
{
	int			start = stmt->location;
	int			end = mig_text_skip_gap(text, stmt->location + stmt->len);
	int			after;
	bool		comments = false;

	/* a last statement without a semicolon ends where its text does */
	end = text[end] == ';' ? end + 1 : stmt->location + stmt->len;
	after = end;
	while (start > from && mig_text_is_blank(text[start - 1]))
		start--;
	while (mig_text_is_blank(text[after]))
		after++;
	for (int i = stmt->location; i < end; i++)
		comments |= text[i] == '-' || text[i] == '/';

	if (!comments && mig_text_is_line_end(text[after]) &&
		(start == 0 || mig_text_is_line_end(text[start - 1])))
	{
		appendBinaryStringInfo(out, text + from, start - from);
		return mig_text_skip_line_end(text, after);
	}

	appendBinaryStringInfo(out, text + from, stmt->location - from);
	for (int i = stmt->location; comments && i < end;)
	{
		int			gap_end = mig_text_skip_gap(text, i);

		/* a comment in it or after it must not become a marker line */
		if (gap_end > i && text[i] == '-')
			appendStringInfoChar(out, ' ');
		if (gap_end > i)
			appendBinaryStringInfo(out, text + i, gap_end - i);
		i = Max(gap_end, i + 1);
	}
	if (text[after] == '-')
		appendStringInfoChar(out, ' ');
	return after;
}

/* ----------
 * Telling where an error is
 * ----------
 */

/* From here to place_leave, errors tell the place in text. */
static void
place_enter(ErrorPlace *place, const char *text, int first_line,
			const ScriptOrigin *origin)
{
	memset(place, 0, sizeof(ErrorPlace));
	place->context = CurrentMemoryContext;
	place->origin = origin;
	place->text = text;
	place->first_line = first_line;
	place->callback.callback = script_error_context;
	place->callback.arg = place;
	place->callback.previous = error_context_stack;
	error_context_stack = &place->callback;
}

/*
 * Check that a script can be converted to UTF-8, line by line.  Errors: 22021,
 * 22P05, 42883.
 */
static void
check_encoding(const char *text, ErrorPlace *place)
{
	if (GetDatabaseEncoding() == PG_UTF8)
		return;
	place->converting = true;
	place->line = place->first_line;
	while (*text)
	{
		int			len = strcspn(text, "\n");

		(void) mig_checksum_utf8(pnstrdup(text, len));
		text += len + (text[len] == '\n');
		place->line++;
	}
	place->converting = false;
	place->line = 0;
}

/*
 * Have errors not tell the place any more.
 */
static void
place_leave(const ErrorPlace *place)
{
	error_context_stack = place->callback.previous;
	if (place->ends != NULL)
		pfree(place->ends);
}

/* Note a statement's semicolon.  The array is in the current context. */
static void
place_add_end(ErrorPlace *place, int offset)
{
	if (place->nends == place->maxends)
	{
		place->maxends = place->maxends ? place->maxends * 2 : 64;
		if (place->ends == NULL)
			place->ends = palloc(place->maxends * sizeof(int));
		else
			place->ends = repalloc_huge(place->ends,
										(Size) place->maxends * sizeof(int));
	}
	place->ends[place->nends++] = offset;
}

/* For ereport: the error is at a byte offset in the place's text. */
static int
place_error(const ErrorPlace *place, int offset)
{
	errposition(pg_mbstrlen_with_len(place_text(place), offset) + 1);
	return 0;
}

/*
 * Return the text in which positions are counted now.
 */
static const char *
place_text(const ErrorPlace *place)
{
	return place->scan != NULL ? place->scan->text : place->text;
}

/* Error context callback: file or script, line, and the statement. */
static void
script_error_context(void *arg)
{
	const ErrorPlace *place = arg;
	const ScriptOrigin *origin = place->origin;
	const char *text = place_text(place);
	int			offset = mig_excerpt_error_offset(text);
	int			line = place->line;
	const char *what;

	/* the lexer gives no position for bytes that are not text, as in E'\xff' */
	if (offset < 0 && place->scan != NULL &&
		ERRCODE_TO_CATEGORY(geterrcode()) == ERRCODE_DATA_EXCEPTION)
		offset = mig_text_skip_gap(text, place->scan->end);
	if (offset >= 0)
	{
		int			start;
		int			end;

		place_statement(place, offset, &start, &end);
		mig_excerpt_quote(text, start, end - start, offset);
		shorten_lexer_error(place, offset);
		mig_excerpt_clean_message(place->context);
		if (geterrcode() == ERRCODE_SYNTAX_ERROR && is_variable(text, offset))
			errhint("Variables, as psql's :name, are not replaced in scripts. Write the value, or read a setting of the caller: current_setting('app.name').");
		line = place->first_line - 1 + mig_text_line(text, offset);
	}

	if (place->converting)
		errhint(GetDatabaseEncoding() == PG_SQL_ASCII ?
				"In a database with encoding SQL_ASCII, scripts must be UTF-8." :
				"Scripts must be text that can be converted to UTF-8, of which the checksum is made.");
	if (origin == NULL)
		what = "script";
	else if (origin->model != NULL)
		what = psprintf("model \"%s\"", mig_excerpt_printable(origin->model));
	else if (origin->file != NULL)
		what = psprintf("revision file \"%s\"", mig_excerpt_printable(origin->file));
	else if (origin->first_line > 0)
		what = "revision file";
	else if (origin->revision != NULL)
		what = psprintf("%s script of revision \"%s\"",
						mig_direction_name(origin->direction), origin->revision);
	else
		what = psprintf("%s script", mig_direction_name(origin->direction));
	if (line > 0)
		errcontext("%s, line %d", what, line);
	else
		errcontext("%s", what);
}

/*
 * The lexer's errors quote all from the token's start to where the lexer
 * stopped, which for an unterminated literal is the rest of the script.
 */
static void
shorten_lexer_error(const ErrorPlace *place, int offset)
{
	if (place->scan != NULL && geterrcode() == ERRCODE_SYNTAX_ERROR &&
		strlen(place->scan->extra.scanbuf + offset) > EXCERPT_SIZE)
		errmsg("unterminated or malformed string, identifier or comment");
}

/*
 * Return whether the text at offset, where the parser stopped, looks like a
 * variable of psql or of another tool: :name, :'name', :{?name}, $name, ${name},
 * {{name}}.
 */
static bool
is_variable(const char *text, int offset)
{
	static const char in_name[] = "0123456789_abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const char *after = text + offset + (text[offset] != '\0');
	const char *end = after + strspn(after, in_name);
	bool		name = end > after && strchr("0123456789", *after) == NULL;

	switch (text[offset])
	{
		case ':':
			return name || *after == '\'' || *after == '"' || *after == '{';
		case '$':
			/* not the beginning of a string: $name$ */
			return *after == '{' || (name && *end != '$');
		case '{':
			return *after == '{';
		default:
			return false;
	}
}

/* Between which offsets is the statement that offset is in? */
static void
place_statement(const ErrorPlace *place, int offset, int *start, int *end)
{
	const char *text = place_text(place);
	int			low = 0;
	int			high = place->nends;

	/* find the first semicolon that is not before the offset */
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (place->ends[middle] < offset)
			low = middle + 1;
		else
			high = middle;
	}
	*start = mig_text_skip_gap(text, low > 0 ? place->ends[low - 1] + 1 : 0);
	if (low < place->nends)
		*end = place->ends[low];
	else if (place->scan != NULL)
		*end = mig_text_line_end(text, offset);	/* the end is not known yet */
	else
		*end = strlen(text);
	while (*end > *start && mig_text_is_space(text[*end - 1]))
		(*end)--;
}
