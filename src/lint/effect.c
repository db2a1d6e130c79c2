/*
 * effect.c
 *		What the statements of a plan do to the relations that those after them meet.
 *
 * Nothing runs: the parse tree of a statement is written into the world.  What blocks
 * and functions do cannot be seen.  A statement that would fail changes nothing, or
 * something that no later statement meets.
 */
#include "migrate.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "compat.h"
#include "lint/effect.h"
#include "lint/expression.h"
#include "utils/lsyscache.h"

static void create_table(World *world, const CreateStmt *stmt);
static void inherit_columns(WorldRelation *table, const CreateStmt *stmt, World *world);
static void create_from_query(World *world, const IntoClause *into, bool if_not_exists,
							  char kind);
static void create_view(World *world, const ViewStmt *stmt);
static void create_index(World *world, const IndexStmt *stmt);
static void create_schema(World *world, const CreateSchemaStmt *stmt);
static void create_sequence(World *world, const CreateSeqStmt *stmt);
static WorldObject *create_object(World *world, char kind, List *names, bool is_volatile);
static bool is_volatile_function(const CreateFunctionStmt *stmt);
static void create_type_or_function(World *world, const Node *stmt);
static void move_relation(World *world, const AlterObjectSchemaStmt *stmt);
static void rename_object(World *world, const RenameStmt *stmt);
static void rename_part(WorldRelation *table, const RenameStmt *stmt);
static void drop_objects(World *world, const DropStmt *stmt);
static void drop_part(World *world, const Node *object);
static void truncate_tables(World *world, const TruncateStmt *stmt);
static void add_column(World *world, WorldRelation *table, const ColumnDef *definition);
static void alter_type(WorldRelation *table, const AlterTableCmd *cmd);
static void set_not_null(WorldRelation *table, const char *name, bool not_null);
static void add_constraint(World *world, WorldRelation *table, const Constraint *constraint,
						   const char *column);
static void take_index(WorldRelation *table, const WorldConstraint *added,
					   const Constraint *constraint, World *world);
static void add_key(World *world, WorldRelation *table, const WorldConstraint *constraint);
static char *constraint_name(const WorldRelation *table, const Constraint *constraint,
							 List *columns);
static void drop_constraint(World *world, WorldRelation *table, const char *name);
static void drop_column(World *world, WorldRelation *table, const char *name);

/*
 * Write into the world what a statement does.
 */
void
mig_effect_statement(World *world, const Node *stmt)
{
	MemoryContext old = MemoryContextSwitchTo(world->context);

	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
			create_table(world, (const CreateStmt *) stmt);
			break;
		case T_CreateForeignTableStmt:
			create_table(world, &((const CreateForeignTableStmt *) stmt)->base);
			break;
		case T_CreateTableAsStmt:
			create_from_query(world, ((const CreateTableAsStmt *) stmt)->into,
							  ((const CreateTableAsStmt *) stmt)->if_not_exists,
							  MigCreateTableAsKind((const CreateTableAsStmt *) stmt) ==
							  OBJECT_MATVIEW ? RELKIND_MATVIEW : RELKIND_RELATION);
			break;
		case T_SelectStmt:
			if (((const SelectStmt *) stmt)->intoClause != NULL)
				create_from_query(world, ((const SelectStmt *) stmt)->intoClause, false,
								  RELKIND_RELATION);
			break;
		case T_ViewStmt:
			create_view(world, (const ViewStmt *) stmt);
			break;
		case T_IndexStmt:
			create_index(world, (const IndexStmt *) stmt);
			break;
		case T_CreateSchemaStmt:
			create_schema(world, (const CreateSchemaStmt *) stmt);
			break;
		case T_CreateSeqStmt:
			create_sequence(world, (const CreateSeqStmt *) stmt);
			break;
		case T_RenameStmt:
			rename_object(world, (const RenameStmt *) stmt);
			break;
		case T_AlterObjectSchemaStmt:
			move_relation(world, (const AlterObjectSchemaStmt *) stmt);
			break;
		case T_DropStmt:
			drop_objects(world, (const DropStmt *) stmt);
			break;
		case T_TruncateStmt:
			truncate_tables(world, (const TruncateStmt *) stmt);
			break;
		default:
			create_type_or_function(world, stmt);
			break;
	}
	MemoryContextSwitchTo(old);
}

