#include "run/record.h"
#include "core/stats.h"
#include "core/text.h"
#include "run/info.h"
#include "core/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

json_t *record_number(double x)
{
	if (isfinite(x))
		return json_real(x);
	return json_string(isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
}

double record_number_of(const json_t *v)
{
	const char *word = json_string_value(v);

	if (word == NULL)
		return json_is_number(v) ? json_number_value(v) : (double)NAN;
	return strcmp(word, "inf") == 0    ? (double)INFINITY
	       : strcmp(word, "-inf") == 0 ? (double)-INFINITY
					   : (double)NAN;
}

static json_t *count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* Null where nobody counted. */
static json_t *evaluations(const struct plan_cell *c, uint64_t n)
{
	return c->method->uncounted ? json_null() : count(n);
}

json_t *record_text(const char *text)
{
	if (text == NULL)
		return json_null();
	char *copy = strdup(text);
	invariant(copy != NULL);
	text_repair(copy);
	json_t *out = json_string(copy);
	free(copy);
	return out;
}

static json_t *settings(const struct resolved *r)
{
	json_t *object = json_object();

	for (size_t i = 0; i < r->n; i++)
		json_object_set_new(object, r->settings[i].key, record_text(r->settings[i].value));
	return object;
}

static json_t *log_z(const struct log_z *z)
{
	static const char *const kinds[] = { [LOG_Z_UNKNOWN] = "unknown",
		[LOG_Z_EXACT] = "exact",
		[LOG_Z_QUADRATURE] = "quadrature",
		[LOG_Z_ESTIMATE] = "estimate",
		[LOG_Z_INFINITE] = "infinite" };

	return json_pack("{s:s, s:o, s:o, s:s}", "kind", kinds[z->kind], "value",
		record_number(z->value), "se", record_number(z->se), "source", z->source);
}

json_t *record_provenance(void)
{
	char date[32];
	time_t now = time(NULL);
	struct tm utc;

	gmtime_r(&now, &utc);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &utc);
	return json_pack("{s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s}", "commit",
		version.commit, "dirty", version.dirty, "compiler", version.compiler, "flags",
		version.flags, "variant", version.variant, "cpu", info_cpu(), "blas_core",
		info_blas_core(), "threads", count(parallel_threads()), "libc", info_libc(), "date",
		date);
}

/* --- cells ------------------------------------------------------------------------------------ */

/* A training's, the names beginning with the prefix, and those of its teachers. */
static void add_curves(json_t *object, const struct training *t, const char *prefix)
{
	char name[128];

	for (const struct curve *c = t->curves; c != NULL; c = c->next) {
		json_t *iterations = json_array(), *values = json_array();
		for (size_t i = 0; i < c->n; i++) {
			json_array_append_new(iterations, json_integer(c->iteration[i]));
			json_array_append_new(values, record_number(c->value[i]));
		}
		snprintf(name, sizeof(name), "%s%s", prefix, c->name);
		json_object_set_new(object, name,
			json_pack("{s:o, s:o}", "iteration", iterations, "value", values));
	}
	for (size_t i = 0; i < t->n_of; i++) {
		if (i == 0)
			snprintf(name, sizeof(name), "%steacher ", prefix);
		else
			snprintf(name, sizeof(name), "%steacher %zu ", prefix, i + 1);
		add_curves(object, t->of[i], name);
	}
}

static void add_text(json_t *array, const char *text)
{
	json_t *one;
	size_t i;

	json_array_foreach(array, i, one)
	{
		if (strcmp(json_string_value(one), text) == 0)
			return;
	}
	json_array_append_new(array, json_string(text));
}

/* The sources that had part in a training, each once. */
static void add_codes(json_t *array, const struct training *t)
{
	for (size_t i = 0; i < t->n_codes; i++)
		add_text(array, t->codes[i]);
	for (size_t i = 0; i < t->n_of; i++)
		add_codes(array, t->of[i]);
}

