/*
 * table_lock.c
 *		Which locks a statement takes on tables that were there before the plan.
 *
 * The server's own function says it of ALTER TABLE; the rest is as its manual has it,
 * with the tables that a statement does not name: those that a foreign key refers to,
 * parents and default partitions.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "compat.h"
#include "lint/table_lock.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static List *add(List *locks, WorldRelation *table, LOCKMODE mode);
static List *of_alter(World *world, const AlterTableStmt *stmt);
static List *of_command(World *world, List *locks, WorldRelation *table,
						const AlterTableCmd *cmd);
static List *of_references(World *world, List *locks, List *constraints);
static List *of_create(World *world, const CreateStmt *stmt);
static List *of_drop(World *world, const DropStmt *stmt);
static List *of_dropped_table(World *world, List *locks, WorldRelation *table);
static List *of_partition(World *world, List *locks, WorldRelation *parent, LOCKMODE mode);
static List *of_several(World *world, List *relations, LOCKMODE mode);
static List *of_vacuum(World *world, const VacuumStmt *stmt);
static List *of_reindex(World *world, const ReindexStmt *stmt);

/*
 * Return the locks (TableLock *) of SHARE UPDATE EXCLUSIVE and above that a statement
 * takes on tables that the plan did not make, the strongest of each.
 */
List *
mig_table_lock_all(World *world, const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			return of_alter(world, (const AlterTableStmt *) stmt);
		case T_CreateStmt:
			return of_create(world, (const CreateStmt *) stmt);
		case T_DropStmt:
			return of_drop(world, (const DropStmt *) stmt);
		case T_IndexStmt:
			return add(NIL, mig_world_find(world, ((const IndexStmt *) stmt)->relation),
					   ((const IndexStmt *) stmt)->concurrent ? ShareUpdateExclusiveLock :
					   ShareLock);
		case T_RenameStmt:
			return add(NIL, mig_world_find(world, ((const RenameStmt *) stmt)->relation),
					   AccessExclusiveLock);
		case T_AlterObjectSchemaStmt:
			return add(NIL, mig_world_find(world,
										   ((const AlterObjectSchemaStmt *) stmt)->relation),
					   AccessExclusiveLock);
		case T_ViewStmt:
			return add(NIL, mig_world_find(world, ((const ViewStmt *) stmt)->view),
					   AccessExclusiveLock);
		case T_TruncateStmt:
			return of_several(world, ((const TruncateStmt *) stmt)->relations,
							  AccessExclusiveLock);
		case T_LockStmt:
			return of_several(world, ((const LockStmt *) stmt)->relations,
							  ((const LockStmt *) stmt)->mode);
		case T_VacuumStmt:
			return of_vacuum(world, (const VacuumStmt *) stmt);
		case T_RepackStmt:
			return add(NIL, mig_world_find(world,
										   MigRepackTable((const RepackStmt *) stmt)),
					   AccessExclusiveLock);
		case T_ReindexStmt:
			return of_reindex(world, (const ReindexStmt *) stmt);
		case T_RefreshMatViewStmt:
			return add(NIL, mig_world_find(world, ((const RefreshMatViewStmt *) stmt)->relation),
					   ((const RefreshMatViewStmt *) stmt)->concurrent ? ExclusiveLock :
					   AccessExclusiveLock);
		case T_CreateTrigStmt:
			return add(NIL, mig_world_find(world, ((const CreateTrigStmt *) stmt)->relation),
					   ShareRowExclusiveLock);
		case T_CreatePolicyStmt:
			return add(NIL, mig_world_find(world, ((const CreatePolicyStmt *) stmt)->table),
					   AccessExclusiveLock);
		case T_AlterPolicyStmt:
			return add(NIL, mig_world_find(world, ((const AlterPolicyStmt *) stmt)->table),
					   AccessExclusiveLock);
		case T_RuleStmt:
			return add(NIL, mig_world_find(world, ((const RuleStmt *) stmt)->relation),
					   AccessExclusiveLock);
		default:
			return NIL;
	}
}

/*
 * Return the words for a lock mode, a constant.
 */
const char *
mig_table_lock_mode(LOCKMODE mode)
{
	static const char *const names[] = {
		"no lock", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE",
		"SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"
	};

	Assert(mode >= NoLock && mode < (int) lengthof(names));
	return names[mode];
}

/*
 * Add a lock on a table, unless it is new or not there; of one that has a lock, keep
 * the stronger.  What is no table has no lock that counts: indexes are locked with
 * their tables.
 */
