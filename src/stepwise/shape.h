/*
 * shape.h
 *		What an index is, whatever its name: whether it is what a statement
 *		makes, or what another index is.
 */
#ifndef MIG_SHAPE_H
#define MIG_SHAPE_H

#include "migrate.h"

#include "nodes/parsenodes.h"

extern bool mig_shape_fits(const IndexStmt *stmt, Oid table, Oid index);
extern bool mig_shape_same(Oid one, Oid other);

#endif							/* MIG_SHAPE_H */
