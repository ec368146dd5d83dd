#include "report/records.h"

#include "core/csv.h"
#include "run/store.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --- values of a JSON object ----------------------------------------------------------------- */

/* Where a reading function is: the file for messages, the arena for results. */
struct reader {
	const char *path;
	struct arena *arena;
};

static int wrong(const struct reader *r, const char *key, const char *what)
{
	return fail(ERR_PARSE, "%s: %s: %s", r->path, key, what);
}

/* Text; fallback NULL: the key is required. null counts as left out. */
static int get_text(const struct reader *r, const json_t *o, const char *key, const char *fallback,
	const char **out)
{
	const json_t *v = json_object_get(o, key);

	*out = fallback;
	if (!v || json_is_null(v))
		return fallback ? OK : wrong(r, key, "missing");
	if (!json_is_string(v))
		return wrong(r, key, "not a text");
	*out = arena_strdup(r->arena, json_string_value(v));
	return OK;
}

/* A number or one of the words for what JSON cannot hold. */
static int number_of(const struct reader *r, const json_t *v, const char *key, double *out)
{
	const char *word = json_string_value(v);

	*out = (double)NAN;
	if (json_is_number(v))
		*out = json_number_value(v);
	else if (word && !strcmp(word, "inf"))
		*out = HUGE_VAL;
	else if (word && !strcmp(word, "-inf"))
		*out = -HUGE_VAL;
	else if (!word || strcmp(word, "nan"))
		return wrong(r, key, "not a number");
	return OK;
}

/* NaN when left out or null. */
static int get_number(const struct reader *r, const json_t *o, const char *key, double *out)
{
	const json_t *v = json_object_get(o, key);

	*out = (double)NAN;
	return v && !json_is_null(v) ? number_of(r, v, key, out) : OK;
}

/* A count that must be there. */
static int get_count(const struct reader *r, const json_t *o, const char *key, size_t *out)
{
	const json_t *v = json_object_get(o, key);

	*out = 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return wrong(r, key, "not a whole number, 0 or more");
	*out = (size_t)json_integer_value(v);
	return OK;
}

static bool get_flag(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* An object or array that may be left out (*out NULL then). */
static int get_part(const struct reader *r, const json_t *o, const char *key, json_type type,
	const json_t **out)
{
	const json_t *v = json_object_get(o, key);

	*out = NULL;
	if (!v || json_is_null(v))
		return OK;
	if (json_typeof(v) != type)
		return wrong(r, key, type == JSON_ARRAY ? "not a list" : "not an object");
	*out = v;
	return OK;
}

static int get_numbers(const struct reader *r, const json_t *o, const char *key, size_t *n,
	double **out)
{
	const json_t *list;

	*n = 0;
	*out = NULL;
	TRY(get_part(r, o, key, JSON_ARRAY, &list));
	*n = json_array_size(list);
	*out = ARENA_NEW(r->arena, *n, double);
	for (size_t i = 0; i < *n; i++)
		TRY(number_of(r, json_array_get(list, i), key, &(*out)[i]));
	return OK;
}

/* The keys of an object, sorted, so that no result depends on their order in the file. */
static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char **keys_of(const struct reader *r, const json_t *o, size_t *n)
{
	const char **keys = arena_alloc(r->arena, json_object_size(o), sizeof(*keys));

	*n = 0;
	for (void *i = json_object_iter((json_t *)(uintptr_t)o); i;
		i = json_object_iter_next((json_t *)(uintptr_t)o, i))
		keys[(*n)++] = arena_strdup(r->arena, json_object_iter_key(i));
	qsort(keys, *n, sizeof(*keys), by_text);
	return keys;
}

static int get_settings(const struct reader *r, const json_t *o, const char *key,
	struct settings *out)
{
	const json_t *object;
	const char **keys;

	*out = (struct settings){ 0 };
	TRY(get_part(r, o, key, JSON_OBJECT, &object));
	if (!object)
		return OK;
	keys = keys_of(r, object, &out->n);
	out->list = ARENA_NEW(r->arena, out->n, struct setting);
	for (size_t i = 0; i < out->n; i++) {
		out->list[i].key = keys[i];
		TRY(get_text(r, object, keys[i], NULL, &out->list[i].value));
	}
	return OK;
}

static int get_log_z(const struct reader *r, const json_t *o, struct log_z *out)
{
	static const char *const kinds[] = { [LOG_Z_UNKNOWN] = "unknown",
		[LOG_Z_EXACT] = "exact",
		[LOG_Z_QUADRATURE] = "quadrature",
		[LOG_Z_ESTIMATE] = "estimate",
		[LOG_Z_INFINITE] = "infinite" };
	const json_t *object;
	const char *kind;
	size_t k = 0;

	*out = (struct log_z){ LOG_Z_UNKNOWN, (double)NAN, 0, "" };
	TRY(get_part(r, o, "log_z", JSON_OBJECT, &object));
	if (!object)
		return OK;
	TRY(get_text(r, object, "kind", NULL, &kind));
	while (k < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[k], kind))
		k++;
	if (k == sizeof(kinds) / sizeof(kinds[0]))
		return wrong(r, "log_z.kind", kind);
	out->kind = (enum log_z_kind)k;
	TRY(get_number(r, object, "value", &out->value));
	TRY(get_number(r, object, "se", &out->se));
	if (isnan(out->se))
		out->se = 0;
	return get_text(r, object, "source", "", &out->source);
}

