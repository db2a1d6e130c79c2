/*
 * generate.c
 *		Scripts that lead from a schema to another and back, and their proof.
 *
 * A script is proved in the scratch: the schema before is made from its own
 * definitions, the script run, and what is there then compared with the schema after.
 */
#include "migrate.h"

#include "kind/kinds.h"
#include "kind/writer.h"
#include "lib/stringinfo.h"
#include "schema/closure.h"
#include "schema/compare.h"
#include "schema/finding.h"
#include "schema/generate.h"
#include "schema/online.h"
#include "schema/path.h"
#include "schema/refusal.h"
#include "schema/rename.h"
#include "script/text.h"
#include "utils/builtins.h"

/* Most rounds of renames: a table, its columns, what is named after these. */
#define MAX_ROUNDS 10

/* What is to be proved. */
typedef struct Proof
{
	const Schema *from;
	const Schema *to;
	const char *direction;		/* for messages */
	const char *first;			/* statements before those of the plan */
	const char *last;			/* and after them */
	bool		whole;			/* renames are not among what the plan touches */
	const char *script;
	bool		commits;		/* the statements will be committed one by one */
	List	   *touched;		/* SchemaObject *, of from; NIL: all */
	bool		uses_values;	/* the script was found to use enum values that it adds */
} Proof;

/* What a plan was made of. */
typedef struct Change
{
	const Schema *from;
	const Schema *to;
	List	   *differences;
} Change;

/* A script, run on some objects of a schema. */
typedef struct Trial
{
	const Project *project;
	const Schema *before;
	List	   *objects;		/* SchemaObject * */
	const char *script;
	bool		commits;		/* its statements will be committed one by one */
	Schema	   *made;			/* the result */
} Trial;

/* What a script that is to be proved leaves to do. */
typedef struct Check
{
	const Project *project;
	const Proof *proof;
	List	   *left;			/* Difference * */
	bool		uses_values;	/* the script uses enum values that it adds */
} Check;

static char *write_proved(const Project *project, ActionPlan *plan, const Change *change,
						  Proof *proof, bool prove);
static char *try_plan(const Project *project, const ActionPlan *plan, Proof *proof);
static void make_online(ActionPlan *plan, const Schema *from, const Schema *to);
static Schema *rename_live(const Project *project, const Schema *live, List *renames,
						   bool told);
static void run_trial(void *argument);
static char *write_renames(List *renames);
static char *write_script(const char *first, const ActionPlan *plan, const char *last);
static char *check_proof(const Project *project, const Proof *proof, const char *fault,
						 bool prove);
static char *find_fault(const Project *project, Proof *proof);
static void run_check(void *argument);
static List *without_untouched(List *differences, const Schema *schema, List *objects);
static char *write_renames_back(List *renames);
static List *actions_about(const ActionPlan *plan, const Difference *difference);
static bool is_about(const Difference *cause, const Difference *difference);
static List *reverse(const Differing *differing);
static bool is_among(const Difference *difference, List *differences);

/*
 * Return what turns the live schema into the declared one, and back, in the current memory
 * context.  The renames (Rename *) are the first ones, which are known.  Errors: those of the
 * renames and of the scratch.
 */
Generated
mig_generate_plan(const Project *project, const Differing *differing, List *renames)
{
	List	   *next = renames;
	Generated	generated = {.differing = *differing};
	bool		told = renames != NIL;

	for (int round = 0; round < MAX_ROUNDS; round++)
	{
		Differing  *now = &generated.differing;
		Schema	   *renamed;
		bool		found;

		if (next == NIL)
			next = mig_rename_read_models(now->live, now->declared, project->models);
		found = next == NIL;
		if (found)
			next = mig_rename_find(now->differences);
		if (next == NIL)
			break;
		renamed = rename_live(project, differing->live,
							  list_concat(list_copy(generated.renames), next),
							  told && round == 0);
		if (renamed == NULL)
		{
			/* an index or a constraint can as well be dropped and created */
			generated.cannot_rename = !found;
			break;
		}
		generated.renames = list_concat(generated.renames, next);
		next = NIL;
		now->live = renamed;
		now->differences = mig_differ_settle(project, now->live, now->declared,
											 mig_compare_schemas(now->live, now->declared));
	}
	generated.upgrade = mig_action_plan(generated.differing.live, generated.differing.declared,
										generated.differing.differences, false);
	generated.downgrade = mig_action_plan(generated.differing.declared,
										  generated.differing.live,
										  reverse(&generated.differing), false);
	if (project->online)
	{
		make_online(&generated.upgrade, generated.differing.live, generated.differing.declared);
		make_online(&generated.downgrade, generated.differing.declared,
					generated.differing.live);
	}
	return generated;
}

