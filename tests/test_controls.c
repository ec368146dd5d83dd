/* Controls that are known. Where the target is Gaussian, so are all the laws on the way, and with them the
 * control that steers the prior into the target is known. With it log w is 0 but for what the integrator
 * errs: an error of order dt a step, independent from step to step. So the variance of log w falls as dt,
 * the ELBO is log Z less half of it, the EUBO log Z plus half. A wrong sign, factor or time leaves a
 * variance that does not fall. Weights that are not exact in discrete time err by an amount that is known
 * for every control, and falls as dt too. */
#include "core/stats.h"
#include "methods.h"
#include "run/curve.h"
#include "run/controlled.h"

#include <cblas.h>

/* Target N(MEAN, SD^2 I), log Z = 0; the noising processes keep N(0, SIGMA0^2 I). Neither has the other's
 * mean or scale, nor unit scale. */
static const double MEAN = 0.7, SD = 0.6, SIGMA0 = 1.3;
#define TARGET_SETTINGS "mean=0.7,std=0.6,dim=2"
enum { DIMENSION = 2, MANY = 8192, FEW = 256, MOST = 1024 };

/* --- processes -------------------------------------------------------------------------------- */

/* What the optimal control is the gain times: the score of the noised target; that less the score of the prior,
 * which the uncontrolled process has; the gradient of log h, of a bridge from 0. */
enum kind { OF_SCORE, OF_TILT, OF_BRIDGE };

struct process {
	const char *method, *pass, *settings;
	enum kind kind;
	/* Of the k noising steps from the target, that to t: x' = keep x + spread eps. */
	void (*step)(double t, size_t k, double *keep, double *spread);
	double (*gain)(double t);
	/* log E[w] in k steps, whatever the control. NULL: 0. */
	double (*bias)(size_t k);
	size_t coarse; /* steps that show the bias */
};

/* The processes end near their prior, but not at it: what the target is at t = 1 has a mean of A MEAN, with A
 * the exponential of minus the integral of b. With ours of 6 that is 0.0017, which leaves a variance of
 * 2 (0.0017/1.3)^2, 3e-6, and nothing falls below that; the variances here are above 1e-3. */
#define COSINE "beta_min=0.2,beta_max=24"
#define COSINE_TWICE "beta_min=0.4,beta_max=48"
#define LINEAR "beta_min=0.4,beta_max=24"

static double b_cosine(double t)
{
	return schedule_cosine(t, 0.2, 24);
}

static double b_linear(double t)
{
	return 0.5 * schedule_linear(t, 0.4, 24);
}

static double gain_cosine(double t)
{
	return SIGMA0 * sqrt(2 * b_cosine(t));
}

static double gain_linear(double t)
{
	return SIGMA0 * sqrt(2 * b_linear(t));
}

static void step_cosine(double t, size_t k, double *keep, double *spread)
{
	*keep = 1 - b_cosine(t) / (double)k;
	*spread = gain_cosine(t) / sqrt((double)k);
}

static void step_linear(double t, size_t k, double *keep, double *spread)
{
	*keep = 1 - b_linear(t) / (double)k;
	*spread = gain_linear(t) / sqrt((double)k);
}

/* Of Brownian motion alone the noise matters. */
static double gain_pis(double t)
{
	return schedule_cosine(t, 0.4, 4);
}

static void step_pis(double t, size_t k, double *keep, double *spread)
{
	*keep = 1;
	*spread = gain_pis(t) / sqrt((double)k);
}

static double gain_constant(double t)
{
	(void)t;
	return 0.9;
}

static void step_constant(double t, size_t k, double *keep, double *spread)
{
	*keep = 1;
	*spread = gain_constant(t) * sqrt(2 / (double)k); /* horizon 2 */
}

static double gain_dds(double t)
{
	(void)t;
	return SIGMA0 * SIGMA0;
}

/* sde_sampler's control is over sigma0^2. */
static double gain_times(double t)
{
	(void)t;
	return 1;
}

static void step_dds(double t, size_t k, double *keep, double *spread)
{
	double beta[MOST + 1];

	schedule_dds(k, 12, beta);
	double own = beta[(size_t)(t * (double)k + 0.5)];
	*keep = sqrt(1 - own * own);
	*spread = own * SIGMA0;
}

