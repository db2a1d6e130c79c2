/*
 * effect.h
 *		What the statements of a plan do to the relations that those after them meet.
 */
#ifndef MIG_EFFECT_H
#define MIG_EFFECT_H

#include "migrate.h"

#include "lint/world.h"

extern void mig_effect_statement(World *world, const Node *stmt);
extern void mig_effect_command(World *world, WorldRelation *table, const AlterTableCmd *cmd);
extern List *mig_effect_strings(List *values);

#endif							/* MIG_EFFECT_H */
