#include "run/reference.h"

#include "core/place.h"
#include "core/stats.h"
#include "run/record.h"

#include <stdlib.h>
#include <unistd.h>

enum { DIM_MAX = 100000 };

/* --- which density ---------------------------------------------------------------------------- */

/* Fixed points around 0, where log rho tells densities apart. */
static void probe(const struct density *d, double *log_rho, struct arena *a)
{
	const struct rng r = { .seed = 1, .purpose = RNG_USER };
	const size_t dim = density_dim(d);
	struct arena_mark mark = arena_mark(a);
	double *x = arena_alloc(a, REFERENCE_PROBES * dim, sizeof(*x));

	for (size_t k = 0; k < dim; k++)
		for (size_t i = 0; i < REFERENCE_PROBES; i++)
			x[k * REFERENCE_PROBES + i] = 0.5 * rng_gauss(r, 0, i, (uint32_t)k);
	density_eval(d, REFERENCE_PROBES, x, log_rho, NULL);
	arena_release(a, mark);
}

/* Rounding differs between processors and builds; densities of other data differ by far more. */
static bool same_probes(const double *x, const double *y)
{
	for (size_t i = 0; i < REFERENCE_PROBES; i++)
		if (!(fabs(x[i] - y[i]) <= 1e-8 * (1 + fabs(x[i]))))
			return false;
	return true;
}

bool reference_matches(const struct reference *r, const struct density *d)
{
	struct arena *a = arena_new();
	double log_rho[REFERENCE_PROBES];

	probe(d, log_rho, a);
	arena_free(a);
	return r->dim == density_dim(d) && same_probes(r->probe, log_rho);
}

/* --- what all runs say ------------------------------------------------------------------------ */

/* Values of n ways together: their mean by inverse variance, the error enlarged where they differ by more than
 * theirs. The first one where its error or that of another is none to weigh by. */
static struct running pooled(const struct running *const *of, size_t n)
{
	double weights = 0, sum = 0, chi_square = 0;

	for (size_t i = 0; i < n; i++) {
		double weight = 1 / (of[i]->se * of[i]->se);
		weights += weight;
		sum += weight * of[i]->value;
	}
	if (!isfinite(weights))
		return *of[0];
	for (size_t i = 0; i < n; i++)
		chi_square += pow((of[i]->value - sum / weights) / of[i]->se, 2);
	const double enlarged = n > 1 ? fmax(1, sqrt(chi_square / (double)(n - 1))) : 1;
	return (struct running){ sum / weights, enlarged * sqrt(1 / weights) };
}

/* A single run's error is not known; that of runs far apart is not what it says. */
static bool counts(const struct reference_way *w)
{
	return isfinite(w->log_z.se) && w->log_z.se > 0 && !(w->spread > REFERENCE_SPREAD);
}

static void combine(struct reference *r, struct arena *a)
{
	const struct reference_way *used[REFERENCE_WAYS];
	const struct running *of[REFERENCE_WAYS];
	const char *source = "";
	size_t n = 0;

	if (r->n_ways == 0)
		return;
	for (size_t i = 0; i < r->n_ways; i++) {
		const struct reference_way *w = &r->way[i];
		if (!counts(w))
			continue;
		source = arena_printf(a, "%s%s%zu runs of %s", source, n > 0 ? "; " : "", w->runs,
			w->what);
		of[n] = &w->log_z;
		used[n++] = w;
	}
	const struct running log_z =
		n > 0 ? pooled(of, n) : (struct running){ (double)NAN, (double)NAN };
	r->log_z = (struct log_z){ n > 0 ? LOG_Z_ESTIMATE : LOG_Z_UNKNOWN, log_z.value, log_z.se,
		source };
	/* There are moments before there is an error. */
	if (n == 0)
		used[n++] = &r->way[0];
	for (size_t k = 0; k < r->dim; k++) {
		for (size_t i = 0; i < n; i++)
			of[i] = &used[i]->mean[k];
		const struct running mean = pooled(of, n);
		for (size_t i = 0; i < n; i++)
			of[i] = &used[i]->sd[k];
		const struct running sd = pooled(of, n);
		r->mean[k] = mean.value;
		r->mean_se[k] = mean.se;
		r->sd[k] = sd.value;
		r->sd_se[k] = sd.se;
	}
}

double reference_disagreement(const struct reference *r)
{
	double worst = 0;

	for (size_t i = 0; i < r->n_ways; i++)
		for (size_t j = 0; j < i; j++) {
			const struct running *x = &r->way[i].log_z, *y = &r->way[j].log_z;
			double apart = fabs(x->value - y->value) / hypot(x->se, y->se);
			if (r->way[i].runs > 1 && r->way[j].runs > 1)
				worst = apart <= worst ? worst : isnan(apart) ? HUGE_VAL : apart;
		}
	return worst;
}

/* --- adding runs ------------------------------------------------------------------------------ */

static struct reference *empty(size_t dim, struct arena *a)
{
	struct reference *r = ARENA_NEW(a, 1, struct reference);

