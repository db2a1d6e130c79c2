/*
 * fingerprint.c
 *		A hash of all that a comparison reads.
 *
 * Two fingerprints are the same when neither the catalogs have changed in between
 * nor what models depend on: the caller, settings that DDL looks at, the versions of
 * server and library.  Then a comparison that found nothing would find nothing again.
 * The other way round it may err: a change in a schema that is not managed changes the
 * fingerprint, too, and all that happens is that the comparison is made.
 *
 * The rows of the catalogs are hashed as they are stored, without their headers; what
 * VACUUM, ANALYZE, TRUNCATE or a new index write into them is masked, and temporary
 * objects are left out.  The hashes are added up, so that the order of the rows does
 * not matter.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_conversion.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_description.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_range.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_tablespace.h"
#include "catalog/pg_transform.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_config_map.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_ts_parser.h"
#include "catalog/pg_ts_template.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "common/hashfn.h"
#include "compat.h"
#include "miscadmin.h"
#include "schema/fingerprint.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/rel.h"

/* Catalogs whose rows are hashed.  Temporary relations are in the first two. */
static const Oid catalogs[] = {
	NamespaceRelationId, RelationRelationId, AttributeRelationId, AttrDefaultRelationId,
	TypeRelationId, EnumRelationId, RangeRelationId, ConstraintRelationId, IndexRelationId,
	InheritsRelationId, PartitionedRelationId, SequenceRelationId, ProcedureRelationId,
	AggregateRelationId, OperatorRelationId, OperatorClassRelationId,
	OperatorFamilyRelationId, AccessMethodOperatorRelationId,
	AccessMethodProcedureRelationId, AccessMethodRelationId, CastRelationId,
	ConversionRelationId, CollationRelationId, LanguageRelationId, TransformRelationId,
	TriggerRelationId, RewriteRelationId, PolicyRelationId, StatisticExtRelationId,
	DependRelationId, DescriptionRelationId, SecLabelRelationId, ExtensionRelationId,
	PublicationRelationId, PublicationRelRelationId, MIG_PUBLICATION_NAMESPACE,
	EventTriggerRelationId, DefaultAclRelationId, ForeignDataWrapperRelationId,
	ForeignServerRelationId, ForeignTableRelationId, TSConfigRelationId,
	TSConfigMapRelationId, TSDictionaryRelationId, TSParserRelationId, TSTemplateRelationId,
	UserMappingRelationId, SubscriptionRelationId, TableSpaceRelationId
};

/* Settings that DDL looks at, or the literals in it; the server's version. */
static const char *const settings[] = {
	"server_version_num", "search_path", "default_tablespace", "default_table_access_method",
	"default_toast_compression", "check_function_bodies", "transform_null_equals",
	"array_nulls", "DateStyle", "IntervalStyle", "TimeZone", "timezone_abbreviations",
	"extra_float_digits", "default_text_search_config", "xmloption", "row_security",
	"quote_all_identifiers", "lc_monetary", "session_replication_role", "createrole_self_grant"
};

/* A fingerprint in the making. */
typedef struct Fingerprint
{
	uint64		sums[2];
	HTAB	   *temporary;		/* OIDs of schemas and relations that are */
	HTAB	   *toast;			/* OIDs of TOAST tables, whose columns are always the same */
} Fingerprint;

static HTAB *new_set(const char *name);
static void add_catalog(Fingerprint *fingerprint, Oid catalog);
static bool is_left_out(const Fingerprint *fingerprint, Oid catalog, HeapTuple tuple);
static bool is_temporary(const Fingerprint *fingerprint, Oid id);
static bool is_in(HTAB *set, Oid id);
static void note_relation(Fingerprint *fingerprint, Oid catalog, HeapTuple tuple);
static void add_row(Fingerprint *fingerprint, Oid catalog, HeapTuple tuple);
static void mask(Oid catalog, char *row);
static void add_roles(Fingerprint *fingerprint);
static void add_bytes(Fingerprint *fingerprint, const void *bytes, int len, uint64 seed);
static void add_string(Fingerprint *fingerprint, const char *string, uint64 seed);

/*
 * Return the fingerprint of the database for the current role, with a text that says
 * what the project compares, in the current memory context.
 */
