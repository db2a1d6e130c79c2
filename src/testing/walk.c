/*
 * walk.c
 *		Revisions moved up and down, one by one, in a scratch.
 *
 * The tests of migrations begin with empty schemas, whatever is applied here, and touch
 * no live one.  Each script runs in a subtransaction of the scratch: what it raises is a
 * fault of that script, and the walk can look at others after it.
 */
#include "migrate.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "revision/ids.h"
#include "revision/plan.h"
#include "schema/declare.h"
#include "schema/finding.h"
#include "schema/managed.h"
#include "schema/read.h"
#include "schema/scratch.h"
#include "script/script.h"
#include "script/statement.h"
#include "store/scope.h"
#include "testing/walk.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* One script that is run, and what follows it. */
typedef struct Attempt
{
	Walk	   *walk;
	const WalkStep *step;
	MigDirection direction;
	void		(*look) (Walk *walk, void *argument);
	void	   *argument;		/* of look */
	bool		is_kept;		/* it is not rolled back */
} Attempt;

static WalkStep *make_step(const Graph *graph, StoredScript *upgrade,
						   StoredScript *downgrade, List *data, const Bitmapset *left_out);
static Replay *read_replay(const Walk *walk);
static void walk_in_scratch(Scratch *scratch, void *argument);
static Fault *attempt(const Attempt *attempt);
static ErrorData *try_scripts(const Attempt *attempt, MemoryContext context);
static DeclareNotes copy_notes(const DeclareNotes *notes);
static void run_scripts(const Attempt *attempt);
static void run_rows(Walk *walk, const WalkStep *step, const char *when, const char *sql);
static bool is_left_out(const Node *stmt);

/*
 * Read all revisions, but for the scripts of some (nodes) which are left out, in the
 * current memory context.  Errors: those of reading the managed schemas.
 */
Walk *
mig_walk_read(const Project *project, const Graph *graph, const Bitmapset *left_out)
{
	Walk	   *walk = palloc0(sizeof(Walk));
	List	   *plan = mig_plan_sort(graph, bms_add_range(NULL, 0, graph->n - 1));
	List	   *ids = mig_graph_plan_ids(graph, plan, 0, list_length(plan));
	List	   *upgrades;
	List	   *downgrades;
	List	   *data;
	Scope		scope;
	ListCell   *lc;
	ListCell   *lc2;

	walk->project = project;
	walk->graph = graph;
	walk->context = CurrentMemoryContext;
	mig_scope_enter(&scope);
	upgrades = mig_revisions_read_whole_scripts(&scope, ids, MIG_UPGRADE);
	downgrades = mig_revisions_read_whole_scripts(&scope, ids, MIG_DOWNGRADE);
	data = mig_test_data_read(&scope);
	mig_scope_leave(&scope);
	forboth(lc, upgrades, lc2, downgrades)
		walk->steps = lappend(walk->steps, make_step(graph, lfirst(lc), lfirst(lc2), data,
													 left_out));
	walk->replay = read_replay(walk);
	return walk;
}

/*
 * Return the step of a revision.
 */
static WalkStep *
make_step(const Graph *graph, StoredScript *upgrade, StoredScript *downgrade, List *data,
		  const Bitmapset *left_out)
{
	WalkStep   *step = palloc0(sizeof(WalkStep));
	ListCell   *lc;

	step->node = mig_graph_find_id(graph, upgrade->revision);
	step->revision = upgrade->revision;
	step->message = upgrade->message;
	step->scripts[MIG_UPGRADE] = upgrade;
	step->scripts[MIG_DOWNGRADE] = downgrade;
	step->is_left_out = bms_is_member(step->node, left_out);
	foreach(lc, data)
		if (strcmp(((TestData *) lfirst(lc))->revision, step->revision) == 0)
			step->data = lfirst(lc);
	return step;
}

/*
 * Return what is needed to run all scripts of a walk.
 */
static Replay *
read_replay(const Walk *walk)
{
	List	   *scripts = NIL;
	ListCell   *lc;

	foreach(lc, walk->steps)
	{
		const WalkStep *step = lfirst(lc);

		scripts = lappend(scripts, unconstify(StoredScript *, step->scripts[MIG_UPGRADE]));
		if (step->scripts[MIG_DOWNGRADE]->sql != NULL)
			scripts = lappend(scripts,
							  unconstify(StoredScript *, step->scripts[MIG_DOWNGRADE]));
	}
	return mig_replay_prepare(mig_differ_live(walk->project), scripts,
							  walk->project->function);
}

/*
 * Call a function in a scratch without any revision.  Errors: those of the scratch.
 */
void
mig_walk_run(Walk *walk, void (*body) (Walk *walk), void *argument)
{
	ScratchOptions options = mig_replay_options(walk->replay, walk->project->schemas,
												walk->project->rights);

	walk->body = body;
	walk->argument = argument;
	mig_scratch_run(&options, walk_in_scratch, walk);
}

/*
 * Likewise, in the scratch.
 */
static void
walk_in_scratch(Scratch *scratch pg_attribute_unused(), void *argument)
{
	Walk	   *walk = argument;
	MemoryContext old = MemoryContextSwitchTo(walk->context);
	DeclareNotes notes = {.new_rights = walk->project->rights};

	notes.before = mig_read_database(walk->project->schemas,
									 mig_managed_oids(walk->project->schemas));
	walk->notes = &notes;
	mig_replay_begin(walk->replay, walk->project->schemas, &notes);
	walk->body(walk);
	walk->notes = NULL;
	MemoryContextSwitchTo(old);
}

/*
 * Run the script of a revision in one direction, an upgrade with the rows that belong to
 * it.  Return NULL, or what was wrong with it; then nothing has changed.  Errors: those
 * that are not the script's.
 */