/*
 * Write into the world what a statement does that makes a type or a function.
 */
static void
create_type_or_function(World *world, const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateEnumStmt:
			create_object(world, 't', ((const CreateEnumStmt *) stmt)->typeName, false);
			break;
		case T_CreateDomainStmt:
			create_object(world, 't', ((const CreateDomainStmt *) stmt)->domainname,
						  false)->is_domain = true;
			break;
		case T_CreateRangeStmt:
			create_object(world, 't', ((const CreateRangeStmt *) stmt)->typeName, false);
			break;
		case T_CreateFunctionStmt:
			create_object(world, 'f', ((const CreateFunctionStmt *) stmt)->funcname,
						  is_volatile_function((const CreateFunctionStmt *) stmt));
			break;
		default:
			break;
	}
}

/* -------------------------------------------------------------- creation ---- */

/*
 * Add a table with its columns and constraints.
 */
static void
create_table(World *world, const CreateStmt *stmt)
{
	WorldRelation *table = mig_world_find(world, stmt->relation);
	ListCell   *lc;

	if (table != NULL && stmt->if_not_exists)
		return;
	table = mig_world_add(world, stmt->relation, stmt->partspec != NULL ?
						  RELKIND_PARTITIONED_TABLE : RELKIND_RELATION);
	table->unknown = stmt->ofTypename != NULL;
	inherit_columns(table, stmt, world);
	foreach(lc, stmt->tableElts)
	{
		Node	   *element = lfirst(lc);

		if (IsA(element, ColumnDef))
			add_column(world, table, (ColumnDef *) element);
		else if (IsA(element, Constraint))
			add_constraint(world, table, (Constraint *) element, NULL);
		else if (IsA(element, TableLikeClause))
			table->unknown = true;
	}
	foreach(lc, stmt->constraints)
		add_constraint(world, table, lfirst(lc), NULL);
}

/*
 * Add the columns of a table's parents; remember whose partition it is.
 */
static void
inherit_columns(WorldRelation *table, const CreateStmt *stmt, World *world)
{
	ListCell   *lc;

	foreach(lc, stmt->inhRelations)
	{
		WorldRelation *parent = mig_world_find(world, lfirst(lc));
		ListCell   *column;

		if (parent == NULL || parent->unknown)
		{
			table->unknown = true;
			continue;
		}
		foreach(column, parent->columns)
		{
			WorldColumn *copy = palloc(sizeof(WorldColumn));

			*copy = *(WorldColumn *) lfirst(column);
			table->columns = lappend(table->columns, copy);
		}
		if (stmt->partbound != NULL)
			table->parent = parent;
	}
}

/*
 * Add a table or materialized view that is made from a query.
 */
static void
create_from_query(World *world, const IntoClause *into, bool if_not_exists, char kind)
{
	WorldRelation *table;

	if (if_not_exists && mig_world_find(world, into->rel) != NULL)
		return;
	table = mig_world_add(world, into->rel, kind);
	table->unknown = true;
	table->populated = !into->skipData;
}

/*
 * Add a view, unless it is there and replaced.
 */
static void
create_view(World *world, const ViewStmt *stmt)
{
	if (!stmt->replace || mig_world_find(world, stmt->view) == NULL)
		mig_world_add(world, stmt->view, RELKIND_VIEW)->unknown = true;
}

/*
 * Add an index; one without a name gets the name that it would get where that is
 * not taken.
 */
static void
create_index(World *world, const IndexStmt *stmt)
{
	WorldRelation *table = mig_world_find(world, stmt->relation);
	RangeVar	name = {.type = T_RangeVar, .relpersistence = RELPERSISTENCE_PERMANENT};
	WorldRelation *index;
	List	   *columns = NIL;
	ListCell   *lc;

	if (table == NULL)
		return;
	foreach(lc, stmt->indexParams)
	{
		const char *column = ((IndexElem *) lfirst(lc))->name;

		columns = lappend(columns, column == NULL ? NULL : pstrdup(column));
	}
	name.schemaname = table->schema;
	name.relname = stmt->idxname != NULL ? stmt->idxname :
		makeObjectName(table->name, linitial(columns) != NULL ? linitial(columns) : "expr",
					   "idx");
	if (stmt->if_not_exists && mig_world_find(world, &name) != NULL)
		return;
	index = mig_world_add(world, &name, table->kind == RELKIND_PARTITIONED_TABLE ?
						  RELKIND_PARTITIONED_INDEX : RELKIND_INDEX);
	index->table = table;
	index->columns = columns;
	index->unique = stmt->unique;
	index->partial = stmt->whereClause != NULL;
	table->indexes = lappend(table->indexes, index);
}

