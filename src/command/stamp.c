/*
 * stamp.c
 *		Setting the version rows without running anything.
 */
#include "migrate.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/plan.h"
#include "revision/target.h"
#include "run/report.h"
#include "sql.h"
#include "store/heads.h"
#include "store/ledger.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/verify.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

/* The one column of Alembic's version table. */
#define VERSION_COLUMN "version_num"

PG_FUNCTION_INFO_V1(migrate_stamp);
PG_FUNCTION_INFO_V1(migrate_stamp_several);
PG_FUNCTION_INFO_V1(migrate_adopt_alembic);

static List *stamp(List *targets, bool purge, const char *function);
static void record(const Position *position, const Bitmapset *rows, List *steps,
				   bool purge);
static void forget_begun(const Position *position, List *targets,
						 const Bitmapset *rows, bool purge);
static List *read_alembic_table(const char *name);
static void check_alembic_table(Relation table, AttrNumber column, const char *name);
static void check_select(Relation table, AttrNumber column);
static char *without_padding(char *id);
static List *rename_ids(List *ids, Jsonb *renamed);
static void check_renamed(Jsonb *renamed);
static void check_targets_exist(const Graph *graph, List *ids, List *alembic_ids);
static void check_not_behind(const Position *position, List *ids, const char *name);

/*
 * Stamp targets (identifiers); returns the new version rows.  Without purge
 * and when every target is a row already, nothing is written and no lock
 * taken.
 */
static List *
stamp(List *targets, bool purge, const char *function)
{
	Position	position;
	List	   *steps;
	Bitmapset  *rows;

	mig_scope_refuse_in_script(function);
	mig_verify_place();
	position = mig_position_read(purge);
	mig_position_check_snapshot();
	mig_report_no_revisions(position.graph);
	steps = mig_plan_stamp(position.graph, position.rows, targets, purge, &rows);
	if (steps == NIL && !purge && !mig_partial_exists())
		return mig_graph_ids(position.graph, position.rows);

	mig_position_begin_write(function);
	position = mig_position_read(purge);
	steps = mig_plan_stamp(position.graph, position.rows, targets, purge, &rows);
	if (steps != NIL || purge)
		record(&position, rows, steps, purge);
	forget_begun(&position, targets, rows, purge);
	return mig_graph_ids(position.graph, rows);
}

/*
 * An incomplete script is discarded by a stamp of its revision, or by one that
 * changes whether that is applied; purge discards all.
 */
static void
forget_begun(const Position *position, List *targets, const Bitmapset *rows,
			 bool purge)
{
	const Graph *graph = position->graph;
	List	   *partials = mig_partial_read_all();
	Bitmapset  *settled = mig_graph_ancestors(graph, position->rows, GRAPH_REAL);
	Bitmapset  *applied = mig_graph_ancestors(graph, rows, GRAPH_REAL);
	ListCell   *lc;

	if (partials == NIL)
		return;
	settled = bms_union(bms_difference(settled, applied),
						bms_difference(applied, settled));
	foreach(lc, targets)
		settled = bms_add_members(settled, mig_target_stamp(graph, position->rows,
															 lfirst(lc)).destinations);
	foreach(lc, partials)
	{
		const Partial *partial = lfirst(lc);
		int			node = mig_graph_find_id(graph, partial->revision);

		if (purge || node < 0 || bms_is_member(node, settled))
			mig_partial_discard(partial->revision);
	}
}

/*
 * Write the steps of a stamp (StampStep *), after which the version rows are rows.
 */
static void
record(const Position *position, const Bitmapset *rows, List *steps, bool purge)
{
	LedgerActor actor = mig_ledger_actor();
	Scope		scope;

	mig_scope_enter(&scope);
	mig_ledger_record_stamp(&scope, position->graph, position->rows, rows, steps, purge,
							&actor);
	mig_scope_leave(&scope);
}

