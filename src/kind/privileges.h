/*
 * privileges.h
 *		Privileges as lists, and those of new objects.
 */
#ifndef MIG_PRIVILEGES_H
#define MIG_PRIVILEGES_H

#include "migrate.h"

#include "kind/objects.h"
#include "utils/acl.h"

/* Privileges of a new object, by what is known of them. */
typedef struct NewPrivileges
{
	List	   *possible;		/* AclItem *: it may have them */
	List	   *certain;		/* AclItem *: it has them */
} NewPrivileges;

extern List *mig_privileges_items(const Acl *acl);
extern List *mig_privileges_parse(const char *text);
extern const AclItem *mig_privileges_find(List *items, const AclItem *like);
extern NewPrivileges mig_privileges_of_new(List *defaults, const SchemaObject *object,
										   ObjectType type, Oid owner, List *without);
extern Oid	mig_privileges_default_role(const SchemaObject *object);
extern ObjectType mig_privileges_default_type(const SchemaObject *object);
extern const char *mig_privileges_default_prefix(const SchemaObject *object);
extern const char *mig_privileges_default_target(const SchemaObject *object);

#endif							/* MIG_PRIVILEGES_H */