/*
 * Have a plan take the steps that do not block tables, where there are any.
 */
static void
make_online(ActionPlan *plan, const Schema *from, const Schema *to)
{
	List	   *actions = mig_online_actions(plan->actions, from, to);

	plan->stepwise = actions != NIL;
	if (plan->stepwise)
		plan->actions = actions;
}

/*
 * Return the live schema with some renames (Rename *) done.  Where its definitions cannot
 * be run, and the caller has not told the renames, return NULL: it is compared as it is.
 */
static Schema *
rename_live(const Project *project, const Schema *live, List *renames, bool told)
{
	Trial		trial = {.project = project, .before = live, .objects = live->objects,
	.script = write_renames(renames), .commits = true};

	if (told)
		run_trial(&trial);
	else if (mig_finding_try(run_trial, &trial) != NULL)
		return NULL;
	return trial.made;
}

/*
 * Run a script on a schema.  Errors: those of the scratch and of the script.
 */
static void
run_trial(void *argument)
{
	Trial	   *trial = argument;

	trial->made = mig_differ_run(trial->project, trial->before, trial->objects, trial->script,
								 trial->commits);
}

/*
 * Return the statements of some renames (Rename *).
 */
static char *
write_renames(List *renames)
{
	StringInfoData script;
	ListCell   *lc;

	initStringInfo(&script);
	foreach(lc, renames)
		appendStringInfo(&script, "%s;\n", ((const Rename *) lfirst(lc))->there);
	return script.data;
}

/*
 * Return the scripts that turn the live schema into the declared one and back, in the
 * current memory context; where nothing differs, they are empty.  Scripts that need not be
 * proved, and are not, say so in a comment.  Errors: 0A000 for what migrate cannot write,
 * MG014 for what is not proved, those of the renames (Rename *) and of the scratch.
 */
GeneratedScripts
mig_generate_scripts(const Project *project, const Differing *differing,
					 const GenerateOptions *options)
{
	bool		prove = !options->unproved;
	GeneratedScripts scripts = {
		.upgrade = pstrdup(""), .downgrade = pstrdup(""),
		.upgrade_stepwise = options->stepwise, .downgrade_stepwise = options->stepwise
	};
	Generated	generated;

	if (differing->differences == NIL)
		return scripts;
	generated = mig_generate_plan(project, differing, options->renames);
	if (generated.cannot_rename)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot generate a script that renames objects of this schema"),
				 errdetail("The definitions of the schema, in which migrate would try that, do not run by themselves."),
				 errhint("Rename them by hand, in a revision of its own.")));
	mig_refusal_check_kinds(generated.differing.differences);
	mig_refusal_check(&generated.upgrade, false);
	mig_refusal_check(&generated.downgrade, true);
	generated.upgrade.stepwise |= options->stepwise;
	generated.downgrade.stepwise |= options->stepwise;
	scripts.upgrade =
		write_proved(project, &generated.upgrade, &(Change) {
					 generated.differing.live, generated.differing.declared,
					 generated.differing.differences}, &(Proof) {
					 .from = differing->live, .to = differing->declared, .direction = "upgrade",
					 .first = write_renames(generated.renames), .last = "",
					 .whole = generated.renames != NIL}, prove);
	scripts.downgrade =
		write_proved(project, &generated.downgrade, &(Change) {
					 generated.differing.declared, generated.differing.live,
					 reverse(&generated.differing)}, &(Proof) {
					 .from = differing->declared, .to = differing->live,
					 .direction = "downgrade", .first = "",
					 .last = write_renames_back(generated.renames),
					 .whole = generated.renames != NIL}, prove);
	scripts.upgrade_stepwise = generated.upgrade.stepwise;
	scripts.downgrade_stepwise = generated.downgrade.stepwise;
	return scripts;
}

/*
 * Return the script that turns one schema into another, proved, likewise; stepwise: it will
 * not be transactional.  Both were read in one scratch: an object that has the same address
 * is the same.
 */
