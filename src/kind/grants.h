/*
 * grants.h
 *		Owners and privileges, as statements.
 */
#ifndef MIG_GRANTS_H
#define MIG_GRANTS_H

#include "migrate.h"

#include "kind/objects.h"
#include "kind/privileges.h"
#include "kind/writer.h"
#include "utils/acl.h"

extern bool mig_grants_is_public(const char *schema);
extern Acl *mig_grants_initial(const char *schema, Oid owner);
extern void mig_grants_write(const SchemaObject *object, Writer *writer);
extern void mig_grants_change(const Difference *difference, Writer *writer);
extern void mig_grants_write_sequence(const SchemaObject *from, const SchemaObject *to,
									  const char *name, Writer *writer);
extern const char *mig_grants_target(const SchemaObject *object);
extern void mig_grants_write_changes(const SchemaObject *object, const NewPrivileges *before,
									 List *wanted, Oid owner, Writer *writer);

#endif							/* MIG_GRANTS_H */
