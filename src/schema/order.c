/*
 * order.c
 *		The order of actions: one graph, one sort.
 *
 * An action comes after those that make what it uses, and what is dropped after all
 * that used it is dropped or altered.  Of the actions that could come next, the least is
 * taken by phase, kind and the object's place in its schema, drops before all, so
 * that the order depends on nothing but the schemas.
 */
#include "migrate.h"

#include "compat.h"
#include "kind/kinds.h"
#include "lib/pairingheap.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "schema/order.h"

/* An action in the graph. */
typedef struct OrderNode
{
	pairingheap_node heap;
	Action	   *action;
	long		rank;
	int			waiting_for;	/* number of actions that come before */
	List	   *before;			/* OrderNode *: actions that come after this */
} OrderNode;

/* The graph. */
typedef struct Order
{
	OrderNode  *nodes;			/* in the order of the actions */
	int			count;
	OrderNode	  **first;			/* of each object and phase, its first action; NULL:
								 * none */
	OrderNode	  **last;			/* likewise */
	OrderNode	  **drops;			/* of each object of the schema before, its drop */
	const OrderedChange *change;
} Order;

/* Entry of a table of names that are free after an object has been dropped. */
typedef struct FreedName
{
	char		name[2 * NAMEDATALEN];	/* schema and name */
	OrderNode  *drop;
} FreedName;

static void make_nodes(Order *order, const Writer *writer);
static long rank_of(const Action *action);
static void add_edges(Order *order, OrderNode *node);
static void add_use(OrderNode *before, OrderNode *after);
static OrderNode *user_of(const Order *order, OrderNode *node, const ObjectUse *use);
static void add_edge(OrderNode *before, OrderNode *after);
static OrderNode *node_of(const Order *order, const SchemaObject *object, ObjectPhase phase);
static OrderNode *first_of(const Order *order, const SchemaObject *object, ObjectPhase phase);
static OrderNode *find_node(OrderNode *const *nodes, const SchemaObject *object,
							ObjectPhase phase);
static OrderNode *find_inherited(OrderNode *const *nodes, const SchemaObject *column,
								 ObjectPhase phase);
static void order_partitions(Order *order, const Schema *schema);
static bool follows_partitions(const SchemaObject *object);
static void order_attached(Order *order, const Schema *schema);
static bool has_attach(const Order *order, const SchemaObject *object);
static void order_inherited(Order *order, const Schema *schema);
static void order_altered(Order *order, const Schema *schema);
static void order_drops(Order *order);
static bool is_detached(const SchemaObject *from, const SchemaObject *to);
static void order_detached(Order *order, const SchemaObject *table,
						   const SchemaObject *after);
static bool is_inherited(const SchemaObject *object);
static void order_parents(Order *order, const SchemaObject *table, OrderNode *alter);
static void order_columns(Order *order, const SchemaObject *table, OrderNode *alter);
static bool is_handed_down(const SchemaObject *object);
static bool is_foreign_key(const SchemaObject *object);
static void order_users(Order *order, const SchemaObject *object);
static bool uses(const SchemaObject *object, const SchemaObject *used);
static OrderNode *drop_of(const Order *order, const SchemaObject *object);
static void order_names(Order *order);
static bool set_name(FreedName *key, const SchemaObject *object);
static List *sort(Order *order);
static int	compare_nodes(const pairingheap_node *a, const pairingheap_node *b, void *arg);
static OrderNode *find_divisible(const Order *order);
static bool divide_drops(const Order *order, Writer *writer);
static bool leads_to(const OrderNode *from, const OrderNode *to, bool *seen,
					 const Order *order);
static char *describe_circle(const Order *order);

/*
 * Return the actions (Action *) of a writer in an order in which they can run,
 * in the current memory context.  The uses of both schemas have been read.  Where objects
 * use each other in a circle, one of them is divided in two actions.  When there is no
 * order still, circle is set to the statements that wait for each other, and the rest is
 * returned.
 */
