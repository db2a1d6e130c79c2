/*
 * checksum.c
 *		Checksums of scripts.
 */
#include "migrate.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "script/checksum.h"
#include "script/text.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(migrate_script_checksum);

/*
 * Implement migrate.script_checksum(script, transactional), the checksum of an
 * upgrade script.  A generated column calls it: it must give the same answer for ever, in every
 * database encoding.
 */
Datum
migrate_script_checksum(PG_FUNCTION_ARGS)
{
	char	   *script;
	StringInfoData buf;
	char	   *utf8;

	/* its owner may have made it CALLED ON NULL INPUT */
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	script = text_to_cstring(PG_GETARG_TEXT_PP(0));
	utf8 = mig_checksum_utf8(script);
	initStringInfo(&buf);
	if (!PG_GETARG_BOOL(1))
		appendStringInfoString(&buf, "transaction:false\n");
	appendStringInfoString(&buf, mig_text_comparable(utf8));
	PG_RETURN_TEXT_P(cstring_to_text(mig_checksum_hex(&buf)));
}

/*
 * Return a text in UTF-8, or text itself if it is the same.  ASCII needs no
 * conversion, and there is none from MULE_INTERNAL.  Errors: 22021, 22P05, 42883.
 */
char *
mig_checksum_utf8(char *text)
{
	const char *p = text;

	while (*p && !IS_HIGHBIT_SET(*p))
		p++;
	return *p ? pg_server_to_any(text, strlen(text), PG_UTF8) : text;
}

/*
 * Return the SHA-256 of a text in hexadecimal, in the current memory context.
 */
char *
mig_checksum_hex(const StringInfoData *source)
{
	Datum		hash = DirectFunctionCall1(sha256_bytea,
										   PointerGetDatum(cstring_to_text_with_len(source->data,
																					source->len)));

	hash = DirectFunctionCall2(binary_encode, hash, PointerGetDatum(cstring_to_text("hex")));
	return TextDatumGetCString(hash);
}
