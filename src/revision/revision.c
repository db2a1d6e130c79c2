/*
 * revision.c
 *		What a revision is, and what it can be called.
 */
#include "migrate.h"

#include "mb/pg_wchar.h"
#include "revision/ids.h"
#include "revision/revision.h"
#include "script/excerpt.h"
#include "script/script.h"
#include "script/text.h"

/*
 * Return whether two revisions of the same id are the same, up to what does
 * not count in scripts (mig_script_same) and the date.
 */
bool
mig_revision_same(const Revision *a, const Revision *b)
{
	return strcmp(a->message, b->message) == 0 &&
		mig_ids_equal(a->down_revisions, b->down_revisions) &&
		mig_ids_equal(a->depends_on, b->depends_on) &&
		mig_ids_equal(a->branch_labels, b->branch_labels) &&
		mig_script_same(a->upgrade_sql, b->upgrade_sql) &&
		mig_script_same(a->downgrade_sql, b->downgrade_sql) &&
		a->upgrade_transactional == b->upgrade_transactional &&
		a->downgrade_transactional == b->downgrade_transactional;
}

/*
 * Return whether two revisions were read from the same place of the same file.
 */
bool
mig_revision_same_place(const Revision *a, const Revision *b)
{
	if (a->file_name == NULL || b->file_name == NULL)
		return a->file_name == b->file_name;
	return strcmp(a->file_name, b->file_name) == 0 &&
		a->line[MIG_UPGRADE] == b->line[MIG_UPGRADE] &&
		a->line[MIG_DOWNGRADE] == b->line[MIG_DOWNGRADE];
}

/*
 * Why name cannot be a revision id or a branch label, as the end of the
 * sentence "revision identifier "x" ..."; NULL when it can.  The rules are
 * Alembic's, and white space, control characters and the reserved words are
 * excluded too, because targets could not name such an id.
 */
const char *
mig_revision_name_fault(const char *name)
{
	static const char *const reserved[] = {
		"head", "heads", "base", "bases", "current", "None"
	};
	size_t		len = strlen(name);

	if (len == 0)
		return "is empty";
	if (len > MIG_MAX_IDENTIFIER)
		return "is longer than 255 bytes";
	for (size_t i = 0; i < lengthof(reserved); i++)
		if (strcmp(name, reserved[i]) == 0)
			return "is a reserved word";
	for (const char *p = name; *p; p += pg_mblen(p))
	{
		if (strchr("@-+:", *p) != NULL)
			return "contains one of the characters @ - + :";
		if (*p == ',')
			return "contains a comma";
		if (*p == ' ' || mig_text_is_control(p))
			return "contains white space or a control character";
	}
	return NULL;
}

/*
 * Return a name that a user gave as a message shows it: without control
 * characters, and of one that is too long for a name, the beginning.
 */
const char *
mig_revision_clip(const char *name)
{
	int			len = strlen(name);

	if (len > MIG_MAX_IDENTIFIER)
		name = mig_excerpt_clip(name, len, MIG_MAX_IDENTIFIER);
	return mig_excerpt_printable(name);
}
