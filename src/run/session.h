/*
 * session.h
 *		Remembering what a session has set, and putting it back.
 */
#ifndef MIG_SESSION_H
#define MIG_SESSION_H

#include "migrate.h"

/* What a session had set; opaque to callers. */
typedef struct SessionSettings SessionSettings;

extern SessionSettings *mig_session_remember(MemoryContext context);
extern void mig_session_put_back(const SessionSettings *settings);

#endif							/* MIG_SESSION_H */