char *
mig_generate_undo(const Project *project, const Differing *differing, bool stepwise)
{
	Project		modelless = *project;
	Generated	generated;

	if (differing->differences == NIL)
		return pstrdup("");
	modelless.models = NIL;
	modelless.online = false;
	generated = mig_generate_plan(&modelless, differing,
								  mig_rename_same(differing->live, differing->declared));
	mig_refusal_check_kinds(generated.differing.differences);
	mig_refusal_check(&generated.upgrade, true);
	generated.upgrade.stepwise = stepwise;
	return write_proved(&modelless, &generated.upgrade, &(Change) {
						generated.differing.live, generated.differing.declared,
						generated.differing.differences}, &(Proof) {
						.from = differing->live, .to = differing->declared,
						.direction = "downgrade", .first = write_renames(generated.renames),
						.last = "", .whole = generated.renames != NIL}, true);
}

/*
 * Return the script of a plan, which is made of a change, proved.  Where it uses enum values
 * that it adds, in the same transaction, the plan becomes another one.  Errors: those of
 * mig_refusal_check and check_proof.
 */
static char *
write_proved(const Project *project, ActionPlan *plan, const Change *change, Proof *proof,
			 bool prove)
{
	char	   *fault = try_plan(project, plan, proof);

	if (proof->uses_values && !plan->stepwise)
	{
		*plan = mig_action_plan(change->from, change->to, change->differences, true);
		mig_refusal_check(plan, strcmp(proof->direction, "downgrade") == 0);
		fault = try_plan(project, plan, proof);
	}
	return check_proof(project, proof, fault, prove);
}

/*
 * Write the script of a plan, and return what is wrong with it; NULL: nothing.
 */
static char *
try_plan(const Project *project, const ActionPlan *plan, Proof *proof)
{
	proof->script = write_script(proof->first, plan, proof->last);
	proof->commits = plan->stepwise;
	proof->touched = proof->whole ? NIL : plan->touched;
	return find_fault(project, proof);
}

/*
 * Return a script of some actions (Action *), with statements before and after them.  The
 * settings that it needs end with the transaction, or where it has none with the script.
 */
static char *
write_script(const char *first, const ActionPlan *plan, const char *last)
{
	const char *set = plan->stepwise ? "SET" : "SET LOCAL";
	bool		unchecked = mig_action_makes_functions(plan->actions);
	bool		hides = mig_path_hides_server();
	StringInfoData script;

	initStringInfo(&script);
	if (hides)
		appendStringInfo(&script, "%s search_path = %s;\n", set, mig_path_with("pg_catalog"));
	if (unchecked)
		appendStringInfo(&script, "%s check_function_bodies = off;\n", set);
	appendStringInfo(&script, "%s%s%s", first, mig_action_script(plan->actions), last);
	if (unchecked && plan->stepwise)
		appendStringInfoString(&script, "RESET check_function_bodies;\n");
	if (hides && plan->stepwise)
		appendStringInfoString(&script, "RESET search_path;\n");
	return script.data;
}

/*
 * Return a script that turns one schema into another.  One that does not, for a fault is
 * given, is an error or, where it need not be proved, says so in a comment.  Errors: MG014.
 */
static char *
check_proof(const Project *project, const Proof *proof, const char *fault, bool prove)
{
	StringInfoData script;

	if (fault == NULL)
		return pstrdup(proof->script);
	if (prove)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NOT_PROVED),
				 errmsg("generated %s script was not proved", proof->direction),
				 errdetail("%s", fault),
				 strcmp(project->function, "migrate.revision()") == 0 ?
				 errhint("Write the revision by hand, or see the script with prove => false.") :
				 errhint("Write the script by hand.")));
	initStringInfo(&script);
	mig_text_append_comment(&script, psprintf("not proved: %s", fault));
	appendStringInfoString(&script, proof->script);
	return script.data;
}

/*
 * Return what is wrong with a script, run on what it changes and all that this uses, or
 * that uses it; NULL: nothing.  Errors: those of the scratch.
 */
static char *
find_fault(const Project *project, Proof *proof)
{
	Check		check = {.project = project, .proof = proof};
	char	   *message = mig_finding_try(run_check, &check);

	proof->uses_values = check.uses_values;
	if (message != NULL)
		return psprintf("In the scratch it fails: %s", message);
	if (check.left != NIL)
		return psprintf("After it, there would still be to do:\n%s",
						mig_compare_list(check.left));
	return NULL;
}

/*
 * Run a script, and find the differences that it leaves.
 */
