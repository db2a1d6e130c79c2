/*
 * declare.h
 *		Running the DDL of a model, or the script of a revision, in the scratch.
 */
#ifndef MIG_DECLARE_H
#define MIG_DECLARE_H

#include "migrate.h"

#include "schema/mend.h"
#include "store/revisions.h"

extern void mig_declare_model(const char *name, const char *ddl, DeclareNotes *notes);
extern void mig_declare_revision(const StoredScript *stored, MigDirection direction,
								 const char *progress, const char *function,
								 DeclareNotes *notes);
extern void mig_declare_rows(const char *revision, const char *when, const char *sql,
							 DeclareNotes *notes);
extern void mig_declare_for_real(const char *name, const char *ddl, DeclareNotes *notes);

#endif							/* MIG_DECLARE_H */
