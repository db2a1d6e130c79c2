/*
 * target.c
 *		Revision identifiers: Alembic's grammar, resolved against a graph.
 *
 *		target := [ branch "@" ] symbol [ steps ]  |  [ branch "@" ] steps
 *		symbol := id | unique prefix of an id | label
 *				  | "head" | "heads" | "base" | "current"
 *		steps  := ("+" | "-") digits
 *		branch := id | unique prefix of an id | label
 *		range  := [ target ] ":" [ target ]
 *
 * The rules were read off Alembic 1.19 by running it; where it fails with a
 * raw exception, or guesses, we report an error of our own.  The steps of a
 * relative target follow down revisions only, never dependencies.
 */
#include "migrate.h"

#include "compat.h"
#include "revision/graph.h"
#include "revision/ids.h"
#include "revision/names.h"
#include "revision/revision.h"
#include "revision/target.h"

/* A target, taken apart.  Absent parts are NULL. */
typedef struct ParsedTarget
{
	const char *text;			/* the whole, for messages */
	const char *branch;
	const char *symbol;
	bool		relative;
	int			steps;			/* signed; |steps| at most INT_MAX */
	bool		down;			/* the sign was '-', or steps is 0 */
} ParsedTarget;

static ParsedTarget parse_target(const char *target);
static int	parse_steps(const char *target, const char *steps);
pg_noreturn static void not_found(const char *name);
pg_noreturn static void too_far(const ParsedTarget *parsed);
pg_noreturn static void several_heads(const Graph *graph,
									  const char *text, const Bitmapset *heads);
static int	find_name(const Graph *graph, const char *name, const Bitmapset *within);
static Bitmapset *branch_lineage(const Graph *graph, const char *branch);
static Bitmapset *resolve_symbol(const Graph *graph, const Bitmapset *rows,
								 const ParsedTarget *parsed);
static int	resolve_one(const Graph *graph, const Bitmapset *rows,
						const ParsedTarget *parsed, bool check_branch);
static int	walk_up(const Graph *graph, int start, int steps,
					const Bitmapset *lineage, bool clamp);
static int	walk_down(const Graph *graph, int start, int steps, bool clamp);
static Bitmapset *current_starts(const Graph *graph, const Bitmapset *rows,
								 const ParsedTarget *parsed);
static int	single_start(const Graph *graph, const Bitmapset *start,
						 const ParsedTarget *parsed);
static int	upgrade_start(const Graph *graph, const Bitmapset *rows,
						  const ParsedTarget *parsed);
static int	walk_relative(const Graph *graph, const Bitmapset *rows,
						  const ParsedTarget *parsed);
static int	downgrade_start(const Graph *graph, const Bitmapset *rows,
							const ParsedTarget *parsed);
static bool is_current(const ParsedTarget *parsed);
static const char *find_colon(const char *range);
static Bitmapset *range_upper(const Graph *graph, const Bitmapset *rows,
							  const char *lower, const char *upper);
static Bitmapset *range_lower(const Graph *graph, const Bitmapset *rows,
							  const ParsedTarget *parsed,
							  const Bitmapset *upper, bool upper_is_current);
static Bitmapset *walk_down_all(const Graph *graph, const Bitmapset *from,
								int steps);

/*
 * Return the revisions that an upgrade shall reach; empty for base.
 */
Bitmapset *
mig_target_upgrade(const Graph *graph, const Bitmapset *rows,
				   const char *target)
{
	ParsedTarget parsed;
	int			node;

	if (strchr(target, ':') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("a range of revisions is not allowed here: \"%s\"",
						mig_revision_clip(target))));
	parsed = parse_target(target);
	if (!parsed.relative)
		return resolve_symbol(graph, rows, &parsed);

	if (parsed.symbol == NULL && parsed.down)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("relative revision \"%s\" is not a valid upgrade target",
						target),
				 errhint("An upgrade goes up: use +N, or migrate.downgrade() to go down.")));
	if (parsed.symbol == NULL)
	{
		Bitmapset  *lineage = branch_lineage(graph, parsed.branch);

		node = walk_up(graph, upgrade_start(graph, rows, &parsed),
					   parsed.steps, lineage, false);
	}
	else
		node = walk_relative(graph, rows, &parsed);

	if (node == TARGET_TOO_FAR)
		too_far(&parsed);
	return node == TARGET_BASE ? NULL : bms_make_singleton(node);
}