List *
mig_order_actions(Writer *writer, const OrderedChange *change, char **circle)
{
	*circle = NULL;
	for (;;)
	{
		Order		order = {.change = change};
		List	   *sorted;
		OrderNode  *node;

		make_nodes(&order, writer);
		for (int i = 0; i < order.count; i++)
			if (order.nodes[i].action->type != ACTION_DROP)
				add_edges(&order, &order.nodes[i]);
		order_partitions(&order, change->to);
		order_attached(&order, change->to);
		order_inherited(&order, change->to);
		order_altered(&order, change->to);
		if (change->from != NULL)
			order_drops(&order);
		sorted = sort(&order);
		if (list_length(sorted) == order.count)
			return sorted;
		node = find_divisible(&order);
		if (node != NULL)
		{
			writer->type = ACTION_CREATE;
			writer->cause = node->action->cause;
			node->action->object->kind->divide(node->action->object, node->action, writer);
		}
		else if (!divide_drops(&order, writer))
		{
			*circle = describe_circle(&order);
			return sorted;
		}
	}
}

/*
 * Make a node of each action.
 */
static void
make_nodes(Order *order, const Writer *writer)
{
	const OrderedChange *change = order->change;
	int			places = list_length(change->to->objects) * PHASE_COUNT;
	ListCell   *lc;

	order->count = list_length(writer->actions);
	order->nodes = palloc0(sizeof(OrderNode) * (order->count + 1));
	order->first = palloc0(sizeof(OrderNode *) * (places + 1));
	order->last = palloc0(sizeof(OrderNode *) * (places + 1));
	if (change->from != NULL)
		order->drops = palloc0(sizeof(OrderNode *) * (list_length(change->from->objects) + 1));
	foreach(lc, writer->actions)
	{
		Action	   *action = lfirst(lc);
		OrderNode  *node = &order->nodes[foreach_current_index(lc)];
		int			place = action->object->number * PHASE_COUNT + action->phase;

		node->action = action;
		node->rank = rank_of(action);
		if (action->type == ACTION_DROP)
		{
			order->drops[action->object->number] = node;
			continue;
		}
		if (order->first[place] == NULL)
			order->first[place] = node;
		else
			add_edge(order->last[place], node);
		order->last[place] = node;
	}
}

/*
 * Return the place of an action among those that could come next.  An event trigger
 * would see all else, and default privileges would be of it: they are dropped first and
 * made last.
 */
static long
rank_of(const Action *action)
{
	bool		is_of_all = action->object->kind == &mig_kinds_event_trigger ||
		action->object->kind == &mig_kinds_default_privileges;
	int			kind = 0;

	if (action->type == ACTION_DROP)
		return is_of_all ? -2 : -1;
	if (is_of_all)
		return (long) PHASE_COUNT * mig_kinds_count;
	while (mig_kinds_all[kind] != action->object->kind)
		kind++;
	return (long) action->phase * mig_kinds_count + kind;
}

/*
 * Note what comes before an action: the other actions of its object, and what
 * that uses.
 */
static void
add_edges(Order *order, OrderNode *node)
{
	const Action *action = node->action;
	const SchemaObject *object = action->object;
	ListCell   *lc;

	if (action->phase != PHASE_CREATE)
		add_edge(node_of(order, object, PHASE_CREATE), node);
	foreach(lc, object->uses)
	{
		const ObjectUse *use = lfirst(lc);

		add_use(node_of(order, use->object, PHASE_CREATE), user_of(order, node, use));
	}
	foreach(lc, object->children)
	{
		const SchemaObject *child = lfirst(lc);
		ListCell   *used;

		if (!child->kind->part_of_owner || action->phase != PHASE_CREATE)
			continue;
		foreach(used, child->uses)
		{
			const ObjectUse *use = lfirst(used);

			if (use->phase == PHASE_CREATE)
				add_use(node_of(order, use->object, PHASE_CREATE), node);
		}
	}
	if (action->after != NULL)
		add_edge(node_of(order, action->after, PHASE_CREATE), node);
	if (action->before_attach != NULL)
	{
		OrderNode  *attach = node_of(order, action->before_attach, PHASE_ATTACH);

		if (attach != NULL && attach->action->phase == PHASE_ATTACH)
			add_edge(node, attach);
	}
}

/*
 * Note that an action comes before another that uses its object, unless one object has both:
 * a generated column uses others of the table that it is made with.  Either may be NULL.
 */
static void
add_use(OrderNode *before, OrderNode *after)
{
	if (before != NULL && after != NULL && before->action->object != after->action->object)
		add_edge(before, after);
}

