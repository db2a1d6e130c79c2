/*
 * column.c
 *		Columns of tables, views and composite types.
 *
 * Of a view only those are read of which something can be said besides the
 * view's query.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "compat.h"
#include "kind/column.h"
#include "kind/grants.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "kind/sequence.h"
#include "lib/stringinfo.h"
#include "parser/parse_coerce.h"
#include "parser/parse_type.h"
#include "script/text.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* A storage as statements have it. */
#define STORAGE(column) \
	"CASE " column " WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' " \
	"ELSE 'extended' END"

/* What changes a property, with the differences of its column. */
typedef struct PropertyChange
{
	const char *property;
	bool		(*change) (const Difference *difference, Writer *writer);
} PropertyChange;

static const char *own_not_null(const SchemaObject *column, bool in_table);
static void create(const SchemaObject *object, Writer *writer);
static void write_sequence_comment(const SchemaObject *object, Writer *writer);
static bool change_sequence_privileges(const Difference *difference, Writer *writer);
static bool change_sequence_comment(const Difference *difference, Writer *writer);
static void add_to_table(const SchemaObject *column, const char *definition, Writer *writer);
static const char *table_of(const SchemaObject *column, bool only);
static bool change_attribute(const Difference *difference, Writer *writer);
static bool change_type(const Difference *difference, Writer *writer);
static const char *using_of(const Difference *difference);
static Oid	type_of(const SchemaObject *column);
static bool change_not_null(const Difference *difference, Writer *writer);
static const char *not_null_before(const Difference *difference);
static const char *validate_not_null(const SchemaObject *from, const SchemaObject *to,
									 Writer *writer);
static bool change_constraint(const Difference *difference, const char *before,
							  const char *after, Writer *writer);
static bool names_not_null(const SchemaObject *column);
static const char *name_of_not_null(const SchemaObject *column, const char *not_null,
									const char **name);
static bool change_default(const Difference *difference, Writer *writer);
static bool change_generated(const Difference *difference, Writer *writer);
static void write_drop_expression(const Difference *difference, Writer *writer);
static bool change_identity(const Difference *difference, Writer *writer);
static bool loses_identity(const Difference *difference);
static void write_drop_identity(const Difference *difference, Writer *writer);
static bool narrows_identity(const Difference *difference);
static bool change_storage(const Difference *difference, Writer *writer);
static bool change_compression(const Difference *difference, Writer *writer);
static bool change_statistics(const Difference *difference, Writer *writer);
static bool change_options(const Difference *difference, Writer *writer);
static bool change_foreign_options(const Difference *difference, Writer *writer);
static bool change_own_not_null(const Difference *difference, Writer *writer);
static void write_own_not_null(const SchemaObject *column, const char *not_null, Writer *writer);
static const char *take_back(const SchemaObject *column);
static bool has_same_attributes(const SchemaObject *from, const SchemaObject *to);
static List *attributes_of(const SchemaObject *type);
static const char *row_of(const char *column, const SchemaObject *from,
						  const SchemaObject *to, const char *type);
static const char *definition_of(const SchemaObject *column, bool typed);
static const char *alter_column_of(const SchemaObject *object);
static void write_state(const SchemaObject *object, Writer *writer);
static void add(const SchemaObject *column, Writer *writer);
static bool change(const Difference *difference, Writer *writer);
static const char *drop(const SchemaObject *column);

static const PropertyChange changes[] = {
	{"type", change_type},
	{"collation", change_type},
	{"not_null", change_not_null},
	{"own_not_null", change_own_not_null},
	{"default", change_default},
	{"generated", change_generated},
	{"identity", change_identity},
	{"identity_sequence", change_identity},
	{"sequence_comment", change_sequence_comment},
	{"sequence_privileges", change_sequence_privileges},
	{"storage", change_storage},
	{"compression", change_compression},
	{"statistics", change_statistics},
	{"options", change_options},
	{"foreign_options", change_foreign_options}
};

/*
 * Whether the default d of a column calls a volatile function, by those that the server's
 * form of the expression names.
 */
#define HAS_VOLATILE_DEFAULT \
	"(a.attgenerated = '' AND EXISTS (SELECT FROM regexp_matches(d.adbin::text, " \
	"':(?:op)?funcid ([0-9]+)', 'g') f JOIN pg_proc p ON p.oid = f[1]::oid " \
	"WHERE p.provolatile = 'v'))"

/* Whether the type t of a column is a domain with constraints, or one over such a domain. */
#define HAS_CHECKED_DOMAIN \
	"(t.typtype = 'd' AND EXISTS (WITH RECURSIVE o AS (" \
	"SELECT t.oid, t.typbasetype, t.typnotnull UNION ALL " \
	"SELECT b.oid, b.typbasetype, b.typnotnull FROM o JOIN pg_type b " \
	"ON b.oid = o.typbasetype AND b.typtype = 'd') " \
	"SELECT FROM o WHERE o.typnotnull OR EXISTS (SELECT FROM pg_constraint k " \
	"WHERE k.contypid = o.oid)))"

