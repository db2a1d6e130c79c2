/*
 * differ.c
 *		How the database differs from what is declared.
 *
 * The models are run in the scratch and read there as the live schemas are.  Where
 * two objects differ only in texts that the server prints, both are made again from
 * these texts, each with all that it uses in a scratch of its own: printing is no
 * fixpoint ("IN (...)" on varchar, casts), but what is printed of something that
 * was made from a print is.  They are different if they still are then, or cannot be
 * made.
 *
 * That nothing differs is remembered with a fingerprint of the database, and not
 * looked for again while that is the same.
 */
#include "migrate.h"

#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "schema/closure.h"
#include "schema/compare.h"
#include "schema/declare.h"
#include "schema/differ.h"
#include "schema/exclude.h"
#include "schema/fence.h"
#include "schema/finding.h"
#include "schema/fingerprint.h"
#include "schema/guard.h"
#include "schema/managed.h"
#include "schema/published.h"
#include "schema/read.h"
#include "schema/replay.h"
#include "schema/replace.h"
#include "schema/scratch.h"
#include "schema/write.h"
#include "store/compared.h"

/* What to do in a scratch. */
typedef struct Work
{
	const Project *project;
	MemoryContext context;
	const Replay *replay;		/* of revisions, before the models; NULL: none */
	List	   *models;			/* Model * */
	const char *script;			/* that is run after the models; NULL: none */
	bool		commits;		/* where it will run, each of its statements is committed */
	bool		uses;			/* read which object uses which, too */
	bool		before_last;	/* read before the last script of the replay, too */
	Schema	   *before;
	Schema	   *result;
} Work;

/* Objects that are made again. */
typedef struct Remake
{
	const Project *project;
	const Schema *schema;
	List	   *objects;		/* SchemaObject * */
	Schema	   *result;
} Remake;

static Differing differ_from_revisions(const Project *project);
static void compare(const Project *project, Differing *differing);
static void settle_both(const Project *project, Differing *differing);
static void remember(const Project *project, const char *fingerprint);
static char *text_of(const Project *project, const char *exclude);
static Schema *read_declared(const Project *project, List *models, bool uses);
static Schema *read_replayed(const Project *project, Schema *live);
static void replay_and_read(const Project *project, Work *work);
static void declare_and_read(Scratch *scratch, void *argument);
static void run_replay(Work *work, DeclareNotes *notes);
static void forget_undeclared(Schema *schema, const DeclareNotes *notes);
static void place_extension(SchemaObject *object, const DeclareNotes *notes);
static bool is_undeclared(const SchemaObject *object, const Schema *schema,
						  const DeclareNotes *notes);
static bool is_in(List *names, const char *name);
static bool settle(const Project *project, const Schema *live, const Schema *declared,
				   List *differences, List **left);
static Schema *remake(const Project *project, const Schema *schema, List *objects);
static void run_remake(void *argument);
static bool is_same_again(const Difference *difference, const Schema *live,
						  const Schema *declared);

/*
 * Read what the project compares, for a function that errors name.
 */
Project
mig_differ_project(const char *function)
{
	Project		project = {.function = function};
	const char *exclude;
	Scope		scope;

	mig_scope_enter(&scope);
	project.schemas = mig_managed_read(&scope);
	exclude = mig_project_read_setting(&scope, "exclude");
	project.rights = mig_project_is_on(&scope, "compare_privileges");
	project.online = mig_project_is_on(&scope, "online");
	project.models = mig_project_read_models(&scope);
	project.compared = mig_compared_read(&scope);
	mig_scope_leave(&scope);
	project.exclude = mig_exclude_parse(exclude != NULL ? exclude : "");
	project.text = text_of(&project, exclude);
	return project;
}

/*
 * Return how the database differs from the source, models or revisions.  Errors: 22023
 * for another source; those of mig_differ_from_models and of the revisions' scripts.
 */
Differing
mig_differ_source(const Project *project, const char *source)
{
	if (strcmp(source, "revisions") == 0)
		return differ_from_revisions(project);
	if (strcmp(source, "models") != 0)
		mig_differ_unrecognized(source, "models, revisions");
	mig_differ_check_models(project);
	return mig_differ_from_models(project);
}

/*
 * Report a source that does not exist.
 */
void
mig_differ_unrecognized(const char *source, const char *known)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized source \"%s\"", source),
			 errhint("The sources are: %s.", known)));
}

/*
 * Check that there are models.  Errors: 55000.
 */
void
mig_differ_check_models(const Project *project)
{
	if (project->models == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no model is declared"),
				 errhint("Declare one with migrate.set_model().")));
}

/*
 * Return how the database differs from what the models declare, in the current memory
 * context; where nothing does since the last time, the schemas are not read.  Errors: those
 * of the scratch and of the models.
 */