static void add_teachers(json_t *array, const struct training *t)
{
	for (size_t i = 0; i < t->n_of; i++) {
		const struct training *of = t->of[i];
		json_array_append_new(array,
			json_pack("{s:s, s:s, s:i}", "method", of->method->name, "key", of->key,
				"iterations", (int)of->iterations));
		add_teachers(array, of);
	}
}

static json_t *training(const struct training *t)
{
	json_t *curves = json_object(), *codes = json_array(), *of = json_array();

	add_curves(curves, t, "");
	add_codes(codes, t);
	add_teachers(of, t);
	return json_pack("{s:o, s:o, s:s, s:o, s:o}", "iterations", json_integer(t->iterations),
		"curves", curves, "key", t->key, "code", codes, "of", of);
}

static const char *weights_name(enum weights w)
{
	static const char *const names[] = { [WEIGHTS_NONE] = "none",
		[WEIGHTS_EXACT] = "exact",
		[WEIGHTS_DETFLOW] = "detflow",
		[WEIGHTS_BIASED] = "biased" };

	return names[w];
}

json_t *record_known(double x)
{
	return isnan(x) ? json_null() : record_number(x);
}

static json_t *score_json(const struct value *v)
{
	json_t *object = json_pack("{s:o, s:o}", "value", record_number(v->value), "se",
		record_known(v->se));

	if (!isnan(v->p))
		json_object_set_new(object, "p", record_number(v->p));
	return object;
}

/* Log weights that are not finite; kinds without any are left out. */
static json_t *odd_weights(const struct result *r)
{
	json_t *object = json_object();

	for (size_t k = 0; k < SCORED_WEIGHTS; k++) {
		const struct nonfinite *o = &r->odd[k];
		if (o->minus + o->nan + o->plus > 0)
			json_object_set_new(object, scored_weights[k],
				json_pack("{s:o, s:o, s:o}", "-inf", count(o->minus), "nan",
					count(o->nan), "inf", count(o->plus)));
	}
	return object;
}

static json_t *result(const struct plan_cell *c, const struct result *r, size_t n)
{
	json_t *values = json_object(), *failures = json_object(), *reports = json_object();

	for (size_t i = 0; i < r->n_scores; i++) {
		const struct score *s = &r->scores[i];
		if (s->failure != NULL) {
			json_object_set_new(failures, s->metric->name, record_text(s->failure));
			continue;
		}
		json_object_set_new(values, s->metric->name, score_json(&s->value));
	}
	for (size_t i = 0; i < r->reports.n; i++)
		json_object_set_new(reports, r->reports.of[i].name,
			record_number(r->reports.of[i].value));
	json_t *object = json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"pass", r->pass->name, "pass_title", r->pass->title, "weights",
		weights_name(r->weights), "steps", count(r->steps), "repeat", count(r->repeat), "n",
		count(n), "metrics", values, "failed_metrics", failures, "reports", reports,
		"nonfinite", count(r->nonfinite), "diverged", record_text(r->diverged),
		"nonfinite_weights", odd_weights(r), "network_evaluations",
		evaluations(c, r->evaluations.network), "target_evaluations",
		evaluations(c, r->evaluations.target), "sample_seconds",
		record_number(r->sample_seconds), "score_seconds", record_number(r->score_seconds));
	if (r->flow_skipped != NULL)
		json_object_set_new(object, "flow_skipped", record_text(r->flow_skipped));
	return object;
}

static json_t *results(const struct plan *p, const struct plan_cell *c, const struct outcome *o)
{
	json_t *array = json_array();

	for (size_t i = 0; i < o->n_results; i++)
		json_array_append_new(array, result(c, &o->results[i], p->config->samples));
	return array;
}

static json_t *metric_versions(const struct config *c)
{
	json_t *object = json_object();

	for (size_t i = 0; i < c->n_metrics; i++)
		json_object_set_new(object, c->metrics[i]->name,
			json_integer(c->metrics[i]->version));
	return object;
}

