/*
 * shape.c
 *		What an index is, whatever its name: whether it is what a statement
 *		makes, or what another index is.
 *
 * A statement is analyzed as CREATE INDEX analyzes it, on the table that it is
 * about, and what CREATE INDEX would store is compared with what is stored.  So
 * it does not matter how either was written, and nothing is printed, planned or
 * run.  The tablespace is where an index is, not what it is.
 *
 * Names in the statement are looked up as the caller, with the search_path that
 * the script has set.
 */
#include "migrate.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "compat.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_utilcmd.h"
#include "stepwise/shape.h"
#include "store/subtransaction.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* What an index is, in lists that equal() compares. */
typedef struct Shape
{
	List	   *oids;			/* Oid: the method; of each key column the operator
								 * class and the collation */
	List	   *numbers;		/* int: whether it is unique, whether nulls are distinct
								 * in it, how many key columns it has; of each column
								 * the number in the table and the sort order */
	List	   *nodes;			/* Node *: the expressions; then the predicate or NULL */
	List	   *texts;			/* String *: parameters of the index and of its
								 * operator classes */
} Shape;

/* Whether a statement, analyzed, is what an index of a table is. */
typedef struct Question
{
	const IndexStmt *stmt;
	Oid			table;
	Oid			index;
	bool		fits;
} Question;

static bool has_name_of(const IndexStmt *stmt, Oid table, Oid index);
static char *join_column_names(Oid index);
static bool analyzes_to(const IndexStmt *stmt, Oid table, Oid index);
static void ask(void *argument);
static bool is_of_statement(int sqlerrcode);
static bool is_defined_by(const IndexStmt *stmt, Oid table, Oid index);
static Shape shape_of_statement(const IndexStmt *stmt, Oid table);
static void add_key(Shape *shape, const IndexElem *element, Oid table,
					const char *method);
static AttrNumber column_number(Oid table, const char *name);
static int	sort_order(const IndexElem *element);
static Shape shape_of_index(HeapTuple tuple);
static Datum vector_of(HeapTuple tuple, AttrNumber attribute);
static Node *nodes_of(HeapTuple tuple, AttrNumber attribute);
static void add_storage(Shape *shape, Oid index);
static Node *parameters(Datum options);
static bool same_shape(const Shape *one, const Shape *other);

/*
 * Return whether an index is what a CREATE INDEX on a table makes, by its name
 * too: the one that the statement gives, or else one that the server chooses.
 * False also for a statement that cannot be analyzed.
 */
bool
mig_shape_fits(const IndexStmt *stmt, Oid table, Oid index)
{
	return has_name_of(stmt, table, index) && analyzes_to(stmt, table, index);
}

/*
 * Return whether two indexes of one table are the same but for their names.
 */
bool
mig_shape_same(Oid one, Oid other)
{
	HeapTuple	first = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(one));
	HeapTuple	second = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(other));
	bool		same = false;

	if (HeapTupleIsValid(first) && HeapTupleIsValid(second) &&
		((Form_pg_index) GETSTRUCT(first))->indrelid ==
		((Form_pg_index) GETSTRUCT(second))->indrelid)
	{
		Shape		shapes[] = {shape_of_index(first), shape_of_index(second)};

		same = same_shape(&shapes[0], &shapes[1]);
	}
	if (HeapTupleIsValid(first))
		ReleaseSysCache(first);
	if (HeapTupleIsValid(second))
		ReleaseSysCache(second);
	return same;
}

/*
 * Return whether an index has the name that a statement gives, or, if it gives
 * none, one that the server makes of the names of the table and of the columns,
 * with a number at its end where that was taken.
 */
static bool
has_name_of(const IndexStmt *stmt, Oid table, Oid index)
{
	const char *name = get_rel_name(index);
	const char *table_name = get_rel_name(table);
	const char *number;

	if (name == NULL || table_name == NULL)
		return false;
	if (stmt->idxname != NULL)
		return strcmp(name, stmt->idxname) == 0;
	number = name + strlen(name);
	while (number > name && number[-1] >= '0' && number[-1] <= '9')
		number--;
	return strcmp(name, makeObjectName(table_name, join_column_names(index),
									   psprintf("idx%s", number))) == 0;
}

/*
 * Return the names of an index's columns, joined as CREATE INDEX joins them for
 * the name of the index.
 */