/*
 * Read the ids (char *) in a table of Alembic's form, with the caller's rights.
 *
 * Its owner need not be trusted by the caller, so no query is made of it: the
 * planner evaluates what the owner can attach to a table, such as predicates of
 * indexes and expressions of statistics, and views, casts and policies are the
 * owner's functions.  The rows are read as they are stored.  The table is locked
 * until the end of the transaction.
 *
 * Errors: 42P01, 42703, 42501, and those of check_alembic_table.
 */
static List *
read_alembic_table(const char *name)
{
	RangeVar   *range = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));
	Relation	table = table_openrv(range, AccessShareLock);
	AttrNumber	column = get_attnum(RelationGetRelid(table), VERSION_COLUMN);
	TupleTableSlot *slot;
	TableScanDesc scan;
	List	   *ids = NIL;

	check_alembic_table(table, column, name);
	check_select(table, column);
	slot = table_slot_create(table, NULL);
	scan = mig_table_beginscan(table, GetActiveSnapshot());
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		Datum		id = slot_getattr(slot, column, &isnull);

		if (!isnull)
			ids = lappend(ids, without_padding(TextDatumGetCString(id)));
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(table, NoLock);
	mig_ids_sort(ids);
	return ids;
}

/*
 * Check that a table is what Alembic makes: a plain one with a column of text
 * that is stored.  Errors: 42809, 42703, 42804.
 */
static void
check_alembic_table(Relation table, AttrNumber column, const char *name)
{
	Form_pg_attribute attribute;

	if (table->rd_rel->relkind != RELKIND_RELATION || RELATION_IS_OTHER_TEMP(table))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", name)));
	if (column <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"" VERSION_COLUMN "\" does not exist in \"%s\"", name)));
	attribute = TupleDescAttr(RelationGetDescr(table), column - 1);
	if (attribute->attgenerated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("column \"" VERSION_COLUMN "\" of \"%s\" is a generated column",
						name)));
	if (attribute->atttypid != TEXTOID && attribute->atttypid != VARCHAROID &&
		attribute->atttypid != BPCHAROID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"" VERSION_COLUMN "\" of \"%s\" is of type %s, not character varying",
						name, format_type_be(attribute->atttypid))));
}

/*
 * Check that the caller may read a column, and all of its rows.  Errors: 42501.
 */
static void
check_select(Relation table, AttrNumber column)
{
	Oid			relation = RelationGetRelid(table);
	int			guc_level = NewGUCNestLevel();

	if (pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck(relation, column, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(table));
	/* with row_security off, policies that hide rows are an error */
	(void) set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) check_enable_rls(relation, InvalidOid, false);
	AtEOXact_GUC(false, guc_level);
}

/*
 * Cut the blanks that character(n) pads a value with, in place.
 */
static char *
without_padding(char *id)
{
	int			len = strlen(id);

	while (len > 0 && id[len - 1] == ' ')
		len--;
	id[len] = '\0';
	return id;
}

/*
 * Return the names here of Alembic's ids, in their order.  Ids without an entry
 * keep theirs; entries of other ids are ignored.  Errors: those of check_renamed.
 */
static List *
rename_ids(List *ids, Jsonb *renamed)
{
	List	   *names = NIL;
	ListCell   *lc;

	check_renamed(renamed);
	foreach(lc, ids)
	{
		char	   *id = lfirst(lc);
		JsonbValue	name;

		if (getKeyJsonValueFromContainer(&renamed->root, id, strlen(id), &name) != NULL)
			id = pnstrdup(name.val.string.val, name.val.string.len);
		names = lappend(names, id);
	}
	return names;
}

/*
 * Check that a table of renamings is an object whose values are strings.
 * Errors: 22023.
 */
static void
check_renamed(Jsonb *renamed)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(renamed))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("renamed must be a JSON object"),
				 errhint("Its keys are Alembic's identifiers, its values those here.")));
	iterator = JsonbIteratorInit(&renamed->root);
	(void) JsonbIteratorNext(&iterator, &key, true);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&iterator, &value, true);
		if (value.type != jbvString)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("renamed must have strings as values"),
					 errdetail("That of \"%s\" is not one.",
							   pnstrdup(key.val.string.val, key.val.string.len))));
	}
}

/*
 * MG001 when an id (not a prefix, not a label) is not here.  The lists are the
 * ids here and, in the same order, what Alembic's table calls them.
 */
