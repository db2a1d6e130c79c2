/*
 * units.c
 *		Running a non-transactional script, piece by piece.
 *
 * A piece is a unit of script/unit.  What may run in a transaction block runs
 * in one transaction with its record in migrate.partial.  What commits by
 * itself is preceded by a committed intent and followed by its record; a CALL
 * or DO that may commit likewise, but its record is in its last transaction.
 * The last piece's record is that of the whole script.
 *
 * Whoever runs the script again, also after a crash, goes on behind what is
 * recorded.  An intent without an end is decided by stepwise/intent, or by a
 * person; what an interrupted build left is removed before it is repeated.
 *
 * What the script SETs lasts until its end.  Each record has the settings that
 * differ from those before the script, and they are set again when the script
 * resumes: no statement that is done is run a second time.
 *
 * No transaction outlasts a piece; between pieces there is no snapshot.
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

/* Pieces that take longer are told of, in microseconds. */
#define LONG_PIECE USECS_PER_SEC

/* A script under way. */
typedef struct Pieces
{
	ExecuteScript script;
	List	   *statements;		/* ScriptStatement * */
	List	   *units;			/* ScriptUnit * */
	Partial		partial;		/* as it is recorded */
	bool		begun;			/* before this call */
	const SessionSettings *session; /* before the script */
	int			lock_timeout;	/* before the script, in milliseconds */
	bool		bounded;		/* lock_timeout is ours, unless it is the script's */
	PiecesRecord record;
	void	   *arg;
} Pieces;

/* What one transaction of it does. */
typedef struct Piece
{
	Pieces	   *pieces;
	const ScriptUnit *unit;
	const ExecuteScript *script;
	List	   *statements;		/* to run before it is recorded; NIL: none */
	Partial		after;			/* what is recorded */
} Piece;

static void read_partial(Pieces *pieces);
static void set_again(Pieces *pieces);
static List *script_settings(const Pieces *pieces);
static void run_unit(Pieces *pieces, const ScriptUnit *unit);
static UnitKind kind_now(const ScriptUnit *unit);
static void run_committing(Pieces *pieces, const ScriptUnit *unit, UnitKind kind);
static bool finish_begun(Pieces *pieces, const ScriptUnit *unit, const char *digest);
pg_noreturn static void in_doubt(const Pieces *pieces,
								 const ScriptStatement *statement);
static void remove_leftovers(Pieces *pieces, const RawStmt *raw);
static void remove_index(Pieces *pieces, const InvalidIndex *index);
static void begin_intent(Pieces *pieces, const ScriptStatement *statement,
						 const char *digest);
static void commit_partial(Pieces *pieces);
static void write_attempt(const Attempt *attempt);
static void run_top_level(Pieces *pieces, ScriptStatement *statement);
static void run_procedure(Pieces *pieces, const ScriptUnit *unit);
static void run_procedure_piece(const Attempt *attempt);
static void bound_waiting(Pieces *pieces);
static void unbound_waiting(Pieces *pieces);
pg_noreturn static void note_failure(Pieces *pieces, ErrorData *error);
static void add_hint(ErrorData *error, const char *hint);
static void run_recorded(Pieces *pieces, const ScriptUnit *unit,
						 const ExecuteScript *script, List *statements);
static void set_done(Piece *piece);
static void run_piece(const Attempt *attempt);
static void record_piece(Piece *piece);
static void write_partial(const Pieces *pieces, const Partial *partial);
static void tell_begin(const Pieces *pieces, const ScriptStatement *statement);
static void tell_end(const Pieces *pieces, const ScriptUnit *unit, TimestampTz start);

/*
 * Run a script to its end, from where it is.  record is called with arg in the
 * transaction of the last piece; what it does may be rolled back and repeated.
 * *settings is what the session has set before: put back, and NULL, on return;
 * after an error the caller puts it back.  To be called in a transaction that
 * has done nothing yet, and under the session's run lock.  Errors: MG013, MG007,
 * MG012, and whatever the script raises; then the transaction is a new one.
 */
