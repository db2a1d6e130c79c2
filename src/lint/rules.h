/*
 * rules.h
 *		The rules of lint, and what a rule sees.
 */
#ifndef MIG_RULES_H
#define MIG_RULES_H

#include "migrate.h"

#include "compat.h"
#include "lint/world.h"
#include "script/script.h"
#include "store/revisions.h"

typedef struct Lint Lint;

/* What a rule speaks of. */
typedef enum LintSeverity
{
	LINT_WARNING,
	LINT_ERROR					/* a busy table is blocked or rewritten, data is lost, or
								 * the statement fails */
} LintSeverity;

/* A rule.  What it looks at is one of the functions; a statement that has several
 * commands is shown to it in parts. */
typedef struct LintRule
{
	const char *id;
	LintSeverity severity;
	bool		off;			/* by default */
	bool		slow;			/* the statement holds its lock while it reads or writes
								 * all rows */
	int			since;			/* first version of the server that it is for; 0: all */
	const char *summary;		/* what is wrong, for a list of rules */
	const char *advice;
	const char *example;		/* on the tables of doc/lint.md */
	const char *counter_example;
	const char *shows;			/* what the server does with the example and not with the
								 * other: "lock MODE TABLE", "rewrite TABLE", "scan
								 * TABLE", "error SQLSTATE", separated by commas */
	const char *unconfirmed;	/* why nothing of that can be seen */

	void		(*statement) (Lint *lint, const Node *stmt);
	void		(*command) (Lint *lint, WorldRelation *table, const AlterTableCmd *cmd);
	void		(*constraint) (Lint *lint, WorldRelation *table,
							   const Constraint *constraint, const ColumnDef *column);
	void		(*script) (Lint *lint);
	void		(*at_end) (Lint *lint, const WorldRelation *table,
						   const WorldConstraint *constraint);	/* of the plan, for each
																 * that it made */
} LintRule;

/* Something that a rule found. */
typedef struct LintFinding
{
	const char *revision;
	MigDirection direction;
	int			statement;		/* from 1; 0: the script as a whole */
	int			line;			/* of the script, from 1; 0: none */
	const LintRule *rule;
	char	   *message;
	int			step;			/* of the plan, from 0 */
	int			number;			/* of the finding */
} LintFinding;

/* A value that the plan adds to an enum type. */
typedef struct LintValue
{
	char	   *literal;		/* quoted */
	const char *revision;
	int			transaction;
} LintValue;

/* The walk over a plan, at a statement. */
struct Lint
{
	World	   *world;
	double		large_rows;		/* a table is large from this number on */
	bool		stepwise;		/* the plan can only be run step by step */
	List	   *values;			/* of LintValue *: that the plan adds to enum types */
	bool		session_timeout;	/* the session has a lock_timeout */
	List	   *disabled;		/* of char *: rules */
	List	   *enabled;		/* likewise */
	List	   *findings;		/* of LintFinding * */

	/* the script */
	int			step;			/* of the plan, from 0 */
	const StoredScript *script;
	const StoredScript *downgrade;	/* of the revision; NULL: that is what is linted */
	MigDirection direction;
	List	   *statements;		/* of ScriptStatement * */
	bool		has_timeout;	/* a statement of it has set lock_timeout */
	bool		told_timeout;	/* that it has none was reported */
	bool		told_setting;	/* that it has SET was reported */
	bool		in_block;		/* between BEGIN and COMMIT */
	WorldRelation *exclusive;	/* a table that this transaction has locked against all
								 * others */

	/* the statement */
	const ScriptStatement *statement;
	const LintRule *rule;
	List	   *ignored;		/* of char *: rules that are silent over it */
	List	   *locks;			/* of TableLock * */
	bool		slow;			/* a rule has said so of it */
};

extern const LintRule mig_rules_index[],
			mig_rules_constraint[],
			mig_rules_column[],
			mig_rules_drop[],
			mig_rules_lock[],
			mig_rules_data[],
			mig_rules_script[],
			mig_rules_style[];

extern const LintRule *mig_rules_next(const LintRule *rule);
extern const LintRule *mig_rules_find(const char *id);
extern const char *mig_rules_severity(const LintRule *rule);
extern bool mig_rules_is_on(const Lint *lint, const LintRule *rule);
extern void mig_rules_found(Lint *lint, WorldRelation *table, const char *format,...)
			mig_attribute_printf(3, 4);
extern bool mig_rules_is_old(const WorldRelation *table);
extern WorldRelation *mig_rules_table(Lint *lint, const RangeVar *name);

#endif							/* MIG_RULES_H */
