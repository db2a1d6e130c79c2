/*
 * position.h
 *		Where the database is: the graph, and the version rows in it.
 */
#ifndef MIG_POSITION_H
#define MIG_POSITION_H

#include "migrate.h"

#include "revision/graph.h"
#include "store/scope.h"

/* Where the database is. */
typedef struct Position
{
	Graph	   *graph;
	Bitmapset  *rows;			/* the version rows, as nodes */
} Position;

/* What could be seen when a position was read. */
typedef struct PositionSeen
{
	TransactionId next;			/* the first transaction that could not */
	uint32		running_count;
	TransactionId *running;		/* nor could these */
	CommandId	command;		/* nor this command of ours */
} PositionSeen;

extern Position mig_position_in_scope(const Scope *scope, bool purge);
extern Position mig_position_read(bool purge);
extern Position mig_position_read_seen(PositionSeen *seen);
extern bool mig_position_is_unchanged(const PositionSeen *seen);
extern void mig_position_begin_write(const char *function);
extern void mig_position_check_snapshot(void);
extern char *mig_position_at_heads(const char *target);
extern char *mig_position_describe(const Graph *graph, const Bitmapset *rows);
extern const char *mig_position_caller(void);

#endif							/* MIG_POSITION_H */