static void
run_check(void *argument)
{
	Check	   *check = argument;
	const Proof *proof = check->proof;
	Trial		trial = {.project = check->project, .before = proof->from,
		.objects = proof->touched == NIL ? proof->from->objects :
		mig_closure_of(proof->from, proof->touched),
	.script = proof->script, .commits = proof->commits};
	List	   *differences;

	PG_TRY();
	{
		run_trial(&trial);
	}
	PG_CATCH();
	{
		check->uses_values = geterrcode() == ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE;
		PG_RE_THROW();
	}
	PG_END_TRY();
	differences = without_untouched(mig_compare_schemas(trial.made, proof->to), proof->from,
									trial.objects);
	check->left = mig_differ_settle(check->project, trial.made, proof->to, differences);
}

/*
 * Return the differences that are left without those which create what was in a schema,
 * but not among some of its objects (SchemaObject *).
 */
static List *
without_untouched(List *differences, const Schema *schema, List *objects)
{
	bool	   *is_among = palloc0(sizeof(bool) * (list_length(schema->objects) + 1));
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, objects)
		is_among[((SchemaObject *) lfirst(lc))->number] = true;
	foreach(lc, differences)
	{
		Difference *difference = lfirst(lc);
		const SchemaObject *before = difference->from == NULL ?
			mig_objects_find(schema, difference->to) : NULL;

		if (before == NULL || is_among[before->number])
			left = lappend(left, difference);
	}
	return left;
}

/*
 * Return the statements that take some renames (Rename *) back.
 */
static char *
write_renames_back(List *renames)
{
	StringInfoData script;

	initStringInfo(&script);
	for (int i = list_length(renames) - 1; i >= 0; i--)
		appendStringInfo(&script, "%s;\n", ((const Rename *) list_nth(renames, i))->back);
	return script.data;
}

/*
 * Return the differences of the way back.  Of two objects that are the same though their
 * texts are printed otherwise, there is none.
 */
static List *
reverse(const Differing *differing)
{
	List	   *all = mig_compare_schemas(differing->declared, differing->live);
	List	   *back = NIL;
	ListCell   *lc;

	foreach(lc, all)
	{
		Difference *difference = lfirst(lc);

		if (difference->from == NULL || difference->to == NULL ||
			is_among(difference, differing->differences))
			back = lappend(back, difference);
	}
	return back;
}

/*
 * Return whether two objects differ the other way round, too.
 */
static bool
is_among(const Difference *difference, List *differences)
{
	ListCell   *lc;

	foreach(lc, differences)
	{
		const Difference *other = lfirst(lc);

		if (other->from == difference->to && other->to == difference->from)
			return true;
	}
	return false;
}

/*
 * Return the statements of a plan that are there for a difference, or for the same objects
 * the other way round; NULL: none.
 */
char *
mig_generate_part(const ActionPlan *plan, const Difference *difference)
{
	StringInfoData part;
	ListCell   *lc;

	initStringInfo(&part);
	foreach(lc, actions_about(plan, difference))
		appendStringInfo(&part, "%s;\n", ((const Action *) lfirst(lc))->sql);
	return part.len > 0 ? part.data : NULL;
}

/*
 * Return the hazards of a difference's statements; NULL: none.
 */
char *
mig_generate_hazard(const ActionPlan *plan, const Difference *difference)
{
	StringInfoData hazards;
	ListCell   *lc;

	foreach(lc, plan->refusals)
		if (is_about(((const Refusal *) lfirst(lc))->cause, difference))
			return pstrdup("cannot be done without the loss of rows");
	initStringInfo(&hazards);
	foreach(lc, actions_about(plan, difference))
	{
		const char *hazard = ((const Action *) lfirst(lc))->hazard;

		if (hazard != NULL && strstr(hazards.data, hazard) == NULL)
			appendStringInfo(&hazards, "%s%s", hazards.len > 0 ? "; " : "", hazard);
	}
	return hazards.len > 0 ? hazards.data : NULL;
}

/*
 * Return the actions (Action *) of a plan that are there for a difference.
 */
static List *
actions_about(const ActionPlan *plan, const Difference *difference)
{
	List	   *actions = NIL;
	ListCell   *lc;

	foreach(lc, plan->actions)
		if (is_about(((const Action *) lfirst(lc))->cause, difference))
			actions = lappend(actions, lfirst(lc));
	return actions;
}

/*
 * Return whether a cause is a difference, or the same the other way round; what is created
 * with its table one way is dropped by itself the other.
 */
static bool
is_about(const Difference *cause, const Difference *difference)
{
	if (cause == NULL || cause == difference)
		return cause != NULL;
	return cause->from == difference->to && cause->to == difference->from;
}
