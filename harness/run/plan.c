#include "run/plan.h"
#include "run/external.h"

#include <stdlib.h>

enum { KEY_VERSION = 1 /* of what goes into a key */ };

const char *cell_state_name(enum cell_state s)
{
	static const char *const names[CELL_STATES] = { "missing", "ok", "diverged", "failed",
		"timeout", "skipped" };

	invariant(s < CELL_STATES);
	return names[s];
}

/* --- options ---------------------------------------------------------------------------------- */

static struct resolved resolve(const struct option *table, const void *state, struct arena *a)
{
	struct resolved r = { 0 };

	while (table != NULL && table[r.n].key != NULL)
		r.n++;
	r.settings = ARENA_NEW(a, r.n, struct setting);
	for (size_t i = 0; i < r.n; i++)
		r.settings[i] = (struct setting){ table[i].key, option_text(&table[i], state, a) };
	return r;
}

static int apply(const struct option *table, void *state, const char *owner,
	const struct written_list *list, struct arena *a)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct written *w = &list->items[i];
		if (option_set(table, state, owner, w->key, w->value, a) != OK)
			return error_at(w->where);
	}
	return OK;
}

/* The sets "NAME.OPTION" whose name is this one. */
static int apply_sets(const struct option *table, void *state, const char *owner, const char *name,
	const struct written_list *sets, struct arena *a)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < sets->n; i++) {
		struct written w = sets->items[i];
		if (strncmp(w.key, name, n) != 0 || w.key[n] != '.')
			continue;
		w.key += n + 1;
		TRY(apply(table, state, owner, &(struct written_list){ 1, &w }, a));
	}
	return OK;
}

/* A preset's "key=value, key=value". A wrong one is a mistake in the method, found by its test. */
static int apply_settings(const struct method *m, void *state, const char *owner,
	const char *settings, struct arena *a)
{
	char *rest = arena_strdup(a, settings);

	for (char *item; (item = strsep(&rest, ",")) != NULL;) {
		item += strspn(item, " ");
		char *value = strchr(item, '=');
		if (value == NULL)
			return fail(ERR_PARSE, "%s: the preset \"%s\"; it takes key=value", owner,
				item);
		*value++ = '\0';
		TRY(option_set(m->options, state, owner, item, value, a));
	}
	return OK;
}

/* The choice of the option "preset" as it is set; NULL when the method has none. */
static const char *chosen_paper(const struct method *m, const void *state)
{
	for (const struct option *o = m->options; o != NULL && o->key != NULL; o++)
		if (strcmp(o->key, "preset") == 0)
			return o->choices[*(const int *)((const char *)state + o->offset)];
	return NULL;
}

static int apply_presets(const struct method *m, void *state, const char *owner, const char *paper,
	const char *target, struct arena *a)
{
	for (const struct preset *p = m->presets; p != NULL && p->settings != NULL; p++)
		if ((p->paper == NULL || (paper != NULL && strcmp(p->paper, paper) == 0)) &&
			(p->target == NULL || strcmp(p->target, target) == 0))
			TRY(apply_settings(m, state, owner, p->settings, a));
	return OK;
}

static bool pair_matches(const struct config_pair *p, const char *method, const char *target)
{
	return config_matches(p->method, method) && config_matches(p->target, target);
}

/* What the user says, later layers over earlier ones. */
static int apply_user(const struct plan_cell *cell, const struct config *c,
	const struct config_entry *entry, void *state, const char *owner, struct arena *a)
{
	const struct method *m = cell->method;

	TRY(apply(m->options, state, owner, &entry->options, a));
	for (size_t i = 0; i < c->n_overrides; i++)
		if (pair_matches(&c->overrides[i], m->name, cell->target->target->name))
			TRY(apply(m->options, state, owner, &c->overrides[i].options, a));
	return apply_sets(m->options, state, owner, m->name, &c->sets, a);
}

static int resolve_method(struct plan_cell *cell, const struct config *c,
	const struct config_entry *entry, void *state, struct arena *a)
{
	const struct method *m = cell->method;
	const char *owner = arena_printf(a, "method %s", m->name);
	const char *target = cell->target->target->name;

	/* The user's options tell which paper's presets go before them: once to see, once in order. */
	option_defaults(m->options, state, a);
	TRY(apply_user(cell, c, entry, state, owner, a));
	const char *paper = chosen_paper(m, state);
	option_defaults(m->options, state, a);
	TRY(apply_presets(m, state, owner, paper, target, a));
	TRY(apply_user(cell, c, entry, state, owner, a));
	cell->options = resolve(m->options, state, a);
	return OK;
}

