#include "run/document.h"
#include "core/error.h"
#include "core/option.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 32 };

static yaml_node_t *node_of(const struct document *d, int node)
{
	/* libyaml's getter takes no const document. */
	return yaml_document_get_node((yaml_document_t *)&d->yaml, node);
}

static int nodes_now(const struct document *d)
{
	return (int)(d->yaml.nodes.top - d->yaml.nodes.start);
}

const char *document_where(const struct document *d, int node)
{
	for (size_t s = d->n_sets; s-- > 0;)
		if (d->set_nodes != NULL && node > d->set_nodes[s])
			return arena_printf(d->arena, "--set %s", d->sets[s]);
	return arena_printf(d->arena, "%s:%zu", d->path, node_of(d, node)->start_mark.line + 1);
}

int document_root(const struct document *d)
{
	return d->yaml.nodes.top > d->yaml.nodes.start ? 1 : 0;
}

const char *document_scalar(const struct document *d, int node)
{
	const yaml_node_t *n = node_of(d, node);

	return n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

int document_pair(const struct document *d, int mapping, size_t i, int *value)
{
	const yaml_node_t *n = node_of(d, mapping);

	if (n->type != YAML_MAPPING_NODE ||
		i >= (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start))
		return 0;
	*value = n->data.mapping.pairs.start[i].value;
	return n->data.mapping.pairs.start[i].key;
}

int document_find(const struct document *d, int mapping, const char *key)
{
	int value, k;

	for (size_t i = 0; (k = document_pair(d, mapping, i, &value)) != 0; i++) {
		const char *text = document_scalar(d, k);
		if (text != NULL && strcmp(text, key) == 0)
			return value;
	}
	return 0;
}

size_t document_length(const struct document *d, int sequence)
{
	if (sequence == 0 || node_of(d, sequence)->type != YAML_SEQUENCE_NODE)
		return 0;
	const yaml_node_t *n = node_of(d, sequence);
	return (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
}

int document_item(const struct document *d, int sequence, size_t i)
{
	return node_of(d, sequence)->data.sequence.items.start[i];
}

/* --- checking --------------------------------------------------------------------------------- */

static const cyaml_schema_field_t *field_of(const cyaml_schema_value_t *mapping, const char *key)
{
	for (const cyaml_schema_field_t *f = mapping->mapping.fields; f->key != NULL; f++)
		if (strcmp(f->key, key) == 0)
			return f;
	return NULL;
}

static int unknown_key(const char *where, const cyaml_schema_value_t *mapping, const char *key)
{
	const char *keys[KEYS_MAX + 1];
	size_t n = 0;

	for (const cyaml_schema_field_t *f = mapping->mapping.fields; f->key != NULL; f++) {
		invariant(n < KEYS_MAX);
		keys[n++] = f->key;
	}
	keys[n] = NULL;
	const char *nearest = option_nearest(key, keys);
	if (nearest != NULL)
		return fail(ERR_NAME, "%s: unknown key \"%.80s\"; did you mean \"%s\"?", where, key,
			nearest);
	char list[512] = "";
	for (size_t i = 0; i < n; i++) {
		size_t used = strlen(list);
		snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", keys[i]);
	}
	return fail(ERR_NAME, "%s: unknown key \"%.80s\"; the keys here are %s", where, key, list);
}

static bool is_digits(const char *s)
{
	/* libcyaml would read a leading zero as octal. */
	return *s != '\0' && (*s != '0' || s[1] == '\0') && s[strspn(s, "0123456789")] == '\0';
}

static int check_scalar(const struct document *d, int node, const cyaml_schema_value_t *schema,
	const char *key)
{
	const char *text = document_scalar(d, node), *want = NULL;
	char *end;

	if (text == NULL)
		return fail(ERR_PARSE, "%s: \"%s\" is a list or a mapping; it takes one value",
			document_where(d, node), key);
	errno = 0;
	switch (schema->type) {
	case CYAML_UINT:
		if (!is_digits(text) || (strtoull(text, NULL, 10), errno == ERANGE))
			want = "a whole number, not negative";
		break;
	case CYAML_FLOAT:
		if ((strtod(text, &end), *text == '\0' || *end != '\0'))
			want = "a number";
		break;
	case CYAML_BOOL:
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			want = "true or false";
		break;
	case CYAML_STRING:
		if (*text == '\0')
			want = "a name";
		break;
	default:
		error_abort(__FILE__, __LINE__, "a schema type without a check");
	}
	if (want != NULL)
		return fail(ERR_PARSE, "%s: \"%s\" is \"%.80s\"; it takes %s",
			document_where(d, node), key, text, want);
	return OK;
}

static int check_node(const struct document *d, int node, const cyaml_schema_value_t *schema,
	const char *key);

static int check_mapping(const struct document *d, int node, const cyaml_schema_value_t *schema,
	const char *key)
{
	int k, value;

	if (node_of(d, node)->type != YAML_MAPPING_NODE)
		return fail(ERR_PARSE, "%s: %s should be a mapping, \"key: value\"",
			document_where(d, node), key);
	for (size_t i = 0; (k = document_pair(d, node, i, &value)) != 0; i++) {
		const char *name = document_scalar(d, k);
		const cyaml_schema_field_t *f = name != NULL ? field_of(schema, name) : NULL;
		if (f == NULL)
			return unknown_key(document_where(d, k), schema,
				name != NULL ? name : "(not a name)");
		if (document_find(d, node, name) != value)
			return fail(ERR_PARSE, "%s: key \"%s\" stands here twice; once is right",
				document_where(d, k), name);
		TRY(check_node(d, value, &f->value, name));
	}
	for (const cyaml_schema_field_t *f = schema->mapping.fields; f->key != NULL; f++)
		if ((f->value.flags & CYAML_FLAG_OPTIONAL) == 0 &&
			document_find(d, node, f->key) == 0)
			return fail(ERR_PARSE, "%s: %s has no \"%s\"; it is required",
				document_where(d, node), key, f->key);
	return OK;
}

static int check_sequence(const struct document *d, int node, const cyaml_schema_value_t *schema,
	const char *key)
{
	size_t n = document_length(d, node);

	if (node_of(d, node)->type != YAML_SEQUENCE_NODE)
		return fail(ERR_PARSE, "%s: \"%s\" should be a list, [a, b] or lines of \"- a\"",
			document_where(d, node), key);
	if (n < schema->sequence.min)
		return fail(ERR_PARSE, "%s: the list \"%s\" is empty; it takes at least %u",
			document_where(d, node), key, schema->sequence.min);
	for (size_t i = 0; i < n; i++)
		TRY(check_node(d, document_item(d, node, i), schema->sequence.entry, key));
	return OK;
}

/* Free keys with one value each: options. */
static int check_free(const struct document *d, int node, const char *key)
{
	int k, value;

	if (node_of(d, node)->type != YAML_MAPPING_NODE)
		return fail(ERR_PARSE, "%s: \"%s\" should be a mapping, \"option: value\"",
			document_where(d, node), key);
	for (size_t i = 0; (k = document_pair(d, node, i, &value)) != 0; i++)
		if (document_scalar(d, k) == NULL || document_scalar(d, value) == NULL)
			return fail(ERR_PARSE, "%s: an option takes one value, \"option: value\"",
				document_where(d, k));
	return OK;
}

static int check_node(const struct document *d, int node, const cyaml_schema_value_t *schema,
	const char *key)
{
	switch (schema->type) {
	case CYAML_MAPPING:
		return check_mapping(d, node, schema, key);
	case CYAML_SEQUENCE:
		return check_sequence(d, node, schema, key);
	case CYAML_IGNORE:
		return check_free(d, node, key);
	default:
		return check_scalar(d, node, schema, key);
	}
}

int document_check(const struct document *d, const cyaml_schema_value_t *schema)
{
	return check_node(d, document_root(d), schema, "the configuration");
}

/* --- opening ---------------------------------------------------------------------------------- */

static int add_scalar(struct document *d, const char *text, size_t n)
{
	int node = yaml_document_add_scalar(&d->yaml, NULL, (const yaml_char_t *)text, (int)n,
		YAML_ANY_SCALAR_STYLE);

	invariant(node != 0);
	return node;
}

/* A list written with commas. */
static int add_list(struct document *d, const char *text)
{
	int list = yaml_document_add_sequence(&d->yaml, NULL, YAML_FLOW_SEQUENCE_STYLE);

	invariant(list != 0);
	while (*text != '\0') {
		size_t n = strcspn(text, ",");
		invariant(
			yaml_document_append_sequence_item(&d->yaml, list, add_scalar(d, text, n)));
		text += n + (text[n] == ',');
	}
	return list;
}

/* Give the root's key this value, replacing the one that it has. */
static void put(struct document *d, const char *key, int value)
{
	yaml_node_t *root = node_of(d, document_root(d));
	yaml_node_pair_t *pair = root->data.mapping.pairs.start;

	for (; pair < root->data.mapping.pairs.top; pair++) {
		const char *name = document_scalar(d, pair->key);
		if (name != NULL && strcmp(name, key) == 0) {
			pair->value = value;
			return;
		}
	}
	invariant(yaml_document_append_mapping_pair(&d->yaml, document_root(d),
		add_scalar(d, key, strlen(key)), value));
}

/* NAME.OPTION=VALUE: one more line of the list "set". */
static int append_set(struct document *d, const char *set)
{
	int list = document_find(d, document_root(d), "set");

	if (list == 0) {
		list = yaml_document_add_sequence(&d->yaml, NULL, YAML_BLOCK_SEQUENCE_STYLE);
		put(d, "set", list);
	}
	if (node_of(d, list)->type != YAML_SEQUENCE_NODE)
		return fail(ERR_PARSE, "%s: \"set\" should be a list", document_where(d, list));
	invariant(yaml_document_append_sequence_item(&d->yaml, list,
		add_scalar(d, set, strlen(set))));
	return OK;
}

static int apply_set(struct document *d, const char *set, const cyaml_schema_value_t *schema)
{
	const char *equals = strchr(set, '=');
	char key[128];

	if (equals == NULL || equals == set || (size_t)(equals - set) >= sizeof(key))
		return fail(ERR_PARSE, "--set %s: it takes KEY=VALUE", set);
	memcpy(key, set, (size_t)(equals - set));
	key[equals - set] = '\0';
	if (strchr(key, '.') != NULL)
		return append_set(d, set);
	const cyaml_schema_field_t *f = field_of(schema, key);
	if (f == NULL)
		return unknown_key(arena_printf(d->arena, "--set %s", set), schema, key);
	if (f->value.type == CYAML_SEQUENCE && f->value.sequence.entry->type == CYAML_MAPPING)
		return fail(ERR_PARSE, "--set %s: \"%s\" is too rich for --set; edit the file", set,
			key);
	put(d, key,
		f->value.type == CYAML_SEQUENCE ? add_list(d, equals + 1)
						: add_scalar(d, equals + 1, strlen(equals + 1)));
	return OK;
}

static int apply_sets(struct document *d, const cyaml_schema_value_t *schema)
{
	size_t n = d->n_sets;

	d->set_nodes = ARENA_NEW(d->arena, n + 1, int);
	for (d->n_sets = 0; d->n_sets < n;) {
		d->set_nodes[d->n_sets] = nodes_now(d);
		TRY(apply_set(d, d->sets[d->n_sets], schema));
		d->n_sets++;
	}
	return OK;
}

static int load(struct document *d)
{
	FILE *f = fopen(d->path, "rb");
	yaml_parser_t parser;
	int code = OK;

	if (f == NULL)
		return fail(ERR_IO, "%s: cannot be opened: %s; give the path of a YAML file",
			d->path, strerror(errno));
	invariant(yaml_parser_initialize(&parser));
	yaml_parser_set_input_file(&parser, f);
	if (!yaml_parser_load(&parser, &d->yaml)) {
		size_t line = (parser.problem_mark.line > 0 ? parser.problem_mark.line
							    : parser.context_mark.line) +
			      1;
		code = parser.error == YAML_READER_ERROR
			       ? fail(ERR_IO,
					 "%s: cannot be read: %s; give the path of a YAML file",
					 d->path, parser.problem)
			       : fail(ERR_PARSE, "%s:%zu: not YAML: %s", d->path, line,
					 parser.problem);
	}
	yaml_parser_delete(&parser);
	fclose(f);
	return code;
}

int document_open(struct document *d, const char *path, const cyaml_schema_value_t *schema,
	const char *const *sets, size_t n_sets, struct arena *a)
{
	*d = (struct document){ .path = path, .arena = a, .sets = sets, .n_sets = n_sets };
	TRY(load(d));
	int code = OK;
	if (document_root(d) == 0)
		code = fail(ERR_PARSE, "%s:1: empty; it takes at least methods and targets", path);
	else if (node_of(d, document_root(d))->type != YAML_MAPPING_NODE)
		code = fail(ERR_PARSE, "%s:1: not a mapping; it takes lines \"key: value\"", path);
	else
		code = apply_sets(d, schema);
	if (code != OK)
		document_close(d);
	return code;
}

void document_close(struct document *d)
{
	yaml_document_delete(&d->yaml);
}

int document_print(struct document *d, const char **text)
{
	yaml_emitter_t emitter;
	char *buffer = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&buffer, &size);

	invariant(f != NULL && yaml_emitter_initialize(&emitter));
	yaml_emitter_set_output_file(&emitter, f);
	yaml_emitter_set_width(&emitter, 100);
	d->yaml.start_implicit = d->yaml.end_implicit = 1;
	bool good = yaml_emitter_open(&emitter) && yaml_emitter_dump(&emitter, &d->yaml) &&
		    yaml_emitter_close(&emitter);
	yaml_emitter_delete(&emitter);
	fclose(f);
	*text = arena_strdup(d->arena, buffer);
	free(buffer);
	return good ? OK : fail(ERR_PARSE, "%s: cannot be written as YAML", d->path);
}
