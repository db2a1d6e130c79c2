/*
 * read.c
 *		Reading the objects of schemas from the catalogs.
 *
 * Queries run as the caller, who can read all of these catalogs, on the latest
 * snapshot: the functions that make texts of definitions look at the newest rows,
 * too.  search_path is "pg_catalog, pg_temp" meanwhile: functions and operators
 * are never looked for in pg_temp, so those of the queries are the server's, and
 * in the results everything else has its schema.
 *
 * Others can change meanwhile what is read: a view that was there when the query began
 * may be gone when its definition is printed.  Then all is read again.
 */
#include "migrate.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/spi.h"
#include "jit/jit.h"
#include "kind/kinds.h"
#include "schema/attempt.h"
#include "schema/read.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* Properties that all kinds have which COMMENT ON knows; they follow the kind's own. */
static const char *const common_properties[] = {"comment", "security_label"};

/* Those that all kinds have where privileges are compared; they come last. */
static const char *const rights_properties[] = {"owner", "privileges"};

/* The address in classoid and objoid; of a composite type that of its relation. */
#define OF_RELATION \
	"CASE WHEN r.oid IS NULL THEN classoid ELSE 'pg_class'::regclass END, " \
	"CASE WHEN r.oid IS NULL THEN objoid ELSE r.oid END"
#define JOIN_RELATION \
	"LEFT JOIN pg_class r ON classoid = 'pg_type'::regclass AND r.reltype = objoid " \
	"AND r.relkind = 'c' "

/* A catalog whose objects have an owner, and privileges of a type of acldefault(). */
#define WITH_OWNER(catalog, prefix) \
	"UNION ALL SELECT '" catalog "'::regclass, oid, 0, " prefix "owner, NULL " \
	"FROM " catalog " "
#define WITH_PRIVILEGES(catalog, prefix, type) \
	"UNION ALL SELECT '" catalog "'::regclass, oid, 0, " prefix "owner, " \
	"coalesce(" prefix "acl, acldefault('" type "', " prefix "owner)) FROM " catalog " "

/*
 * Owners and privileges, the default ones made explicit.  The type of a composite
 * type's relation has its privileges.
 */
static const char *const rights_query =
"SELECT classid, objid, objsubid, pg_get_userbyid(owner), (SELECT string_agg(i::text, "
"', ' ORDER BY i::text COLLATE \"C\") FROM unnest(acl) i) FROM ("
"SELECT 'pg_class'::regclass AS classid, oid AS objid, 0 AS objsubid, relowner AS owner, "
"coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", "
"relowner)) AS acl FROM pg_class WHERE relkind NOT IN ('i', 'I', 'c') "
"UNION ALL SELECT 'pg_class'::regclass, typrelid, 0, typowner, "
"coalesce(typacl, acldefault('T', typowner)) FROM pg_type WHERE typrelid <> 0 "
"AND (SELECT relkind FROM pg_class c WHERE c.oid = typrelid) = 'c' "
"UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, NULL, attacl "
"FROM pg_attribute WHERE attacl IS NOT NULL AND attnum > 0 "
WITH_PRIVILEGES("pg_type", "typ", "T")
WITH_PRIVILEGES("pg_proc", "pro", "f")
WITH_PRIVILEGES("pg_namespace", "nsp", "n")
WITH_PRIVILEGES("pg_language", "lan", "l")
WITH_PRIVILEGES("pg_foreign_data_wrapper", "fdw", "F")
WITH_PRIVILEGES("pg_foreign_server", "srv", "S")
WITH_OWNER("pg_collation", "coll")
WITH_OWNER("pg_conversion", "con")
WITH_OWNER("pg_operator", "opr")
WITH_OWNER("pg_opfamily", "opf")
WITH_OWNER("pg_opclass", "opc")
WITH_OWNER("pg_ts_dict", "dict")
WITH_OWNER("pg_ts_config", "cfg")
WITH_OWNER("pg_statistic_ext", "stx")
WITH_OWNER("pg_publication", "pub")
WITH_OWNER("pg_event_trigger", "evt")
WITH_OWNER("pg_extension", "ext")
"UNION ALL SELECT 'pg_subscription'::regclass, " MIG_SUBSCRIPTION_OID ", 0, x.subowner, "
"NULL FROM pg_subscription x) rights WHERE objid >= 16384 "
"OR classid = 'pg_namespace'::regclass";

