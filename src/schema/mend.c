/*
 * mend.c
 *		A statement of a script, in the form that the scratch can run.
 *
 * The parse tree is changed before it is analyzed, so that positions stay.  What
 * cannot run in a transaction gets its plain form, which has the same result: indexes
 * are built at once.  What is the whole database's is in schema/replace.  And what
 * pg_dump writes for a role with more rights than the caller's, and does not count for
 * a comparison of schemas, is skipped too, such as comments on extensions.
 *
 * A role that the caller is no member of cannot be given anything.  The object remains
 * the caller's then, and the role is noted: to give it away with more rights than the
 * caller has would let a function of the model run with those of anybody.
 */
#include "migrate.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "commands/schemacmds.h"
#include "compat.h"
#include "kind/grants.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "schema/mend.h"
#include "schema/path.h"
#include "schema/replace.h"
#include "script/script.h"
#include "script/statement.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"

static void make_plain(Node *stmt);
static List *without_option(List *options, const char *name);
static RawStmt *check_of_detached(AlterTableStmt *stmt);
static void drop_extensions_options(IndexStmt *stmt);
static bool is_needless(Node *stmt, DeclareNotes *notes);
static bool is_of_extensions(GrantStmt *stmt);
static bool is_member(ObjectType type, Node *object);
static bool is_needless_on(ObjectType type);
static bool is_needless_setting(const VariableSetStmt *stmt);
static bool is_needless_table_change(AlterTableStmt *stmt, DeclareNotes *notes);
static bool can_give_object(const AlterOwnerStmt *stmt, DeclareNotes *notes);
static bool has_schema(ObjectType type);
static bool can_give(const RoleSpec *to, Oid schema, DeclareNotes *notes);
static bool can_set_defaults(const AlterDefaultPrivilegesStmt *stmt);
static List *mend_schema(RawStmt *raw, DeclareNotes *notes);
static List *elements_of_schema(const RawStmt *raw, const char *name);
static RawStmt *set_search_path(const char *path);
static void note_extension_schema(DeclareNotes *notes, const CreateExtensionStmt *stmt);
static void note(const DeclareNotes *notes, List **names, const char *name);

/*
 * Return what to run in place of a statement (RawStmt *), in the current memory
 * context.  Changes the tree.  Errors: MG011 for what needs the top level
 * and has no plain form.
 */
List *
mig_mend_statement(RawStmt *raw, DeclareNotes *notes)
{
	const char *command;
	RawStmt    *check = IsA(raw->stmt, AlterTableStmt) ?
		check_of_detached((AlterTableStmt *) raw->stmt) : NULL;

	make_plain(raw->stmt);
	if (check != NULL)
		return list_make2(raw, check);
	if (notes->replay && IsA(raw->stmt, IndexStmt))
		drop_extensions_options((IndexStmt *) raw->stmt);
	command = mig_statement_needs_top_level(raw);
	if (notes->replay && (command != NULL || IsA(raw->stmt, TransactionStmt)))
		return NIL;
	if (command != NULL && !IsA(raw->stmt, ReindexStmt))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_BAD_SCRIPT),
				 errmsg("%s cannot be used in a model", command),
				 errhint("It cannot run in a transaction. Remove the statement.")));
	if (IsA(raw->stmt, CreateSchemaStmt))
		return mend_schema(raw, notes);
	return is_needless(raw->stmt, notes) ? NIL : list_make1(raw);
}

/*
 * Return what to run in place of a statement that needs the top level, outside of a
 * scratch, in the current memory context: its plain form (RawStmt *); NIL if it has
 * none.  All others are returned as they are.  Changes the tree.
 */
List *
mig_mend_plain(RawStmt *raw)
{
	RawStmt    *check = IsA(raw->stmt, AlterTableStmt) ?
		check_of_detached((AlterTableStmt *) raw->stmt) : NULL;

	make_plain(raw->stmt);
	if (IsA(raw->stmt, IndexStmt))
		drop_extensions_options((IndexStmt *) raw->stmt);
	if (IsA(raw->stmt, TransactionStmt) || mig_statement_needs_top_level(raw) != NULL)
		return NIL;
	return check != NULL ? list_make2(raw, check) : list_make1(raw);
}

/*
 * Give a statement its plain form.
 */
static void
make_plain(Node *stmt)
{
	ListCell   *lc;

	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			((IndexStmt *) stmt)->concurrent = false;
			break;
		case T_DropStmt:
			((DropStmt *) stmt)->concurrent = false;
			break;
		case T_RefreshMatViewStmt:
			((RefreshMatViewStmt *) stmt)->concurrent = false;
			break;
		case T_ReindexStmt:
			mig_set_reindex_params((ReindexStmt *) stmt,
								   without_option(MigReindexParams((ReindexStmt *) stmt),
												  "concurrently"));
			break;
		case T_AlterTableStmt:
			foreach(lc, ((AlterTableStmt *) stmt)->cmds)
			{
				AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

				if (cmd->subtype == AT_DetachPartition)
					mig_make_detach_plain(cmd);
			}
			break;
		default:
			break;
	}
}

