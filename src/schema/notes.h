/*
 * notes.h
 *		What is remembered while models are run in the scratch.
 */
#ifndef MIG_NOTES_H
#define MIG_NOTES_H

#include "migrate.h"

#include "kind/objects.h"
#include "nodes/pg_list.h"

/*
 * What models have named of things that are the database's, not a schema's.  To be
 * zeroed before the first model, but for what was there before.
 */
typedef struct DeclareNotes
{
	const Schema *before;		/* of the database, without any model; NULL: unknown */
	List	   *extensions;		/* char *: that a model creates, there or not */
	List	   *extension_schemas;	/* ObjectProperty *: where it puts them */
	List	   *schemas;		/* char *: likewise */
	List	   *owners;			/* char *: roles that should own something, but that the
								 * caller cannot give anything; it owns that itself */
	List	   *kept;			/* ObjectAddress *: live objects that a model creates, but
								 * the caller cannot; they count as they are */
	MemoryContext context;		/* of the lists */
	bool		new_rights;		/* what creates a schema makes it the creator's, though
								 * it is there */
	bool		reads;			/* the last statement may depend on rows that are there */
	bool		uncommitted;	/* enum values that a script adds are not committed for it */
	bool		replay;			/* scripts of revisions are run again, which may hold
								 * what a model may not */
} DeclareNotes;

#endif							/* MIG_NOTES_H */
