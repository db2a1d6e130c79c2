/*
 * page.h
 *		A rehearsal as a page of HTML.
 */
#ifndef MIG_PAGE_H
#define MIG_PAGE_H

#include "migrate.h"

#include "nodes/pg_list.h"
#include "rehearsal/rehearsal.h"

/* What there is to say about a statement besides, shown beside it. */
typedef struct PageFinding
{
	const char *revision;
	MigDirection direction;
	int			statement;		/* from 1; 0: about the script */
	const char *rule;
	const char *severity;		/* "error", "warning" or another word */
	const char *message;
	const char *advice;			/* NULL: none */
} PageFinding;

extern char *mig_page_write(const RehearsalOptions *options, const Rehearsal *rehearsal,
							List *findings, const char *note);

#endif							/* MIG_PAGE_H */
