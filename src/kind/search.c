/*
 * search.c
 *		Text search: parsers, templates, dictionaries, configurations.
 */
#include "migrate.h"

#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_ts_parser.h"
#include "catalog/pg_ts_template.h"
#include "kind/kind.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"

/* A query for the objects of one catalog, whose columns begin with a prefix. */
#define FIXED_COLUMNS(prefix) \
	"SELECT x.oid AS id, 0 AS subid, 0::oid AS owner, n.nspname AS schema, NULL AS parent, " \
	"x." prefix "name AS name, NULL AS arguments, "
#define OBJECTS(catalog, prefix) \
	"FROM " catalog " x JOIN pg_namespace n ON n.oid = x." prefix "namespace " \
	"AND n.oid = ANY ($1) AND " KIND_NOT_MEMBER(catalog, "x.oid") " " \
	"ORDER BY n.nspname, x." prefix "name"

static void create_parser(const SchemaObject *object, Writer *writer);
static void create_template(const SchemaObject *object, Writer *writer);
static void create_dictionary(const SchemaObject *object, Writer *writer);
static void create_configuration(const SchemaObject *object, Writer *writer);
static void write_mappings(const SchemaObject *object, char *mappings, Writer *writer);

const Kind	mig_kinds_search_parser = {
	.name = "text search parser",
	.catalog = TSParserRelationId,
	.query = FIXED_COLUMNS("prs")
	KIND_FUNCTION("x.prsstart") " AS start, " KIND_FUNCTION("x.prstoken") " AS gettoken, "
	KIND_FUNCTION("x.prsend") " AS \"end\", " KIND_FUNCTION("x.prslextype") " AS lextypes, "
	KIND_FUNCTION("x.prsheadline") " AS headline "
	OBJECTS("pg_ts_parser", "prs"),
	.create = create_parser,
	.comment_on = "TEXT SEARCH PARSER"
};

const Kind	mig_kinds_search_template = {
	.name = "text search template",
	.catalog = TSTemplateRelationId,
	.query = FIXED_COLUMNS("tmpl")
	KIND_FUNCTION("x.tmplinit") " AS init, " KIND_FUNCTION("x.tmpllexize") " AS lexize "
	OBJECTS("pg_ts_template", "tmpl"),
	.create = create_template,
	.comment_on = "TEXT SEARCH TEMPLATE"
};

const Kind	mig_kinds_search_dictionary = {
	.name = "text search dictionary",
	.catalog = TSDictionaryRelationId,
	.query = FIXED_COLUMNS("dict")
	KIND_QUALIFIED("pg_ts_template", "tmpl", "x.dicttemplate") " AS template, "
	"x.dictinitoption AS options "
	OBJECTS("pg_ts_dict", "dict"),
	.create = create_dictionary,
	.comment_on = "TEXT SEARCH DICTIONARY"
};

const Kind	mig_kinds_search_configuration = {
	.name = "text search configuration",
	.catalog = TSConfigRelationId,
	.query = FIXED_COLUMNS("cfg")
	KIND_QUALIFIED("pg_ts_parser", "prs", "x.cfgparser") " AS parser, "
	"(SELECT string_agg(quote_ident(t.alias) || ' WITH ' || m.dictionaries, E'\\n' "
	"ORDER BY t.tokid) FROM (SELECT maptokentype, string_agg("
	KIND_QUALIFIED("pg_ts_dict", "dict", "mapdict") ", ', ' ORDER BY mapseqno) AS dictionaries "
	"FROM pg_ts_config_map WHERE mapcfg = x.oid GROUP BY maptokentype) m "
	"JOIN ts_token_type(x.cfgparser) t ON t.tokid = m.maptokentype) AS mappings "
	OBJECTS("pg_ts_config", "cfg"),
	.create = create_configuration,
	.comment_on = "TEXT SEARCH CONFIGURATION"
};

/*
 * Write CREATE TEXT SEARCH PARSER.
 */
static void
create_parser(const SchemaObject *object, Writer *writer)
{
	static const char *const options[][2] = {
		{"gettoken", "gettoken"}, {"end", "\"end\""}, {"lextypes", "lextypes"},
		{"headline", "headline"}
	};
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %s (start = %s", mig_writer_target(object),
					 mig_objects_property(object, "start"));
	for (size_t i = 0; i < lengthof(options); i++)
		mig_writer_option(&sql, object, options[i][0], options[i][1]);
	mig_writer_add(writer, object, PHASE_CREATE, "%s)", sql.data);
}

/*
 * Write CREATE TEXT SEARCH TEMPLATE.
 */
static void
create_template(const SchemaObject *object, Writer *writer)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %s (lexize = %s", mig_writer_target(object),
					 mig_objects_property(object, "lexize"));
	mig_writer_option(&sql, object, "init", "init");
	mig_writer_add(writer, object, PHASE_CREATE, "%s)", sql.data);
}

/*
 * Write CREATE TEXT SEARCH DICTIONARY.  The catalog has its options as the statement
 * does.
 */
static void
create_dictionary(const SchemaObject *object, Writer *writer)
{
	const char *options = mig_objects_property(object, "options");

	mig_writer_add(writer, object, PHASE_CREATE, "CREATE %s (template = %s%s%s)",
				   mig_writer_target(object), mig_objects_property(object, "template"),
				   options ? ", " : "", options ? options : "");
}

/*
 * Write CREATE TEXT SEARCH CONFIGURATION, and which dictionaries it uses for what.
 */
static void
create_configuration(const SchemaObject *object, Writer *writer)
{
	const char *mappings = mig_objects_property(object, "mappings");

	mig_writer_add(writer, object, PHASE_CREATE, "CREATE %s (parser = %s)",
				   mig_writer_target(object), mig_objects_property(object, "parser"));
	if (mappings != NULL)
		write_mappings(object, pstrdup(mappings), writer);
}

/*
 * Write a statement for each line of the mappings, which is changed.  Names in them
 * can have line breaks, in quotes.
 */
static void
write_mappings(const SchemaObject *object, char *mappings, Writer *writer)
{
	char	   *line = mappings;
	bool		in_quotes = false;

	for (char *at = mappings;; at++)
	{
		bool		last = *at == '\0';

		if (*at == '"')
			in_quotes = !in_quotes;
		if (!last && (*at != '\n' || in_quotes))
			continue;
		*at = '\0';
		mig_writer_add(writer, object, PHASE_CREATE, "ALTER %s ADD MAPPING FOR %s",
					   mig_writer_target(object), line);
		if (last)
			break;
		line = at + 1;
	}
}
