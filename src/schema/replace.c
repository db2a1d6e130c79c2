/*
 * replace.c
 *		Live objects of the database that a model makes, too.
 *
 * The scratch has the servers, languages, casts and the like that are there: models can
 * use them, as they use extensions.  One that a model makes itself is hidden first, so
 * that what the model says of it counts.  A caller without the rights for that has the
 * live one, which then counts as declared.
 */
#include "migrate.h"

#include "catalog/dependency.h"
#include "catalog/pg_am.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_language.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_transform.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "commands/proclang.h"
#include "compat.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "schema/hide.h"
#include "schema/replace.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static ObjectAddress find(const Node *stmt);
static Oid	find_cast(const CreateCastStmt *stmt);
static Oid	find_transform(const CreateTransformStmt *stmt);
static Oid	find_mapping(const RoleSpec *user, Oid server);
static void hide_dropped(const DropStmt *stmt, const DeclareNotes *notes);
static void hide_default(const CreateOpClassStmt *stmt);
static bool is_live(const DeclareNotes *notes, const ObjectAddress *object);
static bool may_replace(const Node *stmt, const ObjectAddress *object);
static void keep(DeclareNotes *notes, const ObjectAddress *object);

/*
 * Make room for what a statement makes in the whole database; return whether it is to
 * be skipped, because that is there and cannot be made again.  Errors: XX000 when others
 * change the same rows.
 */
bool
mig_replace_live(const Node *stmt, DeclareNotes *notes)
{
	ObjectAddress object;

	if (IsA(stmt, DropStmt))
	{
		hide_dropped((const DropStmt *) stmt, notes);
		return false;
	}
	if (IsA(stmt, CreateOpClassStmt))
		hide_default((const CreateOpClassStmt *) stmt);
	object = find(stmt);
	if (!OidIsValid(object.objectId))
		return false;
	if (!is_live(notes, &object))
		return true;
	if (may_replace(stmt, &object))
	{
		mig_hide_object(&object);
		return false;
	}
	keep(notes, &object);
	return true;
}

/*
 * Return whether a live object counts as declared.
 */
bool
mig_replace_is_kept(const DeclareNotes *notes, const ObjectAddress *object)
{
	ListCell   *lc;

	foreach(lc, notes->kept)
	{
		const ObjectAddress *kept = lfirst(lc);

		if (kept->classId == object->classId && kept->objectId == object->objectId)
			return true;
	}
	return false;
}

/*
 * Return the object that is there under the name that a statement gives to another.
 */
static ObjectAddress
find(const Node *stmt)
{
	ObjectAddress found = InvalidObjectAddress;

	switch (nodeTag(stmt))
	{
		case T_CreateForeignServerStmt:
			ObjectAddressSet(found, ForeignServerRelationId, get_foreign_server_oid(
				((const CreateForeignServerStmt *) stmt)->servername, true));
			break;
		case T_CreateFdwStmt:
			ObjectAddressSet(found, ForeignDataWrapperRelationId,
							 get_foreign_data_wrapper_oid(
								 ((const CreateFdwStmt *) stmt)->fdwname, true));
			break;
		case T_CreatePLangStmt:
			ObjectAddressSet(found, LanguageRelationId, get_language_oid(
				((const CreatePLangStmt *) stmt)->plname, true));
			break;
		case T_CreateAmStmt:
			ObjectAddressSet(found, AccessMethodRelationId, get_am_oid(
				((const CreateAmStmt *) stmt)->amname, true));
			break;
		case T_CreateCastStmt:
			ObjectAddressSet(found, CastRelationId,
							 find_cast((const CreateCastStmt *) stmt));
			break;
		case T_CreateTransformStmt:
			ObjectAddressSet(found, TransformRelationId,
							 find_transform((const CreateTransformStmt *) stmt));
			break;
		case T_CreateUserMappingStmt:
			ObjectAddressSet(found, UserMappingRelationId, find_mapping(
				((const CreateUserMappingStmt *) stmt)->user, get_foreign_server_oid(
					((const CreateUserMappingStmt *) stmt)->servername, true)));
			break;
		default:
			break;
	}
	return found;
}

/*
 * Return the cast between two types, InvalidOid if there is none.
 */
