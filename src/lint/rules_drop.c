/*
 * rules_drop.c
 *		Rules about what is dropped and renamed.
 */
#include "migrate.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "lint/dependents.h"
#include "lint/expression.h"
#include "lint/rules.h"

/* Most objects that a finding lists. */
#define LISTED 5

static void drop_column(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void drop_table(Lint *lint, const Node *stmt);
static void drop_schema(Lint *lint, const Node *stmt);
static void truncate_cascade(Lint *lint, const Node *stmt);
static void rename_object(Lint *lint, const Node *stmt);
static bool rename_is_of_plan(Lint *lint, const RenameStmt *stmt);
static const char *last_name(Node *object);
static void cascade(Lint *lint, const Node *stmt);
static void cascade_command(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
static void found_cascade(Lint *lint, List *dependents);
static List *dependents_of(Lint *lint, const DropStmt *drop, Node *object);

const LintRule mig_rules_drop[] = {
	{
		.id = "drop-column", .severity = LINT_ERROR,
		.summary = "the data of the column is lost, and programs that use it fail",
		.advice = "Stop using it first, in a release before; then drop it, with a comment that ignores the rule.",
		.example = "ALTER TABLE users DROP COLUMN title;",
		.counter_example = "ALTER TABLE users ADD COLUMN subtitle text; ALTER TABLE users DROP COLUMN subtitle;",
		.unconfirmed = "what is lost is data, what fails are programs",
		.command = drop_column
	},
	{
		.id = "drop-table", .severity = LINT_ERROR,
		.summary = "the rows of the table are lost, and programs that use it fail",
		.advice = "Stop using it first, in a release before; rename it, and drop it later, with a comment that ignores the rule.",
		.example = "DROP TABLE invoices;",
		.counter_example = "CREATE TABLE drafts (id int); DROP TABLE drafts;",
		.unconfirmed = "what is lost is data, what fails are programs",
		.statement = drop_table
	},
	{
		.id = "drop-schema", .severity = LINT_ERROR,
		.summary = "all that is in the schema is lost with CASCADE, and programs that use it fail",
		.advice = "Drop what is in it by name, and the schema without CASCADE.",
		.example = "DROP SCHEMA archive CASCADE;",
		.counter_example = "CREATE SCHEMA drafts; DROP SCHEMA drafts;",
		.unconfirmed = "what is lost is data, what fails are programs",
		.statement = drop_schema
	},
	{
		.id = "truncate-cascade", .severity = LINT_ERROR,
		.summary = "TRUNCATE ... CASCADE empties all tables that refer to the table, too",
		.advice = "Name the tables, without CASCADE.",
		.example = "TRUNCATE users CASCADE;",
		.counter_example = "TRUNCATE items;",
		.shows = "lock AccessExclusiveLock orders",
		.statement = truncate_cascade
	},
	{
		.id = "rename", .severity = LINT_WARNING,
		.summary = "programs that run, of the release before, fail as soon as a name changes",
		.advice = "Expand and contract: the new name beside the old one, or a view of the old name, until no program uses that.",
		.example = "ALTER TABLE users RENAME COLUMN title TO heading;",
		.counter_example = "ALTER TABLE users RENAME CONSTRAINT users_age_check TO users_age;",
		.unconfirmed = "what fails are programs",
		.statement = rename_object
	},
	{
		.id = "create-or-drop-cascade", .severity = LINT_WARNING,
		.summary = "CASCADE drops, or creates, what is not written there",
		.advice = "Name what is dropped, each in a statement of its own, without CASCADE.",
		.example = "ALTER TABLE users DROP COLUMN rank CASCADE;",
		.counter_example = "DROP VIEW ranks; ALTER TABLE users DROP COLUMN rank;",
		.unconfirmed = "what is dropped is in a NOTICE of the server",
		.statement = cascade, .command = cascade_command
	},
	{.id = NULL}
};

/*
 * Find DROP COLUMN of a column that the plan did not make.
 */
static void
drop_column(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	const WorldColumn *column;

	if (cmd->subtype != AT_DropColumn || !mig_rules_is_old(table) ||
		table->kind == RELKIND_COMPOSITE_TYPE)
		return;
	column = mig_world_column(table, cmd->name);
	if (column != NULL && column->number > 0)
		mig_rules_found(lint, NULL, "column \"%s\" of table %s is dropped with its data",
						cmd->name, mig_world_identity(table));
}

/*
 * Find DROP of tables that have rows.
 */
static void
drop_table(Lint *lint, const Node *stmt)
{
	const DropStmt *drop = (const DropStmt *) stmt;
	ListCell   *lc;

	if (!IsA(stmt, DropStmt) || drop->removeType != OBJECT_TABLE)
		return;
	foreach(lc, drop->objects)
	{
		WorldRelation *table = mig_world_find_names(lint->world, lfirst(lc));

		if (mig_rules_is_old(table))
			mig_rules_found(lint, NULL, "table %s is dropped with its rows",
							mig_world_identity(table));
	}
}

/*
 * Find DROP SCHEMA.
 */
static void
drop_schema(Lint *lint, const Node *stmt)
{
	const DropStmt *drop = (const DropStmt *) stmt;
	ListCell   *lc;

	if (!IsA(stmt, DropStmt) || drop->removeType != OBJECT_SCHEMA)
		return;
	foreach(lc, drop->objects)
	{
		const char *name = strVal(lfirst(lc));

		if (OidIsValid(get_namespace_oid(name, true)) &&
			!mig_world_has(lint->world->schemas, name))
			mig_rules_found(lint, NULL, "schema \"%s\" is dropped%s", name,
							drop->behavior == DROP_CASCADE ? " with all that is in it" : "");
	}
}

/*
 * Find TRUNCATE ... CASCADE.
 */
static void
truncate_cascade(Lint *lint, const Node *stmt)
{
	const TruncateStmt *truncate = (const TruncateStmt *) stmt;
	ListCell   *lc;

	if (!IsA(stmt, TruncateStmt) || truncate->behavior != DROP_CASCADE)
		return;
	foreach(lc, truncate->relations)
	{
		WorldRelation *table = mig_rules_table(lint, lfirst(lc));

		if (table != NULL)
			mig_rules_found(lint, NULL, "tables that refer to table %s are emptied, too",
							mig_world_identity(table));
	}
}

/* ---------------------------------------------------------------- rename ---- */

/*
 * Find names that programs use, and that change: relations, columns, schemas, values
 * of enum types, functions, types.
 */
static void
rename_object(Lint *lint, const Node *stmt)
{
	const RenameStmt *rename = (const RenameStmt *) stmt;

	if (IsA(stmt, AlterObjectSchemaStmt))
	{
		WorldRelation *moved =
			mig_world_find(lint->world, ((const AlterObjectSchemaStmt *) stmt)->relation);

		if (mig_rules_is_old(moved))
			mig_rules_found(lint, NULL, "%s moves to schema \"%s\"", mig_world_identity(moved),
							((const AlterObjectSchemaStmt *) stmt)->newschema);
		return;
	}
	if (IsA(stmt, AlterEnumStmt) && ((const AlterEnumStmt *) stmt)->oldVal != NULL)
	{
		const AlterEnumStmt *alter = (const AlterEnumStmt *) stmt;

		if (mig_world_object(lint->world, 't', strVal(llast(alter->typeName))) == NULL)
			mig_rules_found(lint, NULL, "value \"%s\" is renamed to \"%s\"", alter->oldVal,
							alter->newVal);
		return;
	}
	if (!IsA(stmt, RenameStmt) || rename_is_of_plan(lint, rename))
		return;
	mig_rules_found(lint, NULL, "\"%s\" is renamed to \"%s\"",
					rename->subname != NULL ? rename->subname :
					rename->relation != NULL ? rename->relation->relname :
					last_name(rename->object), rename->newname);
}

/*
 * Return whether what a statement renames is the plan's own, or nothing that programs
 * name, or not there.
 */
static bool
rename_is_of_plan(Lint *lint, const RenameStmt *stmt)
{
	WorldRelation *relation;
	const WorldColumn *column;

	switch (stmt->renameType)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_FOREIGN_TABLE:
		case OBJECT_SEQUENCE:
			relation = mig_world_find(lint->world, stmt->relation);
			return !mig_rules_is_old(relation) || relation->table != NULL;
		case OBJECT_COLUMN:
			relation = mig_world_find(lint->world, stmt->relation);
			if (!mig_rules_is_old(relation) || relation->table != NULL)
				return true;
			column = mig_world_column(relation, stmt->subname);
			return column == NULL || column->number == 0;
		case OBJECT_SCHEMA:
			return stmt->subname == NULL || mig_world_has(lint->world->schemas, stmt->subname) ||
				!OidIsValid(get_namespace_oid(stmt->subname, true));
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
			return mig_world_object(lint->world, 'f', last_name(stmt->object)) != NULL;
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			return mig_world_object(lint->world, 't', last_name(stmt->object)) != NULL;
		default:
			return true;
	}
}

/*
 * Return the name, without its schema, of an object of a statement.
 */
static const char *
last_name(Node *object)
{
	if (object == NULL)
		return "";
	if (IsA(object, ObjectWithArgs))
		return strVal(llast(((const ObjectWithArgs *) object)->objname));
	if (IsA(object, List))
		return strVal(llast((const List *) object));
	if (IsA(object, TypeName))
		return strVal(llast(((const TypeName *) object)->names));
	return IsA(object, String) ? strVal(object) : "";
}

/* --------------------------------------------------------------- cascade ---- */

/*
 * Find CASCADE of DROP and of CREATE EXTENSION, and DROP OWNED.
 */
static void
cascade(Lint *lint, const Node *stmt)
{
	const DropStmt *drop = (const DropStmt *) stmt;
	List	   *dependents = NIL;
	ListCell   *lc;

	if (IsA(stmt, CreateExtensionStmt))
	{
		foreach(lc, ((const CreateExtensionStmt *) stmt)->options)
		{
			if (strcmp(((DefElem *) lfirst(lc))->defname, "cascade") == 0 &&
				!OidIsValid(get_extension_oid(((const CreateExtensionStmt *) stmt)->extname, true)))
				mig_rules_found(lint, NULL, "CASCADE creates the extensions that \"%s\" requires",
								((const CreateExtensionStmt *) stmt)->extname);
		}
		return;
	}
	if (IsA(stmt, DropOwnedStmt))
		mig_rules_found(lint, NULL, "DROP OWNED drops all that belongs to the role, and revokes its privileges");
	if (!IsA(stmt, DropStmt) || drop->behavior != DROP_CASCADE)
		return;
	foreach(lc, drop->objects)
		dependents = list_concat(dependents, dependents_of(lint, drop, lfirst(lc)));
	found_cascade(lint, dependents);
}

/*
 * Find CASCADE of DROP COLUMN and DROP CONSTRAINT.
 */
static void
cascade_command(Lint *lint, WorldRelation *table, const AlterTableCmd *cmd)
{
	const WorldColumn *column;
	const WorldConstraint *constraint;
	Oid			oid;

	if (cmd->behavior != DROP_CASCADE || table->made)
		return;
	if (cmd->subtype == AT_DropColumn)
	{
		column = mig_world_column(table, cmd->name);
		if (column != NULL && column->number > 0)
			found_cascade(lint, mig_dependents_dropped(lint->world, RelationRelationId,
													   table->oid, column->number));
	}
	else if (cmd->subtype == AT_DropConstraint)
	{
		constraint = mig_world_constraint(table, cmd->name);
		oid = constraint == NULL || constraint->made ? InvalidOid :
			get_relation_constraint_oid(table->oid, cmd->name, true);
		if (OidIsValid(oid))
			found_cascade(lint, mig_dependents_dropped(lint->world, ConstraintRelationId, oid, 0));
	}
}

/*
 * Report what CASCADE drops besides; nothing is no finding.
 */
static void
found_cascade(Lint *lint, List *dependents)
{
	StringInfoData list;
	int			n = list_length(dependents);

	if (n == 0)
		return;
	initStringInfo(&list);
	for (int i = 0; i < Min(n, LISTED); i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", (char *) list_nth(dependents, i));
	if (n > LISTED)
		appendStringInfo(&list, " and %d more", n - LISTED);
	mig_rules_found(lint, NULL, "CASCADE drops %s", list.data);
}

/*
 * Return what is dropped with an object that is of the catalogs.
 */
static List *
dependents_of(Lint *lint, const DropStmt *drop, Node *object)
{
	WorldRelation *relation;
	TypeName   *type;
	int32		typmod;
	Oid			oid;

	switch (drop->removeType)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_SEQUENCE:
		case OBJECT_FOREIGN_TABLE:
			relation = mig_world_find_names(lint->world, (List *) object);
			return relation == NULL || relation->made ? NIL :
				mig_dependents_dropped(lint->world, RelationRelationId, relation->oid, 0);
		case OBJECT_SCHEMA:
			oid = get_namespace_oid(strVal(object), true);
			return !OidIsValid(oid) ? NIL :
				mig_dependents_dropped(lint->world, NamespaceRelationId, oid, 0);
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			type = (TypeName *) object;
			oid = mig_expression_type(type, &typmod);
			return !OidIsValid(oid) ? NIL :
				mig_dependents_dropped(lint->world, TypeRelationId, oid, 0);
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
		case OBJECT_AGGREGATE:
			oid = mig_world_object(lint->world, 'f', last_name(object)) != NULL ? InvalidOid :
				mig_expression_function(drop->removeType, (const ObjectWithArgs *) object);
			return !OidIsValid(oid) ? NIL :
				mig_dependents_dropped(lint->world, ProcedureRelationId, oid, 0);
		case OBJECT_EXTENSION:
			oid = get_extension_oid(strVal(object), true);
			return !OidIsValid(oid) ? NIL :
				mig_dependents_dropped(lint->world, ExtensionRelationId, oid, 0);
		default:
			mig_rules_found(lint, NULL, "CASCADE drops what is not written here");
			return NIL;
	}
}
