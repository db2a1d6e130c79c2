/*
 * deferred.h
 *		Deferred constraints between the scripts of one transaction.
 */
#ifndef MIG_DEFERRED_H
#define MIG_DEFERRED_H

extern void mig_deferred_begin(void);
extern void mig_deferred_end_script(void);
extern void mig_deferred_end_alone(void);
extern void mig_deferred_suspend(bool suspend);
extern void *mig_deferred_save(void);
extern void mig_deferred_restore(const void *saved);

#endif							/* MIG_DEFERRED_H */
