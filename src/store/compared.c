/*
 * compared.c
 *		The last comparison that found nothing (migrate.compared).
 *
 * The table has one row at most, and is not logged: replicas have their own
 * catalogs.  It only saves time, so nobody waits for it: who writes has an advisory
 * lock to the end of the transaction, and who does not get that does not write.
 */
#include "migrate.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "store/compared.h"
#include "store/lock.h"
#include "store/query.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/*
 * Return the fingerprint of the last comparison that found nothing, in the scope's
 * context; NULL when there was none.
 */
char *
mig_compared_read(const Scope *scope)
{
	static StoreQuery query = {
		"SELECT fingerprint FROM migrate.compared WHERE fingerprint IS NOT NULL", 0, {0}, NULL
	};
	List	   *rows;

	/* a standby has no unlogged tables */
	if (RecoveryInProgress())
		return NULL;
	rows = mig_query_texts(scope, &query, NULL);
	return rows != NIL ? linitial(rows) : NULL;
}

/*
 * Remember a fingerprint, unless that could wait or fail: in a transaction that may
 * not write or has an old snapshot, or where another session is writing.
 */
void
mig_compared_write(const Scope *scope, const char *fingerprint)
{
	static StoreQuery insert = {
		"INSERT INTO migrate.compared (fingerprint, compared_at) VALUES ($1, pg_catalog.now())",
		1, {TEXTOID}, NULL
	};
	static StoreQuery update = {
		"UPDATE migrate.compared SET fingerprint = $1, compared_at = pg_catalog.now()",
		1, {TEXTOID}, NULL
	};
	Datum		values[1] = {CStringGetTextDatum(fingerprint)};

	if (XactReadOnly || IsolationUsesXactSnapshot())
		return;
	if (!DatumGetBool(DirectFunctionCall2(pg_try_advisory_xact_lock_int4,
										  Int32GetDatum(MIG_LOCK_CLASS),
										  Int32GetDatum(MIG_LOCK_COMPARED))))
		return;
	if (mig_query_write(scope, &update, values, NULL) == 0)
		(void) mig_query_write(scope, &insert, values, NULL);
}
