/*
 * path.h
 *		The search_path of the session, as scripts set it.
 */
#ifndef MIG_PATH_H
#define MIG_PATH_H

#include "migrate.h"

extern char *mig_path_with(const char *schema);
extern bool mig_path_hides_server(void);

#endif							/* MIG_PATH_H */
