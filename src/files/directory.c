/*
 * directory.c
 *		Reading files and directories of the server: role, size.
 *
 * The caller's role needs the privileges of pg_read_server_files, and then any
 * path is taken, as pg_read_file does; a relative one starts in the data
 * directory.  What is returned is text in the server encoding, see files/bytes.
 *
 * Descriptors are the server's own (AllocateFile, AllocateDir), so that an
 * error or an interrupt leaks none.  No locks.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#include "postgres.h"

#include <sys/stat.h>

#include "catalog/pg_authid.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "script/excerpt.h"
#include "storage/fd.h"
#include "utils/acl.h"

#include "compat.h"
#include "files/bytes.h"
#include "files/directory.h"

/* Largest file that is read, in bytes. */
#define MAX_FILE_SIZE	(256 * 1024 * 1024)

#define READ_SIZE		(64 * 1024)

pg_noreturn static void refuse_empty(const char *path, int others);
static int	file_error_code(void);
static void check_role(void);
static char *checked_path(const char *path);
static char *read_file(const char *path);
static void read_bytes(const char *path, StringInfo out);
static bool is_source_name(const char *name);
static int	compare_names(const ListCell *a, const ListCell *b);

/*
 * Return the names of the files of a directory that end in ".sql" (char *), in the
 * order of their bytes, in the current memory context.
 *
 * Regular files count, and symbolic links to such; files whose name begins with
 * a dot do not, nor do directories.  Errors: 42501 without the role, the
 * server's codes for file access, 58P01 when there is no such file.
 */
List *
mig_directory_list(const char *path)
{
	List	   *result = NIL;
	int			others = 0;
	DIR		   *dir;
	struct dirent *entry;

	check_role();
	path = checked_path(path);
	dir = AllocateDir(path);
	if (dir == NULL)
		ereport(ERROR,
				(file_error_code(),
				 errmsg("could not open directory \"%s\": %m", mig_excerpt_printable(path))));
	while ((entry = ReadDir(dir, path)) != NULL)
	{
		struct stat st;
		char	   *full;

		CHECK_FOR_INTERRUPTS();
		if (!is_source_name(entry->d_name))
		{
			others += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
			continue;
		}
		full = psprintf("%s/%s", path, entry->d_name);
		if (stat(full, &st) < 0)
			ereport(ERROR,
					(file_error_code(),
					 errmsg("could not stat file \"%s\": %m", mig_excerpt_printable(full))));
		pfree(full);
		if (S_ISREG(st.st_mode))
			result = lappend(result, pstrdup(entry->d_name));
		else
			others++;
	}
	FreeDir(dir);
	if (result == NIL)
		refuse_empty(path, others);
	list_sort(result, compare_names);
	return result;
}

/*
 * Report that there is nothing to load: an empty or wrong directory must not look
 * like one that was loaded before.  Errors: 58P01.
 */
static void
refuse_empty(const char *path, int others)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FILE),
			 errmsg("directory \"%s\" has no revision files", mig_excerpt_printable(path)),
			 others > 0 ?
			 errdetail_plural("It has %d other entry.", "It has %d other entries.",
							  others, others) :
			 errdetail("It is empty."),
			 errhint("Revision files are those whose names end in \".sql\", in lower case; subdirectories are not read.")));
}

/*
 * Return the text of a file of a directory, named as mig_directory_list does, in
 * the server encoding and the current memory context, and set *shown to the name
 * in the server encoding.
 *
 * Errors: 42501 without the role, the server's codes for file access, MG011 for a
 * NUL byte, 22021 or 22P05 for other bytes that are not text, 54000 for a file that
 * is too large, and that of a file that disappeared meanwhile.
 */
char *
mig_directory_read_file(const char *path, const char *name, char **shown)
{
	char	   *full;
	char	   *content;

	check_role();
	full = psprintf("%s/%s", checked_path(path), name);
	*shown = mig_bytes_to_server(full, name, strlen(name));
	content = read_file(full);
	pfree(full);
	return content;
}

/*
 * Do what errcode_for_file_access does, which does not know all that a path
 * can be refused for.
 */
static int
file_error_code(void)
{
	if (errno == ENAMETOOLONG || errno == ELOOP)
		return errcode(ERRCODE_INVALID_PARAMETER_VALUE);
	return errcode_for_file_access();
}

/* May the current role read files of the server? */
static void
check_role(void)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to read files of the server"),
				 errdetail("Only roles with privileges of the \"%s\" role may read files of the server.",
						   "pg_read_server_files"),
				 errhint("A client can read the files itself and pass them to migrate.load().")));
}

/* A copy of the path in the server's form. */
static char *
checked_path(const char *path)
{
	char	   *result = pstrdup(path);

	canonicalize_path(result);
	if (*result == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("path must not be empty")));
	return result;
}

/* The text of a file, in the server encoding. */
static char *
read_file(const char *path)
{
	StringInfoData bytes;
	char	   *result;

	initStringInfo(&bytes);
	read_bytes(path, &bytes);
	result = mig_bytes_text(path, bytes.data, bytes.len);
	pfree(bytes.data);
	return result;
}

/*
 * Append all of a file.  It is read to its end, not to the size that it had:
 * it may grow meanwhile.
 */
static void
read_bytes(const char *path, StringInfo out)
{
	struct stat st;
	FILE	   *file;
	size_t		n;

	/* before it is opened: opening a FIFO would wait */
	if (stat(path, &st) < 0)
		ereport(ERROR,
				(file_error_code(),
				 errmsg("could not stat file \"%s\": %m", mig_excerpt_printable(path))));
	if (!S_ISREG(st.st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a regular file", mig_excerpt_printable(path))));
	file = AllocateFile(path, "rb");
	if (file == NULL)
		ereport(ERROR,
				(file_error_code(),
				 errmsg("could not open file \"%s\" for reading: %m", mig_excerpt_printable(path))));
	do
	{
		CHECK_FOR_INTERRUPTS();
		enlargeStringInfo(out, READ_SIZE);
		n = fread(out->data + out->len, 1, READ_SIZE, file);
		out->len += n;
		if (out->len > MAX_FILE_SIZE)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("file \"%s\" is larger than %d MB", mig_excerpt_printable(path),
							MAX_FILE_SIZE / (1024 * 1024))));
	} while (n == READ_SIZE);
	if (ferror(file))
		ereport(ERROR,
				(file_error_code(),
				 errmsg("could not read file \"%s\": %m", mig_excerpt_printable(path))));
	FreeFile(file);
	out->data[out->len] = '\0';
}

/*
 * Return whether a name is that of a file to be loaded: it ends in ".sql" and
 * does not begin with a dot.
 */
static bool
is_source_name(const char *name)
{
	size_t		len = strlen(name);

	return name[0] != '.' && len > 4 && strcmp(name + len - 4, ".sql") == 0;
}

/*
 * Compare two names by their bytes, for list_sort.
 */
static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}
