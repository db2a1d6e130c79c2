/*
 * pieces.h
 *		Running a non-transactional script, piece by piece.
 */
#ifndef MIG_PIECES_H
#define MIG_PIECES_H

#include "migrate.h"

#include "command/execute.h"
#include "command/settings.h"
#include "utils/timestamp.h"

/* Writes, in the current transaction, that the whole script is done. */
typedef void (*PiecesRecord) (void *arg, TimestampTz started_at);

extern void mig_pieces_run(const ExecuteScript *script, PiecesRecord record,
						   void *arg, SessionSettings **settings);

#endif							/* MIG_PIECES_H */
