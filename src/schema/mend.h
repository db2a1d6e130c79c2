/*
 * mend.h
 *		A statement of a script, in the form that the scratch can run.
 */
#ifndef MIG_MEND_H
#define MIG_MEND_H

#include "migrate.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "schema/notes.h"

extern List *mig_mend_statement(RawStmt *raw, DeclareNotes *notes);
extern List *mig_mend_plain(RawStmt *raw);
extern void mig_mend_own_schema(const CreateSchemaStmt *stmt, DeclareNotes *notes);
extern void mig_mend_note_extension(DeclareNotes *notes, const char *name, bool created);

#endif							/* MIG_MEND_H */
