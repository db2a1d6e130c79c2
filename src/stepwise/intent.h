/*
 * intent.h
 *		Statements that commit by themselves: what is written down before one
 *		begins, and what became of one that did not end.
 */
#ifndef MIG_INTENT_H
#define MIG_INTENT_H

#include "migrate.h"

#include "nodes/parsenodes.h"
#include "script/script.h"
#include "store/partial.h"

/* What became of a statement that did not end. */
typedef enum IntentOutcome
{
	INTENT_AGAIN,				/* did nothing, or can be repeated */
	INTENT_DONE,				/* did its work */
	INTENT_INSTEAD,				/* did a part; another statement does the rest */
	INTENT_UNKNOWN				/* the catalogs do not tell */
} IntentOutcome;

extern bool mig_intent_needs_top_level(const RawStmt *raw);
extern PartialIntent mig_intent_prepare(const ScriptStatement *statement, const char *sql,
										char *digest);
extern void mig_intent_forget_elsewhere(PartialIntent *intent);
extern IntentOutcome mig_intent_decide(const RawStmt *raw, const PartialIntent *intent,
									   char **instead);
extern void mig_intent_check_result(const ScriptStatement *statement, int64 rows,
									void *argument);

#endif							/* MIG_INTENT_H */