char *
mig_fingerprint_take(const char *project)
{
	Fingerprint fingerprint = {
		.temporary = new_set("migrate temporary relations"),
		.toast = new_set("migrate TOAST tables")
	};

	for (size_t i = 0; i < lengthof(catalogs); i++)
		if (OidIsValid(catalogs[i]))
			add_catalog(&fingerprint, catalogs[i]);
	add_roles(&fingerprint);
	hash_destroy(fingerprint.temporary);
	hash_destroy(fingerprint.toast);

	for (size_t i = 0; i < lengthof(settings); i++)
		add_string(&fingerprint, GetConfigOption(settings[i], true, false), i + 1);
	add_string(&fingerprint, project, lengthof(settings) + 1);
	return psprintf("%s %u %016llx%016llx", MIG_VERSION, GetUserId(),
					(unsigned long long) fingerprint.sums[0],
					(unsigned long long) fingerprint.sums[1]);
}

/*
 * Return the fingerprint of a text, in the current memory context.
 */
char *
mig_fingerprint_of_text(const char *text)
{
	Fingerprint fingerprint = {0};

	add_string(&fingerprint, text, strlen(text));
	return psprintf("%zu %016llx%016llx", strlen(text),
					(unsigned long long) fingerprint.sums[0],
					(unsigned long long) fingerprint.sums[1]);
}

/*
 * Return an empty set of OIDs in the current memory context.
 */
