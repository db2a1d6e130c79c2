/*
 * generate.h
 *		Scripts that lead from a schema to another and back, and their proof.
 */
#ifndef MIG_GENERATE_H
#define MIG_GENERATE_H

#include "migrate.h"

#include "schema/action.h"
#include "schema/differ.h"

/* What was generated. */
typedef struct Generated
{
	List	   *renames;		/* Rename *, before the upgrade and after the downgrade */
	Differing	differing;		/* after the renames */
	bool		cannot_rename;	/* there are more, which could not be tried */
	ActionPlan	upgrade;		/* from the live schema to the declared one */
	ActionPlan	downgrade;		/* the way back */
} Generated;

/* How scripts are generated. */
typedef struct GenerateOptions
{
	List	   *renames;		/* Rename *, the first ones, which are known */
	bool		unproved;		/* what is not proved is no error, but a comment */
	bool		stepwise;		/* they will not be transactional */
} GenerateOptions;

/* Two scripts. */
typedef struct GeneratedScripts
{
	char	   *upgrade;
	char	   *downgrade;
	bool		upgrade_stepwise;	/* its statements have to be committed one by one */
	bool		downgrade_stepwise;	/* likewise */
} GeneratedScripts;

extern Generated mig_generate_plan(const Project *project, const Differing *differing,
							  List *renames);
extern GeneratedScripts mig_generate_scripts(const Project *project,
											 const Differing *differing,
											 const GenerateOptions *options);
extern char *mig_generate_part(const ActionPlan *plan, const Difference *difference);
extern char *mig_generate_hazard(const ActionPlan *plan, const Difference *difference);
extern char *mig_generate_undo(const Project *project, const Differing *differing,
							   bool stepwise);

#endif							/* MIG_GENERATE_H */
