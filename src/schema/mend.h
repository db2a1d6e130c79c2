/*
 * mend.h
 *		A statement of a script, in the form that the scratch can run.
 */
#ifndef MIG_MEND_H
#define MIG_MEND_H

#include "migrate.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

/*
 * What models have named of things that are the database's, not a schema's.  To be
 * zeroed before the first model.
 */
typedef struct DeclareNotes
{
	List	   *extensions;		/* char *: that a model creates, there or not */
	List	   *schemas;		/* char *: likewise */
	List	   *owners;			/* char *: roles that should own something, but that the
								 * caller cannot give anything; it owns that itself */
	MemoryContext context;		/* of the lists */
	bool		replay;			/* scripts of revisions are run again, which may hold
								 * what a model may not */
} DeclareNotes;

extern List *mig_mend_statement(RawStmt *raw, DeclareNotes *notes);
extern void mig_mend_note_extension(DeclareNotes *notes, const char *name, bool created);

#endif							/* MIG_MEND_H */
