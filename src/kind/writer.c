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
	action->object = object;
	action->phase = phase;
	action->sql = sql.data;
	writer->actions = lappend(writer->actions, action);
	return action;
}

/*
 * Write what makes an object, with its comment, but nothing of its children that
 * are objects of their own.
 */
void
mig_writer_object(Writer *writer, const SchemaObject *object)
{
	const char *comment;

	if (object->kind->create == NULL)
		return;
	object->kind->create(object, writer);
	if (object->kind->comment_on == NULL)
		return;
	comment = mig_objects_property(object, "comment");
	if (comment != NULL)
		mig_writer_add(writer, object, PHASE_COMMENT, "COMMENT ON %s IS %s",
					   mig_writer_target(object), quote_literal_cstr(comment));
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
