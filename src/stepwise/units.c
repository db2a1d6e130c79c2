/*
 * units.c
 *		Running a non-transactional script, unit by unit.
 *
 * A unit (script/unit) that may run in a transaction block runs in one
 * transaction with its record in migrate.partial.  One that commits by itself is
 * preceded by a committed intent and followed by its record.  A CALL or DO that
 * may commit is likewise, but its record is in its last transaction.  The last
 * unit's record is that of the whole script.  A single statement that refuses to
 * run in a transaction block, because an extension wants it so, is taken for one
 * that commits by itself.
 *
 * A script that is run again, also after a crash, resumes after the units that
 * are recorded.  An intent without an end is decided by stepwise/intent, or by a
 * person; what an interrupted build left is removed before it is repeated.
 *
 * What the script sets lasts until its end.  Each record has what it has set and
 * reset so far, by the values, and these are set again when it resumes: no
 * statement that is done is run a second time.
 *
 * No transaction outlasts a unit; between units there is no snapshot.
 */
#include "migrate.h"

#include "access/xact.h"
#include "compat.h"
#include "miscadmin.h"
#include "parser/parser.h"
#include "run/execute.h"
#include "run/report.h"
#include "run/session.h"
#include "script/excerpt.h"
#include "script/statement.h"
#include "script/unit.h"
#include "stepwise/intent.h"
#include "stepwise/leftover.h"
#include "stepwise/retry.h"
#include "stepwise/units.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "store/lock.h"
#include "store/partial.h"
#include "store/scope.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"

/* Units that take longer are reported, in microseconds. */
#define LONG_UNIT USECS_PER_SEC

/* A script under way. */
typedef struct ScriptRun
{
	ExecuteScript script;
	List	   *statements;		/* ScriptStatement * */
	List	   *units;			/* ScriptUnit * */
	Partial		partial;		/* as it is recorded */
	const SessionSettings *session; /* before the script */
	int			lock_timeout;	/* before the script, in milliseconds */
	bool		bounded;		/* lock_timeout is ours, unless it is the script's */
	bool		probed;			/* statements can run at top level */
	ScriptRecord record;
	void	   *arg;
} ScriptRun;

/* One transaction of it that is recorded. */
typedef struct UnitRun
{
	ScriptRun  *run;
	const ExecuteScript *script;
	List	   *statements;		/* to run before it is recorded; NIL: none */
	Partial		after;			/* what is recorded */
} UnitRun;

static void read_partial(ScriptRun *run);
static void set_again(ScriptRun *run);
static List *script_settings(const ScriptRun *run);
static void run_unit(ScriptRun *run, const ScriptUnit *unit);
static void check_block(const ScriptRun *run, const ScriptStatement *statement);
static bool run_single(ScriptRun *run, const ScriptUnit *unit);
static void probe_top_level(ScriptRun *run);
static UnitKind kind_now(const ScriptUnit *unit);
static void run_committing(ScriptRun *run, const ScriptUnit *unit, UnitKind kind);
static bool finish_begun(ScriptRun *run, const ScriptUnit *unit, const char *digest);
pg_noreturn static void report_in_doubt(const ScriptRun *run,
										const ScriptStatement *statement);
static void remove_leftovers(ScriptRun *run);
static void remove_index(ScriptRun *run, const InvalidIndex *index);
static void begin_intent(ScriptRun *run, const ScriptStatement *statement, char *digest);
static void store_partial(ScriptRun *run);
static void store_attempt(const Attempt *attempt);
static void write_partial(const Partial *partial);
static void allow_writes(void);
static void run_top_level(ScriptRun *run, ScriptStatement *statement);
static void run_procedure(ScriptRun *run, const ScriptUnit *unit);
static void procedure_attempt(const Attempt *attempt);
static void bound_waiting(ScriptRun *run);
static void unbound_waiting(ScriptRun *run);
pg_noreturn static void fail(ScriptRun *run, bool without_effect, ErrorData *error);
static void add_hint(ErrorData *error, const char *hint);
static void run_recorded(ScriptRun *run, int done, const ExecuteScript *script,
						 List *statements);
