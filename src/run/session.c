/*
 * session.c
 *		Remembering what a session has set, and putting it back.
 *
 * In SQL there is no nest level of settings that outlives a statement or a
 * transaction.  So what the session has set is written down, and compared
 * later.
 */
#include "migrate.h"

#include "compat.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "run/session.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

/* A setting that the session has set. */
typedef struct Setting
{
	char	   *name;
	char	   *value;
} Setting;

struct SessionSettings
{
	char	   *session_authorization;
	char	   *role;
	List	   *settings;		/* of Setting *, all others */
};

static List *read_settings(void);
static bool is_set_otherwise(const char *name);
static const Setting *find_setting(List *settings, const char *name);
static void set_setting(const char *name, const char *value);

/*
 * What the session has set now, role and session authorization too.  It is
 * allocated in context.
 */
SessionSettings *
mig_session_remember(MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	SessionSettings *settings = palloc(sizeof(SessionSettings));

	settings->settings = read_settings();
	settings->role = GetConfigOptionByName("role", NULL, false);
	settings->session_authorization = GetConfigOptionByName("session_authorization",
															NULL, false);
	MemoryContextSwitchTo(old);
	return settings;
}

/*
 * Put back what the session has set since it was remembered, as SET and RESET
 * would: that which was not set then is reset.  Errors: those of SET, when a
 * script did what the caller may not undo.
 */
void
mig_session_put_back(const SessionSettings *settings)
{
	List	   *now;
	ListCell   *lc;

	if (strcmp(settings->session_authorization,
			   GetConfigOptionByName("session_authorization", NULL, false)) != 0)
		set_setting("session_authorization", settings->session_authorization);
	if (strcmp(settings->role, GetConfigOptionByName("role", NULL, false)) != 0)
		set_setting("role", settings->role);

	now = read_settings();
	foreach(lc, now)
		if (find_setting(settings->settings, ((Setting *) lfirst(lc))->name) == NULL)
			set_setting(((Setting *) lfirst(lc))->name, NULL);
	foreach(lc, settings->settings)
	{
		const Setting *was = lfirst(lc);
		const Setting *is = find_setting(now, was->name);

		if (is == NULL || strcmp(is->value, was->value) != 0)
			set_setting(was->name, was->value);
	}
}

/*
 * The settings that the session has set (Setting *), those of no known name
 * too.  pg_settings does not show these.
 */
static List *
read_settings(void)
{
	List	   *settings = NIL;
	int			n;
	struct config_generic **variables = mig_get_guc_variables(&n);

	for (int i = 0; i < n; i++)
	{
		const struct config_generic *variable = variables[i];
		const char *value;
		Setting    *setting;

		if (variable->source != PGC_S_SESSION ||
			(variable->context != PGC_USERSET && variable->context != PGC_SUSET) ||
			is_set_otherwise(variable->name))
			continue;
		value = GetConfigOption(variable->name, true, false);
		setting = palloc(sizeof(Setting));
		setting->name = pstrdup(variable->name);
		setting->value = pstrdup(value ? value : "");
		settings = lappend(settings, setting);
	}
	return settings;
}

/*
 * Whether a setting belongs to the transaction, cannot be read, or is put back
 * in another way.
 */
static bool
is_set_otherwise(const char *name)
{
	static const char *const names[] = {
		"transaction_isolation", "transaction_read_only",
		"transaction_deferrable", "seed", "role", "session_authorization"
	};

	for (size_t i = 0; i < lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static const Setting *
find_setting(List *settings, const char *name)
{
	ListCell   *lc;

	foreach(lc, settings)
		if (strcmp(((Setting *) lfirst(lc))->name, name) == 0)
			return lfirst(lc);
	return NULL;
}

/*
 * SET as the caller, for the session; value NULL: RESET.
 */
static void
set_setting(const char *name, const char *value)
{
	(void) set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
}
