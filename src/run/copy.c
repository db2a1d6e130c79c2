/*
 * copy.c
 *		COPY with its rows in the script.
 *
 * The server's own COPY reads from a file or from the client; with rows in memory
 * it is to be called one level below (BeginCopyFrom, as logical replication copies
 * a table), where neither privileges nor row-level security nor a read-only
 * transaction are checked any more.  So these checks are made here, with the
 * server's functions, in the server's order, and with the server's codes.
 *
 * Rows are in the server encoding, as the script is, whatever client_encoding the
 * script has set.
 */
#include "migrate.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/copy.h"
#include "compat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "run/copy.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"

/* What read_rows returns next: it gets no argument, and runs of COPY do not nest. */
static const char *next_row;
static int	rows_left;

static ParseState *check_privileges(const CopyStmt *copy, const char *query, Relation rel,
									Node **where);
static Bitmapset *copied_columns(Relation rel, List *names);
static Node *condition(ParseState *pstate, ParseNamespaceItem *item, Node *where);
static void check_condition(Relation rel, Node *condition);
static void check_target(Relation rel);
static List *with_encoding(List *options);
static int	read_rows(void *buffer, int least, int most);

/*
 * Run a COPY whose rows are the len bytes at rows; query is its text.  The tree is
 * written into.  To be called with an active snapshot.  Returns how many rows were
 * copied.  Errors: those of COPY.
 */
uint64
mig_copy_rows(const CopyStmt *copy, const char *query, const char *rows, int len)
{
	Relation	rel = table_openrv(copy->relation, RowExclusiveLock);
	ParseState *pstate;
	CopyFromState state;
	Node	   *where;
	uint64		n;

	pstate = check_privileges(copy, query, rel, &where);
	check_condition(rel, where);
	check_target(rel);

	next_row = rows;
	rows_left = len;
	state = mig_BeginCopyFrom(pstate, rel, where, read_rows, copy->attlist,
							  with_encoding(copy->options));
	n = CopyFrom(state);
	EndCopyFrom(state);
	table_close(rel, NoLock);
	free_parsestate(pstate);
	return n;
}

/*
 * Check the privileges on the table.  Returns the state of the analysis, and in
 * *where the condition of WHERE, ready to be run.  Errors: 42501.
 *
 * What the hook for privileges gets must outlive the statement: pgaudit keeps it
 * until the statement of the client ends, because it knows of no other.
 */
static ParseState *
check_privileges(const CopyStmt *copy, const char *query, Relation rel, Node **where)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item = addRangeTableEntryForRelation(pstate, rel, RowExclusiveLock,
															 NULL, false, false);
	MigNeededPrivileges *needed = MigNeededOf(item);

	pstate->p_sourcetext = query;
	needed->requiredPerms = ACL_INSERT;
	*where = condition(pstate, item, copy->whereClause);
	needed->insertedCols = copied_columns(rel, copy->attlist);
	mig_check_needed(pstate, needed);
	MemoryContextSwitchTo(old);
	return pstate;
}

/*
 * Return the columns that a COPY fills, as a query's privileges count them: those
 * of some names (String), or all.  Names of none are left for BeginCopyFrom to
 * report.
 */
static Bitmapset *
copied_columns(Relation rel, List *names)
{
	TupleDesc	columns = RelationGetDescr(rel);
	Bitmapset  *result = NULL;
	ListCell   *lc;

	foreach(lc, names)
	{
		int			number = attnameAttNum(rel, strVal(lfirst(lc)), false);

		if (number != InvalidAttrNumber)
			result = bms_add_member(result, number - FirstLowInvalidHeapAttributeNumber);
	}
	for (int i = 0; names == NIL && i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		if (!column->attisdropped && column->attgenerated == '\0')
			result = bms_add_member(result,
									column->attnum - FirstLowInvalidHeapAttributeNumber);
	}
	return result;
}

/*
 * Return the condition of WHERE, ready to be run, or NULL for none.  The columns
 * that it reads become a part of the privileges that are needed.
 */
static Node *
condition(ParseState *pstate, ParseNamespaceItem *item, Node *where)
{
	if (where == NULL)
		return NULL;
	addNSItemToQuery(pstate, item, false, true, true);
	where = transformExpr(pstate, where, EXPR_KIND_COPY_WHERE);
	where = coerce_to_boolean(pstate, where, "WHERE");
	assign_expr_collations(pstate, where);
	where = eval_const_expressions(NULL, where);
	where = (Node *) canonicalize_qual((Expr *) where, false);
	return (Node *) make_ands_implicit((Expr *) where);
}

/*
 * Refuse a condition that reads generated columns: their values are not there yet
 * when it is run.  Servers before 18 let it read nulls.
 */
static void
check_condition(Relation rel, Node *condition)
{
	TupleDesc	columns = RelationGetDescr(rel);
	Bitmapset  *read = NULL;
	bool		whole_row;

	pull_varattnos(condition, 1, &read);
	whole_row = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, read);
	for (int i = 0; read != NULL && i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		if (!column->attisdropped && column->attgenerated != '\0' &&
			(whole_row ||
			 bms_is_member(column->attnum - FirstLowInvalidHeapAttributeNumber, read)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("generated columns are not supported in COPY FROM WHERE conditions"),
					 errdetail("Column \"%s\" is a generated column.",
							   NameStr(column->attname))));
	}
}

/*
 * Refuse a table whose rows are checked by policies: 0A000; and one that must not
 * be written in this transaction: 25006.
 */
static void
check_target(Relation rel)
{
	if (check_enable_rls(RelationGetRelid(rel), InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("COPY FROM not supported with row-level security"),
				 errhint("Use INSERT statements instead.")));
	if (XactReadOnly && !rel->rd_islocaltemp)
		PreventCommandIfReadOnly("COPY FROM");
}

/*
 * Return the options with the encoding that the rows have.
 */
static List *
with_encoding(List *options)
{
	char	   *encoding = pstrdup(GetDatabaseEncodingName());

	return lappend(list_copy(options),
				   makeDefElem(pstrdup("encoding"), (Node *) makeString(encoding), -1));
}

/*
 * Give COPY the next rows: as many bytes as there is room for, or the rest.
 */
static int
read_rows(void *buffer, int least, int most)
{
	int			n = Min(rows_left, most);

	(void) least;
	memcpy(buffer, next_row, n);
	next_row += n;
	rows_left -= n;
	return n;
}