void
mig_units_run(const ExecuteScript *script, PiecesRecord record, void *arg,
			   SessionSettings **settings)
{
	Pieces		pieces = {.script = *script, .lock_timeout = LockTimeout,
	.record = record, .arg = arg};
	int			done;
	ListCell   *lc;

	pieces.script.statement_timeout = StatementTimeout;
	pieces.statements = mig_execute_parse(script);
	pieces.units = mig_unit_split(pieces.statements);
	read_partial(&pieces);
	done = pieces.partial.statements_done;

	pieces.session = *settings = mig_session_remember(CurrentMemoryContext);
	if (!standard_conforming_strings)
		(void) set_config_option("standard_conforming_strings", "on", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
	mig_execute_commit(script);
	set_again(&pieces);
	foreach(lc, pieces.units)
		if (((ScriptUnit *) lfirst(lc))->last > done)
			run_unit(&pieces, lfirst(lc));
	if (done >= list_length(pieces.statements))
	{
		/* what came behind was edited away */
		remove_leftovers(&pieces, NULL);
		run_recorded(&pieces, NULL, script, NIL);
	}

	mig_session_restore(*settings);
	mig_execute_commit(script);
	*settings = NULL;
}

/*
 * How far the script is.  MG007 when what is done is not what it says: somebody
 * wrote to the table by hand.
 */
static void
read_partial(Pieces *pieces)
{
	const ExecuteScript *script = &pieces->script;
	Partial    *partial = &pieces->partial;
	List	   *stored;
	Scope		scope;
	ListCell   *lc;

	partial->revision = unconstify(char *, script->revision);
	partial->direction = script->direction;
	partial->digest = "";
	partial->started_at = GetCurrentTimestamp();
	mig_scope_enter(&scope);
	stored = mig_partial_read(&scope);
	mig_scope_leave(&scope);
	foreach(lc, stored)
		if (strcmp(((Partial *) lfirst(lc))->revision, script->revision) == 0)
		{
			*partial = *(Partial *) lfirst(lc);
			pieces->begun = true;
		}
	partial->statements = list_length(pieces->statements);
	mig_intent_forget_elsewhere(partial);

	if (partial->statements_done > partial->statements ||
		strcmp(mig_unit_digest(script->sql, pieces->statements,
							   partial->statements_done),
			   partial->digest) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("%s script of revision \"%s\" was changed after it had begun",
						mig_direction_name(script->direction), script->revision),
				 errdetail("The statements up to number %d are done.", partial->statements_done),
				 errhint("Put them back as they were.")));
}

/*
 * Set what the statements that are done have set, in whatever session that was,
 * without running them again.
 */
static void
set_again(Pieces *pieces)
{
	if (pieces->partial.settings == NIL)
		return;
	mig_session_apply(pieces->partial.settings);
	mig_execute_commit(&pieces->script);
}

/*
 * Return what the script has set so far (char *), but for what we set ourselves
 * for a statement that commits by itself.
 */
static List *
script_settings(const Pieces *pieces)
{
	List	   *changes = mig_session_changes(pieces->session);
	ListCell   *lc;

	if (pieces->bounded && LockTimeout == mig_concurrent_lock_timeout)
		foreach(lc, changes)
			if (strncmp(lfirst(lc), "lock_timeout", strlen("lock_timeout")) == 0)
				changes = foreach_delete_current(changes, lc);
	return changes;
}

static void
run_unit(Pieces *pieces, const ScriptUnit *unit)
{
	UnitKind	kind = kind_now(unit);
	TimestampTz start = GetCurrentTimestamp();

	if (kind == UNIT_TRANSACTION)
	{
		remove_leftovers(pieces, NULL);
		run_recorded(pieces, unit, &pieces->script, unit->statements);
	}
	else
		run_committing(pieces, unit, kind);
	tell_end(pieces, unit, start);
}

/*
 * The kind of a unit, as the catalogs are now.
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
 * Run a unit that commits by itself, or that may.
 */
