/*
 * script.c
 *		The text of revision files and of scripts: read, check, split, write.
 *
 * A script goes through three steps before it is stored.  First the server's
 * own lexer walks over it, only to see what the parser could not tell well or
 * would stumble over: marker lines of revision files (which count outside of
 * literals and block comments only), psql's backslash commands, and COPY with
 * its data in the script.  Then the server's own parser reads the whole text
 * at once.  Then each parse tree is looked at for what migrate cannot run.
 *
 * Scripts are read with standard_conforming_strings = on whatever the session
 * has, so that a script means the same for everybody.
 *
 * Errors are told by one error context callback (ErrorPlace): it replaces the
 * error position, which is one in the whole script, by a short excerpt around
 * it, and adds the line in the script or the file.  Nothing here catches an
 * error.  Everything is linear in the size of the text, positions are turned
 * into characters only once an error is raised.
 *
 * The canonical form of a script has no blank lines at its start and no white
 * space at its end; all else is kept byte for byte.  White space is the ASCII
 * one in this whole file: a server encoding never uses ASCII bytes inside
 * of a multibyte character.
 *
 * No locks, no catalog access; callable in and out of a transaction block.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "commands/defrem.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "compat.h"
#include "revision/script.h"

/* At most so many bytes of a statement are shown with an error. */
#define EXCERPT_SIZE		8192

/* Alembic's truncate_slug_length, in characters. */
#define SLUG_LENGTH			40

/* Longest file name that common file systems take, in bytes. */
#define FILE_NAME_LENGTH	255

#define UTF8_BOM			"\xEF\xBB\xBF"

#define MARKER_HINT \
	"A revision file holds a line \"-- migrate:up\", the upgrade script, and if it can be downgraded a line \"-- migrate:down\" and the downgrade script."

/* A walk over the tokens of a text. */
typedef struct TokenScan
{
	const char *text;
	int			len;
	int			gap;			/* where white space and comments begin... */
	int			start;			/* ...that end where this token begins */
	int			end;
	core_yy_extra_type extra;
	core_yyscan_t scanner;
} TokenScan;

/* What script_error_context() needs to know. */
typedef struct ErrorPlace
{
	ErrorContextCallback callback;
	const ScriptOrigin *origin; /* may be NULL */
	const char *text;
	int			first_line;		/* number of the first line of text */
	int			line;			/* line when the error has no position, or 0 */
	const TokenScan *scan;		/* the walk that is under way, or NULL */
	int		   *ends;			/* offsets of the statements' semicolons */
	int			nends;
	int			maxends;
} ErrorPlace;

/* One of the two scripts of a file. */
typedef struct Section
{
	bool		present;
	bool		transactional;
	int			marker;			/* offset of the marker line */
	int			body;			/* offset of the line behind it */
} Section;

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
	StringInfoData message;
	int			seen[HEADER_KEYS];	/* line of each key, 0: not there */
	int			stray_line;		/* line of a key without a revision id */
} Header;

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
	{"copy", "Use INSERT, or COPY with a file of the server."},
	{".", "Use INSERT, or COPY with a file of the server."},
	{"restrict", "Remove the line; pg_dump writes it for psql only."},
	{"unrestrict", "Remove the line; pg_dump writes it for psql only."},
	{"set", "Write the value into the script."},
	{"gset", "Use a DO block with a variable."},
	{"gexec", "Use a DO block with EXECUTE."},
	{"if", "Use a DO block with IF."},
	{";", "Separate the statements with a plain semicolon."},
};

static void read_section(RevisionFile *file, const char *content,
						 const ErrorPlace *place, const Section *sections,
						 MigDirection direction);
static const char *read_header(RevisionFile *file, const char *content,
							   ErrorPlace *place);
static bool is_up_marker(const char *line);
static void read_header_line(RevisionFile *file, Header *header,
							 const char *line, ErrorPlace *place);
static void read_header_value(Revision *rev, HeaderKey key, const char *value);
static void finish_header(RevisionFile *file, Header *header,
						  ErrorPlace *place);
static void read_file_name(RevisionFile *file);
static HeaderKey header_key(const char *line, char **value);
static List *read_list(const char *value, bool base_word);
static TimestampTz read_date(const char *value);
static void date_error_context(void *arg);
static char *canonical_message(const char *message);
static const char *message_problem(const char *message);
static char *canonical_text(const char *text, int len, int *lines_dropped);
static char *trimmed(const char *text, int len);

static void scan_begin(TokenScan *scan, const char *text);
static bool scan_next(TokenScan *scan);
static bool token_is(const TokenScan *scan, const char *word);
static void scan_script(const char *text, ErrorPlace *place,
						Section *sections);
static void scan_gap(const TokenScan *scan, ErrorPlace *place, Section *sections);
static void take_marker(const char *text, int offset, ErrorPlace *place,
						Section *sections);
static bool marker_direction(const char *line, MigDirection *direction,
							 const char **options);
static bool marker_transactional(const char *options);
static void refuse_psql_command(const TokenScan *scan, const ErrorPlace *place);
static void refuse_client_copy(const ErrorPlace *place, int offset);
static int	skip_comment(const char *text, int offset);
static int	skip_gap(const char *text, int offset);