/* A row of pg_depend that two objects of a schema are in. */
typedef struct Dependency
{
	ObjectAddress user;
	ObjectAddress used;
	char		type;
} Dependency;

/* What is to be read. */
typedef struct Request
{
	List	   *names;
	List	   *oids;
	bool		of_database;	/* only what is in no schema */
	bool		rights;
} Request;

/* What is remembered while a schema is read. */
typedef struct Reading
{
	MemoryContext result;
	int			guc_level;
} Reading;

static Schema *read_in_attempts(const Request *request);
static Schema *attempt(const Request *request, Attempts *attempts, ErrorData **error);
static bool says_vanished(const ErrorData *error);
static void complete_error(ErrorData *error, bool vanished);
static Schema *read_all(const Request *request);
static void read_all_common(Schema *schema, bool rights);
static void begin(Reading *reading);
static void end(const Reading *reading);
static void read_kind(const Kind *kind, Schema *schema, Datum oids, bool rights);
static bool is_gone(const SchemaObject *object);
static void add_property(SchemaObject *object, const char *name);
static SchemaObject *read_object(const Kind *kind, const Schema *schema,
								 SPITupleTable *table, uint64 row, bool rights);
static bool find_owner(SchemaObject *object, const Schema *schema, Oid owner);
static void read_common(Schema *schema, const char *query, const char *const *names,
						int count);
static void set_property(SchemaObject *object, const char *name, const char *value);
static void make_aliases(Schema *schema, List *dependencies);
static List *read_dependencies(void);
static bool add_alias(Schema *schema, const Dependency *dependency);
static bool is_member_of(const Dependency *dependency);
static void read_defaults(Schema *schema);
static void note_use(Schema *schema, const Dependency *dependency);
static SchemaObject *object_with(const Schema *schema, const ObjectAddress *address);
static ObjectPhase phase_of(const SchemaObject *user, const SchemaObject *used,
							const Dependency *dependency);
static SchemaObject *root_of(SchemaObject *object);
static void run(const char *query, int nargs, Oid *types, Datum *values);
static Oid	oid_at(uint64 row, int column);
static Datum oid_array(List *oids);

/*
 * Read all objects of some schemas, of which names (char *) and OIDs are given,
 * and of the database; their owners and privileges if asked.  The result is in a child of
 * the current memory context; what uses what is not in it yet.  Errors: 40001, 40P01 and
 * 55P03 when others change what is read, and do not stop.
 */
Schema *
mig_read_schema(List *names, List *oids, bool rights)
{
	Request		request = {.names = names, .oids = oids, .rights = rights};

	return read_in_attempts(&request);
}

/*
 * Read the objects that are in no schema, of which some are given, by their addresses
 * and names.  The rest is as in mig_read_schema.
 */
Schema *
mig_read_database(List *names, List *oids)
{
	Request		request = {.names = names, .oids = oids, .of_database = true};

	return read_in_attempts(&request);
}

/*
 * Read what is requested, again when others were in the way.
 */
static Schema *
read_in_attempts(const Request *request)
{
	Attempts	attempts = {0};
	char	   *last = NULL;

	for (;;)
	{
		ErrorData  *error = NULL;
		Schema	   *schema = attempt(request, &attempts, &error);
		bool		vanished;

		if (schema != NULL)
			return schema;
		/* what has gone is not there the next time; a message that is always the same is true */
		vanished = says_vanished(error) && (last == NULL || strcmp(error->message, last) != 0);
		if (!(vanished || mig_attempt_is_of_others(error)) ||
			!mig_attempt_again(&attempts, error))
		{
			complete_error(error, vanished);
			ReThrowError(error);
		}
		last = error->message;
	}
}

