/*
 * report.c
 *		Saying what a run does, while it does it.
 *
 * Where it is said, to the client, to the server's log or not at all, is the
 * setting migrate.step_messages.
 */
#include "migrate.h"

#include "revision/graph.h"
#include "revision/ids.h"
#include "run/report.h"
#include "script/excerpt.h"
#include "script/text.h"
#include "store/lock.h"
#include "store/partial.h"

/*
 * Send a message, which is one line, where migrate.step_messages wants it.  Names
 * and texts in it may be anything.
 */
void
mig_report_message(const char *text)
{
	if (mig_step_messages == MIG_STEP_MESSAGES_OFF)
		return;
	if (mig_step_messages == MIG_STEP_MESSAGES_NOTICE)
		text = mig_excerpt_for_client(text);
	text = mig_excerpt_printable(text);
	ereport(mig_step_messages == MIG_STEP_MESSAGES_LOG ? LOG : NOTICE,
			(errmsg_internal("%s", text), errhidestmt(true), errhidecontext(true)));
}

/*
 * Say that a step begins, in Alembic's words.
 */
void
mig_report_step(MigDirection direction, const Graph *graph,
			  const GraphNode *node, const char *message)
{
	char	   *parents;

	if (mig_step_messages == MIG_STEP_MESSAGES_OFF)
		return;
	parents = mig_ids_join(mig_graph_link_ids(graph, &node->down));
	if (direction == MIG_UPGRADE)
		mig_report_message(psprintf("running upgrade %s -> %s, %s", parents,
								  node->revision, mig_excerpt_line(message)));
	else
		mig_report_message(psprintf("running downgrade %s -> %s, %s", node->revision,
								  parents, mig_excerpt_line(message)));
}

/*
 * Say that the upgrade script of a revision has no statement, unless it is a
 * merge, which needs none.
 */
void
mig_report_empty_script(MigDirection direction, const GraphNode *node, const char *sql)
{
	if (direction == MIG_UPGRADE && node->down.n <= 1 &&
		sql[mig_text_skip_gap(sql, 0)] == '\0')
		mig_report_message(psprintf("upgrade script of revision \"%s\" is empty",
									node->revision));
}

/*
 * Warn when there are no revisions at all, whatever migrate.step_messages says:
 * to forget to load them must not look like success.
 */
void
mig_report_no_revisions(const Graph *graph)
{
	if (graph->n == 0)
		ereport(WARNING,
				(errmsg("no revision is loaded"),
				 errhint("Load revision files with migrate.load_directory() or migrate.load(), or write a revision with migrate.revision().")));
}

/*
 * Say that there was nothing to do; at describes the position.
 */
void
mig_report_nothing_to_do(const char *at)
{
	mig_report_message(psprintf("nothing to do: at %s", at));
}

/*
 * Say that a run, which began at start, has ended: n revisions were moved.
 */
void
mig_report_end(MigDirection direction, const char *target, int n, TimestampTz start)
{
	mig_report_message(psprintf("%s to %s completed: %d revision%s, %ld ms",
							  mig_direction_name(direction), target, n, n == 1 ? "" : "s",
							  TimestampDifferenceMilliseconds(start,
															  GetCurrentTimestamp())));
}

/*
 * Report each script that is incomplete, as NOTICE.
 */
void
mig_report_incomplete(void)
{
	ListCell   *lc;

	foreach(lc, mig_partial_read_all())
	{
		const Partial *partial = lfirst(lc);
		int			pid = mig_lock_stepwise_pid();

		ereport(NOTICE,
				(errmsg("%s of revision \"%s\" is incomplete",
						mig_direction_name(partial->direction), partial->revision),
				 errdetail("%s", mig_partial_describe(partial)),
				 pid != 0 ?
				 errhint("Process %d runs it; migrate.progress shows how far it is.", pid) :
				 errhint("Run CALL migrate.%s_stepwise(...) to resume.",
						 mig_direction_name(partial->direction))));
	}
}
