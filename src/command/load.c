/*
 * load.c
 *		Loading revision files: load, load_directory, load_files, file_status.
 *
 * Here files are read, of the server or of arrays that a client sends; storing
 * them is store/loader.  Each is read in a subtransaction, so that all that cannot be
 * taken are reported together.  First their headers are read, then those that are
 * stored as they are get their scripts from there; only the others are parsed.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "migrate.h"

#include "files/bytes.h"
#include "files/directory.h"
#include "files/format.h"
#include "script/excerpt.h"
#include "sql.h"
#include "store/loader.h"
#include "store/scope.h"
#include "store/subtransaction.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(migrate_load);
PG_FUNCTION_INFO_V1(migrate_load_directory);
PG_FUNCTION_INFO_V1(migrate_load_files);
PG_FUNCTION_INFO_V1(migrate_file_status);

/* About how many bytes of faults of files are told. */
#define MAX_FAULTS		8192

/* A file that is being read. */
typedef struct Source
{
	char	   *name;
	bytea	   *bytes;			/* NULL: it is in reading->path */
	RevisionFile *file;			/* NULL: not known yet, or it has a fault */
	ErrorData  *fault;			/* NULL: none */
} Source;

/* All of them. */
typedef struct Reading
{
	const char *path;			/* of a directory, or NULL */
	const FileFormat *format;	/* NULL: any */
	bool		allow_broken;	/* downgrade scripts */
	Source	   *source;			/* the one that is being read */
	bool		upgrade_only;
} Reading;

static const FileFormat *format_arg(FunctionCallInfo fcinfo);
static void check_format(List *files, const FileFormat *format);
static List *directory_sources(const Reading *reading);
static List *array_sources(FunctionCallInfo fcinfo);
static int	compare_sources(const ListCell *a, const ListCell *b);
static List *read_sources(Reading *reading, List *sources);
static void begin_source(void *argument);
static void read_scripts(void *argument);
static void read_or_leave_out(Reading *reading);
static ErrorData *attempt(Reading *reading, void (*body) (void *reading));
static bool is_of_file(const ErrorData *error);
static void warn_of_downgrade(const RevisionFile *file, const ErrorData *fault);
static char *describe_fault(const ErrorData *fault);
static void refuse_faults(List *sources);
static const char *common_hint(List *sources);

/*
 * Implement migrate.load(content, name): store the revision of one file.
 * Errors: MG001 to MG003, MG007, MG010, MG011, and the parser's.
 */
Datum
migrate_load(PG_FUNCTION_ARGS)
{
	char	   *content = mig_sql_text_arg(fcinfo, 0, "content");
	RevisionFile *file;
	char	   *name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));

	mig_scope_refuse_in_script("migrate.load()");
	file = mig_format_read(content, name, false);
	mig_loader_store_one(file, "migrate.load()");
	PG_RETURN_TEXT_P(cstring_to_text(file->rev.revision));
}

/*
 * Implement migrate.load_directory(path, format, allow_broken_downgrades): store the
 * revisions of all files of a directory of the server. Errors: as migrate.load,
 * those of mig_directory_list and mig_directory_read_file, 22004, 22023.
 */
Datum
migrate_load_directory(PG_FUNCTION_ARGS)
{
	Reading		reading = {.path = mig_sql_text_arg(fcinfo, 0, "path"),
	.format = format_arg(fcinfo),
	.allow_broken = mig_sql_bool_arg(fcinfo, 2, "allow_broken_downgrades")};
	List	   *files;

	mig_scope_refuse_in_script("migrate.load_directory()");
	files = read_sources(&reading, directory_sources(&reading));
	if (reading.format != NULL)
		check_format(files, reading.format);
	return mig_sql_ids(fcinfo, mig_loader_store(files, false, "migrate.load_directory()"));
}

/*
 * Implement migrate.load_files(files, names, prune, allow_broken_downgrades): store the
 * revisions of files that the client sends. Errors: as migrate.load, 22004, 22023,
 * 22021, 22P05.
 */
Datum
migrate_load_files(PG_FUNCTION_ARGS)
{
	bool		prune = mig_sql_bool_arg(fcinfo, 2, "prune");
	Reading		reading = {.allow_broken = mig_sql_bool_arg(fcinfo, 3,
															"allow_broken_downgrades")};
	List	   *files;

	mig_scope_refuse_in_script("migrate.load_files()");
	files = read_sources(&reading, array_sources(fcinfo));
	return mig_sql_ids(fcinfo, mig_loader_store(files, prune, "migrate.load_files()"));
}

/*
 * Implement migrate.file_status(files, names): compare files that the client sends with
 * what is stored. Errors: as migrate.load_files, but for those of writing.
 */