Differing
mig_differ_from_models(const Project *project)
{
	char	   *fingerprint = mig_fingerprint_take(project->text);
	Differing	differing = {0};

	if (project->compared != NULL && strcmp(fingerprint, project->compared) == 0)
		return differing;
	differing = mig_differ_schema_from_models(project, mig_differ_live(project));
	if (differing.differences == NIL)
		remember(project, fingerprint);
	return differing;
}

/*
 * Return how a schema differs from what the models declare, in the current memory context.
 * Errors: those of the scratch and of the models.
 */
Differing
mig_differ_schema_from_models(const Project *project, Schema *schema)
{
	Differing	differing = {.live = schema};

	differing.declared = read_declared(project, project->models, true);
	compare(project, &differing);
	return differing;
}

/*
 * Compare two schemas.
 */
static void
compare(const Project *project, Differing *differing)
{
	List	   *differences = mig_compare_schemas(differing->live, differing->declared);

	if (differences == NIL)
		return;
	mig_read_uses(differing->live);
	differing->differences = mig_differ_settle(project, differing->live, differing->declared,
											   differences);
}

/*
 * Return what a script makes of some objects (SchemaObject *) of a schema, with its
 * uses; commits: each of its statements will be committed by itself.  Errors: those of the
 * script.
 */
Schema *
mig_differ_run(const Project *project, const Schema *before, List *objects,
			   const char *script, bool commits)
{
	Model		model = {.name = "the schema before",
	.ddl = mig_write_again(before, objects)};
	ScratchOptions options = {.schemas = project->schemas, .function = project->function};
	Work		work = {.project = project, .context = CurrentMemoryContext,
		.models = list_make1(&model), .script = script, .commits = commits, .uses = true};

	mig_scratch_run(&options, declare_and_read, &work);
	return work.result;
}

/*
 * Remember that nothing differs, if nothing has changed meanwhile.
 */
static void
remember(const Project *project, const char *fingerprint)
{
	Scope		scope;

	if (strcmp(mig_fingerprint_take(project->text), fingerprint) != 0)
		return;
	mig_scope_enter(&scope);
	mig_compared_write(&scope, fingerprint);
	mig_scope_leave(&scope);
}

/*
 * Return a text that differs where what two projects compare does.
 */
static char *
text_of(const Project *project, const char *exclude)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, project->schemas)
		appendStringInfo(&text, "%s\001", (char *) lfirst(lc));
	/* what only a superuser can make counts as it is for others */
	appendStringInfo(&text, "\001%s\001%d%d", exclude != NULL ? exclude : "", project->rights,
					 superuser());
	foreach(lc, project->models)
	{
		const Model *model = lfirst(lc);

		appendStringInfo(&text, "\001%s\001%s", model->name,
						 mig_fingerprint_of_text(model->ddl));
	}
	return text.data;
}

/*
 * Compare two schemas whose uses have been read.
 */
static void
settle_both(const Project *project, Differing *differing)
{
	differing->differences =
		mig_differ_settle(project, differing->live, differing->declared,
						  mig_compare_schemas(differing->live, differing->declared));
}

/*
 * Return how the database differs from what the applied revisions make, in the current
 * memory context.  Errors: those of the scratch and of the scripts.
 */
static Differing
differ_from_revisions(const Project *project)
{
	Differing	differing = {.live = mig_differ_live(project)};

	differing.declared = read_replayed(project, differing.live);
	settle_both(project, &differing);
	return differing;
}

/*
 * Return how what the applied revisions make differs from the database: what was done to
 * it since.  Likewise.
 */
Differing
mig_differ_drift(const Project *project)
{
	Differing	differing = {.declared = mig_differ_live(project)};

	differing.live = read_replayed(project, differing.declared);
	settle_both(project, &differing);
	return differing;
}

/*
 * Return how what a revision and its ancestors make, applied or not, differs from what
 * they make without it.  The objects that are the same have the same addresses in both.
 * Errors: likewise.
 */
Differing
mig_differ_undo(const Project *project, const Graph *graph, int revision)
{
	Bitmapset  *revisions = mig_graph_ancestors(graph, bms_make_singleton(revision),
												GRAPH_REAL);
	Schema	   *live = mig_differ_live(project);
	Work		work = {.project = project, .context = CurrentMemoryContext, .uses = true,
		.before_last = true,
		.replay = mig_replay_read_some(live, graph, revisions, project->function)};
	Differing	differing = {0};

	replay_and_read(project, &work);
	differing.live = work.result;
	differing.declared = work.before;
	settle_both(project, &differing);
	return differing;
}

/*
 * Return a script that makes the managed schemas as they are.
 */
