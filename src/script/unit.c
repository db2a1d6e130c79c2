/*
 * unit.c
 *		A non-transactional script as units that are run and recorded one by
 *		one: a statement, or a BEGIN ... COMMIT group.
 *
 * The statements that are done are recognized by a digest of the statements' texts
 * alone: comments and white space between them do not count, and neither do
 * CRLF line ends.  It is a chain, each digest over the one before and the next
 * statement, so that going on by one statement costs one statement.
 */
#include "migrate.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "script/checksum.h"
#include "script/statement.h"
#include "script/text.h"
#include "script/unit.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

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
	return mig_checksum_hex(&buf);
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
