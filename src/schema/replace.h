/*
 * replace.h
 *		Live objects of the database that a model makes, too.
 */
#ifndef MIG_REPLACE_H
#define MIG_REPLACE_H

#include "migrate.h"

#include "catalog/objectaddress.h"
#include "nodes/nodes.h"
#include "schema/notes.h"

extern bool mig_replace_live(const Node *stmt, DeclareNotes *notes);
extern bool mig_replace_is_kept(const DeclareNotes *notes, const ObjectAddress *object);

#endif							/* MIG_REPLACE_H */
