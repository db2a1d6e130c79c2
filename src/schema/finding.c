/*
 * finding.c
 *		Errors that say something about the definitions that were run.
 *
 * A scratch rolls back whatever was run in it, so an error of it can be caught without a
 * subtransaction.
 */
#include "migrate.h"

#include "schema/finding.h"

static bool is_about_definitions(const ErrorData *error);

/*
 * Call a function that runs definitions in a scratch, and nothing else that a rollback
 * would have to undo.  Return the message of an error that is about these, in the current
 * memory context, or NULL when there was none.  Other errors are thrown again.
 */
char *
mig_finding_try(void (*body) (void *), void *argument)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *volatile message = NULL;

	PG_TRY();
	{
		body(argument);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (!is_about_definitions(error))
			PG_RE_THROW();
		FlushErrorState();
		message = pstrdup(error->message);
		FreeErrorData(error);
	}
	PG_END_TRY();
	return message;
}

/*
 * Return whether an error says something about the statement that was run, rather
 * than about the server or the wish of the user.
 */
static bool
is_about_definitions(const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE)
		return true;
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case MAKE_SQLSTATE('M', 'G', '0', '0', '0'):
			return false;
		default:
			return !mig_finding_is_of_server(error);
	}
}

/*
 * Return whether an error says something about the server, other sessions or the wish of
 * the user, whatever the statement was.
 */
bool
mig_finding_is_of_server(const ErrorData *error)
{
	if (error->elevel > ERROR || error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		return true;
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_CONNECTION_EXCEPTION:
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_IO_ERROR:
			return true;
		default:
			return false;
	}
}
