/* Networks, initialisers, schedules and optimisers: what the golden files leave out. */
#include "nn/net.h"
#include "nn/optim.h"
#include "nn/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { DIM = 10 };

static void test_layout(void **state)
{
	struct control_net plain, conditioned;

	(void)state;
	control_net_layout(&plain, DIM, false, 1);
	control_net_layout(&conditioned, DIM, true, 1);
	/* The published counts of parameters in 10 dimensions. */
	assert_int_equal(plain.n_params, 39316);
	assert_int_equal(conditioned.n_params, 55700);
	assert_int_equal(conditioned.trunk[5].offset + DIM, conditioned.n_params);
}

static void moments(const real *x, size_t n, double *mean, double *variance)
{
	*mean = *variance = 0;
	for (size_t i = 0; i < n; i++)
		*mean += (double)x[i] / (double)n;
	for (size_t i = 0; i < n; i++)
		*variance += pow((double)x[i] - *mean, 2) / (double)n;
}

/* LeCun normal, truncated at two deviations before it is rescaled; zero biases and phases; small last
 * kernels; the grad net's bias. */
static void test_initialisation(void **state)
{
	struct arena *a = arena_new();
	struct control_net net;
	double mean, variance;

	(void)state;
	control_net_layout(&net, DIM, true, 1);
	real *p = arena_alloc(a, net.n_params, sizeof(real));
	real *q = arena_alloc(a, net.n_params, sizeof(real));
	control_net_init(&net, 5, p);
	control_net_init(&net, 6, q);
	const struct slice k = net.state_enc[0];
	size_t n = k.rows * k.cols;
	moments(p + k.offset, n, &mean, &variance);
	/* Five standard errors; the truncated law's fourth moment is below the normal's. */
	assert_true(fabs(mean) < 5 / sqrt((double)(k.rows * n)));
	assert_true(fabs(variance * (double)k.rows - 1) < 5 * sqrt(2 / (double)n));
	double edge = 2 / 0.87962566103423978 / sqrt((double)k.rows), largest = 0;
	for (size_t i = 0; i < n; i++)
		largest = fmax(largest, fabs((double)p[k.offset + i]));
	assert_true(largest <= edge * (1 + 1e-6) && largest > 0.95 * edge);
	assert_true(p[k.offset] != q[k.offset]);
	for (size_t i = 0; i < 64; i++)
		assert_true(p[net.phase.offset + i] == 0 && p[net.state_enc[1].offset + i] == 0);
	for (size_t i = 0; i < DIM; i++) {
		assert_true(p[net.grad_net[7].offset + i] == 1 && p[net.trunk[5].offset + i] == 0);
		assert_true(p[net.trunk[4].offset + i] == (real)1e-8);
		assert_true(p[net.grad_net[6].offset + i] == (real)1e-8);
	}
	arena_free(a);
}

/* At the start the control is the clipped score feature. */
static void test_first_control(void **state)
{
	struct arena *a = arena_new();
	struct control_net net;
	real x[2 * DIM], t[2] = { (real)0.5, 1 }, d[2] = { (real)0.125, (real)0.5 }, l[2 * DIM];
	double u[2 * DIM];

	(void)state;
	control_net_layout(&net, DIM, true, 1);
	real *p = arena_alloc(a, net.n_params, sizeof(real));
	control_net_init(&net, 5, p);
	for (size_t i = 0; i < 2 * DIM; i++) {
		x[i] = (real)(sin((double)i) * 3);
		l[i] = (real)(cos((double)i) * 150); /* beyond the inner clip in places */
	}
	struct counts counts = { 0, 0 };
	struct graph *g = graph_new(a, NULL, &counts);
	label(control(&net, 0, input(g, "x", DIM), input(g, "t", 1), input(g, "d", 1),
		      input(g, "l", DIM)),
		"u");
	const struct binding in[] = { { "x", x, NULL }, { "t", t, NULL }, { "d", d, NULL },
		{ "l", l, NULL } };
	const struct capture c = { "u", u, NULL, NULL };
	const struct graph_args args = { .rows = 2,
		.params = { p },
		.inputs = in,
		.n_inputs = 4,
		.captures = &c,
		.n_captures = 1 };
	graph_forward(g, &args);
	for (size_t i = 0; i < 2 * DIM; i++) {
		double clipped = fmax(-100, fmin(100, (double)l[i]));
		/* Kernels of 1e-8 times 64 hidden values of order one move it by 1e-6 of 100. */
		assert_true(fabs(u[i] - clipped) < 1e-3);
	}
	assert_int_equal(counts.network, 2);
	arena_free(a);
}

