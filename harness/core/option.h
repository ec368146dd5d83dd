#ifndef STRIDE_CORE_OPTION_H
#define STRIDE_CORE_OPTION_H

#include "core/arena.h"

#include <stddef.h>
#include <stdio.h>

/**
 * Options of plug-ins as a table with offsets: the config parser, the range check, `stride show`
 * and the docs read it, none is written twice. The table ends with an entry whose key is NULL.
 *
 *     static const struct option options[] = {
 *             { "sigma0", OPTION_REAL, offsetof(struct osds, sigma0), "1", 1e-6, 1e6, "",
 *                     "standard deviation of the prior" },
 *             { 0 } };
 *
 * Types of the field at offset: OPTION_REAL double, OPTION_INT long, OPTION_BOOL bool,
 * OPTION_CHOICE int (index into choices), OPTION_TEXT const char * (in the arena), the name of a file,
 * empty only where the default is, OPTION_STRING likewise, any text. What is in a file that an option names
 * enters the keys of cells (plan.h). An option "label" of a method is its name in tables.
 */
enum option_type {
	OPTION_REAL,
	OPTION_INT,
	OPTION_BOOL,
	OPTION_CHOICE,
	OPTION_TEXT,
	OPTION_STRING
};

struct option {
	const char *key;
	enum option_type type;
	size_t offset;
	const char *value;          /* the default, as a user would write it */
	double min, max;            /* inclusive; for numbers */
	const char *unit;           /* "" when it has none */
	const char *help;           /* one line */
	const char *const *choices; /* OPTION_CHOICE: names, NULL at the end */
};

/** Write every default of the table into state. Aborts on a table whose defaults do not parse. */
void option_defaults(const struct option *table, void *state, struct arena *a);

/** Set one option from text. owner names the plug-in in messages ("method osds").
 *  ERR_NAME: unknown key (the message names the nearest); ERR_RANGE, ERR_PARSE: bad value. */
int option_set(const struct option *table, void *state, const char *owner, const char *key,
	const char *value, struct arena *a);

/** The current value as text, round-tripping (17 digits for numbers); in the arena. */
const char *option_text(const struct option *o, const void *state, struct arena *a);

/** Print key, value, help, unit, range, and the default where it is another: a table for `stride show`.
 *  state NULL: the defaults. */
void option_print(const struct option *table, const void *state, FILE *out);

/** The candidate nearest to name by edit distance, or NULL when none is near. candidates ends with
 *  NULL. */
const char *option_nearest(const char *name, const char *const *candidates);

/** ERR_NAME: `WHAT "NAME"; did you mean "CANDIDATE"?`, or where none is near `WHAT "NAME"; see SEE`. */
int option_unknown(const char *what, const char *name, const char *const *candidates,
	const char *see);

#endif