static bool is_wrapped(List *statements);
static bool is_plain_begin(const ScriptStatement *stmt);
static bool is_plain_commit(const ScriptStatement *stmt);
static void check_statements(List *statements, bool transactional,
							 const ErrorPlace *place);
static void check_any(const ScriptStatement *stmt, const ErrorPlace *place);
static void check_transactional(const ScriptStatement *stmt,
								const ErrorPlace *place);
static void check_nontransactional(const ScriptStatement *stmt,
								   const ScriptStatement **group,
								   const ErrorPlace *place);
static void check_control(const ScriptStatement *stmt,
						  const ScriptStatement **group,
						  const ErrorPlace *place);
static bool turns_strings_off(const Node *stmt);
static char *unwrap(const char *text, List *statements);
static int	cut_statement(StringInfo out, const char *text, int from,
						  const ScriptStatement *stmt);
static const char *reindex_needs_top_level(const ReindexStmt *stmt);
static const char *alter_table_needs_top_level(const AlterTableStmt *stmt);
static const char *subscription_needs_top_level(const AlterSubscriptionStmt *stmt);
static bool option_is_on(List *options, const char *name, bool missing);
static bool option_is_there(List *options, const char *name);

static void write_message(StringInfo out, const char *message);
static void write_list(StringInfo out, HeaderKey key, List *items);
static void write_date(StringInfo out, TimestampTz date);
static void write_section(StringInfo out, MigDirection direction,
						  const char *sql, bool transactional);
static char *file_name_id(const char *revision);
static char *slug(const char *message);

static void place_enter(ErrorPlace *place, const char *text, int first_line,
						const ScriptOrigin *origin);
static void place_leave(const ErrorPlace *place);
static void place_add_end(ErrorPlace *place, int offset);
static int	place_error(const ErrorPlace *place, int offset);
static void script_error_context(void *arg);
static void shorten_lexer_error(const ErrorPlace *place, int offset);
static int	error_offset(const char *text);
static void quote_error(const char *text, int offset, int start, int end);
static void place_statement(const ErrorPlace *place, int offset, int *start,
							int *end);

/* The white space of the server's lexer. */
static inline bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The lexer ends a "--" comment at either. */
static inline bool
is_line_end(char c)
{
	return c == '\0' || c == '\n' || c == '\r';
}

/* Offset of the end of the line that offset is in. */
static inline int
line_end(const char *text, int offset)
{
	return offset + strcspn(text + offset, "\r\n");
}

/* Offset of the line behind the line end at offset. */
static inline int
skip_line_end(const char *text, int offset)
{
	if (text[offset] == '\r')
		offset++;
	if (text[offset] == '\n')
		offset++;
	return offset;
}

/*
 * Read a revision file.
 *
 * content is in the server encoding; name is the file's, or NULL, and is kept
 * by reference in the result.  The lists come out as written: ids, prefixes or
 * labels; whether they are legal is for the caller to say.  The scripts have
 * gone through mig_script_check.  Without a "Revision ID" line, id and message
 * come from the name, and comment lines before "-- migrate:up" are dropped, as
 * dbmate ignores them.
 *
 * The result is in the current memory context.  Errors: MG011, or the server
 * parser's own codes, with file and line.
 */