static struct adam plain_adam(void)
{
	return (struct adam){ .rate = 0.1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8 };
}

/* One Adam step moves by the rate against the gradient's sign; L2 enters the gradient, decoupled decay
 * does not. */
static void test_decay(void **state)
{
	struct arena *a = arena_new();
	struct learner l;

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		learner_init(&l, 2, a);
		l.theta[0] = 2;
		l.theta[1] = -2;
		l.settings = plain_adam();
		l.settings.l2 = kind == 1 ? 0.5 : 0;
		l.settings.weight_decay = kind == 2 ? 0.5 : 0;
		real grad[2] = { (real)-0.5, (real)0.5 };
		adam_step(&l.optimiser, &l.settings, l.theta, grad);
		/* Plain: +0.1. L2: the gradient turns to -0.5 + 0.5 * 2 = 0.5, so -0.1. Decoupled:
		 * +0.1 - 0.1 * 0.5 * 2 = 0. */
		double moved[3] = { 0.1, -0.1, 0 };
		assert_true(fabs((double)l.theta[0] - 2 - moved[kind]) < 1e-6);
		assert_true(fabs((double)l.theta[1] + 2 + moved[kind]) < 1e-6);
	}
	arena_free(a);
}

/* A step that is left out moves nothing and its loss, finite or not, is told as NaN. */
static void test_left_out(void **state)
{
	struct arena *a = arena_new();
	struct graph *g = graph_new(a, NULL, NULL);
	const double x[2] = { 1e30, 2e30 };
	const struct binding in = { "x", NULL, x };
	struct graph_args args = { .rows = 2, .inputs = &in, .n_inputs = 1 };
	struct learner l;

	(void)state;
	graph_loss(mul(input(g, "x", 1), param(g, 0, (struct slice){ 0, 1, 1 })));
	memset(&l, 0xff, sizeof(l)); /* as a variable may be found */
	learner_init(&l, 1, a);
	assert_true(l.averaging.every == 0 && learner_evaluated(&l) == l.theta);
	l.settings = plain_adam();
	l.settings.skip = true;
	assert_true(isnan(learner_step(&l, g, &args, 1e300)));
	assert_true(l.theta[0] == 0 && l.optimiser.count == 0);
	assert_true(learner_step(&l, g, &args, 1e-30) == 0);
	assert_true(l.theta[0] < 0 && l.optimiser.count == 1);
	arena_free(a);
}

/* NaN becomes 0 before the norm is taken; a gradient inside the bound stays. */
static void test_clipping(void **state)
{
	struct arena *a = arena_new();
	struct optimiser o;
	struct adam s = plain_adam();
	real theta[3] = { 0 }, grad[3] = { 30, (real)NAN, 40 },
	     small[3] = { (real)0.3, 0, (real)0.4 };

	(void)state;
	optimiser_init(&o, 3, a);
	s.clip = CLIP_NORM;
	s.clip_bound = 1;
	adam_step(&o, &s, theta, grad);
	assert_true(fabs((double)grad[0] - 0.6) < 1e-6 && grad[1] == 0);
	assert_true(fabs((double)grad[2] - 0.8) < 1e-6);
	adam_step(&o, &s, theta, small);
	assert_true(small[0] == (real)0.3 && small[2] == (real)0.4);
	s.clip = CLIP_ELEMENT;
	real mixed[3] = { 7, (real)-0.5, -7 };
	adam_step(&o, &s, theta, mixed);
	assert_true(mixed[0] == 1 && mixed[1] == (real)-0.5 && mixed[2] == -1);
	arena_free(a);
}

