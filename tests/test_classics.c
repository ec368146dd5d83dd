/* The classical samplers on a mixture in three dimensions, skewed and without symmetry (tests/data), and
 * on Rosenbrock's density in 15, curved, with log Z = 2.8: log Z and moments are known. Estimates over
 * fifty seeds must be within 4 of their standard errors, which the seeds' own spread gives: with 49 degrees
 * of freedom a right estimate is further away once in 5000 times. Seeds are fixed. Beside that: the law of ULA, the standard errors of
 * log Z, the diagnostics of chains on known cases. */
#include "core/stats.h"
#include "mc/adapt.h"
#include "mc/diagnostics.h"
#include "methods.h"
#include "run/reports.h"

enum { SEEDS = 50, COORDINATES = 2 };
static const double sigmas = 4;

/* Where, and two of its coordinates. Of Rosenbrock's last ones the variance is made of rare values. */
struct place {
	const char *target, *settings;
	size_t coordinate[COORDINATES];
};
static const struct place skewed = { "gmm40_2d", "means=tests/data/skewed.csv", { 0, 2 } };
static const struct place curved = { "rosenbrock", "", { 0, 3 } };

static void assert_near(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%.17g is not within %g of %.17g", value, tolerance, expected);
}

/* A way to run a method; settings that make it quick and good. */
struct scenario {
	const struct place *at;
	const char *method, *pass, *settings;
	size_t n;
};

/* Over the truth, by seed. */
struct outcome {
	double z[SEEDS], log_z[SEEDS];
	double integral[SEEDS]; /* log Z by thermodynamic integration, where it is reported */
	double variance[SEEDS]; /* of log Z, from the run itself */
	double mean[COORDINATES][SEEDS], square[COORDINATES][SEEDS];
};

/* log Z and its squared standard error as metrics see them. */
static double log_z_of(const struct draws *d, double *variance)
{
	struct weight_stats s;

	*variance = d->log_z_se * d->log_z_se;
	if (d->log_w == NULL)
		return d->log_z;
	stats_weights(d->log_w, d->n, 1, &s);
	if (!d->dependent)
		*variance = s.log_mean_se * s.log_mean_se;
	return s.log_mean;
}

static void run_seed(const struct scenario *c, uint64_t seed, struct outcome *out)
{
	struct trial *t = trial_start(c->method, c->at->target, c->at->settings, c->settings, seed);
	const struct pass *pass = trial_pass(t, c->pass);
	struct draws *d = draws_new(t, c->n, pass->weights != WEIGHTS_NONE);
	struct reports reports = { .n = 0 };
	double mean[16], sd[16], *x = ARENA_NEW(t->cell.arena, c->n, double);
	struct log_z truth;

	t->cell.reports = &reports;
	if (t->method->sample(t->state, &t->cell, pass, 0, 0, d) != OK)
		fail_msg("%s %s %s: %s", c->method, c->pass, c->settings, error_text());
	density_log_z(t->target, &truth);
	density_moments(t->target, mean, sd);
	out->log_z[seed] = log_z_of(d, &out->variance[seed]) - truth.value;
	out->z[seed] = exp(out->log_z[seed]);
	out->integral[seed] = (double)NAN;
	for (size_t i = 0; i < reports.n; i++)
		if (strcmp(reports.of[i].name, "log Z, integration") == 0)
			out->integral[seed] = reports.of[i].value - truth.value;
	for (size_t j = 0; j < COORDINATES; j++) {
		size_t k = c->at->coordinate[j];
		for (size_t i = 0; i < c->n; i++)
			x[i] = (d->x[i * t->cell.dim + k] - mean[k]) / sd[k];
		out->mean[j][seed] = stats_mean(x, c->n);
		for (size_t i = 0; i < c->n; i++)
			x[i] *= x[i];
		out->square[j][seed] = stats_mean(x, c->n);
	}
	trial_free(t);
}

static void check_mean(const struct scenario *c, const char *what, const double *values,
	double expected)
{
	double mean = stats_mean(values, SEEDS), se = stats_se(values, SEEDS);

	if (!(fabs(mean - expected) <= sigmas * se))
		fail_msg("%s %s %s: %s is %g, not %g, standard error %g", c->method, c->pass,
			c->settings, what, mean, expected, se);
	/* A wild spread would make the bound void. */
	assert_true(se > 0 && se < 0.05);
}

