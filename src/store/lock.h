/*
 * lock.h
 *		The run lock: one writer of our tables at a time in a database.
 */
#ifndef MIG_LOCK_H
#define MIG_LOCK_H

#include "migrate.h"

/*
 * The keys, as pg_locks shows them: locktype advisory, classid and objid
 * below, objsubid 2.  The run lock is what every writer takes; a stepwise run
 * holds the second too, to be told apart.  The third is that of the scratch.
 */
#define MIG_LOCK_CLASS		0x6d696772	/* 1835624306, "migr" */
#define MIG_LOCK_RUN		1
#define MIG_LOCK_STEPWISE	2
#define MIG_LOCK_SCRATCH	3
#define MIG_LOCK_COMPARED	4

extern void mig_lock_acquire(const char *function);
extern void mig_lock_scratch(void);

/* for runs that commit step by step */
extern void mig_lock_hold(const char *function);
extern bool mig_lock_is_held(void);
extern void mig_lock_check_held(void);
extern void mig_lock_release(void);
extern int	mig_lock_stepwise_pid(void);
extern void mig_lock_pause(int ms);

#endif							/* MIG_LOCK_H */