static void step_times(double t, size_t k, double *keep, double *spread)
{
	double times[MOST + 1];

	schedule_dds_times(k, 12, times);
	size_t from_prior = (size_t)((1 - t) * (double)k + 0.5);
	double square = times[from_prior + 1] - times[from_prior];
	*keep = sqrt(1 - square);
	*spread = sqrt(square) * SIGMA0;
}

/* A line integral leaves the volume of a step, 1 + b dt, at exp(b dt): the rest of the weight is exact for
 * the generation without control, whose density at the start cancels the prior's. */
static double bias_of_line(size_t k, double (*b)(double t), bool integral)
{
	double total = 0, dt = 1 / (double)k;

	for (size_t i = 0; i < k; i++) {
		double t = (double)(k - i) * dt;
		double counted = integral ? 0.5 * (b(t) + b(t - dt)) : b(t);
		total += counted * dt - log1p(b(t) * dt);
	}
	return DIMENSION * total;
}

static double bias_cosine(size_t k)
{
	return bias_of_line(k, b_cosine, false);
}

static double bias_linear(size_t k)
{
	return bias_of_line(k, b_linear, true);
}

/* The reference of the Euler scheme ends with a variance v that is not the prior's, p0: E[w] is the integral
 * of N(x; 0, v)/p0(x) over the target. */
static double bias_euler(size_t k)
{
	double v = SIGMA0 * SIGMA0, p0 = v;

	for (size_t i = 0; i < k; i++) {
		double keep, spread;
		step_linear((double)(k - i) / (double)k, k, &keep, &spread);
		v = keep * keep * v + spread * spread;
	}
	double tilt = 1 / v - 1 / p0; /* E[exp(-tilt x^2/2)] of the target */
	double wider = 1 + tilt * SD * SD;
	double one = 0.5 * log(p0 / v) - 0.5 * log(wider) - 0.5 * tilt * MEAN * MEAN / wider;
	return DIMENSION * one;
}

static const struct process processes[] = {
	{ "pis", "", "steps=4,sigma_min=0.4,sigma_max=4", OF_BRIDGE, step_pis, gain_pis, NULL, 0 },
	{ "pis", "", "steps=4,schedule=constant,sigma=0.9,horizon=2,network=scds", OF_BRIDGE,
		step_constant, gain_constant, NULL, 0 },
	{ "dds", "", "steps=4,sigma0=1.3,noise_scale=12", OF_TILT, step_dds, gain_dds, NULL, 0 },
	{ "dds", "", "steps=4,sigma0=1.3,schedule=times,horizon=12,network=scds", OF_TILT,
		step_times, gain_times, NULL, 0 },
	{ "dis", "sde", "steps=4,sigma0=1.3," COSINE, OF_SCORE, step_cosine, gain_cosine, NULL, 0 },
	{ "osds", "sde", "steps=1024,batch=64,sigma0=1.3," COSINE_TWICE, OF_SCORE, step_cosine,
		gain_cosine, NULL, 0 },
	{ "scds", "sde", "steps=1024,batch=64,sigma0=1.3,schedule=linear,network=scds," LINEAR,
		OF_SCORE, step_linear, gain_linear, NULL, 0 },
	{ "dis", "line", "steps=4,sigma0=1.3,form=line," COSINE, OF_SCORE, step_cosine, gain_cosine,
		bias_cosine, 128 },
	{ "scds", "line",
		"steps=1024,batch=64,sigma0=1.3,schedule=linear,volume=integral,network="
		"scds," LINEAR,
		OF_SCORE, step_linear, gain_linear, bias_linear, 128 },
	{ "dds_euler", "", "steps=4,sigma0=1.3," LINEAR, OF_SCORE, step_linear, gain_linear,
		bias_euler, 64 },
};
enum { N_PROCESSES = sizeof(processes) / sizeof(processes[0]) };

/* --- their optimal controls ------------------------------------------------------------------- */

/* A control as a method asks for it: that of the process, times `factor`. */
struct known {
	const struct process *process;
	double factor;
};

/* h(x) = E[target/N(0, V I) at the end | x now] of Brownian motion with the variance V at the end: the
 * exponential of a quadratic. */
static void control_of_bridge(const struct process *p, const double *t, size_t k, double *slope,
	double *shift)
{
	double left[MOST + 1] = { 0 }; /* variance that is to come at t = i/k */

	for (size_t i = 0; i < k; i++) {
		double keep, spread;
		p->step((double)(i + 1) / (double)k, k, &keep, &spread);
		left[i + 1] = left[i] + spread * spread;
	}
	double a = 1 / (SD * SD) - 1 / left[k];
	for (size_t i = 0; i < k; i++) {
		double width = 1 + a * left[(size_t)(t[i] * (double)k + 0.5)];
		slope[i] = -p->gain(t[i]) * a / width;
		shift[i] = p->gain(t[i]) * MEAN / (SD * SD) / width;
	}
}

