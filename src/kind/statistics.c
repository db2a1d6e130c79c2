/*
 * statistics.c
 *		Extended statistics.
 */
#include "migrate.h"

#include "catalog/pg_statistic_ext.h"
#include "kind/kind.h"
#include "kind/kinds.h"

static void create(const SchemaObject *object, Writer *writer);

const Kind	mig_kinds_statistics = {
	.name = "statistics",
	.catalog = StatisticExtRelationId,
	.query = KIND_OF_SCHEMA("s", "stx") ", "
	"pg_get_statisticsobjdef(s.oid) AS definition, "
	"CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget::text END AS target "
	"FROM " KIND_IN_SCHEMAS("pg_statistic_ext", "s", "stx"),
	.create = create,
	.comment_on = "STATISTICS"
};

/*
 * Write CREATE STATISTICS.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	const char *value = mig_objects_property(object, "target");

	mig_writer_add(writer, object, PHASE_CREATE, "%s",
				   mig_objects_property(object, "definition"));
	if (value != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "ALTER STATISTICS %s SET STATISTICS %s",
					   mig_objects_qualified(object), value);
}
