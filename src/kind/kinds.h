/*
 * kinds.h
 *		The kinds of objects that are read, compared and written.
 */
#ifndef MIG_KINDS_H
#define MIG_KINDS_H

#include "migrate.h"

#include "kind/objects.h"

/* All of them, in the order in which they are read: owners first. */
extern const Kind *const mig_kinds_all[];
extern const int mig_kinds_count;

extern const Kind mig_kinds_schema,
			mig_kinds_extension,
			mig_kinds_publication,
			mig_kinds_collation,
			mig_kinds_enum,
			mig_kinds_domain,
			mig_kinds_domain_constraint,
			mig_kinds_composite_type,
			mig_kinds_range,
			mig_kinds_base_type,
			mig_kinds_shell_type,
			mig_kinds_sequence,
			mig_kinds_table,
			mig_kinds_foreign_table,
			mig_kinds_view,
			mig_kinds_materialized_view,
			mig_kinds_column,
			mig_kinds_function,
			mig_kinds_procedure,
			mig_kinds_aggregate,
			mig_kinds_constraint,
			mig_kinds_index,
			mig_kinds_trigger,
			mig_kinds_rule,
			mig_kinds_policy,
			mig_kinds_statistics,
			mig_kinds_event_trigger,
			mig_kinds_language,
			mig_kinds_access_method,
			mig_kinds_wrapper,
			mig_kinds_server,
			mig_kinds_user_mapping,
			mig_kinds_conversion,
			mig_kinds_operator,
			mig_kinds_operator_family,
			mig_kinds_operator_class,
			mig_kinds_cast,
			mig_kinds_transform,
			mig_kinds_search_parser,
			mig_kinds_search_template,
			mig_kinds_search_dictionary,
			mig_kinds_search_configuration,
			mig_kinds_subscription,
			mig_kinds_default_privileges;

#endif							/* MIG_KINDS_H */
