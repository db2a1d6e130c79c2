/*
 * grants.c
 *		Owners and privileges, as statements.
 *
 * The privileges of a new object are those that its owner has without a GRANT, and
 * PUBLIC of some kinds.  The schema public is in every new database, where PUBLIC has
 * some too: which, depends on the server.
 *
 * Everything is allocated in the current memory context.
 */
#include "migrate.h"

#include "compat.h"
#include "kind/grants.h"
#include "kind/kinds.h"
#include "kind/privileges.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* What GRANT calls objects of a kind. */
typedef struct Grantable
{
	const Kind *kind;
	const char *keywords;
	ObjectType	type;
} Grantable;

static const Grantable grantables[] = {
	{&mig_kinds_schema, "SCHEMA", OBJECT_SCHEMA},
	{&mig_kinds_table, "TABLE", OBJECT_TABLE},
	{&mig_kinds_foreign_table, "TABLE", OBJECT_TABLE},
	{&mig_kinds_view, "TABLE", OBJECT_TABLE},
	{&mig_kinds_materialized_view, "TABLE", OBJECT_TABLE},
	{&mig_kinds_column, "TABLE", OBJECT_COLUMN},
	{&mig_kinds_sequence, "SEQUENCE", OBJECT_SEQUENCE},
	{&mig_kinds_function, "FUNCTION", OBJECT_FUNCTION},
	{&mig_kinds_aggregate, "FUNCTION", OBJECT_FUNCTION},
	{&mig_kinds_procedure, "PROCEDURE", OBJECT_FUNCTION},
	{&mig_kinds_enum, "TYPE", OBJECT_TYPE},
	{&mig_kinds_domain, "TYPE", OBJECT_TYPE},
	{&mig_kinds_composite_type, "TYPE", OBJECT_TYPE},
	{&mig_kinds_range, "TYPE", OBJECT_TYPE},
	{&mig_kinds_base_type, "TYPE", OBJECT_TYPE},
	{&mig_kinds_language, "LANGUAGE", OBJECT_LANGUAGE},
	{&mig_kinds_wrapper, "FOREIGN DATA WRAPPER", OBJECT_FDW},
	{&mig_kinds_server, "FOREIGN SERVER", OBJECT_FOREIGN_SERVER}
};

/* A privilege. */
typedef struct Right
{
	AclMode		bit;
	const char *name;
} Right;

static const Right rights[] = {
	{ACL_SELECT, "SELECT"}, {ACL_INSERT, "INSERT"}, {ACL_UPDATE, "UPDATE"},
	{ACL_DELETE, "DELETE"}, {ACL_TRUNCATE, "TRUNCATE"}, {ACL_REFERENCES, "REFERENCES"},
	{ACL_TRIGGER, "TRIGGER"}, {ACL_EXECUTE, "EXECUTE"}, {ACL_USAGE, "USAGE"},
	{ACL_CREATE, "CREATE"}, {MIG_ACL_MAINTAIN, "MAINTAIN"}
};

static const char *owner_of(const SchemaObject *object);
static bool is_carried(const Difference *difference);
static const Grantable *grantable_of(const SchemaObject *object);
static List *initial_items(const SchemaObject *object, Oid owner);
static void replace_role(List *items, Oid from, Oid to);
static void write_owner(const SchemaObject *object, Writer *writer);
static void write_revokes(const SchemaObject *object, List *before, List *wanted,
						  Writer *writer);
static void write_item(const SchemaObject *object, const AclItem *item, AclMode change,
					   bool option, bool grant, Writer *writer);
static const char *rights_of(const SchemaObject *object, AclMode change);
static const char *grantee_of(const AclItem *item);

/*
 * Return whether a name is that of the schema which every new database has.
 */
bool
mig_grants_is_public(const char *schema)
{
	return strcmp(schema, "public") == 0;
}

/*
 * Return the privileges of a schema that is new, or of public in a new database.
 */
Acl *
mig_grants_initial(const char *schema, Oid owner)
{
	Acl		   *acl = acldefault(OBJECT_SCHEMA, owner);
	AclItem		item = {.ai_grantee = ACL_ID_PUBLIC, .ai_grantor = owner};

	if (!mig_grants_is_public(schema))
		return acl;
	ACLITEM_SET_PRIVS_GOPTIONS(item, MIG_PUBLIC_RIGHTS, ACL_NO_RIGHTS);
	return aclupdate(acl, &item, ACL_MODECHG_ADD, owner, DROP_RESTRICT);
}

/*
 * Write what gives a new object, or the schema of a new database, its owner and
 * privileges, where these have been read.  Errors: 42704 when a role is gone meanwhile.
 */
