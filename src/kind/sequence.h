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
extern const char *mig_sequence_of_identity(const SchemaObject *column);
extern void mig_sequence_change_identity(const Difference *difference, ObjectPhase phase,
										 const char *name, Writer *writer);
extern void mig_sequence_become_identity(Action *action, const SchemaObject *sequence,
										 const SchemaObject *column, Writer *writer);
extern void mig_sequence_replace_identity(Action *action, const SchemaObject *sequence,
										  const SchemaObject *column);
extern void mig_sequence_follow_identity(Action *action, const SchemaObject *sequence,
										 const SchemaObject *column);

#endif							/* MIG_SEQUENCE_H */