/* --- a cell ---------------------------------------------------------------------------------- */

static int get_values(const struct reader *r, const json_t *o, const json_t *versions,
	struct record_result *out)
{
	const json_t *values, *failed;
	const char **keys;

	TRY(get_part(r, o, "metrics", JSON_OBJECT, &values));
	keys = keys_of(r, values, &out->n_values);
	out->values = ARENA_NEW(r->arena, out->n_values, struct record_value);
	for (size_t i = 0; i < out->n_values; i++) {
		const json_t *m = json_object_get(values, keys[i]);
		const json_t *version = json_object_get(versions, keys[i]);

		if (!json_is_object(m))
			return wrong(r, keys[i], "not an object");
		out->values[i].metric = keys[i];
		out->values[i].version = (int)json_integer_value(version);
		TRY(get_number(r, m, "value", &out->values[i].value));
		TRY(get_number(r, m, "se", &out->values[i].se));
	}
	TRY(get_part(r, o, "failed_metrics", JSON_OBJECT, &failed));
	keys = keys_of(r, failed, &out->n_failures);
	out->failures = ARENA_NEW(r->arena, out->n_failures, struct record_failure);
	for (size_t i = 0; i < out->n_failures; i++) {
		out->failures[i].metric = keys[i];
		TRY(get_text(r, failed, keys[i], "", &out->failures[i].message));
	}
	return OK;
}

static int get_reports(const struct reader *r, const json_t *o, struct record_result *out)
{
	const json_t *reports;
	const char **keys;

	TRY(get_part(r, o, "reports", JSON_OBJECT, &reports));
	keys = keys_of(r, reports, &out->n_reports);
	out->reports = ARENA_NEW(r->arena, out->n_reports, struct record_report);
	for (size_t i = 0; i < out->n_reports; i++) {
		out->reports[i].name = keys[i];
		TRY(get_number(r, reports, keys[i], &out->reports[i].value));
	}
	return OK;
}

