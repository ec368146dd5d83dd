/* The graph: every operation's gradient, tangent and gradient of its tangent against central
 * differences; scans; threads. In double (VARIANT=double) the comparisons are tight. */
#include "core/arena.h"
#include "core/error.h"
#include "core/parallel.h"
#include "nn/graph_internal.h"
#include "nn/net.h"

#include <cblas.h>
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { DIM = 3, ROWS = 70, N_PARAMS = 400 };

/* A central difference with step h errs by h^2 and by eps / h: best at h = eps^(1/3), where both
 * are eps^(2/3). 200 for third derivatives and sums of tens of terms of order one. */
static double step_size(void)
{
	return pow((double)REAL_EPS, 1. / 3);
}

static double tolerance(double size)
{
	return 200 * pow((double)REAL_EPS, 2. / 3) * (1 + fabs(size));
}

/* log rho(x) = sum_k -x_k^4/12 + sin(x_k) x_{k+1}/2: no symmetry, all derivatives alive. */
static void toy_eval(const void *context, size_t n, const real *x, double *log_rho, real *grad)
{
	(void)context;
	for (size_t i = 0; i < n; i++) {
		double total = 0;
		for (size_t k = 0; k < DIM; k++) {
			double v = (double)x[k * n + i], w = (double)x[(k + 1) % DIM * n + i];
			double u = (double)x[(k + DIM - 1) % DIM * n + i];
			total += -v * v * v * v / 12 + sin(v) * w / 2;
			if (grad != NULL)
				grad[k * n + i] =
					(real)(-v * v * v / 3 + cos(v) * w / 2 + sin(u) / 2);
		}
		if (log_rho != NULL)
			log_rho[i] = total;
	}
}

static void toy_hvp(const void *context, size_t n, const real *x, const real *v, real *hv)
{
	(void)context;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < DIM; k++) {
			size_t up = (k + 1) % DIM * n + i, down = (k + DIM - 1) % DIM * n + i;
			size_t at = k * n + i;
			double own = (double)x[at];
			hv[at] =
				(real)((-own * own - sin(own) * (double)x[up] / 2) * (double)v[at] +
					cos(own) / 2 * (double)v[up] +
					cos((double)x[down]) / 2 * (double)v[down]);
		}
	}
}

static const struct field toy = { NULL, DIM, toy_eval, toy_hvp };

/* --- one operation at a time ------------------------------------------------------------------ */

static const struct slice weight = { 0, DIM, DIM }, bias = { DIM * DIM, 1, DIM };
static const struct slice second = { 40, DIM, 5 }, second_bias = { 60, 1, 5 };
static const struct slice phase = { 80, 1, 4 };

static struct var op_add(struct var z)
{
	return add(add(z, scale(0.3, z)), constant(z.g, 0.7));
}
static struct var op_sub(struct var z)
{
	return sub(gelu_tanh(z), scale(1.7, z));
}
static struct var op_scale(struct var z)
{
	return scale(-2.5, gelu_erf(z));
}
static struct var op_coefficient(struct var z)
{
	return mul(input(z.g, "c", 1), add(z, constant(z.g, 0.2)));
}
static struct var op_mul(struct var z)
{
	return mul(z, gelu_tanh(z));
}
static struct var op_mul_broadcast(struct var z)
{
	return mul(sum(z), z);
}
static struct var op_mul_param(struct var z)
{
	return mul(param(z.g, 0, bias), z);
}
static struct var op_add_broadcast(struct var z)
{
	return add(z, scale(0.4, dot(z, z)));
}
static struct var op_clip(struct var z)
{
	return clip(z, 0.9);
}
static struct var op_gelu_tanh(struct var z)
{
	return gelu_tanh(z);
}
static struct var op_gelu_erf(struct var z)
{
	return gelu_erf(z);
}
static struct var op_softplus(struct var z)
{
	return softplus(z);
}
static struct var op_exponential(struct var z)
{
	return exponential(scale(0.5, z));
}
/* Away from the pole, of which differences know nothing. */
static struct var op_reciprocal(struct var z)
{
	return reciprocal(add(mul(z, z), constant(z.g, 1.5)));
}
static struct var op_linear(struct var z)
{
	return linear(z, 0, second, param(z.g, 0, second_bias));
}
static struct var op_linear_row_bias(struct var z)
{
	return linear(z, 0, second, linear(gelu_tanh(z), 0, second, NO_BIAS));
}
static struct var op_sum(struct var z)
{
	return sum(mul(z, z));
}
static struct var op_dot(struct var z)
{
	return dot(z, gelu_tanh(z));
}
static struct var op_dot_self(struct var z)
{
	return dot(z, z);
}
static struct var op_log_density(struct var z)
{
	return log_density(z);
}
static struct var op_score(struct var z)
{
	return score(z);
}
static struct var op_stop(struct var z)
{
	return add(z, stop(gelu_tanh(z)));
}
static struct var op_fourier(struct var z)
{
	return mul(sum(z), sum(fourier(input(z.g, "c", 1), 0.5, 3, 0, phase)));
}

static struct var op_fourier_time(struct var z)
{
	return mul(z, sum(fourier(sum(z), 0.5, 3, 0, phase)));
}

static const struct op_case {
	const char *name;
	struct var (*make)(struct var z);
	bool no_second; /* its tangent cannot be differentiated again, or is constant */
	bool stopped;   /* differences see what stop() hides */
	bool edged;     /* has edges, nearer to some point than a difference in float is wide */
} op_cases[] = {
	{ "add", op_add, false, false, false },
	{ "sub", op_sub, false, false, false },
	{ "scale", op_scale, false, false, false },
	{ "coefficient", op_coefficient, false, false, false },
	{ "mul", op_mul, false, false, false },
	{ "mul broadcast", op_mul_broadcast, false, false, false },
	{ "mul parameter", op_mul_param, false, false, false },
	{ "add broadcast", op_add_broadcast, false, false, false },
	{ "clip", op_clip, false, false, true },
	{ "gelu tanh", op_gelu_tanh, false, false, false },
	{ "gelu erf", op_gelu_erf, false, false, false },
	{ "softplus", op_softplus, false, false, false },
	{ "exponential", op_exponential, false, false, false },
	{ "reciprocal", op_reciprocal, false, false, false },
	{ "linear", op_linear, false, false, false },
	{ "linear, row bias", op_linear_row_bias, false, false, false },
	{ "sum", op_sum, false, false, false },
	{ "dot", op_dot, false, false, false },
	{ "dot self", op_dot_self, false, false, false },
	{ "log density", op_log_density, false, false, false },
	{ "score", op_score, true, false, false },
	{ "stop", op_stop, false, true, false },
	{ "fourier", op_fourier, false, false, false },
	{ "fourier of a time", op_fourier_time, false, false, false },
};
enum { N_CASES = sizeof(op_cases) / sizeof(op_cases[0]) };