const Kind	mig_kinds_column = {
	.name = "column",
	.has_rows = true,
	.catalog = RelationRelationId,
	.owner_catalog = RelationRelationId,
	.identity = IDENTITY_COLUMN,
	.part_of_owner = true,
	.query =
	KIND_COLUMNS("c.oid", "a.attnum::int4", "c.oid", "n.nspname", "c.relname", "a.attname", "NULL")
	", "
	"CASE WHEN c.relkind NOT IN ('v', 'm') THEN format_type(a.atttypid, a.atttypmod) END "
	"AS type, "
	"CASE WHEN c.relkind NOT IN ('v', 'm') AND a.attcollation <> t.typcollation THEN "
	KIND_QUALIFIED("pg_collation", "coll", "a.attcollation") " END AS collation, "
	"CASE WHEN a.attnotnull THEN " MIG_COLUMN_NOT_NULL " END AS not_null, "
	MIG_COLUMN_OWN_NOT_NULL " AS own_not_null, "
	MIG_COLUMN_NOT_NULL_COMMENT " AS not_null_comment, "
	MIG_COLUMN_NOT_NULL_SHARED " AS " KIND_SHARED_NAME ", "
	"CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS \"default\", "
	"CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END AS generated, "
	"CASE a.attgenerated WHEN 'v' THEN 'true' END AS virtual, "
	"CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END AS identity, "
	"CASE WHEN a.attidentity <> '' THEN (SELECT format('SEQUENCE NAME %s START WITH %s "
	"INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s', s.seqrelid::regclass, s.seqstart, "
	"s.seqincrement, s.seqmin, s.seqmax, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' END) "
	"FROM pg_depend i JOIN pg_sequence s ON s.seqrelid = i.objid "
	"WHERE i.classid = 'pg_class'::regclass AND i.refclassid = 'pg_class'::regclass "
	"AND i.refobjid = c.oid AND i.refobjsubid = a.attnum AND i.deptype = 'i') END "
	"AS identity_sequence, "
	"CASE WHEN a.attidentity <> '' THEN (SELECT obj_description(i.objid, 'pg_class') "
	"FROM pg_depend i WHERE i.classid = 'pg_class'::regclass "
	"AND i.refclassid = 'pg_class'::regclass AND i.refobjid = c.oid "
	"AND i.refobjsubid = a.attnum AND i.deptype = 'i') END AS sequence_comment, "
	"CASE WHEN $2 AND a.attidentity <> '' THEN (SELECT (SELECT string_agg(x::text, ', ' "
	"ORDER BY x::text COLLATE \"C\") FROM unnest(coalesce(s.relacl, "
	"acldefault('s', s.relowner))) x) FROM pg_depend i JOIN pg_class s ON s.oid = i.objid "
	"WHERE i.classid = 'pg_class'::regclass AND i.refclassid = 'pg_class'::regclass "
	"AND i.refobjid = c.oid AND i.refobjsubid = a.attnum AND i.deptype = 'i') END "
	"AS sequence_privileges, "
	"CASE WHEN a.attstorage <> t.typstorage THEN " STORAGE("a.attstorage") " END AS storage, "
	"CASE WHEN a.attstorage <> t.typstorage AND c.relkind = 'm' THEN "
	STORAGE("t.typstorage") " END AS " KIND_STANDIN ", "
	"CASE " MIG_COLUMN_COMPRESSION " WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END "
	"AS compression, "
	"CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::text END AS statistics, "
	KIND_OPTIONS("a.attoptions") " AS options, "
	KIND_FOREIGN_OPTIONS("a.attfdwoptions") " AS foreign_options, "
	"CASE WHEN a.attinhcount > 0 AND NOT a.attislocal AND NOT c.relispartition "
	"THEN 'true' END AS inherited, "
	"CASE WHEN c.relkind = 'p' AND EXISTS (SELECT FROM pg_depend k "
	"WHERE k.classid = 'pg_class'::regclass AND k.objid = c.oid AND k.objsubid = a.attnum "
	"AND k.refclassid = 'pg_class'::regclass AND k.refobjid = c.oid AND k.refobjsubid = 0 "
	"AND k.deptype = 'i') THEN 'true' END AS " KIND_PARTITION_KEY ", "
	"CASE WHEN c.relkind IN ('r', 'p') AND (" HAS_VOLATILE_DEFAULT " OR " HAS_CHECKED_DOMAIN ") "
	"THEN 'true' END AS " KIND_REWRITES " "
	"FROM " KIND_RELATIONS("'r', 'p', 'f', 'v', 'm', 'c'")
	"JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
	"JOIN pg_type t ON t.oid = a.atttypid "
	"LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
	"WHERE c.relkind NOT IN ('v', 'm') OR d.oid IS NOT NULL OR a.attstattarget >= 0 "
	"OR a.attstorage <> t.typstorage OR " KIND_OPTIONS("a.attoptions") " IS NOT NULL "
	"OR " MIG_COLUMN_COMPRESSION " <> '' OR ($2 AND a.attacl IS NOT NULL) "
	"OR EXISTS (SELECT FROM pg_description o WHERE o.classoid = 'pg_class'::regclass "
	"AND o.objoid = c.oid AND o.objsubid = a.attnum)",
	.create = create,
	.add = add,
	.alter = change,
	.drop = drop,
	.comment_on = "COLUMN"
};

/*
 * Append the columns of a table or a composite type in parentheses.  A typed table has
 * those of its type, and an inherited column is the parent's.
 */
void
mig_column_append_all(StringInfo sql, const SchemaObject *owner, bool typed)
{
	const char *separator = " (\n";
	ListCell   *lc;

	foreach(lc, owner->children)
	{
		const SchemaObject *column = lfirst(lc);
		const char *definition;

		if (column->kind != &mig_kinds_column)
			continue;
		definition = definition_of(column, typed);
		if (definition == NULL)
			continue;
		appendStringInfo(sql, "%s    %s", separator, definition);
		separator = ",\n";
	}
	if (*separator == ',')
		appendStringInfoString(sql, "\n)");
	else if (!typed)
		appendStringInfoString(sql, " ()");
}

