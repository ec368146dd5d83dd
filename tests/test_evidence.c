/* Exact weights of deterministic flows: linear flows in closed form, a fold whose integrals are known by
 * quadrature, log Z of targets that know it; the statistics of log weights. */
#include "core/stats.h"
#include "methods.h"
#include "nn/jacobian.h"
#include "run/flow.h"
#include "run/reversal.h"
#include "run/scoring.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_integration.h>
#include <gsl/gsl_sort.h>

void openblas_set_num_threads(int n); /* its header and GSL's exclude each other */

static const struct rng stream = { .seed = 8, .purpose = RNG_TEST };

/* --- metrics of given weights ----------------------------------------------------------------- */

static struct scored scored_of(size_t n, const double *log_w, const double *log_abs,
	const double *sign, struct arena *a)
{
	static const struct log_z none = { LOG_Z_UNKNOWN, 0, 0, "" };
	struct scored in;

	scoring_start(&in, NULL, &none, NULL, n, 1, NULL, 0, a);
	in.log_w = log_w;
	in.weights = WEIGHTS_EXACT;
	in.log_abs_w = log_abs;
	in.sign = sign;
	return in;
}

/* Texts of failures: in->arena is scratch. */
static struct arena *texts;

static struct score score_of(const char *metric, const struct scored *in)
{
	struct score s;

	scoring_run(metric_find(metric), in, &s, texts);
	return s;
}

static struct value value_of(const char *metric, const struct scored *in)
{
	struct score s = score_of(metric, in);

	if (s.failure != NULL)
		fail_msg("%s: %s", metric, s.failure);
	return s.value;
}

/* --- a fold in one dimension ------------------------------------------------------------------ */

/* F(x) = x + A sin(B x), of degree one and with folds as A B > 1; p = N(0, 1), rho = Z N(M, S^2). */
static const double A = 0.9, B = 3, M = 0.4, S = 0.8, Z = 2.5;

static double weight_at(double x)
{
	double y = x + A * sin(B * x), z = (y - M) / S;

	return Z / (S * sqrt(2 * M_PI)) * exp(-z * z / 2) * (1 + A * B * cos(B * x));
}

static double size_at(double x, void *unused)
{
	(void)unused;
	return fabs(weight_at(x));
}

static double signed_at(double x, void *unused)
{
	(void)unused;
	return weight_at(x);
}

static double integral(double (*f)(double x, void *unused))
{
	gsl_integration_workspace *w = gsl_integration_workspace_alloc(2000);
	gsl_function g = { f, NULL };
	double value, error;

	assert_int_equal(gsl_integration_qag(&g, -14, 14, 1e-9, 1e-9, 2000, GSL_INTEG_GAUSS21, w,
				 &value, &error),
		GSL_SUCCESS);
	gsl_integration_workspace_free(w);
	return value;
}