/* The noising in k steps from the target has Gaussian laws. */
static void control_of_reversal(const struct process *p, const double *t, size_t k, double *slope,
	double *shift)
{
	double mean[MOST + 1], variance[MOST + 1];

	mean[0] = MEAN;
	variance[0] = SD * SD;
	for (size_t i = 0; i < k; i++) {
		double keep, spread;
		p->step((double)(i + 1) / (double)k, k, &keep, &spread);
		mean[i + 1] = keep * mean[i];
		variance[i + 1] = keep * keep * variance[i] + spread * spread;
	}
	for (size_t i = 0; i < k; i++) {
		size_t at = (size_t)(t[i] * (double)k + 0.5);
		double prior = p->kind == OF_TILT ? 1 / (SIGMA0 * SIGMA0) : 0;
		slope[i] = p->gain(t[i]) * (prior - 1 / variance[at]);
		shift[i] = p->gain(t[i]) * mean[at] / variance[at];
	}
}

static struct var optimal(const void *context, struct var x, const double *t, size_t k)
{
	const struct known *known = context;
	double slope[MOST], shift[MOST];

	if (known->process->kind == OF_BRIDGE)
		control_of_bridge(known->process, t, k, slope, shift);
	else
		control_of_reversal(known->process, t, k, slope, shift);
	return scale(known->factor, affine(x, k, slope, shift));
}

/* Mean and variance of log w, and the weights themselves. */
struct outcome {
	double mean, variance;
	struct weight_stats weights;
};

static struct outcome outcome_of(size_t n, const double *log_w, int sign)
{
	struct outcome o = { .mean = stats_mean(log_w, n), .variance = stats_variance(log_w, n) };

	stats_weights(log_w, n, sign, &o.weights);
	return o;
}

/* n draws in k steps with the optimal control times `factor`: ahead, and back from exact samples. */
static void run_known(const struct process *p, double factor, size_t k, size_t n,
	struct outcome out[2])
{
	struct trial *t = trial_start(p->method, "gaussian", TARGET_SETTINGS, p->settings, 4);
	const struct pass *pass = trial_pass(t, p->pass);
	const struct known known = { p, factor };
	struct oracle *oracle = t->state;
	struct draws *d = draws_new(t, n, true);

	*oracle = (struct oracle){ optimal, &known };
	assert_int_equal(pass->weights, p->bias != NULL ? WEIGHTS_BIASED : WEIGHTS_EXACT);
	assert_int_equal(t->method->sample(t->state, &t->cell, pass, k, 0, d), OK);
	out[0] = outcome_of(n, d->log_w, 1);
	out[1] = outcome_of(n, d->log_w_forward, -1);
	trial_free(t);
}

#define check_that(p, condition, ...)                                                \
	do {                                                                         \
		if (!(condition)) {                                                  \
			print_error("%s, pass \"%s\", %s: ", (p)->method, (p)->pass, \
				(p)->settings);                                      \
			fail_msg(__VA_ARGS__);                                       \
		}                                                                    \
	} while (0)

/* --- tests ------------------------------------------------------------------------------------ */

/* The variance falls as 1/k. Its next order is the largest for the cosine, 130/k of it: from 128 to 512
 * steps it falls by 4 * 1.74, from 256 to 1024 by up to 4 (1 + 130 (1/256 - 1/1024)) = 4 * 1.38. A variance of so
 * many draws has a relative standard error of sqrt(2/MANY); 5 of them for two are 0.11. What a line
 * integral takes for the volume of a step, |eps|^2 included, varies more than all else. */
static void check_variance(const struct process *p, bool back, double few, double many)
{
	double ratio = few / many / ((double)MOST / FEW), error = 10 * sqrt(1. / MANY);

	check_that(p, ratio > 1 - error && ratio < 1.38 + error,
		"back %d: the variance falls from %g to %g", back, few, many);
	check_that(p, many < (strcmp(p->pass, "line") == 0 ? 0.25 : 0.01), "back %d: variance %g",
		back, many);
}

