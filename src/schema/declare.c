/*
 * declare.c
 *		Running the DDL of a model in the scratch.
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
#include "schema/guard.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

/* A model that is run. */
typedef struct Declaration
{
	DeclareNotes *notes;
	int			lock_timeout;
} Declaration;

static List *before_statement(RawStmt *raw, void *argument);
static void after_statement(const RawStmt *raw);
static void set(const char *name, const char *value);

/*
 * Run a model's DDL, in a scratch.  Adds to the notes, in the current memory context.
 * Errors: those of the statements, MG011 for those that cannot be in a model; with
 * model, statement and line as context.
 */
void
mig_declare_model(const char *name, const char *ddl, DeclareNotes *notes)
{
	Declaration declaration = {notes, LockTimeout};
	ExecuteScript script = {
		.model = name, .sql = ddl, .in_scratch = true,
		.progress = psprintf("model \"%s\"", name),
		.before = before_statement, .argument = &declaration, .after = after_statement
	};
	int			guc_level = NewGUCNestLevel();

	notes->context = CurrentMemoryContext;
	if (client_min_messages < WARNING)
		set("client_min_messages", "warning");
	mig_execute_script(&script);
	AtEOXact_GUC(false, guc_level);
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

	/* RESET ALL, for one, must not have the scratch wait for ever */
	if (LockTimeout != declaration->lock_timeout)
		set("lock_timeout", psprintf("%d", declaration->lock_timeout));
	return mig_mend_statement(raw, declaration->notes);
}

/*
 * Let the next statement use enum values that this one has added.
 */
static void
after_statement(const RawStmt *raw)
{
	(void) raw;
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