/*
 * Return a column as CREATE TABLE and CREATE TYPE have it, or NULL where its
 * table has it from elsewhere.
 */
static const char *
definition_of(const SchemaObject *column, bool typed)
{
	const char *generated = mig_objects_property(column, "generated");
	const char *not_null = mig_objects_property(column, "not_null");
	const char *sequence = mig_objects_property(column, "identity_sequence");
	const char *shared = mig_objects_property(column, KIND_SHARED_NAME);
	StringInfoData sql;

	if (not_null != NULL && strcmp(not_null, "INHERITED") == 0)
		not_null = NULL;
	if (mig_objects_property(column, "inherited") != NULL)
		return own_not_null(column, true);
	if (typed && not_null == NULL && generated == NULL && sequence == NULL)
		return NULL;
	initStringInfo(&sql);
	appendStringInfoString(&sql, quote_identifier(column->name));
	if (typed)
		appendStringInfoString(&sql, " WITH OPTIONS");
	else
		appendStringInfo(&sql, " %s", mig_objects_property(column, "type"));
	mig_writer_clause(&sql, column, " OPTIONS (", "foreign_options", ")");
	if (!typed)
		mig_writer_clause(&sql, column, " COLLATE ", "collation", "");
	if (generated != NULL)
		appendStringInfo(&sql, " GENERATED ALWAYS AS (%s)%s", generated,
						 mig_objects_property(column, "virtual") ? "" : " STORED");
	if (sequence != NULL)
		appendStringInfo(&sql, " GENERATED %s AS IDENTITY (%s)",
						 strcmp(mig_objects_property(column, "identity"), "always") == 0 ?
						 "ALWAYS" : "BY DEFAULT", sequence);
	if (not_null != NULL && shared != NULL)
		appendStringInfo(&sql, " CONSTRAINT %s", shared);
	if (not_null != NULL)
		appendStringInfo(&sql, " %s", not_null);
	return sql.data;
}

/*
 * Return what a column has of NOT NULL besides its definition: as CREATE TABLE says
 * it, a valid constraint of an inherited column, or as ALTER TABLE does, all else.
 * NULL: nothing.
 */
static const char *
own_not_null(const SchemaObject *column, bool in_table)
{
	const char *own = mig_objects_property(column, "own_not_null");
	static const char add[] = "ADD ";
	bool		fits;

	if (own == NULL)
		return NULL;
	fits = mig_objects_property(column, "inherited") != NULL &&
		strncmp(own, add, strlen(add)) == 0 && strstr(own, " NOT VALID") == NULL;
	if (fits != in_table)
		return NULL;
	return in_table ? own + strlen(add) : own;
}

/*
 * Write what is said of a column when its table is there.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	if (mig_objects_property(object, "default") != NULL)
		mig_column_write_default(object, writer);
	write_state(object, writer);
}

/*
 * Write what ALTER says of a column besides its default.
 */
static void
write_state(const SchemaObject *object, Writer *writer)
{
	const char *alter_column = alter_column_of(object);
	const char *not_null = own_not_null(object, false);
	const char *statistics = mig_objects_property(object, "statistics");
	const char *options = mig_objects_property(object, "options");
	const char *not_null_comment = mig_objects_property(object, "not_null_comment");

	if (not_null != NULL)
		write_own_not_null(object, not_null, writer);
	mig_column_write_storage(object, writer);
	mig_column_write_compression(object, writer);
	if (statistics != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "%s SET STATISTICS %s", alter_column,
					   statistics);
	if (options != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "%s SET (%s)", alter_column, options);
	if (not_null_comment != NULL)
		mig_writer_add(writer, object, PHASE_COMMENT, "%s", not_null_comment);
	if (mig_objects_property(object, "sequence_comment") != NULL)
		write_sequence_comment(object, writer);
	if (mig_objects_property(object, "sequence_privileges") != NULL)
		mig_grants_write_sequence(NULL, object, mig_sequence_of_identity(object), writer);
}

/*
 * Write the storage of a column, unless it is that of the type.
 */
void
mig_column_write_storage(const SchemaObject *column, Writer *writer)
{
	const char *storage = mig_objects_property(column, "storage");

	if (storage != NULL)
		mig_writer_add(writer, column, PHASE_STATE, "%s SET STORAGE %s",
					   alter_column_of(column), storage);
}

/*
 * Write the compression of a column, if it has one itself.
 */
void
mig_column_write_compression(const SchemaObject *column, Writer *writer)
{
	const char *compression = mig_objects_property(column, "compression");

	if (compression != NULL)
		mig_writer_add(writer, column, PHASE_STATE, "%s SET COMPRESSION %s",
					   alter_column_of(column), compression);
}

/*
 * Write what a column has of NOT NULL besides its definition, as ALTER TABLE says it.
 */
static void
write_own_not_null(const SchemaObject *column, const char *not_null, Writer *writer)
{
	mig_writer_add(writer, column, PHASE_STATE, "ALTER TABLE %s%s %s",
				   strncmp(not_null, "ADD ", 4) == 0 ? "" : "ONLY ",
				   mig_objects_parent(column), not_null);
}

/*
 * Write the comment on the sequence of an identity, which may be none.
 */
static void
write_sequence_comment(const SchemaObject *object, Writer *writer)
{
	const char *comment = mig_objects_property(object, "sequence_comment");

	mig_writer_add(writer, object, PHASE_COMMENT, "COMMENT ON SEQUENCE %s IS %s",
				   mig_sequence_of_identity(object),
				   comment != NULL ? quote_literal_cstr(comment) : "NULL");
}

/*
 * Write the comment on the sequence of an identity where it differs.
 */
