/*
 * project.h
 *		The project's settings and models (migrate.settings, migrate.models).
 */
#ifndef MIG_PROJECT_H
#define MIG_PROJECT_H

#include "migrate.h"

#include "nodes/pg_list.h"
#include "store/scope.h"

/* A named part of the declared schema. */
typedef struct Model
{
	const char *name;
	const char *ddl;
} Model;

extern char *mig_project_read_setting(const Scope *scope, const char *name);
extern bool mig_project_is_on(const Scope *scope, const char *name);
extern void mig_project_write_setting(const Scope *scope, const char *name,
									  const char *value);
extern bool mig_project_has_models(const Scope *scope);
extern List *mig_project_read_models(const Scope *scope);
extern void mig_project_write_model(const Scope *scope, const char *name, const int *ordinal,
									const char *ddl);
extern bool mig_project_drop_model(const Scope *scope, const char *name);

#endif							/* MIG_PROJECT_H */
