/*
 * clock.h
 *		How long a rehearsal may take, and how long it waits for locks of others.
 */
#ifndef MIG_CLOCK_H
#define MIG_CLOCK_H

#include "migrate.h"

extern void mig_clock_reset(void);
extern void mig_clock_begin(void);
extern void mig_clock_end(void);
extern void mig_clock_check(void);
extern bool mig_clock_ran_out(void);
extern void mig_clock_mark(void);
extern int64 mig_clock_waited(void);
extern void mig_clock_limit_waits(void);
extern void mig_clock_find_holder(void);
extern char *mig_clock_describe_holder(void);

#endif							/* MIG_CLOCK_H */