static List *
add(List *locks, WorldRelation *table, LOCKMODE mode)
{
	TableLock  *lock;
	ListCell   *lc;

	if (table == NULL || table->made || table->table != NULL ||
		table->kind == RELKIND_SEQUENCE || mode < ShareUpdateExclusiveLock)
		return locks;
	foreach(lc, locks)
	{
		lock = lfirst(lc);
		if (lock->table == table)
		{
			lock->mode = Max(lock->mode, mode);
			return locks;
		}
	}
	lock = palloc(sizeof(TableLock));
	lock->table = table;
	lock->mode = mode;
	return lappend(locks, lock);
}

/*
 * Return the locks of ALTER TABLE.
 */
static List *
of_alter(World *world, const AlterTableStmt *stmt)
{
	WorldRelation *table = mig_world_find(world, stmt->relation);
	List	   *locks;
	ListCell   *lc;

	if (table == NULL)
		return NIL;
	locks = add(NIL, table, AlterTableGetLockLevel(stmt->cmds));
	foreach(lc, stmt->cmds)
		locks = of_command(world, locks, table, lfirst(lc));
	return locks;
}

/*
 * Add the locks that a command of ALTER TABLE takes on other tables.
 */
static List *
of_command(World *world, List *locks, WorldRelation *table, const AlterTableCmd *cmd)
{
	const WorldConstraint *constraint;
	ListCell   *lc;

	switch (cmd->subtype)
	{
		case AT_AddColumn:
			return of_references(world, locks, ((const ColumnDef *) cmd->def)->constraints);
		case AT_AddConstraint:
			return of_references(world, locks, list_make1(cmd->def));
		case AT_DropConstraint:
			constraint = mig_world_constraint(table, cmd->name);
			if (constraint != NULL && constraint->type == CONSTRAINT_FOREIGN)
				locks = add(locks, constraint->other, AccessExclusiveLock);
			return locks;
		case AT_DropColumn:
			foreach(lc, table->constraints)
			{
				constraint = lfirst(lc);
				if (constraint->type == CONSTRAINT_FOREIGN &&
					mig_world_has(constraint->columns, cmd->name))
					locks = add(locks, constraint->other, AccessExclusiveLock);
			}
			return locks;
		case AT_AttachPartition:
			locks = add(locks, mig_world_find(world, ((PartitionCmd *) cmd->def)->name),
						AccessExclusiveLock);
			return of_partition(world, locks, table, NoLock);
		case AT_DetachPartition:
			if (MigDetachIsConcurrent(cmd))
				return locks;
			locks = add(locks, mig_world_find(world, ((PartitionCmd *) cmd->def)->name),
						AccessExclusiveLock);
			return of_partition(world, locks, table, NoLock);
		default:
			return locks;
	}
}

/*
 * Add the locks on the tables that foreign keys among some constraints refer to.
 */
static List *
of_references(World *world, List *locks, List *constraints)
{
	ListCell   *lc;

	foreach(lc, constraints)
	{
		const Constraint *constraint = lfirst(lc);

		if (constraint->contype == CONSTR_FOREIGN)
			locks = add(locks, mig_world_find(world, constraint->pktable),
						ShareRowExclusiveLock);
	}
	return locks;
}

/*
 * Return the locks of CREATE TABLE on tables that were there.
 */
static List *
of_create(World *world, const CreateStmt *stmt)
{
	List	   *locks = NIL;
	ListCell   *lc;

	if (stmt->if_not_exists && mig_world_find(world, stmt->relation) != NULL)
		return NIL;
	foreach(lc, stmt->tableElts)
	{
		Node	   *element = lfirst(lc);

		if (IsA(element, ColumnDef))
			locks = of_references(world, locks, ((ColumnDef *) element)->constraints);
		else if (IsA(element, Constraint))
			locks = of_references(world, locks, list_make1(element));
	}
	foreach(lc, stmt->inhRelations)
	{
		WorldRelation *parent = mig_world_find(world, lfirst(lc));

		if (stmt->partbound != NULL && parent != NULL)
			locks = of_partition(world, locks, parent, AccessExclusiveLock);
		else
			locks = add(locks, parent, ShareUpdateExclusiveLock);
	}
	return locks;
}

/*
 * Return the locks of DROP.
 */
