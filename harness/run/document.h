#ifndef STRIDE_RUN_DOCUMENT_H
#define STRIDE_RUN_DOCUMENT_H

#include "core/arena.h"

#include <cyaml/cyaml.h>
#include <yaml.h>

#include <stddef.h>

/**
 * A YAML file as a tree that remembers where each node was written, so that what is wrong with it
 * can be told with file, line and the nearest valid key. libcyaml loads the typed values; its own
 * messages name neither.
 */
struct document {
	yaml_document_t yaml;
	const char *path;
	struct arena *arena;
	const char *const *sets; /* "KEY=VALUE" of the command line */
	int *set_nodes;          /* [n_sets + 1] number of nodes before each set was applied */
	size_t n_sets;
};

/** Read path and apply the sets: a top-level key of the schema is replaced (lists are written with
 *  commas), any other NAME.OPTION=VALUE is appended to the list `set`. ERR_IO, ERR_PARSE, ERR_NAME.
 *  On success document_close is due. */
int document_open(struct document *d, const char *path, const cyaml_schema_value_t *schema,
	const char *const *sets, size_t n_sets, struct arena *a);
void document_close(struct document *d);

/** Does the document fit the schema? The first misfit is the error: ERR_NAME for an unknown key,
 *  ERR_PARSE for a wrong kind of value or a missing key. */
int document_check(const struct document *d, const cyaml_schema_value_t *schema);

/** "FILE:LINE", or "--set KEY=VALUE" for what came from the command line; in the arena. */
const char *document_where(const struct document *d, int node);

/** Nodes are numbers, 0 is none. */
int document_root(const struct document *d);
int document_find(const struct document *d, int mapping, const char *key);
size_t document_length(const struct document *d, int sequence); /* 0 for none */
int document_item(const struct document *d, int sequence, size_t i);
const char *document_scalar(const struct document *d, int node); /* NULL: not a scalar */

/** Key and value nodes of entry i of a mapping; 0 past the end. */
int document_pair(const struct document *d, int mapping, size_t i, int *value);

/** The whole as YAML text in the arena. Closes the document. */
int document_print(struct document *d, const char **text);

#endif