static Oid
find_cast(const CreateCastStmt *stmt)
{
	Oid			source = LookupTypeNameOid(NULL, stmt->sourcetype, true);
	Oid			target = LookupTypeNameOid(NULL, stmt->targettype, true);

	return OidIsValid(source) && OidIsValid(target) ?
		get_cast_oid(source, target, true) : InvalidOid;
}

/*
 * Return the transform of a type for a language, InvalidOid if there is none.
 */
static Oid
find_transform(const CreateTransformStmt *stmt)
{
	Oid			type = LookupTypeNameOid(NULL, stmt->type_name, true);
	Oid			language = get_language_oid(stmt->lang, true);

	return OidIsValid(type) && OidIsValid(language) ?
		get_transform_oid(type, language, true) : InvalidOid;
}

/*
 * Return the mapping of a user for a server, InvalidOid if there is none.
 */
static Oid
find_mapping(const RoleSpec *user, Oid server)
{
	Oid			role = user->roletype == ROLESPEC_PUBLIC ? InvalidOid :
		get_rolespec_oid(user, true);

	if (user->roletype != ROLESPEC_PUBLIC && !OidIsValid(role))
		return InvalidOid;
	return GetSysCacheOid2(USERMAPPINGUSERSERVER, Anum_pg_user_mapping_oid,
						   ObjectIdGetDatum(role), ObjectIdGetDatum(server));
}

/*
 * Hide the live objects that a statement drops: in an empty database there are none.
 */
static void
hide_dropped(const DropStmt *stmt, const DeclareNotes *notes)
{
	ListCell   *lc;

	if (stmt->removeType != OBJECT_FDW && stmt->removeType != OBJECT_FOREIGN_SERVER &&
		stmt->removeType != OBJECT_LANGUAGE && stmt->removeType != OBJECT_ACCESS_METHOD &&
		stmt->removeType != OBJECT_CAST && stmt->removeType != OBJECT_TRANSFORM)
		return;
	foreach(lc, stmt->objects)
	{
		Relation	relation;
		ObjectAddress object = get_object_address(stmt->removeType, lfirst(lc), &relation,
												  AccessShareLock, true);

		if (OidIsValid(object.objectId) && is_live(notes, &object) &&
			may_replace((const Node *) stmt, &object))
			mig_hide_object(&object);
	}
}

/*
 * A type has one default operator class of an access method, in whichever schema:
 * that of a live schema makes room.
 */
static void
hide_default(const CreateOpClassStmt *stmt)
{
	Oid			type = LookupTypeNameOid(NULL, stmt->datatype, true);
	Oid			method = get_am_oid(stmt->amname, true);
	Oid			found;
	ObjectAddress object;
	const char *schema;

	if (!stmt->isDefault || !OidIsValid(type) || !OidIsValid(method) || !superuser())
		return;
	found = GetDefaultOpClass(type, method);
	if (!OidIsValid(found) || get_opclass_input_type(found) != type)
		return;
	ObjectAddressSet(object, OperatorClassRelationId, found);
	schema = get_namespace_name(get_object_namespace(&object));
	if (schema != NULL && strncmp(schema, "mig_live_", strlen("mig_live_")) == 0)
		mig_hide_default(found);
}

/*
 * Return whether an object was there before the models were run, and could be theirs.
 */
static bool
is_live(const DeclareNotes *notes, const ObjectAddress *object)
{
	return notes->before != NULL && mig_objects_at(notes->before, object) != NULL;
}

/*
 * Return whether the caller can make an object again: a superuser all, the owner of a
 * server that, and the mappings for it.
 */
static bool
may_replace(const Node *stmt, const ObjectAddress *object)
{
	Oid			server = InvalidOid;

	if (superuser())
		return true;
	if (object->classId == ForeignServerRelationId)
		server = object->objectId;
	else if (IsA(stmt, CreateUserMappingStmt))
		server = get_foreign_server_oid(((const CreateUserMappingStmt *) stmt)->servername,
										true);
	return OidIsValid(server) && mig_server_is_owned(server, GetUserId());
}

/*
 * Note that a live object counts as declared.
 */
static void
keep(DeclareNotes *notes, const ObjectAddress *object)
{
	MemoryContext old = MemoryContextSwitchTo(notes->context);
	ObjectAddress *kept = palloc(sizeof(ObjectAddress));

	*kept = *object;
	notes->kept = lappend(notes->kept, kept);
	MemoryContextSwitchTo(old);
}