static void test_fold(void **unused)
{
	enum { N = 1000000 };
	struct arena *a = arena_new();
	double *size = ARENA_NEW(a, N, double), *sign = ARENA_NEW(a, N, double);

	(void)unused;
	for (size_t i = 0; i < N; i++) {
		double x = rng_gauss(stream, 0, i, 0), w = weight_at(x);
		size[i] = log(fabs(w)) + x * x / 2 + LOG_2PI / 2;
		sign[i] = w > 0 ? 1 : -1;
	}
	struct scored in = scored_of(N, NULL, size, sign, a);
	struct value with = value_of("logz_exact", &in), without = value_of("logz_unsigned", &in);
	/* Mass beyond 14 is below e^-90. */
	double both = log(integral(size_at));
	assert_true(fabs(log(integral(signed_at)) - log(Z)) < 1e-7);
	assert_true(with.se > 0 && with.se < 0.01 && without.se > 0 && without.se < 0.01);
	assert_true(fabs(with.value - log(Z)) < 4 * with.se);
	assert_true(fabs(without.value - both) < 4 * without.se);
	assert_true(without.value - log(Z) > 10 * without.se);
	assert_true(value_of("elbo_exact", &in).value < without.value);
	struct value folds = value_of("fold_fraction", &in);
	assert_true(folds.value > 0.1 && folds.value < 0.5 && folds.se < 1e-3);
	in.log_z = (struct log_z){ LOG_Z_EXACT, log(Z), 0, "" };
	assert_true(fabs(value_of("delta_logz_exact", &in).value - (with.value - log(Z))) < 1e-15);

	/* An orientation that is reversed everywhere that is sampled hides no mass. */
	for (size_t i = 0; i < N; i++)
		sign[i] = -1;
	assert_true(value_of("logz_exact", &in).value == without.value);
	folds = value_of("fold_fraction", &in);
	assert_true(folds.value == 0 && folds.se == 3. / N);
	/* Signs that cancel say nothing of log Z. */
	for (size_t i = 0; i < N; i++) {
		sign[i] = i % 2 ? 1 : -1;
		size[i] = size[i - i % 2];
	}
	assert_non_null(strstr(score_of("logz_exact", &in).failure, "undefined"));
	/* Bad weights are counted. */
	size[5] = (double)NAN;
	size[6] = (double)INFINITY;
	assert_non_null(strstr(score_of("elbo_exact", &in).failure, "1 are NaN and 1 infinite"));
	struct nonfinite odd[SCORED_WEIGHTS];
	scoring_count_odd(&in, odd);
	assert_true(odd[SCORED_FLOW].nan == 1 && odd[SCORED_FLOW].plus == 1 &&
		    odd[SCORED_LOG_W].nan == 0);
	arena_free(a);
}

/* --- flows of methods ------------------------------------------------------------------------- */

#define BRIEF "steps=8,batch=4"
#define SCDS REVERSAL_SCDS ",form=line,control_clip=1e4," BRIEF

/* A trial's weights by n draws. */
struct weighed {
	struct trial *t;
	double *log_abs, *sign;
	int code;
	bool is_flow;
};

static struct weighed weigh(struct trial *t, const char *pass, size_t steps, size_t n)
{
	struct weighed w = { t, ARENA_NEW(t->cell.arena, n, double),
		ARENA_NEW(t->cell.arena, n, double), 0, false };

	w.code = flow_weights(t->method, t->state, &t->cell, trial_pass(t, pass), steps, 0, n,
		w.log_abs, w.sign, &w.is_flow);
	return w;
}

static struct var no_control(const void *context, struct var x, const double *t, size_t k)
{
	(void)context, (void)t, (void)k;
	return zeros(x.g, var_cols(x));
}

/* With u = 0 a step of OSDS is x' = (1 + beta/(2k)) x: for rho = N(0.7, 0.6^2 I) log w is known to rounding,
 * which a step and row is of 2 eps of x, times x d log rho/dx = x (x - 0.7)/0.6^2. */
static void test_linear(void **unused)
{
	enum { N = 300, D = 2 };
	const double sigma0 = 1.3, sd = 0.6, mean = 0.7;
	const size_t steps[] = { 1, 4 };
	const struct rng r = { .seed = 5, .purpose = RNG_EVIDENCE };

	(void)unused;
	for (size_t s = 0; s < 2; s++) {
		const size_t k = steps[s];
		struct trial *t = trial_start("osds", "gaussian", "mean=0.7,std=0.6,dim=2",
			"steps=8,batch=4,sigma0=1.3,beta_min=0.3,beta_max=9", 5);
		*(struct oracle *)t->state = (struct oracle){ no_control, t };
		struct weighed w = weigh(t, "ode", k, N);
		assert_true(w.code == OK && w.is_flow && t->cell.counts.network == 0);
		double factor = 1, volume = 0;
		for (size_t i = 0; i < k; i++) {
			double beta = schedule_cosine((double)(k - i) / (double)k, 0.3, 9);
			factor *= 1 + beta / (double)(2 * k);
			volume += D * log(1 + beta / (double)(2 * k));
		}
		for (size_t i = 0; i < N; i++) {
			double want = volume, size = 1;
			for (uint32_t j = 0; j < D; j++) {
				double x = (double)(real)(sigma0 * rng_gauss(r, 0, i, j));
				double y = (factor * x - mean) / sd;
				want += x * x / (2 * sigma0 * sigma0) + log(sigma0) - y * y / 2 -
					log(sd);
				size += fabs(factor * x * y / sd);
			}
			assert_true(w.sign[i] == 1);
			assert_true(fabs(w.log_abs[i] - want) <=
				    4 * (double)(k + 1) * (double)REAL_EPS * size);
		}
		trial_free(t);
	}
}

