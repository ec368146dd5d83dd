#ifndef STRIDE_CLI_ARGS_H
#define STRIDE_CLI_ARGS_H

#include "core/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Command-line arguments as a table: the parser and --help read it. */
enum flag_type {
	FLAG_BOOL,  /* bool: present or not */
	FLAG_TEXT,  /* const char * */
	FLAG_TEXTS, /* struct texts: may stand several times */
	FLAG_SIZE,  /* size_t, at least 1 */
	FLAG_SEED,  /* uint64_t, below 2^63 as in a configuration and in JSON */
};

struct texts {
	size_t n;
	const char **items;
};

struct flag {
	const char *name; /* without the dashes; NULL ends the table */
	char letter;      /* short form, or 0 */
	enum flag_type type;
	void *value;
	const char *argument; /* for --help: "DIR"; NULL for FLAG_BOOL */
	const char *help;
};

struct command {
	const char *name;
	const char *arguments; /* "CONFIG", "TARGET [FILE]" */
	const char *summary;   /* one line */
	size_t min_words, max_words;
};

/** Set the flags' values and collect the other words, in the arena. ERR_NAME: unknown flag (the
 * nearest is named); ERR_PARSE: missing or bad value, wrong number of words. *help: --help was
 * given; nothing else is checked then. */
int args_parse(const struct command *c, const struct flag *flags, int argc, char **argv,
	struct texts *words, bool *help, struct arena *a);

/** What --help shows. */
void args_help(const struct command *c, const struct flag *flags, FILE *out);

#endif
