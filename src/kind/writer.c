/*
 * writer.c
 *		Actions: the small statements that objects are made with.
 *
 * Everything is allocated in the current memory context.
 */
#include "migrate.h"

#include "kind/writer.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

/* An option of a foreign object. */
typedef struct ForeignOption
{
	const char *name;			/* quoted */
	const char *value;			/* a literal */
} ForeignOption;

static const char *options_without(const char *from, const char *to);
static List *foreign_options(const char *text);
static const ForeignOption *find_option(List *options, const char *name);

/*
 * Add a statement that belongs to a phase of making an object.
 */
Action *
mig_writer_add(Writer *writer, const SchemaObject *object, ObjectPhase phase,
			   const char *format,...)
{
	Action	   *action = palloc0(sizeof(Action));
	StringInfoData sql;

	initStringInfo(&sql);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&sql, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&sql, needed);
	}
	action->type = writer->type;
	action->cause = writer->cause;
	action->object = object;
	action->phase = phase;
	action->sql = sql.data;
	writer->actions = lappend(writer->actions, action);
	return action;
}

/*
 * Write what makes an object, with its comment, but nothing of its children that
 * are objects of their own.  Return the first action; NULL: there is nothing to write.
 */
Action *
mig_writer_object(Writer *writer, const SchemaObject *object)
{
	int			written = list_length(writer->actions);

	if (object->kind->create == NULL)
		return NULL;
	object->kind->create(object, writer);
	if (object->kind->comment_on != NULL && mig_objects_property(object, "comment") != NULL)
		mig_writer_comment(writer, object);
	return list_length(writer->actions) > written ?
		list_nth(writer->actions, written) : NULL;
}

/*
 * Write what adds an object to its owner, which is there, with its comment.
 */
void
mig_writer_part(Writer *writer, const SchemaObject *object)
{
	object->kind->add(object, writer);
	if (mig_objects_property(object, "comment") != NULL)
		mig_writer_comment(writer, object);
}

/*
 * Write the comment of an object, which may be none.
 */
void
mig_writer_comment(Writer *writer, const SchemaObject *object)
{
	const char *comment = mig_objects_property(object, "comment");

	mig_writer_add(writer, object, PHASE_COMMENT, "COMMENT ON %s IS %s",
				   mig_writer_target(object),
				   comment != NULL ? quote_literal_cstr(comment) : "NULL");
}

/*
 * Write what drops an object.
 */
Action *
mig_writer_drop(Writer *writer, const SchemaObject *object)
{
	ActionType	type = writer->type;
	Action	   *action;

	writer->type = ACTION_DROP;
	action = mig_writer_add(writer, object, PHASE_CREATE, "%s",
							object->kind->drop != NULL ? object->kind->drop(object) :
							psprintf("DROP %s", mig_writer_target(object)));
	if (object->kind->has_rows &&
		(object->owner == NULL || object->owner->kind->has_rows))
		action->hazard = "loses the data in it";
	writer->type = type;
	return action;
}

/*
 * Return whether a property differs.
 */
bool
mig_writer_has(const Difference *difference, const char *property)
{
	ListCell   *lc;

	foreach(lc, difference->properties)
		if (strcmp(((ObjectProperty *) lfirst(lc))->name, property) == 0)
			return true;
	return false;
}

/*
 * Write RESET and SET after the beginning of a statement, where a property
 * with storage parameters differs.
 */
void
mig_writer_change_options(const Difference *difference, const char *property,
						  const char *alter, Writer *writer)
{
	const char *from = mig_objects_property(difference->from, property);
	const char *to = mig_objects_property(difference->to, property);
	const char *gone = options_without(from, to);

	if (gone != NULL)
		mig_writer_add(writer, difference->to, PHASE_STATE, "%s RESET (%s)", alter, gone);
	if (to != NULL)
		mig_writer_add(writer, difference->to, PHASE_STATE, "%s SET (%s)", alter, to);
}

/*
 * Return the names of storage parameters, lists of "name='value'" with quotes
 * doubled, that are in the first list and not in the second, as RESET has them; NULL:
 * none.  Either list may be NULL.
 */