static int get_odd_weights(const struct reader *r, const json_t *o, struct record_result *out)
{
	static const char *const kinds[] = { "-inf", "nan", "inf" };
	const json_t *weights, *counts;
	const char **keys;

	TRY(get_part(r, o, "nonfinite_weights", JSON_OBJECT, &weights));
	keys = keys_of(r, weights, &out->n_odd);
	out->odd = ARENA_NEW(r->arena, out->n_odd, const char *);
	for (size_t i = 0; i < out->n_odd; i++) {
		out->odd[i] = arena_printf(r->arena, "%s:", keys[i]);
		TRY(get_part(r, weights, keys[i], JSON_OBJECT, &counts));
		for (size_t k = 0; k < 3; k++) {
			double n;
			TRY(get_number(r, counts, kinds[k], &n));
			if (n > 0)
				out->odd[i] = arena_printf(r->arena, "%s %.0f %s", out->odd[i], n,
					kinds[k]);
		}
	}
	return OK;
}

static int by_number(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* What was asked of a cell beside its options, as its results tell: cells that differ in it are not
 * to be averaged. */
static void find_design(struct record *c, struct arena *a)
{
	static const char *const keys[] = { "n", "repeats", "steps" };
	enum { N = sizeof(keys) / sizeof(keys[0]) };
	size_t *steps = arena_alloc(a, c->n_results, sizeof(*steps)), repeats = 0;
	const char *text = "";

	c->design = (struct settings){ 0 };
	if (!c->n_results || strcmp(c->state, "ok"))
		return;
	for (size_t i = 0; i < c->n_results; i++) {
		steps[i] = c->results[i].steps;
		repeats = c->results[i].repeat >= repeats ? c->results[i].repeat + 1 : repeats;
	}
	qsort(steps, c->n_results, sizeof(*steps), by_number);
	for (size_t i = 0; i < c->n_results; i++)
		if (i == 0 || steps[i] != steps[i - 1])
			text = arena_printf(a, "%s%s%zu", text, i ? " " : "", steps[i]);
	c->design = (struct settings){ N, ARENA_NEW(a, N, struct setting) };
	for (size_t k = 0; k < N; k++)
		c->design.list[k].key = keys[k];
	c->design.list[0].value = arena_printf(a, "%zu", c->results[0].n);
	c->design.list[1].value = arena_printf(a, "%zu", repeats);
	c->design.list[2].value = text;
}

static int get_results(const struct reader *r, const json_t *o, struct record *out)
{
	const json_t *list, *versions;

	TRY(get_part(r, o, "metric_versions", JSON_OBJECT, &versions));
	TRY(get_part(r, o, "results", JSON_ARRAY, &list));
	out->n_results = json_array_size(list);
	out->results = ARENA_NEW(r->arena, out->n_results, struct record_result);
	for (size_t i = 0; i < out->n_results; i++) {
		const json_t *e = json_array_get(list, i);
		struct record_result *s = &out->results[i];

		if (!json_is_object(e))
			return wrong(r, "results", "not a list of objects");
		TRY(get_text(r, e, "pass", NULL, &s->pass));
		TRY(get_text(r, e, "pass_title", "", &s->pass_title));
		TRY(get_count(r, e, "steps", &s->steps));
		TRY(get_count(r, e, "repeat", &s->repeat));
		TRY(get_count(r, e, "n", &s->n));
		TRY(get_values(r, e, versions, s));
		TRY(get_reports(r, e, s));
		TRY(get_number(r, e, "nonfinite", &s->nonfinite));
		TRY(get_odd_weights(r, e, s));
		TRY(get_text(r, e, "flow_skipped", "", &s->flow_skipped));
		TRY(get_number(r, e, "network_evaluations", &s->network_evaluations));
		TRY(get_number(r, e, "target_evaluations", &s->target_evaluations));
		TRY(get_number(r, e, "sample_seconds", &s->sample_seconds));
		TRY(get_number(r, e, "score_seconds", &s->score_seconds));
	}
	find_design(out, r->arena);
	return OK;
}

static int get_training(const struct reader *r, const json_t *o, struct record *out)
{
	const json_t *training, *curves;
	const char **keys;

	out->iterations = (double)NAN;
	TRY(get_part(r, o, "training", JSON_OBJECT, &training));
	if (!training)
		return OK;
	TRY(get_number(r, training, "iterations", &out->iterations));
	TRY(get_part(r, training, "curves", JSON_OBJECT, &curves));
	keys = keys_of(r, curves, &out->n_curves);
	out->curves = ARENA_NEW(r->arena, out->n_curves, struct record_curve);
	for (size_t i = 0; i < out->n_curves; i++) {
		struct record_curve *c = &out->curves[i];
		const json_t *curve;
		size_t n;

		c->name = keys[i];
		TRY(get_part(r, curves, keys[i], JSON_OBJECT, &curve));
		TRY(get_numbers(r, curve, "iteration", &c->n, &c->iteration));
		TRY(get_numbers(r, curve, "value", &n, &c->value));
		if (n != c->n)
			return wrong(r, keys[i], "iteration and value differ in length");
	}
	return OK;
}

static int get_cost(const struct reader *r, const json_t *o, struct record_cost *out)
{
	const json_t *cost;

	TRY(get_part(r, o, "cost", JSON_OBJECT, &cost));
	TRY(get_number(r, cost, "train_seconds", &out->train_seconds));
	TRY(get_number(r, cost, "peak_rss_mb", &out->peak_rss_mb));
	TRY(get_number(r, cost, "train_network_evaluations", &out->train_network_evaluations));
	TRY(get_number(r, cost, "train_target_evaluations", &out->train_target_evaluations));
	out->concurrent = get_flag(cost, "concurrent");
	return OK;
}

static int get_provenance(const struct reader *r, const json_t *o, struct provenance *out)
{
	const json_t *p;

	TRY(get_part(r, o, "provenance", JSON_OBJECT, &p));
	TRY(get_text(r, p, "commit", "", &out->commit));
	TRY(get_text(r, p, "compiler", "", &out->compiler));
	TRY(get_text(r, p, "flags", "", &out->flags));
	TRY(get_text(r, p, "variant", "", &out->variant));
	TRY(get_text(r, p, "cpu", "", &out->cpu));
	TRY(get_text(r, p, "blas_core", "", &out->blas_core));
	TRY(get_text(r, p, "libc", "", &out->libc));
	TRY(get_text(r, p, "date", "", &out->date));
	TRY(get_number(r, p, "threads", &out->threads));
	out->dirty = get_flag(p, "dirty");
	return OK;
}

static int get_head(const struct reader *r, const json_t *o, const char *kind)
{
	const char *found;
	size_t schema;

	if (!json_is_object(o))
		return fail(ERR_PARSE, "%s: not an object", r->path);
	TRY(get_count(r, o, "schema", &schema));
	if (schema != STORE_SCHEMA)
		return fail(ERR_VERSION, "%s: schema %zu; this program reads %d", r->path, schema,
			STORE_SCHEMA);
	TRY(get_text(r, o, "kind", NULL, &found));
	return strcmp(found, kind) ? wrong(r, "kind", found) : OK;
}

static const char *samples_path(const struct reader *r)
{
	int stem = (int)(strlen(r->path) - strlen(".json"));

	return arena_printf(r->arena, "%.*s.samples.csv", stem, r->path);
}

/* A method that has a label from the user is one of its own. */
static void take_label(const struct reader *r, struct record *out)
{
	for (size_t k = 0; k < out->options.n; k++)
		if (!strcmp(out->options.list[k].key, "label") && *out->options.list[k].value) {
			out->method_title = out->options.list[k].value;
			out->method =
				arena_printf(r->arena, "%s:%s", out->method, out->method_title);
		}
}

static int get_cell(const struct reader *r, const json_t *o, void *list, size_t i)
{
	struct record *out = (struct record *)list + i;

	TRY(get_head(r, o, "cell"));
	TRY(get_text(r, o, "key", NULL, &out->key));
	TRY(get_text(r, o, "method", NULL, &out->method));
	TRY(get_text(r, o, "method_title", out->method, &out->method_title));
	TRY(get_text(r, o, "target", NULL, &out->target));
	TRY(get_text(r, o, "target_title", out->target, &out->target_title));
	TRY(get_text(r, o, "state", NULL, &out->state));
	TRY(get_text(r, o, "message", "", &out->message));
	TRY(get_text(r, o, "code", "", &out->code));
	TRY(get_count(r, o, "dim", &out->dim));
	if (!json_is_integer(json_object_get(o, "seed")))
		return wrong(r, "seed", "not a whole number");
	out->seed = (long)json_integer_value(json_object_get(o, "seed"));
	out->samples = samples_path(r);
	TRY(get_settings(r, o, "options", &out->options));
	take_label(r, out);
	TRY(get_settings(r, o, "target_options", &out->target_options));
	TRY(get_log_z(r, o, &out->log_z));
	TRY(get_training(r, o, out));
	TRY(get_results(r, o, out));
	TRY(get_cost(r, o, &out->cost));
	return get_provenance(r, o, &out->provenance);
}

/* --- a floor --------------------------------------------------------------------------------- */

static int get_floor(const struct reader *r, const json_t *o, void *list, size_t i)
{
	struct floor_record *out = (struct floor_record *)list + i;
	const json_t *values;
	const char **keys;

	TRY(get_head(r, o, "floor"));
	TRY(get_text(r, o, "target", NULL, &out->target));
	TRY(get_text(r, o, "target_title", out->target, &out->target_title));
	TRY(get_count(r, o, "dim", &out->dim));
	TRY(get_count(r, o, "n", &out->n));
	TRY(get_number(r, o, "draws", &out->draws));
	TRY(get_settings(r, o, "target_options", &out->target_options));
	TRY(get_log_z(r, o, &out->log_z));
	out->samples = samples_path(r);
	TRY(get_part(r, o, "metrics", JSON_OBJECT, &values));
	keys = keys_of(r, values, &out->n_values);
	out->values = ARENA_NEW(r->arena, out->n_values, struct floor_value);
	for (size_t k = 0; k < out->n_values; k++) {
		struct floor_value *v = &out->values[k];
		const json_t *m;

		TRY(get_part(r, values, keys[k], JSON_OBJECT, &m));
		v->metric = keys[k];
		v->version = (int)json_integer_value(json_object_get(m, "version"));
		TRY(get_number(r, m, "mean", &v->mean));
		TRY(get_number(r, m, "sd", &v->sd));
		TRY(get_number(r, m, "q95", &v->q95));
		TRY(get_numbers(r, m, "values", &v->n_values, &v->values));
	}
	return OK;
}

/* --- perf.json ------------------------------------------------------------------------------- */

static int get_named(const struct reader *r, const json_t *o, const char *key, size_t *n,
	struct perf_number **out)
{
	const json_t *object;
	const char **keys;

	TRY(get_part(r, o, key, JSON_OBJECT, &object));
	keys = keys_of(r, object, n);
	*out = ARENA_NEW(r->arena, *n, struct perf_number);
	for (size_t i = 0; i < *n; i++) {
		(*out)[i].name = keys[i];
		TRY(get_number(r, object, keys[i], &(*out)[i].value));
	}
	return OK;
}

static int get_perf(const struct reader *r, const json_t *o, void *list, size_t unused)
{
	struct records *out = list;
	const json_t *workloads;

	(void)unused;
	if (!json_is_object(o))
		return fail(ERR_PARSE, "%s: not an object", r->path);
	TRY(get_named(r, o, "sgemm_gflops", &out->n_sgemm, &out->sgemm));
	TRY(get_named(r, o, "graph_over_hand_loop", &out->n_ratios, &out->ratios));
	TRY(get_part(r, o, "workloads", JSON_ARRAY, &workloads));
	out->n_workloads = json_array_size(workloads);
	out->workloads = ARENA_NEW(r->arena, out->n_workloads, struct perf_workload);
	for (size_t i = 0; i < out->n_workloads; i++) {
		const json_t *e = json_array_get(workloads, i);
		struct perf_workload *w = &out->workloads[i];

		TRY(get_text(r, e, "workload", NULL, &w->name));
		TRY(get_number(r, e, "threads", &w->threads));
		TRY(get_number(r, e, "ms", &w->ms));
		TRY(get_number(r, e, "flops", &w->flops));
		TRY(get_number(r, e, "efficiency", &w->efficiency));
		TRY(get_number(r, e, "peak_rss_mb", &w->peak_rss_mb));
	}
	return OK;
}

/* --- files ----------------------------------------------------------------------------------- */

typedef int read_one(const struct reader *r, const json_t *o, void *list, size_t i);

static int read_json(const char *path, read_one *get, void *list, size_t i, struct arena *a)
{
	struct reader r = { path, a };
	json_error_t e;
	json_t *o = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
	int code;

	if (!o && e.line < 0)
		return fail(ERR_IO, "%s: %s", path, e.text);
	if (!o)
		return fail(ERR_PARSE, "%s:%d: %s", path, e.line, e.text);
	code = get(&r, o, list, i);
	json_decref(o);
	return code;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && !strcmp(text + n - m, end);
}

/* Names of the .json files of a folder, sorted; n = 0 when it is not there. */
static int list_json(const char *dir, size_t *n, const char ***names, struct arena *a)
{
	DIR *d = opendir(dir);
	size_t room = 64;
	const struct dirent *e;

	*n = 0;
	*names = NULL;
	if (!d)
		return errno == ENOENT ? OK : fail(ERR_IO, "%s: %s", dir, strerror(errno));
	*names = ARENA_NEW(a, room, const char *);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' || !ends_with(e->d_name, ".json"))
			continue;
		if (*n == room) {
			const char **more = ARENA_NEW(a, 2 * room, const char *);

			memcpy(more, *names, room * sizeof(*more));
			*names = more;
			room *= 2;
		}
		(*names)[(*n)++] = arena_strdup(a, e->d_name);
	}
	closedir(d);
	qsort(*names, *n, sizeof(**names), by_text);
	return OK;
}

