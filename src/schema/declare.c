/*
 * declare.c
 *		Running the DDL of a model, or the script of a revision, in the scratch.
 *
 * A model is a script, run as the caller with the caller's settings as the scripts of
 * revisions are, and so that it can be what pg_dump writes.  What it sets ends with
 * it.  Its statements count as parts of one command: event triggers and most auditors
 * look at whole commands.
 */
#include "migrate.h"

#include "catalog/pg_enum.h"
#include "run/execute.h"
#include "schema/declare.h"
#include "schema/fence.h"
#include "schema/guard.h"
#include "script/data.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

/* A script that is run. */
typedef struct Declaration
{
	DeclareNotes *notes;
	int			lock_timeout;
	const char *function;		/* who needs it, of a revision */
} Declaration;

static void run(const ExecuteScript *script, DeclareNotes *notes);
static List *before_statement(RawStmt *raw, void *argument);
static void after_statement(const ScriptStatement *statement, int64 rows, void *argument);
static void set(const char *name, const char *value);
static const char *find_hint(const ErrorData *error, void *argument);

/*
 * Run a model's DDL, in a scratch.  Adds to the notes, in the current memory context.
 * Errors: those of the statements, MG011 for those that cannot be in a model; with
 * model, statement and line as context.
 */
void
mig_declare_model(const char *name, const char *ddl, DeclareNotes *notes)
{
	Declaration declaration = {notes, LockTimeout, NULL};
	ExecuteScript script = {
		.model = name, .sql = ddl, .in_scratch = true,
		.progress = psprintf("model \"%s\"", name),
		.before = before_statement, .argument = &declaration, .after = after_statement
	};

	run(&script, notes);
}

/*
 * Run a script of a revision again, in a scratch of which the guard knows that.  function
 * is who needs it, for hints; NULL: no hints.  Adds to the notes, as mig_declare_model
 * does.  Errors: those of the statements, with revision, statement and line as context,
 * and a hint where the script may need what the scratch does not have.
 */
void
mig_declare_revision(const StoredScript *stored, MigDirection direction,
					 const char *progress, const char *function, DeclareNotes *notes)
{
	Declaration declaration = {notes, LockTimeout, function};
	ExecuteScript script = {
		.revision = stored->revision, .direction = direction, .sql = stored->sql,
		.file_name = stored->file_name, .first_line = stored->line,
		.in_scratch = true, .progress = progress,
		.before = before_statement, .argument = &declaration, .after = after_statement,
		.at_end = mig_guard_check_deferred, .hint = find_hint
	};

	run(&script, notes);
}

/*
 * Run a script that gives a revision rows, before or after its upgrade (when), in such a
 * scratch.  Adds to the notes, and errors, likewise; without hints.
 */
void
mig_declare_rows(const char *revision, const char *when, const char *sql,
				 DeclareNotes *notes)
{
	Declaration declaration = {notes, LockTimeout, NULL};
	ExecuteScript script = {
		.revision = revision, .direction = MIG_UPGRADE, .sql = sql,
		.title = psprintf("data %s revision \"%s\"", when, revision),
		.in_scratch = true, .progress = psprintf("data %s %s", when, revision),
		.before = before_statement, .argument = &declaration, .after = after_statement,
		.at_end = mig_guard_check_deferred, .hint = find_hint
	};

	run(&script, notes);
}

/*
 * Run a model's DDL in the database itself, in the caller's transaction, with what the
 * scratch would refuse refused and what it would pass over passed over.  The caller has
 * begun a run of scripts.  Adds to the notes, and errors, as mig_declare_model.
 */
void
mig_declare_for_real(const char *name, const char *ddl, DeclareNotes *notes)
{
	Declaration declaration = {notes, LockTimeout, NULL};
	ExecuteScript script = {
		.model = name, .sql = ddl, .follows = true,
		.statement_timeout = StatementTimeout,
		.progress = psprintf("model \"%s\"", name),
		.before = before_statement, .argument = &declaration
	};

	notes->context = CurrentMemoryContext;
	mig_guard_begin();
	PG_TRY();
	{
		mig_execute_script(&script);
		PushActiveSnapshot(GetTransactionSnapshot());
		mig_guard_drop_on_commit();
		PopActiveSnapshot();
	}
	PG_FINALLY();
	{
		mig_guard_end();
	}
	PG_END_TRY();
}

/*
 * Run a script in a scratch.  What one that has run before had to say was said then.
 */
static void
run(const ExecuteScript *script, DeclareNotes *notes)
{
	int			guc_level = NewGUCNestLevel();

	if (notes->context == NULL)
		notes->context = CurrentMemoryContext;
	if (script->model == NULL)
		set("client_min_messages", "error");
	else if (client_min_messages < WARNING)
		set("client_min_messages", "warning");
	mig_execute_script(script);
	AtEOXact_GUC(false, guc_level);
	/* what reads the result makes its texts again */
	AtEOXact_Enum();
	if (script->at_end != NULL)
		mig_execute_end_script(script);
	PushActiveSnapshot(GetTransactionSnapshot());
	mig_guard_drop_on_commit();
	PopActiveSnapshot();
}

/*
 * Return what is to be run in place of a statement.
 */
static List *
before_statement(RawStmt *raw, void *argument)
{
	Declaration *declaration = argument;

	/*
	 * RESET ALL, for one, must not have the scratch wait for ever.  Set as the script's own
	 * SET would, for what was set at this level already cannot be saved.
	 */
	if (LockTimeout != declaration->lock_timeout)
		(void) set_config_option("lock_timeout", psprintf("%d", declaration->lock_timeout),
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET, true, 0,
								 false);
	declaration->notes->reads = mig_data_is_read(raw->stmt);
	/* no utility command is called for one whose rows are in the script */
	if (declaration->notes->replay && IsA(raw->stmt, CopyStmt))
		mig_fence_check(raw->stmt);
	return mig_mend_statement(raw, declaration->notes);
}

/*
 * Let the next statement use enum values that this one has added, unless it cannot where
 * the script will run.
 */
static void
after_statement(const ScriptStatement *statement, int64 rows, void *argument)
{
	(void) statement;
	(void) rows;
	if (!((const Declaration *) argument)->notes->uncommitted)
		AtEOXact_Enum();
}

/*
 * Set something until the end of the current nest level of settings.
 */
static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

/*
 * Return the hint of an error of a revision's script that is run again, or NULL where
 * it is not about the script.
 */
static const char *
find_hint(const ErrorData *error, void *argument)
{
	const char *function = ((const Declaration *) argument)->function;

	if (function == NULL)
		return NULL;
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case MAKE_SQLSTATE('M', 'G', '0', '0', '0'):
			return NULL;
		case ERRCODE_INVALID_TRANSACTION_TERMINATION:
			return psprintf("%s could not look: it runs the scripts of revisions again, in a transaction that is rolled back, and this one commits.",
							function);
		default:
			return psprintf("%s could not look: it runs the scripts of revisions again, on empty tables. This one may need rows that only the live tables have.",
							function);
	}
}