struct data {
	real x[ROWS * DIM], v[ROWS * DIM], c[ROWS], w[ROWS * 5];
	real params[N_PARAMS];
};

static double high_entropy(uint64_t i, uint32_t column)
{
	return rng_gauss((struct rng){ .seed = 11, .purpose = RNG_TEST }, 0, i, column);
}

static void fill_data(struct data *d)
{
	for (size_t i = 0; i < ROWS * DIM; i++) {
		d->x[i] = (real)high_entropy(i, 0);
		d->v[i] = (real)high_entropy(i, 1);
	}
	for (size_t i = 0; i < ROWS; i++)
		d->c[i] = (real)high_entropy(i, 2);
	for (size_t i = 0; i < ROWS * 5; i++)
		d->w[i] = (real)high_entropy(i, 3);
	for (size_t i = 0; i < N_PARAMS; i++)
		d->params[i] = (real)(0.5 * high_entropy(i, 4));
}

/* loss = mean over rows of <w, y>, y = f(z) or (with tangent) its directional derivative along v,
 * z = x W + b. So the gradient with respect to W and b is the one through f. */
static struct graph *record(struct arena *a, const struct op_case *op, bool tangent)
{
	struct graph *g = graph_new(a, &toy, NULL);
	struct var x = input(g, "x", DIM), v = input(g, "v", DIM);
	struct var z = linear(x, 0, weight, param(g, 0, bias));
	struct var y = op->make(z);

	label(z, "z");
	label(y, "y");
	if (tangent)
		y = label(jvp(y, z, v), "dy");
	graph_loss(dot(y, input(g, "w", var_cols(y))));
	return g;
}

static struct graph_args args_of(const struct data *d, size_t cols, struct binding in[4], real *w)
{
	for (size_t i = 0; i < ROWS; i++)
		for (size_t k = 0; k < cols; k++)
			w[i * cols + k] = d->w[i * 5 + k];
	in[0] = (struct binding){ "x", d->x, NULL };
	in[1] = (struct binding){ "v", d->v, NULL };
	in[2] = (struct binding){ "c", d->c, NULL };
	in[3] = (struct binding){ "w", w, NULL };
	return (struct graph_args){ .rows = ROWS,
		.seed = 3,
		.params = { d->params },
		.inputs = in,
		.n_inputs = 4 };
}

static bool too_wide(const struct op_case *op)
{
	return op->edged && sizeof(real) < sizeof(double);
}

static size_t cols_of(struct var (*make)(struct var z))
{
	struct arena *a = arena_new();
	struct graph *g = graph_new(a, &toy, NULL);
	size_t cols = var_cols(make(linear(input(g, "x", DIM), 0, weight, param(g, 0, bias))));

	arena_free(a);
	return cols;
}

static void check_gradient(struct graph *g, struct graph_args *args, struct data *d,
	const char *name)
{
	static real grad[N_PARAMS], unused[N_PARAMS];
	double h = step_size();

	graph_gradient(g, args, N_PARAMS, grad);
	for (size_t j = 0; j < 90; j++) {
		real keep = d->params[j];
		d->params[j] = (real)((double)keep + h);
		double up = graph_gradient(g, args, N_PARAMS, unused);
		double hi = (double)d->params[j];
		d->params[j] = (real)((double)keep - h);
		double down = graph_gradient(g, args, N_PARAMS, unused);
		double width = hi - (double)d->params[j];
		d->params[j] = keep;
		double expected = (up - down) / width;
		if (!(fabs(expected - (double)grad[j]) <= tolerance(fabs(up) + fabs(expected))))
			fail_msg("%s: gradient %zu is %.12g, differences give %.12g", name, j,
				(double)grad[j], expected);
	}
}

static void test_gradients(void **state)
{
	static struct data d;
	real w[ROWS * 5];
	struct binding in[4];

	(void)state;
	for (size_t i = 0; i < N_CASES; i++) {
		if (op_cases[i].stopped || too_wide(&op_cases[i]))
			continue;
		struct arena *a = arena_new();
		fill_data(&d);
		size_t cols = cols_of(op_cases[i].make);
		struct graph_args args = args_of(&d, cols, in, w);
		check_gradient(record(a, &op_cases[i], false), &args, &d, op_cases[i].name);
		if (!op_cases[i].no_second)
			check_gradient(record(a, &op_cases[i], true), &args, &d, op_cases[i].name);
		arena_free(a);
	}
}

/* z moves by moving the bias of the layer under it in the direction of v: one row at a time would
 * do as well, but the same v in every row moves all. */
