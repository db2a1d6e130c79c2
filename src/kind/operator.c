/*
 * operator.c
 *		Operators, operator families, operator classes.
 *
 * A family that has been made with its class is an object of its own all the same.
 * What belongs to a class is made with it; the rest is the family's.
 */
#include "migrate.h"

#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

/* An operand's type, as messages name operators. */
#define OPERAND(type) "coalesce(" KIND_TYPE(type) ", 'NONE')"

/* The operators and functions that are part of a class or a family x. */
#define ITEMS(catalog) \
	"(SELECT string_agg(i.item, ', ' ORDER BY i.sort, i.number, i.item) FROM (" \
	"SELECT 1 AS sort, o.amopstrategy AS number, format('OPERATOR %s %s%s', " \
	"o.amopstrategy, o.amopopr::regoperator, ' FOR ORDER BY ' || " \
	KIND_QUALIFIED("pg_opfamily", "opf", "nullif(o.amopsortfamily, 0)") ") AS item " \
	"FROM pg_depend d JOIN pg_amop o ON o.oid = d.objid " \
	"WHERE d.classid = 'pg_amop'::regclass AND d.refclassid = '" catalog "'::regclass " \
	"AND d.refobjid = x.oid " \
	"UNION ALL SELECT 2, p.amprocnum, format('FUNCTION %s (%s, %s) %s', p.amprocnum, " \
	"format_type(p.amproclefttype, NULL), format_type(p.amprocrighttype, NULL), " \
	"p.amproc::regprocedure) FROM pg_depend d JOIN pg_amproc p ON p.oid = d.objid " \
	"WHERE d.classid = 'pg_amproc'::regclass AND d.refclassid = '" catalog "'::regclass " \
	"AND d.refobjid = x.oid) i)"

static void create(const SchemaObject *object, Writer *writer);
static void create_family(const SchemaObject *object, Writer *writer);
static void create_class(const SchemaObject *object, Writer *writer);

/* An operator that another names, but that has not been made yet, has no function. */
const Kind	mig_kinds_operator = {
	.name = "operator",
	.catalog = OperatorRelationId,
	.identity = IDENTITY_OPERATOR,
	.query =
	KIND_OF_SCHEMA_WITH("x", "opr", "concat(" OPERAND("x.oprleft") ", ', ', "
						OPERAND("x.oprright") ")") ", "
	KIND_TYPE("x.oprleft") " AS left_type, " KIND_TYPE("x.oprright") " AS right_type, "
	KIND_FUNCTION("x.oprcode") " AS function, "
	KIND_OPERATOR("x.oprcom") " AS commutator, "
	KIND_OPERATOR("x.oprnegate") " AS negator, " KIND_FUNCTION("x.oprrest") " AS restrict, "
	KIND_FUNCTION("x.oprjoin") " AS \"join\", "
	"CASE WHEN x.oprcanhash THEN 'true' END AS hashes, "
	"CASE WHEN x.oprcanmerge THEN 'true' END AS merges "
	"FROM " KIND_IN_SCHEMAS("pg_operator", "x", "opr"),
	.create = create,
	.comment_on = "OPERATOR"
};

const Kind	mig_kinds_operator_family = {
	.name = "operator family",
	.catalog = OperatorFamilyRelationId,
	.identity = IDENTITY_USING,
	.query = KIND_OF_SCHEMA_WITH("x", "opf", "quote_ident(m.amname)") ", "
	ITEMS("pg_opfamily") " AS items "
	"FROM " KIND_IN_SCHEMAS("pg_opfamily", "x", "opf")
	"JOIN pg_am m ON m.oid = x.opfmethod",
	.create = create_family,
	.comment_on = "OPERATOR FAMILY"
};

const Kind	mig_kinds_operator_class = {
	.name = "operator class",
	.catalog = OperatorClassRelationId,
	.identity = IDENTITY_USING,
	.query = KIND_OF_SCHEMA_WITH("x", "opc", "quote_ident(m.amname)") ", "
	"format_type(x.opcintype, NULL) AS type, "
	"CASE WHEN x.opcdefault THEN 'true' END AS is_default, "
	KIND_QUALIFIED("pg_opfamily", "opf", "x.opcfamily") " AS family, "
	ITEMS("pg_opclass") " AS items, "
	KIND_TYPE("x.opckeytype") " AS storage "
	"FROM " KIND_IN_SCHEMAS("pg_opclass", "x", "opc")
	"JOIN pg_am m ON m.oid = x.opcmethod",
	.create = create_class,
	.comment_on = "OPERATOR CLASS"
};

/*
 * Write CREATE OPERATOR.  One without a function is made by the operator that names
 * it.
 */
static void
create(const SchemaObject *object, Writer *writer)
{
	static const WriterOption options[] = {
		{"leftarg", "left_type"}, {"rightarg", "right_type"}, {"commutator", "commutator"},
		{"negator", "negator"}, {"restrict", "restrict"}, {"join", "join"}
	};
	static const WriterOption flags[] = {{"hashes", "hashes"}, {"merges", "merges"}};
	const char *function = mig_objects_property(object, "function");
	StringInfoData sql;

	if (function == NULL)
		return;
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE OPERATOR %s.%s (function = %s",
					 quote_identifier(object->schema), object->name, function);
	mig_writer_options(&sql, object, ", ", OPTION_VALUE, options, lengthof(options));
	mig_writer_options(&sql, object, ", ", OPTION_FLAG, flags, lengthof(flags));
	mig_writer_add(writer, object, PHASE_CREATE, "%s)", sql.data);
}

/*
 * Write CREATE OPERATOR FAMILY, and what is in it.
 */
static void
create_family(const SchemaObject *object, Writer *writer)
{
	const char *items = mig_objects_property(object, "items");

	mig_writer_add(writer, object, PHASE_CREATE, "CREATE %s", mig_writer_target(object));
	if (items != NULL)
		mig_writer_add(writer, object, PHASE_STATE, "ALTER %s ADD %s", mig_writer_target(object),
					   items);
}

/*
 * Write CREATE OPERATOR CLASS.  One of nothing says what it stores.
 */
static void
create_class(const SchemaObject *object, Writer *writer)
{
	const char *type = mig_objects_property(object, "type");
	const char *items = mig_objects_property(object, "items");
	const char *storage = mig_objects_property(object, "storage");
	StringInfoData sql;

	if (items == NULL && storage == NULL)
		storage = type;
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE OPERATOR CLASS %s%s FOR TYPE %s USING %s FAMILY %s AS ",
					 mig_objects_qualified(object),
					 mig_objects_property(object, "is_default") ? " DEFAULT" : "", type,
					 object->arguments, mig_objects_property(object, "family"));
	if (items != NULL)
		appendStringInfoString(&sql, items);
	if (storage != NULL)
		appendStringInfo(&sql, "%sSTORAGE %s", items != NULL ? ", " : "", storage);
	mig_writer_add(writer, object, PHASE_CREATE, "%s", sql.data);
}
