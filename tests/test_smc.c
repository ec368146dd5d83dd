/* The method smc: evidence, moments and the order of its operations. Bounds over seeds are 5 standard
 * errors of the seeds' own spread: with 20 of them a right estimate is further away once in 12000
 * (Student's t). That is never or always for one build, whose seeds are fixed; but processors and
 * compilers round differently, and some fifty estimates are looked at. */
#include "core/stats.h"
#include "methods.h"

enum { SEEDS = 20 };

static void assert_near(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%.17g is not within %g of %.17g", value, tolerance, expected);
}

/* A method on a target with settings; what should come out. */
struct scenario {
	const char *target, *target_settings, *pass, *settings;
	size_t n;
};

struct outcome {
	double z[SEEDS];    /* estimate of Z over Z */
	double elbo[SEEDS]; /* minus log Z */
	double mean[SEEDS],
		sd[SEEDS]; /* of the samples' last coordinate, in units of the target's */
};

static void run_seed(const struct scenario *c, uint64_t seed, struct outcome *out)
{
	struct trial *t = trial_start("smc", c->target, c->target_settings, c->settings, seed);
	struct draws *d = draws_new(t, c->n, true);
	struct log_z truth;
	double mean[64] = { 0 }, sd[64] = { 0 };
	size_t k = t->cell.dim - 1;
	double *column = ARENA_NEW(t->cell.arena, c->n, double);

	assert_int_equal(t->method->sample(t->state, &t->cell, trial_pass(t, c->pass), 0, 0, d),
		OK);
	density_log_z(t->target, &truth);
	double log_z = stats_log_sum_exp(d->log_w, c->n, 1) - log((double)c->n);
	assert_true(d->elbo <= log_z);
	out->z[seed] = exp(log_z - truth.value);
	out->elbo[seed] = d->elbo - truth.value;
	for (size_t i = 0; i < c->n; i++)
		column[i] = d->x[i * t->cell.dim + k];
	if (density_target(t->target)->moments != NULL)
		density_target(t->target)->moments(density_state(t->target), mean, sd);
	out->mean[seed] = (stats_mean(column, c->n) - mean[k]) / sd[k];
	out->sd[seed] = sqrt(stats_variance(column, c->n)) / sd[k];
	trial_free(t);
}

static void run_seeds(const struct scenario *c, struct outcome *out)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++)
		run_seed(c, seed, out);
}

static void assert_mean(const struct scenario *c, const char *what, const double *values,
	double expected)
{
	double mean = stats_mean(values, SEEDS), se = stats_se(values, SEEDS);

	if (!(fabs(mean - expected) <= 5 * se))
		fail_msg("%s, %s, %s: %s is %g, not %g, standard error %g", c->target, c->pass,
			c->settings, what, mean, expected, se);
	/* A spread of zero or a wild one would make the bound void. */
	assert_true(se > 0 && se < 0.15);
}

/* E[Z] is right on a target away from the prior, with and without resampling, in both passes; the
 * bounds hold; the samples have the target's moments. */
static void test_gaussian(void **unused)
{
	static const char *const passes[] = { "fixed", "adaptive" };
	static const char *const settings[] = { "", "threshold=0", "threshold=1.1",
		"threshold=1.1,resampling=residual", "adapt=on", "adapt=off" };

	(void)unused;
	for (size_t p = 0; p < 2; p++)
		for (size_t s = 0; s < sizeof(settings) / sizeof(settings[0]); s++) {
			struct scenario c = { "gaussian", "mean=1.5,std=0.6,dim=5", passes[p],
				settings[s], 500 };
			struct outcome out;
			run_seeds(&c, &out);
			assert_mean(&c, "Z", out.z, 1);
			assert_mean(&c, "mean", out.mean, 0);
			assert_mean(&c, "sd", out.sd, 1);
			assert_true(stats_mean(out.elbo, SEEDS) < 0);
		}
}

/* Moves too short to matter leave draws of the prior with uneven weights: only the final resampling
 * can make them draws of the target. */
static void test_final_resampling(void **unused)
{
	static const struct scenario c = { "gaussian", "mean=0.5,std=0.7,dim=3", "fixed",
		"threshold=0,temperatures=4,step0=1e-6,step1=1e-6", 2000 };
	struct outcome out;

	(void)unused;
	run_seeds(&c, &out);
	assert_mean(&c, "Z", out.z, 1);
	assert_mean(&c, "mean", out.mean, 0);
	assert_mean(&c, "sd", out.sd, 1);
}