/* Maps one after another end where the pass does. Rounding in another order, enlarged by at most a few
 * hundred on the way: the steepest score here is that of a unit normal. */
static void test_maps_are_the_flow(void **unused)
{
	static const char *const names[] = { "osds", "scds", "scds", "dis" };
	static const char *const settings[] = { BRIEF, "network=scds," BRIEF, SCDS, BRIEF };
	enum { N = 70, K = 4 };

	(void)unused;
	for (size_t m = 0; m < 4; m++) {
		struct trial *t = trial_start(names[m], "funnel", "", settings[m], 6);
		const size_t dim = t->cell.dim;
		struct arena *a = t->cell.arena;
		double *x = ARENA_NEW(a, N * dim, double), *end = ARENA_NEW(a, N * dim, double);
		double *size = ARENA_NEW(a, N, double), *sign = ARENA_NEW(a, N, double);
		const struct capture captures[] = { { "start", x, NULL, NULL },
			{ "end", end, NULL, NULL } };
		struct graph_args args = { .rows = N,
			.seed = 6,
			.captures = captures,
			.n_captures = 2 };
		const struct pass *ode = trial_pass(t, "ode");
		graph_forward(t->method->flow(t->state, &t->cell, K, 0, K, &args.params[0], a),
			&args);
		for (size_t step = 0; step < K; step++) {
			struct flow_map map = { .g = NULL };
			assert_int_equal(t->method->map(t->state, &t->cell, ode, K, step, &map, a),
				OK);
			const real *const params[GRAPH_PARAMS_MAX] = { map.params };
			jacobian_log_det(map.g, params, N, dim, x, x, size, sign);
		}
		for (size_t j = 0; j < N * dim; j++)
			if (!(fabs(x[j] - end[j]) <= 1e3 * (double)REAL_EPS * (1 + fabs(end[j]))))
				fail_msg("%s: x[%zu] is %.9g, of the flow %.9g", names[m], j, x[j],
					end[j]);
		trial_free(t);
	}
}

/* F(x + h v), F at rows of x; dy of the last one where it is wanted. */
static void apply(const struct flow_map *map, size_t rows, size_t dim, const double *x,
	const double *v, double h, double *y, double *dy)
{
	double *moved = arena_alloc(texts, rows * dim, sizeof(*moved));
	const struct binding inputs[] = { { "x", NULL, moved }, { "v", NULL, v } };
	const struct capture captures[] = { { "y", y, NULL, NULL }, { "dy", dy, NULL, NULL } };
	const struct graph_args args = { .rows = rows,
		.params = { map->params },
		.inputs = inputs,
		.n_inputs = 2,
		.captures = captures,
		.n_captures = dy != NULL ? 2 : 1 };

	for (size_t j = 0; j < rows * dim; j++)
		moved[j] = x[j] + h * v[j];
	graph_forward(map->g, &args);
}

/* The whole derivative of every method's map, by central differences: an error of h^2 = eps^(2/3) times third
 * derivatives, and of eps/h. A score held constant would be off by its Hessian, of order one: 2 % tell. Rows
 * whose differences reach over a clip's edge, or bend more, are few. */
