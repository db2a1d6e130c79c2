/*
 * index.c
 *		Indexes, besides those of constraints, which share their properties.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "kind/index.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "utils/builtins.h"

static void create(const SchemaObject *object, Writer *writer);
static bool change(const Difference *difference, Writer *writer);
static const char *find_outside(const char *definition, const char *text);
static const char *without_options(const char *definition);
static void write_cluster(const Difference *difference, Writer *writer);
static void write_replica_identity(const Difference *difference, Writer *writer);
static void write_statistics(const SchemaObject *object, const char *list,
							 Writer *writer);

const Kind	mig_kinds_index = {
	.name = "index",
	.catalog = RelationRelationId,
	.owner_catalog = RelationRelationId,
	.query = KIND_OF_RELATION("ic", "rel") ", "
	"pg_get_indexdef(ic.oid) AS definition, "
	"CASE WHEN NOT i.indisvalid AND ic.relkind = 'i' THEN 'true' END AS is_invalid, "
	KIND_INDEX_PROPERTIES
	"FROM " KIND_RELATIONS("'r', 'p', 'm'")
	"JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class ic ON ic.oid = i.indexrelid "
	"AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = ic.oid "
	"AND k.contype IN ('p', 'u', 'x') AND k.conrelid = c.oid)",
	.create = create,
	.alter = change,
	.comment_on = "INDEX",
	.comment_name = mig_objects_qualified
};

/*
 * Write CREATE INDEX.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	const char *tablespace = mig_objects_property(object, "index_tablespace");
	const char *definition = mig_objects_property(object, "definition");

	if (tablespace != NULL)
		mig_writer_add(writer, object, PHASE_CREATE, "SET default_tablespace = %s;\n%s;\n"
					   "SET default_tablespace = ''", quote_identifier(tablespace), definition);
	else
		mig_writer_add(writer, object, PHASE_CREATE, "%s", definition);
	mig_index_create_state(object, writer);
}

/*
 * Return what the definition of a constraint leaves out of its index.
 */
const char *
mig_index_storage(const SchemaObject *constraint)
{
	const char *options = mig_objects_property(constraint, "index_options");
	const char *tablespace = mig_objects_property(constraint, "index_tablespace");

	return psprintf("%s%s%s%s%s", options ? " WITH (" : "", options ? options : "",
					options ? ")" : "", tablespace ? " USING INDEX TABLESPACE " : "",
					tablespace ? quote_identifier(tablespace) : "");
}

/*
 * Write the same as statements of their own.
 */
void
mig_index_alter_storage(const SchemaObject *constraint, Writer *writer)
{
	const char *options = mig_objects_property(constraint, "index_options");
	const char *tablespace = mig_objects_property(constraint, "index_tablespace");
	const char *name = mig_objects_qualified(constraint);

	if (options != NULL)
		mig_writer_add(writer, constraint, PHASE_STATE, "ALTER INDEX %s SET (%s)", name,
					   options);
	if (tablespace != NULL)
		mig_writer_add(writer, constraint, PHASE_STATE, "ALTER INDEX %s SET TABLESPACE %s",
					   name, quote_identifier(tablespace));
}

/*
 * Write what is said of an index, or that of a constraint, when it is there.
 */
void
mig_index_create_state(const SchemaObject *object, Writer *writer)
{
	const char *partition_of = mig_objects_property(object, "partition_of");
	const char *statistics = mig_objects_property(object, "index_statistics");

	if (partition_of != NULL)
		mig_writer_add(writer, object, PHASE_ATTACH, "ALTER INDEX %s ATTACH PARTITION %s",
					   partition_of, mig_objects_qualified(object));
	if (mig_objects_property(object, "is_clustered") != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "ALTER TABLE %s CLUSTER ON %s",
					   mig_objects_parent(object), quote_identifier(object->name));
	if (mig_objects_property(object, "replica_identity") != NULL)
		mig_writer_add(writer, object, PHASE_STATE,
					   "ALTER TABLE ONLY %s REPLICA IDENTITY USING INDEX %s",
					   mig_objects_parent(object), quote_identifier(object->name));
	if (statistics != NULL)
		write_statistics(object, statistics, writer);
}

/*
 * Write the statistics targets of an index's columns, a list of numbers and
 * targets.
 */