static void
run_committing(Pieces *pieces, const ScriptUnit *unit, UnitKind kind)
{
	ScriptStatement *statement = linitial(unit->statements);
	char	   *digest = mig_unit_digest_next(pieces->partial.digest,
											  pieces->script.sql, statement);

	if (finish_begun(pieces, unit, digest))
		return;
	begin_intent(pieces, statement, digest);
	tell_begin(pieces, statement);
	bound_waiting(pieces);
	mig_execute_commit(&pieces->script);
	if (kind == UNIT_TOP_LEVEL)
	{
		run_top_level(pieces, statement);
		unbound_waiting(pieces);
		run_recorded(pieces, unit, &pieces->script, NIL);
	}
	else
	{
		run_procedure(pieces, unit);
		unbound_waiting(pieces);
	}
}

/*
 * When the statement, which with all before it has this digest, has begun
 * before: see what became of it, and end it or clear the way to repeat it.
 * Returns whether it is done and recorded.  MG013 when nobody knows.
 */
static bool
finish_begun(Pieces *pieces, const ScriptUnit *unit, const char *digest)
{
	const Partial *partial = &pieces->partial;
	ScriptStatement *statement = linitial(unit->statements);
	bool		begun = partial->intent != NULL && strcmp(partial->intent,
														  digest) == 0;
	IntentOutcome outcome = INTENT_AGAIN;
	ExecuteScript other = pieces->script;
	char	   *instead = NULL;

	if (begun)
		outcome = mig_intent_decide(statement->raw, partial, &instead);
	/* one that failed before our eyes is not in doubt */
	if (outcome == INTENT_UNKNOWN && partial->in_doubt)
		in_doubt(pieces, statement);
	if (outcome == INTENT_DONE)
	{
		mig_report_message(psprintf("statement %d/%d is done already",
						  statement->number, partial->statements));
		run_recorded(pieces, unit, &pieces->script, NIL);
		return true;
	}
	if (outcome == INTENT_INSTEAD)
	{
		other.sql = instead;
		mig_report_message(psprintf("statement %d/%d was interrupted: %s",
						  statement->number, partial->statements, instead));
		run_recorded(pieces, unit, &other, mig_execute_parse(&other));
		return true;
	}
	mig_execute_commit(&pieces->script);
	remove_leftovers(pieces, begun ? statement->raw : NULL);
	return false;
}

/* MG013 */
static void
in_doubt(const Pieces *pieces, const ScriptStatement *statement)
{
	const Partial *partial = &pieces->partial;

	ereport(ERROR,
			(errcode(ERRCODE_MIG_IN_DOUBT),
			 errmsg("statement %d of the %s script of revision \"%s\" is in doubt",
					statement->number, mig_direction_name(partial->direction),
					partial->revision),
			 errdetail("It began at %s and did not end: nobody knows how much of its work is done.",
					   timestamptz_to_str(partial->statement_started_at)),
			 errhint("Look, then SELECT migrate.resume('%s', 'done' or 'again'); and call again.",
					 partial->revision),
			 internalerrquery(mig_excerpt_around(pieces->script.sql,
												 statement->location,
												 statement->len, statement->location).text)));
}

/*
 * Remove the invalid indexes that an interrupted build left; raw is its
 * statement, NULL when that was edited since.
 */
static void
remove_leftovers(Pieces *pieces, const RawStmt *raw)
{
	ListCell   *lc;

	if (pieces->partial.relations == NIL)
		return;
	foreach(lc, mig_intent_leftovers(raw, &pieces->partial))
		remove_index(pieces, lfirst(lc));
	mig_execute_commit(&pieces->script);
}

/*
 * Drop one, as the caller.  While we hold a lock that a build by somebody else
 * needs, an index that is invalid is not being built.  The session's lock is
 * released by an error too.
 */
