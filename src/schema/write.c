/*
 * write.c
 *		Schemas as scripts.
 */
#include "migrate.h"

#include "kind/grants.h"
#include "kind/kinds.h"
#include "kind/writer.h"
#include "lib/stringinfo.h"
#include "schema/order.h"
#include "schema/path.h"
#include "schema/write.h"
#include "script/text.h"

static char *write_objects(const Schema *schema, List *objects, const char *path);
static bool is_written(const SchemaObject *object);
static void append_unwritten(StringInfo script, const SchemaObject *object);

/*
 * Return a script that makes some objects (SchemaObject *) of a schema, whose uses
 * have been read, where there are none of them; what they use has to be among them.
 * What migrate cannot write is named in comments.
 */
char *
mig_write_schema(const Schema *schema, List *objects)
{
	return write_objects(schema, objects, "''");
}

/*
 * The same for the scratch: what the functions name without a schema, which some of the
 * statements call, is found as the caller finds it.
 */
char *
mig_write_again(const Schema *schema, List *objects)
{
	return write_objects(schema, objects, mig_path_with("pg_catalog"));
}

/*
 * Return a script that makes some objects, with a search_path (as SET has it).
 */
static char *
write_objects(const Schema *schema, List *objects, const char *path)
{
	Writer		writer = {.actions = NIL};
	OrderedChange change = {.to = schema};
	StringInfoData script;
	List	   *actions;
	char	   *circle;
	ListCell   *lc;

	initStringInfo(&script);
	foreach(lc, objects)
	{
		if (is_written(lfirst(lc)))
		{
			mig_writer_object(&writer, lfirst(lc));
			mig_grants_write(lfirst(lc), &writer);
		}
		else
			append_unwritten(&script, lfirst(lc));
	}
	actions = mig_order_actions(&writer, &change, &circle);
	if (circle != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("objects use each other in a circle"),
				 errdetail("%s", circle)));
	appendStringInfo(&script, "SET search_path = %s;\nSET check_function_bodies = off;\n", path);
	foreach(lc, actions)
		appendStringInfo(&script, "\n%s;\n", ((Action *) lfirst(lc))->sql);
	return script.data;
}

/*
 * Return whether migrate can write an object and all that it is a part of.
 */
static bool
is_written(const SchemaObject *object)
{
	if (object->kind->create == NULL)
		return false;
	return object->owner == NULL || is_written(object->owner);
}

/*
 * Append a comment that names an object which is not written.  Of what belongs to
 * another, that one is enough.
 */
static void
append_unwritten(StringInfo script, const SchemaObject *object)
{
	if (object->owner == NULL)
		mig_text_append_comment(script, psprintf("not written: %s %s", object->kind->name,
												 object->identity));
}
