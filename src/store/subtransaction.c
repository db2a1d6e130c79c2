/*
 * subtransaction.c
 *		Something that is run in a subtransaction, and may fail.
 */
#include "migrate.h"

#include "access/xact.h"
#include "store/subtransaction.h"
#include "utils/resowner.h"

/*
 * Call a function in a subtransaction, which is rolled back when the function fails.
 * Return the error, in the current memory context, or NULL.  Which errors are to be
 * thrown again is for the caller to know; a cancel is one of them.
 */
ErrorData *
mig_subtransaction_try(void (*body) (void *argument), void *argument)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		body(argument);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}
