#include "run/config.h"
#include "run/document.h"

#include <stdlib.h>

/* What libcyaml fills in. */
struct raw_entry {
	char *name;
};

struct raw_pair {
	char *method, *target;
};

struct raw {
	char *name;
	uint64_t *seeds, *steps;
	unsigned seeds_count, steps_count;
	uint64_t samples, repeats, floor_draws;
	bool keep_samples;
	double timeout_seconds, checkpoint_seconds;
	char **metrics, **set;
	unsigned metrics_count, set_count;
	struct raw_entry *methods, *targets;
	unsigned methods_count, targets_count;
	struct raw_pair *overrides, *exclude;
	unsigned overrides_count, exclude_count;
};

enum { OPTIONAL = CYAML_FLAG_OPTIONAL, LIST = CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER };

static const cyaml_schema_value_t number_schema = { CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT,
	uint64_t) };
static const cyaml_schema_value_t name_schema = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1,
	CYAML_UNLIMITED) };

static const cyaml_schema_field_t entry_fields[] = {
	CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct raw_entry, name, 1,
		CYAML_UNLIMITED),
	CYAML_FIELD_IGNORE("options", CYAML_FLAG_OPTIONAL),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t entry_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT,
	struct raw_entry, entry_fields) };

static const cyaml_schema_field_t override_fields[] = {
	CYAML_FIELD_STRING_PTR("method", CYAML_FLAG_POINTER, struct raw_pair, method, 1,
		CYAML_UNLIMITED),
	CYAML_FIELD_STRING_PTR("target", CYAML_FLAG_POINTER, struct raw_pair, target, 1,
		CYAML_UNLIMITED),
	CYAML_FIELD_IGNORE("options", CYAML_FLAG_DEFAULT),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t override_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT,
	struct raw_pair, override_fields) };

static const cyaml_schema_field_t exclude_fields[] = {
	CYAML_FIELD_STRING_PTR("method", CYAML_FLAG_POINTER, struct raw_pair, method, 1,
		CYAML_UNLIMITED),
	CYAML_FIELD_STRING_PTR("target", CYAML_FLAG_POINTER, struct raw_pair, target, 1,
		CYAML_UNLIMITED),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t exclude_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT,
	struct raw_pair, exclude_fields) };