static void test_tangents(void **state)
{
	static struct data d;
	static double dy[ROWS * 5], up[ROWS * 5], down[ROWS * 5];
	real w[ROWS * 5];
	struct binding in[4];
	double h = step_size();

	(void)state;
	for (size_t i = 0; i < N_CASES; i++) {
		if (op_cases[i].stopped || too_wide(&op_cases[i]) ||
			op_cases[i].make == op_mul_param)
			continue; /* mul_param's second factor moves with the bias */
		struct arena *a = arena_new();
		fill_data(&d);
		for (size_t r = 0; r < ROWS * DIM; r++)
			d.v[r] = d.v[r % DIM];
		size_t cols = cols_of(op_cases[i].make);
		struct graph_args args = args_of(&d, cols, in, w);
		struct graph *g = record(a, &op_cases[i], true);
		struct capture c = { "dy", dy, NULL, NULL };
		args.captures = &c;
		args.n_captures = 1;
		graph_forward(g, &args);
		c.label = "y";
		for (int side = 0; side < 2; side++) {
			for (size_t k = 0; k < DIM; k++)
				d.params[bias.offset + k] +=
					(real)((side ? -2 : 1) * h * (double)d.v[k]);
			c.f64 = side ? down : up;
			graph_forward(g, &args);
		}
		for (size_t r = 0; r < ROWS * cols; r++) {
			double expected = (up[r] - down[r]) / (2 * h);
			if (!(fabs(expected - dy[r]) <= tolerance(fabs(expected) + fabs(up[r]))))
				fail_msg("%s: tangent %zu is %.12g, differences give %.12g",
					op_cases[i].name, r, dy[r], expected);
		}
		arena_free(a);
	}
}

/* Against values of 20 digits; far out as well, where the formulas that one would write down first
 * overflow or lose all digits. */
static void test_map_values(void **state)
{
	static const struct {
		double x, softplus, exponential;
	} known[] = {
		{ 0, 0.69314718055994530942, 1 },
		{ 1, 1.3132616875182228340, 2.7182818284590452354 },
		{ -1.5, 0.20141327798275240960, 0.22313016014842982893 },
		{ -25, 1.3887943864867586635e-11, 1.3887943864964020595e-11 },
		{ 30, 30.000000000000093576, 1.0686474581524462147e13 },
		{ -80, 1.8048513878454151722e-35, 1.8048513878454151722e-35 },
	};
	enum { N = sizeof(known) / sizeof(known[0]) };
	struct arena *a = arena_new();
	struct graph *g = graph_new(a, NULL, NULL);
	struct var x = input(g, "x", 1);
	double in[N], out[3][N];

	(void)state;
	label(softplus(x), "softplus");
	label(exponential(x), "exponential");
	label(reciprocal(exponential(x)), "reciprocal");
	for (size_t i = 0; i < N; i++)
		in[i] = known[i].x;
	const struct binding b = { "x", NULL, in };
	const struct capture c[] = { { "softplus", out[0], NULL, NULL },
		{ "exponential", out[1], NULL, NULL }, { "reciprocal", out[2], NULL, NULL } };
	const struct graph_args args = { .rows = N,
		.inputs = &b,
		.n_inputs = 1,
		.captures = c,
		.n_captures = 3 };
	graph_forward(g, &args);
	/* Rounded once or twice, by half a unit in the last place; the functions in double err by less
	 * than two. */
	for (size_t i = 0; i < N; i++) {
		double e = known[i].exponential, error = 3 * (double)REAL_EPS;
		assert_true(fabs(out[0][i] / known[i].softplus - 1) <= error);
		assert_true(fabs(out[1][i] / e - 1) <= error);
		assert_true(fabs(out[2][i] * e - 1) <= error);
	}
	arena_free(a);
}

/* stop() hides what is behind it from both modes. */
static void test_stop(void **state)
{
	static struct data d;
	static real with[N_PARAMS], without[N_PARAMS];
	struct binding in[4];
	real w[ROWS * 5];
	struct arena *a = arena_new();
	struct op_case stopped = { "stopped", op_stop, false, true, false };

	(void)state;
	fill_data(&d);
	struct graph_args args = args_of(&d, DIM, in, w);
	graph_gradient(record(a, &stopped, false), &args, N_PARAMS, with);
	/* d/dW <w, z> = mean x w^T. */
	for (size_t j = 0; j < DIM; j++) {
		for (size_t k = 0; k < DIM; k++) {
			double expected = 0;
			for (size_t r = 0; r < ROWS; r++)
				expected +=
					(double)d.x[r * DIM + j] * (double)w[r * DIM + k] / ROWS;
			assert_true(fabs(expected - (double)with[j * DIM + k]) <
				    100 * (double)REAL_EPS);
		}
	}
	graph_gradient(record(a, &stopped, true), &args, N_PARAMS, without);
	for (size_t j = 0; j < N_PARAMS; j++)
		assert_true(without[j] == 0);
	arena_free(a);
}

/* --- scan ------------------------------------------------------------------------------------- */

enum { STEPS = 70, HIDDEN = 8 };

/* A controlled diffusion in miniature: schedules, step-only layers, noise, a score (differentiated,
 * so that differences see what the gradient sees), two states, a total, and terms before and after.
 */
static struct graph *record_scan_by(struct arena *a, struct counts *counts, struct reduction how)
{
	static double dt[STEPS], sigma[STEPS], tau[STEPS];
	const struct slice w0 = { 100, DIM, HIDDEN }, b0 = { 130, 1, HIDDEN };
	const struct slice w1 = { 140, HIDDEN, DIM }, b1 = { 170, 1, DIM };
	const struct slice wt = { 180, 8, HIDDEN }, start = { 260, 1, DIM };
	struct graph *g = graph_new(a, &toy, counts);

	for (size_t s = 0; s < STEPS; s++) {
		dt[s] = 0.5 / STEPS * (1 + 0.3 * (double)s / STEPS);
		sigma[s] = 0.7 + 0.2 * sin((double)s);
		tau[s] = (double)(STEPS - s) / STEPS;
	}
	struct var x0 = add(mul(param(g, 0, start), constant(g, 0.5)),
		clip(label(normal(g, RNG_PRIOR, DIM), "prior"), 2));
	struct var y0 = scale(0.1, x0);
	scan_begin(g, STEPS);
	struct var step = by_step(g, STEPS, 1, dt), s = by_step(g, STEPS, 1, sigma);
	struct var x = label(scan_state(x0), "x"), y = scan_state(y0);
	struct var t = by_step(g, STEPS, 1, tau);
	struct var time = linear(fourier(t, 0.5, 3, 0, phase), 0, wt, param(g, 0, b0));
	struct var feature = gelu_tanh(mul(s, score(x)));
	struct var h = gelu_tanh(linear(x, 0, w0, time));
	graph_count_network(g);
	struct var u = add(linear(h, 0, w1, param(g, 0, b1)), mul(param(g, 0, bias), feature));
	struct var noise = label(normal(g, RNG_NOISE, DIM), "noise");
	struct var next = add(add(x, mul(step, u)), mul(step, mul(s, noise)));
	struct var r = sub(x, scale(0.9, next));
	struct var cost = scan_total(add(mul(step, dot(u, u)), scale(0.01, dot(r, r))));
	scan_next(x, next);
	scan_next(y, add(scale(0.95, y), mul(step, mul(x, u))));
	scan_end(g);
	struct var end = label(scan_last(x), "end");
	struct var loss = sub(add(cost, dot(x0, x0)), log_density(end));
	graph_loss_by(label(add(loss, dot(scan_last(y), end)), "loss"), how);
	return g;
}