static void
remove_index(Pieces *pieces, const InvalidIndex *index)
{
	LockRelId	table = {index->relation, MyDatabaseId};
	ExecuteScript script = pieces->script;

	bound_waiting(pieces);
	mig_execute_commit(&pieces->script);
	LockRelationIdForSession(&table, ShareUpdateExclusiveLock);
	AcceptInvalidationMessages();
	if (mig_intent_is_leftover(index))
	{
		mig_report_message(psprintf("removing invalid index \"%s\", which an interrupted build left",
						  index->name));
		script.sql = psprintf("DROP INDEX CONCURRENTLY IF EXISTS %s",
							  quote_qualified_identifier(index->schema, index->name));
		mig_execute_commit(&pieces->script);
		mig_execute_top_level(&script, linitial(mig_execute_parse(&script)));
	}
	UnlockRelationIdForSession(&table, ShareUpdateExclusiveLock);
	unbound_waiting(pieces);
	mig_execute_commit(&pieces->script);
}

/*
 * Commit that a statement begins.
 */
static void
begin_intent(Pieces *pieces, const ScriptStatement *statement, const char *digest)
{
	Partial    *partial = &pieces->partial;

	partial->in_doubt = true;
	partial->intent = unconstify(char *, digest);
	partial->statement_started_at = GetCurrentTimestamp();
	mig_intent_prepare(statement->raw, partial);
	mig_lock_check_held();
	commit_partial(pieces);
}

/*
 * Commit the record of the script as it is in memory.
 */
static void
commit_partial(Pieces *pieces)
{
	mig_retry_run(&pieces->script, write_attempt, pieces);
}

/*
 * Write the record; the body of a transaction of its own.
 */
static void
write_attempt(const Attempt *attempt)
{
	Pieces	   *pieces = mig_retry_argument(attempt);

	write_partial(pieces, &pieces->partial);
}

/*
 * Run the statement that the intent is about, and commit.  After an error it is
 * recorded that the statement is not in doubt, and the error is raised: what it
 * left is removed when it is run again.
 */
static void
run_top_level(Pieces *pieces, ScriptStatement *statement)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		mig_execute_top_level(&pieces->script, statement);
		mig_execute_commit(&pieces->script);
	}
	PG_CATCH();
	{
		ErrorData  *error = mig_retry_roll_back(context);

		pieces->partial.in_doubt = false;
		note_failure(pieces, error);
	}
	PG_END_TRY();
}

/*
 * Run a CALL or DO, which may commit, together with its record, which is in its
 * last transaction.  As long as it has committed nothing it is one transaction
 * with its record and attempted again as such; when that fails it has done
 * nothing.  An error after that leaves it in doubt, because what it has done is
 * known to nobody, and is raised.
 */
static void
run_procedure(Pieces *pieces, const ScriptUnit *unit)
{
	Piece		piece = {pieces, unit, &pieces->script, unit->statements, pieces->partial};
	RetryFailure failure;

	set_done(&piece);
	if (mig_retry_try(&pieces->script, RETRY_OWN_WAITS, run_procedure_piece, &piece,
					  &failure))
	{
		pieces->partial = piece.after;
		return;
	}
	if (failure.committed)
	{
		add_hint(failure.error,
				 psprintf("Statement %d has committed a part of its work. Look, then SELECT migrate.resume('%s', 'done' or 'again'); and call again.",
						  pieces->partial.statements_done + 1, pieces->partial.revision));
		ReThrowError(failure.error);
	}
	pieces->partial.in_doubt = false;
	pieces->partial.intent = NULL;
	note_failure(pieces, failure.error);
}

/*
 * Run a CALL or DO and record it; the body of an attempt.
 */
static void
run_procedure_piece(const Attempt *attempt)
{
	Piece	   *piece = mig_retry_argument(attempt);

	mig_execute_top_level(piece->script, linitial(piece->statements));
	record_piece(piece);
}

/*
 * Statements that commit by themselves wait for locks as long as
 * migrate.concurrent_lock_timeout says, unless the script says otherwise.
 */
