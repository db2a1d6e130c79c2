/*
 * data.h
 *		Whether scripts change rows, or read them.
 */
#ifndef MIG_DATA_H
#define MIG_DATA_H

#include "migrate.h"

#include "nodes/nodes.h"

extern bool mig_data_is_changed(const char *sql);
extern bool mig_data_is_read(Node *stmt);

#endif							/* MIG_DATA_H */