static void test_derivatives(void **unused)
{
	static const struct {
		const char *method, *pass, *settings;
	} maps[] = { { "osds", "ode", BRIEF }, { "scds", "ode", "network=scds," BRIEF },
		{ "scds", "ode", SCDS }, { "dis", "ode", BRIEF },
		{ "nis", "samples", "width=16,batch=4" } };
	enum { N = 200 };
	const double h = cbrt((double)REAL_EPS);

	(void)unused;
	for (size_t m = 0; m < sizeof(maps) / sizeof(maps[0]); m++) {
		struct trial *t = trial_start(maps[m].method, "gmm40_2d", "", maps[m].settings, 6);
		const size_t dim = t->cell.dim, size = N * dim;
		struct arena *a = t->cell.arena;
		double *x = ARENA_NEW(a, size, double), *v = ARENA_NEW(a, size, double);
		double *y = ARENA_NEW(a, size, double), *dy = ARENA_NEW(a, size, double);
		double *up = ARENA_NEW(a, size, double), *down = ARENA_NEW(a, size, double);
		struct flow_map map = { .g = NULL };
		size_t off = 0;
		assert_int_equal(t->method->map(t->state, &t->cell, trial_pass(t, maps[m].pass), 2,
					 1, &map, a),
			OK);
		for (size_t j = 0; j < size; j++) {
			x[j] = 20 * rng_gauss(stream, 9, j, 0);
			v[j] = rng_uniform(stream, 9, j, 2) < 0.5 ? -1 : 1;
		}
		apply(&map, N, dim, x, v, 0, y, dy);
		apply(&map, N, dim, x, v, h, up, NULL);
		apply(&map, N, dim, x, v, -h, down, NULL);
		for (size_t i = 0; i < N; i++) {
			double away = 0, largest = 0;
			for (size_t j = i * dim; j < (i + 1) * dim; j++) {
				away = fmax(away, fabs((up[j] - down[j]) / (2 * h) - dy[j]));
				largest = fmax(largest, fabs(dy[j]));
			}
			off += away <= 0.02 * (1 + largest) ? 0 : 1;
		}
		if (off > N / 20)
			fail_msg("%s (%s): %zu of %d derivatives are off", maps[m].method,
				maps[m].settings, off, N);
		trial_free(t);
	}
}

/* What is no flow, what cannot be had, and what costs too much. */
static void test_refusals(void **unused)
{
	(void)unused;
	struct trial *t = trial_start("osds", "funnel", "", "steps=1024,batch=4", 1);
	assert_true(weigh(t, "sde", 4, 8).code == OK && !weigh(t, "sde", 4, 8).is_flow);
	assert_int_equal(weigh(t, "ode", 1024, 8).code, ERR_UNSUP); /* 10240 columns */
	assert_non_null(strstr(error_text(), "1024 steps"));
	trial_free(t);
	t = trial_start("osds", "rings", "", BRIEF, 1);
	assert_int_equal(weigh(t, "ode", 1, 8).code, ERR_UNSUP);
	assert_non_null(strstr(error_text(), "Lipschitz"));
	trial_free(t);
	t = trial_start("osds", "image", "", BRIEF, 1);
	assert_int_equal(weigh(t, "ode", 1, 8).code, ERR_UNSUP);
	trial_free(t);
	t = trial_start("nis", "rings", "", "width=8,batch=4", 1); /* no score in the map */
	assert_true(weigh(t, "samples", 0, 8).code == OK && weigh(t, "samples", 0, 8).is_flow);
	trial_free(t);
}

