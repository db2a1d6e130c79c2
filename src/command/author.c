/*
 * author.c
 *		Authoring: revision, merge, edit, drop, export, configure.
 *
 * Each function takes the run lock first, then reads the graph, changes it in
 * memory and lets mig_graph_index and mig_graph_link judge the result, and
 * only then writes: what enters the tables is always a sound graph.  Loading
 * files is in load.c.
 */
#include "migrate.h"

#include "command/author.h"
#include "files/file_name.h"
#include "files/header.h"
#include "lint/linter.h"
#include "files/native.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/names.h"
#include "revision/revision.h"
#include "revision/target.h"
#include "schema/exclude.h"
#include "schema/generate.h"
#include "schema/managed.h"
#include "schema/told.h"
#include "script/script.h"
#include "sql.h"
#include "store/heads.h"
#include "store/ledger.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/project.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/verify.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(migrate_revision);
PG_FUNCTION_INFO_V1(migrate_merge);
PG_FUNCTION_INFO_V1(migrate_edit);
PG_FUNCTION_INFO_V1(migrate_drop);
PG_FUNCTION_INFO_V1(migrate_export);
PG_FUNCTION_INFO_V1(migrate_file_name);
PG_FUNCTION_INFO_V1(migrate_configure);

/* The settings there are. */
static const char *const settings[] = {
	"revision_ids", "managed_schemas", "exclude", "compare_privileges", "online",
	"lint_disable", "lint_enable", "lint_level", "lint_large_rows"
};

static bool is_name_of_another(const char *name, const char *revision);
static bool generate_scripts(const Position *position, FunctionCallInfo fcinfo,
							 bool transactional, GeneratedScripts *scripts);
static void fill_scripts(Revision *rev, const char *upgrade, const char *downgrade,
						 bool transactional);
static Position begin(const char *function);
static bool is_applied(const Position *position, int node);
static List *parent_of(const Position *position, const char *head, bool splice);
static List *resolve_ids(const Graph *graph, List *names);
static void check_new_name(const char *name, const char *kind);
static List *merged_heads(const Position *position, List *names);
static char *optional_text(FunctionCallInfo fcinfo, int n);
static Revision *read_one(const Position *position, int node, const char *target);
static Revision *read_argument(FunctionCallInfo fcinfo);
static void edit_scripts(Revision *rev, FunctionCallInfo fcinfo, bool applied);
static void check_setting(const char *name, const char *value);
static void check_word(const char *name, const char *value, const char *words);

/*
 * Implement migrate.revision(): store a new revision. Errors: 22023 and 22004
 * for arguments, MG001 to MG003, MG005, MG010, MG011, and the parser's; with
 * autogenerate those of generate_scripts.
 */
Datum
migrate_revision(PG_FUNCTION_ARGS)
{
	Revision	rev;
	Position	position;
	char	   *head = mig_sql_text_arg(fcinfo, 4, "head");
	char	   *label = optional_text(fcinfo, 6);
	bool		splice = !PG_ARGISNULL(5) && PG_GETARG_BOOL(5);
	bool		transactional = PG_ARGISNULL(8) || PG_GETARG_BOOL(8);

	memset(&rev, 0, sizeof(rev));
	rev.message = mig_header_check_message(optional_text(fcinfo, 0));
	position = begin("migrate.revision()");
	rev.revision = mig_author_new_id(&position, optional_text(fcinfo, 3));
	rev.down_revisions = parent_of(&position, head, splice);
	if (!PG_ARGISNULL(7))
		rev.depends_on = resolve_ids(position.graph,
									 mig_sql_array_arg(fcinfo, 7, "depends_on"));
	if (label != NULL)
	{
		check_new_name(label, "branch label");
		rev.branch_labels = list_make1(label);
	}
	if (!PG_ARGISNULL(9) && PG_GETARG_BOOL(9))
	{
		GeneratedScripts scripts;

		if (!generate_scripts(&position, fcinfo, transactional, &scripts))
			PG_RETURN_NULL();
		mig_author_fill_generated(&rev, &scripts);
	}
	else
		fill_scripts(&rev, PG_ARGISNULL(1) ? "" : optional_text(fcinfo, 1),
								optional_text(fcinfo, 2), transactional);
	mig_author_insert(&position, &rev);
	PG_RETURN_TEXT_P(cstring_to_text(rev.revision));
}

/*
 * Generate the scripts of a new revision from what differs from the models.  Return
 * false when nothing does, with a NOTICE.  Errors: 22023 when the caller gives scripts, too;
 * MG004 when revisions are pending; those of the comparison and of the scripts.
 */