/*
 * Return the revision that a downgrade shall come down to.
 *
 * The branch of an absolute target is handed on unresolved, because like
 * Alembic we look at it only where there is a choice of branches.
 */
DowngradeTarget
mig_target_downgrade(const Graph *graph, const Bitmapset *rows,
					 const char *target)
{
	ParsedTarget parsed = parse_target(target);
	DowngradeTarget result = {TARGET_BASE, parsed.branch};

	if (!parsed.relative)
	{
		result.node = resolve_one(graph, rows, &parsed, false);
		return result;
	}
	if (parsed.symbol == NULL)
	{
		int			start;

		if (!parsed.down || parsed.steps == 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
					 errmsg("relative revision \"%s\" is not a valid downgrade target",
							target),
					 errhint("A downgrade goes down: use -N, or migrate.upgrade() to go up.")));
		start = downgrade_start(graph, rows, &parsed);
		if (result.branch == NULL)
			result.branch = graph->nodes[start].revision;
		result.node = walk_down(graph, start, -parsed.steps, false);
	}
	else
		result.node = walk_relative(graph, rows, &parsed);

	if (result.node == TARGET_TOO_FAR)
		too_far(&parsed);
	return result;
}

/*
 * Return what a stamp with one target sets. A relative target starts from the
 * one row; upwards there is nothing to be relative to.
 */
StampTarget
mig_target_stamp(const Graph *graph, const Bitmapset *rows, const char *target)
{
	ParsedTarget parsed = parse_target(target);
	StampTarget result = {NULL, NULL};

	if (parsed.relative && parsed.symbol == NULL)
	{
		int			node;

		if (!parsed.down || parsed.steps == 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
					 errmsg("relative revision \"%s\" is not a valid stamp target",
							target),
					 errhint("Name a revision.")));
		node = walk_down(graph, downgrade_start(graph, rows, &parsed),
						 -parsed.steps, false);
		if (node == TARGET_TOO_FAR)
			too_far(&parsed);
		if (node != TARGET_BASE)
			result.destinations = bms_make_singleton(node);
	}
	else
		result.destinations = mig_target_upgrade(graph, rows, target);

	/* with no rows there is nothing to remove: Alembic does not even look */
	if (bms_is_empty(result.destinations))
		result.lineage = parsed.branch != NULL && !bms_is_empty(rows) ?
			mig_graph_lineage(graph, mig_target_name(graph, parsed.branch),
							  GRAPH_REAL) :
			bms_copy(rows);
	return result;
}

/*
 * Return the revisions that an identifier names, for callers that only look:
 * +N and -N are relative to the version rows.
 */
Bitmapset *
mig_target_resolve(const Graph *graph, const Bitmapset *rows,
				   const char *target)
{
	ParsedTarget parsed = parse_target(target);
	int			node;

	if (!parsed.relative || parsed.symbol != NULL || !parsed.down)
		return mig_target_upgrade(graph, rows, target);

	node = walk_down(graph, downgrade_start(graph, rows, &parsed),
					 -parsed.steps, false);
	if (node == TARGET_TOO_FAR)
		too_far(&parsed);
	return node == TARGET_BASE ? NULL : bms_make_singleton(node);
}

/*
 * Return the one revision that an identifier names, or TARGET_BASE.
 */
int
mig_target_one(const Graph *graph, const Bitmapset *rows, const char *target)
{
	ParsedTarget parsed = parse_target(target);
	Bitmapset  *found;

	if (!parsed.relative)
		return resolve_one(graph, rows, &parsed, true);
	found = mig_target_resolve(graph, rows, target);
	return bms_is_empty(found) ? TARGET_BASE : bms_singleton_member(found);
}