	*r = (struct reference){ .dim = dim,
		.mean = ARENA_NEW(a, dim, double),
		.sd = ARENA_NEW(a, dim, double),
		.mean_se = ARENA_NEW(a, dim, double),
		.sd_se = ARENA_NEW(a, dim, double) };
	r->log_z.kind = LOG_Z_UNKNOWN;
	r->log_z.source = "";
	return r;
}

struct reference *reference_new(const struct density *d, struct arena *a)
{
	struct reference *r = empty(density_dim(d), a);

	probe(d, r->probe, a);
	return r;
}

static const struct reference_way *find_way(const struct reference *r, const char *name)
{
	for (size_t i = 0; i < r->n_ways; i++)
		if (strcmp(r->way[i].name, name) == 0)
			return &r->way[i];
	return NULL;
}

size_t reference_runs(const struct reference *r, const char *way, const char *what)
{
	const struct reference_way *w = find_way(r, way);

	return w != NULL && strcmp(w->what, what) == 0 ? w->runs : 0;
}

/* The way of this name, without runs. */
static struct reference_way *start_way(struct reference *r, const char *name, const char *what,
	struct arena *a)
{
	const struct reference_way *found = find_way(r, name);
	struct reference_way *w = found != NULL ? &r->way[found - r->way] : &r->way[r->n_ways++];

	invariant(r->n_ways <= REFERENCE_WAYS);
	*w = (struct reference_way){ .name = arena_strdup(a, name),
		.what = arena_strdup(a, what),
		.run_log_z = ARENA_NEW(a, REFERENCE_RUNS, double),
		.run_seconds = ARENA_NEW(a, REFERENCE_RUNS, double),
		.mean = ARENA_NEW(a, r->dim, struct running),
		.sd = ARENA_NEW(a, r->dim, struct running) };
	return w;
}

/* The mean of n + 1 values from that of n and its standard error. */
static void running_add(struct running *m, size_t n, double x)
{
	const double count = (double)n, more = count + 1;

	if (n == 0) {
		*m = (struct running){ x, (double)NAN };
		return;
	}
	double squares = n > 1 ? m->se * m->se * count * (count - 1) : 0;
	double delta = x - m->value;
	m->value += delta / more;
	squares += delta * (x - m->value);
	m->se = sqrt(squares / (more * count));
}

/* log Z of all runs. */
static void summarise(struct reference_way *w)
{
	double variance = stats_variance(w->run_log_z, w->runs);
	struct weight_stats s;

	stats_weights(w->run_log_z, w->runs, 1, &s);
	w->spread = sqrt(variance);
	w->log_z = (struct running){ s.log_mean, hypot(s.log_mean_se, variance / 2) };
}

void reference_add(struct reference *r, const char *way, const char *what, double log_z,
	const double *mean, const double *sd, double seconds, struct arena *a)
{
	const struct reference_way *found = find_way(r, way);
	struct reference_way *w = found != NULL && strcmp(found->what, what) == 0
					  ? &r->way[found - r->way]
					  : start_way(r, way, what, a);

	invariant(w->runs < REFERENCE_RUNS && isfinite(log_z));
	for (size_t k = 0; k < r->dim; k++) {
		running_add(&w->mean[k], w->runs, mean[k]);
		running_add(&w->sd[k], w->runs, sd[k]);
	}
	w->run_log_z[w->runs] = log_z;
	w->run_seconds[w->runs++] = seconds;
	summarise(w);
	combine(r, a);
}

/* --- files ------------------------------------------------------------------------------------ */

/* Fields of the record at path; the first that is wrong is kept in code. */
struct reader {
	const char *path;
	int code;
};

static double number_at(struct reader *r, const json_t *v, const char *key)
{
	if (json_is_number(v))
		return json_number_value(v);
	if (!json_is_null(v) && r->code == OK)
		r->code = fail(ERR_PARSE, "%s: %s: not a number", r->path, key);
	return (double)NAN;
}

static void numbers_at(struct reader *r, const json_t *object, const char *key, size_t n,
	double *out, size_t stride)
{
	const json_t *list = json_object_get(object, key);

	if (json_array_size(list) != n && r->code == OK)
		r->code = fail(ERR_PARSE, "%s: %s: not a list of %zu numbers", r->path, key, n);
	for (size_t i = 0; i < n && r->code == OK; i++)
		out[i * stride] = number_at(r, json_array_get(list, i), key);
}

static const char *text_at(struct reader *r, const json_t *object, const char *key, struct arena *a)
{
	const char *s = json_string_value(json_object_get(object, key));

	if (s == NULL && r->code == OK)
		r->code = fail(ERR_PARSE, "%s: %s: not a text", r->path, key);
	return arena_strdup(a, s != NULL ? s : "");
}

/* struct running [n] as two lists. */
static void runnings_at(struct reader *r, const json_t *object, const char *key, size_t n,
	struct running *out, struct arena *a)
{
	numbers_at(r, object, key, n, &out->value, 2);
	numbers_at(r, object, arena_printf(a, "%s_se", key), n, &out->se, 2);
}

