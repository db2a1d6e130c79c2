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
extern void mig_column_write_type(const SchemaObject *column, Writer *writer);
extern void mig_column_write_default(const SchemaObject *column, Writer *writer);
extern void mig_column_drop_default(const SchemaObject *column, Writer *writer);

#endif							/* MIG_COLUMN_H */