Datum
migrate_file_status(PG_FUNCTION_ARGS)
{
	Reading		reading = {0};
	List	   *files = read_sources(&reading, array_sources(fcinfo));
	TupleDesc	tupdesc;
	Tuplestorestate *store = mig_sql_begin(fcinfo, &tupdesc);
	ListCell   *lc;

	foreach(lc, mig_loader_status(files))
	{
		const FileStatus *status = lfirst(lc);
		const char *texts[4] = {status->revision, status->name, status->state,
		status->detail};
		Datum		values[4];
		bool		nulls[4];

		for (int i = 0; i < 4; i++)
		{
			nulls[i] = texts[i] == NULL;
			values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
		}
		tuplestore_putvalues(store, tupdesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * Return the format that argument 1 names, NULL for auto.
 * Errors: 22004, 22023.
 */
static const FileFormat *
format_arg(FunctionCallInfo fcinfo)
{
	char	   *name = mig_sql_text_arg(fcinfo, 1, "format");
	const FileFormat *format;

	if (strcmp(name, "auto") == 0)
		return NULL;
	format = mig_format_find(name);
	if (format == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized format \"%s\"", name),
				 errhint("Use auto, native or dbmate.")));
	return format;
}

/*
 * Check that all files are of a format. Errors: MG011.
 */
static void
check_format(List *files, const FileFormat *format)
{
	ListCell   *lc;

	foreach(lc, files)
	{
		const RevisionFile *file = lfirst(lc);

		if (file->format == format)
			continue;
		if (format->has_header)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_BAD_SCRIPT),
					 errmsg("revision file \"%s\" has no header",
							mig_excerpt_printable(file->name)),
					 errhint("Begin it with comment lines \"-- Revision ID: ...\" and \"-- Revises: ...\", or use the format dbmate or auto.")));
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("revision file \"%s\" has a header, which files of dbmate do not",
						mig_excerpt_printable(file->name)),
				 errhint("Use the format native or auto.")));
	}
}

/*
 * Return the files of reading->path (Source *), sorted by name; of a format that does
 * not take all names without the others, with a NOTICE for each. Errors: those of
 * mig_directory_list, 58P01 when none is left.
 */
static List *
directory_sources(const Reading *reading)
{
	const FileFormat *format = reading->format;
	List	   *sources = NIL;
	ListCell   *lc;

	foreach(lc, mig_directory_list(reading->path))
	{
		Source	   *source = palloc0(sizeof(Source));

		source->name = lfirst(lc);
		if (format == NULL || format->takes == NULL || format->takes(source->name))
			sources = lappend(sources, source);
		else
			ereport(NOTICE,
					(errmsg("file \"%s\" is left out", mig_excerpt_printable(source->name)),
					 errdetail("Files of %s have names that begin with a digit.",
							   format->name)));
	}
	if (sources == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("directory \"%s\" has no files of %s",
						mig_excerpt_printable(reading->path), format->name),
				 errhint("Use the format native or auto.")));
	return sources;
}

/*
 * Return the files of arguments 0 and 1 (Source *), sorted by name. Errors: 22004,
 * 22023.
 */
static List *
array_sources(FunctionCallInfo fcinfo)
{
	List	   *files = mig_sql_bytes_arg(fcinfo, 0, "files");
	List	   *names = mig_sql_array_arg(fcinfo, 1, "names");
	List	   *sources = NIL;
	ListCell   *file;
	ListCell   *name;

	if (list_length(files) != list_length(names))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("files and names must be of the same length"),
				 errdetail("There are %d files and %d names.", list_length(files),
						   list_length(names))));
	if (files == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("files must not be empty"),
				 errhint("Is this the directory of the revision files?")));
	forboth(file, files, name, names)
	{
		Source	   *source = palloc0(sizeof(Source));

		source->bytes = lfirst(file);
		source->name = lfirst(name);
		sources = lappend(sources, source);
	}
	list_sort(sources, compare_sources);
	return sources;
}

/*
 * Compare two files by the bytes of their names, for list_sort.
 */
static int
compare_sources(const ListCell *a, const ListCell *b)
{
	return strcmp(((Source *) lfirst(a))->name, ((Source *) lfirst(b))->name);
}

/*
 * Return the revisions of files (RevisionFile *), in their order. Errors: those of the
 * files, together.
 */
static List *
read_sources(Reading *reading, List *sources)
{
	List	   *files = NIL;
	ListCell   *lc;

	foreach(lc, sources)
	{
		reading->source = lfirst(lc);
		reading->source->fault = attempt(reading, begin_source);
		if (reading->source->fault == NULL)
			files = lappend(files, reading->source->file);
	}
	mig_loader_recognize(files);
	foreach(lc, sources)
	{
		reading->source = lfirst(lc);
		if (reading->source->fault == NULL && !reading->source->file->has_scripts)
			read_or_leave_out(reading);
	}
	refuse_faults(sources);
	return files;
}