static void
bound_waiting(Pieces *pieces)
{
	if (pieces->bounded || LockTimeout != pieces->lock_timeout)
		return;
	pieces->bounded = true;
	(void) set_config_option("lock_timeout",
								 psprintf("%d", mig_concurrent_lock_timeout),
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
}

/*
 * Wait again for locks as before such a statement, unless the script has set
 * something else.
 */
static void
unbound_waiting(Pieces *pieces)
{
	if (!pieces->bounded)
		return;
	pieces->bounded = false;
	if (LockTimeout == mig_concurrent_lock_timeout)
		(void) set_config_option("lock_timeout", psprintf("%d", pieces->lock_timeout),
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
}

/*
 * Record what is known of a statement that failed, and raise its error.  An
 * error of the recording is no more than a WARNING: then the statement stays in
 * doubt, but its own error is not lost.
 */
static void
note_failure(Pieces *pieces, ErrorData *error)
{
	MemoryContext context = CurrentMemoryContext;

	if (!mig_lock_is_held())
		ReThrowError(error);
	PG_TRY();
	{
		commit_partial(pieces);
	}
	PG_CATCH();
	{
		ErrorData  *second = mig_retry_roll_back(context);

		ereport(WARNING,
				(errcode(second->sqlerrcode),
				 errmsg("could not record that statement %d failed: %s",
						pieces->partial.statements_done + 1, second->message)));
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
 * Run statements (none: NIL), which are script's, and record that the script is
 * done up to the unit, in one transaction.  unit NULL: all was done before.
 */
static void
run_recorded(Pieces *pieces, const ScriptUnit *unit, const ExecuteScript *script,
			 List *statements)
{
	Piece		piece = {pieces, unit, script, statements, pieces->partial};

	set_done(&piece);
	mig_retry_run(script, run_piece, &piece);
	pieces->partial = piece.after;
}

/*
 * Set what is to be recorded once a piece is done.
 */
static void
set_done(Piece *piece)
{
	const ScriptUnit *unit = piece->unit;
	Partial    *after = &piece->after;

	if (unit != NULL)
	{
		for (int i = after->statements_done; i < unit->last; i++)
			after->digest = mig_unit_digest_next(after->digest, piece->pieces->script.sql,
												 list_nth(piece->pieces->statements, i));
		after->statements_done = unit->last;
	}
	after->in_doubt = false;
	after->intent = NULL;
	after->existed = false;
	after->relations = NIL;
	after->indexes = NIL;
}

/*
 * Run the statements of a piece and record it; the body of an attempt.
 */
static void
run_piece(const Attempt *attempt)
{
	Piece	   *piece = mig_retry_argument(attempt);

	if (piece->statements != NIL)
		mig_execute_statements(piece->script, piece->statements);
	record_piece(piece);
}

/*
 * Write, in the transaction that there is, that a piece is done: that the whole
 * script is, if it was the last.
 */
static void
record_piece(Piece *piece)
{
	Pieces	   *pieces = piece->pieces;

	mig_lock_check_held();
	if (piece->after.statements_done == list_length(pieces->statements))
	{
		pieces->record(pieces->arg, pieces->partial.started_at);
		return;
	}
	piece->after.statement_started_at = GetCurrentTimestamp();
	piece->after.settings = script_settings(pieces);
	write_partial(pieces, &piece->after);
}

/*
 * What has not begun at all, in an earlier call either, needs no row.
 */
static void
write_partial(const Pieces *pieces, const Partial *partial)
{
	Scope		scope;

	mig_scope_enter(&scope);
	if (partial->statements_done == 0 && partial->intent == NULL && !pieces->begun)
		mig_partial_delete(&scope, partial->revision);
	else
		mig_partial_write(&scope, partial);
	mig_scope_leave(&scope);
}

/*
 * What commits by itself often takes long: say that it begins.
 */
static void
tell_begin(const Pieces *pieces, const ScriptStatement *statement)
{
	const char *name = mig_statement_needs_top_level(statement->raw);

	mig_report_message(psprintf("statement %d/%d: %s", statement->number,
					  pieces->partial.statements,
					  name ? name : CreateCommandName(statement->raw->stmt)));
}

static void
tell_end(const Pieces *pieces, const ScriptUnit *unit, TimestampTz start)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now - start >= LONG_PIECE)
		mig_report_message(psprintf("statement %d/%d took %ld ms", unit->last,
						  pieces->partial.statements,
						  TimestampDifferenceMilliseconds(start, now)));
}