static UnitRun prepare_unit(ScriptRun *run, int done, const ExecuteScript *script,
							List *statements);
static void unit_attempt(const Attempt *attempt);
static void record_unit(UnitRun *unit);
static void report_begin(const ScriptRun *run, const ScriptStatement *statement);
static void report_end(const ScriptRun *run, const ScriptUnit *unit, TimestampTz start);

/*
 * Run a script to its end, from where it is.  record is called with arg in the
 * transaction of the last unit; what it does may be rolled back and repeated.
 * *settings is what the session has set before: restored, and NULL, on return;
 * after an error the caller restores it.  To be called in a transaction that has
 * done nothing yet, and under the session's run lock.  Errors: MG013, MG007,
 * MG012, and those that the script raises; then the transaction is a new one.
 */
void
mig_units_run(const ExecuteScript *script, ScriptRecord record, void *arg,
			  SessionSettings **settings)
{
	ScriptRun	run = {.script = *script, .lock_timeout = LockTimeout,
	.record = record, .arg = arg};
	int			done;
	ListCell   *lc;

	run.script.statement_timeout = StatementTimeout;
	run.statements = mig_execute_parse(script);
	run.units = mig_unit_split(run.statements);
	read_partial(&run);
	done = run.partial.statements_done;

	foreach(lc, run.units)
		if (((ScriptUnit *) lfirst(lc))->last > done &&
			((ScriptUnit *) lfirst(lc))->kind != UNIT_TRANSACTION)
			probe_top_level(&run);
	run.session = *settings = mig_session_remember(CurrentMemoryContext);
	if (!mig_strings_are_standard())
		(void) set_config_option("standard_conforming_strings", "on", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
	mig_execute_commit(script);
	set_again(&run);
	foreach(lc, run.units)
		if (((ScriptUnit *) lfirst(lc))->last > done)
			run_unit(&run, lfirst(lc));
	if (done >= list_length(run.statements))
	{
		/* what came after that was edited away */
		remove_leftovers(&run);
		run_recorded(&run, done, script, NIL);
	}

	mig_session_restore(*settings);
	mig_execute_commit(script);
	*settings = NULL;
}

/*
 * Read how far the script is.  Errors: MG007 when the statements that are done
 * are others than it has, because the table was written by hand.
 */
static void
read_partial(ScriptRun *run)
{
	const ExecuteScript *script = &run->script;
	Partial    *partial = &run->partial;

	*partial = mig_partial_of(script->revision, script->direction);
	partial->statements = list_length(run->statements);
	mig_intent_forget_elsewhere(&partial->intent);

	if (partial->statements_done > partial->statements ||
		strcmp(mig_unit_digest(script->sql, run->statements, partial->statements_done),
			   partial->digest) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("%s script of revision \"%s\" was changed while it is incomplete",
						mig_direction_name(script->direction), script->revision),
				 errdetail("The statements up to number %d are done.",
						   partial->statements_done),
				 errhint("Restore these statements.")));
}

/*
 * Set what the statements that are done have set, in whatever session that was,
 * without running them again.
 */
static void
set_again(ScriptRun *run)
{
	if (run->partial.settings == NIL)
		return;
	mig_session_apply(run->partial.settings);
	mig_execute_commit(&run->script);
}

/*
 * Return what the script has set so far (char *), but for what we set ourselves
 * for a statement that commits by itself.
 */
static List *
script_settings(const ScriptRun *run)
{
	return mig_session_changes(run->session, run->partial.settings,
							   run->bounded && LockTimeout == mig_concurrent_lock_timeout ?
							   "lock_timeout" : NULL);
}

/*
 * Run and record a unit.
 */
static void
run_unit(ScriptRun *run, const ScriptUnit *unit)
{
	UnitKind	kind = kind_now(unit);
	TimestampTz start = GetCurrentTimestamp();

	if (kind == UNIT_TRANSACTION)
	{
		remove_leftovers(run);
		if (unit->first == unit->last)
			check_block(run, linitial(unit->statements));
		if (unit->first < unit->last)
			run_recorded(run, unit->last, &run->script, unit->statements);
		else if (!run_single(run, unit))
			run_committing(run, unit, UNIT_TOP_LEVEL);
	}
	else
		run_committing(run, unit, kind);
	report_end(run, unit, start);
}