static List *
of_drop(World *world, const DropStmt *stmt)
{
	List	   *locks = NIL;
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		List	   *names = IsA(lfirst(lc), List) ? lfirst(lc) : NIL;
		WorldRelation *relation;

		switch (stmt->removeType)
		{
			case OBJECT_TABLE:
			case OBJECT_VIEW:
			case OBJECT_MATVIEW:
			case OBJECT_FOREIGN_TABLE:
				locks = of_dropped_table(world, locks, mig_world_find_names(world, names));
				break;
			case OBJECT_INDEX:
				relation = mig_world_find_names(world, names);
				if (relation != NULL)
					locks = add(locks, relation->table, stmt->concurrent ?
								ShareUpdateExclusiveLock : AccessExclusiveLock);
				break;
			case OBJECT_TRIGGER:
			case OBJECT_RULE:
			case OBJECT_POLICY:
				names = list_copy(names);
				names = list_delete_cell(names, list_tail(names));
				locks = add(locks, mig_world_find_names(world, names), AccessExclusiveLock);
				break;
			default:
				break;
		}
	}
	return locks;
}

/*
 * Add the locks for a table that is dropped: its parent and default partition, and
 * the tables that its foreign keys refer to.
 */
static List *
of_dropped_table(World *world, List *locks, WorldRelation *table)
{
	ListCell   *lc;

	if (table == NULL)
		return locks;
	locks = add(locks, table, AccessExclusiveLock);
	foreach(lc, table->constraints)
	{
		const WorldConstraint *constraint = lfirst(lc);

		if (constraint->type == CONSTRAINT_FOREIGN)
			locks = add(locks, constraint->other, AccessExclusiveLock);
	}
	if (table->parent != NULL)
		locks = of_partition(world, locks, table->parent, AccessExclusiveLock);
	return locks;
}

/*
 * Add the locks on a partitioned table of which a partition comes or goes, and on its
 * default partition.
 */
static List *
of_partition(World *world, List *locks, WorldRelation *parent, LOCKMODE mode)
{
	locks = add(locks, parent, mode);
	if (OidIsValid(parent->default_partition))
		locks = add(locks, mig_world_find_oid(world, parent->default_partition),
					AccessExclusiveLock);
	return locks;
}

/*
 * Return one lock on each of some tables (RangeVar).
 */
static List *
of_several(World *world, List *relations, LOCKMODE mode)
{
	List	   *locks = NIL;
	ListCell   *lc;

	foreach(lc, relations)
		locks = add(locks, mig_world_find(world, lfirst(lc)), mode);
	return locks;
}

/*
 * Return the locks of VACUUM and ANALYZE.
 */
static List *
of_vacuum(World *world, const VacuumStmt *stmt)
{
	LOCKMODE	mode = mig_table_lock_is_full((const Node *) stmt) ? AccessExclusiveLock :
		ShareUpdateExclusiveLock;
	List	   *locks = NIL;
	ListCell   *lc;

	foreach(lc, stmt->rels)
		locks = add(locks, mig_world_find(world, ((VacuumRelation *) lfirst(lc))->relation),
					mode);
	return locks;
}

/*
 * Return whether a statement is VACUUM FULL or CLUSTER.
 */
bool
mig_table_lock_is_full(const Node *stmt)
{
	ListCell   *lc;

	if (IsA(stmt, VacuumStmt))
		foreach(lc, ((const VacuumStmt *) stmt)->options)
		{
			const DefElem *option = lfirst(lc);

			if (strcmp(option->defname, "full") == 0 && mig_table_lock_is_on(option))
				return true;
		}
	return IsA(stmt, RepackStmt);
}

/*
 * Return whether an option of a statement is on; one whose value is none of a boolean is
 * not.
 */
bool
mig_table_lock_is_on(const DefElem *option)
{
	bool		on;

	if (option->arg == NULL)
		return true;
	return parse_bool(defGetString(unconstify(DefElem *, option)), &on) && on;
}

/*
 * Return the locks of REINDEX of an index or a table.
 */
static List *
of_reindex(World *world, const ReindexStmt *stmt)
{
	WorldRelation *relation = mig_world_find(world, stmt->relation);
	LOCKMODE	mode = MigReindexIsConcurrent(stmt) ? ShareUpdateExclusiveLock : ShareLock;
	ListCell   *lc;

	foreach(lc, MigReindexParams(stmt))
	{
		if (strcmp(((DefElem *) lfirst(lc))->defname, "concurrently") == 0 &&
			mig_table_lock_is_on(lfirst(lc)))
			mode = ShareUpdateExclusiveLock;
	}
	if (relation != NULL && relation->table != NULL)
		relation = relation->table;
	return add(NIL, relation, mode);
}