static struct graph *record_scan(struct arena *a, struct counts *counts)
{
	return record_scan_by(a, counts, (struct reduction){ REDUCE_MEAN, (double)INFINITY, 0 });
}

/* The gradient of the scan's loss against differences, by every `stride`-th parameter. */
static void check_scan_gradient(struct graph *g, struct data *d, size_t stride)
{
	static real grad[N_PARAMS], unused[N_PARAMS];
	struct graph_args args = { .rows = ROWS, .seed = 3, .params = { d->params } };
	double h = step_size();
	size_t alive = 0;

	graph_gradient(g, &args, N_PARAMS, grad);
	for (size_t j = 0; j < 263; j += stride) {
		real keep = d->params[j];
		d->params[j] = (real)((double)keep + h);
		double hi = (double)d->params[j], up = graph_gradient(g, &args, N_PARAMS, unused);
		d->params[j] = (real)((double)keep - h);
		double width = hi - (double)d->params[j];
		double down = graph_gradient(g, &args, N_PARAMS, unused);
		d->params[j] = keep;
		double expected = (up - down) / width;
		if (!(fabs(expected - (double)grad[j]) <= tolerance(fabs(up) + fabs(expected))))
			fail_msg("scan: gradient %zu is %.12g, differences give %.12g", j,
				(double)grad[j], expected);
		alive += expected != 0;
	}
	assert_true(alive > 100 / stride);
}

static void test_scan_gradient(void **state)
{
	static struct data d;
	static real grad[N_PARAMS];
	struct arena *a = arena_new();
	struct counts counts = { 0, 0 };
	struct graph *g = record_scan(a, &counts);

	(void)state;
	fill_data(&d);
	const struct graph_args args = { .rows = ROWS, .seed = 3, .params = { d.params } };
	graph_gradient(g, &args, N_PARAMS, grad);
	assert_int_equal(counts.network, ROWS * STEPS);
	/* The score of each step, its Hessian-vector product on the way back, the density at the end. */
	assert_int_equal(counts.target, ROWS * (2 * STEPS + 1));
	check_scan_gradient(g, &d, 1);
	arena_free(a);
}