RevisionFile *
mig_script_read(const char *content, const char *name)
{
	RevisionFile *file = palloc0(sizeof(RevisionFile));
	ScriptOrigin origin = {0};
	Section		sections[2];
	ErrorPlace	place;
	const char *body;
	int			body_line;

	file->name = name;
	origin.file = name;
	origin.first_line = 1;
	if (GetDatabaseEncoding() == PG_UTF8 &&
		strncmp(content, UTF8_BOM, strlen(UTF8_BOM)) == 0)
		content += strlen(UTF8_BOM);

	place_enter(&place, content, 1, &origin);
	body = read_header(file, content, &place);
	body_line = place.line;
	place_leave(&place);

	origin.revision = file->rev.revision;
	memset(sections, 0, sizeof(sections));
	place_enter(&place, body, body_line, &origin);
	scan_script(body, &place, sections);
	place_leave(&place);

	read_section(file, body, &place, sections, MIG_UPGRADE);
	read_section(file, body, &place, sections, MIG_DOWNGRADE);
	return file;
}

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
	char	   *text;
	int			dropped;

	if (sql == NULL)
		return NULL;
	text = canonical_text(sql, strlen(sql), &dropped);
	work = AllocSetContextCreate(caller, "migrate script check",
								 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(work);

	place_enter(&place, text,
				(origin ? Max(origin->first_line, 1) : 1) + dropped, origin);
	scan_script(text, &place, NULL);
	statements = mig_script_split(text);
	check_statements(statements, transactional, &place);
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
 * Check a revision's message and return it in canonical form: LF line ends, no
 * white space around it nor at the end of a line.  Errors: 22023 for none, and
 * for one that a revision file could not hold.
 */
char *
mig_script_check_message(const char *message)
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
 * Parse a script.
 *
 * Returns a list of ScriptStatement in the current memory context, empty
 * statements left out.  Errors: those of the server's parser, with an error
 * position in the whole text (see mig_script_error_line).
 */
List *
mig_script_split(const char *sql)
{
	List	   *result = NIL;
	List	   *raws;
	ListCell   *lc;
	int			guc_level = NewGUCNestLevel();
	int			len = strlen(sql);
	int			line = 1;
	int			counted = 0;	/* line is that of this offset */

	if (!standard_conforming_strings)
		(void) set_config_option("standard_conforming_strings", "on",
								 PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	raws = pg_parse_query(sql);
	AtEOXact_GUC(true, guc_level);

	foreach(lc, raws)
	{
		RawStmt    *raw = lfirst_node(RawStmt, lc);
		ScriptStatement *stmt = palloc0(sizeof(ScriptStatement));
		int			end = raw->stmt_len > 0 ?
			raw->stmt_location + raw->stmt_len : len;

		/* before 18 the location is just behind the previous semicolon */
		stmt->location = skip_gap(sql, Max(raw->stmt_location, 0));
		while (end > stmt->location && is_space(sql[end - 1]))
			end--;
		stmt->len = end - stmt->location;
		line += mig_script_line(sql + counted, stmt->location - counted) - 1;
		counted = stmt->location;
		stmt->line = line;
		stmt->number = list_length(result) + 1;
		raw->stmt_location = stmt->location;
		raw->stmt_len = stmt->len;
		stmt->raw = raw;
		result = lappend(result, stmt);
	}
	list_free(raws);
	return result;
}

/*
 * The content of a revision's file.  mig_script_read reads the same revision
 * from it, provided that message and scripts have gone through their checks and
 * that a missing downgrade script counts as transactional.
 *
 * The result is in the current memory context.  Errors: MG011 for an id or a
 * label that the header's lists cannot hold.
 */
char *
mig_script_write(const Revision *rev)
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
 * The name of a revision's file: <revision>_<slug of the message>.sql.
 *
 * The result is one path component of at most 255 bytes for any id: bytes of
 * the id that are unsafe in a file name are written as %XX.  The slug goes
 * where it does not fit any more, and an id that alone does not fit is cut and
 * told apart by a hash.  (The header of the file holds the id as it is.)  The
 * slug is lower-cased in ASCII only, so that the name does not depend on the
 * database's locale.
 */
char *
mig_script_file_name(const char *revision, const char *message)
{
	char	   *id = file_name_id(revision);
	char	   *words = slug(message ? message : "");

	if (*words == '\0' ||
		strlen(id) + strlen(words) + strlen("_.sql") > FILE_NAME_LENGTH)
		return psprintf("%s.sql", id);
	return psprintf("%s_%s.sql", id, words);
}

/* Are two texts the same, up to CRLF and LF?  NULL equals NULL only. */
bool
mig_script_same(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	for (;; a++, b++)
	{
		if (a[0] == '\r' && a[1] == '\n')
			a++;
		if (b[0] == '\r' && b[1] == '\n')
			b++;
		if (*a != *b)
			return false;
		if (*a == '\0')
			return true;
	}
}

/* The line that a byte offset is in, from 1.  Looks at no byte behind it. */
int
mig_script_line(const char *sql, int offset)
{
	const char *p = sql;
	const char *end = sql + offset;
	int			line = 1;

	while (p < end && (p = memchr(p, '\n', end - p)) != NULL)
	{
		line++;
		p++;
	}
	return line;
}

/*
 * The name of a statement that cannot run inside a transaction block, NULL for
 * one that can.  Where the server decides when it runs (DROP SUBSCRIPTION,
 * REINDEX of a partitioned table) the answer is NULL.  The result is a constant.
 */
const char *
mig_script_needs_top_level(const RawStmt *raw)
{
	Node	   *stmt = raw->stmt;

	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return ((IndexStmt *) stmt)->concurrent ?
				"CREATE INDEX CONCURRENTLY" : NULL;
		case T_DropStmt:
			return ((DropStmt *) stmt)->concurrent ?
				"DROP INDEX CONCURRENTLY" : NULL;
		case T_ReindexStmt:
			return reindex_needs_top_level((ReindexStmt *) stmt);
		case T_ClusterStmt:
			return ((ClusterStmt *) stmt)->relation == NULL ?
				"CLUSTER without a table" : NULL;
		case T_VacuumStmt:
			return ((VacuumStmt *) stmt)->is_vacuumcmd ? "VACUUM" : NULL;
		case T_CreatedbStmt:
			return "CREATE DATABASE";
		case T_DropdbStmt:
			return "DROP DATABASE";
		case T_AlterDatabaseStmt:
			return option_is_there(((AlterDatabaseStmt *) stmt)->options,
								   "tablespace") ?
				"ALTER DATABASE SET TABLESPACE" : NULL;
		case T_CreateTableSpaceStmt:
			return "CREATE TABLESPACE";
		case T_DropTableSpaceStmt:
			return "DROP TABLESPACE";
		case T_AlterSystemStmt:
			return "ALTER SYSTEM";
		case T_AlterTableStmt:
			return alter_table_needs_top_level((AlterTableStmt *) stmt);
		case T_CreateSubscriptionStmt:
			{
				List	   *options = ((CreateSubscriptionStmt *) stmt)->options;

				return option_is_on(options, "connect", true) &&
					option_is_on(options, "create_slot", true) ?
					"CREATE SUBSCRIPTION" : NULL;
			}
		case T_AlterSubscriptionStmt:
			return subscription_needs_top_level((AlterSubscriptionStmt *) stmt);
		default:
			return NULL;
	}
}

/*
 * For error context callbacks: if the error has a position, which then is one
 * in sql, show the statement of len bytes at start (at most 8 kB around the
 * position) instead, as an internal query.  Returns the position's line in
 * sql, or 0 if the error has no position.
 */
int
mig_script_error_line(const char *sql, int start, int len)
{
	int			offset = error_offset(sql);

	if (offset < 0)
		return 0;
	quote_error(sql, offset, start, start + len);
	return mig_script_line(sql, offset);
}

/* ----------
 * Reading a file
 * ----------
 */

/* Check the script of one direction and put it into the file's revision. */
static void
read_section(RevisionFile *file, const char *content, const ErrorPlace *place,
			 const Section *sections, MigDirection direction)
{
	const Section *section = &sections[direction];
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
	origin.first_line = place->first_line - 1 +
		mig_script_line(content, section->body);
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
 * place->line is left on it.
 */
static const char *
read_header(RevisionFile *file, const char *content, ErrorPlace *place)
{
	Header		header;
	int			offset = 0;

	memset(&header, 0, sizeof(Header));
	initStringInfo(&header.message);
	for (place->line = 1; content[offset] != '\0';)
	{
		int			start = offset;
		int			end = line_end(content, offset);
		int			next = skip_line_end(content, end);

		CHECK_FOR_INTERRUPTS();
		if (is_up_marker(content + offset))
		{
			finish_header(file, &header, place);
			return content + offset;
		}
		while (start < end && is_space(content[start]))
			start++;
		if (strncmp(content + start, "--", 2) == 0)
			read_header_line(file, &header,
							 pnstrdup(content + start + 2, end - start - 2),
							 place);
		else if (start == end)
			appendStringInfoChar(&header.message, '\n');
		else
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BAD_SCRIPT),
					 errmsg("only comment lines may come before \"-- migrate:up\""),
					 errhint(MARKER_HINT)));
		if (next > end && content[next - 1] == '\n')
			place->line++;
		offset = next;
	}
	ereport(ERROR,
			(errcode(ERRCODE_MIG_BAD_SCRIPT),
			 errmsg("revision file has no line \"-- migrate:up\""),
			 errhint(MARKER_HINT)));
	return NULL;				/* keep compiler quiet */
}

