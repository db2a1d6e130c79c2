/*
 * rename.c
 *		Renames: told by models, or seen in definitions.
 *
 * Columns, tables, types and the like are renamed only where a model or the caller says so:
 * what looks like a rename can as well be one thing dropped and another one added.  An index,
 * a constraint, a trigger or a sequence with the same definition under another name is
 * the same thing.
 */
#include "migrate.h"

#include "kind/kinds.h"
#include "kind/writer.h"
#include "schema/compare.h"
#include "schema/rename.h"
#include "script/text.h"
#include "script/tokens.h"
#include "store/project.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

/* What stands before the old name in a model. */
#define MARK "migrate:renamed_from"

/* A rename that a model tells. */
typedef struct Told
{
	const char *old_name;
	int			line_begin;		/* offsets in the model, of the line it is in */
	int			mark;			/* and of the mark */
} Told;

/* What has a name in a line of a model. */
typedef struct Named
{
	const char *schema;			/* NULL: not said */
	const char *parent;			/* of a column or a constraint; NULL: none */
	const char *name;
	bool		is_constraint;
} Named;

static List *find_told(const char *ddl);
static const char *old_name_in(const char *comment, int len);
static bool find_named(const char *ddl, const Told *told, Named *named);
static bool is_in_line(int location, const Told *told);
static void find_in_table(const CreateStmt *stmt, const Told *told, Named *named);
static void find_in_statement(const RawStmt *raw, Named *named);
static void set_relation(Named *named, const RangeVar *relation);
static void set_names(Named *named, List *names);
static SchemaObject *find_object(const Schema *schema, const Named *named);
static const char *statement(const SchemaObject *object, const char *name);
static Rename *make_move(const SchemaObject *object, const SchemaObject *to);
static bool has_identity(const SchemaObject *object);
static bool is_renamed_alone(const SchemaObject *object);
static bool is_same_but_name(const SchemaObject *from, const SchemaObject *to);
static const char *without_name(const char *text, const char *name);

/*
 * Return the renames (Rename *) that models (Model *) tell and that can be done now: of
 * what a schema has under its old name and not under the new one.
 */
List *
mig_rename_read_models(const Schema *from, const Schema *declared, List *models)
{
	List	   *renames = NIL;
	ListCell   *lc;

	foreach(lc, models)
	{
		const Model *model = lfirst(lc);
		ListCell   *cell;

		foreach(cell, find_told(model->ddl))
		{
			const Told *told = lfirst(cell);
			Named		named = {0};
			const SchemaObject *object;
			const SchemaObject *before;

			if (!find_named(model->ddl, told, &named))
				continue;
			object = find_object(declared, &named);
			if (object == NULL || mig_objects_find(from, object) != NULL)
				continue;
			before = mig_objects_renamed(object, told->old_name);
			if (mig_objects_find(from, before) != NULL)
				renames = lappend(renames, mig_rename_make(before, object->name));
		}
	}
	return renames;
}

/*
 * Return the lines of a model that tell a rename (Told *).  Errors: the lexer's.
 */
static List *
find_told(const char *ddl)
{
	List	   *all = NIL;
	ScriptTokens tokens;
	bool		more = strstr(ddl, MARK) != NULL;

	if (!more)
		return NIL;
	mig_tokens_begin(&tokens, ddl);
	while (more)
	{
		const char *at;
		const char *end;

		more = mig_tokens_next(&tokens);
		end = ddl + (more ? tokens.start : tokens.len);
		for (at = ddl + tokens.gap; at < end && (at = strstr(at, MARK)) != NULL && at < end; at++)
		{
			Told	   *told = palloc(sizeof(Told));

			told->mark = at - ddl;
			told->line_begin = at - ddl;
			while (told->line_begin > 0 && !mig_text_is_line_end(ddl[told->line_begin - 1]))
				told->line_begin--;
			told->old_name = old_name_in(at + strlen(MARK),
										 mig_text_line_end(ddl, at - ddl) - told->mark -
										 strlen(MARK));
			all = lappend(all, told);
		}
	}
	mig_tokens_end(&tokens);
	return all;
}