static void
check_targets_exist(const Graph *graph, List *ids, List *alembic_ids)
{
	ListCell   *lc;
	ListCell   *lc_alembic;

	forboth(lc, ids, lc_alembic, alembic_ids)
	{
		char	   *id = lfirst(lc);
		char	   *alembic_id = lfirst(lc_alembic);

		if (mig_graph_find_id(graph, id) >= 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NO_SUCH_REVISION),
				 errmsg("can't locate revision identified by \"%s\"", id),
				 strcmp(id, alembic_id) == 0 ?
				 errdetail("Alembic's version table names it, but migrate.revisions does not have it.") :
				 errdetail("Alembic's version table names it as \"%s\", but migrate.revisions does not have it.",
						   alembic_id),
				 errhint("Load its revision file first. If it has another identifier here, give that in \"renamed\".")));
	}
}

/*
 * MG005 when adopting ids would make revisions that are applied here count as
 * not applied: Alembic's table was left behind.
 */
static void
check_not_behind(const Position *position, List *ids, const char *name)
{
	const Graph *graph = position->graph;
	Bitmapset  *adopted = NULL;
	Bitmapset  *lost;
	ListCell   *lc;

	foreach(lc, ids)
		adopted = bms_add_member(adopted, mig_graph_find_id(graph, lfirst(lc)));
	lost = bms_intersect(position->rows,
						 mig_graph_descendants(graph, adopted, GRAPH_REAL));
	lost = bms_del_members(lost, mig_graph_ancestors(graph, adopted, GRAPH_REAL));
	if (!bms_is_empty(lost))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("table \"%s\" is behind migrate.versions", name),
				 errdetail("Here %s is applied, which adopting it would forget.",
						   mig_ids_quote(mig_graph_ids(graph, lost))),
				 errhint("To set the version rows back all the same, name them: SELECT migrate.stamp(...).")));
}

/*
 * Implement migrate.stamp(target, purge). Errors: MG001 to MG003, MG005,
 * MG010, MG012.
 */
Datum
migrate_stamp(PG_FUNCTION_ARGS)
{
	char	   *target = mig_sql_text_arg(fcinfo, 0, "target");

	return mig_sql_ids(fcinfo, stamp(list_make1(target), mig_sql_bool_arg(fcinfo, 1, "purge"),
										"migrate.stamp()"));
}

/*
 * Implement migrate.stamp(targets, purge), likewise.
 */
Datum
migrate_stamp_several(PG_FUNCTION_ARGS)
{
	List	   *targets = mig_sql_array_arg(fcinfo, 0, "targets");
	bool		purge = mig_sql_bool_arg(fcinfo, 1, "purge");

	/* without version rows ARRAY(SELECT migrate.current()) is empty */
	if (targets == NIL && !purge)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("targets must not be empty"),
				 errhint("To remove all version rows: SELECT migrate.stamp('base');")));
	return mig_sql_ids(fcinfo, stamp(targets, purge, "migrate.stamp()"));
}

/*
 * Implement migrate.adopt_alembic(version_table, renamed): stamp what a version
 * table of Alembic says. Errors: as migrate.stamp, and those of
 * read_alembic_table and rename_ids.
 */
Datum
migrate_adopt_alembic(PG_FUNCTION_ARGS)
{
	char	   *name = mig_sql_text_arg(fcinfo, 0, "version_table");
	List	   *alembic_ids;
	List	   *ids;
	Position	position;

	mig_sql_check_arg(fcinfo, 1, "renamed");
	alembic_ids = read_alembic_table(name);
	ids = rename_ids(alembic_ids, PG_GETARG_JSONB_P(1));
	if (ids == NIL)
		ereport(NOTICE,
				(errmsg("table \"%s\" has no rows, so nothing is stamped", name)));
	position = mig_position_read(false);
	check_targets_exist(position.graph, ids, alembic_ids);
	check_not_behind(&position, ids, name);
	return mig_sql_ids(fcinfo, stamp(ids, false, "migrate.adopt_alembic()"));
}