/*
 * Return the action on an object, of which one is given, that needs what the object uses;
 * NULL: none.  What alters something else than the default of a column, or the owner of a
 * sequence, does not.
 */
static OrderNode *
user_of(const Order *order, OrderNode *node, const ObjectUse *use)
{
	const Kind *kind = node->action->object->kind;
	OrderNode  *user = use->phase == node->action->phase ? node :
		first_of(order, node->action->object, use->phase);

	if (user != NULL && user->action->type == ACTION_ALTER &&
		user->action->phase != use->phase &&
		(kind == &mig_kinds_column || kind == &mig_kinds_sequence))
		return NULL;
	return user;
}

/*
 * Note that an action comes before another; either may be NULL or both the same.
 */
static void
add_edge(OrderNode *before, OrderNode *after)
{
	if (before == NULL || after == NULL || before == after)
		return;
	before->before = lappend(before->before, after);
	after->waiting_for++;
}

/*
 * Return the action that completes a phase of making an object; where the phase
 * has none, that of its creation, or of its owner's.  NULL: nothing is written of
 * it.
 */
static OrderNode *
node_of(const Order *order, const SchemaObject *object, ObjectPhase phase)
{
	return find_node(order->last, object, phase);
}

/*
 * Likewise, the action that begins it: the owner is set in the phase that creates, too.
 */
static OrderNode *
first_of(const Order *order, const SchemaObject *object, ObjectPhase phase)
{
	return find_node(order->first, object, phase);
}

/*
 * Likewise, one of the first or the last actions.
 */
static OrderNode *
find_node(OrderNode *const *nodes, const SchemaObject *object,
		  ObjectPhase phase)
{
	int			place = object->number * PHASE_COUNT;

	if (object->number < 0)
		return NULL;
	if (nodes[place + phase] != NULL)
		return nodes[place + phase];
	if (nodes[place + PHASE_CREATE] == NULL && object->kind->part_of_owner)
	{
		OrderNode  *node = nodes[object->owner->number * PHASE_COUNT + PHASE_CREATE];

		return node != NULL ? node : find_inherited(nodes, object, phase);
	}
	return nodes[place + PHASE_CREATE];
}

/*
 * Likewise, of the column of a parent, which makes the one that its heirs and partitions
 * have from it.
 */
static OrderNode *
find_inherited(OrderNode *const *nodes, const SchemaObject *column, ObjectPhase phase)
{
	ListCell   *lc;

	foreach(lc, column->owner->uses)
	{
		const SchemaObject *parent = ((const ObjectUse *) lfirst(lc))->object;
		ListCell   *child;

		if (parent->kind != &mig_kinds_table || parent == column->owner)
			continue;
		foreach(child, parent->children)
			if (((const SchemaObject *) lfirst(child))->kind == column->kind &&
				strcmp(((const SchemaObject *) lfirst(child))->name, column->name) == 0)
				return find_node(nodes, lfirst(child), phase);
	}
	return NULL;
}

/*
 * Have the indexes, keys and triggers of a partitioned table come after its
 * partitions are attached, and its checks before.
 */
static void
order_partitions(Order *order, const Schema *schema)
{
	ListCell   *lc;

	foreach(lc, schema->objects)
	{
		const SchemaObject *partition = lfirst(lc);
		OrderNode  *attach = order->last[partition->number * PHASE_COUNT + PHASE_ATTACH];
		ListCell   *used;

		if (attach == NULL || partition->kind != &mig_kinds_table)
			continue;
		foreach(used, partition->uses)
		{
			const ObjectUse *use = lfirst(used);
			ListCell   *child;

			if (use->phase != PHASE_ATTACH || use->object->kind != &mig_kinds_table)
				continue;
			foreach(child, use->object->children)
			{
				const SchemaObject *part = lfirst(child);
				OrderNode  *node = order->first[part->number * PHASE_COUNT + PHASE_CREATE];

				if (follows_partitions(part))
					add_edge(attach, node);
				else if (part->kind == &mig_kinds_constraint)
					add_edge(node, attach);
			}
		}
	}
}

/*
 * Return whether part of a partitioned table is made after its partitions are
 * attached.
 */
