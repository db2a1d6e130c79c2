/*
 * bytes.h
 *		The text of files, of their bytes.
 */
#ifndef MIG_BYTES_H
#define MIG_BYTES_H

#include "migrate.h"

/* The byte order mark, which files may begin with. */
#define UTF8_BOM		"\xEF\xBB\xBF"

extern char *mig_bytes_text(const char *path, const char *bytes, int len);
extern char *mig_bytes_to_server(const char *path, const char *text, int len);

#endif							/* MIG_BYTES_H */
