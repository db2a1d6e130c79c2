/*
 * units.h
 *		Running a non-transactional script, unit by unit.
 */
#ifndef MIG_UNITS_H
#define MIG_UNITS_H

#include "migrate.h"

#include "run/execute.h"
#include "run/session.h"
#include "utils/timestamp.h"

/* Writes, in the current transaction, that the whole script is done. */
typedef void (*ScriptRecord) (void *arg, TimestampTz started_at);

extern void mig_units_run(const ExecuteScript *script, ScriptRecord record,
						  void *arg, SessionSettings **settings);

#endif							/* MIG_UNITS_H */
