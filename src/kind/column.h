/*
 * column.h
 *		Columns, as the statements that make their tables have them.
 */
#ifndef MIG_COLUMN_H
#define MIG_COLUMN_H

#include "migrate.h"

#include "kind/objects.h"
#include "lib/stringinfo.h"

extern void mig_column_append_all(StringInfo sql, const SchemaObject *owner, bool typed);

#endif							/* MIG_COLUMN_H */