/*
 * Return the revision that a plain name means: an id, a label, or a unique
 * prefix. Needs the graph indexed, not linked. Errors: MG001, MG002.
 */
int
mig_target_name(const Graph *graph, const char *name)
{
	return find_name(graph, name, NULL);
}

/*
 * Return the revisions of a range "a:b", both ends included. A missing a is
 * base, a missing b is heads. Only the revisions between the ends on their own
 * branch count, unless the lower end is base. A relative end that goes past
 * the first or last revision stops there. Errors: MG005 when the range is
 * reversed, its ends are on different branches, or there is no colon.
 */
Bitmapset *
mig_target_range(const Graph *graph, const Bitmapset *rows, const char *range)
{
	const char *colon = find_colon(range);
	char	   *lower_text;
	ParsedTarget lower_parsed;
	Bitmapset  *upper;
	Bitmapset  *lower;
	Bitmapset  *required;
	Bitmapset  *below;
	Bitmapset  *between;

	lower_text = pnstrdup(range, colon - range);
	if (*lower_text == '\0')
		lower_text = "base";

	upper = range_upper(graph, rows, lower_text, colon[1] ? colon + 1 : "heads");
	lower_parsed = parse_target(lower_text);
	lower = range_lower(graph, rows, &lower_parsed, upper,
						strcmp(colon + 1, "current") == 0);

	/* "branch@base:" means that branch only */
	if (lower_parsed.branch != NULL)
		upper = bms_intersect(upper, branch_lineage(graph, lower_parsed.branch));

	/* of two revisions, one must follow the other on its own branch */
	required = mig_graph_ancestors(graph, upper, GRAPH_REAL);
	below = bms_membership(upper) == BMS_SINGLETON ?
		mig_graph_ancestors(graph, upper, GRAPH_DOWN) : required;
	if (!bms_is_subset(lower, below))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("range \"%s\" is not on one branch", range),
				 errdetail("%s is not an ancestor of %s.",
						   mig_ids_quote(mig_graph_ids(graph,
													   bms_difference(lower,
																	  below))),
						   bms_is_empty(upper) ? "base" :
						   mig_ids_quote(mig_graph_ids(graph, upper))),
				 errhint("The older end of a range comes first.")));
	if (bms_is_empty(lower))
		return required;
	between = bms_difference(required,
							 mig_graph_ancestors(graph, lower, GRAPH_REAL));
	between = bms_int_members(between,
							  mig_graph_descendants(graph, lower, GRAPH_DOWN));
	return bms_add_members(between, lower);
}

/*
 * Return a range as a move takes it, "start:target": an upgrade has the older
 * end first, a downgrade the newer. A missing older end is base, a missing
 * newer one heads. In an upgrade's "-N:" the start counts back from the
 * target, as in mig_target_range; otherwise the start is relative to the rows,
 * and the target to the start. Errors: MG005 when there is no colon, or
 * several.
 */
MoveRange
mig_target_move_range(const Graph *graph, const Bitmapset *rows,
					  const char *range, MigDirection direction)
{
	const char *colon = find_colon(range);
	const char *first = pnstrdup(range, colon - range);
	const char *missing[2] = {"base", "heads"};
	bool		down = (direction == MIG_DOWNGRADE);
	MoveRange	result = {NULL, colon + 1, false};
	ParsedTarget target;
	ParsedTarget start;

	if (*first == '\0')
		first = missing[down];
	if (*result.target == '\0')
		result.target = missing[!down];
	target = parse_target(result.target);
	start = parse_target(first);
	result.from_rows = is_current(&target);

	if (!down && start.relative && start.symbol == NULL && start.down)
		result.start = range_lower(graph, rows, &start,
								   range_upper(graph, rows, first, result.target),
								   result.from_rows);
	else
		result.start = mig_target_resolve(graph, rows, first);
	result.start = mig_graph_maximal(graph, result.start);
	return result;
}

/*
 * Return the colon of a range. MG005 when there is none, or several.
 */
