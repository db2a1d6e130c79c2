/*
 * collation.c
 *		Collations.
 *
 * Those for other encodings than the database's cannot be used, and are not read.
 */
#include "migrate.h"

#include "catalog/pg_collation.h"
#include "compat.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"

static void create(const SchemaObject *object, Writer *writer);

const Kind	mig_kinds_collation = {
	.name = "collation",
	.catalog = CollationRelationId,
	.query = KIND_OF_SCHEMA("o", "coll") ", "
	"CASE o.collprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' "
	"ELSE 'default' END AS provider, "
	"CASE WHEN NOT o.collisdeterministic THEN 'false' END AS deterministic, "
	MIG_COLLATION_LOCALE
	"FROM " KIND_IN_SCHEMAS("pg_collation", "o", "coll")
	"AND o.collencoding IN (-1, (SELECT encoding FROM pg_database "
	"WHERE datname = current_database()))",
	.create = create,
	.comment_on = "COLLATION"
};

/*
 * Write CREATE COLLATION.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	static const WriterOption options[] = {
		{"deterministic", "deterministic"}, {"locale", "locale"},
		{"lc_collate", "lc_collate"}, {"lc_ctype", "lc_ctype"}, {"rules", "rules"}
	};
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE COLLATION %s (provider = %s",
					 mig_objects_qualified(object), mig_objects_property(object, "provider"));
	mig_writer_options(&sql, object, ", ", OPTION_LITERAL, options, lengthof(options));
	mig_writer_add(writer, object, PHASE_CREATE, "%s)", sql.data);
}