/*
 * Add a schema and what is made with it.
 */
static void
create_schema(World *world, const CreateSchemaStmt *stmt)
{
	const char *schema = stmt->schemaname != NULL ? stmt->schemaname :
		stmt->authrole != NULL ? stmt->authrole->rolename : NULL;
	ListCell   *lc;

	if (schema == NULL)
		return;
	world->schemas = lappend(world->schemas, pstrdup(schema));
	foreach(lc, stmt->schemaElts)
	{
		Node	   *element = copyObject(lfirst(lc));
		RangeVar   *name = IsA(element, CreateStmt) ? ((CreateStmt *) element)->relation :
			IsA(element, ViewStmt) ? ((ViewStmt *) element)->view :
			IsA(element, IndexStmt) ? ((IndexStmt *) element)->relation : NULL;

		if (name != NULL && name->schemaname == NULL)
			name->schemaname = pstrdup(schema);
		mig_effect_statement(world, element);
	}
}

/*
 * Add a sequence.
 */
static void
create_sequence(World *world, const CreateSeqStmt *stmt)
{
	if (!stmt->if_not_exists || mig_world_find(world, stmt->sequence) == NULL)
		(void) mig_world_add(world, stmt->sequence, RELKIND_SEQUENCE);
}

/*
 * Add a type or a function.
 */
static WorldObject *
create_object(World *world, char kind, List *names, bool is_volatile)
{
	WorldObject *object = palloc0(sizeof(WorldObject));

	object->kind = kind;
	object->name = pstrdup(strVal(llast(names)));
	object->is_volatile = is_volatile;
	object->transaction = world->transaction;
	world->objects = lappend(world->objects, object);
	return object;
}

/*
 * Return whether a function is volatile: it is unless it says otherwise.
 */
static bool
is_volatile_function(const CreateFunctionStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		const DefElem *option = lfirst(lc);

		if (strcmp(option->defname, "volatility") == 0)
			return strcmp(strVal(option->arg), "volatile") == 0;
	}
	return true;
}

/* ------------------------------------------------- renaming and dropping ---- */

/*
 * Give a relation, or a part of one, another name.
 */
static void
rename_object(World *world, const RenameStmt *stmt)
{
	WorldRelation *relation = mig_world_find(world, stmt->relation);

	if (relation == NULL)
		return;
	if (stmt->renameType == OBJECT_COLUMN || stmt->renameType == OBJECT_TABCONSTRAINT)
		rename_part(relation, stmt);
	else if (stmt->renameType == OBJECT_TABLE || stmt->renameType == OBJECT_INDEX ||
			 stmt->renameType == OBJECT_VIEW || stmt->renameType == OBJECT_MATVIEW ||
			 stmt->renameType == OBJECT_SEQUENCE || stmt->renameType == OBJECT_FOREIGN_TABLE)
		mig_world_rename(world, relation, NULL, stmt->newname);
}

/*
 * Give a column or a constraint another name, also where constraints and indexes
 * name it.
 */
static void
rename_part(WorldRelation *table, const RenameStmt *stmt)
{
	WorldColumn *column = mig_world_column(table, stmt->subname);
	WorldConstraint *constraint = mig_world_constraint(table, stmt->subname);
	List	   *lists = NIL;
	ListCell   *lc;

	if (stmt->renameType == OBJECT_TABCONSTRAINT)
	{
		if (constraint != NULL)
			constraint->name = pstrdup(stmt->newname);
		return;
	}
	if (column != NULL)
		column->name = pstrdup(stmt->newname);
	foreach(lc, table->constraints)
		lists = lappend(lists, ((WorldConstraint *) lfirst(lc))->columns);
	foreach(lc, table->indexes)
		lists = lappend(lists, ((WorldRelation *) lfirst(lc))->columns);
	foreach(lc, lists)
	{
		ListCell   *name;

		foreach(name, (List *) lfirst(lc))
		{
			if (lfirst(name) != NULL && strcmp(lfirst(name), stmt->subname) == 0)
				lfirst(name) = pstrdup(stmt->newname);
		}
	}
}

