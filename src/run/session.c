/*
 * session.c
 *		What a session has set: remembering it, and restoring it.
 *
 * In SQL there is no nest level of settings that outlives a statement or a
 * transaction.  So what the session has set is written down, and compared
 * later.
 *
 * What a script has changed is what the settings will be once the transaction
 * has been committed: values of SET LOCAL, of a function's SET clause and those
 * that we set for one transaction only do not count.
 *
 * A change is a string, "name=value", or "name" for a setting that was reset:
 * so it can be stored, and made again in another session.
 */
#include "migrate.h"

#include "compat.h"
#include "miscadmin.h"
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

/* Which values count: those in force, or those after the transaction. */
typedef enum ReadWhat
{
	READ_CURRENT,
	READ_COMMITTED
} ReadWhat;

/* A setting's value. */
typedef struct SettingValue
{
	const char *text;			/* may be NULL */
	GucSource	source;
} SettingValue;

/* Settings that decide who we are; the order is that of making them. */
static const char *const identities[] = {"session_authorization", "role"};

static List *read_settings(ReadWhat what);
static char *read_identity(const char *name, ReadWhat what);
static bool is_set_otherwise(const char *name);
static SettingValue current_value(const struct config_generic *variable);
static SettingValue committed_value(const struct config_generic *variable);
static char *value_text(const struct config_generic *variable,
						const union config_var_val *value);
static const Setting *find_setting(List *settings, const char *name);
static void set_setting(const char *name, const char *value);
static void apply(const char *change);
static void change_error_context(void *arg);

/*
 * Give session_authorization its value in a process that never logged in, such as
 * a server in single-user mode or a background worker without a role.  There it
 * has none, and nothing happens when it gets none again: the session would
 * remain what a script has made of it.  To be called outside of the nest level
 * that ends with the script.
 */