static void test_average_and_schedule(void **state)
{
	real average[2] = { 1, 0 }, theta[2] = { 3, -1 };
	const long milestones[2] = { 200, 400 };

	(void)state;
	ema_update(2, 0.75, average, theta);
	assert_true(average[0] == (real)1.5 && average[1] == (real)-0.25);
	assert_true(step_schedule(milestones, 2, 5, 199) == 1);
	assert_true(step_schedule(milestones, 2, 5, 200) == 5);
	assert_true(step_schedule(milestones, 2, 5, 1000) == 25);
}

static void test_noise_schedules(void **state)
{
	double beta[129], sum = 0;

	(void)state;
	/* The published ends, and the integral over (0, 1): 2.4825. */
	assert_true(fabs(schedule_cosine(1, 0.01, 10) - 4.9992) < 5e-5);
	assert_true(fabs(schedule_cosine(0, 0.01, 10) - 0.005) < 1e-12);
	for (int i = 0; i < 10000; i++)
		sum += schedule_cosine((i + 0.5) / 10000, 0.01, 10) / 10000;
	assert_true(fabs(sum - 2.4825) < 5e-5);
	/* With 128 steps the last five of DDS are exactly the identity, and the largest stands twice. */
	schedule_dds(128, 6, beta);
	for (size_t c = 1; c <= 5; c++)
		assert_true(beta[c] == 0);
	assert_true(beta[6] > 0 && beta[128] == beta[127]);
	for (size_t c = 1; c < 128; c++)
		assert_true(beta[c] <= beta[c + 1] && beta[c + 1] <= 1);
}

/* --- the networks of sde_sampler ---------------------------------------------------------------- */

static void test_sde_layout(void **state)
{
	struct sde_net net;
	size_t n = 7;
	struct fourier_mlp alone;

	(void)state;
	/* The published counts for SCDS. */
	sde_net_layout(&net, CONTROL_LERP, 2, true, SDE_WIDTH);
	assert_int_equal(net.n_params, 50307);
	sde_net_layout(&net, CONTROL_LERP, 10, true, SDE_WIDTH);
	assert_int_equal(net.n_params, 51339);
	/* The base comes first, whatever the form; its embedding of the step has 12480 numbers, the scale of
	 * the score 16705. */
	sde_net_layout(&net, CONTROL_CLIPPED, 10, false, SDE_WIDTH);
	assert_int_equal(net.n_params, 51339 - 12480 - 16705);
	assert_int_equal(net.base.input[0].offset, 0);
	fourier_mlp_layout(&alone, 10, false, SDE_WIDTH, &n);
	assert_int_equal(n, 7 + net.n_params);
	assert_int_equal(alone.dense[5].offset, 7 + net.base.dense[5].offset);
}

/* Layers from start to end are uniform within 1 / sqrt(inputs). */
static void assert_uniform(const real *params, struct slice s, size_t inputs)
{
	double mean, variance, bound = 1 / sqrt((double)inputs), largest = 0;
	size_t n = s.rows * s.cols;

	moments(params + s.offset, n, &mean, &variance);
	for (size_t i = 0; i < n; i++)
		largest = fmax(largest, fabs((double)params[s.offset + i]));
	/* Five standard errors of mean and variance; the largest of n is missed by 1 - 10 / n with
	 * probability e^-10. */
	assert_true(fabs(mean) < 5 * bound / sqrt(3 * (double)n));
	assert_true(fabs(3 * variance / (bound * bound) - 1) < 5 * sqrt(0.8 / (double)n));
	assert_true(largest <= bound * (1 + 1e-6) && largest > bound * (1 - 10 / (double)n));
}

