/*
 * indexes.c
 *		The indexes of tables, read from the server's catalogs.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "stepwise/indexes.h"
#include "store/scope.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static List *collect_oids(uint64 n, MemoryContext context);

/*
 * The TOAST tables (Oid) that some tables (Oid) have.
 */
List *
mig_indexes_toast_tables(List *relations, MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT reltoastrelid FROM pg_catalog.pg_class"
		" WHERE oid OPERATOR(pg_catalog.=) ANY ($1)"
		" AND reltoastrelid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid",
		1, {OIDARRAYOID}, NULL
	};
	Datum		values[1] = {mig_scope_oid_array(relations)};

	return collect_oids(mig_scope_read(&query, values, NULL), context);
}

/*
 * The tables (Oid) of a schema that can have indexes; of all schemas for
 * InvalidOid.
 */
List *
mig_indexes_tables(Oid schema, MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT oid FROM pg_catalog.pg_class"
		" WHERE relkind OPERATOR(pg_catalog.=) ANY ('{r,m,p}'::pg_catalog.\"char\"[])"
		" AND ($1 OPERATOR(pg_catalog.=) 0::pg_catalog.oid"
		" OR relnamespace OPERATOR(pg_catalog.=) $1)",
		1, {OIDOID}, NULL
	};
	Datum		values[1] = {ObjectIdGetDatum(schema)};

	return collect_oids(mig_scope_read(&query, values, NULL), context);
}

/*
 * All indexes (Oid) of some tables (Oid), valid or not.
 */
List *
mig_indexes_read(List *relations, MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT indexrelid FROM pg_catalog.pg_index"
		" WHERE indrelid OPERATOR(pg_catalog.=) ANY ($1)",
		1, {OIDARRAYOID}, NULL
	};
	Datum		values[1] = {mig_scope_oid_array(relations)};

	return collect_oids(mig_scope_read(&query, values, NULL), context);
}

/*
 * The invalid indexes (InvalidIndex *) of some tables (Oid), but those in
 * except (Oid) and partitioned ones.
 */
List *
mig_indexes_read_invalid(List *relations, List *except, MemoryContext context)
{
	static ScopeQuery query = {
		"SELECT i.indexrelid, i.indrelid, n.nspname::pg_catalog.text, c.relname::pg_catalog.text"
		" FROM pg_catalog.pg_index i"
		" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid"
		" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
		" WHERE i.indrelid OPERATOR(pg_catalog.=) ANY ($1) AND NOT i.indisvalid"
		" AND c.relkind OPERATOR(pg_catalog.=) 'i'::pg_catalog.\"char\""
		" AND i.indexrelid OPERATOR(pg_catalog.<>) ALL ($2)"
		" ORDER BY i.indexrelid",
		2, {OIDARRAYOID, OIDARRAYOID}, NULL
	};
	Datum		values[2] = {mig_scope_oid_array(relations), mig_scope_oid_array(except)};
	uint64		n = mig_scope_read(&query, values, NULL);
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *found = NIL;

	for (uint64 row = 0; row < n; row++)
	{
		InvalidIndex *index = palloc(sizeof(InvalidIndex));
		bool		isnull;

		index->index = DatumGetObjectId(mig_scope_value(row, 1, OIDOID, &isnull));
		index->relation = DatumGetObjectId(mig_scope_value(row, 2, OIDOID, &isnull));
		index->schema = mig_scope_text(row, 3);
		index->name = mig_scope_text(row, 4);
		found = lappend(found, index);
	}
	MemoryContextSwitchTo(old);
	return found;
}

/*
 * The one column of the last result's n rows.
 */
static List *
collect_oids(uint64 n, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *oids = NIL;
	bool		isnull;

	for (uint64 row = 0; row < n; row++)
		oids = lappend_oid(oids, DatumGetObjectId(mig_scope_value(row, 1, OIDOID, &isnull)));
	MemoryContextSwitchTo(old);
	return oids;
}
