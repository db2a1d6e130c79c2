/*
 * published.c
 *		The live publications, in the scratch.
 *
 * They publish nothing there: what is written into twins is for no subscriber, and a
 * table that is published cannot be updated without a key.  But they keep their names.
 * A walsender that sends a large transaction before it ends looks its publications up
 * in the catalogs as the transaction sees them; before 18 it fails where one is missing,
 * and starts again and again until the scratch ends.
 *
 * Statements that name one do not find it: it gets another name before they run.  Where
 * a script asks the catalogs themselves, the rows are deleted after all.
 */
#include "migrate.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_publication.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "schema/hide.h"
#include "schema/published.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static List *live = NIL;		/* Oid: in the scratch's memory */

static void suspend(Relation catalog, HeapTuple tuple, bool hide);
static void make_room_for(const char *name);
static const char *named_object(ObjectType type, Node *object);

/*
 * Return whether a script may ask the catalogs for publications.
 */
bool
mig_published_is_asked(const char *sql)
{
	for (const char *at = sql; *at != '\0'; at++)
		if (pg_strncasecmp(at, "pg_publication", strlen("pg_publication")) == 0)
			return true;
	return false;
}

/*
 * Have the live publications publish nothing, or hide them.  The rows of what they
 * publish are gone already.  Until mig_published_end, which must be called before the
 * current memory context is freed.  Errors: XX000 when others change the same rows.
 */
void
mig_published_suspend(bool hide)
{
	Relation	catalog = table_open(PublicationRelationId, RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	live = NIL;
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		live = lappend_oid(live, ((Form_pg_publication) GETSTRUCT(tuple))->oid);
		suspend(catalog, tuple, hide);
	}
	systable_endscan(scan);
	table_close(catalog, NoLock);
	/* tables remember who publishes them */
	if (live != NIL)
		CacheInvalidateRelcacheAll();
	CommandCounterIncrement();
}

/*
 * Change or delete the row of a publication.
 */
static void
suspend(Relation catalog, HeapTuple tuple, bool hide)
{
	if (hide)
		CatalogTupleDelete(catalog, &tuple->t_self);
	else if (((Form_pg_publication) GETSTRUCT(tuple))->puballtables)
	{
		tuple = heap_copytuple(tuple);
		((Form_pg_publication) GETSTRUCT(tuple))->puballtables = false;
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
		heap_freetuple(tuple);
	}
}

/*
 * Take their names from the live publications that a statement is about.
 */
void
mig_published_make_room(Node *stmt)
{
	ListCell   *lc;

	if (live == NIL)
		return;
	switch (nodeTag(stmt))
	{
		case T_CreatePublicationStmt:
			make_room_for(((CreatePublicationStmt *) stmt)->pubname);
			break;
		case T_AlterPublicationStmt:
			make_room_for(((AlterPublicationStmt *) stmt)->pubname);
			break;
		case T_AlterOwnerStmt:
			make_room_for(named_object(((AlterOwnerStmt *) stmt)->objectType,
									   ((AlterOwnerStmt *) stmt)->object));
			break;
		case T_CommentStmt:
			make_room_for(named_object(((CommentStmt *) stmt)->objtype,
									   ((CommentStmt *) stmt)->object));
			break;
		case T_SecLabelStmt:
			make_room_for(named_object(((SecLabelStmt *) stmt)->objtype,
									   ((SecLabelStmt *) stmt)->object));
			break;
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType != OBJECT_PUBLICATION)
				break;
			make_room_for(named_object(OBJECT_PUBLICATION, ((RenameStmt *) stmt)->object));
			make_room_for(((RenameStmt *) stmt)->newname);
			break;
		case T_DropStmt:
			foreach(lc, ((DropStmt *) stmt)->objects)
				make_room_for(named_object(((DropStmt *) stmt)->removeType, lfirst(lc)));
			break;
		default:
			break;
	}
}

/*
 * Take its name from a live publication, if it has that.
 */
static void
make_room_for(const char *name)
{
	Oid			publication = name == NULL ? InvalidOid : get_publication_oid(name, true);
	ObjectAddress object;

	if (!OidIsValid(publication) || !list_member_oid(live, publication))
		return;
	ObjectAddressSet(object, PublicationRelationId, publication);
	mig_hide_object(&object);
}

/*
 * Return the name of the publication that a statement is about, NULL if it is about
 * another type of object.
 */
static const char *
named_object(ObjectType type, Node *object)
{
	return type == OBJECT_PUBLICATION ? strVal(object) : NULL;
}

/*
 * End what mig_published_suspend has begun.
 */
void
mig_published_end(void)
{
	live = NIL;
}