static const char *
find_colon(const char *range)
{
	const char *colon = strchr(range, ':');

	if (colon == NULL || strchr(colon + 1, ':') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("\"%s\" is not a range of revisions",
						mig_revision_clip(range)),
				 errhint("A range is start:end, start: or :end.")));
	return colon;
}

/*
 * Take a target apart.  What does not fit the grammar names nothing: MG001.
 */
static ParsedTarget
parse_target(const char *target)
{
	ParsedTarget parsed = {target, NULL, NULL, false, 0, false};
	const char *rest = target;
	const char *at = strchr(target, '@');
	size_t		len;

	if (strchr(target, ':') != NULL)
		not_found(target);
	if (at != NULL)
	{
		parsed.branch = pnstrdup(target, at - target);
		rest = at + 1;
		if (at == target || strchr(rest, '@') != NULL)
			not_found(target);
	}
	len = strcspn(rest, "+-");
	if (len > 0)
		parsed.symbol = pnstrdup(rest, len);
	if (rest[len] != '\0')
	{
		parsed.relative = true;
		parsed.steps = parse_steps(target, rest + len);
		parsed.down = (rest[len] == '-' || parsed.steps == 0);
	}
	else if (len == 0)
		not_found(target);
	return parsed;
}

/*
 * Return the number in "+N" or "-N", cut off at the greatest int: no graph has
 * that many revisions.
 */
static int
parse_steps(const char *target, const char *steps)
{
	const char *p = steps + 1;
	int64		n = 0;

	if (*p == '\0' || strspn(p, "0123456789") != strlen(p))
		not_found(target);
	for (; *p; p++)
		n = Min(n * 10 + (*p - '0'), PG_INT32_MAX);
	return (int) (*steps == '-' ? -n : n);
}

/*
 * Report, with MG001, that nothing has a name.
 */
static void
not_found(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIG_NO_SUCH_REVISION),
			 errmsg("can't locate revision identified by \"%s\"",
					mig_revision_clip(name)),
			 name[0] == '{' ?
			 errhint("To name several revisions, write ARRAY['a', 'b'].") :
			 errhint("SELECT * FROM migrate.history() shows the revisions.")));
}

/*
 * Report, with MG005, that a walk leaves the graph.
 */
static void
too_far(const ParsedTarget *parsed)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
			 errmsg("walked too far: \"%s\" leads past the %s revision",
					parsed->text, parsed->down ? "first" : "last"),
			 parsed->down ? errhint("\"base\" is below the first revision.") :
			 errhint("\"head\" is the last revision.")));
}

/*
 * Report, with MG003, that there are several heads where one is needed.
 */
static void
several_heads(const Graph *graph, const char *text, const Bitmapset *heads)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIG_MULTIPLE_HEADS),
			 errmsg("multiple head revisions are present for given argument \"%s\"",
					text),
			 errdetail("The heads are %s.", mig_ids_quote(mig_graph_ids(graph, heads))),
			 errhint("Use \"heads\" for all of them, \"label@head\" for one of them, or join them with migrate.merge().")));
}

/*
 * Return the node of an id, a label, or a unique prefix. With within, a prefix
 * looks only at those nodes (an exact name is the caller's to check).
 */
static int
find_name(const Graph *graph, const char *name, const Bitmapset *within)
{
	int			node = mig_graph_find(graph, name);
	List	   *found;

	if (node >= 0)
		return node;
	found = mig_names_with_prefix(graph, name, within);
	if (found == NIL)
		not_found(name);
	if (list_length(found) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_AMBIGUOUS),
				 errmsg("revision identifier \"%s\" is ambiguous", name),
				 errdetail("It is the beginning of %s.", mig_ids_quote(found)),
				 errhint("Write more of the identifier.")));
	return mig_graph_find(graph, linitial(found));
}

/*
 * Return revisions that share the branch's lineage; NULL for no branch.
 */
static Bitmapset *
branch_lineage(const Graph *graph, const char *branch)
{
	if (branch == NULL)
		return NULL;
	return mig_graph_lineage(graph, mig_target_name(graph, branch),
							 GRAPH_DOWN);
}

