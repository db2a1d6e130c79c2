/*
 * migrate.h
 *		Names that every module of migrate shares: version, error codes,
 *		settings.
 *
 * This header includes nothing but the server's own.  Structures that travel
 * between modules stand in the header of the module that makes them.
 *
 * Copyright (c) 2026, the migrate authors; PostgreSQL licence, see LICENSE
 */
#ifndef MIGRATE_H
#define MIGRATE_H

#include "postgres.h"

/* Must be the default_version of migrate.control: mig_scope_enter compares. */
#define MIG_VERSION "1.0"

/* Schema of all our objects; the installation script makes it. */
#define MIG_SCHEMA "migrate"

/* Longest revision identifier and branch label, in bytes. */
#define MIG_MAX_IDENTIFIER 255

/*
 * Error codes of our own, section "Errors" of the documentation.  Everything
 * else that we report keeps PostgreSQL's own codes.
 */
#define ERRCODE_MIG_NO_SUCH_REVISION	MAKE_SQLSTATE('M', 'G', '0', '0', '1')
#define ERRCODE_MIG_AMBIGUOUS			MAKE_SQLSTATE('M', 'G', '0', '0', '2')
#define ERRCODE_MIG_MULTIPLE_HEADS		MAKE_SQLSTATE('M', 'G', '0', '0', '3')
#define ERRCODE_MIG_NOT_UP_TO_DATE		MAKE_SQLSTATE('M', 'G', '0', '0', '4')
#define ERRCODE_MIG_ILLEGAL_MOVE		MAKE_SQLSTATE('M', 'G', '0', '0', '5')
#define ERRCODE_MIG_NO_DOWNGRADE		MAKE_SQLSTATE('M', 'G', '0', '0', '6')
#define ERRCODE_MIG_CHANGED				MAKE_SQLSTATE('M', 'G', '0', '0', '7')
#define ERRCODE_MIG_NOT_TRANSACTIONAL	MAKE_SQLSTATE('M', 'G', '0', '0', '8')
#define ERRCODE_MIG_DIFFERS				MAKE_SQLSTATE('M', 'G', '0', '0', '9')
#define ERRCODE_MIG_BROKEN_GRAPH		MAKE_SQLSTATE('M', 'G', '0', '1', '0')
#define ERRCODE_MIG_BAD_SCRIPT			MAKE_SQLSTATE('M', 'G', '0', '1', '1')
#define ERRCODE_MIG_LOCK_NOT_HAD		MAKE_SQLSTATE('M', 'G', '0', '1', '2')
#define ERRCODE_MIG_IN_DOUBT			MAKE_SQLSTATE('M', 'G', '0', '1', '3')
#define ERRCODE_MIG_NOT_PROVED			MAKE_SQLSTATE('M', 'G', '0', '1', '4')
#define ERRCODE_MIG_LINT				MAKE_SQLSTATE('M', 'G', '0', '1', '5')

/* Which of its two scripts a revision runs. */
typedef enum MigDirection
{
	MIG_UPGRADE,
	MIG_DOWNGRADE
} MigDirection;

/* Return the word for a direction, a constant. */
static inline const char *
mig_direction_name(MigDirection direction)
{
	return direction == MIG_UPGRADE ? "upgrade" : "downgrade";
}

/* Values of the setting migrate.step_messages. */
typedef enum MigStepMessages
{
	MIG_STEP_MESSAGES_OFF,
	MIG_STEP_MESSAGES_LOG,
	MIG_STEP_MESSAGES_NOTICE
} MigStepMessages;

/* Settings, defined by _PG_init (init.c). */
extern int	mig_step_messages;
extern int	mig_run_lock_timeout;	/* milliseconds; 0: for ever */
extern int	mig_lock_timeout;		/* milliseconds; 0: lock_timeout alone counts */
extern int	mig_lock_retries;
extern int	mig_concurrent_lock_timeout;	/* milliseconds; 0: for ever */
extern int	mig_scratch_lock_timeout;	/* milliseconds; 0: for ever */
extern int	mig_rehearse_lock_timeout;	/* milliseconds; 0: lock_timeout alone counts */
extern int	mig_rehearse_timeout;	/* milliseconds; 0: for ever */
extern bool mig_lint_assume_rows;

#endif							/* MIGRATE_H */