static void test_threads(void **unused)
{
	enum { N = 150 };
	static const size_t threads[] = { 2, 7 };
	struct trial *t = trial_start("scds", "gmm40_2d", "", SCDS, 3);
	struct weighed one = weigh(t, "ode", 2, N);

	(void)unused;
	assert_true(t->cell.counts.target == 0 && t->cell.counts.network == 0);
	for (size_t i = 0; i < 2; i++) {
		parallel_use(threads[i]);
		struct weighed other = weigh(t, "ode", 2, N);
		assert_memory_equal(one.log_abs, other.log_abs, N * sizeof(double));
		assert_memory_equal(one.sign, other.sign, N * sizeof(double));
	}
	parallel_use(1);
	trial_free(t);
}

/* Judge the estimate of log Z where the ESS of |w| is above 1 %, and k below 1/2, so that the weights' variance
 * is finite and their standard error means something; false where they are not. */
static bool check_log_z(struct trial *t, size_t steps, size_t *folded)
{
	enum { N = 2000 };
	struct weighed w = weigh(t, "ode", steps, N);
	struct scored in = scored_of(N, NULL, w.log_abs, w.sign, t->cell.arena);

	if (w.code != OK)
		return false;
	density_log_z(t->target, &in.log_z);
	struct score ess = score_of("ess_exact", &in), error = score_of("delta_logz_exact", &in);
	double k = score_of("pareto_k_exact", &in).value.value;
	double folds = score_of("fold_fraction", &in).value.value;
	if (ess.failure != NULL || error.failure != NULL || !(ess.value.value > 0.01 && k < 0.5))
		return false;
	if (!(fabs(error.value.value) <= 4 * error.value.se))
		fail_msg("log Z of %s by %s in %zu steps is off by %g, standard error %g; ESS %g, "
			 "k %g",
			density_target(t->target)->name, t->method->name, steps, error.value.value,
			error.value.se, ess.value.value, k);
	*folded += folds > 0;
	return true;
}

/* A trial whose prior is wider than the target; NULL where log Z or width are not known, or it is not cheap. */
static struct trial *wide_trial(const char *method, const char *target, const char *settings)
{
	enum { DIM_MOST = 12 };
	struct trial *t = trial_new(method, target, "", settings, 7);
	double mean[DIM_MOST], sd[DIM_MOST], width = 0;
	struct log_z z;

	density_log_z(t->target, &z);
	if (t->cell.dim <= DIM_MOST && (z.kind == LOG_Z_EXACT || z.kind == LOG_Z_QUADRATURE) &&
		density_moments(t->target, mean, sd))
		for (size_t k = 0; k < t->cell.dim; k++)
			width = fmax(width, hypot(mean[k], sd[k]));
	if (!(width > 0 && isfinite(width))) {
		trial_free(t);
		return NULL;
	}
	set_method_option(t, "sigma0", arena_printf(t->cell.arena, "%.3g", 1.5 * width));
	assert_int_equal(t->method->init(t->state, &t->cell), OK);
	return t;
}

/* The estimate on every target that knows its log Z and is cheap, by short flows of untrained networks,
 * which steer by the score alone. The prior is wide because the ESS sees nothing of modes that no draw is
 * sent to: from N(0, 1) one step reaches one mode of the nine of gmm9, with an ESS of 1/2 and log Z off by
 * log 9. */
static void test_known_log_z(void **unused)
{
	static const char *const names[] = { "osds", "scds" };
	static const char *const settings[] = { BRIEF, SCDS };
	size_t judged = 0, folded = 0;

	(void)unused;
	for (size_t i = 0; targets[i] != NULL; i++)
		for (size_t m = 0; m < 2; m++)
			for (size_t steps = 1; steps <= 8; steps *= 2) {
				struct trial *t =
					wide_trial(names[m], targets[i]->name, settings[m]);
				if (t == NULL)
					continue;
				judged += check_log_z(t, steps, &folded);
				trial_free(t);
			}
	assert_true(judged >= 20 && folded >= 2);
}

/* --- statistics of log weights ---------------------------------------------------------------- */