/*
 * Return the name that a comment has after the mark, quoted or not.
 */
static const char *
old_name_in(const char *comment, int len)
{
	const char *text = mig_text_trim(comment, len);
	List	   *names = textToQualifiedNameList(cstring_to_text(text));

	return strVal(llast(names));
}

/*
 * Find what has a name in the line of a rename, the last before the mark: a column or a
 * constraint, or what the statement makes.  Return false when there is nothing.
 */
static bool
find_named(const char *ddl, const Told *told, Named *named)
{
	ListCell   *lc;

	foreach(lc, pg_parse_query(ddl))
	{
		const RawStmt *raw = lfirst_node(RawStmt, lc);
		int			end = raw->stmt_len > 0 ? raw->stmt_location + raw->stmt_len :
			(int) strlen(ddl);

		if (mig_text_skip_gap(ddl, raw->stmt_location) > told->mark || end < told->line_begin)
			continue;
		memset(named, 0, sizeof(*named));
		if (IsA(raw->stmt, CreateStmt))
			find_in_table((const CreateStmt *) raw->stmt, told, named);
		if (named->name == NULL)
			find_in_statement(raw, named);
	}
	return named->name != NULL;
}

/*
 * Return whether a location is in the line of a rename, before the mark.
 */
static bool
is_in_line(int location, const Told *told)
{
	return location >= told->line_begin && location < told->mark;
}

/*
 * Find the column or the constraint that CREATE TABLE has in the line of a rename.
 */
static void
find_in_table(const CreateStmt *stmt, const Told *told, Named *named)
{
	ListCell   *lc;

	foreach(lc, stmt->tableElts)
	{
		const Node *element = lfirst(lc);

		if (IsA(element, ColumnDef) && is_in_line(((const ColumnDef *) element)->location, told))
		{
			named->name = ((const ColumnDef *) element)->colname;
			named->is_constraint = false;
		}
		else if (IsA(element, Constraint) &&
				 is_in_line(((const Constraint *) element)->location, told))
		{
			named->name = ((const Constraint *) element)->conname;
			named->is_constraint = true;
		}
		else
			continue;
		named->schema = stmt->relation->schemaname;
		named->parent = stmt->relation->relname;
	}
}

/*
 * Find what a statement makes.
 */
static void
find_in_statement(const RawStmt *raw, Named *named)
{
	switch (nodeTag(raw->stmt))
	{
		case T_CreateStmt:
			set_relation(named, ((const CreateStmt *) raw->stmt)->relation);
			break;
		case T_ViewStmt:
			set_relation(named, ((const ViewStmt *) raw->stmt)->view);
			break;
		case T_CreateTableAsStmt:
			set_relation(named, ((const CreateTableAsStmt *) raw->stmt)->into->rel);
			break;
		case T_CreateSeqStmt:
			set_relation(named, ((const CreateSeqStmt *) raw->stmt)->sequence);
			break;
		case T_CompositeTypeStmt:
			set_relation(named, ((const CompositeTypeStmt *) raw->stmt)->typevar);
			break;
		case T_IndexStmt:
			named->schema = ((const IndexStmt *) raw->stmt)->relation->schemaname;
			named->parent = ((const IndexStmt *) raw->stmt)->relation->relname;
			named->name = ((const IndexStmt *) raw->stmt)->idxname;
			break;
		case T_CreateTrigStmt:
			named->schema = ((const CreateTrigStmt *) raw->stmt)->relation->schemaname;
			named->parent = ((const CreateTrigStmt *) raw->stmt)->relation->relname;
			named->name = ((const CreateTrigStmt *) raw->stmt)->trigname;
			break;
		case T_CreateEnumStmt:
			set_names(named, ((const CreateEnumStmt *) raw->stmt)->typeName);
			break;
		case T_CreateRangeStmt:
			set_names(named, ((const CreateRangeStmt *) raw->stmt)->typeName);
			break;
		case T_CreateDomainStmt:
			set_names(named, ((const CreateDomainStmt *) raw->stmt)->domainname);
			break;
		case T_CreateFunctionStmt:
			set_names(named, ((const CreateFunctionStmt *) raw->stmt)->funcname);
			break;
		default:
			break;
	}
}