/*
 * Read what the source says before its scripts; the body of an attempt.
 */
static void
begin_source(void *argument)
{
	Reading    *reading = argument;
	Source	   *source = reading->source;
	char	   *shown = source->name;
	char	   *content = source->bytes ?
		mig_bytes_text(source->name, VARDATA_ANY(source->bytes),
					   VARSIZE_ANY_EXHDR(source->bytes)) :
		mig_directory_read_file(reading->path, source->name, &shown);

	source->file = mig_format_begin(content, shown);
}

/*
 * Read the scripts of the source; the body of an attempt.
 */
static void
read_scripts(void *argument)
{
	Reading    *reading = argument;

	mig_format_read_scripts(reading->source->file, reading->upgrade_only);
}

/*
 * Read the scripts of the source, where that is allowed without the downgrade script if
 * it has a fault, or note the fault.
 */
static void
read_or_leave_out(Reading *reading)
{
	ErrorData  *fault;

	reading->upgrade_only = false;
	fault = attempt(reading, read_scripts);
	if (fault == NULL)
		return;
	reading->upgrade_only = true;
	if (reading->allow_broken && attempt(reading, read_scripts) == NULL)
		warn_of_downgrade(reading->source->file, fault);
	else
		reading->source->fault = fault;
}

/*
 * Call body in a subtransaction, and return its error if it is one of the file, in the
 * current memory context; NULL: none.
 */
static ErrorData *
attempt(Reading *reading, void (*body) (void *reading))
{
	ErrorData  *fault = mig_subtransaction_try(body, reading);

	if (fault != NULL && !is_of_file(fault))
		ReThrowError(fault);
	return fault;
}

/*
 * Return whether an error can be one of a file, and not of the server or the client.
 */
static bool
is_of_file(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return error->elevel == ERROR && category != ERRCODE_OPERATOR_INTERVENTION &&
		category != ERRCODE_INSUFFICIENT_RESOURCES && category != ERRCODE_INTERNAL_ERROR;
}

/*
 * Warn that a downgrade script is left out because it cannot be taken.
 */
static void
warn_of_downgrade(const RevisionFile *file, const ErrorData *fault)
{
	ereport(WARNING,
			(errmsg("revision \"%s\" cannot be downgraded: its downgrade script is left out",
					file->rev.revision),
			 errdetail("%s", describe_fault(fault)),
			 errhint("Give it another with migrate.edit('%s', downgrade => ...).",
					 file->rev.revision)));
}

/*
 * Return an error as a line: where it is, and what, and of one of ours its detail,
 * which says of which other tool a file is.
 */
static char *
describe_fault(const ErrorData *fault)
{
	char	   *message = mig_excerpt_printable(fault->message);

	if (fault->context != NULL)
		message = psprintf("%s: %s", mig_excerpt_line(fault->context), message);
	if (fault->detail != NULL && fault->sqlerrcode == ERRCODE_MIG_BAD_SCRIPT)
		message = psprintf("%s. %s", message, mig_excerpt_printable(fault->detail));
	return mig_excerpt_for_client(message);
}

/*
 * Raise the faults of files (Source *), if there are any: the only one as it is, several
 * as one error, MG011.
 */
static void
refuse_faults(List *sources)
{
	ErrorData  *only = NULL;
	const char *hint = common_hint(sources);
	int			n = 0;
	bool		truncated = false;
	StringInfoData lines;
	ListCell   *lc;

	initStringInfo(&lines);
	foreach(lc, sources)
	{
		const Source *source = lfirst(lc);

		if (source->fault == NULL)
			continue;
		only = source->fault;
		n++;
		if (lines.len > MAX_FAULTS)
			truncated = true;
		else
			appendStringInfo(&lines, "%s%s", n > 1 ? "\n" : "", describe_fault(only));
	}
	if (n == 1)
		ReThrowError(only);
	if (n > 1)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%d of %d revision files cannot be loaded", n, list_length(sources)),
				 errdetail_internal("%s%s", lines.data, truncated ? "\n..." : ""),
				 hint ? errhint("%s", hint) : 0));
}

/*
 * Return the hint that all faults of files (Source *) have, NULL if they have none or
 * several.
 */
static const char *
common_hint(List *sources)
{
	const char *hint = NULL;
	ListCell   *lc;

	foreach(lc, sources)
	{
		const Source *source = lfirst(lc);

		if (source->fault == NULL)
			continue;
		if (source->fault->hint == NULL || (hint && strcmp(hint, source->fault->hint) != 0))
			return NULL;
		hint = source->fault->hint;
	}
	return hint;
}