/*
 * Move a relation to another schema.
 */
static void
move_relation(World *world, const AlterObjectSchemaStmt *stmt)
{
	WorldRelation *relation = mig_world_find(world, stmt->relation);

	if (relation != NULL)
		mig_world_rename(world, relation, stmt->newschema, NULL);
}

/*
 * Note what is dropped; a schema with all that the world has of it.
 */
static void
drop_objects(World *world, const DropStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		WorldRelation *relation;
		ListCell   *each;

		if (stmt->removeType == OBJECT_SCHEMA)
		{
			foreach(each, world->relations)
			{
				relation = lfirst(each);
				if (!relation->dropped && strcmp(relation->schema, strVal(lfirst(lc))) == 0)
					mig_world_drop(world, relation);
			}
			continue;
		}
		if (stmt->removeType == OBJECT_TRIGGER || stmt->removeType == OBJECT_POLICY ||
			stmt->removeType == OBJECT_FUNCTION)
		{
			drop_part(world, lfirst(lc));
			continue;
		}
		if (stmt->removeType != OBJECT_TABLE && stmt->removeType != OBJECT_INDEX &&
			stmt->removeType != OBJECT_VIEW && stmt->removeType != OBJECT_MATVIEW &&
			stmt->removeType != OBJECT_SEQUENCE && stmt->removeType != OBJECT_FOREIGN_TABLE)
			return;
		relation = mig_world_find_names(world, lfirst(lc));
		if (relation != NULL)
			mig_world_drop(world, relation);
	}
}

/*
 * Note the name of a trigger, a policy or a function that is dropped.
 */
static void
drop_part(World *world, const Node *object)
{
	const List *names = IsA(object, ObjectWithArgs) ?
		((const ObjectWithArgs *) object)->objname : (const List *) object;

	world->dropped = lappend(world->dropped, pstrdup(strVal(llast(names))));
}

/*
 * Note which tables have no rows any more.
 */
static void
truncate_tables(World *world, const TruncateStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->relations)
	{
		WorldRelation *table = mig_world_find(world, lfirst(lc));

		if (table != NULL)
		{
			table->has_rows = false;
			table->rows = 0;
		}
	}
}

/* ------------------------------------------------------------ alteration ---- */

/*
 * Write into the world what a command of ALTER TABLE does.
 */
void
mig_effect_command(World *world, WorldRelation *table, const AlterTableCmd *cmd)
{
	MemoryContext old = MemoryContextSwitchTo(world->context);
	WorldConstraint *constraint;
	WorldRelation *partition;

	switch (cmd->subtype)
	{
		case AT_AddColumn:
			if (mig_world_column(table, ((ColumnDef *) cmd->def)->colname) == NULL)
				add_column(world, table, (ColumnDef *) cmd->def);
			break;
		case AT_DropColumn:
			drop_column(world, table, cmd->name);
			break;
		case AT_AlterColumnType:
			alter_type(table, cmd);
			break;
		case AT_SetNotNull:
			set_not_null(table, cmd->name, true);
			break;
		case AT_DropNotNull:
			set_not_null(table, cmd->name, false);
			break;
		case AT_AddConstraint:
			add_constraint(world, table, (Constraint *) cmd->def, NULL);
			break;
		case AT_DropConstraint:
			drop_constraint(world, table, cmd->name);
			break;
		case AT_ValidateConstraint:
			constraint = mig_world_constraint(table, cmd->name);
			if (constraint != NULL)
				constraint->valid = true;
			break;
		case AT_AttachPartition:
		case AT_DetachPartition:
			partition = mig_world_find(world, ((PartitionCmd *) cmd->def)->name);
			if (partition != NULL && partition->table == NULL)
				partition->parent = cmd->subtype == AT_AttachPartition ? table : NULL;
			break;
		case AT_SetLogged:
			table->persistence = RELPERSISTENCE_PERMANENT;
			break;
		case AT_SetUnLogged:
			table->persistence = RELPERSISTENCE_UNLOGGED;
			break;
		default:
			break;
	}
	MemoryContextSwitchTo(old);
}

