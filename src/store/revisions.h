/*
 * revisions.h
 *		SQL against our own tables: reading them, and writing revisions and
 *		settings.
 *
 * Every function must be called between mig_scope_enter and mig_scope_leave.
 * Those that return something allocate it in the memory context given, so
 * that it outlives the scope.  Columns and SQL never leave catalog.c.
 */
#ifndef MIG_REVISIONS_H
#define MIG_REVISIONS_H

#include "migrate.h"

#include "revision/graph.h"
#include "revision/revision.h"

/* Where the database is. */
typedef struct Position
{
	Graph	   *graph;
	Bitmapset  *rows;			/* the version rows, as nodes */
} Position;

/* One direction of a revision, ready to run. */
typedef struct CatalogScript
{
	char	   *revision;
	char	   *message;
	char	   *checksum;
	char	   *sql;			/* NULL: no downgrade, or not read because it is
								 * long */
	bool		is_long;		/* read it by itself */
	bool		transactional;	/* known of a script that is read by itself */
} CatalogScript;

/* What a script of a revision is recognized by. */
typedef struct CatalogDigest
{
	char	   *revision;
	char	   *digest;			/* NULL: no such revision, or no such script */
	bool		transactional;
} CatalogDigest;

/* What the history shows besides the graph. */
typedef struct CatalogLine
{
	char	   *revision;
	char	   *message;
	bool		is_applied;
	TimestampTz applied_at;
	TimestampTz created_at;
} CatalogLine;

/* reading */
extern Graph *mig_revisions_read_revisions(MemoryContext context);
extern bool mig_revisions_graph_changed(const Graph *graph);
extern int64 mig_revisions_count_revisions(void);
extern Position mig_revisions_read_position(MemoryContext context, bool purge);
extern List *mig_revisions_read_versions(MemoryContext context);
extern List *mig_revisions_read_edited(MemoryContext context);
extern List *mig_revisions_read_lines(MemoryContext context);
extern Revision *mig_revisions_read_revision(const char *revision,
										   MemoryContext context);
extern List *mig_revisions_read_scripts(List *revisions, MigDirection direction,
									  MemoryContext context);
extern CatalogScript *mig_revisions_read_script(const char *revision,
											  MigDirection direction,
											  MemoryContext context);
extern List *mig_revisions_read_digests(List *revisions, MigDirection direction,
									  MemoryContext context);
extern char *mig_revisions_read_sql(const char *revision, MigDirection direction,
								  MemoryContext context);
extern char *mig_revisions_first_without_downgrade(List *revisions,
												 MemoryContext context);
extern char *mig_revisions_first_not_transactional(List *revisions,
												 MigDirection direction,
												 MemoryContext context);
extern List *mig_revisions_read_applied(MemoryContext context);
extern bool mig_revisions_has_models(void);
extern bool mig_revisions_snapshot_is_stale(void);
extern List *mig_revisions_read_heads_if_current(bool real, MemoryContext context);
extern List *mig_revisions_find_ids(List *names, MemoryContext context);
extern List *mig_revisions_read_labels(MemoryContext context);
extern char *mig_revisions_read_setting(const char *name, MemoryContext context);

/* writing */
extern void mig_revisions_insert_revision(const Revision *rev, const char *role);
extern void mig_revisions_update_revision(const Revision *rev, const char *role);
extern void mig_revisions_delete_revision(const char *revision);
extern void mig_revisions_remember_heads(const Graph *graph);
extern void mig_revisions_write_setting(const char *name, const char *value);

#endif							/* MIG_REVISIONS_H */
