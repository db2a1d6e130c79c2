/*
 * path.c
 *		The search_path of the session, as scripts set it.
 *
 * What SHOW prints cannot always be written after SET: an empty name in quotes, or $user
 * without them.
 */
#include "migrate.h"

#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "schema/path.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

static List *names_of_path(void);

/*
 * Return the value for SET that is the search_path with a schema in front of it; NULL: none.
 */
char *
mig_path_with(const char *schema)
{
	List	   *names = names_of_path();
	StringInfoData value;
	ListCell   *lc;

	initStringInfo(&value);
	if (schema != NULL)
		appendStringInfoString(&value, quote_identifier(schema));
	foreach(lc, names)
	{
		const char *name = lfirst(lc);

		appendStringInfo(&value, "%s%s", value.len > 0 ? ", " : "",
						 *name != '\0' ? quote_identifier(name) : "''");
	}
	return value.len > 0 ? value.data : pstrdup("''");
}

/*
 * Return whether other schemas are searched before pg_catalog, so that a name of the server's
 * can mean something else.
 */
bool
mig_path_hides_server(void)
{
	List	   *names = names_of_path();
	ListCell   *lc;

	foreach(lc, names)
		if (strcmp(lfirst(lc), "pg_catalog") == 0)
			return lfirst(lc) != linitial(names);
	return false;
}

/*
 * Return the names (char *) in the search_path.
 */
static List *
names_of_path(void)
{
	List	   *names;

	if (!SplitIdentifierString(pstrdup(namespace_search_path), ',', &names))
		elog(ERROR, "search_path \"%s\" is no list", namespace_search_path);
	return names;
}
