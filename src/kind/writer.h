/*
 * writer.h
 *		Actions: the small statements that objects are made with.
 */
#ifndef MIG_WRITER_H
#define MIG_WRITER_H

#include "migrate.h"

#include "compat.h"
#include "kind/objects.h"
#include "lib/stringinfo.h"

/* What a statement does to its object. */
typedef enum ActionType
{
	ACTION_CREATE,
	ACTION_ALTER,
	ACTION_DROP
} ActionType;

/* A statement to run. */
typedef struct Action
{
	ActionType	type;
	const Difference *cause;	/* that it is needed for; NULL: unknown */
	const SchemaObject *object; /* as it will be; ACTION_DROP: as it was */
	ObjectPhase phase;
	const char *sql;			/* without a semicolon at its end */
	const SchemaObject *before_attach;	/* a table that is attached to its parent
										 * after this; NULL: none */
	const SchemaObject *after;	/* that is created before this; NULL: none */
	bool		aside;			/* drops what has another name by then */
	const char *hazard;			/* what is dangerous in it; NULL: nothing */
} Action;

/* How options are written. */
typedef enum OptionForm
{
	OPTION_VALUE,				/* name = value */
	OPTION_LITERAL,				/* name = 'value' */
	OPTION_FLAG					/* name */
} OptionForm;

/* An option of a statement, written where its property is set. */
typedef struct WriterOption
{
	const char *name;
	const char *property;
} WriterOption;

/* The actions written so far. */
typedef struct Writer
{
	List	   *actions;		/* Action * */
	ActionType	type;			/* of the next ones */
	const Difference *cause;	/* likewise */
	bool		with_rows;		/* they are run where there are rows */
	List	   *aside;			/* SchemaObject *: sequences that go, and have another
								 * name by then */
	List	   *defaults;		/* SchemaObject *: default privileges that may be in
								 * force where they are run */
} Writer;

extern Action *mig_writer_add(Writer *writer, const SchemaObject *object,
							  ObjectPhase phase, const char *format,...) mig_attribute_printf(4, 5);
extern Action *mig_writer_object(Writer *writer, const SchemaObject *object);
extern void mig_writer_part(Writer *writer, const SchemaObject *object);
extern void mig_writer_comment(Writer *writer, const SchemaObject *object);
extern Action *mig_writer_drop(Writer *writer, const SchemaObject *object);
extern bool mig_writer_has(const Difference *difference, const char *property);
extern void mig_writer_change_options(const Difference *difference, const char *property,
									  const char *alter, Writer *writer);
extern void mig_writer_change_foreign(const Difference *difference, const char *property,
									  const char *alter, Writer *writer);
extern const char *mig_writer_target(const SchemaObject *object);
extern const char *mig_writer_definition(const SchemaObject *object);
extern void mig_writer_clause(StringInfo sql, const SchemaObject *object,
							  const char *before, const char *property,
							  const char *after);
extern void mig_writer_options(StringInfo sql, const SchemaObject *object,
							   const char *separator, OptionForm form,
							   const WriterOption *options, int count);

#endif							/* MIG_WRITER_H */
