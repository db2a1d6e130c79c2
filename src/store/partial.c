/*
 * partial.c
 *		Non-transactional scripts that are incomplete (migrate.partial), as a
 *		state machine.
 *
 * While migrate.partial has a row, only a stepwise run in the same direction may
 * continue; atomic moves and drop are refused, and edits may touch what is not
 * done yet.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "revision/ids.h"
#include "script/script.h"
#include "script/unit.h"
#include "store/partial.h"
#include "store/query.h"
#include "store/revisions.h"
#include "store/scope.h"
#include "utils/array.h"
#include "utils/builtins.h"

static void *partial_of_row(uint64 row);
static List *oids_value(uint64 row, int column);
static const Partial *find(List *partials, const char *revision);
static void write_row(const Scope *scope, const Partial *partial);
static Datum text_or_null(const char *text, char *null);
static void check_done_part(const Revision *rev, const Partial *partial);
static void check_same_parents(const Revision *rev);
pg_noreturn static void refuse_change(const Partial *partial, const char *detail);

/*
 * Return all incomplete scripts (Partial *), by id in byte order.
 */
List *
mig_partial_read(const Scope *scope)
{
	static StoreQuery query = {
		"SELECT revision, direction, statements, statements_done, digest,"
		" in_doubt, started_at, statement_started_at, intent, intent_statement,"
		" intent_object, intent_relations, intent_indexes, intent_database, settings"
		" FROM migrate.partial ORDER BY revision COLLATE pg_catalog.\"C\"",
		0, {0}, NULL
	};

	return mig_query_rows(scope, &query, NULL, partial_of_row);
}

/*
 * Return a Partial, for mig_query_rows.
 */
static void *
partial_of_row(uint64 row)
{
	Partial    *partial = palloc0(sizeof(Partial));
	bool		isnull;

	partial->revision = mig_query_text(row, 1);
	partial->direction = strcmp(mig_query_text(row, 2), "upgrade") == 0 ?
		MIG_UPGRADE : MIG_DOWNGRADE;
	partial->statements = mig_query_int(row, 3);
	partial->statements_done = mig_query_int(row, 4);
	partial->digest = mig_query_text(row, 5);
	partial->in_doubt = mig_query_bool(row, 6);
	partial->started_at = mig_query_time(row, 7);
	partial->statement_started_at = mig_query_time(row, 8);
	partial->intent.digest = mig_query_text_or_null(row, 9);
	partial->intent.statement = mig_query_text_or_null(row, 10);
	partial->intent.object = DatumGetObjectId(mig_query_value(row, 11, OIDOID, &isnull));
	partial->intent.relations = oids_value(row, 12);
	partial->intent.indexes = oids_value(row, 13);
	partial->intent.database = mig_query_text_or_null(row, 14);
	partial->settings = mig_query_list(row, 15);
	partial->is_stored = true;
	return partial;
}

/*
 * Return an oid[] of the last query's result as a list (Oid), in the current
 * memory context.
 */
static List *
oids_value(uint64 row, int column)
{
	bool		isnull;
	Datum		value = mig_query_value(row, column, OIDARRAYOID, &isnull);
	Datum	   *elements;
	int			n;
	List	   *oids = NIL;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(value), OIDOID, sizeof(Oid), true,
					  TYPALIGN_INT, &elements, NULL, &n);
	for (int i = 0; i < n; i++)
		oids = lappend_oid(oids, DatumGetObjectId(elements[i]));
	return oids;
}

/*
 * Return all incomplete scripts (Partial *), in the current memory context.
 */
List *
mig_partial_read_all(void)
{
	List	   *partials;
	Scope		scope;

	mig_scope_enter(&scope);
	partials = mig_partial_read(&scope);
	mig_scope_leave(&scope);
	return partials;
}

/*
 * Return whether there is an incomplete script.
 */
bool
mig_partial_exists(void)
{
	static StoreQuery query = {"SELECT FROM migrate.partial LIMIT 1", 0, {0}, NULL};
	Scope		scope;
	bool		exists;

	mig_scope_enter(&scope);
	exists = mig_query_read(&scope, &query, NULL, NULL) > 0;
	mig_scope_leave(&scope);
	return exists;
}

/*
 * Return how far a revision's script is, in the current memory context: as it is
 * stored, or at its beginning.
 */
Partial
mig_partial_of(const char *revision, MigDirection direction)
{
	const Partial *stored = find(mig_partial_read_all(), revision);
	Partial		partial;

	if (stored != NULL)
		return *stored;
	memset(&partial, 0, sizeof(Partial));
	partial.revision = pstrdup(revision);
	partial.direction = direction;
	partial.digest = "";
	partial.started_at = GetCurrentTimestamp();
	return partial;
}

/*
 * Return the one of a revision, or NULL.
 */
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
 * The next statement is about to be started by itself, and is in doubt from then
 * on.
 */
void
mig_partial_begin(Partial *partial, const PartialIntent *intent)
{
	partial->in_doubt = true;
	partial->intent = *intent;
	partial->statement_started_at = GetCurrentTimestamp();
}