static void test_multimodal(void **unused)
{
	static const struct scenario cases[] = {
		{ "gmm40_2d", "", "fixed", "leapfrog=3", 300 },
		{ "gmm40_2d", "", "fixed", "leapfrog=3,threshold=0", 300 },
		{ "gmm40_2d", "", "adaptive", "leapfrog=5", 300 },
		/* The prior and steps published for this target miss wells in most runs: Z is then
		 * unbiased by rare large values, beyond what 20 seeds can show. */
		{ "many_well_5", "", "fixed", "sigma0=2,step0=0.1,step1=0.1,leapfrog=5", 500 },
		{ "many_well_5", "", "fixed", "sigma0=2,step0=0.1,step1=0.1,leapfrog=5,threshold=0",
			500 },
		{ "many_well_5", "", "adaptive", "sigma0=2", 500 },
		{ "many_well_5", "", "adaptive", "sigma0=2,threshold=0", 500 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome out;
		run_seeds(&cases[i], &out);
		assert_mean(&cases[i], "Z", out.z, 1);
	}
}

/* The funnel's wide end holds mass that few particles reach: estimates are skewed, most a little low.
 * So no two-sided bound can hold here: never significantly high, and no lower than half. */
static void test_funnel(void **unused)
{
	static const char *const passes[] = { "fixed", "adaptive" };

	(void)unused;
	for (size_t p = 0; p < 2; p++) {
		struct scenario c = { "funnel", "", passes[p], "", 300 };
		struct outcome out;
		run_seeds(&c, &out);
		double mean = stats_mean(out.z, SEEDS), se = stats_se(out.z, SEEDS);
		assert_true(mean > 0.5 && mean - 1 < 5 * se);
	}
}

/* Two temperatures without resampling are importance sampling from the prior: the weights are those of
 * the prior's draws, taken before the move; the samples have moved. */
static void test_weight_before_move(void **unused)
{
	enum { N = 130 };
	struct trial *t = trial_start("smc", "gaussian", "mean=1.5,std=0.6,dim=5",
		"temperatures=2,threshold=0,sigma0=2", 3);
	struct draws *d = draws_new(t, N, true);
	real prior[5 * N];
	double x[5 * N], log_rho[N], sum = 0;
	struct tempered path = { t->target, 5, 2 };

	(void)unused;
	assert_int_equal(t->method->sample(t->state, &t->cell, trial_pass(t, "fixed"), 0, 6, d),
		OK);
	rng_normal((struct rng){ 3, RNG_SAMPLE, 6 }, 0, 0, N, 5, prior);
	for (size_t j = 0; j < 5 * N; j++)
		x[j] = (double)(prior[j] * 2);
	density_eval(t->target, N, x, log_rho, NULL);
	for (size_t i = 0; i < N; i++) {
		double norm = 0;
		for (size_t k = 0; k < 5; k++)
			norm += x[k * N + i] * x[k * N + i];
		double v = log_rho[i] - tempered_log_prior(&path, norm);
		/* Values up to some hundreds, subtracted and added again in double. */
		assert_near(d->log_w[i], v, 1e-11);
		sum += v / N;
	}
	assert_near(d->elbo, sum, 1e-11);
	assert_true(d->no_forward);
	assert_int_equal(t->cell.counts.target, N * (1 + 10));
	for (size_t i = 0; i < N; i++)
		for (size_t j = 0; j < N; j++)
			assert_true(d->x[5 * i] != x[j] || d->x[5 * i + 1] != x[N + j]);
	trial_free(t);
}

/* Evaluations: one to start with, then leapfrog steps times moves a temperature. Sampling again and
 * again takes no more memory. */
static void test_counts_and_memory(void **unused)
{
	struct trial *t = trial_start("smc", "funnel", "", "temperatures=5,leapfrog=3,moves=2", 0);
	struct draws *d = draws_new(t, 100, true);
	const struct pass *pass = trial_pass(t, "fixed");
	struct arena_mark before = arena_mark(t->cell.arena);

	(void)unused;
	assert_int_equal(t->method->sample(t->state, &t->cell, pass, 0, 0, d), OK);
	assert_int_equal(t->cell.counts.target, 100 * (1 + 4 * 3 * 2));
	assert_int_equal(t->cell.counts.network, 0);
	struct arena_mark after = arena_mark(t->cell.arena);
	assert_true(before.block == after.block && before.used == after.used);
	trial_free(t);
}

/* A first step size that moves nothing, or with which nothing is accepted, is found out and left. */
static void test_adaptation_recovers(void **unused)
{
	static const char *const starts[] = { "step_start=0.0002", "step_start=20" };

	(void)unused;
	for (size_t s = 0; s < 2; s++) {
		struct scenario c = { "gaussian", "mean=1.5,std=0.6,dim=5", "adaptive", starts[s],
			500 };
		struct outcome out;
		run_seeds(&c, &out);
		assert_mean(&c, "Z", out.z, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gaussian),
		cmocka_unit_test(test_final_resampling),
		cmocka_unit_test(test_multimodal),
		cmocka_unit_test(test_funnel),
		cmocka_unit_test(test_weight_before_move),
		cmocka_unit_test(test_counts_and_memory),
		cmocka_unit_test(test_adaptation_recovers),
	};

	/* Blocks too small to share; that threads do not matter is a test of its own elsewhere. */
	parallel_use(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
