/*
 * differ.h
 *		How the database differs from what is declared.
 */
#ifndef MIG_DIFFER_H
#define MIG_DIFFER_H

#include "migrate.h"

#include "kind/objects.h"
#include "nodes/pg_list.h"
#include "store/project.h"

/* What is compared. */
typedef struct Project
{
	List	   *schemas;		/* names of the managed schemas (char *) */
	List	   *exclude;		/* patterns of schema/exclude */
	List	   *models;			/* Model *, in the order in which they are run */
	const char *text;			/* all of this in one */
	const char *compared;		/* fingerprint with which it was right; NULL: none */
	bool		rights;			/* owners and privileges, too */
	const char *function;		/* who asks, for errors */
} Project;

extern Project mig_differ_project(const char *function);
extern List *mig_differ_from_models(const Project *project);
extern List *mig_differ_from_revisions(const Project *project);
extern List *mig_differ_drift(const Project *project);
extern Schema *mig_differ_live(const Project *project);
extern char *mig_differ_live_sql(const Project *project);
extern char *mig_differ_models_sql(const Project *project);
extern char *mig_differ_revisions_sql(const Project *project);

#endif							/* MIG_DIFFER_H */