static bool
follows_partitions(const SchemaObject *object)
{
	if (object->kind == &mig_kinds_constraint)
		return strcmp(mig_objects_property(object, "type"), "check") != 0;
	return object->kind == &mig_kinds_index || object->kind == &mig_kinds_trigger;
}

/*
 * Have what uses an index or key of a partitioned table come after those of its
 * partitions are attached: it is not valid before.
 */
static void
order_attached(Order *order, const Schema *schema)
{
	List	  **users = palloc0(sizeof(List *) * (list_length(schema->objects) + 1));
	ListCell   *lc;

	foreach(lc, schema->objects)
	{
		const SchemaObject *object = lfirst(lc);
		ListCell   *used;

		foreach(used, object->uses)
		{
			const ObjectUse *use = lfirst(used);
			int			number = use->object->number;

			if (number >= 0 && use->phase == PHASE_CREATE &&
				use->object->kind == &mig_kinds_constraint)
				users[number] = lappend(users[number],
										node_of(order, object, PHASE_CREATE));
		}
	}
	foreach(lc, schema->objects)
	{
		const SchemaObject *object = lfirst(lc);
		ListCell   *used;

		if (object->kind == &mig_kinds_table || !has_attach(order, object))
			continue;
		foreach(used, object->uses)
		{
			const ObjectUse *use = lfirst(used);
			OrderNode  *attach = node_of(order, object, PHASE_ATTACH);
			ListCell   *user;

			if (use->phase != PHASE_ATTACH || use->object->number < 0)
				continue;
			if (has_attach(order, use->object) && use->object->kind != &mig_kinds_table)
				add_edge(attach, node_of(order, use->object, PHASE_ATTACH));
			foreach(user, users[use->object->number])
				add_edge(attach, lfirst(user));
		}
	}
}

/*
 * Return whether an object is attached to another.
 */
static bool
has_attach(const Order *order, const SchemaObject *object)
{
	return order->last[object->number * PHASE_COUNT + PHASE_ATTACH] != NULL;
}

/*
 * Have tables that inherit come after the columns that they have from another, whose
 * defaults, and what else is said of these, come after the tables, which would have them
 * from it otherwise.
 */
static void
order_inherited(Order *order, const Schema *schema)
{
	ListCell   *lc;

	foreach(lc, schema->objects)
	{
		const SchemaObject *heir = lfirst(lc);
		OrderNode  *create;
		ListCell   *used;

		if ((heir->kind != &mig_kinds_table && heir->kind != &mig_kinds_foreign_table) ||
			mig_objects_property(heir, "inherits") == NULL)
			continue;
		create = node_of(order, heir, PHASE_CREATE);
		foreach(used, heir->uses)
		{
			const SchemaObject *table = ((ObjectUse *) lfirst(used))->object;
			ListCell   *child;

			if (table->kind != &mig_kinds_table || table->number < 0)
				continue;
			foreach(child, table->children)
			{
				const SchemaObject *column = lfirst(child);
				int			place = column->number * PHASE_COUNT;

				if (column->kind != &mig_kinds_column || column->number < 0)
					continue;
				if (create != NULL && create->action->type == ACTION_CREATE)
					add_edge(node_of(order, column, PHASE_CREATE), create);
				add_edge(create, order->first[place + PHASE_DEFAULT]);
				add_edge(create, order->first[place + PHASE_STATE]);
			}
		}
	}
}

/*
 * Have what alters a column of a parent come before what alters that of its heirs and
 * partitions, which the server alters with it.
 */
static void
order_altered(Order *order, const Schema *schema)
{
	ListCell   *lc;

	foreach(lc, schema->objects)
	{
		const SchemaObject *column = lfirst(lc);
		int			place = column->number * PHASE_COUNT + PHASE_STATE;
		OrderNode  *state = order->first[place];
		OrderNode  *parent;

		if (column->kind != &mig_kinds_column || state == NULL ||
			state->action->type != ACTION_ALTER)
			continue;
		parent = find_inherited(order->last, column, PHASE_STATE);
		if (parent != NULL && parent->action->type == ACTION_ALTER &&
			parent->action->object->kind == &mig_kinds_column &&
			(parent->action->phase == PHASE_STATE || parent->action->phase == PHASE_CREATE))
			add_edge(parent, state);
	}
}

/*
 * Have each drop come after what frees the object, and before what takes its place.
 */
