/*
 * data.c
 *		Whether scripts change rows, or read them.
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
static bool find_read(Node *node, void *context);

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

/*
 * Return whether what a statement does may depend on rows that are there.  What a block or
 * a procedure reads is not known, so that it may.
 */
bool
mig_data_is_read(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_DoStmt:
		case T_CallStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
			return true;
		case T_InsertStmt:
		case T_SelectStmt:
			return find_read(stmt, NULL);
		case T_CreateTableAsStmt:
			return find_read(((CreateTableAsStmt *) stmt)->query, NULL);
		default:
			return MigIsMerge(stmt);
	}
}

/*
 * Return whether a part of a query reads rows, or calls a function, which may.
 */
static bool
find_read(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubLink) || IsA(node, FuncCall) || IsA(node, ExecuteStmt) ||
		(IsA(node, SelectStmt) && ((SelectStmt *) node)->fromClause != NIL))
		return true;
	return raw_expression_tree_walker(node, find_read, context);
}
