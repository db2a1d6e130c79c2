/*
 * kind.h
 *		What the files of this folder that define kinds share.
 *
 * Each defines constants of type Kind (objects.h), and kinds.c lists them.  Their
 * queries are made of the parts here.
 */
#ifndef MIG_KIND_H
#define MIG_KIND_H

#include "migrate.h"

#include "kind/objects.h"
#include "kind/writer.h"

/* The first columns of a query: those that are no properties. */
#define KIND_COLUMNS(id, subid, owner, schema, parent, name, arguments) \
	"SELECT " id " AS id, " subid " AS subid, " owner "::oid AS owner, " \
	schema " AS schema, " parent " AS parent, " name " AS name, " arguments " AS arguments"

/* Those for objects of the database. */
#define KIND_OF_DATABASE(id, name) \
	KIND_COLUMNS(id, "0", "0", "NULL", "NULL", name, "NULL")

/* Those for objects x of a schema n, whose catalog's columns begin with a prefix. */
#define KIND_OF_SCHEMA(x, prefix) \
	KIND_OF_SCHEMA_WITH(x, prefix, "NULL")
#define KIND_OF_SCHEMA_WITH(x, prefix, arguments) \
	KIND_COLUMNS(x ".oid", "0", "0", "n.nspname", "NULL", x "." prefix "name", arguments)

/* Those for objects x of a relation c. */
#define KIND_OF_RELATION(x, prefix) \
	KIND_COLUMNS(x ".oid", "0", "c.oid", "n.nspname", "c.relname", x "." prefix "name", "NULL")

/* The objects x of a catalog that are in a managed schema n. */
#define KIND_IN_SCHEMAS(catalog, x, prefix) \
	catalog " " x " JOIN pg_namespace n ON n.oid = " x "." prefix "namespace " \
	"AND n.oid = ANY ($1) AND " KIND_NOT_MEMBER(catalog, x ".oid") " "

/* The relations of a managed schema that have one of the kinds. */
#define KIND_RELATIONS(relkinds) \
	KIND_IN_SCHEMAS("pg_class", "c", "rel") \
	"AND c.relkind IN (" relkinds ") AND c.relpersistence <> 't' "

/* True for what is no member of an extension. */
#define KIND_NOT_MEMBER(catalog, id) \
	"NOT EXISTS (SELECT FROM pg_depend xe WHERE xe.classid = '" catalog "'::regclass " \
	"AND xe.objid = " id " AND xe.deptype = 'e')"

/* The quoted name of a function, or null for none. */
#define KIND_FUNCTION(column) "CASE WHEN " column " <> 0 THEN " column "::regproc::text END"

/* An operator, as OPERATOR(schema.name); null for none. */
#define KIND_OPERATOR(id) \
	"(SELECT 'OPERATOR(' || quote_ident(xn.nspname) || '.' || xo.oprname || ')' " \
	"FROM pg_operator xo JOIN pg_namespace xn ON xn.oid = xo.oprnamespace WHERE xo.oid = " id ")"

/* A type, or null for none. */
#define KIND_TYPE(column) "CASE WHEN " column " <> 0 THEN format_type(" column ", NULL) END"

/* When a trigger or a rule fires, as ALTER says it; usual: null. */
#define KIND_ENABLED(column) \
	"CASE " column " WHEN 'D' THEN 'disable' WHEN 'R' THEN 'enable replica' " \
	"WHEN 'A' THEN 'enable always' END"

/* The name of a tablespace, or null for the database's. */
#define KIND_TABLESPACE(id) "(SELECT xs.spcname FROM pg_tablespace xs WHERE xs.oid = " id ")"

/* Options of foreign data, an array of "name=value", as OPTIONS has them. */
#define KIND_FOREIGN_OPTIONS(options) \
	"(SELECT string_agg(quote_ident(split_part(o, '=', 1)) || ' ' || " \
	"quote_literal(substr(o, strpos(o, '=') + 1)), ', ' ORDER BY o) FROM unnest(" options ") o)"

/* The quoted name of an object in a schema, from its id and the name's column. */
#define KIND_QUALIFIED(catalog, prefix, id) \
	"(SELECT quote_ident(qn.nspname) || '.' || quote_ident(q." prefix "name) " \
	"FROM " catalog " q JOIN pg_namespace qn ON qn.oid = q." prefix "namespace " \
	"WHERE q.oid = " id ")"

/*
 * Storage parameters, an array of "name=value", as WITH has them.  The minor
 * releases of November 2026 keep a parameter of their own with columns,
 * pg_attver, which pg_dump leaves out, too.
 */
#define KIND_OPTIONS(options) \
	"(SELECT string_agg(split_part(o, '=', 1) || '=' || " \
	"quote_literal(substr(o, strpos(o, '=') + 1)), ', ' ORDER BY o) FROM unnest(" options ") o " \
	"WHERE o NOT LIKE 'pg\\_attver=%')"

/* The storage parameters of a relation c, with those of its TOAST table. */
#define KIND_STORAGE_OPTIONS \
	KIND_OPTIONS("c.reloptions || (SELECT array_agg('toast.' || o) " \
				 "FROM pg_class t, unnest(t.reloptions) o WHERE t.oid = c.reltoastrelid)")

#endif							/* MIG_KIND_H */
