/*
 * kind.h
 *		What the files of this folder that define kinds share.
 *
 * Each defines constants of type Kind (objects.h), and kinds.c lists them.  The
 * parts of queries here are for relations in the managed schemas.
 */
#ifndef MIG_KIND_H
#define MIG_KIND_H

#include "migrate.h"

#include "kind/objects.h"
#include "kind/writer.h"

/* The relations of a managed schema that have one of the kinds. */
#define KIND_RELATIONS(relkinds) \
	"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace " \
	"AND n.oid = ANY ($1) AND c.relkind IN (" relkinds ") AND c.relpersistence <> 't' " \
	"AND " KIND_NOT_MEMBER("pg_class", "c.oid")

/* True for what is no member of an extension. */
#define KIND_NOT_MEMBER(catalog, id) \
	"NOT EXISTS (SELECT FROM pg_depend xe WHERE xe.classid = '" catalog "'::regclass " \
	"AND xe.objid = " id " AND xe.deptype = 'e')"

/* The first columns of a query for objects x of the database. */
#define KIND_OF_DATABASE(name) \
	"SELECT x.oid AS id, 0 AS subid, 0::oid AS owner, NULL AS schema, NULL AS parent, " \
	name " AS name, NULL AS arguments, "

/* The quoted name of a function, or null for none. */
#define KIND_FUNCTION(column) "CASE WHEN " column " <> 0 THEN " column "::regproc::text END"

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