static bool
generate_scripts(const Position *position, FunctionCallInfo fcinfo, bool transactional,
				 GeneratedScripts *scripts)
{
	const char *upgrade = optional_text(fcinfo, 1);
	List	   *renames = PG_ARGISNULL(11) ? NIL : mig_sql_array_arg(fcinfo, 11, "renames");
	GenerateOptions options = {
		.unproved = !PG_ARGISNULL(10) && !PG_GETARG_BOOL(10), .stepwise = !transactional
	};
	Project		project;
	Differing	differing;

	if ((upgrade != NULL && *upgrade != '\0') || optional_text(fcinfo, 2) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("autogenerate writes the scripts itself"),
				 errhint("Leave out upgrade and downgrade, and change the scripts with migrate.edit().")));
	mig_verify_nothing_pending(position);
	project = mig_differ_project("migrate.revision()");
	/* renames are checked where nothing differs, too, which needs both schemas */
	if (renames != NIL)
		project.compared = NULL;
	differing = mig_differ_source(&project, "models");
	options.renames = mig_told_read(differing.live, differing.declared, project.models,
									renames);
	if (differing.differences == NIL)
	{
		ereport(NOTICE, (errmsg("no changes in the schema detected")));
		return false;
	}
	*scripts = mig_generate_scripts(&project, &differing, &options);
	return true;
}

/*
 * Implement migrate.merge(): store a revision that joins heads. Errors: MG001,
 * MG002, MG005, MG010, 22023.
 */
Datum
migrate_merge(PG_FUNCTION_ARGS)
{
	Revision	rev;
	Position	position;
	List	   *names = mig_sql_array_arg(fcinfo, 0, "revisions");
	char	   *label = optional_text(fcinfo, 3);

	memset(&rev, 0, sizeof(rev));
	position = begin("migrate.merge()");
	rev.down_revisions = merged_heads(&position, names);
	if (PG_ARGISNULL(1))
	{
		StringInfoData message;
		ListCell   *lc;

		initStringInfo(&message);
		foreach(lc, rev.down_revisions)
			appendStringInfo(&message, "%s %s", message.len ? " and" : "merge",
							 (char *) lfirst(lc));
		rev.message = message.data;
	}
	else
		rev.message = mig_header_check_message(optional_text(fcinfo, 1));
	rev.revision = mig_author_new_id(&position, optional_text(fcinfo, 2));
	if (label != NULL)
	{
		check_new_name(label, "branch label");
		rev.branch_labels = list_make1(label);
	}
	fill_scripts(&rev, "", "", true);
	mig_author_insert(&position, &rev);
	PG_RETURN_TEXT_P(cstring_to_text(rev.revision));
}

/*
 * Implement migrate.edit(): change a revision. Errors: MG001, MG002, MG007,
 * MG011, 22023, and the parser's.
 */
Datum
migrate_edit(PG_FUNCTION_ARGS)
{
	char	   *target = mig_sql_text_arg(fcinfo, 0, "revision");
	Position	position = begin("migrate.edit()");
	int			node = mig_author_one_revision(&position, target);
	const char *role = mig_position_caller();
	Revision   *rev = read_one(&position, node, target);
	Scope		scope;

	if (!PG_ARGISNULL(3))
		rev->message = mig_header_check_message(optional_text(fcinfo, 3));
	edit_scripts(rev, fcinfo, is_applied(&position, node));
	mig_partial_check_edit(rev);

	mig_scope_enter(&scope);
	mig_revisions_update(&scope, rev, role);
	mig_heads_remember(&scope, position.graph);
	mig_scope_leave(&scope);
	PG_RETURN_TEXT_P(cstring_to_text(rev->revision));
}

/*
 * Implement migrate.drop(revision): delete a revision that nothing refers to.
 * Errors: MG001, MG002, MG007, MG008, MG010.
 */