/*
 * Warn, as the server does of a client's statement, that a statement has no effect
 * outside of a transaction block.  Errors: 25P01 where the server refuses it, but
 * such a script is not stored (MG011).
 */
static void
check_block(const ScriptRun *run, const ScriptStatement *statement)
{
	bool		fails;
	const char *name = mig_statement_needs_block(statement->raw, &fails);

	if (name != NULL)
		ereport(fails ? ERROR : WARNING,
				(errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s can only be used in transaction blocks", name),
				 errhint("Write BEGIN before it, and COMMIT after the statements that need it."),
				 errcontext("revision \"%s\", %s script, statement %d, line %d",
							run->script.revision, mig_direction_name(run->script.direction),
							statement->number, statement->line)));
}

/*
 * Run and record a unit that is one statement, not between BEGIN and COMMIT.
 * Return false, having done nothing, when it refuses to run in a transaction
 * block, or did so before.
 */
static bool
run_single(ScriptRun *run, const ScriptUnit *unit)
{
	UnitRun		single = prepare_unit(run, unit->last, &run->script, unit->statements);
	RetryFailure failure;

	if (run->partial.intent.digest != NULL &&
		strcmp(run->partial.intent.digest, single.after.digest) == 0)
		return false;
	if (mig_retry_try(&run->script, RETRY_SHORT_WAITS, unit_attempt, &single, &failure))
	{
		run->partial = single.after;
		run->script.is_first = false;
		return true;
	}
	if (failure.committed || failure.error->sqlerrcode != ERRCODE_ACTIVE_SQL_TRANSACTION ||
		((ScriptStatement *) linitial(unit->statements))->rows >= 0)
		ReThrowError(failure.error);
	FreeErrorData(failure.error);
	return false;
}

/*
 * Check, before anything is written down, that statements can run at top level in
 * our CALL.  Errors: 0A000 when a module of the server refuses it, as pgaudit did
 * before February 2025 with an internal error.
 */
static void
probe_top_level(ScriptRun *run)
{
	MemoryContext context = CurrentMemoryContext;

	if (run->probed)
		return;
	PG_TRY();
	{
		mig_execute_probe();
	}
	PG_CATCH();
	{
		ErrorData  *error = mig_retry_roll_back(context);

		if (error->sqlerrcode != ERRCODE_INTERNAL_ERROR)
			ReThrowError(error);
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a module of this server refuses statements that commit by themselves in %s",
						run->script.direction == MIG_UPGRADE ?
						"migrate.upgrade_stepwise()" : "migrate.downgrade_stepwise()"),
				 errdetail("Its error is: %s", error->message),
				 GetConfigOption("pgaudit.log", true, false) != NULL ?
				 errhint("Update pgaudit to at least 1.5.3, 1.6.3, 1.7.1, 16.1 or 17.1; or run the script of migrate.%s() with psql.",
						 run->script.direction == MIG_UPGRADE ? "upgrade_sql" : "downgrade_sql") :
				 errhint("Run the script of migrate.%s() with psql.",
						 run->script.direction == MIG_UPGRADE ? "upgrade_sql" : "downgrade_sql"),
				 errcontext("revision \"%s\", %s script", run->script.revision,
							mig_direction_name(run->script.direction))));
	}
	PG_END_TRY();
	run->probed = true;
}

/*
 * Return the kind of a unit, as the catalogs are now.
 */
static UnitKind
kind_now(const ScriptUnit *unit)
{
	if (unit->kind == UNIT_TRANSACTION && unit->first == unit->last &&
		mig_intent_needs_top_level(((ScriptStatement *) linitial(unit->statements))->raw))
		return UNIT_TOP_LEVEL;
	return unit->kind;
}

/*
 * Run and record a unit that commits by itself, or that may.
 */
