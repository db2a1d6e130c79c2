/*
 * test.c
 *		Tests of migrations: test_single_head_revision, test_upgrade,
 *		test_up_down_consistency, test_model_definitions_match_ddl,
 *		test_downgrade_leaves_no_trace, runtests, set_revision_data.
 *
 * They check what the tests of these names in pytest-alembic check, from base, whatever is
 * applied here, in a scratch: the scripts run with the caller's rights, and are rolled back.
 */
#include "migrate.h"

#include "command/author.h"
#include "lib/stringinfo.h"
#include "revision/ids.h"
#include "schema/compare.h"
#include "script/script.h"
#include "sql.h"
#include "store/position.h"
#include "store/scope.h"
#include "store/test_data.h"
#include "testing/tap.h"
#include "testing/trace.h"
#include "testing/walk.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(migrate_test_single_head_revision);
PG_FUNCTION_INFO_V1(migrate_test_upgrade);
PG_FUNCTION_INFO_V1(migrate_test_up_down_consistency);
PG_FUNCTION_INFO_V1(migrate_test_model_definitions_match_ddl);
PG_FUNCTION_INFO_V1(migrate_test_downgrade_leaves_no_trace);
PG_FUNCTION_INFO_V1(migrate_runtests);
PG_FUNCTION_INFO_V1(migrate_set_revision_data);

/* What is tested. */
typedef struct TestSet
{
	Position	position;
	Bitmapset  *left_out;		/* nodes whose scripts are not run */
	Bitmapset  *kept;			/* nodes that are not downgraded */
	const char *lowest;			/* the last of these; NULL: none */
} TestSet;

/* A test that is one walk. */
typedef struct WalkTest
{
	const TestSet *set;
	TapResult  *result;
	Schema	   *schema;			/* that the walk has made; NULL: not read */
} WalkTest;

static TestSet read_set(FunctionCallInfo fcinfo);
static Datum run_test(FunctionCallInfo fcinfo, List *(*test) (const TestSet *set));
static List *test_single_head_revision(const TestSet *set);
static List *test_upgrade(const TestSet *set);
static List *test_up_down_consistency(const TestSet *set);
static List *test_model_definitions_match_ddl(const TestSet *set);
static List *test_downgrade_leaves_no_trace(const TestSet *set);
static TapResult *make_result(const char *name);
static bool is_empty(const TestSet *set, TapResult *result);
static void run_walk(const TestSet *set, const Project *project, WalkTest *test,
					 void (*body) (Walk *walk));
static bool move_up(Walk *walk, WalkTest *test, int from, bool tells);
static bool move_down(Walk *walk, WalkTest *test, int *lowest);
static bool check_move(Walk *walk, WalkTest *test, const WalkStep *step,
					   MigDirection direction, bool tells);
static void walk_up(Walk *walk);
static void walk_up_and_look(Walk *walk);
static void walk_up_and_down(Walk *walk);
static void compare_with_models(const Project *project, WalkTest *test);
static void note(TapResult *result, const char *text);
static void put_fault(TapResult *result, const Fault *fault);
static TapResult *judge(const Trace *trace);
static void judge_differences(const Trace *trace, TapResult *result);

/*
 * Implement migrate.test_single_head_revision(skip, lowest).  Errors: as read_set.
 */
Datum
migrate_test_single_head_revision(PG_FUNCTION_ARGS)
{
	return run_test(fcinfo, test_single_head_revision);
}

/*
 * Implement migrate.test_upgrade(skip, lowest).  Errors: those of read_set and the scratch.
 */
Datum
migrate_test_upgrade(PG_FUNCTION_ARGS)
{
	return run_test(fcinfo, test_upgrade);
}

/*
 * Implement migrate.test_up_down_consistency(skip, lowest).  Errors: likewise.
 */
Datum
migrate_test_up_down_consistency(PG_FUNCTION_ARGS)
{
	return run_test(fcinfo, test_up_down_consistency);
}

/*
 * Implement migrate.test_model_definitions_match_ddl(skip, lowest).  Errors: likewise, and
 * those of the models.
 */
Datum
migrate_test_model_definitions_match_ddl(PG_FUNCTION_ARGS)
{
	return run_test(fcinfo, test_model_definitions_match_ddl);
}

/*
 * Implement migrate.test_downgrade_leaves_no_trace(skip, lowest).  Errors: as test_upgrade.
 */
