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

/* What takes away the foreign keys that a partition c has from its parent. */
#define INHERITED_KEYS \
	"CASE WHEN c.relispartition THEN (SELECT string_agg('DROP CONSTRAINT IF EXISTS ' || " \
	"quote_ident(k.conname), ', ' ORDER BY k.conname) FROM pg_constraint k " \
	"JOIN pg_constraint pk ON pk.oid = k.conparentid AND pk.conrelid <> k.conrelid " \
	"WHERE k.conrelid = c.oid AND k.contype = 'f') END"

static void create(const SchemaObject *object, Writer *writer);
static void create_foreign(const SchemaObject *object, Writer *writer);
static bool change_foreign(const Difference *difference, Writer *writer);
static Action *write_attach(const SchemaObject *object, Writer *writer);
static void write_state(const SchemaObject *object, Writer *writer);
static bool change(const Difference *difference, Writer *writer);
static bool change_property(const Difference *difference, const char *property, Writer *writer);
static void change_state(const Difference *difference, const char *property, Writer *writer);
static bool change_partition(const Difference *difference, Writer *writer);
static void change_inherits(const Difference *difference, Writer *writer);
static List *parents_of(const SchemaObject *table);

const Kind	mig_kinds_table = {
	.name = "table",
	.has_rows = true,
	.catalog = RelationRelationId,
	.query = KIND_OF_SCHEMA("c", "rel") ", "
	"CASE c.relpersistence WHEN 'u' THEN 'true' END AS unlogged, "
	KIND_TYPE("c.reloftype") " AS of_type, "
	"pg_get_partkeydef(c.oid) AS partition_key, " INHERITANCE ", "
	INHERITED_KEYS " AS " KIND_STANDIN ", "
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
 * Write what makes a table a partition, and return it; NULL: it is none.  It has to have
 * the constraints of its parent by then.
 */
static Action *
write_attach(const SchemaObject *object, Writer *writer)
{
	const char *partition_of = mig_objects_property(object, "partition_of");

	if (partition_of == NULL)
		return NULL;
	return mig_writer_add(writer, object, PHASE_ATTACH,
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
		change_inherits(difference, writer);
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
	const char *after = mig_objects_property(difference->to, "partition_of");
	const char *keys = mig_objects_has_property(difference->from, KIND_STANDIN) ?
		mig_objects_property(difference->from, KIND_STANDIN) : NULL;
	Action	   *attach;

	if (before != NULL)
		mig_writer_add(writer, difference->to, PHASE_CREATE,
					   "ALTER TABLE %s DETACH PARTITION %s", before,
					   mig_objects_qualified(difference->from));
	/* the server leaves those of the parent, and takes them as its again */
	if (keys != NULL && (after == NULL || strcmp(before, after) != 0))
		mig_writer_add(writer, difference->to, PHASE_CREATE, "ALTER TABLE %s %s",
					   mig_objects_qualified(difference->from), keys);
	attach = write_attach(difference->to, writer);
	if (attach != NULL)
		attach->hazard = "scans the partition under an exclusive lock, and fails on rows out of its bound";
	return true;
}

/*
 * Write what has a table inherit from others, in their order: a new one comes last.  Those
 * stay with which the new list begins, others go, to come again or not.
 */
static void
change_inherits(const Difference *difference, Writer *writer)
{
	List	   *before = parents_of(difference->from);
	List	   *after = parents_of(difference->to);
	const char *name = mig_objects_qualified(difference->to);
	int			kept = 0;
	ListCell   *lc;

	foreach(lc, before)
	{
		if (kept < list_length(after) && strcmp(lfirst(lc), list_nth(after, kept)) == 0)
			kept++;
		else
			mig_writer_add(writer, difference->to, PHASE_CREATE,
						   "ALTER TABLE %s NO INHERIT %s", name, (char *) lfirst(lc));
	}
	for (int i = kept; i < list_length(after); i++)
		mig_writer_add(writer, difference->to, PHASE_STATE, "ALTER TABLE %s INHERIT %s",
					   name, (char *) list_nth(after, i));
}

/*
 * Return the quoted names (char *) of the tables that one inherits from.
 */
static List *
parents_of(const SchemaObject *table)
{
	const char *at = mig_objects_property(table, "inherits");
	List	   *parents = NIL;

	while (at != NULL && *at != '\0')
	{
		const char *end = at;
		bool		quoted = false;

		for (; *end != '\0' && (quoted || *end != ','); end++)
			if (*end == '"')
				quoted = !quoted;
		parents = lappend(parents, pnstrdup(at, end - at));
		at = end + strspn(end, ", ");
	}
	return parents;
}
