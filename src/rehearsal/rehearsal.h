/*
 * rehearsal.h
 *		A plan run on the real tables, and rolled back.
 */
#ifndef MIG_REHEARSAL_H
#define MIG_REHEARSAL_H

#include "migrate.h"

#include "nodes/pg_list.h"
#include "rehearsal/relations.h"
#include "revision/graph.h"

/* What is rehearsed. */
typedef struct RehearsalOptions
{
	MigDirection direction;
	const char *target;
	bool		round_trip;		/* and the way back */
	const char *function;		/* who asks, for errors */
} RehearsalOptions;

/* A statement that was run, or what else there is to say. */
typedef struct RehearsalRow
{
	int			step;			/* from 1 */
	const char *revision;		/* NULL: about all of it */
	MigDirection direction;
	int			statement;		/* from 1; 0: of no statement */
	int			line;
	const char *sql;			/* NULL: no statement */
	int64		began;			/* microseconds after the first one */
	int64		duration;		/* in microseconds */
	uint64		wal_bytes;
	int64		rows;			/* -1: it counts none */
	int64		waited;			/* for locks, in microseconds */
	RelationChanges changes;
	const char *problem;		/* NULL: none */
	bool		failed;			/* the rehearsal ended with it */
} RehearsalRow;

/* What a rehearsal has found. */
typedef struct Rehearsal
{
	const Graph *graph;
	const Bitmapset *current;	/* the version rows, which are not changed */
	List	   *plan;			/* of node numbers */
	List	   *rows;			/* RehearsalRow * */
	int64		duration;		/* of all of it, in microseconds */
	bool		stepwise;		/* upgrade or downgrade would have to commit in steps */
} Rehearsal;

extern Rehearsal mig_rehearsal_run(const RehearsalOptions *options);

#endif							/* MIG_REHEARSAL_H */