/*
 * The next statement has raised an error, and so is not in doubt any more.
 * Without effect: it has done nothing; otherwise it may have left something that
 * its intent tells.
 */
void
mig_partial_fail(Partial *partial, bool without_effect)
{
	partial->in_doubt = false;
	if (without_effect)
		partial->intent.digest = NULL;
}

/*
 * The statements up to number done are done; digest is theirs.
 */
void
mig_partial_advance(Partial *partial, int done, char *digest)
{
	partial->statements_done = done;
	partial->digest = digest;
	partial->in_doubt = false;
	memset(&partial->intent, 0, sizeof(PartialIntent));
	partial->statement_started_at = GetCurrentTimestamp();
}

/*
 * Decide about the statement in doubt, under the run lock: it is done, or is to
 * be run again.  Errors: MG007 when the script was changed meanwhile.
 */
void
mig_partial_resolve(const Partial *partial, bool done)
{
	Partial		resolved = *partial;
	List	   *statements = NIL;
	StoredScript *script;
	Scope		scope;

	mig_scope_enter(&scope);
	script = mig_revisions_read_script(&scope, partial->revision, partial->direction);
	mig_scope_leave(&scope);
	if (script != NULL)
		statements = mig_script_split(script->sql);
	if (partial->statements_done >= list_length(statements) ||
		strcmp(mig_unit_digest(script->sql, statements, partial->statements_done + 1),
			   partial->intent.digest) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_CHANGED),
				 errmsg("%s script of revision \"%s\" was changed while one of its statements is in doubt",
						mig_direction_name(partial->direction), partial->revision),
				 errhint("Restore the script.")));
	if (done)
		mig_partial_advance(&resolved, partial->statements_done + 1,
							partial->intent.digest);
	else
		/* the indexes that an interrupted build left still have to be removed */
		mig_partial_fail(&resolved, true);
	mig_scope_enter(&scope);
	mig_partial_store(&scope, &resolved);
	mig_scope_leave(&scope);
}

/*
 * Store how far a script is.  One of which nothing is done and nothing was
 * started, in an earlier call either, needs no row.
 */
void
mig_partial_store(const Scope *scope, const Partial *partial)
{
	if (partial->statements_done == 0 && partial->intent.digest == NULL &&
		!partial->is_stored)
		mig_partial_remove(scope, partial->revision);
	else
		write_row(scope, partial);
}

/*
 * Store a row, in place of the one of its revision if there is one.
 */
static void
write_row(const Scope *scope, const Partial *partial)
{
	static StoreQuery query = {
		"INSERT INTO migrate.partial (revision, direction, statements,"
		" statements_done, digest, in_doubt, started_at, statement_started_at,"
		" intent, intent_statement, intent_object, intent_relations, intent_indexes,"
		" intent_database, settings)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
		" ON CONFLICT ON CONSTRAINT partial_pkey DO UPDATE SET"
		" direction = $2, statements = $3, statements_done = $4, digest = $5,"
		" in_doubt = $6, started_at = $7, statement_started_at = $8,"
		" intent = $9, intent_statement = $10, intent_object = $11,"
		" intent_relations = $12, intent_indexes = $13, intent_database = $14,"
		" settings = $15",
		15, {TEXTOID, TEXTOID, INT4OID, INT4OID, TEXTOID, BOOLOID,
			TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, OIDOID, OIDARRAYOID,
			OIDARRAYOID, TEXTOID, TEXTARRAYOID}, NULL
	};
	const PartialIntent *intent = &partial->intent;
	Datum		values[15];
	char		nulls[] = "               ";

	values[0] = CStringGetTextDatum(partial->revision);
	values[1] = CStringGetTextDatum(mig_direction_name(partial->direction));
	values[2] = Int32GetDatum(partial->statements);
	values[3] = Int32GetDatum(partial->statements_done);
	values[4] = CStringGetTextDatum(partial->digest);
	values[5] = BoolGetDatum(partial->in_doubt);
	values[6] = TimestampTzGetDatum(partial->started_at);
	values[7] = TimestampTzGetDatum(partial->statement_started_at);
	values[8] = text_or_null(intent->digest, &nulls[8]);
	values[9] = text_or_null(intent->statement, &nulls[9]);
	values[10] = ObjectIdGetDatum(intent->object);
	values[11] = mig_query_oid_array(intent->relations);
	values[12] = mig_query_oid_array(intent->indexes);
	values[13] = text_or_null(intent->database, &nulls[13]);
	values[14] = mig_query_text_array(partial->settings);
	if (mig_query_write(scope, &query, values, nulls) != 1)
		elog(ERROR, "could not store how far revision \"%s\" is", partial->revision);
}

/*
 * Return a text as a value, with *null set to 'n' when it is NULL.
 */
static Datum
text_or_null(const char *text, char *null)
{
	if (text != NULL)
		return CStringGetTextDatum(text);
	*null = 'n';
	return (Datum) 0;
}

/*
 * Remove the row of a revision, if there is one: its script is complete.
 */
