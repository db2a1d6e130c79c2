/*
 * harness.c
 *		Fuzzing the pure parts of migrate: the file reader, scripts, targets.
 *
 * The code under test needs the server (memory contexts, errors, its lexer and
 * parser), so it is fuzzed where the server is: this file and src/revision are
 * built into one library that a backend loads.  Two SQL functions call it:
 *
 *		fuzz_one(target, input bytea)	one input; any compiler will do
 *		fuzz_run(target, args text[])	libFuzzer's loop (make fuzz, clang)
 *
 * Targets: "file" is a revision file, a zero byte and its name; "script" is
 * a byte of flags and a script; "target" is a graph, a line with its version
 * rows, and an identifier or a range (see read_graph).
 *
 * Nothing here needs a transaction: no catalog is read, nothing is written.
 * Errors of the code under test are caught by attempt() and judged; what
 * breaks a rule ends in violated(), which for libFuzzer is a crash.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include <signal.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "files/file_name.h"
#include "files/format.h"
#include "files/native.h"
#include "revision/draw.h"
#include "revision/graph.h"
#include "revision/plan.h"
#include "revision/revision.h"
#include "revision/target.h"
#include "script/script.h"
#include "script/text.h"

PG_MODULE_MAGIC;

/* init.c is not part of this library */
int			mig_step_messages = 0;
int			mig_run_lock_timeout = 0;

/* Inputs are cut here, and what has grown by more than this leaks. */
#define MAX_INPUT		(1024 * 1024)
#define MAX_GROWTH		(16 * 1024 * 1024)
#define MAX_NODES		64

typedef void (*Work) (void *arg);
typedef void (*Target) (const char *input, int len);

static bool fuzzing = false;
static MemoryContext input_context = NULL;
static char outcome[64];

PG_FUNCTION_INFO_V1(fuzz_one);
#ifdef FUZZ_LIBFUZZER
PG_FUNCTION_INFO_V1(fuzz_run);
extern int	LLVMFuzzerRunDriver(int *argc, char ***argv,
								int (*callback) (const uint8_t *data, size_t size));
#endif

/* ----------
 * Memory
 *
 * What the code under test allocates itself does not come from a memory
 * context here, but stands each at the end of a page that no page follows: to
 * read or write past it is a segmentation fault, also in functions of the
 * server that get such a pointer.  (The address sanitizer would have to be
 * there when the server starts, and sees nothing in the server's functions.)
 * What is freed is overwritten and not used again for the same input.  The
 * linker's --wrap leads here.
 * ----------
 */
#ifdef FUZZ_GUARD

#include <sys/mman.h>

#define PAGE			4096
#define FILL_NEW		0x7f
#define FILL_FREED		0xdd

/* Places for pieces of one size: "room" bytes, then a page that is not there. */
typedef struct Pool
{
	Size		room;
	int			size;			/* number of places */
	int			used;
	char	   *memory;
	Size	   *lengths;		/* of the piece in each; 0: freed */
} Pool;

static Pool pools[] = {
	{PAGE, 16384, 0, NULL, NULL},
	{16 * PAGE, 512, 0, NULL, NULL},
	{1024 * PAGE, 16, 0, NULL, NULL},
};

extern void __real_pfree(void *pointer);
extern void *__real_repalloc_huge(void *pointer, Size size);
extern void *__wrap_palloc(Size size);
extern void *__wrap_palloc0(Size size);
extern void *__wrap_palloc_extended(Size size, int flags);
extern void *__wrap_repalloc(void *pointer, Size size);
extern void *__wrap_repalloc_huge(void *pointer, Size size);
extern void __wrap_pfree(void *pointer);
extern char *__wrap_pstrdup(const char *text);
extern char *__wrap_pnstrdup(const char *text, Size len);

