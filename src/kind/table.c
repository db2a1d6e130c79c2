/*
 * table.c
 *		Tables and foreign tables.
 *
 * A partition is made as a table of its own and attached afterwards, because the
 * indexes and constraints of a partitioned table are made after its partitions
 * are attached: otherwise the server would choose the names of theirs.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "compat.h"
#include "kind/column.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

/* The tables that a table c inherits from, and whose partition it is. */
#define INHERITANCE \
	"CASE WHEN NOT c.relispartition THEN (SELECT string_agg(i.inhparent::regclass::text, ', ' " \
	"ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid) END AS inherits, " \
	"CASE WHEN c.relispartition THEN (SELECT i.inhparent::regclass::text " \
	"FROM pg_inherits i WHERE i.inhrelid = c.oid) END AS partition_of, " \
	"pg_get_expr(c.relpartbound, c.oid) AS partition_bound"

static void create(const SchemaObject *object, Writer *writer);
static void create_foreign(const SchemaObject *object, Writer *writer);
static bool change_foreign(const Difference *difference, Writer *writer);
static void write_attach(const SchemaObject *object, Writer *writer);
static void write_state(const SchemaObject *object, Writer *writer);
static bool change(const Difference *difference, Writer *writer);
static bool change_property(const Difference *difference, const char *property, Writer *writer);
static void change_state(const Difference *difference, const char *property, Writer *writer);
static bool change_partition(const Difference *difference, Writer *writer);
static bool change_inherits(const Difference *difference, Writer *writer);

const Kind	mig_kinds_table = {
	.name = "table",
	.has_rows = true,
	.catalog = RelationRelationId,
	.query = KIND_OF_SCHEMA("c", "rel") ", "
	"CASE c.relpersistence WHEN 'u' THEN 'true' END AS unlogged, "
	KIND_TYPE("c.reloftype") " AS of_type, "
	"pg_get_partkeydef(c.oid) AS partition_key, " INHERITANCE ", "
	"(SELECT a.amname FROM pg_am a WHERE a.oid = c.relam) AS access_method, "
	KIND_TABLESPACE("c.reltablespace") " AS tablespace, " KIND_STORAGE_OPTIONS " AS options, "
	"CASE WHEN c.relrowsecurity THEN 'true' END AS row_security, "
	"CASE WHEN c.relforcerowsecurity THEN 'true' END AS force_row_security, "
	"CASE c.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' END AS replica_identity "
	"FROM " KIND_RELATIONS("'r', 'p'"),
	.create = create,
	.alter = change,
	.comment_on = "TABLE"
};

const Kind	mig_kinds_foreign_table = {
	.name = "foreign table",
	.catalog = RelationRelationId,
	.query = KIND_OF_SCHEMA("c", "rel") ", "
	"(SELECT s.srvname FROM pg_foreign_server s WHERE s.oid = f.ftserver) AS server, "
	KIND_FOREIGN_OPTIONS("f.ftoptions") " AS options, " INHERITANCE " "
	"FROM " KIND_RELATIONS("'f'")
	"JOIN pg_foreign_table f ON f.ftrelid = c.oid",
	.create = create_foreign,
	.alter = change_foreign,
	.comment_on = "FOREIGN TABLE"
};