static const char *
options_without(const char *from, const char *to)
{
	StringInfoData names;
	const char *at = from;

	initStringInfo(&names);
	while (at != NULL && *at != '\0')
	{
		size_t		length = strcspn(at, "=");
		const char *name = pnstrdup(at, length);
		const char *in_both = to != NULL ? strstr(to, psprintf("%s=", name)) : NULL;

		if (in_both == NULL || (in_both != to && in_both[-1] != ' '))
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", name);
		/* to the end of the value, where an even number of quotes has gone by */
		for (bool quoted = false; *at != '\0' && (quoted || *at != ','); at++)
			if (*at == '\'')
				quoted = !quoted;
		at += strspn(at, ", ");
	}
	return names.len > 0 ? names.data : NULL;
}

/*
 * Write OPTIONS after the beginning of a statement, where a property with the options of a
 * foreign object differs.
 */
void
mig_writer_change_foreign(const Difference *difference, const char *property,
						  const char *alter, Writer *writer)
{
	List	   *before = foreign_options(mig_objects_property(difference->from, property));
	List	   *after = foreign_options(mig_objects_property(difference->to, property));
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, before)
	{
		const ForeignOption *option = lfirst(lc);

		if (find_option(after, option->name) == NULL)
			appendStringInfo(&sql, "%sDROP %s", sql.len > 0 ? ", " : "", option->name);
	}
	foreach(lc, after)
	{
		const ForeignOption *option = lfirst(lc);
		const ForeignOption *old = find_option(before, option->name);

		if (old == NULL || strcmp(old->value, option->value) != 0)
			appendStringInfo(&sql, "%s%s %s %s", sql.len > 0 ? ", " : "", old ? "SET" : "ADD",
							 option->name, option->value);
	}
	mig_writer_add(writer, difference->to, PHASE_CREATE, "%s OPTIONS (%s)", alter, sql.data);
}

/*
 * Return the options (ForeignOption *) of a text as KIND_FOREIGN_OPTIONS makes it, which may
 * be NULL.
 */
static List *
foreign_options(const char *text)
{
	List	   *options = NIL;

	while (text != NULL && *text != '\0')
	{
		ForeignOption *option = palloc(sizeof(ForeignOption));
		const char *at = text;

		/* both end where an even number of their quotes has gone by */
		for (bool quoted = false; quoted || *at != ' '; at++)
			if (*at == '"')
				quoted = !quoted;
		option->name = pnstrdup(text, at - text);
		text = ++at;
		for (bool quoted = false; quoted || (*at != ',' && *at != '\0'); at++)
			if (*at == '\'')
				quoted = !quoted;
		option->value = pnstrdup(text, at - text);
		options = lappend(options, option);
		text = at + strspn(at, ", ");
	}
	return options;
}

/*
 * Return the option of a name among some (ForeignOption *); NULL: none.
 */
static const ForeignOption *
find_option(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
		if (strcmp(((const ForeignOption *) lfirst(lc))->name, name) == 0)
			return lfirst(lc);
	return NULL;
}

/*
 * Return what statements name an object by, with the keywords for its kind, which
 * must be one that has comments.
 */
const char *
mig_writer_target(const SchemaObject *object)
{
	const Kind *kind = object->kind;

	return psprintf("%s %s", kind->comment_on,
					kind->comment_name ? kind->comment_name(object) : object->identity);
}

/*
 * Return the definition of an object, as the server prints it, without the semicolon
 * and the line break that it has at its end.
 */
const char *
mig_writer_definition(const SchemaObject *object)
{
	char	   *sql = pstrdup(mig_objects_property(object, "definition"));
	size_t		len = strlen(sql);

	while (len > 0 && (sql[len - 1] == ';' || sql[len - 1] == '\n'))
		sql[--len] = '\0';
	return sql;
}

/*
 * Append the value of a property to a statement, between two texts, where it is set.
 */
void
mig_writer_clause(StringInfo sql, const SchemaObject *object, const char *before,
				  const char *property, const char *after)
{
	const char *value = mig_objects_property(object, property);

	if (value != NULL)
		appendStringInfo(sql, "%s%s%s", before, value, after);
}

/*
 * Append options, each after a separator, to a statement.
 */
void
mig_writer_options(StringInfo sql, const SchemaObject *object, const char *separator,
				   OptionForm form, const WriterOption *options, int count)
{
	for (int i = 0; i < count; i++)
	{
		const char *value = mig_objects_property(object, options[i].property);

		if (value == NULL)
			continue;
		appendStringInfo(sql, "%s%s", separator, options[i].name);
		if (form != OPTION_FLAG)
			appendStringInfo(sql, " = %s",
							 form == OPTION_LITERAL ? quote_literal_cstr(value) : value);
	}
}
