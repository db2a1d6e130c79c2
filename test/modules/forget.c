/*
 * forget.c
 *		A server that forgets statements, as a writer would that has a fault.
 *
 * Utility statements whose text matches forget.pattern (LIKE) do nothing, without an
 * error, where they are run by another command: in a scratch.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "fmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"

#include "compat.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static ProcessUtility_hook_type next_hook = NULL;
static char *pattern = NULL;

/*
 * Return whether the text of a statement is to be forgotten.
 */
static bool
is_forgotten(const char *query, const PlannedStmt *planned)
{
	const char *begin = query + Max(planned->stmt_location, 0);
	int			len = planned->stmt_len > 0 ? planned->stmt_len : (int) strlen(begin);
	Datum		text;

	if (pattern == NULL || *pattern == '\0')
		return false;
	text = PointerGetDatum(cstring_to_text_with_len(begin, len));
	return DatumGetBool(DirectFunctionCall2Coll(textlike, C_COLLATION_OID, text,
												CStringGetTextDatum(pattern)));
}

static void
forget(MIG_UTILITY_PARAMETERS)
{
	if (context != PROCESS_UTILITY_TOPLEVEL && is_forgotten(text, planned))
		return;
	if (next_hook != NULL)
		next_hook(MIG_UTILITY_ARGUMENTS);
	else
		standard_ProcessUtility(MIG_UTILITY_ARGUMENTS);
}

void
_PG_init(void)
{
	DefineCustomStringVariable("forget.pattern", "Statements to forget.", NULL, &pattern, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	next_hook = ProcessUtility_hook;
	ProcessUtility_hook = forget;
}
