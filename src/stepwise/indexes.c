/*
 * indexes.c
 *		The indexes of tables, read from the server's catalogs.
 */
#include "migrate.h"

#include "catalog/pg_type.h"
#include "stepwise/indexes.h"
#include "store/query.h"
#include "store/scope.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static List *read_oids(const Scope *scope, StoreQuery *query, Datum *values);
static void *index_of_row(uint64 row);

/*
 * The TOAST tables (Oid) that some tables (Oid) have.
 */
List *
mig_indexes_toast_tables(const Scope *scope, List *relations)
{
	static StoreQuery query = {
		"SELECT reltoastrelid FROM pg_catalog.pg_class"
		" WHERE oid OPERATOR(pg_catalog.=) ANY ($1)"
		" AND reltoastrelid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid",
		1, {OIDARRAYOID}, NULL
	};
	Datum		values[1] = {mig_query_oid_array(relations)};

	return read_oids(scope, &query, values);
}

/*
 * The tables (Oid) of a schema that can have indexes; of all schemas for
 * InvalidOid.
 */
List *
mig_indexes_tables(const Scope *scope, Oid schema)
{
	static StoreQuery query = {
		"SELECT oid FROM pg_catalog.pg_class"
		" WHERE relkind OPERATOR(pg_catalog.=) ANY ('{r,m,p}'::pg_catalog.\"char\"[])"
		" AND ($1 OPERATOR(pg_catalog.=) 0::pg_catalog.oid"
		" OR relnamespace OPERATOR(pg_catalog.=) $1)",
		1, {OIDOID}, NULL
	};
	Datum		values[1] = {ObjectIdGetDatum(schema)};

	return read_oids(scope, &query, values);
}

/*
 * All indexes (Oid) of some tables (Oid), valid or not.
 */
List *
mig_indexes_read(const Scope *scope, List *relations)
{
	static StoreQuery query = {
		"SELECT indexrelid FROM pg_catalog.pg_index"
		" WHERE indrelid OPERATOR(pg_catalog.=) ANY ($1)",
		1, {OIDARRAYOID}, NULL
	};
	Datum		values[1] = {mig_query_oid_array(relations)};

	return read_oids(scope, &query, values);
}

/*
 * The invalid indexes (InvalidIndex *) of some tables (Oid), but those in
 * except (Oid) and partitioned ones.
 */
List *
mig_indexes_read_invalid(const Scope *scope, List *relations, List *except)
{
	static StoreQuery query = {
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
	Datum		values[2] = {mig_query_oid_array(relations), mig_query_oid_array(except)};

	return mig_query_rows(scope, &query, values, index_of_row);
}

/*
 * Return an InvalidIndex, for mig_query_rows.
 */
static void *
index_of_row(uint64 row)
{
	InvalidIndex *index = palloc(sizeof(InvalidIndex));
	bool		isnull;

	index->index = DatumGetObjectId(mig_query_value(row, 1, OIDOID, &isnull));
	index->relation = DatumGetObjectId(mig_query_value(row, 2, OIDOID, &isnull));
	index->schema = mig_query_text(row, 3);
	index->name = mig_query_text(row, 4);
	return index;
}

/*
 * Run a query whose one column is OIDs, and return them (Oid).
 */
static List *
read_oids(const Scope *scope, StoreQuery *query, Datum *values)
{
	uint64		n = mig_query_read(scope, query, values, NULL);
	MemoryContext old = MemoryContextSwitchTo(scope->context);
	List	   *oids = NIL;
	bool		isnull;

	for (uint64 row = 0; row < n; row++)
		oids = lappend_oid(oids,
						   DatumGetObjectId(mig_query_value(row, 1, OIDOID,
															&isnull)));
	MemoryContextSwitchTo(old);
	return oids;
}
