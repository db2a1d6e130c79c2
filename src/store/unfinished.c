/*
 * unfinished.c
 *		Scripts that have begun and not ended: who is refused, told or asked.
 *
 * While migrate.partial has a row, only a stepwise run in the same direction
 * goes on; atomic moves and drop are refused, and edits may touch what is not
 * done yet.  migrate.resume() answers what the catalogs cannot tell.
 */
#include "migrate.h"

#include "compat.h"
#include "lib/stringinfo.h"
#include "revision/ids.h"
#include "revision/target.h"
#include "script/script.h"
#include "script/unit.h"
#include "sql.h"
#include "store/lock.h"
#include "store/partial.h"
#include "store/position.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "store/unfinished.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(migrate_resume);

static const Partial *find(List *partials, const char *revision);
static void check_done_part(const Revision *rev, const Partial *partial);
static void check_same_parents(const Revision *rev);
pg_noreturn static void changed(const Partial *partial, const char *detail);
static void resume(Partial *partial, bool done);

/*
 * All of them (Partial *), in the current memory context.
 */
List *
mig_unfinished_read(void)
{
	List	   *partials;
	Scope		scope;

	mig_scope_enter(&scope);
	partials = mig_partial_read(&scope);
	mig_scope_leave(&scope);
	return partials;
}

/*
 * Whether there is any.
 */
bool
mig_unfinished_exists(void)
{
	Scope		scope;
	bool		exists;

	mig_scope_enter(&scope);
	exists = mig_partial_exists(&scope);
	mig_scope_leave(&scope);
	return exists;
}

/*
 * MG008 when there is any: what it has begun cannot be ended in a transaction.
 */
void
mig_unfinished_refuse(List *partials)
{
	const Partial *partial;

	if (partials == NIL)
		return;
	partial = linitial(partials);
	ereport(ERROR,
			(errcode(ERRCODE_MIG_NOT_TRANSACTIONAL),
			 errmsg("%s script of revision \"%s\" has begun and not ended",
					mig_direction_name(partial->direction), partial->revision),
			 errdetail("%s", mig_unfinished_describe(partial)),
			 partial->direction == MIG_UPGRADE ?
			 errhint("CALL migrate.upgrade_stepwise('%s'); goes on.", partial->revision) :
			 errhint("CALL migrate.downgrade_stepwise(...); goes on.")));
}

/*
 * MG005 when there is one that moves the other way.  rows are the version
 * rows, as nodes, for the hint.
 */
void
mig_unfinished_refuse_direction(List *partials, MigDirection direction,
								const Bitmapset *rows)
{
	ListCell   *lc;

	foreach(lc, partials)
	{
		const Partial *partial = lfirst(lc);

		if (partial->direction == direction)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("%s script of revision \"%s\" has begun and not ended",
						mig_direction_name(partial->direction), partial->revision),
				 errdetail("%s", mig_unfinished_describe(partial)),
				 partial->direction == MIG_UPGRADE ?
				 errhint("CALL migrate.upgrade_stepwise('%s'); ends it. To give it up, undo by hand what is done of it, then SELECT migrate.stamp(%s, purge => true).",
						 partial->revision,
						 bms_is_empty(rows) ? "'base'" : "ARRAY(SELECT migrate.current())") :
				 errhint("CALL migrate.downgrade_stepwise('-1'); ends it. To give it up, undo by hand what is done of it, then SELECT migrate.stamp('%s').",
						 partial->revision)));
	}
}

/*
 * MG007 when rev, which is about to be stored in place of the revision of its
 * id, differs from it in what is done already.
 */
void
mig_unfinished_check_edit(const Revision *rev)
{
	const Partial *partial = find(mig_unfinished_read(), rev->revision);

	if (partial == NULL)
		return;
	check_done_part(rev, partial);
	check_same_parents(rev);
}

/*
 * What was begun of a revision's script does not count any more, because
 * somebody says where the database is: forget it, with a NOTICE.  To be called
 * under the run lock.
 */
void
mig_unfinished_settle(const char *revision)
{
	const Partial *partial = find(mig_unfinished_read(), revision);
	Scope		scope;

	if (partial == NULL)
		return;
	ereport(NOTICE,
			(errmsg("%s script of revision \"%s\" does not count as begun any more",
					mig_direction_name(partial->direction), partial->revision),
			 errdetail("%s", mig_unfinished_describe(partial))));
	mig_scope_enter(&scope);
	mig_partial_delete(&scope, revision);
	mig_scope_leave(&scope);
}

/*
 * NOTICE for each.
 */
void
mig_unfinished_tell(void)
{
	ListCell   *lc;

	foreach(lc, mig_unfinished_read())
	{
		const Partial *partial = lfirst(lc);
		int			pid = mig_lock_stepwise_pid();

		ereport(NOTICE,
				(errmsg("%s script of revision \"%s\" has begun and not ended",
						mig_direction_name(partial->direction), partial->revision),
				 errdetail("%s", mig_unfinished_describe(partial)),
				 pid != 0 ? errhint("Process %d runs it; migrate.progress shows how far it is.", pid) :
				 errhint("CALL migrate.%s_stepwise(...); goes on.",
						 mig_direction_name(partial->direction))));
	}
}