/*
 * Return a list of options (DefElem *) without the one of a name.
 */
static List *
without_option(List *options, const char *name)
{
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, options)
		if (strcmp(lfirst_node(DefElem, lc)->defname, name) != 0)
			others = lappend(others, lfirst(lc));
	return others;
}

/*
 * Return the statement that adds the check constraint which DETACH PARTITION
 * CONCURRENTLY leaves on the partition, and its plain form does not; NULL for other
 * statements.
 */
static RawStmt *
check_of_detached(AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		Oid			partition;
		char	   *bounds;

		if (cmd->subtype != AT_DetachPartition || !MigDetachIsConcurrent(cmd))
			continue;
		partition = RangeVarGetRelid(castNode(PartitionCmd, cmd->def)->name, NoLock, true);
		if (!OidIsValid(partition) || get_partition_qual_relid(partition) == NULL)
			continue;
		bounds = TextDatumGetCString(DirectFunctionCall1(pg_get_partition_constraintdef,
														 ObjectIdGetDatum(partition)));
		return linitial_node(RawStmt, mig_script_parse(
			psprintf("ALTER TABLE %s ADD CHECK (%s)",
					 quote_qualified_identifier(
						 get_namespace_name(get_rel_namespace(partition)),
						 get_rel_name(partition)),
					 bounds)));
	}
	return NULL;
}

/*
 * Take from the creation of an index the options that say how an extension is to do
 * it.
 */
static void
drop_extensions_options(IndexStmt *stmt)
{
	List	   *options = NIL;
	ListCell   *lc;

	foreach(lc, stmt->options)
		if (lfirst_node(DefElem, lc)->defnamespace == NULL)
			options = lappend(options, lfirst(lc));
	stmt->options = options;
}

/*
 * Return whether a statement is to be skipped.
 */
static bool
is_needless(Node *stmt, DeclareNotes *notes)
{
	switch (nodeTag(stmt))
	{
		case T_ReindexStmt:
			return true;
		case T_CreateExtensionStmt:
			note(notes, &notes->extensions, ((CreateExtensionStmt *) stmt)->extname);
			note_extension_schema(notes, (CreateExtensionStmt *) stmt);
			return OidIsValid(get_extension_oid(((CreateExtensionStmt *) stmt)->extname, true));
		case T_CreateRoleStmt:
			return OidIsValid(get_role_oid(((CreateRoleStmt *) stmt)->role, true));
		case T_AlterTableStmt:
			return is_needless_table_change((AlterTableStmt *) stmt, notes);
		case T_AlterOwnerStmt:
			return !can_give_object((AlterOwnerStmt *) stmt, notes);
		case T_AlterDefaultPrivilegesStmt:
			return !can_set_defaults((AlterDefaultPrivilegesStmt *) stmt);
		case T_CommentStmt:
			return is_needless_on(((CommentStmt *) stmt)->objtype);
		case T_GrantStmt:
			return is_of_extensions((GrantStmt *) stmt);
		case T_CreateEventTrigStmt:
		case T_AlterEventTrigStmt:
			return !superuser();
		case T_CreatePublicationStmt:
			return ((CreatePublicationStmt *) stmt)->for_all_tables && !superuser();
		case T_VariableSetStmt:
			return is_needless_setting((VariableSetStmt *) stmt);
		default:
			return mig_replace_live(stmt, notes);
	}
}

/*
 * Return whether a comment on an object is one on no part of a schema, or one that only
 * a superuser can make.
 */
static bool
is_needless_on(ObjectType type)
{
	switch (type)
	{
		case OBJECT_EXTENSION:
		case OBJECT_DATABASE:
		case OBJECT_ROLE:
		case OBJECT_TABLESPACE:
		case OBJECT_SUBSCRIPTION:
			return true;
		case OBJECT_LANGUAGE:
		case OBJECT_EVENT_TRIGGER:
		case OBJECT_PUBLICATION:
			return !superuser();
		default:
			return false;
	}
}

/*
 * Take from a change of privileges the members of extensions, which belong to a
 * superuser, unless the caller is one too; return whether nothing is left.  The twin
 * has them with the privileges that they have.
 */
static bool
is_of_extensions(GrantStmt *stmt)
{
	List	   *objects = NIL;
	ListCell   *lc;

	if (superuser() || stmt->targtype != ACL_TARGET_OBJECT)
		return false;
	foreach(lc, stmt->objects)
		if (!is_member(stmt->objtype, lfirst(lc)))
			objects = lappend(objects, lfirst(lc));
	stmt->objects = objects;
	return objects == NIL;
}