/* Strings end where the page ends, all else as near as its alignment allows. */
static void *
piece_make(Size size, bool is_text)
{
	Size		step = is_text ? Max(size, 1) : MAXALIGN(Max(size, 1));

	for (size_t i = 0; i < lengthof(pools); i++)
	{
		Pool	   *pool = &pools[i];
		char	   *piece;

		if (step > pool->room || pool->used == pool->size)
			continue;
		if (pool->memory == NULL)
		{
			pool->memory = mmap(NULL, pool->size * (pool->room + PAGE), PROT_READ | PROT_WRITE,
								MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
			pool->lengths = calloc(pool->size, sizeof(Size));
			if (pool->memory == MAP_FAILED || pool->lengths == NULL)
				abort();
			for (int k = 0; k < pool->size; k++)
			{
				char	   *guard = pool->memory + k * (pool->room + PAGE) + pool->room;

				if (mprotect(guard, PAGE, PROT_NONE) != 0)
					abort();
			}
		}
		piece = pool->memory + pool->used * (pool->room + PAGE) + pool->room - step;
		pool->lengths[pool->used++] = step;
		return memset(piece, FILL_NEW, step);
	}
	fprintf(stderr, "out of guarded memory: %zu bytes\n", (size_t) size);
	abort();
}

/* The length of a piece, or NULL for a pointer of the server's. */
static Size *
piece_length(void *pointer)
{
	for (size_t i = 0; i < lengthof(pools); i++)
	{
		Pool	   *pool = &pools[i];
		Size		offset = (char *) pointer - pool->memory;
		Size	   *length;

		if (pool->memory == NULL || (char *) pointer < pool->memory ||
			offset >= pool->size * (pool->room + PAGE))
			continue;
		length = &pool->lengths[offset / (pool->room + PAGE)];
		if (*length == 0 || offset % (pool->room + PAGE) != pool->room - *length)
		{
			fprintf(stderr, "a pointer that is freed twice, or is none\n");
			abort();
		}
		return length;
	}
	return NULL;
}

static void
pieces_free(void)
{
	for (size_t i = 0; i < lengthof(pools); i++)
		pools[i].used = 0;
}

void *
__wrap_palloc(Size size)
{
	return piece_make(size, false);
}

void *
__wrap_palloc0(Size size)
{
	return memset(piece_make(size, false), 0, size);
}

void *
__wrap_palloc_extended(Size size, int flags)
{
	return flags & MCXT_ALLOC_ZERO ? __wrap_palloc0(size) : piece_make(size, false);
}

void
__wrap_pfree(void *pointer)
{
	Size	   *length = piece_length(pointer);

	if (length == NULL)
		__real_pfree(pointer);
	else
	{
		memset(pointer, FILL_FREED, *length);
		*length = 0;
	}
}

void *
__wrap_repalloc(void *pointer, Size size)
{
	Size	   *length = piece_length(pointer);
	void	   *result;

	if (length == NULL)
		return __real_repalloc_huge(pointer, size);
	result = piece_make(size, false);
	memcpy(result, pointer, Min(size, *length));
	__wrap_pfree(pointer);
	return result;
}

void *
__wrap_repalloc_huge(void *pointer, Size size)
{
	return __wrap_repalloc(pointer, size);
}

char *
__wrap_pnstrdup(const char *text, Size len)
{
	char	   *copy;

	len = strnlen(text, len);
	copy = piece_make(len + 1, true);
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

char *
__wrap_pstrdup(const char *text)
{
	return __wrap_pnstrdup(text, strlen(text));
}

#else
#define pieces_free()	((void) 0)
#endif							/* FUZZ_GUARD */

/* ----------
 * Judging
 * ----------
 */

pg_attribute_printf(1, 2)
static void
violated(const char *format,...)
{
	char		text[4096];
	va_list		args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (fuzzing)
	{
		fprintf(stderr, "RULE BROKEN: %s\n", text);
		abort();
	}
	ereport(ERROR, (errcode(ERRCODE_ASSERT_FAILURE), errmsg("rule broken: %s", text)));
}

/*
 * Do something; returns its error, NULL for none.  Everything but memory is as
 * it was before.
 */
static ErrorData *
attempt(Work work, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorContextCallback *callbacks = error_context_stack;
	ErrorData  *volatile error = NULL;
	int			level = NewGUCNestLevel();

	PG_TRY();
	{
		work(arg);
		if (error_context_stack != callbacks)
			violated("an error context callback is left behind");
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();

	AtEOXact_GUC(false, level);
	if (CurrentMemoryContext != context)
		violated("another memory context is current");
	MemoryContextSwitchTo(context);
	if (error != NULL && (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
						  error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
						  error->sqlerrcode == ERRCODE_ASSERT_FAILURE))
		ReThrowError(error);
	return error;
}

/* An error must be one of those that are meant for users. */
static void
judge(const ErrorData *error, const char *where, const char *codes)
{
	const char *state = unpack_sql_state(error->sqlerrcode);
	bool		known = false;

	for (const char *p = codes; *p; p += strcspn(p, " "), p += *p == ' ')
		known |= strncmp(state, p, strcspn(p, " ")) == 0;
	if (!known)
		violated("%s: SQLSTATE %s: %s", where, state, error->message);
	if (error->message == NULL || *error->message == '\0')
		violated("%s: SQLSTATE %s without a message", where, state);
	if (strlen(error->message) > 32 * 1024)
		violated("%s: a message of %zu bytes", where, strlen(error->message));
	if (!pg_verifymbstr(error->message, strlen(error->message), true))
		violated("%s: a message that is no text", where);
	if (error->internalquery != NULL)
	{
		if (strlen(error->internalquery) > 16 * 1024 ||
			!pg_verifymbstr(error->internalquery, strlen(error->internalquery), true))
			violated("%s: a bad excerpt", where);
		if (error->internalpos < 0 ||
			error->internalpos > pg_mbstrlen(error->internalquery) + 1)
			violated("%s: position %d is not in the excerpt", where, error->internalpos);
	}
	snprintf(outcome, sizeof(outcome), "%s", state);
}

/* What the reading of scripts may end in: ours, and what the parser says. */
#define SCRIPT_CODES	"MG011 42 22 0A000 54"

static bool
text_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* A text without zero bytes and with every byte that is not UTF-8 made "?". */
static char *
clean_text(const char *input, int len)
{
	char	   *text = palloc(len + 1);
	int			i = 0;

	while (i < len && input[i] != '\0')
	{
		int			n = pg_utf_mblen((const unsigned char *) input + i);

		if (n <= len - i && memchr(input + i, '\0', n) == NULL &&
			pg_utf8_islegal((const unsigned char *) input + i, n))
		{
			memcpy(text + i, input + i, n);
			i += n;
		}
		else
			text[i++] = '?';
	}
	text[i] = '\0';
	return pstrdup(text);
}

/* ----------
 * Scripts
 * ----------
 */

typedef struct ScriptWork
{
	const char *sql;
	bool		transactional;
	ScriptOrigin origin;
	char	   *checked;
	List	   *statements;
} ScriptWork;

static void
do_check(void *arg)
{
	ScriptWork *work = arg;

	work->checked = mig_script_check(work->sql, work->transactional, &work->origin);
}

static void
do_split(void *arg)
{
	ScriptWork *work = arg;

	work->statements = mig_script_split(work->sql);
}

/* The statements of a text lie in it in order. */
static int
rules_of_split(const char *sql, const char *where)
{
	ScriptWork	work = {.sql = sql};
	ErrorData  *error = attempt(do_split, &work);
	int			end = 0;
	int			number = 0;
	ListCell   *lc;

	if (error != NULL)
		violated("%s: what was checked does not split: %s", where, error->message);
	foreach(lc, work.statements)
	{
		const ScriptStatement *stmt = lfirst(lc);

		if (stmt->location < end || stmt->len <= 0 ||
			stmt->location + stmt->len > (int) strlen(sql))
			violated("%s: statement %d is at %d, %d bytes", where, number + 1,
					 stmt->location, stmt->len);
		if (stmt->number != ++number ||
			stmt->line != mig_text_line(sql, stmt->location))
			violated("%s: statement %d is said to be %d in line %d", where,
					 number, stmt->number, stmt->line);
		end = stmt->location + stmt->len;
	}
	return number;
}

/* What holds for every script that was accepted. */
static void
rules_of_script(const char *checked, bool transactional, const char *where)
{
	ScriptWork	again = {.sql = checked, .transactional = transactional};
	ErrorData  *error = attempt(do_check, &again);

	if (error != NULL)
		violated("%s: checked again it is refused: %s", where, error->message);
	if (!text_same(checked, again.checked))
		violated("%s: checked again it is another: \"%s\", \"%s\"", where, checked, again.checked);
	if (!mig_script_same(checked, checked) || !mig_script_same(checked, again.checked))
		violated("%s: not the same as itself", where);
	rules_of_split(checked, where);
}

/* ----------
 * Files
 * ----------
 */

typedef struct FileWork
{
	const char *content;
	const char *name;
	RevisionFile *file;
	Revision   *rev;
	char	   *written;
} FileWork;

static void
do_read(void *arg)
{
	FileWork   *work = arg;

	work->file = mig_format_read(work->content, work->name, false);
}

static void
do_write(void *arg)
{
	FileWork   *work = arg;

	work->written = mig_native_write(work->rev);
}

/* Can the names of a list be stored?  A file may hold more. */
static bool
names_good(List *names)
{
	ListCell   *lc;

	foreach(lc, names)
		if (mig_revision_name_fault(lfirst(lc)) != NULL)
			return false;
	return true;
}

/* Everything that two files say is the same. */
static void
files_same(const Revision *a, const Revision *b, const char *where)
{
	if (strcmp(a->revision, b->revision) != 0)
		violated("%s: id \"%s\" became \"%s\"", where, a->revision, b->revision);
	if (!mig_revision_same(a, b))
		violated("%s: another revision", where);
	if (!text_same(a->upgrade_sql, b->upgrade_sql))
		violated("%s: upgrade \"%s\" became \"%s\"", where, a->upgrade_sql, b->upgrade_sql);
	if (!text_same(a->downgrade_sql, b->downgrade_sql))
		violated("%s: downgrade \"%s\" became \"%s\"", where, a->downgrade_sql, b->downgrade_sql);
	if (a->has_created_at != b->has_created_at ||
		(a->has_created_at && a->created_at != b->created_at))
		violated("%s: another date", where);
}

/* write, read, write. */
static void
rules_of_round_trip(Revision *rev, const char *where)
{
	FileWork	out = {.rev = rev};
	FileWork	in;
	ErrorData  *error = attempt(do_write, &out);

	if (error != NULL)
		violated("%s: cannot be written: %s", where, error->message);
	memset(&in, 0, sizeof(in));
	in.content = out.written;
	error = attempt(do_read, &in);
	if (error != NULL)
		violated("%s: what was written cannot be read: %s (%s)", where, error->message,
				 error->context ? error->context : "");
	files_same(rev, &in.file->rev, where);
	in.rev = &in.file->rev;
	error = attempt(do_write, &in);
	if (error != NULL || strcmp(in.written, out.written) != 0)
		violated("%s: written again it is another", where);
}

static void
rules_of_name(const char *revision, const char *message)
{
	char	   *name = mig_file_name_write(revision, message, false);

	if (*name == '\0' || *name == '.' || strlen(name) > 255 || strchr(name, '/') ||
		strlen(name) < 5 || strcmp(name + strlen(name) - 4, ".sql") != 0 ||
		!pg_verifymbstr(name, strlen(name), true))
		violated("file name \"%s\"", name);
}

/* The same with CRLF line ends, and with a byte order mark. */
static void
rules_of_line_ends(const char *content, const FileWork *plain, const ErrorData *plain_error)
{
	StringInfoData other;
	FileWork	work = {0};
	ErrorData  *error;

	if (strchr(content, '\r') != NULL || strncmp(content, "\xEF\xBB\xBF", 3) == 0)
		return;
	initStringInfo(&other);
	appendStringInfoString(&other, "\xEF\xBB\xBF");
	for (const char *p = content; *p; p++)
	{
		if (*p == '\n')
			appendStringInfoChar(&other, '\r');
		appendStringInfoChar(&other, *p);
	}
	work.content = other.data;
	work.name = plain->name;
	error = attempt(do_read, &work);
	if ((error != NULL) != (plain_error != NULL))
		violated("with CRLF: %s, without: %s", error ? error->message : "accepted",
				 plain_error ? plain_error->message : "accepted");
	if (error != NULL)
	{
		if (error->sqlerrcode != plain_error->sqlerrcode ||
			!text_same(error->context, plain_error->context))
			violated("with CRLF: \"%s\" (%s), without: \"%s\" (%s)", error->message, error->context,
					 plain_error->message, plain_error->context);
		return;
	}
	if (!mig_revision_same(&work.file->rev, &plain->file->rev) ||
		strcmp(work.file->rev.revision, plain->file->rev.revision) != 0)
		violated("with CRLF it is another revision");
}

static void
target_file(const char *input, int len)
{
	FileWork	work = {0};
	int			content_len = strnlen(input, len);
	Revision   *rev;
	ErrorData  *error;

	work.content = clean_text(input, content_len);
	if (content_len < len)
		work.name = clean_text(input + content_len + 1, len - content_len - 1);
	error = attempt(do_read, &work);
	if (error != NULL)
	{
		judge(error, "reading a file", SCRIPT_CODES);
		if (error->context == NULL || strstr(error->context, "revision file") == NULL)
			violated("an error that names no file: %s", error->message);
		rules_of_line_ends(work.content, &work, error);
		return;
	}

	rev = &work.file->rev;
	if (mig_revision_name_fault(rev->revision) != NULL || !names_good(rev->branch_labels))
		violated("a bad name was accepted");
	if (strcmp(mig_header_check_message(rev->message), rev->message) != 0)
		violated("the message is not canonical");
	rules_of_script(rev->upgrade_sql, rev->upgrade_transactional, "upgrade script");
	if (rev->downgrade_sql != NULL)
		rules_of_script(rev->downgrade_sql, rev->downgrade_transactional, "downgrade script");
	if (names_good(rev->down_revisions) && names_good(rev->depends_on))
		rules_of_round_trip(rev, "round trip");
	rules_of_name(rev->revision, rev->message);
	rules_of_line_ends(work.content, &work, NULL);
	strcpy(outcome, "accepted");
}

static void
target_script(const char *input, int len)
{
	ScriptWork	work = {0};
	ErrorData  *error;
	Revision	rev = {0};
	int			before;
	int			after;

	if (len == 0)
		return;
	work.transactional = (*input & 1) == 0;
	work.origin.direction = (*input & 2) ? MIG_DOWNGRADE : MIG_UPGRADE;
	work.origin.revision = (*input & 4) ? "r1" : NULL;
	work.sql = clean_text(input + 1, len - 1);
	error = attempt(do_check, &work);
	if (error != NULL)
	{
		judge(error, "checking a script", SCRIPT_CODES);
		if (error->context == NULL || strstr(error->context, "script") == NULL)
			violated("an error that names no script: %s", error->message);
		return;
	}

	/* not as given: a vertical tab at the end is no white space before 16 */
	before = rules_of_split(mig_script_canonical(work.sql, strlen(work.sql)), "as given");
	after = rules_of_split(work.checked, "as checked");
	if (after != before && !(work.transactional && after == before - 2))
		violated("%d statements became %d", before, after);
	rules_of_script(work.checked, work.transactional, "script");

	rev.revision = "r1";
	rev.message = "m";
	rev.upgrade_sql = work.checked;
	rev.upgrade_transactional = work.transactional;
	rev.downgrade_transactional = true;
	rules_of_round_trip(&rev, "as upgrade");
	rev.downgrade_sql = work.checked;
	rev.downgrade_transactional = work.transactional;
	rules_of_round_trip(&rev, "as both");
	strcpy(outcome, "accepted");
}

/* ----------
 * Targets
 * ----------
 */

#define TARGET_CODES	"MG001 MG002 MG003 MG005"

typedef struct TargetWork
{
	const char *graph_text;
	const char *rows_text;
	const char *target;
	Graph	   *graph;
	Bitmapset  *rows;
	Bitmapset  *found;
	int			node;
	List	   *steps;
	Bitmapset  *after;			/* rows, of a stamp */
	bool		purge;
	MigDirection direction;
} TargetWork;

/*
 * The graph of an input's first line: revisions separated by blanks, each an
 * id, then any number of "<" parent, "&" dependency, "#" label.
 */
static void
do_read_graph(void *arg)
{
	TargetWork *work = arg;
	Graph	   *graph = mig_graph_create();
	const char *p = work->graph_text;

	for (int n = 0; *p && n < MAX_NODES;)
	{
		List	   *lists[3] = {NIL, NIL, NIL};
		static const char marks[] = "<&#";
		char	   *id;
		int			len = strcspn(p, " <&#");

		id = pnstrdup(p, len);
		p += len;
		while (*p && *p != ' ')
		{
			int			kind = strchr(marks, *p) - marks;

			len = strcspn(p + 1, " <&#");
			lists[kind] = lappend(lists[kind], pnstrdup(p + 1, len));
			p += 1 + len;
		}
		while (*p == ' ')
			p++;
		mig_graph_add(graph, id, lists[0], lists[1], lists[2]);
		n++;
	}
	mig_graph_index(graph);
	mig_graph_link(graph);
	work->graph = graph;
}

/* The version rows: ids of the second line, as far as they are some. */
static void
read_rows(TargetWork *work)
{
	const char *p = work->rows_text;

	while (*p)
	{
		int			len = strcspn(p, " ");
		int			node = mig_graph_find_id(work->graph, pnstrdup(p, len));

		if (node >= 0)
			work->rows = bms_add_member(work->rows, node);
		p += len;
		while (*p == ' ')
			p++;
	}
	work->rows = mig_graph_maximal(work->graph, work->rows);
}

static void
do_upgrade(void *arg)
{
	TargetWork *work = arg;

	work->found = mig_target_upgrade(work->graph, work->rows, work->target);
}

static void
do_downgrade(void *arg)
{
	TargetWork *work = arg;

	work->node = mig_target_downgrade(work->graph, work->rows, work->target).node;
}

static void
do_stamp(void *arg)
{
	TargetWork *work = arg;

	work->found = mig_target_stamp(work->graph, work->rows, work->target).destinations;
}

static void
do_resolve(void *arg)
{
	TargetWork *work = arg;

	work->found = mig_target_resolve(work->graph, work->rows, work->target);
}

static void
do_one(void *arg)
{
	TargetWork *work = arg;

	work->node = mig_target_one(work->graph, work->rows, work->target);
}

static void
do_name(void *arg)
{
	TargetWork *work = arg;

	work->node = mig_target_name(work->graph, work->target);
}

static void
do_range(void *arg)
{
	TargetWork *work = arg;

	work->found = mig_target_range(work->graph, work->rows, work->target);
}

static void
do_plan_upgrade(void *arg)
{
	TargetWork *work = arg;

	work->steps = mig_plan_upgrade(work->graph, work->rows, work->target);
}

static void
do_plan_downgrade(void *arg)
{
	TargetWork *work = arg;

	work->steps = mig_plan_downgrade(work->graph, work->rows, work->target);
}

static void
do_plan_stamp(void *arg)
{
	TargetWork *work = arg;

	work->steps = mig_plan_stamp(work->graph, work->rows,
								 list_make1(unconstify(char *, work->target)),
								 work->purge, &work->after);
}

static void
do_plan_range(void *arg)
{
	TargetWork *work = arg;

	work->steps = mig_plan_range(work->graph, work->rows, work->target,
								 work->direction, &work->found);
}

static void
do_draw(void *arg)
{
	TargetWork *work = arg;
	DrawInput	input = {0};

	input.graph = work->graph;
	input.current = work->rows;
	input.applied = mig_graph_ancestors(work->graph, work->rows, GRAPH_REAL);
	input.messages = palloc((work->graph->n + 1) * sizeof(char *));
	for (int i = 0; i < work->graph->n; i++)
		input.messages[i] = "message";
	work->steps = work->direction == MIG_UPGRADE ? mig_draw_text(&input) :
		work->purge ? mig_draw_dot(&input) : mig_draw_mermaid(&input);
}

/* Call one function; true when it gave a result. */
static bool
target_works(Work call, TargetWork *work, const char *what)
{
	ErrorData  *error;

	work->found = NULL;
	work->node = TARGET_BASE;
	work->steps = NIL;
	error = attempt(call, work);
	if (error != NULL)
	{
		judge(error, what, TARGET_CODES);
		return false;
	}
	if (bms_prev_member(work->found, -1) >= work->graph->n)
		violated("%s: a node that is none", what);
	if (work->node < TARGET_BASE || work->node >= work->graph->n)
		violated("%s: node %d of %d", what, work->node, work->graph->n);
	strcpy(outcome, "accepted");
	return true;
}

/* The graph itself: sorted, and both directions of every edge. */
static void
rules_of_graph(const Graph *graph)
{
	Bitmapset  *all = NULL;

	for (int i = 0; i < graph->n; i++)
	{
		const GraphNode *node = &graph->nodes[i];

		all = bms_add_member(all, graph->order[i]);
		if (graph->order[node->rank] != i)
			violated("rank of node %d", i);
		if (i > 0 && strcmp(graph->nodes[i - 1].revision, node->revision) >= 0)
			violated("nodes are not in the order of their ids");
		for (int k = 0; k < node->down.n; k++)
			if (graph->nodes[node->down.to[k]].rank >= node->rank)
				violated("a parent comes after its child");
		for (int k = 0; k < node->depends.n; k++)
			if (graph->nodes[node->depends.to[k]].rank >= node->rank)
				violated("a dependency comes after what depends on it");
		if (mig_graph_find_id(graph, node->revision) != i)
			violated("node %d is not found", i);
	}
	if (bms_num_members(all) != graph->n)
		violated("the order is no permutation");
	if (graph->n > 0 && bms_is_empty(mig_graph_heads(graph, GRAPH_REAL)))
		violated("no heads");
}

/* A drawing has every revision, in lines that are lines. */
static void
rules_of_drawing(const Graph *graph, List *lines)
{
	StringInfoData whole;
	ListCell   *lc;

	initStringInfo(&whole);
	foreach(lc, lines)
	{
		const char *line = lfirst(lc);

		if (strpbrk(line, "\r\n") != NULL || !pg_verifymbstr(line, strlen(line), true))
			violated("a drawing with a bad line: %s", line);
		if (line[0] != '\0' && line[strlen(line) - 1] == ' ')
			violated("a drawing with a blank at the end of a line: %s", line);
		appendStringInfo(&whole, "%s\n", line);
	}
	for (int i = 0; i < graph->n; i++)
	{
		const char *id = graph->nodes[i].revision;

		/* what else is in an id may be escaped */
		if (strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(id) &&
			strstr(whole.data, id) == NULL)
			violated("revision \"%s\" is not in the drawing", id);
	}
}

/* After a plan, what is applied must be closed, and the rows its tops. */
static Bitmapset *
rules_of_plan(TargetWork *work, MigDirection direction)
{
	const Graph *graph = work->graph;
	Bitmapset  *applied = mig_graph_ancestors(graph, work->rows, GRAPH_REAL);
	PlanRows   *state = mig_plan_rows_begin(graph, work->rows);
	ListCell   *lc;

	foreach(lc, work->steps)
	{
		int			node = lfirst_int(lc);

		if (node < 0 || node >= graph->n)
			violated("step to node %d", node);
		if (bms_is_member(node, applied) != (direction == MIG_DOWNGRADE))
			violated("a step that is done already: \"%s\"", graph->nodes[node].revision);
		if (direction == MIG_UPGRADE)
			applied = bms_add_member(applied, node);
		else
			applied = bms_del_member(applied, node);
		if (!bms_equal(applied, mig_graph_ancestors(graph, applied, GRAPH_REAL)))
			violated("\"%s\" is out of order", graph->nodes[node].revision);
		mig_plan_rows_step(state, node, direction);
		if (!bms_equal(state->rows, mig_graph_maximal(graph, applied)))
			violated("rows after \"%s\"", graph->nodes[node].revision);
	}
	return applied;
}

static void
target_target(const char *input, int len)
{
	TargetWork	work = {0};
	char	   *text = clean_text(input, len);
	char	   *line_end = strchr(text, '\n');
	ErrorData  *error;
	Bitmapset  *resolved;
	bool		works;
	int			named;

	if (line_end == NULL)
		return;
	work.graph_text = pnstrdup(text, line_end - text);
	text = line_end + 1;
	line_end = strchr(text, '\n');
	if (line_end == NULL)
		return;
	work.rows_text = pnstrdup(text, line_end - text);
	work.target = pstrdup(line_end + 1);

	error = attempt(do_read_graph, &work);
	if (error != NULL)
	{
		judge(error, "a graph", "MG010");
		return;
	}
	rules_of_graph(work.graph);
	read_rows(&work);

	(void) target_works(do_stamp, &work, "stamp");
	(void) target_works(do_downgrade, &work, "downgrade");
	named = target_works(do_name, &work, "name") ? work.node : -1;
	if (named >= 0 && strcmp(work.target, work.graph->nodes[named].revision) == 0)
	{
		if (!target_works(do_resolve, &work, "resolve") ||
			bms_singleton_member(work.found) != named)
			violated("an id does not name its revision");
	}

	works = target_works(do_resolve, &work, "resolve");
	resolved = work.found;
	if (target_works(do_one, &work, "one"))
	{
		if (!works || bms_num_members(resolved) != (work.node == TARGET_BASE ? 0 : 1) ||
			(work.node >= 0 && !bms_is_member(work.node, resolved)))
			violated("one is not what resolve says");
	}
	else if (works && bms_membership(resolved) == BMS_SINGLETON)
		violated("resolve gives one, one nothing");
	if (target_works(do_range, &work, "range"))
	{
		Bitmapset  *first = work.found;

		if (!target_works(do_range, &work, "range") || !bms_equal(first, work.found))
			violated("a range that changes");
	}

	if (target_works(do_upgrade, &work, "upgrade"))
	{
		Bitmapset  *wanted = work.found;

		if (target_works(do_plan_upgrade, &work, "plan of an upgrade"))
		{
			Bitmapset  *applied = rules_of_plan(&work, MIG_UPGRADE);
			Bitmapset  *expected = bms_union(mig_graph_ancestors(work.graph, work.rows, GRAPH_REAL),
											 mig_graph_ancestors(work.graph, wanted, GRAPH_REAL));

			if (!bms_equal(applied, expected))
				violated("an upgrade that applies something else");
		}
	}
	if (target_works(do_plan_downgrade, &work, "plan of a downgrade"))
		(void) rules_of_plan(&work, MIG_DOWNGRADE);
	for (int down = 0; down < 2; down++)
	{
		Bitmapset  *rows = work.rows;

		work.direction = down ? MIG_DOWNGRADE : MIG_UPGRADE;
		if (target_works(do_plan_range, &work, "plan of a range"))
		{
			work.rows = work.found;
			(void) rules_of_plan(&work, work.direction);
		}
		work.rows = rows;
	}
	for (int kind = 0; kind < 3; kind++)
	{
		work.direction = kind == 0 ? MIG_UPGRADE : MIG_DOWNGRADE;
		work.purge = kind == 1;
		if (!target_works(do_draw, &work, "a drawing"))
			violated("a graph that cannot be drawn");
		rules_of_drawing(work.graph, work.steps);
	}
	for (int purge = 0; purge < 2; purge++)
	{
		work.purge = purge;
		if (target_works(do_plan_stamp, &work, "plan of a stamp") &&
			!bms_equal(work.after, mig_graph_maximal(work.graph, work.after)))
			violated("a stamp that leaves rows which overlap");
	}
}

/* ----------
 * Running
 * ----------
 */

static const struct
{
	const char *name;
	Target		run;
}			targets[] =
{
	{"file", target_file},
	{"script", target_script},
	{"target", target_target},
};

static Target
find_target(const char *name)
{
	for (size_t i = 0; i < lengthof(targets); i++)
		if (strcmp(targets[i].name, name) == 0)
			return targets[i].run;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("no target \"%s\"", name)));
	return NULL;
}

static void
run_input(Target target, const char *input, int len)
{
	static long runs = 0;
	static Size baseline = 0;
	static int	level = 0;
	MemoryContext caller = CurrentMemoryContext;

	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("needs a database in UTF8")));
	if (input_context == NULL)
		input_context = AllocSetContextCreate(TopMemoryContext, "fuzz input",
											  ALLOCSET_DEFAULT_SIZES);
	strcpy(outcome, "skipped");
	MemoryContextSwitchTo(input_context);
	target(input, Min(len, MAX_INPUT));
	MemoryContextSwitchTo(caller);
	MemoryContextReset(input_context);
	pieces_free();

	/* what stays from one input to the next: nothing */
	if (fuzzing && (++runs & 0xfff) == 0)
	{
		Size		now = MemoryContextMemAllocated(TopMemoryContext, true);
		int			now_level = NewGUCNestLevel();

		AtEOXact_GUC(false, now_level);
		if (baseline == 0)
		{
			baseline = now;
			level = now_level;
		}
		if (now > baseline + MAX_GROWTH)
			violated("memory grew from %zu to %zu bytes", (size_t) baseline, (size_t) now);
		if (now_level != level)
			violated("levels of settings: %d, not %d", now_level, level);
	}
}

