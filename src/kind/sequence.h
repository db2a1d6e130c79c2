/*
 * sequence.h
 *		Sequences, besides those of identity columns.
 */
#ifndef MIG_SEQUENCE_H
#define MIG_SEQUENCE_H

#include "migrate.h"

#include "kind/objects.h"
#include "kind/writer.h"

extern const SchemaObject *mig_sequence_of_default(const SchemaObject *column);
extern void mig_sequence_become_identity(Action *action, const SchemaObject *sequence,
										 const char *identity, Writer *writer);
extern void mig_sequence_replace_identity(Action *action, const SchemaObject *sequence,
										  const char *identity);
extern void mig_sequence_follow_identity(Action *action, const SchemaObject *sequence,
										 const char *identity);

#endif							/* MIG_SEQUENCE_H */