Datum
migrate_drop(PG_FUNCTION_ARGS)
{
	char	   *target = mig_sql_text_arg(fcinfo, 0, "revision");
	Position	position = begin("migrate.drop()");
	int			node = mig_author_one_revision(&position, target);
	const GraphNode *self = &position.graph->nodes[node];
	Scope		scope;

	mig_partial_refuse(mig_partial_read_all());
	if (is_applied(&position, node))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("cannot drop revision \"%s\" because it is applied",
						self->revision),
				 errhint("Downgrade below it first.")));
	if (self->child.n > 0 || self->dependent.n > 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BROKEN_GRAPH),
				 errmsg("cannot drop revision \"%s\" because revision \"%s\" refers to it",
						self->revision,
						position.graph->nodes[self->child.n > 0 ? self->child.to[0] :
											  self->dependent.to[0]].revision),
				 errhint("Drop that one first.")));
	mig_scope_enter(&scope);
	mig_revisions_delete(&scope, self->revision);
	mig_heads_remember(&scope, mig_position_in_scope(&scope, true).graph);
	mig_scope_leave(&scope);
	PG_RETURN_TEXT_P(cstring_to_text(self->revision));
}

/*
 * Implement migrate.export(revision): return a revision's file. Errors: MG001,
 * MG002, MG011.
 */
Datum
migrate_export(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(mig_native_write(read_argument(fcinfo))));
}

/*
 * Implement migrate.file_name(revision): return the name of a revision's file.
 * Errors: MG001, MG002.
 */
Datum
migrate_file_name(PG_FUNCTION_ARGS)
{
	Revision   *rev = read_argument(fcinfo);
	char	   *name = mig_file_name_write(rev->revision, rev->message, false);

	if (is_name_of_another(name, rev->revision))
		name = mig_file_name_write(rev->revision, rev->message, true);
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/*
 * Return whether the file of another revision would have the same name.
 */
static bool
is_name_of_another(const char *name, const char *revision)
{
	bool		found = false;
	List	   *ids;
	ListCell   *lc;
	Scope		scope;

	mig_scope_enter(&scope);
	ids = mig_revisions_find_ids(&scope, mig_file_name_ids(name));
	foreach(lc, ids)
	{
		const char *id = lfirst(lc);
		const Revision *other = mig_revisions_read_one(&scope, id);

		found = found || (other != NULL && strcmp(id, revision) != 0 &&
						  strcmp(mig_file_name_write(id, other->message, false), name) == 0);
	}
	mig_scope_leave(&scope);
	return found;
}

/*
 * Implement migrate.configure(name, value): set a setting of the project, or
 * remove it. Errors: 22023.
 */
Datum
migrate_configure(PG_FUNCTION_ARGS)
{
	char	   *name = mig_sql_text_arg(fcinfo, 0, "name");
	char	   *value = optional_text(fcinfo, 1);
	Scope		scope;

	check_setting(name, value);
	mig_position_begin_write("migrate.configure()");
	mig_scope_enter(&scope);
	mig_project_write_setting(&scope, name, value);
	mig_scope_leave(&scope);
	PG_RETURN_VOID();
}

/*
 * Take the run lock for a function and read the position.
 */
static Position
begin(const char *function)
{
	mig_position_begin_write(function);
	return mig_position_read(false);
}

/*
 * Return the one revision that an identifier names; base is none.
 */
int
mig_author_one_revision(const Position *position, const char *target)
{
	int			node = mig_target_one(position->graph, position->rows, target);

	if (node == TARGET_BASE)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NO_SUCH_REVISION),
				 errmsg("can't locate revision identified by \"%s\"",
						mig_revision_clip(target)),
				 errdetail("It names no revision.")));
	return node;
}

/*
 * Return whether a node is applied.
 */
static bool
is_applied(const Position *position, int node)
{
	return bms_is_member(node, mig_graph_ancestors(position->graph, position->rows,
												   GRAPH_REAL));
}

/*
 * Down revisions of a new revision on head: none or one id.  MG005 when it is
 * not a head and splice is false.
 */
static List *
parent_of(const Position *position, const char *head, bool splice)
{
	int			node = mig_target_one(position->graph, position->rows, head);
	const GraphNode *self;

	if (node == TARGET_BASE)
		return NIL;
	self = &position->graph->nodes[node];
	if (self->child.n > 0 && !splice)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("revision \"%s\" is not a head revision", self->revision),
				 errhint("To begin a new branch there, add splice => true.")));
	return list_make1(unconstify(char *, self->revision));
}

/*
 * Return the ids that names (ids, prefixes, labels) mean, each once.
 */
static List *
resolve_ids(const Graph *graph, List *names)
{
	Bitmapset  *found = NULL;
	ListCell   *lc;

	foreach(lc, names)
		found = bms_add_member(found, mig_target_name(graph, lfirst(lc)));
	return mig_graph_ids(graph, found);
}

/*
 * 22023 when name cannot be an id or a label.
 */