/*
 * Make one attempt to read.  The server's functions that print definitions leave locks on
 * what these use, so it is done in a subtransaction that is rolled back: nobody waits for
 * the rest of the transaction.  Returns NULL, and the error, when it fails.
 */
static Schema *
attempt(const Request *request, Attempts *attempts, ErrorData **error)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext context = AllocSetContextCreate(caller, "migrate schema",
												  ALLOCSET_DEFAULT_SIZES);
	Schema	   *volatile schema = NULL;

	mig_attempt_begin(attempts);
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		MemoryContextSwitchTo(context);
		mig_attempt_wait_shortly(attempts);
		schema = read_all(request);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		*error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (schema == NULL)
		MemoryContextDelete(context);
	return schema;
}

/*
 * Return whether an error says that something is not there which was there a moment ago,
 * as the server's functions do that look at the newest catalogs.
 */
static bool
says_vanished(const ErrorData *error)
{
	if (error->message == NULL)
		return false;
	switch (error->sqlerrcode)
	{
		case ERRCODE_INTERNAL_ERROR:
		case ERRCODE_UNDEFINED_COLUMN:
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_UNDEFINED_SCHEMA:
		case ERRCODE_UNDEFINED_TABLE:
			return true;
		default:
			return false;
	}
}

/*
 * Say what the error means with which the attempts have ended.
 */
static void
complete_error(ErrorData *error, bool vanished)
{
	if (vanished)
	{
		error->sqlerrcode = ERRCODE_T_R_SERIALIZATION_FAILURE;
		error->detail = error->message;
		error->message = "could not read the schemas, which others are changing";
		error->hint = "Try again.";
	}
	mig_attempt_complete(error);
}

/*
 * Read what is requested, in the current memory context.
 */
static Schema *
read_all(const Request *request)
{
	Schema	   *schema = mig_objects_new_schema(request->names);
	Datum		array = oid_array(request->oids);
	Reading		reading;

	begin(&reading);
	for (int i = 0; i < mig_kinds_count; i++)
		if (mig_kinds_all[i]->of_database || !request->of_database)
			read_kind(mig_kinds_all[i], schema, array, request->rights);
	if (!request->of_database)
		read_all_common(schema, request->rights);
	end(&reading);
	return schema;
}

/*
 * Read comments, security labels, and owners and privileges if asked.
 */
static void
read_all_common(Schema *schema, bool rights)
{
	read_common(schema,
				"SELECT " OF_RELATION ", objsubid, description FROM pg_description " JOIN_RELATION
				"WHERE (objoid >= 16384 OR classoid = 'pg_namespace'::regclass) "
				"AND NOT (classoid = 'pg_namespace'::regclass AND description = "
				"'standard public schema' AND objoid::regnamespace::text = 'public')",
				&common_properties[0], 1);
	read_common(schema,
				"SELECT " OF_RELATION ", objsubid, "
				"string_agg(provider || ': ' || label, ', ' ORDER BY provider) "
				"FROM pg_seclabel " JOIN_RELATION "GROUP BY 1, 2, 3", &common_properties[1], 1);
	if (rights)
		read_common(schema, rights_query, rights_properties, lengthof(rights_properties));
}

/*
 * Read which objects of a schema use which, unless that is known.
 */
void
mig_read_uses(Schema *schema)
{
	Reading		reading;
	List	   *dependencies;
	ListCell   *lc;

	if (schema->has_uses)
		return;
	begin(&reading);
	MemoryContextSwitchTo(reading.result);
	dependencies = read_dependencies();
	read_defaults(schema);
	make_aliases(schema, dependencies);
	foreach(lc, dependencies)
		note_use(schema, lfirst(lc));
	list_free_deep(dependencies);
	schema->has_uses = true;
	end(&reading);
}

/*
 * Begin to read.  SPI's memory context is the current one until end().
 */