static void
order_drops(Order *order)
{
	const Schema *from = order->change->from;
	ListCell   *lc;

	foreach(lc, from->objects)
	{
		const SchemaObject *object = lfirst(lc);
		const SchemaObject *after = mig_objects_find(order->change->to, object);
		OrderNode  *drop = drop_of(order, object);

		order_users(order, object);
		if (drop == NULL && after != NULL && object->kind == &mig_kinds_table &&
			is_detached(object, after))
			order_detached(order, object, after);
		if (drop == NULL || after == NULL)
			continue;
		if (drop->action->aside)
			add_edge(order->first[after->number * PHASE_COUNT + PHASE_CREATE], drop);
		for (int phase = 0; !drop->action->aside && phase < PHASE_COUNT; phase++)
			add_edge(drop, order->first[after->number * PHASE_COUNT + phase]);
	}
	order_names(order);
}

/*
 * Return whether a table leaves a parent, to come to it again or not.
 */
static bool
is_detached(const SchemaObject *from, const SchemaObject *to)
{
	static const char *const properties[] = {"partition_of", "partition_bound", "inherits"};

	for (size_t i = 0; i < lengthof(properties); i++)
	{
		const char *before = mig_objects_property(from, properties[i]);
		const char *after = mig_objects_property(to, properties[i]);

		if (before != NULL && (after == NULL || strcmp(before, after) != 0))
			return true;
	}
	return false;
}

/*
 * Have what alters a table, which detaches it from its parents, come before what it has from
 * these is dropped and its columns change, and after their foreign keys are: a partition
 * that is detached keeps them.
 */
static void
order_detached(Order *order, const SchemaObject *table, const SchemaObject *after)
{
	OrderNode  *alter = order->first[after->number * PHASE_COUNT + PHASE_CREATE];
	ListCell   *child;

	if (alter == NULL)
		return;
	foreach(child, table->children)
		if (is_inherited(lfirst(child)))
			add_edge(alter, drop_of(order, lfirst(child)));
	order_columns(order, after, alter);
	order_parents(order, table, alter);
}

/*
 * Have what alters a table come before what its parents and theirs hand down is dropped, and
 * their columns are made or altered, and after their foreign keys are dropped.
 */
static void
order_parents(Order *order, const SchemaObject *table, OrderNode *alter)
{
	ListCell   *lc;
	ListCell   *child;

	check_stack_depth();
	foreach(lc, table->uses)
	{
		const SchemaObject *parent = ((const ObjectUse *) lfirst(lc))->object;
		const SchemaObject *after;

		if (parent->kind != &mig_kinds_table || parent == table || parent->number < 0)
			continue;
		foreach(child, parent->children)
			if (is_handed_down(lfirst(child)))
				add_edge(alter, drop_of(order, lfirst(child)));
			else if (is_foreign_key(lfirst(child)) &&
					 mig_objects_property(parent, "partition_key") != NULL)
				add_edge(drop_of(order, lfirst(child)), alter);
		after = mig_objects_find(order->change->to, parent);
		if (after != NULL)
			order_columns(order, after, alter);
		order_parents(order, parent, alter);
	}
}

/*
 * Have what alters a table come before the columns of one are made or altered.
 */
static void
order_columns(Order *order, const SchemaObject *table, OrderNode *alter)
{
	ListCell   *lc;

	foreach(lc, table->children)
	{
		const SchemaObject *column = lfirst(lc);

		if (column->kind == &mig_kinds_column && column->number >= 0)
			add_edge(alter, order->first[column->number * PHASE_COUNT + PHASE_CREATE]);
	}
}

/*
 * Return whether part of a table can be what it has from a parent.
 */
static bool
is_inherited(const SchemaObject *object)
{
	return is_handed_down(object) &&
		(object->kind != &mig_kinds_constraint ||
		 strcmp(mig_objects_property(object, "type"), "check") != 0 ||
		 mig_objects_property(object, "inherited") != NULL);
}

/*
 * Return whether an object is of a kind that tables hand down to their heirs and partitions,
 * besides foreign keys and triggers, which go when a partition is detached.
 */
static bool
is_handed_down(const SchemaObject *object)
{
	return object->kind == &mig_kinds_column || object->kind == &mig_kinds_index ||
		(object->kind == &mig_kinds_constraint && !is_foreign_key(object));
}

