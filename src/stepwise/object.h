/*
 * object.h
 *		What a statement creates, drops or detaches.
 */
#ifndef MIG_OBJECT_H
#define MIG_OBJECT_H

#include "migrate.h"

#include "nodes/parsenodes.h"

extern Oid	mig_object_named(const RawStmt *raw);
extern bool mig_object_exists(const RawStmt *raw, Oid object);
extern bool mig_object_fits(const RawStmt *raw, Oid object);

#endif							/* MIG_OBJECT_H */
