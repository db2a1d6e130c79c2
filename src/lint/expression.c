/*
 * expression.c
 *		What the server makes of the expressions and types of a statement.
 *
 * Here the parser, the planner and the prover of the server are called as the
 * statement itself would call them.  What a statement of the plan names may not be
 * there yet, so that this can fail: it is done in a subtransaction, and an error that
 * the statement could raise itself means that the answer is not known.
 *
 * No function of a user runs: the planner folds calls of functions that are IMMUTABLE,
 * so it is not given expressions that call other functions than the server's own.
 */
#include "migrate.h"

#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "compat.h"
#include "lint/catalog.h"
#include "lint/expression.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_func.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "parser/parse_utilcmd.h"
#include "partitioning/partbounds.h"
#include "store/subtransaction.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/partcache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* A question about a default. */
typedef struct DefaultQuestion
{
	const Node *raw;
	bool		is_volatile;
} DefaultQuestion;

/* A question about a type. */
typedef struct TypeQuestion
{
	const TypeName *name;
	Oid			type;
	int32		typmod;
} TypeQuestion;

/* A question about a function. */
typedef struct FunctionQuestion
{
	ObjectType	kind;
	const ObjectWithArgs *name;
	Oid			function;
} FunctionQuestion;

/* A question about a change of type. */
typedef struct ChangeQuestion
{
	const WorldRelation *table;
	const WorldColumn *column;
	const ColumnDef *definition;
	TypeChange	change;
} ChangeQuestion;

/* A question about a partition. */
typedef struct BoundQuestion
{
	const WorldRelation *parent;
	const WorldRelation *table;
	const PartitionCmd *command;
	bool		implied;
} BoundQuestion;

/* A walk over an expression as it is written. */
typedef struct NameWalk
{
	const World *world;
	bool		is_volatile;
} NameWalk;

static bool attempt(void (*question) (void *), void *argument);
static bool is_of_statement(int sqlerrcode);
static Node *plan(Node *expression);
static bool calls_user_function(Node *node, void *context);
static bool is_user_function(Oid function, void *context);
static void ask_default(void *argument);
static bool names_volatile(Node *node, void *argument);
static void ask_type(void *argument);
static void ask_function(void *argument);
static void ask_change(void *argument);
static Node *change_expression(const ChangeQuestion *question, Oid type, int32 typmod);
static Node *using_expression(const ChangeQuestion *question);
static bool needs_rewrite(Node *expression, AttrNumber column);
static bool calls_function(Node *node, void *context);
static void ask_bound(void *argument);
static bool compares_with_server(PartitionKey key);
static List *bound_condition(Relation parent, Relation table,
							 const PartitionCmd *command);
static bool says_not_null(const Node *raw, const char *column);
static List *table_conditions(const WorldRelation *table);

/*
 * Call a function that asks the server.  Return whether it ended without an error of
 * the kind that statements raise; other errors are raised.
 */
static bool
attempt(void (*question) (void *), void *argument)
{
	ErrorData  *error = mig_subtransaction_try(question, argument);

	if (error != NULL && !is_of_statement(error->sqlerrcode))
		ReThrowError(error);
	return error == NULL;
}

/*
 * Return whether an error is one that a statement raises when it names what is not
 * there or cannot be done.
 */
static bool
is_of_statement(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION ||
		category == ERRCODE_DATA_EXCEPTION ||
		category == ERRCODE_FEATURE_NOT_SUPPORTED ||
		category == ERRCODE_INVALID_SCHEMA_NAME;
}

/*
 * Return an expression, which is analyzed, as the planner simplifies it; one that
 * calls a function of a user as it is.
 */
static Node *
plan(Node *expression)
{
	if (calls_user_function(expression, NULL))
		return expression;
	return (Node *) expression_planner((Expr *) expression);
}

/*
 * Return whether an expression calls a function that is not the server's own.
 */
static bool
calls_user_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_user_function, context))
		return true;
	return expression_tree_walker(node, calls_user_function, context);
}

/*
 * Return whether a function is not the server's own.
 */
static bool
is_user_function(Oid function, void *context pg_attribute_unused())
{
	return function >= FirstNormalObjectId;
}

/* -------------------------------------------------------------- defaults ---- */