/*
 * Return whether an object is a foreign key.
 */
static bool
is_foreign_key(const SchemaObject *object)
{
	return object->kind == &mig_kinds_constraint &&
		strcmp(mig_objects_property(object, "type"), "foreign key") == 0;
}

/*
 * Have what drops or alters an object come before what it used is dropped, and what
 * drops it before what it used is altered.
 */
static void
order_users(Order *order, const SchemaObject *object)
{
	const SchemaObject *after = mig_objects_find(order->change->to, object);
	OrderNode  *drop = drop_of(order, object);
	bool		of_default = drop != NULL && drop->action->phase == PHASE_DEFAULT;
	ListCell   *lc;

	foreach(lc, object->uses)
	{
		const ObjectUse *use = lfirst(lc);
		OrderNode  *used = drop_of(order, use->object);
		const SchemaObject *altered = mig_objects_find(order->change->to, use->object);

		if (drop != NULL && drop == used)
			continue;
		if (drop != NULL && (!of_default || use->phase == PHASE_DEFAULT))
		{
			add_edge(drop, used);
			/* what has another name meanwhile can still be used */
			if (altered != NULL && use->phase == PHASE_CREATE &&
				!(use->object == object->owner && is_inherited(object)) &&
				!(used != NULL && used->action->aside))
				add_edge(drop, order->first[altered->number * PHASE_COUNT + PHASE_CREATE]);
		}
		else if (after != NULL)
			for (int phase = 0; phase < PHASE_COUNT; phase++)
			{
				OrderNode  *node = order->last[after->number * PHASE_COUNT + phase];

				add_edge(node, used);
				if (altered != NULL && use->phase == PHASE_CREATE && !uses(after, altered))
					add_edge(node,
							 order->first[altered->number * PHASE_COUNT + PHASE_CREATE]);
			}
	}
}

/*
 * Return whether an object uses another.
 */
static bool
uses(const SchemaObject *object, const SchemaObject *used)
{
	ListCell   *lc;

	foreach(lc, object->uses)
		if (((const ObjectUse *) lfirst(lc))->object == used)
			return true;
	return false;
}

/*
 * Return the action that drops an object; NULL: it stays.
 */
static OrderNode *
drop_of(const Order *order, const SchemaObject *object)
{
	const SchemaObject *root;

	if (object->number < 0)
		return NULL;
	root = order->change->roots[object->number];
	return root != NULL ? order->drops[root->number] : NULL;
}

/*
 * Have an object that takes the name of another come after the other's drop.
 */
