/*
 * published.h
 *		The live publications, in the scratch.
 */
#ifndef MIG_PUBLISHED_H
#define MIG_PUBLISHED_H

#include "migrate.h"

#include "nodes/nodes.h"

extern bool mig_published_is_asked(const char *sql);
extern void mig_published_suspend(bool hide);
extern void mig_published_make_room(Node *stmt);
extern void mig_published_end(void);

#endif							/* MIG_PUBLISHED_H */
