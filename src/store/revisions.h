/*
 * revisions.h
 *		Revisions as they are stored (migrate.revisions).
 *
 * Every function takes the scope in which it is called, and returns what it
 * reads in that scope's context.
 */
#ifndef MIG_REVISIONS_H
#define MIG_REVISIONS_H

#include "migrate.h"

#include "revision/graph.h"
#include "revision/revision.h"
#include "store/scope.h"

/* One direction of a revision, ready to run. */
typedef struct StoredScript
{
	char	   *revision;
	char	   *message;
	char	   *checksum;
	char	   *sql;			/* NULL: no downgrade, or not read because it is
								 * long */
	bool		is_long;		/* read it by itself */
	bool		transactional;
	char	   *file_name;		/* where it was loaded from; NULL: not known */
	int			line;			/* of that file where it begins, from 1; 0: not known */
} StoredScript;

/* What a script of a revision is recognized by. */
typedef struct ScriptDigest
{
	char	   *revision;
	char	   *digest;			/* NULL: no such revision, or no such script */
	bool		transactional;
} ScriptDigest;

/* reading */
extern Graph *mig_revisions_read_graph(const Scope *scope);
extern Revision *mig_revisions_read_one(const Scope *scope, const char *revision);
extern List *mig_revisions_read_several(const Scope *scope, List *revisions);
extern List *mig_revisions_read_scripts(const Scope *scope, List *revisions,
										MigDirection direction);
extern List *mig_revisions_read_whole_scripts(const Scope *scope, List *revisions,
											  MigDirection direction);
extern StoredScript *mig_revisions_read_script(const Scope *scope,
											   const char *revision,
											   MigDirection direction);
extern List *mig_revisions_read_digests(const Scope *scope, List *revisions,
										MigDirection direction);
extern char *mig_revisions_first_without_downgrade(const Scope *scope,
												   List *revisions);
extern char *mig_revisions_first_not_transactional(const Scope *scope,
												   List *revisions,
												   MigDirection direction);
extern List *mig_revisions_find_ids(const Scope *scope, List *names);
extern List *mig_revisions_read_labels(const Scope *scope);
extern void mig_revisions_check_there(const Scope *scope, const Graph *graph,
									  List *revisions);

/* writing */
extern void mig_revisions_insert(const Scope *scope, const Revision *rev,
								 const char *role);
extern void mig_revisions_update(const Scope *scope, const Revision *rev,
								 const char *role);
extern void mig_revisions_delete(const Scope *scope, const char *revision);

#endif							/* MIG_REVISIONS_H */
