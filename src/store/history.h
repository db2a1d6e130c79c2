/*
 * history.h
 *		What the history shows besides the graph.
 */
#ifndef MIG_HISTORY_H
#define MIG_HISTORY_H

#include "migrate.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "store/scope.h"

/* What the history shows besides the graph. */
typedef struct HistoryLine
{
	char	   *revision;
	char	   *message;
	bool		is_applied;
	TimestampTz applied_at;
	TimestampTz created_at;
} HistoryLine;

extern List *mig_history_read(const Scope *scope);

#endif							/* MIG_HISTORY_H */
