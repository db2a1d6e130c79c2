/*
 * creation.h
 *		What a statement of a script creates, told by its parse tree.
 */
#ifndef MIG_CREATION_H
#define MIG_CREATION_H

#include "migrate.h"

#include "nodes/parsenodes.h"

/* What a statement creates. */
typedef enum CreationKind
{
	CREATION_OTHER,				/* nothing, or what need not be this schema's: a role,
								 * an extension, what a function creates */
	CREATION_IN_SCHEMA,			/* an object of this database, or a part of one */
	CREATION_TEMPORARY,			/* a temporary relation */
	CREATION_OF_PUBLIC			/* the schema that every database has */
} CreationKind;

extern CreationKind mig_creation_kind(const RawStmt *raw);
extern bool mig_creation_fails_on_existing(const RawStmt *raw);

#endif							/* MIG_CREATION_H */
