/*
 * autogenerate.c
 *		Scripts that are generated from a difference: diff_sql, derive_downgrade, capture.
 */
#include "migrate.h"

#include "command/author.h"
#include "files/header.h"
#include "funcapi.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "revision/ids.h"
#include "revision/plan.h"
#include "schema/differ.h"
#include "schema/generate.h"
#include "script/data.h"
#include "script/text.h"
#include "sql.h"
#include "store/ledger.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/verify.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(migrate_diff_sql);
PG_FUNCTION_INFO_V1(migrate_derive_downgrade);
PG_FUNCTION_INFO_V1(migrate_capture);

static char *write_losses(const Differing *differing, const Revision *rev);
static void write_loss(StringInfo text, const SchemaObject *object, const Schema *after);
static const Revision *read_revision(const char *revision);
static List *one_current(const Position *position);
static void record_capture(const char *revision);

/*
 * Implement migrate.diff_sql(source).  Errors: as compare, 0A000 and MG014.
 */
Datum
migrate_diff_sql(PG_FUNCTION_ARGS)
{
	const char *source = mig_sql_text_arg(fcinfo, 0, "source");
	Project		project = mig_differ_project("migrate.diff_sql()");
	Differing	differing = mig_differ_source(&project, source);
	GeneratedScripts scripts = {.upgrade = "", .downgrade = ""};
	TupleDesc	desc;
	Tuplestorestate *store = mig_sql_begin(fcinfo, &desc);
	Datum		values[2];
	bool		nulls[2] = {false, false};

	/* what was remembered to be the same was not read */
	if (differing.differences != NIL)
		scripts = mig_generate_scripts(&project, &differing, &(GenerateOptions) {.renames = NIL});
	values[0] = CStringGetTextDatum(scripts.upgrade);
	values[1] = CStringGetTextDatum(scripts.downgrade);
	tuplestore_putvalues(store, desc, values, nulls);
	return (Datum) 0;
}

/*
 * Implement migrate.derive_downgrade(revision).  Errors: MG001 to MG003, MG014, 0A000;
 * those of the scratch and of the scripts.
 */
Datum
migrate_derive_downgrade(PG_FUNCTION_ARGS)
{
	const char *target = mig_sql_text_arg(fcinfo, 0, "revision");
	Position	position = mig_position_read(true);
	int			node = mig_author_one_revision(&position, target);
	Project		project = mig_differ_project("migrate.derive_downgrade()");
	Differing	differing = mig_differ_undo(&project, position.graph, node);
	const Revision *rev = read_revision(position.graph->nodes[node].revision);
	const char *script = mig_generate_undo(&project, &differing,
										   !rev->downgrade_transactional);

	PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s%s", write_losses(&differing, rev),
											  script)));
}

/*
 * Return comments about what a revision removes and its downgrade does not give back.
 */
static char *
write_losses(const Differing *differing, const Revision *rev)
{
	const Schema *before = differing->declared;
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, before->objects)
		write_loss(&text, lfirst(lc), differing->live);
	if (mig_data_is_changed(rev->upgrade_sql))
		appendStringInfoString(&text, "-- The upgrade script changes rows; this one does not change them back.\n");
	return text.data;
}

/*
 * Write a comment about an object of the schema before, where the rows in it are not there
 * after.  A column of a table that is gone is not named by itself.
 */
static void
write_loss(StringInfo text, const SchemaObject *object, const Schema *after)
{
	bool		is_column = object->kind == &mig_kinds_column;
	const char *format;

	if (is_column ? (object->owner->kind != &mig_kinds_table ||
					 mig_objects_property(object, "generated") != NULL ||
					 mig_objects_at(after, &object->owner->address) == NULL) :
		object->kind != &mig_kinds_table)
		return;
	if (mig_objects_at(after, &object->address) != NULL)
		return;
	if (mig_objects_find(after, object) == NULL)
		format = "What was in %s %s does not come back.";
	else
		format = "The upgrade script drops %s %s and creates it again: what it did not copy does not come back.";
	mig_text_append_comment(text, psprintf(format, object->kind->name, object->identity));
}

/*
 * Return a revision, which exists.
 */
static const Revision *
read_revision(const char *revision)
{
	const Revision *rev;
	Scope		scope;

	mig_scope_enter(&scope);
	rev = mig_revisions_read_one(&scope, revision);
	mig_scope_leave(&scope);
	return rev;
}

/*
 * Implement migrate.capture(message, rev_id): store what was done by hand as a revision
 * that is applied.  Errors: MG003, MG004, MG014, 0A000, MG008 when a script is incomplete;
 * those of migrate.revision(), of the scratch and of the scripts.
 */
Datum
migrate_capture(PG_FUNCTION_ARGS)
{
	Revision	rev;
	Position	position;
	Project		project;
	Differing	differing;
	GeneratedScripts scripts;

	memset(&rev, 0, sizeof(rev));
	rev.message = mig_header_check_message(PG_ARGISNULL(0) ? NULL :
										   text_to_cstring(PG_GETARG_TEXT_PP(0)));
	mig_position_begin_write("migrate.capture()");
	position = mig_position_read(false);
	mig_partial_refuse(mig_partial_read_all());
	mig_verify_nothing_pending(&position);
	rev.down_revisions = one_current(&position);
	rev.revision = mig_author_new_id(&position, PG_ARGISNULL(1) ? NULL :
									 text_to_cstring(PG_GETARG_TEXT_PP(1)));
	project = mig_differ_project("migrate.capture()");
	project.models = NIL;
	differing = mig_differ_drift(&project);
	if (differing.differences == NIL)
	{
		ereport(NOTICE,
				(errmsg("no drift: the database is what its applied revisions make")));
		PG_RETURN_NULL();
	}
	scripts = mig_generate_scripts(&project, &differing, &(GenerateOptions) {.renames = NIL});
	mig_author_fill_generated(&rev, &scripts);
	mig_author_insert(&position, &rev);
	record_capture(rev.revision);
	PG_RETURN_TEXT_P(cstring_to_text(rev.revision));
}

/*
 * Return the one current revision (char *), or none at base.  Errors: MG003.
 */
static List *
one_current(const Position *position)
{
	List	   *ids = mig_graph_ids(position->graph, position->rows);

	if (list_length(ids) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_MULTIPLE_HEADS),
				 errmsg("multiple head revisions are present for given argument \"head\""),
				 errdetail("The current revisions are %s.", mig_ids_quote(ids)),
				 errhint("Join them with migrate.merge(), and upgrade.")));
	return ids;
}

/*
 * Record a new revision as applied, though nothing was run.
 */
static void
record_capture(const char *revision)
{
	LedgerActor actor = mig_ledger_actor();
	Position	position = mig_position_read(false);
	Bitmapset  *rows;
	List	   *steps = mig_plan_stamp(position.graph, position.rows,
									   list_make1(unconstify(char *, revision)), false, &rows);
	Scope		scope;

	mig_scope_enter(&scope);
	mig_ledger_record_capture(&scope, position.graph, position.rows, rows, steps, &actor);
	mig_scope_leave(&scope);
}