static char *
join_column_names(Oid index)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (AttrNumber i = 1; buf.len < NAMEDATALEN; i++)
	{
		const char *name = get_attname(index, i, true);

		if (name == NULL)
			break;
		appendStringInfo(&buf, "%s%s", i > 1 ? "_" : "", name);
	}
	return buf.data;
}

/*
 * Return whether a statement, analyzed, is what an index is; false when it
 * cannot be analyzed.
 */
static bool
analyzes_to(const IndexStmt *stmt, Oid table, Oid index)
{
	Question	question = {.stmt = stmt, .table = table, .index = index};
	ErrorData  *error = mig_subtransaction_try(ask, &question);

	if (error != NULL && !is_of_statement(error->sqlerrcode))
		ReThrowError(error);
	return question.fits;
}

/*
 * Answer whether a statement is what an index is.
 */
static void
ask(void *argument)
{
	Question   *question = argument;

	question->fits = is_defined_by(question->stmt, question->table, question->index);
}

/*
 * Return whether an error is one that the statement itself raises when it runs:
 * something that it names is not there any more, for instance.
 */
static bool
is_of_statement(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION ||
		category == ERRCODE_DATA_EXCEPTION ||
		category == ERRCODE_FEATURE_NOT_SUPPORTED;
}

/*
 * Return whether an index of a table is what a statement, which is analyzed,
 * would make.
 */
static bool
is_defined_by(const IndexStmt *stmt, Oid table, Oid index)
{
	Relation	relation = try_relation_open(table, AccessShareLock);
	HeapTuple	tuple;
	bool		fits = false;

	if (relation == NULL)
		return false;
	PushActiveSnapshot(GetTransactionSnapshot());
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
		IndexStmt  *analyzed = transformIndexStmt(table, copyObject(unconstify(IndexStmt *, stmt)),
												  NULL);
		Shape		wanted = shape_of_statement(analyzed, table);
		Shape		found = shape_of_index(tuple);

		fits = form->indrelid == table && form->indimmediate &&
			!form->indisexclusion && same_shape(&wanted, &found);
		ReleaseSysCache(tuple);
	}
	PopActiveSnapshot();
	relation_close(relation, NoLock);
	return fits;
}

/*
 * Return the shape of the index that a statement makes, which is analyzed.
 * Errors: those of CREATE INDEX, for what the statement names and is not there.
 */
static Shape
shape_of_statement(const IndexStmt *stmt, Oid table)
{
	Shape		shape;
	List	   *predicate = make_ands_implicit((Expr *) stmt->whereClause);
	ListCell   *lc;

	shape.oids = list_make1_oid(get_am_oid(stmt->accessMethod, false));
	shape.numbers = list_make3_int(stmt->unique, MigIndexStmtNullsNotDistinct(stmt),
								   list_length(stmt->indexParams));
	shape.nodes = NIL;
	shape.texts = list_make1(parameters(transformRelOptions((Datum) 0, stmt->options, NULL,
															NULL, false, false)));
	foreach(lc, stmt->indexParams)
		add_key(&shape, lfirst_node(IndexElem, lc), table, stmt->accessMethod);
	foreach(lc, stmt->indexIncludingParams)
		shape.numbers = lappend_int(shape.numbers,
									column_number(table, lfirst_node(IndexElem, lc)->name));
	shape.nodes = lappend(shape.nodes,
						  predicate != NIL ? make_ands_explicit(predicate) : NULL);
	return shape;
}

/*
 * Add a key column of a statement to a shape.
 */
static void
add_key(Shape *shape, const IndexElem *element, Oid table, const char *method)
{
	Node	   *expr = element->expr;
	AttrNumber	number = 0;
	int32		typmod;
	Oid			type;
	Oid			collation;

	if (element->name != NULL)
	{
		number = column_number(table, element->name);
		get_atttypetypmodcoll(table, number, &type, &typmod, &collation);
	}
	else
	{
		type = exprType(expr);
		collation = exprCollation(expr);
		while (IsA(expr, CollateExpr))
			expr = (Node *) ((CollateExpr *) expr)->arg;
		/* a column in parentheses */
		if (IsA(expr, Var))
			number = ((Var *) expr)->varattno;
		if (number == 0)
			shape->nodes = lappend(shape->nodes, expr);
	}
	if (element->collation != NIL)
		collation = get_collation_oid(element->collation, false);
	shape->oids = lappend_oid(shape->oids, ResolveOpClass(element->opclass, type, method,
														  get_am_oid(method, false)));
	shape->oids = lappend_oid(shape->oids, collation);
	shape->numbers = lappend_int(shape->numbers, number);
	shape->numbers = lappend_int(shape->numbers, sort_order(element));
	shape->texts = lappend(shape->texts,
						   parameters(transformRelOptions((Datum) 0, element->opclassopts, NULL,
														  NULL, false, false)));
}