/*
 * Add a column with its constraints.
 */
static void
add_column(World *world, WorldRelation *table, const ColumnDef *definition)
{
	WorldColumn *column = palloc0(sizeof(WorldColumn));
	ListCell   *lc;

	column->name = pstrdup(definition->colname);
	column->type_name = definition->typeName;
	column->typmod = -1;
	table->columns = lappend(table->columns, column);
	foreach(lc, definition->constraints)
	{
		const Constraint *constraint = lfirst(lc);

		if (constraint->contype == CONSTR_NOTNULL || constraint->contype == CONSTR_IDENTITY)
			column->not_null = true;
		else if (constraint->contype == CONSTR_GENERATED)
			column->generated = true;
		else
			add_constraint(world, table, constraint, definition->colname);
	}
}

/*
 * Note the type that a column gets.
 */
static void
alter_type(WorldRelation *table, const AlterTableCmd *cmd)
{
	WorldColumn *column = mig_world_column(table, cmd->name);
	const ColumnDef *definition = (ColumnDef *) cmd->def;

	if (column == NULL)
		return;
	column->type = mig_expression_type(definition->typeName, &column->typmod);
	column->type_name = definition->typeName;
	if (definition->collClause != NULL)
		column->collation = get_collation_oid(definition->collClause->collname, true);
	else if (OidIsValid(column->type))
		column->collation = get_typcollation(column->type);
}

/*
 * Note whether a column can be null.
 */
static void
set_not_null(WorldRelation *table, const char *name, bool not_null)
{
	WorldColumn *column = mig_world_column(table, name);

	if (column != NULL)
		column->not_null = not_null;
}

/*
 * Add a constraint of a table; column is that of which it is written, or NULL.
 */
static void
add_constraint(World *world, WorldRelation *table, const Constraint *constraint,
			   const char *column)
{
	static const char types[] = {
		[CONSTR_CHECK] = CONSTRAINT_CHECK,
		[CONSTR_PRIMARY] = CONSTRAINT_PRIMARY,
		[CONSTR_UNIQUE] = CONSTRAINT_UNIQUE,
		[CONSTR_EXCLUSION] = CONSTRAINT_EXCLUSION,
		[CONSTR_FOREIGN] = CONSTRAINT_FOREIGN,
		[CONSTR_NOTNULL] = 'n'
	};
	WorldConstraint *added;

	if (constraint->contype >= lengthof(types) || types[constraint->contype] == '\0')
		return;
	added = palloc0(sizeof(WorldConstraint));
	added->type = types[constraint->contype];
	added->made = true;
	added->transaction = world->transaction;
	added->place = world->place;
	added->valid = constraint->initially_valid && !constraint->skip_validation;
	added->raw = constraint->raw_expr;
	added->columns = mig_effect_strings(added->type == CONSTRAINT_FOREIGN ?
										constraint->fk_attrs : constraint->keys);
	if (column != NULL)
		added->columns = list_make1(pstrdup(column));
	if (added->type == CONSTRAINT_FOREIGN)
	{
		added->other = mig_world_find(world, constraint->pktable);
		added->other_columns = mig_effect_strings(constraint->pk_attrs);
	}
	take_index(table, added, constraint, world);
	added->name = constraint->conname != NULL ? pstrdup(constraint->conname) :
		constraint_name(table, constraint, added->columns);
	table->constraints = lappend(table->constraints, added);
	if (added->type == 'n' && added->columns != NIL && added->valid)
		set_not_null(table, linitial(added->columns), true);
	if ((added->type == CONSTRAINT_PRIMARY || added->type == CONSTRAINT_UNIQUE) &&
		constraint->indexname == NULL)
		add_key(world, table, added);
}

/*
 * Note what a key does to its columns and to the index that it takes over.
 */