static bool
change_sequence_comment(const Difference *difference, Writer *writer)
{
	if (mig_sequence_of_identity(difference->to) != NULL)
		write_sequence_comment(difference->to, writer);
	return true;
}

/*
 * Write the privileges on the sequence of an identity where they differ.
 */
static bool
change_sequence_privileges(const Difference *difference, Writer *writer)
{
	const SchemaObject *from = difference->from;

	if (mig_sequence_of_identity(difference->to) != NULL)
		mig_grants_write_sequence(mig_sequence_of_identity(from) != NULL ? from : NULL,
								  difference->to, mig_sequence_of_identity(difference->to),
								  writer);
	return true;
}

/*
 * Return the beginning of a statement that alters a column.
 */
static const char *
alter_column_of(const SchemaObject *object)
{
	const char *relation = "TABLE ONLY";

	if (object->owner->kind == &mig_kinds_foreign_table)
		relation = "FOREIGN TABLE ONLY";
	if (object->owner->kind == &mig_kinds_view)
		relation = "VIEW";
	else if (object->owner->kind == &mig_kinds_materialized_view)
		relation = "MATERIALIZED VIEW";
	return psprintf("ALTER %s %s ALTER COLUMN %s", relation, mig_objects_parent(object),
					quote_identifier(object->name));
}

/*
 * Write what adds a column to its table or type, with its default, which the rows that are
 * there get.  Of a view, there is nothing to add.
 */
static void
add(const SchemaObject *column, Writer *writer)
{
	const char *definition = definition_of(column, false);
	const char *def = mig_objects_property(column, "default");
	const Kind *kind = column->owner->kind;

	if (kind == &mig_kinds_composite_type && definition != NULL)
		mig_writer_add(writer, column, PHASE_CREATE, "ALTER TYPE %s ADD ATTRIBUTE %s",
					   mig_objects_parent(column), definition);
	else if (kind == &mig_kinds_view || kind == &mig_kinds_materialized_view ||
			 definition == NULL)
	{
		if (def != NULL)
			mig_column_write_default(column, writer);
	}
	else
		add_to_table(column, definition, writer);
	write_state(column, writer);
}

/*
 * Write what is said of a column that its table gets with that of a parent.
 */
void
mig_column_inherit(const SchemaObject *column, const SchemaObject *parent, Writer *writer)
{
	const char *def = mig_objects_property(column, "default");
	const char *inherited = mig_objects_property(parent, "default");

	if (def != NULL ? inherited == NULL || strcmp(def, inherited) != 0 : inherited != NULL)
		mig_column_write_default(column, writer);
	write_state(column, writer);
	if (mig_objects_property(column, "comment") != NULL)
		mig_writer_comment(writer, column);
}

/*
 * Return a statement that adds a column to the parent of a table which has one of that name
 * itself, and has it from then on from the parent: with what keeps the values.
 */
const char *
mig_column_copy(const SchemaObject *column, const char *add)
{
	const char *table = mig_objects_parent(column);
	const char *name = quote_identifier(column->name);
	const char *aside = quote_identifier(mig_objects_aside_name(column));

	return psprintf("ALTER TABLE %s RENAME COLUMN %s TO %s;\n%s;\nUPDATE %s SET %s = %s;\n"
					"ALTER TABLE %s DROP COLUMN %s", table, name, aside, add, table, name,
					aside, table, aside);
}

/*
 * Write ALTER TABLE ... ADD COLUMN.
 */
static void
add_to_table(const SchemaObject *column, const char *definition, Writer *writer)
{
	const char *def = mig_objects_property(column, "default");
	Action	   *action = mig_writer_add(writer, column, PHASE_CREATE, "%s ADD COLUMN %s%s%s",
										table_of(column, false), definition,
										def ? " DEFAULT " : "", def ? def : "");

	if (def == NULL && mig_objects_property(column, "not_null") != NULL &&
		mig_objects_property(column, "generated") == NULL &&
		mig_objects_property(column, "identity") == NULL)
		action->hazard = "fails on a table with rows: NOT NULL without a default";
	else if (mig_objects_property(column, KIND_REWRITES) != NULL ||
			 mig_objects_property(column, "identity_sequence") != NULL ||
			 (mig_objects_property(column, "generated") != NULL &&
			  mig_objects_property(column, "virtual") == NULL))
		action->hazard = "rewrites the table under an exclusive lock";
}

/*
 * Return what drops a column of a table or a type; of a view, what takes back that which is
 * said of it.
 */
static const char *
drop(const SchemaObject *column)
{
	if (column->owner->kind == &mig_kinds_composite_type)
		return psprintf("ALTER TYPE %s DROP ATTRIBUTE %s", mig_objects_parent(column),
						quote_identifier(column->name));
	if (column->owner->kind == &mig_kinds_view ||
		column->owner->kind == &mig_kinds_materialized_view)
		return take_back(column);
	return psprintf("%s DROP COLUMN %s", table_of(column, false),
					quote_identifier(column->name));
}

/*
 * Return the statements that take back what is said of a column of a view.
 */
