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

static void restore(const char *name, const char *value);
static List *add_identity_change(List *changes, const SessionSettings *before,
								 List *earlier, const char *name);
static bool is_set_by_transaction(const struct config_generic *variable);
static bool is_as_before(const SessionSettings *before, const char *name,
						 const SettingValue *value);
static char *describe_change(const char *name, const SettingValue *value);
static const char *find_change(List *changes, const char *name);
static List *try_changes(List *changes);
static bool is_identity(const char *change);
static bool apply(const char *change, int elevel);
static void change_error_context(void *arg);
static List *read_settings(void);
static char *read_identity(const char *name, ReadWhat what);
static const struct config_generic *find_variable(const char *name);
static bool is_of_session(const struct config_generic *variable);
static bool is_set_otherwise(const char *name);
static SettingValue current_value(const struct config_generic *variable);
static SettingValue committed_value(const struct config_generic *variable);
static char *value_text(const struct config_generic *variable,
						const union config_var_val *value);
static const Setting *find_setting(List *settings, const char *name);
static bool set_setting(const char *name, const char *value, GucContext context,
						int elevel);

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
	settings->settings = read_settings();
	settings->session_authorization = read_identity("session_authorization", READ_CURRENT);
	settings->role = read_identity("role", READ_CURRENT);
	MemoryContextSwitchTo(old);
	return settings;
}

/*
 * Restore what the session had set when it was remembered, as SET and RESET
 * would: what it has set only since then is reset.  Errors: those of SET ROLE and
 * SET SESSION AUTHORIZATION, when a script did what the caller may not undo.
 */
void
mig_session_restore(const SessionSettings *settings)
{
	List	   *now;
	ListCell   *lc;

	if (strcmp(settings->session_authorization,
			   read_identity("session_authorization", READ_CURRENT)) != 0)
		restore("session_authorization", settings->session_authorization);
	if (strcmp(settings->role, read_identity("role", READ_CURRENT)) != 0)
		restore("role", settings->role);

	now = read_settings();
	foreach(lc, now)
		if (find_setting(settings->settings, ((Setting *) lfirst(lc))->name) == NULL)
			restore(((Setting *) lfirst(lc))->name, NULL);
	foreach(lc, settings->settings)
	{
		const Setting *was = lfirst(lc);
		const Setting *is = find_setting(now, was->name);

		if (is == NULL || strcmp(is->value, was->value) != 0)
			restore(was->name, was->value);
	}
}

/*
 * Set one setting to what a script has changed it to (changes), or else to what
 * it was before the script.
 */
void
mig_session_set_as_script(const SessionSettings *before, List *changes, const char *name)
{
	const char *change = find_change(changes, name);
	const Setting *was = find_setting(before->settings, name);

	if (change != NULL)
		(void) apply(change, ERROR);
	else
		restore(name, was != NULL ? was->value : NULL);
}

/*
 * Restore one setting.  What the session has had it may have again, also where
 * the caller could not set it: the script may have been another role's meanwhile.
 */
static void
restore(const char *name, const char *value)
{
	(void) set_setting(name, value, PGC_SUSET, ERROR);
}

/*
 * Return what a script has changed (char *), in the current memory context, in
 * the order in which to make these changes.  before is what the session had when
 * it was remembered; earlier are the script's changes up to now, which were made
 * again in this session if they are of another one.
 *
 * A setting counts as soon as the script has set or reset it, and from then on,
 * even where the session has the same value: the next session may have another.
 * ours, or NULL, is the name of one whose value is not the script's now.
 */
List *
mig_session_changes(const SessionSettings *before, List *earlier, const char *ours)
{
	int			n;
	struct config_generic **variables = mig_get_guc_variables(&n);
	List	   *changes = NIL;

	for (int i = 0; i < n; i++)
	{
		const struct config_generic *variable = variables[i];
		const char *change = find_change(earlier, variable->name);
		SettingValue value;

		if (!is_of_session(variable))
			continue;
		if (ours == NULL || strcmp(variable->name, ours) != 0)
		{
			value = committed_value(variable);
			change = change != NULL || is_set_by_transaction(variable) ||
				!is_as_before(before, variable->name, &value) ?
				describe_change(variable->name, &value) : NULL;
		}
		if (change != NULL)
			changes = lappend(changes, pstrdup(change));
	}
	for (size_t i = 0; i < lengthof(identities); i++)
		changes = add_identity_change(changes, before, earlier, identities[i]);
	return changes;
}

/*
 * Add the change of one of the identities, if it was changed.
 */
static List *
add_identity_change(List *changes, const SessionSettings *before, List *earlier,
					const char *name)
{
	const struct config_generic *variable = find_variable(name);
	const char *was = strcmp(name, "role") == 0 ? before->role :
		before->session_authorization;
	SettingValue value = committed_value(variable);

	value.text = read_identity(name, READ_COMMITTED);
	if (find_change(earlier, name) == NULL && !is_set_by_transaction(variable) &&
		strcmp(value.text, was) == 0)
		return changes;
	return lappend(changes, describe_change(name, &value));
}

/*
 * Return whether a setting is to become, at the commit, what this transaction
 * sets or resets it to.
 */
static bool
is_set_by_transaction(const struct config_generic *variable)
{
	for (const GucStack *entry = variable->stack; entry != NULL; entry = entry->prev)
		if (entry->state == GUC_SET || entry->state == GUC_SET_LOCAL)
			return true;
	return false;
}