/* --- the grid: which records belong to the run ----------------------------------------------- */

struct grid_keys {
	bool present; /* without a grid.json every record counts */
	size_t n;
	const char **keys; /* of cells and of floors, sorted */
};

static int get_keys(const struct reader *r, const json_t *o, void *out, size_t unused)
{
	static const char *const lists[] = { "cells", "floors" };
	struct grid_keys *g = out;
	const json_t *list[2];

	(void)unused;
	TRY(get_head(r, o, "grid"));
	for (size_t k = 0; k < 2; k++)
		TRY(get_part(r, o, lists[k], JSON_ARRAY, &list[k]));
	g->keys = arena_alloc(r->arena, json_array_size(list[0]) + json_array_size(list[1]),
		sizeof(*g->keys));
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < json_array_size(list[k]); i++) {
			const char *key = json_string_value(json_array_get(list[k], i));

			if (!key)
				return wrong(r, lists[k], "not a list of keys");
			g->keys[g->n++] = arena_strdup(r->arena, key);
		}
	qsort(g->keys, g->n, sizeof(*g->keys), by_text);
	g->present = true;
	return OK;
}

static int read_keys(const char *dir, struct grid_keys *g, struct arena *a)
{
	const char *path = arena_printf(a, "%s/grid.json", dir);

	*g = (struct grid_keys){ 0 };
	return access(path, F_OK) ? OK : read_json(path, get_keys, g, 0, a);
}