static const char *
take_back(const SchemaObject *column)
{
	Writer		writer = {.type = ACTION_ALTER};
	SchemaObject bare = *column;
	Difference	difference = {.from = column, .to = &bare};
	StringInfoData sql;
	ListCell   *lc;

	bare.properties = palloc0(sizeof(ObjectProperty) * column->nproperties);
	for (int i = 0; i < column->nproperties; i++)
	{
		const char *name = column->properties[i].name;

		bare.properties[i].name = name;
		if (column->properties[i].value == NULL || strcmp(name, KIND_STANDIN) == 0)
			continue;
		if (strcmp(name, "comment") == 0)
			mig_writer_comment(&writer, &bare);
		else if (strcmp(name, "privileges") == 0)
			mig_grants_change(&difference, &writer);
		else
			difference.properties = lappend(difference.properties, &bare.properties[i]);
	}
	(void) change(&difference, &writer);
	initStringInfo(&sql);
	foreach(lc, writer.actions)
		appendStringInfo(&sql, "%s%s", sql.len > 0 ? ";\n" : "",
						 ((const Action *) lfirst(lc))->sql);
	return sql.data;
}

/*
 * Return what drops a column of a table, whose heirs keep theirs.
 */
const char *
mig_column_drop_only(const SchemaObject *column)
{
	return psprintf("%s DROP COLUMN %s", table_of(column, true),
					quote_identifier(column->name));
}

/*
 * Write what sets the default of a column, or takes it away where it has none.
 */
void
mig_column_write_default(const SchemaObject *column, Writer *writer)
{
	const char *def = mig_objects_property(column, "default");

	mig_writer_add(writer, column, PHASE_DEFAULT, "%s %s DEFAULT%s%s", alter_column_of(column),
				   def ? "SET" : "DROP", def ? " " : "", def ? def : "");
}

/*
 * Write what gives a column its type, whose name was that of another type before.  Of
 * a composite type these are from and to; NULL: it is another.
 */
void
mig_column_write_type(const SchemaObject *column, const SchemaObject *from,
					  const SchemaObject *to, Writer *writer)
{
	const char *type = mig_objects_property(column, "type");
	const char *name = quote_identifier(column->name);
	const char *using = from == NULL || has_same_attributes(from, to) ?
		psprintf("%s::pg_catalog.text::%s", name, type) :
		row_of(name, from, to, type);

	mig_writer_add(writer, column, PHASE_CREATE,
				   "%s ALTER COLUMN %s TYPE %s%s%s", table_of(column, false), name, type,
				   column->owner->kind == &mig_kinds_foreign_table ? "" : " USING ",
				   column->owner->kind == &mig_kinds_foreign_table ? "" : using)->hazard =
		"may rewrite the table, and fails on rows that do not fit";
}

/*
 * Return whether the values that a user of a type has can be converted when the type is
 * made again: through text, or one by one where a composite type has other attributes.
 */
bool
mig_column_can_convert(const SchemaObject *from, const SchemaObject *to,
					   const SchemaObject *user)
{
	const char *type;

	if (from->kind != &mig_kinds_composite_type || has_same_attributes(from, to))
		return true;
	if (user->kind == &mig_kinds_domain)
		return false;
	if (user->kind != &mig_kinds_column)
		return true;
	type = mig_objects_property(user, "type");
	return user->owner->kind != &mig_kinds_composite_type && type[strlen(type) - 1] != ']';
}

/*
 * Return whether two composite types have attributes of the same names in the same order.
 */
static bool
has_same_attributes(const SchemaObject *from, const SchemaObject *to)
{
	List	   *before = attributes_of(from);
	List	   *after = attributes_of(to);
	ListCell   *lc;
	ListCell   *lc2;

	forboth(lc, before, lc2, after)
		if (strcmp(((const SchemaObject *) lfirst(lc))->name,
				   ((const SchemaObject *) lfirst(lc2))->name) != 0)
			return false;
	return list_length(before) == list_length(after);
}

/*
 * Return the attributes (SchemaObject *) of a composite type.
 */
static List *
attributes_of(const SchemaObject *type)
{
	List	   *attributes = NIL;
	ListCell   *lc;

	foreach(lc, type->children)
		if (((const SchemaObject *) lfirst(lc))->kind == &mig_kinds_column)
			attributes = lappend(attributes, lfirst(lc));
	return attributes;
}

/*
 * Return what makes a value of a composite type of the attributes that a column has of
 * another.
 */
static const char *
row_of(const char *column, const SchemaObject *from, const SchemaObject *to,
	   const char *type)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, attributes_of(to))
	{
		const SchemaObject *attribute = lfirst(lc);
		const char *value = "NULL";
		ListCell   *other;

		foreach(other, attributes_of(from))
			if (strcmp(((const SchemaObject *) lfirst(other))->name, attribute->name) == 0)
				value = psprintf("(%s).%s::pg_catalog.text::%s", column,
								 quote_identifier(attribute->name),
								 mig_objects_property(attribute, "type"));
		appendStringInfo(&sql, "%s%s", sql.len > 0 ? ", " : "", value);
	}
	return psprintf("CASE WHEN %s IS DISTINCT FROM NULL THEN ROW(%s)::%s END", column, sql.data,
					type);
}

/*
 * Write what takes the default of a column away, as a drop of its own.
 */
void
mig_column_drop_default(const SchemaObject *column, Writer *writer)
{
	ActionType	type = writer->type;

	writer->type = ACTION_DROP;
	mig_writer_add(writer, column, PHASE_DEFAULT, "%s DROP DEFAULT", alter_column_of(column));
	writer->type = type;
}

/*
 * Write what alters a column in place; return false when that cannot be done.
 */
static bool
change(const Difference *difference, Writer *writer)
{
	ListCell   *lc;
	size_t		done = lengthof(changes);

	if (difference->to->owner->kind == &mig_kinds_composite_type)
		return change_attribute(difference, writer);
	foreach(lc, difference->properties)
	{
		const ObjectProperty *property = lfirst(lc);
		size_t		i = 0;

		while (i < lengthof(changes) && strcmp(changes[i].property, property->name) != 0)
			i++;
		if (i == lengthof(changes))
			return false;
		/* two properties that one statement changes follow each other */
		if (done == lengthof(changes) || changes[done].change != changes[i].change)
			if (!changes[i].change(difference, writer))
				return false;
		done = i;
	}
	return true;
}