/* Does the first marker line of a file begin here? */
static bool
is_up_marker(const char *line)
{
	MigDirection direction;
	const char *options;

	if (strncmp(line, "--", 2) != 0 ||
		!marker_direction(line + 2, &direction, &options))
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
read_header_line(RevisionFile *file, Header *header, const char *line,
				 ErrorPlace *place)
{
	char	   *value = NULL;
	HeaderKey	key = header_key(line, &value);

	if (key != KEY_REVISION && header->seen[KEY_REVISION] == 0)
	{
		if (key != KEY_NONE && header->stray_line == 0)
			header->stray_line = place->line;
		appendStringInfo(&header->message, "%s\n",
						 line[0] == ' ' ? line + 1 : line);
		return;
	}
	if (key == KEY_NONE)
	{
		if (*trimmed(line, strlen(line)) == '\0')
			return;
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("unrecognized line in the header of a revision file"),
				 errdetail("Between \"Revision ID\" and \"-- migrate:up\" only \"Revises\", \"Depends On\", \"Branch Labels\" and \"Create Date\" may stand."),
				 errhint("Write the message before \"Revision ID\", and comments on the script behind \"-- migrate:up\".")));
	}
	if (header->seen[key] != 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("\"%s\" is given twice in the header of a revision file",
						header_keys[key])));
	header->seen[key] = place->line;
	read_header_value(&file->rev, key, value);
}

/* Put the value of a header line into the revision. */
static void
read_header_value(Revision *rev, HeaderKey key, const char *value)
{
	switch (key)
	{
		case KEY_REVISION:
			if (*value == '\0')
				ereport(ERROR,
						(errcode(ERRCODE_MIG_BAD_SCRIPT),
						 errmsg("\"%s\" of a revision file is empty",
								header_keys[key])));
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
finish_header(RevisionFile *file, Header *header, ErrorPlace *place)
{
	int			marker_line = place->line;

	file->has_header = header->seen[KEY_REVISION] != 0;
	if (!file->has_header)
	{
		place->line = header->stray_line;
		if (header->stray_line != 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BAD_SCRIPT),
					 errmsg("header of a revision file has no \"Revision ID\"")));
		read_file_name(file);
		place->line = marker_line;
		return;
	}

	place->line = header->seen[KEY_REVISION];
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
	place->line = marker_line;
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
	file->rev.revision = trimmed(base, rest ? rest - base : len);
	if (*file->rev.revision == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("revision file has no \"Revision ID\", and its name gives none"),
				 errhint("Write a header, or name the file as in \"20240101120000_create_users.sql\".")));

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
 * Which key does a comment line, given without its "--", begin with?  Sets
 * *value to a trimmed copy of what follows the colon.
 */