/*
 * Return whether a relation or a function is a member of an extension.
 */
static bool
is_member(ObjectType type, Node *object)
{
	ObjectAddress address = InvalidObjectAddress;
	Relation	relation;

	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_SEQUENCE:
			ObjectAddressSet(address, RelationRelationId,
							 RangeVarGetRelid((RangeVar *) object, NoLock, true));
			break;
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
			address = get_object_address(type, object, &relation, AccessShareLock, true);
			break;
		default:
			break;
	}
	return OidIsValid(address.objectId) &&
		OidIsValid(getExtensionOfObject(address.classId, address.objectId));
}

/*
 * Return whether a setting is the session's own affair: how long it waits, and, for
 * those that cannot become another role, who it is.
 */
static bool
is_needless_setting(const VariableSetStmt *stmt)
{
	static const char *const names[] = {
		"lock_timeout", "statement_timeout", "transaction_timeout",
		"idle_in_transaction_session_timeout", "idle_session_timeout"
	};

	if (stmt->name == NULL)
		return false;
	for (size_t i = 0; i < lengthof(names); i++)
		if (pg_strcasecmp(stmt->name, names[i]) == 0)
			return true;
	return stmt->kind == VAR_SET_VALUE &&
		pg_strcasecmp(stmt->name, "session_authorization") == 0 &&
		!superuser_arg(GetAuthenticatedUserId());
}

/*
 * Take from a change of a table what cannot be made; return whether nothing is left.
 */
static bool
is_needless_table_change(AlterTableStmt *stmt, DeclareNotes *notes)
{
	List	   *cmds = NIL;
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		Oid			table;

		if (MigDetachIsFinalize(cmd))
			continue;
		if (cmd->subtype == AT_ChangeOwner)
		{
			table = RangeVarGetRelid(stmt->relation, NoLock, true);
			if (OidIsValid(table) &&
				!can_give(cmd->newowner, get_rel_namespace(table), notes))
				continue;
		}
		cmds = lappend(cmds, cmd);
	}
	stmt->cmds = cmds;
	return cmds == NIL;
}

/*
 * Return whether the caller can give an object to the role that a statement names.
 */
static bool
can_give_object(const AlterOwnerStmt *stmt, DeclareNotes *notes)
{
	Oid			schema = InvalidOid;

	if (superuser())
		return true;
	if (stmt->objectType == OBJECT_EVENT_TRIGGER || stmt->objectType == OBJECT_PUBLICATION)
		return false;
	if (has_schema(stmt->objectType))
	{
		bool		is_type = stmt->objectType == OBJECT_TYPE ||
			stmt->objectType == OBJECT_DOMAIN;
		/* the grammar has a type's name as a list here, and nowhere else */
		Node	   *object = is_type ?
			(Node *) makeTypeNameFromNameList(castNode(List, stmt->object)) : stmt->object;
		Relation	relation = NULL;
		ObjectAddress address = get_object_address(stmt->objectType, object, &relation,
												   AccessShareLock, true);

		if (relation != NULL)
			relation_close(relation, NoLock);
		if (!OidIsValid(address.objectId))
			return true;
		schema = get_object_namespace(&address);
	}
	return can_give(stmt->newowner, schema, notes);
}

/*
 * Return whether objects of a type are in schemas.
 */
static bool
has_schema(ObjectType type)
{
	switch (type)
	{
		case OBJECT_AGGREGATE:
		case OBJECT_COLLATION:
		case OBJECT_CONVERSION:
		case OBJECT_DOMAIN:
		case OBJECT_FUNCTION:
		case OBJECT_OPCLASS:
		case OBJECT_OPERATOR:
		case OBJECT_OPFAMILY:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
		case OBJECT_STATISTIC_EXT:
		case OBJECT_TSCONFIGURATION:
		case OBJECT_TSDICTIONARY:
		case OBJECT_TYPE:
			return true;
		default:
			return false;
	}
}

/*
 * Return whether the caller can give to a role something that is in a schema, or in
 * none; note the role if not.  True for a role that does not exist: the server says
 * that better.
 */
static bool
can_give(const RoleSpec *to, Oid schema, DeclareNotes *notes)
{
	Oid			role = get_rolespec_oid(to, true);

	if (!OidIsValid(role) || superuser())
		return true;
	if (mig_can_set_role(GetUserId(), role) &&
		(!OidIsValid(schema) || mig_schema_may_create(schema, role)))
		return true;
	note(notes, &notes->owners, GetUserNameFromId(role, false));
	return false;
}

/*
 * Return whether the caller can set the default privileges of the roles that a
 * statement names.
 */
