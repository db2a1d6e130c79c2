/*
 * column.h
 *		Columns, as the statements that make their tables have them.
 */
#ifndef MIG_COLUMN_H
#define MIG_COLUMN_H

#include "migrate.h"

#include "kind/objects.h"

extern const char *mig_column_definition(const SchemaObject *column, bool typed);

#endif							/* MIG_COLUMN_H */
