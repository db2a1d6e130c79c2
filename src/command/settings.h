/*
 * settings.h
 *		Remembering what a session has set, and putting it back.
 */
#ifndef MIG_SETTINGS_H
#define MIG_SETTINGS_H

#include "migrate.h"

/* What a session had set; opaque to callers. */
typedef struct SessionSettings SessionSettings;

extern SessionSettings *mig_settings_remember(MemoryContext context);
extern void mig_settings_put_back(const SessionSettings *settings);

#endif							/* MIG_SETTINGS_H */
