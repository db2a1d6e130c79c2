/*
 * compat.c
 *		Differences between server versions that need a function.
 */
#include "compat.h"

#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#endif
#include "parser/parse_type.h"
#include "pgstat.h"
#include "storage/lock.h"
#include "storage/proc.h"
#if PG_VERSION_NUM >= 140000
#include "utils/backend_status.h"
#endif

#if PG_VERSION_NUM < 160000
#define pgstat_get_local_beentry_by_index(i) pgstat_fetch_stat_local_beentry(i)
#endif

/*
 * Who the backend with a process id is.  False when there is none.
 */
bool
mig_backend_status(int pid, MigBackend *backend)
{
	int			n;

	pgstat_clear_snapshot();
	n = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= n; i++)
	{
		LocalPgBackendStatus *local = pgstat_get_local_beentry_by_index(i);
		PgBackendStatus *status = &local->backendStatus;

		if (status->st_procpid != pid)
			continue;
		backend->role = status->st_userid;
		strlcpy(backend->application,
				status->st_appname ? status->st_appname : "", NAMEDATALEN);
		backend->query = pgstat_clip_activity(status->st_activity_raw);
		backend->since = status->st_xact_start_timestamp != 0 ?
			status->st_xact_start_timestamp : status->st_proc_start_timestamp;
		return true;
	}
	return false;
}

/*
 * Return which entries of its range table a query writes, in the current memory
 * context.
 */
Bitmapset *
mig_result_relations(const PlannedStmt *plan)
{
#if PG_VERSION_NUM >= 190000
	return bms_copy(plan->resultRelationRelids);
#else
	Bitmapset  *relations = NULL;
	ListCell   *lc;

	foreach(lc, plan->resultRelations)
		relations = bms_add_member(relations, lfirst_int(lc));
	return relations;
#endif
}

/*
 * Find the type that a name and its modifiers say; InvalidOid: there is none.  Errors:
 * the parser's.
 */
void
mig_parse_type(const char *name, Oid *type, int32 *typmod)
{
#if PG_VERSION_NUM >= 160000
	ErrorSaveContext context = {.type = T_ErrorSaveContext};

	if (!parseTypeString(name, type, typmod, (Node *) &context))
		*type = InvalidOid;
#else
	parseTypeString(name, type, typmod, true);
#endif
}

/*
 * Return which lock of this process, of a partition of the lock manager that is locked,
 * was taken before another, NULL: the last one; NULL if there is none.
 */
PROCLOCK *
mig_proclock_before(int partition, PROCLOCK *at)
{
#if PG_VERSION_NUM >= 160000
	dlist_head *list = &MyProc->myProcLocks[partition];

	if (dlist_is_empty(list))
		return NULL;
	if (at == NULL)
		return dlist_tail_element(PROCLOCK, procLink, list);
	return dlist_has_prev(list, &at->procLink) ?
		dlist_container(PROCLOCK, procLink, dlist_prev_node(list, &at->procLink)) : NULL;
#else
	SHM_QUEUE  *list = &MyProc->myProcLocks[partition];

	return (PROCLOCK *) SHMQueuePrev(list, at == NULL ? list : &at->procLink,
									 offsetof(PROCLOCK, procLink));
#endif
}

/*
 * Return how many scans of a table, from its begin to its end, the session has counted
 * and not reported yet; of an index, how often it was used.
 */
int64
mig_count_scans(Oid relation)
{
	PgStat_TableStatus *status = find_tabstat_entry(relation);
	int64		scans;

	if (status == NULL)
		return 0;
#if PG_VERSION_NUM >= 160000
	scans = status->counts.numscans;
	/* a copy, since 16 */
	pfree(status);
#else
	scans = status->t_counts.t_numscans;
#endif
	return scans;
}