static HeaderKey
header_key(const char *line, char **value)
{
	const char *colon = strchr(line, ':');
	char	   *name;

	if (colon == NULL)
		return KEY_NONE;
	name = trimmed(line, colon - line);
	for (int key = 0; key < HEADER_KEYS; key++)
	{
		if (pg_strcasecmp(name, header_keys[key]) == 0)
		{
			*value = trimmed(colon + 1, strlen(colon + 1));
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
		char	   *item = trimmed(value, len);

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

/* A message in canonical form, see mig_script_check_message. */
static char *
canonical_message(const char *message)
{
	StringInfoData out;

	initStringInfo(&out);
	for (;;)
	{
		int			len = line_end(message, 0);
		int			next = skip_line_end(message, len);

		while (len > 0 && is_space(message[len - 1]))
			len--;
		appendBinaryStringInfo(&out, message, len);
		appendStringInfoChar(&out, '\n');
		if (message[next] == '\0')
			break;
		message += next;
	}
	return trimmed(out.data, out.len);
}

/* What makes a canonical message one that no file can hold, or NULL. */
static const char *
message_problem(const char *message)
{
	for (;;)
	{
		int			len = line_end(message, 0);
		char	   *line = pnstrdup(message, len);
		char	   *value;
		MigDirection direction;
		const char *options;

		if (header_key(line, &value) == KEY_REVISION)
			return "Revision ID:";
		if (marker_direction(line, &direction, &options))
			return direction == MIG_UPGRADE ? "migrate:up" : "migrate:down";
		if (message[len] == '\0')
			return NULL;
		message += len + 1;
	}
}

/*
 * A copy of a text without blank lines at its start and white space at its
 * end.  *lines_dropped, unless NULL, is set to how many lines went at the start.
 */
static char *
canonical_text(const char *text, int len, int *lines_dropped)
{
	int			start = 0;
	int			dropped = 0;

	for (int i = 0; i < len && is_space(text[i]); i++)
	{
		if (is_line_end(text[i]))
			start = i + 1;
		if (text[i] == '\n')
			dropped++;
	}
	while (len > start && is_space(text[len - 1]))
		len--;
	if (lines_dropped != NULL)
		*lines_dropped = dropped;
	return pnstrdup(text + start, len - start);
}

/* A copy of a text without white space around it. */
static char *
trimmed(const char *text, int len)
{
	while (len > 0 && is_space(text[len - 1]))
		len--;
	while (len > 0 && is_space(*text))
	{
		text++;
		len--;
	}
	return pnstrdup(text, len);
}

/* ----------
 * Lexing
 * ----------
 */

/*
 * Begin a walk over a text.  All that it allocates is in the current context,
 * which is the caller's to delete.
 */
static void
scan_begin(TokenScan *scan, const char *text)
{
	memset(scan, 0, sizeof(TokenScan));
	scan->text = text;
	scan->len = strlen(text);
	scan->scanner = scanner_init(text, &scan->extra, &ScanKeywords,
								 ScanKeywordTokens);
	scan->extra.standard_conforming_strings = true;
	scan->extra.escape_string_warning = false;
}

/* Go to the next token; false at the end, with a last gap before it. */
static bool
scan_next(TokenScan *scan)
{
	core_YYSTYPE value;
	YYLTYPE		location;

	scan->gap = scan->end;
	if (core_yylex(&value, &location, scan->scanner) == 0)
	{
		scan->start = scan->end = scan->len;
		return false;
	}

	/* the lexer puts a NUL behind the token in its own copy of the text */
	scan->start = location;
	scan->end = location + strlen(scan->extra.scanbuf + location);
	return true;
}

/* Is the token this unquoted word, given in lower case? */
static bool
token_is(const TokenScan *scan, const char *word)
{
	int			len = scan->end - scan->start;

	return len == (int) strlen(word) &&
		pg_strncasecmp(scan->text + scan->start, word, len) == 0;
}

/*
 * Walk over a text before it is parsed: find the sections of a file, or refuse
 * marker lines if sections is NULL; refuse psql's commands and COPY from and to
 * the client; note where statements end, for messages.
 */
static void
scan_script(const char *text, ErrorPlace *place, Section *sections)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext,
											   "migrate script scan",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);
	TokenScan	scan;
	int			guc_level = NewGUCNestLevel();
	int			parens = 0;
	int			copy = -1;		/* offset of the COPY that we are in */
	bool		first = true;	/* is this a statement's first token? */
	bool		direction = false;	/* was the last token FROM or TO? */

	/* what the lexer tells about long identifiers, the parser tells again */
	(void) set_config_option("client_min_messages", "error",
							 PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	scan_begin(&scan, text);
	place->scan = &scan;
	while (scan_next(&scan))
	{
		CHECK_FOR_INTERRUPTS();
		scan_gap(&scan, place, sections);
		if (text[scan.start] == '\\')
			refuse_psql_command(&scan, place);
		if (copy >= 0 && direction &&
			(token_is(&scan, "stdin") || token_is(&scan, "stdout")))
			refuse_client_copy(place, copy);
		if (first && token_is(&scan, "copy"))
			copy = scan.start;
		direction = parens == 0 &&
			(token_is(&scan, "from") || token_is(&scan, "to"));
		first = false;
		if (text[scan.start] == '(')
			parens++;
		else if (text[scan.start] == ')')
			parens--;
		else if (text[scan.start] == ';' && parens <= 0)
		{
			MemoryContextSwitchTo(caller);
			place_add_end(place, scan.start);
			MemoryContextSwitchTo(work);
			first = true;
			copy = -1;
			parens = 0;
		}
	}
	scan_gap(&scan, place, sections);
	place->scan = NULL;
	AtEOXact_GUC(true, guc_level);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
}

/* Look for marker lines in the white space and comments before a token. */
static void
scan_gap(const TokenScan *scan, ErrorPlace *place, Section *sections)
{
	const char *text = scan->text;
	int			offset = scan->gap;

	while (offset < scan->start)
	{
		MigDirection direction;
		const char *options;

		if (text[offset] == '-' &&
			(offset == 0 || is_line_end(text[offset - 1])) &&
			marker_direction(text + offset + 2, &direction, &options))
			take_marker(text, offset, place, sections);
		if (is_space(text[offset]))
			offset++;
		else
			offset = skip_comment(text, offset);
	}
}

/* Note the marker line at offset, or refuse it. */
static void
take_marker(const char *text, int offset, ErrorPlace *place, Section *sections)
{
	MigDirection direction;
	const char *options;
	Section    *section;

	place->line = place->first_line - 1 + mig_script_line(text, offset);
	marker_direction(text + offset + 2, &direction, &options);
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
	section->body = skip_line_end(text, line_end(text, offset));
	place->line = 0;
}

/*
 * Is a comment line, given without its "--", a marker?  Sets *direction and
 * *options, which then points behind the marker's word.
 */
static bool
marker_direction(const char *line, MigDirection *direction,
				 const char **options)
{
	while (is_blank(*line))
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
	return is_blank(**options) || is_line_end(**options);
}

/* Read the options behind a marker, up to the end of the line. */
static bool
marker_transactional(const char *options)
{
	char	   *option = trimmed(options, line_end(options, 0));
	bool		result = true;

	if (strcmp(option, "transaction:false") == 0)
		result = false;
	else if (*option != '\0' && strcmp(option, "transaction:true") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("unrecognized option \"%s\" behind a marker", option),
				 errhint("The option is \"transaction:false\" or \"transaction:true\".")));
	pfree(option);
	return result;
}

/* The token is a backslash, which only psql understands. */
static void
refuse_psql_command(const TokenScan *scan, const ErrorPlace *place)
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

static void
refuse_client_copy(const ErrorPlace *place, int offset)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIG_BAD_SCRIPT),
			 errmsg("COPY from or to the client cannot be used in a script"),
			 errhint("Use INSERT, or COPY with a file of the server."),
			 place_error(place, offset)));
}