/* Keep the names KEY.json whose key is listed. */
static void keep_listed(const struct grid_keys *g, size_t *n, const char **names, struct arena *a)
{
	size_t kept = 0;

	for (size_t i = 0; g->present && i < *n; i++) {
		int stem = (int)(strlen(names[i]) - strlen(".json"));
		const char *key = arena_printf(a, "%.*s", stem, names[i]);

		if (g->n && bsearch(&key, g->keys, g->n, sizeof(*g->keys), by_text))
			names[kept++] = names[i];
	}
	*n = g->present ? kept : *n;
}

/* left_out: how many are there that are not listed. */
static int read_all(const char *dir, const char *folder, const struct grid_keys *g, size_t size,
	read_one *get, size_t *n, void **list, size_t *left_out, struct arena *a)
{
	const char *path = arena_printf(a, "%s/%s", dir, folder);
	const char **names;

	TRY(list_json(path, n, &names, a));
	*left_out = *n;
	keep_listed(g, n, names, a);
	*left_out -= *n;
	*list = arena_zalloc(a, *n, size);
	for (size_t i = 0; i < *n; i++)
		TRY(read_json(arena_printf(a, "%s/%s", path, names[i]), get, *list, i, a));
	return OK;
}

static int read_config(const char *dir, const char **out, struct arena *a)
{
	const char *path = arena_printf(a, "%s/config.yaml", dir);
	FILE *f = fopen(path, "r");
	size_t room = 1u << 16, used;
	char *text;

	*out = NULL;
	if (!f)
		return errno == ENOENT ? OK : fail(ERR_IO, "%s: %s", path, strerror(errno));
	text = arena_alloc(a, room + 1, 1);
	used = fread(text, 1, room, f);
	text[used] = 0;
	fclose(f);
	*out = text;
	return OK;
}

