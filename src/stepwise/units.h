/*
 * units.h
 *		Running a non-transactional script, piece by piece.
 */
#ifndef MIG_UNITS_H
#define MIG_UNITS_H

#include "migrate.h"

#include "run/execute.h"
#include "run/session.h"
#include "utils/timestamp.h"

/* Writes, in the current transaction, that the whole script is done. */
typedef void (*PiecesRecord) (void *arg, TimestampTz started_at);

extern void mig_units_run(const ExecuteScript *script, PiecesRecord record,
						   void *arg, SessionSettings **settings);

#endif							/* MIG_UNITS_H */