static const cyaml_schema_field_t fields[] = {
	CYAML_FIELD_STRING_PTR("name", LIST, struct raw, name, 1, CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("seeds", LIST, struct raw, seeds, &number_schema, 1, CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("steps", CYAML_FLAG_POINTER, struct raw, steps, &number_schema, 1,
		CYAML_UNLIMITED),
	CYAML_FIELD_UINT("samples", OPTIONAL, struct raw, samples),
	CYAML_FIELD_UINT("repeats", OPTIONAL, struct raw, repeats),
	CYAML_FIELD_UINT("floor_draws", OPTIONAL, struct raw, floor_draws),
	CYAML_FIELD_BOOL("keep_samples", OPTIONAL, struct raw, keep_samples),
	CYAML_FIELD_FLOAT("timeout_seconds", OPTIONAL, struct raw, timeout_seconds),
	CYAML_FIELD_FLOAT("checkpoint_seconds", OPTIONAL, struct raw, checkpoint_seconds),
	CYAML_FIELD_SEQUENCE("metrics", LIST, struct raw, metrics, &name_schema, 1,
		CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("methods", CYAML_FLAG_POINTER, struct raw, methods, &entry_schema, 1,
		CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("targets", CYAML_FLAG_POINTER, struct raw, targets, &entry_schema, 1,
		CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("overrides", LIST, struct raw, overrides, &override_schema, 0,
		CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("exclude", LIST, struct raw, exclude, &exclude_schema, 0,
		CYAML_UNLIMITED),
	CYAML_FIELD_SEQUENCE("set", LIST, struct raw, set, &name_schema, 0, CYAML_UNLIMITED),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw,
	fields) };

/* A load in progress: the typed values and the tree that knows where they stood. */
struct loading {
	const struct raw *raw;
	const struct document *doc;
	struct config *out;
	struct arena *arena;
};

static int node_at(const struct loading *l, const char *list, size_t i, const char *key)
{
	int root = document_root(l->doc);
	int item = document_item(l->doc, document_find(l->doc, root, list), i);

	return key != NULL ? document_find(l->doc, item, key) : item;
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* A top-level number: absent is its default, present must be in the range. */
static int take_number(const struct loading *l, const char *key, uint64_t value, size_t standard,
	size_t min, size_t max, size_t *out)
{
	int node = document_find(l->doc, document_root(l->doc), key);

	*out = node == 0 ? standard : (size_t)value;
	if (*out >= min && *out <= max)
		return OK;
	return fail(ERR_RANGE, "%s: \"%s\" is %zu; it takes %zu to %zu",
		document_where(l->doc, node), key, *out, min, max);
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Ascending, each once. */
static uint64_t *sorted_set(const uint64_t *values, size_t n, size_t *n_out, struct arena *a)
{
	uint64_t *sorted = ARENA_NEW(a, n, uint64_t);

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), compare_numbers);
	*n_out = 0;
	for (size_t i = 0; i < n; i++)
		if (i == 0 || sorted[i] != sorted[i - 1])
			sorted[(*n_out)++] = sorted[i];
	return sorted;
}

static int take_numbers(const struct loading *l)
{
	enum { STEPS_MAX = 1 << 20, SAMPLES_MAX = 10000000, REPEATS_MAX = 10000 };
	static const uint64_t first_seed = 0;
	const struct raw *r = l->raw;
	struct config *c = l->out;

	for (size_t i = 0; i < r->seeds_count; i++)
		if (r->seeds[i] > INT64_MAX)
			return fail(ERR_RANGE, "%s: a seed of %llu; it takes 0 to %lld",
				document_where(l->doc, node_at(l, "seeds", i, NULL)),
				(unsigned long long)r->seeds[i], (long long)INT64_MAX);
	c->seeds = sorted_set(r->seeds_count > 0 ? r->seeds : &first_seed,
		r->seeds_count > 0 ? r->seeds_count : 1, &c->n_seeds, l->arena);
	for (size_t i = 0; i < r->steps_count; i++)
		if (r->steps[i] < 1 || r->steps[i] > STEPS_MAX)
			return fail(ERR_RANGE, "%s: a step count of %llu; it takes 1 to %d",
				document_where(l->doc, node_at(l, "steps", i, NULL)),
				(unsigned long long)r->steps[i], STEPS_MAX);
	uint64_t *steps = sorted_set(r->steps, r->steps_count, &c->n_steps, l->arena);
	c->steps = ARENA_NEW(l->arena, c->n_steps, size_t);
	for (size_t i = 0; i < c->n_steps; i++)
		c->steps[i] = (size_t)steps[i];
	c->steps_where =
		document_where(l->doc, document_find(l->doc, document_root(l->doc), "steps"));

	TRY(take_number(l, "samples", r->samples, 2000, 2, SAMPLES_MAX, &c->samples));
	TRY(take_number(l, "repeats", r->repeats, 1, 1, REPEATS_MAX, &c->repeats));
	TRY(take_number(l, "floor_draws", r->floor_draws, 19, 0, REPEATS_MAX, &c->floor_draws));
	c->keep_samples = r->keep_samples;
	int timeout = document_find(l->doc, document_root(l->doc), "timeout_seconds");
	c->timeout_seconds = timeout != 0 ? r->timeout_seconds : (double)INFINITY;
	if (!(c->timeout_seconds > 0))
		return fail(ERR_RANGE, "%s: \"timeout_seconds\" is %g; it takes more than 0",
			document_where(l->doc, timeout), c->timeout_seconds);
	int every = document_find(l->doc, document_root(l->doc), "checkpoint_seconds");
	c->checkpoint_seconds = every != 0 ? r->checkpoint_seconds : 60;
	if (!(c->checkpoint_seconds >= 0))
		return fail(ERR_RANGE, "%s: \"checkpoint_seconds\" is %g; it takes 0 or more",
			document_where(l->doc, every), c->checkpoint_seconds);
	return OK;
}

/* --- names ------------------------------------------------------------------------------------ */

static const void *find_method(const char *name)
{
	return method_find(name);
}

static const void *find_target(const char *name)
{
	return target_find(name);
}

static struct written_list take_options(const struct loading *l, int mapping)
{
	struct written_list list = { 0 };
	int k, value;

	if (mapping == 0)
		return list;
	while (document_pair(l->doc, mapping, list.n, &value) != 0)
		list.n++;
	list.items = ARENA_NEW(l->arena, list.n, struct written);
	for (size_t i = 0; (k = document_pair(l->doc, mapping, i, &value)) != 0; i++)
		list.items[i] = (struct written){
			.key = arena_strdup(l->arena, document_scalar(l->doc, k)),
			.value = arena_strdup(l->arena, document_scalar(l->doc, value)),
			.where = document_where(l->doc, k),
		};
	return list;
}

static bool same_options(const struct written_list *a, const struct written_list *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = strcmp(a->items[i].key, b->items[i].key) == 0 &&
		       strcmp(a->items[i].value, b->items[i].value) == 0;
	return same;
}

/* The list "methods" or "targets". variants: one may stand there again with other options. */
static int take_entries(const struct loading *l, const char *key, const struct raw_entry *raw,
	size_t n, const void *(*find)(const char *name), bool variants, struct config_entry **out)
{
	*out = ARENA_NEW(l->arena, n, struct config_entry);
	for (size_t i = 0; i < n; i++) {
		struct config_entry *e = &(*out)[i];
		e->name = arena_strdup(l->arena, raw[i].name);
		e->where = document_where(l->doc, node_at(l, key, i, "name"));
		e->options = take_options(l, node_at(l, key, i, "options"));
		if (find(e->name) == NULL)
			return error_at(e->where);
		for (size_t j = 0; j < i; j++)
			if (strcmp((*out)[j].name, e->name) == 0 &&
				(!variants || same_options(&(*out)[j].options, &e->options)))
				return fail(ERR_NAME,
					"%s: \"%s\" stands twice in \"%s\"; once is right%s",
					e->where, e->name, key,
					variants ? ", or other options" : "");
	}
	return OK;
}

int config_check_name(const struct config_entry *entries, size_t n, const char *name,
	const char *what, struct arena *a)
{
	const char **names = ARENA_NEW(a, n + 1, const char *);

	for (size_t i = 0; i < n; i++) {
		names[i] = entries[i].name;
		if (config_matches(name, entries[i].name))
			return OK;
	}
	const char *nearest = option_nearest(name, names);
	return fail(ERR_NAME, "no %s \"%.80s\" in this configuration; %s \"%s\"", what, name,
		nearest != NULL ? "did you mean" : "its first is",
		nearest != NULL ? nearest : names[0]);
}

bool config_matches(const char *pattern, const char *name)
{
	return *pattern == '\0' || strcmp(pattern, "*") == 0 || strcmp(pattern, name) == 0;
}

/* The list "overrides" or "exclude". */
static int take_pairs(const struct loading *l, const char *key, const struct raw_pair *raw,
	size_t n, struct config_pair **out)
{
	const struct config *c = l->out;

	*out = ARENA_NEW(l->arena, n, struct config_pair);
	for (size_t i = 0; i < n; i++) {
		struct config_pair *p = &(*out)[i];
		p->method = arena_strdup(l->arena, raw[i].method);
		p->target = arena_strdup(l->arena, raw[i].target);
		p->options = take_options(l, node_at(l, key, i, "options"));
		if (strcmp(p->method, "*") != 0 && config_check_name(c->methods, c->n_methods,
							   p->method, "method", l->arena) != OK)
			return error_at(document_where(l->doc, node_at(l, key, i, "method")));
		if (strcmp(p->target, "*") != 0 && config_check_name(c->targets, c->n_targets,
							   p->target, "target", l->arena) != OK)
			return error_at(document_where(l->doc, node_at(l, key, i, "target")));
	}
	return OK;
}

/* The list "set": NAME.OPTION=VALUE, NAME a method or a target of the grid. */
static int take_sets(const struct loading *l)
{
	struct config *c = l->out;
	size_t n = l->raw->set_count, n_names = c->n_methods + c->n_targets;
	struct config_entry *names = ARENA_NEW(l->arena, n_names, struct config_entry);

	memcpy(names, c->methods, c->n_methods * sizeof(*names));
	memcpy(names + c->n_methods, c->targets, c->n_targets * sizeof(*names));
	c->sets = (struct written_list){ n, ARENA_NEW(l->arena, n, struct written) };
	for (size_t i = 0; i < n; i++) {
		const char *where = document_where(l->doc, node_at(l, "set", i, NULL));
		char *key = arena_strdup(l->arena, l->raw->set[i]);
		char *equals = strchr(key, '='), *dot = strchr(key, '.');
		if (equals == NULL || dot == NULL || dot > equals)
			return fail(ERR_PARSE, "%s: \"%.80s\"; it takes NAME.OPTION=VALUE", where,
				key);
		*equals = *dot = '\0';
		if (config_check_name(names, n_names, key, "method or target", l->arena) != OK)
			return error_at(where);
		*dot = '.';
		c->sets.items[i] = (struct written){ key, equals + 1, where };
	}
	return OK;
}

static int compare_metrics(const void *a, const void *b)
{
	return strcmp((*(const struct metric *const *)a)->name,
		(*(const struct metric *const *)b)->name);
}

/* Without the key, every metric there is. */
static int take_metrics(const struct loading *l)
{
	struct config *c = l->out;
	size_t n = l->raw->metrics_count, all = 0;

	while (metrics[all] != NULL)
		all++;
	c->metrics = ARENA_NEW(l->arena, n > 0 ? n : all, const struct metric *);
	c->n_metrics = n > 0 ? 0 : all;
	for (size_t i = 0; i < c->n_metrics; i++)
		c->metrics[i] = metrics[i];
	for (size_t i = 0; i < n; i++) {
		const struct metric *m = metric_find(l->raw->metrics[i]);
		bool twice = false;
		if (m == NULL)
			return error_at(document_where(l->doc, node_at(l, "metrics", i, NULL)));
		for (size_t j = 0; j < c->n_metrics; j++)
			twice = twice || c->metrics[j] == m;
		if (!twice)
			c->metrics[c->n_metrics++] = m;
	}
	qsort(c->metrics, c->n_metrics, sizeof(*c->metrics), compare_metrics);
	return OK;
}

/* The name of the run: the key, or the file's name without folder and ending. */
static int take_name(const struct loading *l)
{
	int node = document_find(l->doc, document_root(l->doc), "name");

	if (node == 0) {
		const char *slash = strrchr(l->doc->path, '/');
		char *stem = arena_strdup(l->arena, slash != NULL ? slash + 1 : l->doc->path);
		char *dot = strrchr(stem, '.');
		if (dot != NULL && dot != stem)
			*dot = '\0';
		l->out->name = stem;
		return OK;
	}
	l->out->name = arena_strdup(l->arena, l->raw->name);
	if (strchr(l->out->name, '/') != NULL || l->out->name[0] == '.')
		return fail(ERR_RANGE, "%s: the name \"%.80s\"; it takes a plain file name",
			document_where(l->doc, node), l->out->name);
	return OK;
}

static int take_all(const struct loading *l)
{
	struct config *c = l->out;
	const struct raw *r = l->raw;

	c->n_methods = r->methods_count;
	c->n_targets = r->targets_count;
	c->n_overrides = r->overrides_count;
	c->n_excludes = r->exclude_count;
	TRY(take_name(l));
	TRY(take_numbers(l));
	TRY(take_metrics(l));
	TRY(take_entries(l, "methods", r->methods, c->n_methods, find_method, true, &c->methods));
	TRY(take_entries(l, "targets", r->targets, c->n_targets, find_target, false, &c->targets));
	TRY(take_pairs(l, "overrides", r->overrides, c->n_overrides, &c->overrides));
	TRY(take_pairs(l, "exclude", r->exclude, c->n_excludes, &c->excludes));
	return take_sets(l);
}

/* Typed values from the resolved text. The document fits the schema already, so that an error here
 * is one that the check does not know. */
static int load_typed(struct loading *l)
{
	const cyaml_config_t cyaml = { .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR };
	const char *text = l->out->text;
	struct raw *raw = NULL;
	cyaml_err_t error = cyaml_load_data((const uint8_t *)text, strlen(text), &cyaml, &schema,
		(cyaml_data_t **)&raw, NULL);

	if (error != CYAML_OK)
		return fail(ERR_PARSE, "%s: does not fit the schema: %s", l->doc->path,
			cyaml_strerror(error));
	l->raw = raw;
	int code = take_all(l);
	cyaml_free(&cyaml, &schema, raw, 0);
	return code;
}

int config_load(struct config *out, const char *path, const char *const *sets, size_t n_sets,
	struct arena *a)
{
	struct document doc, printed;
	struct loading l = { .doc = &doc, .out = out, .arena = a };

	*out = (struct config){ .path = arena_strdup(a, path) };
	/* Printing consumes a document: one for the places, one for the text. */
	TRY(document_open(&printed, path, &schema, sets, n_sets, a));
	TRY(document_print(&printed, &out->text));
	TRY(document_open(&doc, path, &schema, sets, n_sets, a));
	int code = document_check(&doc, &schema);
	if (code == OK)
		code = load_typed(&l);
	document_close(&doc);
	return code;
}
