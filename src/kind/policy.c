/*
 * policy.c
 *		Policies of row security.
 */
#include "migrate.h"

#include "catalog/pg_class.h"
#include "catalog/pg_policy.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"

static void create(const SchemaObject *object, Writer *writer);

const Kind	mig_kinds_policy = {
	.name = "policy",
	.catalog = PolicyRelationId,
	.owner_catalog = RelationRelationId,
	.query = KIND_OF_RELATION("p", "pol") ", "
	"CASE WHEN NOT p.polpermissive THEN 'true' END AS restrictive, "
	"CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' "
	"WHEN 'd' THEN 'DELETE' END AS command, "
	"CASE WHEN p.polroles <> '{0}' THEN (SELECT string_agg(quote_ident(r.rolname), ', ' "
	"ORDER BY r.rolname) FROM pg_roles r WHERE r.oid = ANY (p.polroles)) END AS roles, "
	"pg_get_expr(p.polqual, p.polrelid) AS \"using\", "
	"pg_get_expr(p.polwithcheck, p.polrelid) AS \"check\" "
	"FROM " KIND_RELATIONS("'r', 'p'")
	"JOIN pg_policy p ON p.polrelid = c.oid",
	.create = create,
	.comment_on = "POLICY"
};

/*
 * Write CREATE POLICY.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE POLICY %s", object->identity);
	if (mig_objects_property(object, "restrictive") != NULL)
		appendStringInfoString(&sql, " AS RESTRICTIVE");
	mig_writer_clause(&sql, object, " FOR ", "command", "");
	mig_writer_clause(&sql, object, " TO ", "roles", "");
	mig_writer_clause(&sql, object, " USING (", "using", ")");
	mig_writer_clause(&sql, object, " WITH CHECK (", "check", ")");
	mig_writer_add(writer, object, PHASE_CREATE, "%s", sql.data);
}