Datum
migrate_test_downgrade_leaves_no_trace(PG_FUNCTION_ARGS)
{
	return run_test(fcinfo, test_downgrade_leaves_no_trace);
}

/*
 * Implement migrate.runtests(skip, lowest): all of them.  Errors: theirs.
 */
Datum
migrate_runtests(PG_FUNCTION_ARGS)
{
	TestSet		set = read_set(fcinfo);
	List	   *results = test_single_head_revision(&set);

	results = list_concat(results, test_upgrade(&set));
	results = list_concat(results, test_up_down_consistency(&set));
	results = list_concat(results, test_model_definitions_match_ddl(&set));
	results = list_concat(results, test_downgrade_leaves_no_trace(&set));
	return mig_tap_put(fcinfo, results);
}

/*
 * Run one test, and return its results as lines.
 */
static Datum
run_test(FunctionCallInfo fcinfo, List *(*test) (const TestSet *set))
{
	TestSet		set = read_set(fcinfo);

	return mig_tap_put(fcinfo, test(&set));
}

/*
 * Read what is to be tested: the arguments are skip, the revisions whose scripts are not
 * run, and lowest, the last one that is not downgraded.  Errors: MG001 and MG002 of these,
 * 22004, MG010.
 */
static TestSet
read_set(FunctionCallInfo fcinfo)
{
	TestSet		set = {.position = mig_position_read(true)};
	ListCell   *lc;

	foreach(lc, mig_sql_array_arg(fcinfo, 0, "skip"))
		set.left_out = bms_add_member(set.left_out,
									  mig_author_one_revision(&set.position, lfirst(lc)));
	if (!PG_ARGISNULL(1))
	{
		int			lowest = mig_author_one_revision(&set.position,
													 text_to_cstring(PG_GETARG_TEXT_PP(1)));

		set.kept = mig_graph_ancestors(set.position.graph, bms_make_singleton(lowest),
									   GRAPH_REAL);
		set.lowest = set.position.graph->nodes[lowest].revision;
	}
	return set;
}

/*
 * Test that there is one head.
 */
static List *
test_single_head_revision(const TestSet *set)
{
	const Graph *graph = set->position.graph;
	TapResult  *result = make_result("single_head_revision");
	List	   *heads = mig_graph_ids(graph, mig_graph_heads(graph, GRAPH_DOWN));

	if (graph->n == 0)
	{
		result->ok = false;
		note(result, "No revision is loaded.");
	}
	else if (list_length(heads) > 1)
	{
		result->ok = false;
		note(result, psprintf("The heads are %s. Join them with migrate.merge().",
							  mig_ids_quote(heads)));
	}
	return list_make1(result);
}

/*
 * Test that all revisions can be applied, from base.
 */
static List *
test_upgrade(const TestSet *set)
{
	WalkTest	test = {.set = set, .result = make_result("upgrade")};
	Project		project = mig_differ_project("migrate.test_upgrade()");

	if (!is_empty(set, test.result))
		run_walk(set, &project, &test, walk_up);
	return list_make1(test.result);
}

/*
 * Test that all revisions can be applied, reverted and applied again, one by one.
 */
static List *
test_up_down_consistency(const TestSet *set)
{
	WalkTest	test = {.set = set, .result = make_result("up_down_consistency")};
	Project		project = mig_differ_project("migrate.test_up_down_consistency()");

	if (!is_empty(set, test.result))
		run_walk(set, &project, &test, walk_up_and_down);
	return list_make1(test.result);
}

/*
 * Test that the revisions make what the models declare.
 */
static List *
test_model_definitions_match_ddl(const TestSet *set)
{
	WalkTest	test = {.set = set, .result = make_result("model_definitions_match_ddl")};
	Project		project = mig_differ_project("migrate.test_model_definitions_match_ddl()");

	if (is_empty(set, test.result))
		return list_make1(test.result);
	if (project.models == NIL)
		test.result->skip = "no model is declared";
	else
		run_walk(set, &project, &test, walk_up_and_look);
	if (test.schema != NULL)
		compare_with_models(&project, &test);
	return list_make1(test.result);
}

/*
 * Test that the downgrade of each revision leaves the schema as it was before its upgrade:
 * one result a revision.
 */
