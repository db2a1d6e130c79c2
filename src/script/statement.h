/*
 * statement.h
 *		What a statement of a script is and needs, told by its parse tree.
 */
#ifndef MIG_STATEMENT_H
#define MIG_STATEMENT_H

#include "migrate.h"

#include "nodes/parsenodes.h"

extern const char *mig_statement_needs_top_level(const RawStmt *raw);
extern const char *mig_statement_cannot_run(const RawStmt *raw);
extern const char *mig_statement_clears_session(const RawStmt *raw);
extern const char *mig_statement_needs_block(const RawStmt *raw, bool *fails);
extern bool mig_statement_is_begin(const RawStmt *raw);
extern bool mig_statement_is_commit(const RawStmt *raw);
extern bool mig_statement_may_commit(const RawStmt *raw);
extern bool mig_statement_turns_strings_off(const RawStmt *raw);
extern const char *mig_statement_creates_enum(const RawStmt *raw);
extern const char *mig_statement_adds_enum_value(const RawStmt *raw);
extern bool mig_statement_writes_large_object(const RawStmt *raw);
extern const char *mig_statement_unknown_setting(const RawStmt *raw);
extern const char *mig_statement_rows_fault(const RawStmt *raw);

#endif							/* MIG_STATEMENT_H */