static void
run_committing(ScriptRun *run, const ScriptUnit *unit, UnitKind kind)
{
	ScriptStatement *statement = linitial(unit->statements);
	char	   *digest = mig_unit_digest_next(run->partial.digest, run->script.sql,
											  statement);

	if (finish_begun(run, unit, digest))
		return;
	probe_top_level(run);
	begin_intent(run, statement, digest);
	report_begin(run, statement);
	bound_waiting(run);
	mig_execute_commit(&run->script);
	if (kind == UNIT_TOP_LEVEL)
	{
		run_top_level(run, statement);
		unbound_waiting(run);
		run_recorded(run, unit->last, &run->script, NIL);
	}
	else
	{
		run_procedure(run, unit);
		unbound_waiting(run);
	}
}

/*
 * If the statement, which with all before it has this digest, was started
 * before: see what became of it, and complete it or clear the way to repeat it.
 * Return whether it is done and recorded.  Errors: MG013 when nobody knows.
 */
static bool
finish_begun(ScriptRun *run, const ScriptUnit *unit, const char *digest)
{
	const PartialIntent *intent = &run->partial.intent;
	ScriptStatement *statement = linitial(unit->statements);
	bool		begun = intent->digest != NULL && strcmp(intent->digest, digest) == 0;
	IntentOutcome outcome = INTENT_AGAIN;
	ExecuteScript other = run->script;
	char	   *instead = NULL;

	if (begun)
		outcome = mig_intent_decide(statement->raw, intent, &instead);
	/* one that was seen to fail is not in doubt: it has not done its work */
	if (outcome != INTENT_INSTEAD && !run->partial.in_doubt)
		outcome = INTENT_AGAIN;
	if (outcome == INTENT_UNKNOWN)
		report_in_doubt(run, statement);
	if (outcome == INTENT_DONE)
	{
		mig_report_message(psprintf("statement %d/%d is done already", statement->number,
									run->partial.statements));
		run_recorded(run, unit->last, &run->script, NIL);
		return true;
	}
	if (outcome == INTENT_INSTEAD)
	{
		other.sql = instead;
		mig_report_message(psprintf("statement %d/%d was interrupted: %s",
									statement->number, run->partial.statements, instead));
		run_recorded(run, unit->last, &other, mig_execute_parse(&other));
		return true;
	}
	mig_execute_commit(&run->script);
	remove_leftovers(run);
	return false;
}

/*
 * Report, with MG013, that a person has to say what became of a statement.
 */
static void
report_in_doubt(const ScriptRun *run, const ScriptStatement *statement)
{
	const Partial *partial = &run->partial;
	Excerpt		excerpt = mig_excerpt_around(run->script.sql, statement->location,
											 statement->len, statement->location);
	const char *quoted = mig_excerpt_for_client(excerpt.text);

	ereport(ERROR,
			(errcode(ERRCODE_MIG_IN_DOUBT),
			 errmsg("statement %d of the %s script of revision \"%s\" is in doubt",
					statement->number, mig_direction_name(partial->direction),
					partial->revision),
			 errdetail("It was started at %s and did not end: nobody knows how much of its work is done.",
					   timestamptz_to_str(partial->statement_started_at)),
			 errhint("Look, then run SELECT migrate.resume('%s', 'done' or 'again') and call again.",
					 partial->revision),
			 internalerrquery(quoted)));
}

/*
 * Remove the invalid indexes that an interrupted build left, also when its
 * statement was edited since.
 */
static void
remove_leftovers(ScriptRun *run)
{
	ListCell   *lc;

	if (run->partial.intent.relations == NIL)
		return;
	foreach(lc, mig_leftover_find(&run->partial.intent))
		remove_index(run, lfirst(lc));
	mig_execute_commit(&run->script);
}

/*
 * Drop an index that a build left, as the caller.  While we hold a lock that a
 * build by another session needs, an index that is invalid is not being built.
 * The session's lock is released by an error too.
 */
