/*
 * exclude.c
 *		Which objects are left out of comparisons: the project's setting exclude.
 *
 * The setting is a list, separated by commas, of
 *
 *		[kind:]name
 *		[kind:]schema.name
 *		[kind:]schema.table.name
 *
 * where a name is an identifier as in SQL, in which * stands for any characters and
 * ? for one, outside of quotes.  What belongs to a table is named with the table, or
 * with its kind; indexes are named as tables are, too.  With an object, what belongs
 * to it is left out.
 */
#include "migrate.h"

#include "compat.h"
#include "kind/kinds.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "parser/scansup.h"
#include "schema/exclude.h"

/* Bytes that stand for * and ? in the names of a pattern. */
#define ANY_CHARACTERS	'\001'
#define ONE_CHARACTER	'\002'

/* Most names of a pattern. */
#define MAX_NAMES 3

/* A pattern. */
typedef struct Pattern
{
	const char *kind;			/* NULL: any */
	int			nnames;
	const char *names[MAX_NAMES];
} Pattern;

static Pattern *parse_pattern(const char **at, const char *list);
static const char *parse_kind(const char **at);
static const char *parse_name(const char **at, const char *list);
static void parse_quoted(const char **at, StringInfo name, const char *list);
static void skip_space(const char **at);
pg_noreturn static void invalid(const char *list, const char *detail);
static bool is_excluded(const SchemaObject *object, List *patterns);
static bool matches(const SchemaObject *object, const Pattern *pattern);
static bool match(const char *pattern, const char *name);

/*
 * Return the patterns of a setting, for mig_exclude_apply, in the current memory
 * context.  Errors: 22023.
 */
List *
mig_exclude_parse(const char *list)
{
	const char *at = list;
	List	   *patterns = NIL;

	skip_space(&at);
	if (*at == '\0')
		return NIL;
	for (;;)
	{
		patterns = lappend(patterns, parse_pattern(&at, list));
		if (*at == '\0')
			return patterns;
		if (*at++ != ',')
			invalid(list, "A comma is missing between two patterns.");
	}
}

/*
 * Parse one pattern, and move to its end.
 */
static Pattern *
parse_pattern(const char **at, const char *list)
{
	Pattern    *pattern = palloc0(sizeof(Pattern));

	skip_space(at);
	pattern->kind = parse_kind(at);
	if (pattern->kind != NULL && strcmp(pattern->kind, "?") == 0)
		invalid(list, "There is no such kind of objects.");
	for (;;)
	{
		if (pattern->nnames == MAX_NAMES)
			invalid(list, "A pattern has at most a schema, a table and a name.");
		pattern->names[pattern->nnames++] = parse_name(at, list);
		skip_space(at);
		if (**at != '.')
			return pattern;
		(*at)++;
	}
}

/*
 * Parse the kind of a pattern, if it has one.  Returns "?" for an unknown kind.
 */
static const char *
parse_kind(const char **at)
{
	size_t		len = strspn(*at, "abcdefghijklmnopqrstuvwxyz ");
	const char *begin = *at;

	if (begin[len] != ':')
		return NULL;
	*at = begin + len + 1;
	skip_space(at);
	for (int i = 0; i < mig_kinds_count; i++)
	{
		const char *name = mig_kinds_all[i]->name;

		if (strlen(name) == len && strncmp(name, begin, len) == 0)
			return name;
	}
	return "?";
}

/*
 * Parse a name of a pattern.
 */
static const char *
parse_name(const char **at, const char *list)
{
	StringInfoData name;

	skip_space(at);
	initStringInfo(&name);
	if (**at == '"')
		parse_quoted(at, &name, list);
	else
	{
		size_t		len = strcspn(*at, "\"., \t\r\n");
		char	   *folded = downcase_identifier(*at, len, false, false);

		for (size_t i = 0; i < len; i++)
			appendStringInfoChar(&name, folded[i] == '*' ? ANY_CHARACTERS :
								 folded[i] == '?' ? ONE_CHARACTER : folded[i]);
		*at += len;
	}
	if (name.len == 0)
		invalid(list, "A name is empty.");
	return name.data;
}

/*
 * Parse a name in quotes.
 */
static void
parse_quoted(const char **at, StringInfo name, const char *list)
{
	for ((*at)++; **at != '"' || (*at)[1] == '"'; (*at)++)
	{
		if (**at == '\0')
			invalid(list, "A quote is not closed.");
		if (**at == '"')
			(*at)++;
		appendStringInfoChar(name, **at);
	}
	(*at)++;
}

/*
 * Move over white space.
 */
static void
skip_space(const char **at)
{
	*at += strspn(*at, " \t\r\n");
}

/*
 * Report a setting that is no list of patterns.
 */
static void
invalid(const char *list, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for setting \"%s\": \"%s\"", "exclude", list),
			 errdetail("%s", detail),
			 errhint("Write patterns separated by commas, as in: public.audit_*, trigger:*, orders.note.")));
}

/*
 * Have a schema forget the objects that a pattern names.
 */
void
mig_exclude_apply(Schema *schema, List *patterns)
{
	List	   *left = NIL;
	ListCell   *lc;

	if (patterns == NIL)
		return;
	foreach(lc, schema->objects)
		if (!is_excluded(lfirst(lc), patterns))
			left = lappend(left, lfirst(lc));
	mig_objects_keep(schema, left);
}

/*
 * Return whether a pattern names an object, or one that it belongs to.
 */
static bool
is_excluded(const SchemaObject *object, List *patterns)
{
	ListCell   *lc;

	for (; object != NULL; object = object->owner)
		foreach(lc, patterns)
			if (matches(object, lfirst(lc)))
				return true;
	return false;
}

/*
 * Return whether a pattern names an object.
 */
static bool
matches(const SchemaObject *object, const Pattern *pattern)
{
	const char *name = pattern->names[pattern->nnames - 1];
	bool		by_name = object->owner == NULL || object->kind == &mig_kinds_index;

	if (pattern->kind != NULL && strcmp(pattern->kind, object->kind->name) != 0)
		return false;
	if (!match(name, object->name))
		return false;
	if (pattern->nnames == MAX_NAMES)
		return object->parent != NULL && match(pattern->names[1], object->parent) &&
			match(pattern->names[0], object->schema);
	if (!by_name && pattern->kind == NULL)
		return false;
	return pattern->nnames == 1 ||
		(object->schema != NULL && match(pattern->names[0], object->schema));
}

/*
 * Match a name with a part of a pattern.
 */
static bool
match(const char *pattern, const char *name)
{
	const char *retry_pattern = NULL;
	const char *retry_name = NULL;

	while (*name != '\0')
	{
		int			len = pg_mblen(name);

		if (*pattern == ANY_CHARACTERS)
		{
			retry_pattern = ++pattern;
			retry_name = name;
		}
		else if (*pattern == ONE_CHARACTER)
		{
			pattern++;
			name += len;
		}
		else if (*pattern == *name)
		{
			pattern++;
			name++;
		}
		else if (retry_pattern != NULL)
		{
			retry_name += pg_mblen(retry_name);
			pattern = retry_pattern;
			name = retry_name;
		}
		else
			return false;
	}
	while (*pattern == ANY_CHARACTERS)
		pattern++;
	return *pattern == '\0';
}