static void
order_names(Order *order)
{
	HASHCTL		control = {.keysize = sizeof(((FreedName *) 0)->name),
		.entrysize = sizeof(FreedName), .hcxt = CurrentMemoryContext};
	HTAB	   *names = hash_create("migrate freed names", 64, &control,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ListCell   *lc;

	foreach(lc, order->change->from->objects)
	{
		const SchemaObject *object = lfirst(lc);
		OrderNode  *drop = drop_of(order, object);
		FreedName	key;

		if (drop != NULL && !drop->action->aside && set_name(&key, object))
			((FreedName *) hash_search(names, &key, HASH_ENTER, NULL))->drop = drop;
	}
	for (int i = 0; i < order->count; i++)
	{
		OrderNode  *node = &order->nodes[i];
		const FreedName *freed;
		FreedName	key;

		if (node->action->type != ACTION_CREATE || node->action->phase != PHASE_CREATE ||
			!set_name(&key, node->action->object))
			continue;
		freed = hash_search(names, &key, HASH_FIND, NULL);
		if (freed != NULL)
			add_edge(freed->drop, node);
	}
	hash_destroy(names);
}

/*
 * Set the key of an object's name; return false where no other kind can take it.
 */
static bool
set_name(FreedName *key, const SchemaObject *object)
{
	if (object->schema == NULL || object->kind == &mig_kinds_column ||
		(object->parent != NULL && object->kind != &mig_kinds_index &&
		 object->kind != &mig_kinds_constraint))
		return false;
	memset(key, 0, sizeof(*key));
	strlcpy(key->name, object->schema, NAMEDATALEN);
	strlcpy(key->name + NAMEDATALEN, object->name, NAMEDATALEN);
	return true;
}

/*
 * Sort the actions; those that are in a circle, or wait for one, are left out.
 */
static List *
sort(Order *order)
{
	pairingheap *ready = pairingheap_allocate(compare_nodes, NULL);
	List	   *sorted = NIL;

	for (int i = 0; i < order->count; i++)
		if (order->nodes[i].waiting_for == 0)
			pairingheap_add(ready, &order->nodes[i].heap);
	while (!pairingheap_is_empty(ready))
	{
		OrderNode  *node = pairingheap_container(OrderNode, heap,
												 pairingheap_remove_first(ready));
		ListCell   *lc;

		sorted = lappend(sorted, node->action);
		foreach(lc, node->before)
		{
			OrderNode  *after = lfirst(lc);

			if (--after->waiting_for == 0)
				pairingheap_add(ready, &after->heap);
		}
	}
	pairingheap_free(ready);
	return sorted;
}

/*
 * Compare two actions for the heap, whose first is the greatest.
 */
static int
compare_nodes(const pairingheap_node *a, const pairingheap_node *b,
			  void *arg pg_attribute_unused())
{
	const OrderNode *x = pairingheap_const_container(OrderNode, heap, a);
	const OrderNode *y = pairingheap_const_container(OrderNode, heap, b);

	if (x->rank != y->rank)
		return x->rank < y->rank ? 1 : -1;
	return x < y ? 1 : -1;
}

/*
 * Return an action that creates an object, is in a circle and can be divided; NULL:
 * there is none.
 */
static OrderNode *
find_divisible(const Order *order)
{
	for (int i = 0; i < order->count; i++)
	{
		OrderNode  *node = &order->nodes[i];
		const Action *action = node->action;
		bool	   *seen;

		if (node->waiting_for == 0 || action->phase != PHASE_CREATE ||
			action->type != ACTION_CREATE || action->object->kind->divide == NULL ||
			order->last[action->object->number * PHASE_COUNT + PHASE_DEFAULT] != NULL)
			continue;
		seen = palloc0(sizeof(bool) * order->count);
		if (leads_to(node, node, seen, order))
			return node;
		pfree(seen);
	}
	return NULL;
}

/*
 * Have parts of what is dropped, and waits for what uses them, be dropped by themselves
 * before.  Return false when there are none.
 */
static bool
divide_drops(const Order *order, Writer *writer)
{
	bool		divided = false;
	ListCell   *lc;

	if (order->change->from == NULL)
		return false;
	foreach(lc, order->change->from->objects)
	{
		SchemaObject *object = lfirst(lc);
		const OrderNode *drop = drop_of(order, object);
		ListCell   *used;

		if (drop == NULL || drop->waiting_for == 0 || object->owner == NULL ||
			object->kind->part_of_owner || order->change->roots[object->number] == object)
			continue;
		foreach(used, object->uses)
		{
			const OrderNode *other = drop_of(order, ((ObjectUse *) lfirst(used))->object);

			if (other == NULL || other == drop || other->waiting_for == 0 ||
				order->change->roots[object->number] == object)
				continue;
			order->change->roots[object->number] = object;
			mig_writer_drop(writer, object);
			divided = true;
		}
	}
	return divided;
}

/*
 * Return whether an action comes, by what is in its way, before another.
 */
static bool
leads_to(const OrderNode *from, const OrderNode *to, bool *seen, const Order *order)
{
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, from->before)
	{
		const OrderNode *after = lfirst(lc);

		if (after == to)
			return true;
		if (seen[after - order->nodes])
			continue;
		seen[after - order->nodes] = true;
		if (leads_to(after, to, seen, order))
			return true;
	}
	return false;
}

/*
 * Return the statements that wait for each other, a line each.
 */
static char *
describe_circle(const Order *order)
{
	StringInfoData circle;

	initStringInfo(&circle);
	for (int i = 0; i < order->count; i++)
	{
		const OrderNode *node = &order->nodes[i];
		bool	   *seen = palloc0(sizeof(bool) * order->count);

		if (node->waiting_for > 0 && leads_to(node, node, seen, order))
			appendStringInfo(&circle, "%s%.*s", circle.len > 0 ? "\n" : "",
							 (int) strcspn(node->action->sql, "\n"), node->action->sql);
		pfree(seen);
	}
	return circle.data;
}
