/*
 * compared.c
 *		The last comparison that found nothing (migrate.compared).
 *
 * The table has one row, which the installation script makes.  It only saves time,
 * so nobody waits for it: who finds it locked does not write.
 */
#include "migrate.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "store/compared.h"
#include "store/query.h"
#include "utils/builtins.h"

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
	List	   *rows = mig_query_texts(scope, &query, NULL);

	return rows != NIL ? linitial(rows) : NULL;
}

/*
 * Remember a fingerprint, unless that could wait or fail: in a transaction that may
 * not write or has an old snapshot, or where another session is writing.
 */
void
mig_compared_write(const Scope *scope, const char *fingerprint)
{
	static StoreQuery lock = {
		"SELECT FROM migrate.compared FOR UPDATE SKIP LOCKED", 0, {0}, NULL
	};
	static StoreQuery update = {
		"UPDATE migrate.compared SET fingerprint = $1, compared_at = pg_catalog.now()",
		1, {TEXTOID}, NULL
	};
	Datum		values[1] = {CStringGetTextDatum(fingerprint)};

	if (XactReadOnly || IsolationUsesXactSnapshot())
		return;
	if (mig_query_write(scope, &lock, NULL, NULL) > 0)
		(void) mig_query_write(scope, &update, values, NULL);
}