/*
 * Set the name of a relation.
 */
static void
set_relation(Named *named, const RangeVar *relation)
{
	named->schema = relation->schemaname;
	named->name = relation->relname;
}

/*
 * Set a name that may have a schema before it (String *).
 */
static void
set_names(Named *named, List *names)
{
	named->name = strVal(llast(names));
	if (list_length(names) > 1)
		named->schema = strVal(list_nth(names, list_length(names) - 2));
}

/*
 * Return the object of a schema that a model names, or NULL.
 */
static SchemaObject *
find_object(const Schema *schema, const Named *named)
{
	ListCell   *lc;

	foreach(lc, schema->objects)
	{
		SchemaObject *object = lfirst(lc);

		if (object->schema == NULL || strcmp(object->name, named->name) != 0 ||
			(named->schema != NULL && strcmp(object->schema, named->schema) != 0) ||
			(object->parent == NULL) != (named->parent == NULL) ||
			(named->parent != NULL && strcmp(object->parent, named->parent) != 0) ||
			(object->kind == &mig_kinds_constraint) != named->is_constraint)
			continue;
		return object;
	}
	return NULL;
}

/*
 * Return the rename of an object.
 */
Rename *
mig_rename_make(const SchemaObject *object, const char *name)
{
	Rename	   *rename = palloc(sizeof(Rename));

	rename->object = object;
	rename->name = name;
	rename->there = statement(object, name);
	rename->back = statement(mig_objects_renamed(object, name), object->name);
	return rename;
}

/*
 * Return the statement that renames an object.
 */
static const char *
statement(const SchemaObject *object, const char *name)
{
	const char *old = quote_identifier(object->name);
	const char *new = quote_identifier(name);

	if (object->kind == &mig_kinds_column)
		return psprintf("ALTER %s %s RENAME %s %s TO %s",
						object->owner->kind == &mig_kinds_composite_type ? "TYPE" : "TABLE",
						mig_objects_parent(object),
						object->owner->kind == &mig_kinds_composite_type ? "ATTRIBUTE" : "COLUMN",
						old, new);
	if (object->kind == &mig_kinds_constraint)
		return psprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s", mig_objects_parent(object),
						old, new);
	if (object->kind == &mig_kinds_domain_constraint)
		return psprintf("ALTER DOMAIN %s RENAME CONSTRAINT %s TO %s",
						mig_objects_parent(object), old, new);
	return psprintf("ALTER %s RENAME TO %s", mig_writer_target(object), new);
}

/*
 * Return the renames (Rename *) of what some differences drop and create under another
 * name with the same definition.
 */
List *
mig_rename_find(List *differences)
{
	List	   *renames = NIL;
	List	   *taken = NIL;
	ListCell   *lc;

	foreach(lc, differences)
	{
		const SchemaObject *to = ((const Difference *) lfirst(lc))->to;
		ListCell   *other;

		if (((const Difference *) lfirst(lc))->from != NULL || !is_renamed_alone(to))
			continue;
		foreach(other, differences)
		{
			const Difference *drop = lfirst(other);

			if (drop->to != NULL || drop->from->kind != to->kind ||
				list_member_ptr(taken, drop->from) || !is_same_but_name(drop->from, to))
				continue;
			taken = lappend(taken, unconstify(SchemaObject *, drop->from));
			renames = lappend(renames, mig_rename_make(drop->from, to->name));
			break;
		}
	}
	return renames;
}

/*
 * Return the renames (Rename *) of what is the same object under another name, or in
 * another schema, in two schemas that were read in one scratch; columns before their
 * tables.
 */
