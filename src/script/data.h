/*
 * data.h
 *		Whether scripts change rows.
 */
#ifndef MIG_DATA_H
#define MIG_DATA_H

#include "migrate.h"

extern bool mig_data_is_changed(const char *sql);

#endif							/* MIG_DATA_H */