void *plan_method_state(const struct plan_cell *c, struct arena *a)
{
	void *state = arena_zalloc(a, 1, c->method->state_size);

	option_defaults(c->method->options, state, a);
	for (size_t i = 0; i < c->options.n; i++)
		invariant(
			option_set(c->method->options, state, c->method->name,
				c->options.settings[i].key, c->options.settings[i].value, a) == OK);
	return state;
}

/* --- keys ------------------------------------------------------------------------------------- */

static void hash_settings(struct hash *h, const char *kind, const char *name,
	const struct resolved *r)
{
	hash_printf(h, "%s %s\n", kind, name);
	for (size_t i = 0; i < r->n; i++)
		hash_printf(h, "option %s=%s\n", r->settings[i].key, r->settings[i].value);
}

/* The bytes of a file but for lines of # at its head, which say where a table is from. */
static void hash_file(struct hash *h, const char *path)
{
	FILE *f = fopen(path, "rb");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	bool head = true;

	if (f == NULL)
		return; /* the target's init says what is wrong with it */
	while ((n = getline(&line, &size, f)) > 0) {
		head = head && *line == '#';
		if (!head)
			hash_bytes(h, line, (size_t)n);
	}
	free(line);
	fclose(f);
}

/* A file that an option of the target names changes its density by what is in it, not by its name. */
static void hash_files(struct hash *h, const struct plan_target *t, struct arena *a)
{
	for (size_t i = 0; i < t->options.n; i++) {
		const struct option *o = t->target->options;
		while (strcmp(o->key, t->options.settings[i].key) != 0)
			o++;
		if (o->type == OPTION_TEXT && *t->options.settings[i].value != '\0')
			hash_file(h, data_path(t->options.settings[i].value, a));
	}
}

/* An estimated log Z may be estimated anew, and scores that compare with it change. */
static void hash_estimate(struct hash *h, const struct config *c, const struct log_z *z)
{
	bool needed = false;

	for (size_t i = 0; i < c->n_metrics; i++)
		needed = needed || (c->metrics[i]->needs & NEEDS_LOG_Z) != 0;
	if (needed && z->kind == LOG_Z_ESTIMATE)
		hash_printf(h, "log Z %.17g +- %.17g\n", z->value, z->se);
}

static void hash_start(struct hash *h, const char *kind)
{
	hash_init(h);
	hash_printf(h, "%s %d real %zu\n", kind, KEY_VERSION, sizeof(real));
}

static void hash_metrics(struct hash *h, const struct config *c, bool floors_only)
{
	for (size_t i = 0; i < c->n_metrics; i++)
		if (c->metrics[i]->floor || !floors_only)
			hash_printf(h, "metric %s %d\n", c->metrics[i]->name,
				c->metrics[i]->version);
}

static void hash_target(struct hash *h, const struct plan_target *t, struct arena *a)
{
	hash_settings(h, "target", t->target->name, &t->options);
	hash_files(h, t, a);
}

static void hash_method(struct hash *h, const struct plan_cell *cell)
{
	hash_settings(h, "method", cell->method->name, &cell->options);
	hash_printf(h, "version %d\nseed %llu\n", cell->method->version,
		(unsigned long long)cell->seed);
}

void plan_floor_key(struct plan_target *t, const struct config *c, struct arena *a)
{
	struct hash h;

	hash_start(&h, "floor");
	hash_target(&h, t, a);
	hash_printf(&h, "samples %zu\ndraws %zu\n", c->samples, c->floor_draws);
	if (c->reference > 0 && c->reference != c->samples)
		hash_printf(&h, "reference %zu\n", c->reference);
	hash_metrics(&h, c, true);
	hash_key(&h, t->floor_key);
}

static void make_training_key(struct plan_cell *cell, struct arena *a)
{
	struct hash h;

	if (cell->method->train == NULL)
		return;
	hash_start(&h, "training");
	hash_target(&h, cell->target, a);
	hash_method(&h, cell);
	hash_key(&h, cell->training_key);
}

/* Files that options of a method name, one for each draw where the name says so (external_expand): what
 * is in them is the method's result. One that is not there is told when it is read. */
static void hash_inputs(struct hash *h, const struct plan_cell *cell, const struct config *c,
	const char *pattern, struct arena *a)
{
	struct external_call call = { .target = cell->target->target->name,
		.n = c->samples,
		.dim = cell->target->dim,
		.seed = cell->seed };
	const char *last = "";

	for (size_t s = 0; s <= cell->n_steps; s++)
		for (size_t r = 0; r < c->repeats; r++) {
			call.steps = s > 0 ? cell->steps[s - 1] : 0;
			call.repeat = (uint32_t)r;
			const char *path = external_expand(pattern, &call, a);
			if (strcmp(path, last) == 0)
				continue;
			hash_printf(h, "file %zu %zu\n", s, r);
			hash_file(h, path);
			last = path;
		}
}