static void test_sde_initialisation(void **state)
{
	struct arena *a = arena_new();
	struct sde_net net;
	double mean, variance;

	(void)state;
	for (int form = CONTROL_LERP; form <= CONTROL_SCORE; form++) {
		sde_net_layout(&net, (enum control_form)form, DIM, true, SDE_WIDTH);
		real *p = arena_alloc(a, net.n_params, sizeof(real));
		for (size_t i = 0; i < net.n_params; i++)
			p[i] = (real)NAN;
		sde_net_init(&net, 11, p);
		for (size_t i = 0; i < net.n_params; i++)
			assert_true(isfinite(p[i]));
		assert_uniform(p, net.base.input[0], DIM);
		assert_uniform(p, net.base.input[1], DIM);
		assert_uniform(p, net.base.time.dense[0], 128);
		assert_uniform(p, net.base.step.dense[1], 128);
		assert_uniform(p, net.base.time.dense[2], 64);
		assert_uniform(p, net.base.dense[2], 64);
		assert_uniform(p, net.base.dense[3], 64);
		assert_uniform(p, net.score_scale.dense[4], 64);
		const struct slice phase = net.score_scale.phase;
		moments(p + phase.offset, phase.cols, &mean, &variance);
		assert_true(fabs(mean) < 5 / 8.0);
		assert_true(fabs(variance - 1) < 5 * sqrt(2 / 64.0));
		for (size_t i = 0; i < DIM * 65; i++)
			assert_true(p[net.base.dense[4].offset + i] == 0);
		for (size_t i = 0; i < 64; i++)
			assert_true(p[net.score_scale.dense[6].offset + i] == 0);
		assert_true(p[net.score_scale.dense[7].offset] ==
			    (real)(form == CONTROL_LERP ? 1 : 0.01));
	}
	arena_free(a);
}

enum { ROWS = 3 };

/* A run of a graph on made-up points: what came of the value of this label. */
static void run_sde(struct graph *g, const real *params, const char *name, size_t cols, double *out)
{
	real x[ROWS * DIM], l[ROWS * DIM], t[ROWS], d[ROWS];

	for (size_t i = 0; i < ROWS * DIM; i++) {
		x[i] = (real)(sin((double)i) * 3);
		l[i] = (real)(cos((double)i) * 15);
	}
	for (size_t i = 0; i < ROWS; i++) {
		t[i] = (real)(0.1 + 0.25 * (double)i);
		d[i] = (real)(1.0 / (double)(1 + i));
	}
	const struct binding in[] = { { "x", x, NULL }, { "t", t, NULL }, { "d", d, NULL },
		{ "l", l, NULL } };
	const struct capture c = { name, out, NULL, NULL };
	const struct graph_args args = { .rows = ROWS,
		.params = { params },
		.inputs = in,
		.n_inputs = 4,
		.captures = &c,
		.n_captures = 1 };
	graph_forward(g, &args);
	for (size_t i = 0; i < ROWS * cols; i++)
		assert_true(isfinite(out[i]));
}

