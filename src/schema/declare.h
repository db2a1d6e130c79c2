/*
 * declare.h
 *		Running the DDL of a model in the scratch.
 */
#ifndef MIG_DECLARE_H
#define MIG_DECLARE_H

#include "migrate.h"

#include "schema/mend.h"

extern void mig_declare_model(const char *name, const char *ddl, DeclareNotes *notes);

#endif							/* MIG_DECLARE_H */
