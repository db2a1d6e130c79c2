/*
 * unit.c
 *		A non-transactional script as units that are run and recorded one by
 *		one: a statement, or a BEGIN ... COMMIT group.
 *
 * The statements that are done are recognized by a digest of the statements' texts
 * alone, and of the rows of COPY: comments and white space between them do not
 * count, and in statements neither do CRLF line ends.  It is a chain, each digest
 * over the one before and the next statement, so that one more statement costs one
 * statement.
 */
#include "migrate.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "script/checksum.h"
#include "script/statement.h"
#include "script/text.h"
#include "script/unit.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

/* About as many bytes of rows are digested at a time. */
#define ROWS_PIECE	(256 * 1024)

static char *digest_rows(const char *digest, const char *rows, int len);
static UnitKind kind_of(const ScriptStatement *statement);

/*
 * Return the units (ScriptUnit *) of a script's statements (ScriptStatement
 * *), in the current memory context. What the catalogs decide, whether a table
 * is partitioned, is not known here.
 */
List *
mig_unit_split(List *statements)
{
	List	   *units = NIL;
	ScriptUnit *group = NULL;
	ListCell   *lc;

	foreach(lc, statements)
	{
		ScriptStatement *statement = lfirst(lc);
		ScriptUnit *unit = group;

		if (unit == NULL)
		{
			unit = palloc0(sizeof(ScriptUnit));
			unit->first = statement->number;
			units = lappend(units, unit);
		}
		unit->last = statement->number;
		if (group == NULL && mig_statement_is_begin(statement->raw))
			group = unit;
		else if (group != NULL && mig_statement_is_commit(statement->raw))
			group = NULL;
		else
			unit->statements = lappend(unit->statements, statement);
		if (unit->first == unit->last && group == NULL)
			unit->kind = kind_of(statement);
	}
	return units;
}

/*
 * Digest of the first n statements, in the current memory context.
 */
char *
mig_unit_digest(const char *sql, List *statements, int n)
{
	char	   *digest = pstrdup("");

	for (int i = 0; i < n && i < list_length(statements); i++)
		digest = mig_unit_digest_next(digest, sql, list_nth(statements, i));
	return digest;
}

/*
 * Digest of what a digest stands for and one more statement: SHA-256 in
 * hexadecimal, of UTF-8.
 */
char *
mig_unit_digest_next(const char *digest, const char *sql,
					 const ScriptStatement *statement)
{
	char	   *piece = pnstrdup(sql + statement->location, statement->len);
	char	   *utf8 = mig_checksum_utf8(piece);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s\n%s", digest, mig_text_comparable(utf8));
	digest = mig_checksum_hex(&buf);
	return statement->rows < 0 ? unconstify(char *, digest) :
		digest_rows(digest, sql + statement->rows, statement->rows_len);
}

/*
 * Digest of what a digest stands for and the rows of a COPY, which are not copied
 * at once: a chain over pieces of whole lines.
 */
static char *
digest_rows(const char *digest, const char *rows, int len)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(caller, "migrate rows",
											   ALLOCSET_DEFAULT_SIZES);
	char		chain[65];		/* SHA-256 in hexadecimal */

	snprintf(chain, sizeof(chain), "%s", digest);
	MemoryContextSwitchTo(work);
	while (len > 0)
	{
		const char *line_end = len > ROWS_PIECE ?
			memchr(rows + ROWS_PIECE, '\n', len - ROWS_PIECE) : NULL;
		int			n = line_end != NULL ? line_end + 1 - rows : len;
		StringInfoData buf;

		CHECK_FOR_INTERRUPTS();
		initStringInfo(&buf);
		appendStringInfo(&buf, "%s\n", chain);
		appendStringInfoString(&buf, mig_checksum_utf8(pnstrdup(rows, n)));
		snprintf(chain, sizeof(chain), "%s", mig_checksum_hex(&buf));
		rows += n;
		len -= n;
		MemoryContextReset(work);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	return pstrdup(chain);
}

/*
 * Return the kind of a unit that is one statement, as its parse tree tells.
 */
static UnitKind
kind_of(const ScriptStatement *statement)
{
	if (statement->top_level || mig_statement_needs_top_level(statement->raw) != NULL ||
		IsA(statement->raw->stmt, DropSubscriptionStmt))
		return UNIT_TOP_LEVEL;
	return mig_statement_may_commit(statement->raw) ? UNIT_PROCEDURE : UNIT_TRANSACTION;
}
