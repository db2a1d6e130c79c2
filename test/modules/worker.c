/*
 * worker.c
 *		For tests: run a statement in a background worker.
 *
 * run_in_worker(library, job, port, role, way) starts a worker in the current
 * database and does not wait for it: a caller's snapshot would be in the way of
 * concurrent index builds.  The worker runs the column
 * "sql" of that row of public.jobs and writes the column "result": "ok", or the
 * error's SQLSTATE, message and context.
 *
 * With port, MyProcPort points at zeroes, as the apply workers of pglogical,
 * spock and others have it: a port without a client.  With role the worker has
 * the caller's role, otherwise none, as theirs: it then is the bootstrap
 * superuser without having logged in.  The ways to run a statement:
 *
 * spi			through SPI in one transaction, as apply workers do
 * committing	through SPI, where a CALL may commit
 * portal		as a client's own, as pg_cron runs jobs in workers
 * call			the CALL alone, without a portal around it
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(run_in_worker);

/* What the worker is told, in bgw_extra. */
typedef struct Job
{
	Oid			database;
	Oid			role;
	bool		port;
	char		way[16];
} Job;

extern PGDLLEXPORT void worker_main(Datum number);

static char *read_job(int number);
static void run(const char *way, const char *sql);
static void run_by_spi(const char *sql, int options);
static void run_in_portal(const char *sql);
static void run_call(const char *sql);
static Query *analyze(const char *sql, RawStmt **raw);
static void write_result(int number, const char *result);

/* SELECT run_in_worker(library, job, port, role, way) */
Datum
run_in_worker(PG_FUNCTION_ARGS)
{
	BackgroundWorker worker;
	Job			job;

	memset(&worker, 0, sizeof(worker));
	memset(&job, 0, sizeof(job));
	job.database = MyDatabaseId;
	job.port = PG_GETARG_BOOL(2);
	job.role = PG_GETARG_BOOL(3) ? GetUserId() : InvalidOid;
	strlcpy(job.way, text_to_cstring(PG_GETARG_TEXT_PP(4)), sizeof(job.way));
	memcpy(worker.bgw_extra, &job, sizeof(job));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = Int32GetDatum(PG_GETARG_INT32(1));
	snprintf(worker.bgw_name, BGW_MAXLEN, "test worker");
	snprintf(worker.bgw_type, BGW_MAXLEN, "test worker");
	strlcpy(worker.bgw_library_name, text_to_cstring(PG_GETARG_TEXT_PP(0)),
			sizeof(worker.bgw_library_name));
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "worker_main");
	if (!RegisterDynamicBackgroundWorker(&worker, NULL))
		ereport(ERROR, (errmsg("no background worker is free")));
	PG_RETURN_VOID();
}

/* The worker. */
void
worker_main(Datum number)
{
	MemoryContext context = TopMemoryContext;
	Job			job;
	char	   *sql;
	char	   *result = "ok";

	memcpy(&job, MyBgworkerEntry->bgw_extra, sizeof(job));
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(job.database, job.role, 0);
	/* struct Port is declared where the server's headers need GSSAPI's */
	if (job.port)
		MyProcPort = calloc(1, 65536);

	sql = read_job(DatumGetInt32(number));
	PG_TRY();
	{
		run(job.way, sql);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		result = psprintf("%s: %s; %s", unpack_sql_state(error->sqlerrcode),
						  error->message, error->context ? error->context : "");
	}
	PG_END_TRY();
	write_result(DatumGetInt32(number), result);
	proc_exit(0);
}

/* The job's statement, in TopMemoryContext. */
static char *
read_job(int number)
{
	char	   *sql;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	if (SPI_execute(psprintf("SELECT sql FROM public.jobs WHERE job = %d", number),
					true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "there is no job %d", number);
	sql = MemoryContextStrdup(TopMemoryContext,
							  SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	return sql;
}

/* In a way of those above. */
static void
run(const char *way, const char *sql)
{
	if (strcmp(way, "spi") == 0)
		run_by_spi(sql, 0);
	else if (strcmp(way, "committing") == 0)
		run_by_spi(sql, SPI_OPT_NONATOMIC);
	else if (strcmp(way, "portal") == 0)
		run_in_portal(sql);
	else if (strcmp(way, "call") == 0)
		run_call(sql);
	else
		elog(ERROR, "there is no way \"%s\"", way);
}

/* Through SPI. */
static void
run_by_spi(const char *sql, int options)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect_ext(options);
	(void) SPI_execute(sql, false, 0);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* As a client's own statement; one only. */
static void
run_in_portal(const char *sql)
{
	RawStmt    *raw;
	List	   *plans;
	Portal		portal;
	DestReceiver *dest;

	StartTransactionCommand();
	plans = pg_plan_queries(list_make1(analyze(sql, &raw)), sql, 0, NULL);
	PopActiveSnapshot();
	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, sql, CreateCommandTag(raw->stmt), plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	dest = CreateDestReceiver(DestNone);
#if PG_VERSION_NUM >= 180000
	(void) PortalRun(portal, FETCH_ALL, true, dest, dest, NULL);
#else
	(void) PortalRun(portal, FETCH_ALL, true, true, dest, dest, NULL);
#endif
	PortalDrop(portal, false);
	CommitTransactionCommand();
}

/* A CALL without a portal, and so without a snapshot that a commit lets go. */
static void
run_call(const char *sql)
{
	RawStmt    *raw;
	Query	   *query;

	StartTransactionCommand();
	query = analyze(sql, &raw);
	PopActiveSnapshot();
	ExecuteCallStmt(castNode(CallStmt, query->utilityStmt), NULL, false, None_Receiver);
	CommitTransactionCommand();
}

/* Returns a statement, analyzed, and leaves a snapshot active. */
static Query *
analyze(const char *sql, RawStmt **raw)
{
	MemoryContextSwitchTo(MessageContext ? MessageContext : TopMemoryContext);
	*raw = linitial_node(RawStmt, pg_parse_query(sql));
	PushActiveSnapshot(GetTransactionSnapshot());
#if PG_VERSION_NUM >= 150000
	return linitial_node(Query, pg_analyze_and_rewrite_fixedparams(*raw, sql, NULL, 0, NULL));
#else
	return linitial_node(Query, pg_analyze_and_rewrite(*raw, sql, NULL, 0, NULL));
#endif
}

/* In a transaction of its own. */
static void
write_result(int number, const char *result)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	(void) SPI_execute(psprintf("UPDATE public.jobs SET result = %s WHERE job = %d",
								quote_literal_cstr(result), number), false, 0);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
}