/* The estimator of Zhang and Stephens as it is written, on exceedances y [m] in ascending order. */
static double shape_as_written(const double *y, size_t m)
{
	enum { MOST = 200 };
	size_t grid = 30 + (size_t)sqrt((double)m);
	double theta[MOST], l[MOST], total = 0, mean = 0, k = 0;

	for (size_t j = 0; j < grid; j++) {
		theta[j] = 1 / y[m - 1] + (1 - sqrt((double)grid / ((double)j + 0.5))) / 3 /
						  y[(size_t)((double)m / 4 + 0.5) - 1];
		double mine = 0;
		for (size_t i = 0; i < m; i++)
			mine += log1p(-theta[j] * y[i]) / (double)m;
		l[j] = (double)m * (log(-theta[j] / mine) - mine - 1);
	}
	for (size_t j = 0; j < grid; j++) { /* weights as they are written, without a maximum */
		double inverse = 0;
		for (size_t i = 0; i < grid; i++)
			inverse += exp(l[i] - l[j]);
		mean += theta[j] / inverse;
		total += 1 / inverse;
	}
	assert_true(fabs(total - 1) < 1e-12);
	for (size_t i = 0; i < m; i++)
		k += log1p(-mean * y[i]) / (double)m;
	return ((double)m * k + 5) / ((double)m + 10);
}

static void test_pareto_as_written(void **unused)
{
	enum { N = 500, TAIL = 68 }; /* 3 sqrt(500) = 67.08 */
	struct arena *a = arena_new();
	double log_w[N], w[N], y[TAIL];

	(void)unused;
	for (size_t i = 0; i < N; i++) {
		log_w[i] = 1.4 * rng_gauss(stream, 3, i, 0);
		w[i] = exp(log_w[i]);
	}
	struct scored in = scored_of(N, log_w, NULL, NULL, a);
	gsl_sort(w, 1, N);
	for (size_t i = 0; i < TAIL; i++)
		y[i] = w[N - TAIL + i] - w[N - TAIL - 1];
	double k = value_of("pareto_k", &in).value;
	assert_true(fabs(k - shape_as_written(y, TAIL)) < 1e-11);
	/* A factor of all weights changes nothing, however large. */
	for (size_t i = 0; i < N; i++)
		log_w[i] += 5000;
	assert_true(fabs(value_of("pareto_k", &in).value - k) < 1e-8);
	arena_free(a);
}

/* w = U^-k has the tail k: the estimate is it, drawn to 1/2, within 4 of its standard errors. From weights
 * of finite variance to logarithms that double cannot exponentiate. */
static void test_pareto_of_known_tails(void **unused)
{
	enum { N = 4000, TAIL = 190 }; /* 189.7 */
	static const double shapes[] = { 0.2, 0.7, 1.5, 400 };
	struct arena *a = arena_new();
	double *log_w = ARENA_NEW(a, N, double);

	(void)unused;
	for (size_t s = 0; s < 4; s++) {
		for (size_t i = 0; i < N; i++)
			log_w[i] = -shapes[s] * log(rng_uniform(stream, 4, i, (uint32_t)s));
		struct scored in = scored_of(N, log_w, NULL, NULL, a);
		struct value k = value_of("pareto_k", &in);
		double want = (TAIL * shapes[s] + 5) / (TAIL + 10);
		if (!(fabs(k.value - want) < 4 * k.se))
			fail_msg("k %g (%g), not %g", k.value, k.se, want);
		assert_true(fabs(k.se / ((1 + shapes[s]) / sqrt(TAIL)) - 1) < 0.4);
	}
	/* Bounded weights. */
	for (size_t i = 0; i < N; i++)
		log_w[i] = log(rng_uniform(stream, 5, i, 0));
	struct scored in = scored_of(N, log_w, NULL, NULL, a);
	assert_true(value_of("pareto_k", &in).value < 0);
	for (size_t i = 0; i < N; i++)
		log_w[i] = i < N / 2 ? -(double)INFINITY : 2;
	assert_true(value_of("pareto_k", &in).value == -(double)INFINITY);
	in.n = N / 2;
	assert_non_null(strstr(score_of("pareto_k", &in).failure, "weights are 0"));
	in.n = 20;
	assert_non_null(strstr(score_of("pareto_k", &in).failure, "it takes 5"));
	arena_free(a);
}