static void check(const struct scenario *c, struct outcome *out)
{
	static const char *const names[2][COORDINATES] = { { "a mean", "another mean" },
		{ "a variance", "another variance" } };

	for (uint64_t seed = 0; seed < SEEDS; seed++)
		run_seed(c, seed, out);
	if (isfinite(out->z[0]))
		check_mean(c, "Z", out->z, 1);
	for (size_t j = 0; j < COORDINATES; j++) {
		check_mean(c, names[0][j], out->mean[j], 0);
		check_mean(c, names[1][j], out->square[j], 1);
	}
}

/* The variance that runs give their log Z against that of the seeds, whose own relative standard deviation
 * is sqrt(2 / 49) = 0.2 for a normal law: within 4 of them. */
static void check_error(const struct scenario *c, const struct outcome *out)
{
	double claimed = stats_mean(out->variance, SEEDS);
	double found = stats_variance(out->log_z, SEEDS);

	if (!(found > 0.2 * claimed && found < 1.8 * claimed))
		fail_msg("%s %s %s: log Z has a variance of %g, not %g", c->method, c->pass,
			c->settings, found, claimed);
}

static void check_all(const struct scenario *c, size_t n)
{
	struct outcome out;

	for (size_t i = 0; i < n; i++)
		check(&c[i], &out);
}

#define CHECK_ALL(cases) check_all(cases, sizeof(cases) / sizeof((cases)[0]))

/* The prior of the preset for gmm40_2d is too wide here. */
#define S1 "sigma0=1.5,"

/* In "fixed" with a threshold of 0.9 some temperatures resample and others carry their weights on. */
static void test_smc(void **unused)
{
	static const struct scenario cases[] = {
		{ &skewed, "smc", "fixed", S1 "temperatures=12,threshold=0.9", 250 },
		{ &skewed, "smc", "fixed", S1 "temperatures=12,threshold=0", 250 },
		{ &skewed, "smc", "fixed", S1 "temperatures=12,threshold=0.9,kernel=mala", 250 },
		{ &skewed, "smc", "fixed", S1 "temperatures=12,threshold=1.1,kernel=walk", 250 },
		{ &skewed, "smc", "adaptive", S1 "ess_target=0.8,threshold=0.9", 250 },
		{ &skewed, "smc", "adaptive", S1 "ess_target=0.8,threshold=0,kernel=mala", 250 },
		{ &skewed, "smc", "adaptive", S1 "ess_target=0.8,threshold=1.1,kernel=walk", 250 },
		{ &skewed, "smc", "frozen", S1 "ess_target=0.7,threshold=0.9", 250 },
		{ &skewed, "smc", "frozen", S1 "ess_target=0.7,threshold=1.1,kernel=mala", 250 },
		{ &skewed, "smc", "frozen",
			S1 "ess_target=0.7,threshold=1.1,kernel=walk,resampling=residual", 250 },
		{ &curved, "smc", "frozen", "ess_target=0.8", 250 },
	};

	(void)unused;
	CHECK_ALL(cases);
}

static void test_ais(void **unused)
{
	static const struct scenario cases[] = {
		{ &skewed, "ais", "fixed", S1 "temperatures=12", 250 },
		{ &skewed, "ais", "fixed", S1 "temperatures=12,kernel=walk", 250 },
		{ &skewed, "ais", "frozen", S1 "ess_target=0.8", 250 },
		{ &skewed, "ais", "frozen", S1 "ess_target=0.8,kernel=mala", 250 },
	};

	(void)unused;
	CHECK_ALL(cases);
}

#define PT S1 "replicas=6,ensembles=32,evaluations=60000"
/* The rule of the integral leaves an error of the fourth order of the distances in beta, halved by a
 * fourth in each: here well below 0.01. */