/*
 * Return the beginning of a statement that changes the table of a column.
 */
static const char *
table_of(const SchemaObject *column, bool only)
{
	return psprintf("ALTER %sTABLE %s%s",
					column->owner->kind == &mig_kinds_foreign_table ? "FOREIGN " : "",
					only ? "ONLY " : "", mig_objects_parent(column));
}

/*
 * Write what changes the type of an attribute of a composite type.
 */
static bool
change_attribute(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *collation = mig_objects_property(to, "collation");
	ListCell   *lc;

	foreach(lc, difference->properties)
	{
		const char *name = ((const ObjectProperty *) lfirst(lc))->name;

		if (strcmp(name, "type") != 0 && strcmp(name, "collation") != 0)
			return false;
	}
	mig_writer_add(writer, to, PHASE_CREATE, "ALTER TYPE %s ALTER ATTRIBUTE %s TYPE %s%s%s",
				   mig_objects_parent(to), quote_identifier(to->name),
				   mig_objects_property(to, "type"), collation ? " COLLATE " : "",
				   collation ? collation : "");
	return true;
}

/*
 * Write what changes the type or the collation of a column.  Its default is taken away
 * meanwhile where it might not fit the type.
 */
static bool
change_type(const Difference *difference, Writer *writer)
{
	const SchemaObject *from = difference->from;
	const SchemaObject *to = difference->to;
	const char *collation = mig_objects_property(to, "collation");
	const char *using = using_of(difference);
	bool		has_default = mig_objects_property(from, "default") != NULL;
	Action	   *action;

	if (mig_objects_property(to, "inherited") != NULL)
		return true;
	if (mig_objects_property(to, "generated") != NULL && *using)
		return false;
	if (mig_objects_property(from, "generated") != NULL)
		write_drop_expression(difference, writer);
	if (loses_identity(difference))
		write_drop_identity(difference, writer);
	if (narrows_identity(difference))
		mig_sequence_change_identity(difference, PHASE_CREATE,
									 mig_sequence_of_identity(from), writer);
	if (has_default && *using)
		mig_writer_add(writer, to, PHASE_CREATE, "%s DROP DEFAULT", alter_column_of(to));
	action = mig_writer_add(writer, to, PHASE_CREATE, "%s ALTER COLUMN %s TYPE %s%s%s%s",
							table_of(to, false), quote_identifier(to->name),
							mig_objects_property(to, "type"), collation ? " COLLATE " : "",
							collation ? collation : "", using);
	action->hazard = "may rewrite the table, and fails on rows that do not fit";
	if (has_default && *using && mig_objects_property(to, "default") != NULL &&
		!mig_writer_has(difference, "default"))
		mig_column_write_default(to, writer);
	return true;
}

/*
 * Return the USING clause of a change of type: none where the server assigns the values
 * itself, or has none, and else a cast, through text where there is no other.
 */
static const char *
using_of(const Difference *difference)
{
	const SchemaObject *to = difference->to;
	const char *name = quote_identifier(to->name);
	const char *type = mig_objects_property(to, "type");
	Oid			from_type = type_of(difference->from);
	Oid			to_type = type_of(to);

	if (!mig_writer_has(difference, "type") || to->owner->kind == &mig_kinds_foreign_table)
		return "";
	if (OidIsValid(from_type) && OidIsValid(to_type))
	{
		if (can_coerce_type(1, &from_type, &to_type, COERCION_ASSIGNMENT))
			return "";
		if (can_coerce_type(1, &from_type, &to_type, COERCION_EXPLICIT))
			return psprintf(" USING %s::%s", name, type);
	}
	return psprintf(" USING %s::pg_catalog.text::%s", name, type);
}

/*
 * Return the type of a column; InvalidOid where the database has none of its name.
 */
static Oid
type_of(const SchemaObject *column)
{
	Oid			type;
	int32		typmod;

	mig_parse_type(mig_objects_property(column, "type"), &type, &typmod);
	return type;
}

/*
 * Write SET NOT NULL or DROP NOT NULL, or what alters the constraint that NOT NULL is since
 * 18.
 */
static bool
change_not_null(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *before = not_null_before(difference);
	const char *after = mig_objects_property(to, "not_null");
	const char *column = quote_identifier(to->name);
	bool		yields = difference->parent_not_null == PARENT_GETS_NOT_NULL;
	const char *new_name = NULL;
	Action	   *action;

	if (after == NULL || yields)
	{
		/* the parent's comes in the next phase */
		mig_writer_add(writer, to, yields ? PHASE_CREATE : PHASE_STATE,
					   "%s ALTER COLUMN %s DROP NOT NULL", table_of(to, false), column);
		return true;
	}
	if (before == NULL)
		before = validate_not_null(difference->from, to, writer);
	if (before != NULL)
		return change_constraint(difference, before, after, writer);
	if (strcmp(after, "NOT NULL") == 0 && !names_not_null(to))
		action = mig_writer_add(writer, to, PHASE_STATE, "%s ALTER COLUMN %s SET NOT NULL",
								table_of(to, false), column);
	else
	{
		const char *rest = name_of_not_null(to, after, &new_name);

		action = mig_writer_add(writer, to, PHASE_STATE, "%s ADD CONSTRAINT %s NOT NULL %s%s",
								table_of(to, false), new_name, column,
								rest + strlen("NOT NULL"));
	}
	action->hazard = "fails on rows with a null, scans the table under an exclusive lock";
	return true;
}