static void
take_index(WorldRelation *table, const WorldConstraint *added, const Constraint *constraint,
		   World *world)
{
	List	   *columns = added->columns;
	ListCell   *lc;

	if (constraint->indexname != NULL)
	{
		RangeVar	name = {.type = T_RangeVar, .schemaname = table->schema};
		WorldRelation *index;

		name.relname = constraint->indexname;
		index = mig_world_find(world, &name);
		columns = index == NULL ? NIL : index->columns;
		if (index != NULL && constraint->conname != NULL &&
			strcmp(constraint->conname, index->name) != 0)
			mig_world_rename(world, index, NULL, constraint->conname);
	}
	if (added->type != CONSTRAINT_PRIMARY)
		return;
	foreach(lc, columns)
	{
		if (lfirst(lc) != NULL)
			set_not_null(table, lfirst(lc), true);
	}
}

/*
 * Add the index of a key, which has the key's name.
 */
static void
add_key(World *world, WorldRelation *table, const WorldConstraint *constraint)
{
	RangeVar	name = {.type = T_RangeVar, .relpersistence = RELPERSISTENCE_PERMANENT};
	WorldRelation *index;

	name.schemaname = table->schema;
	name.relname = constraint->name;
	index = mig_world_add(world, &name, RELKIND_INDEX);
	index->table = table;
	index->columns = list_copy(constraint->columns);
	index->unique = true;
	table->indexes = lappend(table->indexes, index);
}

/*
 * Return the name that the server gives to a constraint, where that is not taken.
 */
static char *
constraint_name(const WorldRelation *table, const Constraint *constraint, List *columns)
{
	const char *label = constraint->contype == CONSTR_CHECK ? "check" :
		constraint->contype == CONSTR_FOREIGN ? "fkey" :
		constraint->contype == CONSTR_PRIMARY ? "pkey" :
		constraint->contype == CONSTR_EXCLUSION ? "excl" :
		constraint->contype == CONSTR_NOTNULL ? "not_null" : "key";
	char	   *joined = NULL;
	ListCell   *lc;

	if (constraint->indexname != NULL)
		return pstrdup(constraint->indexname);
	if (constraint->contype != CONSTR_PRIMARY)
		foreach(lc, columns)
			joined = joined == NULL ? pstrdup(lfirst(lc)) :
				psprintf("%s_%s", joined, (char *) lfirst(lc));
	return makeObjectName(table->name, joined, label);
}

/*
 * Remove a constraint of a table, with its index.
 */
static void
drop_constraint(World *world, WorldRelation *table, const char *name)
{
	WorldConstraint *constraint = mig_world_constraint(table, name);
	ListCell   *lc;

	if (constraint == NULL)
		return;
	if (constraint->type == 'n' && constraint->columns != NIL)
		set_not_null(table, linitial(constraint->columns), false);
	table->constraints = list_delete_ptr(table->constraints, constraint);
	foreach(lc, table->indexes)
	{
		WorldRelation *index = lfirst(lc);

		if (strcmp(index->name, name) == 0)
		{
			mig_world_drop(world, index);
			return;
		}
	}
}

/*
 * Remove a column, and the constraints and indexes over it.
 */
static void
drop_column(World *world, WorldRelation *table, const char *name)
{
	WorldColumn *column = mig_world_column(table, name);
	ListCell   *lc;

	if (column == NULL)
		return;
	table->columns = list_delete_ptr(table->columns, column);
	foreach(lc, list_copy(table->constraints))
	{
		WorldConstraint *constraint = lfirst(lc);

		if (mig_world_has(constraint->columns, name))
			table->constraints = list_delete_ptr(table->constraints, constraint);
	}
	foreach(lc, list_copy(table->indexes))
	{
		WorldRelation *index = lfirst(lc);
		ListCell   *each;

		foreach(each, index->columns)
		{
			if (lfirst(each) != NULL && strcmp(lfirst(each), name) == 0)
			{
				mig_world_drop(world, index);
				break;
			}
		}
	}
}

/*
 * Return a list of names (String) as one of char *.
 */
List *
mig_effect_strings(List *values)
{
	List	   *strings = NIL;
	ListCell   *lc;

	foreach(lc, values)
		strings = lappend(strings, pstrdup(strVal(lfirst(lc))));
	return strings;
}
