/*
 * test_data.h
 *		Rows that revisions are tested with (migrate.revision_data).
 */
#ifndef MIG_TEST_DATA_H
#define MIG_TEST_DATA_H

#include "migrate.h"

#include "nodes/pg_list.h"
#include "store/scope.h"

/* What is run for a revision when it is tested. */
typedef struct TestData
{
	const char *revision;
	const char *before;			/* SQL that is run before its upgrade; NULL: none */
	const char *after;			/* likewise, after it */
} TestData;

extern List *mig_test_data_read(const Scope *scope);
extern void mig_test_data_write(const Scope *scope, const char *revision, const char *when,
								const char *sql);
extern void mig_test_data_forget(const Scope *scope, const char *revision);

#endif							/* MIG_TEST_DATA_H */