/*
 * Return whether a setting has the value that it had when the session was
 * remembered.
 */
static bool
is_as_before(const SessionSettings *before, const char *name, const SettingValue *value)
{
	const Setting *was = find_setting(before->settings, name);

	if (was == NULL || value->source != PGC_S_SESSION)
		return was == NULL && value->source != PGC_S_SESSION;
	return strcmp(was->value, value->text ? value->text : "") == 0;
}

/*
 * Return a change, for a setting that has this value now.
 */
static char *
describe_change(const char *name, const SettingValue *value)
{
	return value->source != PGC_S_SESSION ? pstrdup(name) :
		psprintf("%s=%s", name, value->text ? value->text : "");
}

/*
 * Return the change of a setting, or NULL.
 */
static const char *
find_change(List *changes, const char *name)
{
	ListCell   *lc;

	foreach(lc, changes)
	{
		const char *change = lfirst(lc);
		size_t		len = strcspn(change, "=");

		if (len == strlen(name) && pg_strncasecmp(change, name, len) == 0)
			return change;
	}
	return NULL;
}

/*
 * Make changes (char *) in this session, as the caller.  Errors: those of SET,
 * with a line of context and a hint.
 *
 * Those of role and session authorization are the last, because who may set a
 * setting may not do so any more once the role is another.  But what could be set
 * only by that other role waits for it.
 */
void
mig_session_apply(List *changes)
{
	List	   *waiting = NIL;
	ListCell   *lc;

	foreach(lc, changes)
	{
		if (is_identity(lfirst(lc)))
		{
			(void) apply(lfirst(lc), ERROR);
			waiting = try_changes(waiting);
		}
		else
			waiting = list_concat(waiting, try_changes(list_make1(lfirst(lc))));
	}
	foreach(lc, waiting)
		(void) apply(lfirst(lc), ERROR);
}

/*
 * Make those changes that the current role may make; return the others.
 */
static List *
try_changes(List *changes)
{
	List	   *failed = NIL;
	ListCell   *lc;

	foreach(lc, changes)
		if (!apply(lfirst(lc), DEBUG5))
			failed = lappend(failed, lfirst(lc));
	return failed;
}

/*
 * Return whether a change is one of who we are.
 */
static bool
is_identity(const char *change)
{
	for (size_t i = 0; i < lengthof(identities); i++)
		if (find_change(list_make1(unconstify(char *, change)), identities[i]) != NULL)
			return true;
	return false;
}

/*
 * Make one change.  Return whether it was made; with elevel ERROR it is, or an
 * error is raised.
 */
static bool
apply(const char *change, int elevel)
{
	size_t		len = strcspn(change, "=");
	ErrorContextCallback callback;
	bool		made;

	callback.callback = change_error_context;
	callback.arg = unconstify(char *, change);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	made = set_setting(pnstrdup(change, len), change[len] == '=' ? change + len + 1 : NULL,
					   superuser() ? PGC_SUSET : PGC_USERSET, elevel);
	error_context_stack = callback.previous;
	return made;
}

/*
 * Say which change an error is about, and what can be done; an error context
 * callback.
 */
static void
change_error_context(void *arg)
{
	const char *change = arg;

	errhint("Resume the script as a role that can make this setting, or remove it from migrate.partial.settings.");
	errcontext("setting \"%s\" as the script has set it before",
			   pnstrdup(change, strcspn(change, "=")));
}

/*
 * Return the settings that the session has set (Setting *), those of no known
 * name too.  pg_settings does not show these.
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
		Setting    *setting;
		SettingValue value;

		if (!is_of_session(variable))
			continue;
		value = current_value(variable);
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
	const struct config_generic *variable = find_variable(name);
	const char *current = current_value(variable).text;
	const char *committed = what == READ_COMMITTED ? committed_value(variable).text : NULL;

	if (committed != NULL && (current == NULL || strcmp(committed, current) != 0))
		return pstrdup(committed);
	return GetConfigOptionByName(name, NULL, false);
}

/*
 * Return the setting of a name that the server has.
 */
static const struct config_generic *
find_variable(const char *name)
{
	int			n;
	struct config_generic **variables = mig_get_guc_variables(&n);

	for (int i = 0; i < n; i++)
		if (strcmp(variables[i]->name, name) == 0)
			return variables[i];
	elog(ERROR, "no setting \"%s\"", name);
}

/*
 * Return whether a setting is one that a script can set for the session, but for
 * the identities.
 */
static bool
is_of_session(const struct config_generic *variable)
{
	return (variable->context == PGC_USERSET || variable->context == PGC_SUSET) &&
		!is_set_otherwise(variable->name);
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
	SettingValue value = {NULL, variable->source};

	value.text = variable->vartype == PGC_REAL ?
		psprintf("%.17g", MigSettingReal(variable)) :
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
	SettingValue value = current_value(variable);

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
			return pstrdup(mig_setting_enum_name(variable, value->enumval));
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
 * SET for the session; value NULL: RESET.  Return whether it was set, with elevel
 * ERROR always.
 */
static bool
set_setting(const char *name, const char *value, GucContext context, int elevel)
{
	return set_config_option(name, value, context, PGC_S_SESSION, GUC_ACTION_SET, true,
							 elevel, false) > 0;
}
