/*
 * psql.h
 *		A script as psql is to be given it.
 *
 * Pure text work with the server's own lexer and parser.  Results are palloc'd in
 * the current memory context.
 */
#ifndef MIG_PSQL_H
#define MIG_PSQL_H

#include "migrate.h"

#include "script/script.h"

extern char *mig_psql_script(const char *sql, const char *encoding, bool local,
							 bool transactional, const ScriptOrigin *origin);
extern char *mig_psql_pin(const char *encoding, bool local);
extern bool mig_psql_is_plain(const char *text);
extern bool mig_psql_is_ascii(const char *text);

#endif							/* MIG_PSQL_H */