/*
 * Return whether the expression of a default is volatile, by what it calls.  What the
 * plan made is known by its name; where the server cannot read the expression, it is
 * volatile when all functions of a name in it are.
 */
bool
mig_expression_is_volatile(const World *world, const Node *raw)
{
	DefaultQuestion question = {.raw = raw};
	NameWalk	walk = {.world = world};

	if (attempt(ask_default, &question))
		return question.is_volatile;
	(void) names_volatile((Node *) unconstify(Node *, raw), &walk);
	return walk.is_volatile;
}

/*
 * Answer whether a default is volatile.
 */
static void
ask_default(void *argument)
{
	DefaultQuestion *question = argument;
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expression = transformExpr(pstate, copyObject(unconstify(Node *, question->raw)),
										   EXPR_KIND_COLUMN_DEFAULT);

	assign_expr_collations(pstate, expression);
	question->is_volatile = contain_volatile_functions(plan(expression));
	free_parsestate(pstate);
}

/*
 * Note whether an expression, as it is written, calls a function that the plan made
 * volatile, or of whose name all functions are.
 */
static bool
names_volatile(Node *node, void *argument)
{
	NameWalk   *walk = argument;

	if (node == NULL)
		return false;
	if (IsA(node, FuncCall))
	{
		const char *name = strVal(llast(castNode(FuncCall, node)->funcname));
		const WorldObject *made = mig_world_object(walk->world, 'f', name);

		if (made != NULL ? made->is_volatile : mig_catalog_name_is_volatile(name))
			walk->is_volatile = true;
	}
	return raw_expression_tree_walker(node, names_volatile, argument);
}

/* ----------------------------------------------------------------- types ---- */

/*
 * Return the type of a name of a statement, or InvalidOid where there is none here.
 */
Oid
mig_expression_type(const TypeName *name, int32 *typmod)
{
	TypeQuestion question = {.name = name, .typmod = -1};

	if (name == NULL || !attempt(ask_type, &question))
		return InvalidOid;
	*typmod = question.typmod;
	return question.type;
}

/*
 * Answer which type a name means.
 */
static void
ask_type(void *argument)
{
	TypeQuestion *question = argument;
	Type		type = LookupTypeName(NULL, question->name, &question->typmod, true);

	if (type == NULL)
		return;
	question->type = typeTypeId(type);
	ReleaseSysCache(type);
}

/*
 * Return the function, or other routine, of a name of a statement; InvalidOid where there
 * is none here, or several.
 */
Oid
mig_expression_function(ObjectType kind, const ObjectWithArgs *name)
{
	FunctionQuestion question = {kind, name, InvalidOid};

	return attempt(ask_function, &question) ? question.function : InvalidOid;
}

/*
 * Answer which function a name means.
 */
static void
ask_function(void *argument)
{
	FunctionQuestion *question = argument;

	question->function = LookupFuncWithArgs(question->kind, unconstify(ObjectWithArgs *,
																	   question->name), true);
}

/*
 * Return whether a name means a domain that has constraints, its own or of a domain
 * below.
 */
bool
mig_expression_domain_is_checked(const TypeName *name)
{
	int32		typmod;
	Oid			type = mig_expression_type(name, &typmod);

	return OidIsValid(type) && get_typtype(type) == TYPTYPE_DOMAIN &&
		MigDomainHasConstraints(type);
}

/*
 * Return what ALTER COLUMN TYPE does to a column of a table.
 */
TypeChange
mig_expression_type_change(const WorldRelation *table, const WorldColumn *column,
						   const ColumnDef *definition)
{
	WorldColumn known = *column;
	ChangeQuestion question = {table, &known, definition, TYPE_CHANGE_UNKNOWN};

	if (!OidIsValid(known.type))
	{
		known.type = mig_expression_type(column->type_name, &known.typmod);
		known.collation = OidIsValid(known.type) ? get_typcollation(known.type) : InvalidOid;
	}
	if (!attempt(ask_change, &question))
		return TYPE_CHANGE_UNKNOWN;
	return question.change;
}

/*
 * Answer what a change of type does, as ALTER TABLE decides it.
 */
