/*
 * alter.c
 *		What alters an object in place.
 */
#include "migrate.h"

#include "kind/grants.h"
#include "kind/writer.h"
#include "schema/alter.h"

static bool is_common(const char *property);

/*
 * Write what alters an object in place; return false when that cannot be done.
 */
bool
mig_alter_write(const Difference *difference, Writer *writer)
{
	const Kind *kind = difference->to->kind;
	Difference	own = *difference;
	ListCell   *lc;

	own.properties = NIL;
	foreach(lc, difference->properties)
	{
		ObjectProperty *property = lfirst(lc);

		if (!is_common(property->name))
			own.properties = lappend(own.properties, property);
		else if (strcmp(property->name, "comment") == 0)
			mig_writer_comment(writer, difference->to);
		else if (strcmp(property->name, "security_label") == 0)
			return false;
	}
	if (mig_writer_has(difference, "owner") || mig_writer_has(difference, "privileges"))
		mig_grants_change(difference, writer);
	if (own.properties == NIL)
		return true;
	return kind->alter != NULL && kind->alter(&own, writer);
}

/*
 * Return whether a property is one that all kinds have.
 */
static bool
is_common(const char *property)
{
	return strcmp(property, "comment") == 0 || strcmp(property, "security_label") == 0 ||
		strcmp(property, "owner") == 0 || strcmp(property, "privileges") == 0;
}