void
mig_session_name_user(void)
{
	const char *name = GetConfigOption("session_authorization", true, false);
	Oid			role = GetCurrentRoleId();

	/* in a security-restricted operation no script can change it either */
	if ((name != NULL && *name != '\0') || InLocalUserIdChange() ||
		InSecurityRestrictedOperation())
		return;
	(void) set_config_option("session_authorization",
							 GetUserNameFromId(GetSessionUserId(), false),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
	/* that ends a SET ROLE, of which the setting knows nothing */
	if (OidIsValid(role))
		SetCurrentRoleId(role, superuser_arg(role));
}

/*
 * Return what the session has set now, role and session authorization too,
 * allocated in context.
 */
SessionSettings *
mig_session_remember(MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	SessionSettings *settings = palloc(sizeof(SessionSettings));

	mig_session_name_user();
	settings->settings = read_settings(READ_CURRENT);
	settings->session_authorization = read_identity("session_authorization", READ_CURRENT);
	settings->role = read_identity("role", READ_CURRENT);
	MemoryContextSwitchTo(old);
	return settings;
}

/*
 * Restore what the session had set when it was remembered, as SET and RESET
 * would: what it has set only since then is reset.  Errors: those of SET, when a
 * script did what the caller may not undo.
 */
void
mig_session_restore(const SessionSettings *settings)
{
	List	   *now;
	ListCell   *lc;

	if (strcmp(settings->session_authorization, read_identity("session_authorization", READ_CURRENT)) != 0)
		set_setting("session_authorization", settings->session_authorization);
	if (strcmp(settings->role, read_identity("role", READ_CURRENT)) != 0)
		set_setting("role", settings->role);

	now = read_settings(READ_CURRENT);
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
 * Return what the session has changed since it was remembered (char *), in the
 * current memory context, in the order in which to make these changes: who may
 * set a setting may not do so any more once the role is another.
 */
List *
mig_session_changes(const SessionSettings *before)
{
	List	   *now = read_settings(READ_COMMITTED);
	List	   *changes = NIL;
	ListCell   *lc;
	char	   *identity;

	foreach(lc, before->settings)
		if (find_setting(now, ((Setting *) lfirst(lc))->name) == NULL)
			changes = lappend(changes, ((Setting *) lfirst(lc))->name);
	foreach(lc, now)
	{
		const Setting *is = lfirst(lc);
		const Setting *was = find_setting(before->settings, is->name);

		if (was == NULL || strcmp(is->value, was->value) != 0)
			changes = lappend(changes, psprintf("%s=%s", is->name, is->value));
	}
	identity = read_identity("session_authorization", READ_COMMITTED);
	if (strcmp(identity, before->session_authorization) != 0)
		changes = lappend(changes, psprintf("session_authorization=%s", identity));
	identity = read_identity("role", READ_COMMITTED);
	if (strcmp(identity, before->role) != 0)
		changes = lappend(changes, psprintf("role=%s", identity));
	return changes;
}

/*
 * Make changes (char *) in this session.  Errors: those of SET, with a line of
 * context.
 */
void
mig_session_apply(List *changes)
{
	ListCell   *lc;

	foreach(lc, changes)
		apply(lfirst(lc));
}

/*
 * Make one change.
 */
static void
apply(const char *change)
{
	const char *equals = strchr(change, '=');
	ErrorContextCallback callback;

	callback.callback = change_error_context;
	callback.arg = unconstify(char *, change);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	if (equals == NULL)
		set_setting(change, NULL);
	else
		set_setting(pnstrdup(change, equals - change), equals + 1);
	error_context_stack = callback.previous;
}

/*
 * Say which change an error is about; an error context callback.
 */
static void
change_error_context(void *arg)
{
	const char *change = arg;

	errcontext("setting \"%s\" as the script has set it before",
			   pnstrdup(change, strcspn(change, "=")));
}

/*
 * Return the settings that the session has set (Setting *), those of no known
 * name too.  pg_settings does not show these.
 */
static List *
read_settings(ReadWhat what)
{
	List	   *settings = NIL;
	int			n;
	struct config_generic **variables = mig_get_guc_variables(&n);

	for (int i = 0; i < n; i++)
	{
		const struct config_generic *variable = variables[i];
		Setting    *setting;
		SettingValue		value;

		if ((variable->context != PGC_USERSET && variable->context != PGC_SUSET) ||
			is_set_otherwise(variable->name))
			continue;
		value = what == READ_CURRENT ? current_value(variable) : committed_value(variable);
		if (value.source != PGC_S_SESSION)
			continue;
		setting = palloc(sizeof(Setting));
		setting->name = pstrdup(variable->name);
		setting->value = pstrdup(value.text ? value.text : "");
		settings = lappend(settings, setting);
	}
	return settings;
}

/*
 * Return the name of the session's role, or of its current one.
 */
static char *
read_identity(const char *name, ReadWhat what)
{
	int			n;
	struct config_generic **variables = mig_get_guc_variables(&n);

	for (int i = 0; i < n; i++)
		if (what == READ_COMMITTED && variables[i]->stack != NULL &&
			strcmp(variables[i]->name, name) == 0)
		{
			SettingValue		value = committed_value(variables[i]);

			if (value.text != NULL)
				return pstrdup(value.text);
		}
	return GetConfigOptionByName(name, NULL, false);
}

/*
 * Return whether a setting belongs to the transaction, cannot be read, or is
 * restored in another way.
 */
static bool
is_set_otherwise(const char *name)
{
	static const char *const names[] = {
		"transaction_isolation", "transaction_read_only",
		"transaction_deferrable", "seed"
	};

	for (size_t i = 0; i < lengthof(identities); i++)
		if (strcmp(name, identities[i]) == 0)
			return true;
	for (size_t i = 0; i < lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/*
 * Return what a setting is.
 */
static SettingValue
current_value(const struct config_generic *variable)
{
	SettingValue		value = {NULL, variable->source};

	value.text = variable->vartype == PGC_REAL ?
		psprintf("%.17g", *((const struct config_real *) variable)->variable) :
		GetConfigOption(variable->name, true, false);
	return value;
}

/*
 * Return what a setting will be once the transaction has been committed.  Its
 * stack has an entry for each nest level at which it was set, with the value
 * from before: what was only saved, or set locally, will be that again.
 */
static SettingValue
committed_value(const struct config_generic *variable)
{
	const GucStack *entry = variable->stack;
	SettingValue		value = current_value(variable);

	for (; entry != NULL && (entry->state == GUC_SAVE || entry->state == GUC_LOCAL);
		 entry = entry->prev)
	{
		value.text = value_text(variable, &entry->prior.val);
		value.source = entry->source;
	}
	if (entry != NULL && entry->state == GUC_SET_LOCAL)
	{
		value.text = value_text(variable, &entry->masked.val);
		value.source = PGC_S_SESSION;
	}
	return value;
}

/*
 * Return a value that a setting has had, as SET takes it.
 */
static char *
value_text(const struct config_generic *variable, const union config_var_val *value)
{
	switch (variable->vartype)
	{
		case PGC_BOOL:
			return pstrdup(value->boolval ? "on" : "off");
		case PGC_INT:
			return psprintf("%d", value->intval);
		case PGC_REAL:
			return psprintf("%.17g", value->realval);
		case PGC_STRING:
			return value->stringval != NULL ? pstrdup(value->stringval) : NULL;
		case PGC_ENUM:
			return pstrdup(config_enum_lookup_by_value((struct config_enum *) variable,
													   value->enumval));
	}
	return NULL;
}

/*
 * Return the setting of a name, or NULL.
 */
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
