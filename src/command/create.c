/*
 * create.c
 *		A fresh database made from the models: create_all, init_db.
 *
 * An application that starts with an empty database need not run years of revisions:
 * the models say what comes out in the end.  They are run here for real, as the caller,
 * and the heads are stamped in the same transaction.  That takes the run lock, so that
 * of many sessions that begin at once one does it, and the others find it done.
 */
#include "migrate.h"

#include "command/upgrade.h"
#include "compat.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/plan.h"
#include "revision/target.h"
#include "run/deferred.h"
#include "run/execute.h"
#include "run/report.h"
#include "schema/declare.h"
#include "schema/differ.h"
#include "script/data.h"
#include "script/script.h"
#include "sql.h"
#include "store/ledger.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/verify.h"
#include "utils/builtins.h"
#include "utils/formatting.h"

PG_FUNCTION_INFO_V1(migrate_create_all);
PG_FUNCTION_INFO_V1(migrate_init_db);

/* Most objects that an error lists. */
#define MAX_LISTED 5

/* Where a database is that may be fresh. */
typedef struct Fresh
{
	Position	position;
	Project		project;
	List	   *objects;		/* SchemaObject *: what is in the managed schemas */
} Fresh;

static Fresh read_fresh(const char *function);
static List *find_objects(const Schema *schema);
static bool is_fresh(const Fresh *fresh);
static bool is_at_heads(const Position *position, const char *target);
static List *create_all(const Fresh *fresh);
static void check_fresh(const Fresh *fresh);
static void run_models(const Project *project);
static List *stamp_heads(const Position *position);
static void report_data(const Position *position);
static List *find_data(const Position *position);

/*
 * Implement migrate.create_all().  Errors: 55000 when no model is declared or the
 * database is not fresh, MG012, those of the models.
 */
Datum
migrate_create_all(PG_FUNCTION_ARGS)
{
	const char *function = "migrate.create_all()";
	Fresh		fresh;

	mig_scope_refuse_in_script(function);
	mig_verify_place();
	mig_position_begin_write(function);
	fresh = read_fresh(function);
	check_fresh(&fresh);
	return mig_sql_ids(fcinfo, create_all(&fresh));
}

/*
 * Implement migrate.init_db(target).  Errors: those of create_all and of
 * migrate.upgrade().
 */
Datum
migrate_init_db(PG_FUNCTION_ARGS)
{
	const char *function = "migrate.init_db()";
	const char *target = mig_sql_text_arg(fcinfo, 0, "target");
	Fresh		fresh;

	mig_scope_refuse_in_script(function);
	/* every start of the application but the first ends here */
	if (mig_position_at_heads(target) == NULL)
	{
		mig_verify_place();
		fresh = read_fresh(function);
		if (is_fresh(&fresh) && is_at_heads(&fresh.position, target))
		{
			mig_position_begin_write(function);
			fresh = read_fresh(function);
			if (is_fresh(&fresh) && is_at_heads(&fresh.position, target))
			{
				report_data(&fresh.position);
				return mig_sql_ids(fcinfo, create_all(&fresh));
			}
		}
	}
	return mig_sql_ids(fcinfo, mig_upgrade_run(MIG_UPGRADE, target, function));
}

/*
 * Read where the database is, and what it holds; function is who asks.
 */
static Fresh
read_fresh(const char *function)
{
	Fresh		fresh = {.position = mig_position_read(false)};

	mig_position_check_snapshot();
	fresh.project = mig_differ_project(function);
	if (fresh.project.models != NIL)
		fresh.objects = find_objects(mig_differ_live(&fresh.project));
	return fresh;
}

/*
 * Return the objects (SchemaObject *) of a schema that are in schemas, and belong to no
 * other.
 */
static List *
find_objects(const Schema *schema)
{
	List	   *objects = NIL;
	ListCell   *lc;

	foreach(lc, schema->objects)
	{
		SchemaObject *object = lfirst(lc);

		if (!object->kind->of_database && object->owner == NULL)
			objects = lappend(objects, object);
	}
	return objects;
}

/*
 * Return whether a database can be made from the models.
 */
static bool
is_fresh(const Fresh *fresh)
{
	return fresh->project.models != NIL && bms_is_empty(fresh->position.rows) &&
		fresh->objects == NIL && !mig_partial_exists();
}

/*
 * Return whether a target of an upgrade is all heads.  Errors: those of the target.
 */
static bool
is_at_heads(const Position *position, const char *target)
{
	const Graph *graph = position->graph;

	return bms_equal(mig_target_upgrade(graph, position->rows, target),
					 mig_graph_heads(graph, GRAPH_REAL));
}

/*
 * Run the models and stamp the heads, in a database that is fresh; return these.
 */
