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

/* A statement to run. */
typedef struct Action
{
	const SchemaObject *object;
	ObjectPhase phase;
	const char *sql;			/* without a semicolon at its end */
	const SchemaObject *before_attach;	/* a table that is attached to its parent
										 * after this; NULL: none */
} Action;

/* The actions written so far. */
typedef struct Writer
{
	List	   *actions;		/* Action * */
} Writer;

extern Action *mig_writer_add(Writer *writer, const SchemaObject *object,
							  ObjectPhase phase, const char *format,...) mig_attribute_printf(4, 5);
extern void mig_writer_object(Writer *writer, const SchemaObject *object);
extern const char *mig_writer_target(const SchemaObject *object);
extern void mig_writer_option(StringInfo list, const SchemaObject *object,
							  const char *property, const char *option);

#endif							/* MIG_WRITER_H */