/* Standard errors are the spread over repetitions: of 400 normal log weights of deviation 1/2, 600 times. A
 * deviation from 600 values has an error of 3 %, the mean of its estimates less; four of these. */
static void test_standard_errors(void **unused)
{
	enum { N = 400, REPEATS = 600 };
	static const char *const names[] = { "lv", "ess_rev", "ess_fwd", "logz_exact" };
	static double estimate[4][REPEATS], se[4][REPEATS];
	struct arena *a = arena_new();
	double log_w[N], sign[N];

	(void)unused;
	for (size_t r = 0; r < REPEATS; r++) {
		for (size_t i = 0; i < N; i++) {
			log_w[i] = 0.5 * rng_gauss(stream, 6, r * N + i, 0);
			sign[i] = rng_uniform(stream, 7, r * N + i, 0) < 0.2 ? -1 : 1;
		}
		struct scored in = scored_of(N, log_w, log_w, sign, a);
		in.log_w_forward = log_w;
		for (size_t m = 0; m < 4; m++) {
			struct value v = value_of(names[m], &in);
			estimate[m][r] = v.value;
			se[m][r] = v.se;
		}
	}
	assert_true(
		fabs(stats_mean(estimate[0], REPEATS) - 0.25) < 4 * stats_se(estimate[0], REPEATS));
	assert_true(fabs(stats_mean(estimate[3], REPEATS) - (0.125 + log(0.6))) <
		    4 * stats_se(estimate[3], REPEATS) + 0.01); /* and Jensen's bias, se^2/2 */
	for (size_t m = 0; m < 4; m++) {
		double ratio =
			sqrt(stats_variance(estimate[m], REPEATS)) / stats_mean(se[m], REPEATS);
		if (!(fabs(ratio - 1) < 0.13))
			fail_msg("%s: spread over standard error %g", names[m], ratio);
	}
	arena_free(a);
}

/* Weights that are all equal leave nothing uncertain, whatever their number: above 2000 the bootstrap takes
 * them in groups, here of one and of two. */
static void test_equal_weights_have_no_error(void **unused)
{
	enum { N = 3000 };
	struct arena *a = arena_new();
	double *log_w = ARENA_NEW(a, N, double), *sign = ARENA_NEW(a, N, double);

	(void)unused;
	for (size_t i = 0; i < N; i++) {
		log_w[i] = 3.7;
		sign[i] = 1;
	}
	struct scored in = scored_of(N, log_w, log_w, sign, a);
	struct value v = value_of("logz_exact", &in);
	assert_true(fabs(v.value - 3.7) < 1e-14 && fabs(v.se) < 1e-14);
	/* Of particles with ancestors in common they would be no error at all. */
	log_w[0] = 1;
	assert_true(value_of("elbo", &in).se > 0);
	in.dependent = true;
	assert_true(isnan(value_of("elbo", &in).se));
	in.elbo = -(double)INFINITY; /* the method's own */
	assert_true(isinf(value_of("elbo", &in).value));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_maps_are_the_flow),
		cmocka_unit_test(test_derivatives),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_known_log_z),
		cmocka_unit_test(test_pareto_as_written),
		cmocka_unit_test(test_pareto_of_known_tails),
		cmocka_unit_test(test_standard_errors),
		cmocka_unit_test(test_equal_weights_have_no_error),
	};

	gsl_set_error_handler_off();
	openblas_set_num_threads(1);
	parallel_use(1);
	texts = arena_new();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(texts);
	return failed;
}
