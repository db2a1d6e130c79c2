/*
 * install.c
 *		What the installation script calls.
 *
 * The server remembers the GRANTs and REVOKEs of an extension's script in
 * pg_init_privs, and pg_dump writes how an object's privileges differ from these.
 * Here they would name the role that installs, because it owns the functions.
 * Before 17 neither REASSIGN OWNED nor DROP OWNED changes them: after the role was
 * dropped, pg_dump would write REVOKEs from a role of which only the number is
 * left, and pg_upgrade would fail.  So the script has the server forget them.
 * pg_dump then writes all privileges of the functions, as those of any function.
 */
#include "migrate.h"

#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "utils/acl.h"

PG_FUNCTION_INFO_V1(migrate_forget_initial_privileges);

/*
 * Forget the initial privileges of one function.  The script drops the SQL
 * function that calls this.  Errors: 55000 outside of an extension's script.
 */
Datum
migrate_forget_initial_privileges(PG_FUNCTION_ARGS)
{
	if (!creating_extension || PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("initial privileges can be changed only by the script of an extension")));
	removeExtObjInitPriv(PG_GETARG_OID(0), ProcedureRelationId);
	PG_RETURN_VOID();
}
