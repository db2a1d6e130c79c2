/*
 * init.c
 *		Module magic and settings.
 */
#include "migrate.h"

#include "compat.h"
#include "fmgr.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

int			mig_step_messages = MIG_STEP_MESSAGES_NOTICE;
int			mig_run_lock_timeout = 600000;

static const struct config_enum_entry step_messages_options[] = {
	{"off", MIG_STEP_MESSAGES_OFF, false},
	{"log", MIG_STEP_MESSAGES_LOG, false},
	{"notice", MIG_STEP_MESSAGES_NOTICE, false},
	{NULL, 0, false}
};

void		_PG_init(void);

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
	MarkGUCPrefixReserved("migrate");
}