static bool
can_set_defaults(const AlterDefaultPrivilegesStmt *stmt)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, stmt->options)
	{
		const DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "roles") != 0)
			continue;
		foreach(lc2, (List *) option->arg)
		{
			Oid			role = get_rolespec_oid(lfirst_node(RoleSpec, lc2), true);

			if (OidIsValid(role) && !has_privs_of_role(GetUserId(), role))
				return false;
		}
	}
	return true;
}

/*
 * Return what to run in place of CREATE SCHEMA: nothing if the schema is there, or only
 * what it creates in it.
 */
static List *
mend_schema(RawStmt *raw, DeclareNotes *notes)
{
	CreateSchemaStmt *stmt = castNode(CreateSchemaStmt, raw->stmt);
	const char *name = stmt->schemaname ? stmt->schemaname :
		get_rolespec_name(stmt->authrole);

	if (OidIsValid(get_namespace_oid(name, true)))
		mig_mend_own_schema(stmt, notes);
	note(notes, &notes->schemas, name);
	if (OidIsValid(get_namespace_oid(name, true)))
		return stmt->schemaElts == NIL ? NIL : elements_of_schema(raw, name);
	if (stmt->authrole != NULL && !can_give(stmt->authrole, InvalidOid, notes))
	{
		stmt->schemaname = pstrdup(name);
		stmt->authrole = NULL;
	}
	return list_make1(raw);
}

/*
 * Give a schema that is there to the role which the first CREATE SCHEMA of it would have
 * made the owner, if that counts.  Every database has public: only AUTHORIZATION says
 * anything about it.
 */
void
mig_mend_own_schema(const CreateSchemaStmt *stmt, DeclareNotes *notes)
{
	const char *name = stmt->schemaname ? stmt->schemaname :
		get_rolespec_name(stmt->authrole);
	Oid			owner = GetUserId();
	ListCell   *lc;

	if (!notes->new_rights || (stmt->authrole == NULL && mig_grants_is_public(name)))
		return;
	foreach(lc, notes->schemas)
		if (strcmp(lfirst(lc), name) == 0)
			return;
	if (stmt->authrole != NULL && can_give(stmt->authrole, InvalidOid, notes))
		owner = get_rolespec_oid(stmt->authrole, false);
	AlterSchemaOwner_oid(get_namespace_oid(name, false), owner);
	CommandCounterIncrement();
	note(notes, &notes->schemas, name);
}

/*
 * Return the elements of CREATE SCHEMA as statements of their own, with the schema in
 * search_path as the server has it for them.
 */
static List *
elements_of_schema(const RawStmt *raw, const char *name)
{
	List	   *raws;
	ListCell   *lc;

	raws = list_make1(set_search_path(mig_path_with(name)));
	foreach(lc, castNode(CreateSchemaStmt, raw->stmt)->schemaElts)
	{
		RawStmt    *element = makeNode(RawStmt);

		element->stmt = lfirst(lc);
		element->stmt_location = raw->stmt_location;
		element->stmt_len = raw->stmt_len;
		raws = lappend(raws, element);
	}
	return lappend(raws, set_search_path(mig_path_with(NULL)));
}

/*
 * Return a statement that sets search_path.
 */
static RawStmt *
set_search_path(const char *path)
{
	return linitial_node(RawStmt, mig_script_parse(psprintf("SET search_path = %s", path)));
}

/*
 * Note that an extension was created, or dropped.
 */
void
mig_mend_note_extension(DeclareNotes *notes, const char *name, bool created)
{
	List	   *others = NIL;
	ListCell   *lc;
	MemoryContext old = MemoryContextSwitchTo(notes->context);

	foreach(lc, notes->extensions)
		if (strcmp(lfirst(lc), name) != 0)
			others = lappend(others, lfirst(lc));
	notes->extensions = created ? lappend(others, pstrdup(name)) : others;
	MemoryContextSwitchTo(old);
}

/*
 * Note the schema that a model puts an extension in, if it says.
 */
static void
note_extension_schema(DeclareNotes *notes, const CreateExtensionStmt *stmt)
{
	MemoryContext old = MemoryContextSwitchTo(notes->context);
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		const DefElem *option = lfirst_node(DefElem, lc);
		ObjectProperty *place;

		if (strcmp(option->defname, "schema") != 0)
			continue;
		place = palloc(sizeof(ObjectProperty));
		place->name = pstrdup(stmt->extname);
		place->value = pstrdup(strVal(option->arg));
		notes->extension_schemas = lappend(notes->extension_schemas, place);
	}
	MemoryContextSwitchTo(old);
}

/*
 * Add a name to one of the notes.
 */
static void
note(const DeclareNotes *notes, List **names, const char *name)
{
	MemoryContext old = MemoryContextSwitchTo(notes->context);
	ListCell   *lc;

	foreach(lc, *names)
		if (strcmp(lfirst(lc), name) == 0)
			break;
	if (lc == NULL)
		*names = lappend(*names, pstrdup(name));
	MemoryContextSwitchTo(old);
}
