/*
 * expression.h
 *		What the server makes of the expressions and types of a statement.
 */
#ifndef MIG_EXPRESSION_H
#define MIG_EXPRESSION_H

#include "migrate.h"

#include "lint/world.h"

/* What a change of a column's type does. */
typedef enum TypeChange
{
	TYPE_CHANGE_UNKNOWN,		/* the types or the expression are not known here */
	TYPE_CHANGE_NONE,			/* of the catalogs only */
	TYPE_CHANGE_COLLATION,		/* rebuilds the indexes over it */
	TYPE_CHANGE_REWRITE
} TypeChange;

extern bool mig_expression_is_volatile(const World *world, const Node *raw);
extern bool mig_expression_rules_out_null(const WorldRelation *table, const char *column);
extern TypeChange mig_expression_type_change(const WorldRelation *table,
											 const WorldColumn *column,
											 const ColumnDef *definition);
extern bool mig_expression_implies_bound(const WorldRelation *parent,
										 const WorldRelation *table,
										 const PartitionCmd *command);
extern Oid	mig_expression_type(const TypeName *name, int32 *typmod);
extern Oid	mig_expression_function(ObjectType kind, const ObjectWithArgs *name);
extern bool mig_expression_domain_is_checked(const TypeName *name);

#endif							/* MIG_EXPRESSION_H */