void
mig_grants_write(const SchemaObject *object, Writer *writer)
{
	const Grantable *grantable = grantable_of(object);
	const char *owner;
	Oid			role = InvalidOid;
	NewPrivileges	initial;

	if (!mig_objects_has_property(object, "owner"))
		return;
	owner = mig_objects_property(object, "owner");
	if (owner != NULL)
	{
		role = get_role_oid(owner, false);
		write_owner(object, writer);
	}
	if (grantable == NULL)
		return;
	initial = mig_privileges_of_new(writer->defaults, object, grantable->type, role,
										initial_items(object, role));
	mig_grants_write_changes(object, &initial,
							 mig_privileges_parse(mig_objects_property(object, "privileges")),
							 role, writer);
}

/*
 * Write what gives an object another owner or other privileges.  Likewise.
 */
void
mig_grants_change(const Difference *difference, Writer *writer)
{
	const SchemaObject *to = difference->to;
	const char *old_owner = owner_of(difference->from);
	const char *owner = owner_of(to);
	List	   *before = mig_privileges_parse(mig_objects_property(difference->from, "privileges"));
	Oid			role = owner != NULL ? get_role_oid(owner, false) : InvalidOid;

	if (mig_writer_has(difference, "owner") && !is_carried(difference))
		write_owner(to, writer);
	/* the new owner takes over what the old one has and has granted */
	if (owner != NULL && old_owner != NULL)
		replace_role(before, get_role_oid(old_owner, false), role);
	if (grantable_of(to) != NULL)
		mig_grants_write_changes(to, &(NewPrivileges) {before, before},
								 mig_privileges_parse(mig_objects_property(to, "privileges")),
								 role, writer);
}

/*
 * Write what gives the sequence of an identity column, which has a qualified name, other
 * privileges than it has as that of another; NULL: it is new.  Its owner is that of the table.
 */
void
mig_grants_write_sequence(const SchemaObject *from, const SchemaObject *to, const char *name,
						  Writer *writer)
{
	ObjectProperty owner = {"owner", owner_of(to)};
	SchemaObject sequence = {.kind = &mig_kinds_sequence, .schema = to->schema,
		.identity = name, .nproperties = 1, .properties = &owner};
	Oid			role = get_role_oid(owner.value, false);
	int			written = list_length(writer->actions);
	NewPrivileges before;

	if (from == NULL)
		before = mig_privileges_of_new(writer->defaults, &sequence, OBJECT_SEQUENCE, role,
									   initial_items(&sequence, role));
	else
	{
		before.certain = mig_privileges_parse(mig_objects_property(from, "sequence_privileges"));
		replace_role(before.certain, get_role_oid(owner_of(from), false), role);
		before.possible = before.certain;
	}
	mig_grants_write_changes(&sequence, &before,
							 mig_privileges_parse(mig_objects_property(to, "sequence_privileges")),
							 role, writer);
	for (int i = written; i < list_length(writer->actions); i++)
		((Action *) list_nth(writer->actions, i))->object = to;
}

/*
 * Return the owner of an object, of a column that of its table; NULL: none.
 */
static const char *
owner_of(const SchemaObject *object)
{
	return mig_objects_property(object->kind == &mig_kinds_column ? object->owner : object,
								"owner");
}

/*
 * Return whether an object gets its owner with its table: a sequence that is a column's.
 */
static bool
is_carried(const Difference *difference)
{
	return difference->to->kind == &mig_kinds_sequence &&
		mig_objects_property(difference->from, "owned_by") != NULL &&
		mig_objects_property(difference->to, "owned_by") != NULL;
}

/*
 * Return what GRANT calls an object, NULL where its kind has no privileges.
 */
static const Grantable *
grantable_of(const SchemaObject *object)
{
	for (size_t i = 0; i < lengthof(grantables); i++)
		if (grantables[i].kind == object->kind)
			return &grantables[i];
	return NULL;
}

/*
 * Return the privileges (AclItem *) of an object that is new.
 */
static List *
initial_items(const SchemaObject *object, Oid owner)
{
	return mig_privileges_items(object->kind == &mig_kinds_schema ?
							mig_grants_initial(object->name, owner) :
							acldefault(grantable_of(object)->type, owner));
}

/*
 * Have items (AclItem *) that are of a role, or granted by it, be another's.
 */
static void
replace_role(List *items, Oid from, Oid to)
{
	ListCell   *lc;

	foreach(lc, items)
	{
		AclItem    *item = lfirst(lc);

		if (item->ai_grantee == from)
			item->ai_grantee = to;
		if (item->ai_grantor == from)
			item->ai_grantor = to;
	}
}

/*
 * Write ALTER ... OWNER TO, which there is of no extension.
 */
static void
write_owner(const SchemaObject *object, Writer *writer)
{
	if (object->kind == &mig_kinds_extension)
		return;
	mig_writer_add(writer, object, PHASE_CREATE, "ALTER %s OWNER TO %s",
				   mig_writer_target(object),
				   quote_identifier(mig_objects_property(object, "owner")));
}

/*
 * Write the REVOKEs and GRANTs that lead from some privileges to others (AclItem *), each
 * GRANT after the one that its grantor has its option from.
 */