/* --- order, variants, superseded cells ------------------------------------------------------- */

static int settings_compare(const struct settings *a, const struct settings *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		int order = strcmp(a->list[i].key, b->list[i].key);

		if (!order)
			order = strcmp(a->list[i].value, b->list[i].value);
		if (order)
			return order;
	}
	return (a->n > b->n) - (a->n < b->n);
}

bool settings_equal(const struct settings *a, const struct settings *b)
{
	return settings_compare(a, b) == 0;
}

static int same_cell(const struct record *a, const struct record *b)
{
	int order = strcmp(a->target, b->target);

	if (!order)
		order = settings_compare(&a->target_options, &b->target_options);
	if (!order)
		order = strcmp(a->method, b->method);
	if (!order)
		order = settings_compare(&a->options, &b->options);
	if (!order)
		order = (a->seed > b->seed) - (a->seed < b->seed);
	return order ? order : settings_compare(&a->design, &b->design);
}

/* Of the same settings and seed the newest comes first. */
static int by_cell(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	int order = same_cell(x, y);

	if (!order)
		order = strcmp(y->provenance.date, x->provenance.date);
	return order ? order : strcmp(y->key, x->key);
}

static void drop_superseded(struct records *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->n_cells; i++)
		if (!kept || same_cell(&r->cells[kept - 1], &r->cells[i]))
			r->cells[kept++] = r->cells[i];
	r->superseded = r->n_cells - kept;
	r->n_cells = kept;
}