/* The mean of log w is log Z less half the variance from the prior, and log Z plus half from exact samples;
 * third cumulants of k independent errors of order 1/k are of order 1/k^2. Where weights are biased, E[w]
 * takes the place of Z, and the way back, which is not the reversal of the uncontrolled process but to
 * order dt, has a bias of its own of this order. */
static void check_means(const struct process *p, bool back, const struct outcome *few,
	const struct outcome *many)
{
	double bias = p->bias != NULL ? p->bias(MOST) : 0;
	double half = (back ? 0.5 : -0.5) * many->variance;
	double error = 5 * sqrt(many->variance / MANY) + many->variance * many->variance;
	double log_z = many->weights.log_mean - bias, se = many->weights.log_mean_se;

	if (back && p->bias != NULL) {
		double before = fabs(few->weights.log_mean) + 5 * few->weights.log_mean_se;
		check_that(p, fabs(many->weights.log_mean) < before / 4 * 1.1 + 5 * se,
			"log Z back is off by %g and then by %g", few->weights.log_mean,
			many->weights.log_mean);
		return;
	}
	check_that(p, fabs(many->mean - bias - half) < error, "back %d: mean %g, not %g", back,
		many->mean, bias + half);
	check_that(p, fabs(log_z) < 5 * se, "back %d: log Z %g, standard error %g", back, log_z,
		se);
}

static void test_optimal_control(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < N_PROCESSES; i++) {
		const struct process *p = &processes[i];
		struct outcome few[2], many[2];
		run_known(p, 1, FEW, MANY, few);
		run_known(p, 1, MOST, MANY, many);
		for (int back = 0; back < 2; back++) {
			check_variance(p, back, few[back].variance, many[back].variance);
			check_means(p, back, &few[back], &many[back]);
		}
	}
}

/* What is not exact errs as known, with the optimal control and with another one, and half as much in
 * twice the steps; and by more than could be overlooked. */
static void test_bias(void **unused)
{
	enum { DRAWS = 65536 };

	(void)unused;
	for (size_t i = 0; i < N_PROCESSES; i++) {
		const struct process *p = &processes[i];
		if (p->bias == NULL)
			continue;
		/* The next order is about b dt, 12/512, of it. */
		double order = p->bias(512) / p->bias(1024) / 2;
		check_that(p, fabs(order - 1) < 0.03, "the bias is not of first order: %g", order);
		for (size_t j = 0; j < 4; j++) {
			struct outcome o[2];
			size_t k = j % 2 == 0 ? p->coarse : 2 * p->coarse;
			run_known(p, j < 2 ? 1 : 0.9, k, DRAWS, o);
			double bias = p->bias(k), se = o[0].weights.log_mean_se;
			check_that(p, fabs(o[0].weights.log_mean - bias) < 5 * se,
				"%zu steps: log Z is off by %g, standard error %g, and not by %g",
				k, o[0].weights.log_mean, se, bias);
			check_that(p, j != 0 || fabs(bias) > 5 * se,
				"a bias of %g is not seen, standard error %g", bias, se);
		}
	}
}

/* Log w along OSDS's flow has the trace of the drift's Jacobian, which is exact for a control that is affine,
 * whatever the probe. So it is log Z for each sample but for the integrator's error, of first order with a
 * next order of 28/k of it by what it is from 128 to 512 steps, 36/k allowed: the same draws at both step
 * counts, ahead and back. */
static void test_flow(void **unused)
{
	static const struct process p = { "osds", "ode",
		"steps=1024,batch=64,sigma0=1.3," COSINE_TWICE, OF_SCORE, step_cosine, gain_cosine,
		NULL, 0 };
	static const struct known known = { &p, 1 };
	enum { DRAWS = 512 };
	double square[2][2] = { { 0, 0 }, { 0, 0 } };

	(void)unused;
	for (size_t fine = 0; fine < 2; fine++) {
		struct trial *t = trial_start(p.method, "gaussian", TARGET_SETTINGS, p.settings, 4);
		const struct pass *pass = trial_pass(t, p.pass);
		struct oracle *oracle = t->state;
		struct draws *d = draws_new(t, DRAWS, true);
		size_t k = fine ? MOST : FEW;
		*oracle = (struct oracle){ optimal, &known };
		assert_int_equal(pass->weights, WEIGHTS_DETFLOW);
		assert_int_equal(t->method->sample(t->state, &t->cell, pass, k, 0, d), OK);
		for (size_t i = 0; i < DRAWS; i++) {
			square[0][fine] += d->log_w[i] * d->log_w[i] / DRAWS;
			square[1][fine] += d->log_w_forward[i] * d->log_w_forward[i] / DRAWS;
		}
		trial_free(t);
	}
	for (size_t back = 0; back < 2; back++) {
		double ratio = sqrt(square[back][0] / square[back][1]) / ((double)MOST / FEW);
		check_that(&p, fabs(ratio - 1) < 36. / 256, "back %zu: log w falls from %g to %g",
			back, sqrt(square[back][0]), sqrt(square[back][1]));
		check_that(&p, square[back][1] < 0.1 * 0.1, "back %zu: log w of %g", back,
			sqrt(square[back][1]));
	}
}