/*
 * Return all revisions that [branch@]symbol names; empty for base.
 */
static Bitmapset *
resolve_symbol(const Graph *graph, const Bitmapset *rows,
			   const ParsedTarget *parsed)
{
	const char *symbol = parsed->symbol;
	Bitmapset  *lineage;
	Bitmapset  *found;
	int			node;

	if (strcmp(symbol, "base") == 0)
		return NULL;
	lineage = branch_lineage(graph, parsed->branch);
	if (strcmp(symbol, "heads") == 0 && lineage == NULL)
		return mig_graph_heads(graph, GRAPH_REAL);
	if (strcmp(symbol, "heads") == 0 || strcmp(symbol, "head") == 0)
	{
		found = mig_graph_heads(graph, GRAPH_DOWN);
		if (lineage != NULL)
			found = bms_int_members(found, lineage);
		if (symbol[4] == '\0' && bms_membership(found) == BMS_MULTIPLE)
			several_heads(graph, parsed->text, found);
		return found;
	}
	if (strcmp(symbol, "current") == 0)
		return lineage ? bms_intersect(rows, lineage) : bms_copy(rows);

	node = find_name(graph, symbol, lineage);
	if (lineage != NULL && !bms_is_member(node, lineage))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_NO_SUCH_REVISION),
				 errmsg("can't locate revision identified by \"%s\"",
						mig_revision_clip(parsed->text)),
				 errdetail("Revision \"%s\" is not a member of branch \"%s\".",
						   graph->nodes[node].revision, parsed->branch)));
	return bms_make_singleton(node);
}

/*
 * Return the one revision of [branch@]symbol, or TARGET_BASE. check_branch
 * false: the branch plays no part.
 */
static int
resolve_one(const Graph *graph, const Bitmapset *rows,
			const ParsedTarget *parsed, bool check_branch)
{
	ParsedTarget symbol = *parsed;
	Bitmapset  *found;
	int			node;

	if (!check_branch)
		symbol.branch = NULL;
	found = resolve_symbol(graph, rows, &symbol);
	if (bms_is_empty(found))
		return TARGET_BASE;
	if (bms_get_singleton_member(found, &node))
		return node;
	if (is_current(parsed))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_AMBIGUOUS),
				 errmsg("\"%s\" is ambiguous, because there are several current revisions",
						parsed->text),
				 errdetail("The current revisions are %s.",
						   mig_ids_quote(mig_graph_ids(graph, found))),
				 errhint("Name one of them.")));
	several_heads(graph, parsed->text, found);
}

/*
 * Go up by down-revision children, within lineage where that is given.  Where
 * the last revision is reached too early the result is TARGET_TOO_FAR or, to
 * clamp, that revision.  MG002 where there is a choice.
 */
static int
walk_up(const Graph *graph, int start, int steps, const Bitmapset *lineage,
		bool clamp)
{
	int			at = start;

	while (steps-- > 0)
	{
		Bitmapset  *next = NULL;

		if (at == TARGET_BASE)
			next = mig_graph_bases(graph);
		else
			for (int k = 0; k < graph->nodes[at].child.n; k++)
				next = bms_add_member(next, graph->nodes[at].child.to[k]);
		if (lineage != NULL)
			next = bms_int_members(next, lineage);
		if (bms_is_empty(next))
			return clamp ? at : TARGET_TOO_FAR;
		if (bms_membership(next) == BMS_MULTIPLE)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_AMBIGUOUS),
					 errmsg("ambiguous walk: several revisions follow %s",
							at == TARGET_BASE ? "base" :
							psprintf("\"%s\"", graph->nodes[at].revision)),
					 errdetail("They are %s.", mig_ids_quote(mig_graph_ids(graph, next))),
					 errhint("Use \"label@+N\", or name the revision.")));
		at = bms_singleton_member(next);
		bms_free(next);
	}
	return at;
}

/*
 * Go down by down revisions; below the first one is TARGET_BASE, and below
 * that nothing: TARGET_TOO_FAR or, to clamp, TARGET_BASE.  From base itself
 * the first step leads to the one head, as in Alembic.  MG002 off a merge
 * point.
 */