/*
 * Write CREATE TABLE with its columns, and what is said of a table afterwards.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	const char *of_type = mig_objects_property(object, "of_type");
	const char *access_method = mig_objects_property(object, "access_method");
	const char *tablespace = mig_objects_property(object, "tablespace");
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %sTABLE %s",
					 mig_objects_property(object, "unlogged") ? "UNLOGGED " : "",
					 mig_objects_qualified(object));
	mig_writer_clause(&sql, object, " OF ", "of_type", "");
	mig_column_append_all(&sql, object, of_type != NULL);
	mig_writer_clause(&sql, object, "\nINHERITS (", "inherits", ")");
	mig_writer_clause(&sql, object, "\nPARTITION BY ", "partition_key", "");
	if (access_method != NULL && strcmp(access_method, "heap") != 0)
		appendStringInfo(&sql, "\nUSING %s", quote_identifier(access_method));
	mig_writer_clause(&sql, object, "\nWITH (", "options", ")");
	if (tablespace != NULL)
		appendStringInfo(&sql, "\nTABLESPACE %s", quote_identifier(tablespace));
	mig_writer_add(writer, object, PHASE_CREATE, "%s", sql.data);
	write_attach(object, writer);
	write_state(object, writer);
}

/*
 * Write CREATE FOREIGN TABLE with its columns.
 */
static void
create_foreign(const SchemaObject *object, Writer *writer)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE FOREIGN TABLE %s", mig_objects_qualified(object));
	mig_column_append_all(&sql, object, false);
	mig_writer_clause(&sql, object, "\nINHERITS (", "inherits", ")");
	appendStringInfo(&sql, "\nSERVER %s",
					 quote_identifier(mig_objects_property(object, "server")));
	mig_writer_clause(&sql, object, "\nOPTIONS (", "options", ")");
	mig_writer_add(writer, object, PHASE_CREATE, "%s", sql.data);
	write_attach(object, writer);
}

/*
 * Write what alters the options of a foreign table; return false when something else
 * differs.
 */
static bool
change_foreign(const Difference *difference, Writer *writer)
{
	if (!mig_writer_has(difference, "options") || list_length(difference->properties) > 1)
		return false;
	mig_writer_change_foreign(difference, "options",
							  psprintf("ALTER %s", mig_writer_target(difference->to)), writer);
	return true;
}

/*
 * Write what makes a table a partition.  It has to have the constraints of its
 * parent by then.
 */
static void
write_attach(const SchemaObject *object, Writer *writer)
{
	const char *partition_of = mig_objects_property(object, "partition_of");

	if (partition_of != NULL)
		mig_writer_add(writer, object, PHASE_ATTACH,
					   "ALTER TABLE ONLY %s ATTACH PARTITION %s %s", partition_of,
					   mig_objects_qualified(object),
					   mig_objects_property(object, "partition_bound"));
}

/*
 * Write what only ALTER TABLE can say.
 */
static void
write_state(const SchemaObject *object, Writer *writer)
{
	const char *name = mig_objects_qualified(object);
	const char *identity = mig_objects_property(object, "replica_identity");

	if (mig_objects_property(object, "row_security") != NULL)
		mig_writer_add(writer, object, PHASE_STATE,
					   "ALTER TABLE %s ENABLE ROW LEVEL SECURITY", name);
	if (mig_objects_property(object, "force_row_security") != NULL)
		mig_writer_add(writer, object, PHASE_STATE,
					   "ALTER TABLE ONLY %s FORCE ROW LEVEL SECURITY", name);
	if (identity != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "ALTER TABLE ONLY %s REPLICA IDENTITY %s",
					   name, strcmp(identity, "full") == 0 ? "FULL" : "NOTHING");
}

/*
 * Write what alters a table in place; return false when that cannot be done.
 */
static bool
change(const Difference *difference, Writer *writer)
{
	ListCell   *lc;

	foreach(lc, difference->properties)
		if (!change_property(difference, ((ObjectProperty *) lfirst(lc))->name, writer))
			return false;
	return true;
}

/*
 * Write what alters a property; return false when that cannot be done.
 */
