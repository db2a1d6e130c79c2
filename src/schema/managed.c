/*
 * managed.c
 *		Which schemas are compared: the project's setting managed_schemas.
 */
#include "migrate.h"

#include "catalog/namespace.h"
#include "revision/ids.h"
#include "schema/managed.h"
#include "store/project.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

/*
 * Return the names (char *) of the managed schemas, in the scope's context.
 */
List *
mig_managed_read(const Scope *scope)
{
	const char *list = mig_project_read_setting(scope, "managed_schemas");
	MemoryContext old = MemoryContextSwitchTo(scope->context);
	List	   *names = mig_managed_parse(list != NULL ? list : "public");

	MemoryContextSwitchTo(old);
	return names;
}

/*
 * Return the names in a list, separated by commas, of identifiers as SQL has
 * them, each once.  Errors: 22023 for no such list, or a schema that cannot be managed.
 */
List *
mig_managed_parse(const char *list)
{
	List	   *names;
	List	   *result = NIL;
	ListCell   *lc;

	if (!SplitIdentifierString(pstrdup(list), ',', &names) || names == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for setting \"%s\": \"%s\"", "managed_schemas", list),
				 errhint("Write the names of the schemas as in search_path.")));
	foreach(lc, names)
	{
		mig_managed_check_name(lfirst(lc));
		if (!mig_ids_contain_all(result, list_make1(lfirst(lc))))
			result = lappend(result, lfirst(lc));
	}
	return result;
}

/*
 * Check that a schema can be managed.  Errors: 22023.
 */
void
mig_managed_check_name(const char *name)
{
	if (strncmp(name, "pg_", 3) == 0 || strcmp(name, "information_schema") == 0 ||
		strcmp(name, MIG_SCHEMA) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("schema \"%s\" cannot be managed", name)));
}

/*
 * Return the OIDs of some schemas, in the order of their names; InvalidOid for one
 * that does not exist.
 */
List *
mig_managed_oids(List *names)
{
	List	   *oids = NIL;
	ListCell   *lc;

	foreach(lc, names)
		oids = lappend_oid(oids, get_namespace_oid(lfirst(lc), true));
	return oids;
}