static HTAB *
new_set(const char *name)
{
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Oid),
		.hcxt = CurrentMemoryContext};

	return hash_create(name, 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Add the rows of a catalog.
 */
static void
add_catalog(Fingerprint *fingerprint, Oid catalog)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		note_relation(fingerprint, catalog, tuple);
		if (!is_left_out(fingerprint, catalog, tuple))
			add_row(fingerprint, catalog, tuple);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Return whether a row is left out: of the server's own objects, the bulk of some
 * catalogs; of temporary ones; of dependencies that no query of ours looks at.
 */
static bool
is_left_out(const Fingerprint *fingerprint, Oid catalog, HeapTuple tuple)
{
	const void *row = GETSTRUCT(tuple);

	switch (catalog)
	{
		case NamespaceRelationId:
			return strncmp(NameStr(((Form_pg_namespace) row)->nspname), "pg_temp_", 8) == 0 ||
				strncmp(NameStr(((Form_pg_namespace) row)->nspname), "pg_toast_temp_", 14) == 0;
		case RelationRelationId:
			return ((Form_pg_class) row)->oid < FirstNormalObjectId ||
				((Form_pg_class) row)->relpersistence == RELPERSISTENCE_TEMP;
		case AttributeRelationId:
			return ((Form_pg_attribute) row)->attrelid < FirstNormalObjectId ||
				((Form_pg_attribute) row)->attnum <= 0 ||
				is_in(fingerprint->toast, ((Form_pg_attribute) row)->attrelid) ||
				is_temporary(fingerprint, ((Form_pg_attribute) row)->attrelid);
		case AttrDefaultRelationId:
			return is_temporary(fingerprint, ((Form_pg_attrdef) row)->adrelid);
		case TypeRelationId:
			return ((Form_pg_type) row)->oid < FirstNormalObjectId ||
				is_temporary(fingerprint, ((Form_pg_type) row)->typnamespace);
		case ProcedureRelationId:
			return ((Form_pg_proc) row)->oid < FirstNormalObjectId ||
				is_temporary(fingerprint, ((Form_pg_proc) row)->pronamespace);
		case ConstraintRelationId:
			return is_temporary(fingerprint, ((Form_pg_constraint) row)->conrelid);
		case IndexRelationId:
			return ((Form_pg_index) row)->indexrelid < FirstNormalObjectId ||
				is_temporary(fingerprint, ((Form_pg_index) row)->indrelid);
		case SequenceRelationId:
			return is_temporary(fingerprint, ((Form_pg_sequence) row)->seqrelid);
		case TriggerRelationId:
			return is_temporary(fingerprint, ((Form_pg_trigger) row)->tgrelid);
		case RewriteRelationId:
			return ((Form_pg_rewrite) row)->oid < FirstNormalObjectId ||
				is_temporary(fingerprint, ((Form_pg_rewrite) row)->ev_class);
		case InheritsRelationId:
			return is_temporary(fingerprint, ((Form_pg_inherits) row)->inhrelid);
		case PartitionedRelationId:
			return is_temporary(fingerprint, ((Form_pg_partitioned_table) row)->partrelid);
		case DescriptionRelationId:
			return (((Form_pg_description) row)->objoid < FirstNormalObjectId &&
					((Form_pg_description) row)->classoid != NamespaceRelationId) ||
				is_temporary(fingerprint, ((Form_pg_description) row)->objoid);
		case DependRelationId:
			return ((Form_pg_depend) row)->objid < FirstNormalObjectId ||
				(((Form_pg_depend) row)->classid != RelationRelationId &&
				 ((Form_pg_depend) row)->classid != TriggerRelationId &&
				 ((Form_pg_depend) row)->deptype != 'e') ||
				is_temporary(fingerprint, ((Form_pg_depend) row)->objid) ||
				is_temporary(fingerprint, ((Form_pg_depend) row)->refobjid);
		default:
			return false;
	}
}

/*
 * Return whether a schema or a relation is temporary.
 */
static bool
is_temporary(const Fingerprint *fingerprint, Oid id)
{
	return is_in(fingerprint->temporary, id);
}

/*
 * Return whether a set has an OID.
 */
static bool
is_in(HTAB *set, Oid id)
{
	return hash_get_num_entries(set) > 0 && hash_search(set, &id, HASH_FIND, NULL) != NULL;
}

/*
 * Remember the schemas and relations whose parts are left out, of which the catalogs
 * come first.
 */
static void
note_relation(Fingerprint *fingerprint, Oid catalog, HeapTuple tuple)
{
	const void *row = GETSTRUCT(tuple);

	if (catalog == NamespaceRelationId && is_left_out(fingerprint, catalog, tuple))
		(void) hash_search(fingerprint->temporary, &((Form_pg_namespace) row)->oid, HASH_ENTER,
						   NULL);
	if (catalog != RelationRelationId)
		return;
	if (((Form_pg_class) row)->relpersistence == RELPERSISTENCE_TEMP)
		(void) hash_search(fingerprint->temporary, &((Form_pg_class) row)->oid, HASH_ENTER, NULL);
	else if (((Form_pg_class) row)->relkind == RELKIND_TOASTVALUE)
		(void) hash_search(fingerprint->toast, &((Form_pg_class) row)->oid, HASH_ENTER, NULL);
}

/*
 * Add a row: which columns are null, and the others as they are stored.  Between the
 * two are only bytes that are zero.
 */
static void
add_row(Fingerprint *fingerprint, Oid catalog, HeapTuple tuple)
{
	char	   *row = (char *) tuple->t_data;
	int			begin = HeapTupleHasNulls(tuple) ? SizeofHeapTupleHeader : tuple->t_data->t_hoff;

	if (catalog == RelationRelationId || catalog == IndexRelationId)
	{
		row = memcpy(palloc(tuple->t_len), row, tuple->t_len);
		mask(catalog, row + tuple->t_data->t_hoff);
	}
	add_bytes(fingerprint, row + begin, tuple->t_len - begin, catalog);
	if (row != (char *) tuple->t_data)
		pfree(row);
}

/*
 * Mask what changes in a row though the object does not.
 */
static void
mask(Oid catalog, char *row)
{
	if (catalog == RelationRelationId)
	{
		Form_pg_class form = (Form_pg_class) row;

		form->relfilenode = InvalidOid;
		form->relpages = 0;
		form->reltuples = 0;
		form->relallvisible = 0;
		MigClassMaskFrozen(form);
		form->relhasindex = form->relhasrules = form->relhastriggers = false;
		form->relhassubclass = form->relispopulated = false;
		form->relrewrite = InvalidOid;
		form->relfrozenxid = InvalidTransactionId;
		form->relminmxid = InvalidTransactionId;
	}
	else if (catalog == IndexRelationId)
		((Form_pg_index) row)->indcheckxmin = false;
}

/*
 * Add the names of the roles, which policies have and which own the objects.
 */
static void
add_roles(Fingerprint *fingerprint)
{
	Relation	rel = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_authid role = (Form_pg_authid) GETSTRUCT(tuple);

		add_bytes(fingerprint, NameStr(role->rolname), strlen(NameStr(role->rolname)),
				  role->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Add some bytes, of the same origin as all that are added with the seed.
 */
static void
add_bytes(Fingerprint *fingerprint, const void *bytes, int len, uint64 seed)
{
	uint64		hash = hash_bytes_extended(bytes, len, seed);

	fingerprint->sums[0] += hash;
	fingerprint->sums[1] += hash_combine64(hash, seed);
}

/*
 * Add a string, which may be NULL.
 */
static void
add_string(Fingerprint *fingerprint, const char *string, uint64 seed)
{
	if (string != NULL)
		add_bytes(fingerprint, string, strlen(string), seed);
}