/* Offset behind the comment that begins at offset. */
static int
skip_comment(const char *text, int offset)
{
	int			depth = 0;

	if (text[offset] == '-')
		return line_end(text, offset);
	while (text[offset] != '\0')
	{
		if (text[offset] == '/' && text[offset + 1] == '*')
		{
			depth++;
			offset += 2;
		}
		else if (text[offset] == '*' && text[offset + 1] == '/')
		{
			offset += 2;
			if (--depth == 0)
				break;
		}
		else
			offset++;
	}
	return offset;
}

/* Offset behind white space and comments at offset. */
static int
skip_gap(const char *text, int offset)
{
	for (;;)
	{
		if (is_space(text[offset]))
			offset++;
		else if ((text[offset] == '-' && text[offset + 1] == '-') ||
				 (text[offset] == '/' && text[offset + 1] == '*'))
			offset = skip_comment(text, offset);
		else
			return offset;
	}
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
		is_plain_begin(linitial(statements)) &&
		is_plain_commit(llast(statements));
}

static bool
is_plain_begin(const ScriptStatement *stmt)
{
	TransactionStmt *control = (TransactionStmt *) stmt->raw->stmt;

	return IsA(control, TransactionStmt) &&
		(control->kind == TRANS_STMT_BEGIN ||
		 control->kind == TRANS_STMT_START) &&
		control->options == NIL;
}

static bool
is_plain_commit(const ScriptStatement *stmt)
{
	TransactionStmt *control = (TransactionStmt *) stmt->raw->stmt;

	return IsA(control, TransactionStmt) &&
		control->kind == TRANS_STMT_COMMIT && !control->chain;
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

	if (IsA(node, DiscardStmt))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("DISCARD cannot be used in a script"),
				 errhint("Settings that a script changes are put back when it ends; drop temporary objects by name."),
				 place_error(place, stmt->location)));
	if (turns_strings_off(node))
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
	const char *command = mig_script_needs_top_level(stmt->raw);

	if (IsA(stmt->raw->stmt, TransactionStmt))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s cannot be used in a transactional script",
						CreateCommandName(stmt->raw->stmt)),
				 errdetail("The script runs within a transaction that migrate or its caller has begun."),
				 errhint("Remove the command, or make the script non-transactional."),
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
 * Refuse what a non-transactional script must not hold.  *group is the BEGIN
 * of the group that the statement is in, or NULL; kept up to date.
 */
static void
check_nontransactional(const ScriptStatement *stmt,
					   const ScriptStatement **group, const ErrorPlace *place)
{
	const char *command;

	if (IsA(stmt->raw->stmt, TransactionStmt))
	{
		check_control(stmt, group, place);
		return;
	}
	command = *group ? mig_script_needs_top_level(stmt->raw) : NULL;
	if (command != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s cannot be used between BEGIN and COMMIT", command),
				 errhint("Move it behind COMMIT."),
				 place_error(place, stmt->location)));
}