static List *
test_downgrade_leaves_no_trace(const TestSet *set)
{
	Project		project = mig_differ_project("migrate.test_downgrade_leaves_no_trace()");
	TapResult  *empty = make_result("downgrade_leaves_no_trace");
	List	   *results = NIL;
	Walk	   *walk;
	ListCell   *lc;

	if (is_empty(set, empty))
		return list_make1(empty);
	walk = mig_walk_read(&project, set->position.graph, set->left_out);
	foreach(lc, mig_trace_find(walk, set->kept))
		results = lappend(results, judge(lfirst(lc)));
	return results;
}

/*
 * Return a result that is good so far.
 */
static TapResult *
make_result(const char *name)
{
	TapResult  *result = palloc0(sizeof(TapResult));

	result->name = name;
	result->ok = true;
	return result;
}

/*
 * Return whether there is no revision to test, and say so in a result.
 */
static bool
is_empty(const TestSet *set, TapResult *result)
{
	if (set->position.graph->n == 0)
		result->skip = "no revision is loaded";
	return result->skip != NULL;
}

/*
 * Run one walk for a test.
 */
static void
run_walk(const TestSet *set, const Project *project, WalkTest *test,
		 void (*body) (Walk *walk))
{
	Walk	   *walk = mig_walk_read(project, set->position.graph, set->left_out);

	mig_walk_run(walk, body, test);
}

/*
 * Apply all revisions.
 */
static void
walk_up(Walk *walk)
{
	(void) move_up(walk, walk->argument, 0, true);
}

/*
 * Apply all revisions, and read what they have made.
 */
static void
walk_up_and_look(Walk *walk)
{
	WalkTest   *test = walk->argument;

	if (move_up(walk, test, 0, true))
		test->schema = mig_walk_look(walk);
}

/*
 * Apply all revisions, revert them as far as they can be, and apply those again.
 */
static void
walk_up_and_down(Walk *walk)
{
	WalkTest   *test = walk->argument;
	int			lowest;

	if (move_up(walk, test, 0, true) && move_down(walk, test, &lowest))
		(void) move_up(walk, test, lowest, false);
}

/*
 * Apply the revisions from a step of the walk on, but for those that were not reverted;
 * tells: say what was run otherwise.  Return false when one of them cannot be applied, which
 * is in the result then.
 */
static bool
move_up(Walk *walk, WalkTest *test, int from, bool tells)
{
	for (int i = from; i < list_length(walk->steps); i++)
	{
		const WalkStep *step = list_nth(walk->steps, i);

		if (!tells && bms_is_member(step->node, test->set->kept))
			continue;
		if (!check_move(walk, test, step, MIG_UPGRADE, tells))
			return false;
	}
	return true;
}

/*
 * Revert the revisions down to one that cannot be, which is then in the result, and store
 * the place of the last one that was.  Return false when a script fails.
 */
static bool
move_down(Walk *walk, WalkTest *test, int *lowest)
{
	const TestSet *set = test->set;

	if (set->lowest != NULL)
		note(test->result, psprintf("Downgraded down to revision \"%s\".", set->lowest));
	for (*lowest = list_length(walk->steps); *lowest > 0; (*lowest)--)
	{
		const WalkStep *step = list_nth(walk->steps, *lowest - 1);

		if (bms_is_member(step->node, set->kept))
			continue;
		if (step->scripts[MIG_DOWNGRADE]->sql == NULL && !step->is_left_out)
		{
			note(test->result, psprintf("Downgraded down to revision \"%s\", which has no downgrade script.",
										step->revision));
			return true;
		}
		if (!check_move(walk, test, step, MIG_DOWNGRADE, true))
			return false;
	}
	return true;
}

/*
 * Run one script.  Return false when it fails, which is in the result then.
 */
static bool
check_move(Walk *walk, WalkTest *test, const WalkStep *step, MigDirection direction,
		   bool tells)
{
	Fault	   *fault = mig_walk_move(walk, step, direction);
	const char *plain = tells ? mig_walk_plain_form(step, direction) : NULL;

	if (tells && step->is_left_out && direction == MIG_UPGRADE)
		note(test->result, psprintf("Revision \"%s\" is left out.", step->revision));
	if (plain != NULL)
		note(test->result, plain);
	if (fault != NULL)
		put_fault(test->result, fault);
	return fault == NULL;
}