char *
mig_differ_live_sql(const Project *project)
{
	Schema	   *live = mig_differ_live(project);

	mig_read_uses(live);
	return mig_write_schema(live, live->objects);
}

/*
 * Return a script that makes what the models declare.
 */
char *
mig_differ_models_sql(const Project *project)
{
	Schema	   *declared = read_declared(project, project->models, true);

	return mig_write_schema(declared, declared->objects);
}

/*
 * Return a script that makes what the applied revisions make.
 */
char *
mig_differ_revisions_sql(const Project *project)
{
	Schema	   *replayed = read_replayed(project, mig_differ_live(project));

	return mig_write_schema(replayed, replayed->objects);
}

/*
 * Read the managed schemas as they are, without what is excluded.
 */
Schema *
mig_differ_live(const Project *project)
{
	Schema	   *live = mig_read_schema(project->schemas,
									   mig_managed_oids(project->schemas), project->rights);

	mig_exclude_apply(live, project->exclude);
	return live;
}

/*
 * Run some models in a scratch, and return what they make.
 */
static Schema *
read_declared(const Project *project, List *models, bool uses)
{
	ScratchOptions options = {.schemas = project->schemas, .function = project->function,
		.new_rights = project->rights};
	Work		work = {.project = project, .context = CurrentMemoryContext,
		.models = models, .uses = uses};
	ListCell   *lc;

	foreach(lc, models)
		options.hide_publications |= mig_published_is_asked(((Model *) lfirst(lc))->ddl);
	mig_scratch_run(&options, declare_and_read, &work);
	return work.result;
}

/*
 * Run the scripts of the applied revisions in a scratch, and return what they make, and
 * which object uses which; the same is read of the live schema.
 */
static Schema *
read_replayed(const Project *project, Schema *live)
{
	Work		work = {.project = project, .context = CurrentMemoryContext, .uses = true};

	mig_read_uses(live);
	work.replay = mig_replay_read(live, project->function);
	replay_and_read(project, &work);
	return work.result;
}

/*
 * Run a replay in a scratch, and read what it makes.
 */
static void
replay_and_read(const Project *project, Work *work)
{
	ScratchOptions options = mig_replay_options(work->replay, project->schemas,
												project->rights);

	mig_scratch_run(&options, declare_and_read, work);
}

/*
 * Run scripts and models, in the scratch, and read what they have made.
 */
static void
declare_and_read(Scratch *scratch pg_attribute_unused(), void *argument)
{
	Work	   *work = argument;
	MemoryContext old = MemoryContextSwitchTo(work->context);
	DeclareNotes notes = {.new_rights = work->project->rights};
	ListCell   *lc;

	notes.before = mig_read_database(work->project->schemas,
									 mig_managed_oids(work->project->schemas));
	if (work->replay != NULL)
		run_replay(work, &notes);
	foreach(lc, work->models)
	{
		const Model *model = lfirst(lc);

		mig_declare_model(model->name, model->ddl, &notes);
	}
	if (work->script != NULL)
	{
		notes.replay = true;
		notes.uncommitted = !work->commits;
		mig_guard_replay(work->project->schemas, &notes);
		mig_declare_model("the generated script", work->script, &notes);
	}
	work->result = mig_differ_read_scratch(work->project, &notes, work->uses);
	MemoryContextSwitchTo(old);
}

/*
 * Run the scripts of revisions, and read before the last one if that is wanted.
 */
static void
run_replay(Work *work, DeclareNotes *notes)
{
	int			n = list_length(work->replay->scripts);
	int			last = work->before_last ? n - 1 : n;

	mig_replay_begin(work->replay, work->project->schemas, notes);
	mig_replay_run(work->replay, 0, last, notes);
	if (work->before_last)
		work->before = mig_differ_read_scratch(work->project, notes, work->uses);
	mig_replay_run(work->replay, last, n, notes);
}

/*
 * Return what is in the scratch and was declared, with its uses if these are wanted, in the
 * current memory context.
 */
Schema *
mig_differ_read_scratch(const Project *project, const DeclareNotes *notes, bool uses)
{
	Schema	   *schema = mig_read_schema(project->schemas, mig_managed_oids(project->schemas),
										 project->rights);

	if (uses)
		mig_read_uses(schema);
	forget_undeclared(schema, notes);
	mig_exclude_apply(schema, project->exclude);
	return schema;
}

/*
 * Forget what was in the scratch though no model has made it: what is the database's,
 * and empty twins of schemas.
 */
static void
forget_undeclared(Schema *schema, const DeclareNotes *notes)
{
	List	   *declared = NIL;
	ListCell   *lc;

	foreach(lc, schema->objects)
	{
		if (is_undeclared(lfirst(lc), schema, notes))
			continue;
		declared = lappend(declared, lfirst(lc));
		place_extension(lfirst(lc), notes);
	}
	mig_objects_keep(schema, declared);
}