static void
write_statistics(const SchemaObject *object, const char *list, Writer *writer)
{
	const char *at = list;

	while (at != NULL)
	{
		int			column;
		int			value;

		if (sscanf(at, "%d %d", &column, &value) != 2)
			elog(ERROR, "unexpected statistics targets \"%s\"", list);
		mig_writer_add(writer, object, PHASE_STATE,
					   "ALTER INDEX %s ALTER COLUMN %d SET STATISTICS %d",
					   mig_objects_qualified(object), column, value);
		at = strchr(at, ',');
		at = at != NULL ? at + 1 : NULL;
	}
}

/*
 * Write what alters an index in place; return false when that cannot be done.
 */
static bool
change(const Difference *difference, Writer *writer)
{
	ListCell   *lc;

	foreach(lc, difference->properties)
	{
		const char *name = ((ObjectProperty *) lfirst(lc))->name;

		if (strcmp(name, "definition") == 0 &&
			strcmp(without_options(mig_objects_property(difference->from, name)),
				   without_options(mig_objects_property(difference->to, name))) == 0)
			continue;
		if (!mig_index_change(difference, name, writer))
			return false;
	}
	return true;
}

/*
 * Return the definition of an index without its storage parameters.
 */
static const char *
without_options(const char *definition)
{
	const char *with = find_outside(definition, " WITH (");
	const char *end = with;
	bool		quoted = false;

	if (with == NULL)
		return definition;
	for (; *end != '\0' && (quoted || *end != ')'); end++)
		if (*end == '\'')
			quoted = !quoted;
	return psprintf("%.*s%s", (int) (with - definition), definition, *end ? end + 1 : end);
}

/*
 * Return where a text is in a definition, outside of names, literals and parentheses; NULL:
 * nowhere.
 */
static const char *
find_outside(const char *definition, const char *text)
{
	char		quote = '\0';
	int			depth = 0;

	for (const char *at = definition; *at != '\0'; at++)
	{
		if (quote != '\0')
			quote = *at == quote ? '\0' : quote;
		else if (depth == 0 && strncmp(at, text, strlen(text)) == 0)
			return at;
		else if (*at == '"' || *at == '\'')
			quote = *at;
		else if (*at == '(' || *at == ')')
			depth += *at == '(' ? 1 : -1;
	}
	return NULL;
}

/*
 * Write what alters a property of an index, or of that of a constraint; return false when
 * that cannot be done.
 */
bool
mig_index_change(const Difference *difference, const char *property, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *name = mig_objects_qualified(to);
	const char *value = mig_objects_property(to, property);

	if (strcmp(property, "index_options") == 0)
		mig_writer_change_options(difference, property, psprintf("ALTER INDEX %s", name),
								  writer);
	else if (strcmp(property, "index_tablespace") == 0)
		mig_writer_add(writer, to, PHASE_STATE, "ALTER INDEX %s SET TABLESPACE %s", name,
					   value != NULL ? quote_identifier(value) : "pg_default");
	else if (strcmp(property, "is_clustered") == 0)
		write_cluster(difference, writer);
	else if (strcmp(property, "replica_identity") == 0)
		write_replica_identity(difference, writer);
	else if (strcmp(property, "index_statistics") == 0 && value != NULL)
		write_statistics(to, value, writer);
	else if (strcmp(property, "index_comment") == 0)
		mig_writer_add(writer, to, PHASE_COMMENT, "COMMENT ON INDEX %s IS %s", name,
					   value != NULL ? quote_literal_cstr(value) : "NULL");
	else
		return false;
	return true;
}

/*
 * Write CLUSTER ON, or SET WITHOUT CLUSTER before another index gets it.
 */
static void
write_cluster(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;

	if (mig_objects_property(to, "is_clustered") != NULL)
		mig_writer_add(writer, to, PHASE_STATE, "ALTER TABLE %s CLUSTER ON %s",
					   mig_objects_parent(to), quote_identifier(to->name));
	else
		mig_writer_add(writer, to, PHASE_CREATE, "ALTER TABLE %s SET WITHOUT CLUSTER",
					   mig_objects_parent(to));
}

/*
 * Write REPLICA IDENTITY USING INDEX, or the default one before another index gets it.
 */
static void
write_replica_identity(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;

	if (mig_objects_property(to, "replica_identity") != NULL)
		mig_writer_add(writer, to, PHASE_STATE,
					   "ALTER TABLE ONLY %s REPLICA IDENTITY USING INDEX %s",
					   mig_objects_parent(to), quote_identifier(to->name));
	else
		mig_writer_add(writer, to, PHASE_CREATE,
					   "ALTER TABLE ONLY %s REPLICA IDENTITY DEFAULT", mig_objects_parent(to));
}
