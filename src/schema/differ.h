/*
 * differ.h
 *		How the database differs from what is declared.
 */
#ifndef MIG_DIFFER_H
#define MIG_DIFFER_H

#include "migrate.h"

#include "compat.h"
#include "kind/objects.h"
#include "nodes/pg_list.h"
#include "revision/graph.h"
#include "schema/notes.h"
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
	bool		online;			/* scripts take the steps that do not block tables */
	const char *function;		/* who asks, for errors */
} Project;

/* Two schemas and how they differ. */
typedef struct Differing
{
	Schema	   *live;			/* with its uses */
	Schema	   *declared;		/* likewise */
	List	   *differences;	/* Difference * */
} Differing;

extern Project mig_differ_project(const char *function);
extern Differing mig_differ_source(const Project *project, const char *source);
pg_noreturn extern void mig_differ_unrecognized(const char *source, const char *known);
extern void mig_differ_check_models(const Project *project);
extern Differing mig_differ_from_models(const Project *project);
extern Differing mig_differ_schema_from_models(const Project *project, Schema *schema);
extern Differing mig_differ_drift(const Project *project);
extern Differing mig_differ_undo(const Project *project, const Graph *graph, int revision);
extern Schema *mig_differ_run(const Project *project, const Schema *before, List *objects,
							  const char *script, bool commits);
extern List *mig_differ_settle(const Project *project, const Schema *live,
							   const Schema *declared, List *differences);
extern Schema *mig_differ_read_scratch(const Project *project, const DeclareNotes *notes,
									   bool uses);
extern Schema *mig_differ_live(const Project *project);
extern char *mig_differ_live_sql(const Project *project);
extern char *mig_differ_models_sql(const Project *project);
extern char *mig_differ_revisions_sql(const Project *project);

#endif							/* MIG_DIFFER_H */