/*
 * Compare what a walk has made with the models.
 */
static void
compare_with_models(const Project *project, WalkTest *test)
{
	Differing	differing = mig_differ_schema_from_models(project, test->schema);
	ListCell   *lc;

	if (differing.differences == NIL)
		return;
	test->result->ok = false;
	note(test->result, "To make what the models declare, the revisions would still have to:");
	foreach(lc, differing.differences)
		note(test->result, psprintf("  %s", mig_compare_line(lfirst(lc))));
	note(test->result, "SELECT migrate.revision('...', autogenerate => true) writes such a revision, where all others are applied.");
}

/*
 * Add a note to a result.
 */
static void
note(TapResult *result, const char *text)
{
	result->notes = lappend(result->notes, pstrdup(text));
}

/*
 * Put what was wrong with a script into a result.
 */
static void
put_fault(TapResult *result, const Fault *fault)
{
	if (fault->excuse != NULL)
		result->skip = psprintf("%s of revision \"%s\" could not be run here: %s",
								mig_direction_name(fault->direction), fault->revision,
								fault->excuse);
	else
		result->ok = false;
	result->notes = list_concat(result->notes, mig_fault_describe(fault));
}

/*
 * Return the result of one revision.
 */
static TapResult *
judge(const Trace *trace)
{
	const WalkStep *step = trace->step;
	TapResult  *result = make_result(psprintf("downgrade_leaves_no_trace: %s, %s",
											  step->revision, step->message));

	result->skip = trace->skip;
	for (int direction = 0; direction < 2 && trace->skip == NULL; direction++)
	{
		const char *plain = mig_walk_plain_form(step, direction);

		if (plain != NULL)
			note(result, plain);
	}
	if (trace->fault != NULL)
		put_fault(result, trace->fault);
	else if (trace->differences != NIL)
		judge_differences(trace, result);
	else if (trace->orders != NIL)
		note(result, psprintf("Only the order of columns is not as before, which no downgrade can restore: %s.",
							  mig_ids_join(trace->orders)));
	return result;
}

/*
 * Put what a downgrade has left into the result of its revision.
 */
static void
judge_differences(const Trace *trace, TapResult *result)
{
	const char *revision = quote_literal_cstr(trace->step->revision);
	ListCell   *lc;

	result->ok = false;
	note(result, "For the schema to be as it was before the upgrade, the downgrade would still have to:");
	foreach(lc, trace->differences)
		note(result, psprintf("  %s", mig_compare_line(lfirst(lc))));
	if (trace->missing != NULL)
		note(result, psprintf("Statements that do, to be added to it:\n%s", trace->missing));
	if (trace->unmanaged != NIL)
		note(result, psprintf("Schemas that are not managed: %s. When the setting managed_schemas has them, migrate.derive_downgrade() writes the whole of it anew.",
							  mig_ids_join(trace->unmanaged)));
	else
		note(result, psprintf("SELECT migrate.edit(%s, downgrade => migrate.derive_downgrade(%s)) writes the whole of it anew.",
							  revision, revision));
}

/*
 * Implement migrate.set_revision_data(revision, sql, at).  Errors: 22004, 22023 for another
 * time, MG001 to MG003, MG011 and the parser's.
 */
Datum
migrate_set_revision_data(PG_FUNCTION_ARGS)
{
	const char *target = mig_sql_text_arg(fcinfo, 0, "revision");
	const char *at = mig_sql_text_arg(fcinfo, 2, "at");
	char	   *sql = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	ScriptOrigin origin = {.direction = MIG_UPGRADE, .first_line = 1};
	Position	position;
	int			node;
	Scope		scope;

	if (strcmp(at, "before") != 0 && strcmp(at, "after") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized time \"%s\"", at),
				 errhint("Rows can be inserted before or after the upgrade: \"before\", \"after\".")));
	mig_position_begin_write("migrate.set_revision_data()");
	position = mig_position_read(true);
	node = mig_author_one_revision(&position, target);
	origin.revision = position.graph->nodes[node].revision;
	if (sql != NULL)
		sql = mig_script_check(sql, true, &origin);
	mig_scope_enter(&scope);
	mig_test_data_write(&scope, origin.revision, at,
						sql != NULL && *sql != '\0' ? sql : NULL);
	mig_scope_leave(&scope);
	PG_RETURN_VOID();
}
