/*
 * session.h
 *		What a session has set: remembering it, and restoring it.
 */
#ifndef MIG_SESSION_H
#define MIG_SESSION_H

#include "migrate.h"

#include "nodes/pg_list.h"

/* What a session had set; opaque to callers. */
typedef struct SessionSettings SessionSettings;

extern void mig_session_name_user(void);
extern SessionSettings *mig_session_remember(MemoryContext context);
extern void mig_session_restore(const SessionSettings *settings);

extern List *mig_session_changes(const SessionSettings *before, List *earlier,
								 const char *ours);
extern void mig_session_apply(List *changes);
extern void mig_session_set_as_script(const SessionSettings *before, List *changes,
									  const char *name);

#endif							/* MIG_SESSION_H */