void
mig_partial_remove(const Scope *scope, const char *revision)
{
	static StoreQuery query = {
		"DELETE FROM migrate.partial WHERE revision OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}, NULL
	};
	Datum		values[1] = {CStringGetTextDatum(revision)};

	(void) mig_query_write(scope, &query, values, NULL);
}

/*
 * Discard what is known of an incomplete script, with a NOTICE, because the
 * caller says where the database is.  To be called under the run lock.
 */
void
mig_partial_discard(const char *revision)
{
	const Partial *partial = find(mig_partial_read_all(), revision);
	Scope		scope;

	if (partial == NULL)
		return;
	ereport(NOTICE,
			(errmsg("incomplete %s of revision \"%s\" is discarded",
					mig_direction_name(partial->direction), partial->revision),
			 errdetail("%s", mig_partial_describe(partial))));
	mig_scope_enter(&scope);
	mig_partial_remove(&scope, revision);
	mig_scope_leave(&scope);
}

/*
 * Refuse, with MG008, what cannot be done while a script is incomplete: it cannot
 * be completed in a transaction.
 */
void
mig_partial_refuse(List *partials)
{
	const Partial *partial;

	if (partials == NIL)
		return;
	partial = linitial(partials);
	ereport(ERROR,
			(errcode(ERRCODE_MIG_NOT_TRANSACTIONAL),
			 errmsg("%s of revision \"%s\" is incomplete",
					mig_direction_name(partial->direction), partial->revision),
			 errdetail("%s", mig_partial_describe(partial)),
			 partial->direction == MIG_UPGRADE ?
			 errhint("Run CALL migrate.upgrade_stepwise('%s') to resume.", partial->revision) :
			 errhint("Run CALL migrate.downgrade_stepwise(...) to resume.")));
}

/*
 * Refuse, with MG005, to move in the other direction than an incomplete script.
 * rows are the version rows, as nodes, for the hint.
 */
void
mig_partial_refuse_direction(List *partials, MigDirection direction,
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
				 errmsg("%s of revision \"%s\" is incomplete",
						mig_direction_name(partial->direction), partial->revision),
				 errdetail("%s", mig_partial_describe(partial)),
				 partial->direction == MIG_UPGRADE ?
				 errhint("Run CALL migrate.upgrade_stepwise('%s') to complete it. To give it up, undo by hand what its statements did, then run SELECT migrate.stamp(%s, purge => true).",
						 partial->revision,
						 bms_is_empty(rows) ? "'base'" : "ARRAY(SELECT migrate.current())") :
				 errhint("Run CALL migrate.downgrade_stepwise('-1') to complete it. To give it up, undo by hand what its statements did, then run SELECT migrate.stamp('%s').",
						 partial->revision)));
	}
}

/*
 * Check that rev, which is about to be stored in place of the revision of its id,
 * differs from it only in what is not done yet.  Errors: MG007.
 */
void
mig_partial_check_edit(const Revision *rev)
{
	const Partial *partial = find(mig_partial_read_all(), rev->revision);

	if (partial == NULL)
		return;
	check_done_part(rev, partial);
	check_same_parents(rev);
}

/*
 * Check that the statements that are done, and the one in doubt, stay the same.
 */
static void
check_done_part(const Revision *rev, const Partial *partial)
{
	bool		up = partial->direction == MIG_UPGRADE;
	const char *sql = up ? rev->upgrade_sql : rev->downgrade_sql;
	int			n = partial->statements_done;
	List	   *statements;

	if (sql == NULL || (up ? rev->upgrade_transactional : rev->downgrade_transactional))
		refuse_change(partial, "It must stay a non-transactional script until it is complete.");
	statements = mig_script_split(sql);
	if (list_length(statements) < n ||
		strcmp(mig_unit_digest(sql, statements, n), partial->digest) != 0)
		refuse_change(partial, mig_partial_describe(partial));
	if (partial->in_doubt && partial->intent.digest != NULL &&
		(list_length(statements) == n ||
		 strcmp(mig_unit_digest(sql, statements, n + 1), partial->intent.digest) != 0))
		refuse_change(partial,
					  psprintf("Statement %d was started. If it is not to be run, decide first: migrate.resume('%s', 'done' or 'again').",
							   n + 1, partial->revision));
}

/*
 * Check that the parents stay the same.
 */
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
				 errmsg("cannot change the parents of revision \"%s\" because its script is incomplete",
						rev->revision)));
}

/*
 * Report that a script cannot be changed as it was to be.
 */
static void
refuse_change(const Partial *partial, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIG_CHANGED),
			 errmsg("cannot change completed statements of the %s script of revision \"%s\"",
					mig_direction_name(partial->direction), partial->revision),
			 errdetail("%s", detail),
			 errhint("The statements after them can be changed.")));
}

/*
 * Return a sentence that says how far a script is.
 */
char *
mig_partial_describe(const Partial *partial)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%d of %d statements are done",
					 partial->statements_done, partial->statements);
	if (partial->in_doubt)
		appendStringInfo(&buf, "; statement %d was started", partial->statements_done + 1);
	appendStringInfoChar(&buf, '.');
	return buf.data;
}
