/*
 * unfinished.h
 *		Scripts that have begun and not ended: who is refused, told or asked.
 */
#ifndef MIG_UNFINISHED_H
#define MIG_UNFINISHED_H

#include "migrate.h"

#include "files/native.h"
#include "store/partial.h"

extern List *mig_unfinished_read(void);
extern bool mig_unfinished_exists(void);
extern void mig_unfinished_refuse(List *partials);
extern void mig_unfinished_refuse_direction(List *partials, MigDirection direction,
											const Bitmapset *rows);
extern void mig_unfinished_check_edit(const Revision *rev);
extern void mig_unfinished_settle(const char *revision);
extern void mig_unfinished_tell(void);
extern char *mig_unfinished_describe(const Partial *partial);

#endif							/* MIG_UNFINISHED_H */