static const char *setting_value(const struct settings *s, const char *key)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->list[i].key, key))
			return s->list[i].value;
	return "";
}

typedef const struct settings *settings_of(const struct record *r);

static const struct settings *options_of(const struct record *r)
{
	return &r->options;
}

static const struct settings *design_of(const struct record *r)
{
	return &r->design;
}

static const struct settings *target_options_of(const struct record *r)
{
	return &r->target_options;
}

static bool same_target(const struct record *a, const struct record *b)
{
	return !strcmp(a->target, b->target);
}

static bool same_method(const struct record *a, const struct record *b)
{
	return same_target(a, b) && settings_equal(&a->target_options, &b->target_options) &&
	       !strcmp(a->method, b->method);
}

/* "key=value, ...": the settings of `own` that differ among its peers. */
static const char *variant_of(const struct records *r, const struct record *own,
	bool (*peers)(const struct record *a, const struct record *b), settings_of *of,
	struct arena *a)
{
	const struct settings *mine = of(own);
	const char *text = "";

	for (size_t k = 0; k < mine->n; k++) {
		const struct setting *s = &mine->list[k];
		bool differs = false;

		for (size_t i = 0; i < r->n_cells && !differs; i++)
			differs = peers(own, &r->cells[i]) && of(&r->cells[i])->n &&
				  strcmp(setting_value(of(&r->cells[i]), s->key), s->value);
		if (differs)
			text = arena_printf(a, "%s%s%s=%s", text, *text ? ", " : "", s->key,
				s->value);
	}
	return text;
}