static void
remove_index(ScriptRun *run, const InvalidIndex *index)
{
	LockRelId	table = {index->relation, MyDatabaseId};
	ExecuteScript script = run->script;

	bound_waiting(run);
	mig_execute_commit(&run->script);
	LockRelationIdForSession(&table, ShareUpdateExclusiveLock);
	AcceptInvalidationMessages();
	if (mig_leftover_is_there(index))
	{
		mig_report_message(psprintf("removing invalid index \"%s\", which an interrupted build left",
									index->name));
		script.sql = psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
							  quote_qualified_identifier(index->schema, index->name));
		mig_execute_commit(&run->script);
		mig_execute_top_level(&script, linitial(mig_execute_parse(&script)));
	}
	UnlockRelationIdForSession(&table, ShareUpdateExclusiveLock);
	unbound_waiting(run);
}

/*
 * Commit that a statement is about to be started by itself.
 */
static void
begin_intent(ScriptRun *run, const ScriptStatement *statement, char *digest)
{
	PartialIntent intent = mig_intent_prepare(statement, run->script.sql, digest);

	mig_partial_begin(&run->partial, &intent);
	mig_lock_check_held();
	store_partial(run);
}

/*
 * Commit how far the script is.
 */
static void
store_partial(ScriptRun *run)
{
	mig_retry_run(&run->script, store_attempt, run);
}

/*
 * Write how far the script is; the body of a transaction of its own.
 */
static void
store_attempt(const Attempt *attempt)
{
	write_partial(&((ScriptRun *) mig_retry_argument(attempt))->partial);
}

/*
 * Write how far a script is, in the transaction that there is.
 */
static void
write_partial(const Partial *partial)
{
	Scope		scope;

	allow_writes();
	mig_scope_enter(&scope);
	mig_partial_store(&scope, partial);
	mig_scope_leave(&scope);
}

/*
 * Let this transaction write, after the script's statements in it: a script that
 * has read-only transactions is recorded all the same.  That the session could
 * write before the script is known by then.
 */
static void
allow_writes(void)
{
	XactReadOnly = false;
}

/*
 * Run the statement that the intent is about, and commit.  After an error it is
 * recorded that the statement is not in doubt, and the error is raised: what it
 * left is removed when it is run again.
 */
static void
run_top_level(ScriptRun *run, ScriptStatement *statement)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		mig_execute_top_level(&run->script, statement);
		mig_execute_commit(&run->script);
	}
	PG_CATCH();
	{
		fail(run, false, mig_retry_roll_back(context));
	}
	PG_END_TRY();
}

/*
 * Run a CALL or DO, which may commit, together with its record, which is in its
 * last transaction.  As long as it has committed nothing it is one transaction
 * with its record and attempted again as such; when that fails it has done
 * nothing.  An error after that leaves it in doubt, because nobody knows what it
 * has done, and is raised.
 */
static void
run_procedure(ScriptRun *run, const ScriptUnit *unit)
{
	UnitRun		procedure = prepare_unit(run, unit->last, &run->script, unit->statements);
	RetryFailure failure;

	if (mig_retry_try(&run->script, RETRY_OWN_WAITS, procedure_attempt, &procedure,
					  &failure))
	{
		run->partial = procedure.after;
		run->script.is_first = false;
		return;
	}
	if (!failure.committed)
		fail(run, true, failure.error);
	add_hint(failure.error,
			 psprintf("Statement %d has committed a part of its work. Look, then run SELECT migrate.resume('%s', 'done' or 'again') and call again.",
					  run->partial.statements_done + 1, run->partial.revision));
	ReThrowError(failure.error);
}

/*
 * Run a CALL or DO and record it; the body of an attempt.
 */
static void
procedure_attempt(const Attempt *attempt)
{
	UnitRun    *unit = mig_retry_argument(attempt);

	mig_execute_top_level(unit->script, linitial(unit->statements));
	record_unit(unit);
}

/*
 * Have statements that commit by themselves wait for locks as long as
 * migrate.concurrent_lock_timeout says, unless the script says otherwise.
 */
