/*
 * statistics.c
 *		Extended statistics.
 */
#include "migrate.h"

#include "catalog/pg_statistic_ext.h"
#include "kind/kind.h"
#include "kind/kinds.h"

static void create(const SchemaObject *object, Writer *writer);
static bool change(const Difference *difference, Writer *writer);

/* The columns of statistics s, in an order. */
#define COLUMNS(order) \
	"(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY " order ") FROM pg_attribute a " \
	"WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys))"

const Kind	mig_kinds_statistics = {
	.name = "statistics",
	.catalog = StatisticExtRelationId,
	.query = KIND_OF_SCHEMA("s", "stx") ", "
	/* the server has the columns in the order of the table's, which means nothing */
	"coalesce((SELECT k.head || overlay(k.rest PLACING " COLUMNS("a.attname") " "
	"FROM position(' ON ' IN k.rest) + 4 FOR length(" COLUMNS("a.attnum") ")) "
	"FROM (SELECT left(d, length(h)) AS head, substr(d, length(h) + 1) AS rest FROM "
	"pg_get_statisticsobjdef(s.oid) d, concat('CREATE STATISTICS ', quote_ident(n.nspname), '.', "
	"quote_ident(s.stxname)) h) k), pg_get_statisticsobjdef(s.oid)) AS definition, "
	"CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget::text END AS target "
	"FROM " KIND_IN_SCHEMAS("pg_statistic_ext", "s", "stx"),
	.create = create,
	.alter = change,
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

/*
 * Write what alters the target of statistics, if nothing else differs.
 */
static bool
change(const Difference *difference, Writer *writer)
{
	const char *value = mig_objects_property(difference->to, "target");

	if (mig_writer_has(difference, "definition"))
		return false;
	mig_writer_add(writer, difference->to, PHASE_STATE, "ALTER STATISTICS %s SET STATISTICS %s",
				   mig_objects_qualified(difference->to), value != NULL ? value : "-1");
	return true;
}