static void
ask_change(void *argument)
{
	ChangeQuestion *question = argument;
	int32		typmod;
	Oid			type = mig_expression_type(question->definition->typeName, &typmod);
	Node	   *expression;
	Oid			collation;

	if (!OidIsValid(type) || !OidIsValid(question->column->type))
		return;
	expression = change_expression(question, type, typmod);
	if (expression == NULL)
		return;
	if (needs_rewrite(expression, question->column->number))
	{
		question->change = TYPE_CHANGE_REWRITE;
		return;
	}
	collation = question->definition->collClause != NULL ?
		get_collation_oid(question->definition->collClause->collname, false) :
		get_typcollation(type);
	question->change = collation == question->column->collation ? TYPE_CHANGE_NONE :
		TYPE_CHANGE_COLLATION;
}

/*
 * Return the planned expression from which the new values are computed, or NULL when
 * there is no such cast.
 */
static Node *
change_expression(const ChangeQuestion *question, Oid type, int32 typmod)
{
	ParseState *pstate = make_parsestate(NULL);
	const WorldColumn *column = question->column;
	Node	   *expression = question->definition->raw_default != NULL ?
		using_expression(question) :
		(Node *) makeVar(1, column->number, column->type, column->typmod,
						 column->collation, 0);

	expression = coerce_to_target_type(pstate, expression, exprType(expression), type, typmod,
									   COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (expression == NULL)
		return NULL;
	assign_expr_collations(pstate, expression);
	free_parsestate(pstate);
	return plan(expression);
}

/*
 * Return the expression of USING, which the server reads against the table.
 */
static Node *
using_expression(const ChangeQuestion *question)
{
	Relation	rel = table_open(question->table->oid, AccessShareLock);
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item = addRangeTableEntryForRelation(pstate, rel, AccessShareLock,
															 NULL, false, true);
	Node	   *expression;

	addNSItemToQuery(pstate, item, false, true, true);
	expression = transformExpr(pstate, copyObject(question->definition->raw_default),
							   EXPR_KIND_ALTER_COL_TRANSFORM);
	free_parsestate(pstate);
	table_close(rel, AccessShareLock);
	return expression;
}

/*
 * Return whether a planned expression is other than the column as it is stored.
 */
static bool
needs_rewrite(Node *expression, AttrNumber column)
{
	for (;;)
	{
		if (IsA(expression, Var))
			return castNode(Var, expression)->varattno != column;
		if (IsA(expression, RelabelType))
			expression = (Node *) castNode(RelabelType, expression)->arg;
		else if (IsA(expression, CoerceToDomain))
		{
			CoerceToDomain *domain = castNode(CoerceToDomain, expression);

			if (MigDomainHasConstraints(domain->resulttype))
				return true;
			expression = (Node *) domain->arg;
		}
		else if (IsA(expression, FuncExpr) &&
				 (castNode(FuncExpr, expression)->funcid == F_TIMESTAMPTZ_TIMESTAMP ||
				  castNode(FuncExpr, expression)->funcid == F_TIMESTAMP_TIMESTAMPTZ) &&
				 !TimestampTimestampTzRequiresRewrite())
			expression = linitial(castNode(FuncExpr, expression)->args);
		else
			return true;
	}
}

/* ------------------------------------------------------------ conditions ---- */

/*
 * Return whether a valid CHECK of a table implies that a column is not null, as the
 * server would prove it before it scans.
 */
bool
mig_expression_rules_out_null(const WorldRelation *table, const char *name)
{
	const WorldColumn *column = mig_world_column(table, name);
	ListCell   *lc;
	NullTest   *test;

	foreach(lc, table->constraints)
	{
		const WorldConstraint *constraint = lfirst(lc);

		if (constraint->type == CONSTRAINT_CHECK && constraint->valid &&
			says_not_null(constraint->raw, name))
			return true;
		if (constraint->type == 'n' && constraint->valid &&
			mig_world_has(constraint->columns, name))
			return true;
	}
	if (column == NULL || column->number == 0)
		return false;
	test = makeNode(NullTest);
	test->arg = (Expr *) makeVar(1, column->number, column->type, column->typmod,
								 column->collation, 0);
	test->nulltesttype = IS_NOT_NULL;
	test->location = -1;
	return predicate_implied_by(list_make1(test), table_conditions(table), true);
}

/*
 * Return whether a condition, as a statement has it, is that a column is not null,
 * or that and others.
 */
static bool
says_not_null(const Node *raw, const char *column)
{
	ListCell   *lc;

	if (raw == NULL)
		return false;
	if (IsA(raw, NullTest))
	{
		const NullTest *test = (const NullTest *) raw;

		return test->nulltesttype == IS_NOT_NULL && IsA(test->arg, ColumnRef) &&
			IsA(llast(((ColumnRef *) test->arg)->fields), String) &&
			strcmp(strVal(llast(((ColumnRef *) test->arg)->fields)), column) == 0;
	}
	if (!IsA(raw, BoolExpr) || ((const BoolExpr *) raw)->boolop != AND_EXPR)
		return false;
	foreach(lc, ((const BoolExpr *) raw)->args)
	{
		if (says_not_null(lfirst(lc), column))
			return true;
	}
	return false;
}

/*
 * Return the conditions of a table's valid CHECKs that are in the catalogs, ready for
 * the prover.
 */
static List *
table_conditions(const WorldRelation *table)
{
	List	   *conditions = NIL;
	ListCell   *lc;

	foreach(lc, table->constraints)
	{
		const WorldConstraint *constraint = lfirst(lc);
		Node	   *condition = copyObject(constraint->stored);

		if (condition == NULL || !constraint->valid)
			continue;
		if (!calls_user_function(condition, NULL))
			condition = eval_const_expressions(NULL, condition);
		condition = (Node *) canonicalize_qual((Expr *) condition, true);
		conditions = list_concat(conditions, make_ands_implicit((Expr *) condition));
	}
	return conditions;
}

/*
 * Return whether the constraints of a table imply that its rows fit into the
 * partition that it becomes; false where the server cannot say without a call of a
 * function of a user.
 */
bool
mig_expression_implies_bound(const WorldRelation *parent, const WorldRelation *table,
							 const PartitionCmd *command)
{
	BoundQuestion question = {parent, table, command, false};
	ListCell   *lc;

	foreach(lc, table->constraints)
	{
		if (calls_user_function(((WorldConstraint *) lfirst(lc))->stored, NULL))
			return false;
	}
	if (calls_function((Node *) command->bound->listdatums, NULL) ||
		calls_function((Node *) command->bound->lowerdatums, NULL) ||
		calls_function((Node *) command->bound->upperdatums, NULL))
		return false;
	return attempt(ask_bound, &question) && question.implied;
}

/*
 * Return whether an expression, as it is written, calls a function or an operator, or
 * casts: the server would evaluate it.
 */
static bool
calls_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) || IsA(node, A_Expr) || IsA(node, TypeCast))
		return true;
	return raw_expression_tree_walker(node, calls_function, context);
}

