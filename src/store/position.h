/*
 * position.h
 *		Reading where the database is, before looking or moving.
 */
#ifndef MIG_POSITION_H
#define MIG_POSITION_H

#include "migrate.h"

#include "store/revisions.h"

/* What could be seen when a position was read. */
typedef struct PositionSeen
{
	TransactionId next;			/* the first transaction that could not */
	uint32		running_count;
	TransactionId *running;		/* nor could these */
	CommandId	command;		/* nor this command of ours */
} PositionSeen;

extern Position mig_position_read(bool purge);
extern Position mig_position_read_seen(PositionSeen *seen);
extern bool mig_position_is_unchanged(const PositionSeen *seen);
extern Position mig_position_read_checked(void);
extern void mig_position_check_snapshot(void);
extern void mig_position_check_applied(const Graph *graph, const Bitmapset *rows,
									   List *applied);
extern void mig_position_check_edited(List *edited);
extern void mig_position_warn_subscriber(void);
extern char *mig_position_describe(const Graph *graph, const Bitmapset *rows);
extern char *mig_position_at_heads(const char *target);
extern const char *mig_position_caller(void);

#endif							/* MIG_POSITION_H */