static void
begin(Reading *reading)
{
	reading->result = CurrentMemoryContext;
	reading->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	/* compiling the queries would take longer than all of them */
	if (jit_enabled)
		(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	CommandCounterIncrement();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	PushActiveSnapshot(GetLatestSnapshot());
}

/*
 * Stop reading.
 */
static void
end(const Reading *reading)
{
	PopActiveSnapshot();
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	AtEOXact_GUC(false, reading->guc_level);
	MemoryContextSwitchTo(reading->result);
}

/*
 * Read the objects of a kind into a schema, by names, because that is the order in
 * which differences are listed; columns by number.
 */
static void
read_kind(const Kind *kind, Schema *schema, Datum oids, bool rights)
{
	Oid			types[2] = {OIDARRAYOID, BOOLOID};
	Datum		values[2] = {oids, BoolGetDatum(rights)};
	MemoryContext spi = CurrentMemoryContext;
	SPITupleTable *table;
	uint64		n;

	run(psprintf("%s ORDER BY schema, parent, subid, name, arguments", kind->query), 2, types,
		values);
	table = SPI_tuptable;
	n = SPI_processed;
	MemoryContextSwitchTo(GetMemoryChunkContext(schema));
	for (uint64 row = 0; row < n; row++)
	{
		SchemaObject *object = read_object(kind, schema, table, row, rights);

		if (object != NULL && !is_gone(object))
			mig_objects_add(schema, object);
	}
	MemoryContextSwitchTo(spi);
	SPI_freetuptable(table);
}

/*
 * Return whether an object was dropped since the catalogs were read, so that the server has
 * no definition of it any more.  The function that returns that of a constraint looks with
 * the snapshot of the transaction, which can be an old one.  Errors: 40001.
 */
static bool
is_gone(const SchemaObject *object)
{
	bool		is_constraint = object->kind == &mig_kinds_constraint ||
		object->kind == &mig_kinds_domain_constraint;

	/* the trigger of a partition has that of its parent */
	if (object->kind == &mig_kinds_trigger || !mig_objects_has_property(object, "definition") ||
		mig_objects_property(object, "definition") != NULL)
		return false;
	if (is_constraint && IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not read the definition of constraint \"%s\"", object->name),
				 errdetail("It is newer than the snapshot of this transaction."),
				 errhint("Try again in a new transaction.")));
	return true;
}

/*
 * Return an object of one row, in the current memory context; NULL when it
 * belongs to one that was not read.
 */
static SchemaObject *
read_object(const Kind *kind, const Schema *schema, SPITupleTable *table, uint64 row,
			bool rights)
{
	SchemaObject *object = palloc0(sizeof(SchemaObject));
	HeapTuple	tuple = table->vals[row];
	TupleDesc	desc = table->tupdesc;
	bool		isnull;
	int			own = desc->natts - KIND_FIXED_COLUMNS;

	object->kind = kind;
	ObjectAddressSubSet(object->address, kind->catalog,
						DatumGetObjectId(SPI_getbinval(tuple, desc, 1, &isnull)),
						DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull)));
	if (!find_owner(object, schema, DatumGetObjectId(SPI_getbinval(tuple, desc, 3, &isnull))))
		return NULL;
	object->schema = SPI_getvalue(tuple, desc, 4);
	object->parent = SPI_getvalue(tuple, desc, 5);
	object->name = SPI_getvalue(tuple, desc, 6);
	object->arguments = SPI_getvalue(tuple, desc, 7);
	object->properties = palloc0(sizeof(ObjectProperty) *
								 (own + lengthof(common_properties) +
								  lengthof(rights_properties)));
	for (int i = 0; i < own; i++)
	{
		add_property(object, pstrdup(SPI_fname(desc, KIND_FIXED_COLUMNS + i + 1)));
		object->properties[i].value = SPI_getvalue(tuple, desc, KIND_FIXED_COLUMNS + i + 1);
	}
	for (size_t i = 0; kind->comment_on != NULL && i < lengthof(common_properties); i++)
		add_property(object, common_properties[i]);
	for (size_t i = 0; rights && i < lengthof(rights_properties); i++)
		add_property(object, rights_properties[i]);
	return object;
}

/*
 * Add a property, which is not set, to an object that has room for it.
 */
static void
add_property(SchemaObject *object, const char *name)
{
	object->properties[object->nproperties++].name = name;
}