static void test_pt(void **unused)
{
	static const struct scenario cases[] = {
		{ &skewed, "pt", "", PT, 320 },
		{ &skewed, "pt", "", PT ",kernel=mala", 320 },
		{ &skewed, "pt", "", PT ",kernel=walk", 320 },
		{ &curved, "pt", "", "replicas=6,ensembles=32,evaluations=150000", 320 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome out;
		check(&cases[i], &out);
		check_error(&cases[i], &out);
		if (cases[i].at == &skewed)
			assert_near(stats_mean(out.integral, SEEDS), 0,
				0.01 + sigmas * stats_se(out.integral, SEEDS));
	}
}

/* At the defaults, where ensembles agree with each other more than with the truth: the error that they give
 * their log Z has to allow for it. Within 4 of them. */
static void test_pt_that_has_not_mixed(void **unused)
{
	static const struct place unmixed[] = { { "gmm9", "", { 0, 1 } },
		{ "funnel", "", { 0, 1 } } };
	enum { RUNS = 4 };

	(void)unused;
	for (size_t i = 0; i < sizeof(unmixed) / sizeof(unmixed[0]); i++) {
		const struct scenario c = { &unmixed[i], "pt", "", "", 2000 };
		double worst = 0;
		struct outcome out;
		for (uint64_t seed = 0; seed < RUNS; seed++) {
			run_seed(&c, seed, &out);
			double se = sqrt(out.variance[seed]);
			assert_near(out.log_z[seed], 0, sigmas * se);
			assert_true(se < 1); /* says something: Z to a factor of e */
			worst = fmax(worst, fabs(out.log_z[seed]));
		}
		assert_true(worst > 0.1); /* else they have mixed, and nothing was tried */
	}
}

static void test_chains(void **unused)
{
	static const struct scenario cases[] = {
		{ &skewed, "hmc", "", S1 "evaluations=60000,chains=64", 640 },
		{ &skewed, "hmc", "", S1 "evaluations=60000,chains=64,scale=off,jitter=0", 640 },
		{ &skewed, "mala", "", S1 "evaluations=60000,chains=64", 640 },
		{ &curved, "hmc", "", "evaluations=150000,chains=64", 640 },
	};

	(void)unused;
	CHECK_ALL(cases);
}

/* Of one run, by the genealogy where particles have ancestors in common: few temperatures far apart, so
 * that the estimate is clear of its own noise. */
static void test_errors_of_log_z(void **unused)
{
	static const struct scenario cases[] = {
		{ &skewed, "smc", "fixed", S1 "temperatures=4,threshold=1.1", 500 },
		{ &skewed, "smc", "fixed", S1 "temperatures=6,threshold=0.7", 500 },
		{ &skewed, "smc", "frozen",
			S1 "resampling=multinomial,ess_target=0.5,threshold=1.1", 500 },
		{ &skewed, "ais", "fixed", S1 "temperatures=4", 500 },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome out;
		for (uint64_t seed = 0; seed < SEEDS; seed++)
			run_seed(&cases[i], seed, &out);
		check_error(&cases[i], &out);
	}
}

/* Mean of Z over its truth, of this many runs of eight particles; where is it from 1 in standard errors? */
static double bias_of_eight(const char *pass)
{
	enum { N = 8, RUNS = 4000 };
	struct trial *t = trial_start("smc", skewed.target, skewed.settings,
		S1 "ess_target=0.5,threshold=1.1", 7);
	double *z = ARENA_NEW(t->cell.arena, RUNS, double), variance;
	struct draws *d = draws_new(t, N, true);

	for (uint32_t r = 0; r < RUNS; r++) {
		assert_int_equal(
			t->method->sample(t->state, &t->cell, trial_pass(t, pass), 0, r, d), OK);
		z[r] = exp(log_z_of(d, &variance));
	}
	double bias = (stats_mean(z, RUNS) - 1) / stats_se(z, RUNS);
	trial_free(t);
	return bias;
}

/* A ladder and steps chosen from eight particles make a bias of a tenth; frozen they make none. */
static void test_frozen_is_unbiased(void **unused)
{
	(void)unused;
	assert_true(bias_of_eight("adaptive") < -2 * sigmas);
	assert_near(bias_of_eight("frozen"), 0, sigmas);
}

/* Weight, then resample, then move: with resampling at every temperature the weights at the end are
 * equal; without the last resampling they would be those of the last increment. */
static void test_resampling_follows_weighting(void **unused)
{
	enum { N = 100 };
	struct trial *t = trial_start("smc", skewed.target, skewed.settings,
		S1 "temperatures=3,threshold=1.1", 2);
	struct draws *d = draws_new(t, N, true);

	(void)unused;
	assert_int_equal(t->method->sample(t->state, &t->cell, trial_pass(t, "fixed"), 0, 0, d),
		OK);
	for (size_t i = 1; i < N; i++)
		assert_true(d->log_w[i] == d->log_w[0]);
	trial_free(t);
}

/* On N(m, s^2) with drift (m - x) / s^2 and steps of size e, x' has the stationary variance
 * s^2 / (1 - e^2 / (4 s^2)): a bias of the first order in e^2, the step in time. */
static void test_ula_bias(void **unused)
{
	enum { N = 16000, DIM = 4 };
	static const char *const steps[] = { "step=0.8", "step=0.565685425", "step=0.4" };
	const double step[] = { 0.8, 0.565685425, 0.4 }, variance = 0.36;

	(void)unused;
	for (size_t j = 0; j < 3; j++) {
		char settings[128];
		snprintf(settings, sizeof(settings),
			"%s,scale=off,chains=2000,evaluations=2000000,warmup=0.2", steps[j]);
		struct trial *t =
			trial_start("ula", "gaussian", "mean=1.3,std=0.6,dim=4", settings, 5);
		struct draws *d = draws_new(t, N, false);
		assert_int_equal(t->method->sample(t->state, &t->cell, trial_pass(t, ""), 0, 0, d),
			OK);
		double sum = 0, square = 0, n = (double)N * DIM;
		for (size_t i = 0; i < N * DIM; i++) {
			sum += d->x[i] - 1.3;
			square += pow(d->x[i] - 1.3, 2);
		}
		double right = variance / (1 - step[j] * step[j] / (4 * variance));
		/* Eight draws a chain, 100 transitions apart, each of which forgets at least a fifth:
		 * independent. The variance of a square is 2 right^2. */
		assert_near(sum / n, 0, sigmas * sqrt(right / n));
		assert_near(square / n, right, sigmas * right * sqrt(2 / n));
		/* And this can tell it from the target's: the bias is more than twice that. */
		assert_true(right - variance > 2 * sigmas * right * sqrt(2 / n));
		trial_free(t);
	}
}

/* --- dual averaging ------------------------------------------------------------------------------ */

/* With an acceptance of exp(-step) and noise the average settles where that is the target. */
static void test_step_size(void **unused)
{
	static const double starts[] = { 1e-4, 0.3, 1e3 };

	(void)unused;
	for (size_t j = 0; j < 3; j++) {
		struct step_size s = step_size_start(starts[j], 0.6);
		assert_true(s.now == starts[j] && s.mean == starts[j]);
		for (uint64_t i = 0; i < 2000; i++) {
			double u = rng_uniform((struct rng){ 4, RNG_TEST, 0 }, 0, i, 0);
			step_size_update(&s, exp(-s.now) * (0.9 + 0.2 * u));
		}
		/* A noise of 6 % in each acceptance, averaged over some hundred of them. */
		assert_near(exp(-s.mean), 0.6, 0.02);
	}
}

/* --- diagnostics --------------------------------------------------------------------------------- */

enum { CHAINS = 8, DRAWS = 4000 };
#define MANY ((double)CHAINS * DRAWS)

/* Stationary AR(1) chains with correlation rho, moved by `apart` from chain to chain and scaled by a
 * factor in every other one. */
static void ar1(uint32_t epoch, double rho, double apart, double factor, double *x)
{
	for (size_t c = 0; c < CHAINS; c++) {
		double state = 0;
		for (size_t t = 0; t < DRAWS; t++) {
			double z = rng_gauss((struct rng){ 3, RNG_TEST, epoch }, (uint32_t)t, c, 0);
			state = t == 0 ? z : rho * state + sqrt(1 - rho * rho) * z;
			x[c * DRAWS + t] = apart * (double)c + (c % 2 ? factor : 1) * state;
		}
	}
}

/* The correlation time of an AR(1) chain is (1 + rho) / (1 - rho); that of the ranks' scores is the same
 * for a normal law. Each autocorrelation has an error of 1 / sqrt(32000) = 0.006, and the sum ends where
 * they make it fall below zero: an error of a few of them, and of a few percent. */
static void test_ess_of_ar1(void **unused)
{
	static const double rho[] = { -0.5, 0, 0.5, 0.9 };
	static double x[CHAINS * DRAWS];
	struct arena *a = arena_new();

	(void)unused;
	for (size_t j = 0; j < 4; j++) {
		double sum = 0, largest = 0, right = (1 + rho[j]) / (1 - rho[j]);
		for (uint32_t repeat = 0; repeat < 20; repeat++) {
			ar1(100 * (uint32_t)j + repeat, rho[j], 0, 1, x);
			sum += MANY / chains_ess(CHAINS, DRAWS, x, a) / 20;
			largest = fmax(largest, chains_rhat(CHAINS, DRAWS, x, a));
		}
		assert_near(sum, right, 0.03 + 0.04 * right);
		/* R-hat - 1 is about half of what the variance of 16 means of half chains, right over
		 * their length, has in the variance within; of the distances from the median the
		 * correlation is rho^2. Six times that is beyond all twenty. */
		assert_true(largest < 1 + 6 * 0.5 * fmax(right, 2) / (DRAWS / 2.));
	}
	arena_free(a);
}

/* Chains at different places, of different widths, that drift: all are seen. */
static void test_rhat_sees(void **unused)
{
	static double x[CHAINS * DRAWS], y[CHAINS * DRAWS];
	struct arena *a = arena_new();

	(void)unused;
	ar1(1, 0, 3, 1, x);
	assert_true(chains_rhat(CHAINS, DRAWS, x, a) > 3);
	/* Eight places: hardly more draws than chains. */
	assert_true(chains_ess(CHAINS, DRAWS, x, a) < 3 * CHAINS);
	ar1(2, 0, 0, 4, x);
	assert_true(chains_rhat(CHAINS, DRAWS, x, a) > 1.1);
	ar1(3, 0, 0, 1, x);
	assert_true(chains_rhat(CHAINS, DRAWS, x, a) < 1.01);
	/* Ranks know no unit: a monotone map changes nothing but the folding. */
	for (size_t i = 0; i < CHAINS * DRAWS; i++)
		y[i] = exp(2 * x[i]);
	assert_true(chains_ess(CHAINS, DRAWS, x, a) == chains_ess(CHAINS, DRAWS, y, a));
	for (size_t i = 0; i < CHAINS * DRAWS; i++)
		x[i] += 0.003 * (double)(i % DRAWS);
	assert_true(chains_rhat(CHAINS, DRAWS, x, a) > 1.1);
	arena_free(a);
}

static void test_diagnostics_undefined(void **unused)
{
	double x[12] = { 1, 3, 2, 5, 4, 2, 7, 1, 3, 3, 8, 0 }, same[12] = { 0 };
	struct arena *a = arena_new();

	(void)unused;
	assert_true(isfinite(chains_rhat(2, 6, x, a)) && isfinite(chains_ess(2, 6, x, a)));
	assert_true(isnan(chains_rhat(4, 3, x, a)) && isnan(chains_ess(4, 3, x, a)));
	assert_true(isnan(chains_rhat(2, 6, same, a)) && isnan(chains_ess(2, 6, same, a)));
	x[7] = (double)NAN;
	assert_true(isnan(chains_rhat(2, 6, x, a)) && isnan(chains_ess(2, 6, x, a)));
	x[7] = HUGE_VAL;
	assert_true(isnan(chains_rhat(2, 6, x, a)) && isnan(chains_ess(2, 6, x, a)));
	arena_free(a);
}

/* --- budgets ------------------------------------------------------------------------------------- */

/* The budget is kept, to a transition of all chains; one that is too small says what it lacks. */
static void test_budget(void **unused)
{
	static const struct {
		const char *method, *settings;
		uint64_t slack;
	} cases[] = { { "hmc", "evaluations=9999,chains=20,leapfrog=7", 20 * 7 },
		{ "mala", "evaluations=9999,chains=20", 20 },
		{ "ula", "evaluations=9999,chains=20", 20 },
		{ "pt", "evaluations=9999,ensembles=20,replicas=3,leapfrog=4", 20 * 9 } };

	(void)unused;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct trial *t = trial_start(cases[i].method, "funnel", "", cases[i].settings, 0);
		struct draws *d = draws_new(t, 50, false);
		const struct pass *pass = t->method->passes;
		assert_int_equal(t->method->sample(t->state, &t->cell, pass, 0, 0, d), OK);
		assert_true(t->cell.counts.target <= 9999);
		assert_true(t->cell.counts.target > 9999 - cases[i].slack - 20);
		struct draws *more = draws_new(t, 40000, false);
		assert_int_equal(t->method->sample(t->state, &t->cell, pass, 0, 0, more),
			ERR_RANGE);
		assert_non_null(strstr(error_text(), "40000 samples"));
		trial_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smc),
		cmocka_unit_test(test_ais),
		cmocka_unit_test(test_pt),
		cmocka_unit_test(test_pt_that_has_not_mixed),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_errors_of_log_z),
		cmocka_unit_test(test_frozen_is_unbiased),
		cmocka_unit_test(test_resampling_follows_weighting),
		cmocka_unit_test(test_ula_bias),
		cmocka_unit_test(test_step_size),
		cmocka_unit_test(test_ess_of_ar1),
		cmocka_unit_test(test_rhat_sees),
		cmocka_unit_test(test_diagnostics_undefined),
		cmocka_unit_test(test_budget),
	};

	/* Clouds too small to share. */
	parallel_use(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