/*
 * Have an extension, which is where it was, be where a model puts it.
 */
static void
place_extension(SchemaObject *object, const DeclareNotes *notes)
{
	ListCell   *lc;

	if (object->kind != &mig_kinds_extension)
		return;
	foreach(lc, notes->extension_schemas)
	{
		const ObjectProperty *place = lfirst(lc);

		for (int i = 0; i < object->nproperties; i++)
			if (strcmp(place->name, object->name) == 0 &&
				strcmp(object->properties[i].name, "in_schema") == 0)
				object->properties[i].value = place->value;
	}
}

/*
 * Return whether no model has made an object.
 */
static bool
is_undeclared(const SchemaObject *object, const Schema *schema, const DeclareNotes *notes)
{
	ListCell   *lc;

	if (strcmp(object->kind->name, "extension") == 0)
		return !is_in(notes->extensions, object->name);
	if (strcmp(object->kind->name, "schema") != 0 && object->kind->of_database)
		return mig_objects_at(notes->before, &object->address) != NULL &&
			!mig_replace_is_kept(notes, &object->address);
	if (strcmp(object->kind->name, "schema") != 0 || strcmp(object->name, "public") == 0 ||
		is_in(notes->schemas, object->name) || is_in(mig_fence_new_schemas(), object->name))
		return false;
	foreach(lc, schema->objects)
	{
		const SchemaObject *other = lfirst(lc);

		if (other->schema != NULL && strcmp(other->schema, object->name) == 0)
			return false;
	}
	return true;
}

/*
 * Return whether a name is in a list (char *).
 */
static bool
is_in(List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	return false;
}

/*
 * Return the differences that are left when those are taken away that are only in
 * how the server prints a text.  All are settled together, and each by itself when
 * one of them cannot be made.
 */
List *
mig_differ_settle(const Project *project, const Schema *live, const Schema *declared,
			 List *differences)
{
	List	   *open = NIL;
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, differences)
		if (mig_compare_is_text(lfirst(lc)))
			open = lappend(open, lfirst(lc));
		else
			left = lappend(left, lfirst(lc));
	if (open == NIL || settle(project, live, declared, open, &left))
		return left;
	foreach(lc, open)
		if (!settle(project, live, declared, list_make1(lfirst(lc)), &left))
			left = lappend(left, lfirst(lc));
	return left;
}

/*
 * Make the objects of some differences again, and add those to a list that are
 * different still.  Return false when they cannot be made.
 */
static bool
settle(const Project *project, const Schema *live, const Schema *declared,
	   List *differences, List **left)
{
	List	   *from = NIL;
	List	   *to = NIL;
	Schema	   *live_again;
	Schema	   *declared_again;
	ListCell   *lc;

	foreach(lc, differences)
	{
		const Difference *difference = lfirst(lc);

		from = lappend(from, unconstify(SchemaObject *, difference->from));
		to = lappend(to, unconstify(SchemaObject *, difference->to));
	}
	live_again = remake(project, live, from);
	declared_again = live_again ? remake(project, declared, to) : NULL;
	if (declared_again == NULL)
		return false;
	foreach(lc, differences)
		if (!is_same_again(lfirst(lc), live_again, declared_again))
			*left = lappend(*left, lfirst(lc));
	return true;
}

/*
 * Make some objects (SchemaObject *) of a schema in a scratch, and return what is
 * there then; NULL when they cannot be made from what the server prints.
 */
static Schema *
remake(const Project *project, const Schema *schema, List *objects)
{
	Remake		made = {.project = project, .schema = schema, .objects = objects};

	return mig_finding_try(run_remake, &made) == NULL ? made.result : NULL;
}

/*
 * Likewise, for mig_finding_try.
 */
static void
run_remake(void *argument)
{
	Remake	   *made = argument;
	Model		model = {"the server's definitions",
	mig_write_again(made->schema, mig_closure_of(made->schema, made->objects))};

	made->result = read_declared(made->project, list_make1(&model), false);
}

/*
 * Return whether the two objects of a difference are the same when they have been
 * made again.
 */
static bool
is_same_again(const Difference *difference, const Schema *live, const Schema *declared)
{
	const SchemaObject *from = mig_objects_find(live, difference->from);
	const SchemaObject *to = mig_objects_find(declared, difference->to);
	ListCell   *lc;

	if (from == NULL || to == NULL)
		return false;
	foreach(lc, difference->properties)
	{
		const ObjectProperty *property = lfirst(lc);
		const char *a = mig_objects_property(from, property->name);
		const char *b = mig_objects_property(to, property->name);

		if (a == NULL || b == NULL || strcmp(a, b) != 0)
			return false;
	}
	return true;
}