/*
 * How far it is, as a sentence.
 */
char *
mig_unfinished_describe(const Partial *partial)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%d of %d statements are done",
					 partial->statements_done, partial->statements);
	if (partial->in_doubt)
		appendStringInfo(&buf, "; statement %d has begun",
						 partial->statements_done + 1);
	appendStringInfoChar(&buf, '.');
	return buf.data;
}

/* NULL when there is none. */
static const Partial *
find(List *partials, const char *revision)
{
	ListCell   *lc;

	foreach(lc, partials)
		if (strcmp(((Partial *) lfirst(lc))->revision, revision) == 0)
			return lfirst(lc);
	return NULL;
}

/*
 * What is done, and what is in doubt, must be the same statements.
 */
static void
check_done_part(const Revision *rev, const Partial *partial)
{
	bool		up = partial->direction == MIG_UPGRADE;
	const char *sql = up ? rev->upgrade_sql : rev->downgrade_sql;
	int			n = partial->statements_done;
	List	   *statements;

	if (sql == NULL || (up ? rev->upgrade_transactional : rev->downgrade_transactional))
		changed(partial, "It must stay a non-transactional script until it has ended.");
	statements = mig_script_split(sql);
	if (list_length(statements) < n ||
		strcmp(mig_unit_digest(sql, statements, n), partial->digest) != 0)
		changed(partial, mig_unfinished_describe(partial));
	if (partial->in_doubt && partial->intent != NULL &&
		(list_length(statements) == n ||
		 strcmp(mig_unit_digest(sql, statements, n + 1), partial->intent) != 0))
		changed(partial, psprintf("Statement %d has begun. When it is not to be run, decide first: migrate.resume('%s', 'done' or 'again').",
								  n + 1, partial->revision));
}

static void
check_same_parents(const Revision *rev)
{
	Revision   *stored;
	Scope		scope;

	mig_scope_enter(&scope);
	stored = mig_revisions_read_one(&scope, rev->revision);
	mig_scope_leave(&scope);
	if (stored != NULL &&
		(!mig_ids_equal(stored->down_revisions, rev->down_revisions) ||
		 !mig_ids_equal(stored->depends_on, rev->depends_on)))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("cannot change the parents of revision \"%s\" because its script has begun and not ended",
						rev->revision)));
}

static void
changed(const Partial *partial, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIG_CHANGED),
			 errmsg("cannot change what is done of the %s script of revision \"%s\"",
					mig_direction_name(partial->direction), partial->revision),
			 errdetail("%s", detail),
			 errhint("What is not done yet can be changed.")));
}

/*
 * Decide about the statement in doubt of a script, under the lock.
 */
static void
resume(Partial *partial, bool done)
{
	List	   *statements;
	StoredScript *script;
	Scope		scope;

	mig_scope_enter(&scope);
	script = mig_revisions_read_script(&scope, partial->revision, partial->direction);
	mig_scope_leave(&scope);
	statements = script != NULL ? mig_script_split(script->sql) : NIL;
	if (partial->statements_done >= list_length(statements) ||
		strcmp(mig_unit_digest(script->sql, statements, partial->statements_done + 1),
			   partial->intent) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("%s script of revision \"%s\" was changed while a statement of it is in doubt",
						mig_direction_name(partial->direction), partial->revision),
				 errhint("Put the script back as it was.")));

	if (done)
	{
		partial->statements_done++;
		partial->digest = partial->intent;
		partial->relations = NIL;
		partial->indexes = NIL;
	}
	/* the indexes that an interrupted build left still have to go */
	partial->intent = NULL;
	partial->in_doubt = false;
	mig_scope_enter(&scope);
	mig_partial_write(&scope, partial);
	mig_scope_leave(&scope);
}

/* SELECT migrate.resume(revision, decision) */
Datum
migrate_resume(PG_FUNCTION_ARGS)
{
	char	   *target = mig_sql_text_arg(fcinfo, 0, "revision");
	char	   *decision = mig_sql_text_arg(fcinfo, 1, "decision");
	bool		done = strcmp(decision, "done") == 0;
	Position	position;
	const Partial *partial;
	int			node;

	if (!done && strcmp(decision, "again") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid decision: \"%s\"", decision),
				 errhint("\"done\": the statement has done its work; \"again\": run it again.")));
	mig_position_begin_write("migrate.resume()");
	position = mig_position_read(false);
	node = mig_target_one(position.graph, position.rows, target);
	partial = node < 0 ? NULL :
		find(mig_unfinished_read(), position.graph->nodes[node].revision);
	if (partial == NULL || !partial->in_doubt || partial->intent == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no statement of revision \"%s\" is in doubt",
						node < 0 ? target : position.graph->nodes[node].revision),
				 partial ? errdetail("%s", mig_unfinished_describe(partial)) : 0));
	resume(unconstify(Partial *, partial), done);
	PG_RETURN_TEXT_P(cstring_to_text(partial->revision));
}