static int read_records(const char *dir, bool all, struct records *out, struct arena *a)
{
	const char *perf = arena_printf(a, "%s/perf.json", dir);
	struct grid_keys grid = { 0 };
	size_t other_floors;
	void *list;
	FILE *f;

	*out = (struct records){ .dir = dir };
	if (!all)
		TRY(read_keys(dir, &grid, a));
	TRY(read_all(dir, "cells", &grid, sizeof(struct record), get_cell, &out->n_cells, &list,
		&out->others, a));
	out->cells = list;
	if (!out->n_cells)
		return fail(ERR_IO,
			"%s: no records there (%s/cells/*.json); `stride run` makes them", dir,
			dir);
	TRY(read_all(dir, "floors", &grid, sizeof(struct floor_record), get_floor, &out->n_floors,
		&list, &other_floors, a));
	out->floors = list;
	TRY(read_config(dir, &out->config, a));
	f = fopen(perf, "r");
	if (f) {
		fclose(f);
		TRY(read_json(perf, get_perf, out, 0, a));
	}
	qsort(out->cells, out->n_cells, sizeof(*out->cells), by_cell);
	drop_superseded(out);
	for (size_t i = 0; i < out->n_cells; i++) {
		struct record *c = &out->cells[i];

		const char *design = variant_of(out, c, same_method, design_of, a);

		c->variant = variant_of(out, c, same_method, options_of, a);
		if (*design)
			c->variant = arena_printf(a, "%s%s%s", c->variant, *c->variant ? ", " : "",
				design);
		c->target_variant = variant_of(out, c, same_target, target_options_of, a);
	}
	return OK;
}

int records_read(const char *dir, struct records *out, struct arena *a)
{
	return read_records(dir, false, out, a);
}

int records_read_all(const char *dir, struct records *out, struct arena *a)
{
	return read_records(dir, true, out, a);
}

/* --- samples --------------------------------------------------------------------------------- */

/* One coordinate of a row; false when it is no number. */
static bool coordinate(const struct csv *t, size_t row, size_t col, double *out)
{
	const char *text = t->cell[row * t->cols + col];
	char *end;

	*out = strtod(text, &end);
	return end != text && *end == 0;
}

static bool wanted(const struct csv *t, size_t row, const char *pass, size_t steps)
{
	const char **cell = &t->cell[row * t->cols];

	return !pass || (!strcmp(cell[0], pass) && strtoull(cell[1], NULL, 10) == steps);
}

int samples_read(const char *path, const char *pass, size_t steps, size_t limit, size_t *n,
	double **xy, struct arena *a)
{
	const size_t first = pass ? 2 : 0; /* column of x1 */
	struct arena_mark mark;
	struct csv t;

	*n = 0;
	*xy = NULL;
	if (access(path, F_OK))
		return OK;
	*xy = arena_alloc(a, 2 * limit, sizeof(**xy));
	mark = arena_mark(a);
	TRY(csv_read_text(&t, path, a));
	for (size_t i = 0; i < t.rows && *n < limit && first + 2 <= t.cols; i++) {
		double *p = &(*xy)[2 * *n];

		if (!wanted(&t, i, pass, steps))
			continue;
		if (!coordinate(&t, i, first, &p[0]) || !coordinate(&t, i, first + 1, &p[1]))
			return fail(ERR_PARSE, "%s:%zu: not a row of samples", path, t.line[i]);
		*n += isfinite(p[0]) && isfinite(p[1]);
	}
	arena_release(a, mark);
	return OK;
}