static int
walk_down(const Graph *graph, int start, int steps, bool clamp)
{
	int			at = start;

	if (at == TARGET_BASE && steps > 0)
	{
		Bitmapset  *heads = mig_graph_heads(graph, GRAPH_DOWN);

		if (bms_membership(heads) == BMS_MULTIPLE)
			ereport(ERROR,
					(errcode(ERRCODE_MIG_AMBIGUOUS),
					 errmsg("ambiguous walk: there are several heads"),
					 errdetail("They are %s.", mig_ids_quote(mig_graph_ids(graph, heads))),
					 errhint("Name the revision.")));
		if (!bms_is_empty(heads))
			at = bms_singleton_member(heads);
		steps--;
	}
	while (steps-- > 0)
	{
		const GraphNode *node;

		if (at == TARGET_BASE)
			return clamp ? at : TARGET_TOO_FAR;
		node = &graph->nodes[at];
		if (node->down.n > 1)
		{
			Bitmapset  *parents = NULL;

			for (int k = 0; k < node->down.n; k++)
				parents = bms_add_member(parents, node->down.to[k]);
			ereport(ERROR,
					(errcode(ERRCODE_MIG_AMBIGUOUS),
					 errmsg("ambiguous walk: \"%s\" is a merge point",
							node->revision),
					 errdetail("Its down revisions are %s.",
							   mig_ids_quote(mig_graph_ids(graph, parents))),
					 errhint("Name the revision. A downgrade to \"%s\" reverts \"%s\" and what follows it, and keeps the other branch as it is.",
							 graph->nodes[node->down.to[0]].revision, node->revision)));
		}
		at = node->down.n == 0 ? TARGET_BASE : node->down.to[0];
	}
	return at;
}

/*
 * Where a walk relative to the database can start: the rows (on the branch),
 * else the tips of what is applied of the branch.
 */
static Bitmapset *
current_starts(const Graph *graph, const Bitmapset *rows,
			   const ParsedTarget *parsed)
{
	Bitmapset  *lineage;
	Bitmapset  *start;

	if (parsed->branch == NULL)
		return bms_copy(rows);
	lineage = branch_lineage(graph, parsed->branch);
	start = bms_intersect(rows, lineage);
	if (bms_is_empty(start))
		start = mig_graph_maximal(graph,
								  bms_intersect(mig_graph_ancestors(graph, rows,
																	GRAPH_REAL),
												lineage));
	return start;
}

/*
 * Return the one of the starts; MG002 for several.
 */
static int
single_start(const Graph *graph, const Bitmapset *start,
			 const ParsedTarget *parsed)
{
	int			node;

	if (!bms_get_singleton_member(start, &node))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_AMBIGUOUS),
				 errmsg("relative revision \"%s\" is ambiguous, because there are several current revisions",
						parsed->text),
				 errdetail("The current revisions are %s.",
						   mig_ids_quote(mig_graph_ids(graph, start))),
				 parsed->down ? errhint("Use \"label@-N\" or \"revision-N\".") :
				 errhint("Use \"label@+N\", or name the revision.")));
	return node;
}

/*
 * Where +N or branch@+N starts; base when nothing (of the branch) is applied.
 */
static int
upgrade_start(const Graph *graph, const Bitmapset *rows,
			  const ParsedTarget *parsed)
{
	Bitmapset  *start = current_starts(graph, rows, parsed);

	return bms_is_empty(start) ? TARGET_BASE : single_start(graph, start, parsed);
}

/*
 * Walk from the symbol of a relative target.  Going up, the branch restricts
 * the walk; going down, the symbol must be on the branch.
 */
static int
walk_relative(const Graph *graph, const Bitmapset *rows,
			  const ParsedTarget *parsed)
{
	Bitmapset  *lineage = branch_lineage(graph, parsed->branch);
	int			start = resolve_one(graph, rows, parsed, parsed->down);

	if (parsed->down)
		return walk_down(graph, start, -parsed->steps, false);
	return walk_up(graph, start, parsed->steps, lineage, false);
}