/* u as the papers write it, put together outside the graph from its parts. */
static void test_control_forms(void **state)
{
	struct arena *a = arena_new();
	const struct clips clips = { 0.3, 10 };
	double u[ROWS * DIM], net_out[ROWS * DIM], s[ROWS], plain[ROWS * DIM];

	(void)state;
	for (int form = CONTROL_LERP; form <= CONTROL_CLIPPED; form++)
		for (int trained = 0; trained < 2; trained++) {
			struct sde_net net;
			struct counts counts = { 0, 0 };
			sde_net_layout(&net, (enum control_form)form, DIM, true, SDE_WIDTH);
			real *p = arena_alloc(a, net.n_params, sizeof(real));
			sde_net_init(&net, 3, p);
			for (size_t i = 0; trained && i < net.n_params; i++)
				p[i] += (real)(0.2 * sin(1.7 * (double)i));
			struct graph *g = graph_new(a, NULL, &counts);
			struct var x = input(g, "x", DIM), t = input(g, "t", 1),
				   d = input(g, "d", 1), l = input(g, "l", DIM), v;
			if (form == CONTROL_LERP)
				v = control_lerp(&net, 0, &clips, x, t, d, scale(2, t), l);
			else if (form == CONTROL_SCORE)
				v = control_score(&net, 0, &clips, x, t, d, l);
			else
				v = control_clipped(&net, 0, &clips, x, t, d);
			label(v, "u");
			run_sde(g, p, "u", DIM, u);
			assert_int_equal(counts.network, ROWS);
			label(fourier_mlp(&net.base, 0, x, t, d), "net");
			run_sde(g, p, "net", DIM, net_out);
			memset(s, 0, sizeof(s));
			if (form != CONTROL_CLIPPED) {
				label(time_embed(&net.score_scale, 0, t), "s");
				run_sde(g, p, "s", 1, s);
			}
			for (size_t i = 0; i < ROWS * DIM; i++) {
				size_t row = i / DIM;
				double sigma =
					form == CONTROL_LERP ? 2 * (0.1 + 0.25 * (double)row) : 1;
				double feature = fmax(-10, fmin(10, 15 * cos((double)i)));
				double want = fmax(-0.3, fmin(0.3, net_out[i])) +
					      sigma * feature * fmax(-0.3, fmin(0.3, s[row]));
				assert_true(trained || net_out[i] == 0);
				/* A few roundings of terms up to 2 * 10 * 0.3. */
				assert_true(fabs(u[i] - want) < 64 * (double)REAL_EPS);
			}
		}
	/* Without step-conditioning d is not looked at. */
	struct sde_net net;
	sde_net_layout(&net, CONTROL_CLIPPED, DIM, false, 8);
	real *p = arena_alloc(a, net.n_params, sizeof(real));
	for (size_t i = 0; i < net.n_params; i++)
		p[i] = (real)(0.3 * sin(1.7 * (double)i));
	struct graph *g = graph_new(a, NULL, NULL);
	struct var x = input(g, "x", DIM), t = input(g, "t", 1), d = input(g, "d", 1);
	(void)input(g, "l", DIM);
	label(fourier_mlp(&net.base, 0, x, t, d), "with");
	label(fourier_mlp(&net.base, 0, x, t, t), "without");
	run_sde(g, p, "with", DIM, u);
	run_sde(g, p, "without", DIM, plain);
	assert_memory_equal(u, plain, sizeof(u));
	arena_free(a);
}

/* lerp and its one-sided forms. */
static void test_lerp(void **state)
{
	struct arena *a = arena_new();
	struct graph *g = graph_new(a, NULL, NULL);
	const struct var none = { NULL, 0 };
	double both[ROWS * DIM], first[ROWS * DIM], second[ROWS * DIM];

	(void)state;
	struct var x = input(g, "x", DIM), t = input(g, "t", 1), l = input(g, "l", DIM);
	(void)input(g, "d", 1);
	label(lerp(t, x, l), "both");
	label(lerp(t, x, none), "first");
	label(lerp(t, none, l), "second");
	run_sde(g, NULL, "both", DIM, both);
	run_sde(g, NULL, "first", DIM, first);
	run_sde(g, NULL, "second", DIM, second);
	for (size_t i = 0; i < ROWS * DIM; i++) {
		double w = 0.1 + 0.25 * (double)(i / DIM);
		/* Roundings of x, l and w, 15 at most. */
		assert_true(fabs(first[i] - (1 - w) * 3 * sin((double)i)) < 64 * (double)REAL_EPS);
		assert_true(fabs(second[i] - w * 15 * cos((double)i)) < 64 * (double)REAL_EPS);
		assert_true(fabs(both[i] - first[i] - second[i]) < 64 * (double)REAL_EPS);
	}
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_initialisation),
		cmocka_unit_test(test_first_control),
		cmocka_unit_test(test_decay),
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_clipping),
		cmocka_unit_test(test_average_and_schedule),
		cmocka_unit_test(test_noise_schedules),
		cmocka_unit_test(test_sde_layout),
		cmocka_unit_test(test_sde_initialisation),
		cmocka_unit_test(test_control_forms),
		cmocka_unit_test(test_lerp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