void
mig_grants_write_changes(const SchemaObject *object, const NewPrivileges *before, List *wanted,
						 Oid owner, Writer *writer)
{
	List	   *grantors = list_make1_oid(owner);
	bool		found = true;

	write_revokes(object, before->possible, wanted, writer);
	while (found && wanted != NIL)
	{
		List	   *left = NIL;
		ListCell   *lc;

		found = false;
		foreach(lc, wanted)
		{
			const AclItem *item = lfirst(lc);
			const AclItem *old = mig_privileges_find(before->certain, item);
			AclMode		options = ACLITEM_GET_GOPTIONS(*item);
			AclMode		has = old ? ACLITEM_GET_PRIVS(*old) : ACL_NO_RIGHTS;
			AclMode		has_options = old ? ACLITEM_GET_GOPTIONS(*old) : ACL_NO_RIGHTS;

			if (OidIsValid(owner) && !list_member_oid(grantors, item->ai_grantor))
			{
				left = lappend(left, lfirst(lc));
				continue;
			}
			if (options != ACL_NO_RIGHTS)
				grantors = lappend_oid(grantors, item->ai_grantee);
			write_item(object, item, ACLITEM_GET_PRIVS(*item) & ~options & ~has, false, true,
					   writer);
			write_item(object, item, options & ~has_options, true, true, writer);
			found = true;
		}
		wanted = left;
	}
}

/*
 * Write the REVOKEs of what is among some privileges (AclItem *) and not among others.
 */
static void
write_revokes(const SchemaObject *object, List *before, List *wanted, Writer *writer)
{
	ListCell   *lc;

	foreach(lc, before)
	{
		const AclItem *item = lfirst(lc);
		const AclItem *new = mig_privileges_find(wanted, item);
		AclMode		keeps = new ? ACLITEM_GET_PRIVS(*new) : ACL_NO_RIGHTS;
		AclMode		keeps_options = new ? ACLITEM_GET_GOPTIONS(*new) : ACL_NO_RIGHTS;

		write_item(object, item, ACLITEM_GET_PRIVS(*item) & ~keeps, false, false, writer);
		write_item(object, item, ACLITEM_GET_GOPTIONS(*item) & keeps & ~keeps_options, true,
				   false, writer);
	}
}

/*
 * Write the GRANT or REVOKE of some privileges of an item, or of the option to grant them,
 * as the role that has granted it where that is not the owner.
 */
static void
write_item(const SchemaObject *object, const AclItem *item, AclMode change, bool option,
		   bool grant, Writer *writer)
{
	bool		is_default = object->kind == &mig_kinds_default_privileges;
	const char *owner = owner_of(object);
	const char *grantor = GetUserNameFromId(item->ai_grantor, false);
	bool		other = owner != NULL && strcmp(grantor, owner) != 0;

	if (change == ACL_NO_RIGHTS)
		return;
	mig_writer_add(writer, object, is_default ? PHASE_CREATE : PHASE_COMMENT,
				   "%s%s%s%s%s%s ON %s %s %s%s%s",
				   other ? "SET SESSION AUTHORIZATION " : "",
				   other ? psprintf("%s;\n", quote_identifier(grantor)) : "",
				   is_default ? mig_privileges_default_prefix(object) : "",
				   grant ? "GRANT " : "REVOKE ",
				   option && !grant ? "GRANT OPTION FOR " : "", rights_of(object, change),
				   mig_grants_target(object), grant ? "TO" : "FROM", grantee_of(item),
				   option && grant ? " WITH GRANT OPTION" : "",
				   other ? ";\nRESET SESSION AUTHORIZATION" : "");
}

/*
 * Return what GRANT has after ON.
 */
const char *
mig_grants_target(const SchemaObject *object)
{
	if (object->kind == &mig_kinds_default_privileges)
		return mig_privileges_default_target(object);
	return psprintf("%s %s", grantable_of(object)->keywords,
					object->kind == &mig_kinds_column ? mig_objects_parent(object) :
					mig_writer_target(object) + strlen(object->kind->comment_on) + 1);
}

/*
 * Return privileges as GRANT has them.
 */
static const char *
rights_of(const SchemaObject *object, AclMode change)
{
	StringInfoData list;

	initStringInfo(&list);
	for (size_t i = 0; i < lengthof(rights); i++)
		if (change & rights[i].bit)
		{
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", rights[i].name);
			if (object->kind == &mig_kinds_column)
				appendStringInfo(&list, " (%s)", quote_identifier(object->name));
		}
	return list.data;
}

/*
 * Return the role that an item is about, as GRANT has it.
 */
static const char *
grantee_of(const AclItem *item)
{
	return item->ai_grantee == ACL_ID_PUBLIC ? "PUBLIC" :
		quote_identifier(GetUserNameFromId(item->ai_grantee, false));
}
