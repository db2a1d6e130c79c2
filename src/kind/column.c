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
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

static const char *definition_of(const SchemaObject *column, bool typed);
static const char *own_not_null(const SchemaObject *column, bool in_table);
static void create(const SchemaObject *object, Writer *writer);
static void write_sequence_comment(const SchemaObject *object, const char *comment,
								   Writer *writer);
static const char *alter(const SchemaObject *object);

const Kind	mig_kinds_column = {
	.name = "column",
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
	"CASE WHEN a.attstorage <> t.typstorage THEN CASE a.attstorage WHEN 'p' THEN 'plain' "
	"WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END END AS storage, "
	"CASE " MIG_COLUMN_COMPRESSION " WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END "
	"AS compression, "
	"CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::text END AS statistics, "
	KIND_OPTIONS("a.attoptions") " AS options, "
	KIND_FOREIGN_OPTIONS("a.attfdwoptions") " AS foreign_options, "
	"CASE WHEN a.attinhcount > 0 AND NOT a.attislocal AND NOT c.relispartition "
	"THEN 'true' END AS inherited "
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
	const char *alter_column = alter(object);
	const char *not_null = own_not_null(object, false);
	const char *def = mig_objects_property(object, "default");
	const char *storage = mig_objects_property(object, "storage");
	const char *compression = mig_objects_property(object, "compression");
	const char *statistics = mig_objects_property(object, "statistics");
	const char *options = mig_objects_property(object, "options");
	const char *sequence_comment = mig_objects_property(object, "sequence_comment");
	const char *not_null_comment = mig_objects_property(object, "not_null_comment");

	if (def != NULL)
		mig_writer_add(writer, object, PHASE_DEFAULT, "%s SET DEFAULT %s", alter_column, def);
	if (not_null != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "ALTER TABLE %s%s %s",
					   strncmp(not_null, "ADD ", 4) == 0 ? "" : "ONLY ",
					   mig_objects_parent(object), not_null);
	if (storage != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "%s SET STORAGE %s", alter_column, storage);
	if (compression != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "%s SET COMPRESSION %s", alter_column,
					   compression);
	if (statistics != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "%s SET STATISTICS %s", alter_column,
					   statistics);
	if (options != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "%s SET (%s)", alter_column, options);
	if (not_null_comment != NULL)
		mig_writer_add(writer, object, PHASE_COMMENT, "%s", not_null_comment);
	if (sequence_comment != NULL)
		write_sequence_comment(object, sequence_comment, writer);
}

/*
 * Write the comment on the sequence of an identity.
 */
static void
write_sequence_comment(const SchemaObject *object, const char *comment, Writer *writer)
{
	const char *name = mig_objects_property(object, "identity_sequence") +
		strlen("SEQUENCE NAME ");

	mig_writer_add(writer, object, PHASE_COMMENT, "COMMENT ON SEQUENCE %s IS %s",
				   pnstrdup(name, strstr(name, " START WITH ") - name),
				   quote_literal_cstr(comment));
}

/*
 * Return the beginning of a statement that alters a column.
 */
static const char *
alter(const SchemaObject *object)
{
	const char *relation = "TABLE ONLY";

	if (object->owner->kind == &mig_kinds_view)
		relation = "VIEW";
	else if (object->owner->kind == &mig_kinds_materialized_view)
		relation = "MATERIALIZED VIEW";
	return psprintf("ALTER %s %s ALTER COLUMN %s", relation, mig_objects_parent(object),
					quote_identifier(object->name));
}