static void
bound_waiting(ScriptRun *run)
{
	if (run->bounded || LockTimeout != run->lock_timeout)
		return;
	run->bounded = true;
	(void) set_config_option("lock_timeout", psprintf("%d", mig_concurrent_lock_timeout),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
}

/*
 * Wait for locks as before such a statement, unless the script has set something
 * else.  Committed, so that it is not taken for what the next unit sets.
 */
static void
unbound_waiting(ScriptRun *run)
{
	if (!run->bounded)
		return;
	run->bounded = false;
	if (LockTimeout == mig_concurrent_lock_timeout)
		mig_session_set_as_script(run->session, run->partial.settings, "lock_timeout");
	mig_execute_commit(&run->script);
}

/*
 * Record that a statement has failed, and raise its error.  An error of the
 * recording is no more than a WARNING: then the statement stays in doubt, but its
 * own error is not lost.
 */
static void
fail(ScriptRun *run, bool without_effect, ErrorData *error)
{
	MemoryContext context = CurrentMemoryContext;

	if (!mig_lock_is_held())
		ReThrowError(error);
	mig_partial_fail(&run->partial, without_effect);
	PG_TRY();
	{
		store_partial(run);
	}
	PG_CATCH();
	{
		ErrorData  *second = mig_retry_roll_back(context);

		ereport(WARNING,
				(errcode(second->sqlerrcode),
				 errmsg("could not record that statement %d failed: %s",
						run->partial.statements_done + 1, second->message)));
	}
	PG_END_TRY();
	ReThrowError(error);
}

/*
 * Add a line to the hint of an error that is about to be raised.
 */
static void
add_hint(ErrorData *error, const char *hint)
{
	error->hint = error->hint != NULL ? psprintf("%s\n%s", error->hint, hint) :
		unconstify(char *, hint);
}

/*
 * Run statements (none: NIL), which are script's, and record that the statements
 * up to number done are, in one transaction.
 */
static void
run_recorded(ScriptRun *run, int done, const ExecuteScript *script, List *statements)
{
	UnitRun		unit = prepare_unit(run, done, script, statements);

	mig_retry_run(script, unit_attempt, &unit);
	run->partial = unit.after;
	run->script.is_first = false;
}

/*
 * Return a transaction that runs statements and records that the statements up to
 * number done are.
 */
static UnitRun
prepare_unit(ScriptRun *run, int done, const ExecuteScript *script, List *statements)
{
	UnitRun		unit = {run, script, statements, run->partial};
	char	   *digest = run->partial.digest;

	for (int i = run->partial.statements_done; i < done; i++)
		digest = mig_unit_digest_next(digest, run->script.sql,
									  list_nth(run->statements, i));
	mig_partial_advance(&unit.after, done, digest);
	return unit;
}

/*
 * Run the statements of a unit and record it; the body of an attempt.
 */
static void
unit_attempt(const Attempt *attempt)
{
	UnitRun    *unit = mig_retry_argument(attempt);

	if (unit->statements != NIL)
		mig_execute_statements(unit->script, unit->statements);
	record_unit(unit);
}

/*
 * Write, in the transaction that there is, that a unit is done, or if it is the
 * last one that the whole script is.
 */
static void
record_unit(UnitRun *unit)
{
	ScriptRun  *run = unit->run;

	mig_lock_check_held();
	if (unit->after.statements_done == list_length(run->statements))
	{
		allow_writes();
		run->record(run->arg, run->partial.started_at);
		return;
	}
	/* a statement that commits by itself, and ran before, sets nothing */
	if (unit->statements != NIL)
		unit->after.settings = script_settings(run);
	unit->after.statement_started_at = GetCurrentTimestamp();
	write_partial(&unit->after);
}

/*
 * Report that a statement begins that commits by itself and so often takes long.
 */
static void
report_begin(const ScriptRun *run, const ScriptStatement *statement)
{
	const char *name = mig_statement_needs_top_level(statement->raw);

	mig_report_message(psprintf("statement %d/%d: %s", statement->number,
								run->partial.statements,
								name ? name : CreateCommandName(statement->raw->stmt)));
}

/*
 * Report that a unit has ended, if it has taken long.
 */
static void
report_end(const ScriptRun *run, const ScriptUnit *unit, TimestampTz start)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now - start >= LONG_UNIT)
		mig_report_message(psprintf("statement %d/%d took %ld ms", unit->last,
									run->partial.statements,
									TimestampDifferenceMilliseconds(start, now)));
}
