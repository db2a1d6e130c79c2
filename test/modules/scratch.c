/*
 * scratch.c
 *		For tests: a scratch, of which SQL says what is in it.
 *
 * scratch_run(models text[], query text, schemas text[]) declares the models, runs the
 * query inside and returns its first value; notes(...) what the models have named.
 */
#include "migrate.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "schema/declare.h"
#include "schema/scratch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(scratch_run);

/* Those of init.c, which is not linked here. */
int			mig_step_messages = MIG_STEP_MESSAGES_OFF;
int			mig_run_lock_timeout = 0;
int			mig_lock_timeout = 0;
int			mig_lock_retries = 0;
int			mig_concurrent_lock_timeout = 0;
int			mig_scratch_lock_timeout = 5000;
int			mig_rehearse_lock_timeout = 0;
int			mig_rehearse_timeout = 0;
bool		mig_lint_assume_rows = false;

extern PGDLLEXPORT void _PG_init(void);

typedef struct Request
{
	List	   *models;			/* char * */
	const char *query;			/* or NULL */
	char	   *result;
	DeclareNotes notes;
} Request;

void
_PG_init(void)
{
	if (GetConfigOption("migrate.scratch_lock_timeout", true, false) == NULL)
		DefineCustomIntVariable("migrate.scratch_lock_timeout", "For tests.", NULL,
								&mig_scratch_lock_timeout, 5000, 0, INT_MAX,
								PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
}

static List *
strings(ArrayType *array)
{
	Datum	   *values;
	int			n;
	List	   *list = NIL;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, &n);
	for (int i = 0; i < n; i++)
		list = lappend(list, TextDatumGetCString(values[i]));
	return list;
}

static void
body(Scratch *scratch, void *argument)
{
	Request    *request = argument;
	MemoryContext context = CurrentMemoryContext;
	int			number = 0;
	ListCell   *lc;

	if (list_length(scratch->live) != list_length(scratch->twins))
		elog(ERROR, "lists differ");
	foreach(lc, request->models)
		mig_declare_model(psprintf("m%d", ++number), lfirst(lc), &request->notes);
	if (request->query == NULL)
		return;
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute(request->query, false, 0) < 0)
		elog(ERROR, "the query failed");
	if (SPI_processed > 0)
	{
		char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		request->result = value ? MemoryContextStrdup(context, value) : NULL;
	}
	PopActiveSnapshot();
	SPI_finish();
}

static char *
join(List *names)
{
	StringInfoData out;
	ListCell   *lc;

	initStringInfo(&out);
	foreach(lc, names)
		appendStringInfo(&out, "%s%s", out.len ? "," : "", (char *) lfirst(lc));
	return out.data;
}

/*
 * With the query 'notes', the notes.
 */
Datum
scratch_run(PG_FUNCTION_ARGS)
{
	ScratchOptions options = {.function = "scratch_run()"};
	Request		request = {0};
	bool		notes;

	options.schemas = strings(PG_GETARG_ARRAYTYPE_P(2));
	options.hide = PG_GETARG_BOOL(3);
	options.keep_default_privileges = PG_GETARG_BOOL(4);
	request.models = strings(PG_GETARG_ARRAYTYPE_P(0));
	request.query = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	notes = request.query && strcmp(request.query, "notes") == 0;
	if (notes)
		request.query = NULL;
	mig_scratch_run(&options, body, &request);
	if (notes)
		request.result = psprintf("extensions %s; schemas %s; owners %s",
								  join(request.notes.extensions), join(request.notes.schemas),
								  join(request.notes.owners));
	if (request.result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(request.result));
}
