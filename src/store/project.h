/*
 * project.h
 *		The project's settings and models (migrate.settings, migrate.models).
 */
#ifndef MIG_PROJECT_H
#define MIG_PROJECT_H

#include "migrate.h"

#include "store/scope.h"

extern char *mig_project_read_setting(const Scope *scope, const char *name);
extern void mig_project_write_setting(const Scope *scope, const char *name,
									  const char *value);
extern bool mig_project_has_models(const Scope *scope);

#endif							/* MIG_PROJECT_H */
