/*
 * init.c
 *		Module magic and settings.
 */
#include "migrate.h"

#include <limits.h>

#include "compat.h"
#include "fmgr.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

int			mig_step_messages = MIG_STEP_MESSAGES_NOTICE;
int			mig_run_lock_timeout = 600000;
int			mig_lock_timeout = 900;
int			mig_lock_retries = 10;
int			mig_concurrent_lock_timeout = 0;
int			mig_scratch_lock_timeout = 5000;
int			mig_rehearse_lock_timeout = 1000;
int			mig_rehearse_timeout = 3000;
bool		mig_lint_assume_rows = false;

static const struct config_enum_entry step_messages_options[] = {
	{"off", MIG_STEP_MESSAGES_OFF, false},
	{"log", MIG_STEP_MESSAGES_LOG, false},
	{"notice", MIG_STEP_MESSAGES_NOTICE, false},
	{NULL, 0, false}
};

void		_PG_init(void);
static void define_rehearsal(void);
static void define_lint(void);

/*
 * Define the settings.  Runs when the library is loaded, which the first call
 * of one of our functions in a session does.
 */
void
_PG_init(void)
{
	DefineCustomEnumVariable("migrate.step_messages",
							 "Where migrate says which step it runs.",
							 "notice sends it to the client, log to the server's log, off nowhere.",
							 &mig_step_messages, MIG_STEP_MESSAGES_NOTICE,
							 step_messages_options, PGC_USERSET, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("migrate.run_lock_timeout",
							"How long to wait for another run of migrations to end.",
							"0 waits for ever.",
							&mig_run_lock_timeout, 600000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("migrate.lock_timeout",
							"How long a stepwise run waits for a lock before it rolls the revision back and tries again.",
							"0 leaves it to lock_timeout, which counts too where it is shorter.",
							&mig_lock_timeout, 900, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("migrate.lock_retries",
							"How often a stepwise run tries a revision again that failed because of others' locks.",
							"After lock timeouts, deadlocks and serialization failures; 0 never.",
							&mig_lock_retries, 10, 0, 1000000,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("migrate.concurrent_lock_timeout",
							"lock_timeout for statements that commit by themselves, as CREATE INDEX CONCURRENTLY.",
							"0 waits for ever. A timeout also ends their wait for old snapshots and leaves an invalid index.",
							&mig_concurrent_lock_timeout, 0, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("migrate.scratch_lock_timeout",
							"How long a comparison waits for another one, and for locks.",
							"0 waits for ever. A shorter lock_timeout counts for locks.",
							&mig_scratch_lock_timeout, 5000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	define_rehearsal();
	define_lint();
	MarkGUCPrefixReserved("migrate");
}

/*
 * Define the settings of rehearsals.
 */
static void
define_rehearsal(void)
{
	DefineCustomIntVariable("migrate.rehearse_lock_timeout",
							"How long a rehearsal waits for a lock before it ends.",
							"0 leaves it to lock_timeout, which counts too where it is shorter.",
							&mig_rehearse_lock_timeout, 1000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("migrate.rehearse_timeout",
							"How long a rehearsal runs, and holds its locks, before it ends.",
							"0 does not bound it.",
							&mig_rehearse_timeout, 3000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
}

/*
 * Define the settings of lint.
 */
static void
define_lint(void)
{
	DefineCustomBoolVariable("migrate.lint_assume_rows",
							 "Lint as if tables that are empty here had rows.",
							 "For databases of tests; migrate.lint_large_rows counts as reached, too.",
							 &mig_lint_assume_rows, false, PGC_USERSET, 0,
							 NULL, NULL, NULL);
}
