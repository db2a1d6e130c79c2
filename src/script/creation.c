/*
 * creation.c
 *		What a statement of a script creates, told by its parse tree.
 *
 * When that exists already, what it is decides about the hint.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "script/creation.h"

static const RangeVar *created_relation(const Node *stmt);
static const RangeVar *selected_into(const SelectStmt *stmt);

/*
 * Return what a statement creates.
 */
CreationKind
mig_creation_kind(const RawStmt *raw)
{
	const Node *stmt = raw->stmt;
	const RangeVar *relation = created_relation(stmt);

	if (relation != NULL)
		return relation->relpersistence == RELPERSISTENCE_TEMP ||
			(relation->schemaname != NULL && strcmp(relation->schemaname, "pg_temp") == 0) ?
			CREATION_TEMPORARY : CREATION_IN_SCHEMA;
	switch (nodeTag(stmt))
	{
		case T_CreateSchemaStmt:
			{
				const char *name = ((const CreateSchemaStmt *) stmt)->schemaname;

				return name != NULL && strcmp(name, "public") == 0 ?
					CREATION_OF_PUBLIC : CREATION_IN_SCHEMA;
			}
		case T_AlterEnumStmt:
		case T_CreateCastStmt:
		case T_CreateDomainStmt:
		case T_CreateEnumStmt:
		case T_CreateFunctionStmt:
		case T_CreateOpClassStmt:
		case T_CreateOpFamilyStmt:
		case T_CreateRangeStmt:
		case T_CreateStatsStmt:
		case T_DefineStmt:
			return CREATION_IN_SCHEMA;
		default:
			return CREATION_OTHER;
	}
}

/*
 * Return the relation that a statement creates, or of which it creates a part, or
 * NULL.
 */
static const RangeVar *
created_relation(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			return ((const CreateStmt *) stmt)->relation;
		case T_CreateForeignTableStmt:
			return ((const CreateForeignTableStmt *) stmt)->base.relation;
		case T_CreateTableAsStmt:
			return ((const CreateTableAsStmt *) stmt)->into->rel;
		case T_SelectStmt:
			return selected_into((const SelectStmt *) stmt);
		case T_ViewStmt:
			return ((const ViewStmt *) stmt)->view;
		case T_CreateSeqStmt:
			return ((const CreateSeqStmt *) stmt)->sequence;
		case T_CompositeTypeStmt:
			return ((const CompositeTypeStmt *) stmt)->typevar;
		case T_IndexStmt:
			return ((const IndexStmt *) stmt)->relation;
		case T_AlterTableStmt:
			return ((const AlterTableStmt *) stmt)->relation;
		case T_CreateTrigStmt:
			return ((const CreateTrigStmt *) stmt)->relation;
		case T_RuleStmt:
			return ((const RuleStmt *) stmt)->relation;
		case T_CreatePolicyStmt:
			return ((const CreatePolicyStmt *) stmt)->table;
		default:
			return NULL;
	}
}

/*
 * Return the table that SELECT INTO creates, or NULL.
 */
static const RangeVar *
selected_into(const SelectStmt *stmt)
{
	while (stmt->op != SETOP_NONE)
		stmt = stmt->larg;
	return stmt->intoClause != NULL ? stmt->intoClause->rel : NULL;
}

/*
 * Return whether a statement creates something that is to stay, and is certain to
 * fail where that exists already.
 */
bool
mig_creation_fails_on_existing(const RawStmt *raw)
{
	const Node *stmt = raw->stmt;

	if (mig_creation_kind(raw) != CREATION_IN_SCHEMA)
		return false;
	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			return !((const CreateStmt *) stmt)->if_not_exists;
		case T_CreateTableAsStmt:
			return !((const CreateTableAsStmt *) stmt)->if_not_exists;
		case T_CreateSchemaStmt:
			return !((const CreateSchemaStmt *) stmt)->if_not_exists;
		case T_CreateSeqStmt:
			return !((const CreateSeqStmt *) stmt)->if_not_exists;
		case T_ViewStmt:
			return !((const ViewStmt *) stmt)->replace;
		case T_CreateFunctionStmt:
			return !((const CreateFunctionStmt *) stmt)->replace;
		case T_CompositeTypeStmt:
		case T_CreateDomainStmt:
		case T_CreateEnumStmt:
		case T_CreateRangeStmt:
		case T_SelectStmt:
			return true;
		default:
			return false;
	}
}
