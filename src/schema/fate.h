/*
 * fate.h
 *		What becomes of each object, given the differences between two schemas.
 */
#ifndef MIG_FATE_H
#define MIG_FATE_H

#include "migrate.h"

#include "kind/objects.h"

/* What becomes of an object of the schema before. */
typedef enum Fate
{
	FATE_KEEP,
	FATE_ALTER,
	FATE_REPLACE,
	FATE_DROP
} Fate;

/* An object that uses another. */
typedef struct ObjectUser
{
	SchemaObject *object;
	ObjectPhase phase;			/* of the user */
} ObjectUser;

/* What would have to be dropped and created again, with the loss of its rows. */
typedef struct Refusal
{
	const Difference *cause;
	const SchemaObject *object;
} Refusal;

/* The fates of all objects of a schema; arrays are by their numbers. */
typedef struct Fates
{
	const Schema *from;
	const Schema *to;
	Fate	   *of;
	bool	   *redefault;		/* of each: its default is taken away meanwhile */
	bool	   *retype;			/* of each: a column whose type is made again */
	bool	   *copied;			/* of each: a column that its table has from a new one of
								 * its parent afterwards */
	bool	   *aside;			/* of each: a type that has another name meanwhile, until
								 * the columns of it have the new one */
	const Difference **alters;	/* of each, where it is altered */
	const Difference **causes;	/* of each, why it does not stay as it is */
	List	  **users;			/* ObjectUser * of each */
	List	   *rebuilt;		/* SchemaObject *: enums to be made again */
	List	   *refusals;		/* Refusal * */
	List	   *pending;		/* SchemaObject *, of from, whose users are not looked at */
} Fates;

extern Fates mig_fate_decide(const Schema *from, const Schema *to, List *differences,
							 List *rebuilt);
extern bool mig_fate_is_gone(const Fates *fates, const SchemaObject *object);
extern bool mig_fate_is_aside(const Fates *fates, const SchemaObject *object);
extern bool mig_fate_is_left_to_heirs(const Fates *fates, const SchemaObject *column);
extern SchemaObject **mig_fate_roots(const Fates *fates);
extern const SchemaObject *mig_fate_inherited(const Fates *fates,
											  const SchemaObject *object,
											  const Schema *schema);

#endif							/* MIG_FATE_H */