/*
 * Write or take away what a column has of NOT NULL besides its definition, unless the change
 * of NOT NULL itself does that.
 */
static bool
change_own_not_null(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *own = mig_objects_property(to, "own_not_null");
	bool		before = not_null_before(difference) != NULL;
	bool		after = mig_objects_property(to, "not_null") != NULL;

	if (mig_objects_property(difference->from, "own_not_null") != NULL && !before && !after)
		mig_writer_add(writer, to, PHASE_STATE, "%s ALTER COLUMN %s DROP NOT NULL",
					   table_of(to, false), quote_identifier(to->name));
	if (own != NULL && (before || !after))
		write_own_not_null(to, own, writer);
	return true;
}

/*
 * Return the NOT NULL that a column has when its own is changed: none where it has lost that
 * of its parent.
 */
static const char *
not_null_before(const Difference *difference)
{
	return difference->parent_not_null == PARENT_LOSES_NOT_NULL ? NULL :
		mig_objects_property(difference->from, "not_null");
}

/*
 * Write what validates the constraint that a column has for NOT NULL, and return what the
 * property not_null says of it then; NULL: it has none that is not valid.
 */
static const char *
validate_not_null(const SchemaObject *from, const SchemaObject *to, Writer *writer)
{
	static const char add[] = "ADD ";
	const char *own = mig_objects_property(from, "own_not_null");
	const char *rest = psprintf(" NOT NULL %s", quote_identifier(from->name));
	const char *end = NULL;
	const char *constraint;

	if (own == NULL || !mig_text_ends_with(own, " NOT VALID"))
		return NULL;
	/* the last one: a name can have it, too */
	for (const char *at = strstr(own, rest); at != NULL; at = strstr(at + 1, rest))
		end = at;
	Assert(end != NULL);
	own += strlen(add);
	constraint = pnstrdup(own, end - own);
	mig_writer_add(writer, to, PHASE_STATE, "%s VALIDATE %s", table_of(to, false),
				   constraint)->hazard = "fails on rows with a null";
	return psprintf("%s NOT NULL%s", constraint,
					mig_text_ends_with(own, " NO INHERIT NOT VALID") ? " NO INHERIT" : "");
}

/*
 * Write what gives the constraint that a column has for NOT NULL another name, and what has
 * heirs get it or not.  Return false where it is to be the parent's, or no longer is.
 */
static bool
change_constraint(const Difference *difference, const char *before, const char *after,
				  Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *old_name = NULL;
	const char *new_name = NULL;
	const char *old_rest = name_of_not_null(difference->from, before, &old_name);
	const char *new_rest = name_of_not_null(to, after, &new_name);

	if (strcmp(before, "INHERITED") == 0 || strcmp(after, "INHERITED") == 0)
		return false;
	/* ALTER FOREIGN TABLE cannot rename one */
	if (strcmp(old_name, new_name) != 0)
		mig_writer_add(writer, to, PHASE_STATE, "ALTER TABLE %s RENAME CONSTRAINT %s TO %s",
					   mig_objects_parent(to), old_name, new_name);
	if (strcmp(old_rest, new_rest) != 0)
		mig_writer_add(writer, to, PHASE_STATE, "%s ALTER CONSTRAINT %s %sINHERIT",
					   table_of(to, false), new_name,
					   mig_text_ends_with(new_rest, " NO INHERIT") ? "NO " : "");
	return true;
}

/*
 * Return whether NOT NULL is given with a name though that is the usual one: another has it,
 * or a new partition can have it already, since partitions have the name of their parent's.
 */
static bool
names_not_null(const SchemaObject *column)
{
	return mig_objects_property(column, KIND_SHARED_NAME) != NULL ||
		(MIG_NOT_NULL_HAS_NAME && mig_objects_is_partitioned(column->owner));
}

/*
 * Find the quoted name of the constraint that a column has for NOT NULL, and return the
 * rest of what the property says.
 */
static const char *
name_of_not_null(const SchemaObject *column, const char *not_null, const char **name)
{
	static const char constraint[] = "CONSTRAINT ";
	const char *end = NULL;

	/* the last one: a name can have it, too */
	for (const char *at = strstr(not_null, "NOT NULL"); at; at = strstr(at + 1, "NOT NULL"))
		end = at;
	if (end == NULL || strncmp(not_null, constraint, strlen(constraint)) != 0)
	{
		*name = quote_identifier(psprintf("%s_%s_not_null", column->parent, column->name));
		return not_null;
	}
	not_null += strlen(constraint);
	*name = pnstrdup(not_null, end - not_null - 1);
	return end;
}

/*
 * Write SET DEFAULT or DROP DEFAULT.
 */
static bool
change_default(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;

	if (mig_objects_property(to, "generated") == NULL)
		mig_column_write_default(to, writer);
	return true;
}

/*
 * Write DROP EXPRESSION, unless the change of the type does.  Another expression is another
 * column.
 */
static bool
change_generated(const Difference *difference, Writer *writer)
{
	if (mig_objects_property(difference->to, "generated") != NULL)
		return false;
	if (!mig_writer_has(difference, "type") && !mig_writer_has(difference, "collation"))
		write_drop_expression(difference, writer);
	return true;
}

/*
 * Write DROP EXPRESSION for a column that is not generated any more, which a change of its
 * type with USING cannot come before.
 */