static void hash_method_files(struct hash *h, const struct plan_cell *cell, const struct config *c,
	struct arena *a)
{
	for (size_t i = 0; i < cell->options.n; i++)
		if (cell->method->options[i].type == OPTION_TEXT &&
			*cell->options.settings[i].value != '\0')
			hash_inputs(h, cell, c, cell->options.settings[i].value, a);
}

static void make_cell_key(struct plan_cell *cell, const struct config *c, struct arena *a)
{
	struct hash h;

	hash_start(&h, "cell");
	hash_target(&h, cell->target, a);
	hash_estimate(&h, c, &cell->target->log_z);
	hash_method(&h, cell);
	hash_method_files(&h, cell, c, a);
	hash_printf(&h, "samples %zu\nrepeats %zu\n", c->samples, c->repeats);
	for (size_t i = 0; i < cell->n_steps; i++)
		hash_printf(&h, "steps %zu\n", cell->steps[i]);
	hash_metrics(&h, c, false);
	hash_key(&h, cell->key);
}

/* --- the grid --------------------------------------------------------------------------------- */

/* Options first, each with its place, then the density as a whole: data, dimension, log Z. */
int plan_target_make(struct plan_target *t, const struct config *c,
	const struct config_entry *entry, struct arena *a)
{
	const struct target *target = target_find(entry->name);
	const char *owner = arena_printf(a, "target %s", target->name);
	void *state = arena_zalloc(a, 1, target->state_size);

	option_defaults(target->options, state, a);
	TRY(apply(target->options, state, owner, &entry->options, a));
	TRY(apply_sets(target->options, state, owner, target->name, &c->sets, a));
	t->target = target;
	t->options = resolve(target->options, state, a);
	t->exact = target->draw != NULL;

	struct arena *scratch = arena_new();
	struct density *d;
	int code = density_new(&d, target->name, t->options.settings, t->options.n, scratch);
	if (code == OK) {
		t->dim = density_dim(d);
		density_log_z(d, &t->log_z);
		t->log_z.source = arena_strdup(a, t->log_z.source != NULL ? t->log_z.source : "");
	} else {
		code = error_at(arena_printf(a, "%s: target %s", entry->where, target->name));
	}
	arena_free(scratch);
	TRY(code);

	for (size_t i = 0; i < c->n_metrics; i++)
		t->floor = t->floor || c->metrics[i]->floor;
	t->floor = t->floor && t->exact && c->floor_draws > 0;
	plan_floor_key(t, c, a);
	return OK;
}

static bool has_step_axis(const struct method *m)
{
	for (const struct pass *p = m->passes; p->name != NULL; p++)
		if (p->steps)
			return true;
	return false;
}

/* The step counts of a method with a step axis. One that the method can never do (ERR_UNSUP) is left
 * out; one that its options rule out is the user's mistake. */
static int take_steps(struct plan_cell *cell, const struct config *c, const void *state,
	struct arena *a)
{
	const struct method *m = cell->method;

	cell->n_steps = 0;
	cell->steps = ARENA_NEW(a, c->n_steps, size_t);
	if (!has_step_axis(m))
		return OK;
	for (size_t i = 0; i < c->n_steps; i++) {
		int code = m->check_steps != NULL ? m->check_steps(state, c->steps[i]) : OK;
		if (code == OK)
			cell->steps[cell->n_steps++] = c->steps[i];
		else if (code != ERR_UNSUP)
			return error_at(arena_printf(a, "%s: method %s", c->steps_where, m->name));
	}
	if (cell->n_steps == 0)
		return error_at(arena_printf(a, "%s: method %s", c->steps_where, m->name));
	return OK;
}

/* Which cells are wanted: those of the filters but for those left out. */
struct selection {
	const struct config *config;
	size_t n;
	struct config_pair *filters; /* n = 0: all */
};

static bool any_pair(const struct config_pair *pairs, size_t n, const char *method,
	const char *target)
{
	for (size_t i = 0; i < n; i++)
		if (pair_matches(&pairs[i], method, target))
			return true;
	return false;
}

static bool wanted(const struct selection *s, const char *method, const char *target)
{
	const struct config *c = s->config;

	return (s->n == 0 || any_pair(s->filters, s->n, method, target)) &&
	       !any_pair(c->excludes, c->n_excludes, method, target);
}

static bool target_wanted(const struct selection *s, const char *target)
{
	for (size_t i = 0; i < s->config->n_methods; i++)
		if (wanted(s, s->config->methods[i].name, target))
			return true;
	return false;
}

