/*
 * checksum.c
 *		The checksum of an upgrade script.
 */
#include "migrate.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "script/text.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(migrate_script_checksum);

/*
 * SELECT migrate.script_checksum(script, transactional)
 *
 * A generated column calls it: it must give the same answer for ever, in every
 * database encoding.
 */
Datum
migrate_script_checksum(PG_FUNCTION_ARGS)
{
	char	   *script = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool		transactional = PG_GETARG_BOOL(1);
	StringInfoData buf;
	Datum		digest;
	char	   *utf8;

	utf8 = pg_server_to_any(script, strlen(script), PG_UTF8);
	initStringInfo(&buf);
	if (!transactional)
		appendStringInfoString(&buf, "transaction:false\n");
	appendStringInfoString(&buf, mig_text_comparable(utf8));
	digest = DirectFunctionCall1(sha256_bytea,
								 PointerGetDatum(cstring_to_text_with_len(buf.data, buf.len)));
	return DirectFunctionCall2(binary_encode, digest,
							   PointerGetDatum(cstring_to_text("hex")));
}