static void
write_drop_expression(const Difference *difference, Writer *writer)
{
	if (mig_objects_property(difference->to, "generated") == NULL)
		mig_writer_add(writer, difference->to, PHASE_CREATE, "%s ALTER COLUMN %s DROP EXPRESSION",
					   table_of(difference->to, false), quote_identifier(difference->to->name));
}

/*
 * Write what makes a column an identity or none, or alters that.  The column of a partition is
 * one without a sequence, since 17, and changes with that of its parent.
 */
static bool
change_identity(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *old_name = mig_sequence_of_identity(difference->from);
	const char *new_name = mig_sequence_of_identity(to);
	const char *alter = psprintf("%s ALTER COLUMN %s", table_of(to, false),
								 quote_identifier(to->name));
	const char *identity = "BY DEFAULT";

	if (old_name == NULL && new_name == NULL)
		return true;
	if (new_name == NULL)
	{
		if (!mig_writer_has(difference, "type") && !mig_writer_has(difference, "collation"))
			write_drop_identity(difference, writer);
		return true;
	}
	if (strcmp(mig_objects_property(to, "identity"), "always") == 0)
		identity = "ALWAYS";
	if (old_name == NULL)
	{
		Action	   *action =
			mig_writer_add(writer, to, PHASE_COMMENT, "%s ADD GENERATED %s AS IDENTITY (%s)",
						   alter, identity, mig_objects_property(to, "identity_sequence"));

		mig_sequence_become_identity(action, mig_sequence_of_default(difference->from), to,
									 writer);
		return true;
	}
	if (mig_writer_has(difference, "identity"))
		mig_writer_add(writer, to, PHASE_STATE, "%s SET GENERATED %s", alter, identity);
	if (!mig_writer_has(difference, "identity_sequence"))
		return true;
	if (strcmp(old_name, new_name) != 0)
		mig_writer_add(writer, to, PHASE_STATE, "ALTER SEQUENCE %s RENAME TO %s", old_name,
					   new_name + strlen(quote_identifier(to->schema)) + 1);
	if (!narrows_identity(difference))
		mig_sequence_change_identity(difference, PHASE_STATE, new_name, writer);
	return true;
}

/*
 * Return whether a column is no identity any more, and has no sequence then.
 */
static bool
loses_identity(const Difference *difference)
{
	return mig_sequence_of_identity(difference->from) != NULL &&
		mig_sequence_of_identity(difference->to) == NULL;
}

/*
 * Write DROP IDENTITY, which comes before a change to a type that an identity cannot have.
 * The sequence of the default takes over the value before.
 */
static void
write_drop_identity(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;

	mig_writer_add(writer, to, PHASE_CREATE, "%s ALTER COLUMN %s DROP IDENTITY",
				   table_of(to, false), quote_identifier(to->name))->after =
		mig_sequence_of_default(to);
}

/*
 * Return whether the sequence of an identity is altered before the type of its column, since
 * bounds and value need not fit the narrower type.
 */
static bool
narrows_identity(const Difference *difference)
{
	const char *before = mig_objects_property(difference->from, "type");
	const char *after = mig_objects_property(difference->to, "type");

	return mig_writer_has(difference, "type") &&
		mig_writer_has(difference, "identity_sequence") &&
		mig_sequence_of_identity(difference->from) != NULL &&
		mig_sequence_of_identity(difference->to) != NULL &&
		(strcmp(before, "bigint") == 0 || strcmp(after, "smallint") == 0);
}

/*
 * Write SET STORAGE.  Without one, it is that of the type, which "DEFAULT" says since 16
 * only.
 */
static bool
change_storage(const Difference *difference, Writer *writer)
{
	const char *storage = mig_objects_property(difference->to, "storage");

	if (storage == NULL && mig_writer_has(difference, "type"))
		return true;
	if (storage == NULL)
		storage = mig_objects_property(difference->from, KIND_STANDIN);
	if (storage == NULL)
	{
		Oid			type = type_of(difference->to);

		if (!OidIsValid(type))
			return false;
		switch (get_typstorage(type))
		{
			case TYPSTORAGE_MAIN:
				storage = "main";
				break;
			case TYPSTORAGE_EXTERNAL:
				storage = "external";
				break;
			case TYPSTORAGE_EXTENDED:
				storage = "extended";
				break;
			default:
				storage = "plain";
		}
	}
	mig_writer_add(writer, difference->to, PHASE_STATE, "%s SET STORAGE %s",
				   alter_column_of(difference->to), storage);
	return true;
}

/*
 * Write SET COMPRESSION.
 */
static bool
change_compression(const Difference *difference, Writer *writer)
{
	const char *compression = mig_objects_property(difference->to, "compression");

	mig_writer_add(writer, difference->to, PHASE_STATE, "%s SET COMPRESSION %s",
				   alter_column_of(difference->to), compression ? compression : "default");
	return true;
}

/*
 * Write SET STATISTICS.
 */
static bool
change_statistics(const Difference *difference, Writer *writer)
{
	const char *statistics = mig_objects_property(difference->to, "statistics");

	mig_writer_add(writer, difference->to, PHASE_STATE, "%s SET STATISTICS %s",
				   alter_column_of(difference->to), statistics ? statistics : "-1");
	return true;
}

/*
 * Write what sets and resets the options of a column.
 */
static bool
change_options(const Difference *difference, Writer *writer)
{
	mig_writer_change_options(difference, "options", alter_column_of(difference->to), writer);
	return true;
}

/*
 * Write what alters the options that a column has for its foreign table.
 */
static bool
change_foreign_options(const Difference *difference, Writer *writer)
{
	mig_writer_change_foreign(difference, "foreign_options",
							  alter_column_of(difference->to), writer);
	return true;
}