List *
mig_rename_same(const Schema *from, const Schema *to)
{
	List	   *columns = NIL;
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, from->objects)
	{
		SchemaObject *object = lfirst(lc);
		const SchemaObject *same = has_identity(object) ?
			mig_objects_at(to, &object->address) : NULL;
		bool		renamed;
		bool		moved;

		if (same == NULL || same->kind != object->kind)
			continue;
		renamed = strcmp(same->name, object->name) != 0;
		moved = object->parent == NULL && strcmp(same->schema, object->schema) != 0;
		if (renamed == moved ||
			(renamed && mig_objects_find(from, mig_objects_renamed(object, same->name)) != NULL))
			continue;
		if (object->parent != NULL)
			columns = lappend(columns, mig_rename_make(object, same->name));
		else if (renamed)
			others = lappend(others, mig_rename_make(object, same->name));
		else if (object->kind != &mig_kinds_sequence)
			others = lappend(others, make_move(object, same));
	}
	return list_concat(columns, others);
}

/*
 * Return the move of an object to the schema of another.
 */
static Rename *
make_move(const SchemaObject *object, const SchemaObject *to)
{
	Rename	   *rename = palloc(sizeof(Rename));

	rename->object = object;
	rename->name = object->name;
	rename->there = psprintf("ALTER %s SET SCHEMA %s", mig_writer_target(object),
							 quote_identifier(to->schema));
	rename->back = psprintf("ALTER %s SET SCHEMA %s", mig_writer_target(to),
							quote_identifier(object->schema));
	return rename;
}

/*
 * Return whether an object holds data, or what data is made of, so that it is not the
 * same when it is dropped and created.  Columns of partitions and children are renamed with
 * those of the parents.
 */
static bool
has_identity(const SchemaObject *object)
{
	if (object->kind == &mig_kinds_column)
		return object->owner->kind != &mig_kinds_view &&
			(object->owner->kind != &mig_kinds_table ||
			 (mig_objects_property(object->owner, "partition_of") == NULL &&
			  mig_objects_property(object->owner, "inherits") == NULL));
	return object->kind == &mig_kinds_table || object->kind == &mig_kinds_foreign_table ||
		object->kind == &mig_kinds_sequence || object->kind == &mig_kinds_enum ||
		object->kind == &mig_kinds_domain || object->kind == &mig_kinds_composite_type ||
		object->kind == &mig_kinds_range || object->kind == &mig_kinds_materialized_view;
}

/*
 * Return whether an object has nothing in it that could get lost with its name.
 */
static bool
is_renamed_alone(const SchemaObject *object)
{
	return object->kind == &mig_kinds_index || object->kind == &mig_kinds_constraint ||
		object->kind == &mig_kinds_domain_constraint || object->kind == &mig_kinds_trigger ||
		object->kind == &mig_kinds_policy || object->kind == &mig_kinds_statistics;
}

/*
 * Return whether two objects have the same owner and properties, their names apart.
 */
static bool
is_same_but_name(const SchemaObject *from, const SchemaObject *to)
{
	if (strcmp(from->schema, to->schema) != 0 ||
		(from->parent == NULL) != (to->parent == NULL) ||
		(from->parent != NULL && strcmp(from->parent, to->parent) != 0))
		return false;
	for (int i = 0; i < to->nproperties; i++)
	{
		const char *before = from->properties[i].value;
		const char *after = to->properties[i].value;

		if ((before == NULL) != (after == NULL))
			return false;
		if (before != NULL && strcmp(without_name(before, from->name),
									 without_name(after, to->name)) != 0)
			return false;
	}
	return true;
}

/*
 * Return a definition without the first occurrence of the object's own name.
 */
static const char *
without_name(const char *text, const char *name)
{
	const char *quoted = quote_identifier(name);
	const char *at = strstr(text, psprintf("%s ON ", quoted));
	size_t		skipped = strlen(quoted);

	if (at == NULL && (at = strstr(text, psprintf("TRIGGER %s ", quoted))) != NULL)
		at += strlen("TRIGGER ");
	return at != NULL ? psprintf("%.*s%s", (int) (at - text), text, at + skipped) : text;
}