/* Every row's loss of the scan. */
static void scan_losses(struct graph *g, struct data *d, double loss[ROWS])
{
	const struct capture c = { "loss", loss, NULL, NULL };
	const struct graph_args args = { .rows = ROWS,
		.seed = 3,
		.params = { d->params },
		.captures = &c,
		.n_captures = 1 };

	graph_forward(g, &args);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* A bound that some rows are above, in the middle of the widest gap among the larger losses: so none
 * crosses it while a parameter moves by h. */
static double bound_between(const double *loss)
{
	double sorted[ROWS], best = 0, bound = 0;

	memcpy(sorted, loss, sizeof(sorted));
	qsort(sorted, ROWS, sizeof(double), ascending);
	for (size_t i = ROWS / 2; i + 1 < ROWS; i++)
		if (sorted[i + 1] - sorted[i] > best) {
			best = sorted[i + 1] - sorted[i];
			bound = (sorted[i + 1] + sorted[i]) / 2;
		}
	return bound;
}

/* Losses that wait for all rows: their value by definition, their gradient by differences. */
static void test_scan_reductions(void **state)
{
	static struct data d;
	static real grad[N_PARAMS];
	double loss[ROWS];

	(void)state;
	for (int kind = REDUCE_KEPT_MEAN; kind <= REDUCE_KEPT_VARIANCE; kind++)
		for (int bounded = 0; bounded < 2; bounded++) {
			struct arena *a = arena_new();
			fill_data(&d);
			scan_losses(record_scan(a, NULL), &d, loss);
			double bound = bounded ? bound_between(loss) : (double)INFINITY;
			struct graph *g = record_scan_by(a, NULL,
				(struct reduction){ (enum reduction_kind)kind, bound, 0 });
			const struct graph_args args = { .rows = ROWS,
				.seed = 3,
				.params = { d.params } };
			double kept = 0, mean = 0, variance = 0;
			for (size_t r = 0; r < ROWS; r++)
				kept += loss[r] < bound;
			assert_true(bounded ? kept < ROWS : kept == ROWS);
			for (size_t r = 0; r < ROWS; r++)
				mean += loss[r] < bound ? loss[r] / kept : 0;
			for (size_t r = 0; r < ROWS; r++)
				variance +=
					loss[r] < bound ? pow(loss[r] - mean, 2) / (kept - 1) : 0;
			double expected = kind == REDUCE_KEPT_MEAN ? mean : variance;
			double got = graph_gradient(g, &args, N_PARAMS, grad);
			/* Sums of ROWS doubles. */
			assert_true(fabs(got / expected - 1) < 1e-12);
			check_scan_gradient(g, &d, 7);
			arena_free(a);
		}
}

/* --- what the batch makes of its rows ----------------------------------------------------------- */

enum { BATCH = 150 }; /* not a multiple of a chunk's rows */

/* The derivatives of a reduction, in double whatever real is, and the rows that have no part in it. */
static void test_reduce(void **state)
{
	const double h = 1e-5; /* errs by h^2 and by 1e-16/h, times a few */
	static const struct {
		double bound;
		size_t groups;
		bool spoilt;
	} cases[] = { { (double)INFINITY, 0, false }, { (double)INFINITY, 0, true },
		{ 1, 0, false }, { 1, 0, true }, { (double)INFINITY, 10, true }, { 2, 30, false } };

	(void)state;
	for (int kind = REDUCE_MEAN; kind <= REDUCE_KEPT_VARIANCE; kind++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			const struct reduction how = { (enum reduction_kind)kind, cases[i].bound,
				cases[i].groups };
			double v[BATCH], share[BATCH];
			size_t dropped, expected = 0;
			for (size_t r = 0; r < BATCH; r++)
				v[r] = high_entropy(r, 6);
			if (cases[i].spoilt && kind != REDUCE_MEAN) {
				v[3] = (double)NAN;
				v[147] = (double)INFINITY;
			}
			double loss = reduce(&how, BATCH, v, share, &dropped);
			assert_true(isfinite(loss));
			size_t groups = how.groups > 0 ? how.groups : BATCH;
			for (size_t j = 0; j < groups && kind != REDUCE_MEAN; j++) {
				bool all = true;
				for (size_t r = j; r < BATCH; r += groups)
					all = all && isfinite(v[r]) && v[r] < how.bound;
				expected += all ? 0 : BATCH / groups;
				for (size_t r = j; r < BATCH && !all; r += groups)
					assert_true(share[r] == 0);
			}
			assert_int_equal(dropped, expected);
			for (size_t r = 0; r < BATCH; r++) {
				double keep = v[r];
				if (!isfinite(keep) || fabs(keep - how.bound) < 2 * h)
					continue;
				v[r] = keep + h;
				double up = reduce(&how, BATCH, v, NULL, NULL);
				v[r] = keep - h;
				double down = reduce(&how, BATCH, v, NULL, NULL);
				v[r] = keep;
				assert_true(fabs((up - down) / (2 * h) - share[r]) < 1e-9);
			}
		}
}

/* Of theta a + b over the rows, worked out by hand: rows above the bound, rows that are not finite, groups.
 */
static void test_reductions_by_hand(void **state)
{
	static const size_t group_counts[] = { 0, 50 };
	const double theta = 0.3, bound = 2.2;

	(void)state;
	for (int kind = REDUCE_KEPT_MEAN; kind <= REDUCE_KEPT_VARIANCE; kind++)
		for (size_t i = 0; i < 2; i++) {
			size_t groups = group_counts[i] > 0 ? group_counts[i] : 1, whole = 0;
			double a[BATCH], b[BATCH], value = 0, slope = 0;
			for (size_t r = 0; r < BATCH; r++) {
				a[r] = (double)(real)high_entropy(r, 7);
				b[r] = (double)(real)high_entropy(r, 8);
			}
			b[70] = (double)NAN;
			b[149] = 3 * bound;
			for (size_t j = 0; j < groups; j++) {
				double n = 0, mean = 0, mean_a = 0, v = 0, s = 0;
				for (size_t r = j; r < BATCH; r += groups) {
					bool keep = theta * a[r] + b[r] < bound;
					n += keep;
					mean += keep ? theta * a[r] + b[r] : 0;
					mean_a += keep ? a[r] : 0;
				}
				if (group_counts[i] > 0 && n < (double)BATCH / (double)groups)
					continue;
				whole++;
				mean /= n;
				mean_a /= n;
				for (size_t r = j; r < BATCH; r += groups) {
					double away = theta * a[r] + b[r] - mean;
					bool keep = theta * a[r] + b[r] < bound;
					v += keep ? away * away / (n - 1) : 0;
					s += keep ? 2 * away * (a[r] - mean_a) / (n - 1) : 0;
				}
				value += kind == REDUCE_KEPT_MEAN ? mean : v;
				slope += kind == REDUCE_KEPT_MEAN ? mean_a : s;
			}
			assert_true(group_counts[i] > 0 ? whole > 10 && whole < 49 : whole == 1);
			struct arena *arena = arena_new();
			struct graph *g = graph_new(arena, NULL, NULL);
			graph_loss_by(
				add(mul(param(g, 0, (struct slice){ 0, 1, 1 }), input(g, "a", 1)),
					input(g, "b", 1)),
				(struct reduction){ (enum reduction_kind)kind, bound,
					group_counts[i] });
			const struct binding in[] = { { "a", NULL, a }, { "b", NULL, b } };
			real parameter = (real)theta, grad;
			const struct graph_args args = { .rows = BATCH,
				.params = { &parameter },
				.inputs = in,
				.n_inputs = 2 };
			double loss = graph_gradient(g, &args, 1, &grad);
			/* Rounding of theta, of rows and of the sum of their gradients. */
			double error = 20 * (double)REAL_EPS;
			assert_true(fabs(loss - value / (double)whole) < error);
			assert_true(fabs((double)grad - slope / (double)whole) < error * 4);
			arena_free(arena);
		}
}

/* Chunks that wait for the reduction, and chunks that are made again: the same bits. */
static void test_kept_chunks(void **state)
{
	static struct data d;
	static real grad[2][N_PARAMS];
	double loss[2];

	(void)state;
	fill_data(&d);
	for (int again = 0; again < 2; again++) {
		struct arena *a = arena_new();
		struct graph *g = record_scan_by(a, NULL,
			(struct reduction){ REDUCE_KEPT_VARIANCE, (double)INFINITY, 0 });
		const struct graph_args args = { .rows = 3 * ROWS,
			.seed = 3,
			.params = { d.params } };
		assert_true(g->chunks_keep_max > 0);
		if (again)
			g->chunks_keep_max = 0;
		loss[again] = graph_gradient(g, &args, N_PARAMS, grad[again]);
		assert_true((g->plans->kept_values == NULL) == again);
		arena_free(a);
	}
	assert_true(loss[0] == loss[1] && loss[0] > 0);
	assert_memory_equal(grad[0], grad[1], sizeof(grad[0]));
}

/* A learned schedule: step values that depend on parameters, through every kind of map, among
 * themselves and with the row's. */
static void test_learned_schedule(void **state)
{
	enum { N_STEPS = 9, SIZE = N_STEPS + 1 + DIM };
	const struct slice shares = { 0, 1, N_STEPS }, size = { N_STEPS, 1, 1 };
	const struct slice from = { N_STEPS + 1, 1, DIM };
	double lower[N_STEPS * N_STEPS];
	real theta[SIZE], grad[SIZE], unused[SIZE];
	struct arena *a = arena_new();
	struct graph *g = graph_new(a, &toy, NULL);
	double h = step_size();

	(void)state;
	for (size_t s = 0; s < N_STEPS; s++)
		for (size_t j = 0; j < N_STEPS; j++)
			lower[s * N_STEPS + j] = j <= s;
	struct var start = add(param(g, 0, from), label(normal(g, RNG_PRIOR, DIM), "prior"));
	scan_begin(g, N_STEPS);
	struct var part = softplus(param(g, 0, shares));
	struct var beta =
		mul(dot(by_step(g, N_STEPS, N_STEPS, lower), part), reciprocal(sum(part)));
	struct var sigma = exponential(param(g, 0, size));
	struct var x = scan_state(start), push = mul(beta, score(x));
	struct var next = add(x, mul(sigma, add(push, scale(0.3, x))));
	struct var total = scan_total(mul(reciprocal(sigma), dot(push, x)));
	label(beta, "beta");
	scan_next(x, next);
	scan_end(g);
	graph_loss(add(total, log_density(scan_last(x))));
	for (size_t j = 0; j < SIZE; j++)
		theta[j] = (real)(0.4 * high_entropy(j, 5));
	theta[size.offset] = (real)-2.2;
	double betas[ROWS * N_STEPS];
	const struct capture c = { "beta", betas, NULL, NULL };
	struct graph_args args = { .rows = ROWS,
		.seed = 3,
		.params = { theta },
		.captures = &c,
		.n_captures = 1 };
	graph_forward(g, &args);
	assert_true(fabs(betas[N_STEPS - 1] - 1) <= 4 * (double)REAL_EPS);
	args.n_captures = 0;
	graph_gradient(g, &args, SIZE, grad);
	for (size_t j = 0; j < SIZE; j++) {
		real keep = theta[j];
		theta[j] = (real)((double)keep + h);
		double hi = (double)theta[j], up = graph_gradient(g, &args, SIZE, unused);
		theta[j] = (real)((double)keep - h);
		double width = hi - (double)theta[j];
		double down = graph_gradient(g, &args, SIZE, unused);
		theta[j] = keep;
		double expected = (up - down) / width;
		assert_true(expected != 0);
		if (!(fabs(expected - (double)grad[j]) <= tolerance(fabs(up) + fabs(expected))))
			fail_msg("learned schedule: gradient %zu is %.12g, differences give %.12g",
				j, (double)grad[j], expected);
	}
	arena_free(a);
}

/* The loss is the mean of what a forward run gives; the states captured on the way, at a row's own
 * step and at the end are the same numbers. */
static void test_captures(void **state)
{
	static struct data d;
	static real grad[N_PARAMS];
	static double loss[ROWS], path[ROWS * STEPS * DIM], end[ROWS * DIM], picked[ROWS * DIM];
	static uint32_t at[ROWS];
	struct arena *a = arena_new();
	struct graph *g = record_scan(a, NULL);

	(void)state;
	fill_data(&d);
	for (size_t r = 0; r < ROWS; r++)
		at[r] = (uint32_t)(r * 7 % STEPS);
	const struct capture all[] = { { "loss", loss, NULL, NULL }, { "x", path, NULL, NULL },
		{ "end", end, NULL, NULL } };
	const struct capture pick = { "x", picked, NULL, at };
	struct graph_args args = { .rows = ROWS,
		.seed = 3,
		.params = { d.params },
		.captures = all,
		.n_captures = 3 };
	graph_forward(g, &args);
	args.captures = &pick;
	args.n_captures = 1;
	double total = graph_gradient(g, &args, N_PARAMS, grad), mean = 0;
	for (size_t r = 0; r < ROWS; r++) {
		mean += loss[r] / ROWS;
		for (size_t k = 0; k < DIM; k++)
			assert_true(picked[r * DIM + k] == path[(r * STEPS + at[r]) * DIM + k]);
		assert_true(isfinite(end[r * DIM]));
	}
	assert_true(fabs(mean - total) < 1e-13 * (1 + fabs(mean)));
	arena_free(a);
}

/* A run that wants values at steps alone ends for each chunk of 64 rows with its last: the same values for
 * fewer evaluations. What is wanted besides takes all steps. */
static void test_scan_ends_early(void **state)
{
	static struct data d;
	static double loss[ROWS], path[ROWS * STEPS * DIM], early[ROWS * DIM], late[ROWS * DIM];
	static uint32_t at[ROWS];
	struct arena *a = arena_new();
	struct counts counts = { 0, 0 };
	struct graph *g = record_scan(a, &counts);
	const struct capture whole = { "x", path, NULL, NULL };
	const struct capture some[] = { { "x", early, NULL, at }, { "loss", loss, NULL, NULL } };

	(void)state;
	fill_data(&d);
	for (size_t r = 0; r < ROWS; r++)
		at[r] = r < 64 ? (uint32_t)(r % 3) : STEPS - 1;
	struct graph_args args = { .rows = ROWS,
		.seed = 3,
		.params = { d.params },
		.captures = &whole,
		.n_captures = 1 };
	graph_forward(g, &args);
	assert_int_equal(counts.network, ROWS * STEPS);
	args.captures = some;
	counts.network = counts.target = 0;
	graph_forward(g, &args);
	assert_int_equal(counts.network, 64 * 3 + (ROWS - 64) * STEPS);
	assert_true(counts.target <= counts.network);
	memcpy(late, early, sizeof(late));
	args.n_captures = 2;
	counts.network = 0;
	graph_forward(g, &args);
	assert_int_equal(counts.network, ROWS * STEPS);
	assert_memory_equal(late, early, sizeof(late));
	for (size_t r = 0; r < ROWS; r++)
		for (size_t k = 0; k < DIM; k++)
			assert_true(early[r * DIM + k] == path[(r * STEPS + at[r]) * DIM + k]);
	arena_free(a);
}

/* --- where bookkeeping is delicate: each against a value worked out by hand --- */

static double gradient_of_start(struct graph *g, double at)
{
	real theta[1] = { (real)at }, grad[1];
	struct graph_args args = { .rows = 5, .params = { theta } };

	graph_gradient(g, &args, 1, grad);
	return (double)grad[0];
}

static const struct slice start_slice = { 0, 1, 1 };

/* A value made before the scan and summed at each of its steps counts once a step. */
static void test_total_of_what_came_before(void **state)
{
	struct arena *a = arena_new();
	struct graph *g = graph_new(a, NULL, NULL);
	struct var x = add(mul(param(g, 0, start_slice), constant(g, 3)), normal(g, RNG_PRIOR, 1));

	(void)state;
	scan_begin(g, 4);
	struct var total = scan_total(x);
	scan_end(g);
	graph_loss(total);
	assert_true(fabs(gradient_of_start(g, 0.7) - 12) < 1e-5);
	arena_free(a);
}

/* A total of the very value that a state takes on next, recorded before the state. */
static void test_total_before_state(void **state)
{
	struct arena *a = arena_new();
	struct graph *g = graph_new(a, NULL, NULL);
	struct var start = add(param(g, 0, start_slice), scale(0, normal(g, RNG_PRIOR, 1)));

	(void)state;
	scan_begin(g, 3);
	struct var x = scan_state(start), next = scale(0.5, x), total = scan_total(next);
	struct var y = scan_state(start);
	scan_next(x, next);
	scan_next(y, add(y, next));
	scan_end(g);
	/* total = (1/2 + 1/4 + 1/8) theta, y = theta + total, x = theta / 8. */
	graph_loss(add(add(total, scale(10, scan_last(y))), scale(100, scan_last(x))));
	assert_true(fabs(gradient_of_start(g, 0.7) - (0.875 + 18.75 + 12.5)) < 1e-5);
	arena_free(a);
}

/* A stopped next value cuts the path through time, and only that. */
static void test_stopped_next(void **state)
{
	struct arena *a = arena_new();
	struct graph *g = graph_new(a, NULL, NULL);
	struct var start = add(param(g, 0, start_slice), scale(0, normal(g, RNG_PRIOR, 1)));

	(void)state;
	scan_begin(g, 3);
	struct var x = scan_state(start), y = scale(0.5, x);
	struct var total = scan_total(y);
	scan_next(x, stop(y));
	scan_end(g);
	graph_loss(total);
	/* Of theta (1/2 + 1/4 + 1/8) only the first step's part is seen. */
	assert_true(fabs(gradient_of_start(g, 0.7) - 0.5) < 1e-5);
	arena_free(a);
}

/* A tangent with respect to a sum finds the sum where it was used, if it was closed. */
static void test_tangent_of_sum(void **state)
{
	struct arena *a = arena_new();
	struct graph *g = graph_new(a, NULL, NULL);
	const real w[3] = { 1, (real)-0.5, 2 };
	double got[3];

	(void)state;
	struct var in = input(g, "w", 1), x = whole(add(in, constant(g, 1)));
	label(jvp(add(scale(3, x), mul(x, x)), x, in), "dy");
	const struct binding b = { "w", w, NULL };
	const struct capture c = { "dy", got, NULL, NULL };
	const struct graph_args args = { .rows = 3,
		.inputs = &b,
		.n_inputs = 1,
		.captures = &c,
		.n_captures = 1 };
	graph_forward(g, &args);
	for (size_t i = 0; i < 3; i++)
		assert_true(fabs(got[i] - (3 + 2 * ((double)w[i] + 1)) * (double)w[i]) < 1e-5);
	arena_free(a);
}

/* Recorded draws take the place of fresh ones. */
static void test_tapes(void **state)
{
	static struct data d;
	static double prior[ROWS * DIM], noise[ROWS * STEPS * DIM], one[ROWS], two[ROWS];
	struct arena *a = arena_new();
	struct graph *g = record_scan(a, NULL);
	const struct rng r = { .seed = 3, .purpose = RNG_NOISE };
	real lane[DIM];

	(void)state;
	fill_data(&d);
	for (uint32_t s = 0; s < STEPS; s++) {
		for (size_t i = 0; i < ROWS; i++) {
			rng_normal(r, s, i, 1, DIM, lane);
			for (size_t k = 0; k < DIM; k++)
				noise[(i * STEPS + s) * DIM + k] = (double)lane[k];
		}
	}
	struct capture c = { "loss", one, NULL, NULL };
	struct graph_args args = { .rows = ROWS,
		.seed = 3,
		.params = { d.params },
		.captures = &c,
		.n_captures = 1 };
	graph_forward(g, &args);
	const struct tape tapes[] = { { "noise", noise }, { "prior", prior } };
	args.tapes = tapes;
	args.n_tapes = 1;
	c.f64 = two;
	graph_forward(g, &args);
	assert_memory_equal(one, two, sizeof(one));
	args.n_tapes = 2;
	graph_forward(g, &args);
	assert_memory_not_equal(one, two, sizeof(one));
	arena_free(a);
}

/* The same bits for any number of threads; `again`: with chunks that are made again. */
static void check_threads(struct reduction how, bool again)
{
	static struct data d;
	static real grad[3][N_PARAMS];
	const size_t threads[3] = { 1, 2, 7 };
	double loss[3];

	fill_data(&d);
	for (int i = 0; i < 3; i++) {
		parallel_use(threads[i]);
		struct arena *a = arena_new();
		struct graph *g = record_scan_by(a, NULL, how);
		g->chunks_keep_max = again ? 0 : g->chunks_keep_max;
		struct graph_args args = { .rows = 1000, .seed = 3, .params = { d.params } };
		loss[i] = graph_gradient(g, &args, N_PARAMS, grad[i]);
		loss[i] += graph_gradient(g, &args, N_PARAMS, grad[i]);
		arena_free(a);
	}
	parallel_use(0);
	for (int i = 1; i < 3; i++) {
		assert_true(loss[i] == loss[0]);
		assert_memory_equal(grad[i], grad[0], sizeof(grad[0]));
	}
}

static void test_threads(void **state)
{
	(void)state;
	check_threads((struct reduction){ REDUCE_MEAN, (double)INFINITY, 0 }, false);
	check_threads((struct reduction){ REDUCE_KEPT_VARIANCE, (double)INFINITY, 0 }, false);
	check_threads((struct reduction){ REDUCE_KEPT_VARIANCE, (double)INFINITY, 0 }, true);
	check_threads((struct reduction){ REDUCE_KEPT_MEAN, 30, 0 }, false);
}

/* --- a bound that moves, and noise with one ----------------------------------------------------- */

/* Each run has the bound of its time, in values, gradients and tangents. */
static void test_moving_bound(void **state)
{
	static const double bounds[] = { 0.5, 2, 0.1 };
	double bound = 1, x[BATCH], out[BATCH], tangent[BATCH];
	struct arena *a = arena_new();
	struct graph *g = graph_new(a, NULL, NULL);

	(void)state;
	struct var in = input(g, "x", 1);
	struct var z = whole(mul(param(g, 0, (struct slice){ 0, 1, 1 }), in));
	struct var y = label(clip_at(z, &bound), "y");
	label(jvp(y, z, in), "dy");
	graph_loss(y);
	for (size_t r = 0; r < BATCH; r++)
		x[r] = (double)(real)high_entropy(r, 9);
	for (size_t i = 0; i < 3; i++) {
		const struct binding b = { "x", NULL, x };
		const struct capture c[] = { { "y", out, NULL, NULL },
			{ "dy", tangent, NULL, NULL } };
		real one = 1, grad;
		struct graph_args args = { .rows = BATCH,
			.params = { &one },
			.inputs = &b,
			.n_inputs = 1,
			.captures = c,
			.n_captures = 2 };
		bound = bounds[i];
		graph_forward(g, &args);
		double edge = (double)(real)bound, slope = 0;
		for (size_t r = 0; r < BATCH; r++) {
			double inside = fabs(x[r]) <= edge ? x[r] : 0;
			assert_true(out[r] == fmax(-edge, fmin(edge, x[r])));
			assert_true(tangent[r] == inside);
			slope += inside / BATCH;
		}
		args.n_captures = 0;
		graph_gradient(g, &args, 1, &grad);
		/* Three chunks' sums of numbers of order one over BATCH. */
		assert_true(fabs((double)grad - slope) < 20 * (double)REAL_EPS);
	}
	arena_free(a);
}

static void draw_truncated(double bound, size_t threads, size_t rows, uint64_t seed, double *out)
{
	struct arena *a = arena_new();
	struct graph *g = graph_new(a, NULL, NULL);

	label(truncated_normal(g, RNG_PRIOR, 2, bound), "z");
	const struct capture c = { "z", out, NULL, NULL };
	const struct graph_args args = { .rows = rows,
		.seed = seed,
		.captures = &c,
		.n_captures = 1 };
	parallel_use(threads);
	graph_forward(g, &args);
	parallel_use(0);
	arena_free(a);
}

/* Kolmogorov's distance to the law: sqrt(n) D is above 2.7 with a probability of 1e-6. Rows have their numbers
 * whatever the threads and however many there are. */
static void test_truncated_normal(void **state)
{
	enum { N = 20000 };
	static const double bounds[] = { 0.3, 1.7, 3.8905918864131203 };
	static double z[2 * N], again[2 * N], sorted[2 * N];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		double low = gsl_cdf_gaussian_P(-bounds[i], 1), far = 0, product = 0, square = 0;
		draw_truncated(bounds[i], 1, N, 5, z);
		memcpy(sorted, z, sizeof(z));
		qsort(sorted, 2 * N, sizeof(double), ascending);
		assert_true(fabs(sorted[0]) <= bounds[i] * (1 + (double)REAL_EPS));
		assert_true(fabs(sorted[2 * N - 1]) <= bounds[i] * (1 + (double)REAL_EPS));
		for (size_t j = 0; j < 2 * N; j++) {
			double law = (gsl_cdf_gaussian_P(sorted[j], 1) - low) / (1 - 2 * low);
			far = fmax(far, fmax(fabs(law - (double)j / (2. * N)),
						fabs(law - (double)(j + 1) / (2. * N))));
		}
		assert_true(far * sqrt(2. * N) < 2.7);
		for (size_t j = 0; j < N; j++) {
			product += z[2 * j] * z[2 * j + 1];
			square += pow(z[2 * j] * z[2 * j + 1], 2);
		}
		assert_true(fabs(product) < 5 * sqrt(square)); /* columns are independent */
		draw_truncated(bounds[i], 2, N, 5, again);
		assert_memory_equal(again, z, sizeof(z));
		draw_truncated(bounds[i], 7, 101, 5, again);
		assert_memory_equal(again, z, 101 * 2 * sizeof(double));
		draw_truncated(bounds[i], 1, 101, 6, again);
		assert_memory_not_equal(again, z, 2 * sizeof(double));
	}
}

int main(void)
{
	openblas_set_num_threads(1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gradients),
		cmocka_unit_test(test_tangents),
		cmocka_unit_test(test_map_values),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_scan_gradient),
		cmocka_unit_test(test_scan_reductions),
		cmocka_unit_test(test_reduce),
		cmocka_unit_test(test_reductions_by_hand),
		cmocka_unit_test(test_kept_chunks),
		cmocka_unit_test(test_learned_schedule),
		cmocka_unit_test(test_captures),
		cmocka_unit_test(test_scan_ends_early),
		cmocka_unit_test(test_tapes),
		cmocka_unit_test(test_total_of_what_came_before),
		cmocka_unit_test(test_total_before_state),
		cmocka_unit_test(test_stopped_next),
		cmocka_unit_test(test_tangent_of_sum),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_moving_bound),
		cmocka_unit_test(test_truncated_normal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