/*
 * Find the object that another belongs to.  Return false when it was not read.
 */
static bool
find_owner(SchemaObject *object, const Schema *schema, Oid owner)
{
	ObjectAddress address;

	if (!OidIsValid(object->kind->owner_catalog))
		return true;
	ObjectAddressSet(address, object->kind->owner_catalog, owner);
	object->owner = mig_objects_at(schema, &address);
	return object->owner != NULL;
}

/*
 * Read some properties that many kinds have: columns of a query after the address.
 */
static void
read_common(Schema *schema, const char *query, const char *const *names, int count)
{
	MemoryContext spi = CurrentMemoryContext;

	run(query, 0, NULL, NULL);
	MemoryContextSwitchTo(GetMemoryChunkContext(schema));
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ObjectAddress address;
		SchemaObject *object;

		ObjectAddressSubSet(address, oid_at(row, 1), oid_at(row, 2), (int) oid_at(row, 3));
		object = mig_objects_at(schema, &address);
		for (int i = 0; object != NULL && i < count; i++)
			set_property(object, names[i],
						 SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 4 + i));
	}
	MemoryContextSwitchTo(spi);
}

/*
 * Set a property of an object, if it has that.
 */
static void
set_property(SchemaObject *object, const char *name, const char *value)
{
	for (int i = 0; i < object->nproperties; i++)
		if (strcmp(object->properties[i].name, name) == 0)
			object->properties[i].value = value;
}

/*
 * Return pg_depend (Dependency *), but for the server's own objects.
 */
static List *
read_dependencies(void)
{
	List	   *list = NIL;

	run("SELECT classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype "
		"FROM pg_depend WHERE objid >= 16384 AND refobjid > 0 "
		"ORDER BY classid, objid, objsubid, refclassid, refobjid, refobjsubid", 0, NULL, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		Dependency *dependency = palloc(sizeof(Dependency));
		bool		isnull;

		ObjectAddressSubSet(dependency->user, oid_at(row, 1), oid_at(row, 2),
							(int) oid_at(row, 3));
		ObjectAddressSubSet(dependency->used, oid_at(row, 4), oid_at(row, 5),
							(int) oid_at(row, 6));
		dependency->type = DatumGetChar(SPI_getbinval(SPI_tuptable->vals[row],
													  SPI_tuptable->tupdesc, 7, &isnull));
		list = lappend(list, dependency);
	}
	return list;
}

/*
 * Have addresses that are part of an object stand for it: row and array types,
 * the rules of views, indexes of constraints, members of extensions and of operator
 * classes.  Such a part can have parts of its own.
 */
static void
make_aliases(Schema *schema, List *dependencies)
{
	bool		added = true;

	while (added)
	{
		ListCell   *lc;

		added = false;
		foreach(lc, dependencies)
			added |= add_alias(schema, lfirst(lc));
	}
}

/*
 * Make an alias of a row of pg_depend, if it says that one address is part of
 * another.  A composite type's relation is part of its type, a table's type part
 * of the table.  Return whether one was made.
 */
static bool
add_alias(Schema *schema, const Dependency *dependency)
{
	SchemaObject *user;
	SchemaObject *used;

	if (dependency->type != DEPENDENCY_INTERNAL &&
		dependency->type != DEPENDENCY_EXTENSION && !is_member_of(dependency))
		return false;
	user = mig_objects_at(schema, &dependency->user);
	used = mig_objects_at(schema, &dependency->used);
	if ((user == NULL) == (used == NULL))
		return false;
	if (user == NULL)
		mig_objects_alias(schema, &dependency->user, used);
	else
		mig_objects_alias(schema, &dependency->used, user);
	return true;
}

/*
 * Return whether a row of pg_depend is of a member, and of what it is a member: of an
 * operator or a function in an operator class or family, of what a publication has.
 */
static bool
is_member_of(const Dependency *dependency)
{
	if (dependency->used.classId == PublicationRelationId)
		return dependency->user.classId == PublicationRelRelationId ||
			dependency->user.classId == MIG_PUBLICATION_NAMESPACE;
	return (dependency->user.classId == AccessMethodOperatorRelationId ||
			dependency->user.classId == AccessMethodProcedureRelationId) &&
		(dependency->used.classId == OperatorClassRelationId ||
		 dependency->used.classId == OperatorFamilyRelationId);
}