/* fuzz_one(target text, input bytea) returns text: "accepted" or a SQLSTATE */
Datum
fuzz_one(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bytea	   *input = PG_GETARG_BYTEA_PP(1);

	run_input(find_target(name), VARDATA_ANY(input), VARSIZE_ANY_EXHDR(input));
	PG_RETURN_TEXT_P(cstring_to_text(outcome));
}

#ifdef FUZZ_LIBFUZZER
static Target fuzzed;

static int
fuzz_callback(const uint8_t *data, size_t size)
{
	PG_TRY();
	{
		run_input(fuzzed, (const char *) data, (int) size);
	}
	PG_CATCH();
	{
		EmitErrorReport();
		fprintf(stderr, "RULE BROKEN: an error where none may be\n");
		abort();
	}
	PG_END_TRY();
	return 0;
}

/* fuzz_run(target text, arguments text[]): does not return */
Datum
fuzz_run(PG_FUNCTION_ARGS)
{
	static const int signals[] = {
		SIGALRM, SIGINT, SIGTERM, SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGXFSZ,
		SIGUSR1, SIGUSR2
	};
	Datum	   *values;
	int			n;
	int			argc = 0;
	char	  **argv;

	fuzzed = find_target(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT,
					  &values, NULL, &n);
	argv = MemoryContextAlloc(TopMemoryContext, (n + 2) * sizeof(char *));
	argv[argc++] = "fuzz";
	for (int i = 0; i < n; i++)
		argv[argc++] = MemoryContextStrdup(TopMemoryContext, TextDatumGetCString(values[i]));
	argv[argc] = NULL;

	/* libFuzzer sets its handlers only where there are none */
	for (size_t i = 0; i < lengthof(signals); i++)
		signal(signals[i], SIG_DFL);
	fuzzing = true;
	LLVMFuzzerRunDriver(&argc, &argv, fuzz_callback);
	exit(0);
}
#endif							/* FUZZ_LIBFUZZER */
