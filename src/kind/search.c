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

static void create_parser(const SchemaObject *object, Writer *writer);
static void create_template(const SchemaObject *object, Writer *writer);
static void create_dictionary(const SchemaObject *object, Writer *writer);
static void create_configuration(const SchemaObject *object, Writer *writer);
static void write_mappings(const SchemaObject *object, char *mappings, Writer *writer);

const Kind	mig_kinds_search_parser = {
	.name = "text search parser",
	.catalog = TSParserRelationId,
	.query = KIND_OF_SCHEMA("x", "prs") ", "
	KIND_FUNCTION("x.prsstart") " AS start, " KIND_FUNCTION("x.prstoken") " AS gettoken, "
	KIND_FUNCTION("x.prsend") " AS \"end\", " KIND_FUNCTION("x.prslextype") " AS lextypes, "
	KIND_FUNCTION("x.prsheadline") " AS headline "
	"FROM " KIND_IN_SCHEMAS("pg_ts_parser", "x", "prs"),
	.create = create_parser,
	.comment_on = "TEXT SEARCH PARSER"
};

const Kind	mig_kinds_search_template = {
	.name = "text search template",
	.catalog = TSTemplateRelationId,
	.query = KIND_OF_SCHEMA("x", "tmpl") ", "
	KIND_FUNCTION("x.tmplinit") " AS init, " KIND_FUNCTION("x.tmpllexize") " AS lexize "
	"FROM " KIND_IN_SCHEMAS("pg_ts_template", "x", "tmpl"),
	.create = create_template,
	.comment_on = "TEXT SEARCH TEMPLATE"
};

const Kind	mig_kinds_search_dictionary = {
	.name = "text search dictionary",
	.catalog = TSDictionaryRelationId,
	.query = KIND_OF_SCHEMA("x", "dict") ", "
	KIND_QUALIFIED("pg_ts_template", "tmpl", "x.dicttemplate") " AS template, "
	"x.dictinitoption AS options "
	"FROM " KIND_IN_SCHEMAS("pg_ts_dict", "x", "dict"),
	.create = create_dictionary,
	.comment_on = "TEXT SEARCH DICTIONARY"
};

const Kind	mig_kinds_search_configuration = {
	.name = "text search configuration",
	.catalog = TSConfigRelationId,
	.query = KIND_OF_SCHEMA("x", "cfg") ", "
	KIND_QUALIFIED("pg_ts_parser", "prs", "x.cfgparser") " AS parser, "
	"(SELECT string_agg(quote_ident(t.alias) || ' WITH ' || m.dictionaries, E'\\n' "
	"ORDER BY t.tokid) FROM (SELECT maptokentype, string_agg("
	KIND_QUALIFIED("pg_ts_dict", "dict", "mapdict") ", ', ' ORDER BY mapseqno) AS dictionaries "
	"FROM pg_ts_config_map WHERE mapcfg = x.oid GROUP BY maptokentype) m "
	"JOIN ts_token_type(x.cfgparser) t ON t.tokid = m.maptokentype) AS mappings "
	"FROM " KIND_IN_SCHEMAS("pg_ts_config", "x", "cfg"),
	.create = create_configuration,
	.comment_on = "TEXT SEARCH CONFIGURATION"
};

/*
 * Write CREATE TEXT SEARCH PARSER.
 */
static void
create_parser(const SchemaObject *object, Writer *writer)
{
	static const WriterOption options[] = {
		{"gettoken", "gettoken"}, {"\"end\"", "end"}, {"lextypes", "lextypes"},
		{"headline", "headline"}
	};
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %s (start = %s", mig_writer_target(object),
					 mig_objects_property(object, "start"));
	mig_writer_options(&sql, object, ", ", OPTION_VALUE, options, lengthof(options));
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
	mig_writer_clause(&sql, object, ", init = ", "init", "");
	mig_writer_add(writer, object, PHASE_CREATE, "%s)", sql.data);
}

/*
 * Write CREATE TEXT SEARCH DICTIONARY.  The catalog has its options as the statement
 * does.
 */
static void
create_dictionary(const SchemaObject *object, Writer *writer)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE %s (template = %s", mig_writer_target(object),
					 mig_objects_property(object, "template"));
	mig_writer_clause(&sql, object, ", ", "options", "");
	mig_writer_add(writer, object, PHASE_CREATE, "%s)", sql.data);
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
