/*
 * column.h
 *		Columns, as the statements that make and change their tables have them.
 */
#ifndef MIG_COLUMN_H
#define MIG_COLUMN_H

#include "migrate.h"

#include "kind/objects.h"
#include "kind/writer.h"
#include "lib/stringinfo.h"

extern void mig_column_append_all(StringInfo sql, const SchemaObject *owner, bool typed);
extern void mig_column_write_type(const SchemaObject *column, const SchemaObject *from,
								  const SchemaObject *to, Writer *writer);
extern void mig_column_inherit(const SchemaObject *column, const SchemaObject *parent,
							   Writer *writer);
extern const char *mig_column_drop_only(const SchemaObject *column);
extern const char *mig_column_copy(const SchemaObject *column, const char *add);
extern bool mig_column_can_convert(const SchemaObject *from, const SchemaObject *to,
								   const SchemaObject *user);
extern void mig_column_write_storage(const SchemaObject *column, Writer *writer);
extern void mig_column_write_compression(const SchemaObject *column, Writer *writer);
extern void mig_column_write_default(const SchemaObject *column, Writer *writer);
extern void mig_column_drop_default(const SchemaObject *column, Writer *writer);

#endif							/* MIG_COLUMN_H */