static List *
create_all(const Fresh *fresh)
{
	List	   *stamped;

	mig_report_no_revisions(fresh->position.graph);
	PG_TRY();
	{
		run_models(&fresh->project);
	}
	PG_FINALLY();
	{
		mig_execute_end_activity();
	}
	PG_END_TRY();
	stamped = stamp_heads(&fresh->position);
	mig_report_message(psprintf("created what %d model%s declare%s, stamped %s",
								list_length(fresh->project.models),
								list_length(fresh->project.models) == 1 ? "" : "s",
								list_length(fresh->project.models) == 1 ? "s" : "",
								stamped == NIL ? "nothing" : mig_ids_join(stamped)));
	return stamped;
}

/*
 * Check that a database can be made from the models.  Errors: 55000.
 */
static void
check_fresh(const Fresh *fresh)
{
	StringInfoData list;
	ListCell   *lc;

	if (fresh->project.models == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no model is declared"),
				 errhint("Declare one with migrate.set_model().")));
	if (!bms_is_empty(fresh->position.rows) || mig_partial_exists())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database is not fresh"),
				 bms_is_empty(fresh->position.rows) ?
				 errdetail("A script is incomplete.") :
				 errdetail("Applied: %s.",
						   mig_ids_quote(mig_graph_ids(fresh->position.graph,
													   fresh->position.rows))),
				 errhint("SELECT migrate.upgrade('heads') applies what is missing.")));
	if (fresh->objects == NIL)
		return;
	initStringInfo(&list);
	foreach(lc, fresh->objects)
	{
		const SchemaObject *object = lfirst(lc);

		if (foreach_current_index(lc) == MAX_LISTED)
		{
			appendStringInfo(&list, ", and %d more", list_length(fresh->objects) - MAX_LISTED);
			break;
		}
		appendStringInfo(&list, "%s%s %s", list.len > 0 ? ", " : "", object->kind->name,
						 object->identity);
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("database is not fresh"),
			 errdetail("The managed schemas hold: %s.", list.data),
			 errhint("If the schema is there already: SELECT migrate.stamp('heads').")));
}

/*
 * Run the models, in the caller's transaction.
 */
static void
run_models(const Project *project)
{
	DeclareNotes notes = {0};
	ListCell   *lc;

	mig_deferred_begin();
	foreach(lc, project->models)
	{
		const Model *model = lfirst(lc);

		mig_report_message(psprintf("running model %s", model->name));
		mig_declare_for_real(model->name, model->ddl, &notes);
	}
	if (notes.owners != NIL)
		ereport(WARNING,
				(errmsg("role \"%s\" owns what should belong to %s",
						mig_position_caller(), mig_ids_quote(notes.owners)),
				 errdetail("It cannot give objects to a role that it is not a member of.")));
}

/*
 * Make the heads the version rows; return them.
 */
static List *
stamp_heads(const Position *position)
{
	LedgerActor actor = mig_ledger_actor();
	const Graph *graph = position->graph;
	List	   *heads = mig_graph_ids(graph, mig_graph_heads(graph, GRAPH_REAL));
	Bitmapset  *rows;
	List	   *steps;
	Scope		scope;

	if (heads == NIL)
		return NIL;
	steps = mig_plan_stamp(graph, position->rows, heads, false, &rows);
	mig_scope_enter(&scope);
	mig_ledger_check_unchanged(&scope, graph, position->rows);
	mig_ledger_record_stamp(&scope, graph, position->rows, rows, steps, false, &actor);
	mig_scope_leave(&scope);
	return mig_graph_ids(graph, rows);
}

/*
 * Say which revisions, when they are stamped, leave out data, as a NOTICE.
 */
static void
report_data(const Position *position)
{
	List	   *ids = find_data(position);

	if (ids != NIL)
		ereport(NOTICE,
				(errmsg("stamped revisions hold data statements, which were not run: %s",
						mig_ids_quote(ids)),
				 errhint("Put what the application needs of them into the models, or insert it now.")));
}

/*
 * Return the revisions (char *) up to the heads whose upgrade scripts change rows.
 */
static List *
find_data(const Position *position)
{
	const Graph *graph = position->graph;
	List	   *ids = NIL;
	List	   *found = NIL;
	List	   *scripts;
	Scope		scope;
	ListCell   *lc;

	for (int i = 0; i < graph->n; i++)
		ids = lappend(ids, unconstify(char *, graph->nodes[graph->order[i]].revision));
	mig_scope_enter(&scope);
	scripts = mig_revisions_read_scripts(&scope, ids, MIG_UPGRADE);
	foreach(lc, scripts)
	{
		StoredScript *script = lfirst(lc);

		if (script->is_long)
			lfirst(lc) = mig_revisions_read_script(&scope, script->revision, MIG_UPGRADE);
	}
	mig_scope_leave(&scope);
	foreach(lc, scripts)
		if (mig_data_is_changed(((StoredScript *) lfirst(lc))->sql))
			found = lappend(found, ((StoredScript *) lfirst(lc))->revision);
	return found;
}
