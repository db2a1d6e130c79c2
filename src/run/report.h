/*
 * report.h
 *		Saying what a run does, while it does it.
 */
#ifndef MIG_REPORT_H
#define MIG_REPORT_H

#include "migrate.h"

#include "revision/graph.h"
#include "utils/timestamp.h"

extern void mig_report_message(const char *text);
extern void mig_report_step(MigDirection direction, const Graph *graph,
						  const GraphNode *node, const char *message);
extern void mig_report_empty_script(MigDirection direction, const GraphNode *node,
									const char *sql);
extern void mig_report_nothing_to_do(const char *at);
extern void mig_report_no_revisions(const Graph *graph);
extern void mig_report_incomplete(void);
extern void mig_report_end(MigDirection direction, const char *target, int n,
						 TimestampTz start);

#endif							/* MIG_REPORT_H */
