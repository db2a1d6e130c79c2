/*
 * index.h
 *		Properties of indexes, which those of constraints have, too.
 */
#ifndef MIG_INDEX_H
#define MIG_INDEX_H

#include "migrate.h"

#include "kind/objects.h"
#include "kind/writer.h"

/* Properties of an index ic (pg_class) and i (pg_index), none where they are null. */
#define KIND_INDEX_PROPERTIES \
	KIND_TABLESPACE("ic.reltablespace") " AS index_tablespace, " \
	KIND_OPTIONS("ic.reloptions") " AS index_options, " \
	"CASE WHEN i.indisclustered THEN 'true' END AS is_clustered, " \
	"CASE WHEN i.indisreplident THEN 'true' END AS replica_identity, " \
	"(SELECT p.inhparent::regclass::text FROM pg_inherits p WHERE p.inhrelid = ic.oid) " \
	"AS partition_of, " \
	"(SELECT string_agg(a.attnum || ' ' || a.attstattarget, ', ' ORDER BY a.attnum) " \
	"FROM pg_attribute a WHERE a.attrelid = ic.oid AND a.attstattarget >= 0) " \
	"AS index_statistics "

extern const char *mig_index_storage(const SchemaObject *constraint);
extern void mig_index_alter_storage(const SchemaObject *constraint, Writer *writer);
extern bool mig_index_change(const Difference *difference, const char *property,
							 Writer *writer);
extern void mig_index_create_state(const SchemaObject *object, Writer *writer);

#endif							/* MIG_INDEX_H */