/* Transaction control in a non-transactional script: plain groups only. */
static void
check_control(const ScriptStatement *stmt, const ScriptStatement **group,
			  const ErrorPlace *place)
{
	if (is_plain_begin(stmt) && *group == NULL)
		*group = stmt;
	else if (is_plain_commit(stmt) && *group != NULL)
		*group = NULL;
	else if (is_plain_begin(stmt))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("BEGIN inside of a BEGIN and COMMIT group"),
				 place_error(place, stmt->location)));
	else if (is_plain_commit(stmt))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("COMMIT without a BEGIN before it"),
				 place_error(place, stmt->location)));
	else
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("transaction control other than BEGIN and COMMIT cannot be used in a script"),
				 errhint("A non-transactional script may group statements with BEGIN and COMMIT, both without options."),
				 place_error(place, stmt->location)));
}

/* Is this a SET of standard_conforming_strings to off? */
static bool
turns_strings_off(const Node *stmt)
{
	const VariableSetStmt *set = (const VariableSetStmt *) stmt;
	A_Const    *value;
	bool		on = true;

	if (!IsA(stmt, VariableSetStmt) || set->kind != VAR_SET_VALUE ||
		pg_strcasecmp(set->name, "standard_conforming_strings") != 0)
		return false;
	value = linitial(set->args);
	if (!IsA(value, A_Const))
		return false;
	if (IsA(&value->val, Integer))
		return intVal(&value->val) == 0;
	return IsA(&value->val, String) &&
		parse_bool(strVal(&value->val), &on) && !on;
}

/*
 * The text without the BEGIN and COMMIT that wrap it.  What stands around
 * these, comments mostly, stays; a line that holds nothing else goes.
 */
static char *
unwrap(const char *text, List *statements)
{
	StringInfoData out;
	int			from;
	char	   *result;

	initStringInfo(&out);
	from = cut_statement(&out, text, 0, linitial(statements));
	from = cut_statement(&out, text, from, llast(statements));
	appendStringInfoString(&out, text + from);
	result = canonical_text(out.data, out.len, NULL);
	pfree(out.data);
	return result;
}

/*
 * Append the text from offset from up to a BEGIN or COMMIT statement, and the
 * comments inside of it; return the offset behind it and its semicolon.
 */
static int
cut_statement(StringInfo out, const char *text, int from,
			  const ScriptStatement *stmt)
{
	int			start = stmt->location;
	int			end = skip_gap(text, stmt->location + stmt->len);
	int			after;
	bool		comments = false;

	/* a last statement without a semicolon ends where its text does */
	end = text[end] == ';' ? end + 1 : stmt->location + stmt->len;
	after = end;
	while (start > from && is_blank(text[start - 1]))
		start--;
	while (is_blank(text[after]))
		after++;
	for (int i = stmt->location; i < end; i++)
		comments |= text[i] == '-' || text[i] == '/';

	if (!comments && is_line_end(text[after]) &&
		(start == 0 || is_line_end(text[start - 1])))
	{
		appendBinaryStringInfo(out, text + from, start - from);
		return skip_line_end(text, after);
	}

	appendBinaryStringInfo(out, text + from, stmt->location - from);
	for (int i = stmt->location; comments && i < end;)
	{
		int			gap_end = skip_gap(text, i);

		if (gap_end > i)
			appendBinaryStringInfo(out, text + i, gap_end - i);
		i = Max(gap_end, i + 1);
	}
	/* a comment behind it must not become a marker line */
	if (text[after] == '-')
		appendStringInfoChar(out, ' ');
	return after;
}

static const char *
reindex_needs_top_level(const ReindexStmt *stmt)
{
	if (MigReindexIsConcurrent(stmt))
		return "REINDEX CONCURRENTLY";
	switch (stmt->kind)
	{
		case REINDEX_OBJECT_SCHEMA:
			return "REINDEX SCHEMA";
		case REINDEX_OBJECT_SYSTEM:
			return "REINDEX SYSTEM";
		case REINDEX_OBJECT_DATABASE:
			return "REINDEX DATABASE";
		default:
			return NULL;
	}
}

static const char *
alter_table_needs_top_level(const AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_DetachPartition && MigDetachIsConcurrent(cmd))
			return "ALTER TABLE DETACH PARTITION CONCURRENTLY";
	}
	return NULL;
}

static const char *
subscription_needs_top_level(const AlterSubscriptionStmt *stmt)
{
	/* any option that names what cannot be rolled back on the other side */
	if (stmt->kind == ALTER_SUBSCRIPTION_OPTIONS)
	{
		if (option_is_there(stmt->options, "failover"))
			return "ALTER SUBSCRIPTION SET (failover)";
		if (!option_is_on(stmt->options, "two_phase", true))
			return "ALTER SUBSCRIPTION SET (two_phase)";
		return NULL;
	}
	if (!MIG_SUBSCRIPTION_REFRESH_NEEDS_TOP_LEVEL)
		return NULL;
	if (stmt->kind == ALTER_SUBSCRIPTION_REFRESH)
		return "ALTER SUBSCRIPTION REFRESH PUBLICATION";
	if (stmt->publication != NIL &&
		option_is_on(stmt->options, "refresh", true))
		return "ALTER SUBSCRIPTION with refresh";
	return NULL;
}

/* The value of a boolean option, missing if it is not there. */
static bool
option_is_on(List *options, const char *name, bool missing)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			return defGetBoolean(option);
	}
	return missing;
}

