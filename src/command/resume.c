/*
 * resume.c
 *		Deciding about a statement that is in doubt: resume.
 */
#include "migrate.h"

#include "revision/target.h"
#include "sql.h"
#include "store/partial.h"
#include "store/position.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(migrate_resume);

/*
 * Implement migrate.resume(revision, decision): say what became of the statement
 * in doubt.  Errors: 22023, MG001, MG002, 55000 when none is, MG007.
 */
Datum
migrate_resume(PG_FUNCTION_ARGS)
{
	char	   *target = mig_sql_text_arg(fcinfo, 0, "revision");
	char	   *decision = mig_sql_text_arg(fcinfo, 1, "decision");
	bool		done = strcmp(decision, "done") == 0;
	Position	position;
	Partial		partial;
	const char *revision;
	int			node;

	if (!done && strcmp(decision, "again") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid decision: \"%s\"", decision),
				 errhint("\"done\": the statement has done its work; \"again\": run it again.")));
	mig_position_begin_write("migrate.resume()");
	position = mig_position_read(false);
	node = mig_target_one(position.graph, position.rows, target);
	revision = node < 0 ? target : position.graph->nodes[node].revision;
	partial = mig_partial_of(revision, MIG_UPGRADE);
	if (!partial.in_doubt || partial.intent.digest == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no statement of revision \"%s\" is in doubt", revision),
				 partial.is_stored ? errdetail("%s", mig_partial_describe(&partial)) : 0));
	mig_partial_resolve(&partial, done);
	PG_RETURN_TEXT_P(cstring_to_text(partial.revision));
}