Fault *
mig_walk_move(Walk *walk, const WalkStep *step, MigDirection direction)
{
	return attempt(&(Attempt) {.walk = walk, .step = step, .direction = direction,
							   .is_kept = true});
}

/*
 * Run the downgrade script of a revision, call a function, and roll both back.  Return
 * NULL, or what was wrong with the script.
 */
Fault *
mig_walk_try_back(Walk *walk, const WalkStep *step,
				  void (*look) (Walk *walk, void *argument), void *argument)
{
	return attempt(&(Attempt) {.walk = walk, .step = step, .direction = MIG_DOWNGRADE,
							   .look = look, .argument = argument});
}

/*
 * Run a script in a subtransaction.  The current memory context is kept.
 */
static Fault *
attempt(const Attempt *attempt)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(context, "migrate step", ALLOCSET_DEFAULT_SIZES);
	ResourceOwner owner = CurrentResourceOwner;
	DeclareNotes notes = copy_notes(attempt->walk->notes);
	ErrorData  *error;
	bool		reads;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(work);
	error = try_scripts(attempt, context);
	reads = attempt->walk->notes->reads;
	if (error == NULL && attempt->is_kept)
		ReleaseCurrentSubTransaction();
	else
	{
		RollbackAndReleaseCurrentSubTransaction();
		*attempt->walk->notes = notes;
	}
	MemoryContextSwitchTo(context);
	MemoryContextDelete(work);
	CurrentResourceOwner = owner;
	if (error == NULL)
		return NULL;
	if (mig_finding_is_of_server(error))
		ReThrowError(error);
	return mig_fault_make(error, attempt->step->revision, attempt->direction,
						  reads);
}

/*
 * Run the scripts of an attempt, and look at what they have made.  Return the error, in a
 * memory context, or NULL.
 */
static ErrorData *
try_scripts(const Attempt *attempt, MemoryContext context)
{
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		/* the callers of the test are no context of the script; restored by PG_END_TRY */
		error_context_stack = NULL;
		run_scripts(attempt);
		MemoryContextSwitchTo(context);
		if (attempt->look != NULL)
			attempt->look(attempt->walk, attempt->argument);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	return error;
}

/*
 * Return a copy of notes, in their memory context, to which nothing is added with them.
 */
static DeclareNotes
copy_notes(const DeclareNotes *notes)
{
	DeclareNotes copy = *notes;
	MemoryContext old = MemoryContextSwitchTo(notes->context);

	copy.extensions = list_copy(notes->extensions);
	copy.extension_schemas = list_copy(notes->extension_schemas);
	copy.schemas = list_copy(notes->schemas);
	copy.owners = list_copy(notes->owners);
	copy.kept = list_copy(notes->kept);
	MemoryContextSwitchTo(old);
	return copy;
}

/*
 * Run the script of an attempt, with the rows that belong to an upgrade.
 */
static void
run_scripts(const Attempt *attempt)
{
	Walk	   *walk = attempt->walk;
	const WalkStep *step = attempt->step;
	bool		up = attempt->direction == MIG_UPGRADE;

	if (up && step->data != NULL)
		run_rows(walk, step, "before", step->data->before);
	if (!step->is_left_out)
		mig_declare_revision(step->scripts[attempt->direction], attempt->direction,
							 psprintf("test %s %s", mig_direction_name(attempt->direction),
									  step->revision),
							 NULL, walk->notes);
	if (up && step->data != NULL)
		run_rows(walk, step, "after", step->data->after);
}

/*
 * Run a script that gives a revision rows, if there is one.
 */
static void
run_rows(Walk *walk, const WalkStep *step, const char *when, const char *sql)
{
	if (sql != NULL)
		mig_declare_rows(step->revision, when, sql, walk->notes);
}

/*
 * Return what the managed schemas are now, in the scratch, with its uses, in the current
 * memory context.
 */
Schema *
mig_walk_look(const Walk *walk)
{
	return mig_differ_read_scratch(walk->project, walk->notes, true);
}

/*
 * Return what was run otherwise in a script that is not transactional, as a sentence, or
 * NULL: in a transaction that is rolled back, some statements have their plain form, and
 * some are left out.
 */
char *
mig_walk_plain_form(const WalkStep *step, MigDirection direction)
{
	const StoredScript *script = step->scripts[direction];
	List	   *plain = NIL;
	List	   *left_out = NIL;
	StringInfoData text;
	ListCell   *lc;

	if (script->transactional || script->sql == NULL || step->is_left_out)
		return NULL;
	foreach(lc, mig_script_split(script->sql))
	{
		const RawStmt *raw = ((const ScriptStatement *) lfirst(lc))->raw;
		char	   *command = unconstify(char *, mig_statement_needs_top_level(raw));
		List	  **commands = is_left_out(raw->stmt) ? &left_out : &plain;

		if (command != NULL && !list_member_ptr(*commands, command))
			*commands = lappend(*commands, command);
	}
	initStringInfo(&text);
	appendStringInfo(&text, "The %s script of revision \"%s\" is not transactional, and was run in a transaction.",
					 mig_direction_name(direction), step->revision);
	if (plain != NIL)
		appendStringInfo(&text, " In its plain form: %s.", mig_ids_join(plain));
	if (left_out != NIL)
		appendStringInfo(&text, " Left out: %s.", mig_ids_join(left_out));
	return text.data;
}

/*
 * Return whether a statement that needs the top level has no plain form.
 */
static bool
is_left_out(const Node *stmt)
{
	return !IsA(stmt, IndexStmt) && !IsA(stmt, DropStmt) && !IsA(stmt, AlterTableStmt);
}