/*
 * Answer whether constraints imply a bound.
 */
static void
ask_bound(void *argument)
{
	BoundQuestion *question = argument;
	Relation	parent = table_open(question->parent->oid, AccessShareLock);
	Relation	table = table_open(question->table->oid, AccessShareLock);

	if (compares_with_server(RelationGetPartitionKey(parent)))
	{
		List	   *condition = bound_condition(parent, table, question->command);

		question->implied = PartConstraintImpliedByRelConstraint(table, condition);
	}
	table_close(table, AccessShareLock);
	table_close(parent, AccessShareLock);
}

/*
 * Return whether the columns of a partition key are compared by the server's own
 * functions.
 */
static bool
compares_with_server(PartitionKey key)
{
	for (int i = 0; i < key->partnatts; i++)
		if (key->partsupfunc[i].fn_oid >= FirstNormalObjectId)
			return false;
	return true;
}

/*
 * Return the condition that the rows of a table must meet to be a partition.
 */
static List *
bound_condition(Relation parent, Relation table, const PartitionCmd *command)
{
	ParseState *pstate = make_parsestate(NULL);
	PartitionBoundSpec *bound = transformPartitionBound(pstate, parent,
														copyObject(command->bound));
	List	   *condition = mig_get_qual_from_partbound(table, parent, bound);

	condition = list_concat_copy(condition, RelationGetPartitionQual(parent));
	condition = (List *) eval_const_expressions(NULL, (Node *) condition);
	condition = list_make1(make_ands_explicit(condition));
	free_parsestate(pstate);
	return map_partition_varattnos(condition, 1, table, parent);
}
