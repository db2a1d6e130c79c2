/*
 * data.c
 *		Whether scripts change rows.
 */
#include "migrate.h"

#include "compat.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "script/data.h"
#include "script/script.h"
#include "utils/builtins.h"
#include "utils/formatting.h"

static bool is_data(const Node *stmt);
static bool block_has_data(const DoStmt *block);
static bool walk(Node *node, void *context);

/*
 * Return whether a script has a statement that changes rows.
 */
bool
mig_data_is_changed(const char *sql)
{
	ListCell   *lc;

	foreach(lc, mig_script_split(sql))
		if (is_data(((const ScriptStatement *) lfirst(lc))->raw->stmt))
			return true;
	return false;
}

/*
 * Return whether a statement changes rows, as far as its parse tree tells.
 */
static bool
is_data(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
			return true;
		case T_CopyStmt:
			return ((const CopyStmt *) stmt)->is_from;
		case T_SelectStmt:
			return walk(unconstify(Node *, stmt), NULL);
		case T_DoStmt:
			return block_has_data((const DoStmt *) stmt);
		default:
			return MigIsMerge(stmt);
	}
}

/*
 * Return whether the text of a DO block names a statement that changes rows.
 */
static bool
block_has_data(const DoStmt *block)
{
	ListCell   *lc;

	foreach(lc, block->args)
	{
		const DefElem *element = lfirst_node(DefElem, lc);
		char	   *text;

		if (strcmp(element->defname, "as") != 0)
			continue;
		text = asc_tolower(strVal(element->arg), strlen(strVal(element->arg)));
		if (strstr(text, "insert into") != NULL || strstr(text, "delete from") != NULL ||
			strstr(text, "update ") != NULL || strstr(text, "setval") != NULL)
			return true;
	}
	return false;
}

/*
 * Return whether a query, or a part of one, sets a sequence or changes rows.
 */
static bool
walk(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, InsertStmt) || IsA(node, UpdateStmt) || IsA(node, DeleteStmt))
		return true;
	if (IsA(node, FuncCall) &&
		strcmp(strVal(llast(((FuncCall *) node)->funcname)), "setval") == 0)
		return true;
	return raw_expression_tree_walker(node, walk, context);
}