static json_t *cost(const struct plan_cell *c, const struct outcome *o,
	const struct circumstances *when)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "train_seconds",
		record_number(training_seconds(&o->training, false)), "sample_seconds",
		record_number(o->sample_seconds), "score_seconds", record_number(o->score_seconds),
		"cpu_seconds", record_number(when->cpu_seconds), "peak_rss_mb",
		record_number(info_peak_rss_mb()), "train_network_evaluations",
		evaluations(c, o->trained.network), "train_target_evaluations",
		evaluations(c, o->trained.target), "concurrent", when->concurrent);
}

/* The members that cells and floors share. */
static json_t *record_start(const char *kind, const char *key, const struct plan_target *t)
{
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "schema", STORE_SCHEMA, "kind",
		kind, "key", key, "target", t->target->name, "target_title", t->target->title,
		"dim", count(t->dim), "target_options", settings(&t->options), "log_z",
		log_z(&t->log_z));
}

json_t *record_cell(const struct plan *p, const struct plan_cell *c, const struct outcome *o,
	const struct circumstances *when)
{
	json_t *record = record_start("cell", c->key, c->target);
	json_t *rest = json_pack("{s:s, s:s, s:i, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:s, "
				 "s:o, s:o}",
		"method", c->method->name, "method_title", c->method->title, "method_version",
		c->method->version, "seed", count(c->seed), "options", settings(&c->options),
		"state", cell_state_name(o->state), "message", record_text(o->message), "training",
		training(&o->training), "results", results(p, c, o), "cost", cost(c, o, when),
		"code", version.code, "metric_versions", metric_versions(p->config), "provenance",
		record_provenance());

	invariant(record != NULL && rest != NULL);
	json_object_update(record, rest);
	json_decref(rest);
	return record;
}

/* --- floors ----------------------------------------------------------------------------------- */

/* The values come first: the quantile reorders them. */
static json_t *floor_scores(const struct floor_scores *f)
{
	json_t *values = json_array();

	for (size_t i = 0; i < f->n; i++)
		json_array_append_new(values, record_number(f->values[i]));
	return json_pack("{s:i, s:o, s:o, s:o, s:o}", "version", f->metric->version, "values",
		values, "mean", record_number(stats_mean(f->values, f->n)), "sd",
		record_number(sqrt(stats_variance(f->values, f->n))), "q95",
		record_number(stats_quantile(f->values, f->n, 0.95)));
}

json_t *record_floor(const struct plan *p, const struct plan_target *t,
	const struct floor_scores *scores, size_t n)
{
	json_t *record = record_start("floor", t->floor_key, t);
	json_t *values = json_object();

	for (size_t i = 0; i < n; i++)
		json_object_set_new(values, scores[i].metric->name, floor_scores(&scores[i]));
	invariant(record != NULL);
	json_object_set_new(record, "n", count(p->config->samples));
	json_object_set_new(record, "draws", count(p->config->floor_draws));
	json_object_set_new(record, "metrics", values);
	json_object_set_new(record, "code", json_string(version.code));
	json_object_set_new(record, "provenance", record_provenance());
	return record;
}

/* --- comparison ------------------------------------------------------------------------------- */

/* The record without what may differ between equal runs. */
static int load_content(const char *path, json_t **out)
{
	json_error_t e;
	json_t *record = json_load_file(path, 0, &e), *one;
	size_t i;

	if (record == NULL)
		return fail(ERR_PARSE, "%s:%d: %s", path, e.line, e.text);
	json_object_del(record, "cost");
	json_object_del(record, "provenance");
	json_array_foreach(json_object_get(record, "results"), i, one)
	{
		json_object_del(one, "sample_seconds");
		json_object_del(one, "score_seconds");
	}
	*out = record;
	return OK;
}

int record_same(const char *path_a, const char *path_b, bool *same)
{
	json_t *a, *b;

	TRY(load_content(path_a, &a));
	int code = load_content(path_b, &b);
	if (code == OK) {
		*same = json_equal(a, b);
		json_decref(b);
	}
	json_decref(a);
	return code;
}