/*
 * Have the default of a column stand for the column.
 */
static void
read_defaults(Schema *schema)
{
	run("SELECT oid, adrelid, adnum::int4 FROM pg_attrdef", 0, NULL, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		ObjectAddress def;
		ObjectAddress column;
		SchemaObject *object;

		ObjectAddressSet(def, AttrDefaultRelationId, oid_at(row, 1));
		ObjectAddressSubSet(column, RelationRelationId, oid_at(row, 2), (int) oid_at(row, 3));
		object = mig_objects_at(schema, &column);
		if (object != NULL)
			mig_objects_alias(schema, &def, object);
	}
}

/*
 * Note that an object uses another, if both are in the schema.
 */
static void
note_use(Schema *schema, const Dependency *dependency)
{
	SchemaObject *user = object_with(schema, &dependency->user);
	SchemaObject *used = object_with(schema, &dependency->used);
	ObjectUse  *use;

	if (user == NULL || used == NULL || dependency->type == DEPENDENCY_EXTENSION ||
		user == used || (root_of(user) == root_of(used) &&
						 !(user->kind == &mig_kinds_column && used->kind == user->kind)))
		return;
	use = palloc(sizeof(ObjectUse));
	use->object = used;
	use->phase = phase_of(user, used, dependency);
	user->uses = lappend(user->uses, use);
}

/*
 * Return the object at an address, or the one of which that is a column that has not
 * been read, such as most columns of views; NULL: neither has been.
 */
static SchemaObject *
object_with(const Schema *schema, const ObjectAddress *address)
{
	SchemaObject *object = mig_objects_at(schema, address);
	ObjectAddress whole;

	if (object != NULL || address->objectSubId == 0)
		return object;
	ObjectAddressSet(whole, address->classId, address->objectId);
	return mig_objects_at(schema, &whole);
}

/*
 * Return the step in making an object before which another has to be there.
 */
static ObjectPhase
phase_of(const SchemaObject *user, const SchemaObject *used, const Dependency *dependency)
{
	/* the query of a view, which comes later where it is in a circle */
	if (dependency->user.classId == RewriteRelationId && user->kind == &mig_kinds_view)
		return PHASE_DEFAULT;
	if (dependency->user.classId == AttrDefaultRelationId)
		return mig_objects_property(user, "generated") != NULL ? PHASE_CREATE : PHASE_DEFAULT;
	if (dependency->type == DEPENDENCY_PARTITION_PRI ||
		dependency->type == DEPENDENCY_PARTITION_SEC)
		return PHASE_ATTACH;
	if (dependency->type == DEPENDENCY_AUTO && user->kind == &mig_kinds_table &&
		used->kind == &mig_kinds_table)
		return PHASE_ATTACH;
	if (dependency->type == DEPENDENCY_AUTO && user->kind == &mig_kinds_sequence)
		return PHASE_STATE;
	return PHASE_CREATE;
}

/*
 * Return the object that another is made together with, or that itself.
 */
static SchemaObject *
root_of(SchemaObject *object)
{
	return object->kind->part_of_owner ? object->owner : object;
}

/*
 * Run a query.  The current memory context stays, which SPI would change.
 */
static void
run(const char *query, int nargs, Oid *types, Datum *values)
{
	MemoryContext old = CurrentMemoryContext;

	if (SPI_execute_with_args(query, nargs, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "unexpected result of query \"%s\"", query);
	MemoryContextSwitchTo(old);
}

/*
 * Return a value of the last query that is an OID or an int4.
 */
static Oid
oid_at(uint64 row, int column)
{
	bool		isnull;

	return DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
										  column, &isnull));
}

/*
 * Return some OIDs as an array, for a query.
 */
static Datum
oid_array(List *oids)
{
	Datum	   *values = palloc(sizeof(Datum) * (list_length(oids) + 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, oids)
		values[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(values, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}
