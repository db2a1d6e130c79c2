/*
 * target.h
 *		Revision identifiers: Alembic's grammar, resolved against a graph.
 *
 * Every function takes the graph and the version rows (node numbers of the
 * current heads of the database) and neither reads nor changes anything else.
 * Results are palloc'd in the current memory context.
 *
 * Errors: MG001 nothing of that name, MG002 ambiguous, MG003 several heads
 * where one is needed, MG005 walked too far and other illegal moves.
 */
#ifndef MIG_TARGET_H
#define MIG_TARGET_H

#include "revision/graph.h"

/* What a walk can end at, besides a node number. */
#define TARGET_BASE		(-1)
#define TARGET_TOO_FAR	(-2)

/* Where a downgrade goes. */
typedef struct DowngradeTarget
{
	int			node;			/* or TARGET_BASE */
	const char *branch;			/* keep to the branch of this revision or
								 * label; NULL: all branches */
} DowngradeTarget;

/* What a stamp sets. */
typedef struct StampTarget
{
	Bitmapset  *destinations;	/* empty: base */
	Bitmapset  *lineage;		/* with base: the rows that go, as a set that
								 * they are members of */
} StampTarget;

/* Where a move of a range begins, and where it goes. */
typedef struct MoveRange
{
	Bitmapset  *start;			/* version rows, none of which implies another */
	const char *target;
	bool		from_rows;		/* the target is relative to the database's rows,
								 * not to start: it names "current" */
} MoveRange;

extern Bitmapset *mig_target_upgrade(const Graph *graph, const Bitmapset *rows,
									 const char *target);
extern DowngradeTarget mig_target_downgrade(const Graph *graph,
											const Bitmapset *rows,
											const char *target);
extern StampTarget mig_target_stamp(const Graph *graph, const Bitmapset *rows,
									const char *target);
extern Bitmapset *mig_target_resolve(const Graph *graph, const Bitmapset *rows,
									 const char *target);
extern int	mig_target_one(const Graph *graph, const Bitmapset *rows,
						   const char *target);
extern int	mig_target_name(const Graph *graph, const char *name);
extern Bitmapset *mig_target_range(const Graph *graph, const Bitmapset *rows,
								   const char *range);
extern MoveRange mig_target_move_range(const Graph *graph,
									   const Bitmapset *rows, const char *range,
									   MigDirection direction);

#endif							/* MIG_TARGET_H */
