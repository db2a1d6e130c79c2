/*
 * wait.c
 *		Whether the client is still there.
 *
 * The server notices that a client is gone when it reads from it or writes to
 * it, which a long script does not: it would go on to its end and commit.
 */
#include "migrate.h"

#include "compat.h"
#include "miscadmin.h"
#include "store/wait.h"
#include "utils/timestamp.h"

/* Least time between two looks, in milliseconds: they cost system calls. */
#define LOOK_INTERVAL 100

static bool has_client(void);

/*
 * End the session when its client is gone.  Cheap enough to be called before
 * every statement.  Errors: FATAL, as the server itself reports it.
 */
void
mig_wait_check(void)
{
	static TimestampTz last_look = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (!has_client() ||
		!TimestampDifferenceExceeds(last_look, now, LOOK_INTERVAL))
		return;
	last_look = now;
	if (pq_check_connection())
		return;
	ClientConnectionLost = true;
	InterruptPending = true;
	CHECK_FOR_INTERRUPTS();
}

/*
 * Return whether this process reads from a client.  Only backends and walsenders
 * do.  That there is a port proves nothing: the apply workers of some
 * replication extensions have one without a socket.
 */
static bool
has_client(void)
{
	return MyProcPort != NULL &&
		(MyBackendType == B_BACKEND || MyBackendType == B_WAL_SENDER);
}