static bool
change_property(const Difference *difference, const char *property, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *name = mig_objects_qualified(to);
	const char *value = mig_objects_property(to, property);

	if (strcmp(property, "unlogged") == 0)
		mig_writer_add(writer, to, PHASE_STATE, "ALTER TABLE %s SET %s", name,
					   value != NULL ? "UNLOGGED" : "LOGGED")->hazard =
			"rewrites the table under an exclusive lock";
	else if (strcmp(property, "options") == 0)
		mig_writer_change_options(difference, property, psprintf("ALTER TABLE %s", name),
								  writer);
	else if (strcmp(property, "tablespace") == 0)
		mig_writer_add(writer, to, PHASE_STATE, "ALTER TABLE %s SET TABLESPACE %s", name,
					   value != NULL ? quote_identifier(value) : "pg_default")->hazard =
			"copies the table under an exclusive lock";
	else if (strcmp(property, "partition_of") == 0)
		return change_partition(difference, writer);
	else if (strcmp(property, "partition_bound") == 0)
		return mig_writer_has(difference, "partition_of") ||
			change_partition(difference, writer);
	else if (strcmp(property, "inherits") == 0)
		return change_inherits(difference, writer);
	else if (strcmp(property, "access_method") == 0 && value != NULL &&
			 mig_objects_property(difference->from, property) != NULL &&
			 MIG_CAN_SET_ACCESS_METHOD)
		mig_writer_add(writer, to, PHASE_STATE, "ALTER TABLE %s SET ACCESS METHOD %s", name,
					   quote_identifier(value))->hazard =
			"rewrites the table under an exclusive lock";
	else if (strcmp(property, "of_type") == 0)
		mig_writer_add(writer, to, PHASE_STATE, "ALTER TABLE %s %s%s", name,
					   value != NULL ? "OF " : "NOT OF", value != NULL ? value : "");
	else if (strcmp(property, "row_security") == 0 ||
			 strcmp(property, "force_row_security") == 0 ||
			 strcmp(property, "replica_identity") == 0)
		change_state(difference, property, writer);
	else
		return false;
	return true;
}

/*
 * Write what alters row security or the replica identity.
 */
static void
change_state(const Difference *difference, const char *property, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *value = mig_objects_property(to, property);
	const char *what = "REPLICA IDENTITY DEFAULT";

	if (strcmp(property, "row_security") == 0)
		what = value != NULL ? "ENABLE ROW LEVEL SECURITY" : "DISABLE ROW LEVEL SECURITY";
	else if (strcmp(property, "force_row_security") == 0)
		what = value != NULL ? "FORCE ROW LEVEL SECURITY" : "NO FORCE ROW LEVEL SECURITY";
	else if (value != NULL)
		what = strcmp(value, "full") == 0 ? "REPLICA IDENTITY FULL" :
			"REPLICA IDENTITY NOTHING";
	mig_writer_add(writer, to, PHASE_STATE, "ALTER TABLE ONLY %s %s",
				   mig_objects_qualified(to), what);
}

/*
 * Write what detaches a partition and attaches it, with its new bound or elsewhere.
 */
static bool
change_partition(const Difference *difference, Writer *writer)
{
	const char *before = mig_objects_property(difference->from, "partition_of");

	if (before != NULL)
		mig_writer_add(writer, difference->to, PHASE_CREATE,
					   "ALTER TABLE %s DETACH PARTITION %s", before,
					   mig_objects_qualified(difference->from));
	write_attach(difference->to, writer);
	return true;
}

/*
 * Write what has a table inherit from others.  Return false where one of several stays.
 */
static bool
change_inherits(const Difference *difference, Writer *writer)
{
	const char *before = mig_objects_property(difference->from, "inherits");
	const char *after = mig_objects_property(difference->to, "inherits");
	const char *name = mig_objects_qualified(difference->to);

	if ((before != NULL && strchr(before, ',') != NULL) ||
		(after != NULL && strchr(after, ',') != NULL))
		return false;
	if (before != NULL)
		mig_writer_add(writer, difference->to, PHASE_CREATE, "ALTER TABLE %s NO INHERIT %s",
					   name, before);
	if (after != NULL)
		mig_writer_add(writer, difference->to, PHASE_STATE, "ALTER TABLE %s INHERIT %s",
					   name, after);
	return true;
}