static void
check_new_name(const char *name, const char *kind)
{
	const char *fault = mig_revision_name_fault(name);

	if (fault != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s \"%s\" %s", kind, mig_revision_clip(name), fault)));
}

/*
 * Return the id of a new revision: rev_id, or one as the setting revision_ids
 * says.  A number that the log knows is not given again, because other databases
 * may know the revision that had it.
 */
char *
mig_author_new_id(const Position *position, const char *rev_id)
{
	char	   *scheme;
	List	   *used = NIL;
	Scope		scope;

	if (rev_id != NULL)
	{
		check_new_name(rev_id, "revision identifier");
		return pstrdup(rev_id);
	}
	mig_scope_enter(&scope);
	scheme = mig_project_read_setting(&scope, "revision_ids");
	if (mig_names_are_serial(scheme))
		used = mig_ledger_read_logged(&scope);
	mig_scope_leave(&scope);
	return mig_names_new_id(position->graph, scheme, used);
}

/*
 * Check the graph with rev in it, and store rev.
 */
void
mig_author_insert(const Position *position, Revision *rev)
{
	const char *role = mig_position_caller();
	Graph	   *graph;
	Scope		scope;

	mig_names_check_free(position->graph, rev);
	mig_scope_enter(&scope);
	graph = mig_revisions_read_graph(&scope);
	mig_graph_add(graph, rev->revision, rev->down_revisions, rev->depends_on,
				  rev->branch_labels);
	mig_graph_index(graph);
	mig_graph_link(graph);
	mig_revisions_insert(&scope, rev, role);
	mig_heads_remember(&scope, graph);
	mig_scope_leave(&scope);
}

/*
 * Check and set the scripts of a new revision.
 */
static void
fill_scripts(Revision *rev, const char *upgrade, const char *downgrade,
						bool transactional)
{
	ScriptOrigin origin = {.revision = rev->revision, .direction = MIG_UPGRADE};

	rev->upgrade_sql = mig_script_check(upgrade, transactional, &origin);
	rev->upgrade_transactional = transactional;
	if (downgrade == NULL && rev->upgrade_sql[0] == '\0')
		downgrade = "";
	origin.direction = MIG_DOWNGRADE;
	rev->downgrade_sql = mig_script_check(downgrade, transactional, &origin);
	rev->downgrade_transactional = transactional || downgrade == NULL;
}

/*
 * Check scripts that were generated, likewise.
 */
void
mig_author_fill_generated(Revision *rev, const GeneratedScripts *scripts)
{
	ScriptOrigin origin = {.revision = rev->revision, .direction = MIG_UPGRADE};

	rev->upgrade_transactional = !scripts->upgrade_stepwise;
	rev->upgrade_sql = mig_script_check(scripts->upgrade, rev->upgrade_transactional, &origin);
	origin.direction = MIG_DOWNGRADE;
	rev->downgrade_transactional = !scripts->downgrade_stepwise;
	rev->downgrade_sql = mig_script_check(scripts->downgrade, rev->downgrade_transactional,
										  &origin);
}

/*
 * Return the heads that a merge joins: ids. MG005 for fewer than two, or for
 * one that is not a head.
 */
static List *
merged_heads(const Position *position, List *names)
{
	const Graph *graph = position->graph;
	Bitmapset  *heads = NULL;
	Bitmapset  *inner;
	ListCell   *lc;

	foreach(lc, names)
		heads = bms_add_members(heads, mig_target_resolve(graph, position->rows,
														  lfirst(lc)));
	inner = bms_difference(heads, mig_graph_heads(graph, GRAPH_DOWN));
	if (!bms_is_empty(inner))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("revision %s is not a head revision",
						mig_ids_quote(mig_graph_ids(graph, inner))),
				 errhint("Only heads can be merged.")));
	if (bms_membership(heads) != BMS_MULTIPLE)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("a merge needs at least two revisions"),
				 errdetail("Given: %s.", bms_is_empty(heads) ? "none" :
						   mig_ids_quote(mig_graph_ids(graph, heads)))));
	return mig_graph_ids(graph, heads);
}

/*
 * Return text argument n (from 0) as a string, or NULL for a null.
 */