static bool
option_is_there(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, name) == 0)
			return true;
	}
	return false;
}

/* ----------
 * Writing a file
 * ----------
 */

/* The message as comment lines, and an empty one behind it. */
static void
write_message(StringInfo out, const char *message)
{
	for (;;)
	{
		int			len = line_end(message, 0);

		appendStringInfoString(out, len > 0 ? "-- " : "--");
		appendBinaryStringInfo(out, message, len);
		appendStringInfoChar(out, '\n');
		if (message[len] == '\0')
			break;
		message += skip_line_end(message, len);
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
	char	   *text = canonical_text(sql, strlen(sql), NULL);

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

/* A revision id as the first part of a file name. */
static char *
file_name_id(const char *revision)
{
	const int	room = FILE_NAME_LENGTH - strlen(".sql");
	StringInfoData out;

	initStringInfo(&out);
	for (const char *p = revision; *p; p++)
	{
		unsigned char c = (unsigned char) *p;

		if (c < ' ' || c == 0x7f || strchr("/\\%<>:\"|?*", c) != NULL ||
			(c == '.' && p == revision))
			appendStringInfo(&out, "%%%02X", c);
		else
			appendStringInfoChar(&out, c);
	}
	if (out.len > room)
	{
		uint64		hash = hash_bytes_extended((const unsigned char *) revision,
											   strlen(revision), 0);
		int			len = pg_mbcliplen(out.data, out.len, room - 17);

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
 * Alembic's slug: words in lower case joined by "_", and where that is too long
 * cut at the last "_" and ended by one.  All but ASCII counts as part of a word.
 */
static char *
slug(const char *message)
{
	StringInfoData out;
	int			len;

	initStringInfo(&out);
	for (const char *p = message; *p; p++)
	{
		if (IS_HIGHBIT_SET(*p) || *p == '_' || (*p >= '0' && *p <= '9') ||
			(*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z'))
		{
			if (p > message && out.len > 0 && out.data[out.len - 1] == '\n')
				out.data[out.len - 1] = '_';
			appendStringInfoChar(&out, pg_ascii_tolower((unsigned char) *p));
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
	place->origin = origin;
	place->text = text;
	place->first_line = first_line;
	place->callback.callback = script_error_context;
	place->callback.arg = place;
	place->callback.previous = error_context_stack;
	error_context_stack = &place->callback;
}

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
	errposition(pg_mbstrlen_with_len(place->text, offset) + 1);
	return 0;
}

/* Error context callback: file or script, line, and the statement. */
static void
script_error_context(void *arg)
{
	const ErrorPlace *place = arg;
	const ScriptOrigin *origin = place->origin;
	int			offset = error_offset(place->text);
	int			line = place->line;
	const char *what;

	/* the lexer gives no position for bytes that are not text, as in E'\xff' */
	if (offset < 0 && place->scan != NULL &&
		ERRCODE_TO_CATEGORY(geterrcode()) == ERRCODE_DATA_EXCEPTION)
		offset = skip_gap(place->text, place->scan->end);
	if (offset >= 0)
	{
		int			start;
		int			end;

		place_statement(place, offset, &start, &end);
		quote_error(place->text, offset, start, end);
		shorten_lexer_error(place, offset);
		line = place->first_line - 1 + mig_script_line(place->text, offset);
	}

	if (origin == NULL)
		what = "script";
	else if (origin->file != NULL)
		what = psprintf("revision file \"%s\"", origin->file);
	else if (origin->first_line > 0)
		what = "revision file";
	else if (origin->revision != NULL)
		what = psprintf("%s script of revision \"%s\"",
						origin->direction == MIG_UPGRADE ? "upgrade" : "downgrade",
						origin->revision);
	else
		what = origin->direction == MIG_UPGRADE ?
			"upgrade script" : "downgrade script";
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

/* The byte offset of the current error's position in text, or -1. */
static int
error_offset(const char *text)
{
	int			pos = geterrposition();

	return pos > 0 ? pg_mbcharcliplen(text, strlen(text), pos - 1) : -1;
}

/*
 * Replace the current error's position, which is at offset, by an excerpt of
 * the statement between start and end as internal query.
 */
static void
quote_error(const char *text, int offset, int start, int end)
{
	start = Min(start, offset);
	end = Max(end, offset);
	if (end - start > EXCERPT_SIZE)
	{
		int			from = Max(start, offset - EXCERPT_SIZE / 2);

		from = start + pg_mbcliplen(text + start, from - start, from - start);
		end = from + pg_mbcliplen(text + from, end - from,
								  Min(end - from, EXCERPT_SIZE));
		start = from;
	}
	errposition(0);
	internalerrposition(pg_mbstrlen_with_len(text + start, offset - start) + 1);
	internalerrquery(pnstrdup(text + start, end - start));
}

/* Between which offsets is the statement that offset is in? */
static void
place_statement(const ErrorPlace *place, int offset, int *start, int *end)
{
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
	*start = skip_gap(place->text, low > 0 ? place->ends[low - 1] + 1 : 0);
	if (low < place->nends)
		*end = place->ends[low];
	else if (place->scan != NULL)
		*end = line_end(place->text, offset);	/* the end is not known yet */
	else
		*end = strlen(place->text);
	while (*end > *start && is_space(place->text[*end - 1]))
		(*end)--;
}
