/*
 * grants.c
 *		Owner and privileges of a schema, as statements.
 *
 * The privileges of a new schema are those that its owner has without a GRANT.  public
 * is in every new database, where PUBLIC has some too: which, depends on the server.
 *
 * Everything is allocated in the current memory context.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "compat.h"
#include "kind/grants.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

static List *parse_items(const char *text);
static void write_grants(const SchemaObject *object, List *wanted, List *before, Oid owner,
						 Writer *writer);
static bool has_item(List *items, const AclItem *item);
static void write_grant(const SchemaObject *object, const AclItem *item, Writer *writer);
static const char *rights_of(AclMode rights);
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
 * Write what gives a new schema, or that of a new database, its owner and privileges.
 * Errors: 42704 when a role is gone meanwhile.
 */
void
mig_grants_write(const SchemaObject *object, Writer *writer)
{
	const char *name = quote_identifier(object->name);
	const char *owner = mig_objects_property(object, "owner");
	Acl		   *initial = mig_grants_initial(object->name, get_role_oid(owner, false));
	List	   *wanted = parse_items(mig_objects_property(object, "privileges"));
	List	   *before = NIL;
	ListCell   *lc;

	for (int i = 0; i < ACL_NUM(initial); i++)
		before = lappend(before, &ACL_DAT(initial)[i]);
	mig_writer_add(writer, object, PHASE_STATE, "ALTER SCHEMA %s OWNER TO %s", name,
				   quote_identifier(owner));
	foreach(lc, before)
		if (!has_item(wanted, lfirst(lc)))
			mig_writer_add(writer, object, PHASE_STATE, "REVOKE ALL ON SCHEMA %s FROM %s",
						   name, grantee_of(lfirst(lc)));
	write_grants(object, wanted, before, get_role_oid(owner, false), writer);
}

/*
 * Write the GRANTs of those items (AclItem *) that are not among others, each after the
 * one that its grantor has its option from; of the owner, all.
 */
static void
write_grants(const SchemaObject *object, List *wanted, List *before, Oid owner,
			 Writer *writer)
{
	List	   *grantors = list_make1_oid(owner);
	bool		found = true;

	while (found && wanted != NIL)
	{
		List	   *left = NIL;
		ListCell   *lc;

		found = false;
		foreach(lc, wanted)
		{
			const AclItem *item = lfirst(lc);

			if (!list_member_oid(grantors, item->ai_grantor))
			{
				left = lappend(left, lfirst(lc));
				continue;
			}
			if (ACLITEM_GET_GOPTIONS(*item) != ACL_NO_RIGHTS)
				grantors = lappend_oid(grantors, item->ai_grantee);
			if (!has_item(before, item))
				write_grant(object, item, writer);
			found = true;
		}
		wanted = left;
	}
}

/*
 * Return the items (AclItem *) of privileges as they were read, separated by commas;
 * NULL: none.  A comma can be in a name, which has quotes then.
 */
static List *
parse_items(const char *text)
{
	List	   *items = NIL;

	while (text != NULL && *text != '\0')
	{
		bool		quoted = false;
		const char *end = text;

		for (; *end != '\0' && (quoted || *end != ','); end++)
			if (*end == '"')
				quoted = !quoted;
		items = lappend(items, DatumGetAclItemP(
							DirectFunctionCall1(aclitemin,
												CStringGetDatum(pnstrdup(text, end - text)))));
		text = *end == ',' ? end + strspn(end, ", ") : end;
	}
	return items;
}

/*
 * Return whether an item is in a list (AclItem *).
 */
static bool
has_item(List *items, const AclItem *item)
{
	ListCell   *lc;

	foreach(lc, items)
		if (((const AclItem *) lfirst(lc))->ai_grantee == item->ai_grantee &&
			((const AclItem *) lfirst(lc))->ai_grantor == item->ai_grantor &&
			((const AclItem *) lfirst(lc))->ai_privs == item->ai_privs)
			return true;
	return false;
}

/*
 * Write the GRANTs of an item, as the role that has granted it where that is not the
 * owner.
 */
static void
write_grant(const SchemaObject *object, const AclItem *item, Writer *writer)
{
	AclMode		options = ACLITEM_GET_GOPTIONS(*item);
	AclMode		plain = ACLITEM_GET_PRIVS(*item) & ~options;
	const char *grantor = GetUserNameFromId(item->ai_grantor, false);
	bool		other = strcmp(grantor, mig_objects_property(object, "owner")) != 0;
	StringInfoData sql;

	initStringInfo(&sql);
	if (other)
		appendStringInfo(&sql, "SET SESSION AUTHORIZATION %s;\n", quote_identifier(grantor));
	if (plain != ACL_NO_RIGHTS)
		appendStringInfo(&sql, "GRANT %s ON SCHEMA %s TO %s%s", rights_of(plain),
						 quote_identifier(object->name), grantee_of(item),
						 options != ACL_NO_RIGHTS ? ";\n" : "");
	if (options != ACL_NO_RIGHTS)
		appendStringInfo(&sql, "GRANT %s ON SCHEMA %s TO %s WITH GRANT OPTION",
						 rights_of(options), quote_identifier(object->name),
						 grantee_of(item));
	if (other)
		appendStringInfoString(&sql, ";\nRESET SESSION AUTHORIZATION");
	mig_writer_add(writer, object, PHASE_STATE, "%s", sql.data);
}

/*
 * Return the privileges of a schema as GRANT has them.
 */
static const char *
rights_of(AclMode rights)
{
	if (rights == ACL_ALL_RIGHTS_SCHEMA)
		return "ALL";
	return rights == ACL_CREATE ? "CREATE" : "USAGE";
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