/*
 * Return the number of a table's column.  Errors: 42703.
 */
static AttrNumber
column_number(Oid table, const char *name)
{
	AttrNumber	number = get_attnum(table, name);

	if (number == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" does not exist", name)));
	return number;
}

/*
 * Return the sort order of a column as pg_index.indoption has it.
 */
static int
sort_order(const IndexElem *element)
{
	bool		descending = element->ordering == SORTBY_DESC;
	bool		nulls_first = element->nulls_ordering == SORTBY_NULLS_DEFAULT ?
		descending : element->nulls_ordering == SORTBY_NULLS_FIRST;

	return (descending ? INDOPTION_DESC : 0) | (nulls_first ? INDOPTION_NULLS_FIRST : 0);
}

/*
 * Return the shape of an index, by its row of pg_index.
 */
static Shape
shape_of_index(HeapTuple tuple)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
	oidvector  *classes = (oidvector *) DatumGetPointer(vector_of(tuple, Anum_pg_index_indclass));
	oidvector  *collations = (oidvector *) DatumGetPointer(vector_of(tuple,
																	Anum_pg_index_indcollation));
	int2vector *options = (int2vector *) DatumGetPointer(vector_of(tuple,
																  Anum_pg_index_indoption));
	Shape		shape = {NIL, NIL, NIL, NIL};

	add_storage(&shape, form->indexrelid);
	shape.numbers = list_make3_int(form->indisunique, MigIndexNullsNotDistinct(form),
								   form->indnkeyatts);
	for (int i = 0; i < form->indnatts; i++)
	{
		shape.numbers = lappend_int(shape.numbers, form->indkey.values[i]);
		if (i >= form->indnkeyatts)
			continue;
		shape.oids = lappend_oid(shape.oids, classes->values[i]);
		shape.oids = lappend_oid(shape.oids, collations->values[i]);
		shape.numbers = lappend_int(shape.numbers, options->values[i]);
		shape.texts = lappend(shape.texts,
							  parameters(get_attoptions(form->indexrelid, i + 1)));
	}
	shape.nodes = (List *) nodes_of(tuple, Anum_pg_index_indexprs);
	shape.nodes = lappend(shape.nodes, nodes_of(tuple, Anum_pg_index_indpred));
	return shape;
}

/*
 * Return a vector of a row of pg_index, which is never null.
 */
static Datum
vector_of(HeapTuple tuple, AttrNumber attribute)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(INDEXRELID, tuple, attribute, &isnull);

	Assert(!isnull);
	return value;
}

/*
 * Return the tree that a column of pg_index has, or NULL.
 */
static Node *
nodes_of(HeapTuple tuple, AttrNumber attribute)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(INDEXRELID, tuple, attribute, &isnull);

	return isnull ? NULL : stringToNode(TextDatumGetCString(value));
}

/*
 * Add what pg_class says of an index to a shape: its method and its parameters.
 */
static void
add_storage(Shape *shape, Oid index)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	Datum		options;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return;
	options = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &isnull);
	shape->oids = list_make1_oid(((Form_pg_class) GETSTRUCT(tuple))->relam);
	shape->texts = list_make1(parameters(isnull ? (Datum) 0 : options));
	ReleaseSysCache(tuple);
}

/*
 * Return a text[] of parameters, 0 if there are none, as a string.
 */
static Node *
parameters(Datum options)
{
	return (Node *) makeString(options == (Datum) 0 ? pstrdup("") :
							   OidOutputFunctionCall(F_ARRAY_OUT, options));
}

/*
 * Return whether two shapes are the same.
 */
static bool
same_shape(const Shape *one, const Shape *other)
{
	return equal(one->oids, other->oids) && equal(one->numbers, other->numbers) &&
		equal(one->nodes, other->nodes) && equal(one->texts, other->texts);
}