static int parse_filters(struct selection *s, const char *const *filters, size_t n, struct arena *a)
{
	const struct config *c = s->config;

	s->n = n;
	s->filters = ARENA_NEW(a, n, struct config_pair);
	for (size_t i = 0; i < n; i++) {
		char *method = arena_strdup(a, filters[i]);
		char *target = strchr(method, ':');
		if (target == NULL)
			return fail(ERR_PARSE,
				"--only %.80s: it takes METHOD:TARGET, as in osds: or :funnel",
				filters[i]);
		*target++ = '\0';
		if (config_check_name(c->methods, c->n_methods, method, "method", a) != OK ||
			config_check_name(c->targets, c->n_targets, target, "target", a) != OK)
			return error_at(arena_printf(a, "--only %s", filters[i]));
		s->filters[i] = (struct config_pair){ .method = method, .target = target };
	}
	return OK;
}

/* A method on a target: one cell a seed. */
static int make_cells(struct plan *p, struct plan_target *t, const struct config_entry *entry,
	struct arena *a)
{
	const struct config *c = p->config;
	struct plan_cell cell = { .method = method_find(entry->name), .target = t };
	void *state = arena_zalloc(a, 1, cell.method->state_size);

	TRY(resolve_method(&cell, c, entry, state, a));
	TRY(take_steps(&cell, c, state, a));
	if (cell.method->train != NULL)
		cell.iterations = cell.method->iterations(state);
	for (size_t i = 0; i < c->n_seeds; i++) {
		cell.seed = c->seeds[i];
		make_cell_key(&cell, c, a);
		make_training_key(&cell, a);
		p->cells[p->n_cells++] = cell;
	}
	return OK;
}

/* Entries of one method that come to the same: two cells would write one record. */
static int check_twins(const struct plan *p)
{
	for (size_t i = 0; i < p->n_cells; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(p->cells[i].key, p->cells[j].key) == 0)
				return fail(ERR_NAME,
					"%s: \"%s\" stands twice in \"methods\", and is the same "
					"on "
					"%s; once is right, or other options",
					p->config->path, p->cells[i].method->name,
					p->cells[i].target->target->name);
	return OK;
}

const char *plan_label(const struct plan_cell *c)
{
	for (size_t i = 0; i < c->options.n; i++)
		if (strcmp(c->options.settings[i].key, "label") == 0 &&
			*c->options.settings[i].value != '\0')
			return c->options.settings[i].value;
	return c->method->name;
}

int plan_training(struct plan_cell *out, const struct method *m, const struct plan_target *t,
	uint64_t seed, const struct setting *settings, size_t n, struct arena *a)
{
	const struct config nothing = { 0 };
	struct config_entry entry = { .name = m->name };
	void *state = arena_zalloc(a, 1, m->state_size);

	entry.options = (struct written_list){ n, ARENA_NEW(a, n, struct written) };
	for (size_t i = 0; i < n; i++)
		entry.options.items[i] = (struct written){ settings[i].key, settings[i].value,
			arena_printf(a, "option %s=%s", settings[i].key, settings[i].value) };
	*out = (struct plan_cell){ .method = m, .target = t, .seed = seed };
	TRY(resolve_method(out, &nothing, &entry, state, a));
	make_training_key(out, a);
	return OK;
}

int plan_make(struct plan *out, const struct config *c, const char *const *filters,
	size_t n_filters, struct arena *a)
{
	struct selection s = { .config = c };

	*out = (struct plan){ .config = c };
	out->targets = ARENA_NEW(a, c->n_targets, struct plan_target);
	out->cells = ARENA_NEW(a, c->n_targets * c->n_methods * c->n_seeds, struct plan_cell);
	TRY(parse_filters(&s, filters, n_filters, a));
	for (size_t i = 0; i < c->n_targets; i++) {
		struct plan_target *t = &out->targets[out->n_targets];
		if (!target_wanted(&s, c->targets[i].name))
			continue;
		out->n_targets++;
		TRY(plan_target_make(t, c, &c->targets[i], a));
		for (size_t j = 0; j < c->n_methods; j++)
			if (wanted(&s, c->methods[j].name, t->target->name))
				TRY(make_cells(out, t, &c->methods[j], a));
	}
	if (out->n_cells == 0)
		return fail(ERR_RANGE, "%s: no cell is left; \"exclude\" takes %s", c->path,
			n_filters > 0 ? "those of --only" : "all of them");
	return check_twins(out);
}

void plan_shard(struct plan *p, size_t k, size_t n)
{
	size_t kept = 0;

	for (size_t i = k - 1; i < p->n_cells; i += n)
		p->cells[kept++] = p->cells[i];
	p->n_cells = kept;
	/* Floors are made by the shards that have a cell of their target. */
	for (size_t i = 0; i < p->n_targets; i++) {
		bool used = false;
		for (size_t j = 0; j < p->n_cells; j++)
			used = used || p->cells[j].target == &p->targets[i];
		p->targets[i].floor = p->targets[i].floor && used;
	}
}