/*
 * Where -N or branch@-N starts.  MG005 when nothing is applied, MG002 when
 * nothing of the branch is.
 */
static int
downgrade_start(const Graph *graph, const Bitmapset *rows,
				const ParsedTarget *parsed)
{
	Bitmapset  *start = current_starts(graph, rows, parsed);

	if (bms_is_empty(start) && parsed->branch == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("relative revision \"%s\" is below base", parsed->text),
				 errdetail("No revision is applied.")));
	if (bms_is_empty(start))
		ereport(ERROR,
				(errcode(ERRCODE_MIG_AMBIGUOUS),
				 errmsg("relative revision \"%s\" has nothing to start from",
						parsed->text),
				 errdetail("No revision of branch \"%s\" is applied.",
						   parsed->branch)));
	return single_start(graph, start, parsed);
}

/*
 * Return whether a target is the word "current".
 */
static bool
is_current(const ParsedTarget *parsed)
{
	return parsed->symbol != NULL && strcmp(parsed->symbol, "current") == 0;
}

/*
 * Return the upper end of a range. +N counts from the lower end.
 */
static Bitmapset *
range_upper(const Graph *graph, const Bitmapset *rows, const char *lower,
			const char *upper)
{
	ParsedTarget parsed = parse_target(upper);
	Bitmapset  *lineage;
	int			start;

	if (!parsed.relative)
		return resolve_symbol(graph, rows, &parsed);
	if (parsed.symbol == NULL && parsed.down)
		ereport(ERROR,
				(errcode(ERRCODE_MIG_ILLEGAL_MOVE),
				 errmsg("a range cannot end at \"%s\"", upper),
				 errhint("To count back from the heads, write \"-N:\".")));
	if (parsed.symbol != NULL)
		start = resolve_one(graph, rows, &parsed, parsed.down);
	else
		start = mig_target_one(graph, rows, lower);
	lineage = branch_lineage(graph, parsed.branch);
	if (parsed.down)
		start = walk_down(graph, start, -parsed.steps, true);
	else
		start = walk_up(graph, start, parsed.steps, lineage, true);
	return start == TARGET_BASE ? NULL : bms_make_singleton(start);
}

/*
 * Return the lower end of a range. -N counts from the upper end; in
 * "-N:current" that is the version rows.
 */
static Bitmapset *
range_lower(const Graph *graph, const Bitmapset *rows,
			const ParsedTarget *parsed, const Bitmapset *upper,
			bool upper_is_current)
{
	Bitmapset  *from;
	int			start;

	if (!parsed->relative)
		return resolve_symbol(graph, rows, parsed);
	if (parsed->symbol == NULL && parsed->down)
	{
		from = bms_copy(upper_is_current ? rows : upper);
		if (parsed->branch != NULL)
			from = bms_int_members(from, branch_lineage(graph, parsed->branch));
		return walk_down_all(graph, from, -parsed->steps);
	}
	if (parsed->symbol == NULL)
		start = walk_up(graph, upgrade_start(graph, rows, parsed),
						parsed->steps, branch_lineage(graph, parsed->branch), true);
	else if (parsed->down)
		start = walk_down(graph, resolve_one(graph, rows, parsed, true),
						  -parsed->steps, true);
	else
		start = walk_up(graph, resolve_one(graph, rows, parsed, false),
						parsed->steps, branch_lineage(graph, parsed->branch), true);
	return start == TARGET_BASE ? NULL : bms_make_singleton(start);
}

/*
 * Where walking down from each member of a set ends.
 */
static Bitmapset *
walk_down_all(const Graph *graph, const Bitmapset *from, int steps)
{
	Bitmapset  *ends = NULL;
	int			i = -1;

	while ((i = bms_next_member(from, i)) >= 0)
	{
		int			end = walk_down(graph, i, steps, true);

		if (end == TARGET_BASE)
			return NULL;
		ends = bms_add_member(ends, end);
	}
	return ends;
}
