/*
 * alter.h
 *		What alters an object in place.
 */
#ifndef MIG_ALTER_H
#define MIG_ALTER_H

#include "migrate.h"

#include "kind/writer.h"

extern bool mig_alter_write(const Difference *difference, Writer *writer);

#endif							/* MIG_ALTER_H */