/* The last value of a curve; 0 when there is none. */
static double total(const struct trial *t, const char *name)
{
	for (const struct curve *k = t->cell.curves; k != NULL; k = k->next)
		if (strcmp(k->name, name) == 0)
			return k->value[k->n - 1];
	return 0;
}

/* Rows that cost too much, and updates without a row, are counted and told. */
static void test_left_out(void **unused)
{
	enum { BATCH = 128, ITERATIONS = 3 };
	static const struct {
		const char *target, *max_cost;
		bool rows, all;
	} cases[] = { { "mean=0.4,std=0.9,dim=3", "1e8", false, false },
		{ "mean=0.4,std=0.9,dim=3", "1", true, false },
		{ "mean=30,std=0.9,dim=3", "1", true, true } };

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char settings[128];
		snprintf(settings, sizeof(settings),
			"network=scds,loss=lv,iterations=3,batch=128,steps=4,max_cost=%s",
			cases[i].max_cost);
		struct trial *t = trial_start("dds", "gaussian", cases[i].target, settings, 2);
		for (long it = 0; it < ITERATIONS; it++)
			assert_int_equal(t->method->train(t->state, &t->cell, it), OK);
		double rows = total(t, "rows left out"), updates = total(t, "updates left out");
		assert_int_equal(rows > 0, cases[i].rows);
		assert_int_equal(rows == ITERATIONS * BATCH, cases[i].all);
		assert_true(updates == (cases[i].all ? ITERATIONS : 0));
		trial_free(t);
	}
}

/* The volume of a cosine schedule is its integral: against the midpoint rule, whose error here is below
 * h^2/24 max|b''| = 1e-8 * 12/24 * 5 * 20. */
static void test_cosine_integral(void **unused)
{
	enum { N = 10000 };
	double sum = 0, t = 0.83;

	(void)unused;
	for (int i = 0; i < N; i++)
		sum += schedule_cosine(t * (i + 0.5) / N, 0.2, 10) * t / N;
	assert_true(fabs(schedule_cosine_integral(t, 0.2, 10) - sum) < 5e-7);
}

/* What a method cannot do it refuses. */
static void test_refused(void **unused)
{
	static const char *const cases[][3] = { { "scds", "published_forward=true", "released" },
		{ "dds_euler", "published_forward=true", "released" },
		{ "scds", "network=osds", "option network of scds" } };

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct trial *t =
			trial_new(cases[i][0], "gaussian", TARGET_SETTINGS, cases[i][1], 0);
		assert_int_equal(t->method->init(t->state, &t->cell), ERR_RANGE);
		assert_non_null(strstr(error_text(), cases[i][2]));
		trial_free(t);
	}
}

/* A released target-to-prior pass takes the label exact from its draws. */
static void test_published_is_biased(void **unused)
{
	static const char *const names[] = { "dis", "dds", "pis", "cmcd" };

	(void)unused;
	for (size_t i = 0; i < 2 * sizeof(names) / sizeof(names[0]); i++) {
		bool published = i % 2 == 1;
		struct trial *t = trial_start(names[i / 2], "gaussian", TARGET_SETTINGS,
			published ? "steps=8,published_forward=true" : "steps=8", 0);
		struct draws *d = draws_new(t, 8, true);
		assert_int_equal(t->method->sample(t->state, &t->cell, t->method->passes, 8, 0, d),
			OK);
		assert_int_equal(d->biased, published);
		trial_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_cosine_integral),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_published_is_biased),
		cmocka_unit_test(test_optimal_control),
		cmocka_unit_test(test_bias),
		cmocka_unit_test(test_flow),
	};

	openblas_set_num_threads(1);
	parallel_use(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