static char *
optional_text(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * Return the revision that argument 0 names.
 */
static Revision *
read_argument(FunctionCallInfo fcinfo)
{
	char	   *target = mig_sql_text_arg(fcinfo, 0, "revision");
	Position	position = mig_position_read(true);

	return read_one(&position, mig_author_one_revision(&position, target), target);
}

/*
 * Return the revision of a node, which the caller's argument named.  MG001 when it is
 * gone since the graph was read.
 */
static Revision *
read_one(const Position *position, int node, const char *target)
{
	Revision   *rev;
	Scope		scope;

	mig_scope_enter(&scope);
	rev = mig_revisions_read_one(&scope, position->graph->nodes[node].revision);
	mig_scope_leave(&scope);
	if (rev == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NO_SUCH_REVISION),
				 errmsg("can't locate revision identified by \"%s\"",
						mig_revision_clip(target))));
	return rev;
}

/*
 * The part of edit that is about scripts.  MG007 when the upgrade script of
 * an applied revision would change.
 */
static void
edit_scripts(Revision *rev, FunctionCallInfo fcinfo, bool applied)
{
	ScriptOrigin origin = {.revision = rev->revision, .direction = MIG_UPGRADE};
	bool		removes = !PG_ARGISNULL(5) && PG_GETARG_BOOL(5);
	bool		transactional = rev->upgrade_transactional;
	char	   *upgrade;

	if (removes && !PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a revision cannot be irreversible and have a downgrade script")));
	if (!PG_ARGISNULL(5) && !removes && PG_ARGISNULL(2) && rev->downgrade_sql == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("revision \"%s\" has no downgrade script", rev->revision),
				 errhint("Give it one: downgrade => '...'.")));

	if (!PG_ARGISNULL(4))
		transactional = PG_GETARG_BOOL(4);
	upgrade = mig_script_check(PG_ARGISNULL(1) ? rev->upgrade_sql : optional_text(fcinfo, 1),
							   transactional, &origin);
	if (applied && (transactional != rev->upgrade_transactional ||
					!mig_script_same(upgrade, rev->upgrade_sql)))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("cannot change the upgrade script of revision \"%s\" because it is applied",
						rev->revision),
				 errhint("Write a new revision, or downgrade below this one first.")));
	if (!mig_script_same(upgrade, rev->upgrade_sql))
		rev->line[MIG_UPGRADE] = 0;
	if (!applied)
		rev->upgrade_sql = upgrade;
	rev->upgrade_transactional = transactional;

	if (!PG_ARGISNULL(2))
	{
		rev->downgrade_sql = optional_text(fcinfo, 2);
		rev->line[MIG_DOWNGRADE] = 0;
	}
	if (removes)
		rev->downgrade_sql = NULL;
	if (!PG_ARGISNULL(4))
		rev->downgrade_transactional = transactional;
	if (rev->downgrade_sql == NULL)
		rev->downgrade_transactional = true;
	origin.direction = MIG_DOWNGRADE;
	rev->downgrade_sql = mig_script_check(rev->downgrade_sql,
										  rev->downgrade_transactional, &origin);
}

/*
 * 22023 unless there is a setting of that name and value is one for it.
 */
static void
check_setting(const char *name, const char *value)
{
	bool		known = false;

	for (size_t i = 0; i < lengthof(settings); i++)
		known |= strcmp(name, settings[i]) == 0;
	if (!known)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized setting \"%s\"", name),
				 errhint("The settings are revision_ids, managed_schemas, exclude, compare_privileges, online, lint_disable, lint_enable, lint_level and lint_large_rows.")));
	if (value == NULL)
		return;
	if (strcmp(name, "revision_ids") == 0)
		check_word(name, value, "random, serial or timestamp");
	if (strcmp(name, "compare_privileges") == 0 || strcmp(name, "online") == 0)
		check_word(name, value, "on or off");
	if (strcmp(name, "lint_level") == 0)
		check_word(name, value, "error, warning or off");
	if (strcmp(name, "lint_disable") == 0 || strcmp(name, "lint_enable") == 0)
		(void) mig_linter_parse_rules(value);
	if (strcmp(name, "lint_large_rows") == 0)
		(void) mig_linter_parse_rows(value);
	if (strcmp(name, "managed_schemas") == 0)
		(void) mig_managed_parse(value);
	if (strcmp(name, "exclude") == 0)
		(void) mig_exclude_parse(value);
}

/*
 * 22023 when the value of a setting is none of the words of a hint, "a, b or c".
 */
static void
check_word(const char *name, const char *value, const char *words)
{
	char	   *rest = pstrdup(words);

	for (char *word = strtok(rest, ", "); word != NULL; word = strtok(NULL, ", "))
		if (strcmp(word, value) == 0 && strcmp(word, "or") != 0)
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for setting \"%s\": \"%s\"", name, value),
			 errhint("Use %s.", words)));
}