static void read_way(struct reader *in, struct reference *r, const json_t *o, struct arena *a)
{
	const char *name = text_at(in, o, "name", a), *what = text_at(in, o, "what", a);
	struct reference_way *w = start_way(r, name, what, a);
	size_t runs = json_array_size(json_object_get(o, "run_log_z"));

	if (runs == 0 || runs > REFERENCE_RUNS) {
		in->code = in->code != OK
				   ? in->code
				   : fail(ERR_PARSE, "%s: run_log_z: 1 to %d runs are possible",
					     in->path, REFERENCE_RUNS);
		return;
	}
	w->runs = runs;
	numbers_at(in, o, "run_log_z", runs, w->run_log_z, 1);
	numbers_at(in, o, "run_seconds", runs, w->run_seconds, 1);
	for (size_t i = 0; i < runs && in->code == OK; i++)
		if (!isfinite(w->run_log_z[i]))
			in->code = fail(ERR_PARSE, "%s: run_log_z: not a number", in->path);
	summarise(w);
	runnings_at(in, o, "mean", r->dim, w->mean, a);
	runnings_at(in, o, "sd", r->dim, w->sd, a);
}

static int from_json(struct reference **out, const json_t *o, const char *path, struct arena *a)
{
	const json_t *ways = json_object_get(o, "ways"), *schema = json_object_get(o, "schema");
	struct reader in = { path, OK };

	if (json_integer_value(schema) != REFERENCE_SCHEMA)
		return fail(ERR_VERSION, "%s: schema %lld; this program reads %d", path,
			(long long)json_integer_value(schema), REFERENCE_SCHEMA);
	long long dim = (long long)json_integer_value(json_object_get(o, "dim"));
	if (dim < 1 || dim > DIM_MAX)
		return fail(ERR_PARSE, "%s: dim: a number from 1 to %d is needed", path, DIM_MAX);
	if (json_array_size(ways) < 1 || json_array_size(ways) > REFERENCE_WAYS)
		return fail(ERR_PARSE, "%s: ways: a list of 1 to %d is needed", path,
			REFERENCE_WAYS);
	struct reference *r = empty((size_t)dim, a);
	numbers_at(&in, o, "probe", REFERENCE_PROBES, r->probe, 1);
	for (size_t i = 0; i < json_array_size(ways) && in.code == OK; i++)
		read_way(&in, r, json_array_get(ways, i), a);
	TRY(in.code);
	combine(r, a);
	*out = r;
	return OK;
}

int reference_read(struct reference **out, const char *path, struct arena *a)
{
	json_error_t e;
	json_t *o;

	*out = NULL;
	if (access(path, F_OK) != 0)
		return OK;
	o = json_load_file(path, 0, &e);
	if (o == NULL)
		return fail(ERR_PARSE, "%s:%d: not a reference: %s; delete it to make it anew",
			path, e.line, e.text);
	int code = from_json(out, o, path, a);
	json_decref(o);
	return code;
}

int reference_find(const struct reference **out, const struct density *d, struct arena *a)
{
	const char *file = arena_printf(a, "%s.json", density_target(d)->name);
	const char *folder = getenv("STRIDE_REFERENCES");
	const char *path = folder != NULL ? arena_printf(a, "%s/%s", folder, file)
					  : place_find("targets/references", "references", file, a);
	struct reference *r = NULL;

	*out = NULL;
	if (path != NULL)
		TRY(reference_read(&r, path, a));
	if (r != NULL && reference_matches(r, d))
		*out = r;
	return OK;
}

/* JSON has no NaN. */
static json_t *number_or_null(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static json_t *numbers(const double *x, size_t n, size_t stride)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, number_or_null(x[i * stride]));
	return list;
}

static json_t *way_document(const struct reference_way *w, size_t dim)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", w->name,
		"what", w->what, "log_z", number_or_null(w->log_z.value), "log_z_se",
		number_or_null(w->log_z.se), "run_log_z", numbers(w->run_log_z, w->runs, 1),
		"run_seconds", numbers(w->run_seconds, w->runs, 1), "mean",
		numbers(&w->mean->value, dim, 2), "mean_se", numbers(&w->mean->se, dim, 2), "sd",
		numbers(&w->sd->value, dim, 2), "sd_se", numbers(&w->sd->se, dim, 2));
}

int reference_save(const struct reference *r, const char *target, const char *path)
{
	json_t *ways = json_array(), *o;

	for (size_t i = 0; i < r->n_ways; i++)
		json_array_append_new(ways, way_document(&r->way[i], r->dim));
	o = json_pack("{s:i, s:s, s:s, s:i, s:o, s:o, s:o}", "schema", REFERENCE_SCHEMA, "kind",
		"reference", "target", target, "dim", (int)r->dim, "probe",
		numbers(r->probe, REFERENCE_PROBES, 1), "ways", ways, "provenance",
		record_provenance());
	invariant(o != NULL);
	int code = store_save_at(path, o);
	json_decref(o);
	return code;
}
