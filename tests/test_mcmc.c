/* The Monte Carlo building blocks: weights, resampling, leapfrog and HMC on the tempered path,
 * particle clouds. Statistical bounds are 4.5 standard errors, computed from the law tested: a
 * right program fails one check in 150000; the seeds are fixed, so it does so never or always. */
#include "stride.h"
#include "core/stats.h"
#include "mc/weights.h"

#include <gsl/gsl_cdf.h>
#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const double sigmas = 4.5;

static void assert_near(double value, double expected, double tolerance)
{
	if (!(fabs(value - expected) <= tolerance))
		fail_msg("%.17g is not within %g of %.17g", value, tolerance, expected);
}

/* --- weights --- */

static void test_weights_sums(void **unused)
{
	double none[3] = { -HUGE_VAL, -HUGE_VAL, -HUGE_VAL };
	double w[4] = { 700 + log(1), -HUGE_VAL, 700 + log(2), 700 + log(5) };

	(void)unused;
	assert_near(weights_normalise(4, w), 700 + log(8), 1e-12);
	assert_near(exp(w[0]) + exp(w[2]) + exp(w[3]), 1, 1e-12);
	assert_true(weights_normalise(3, none) == -HUGE_VAL);
	assert_true(none[0] == -HUGE_VAL);
}

/* Two groups of equal weight, v = 0 and -a: (1 + g)^2 / (2 (1 + g^2)) with g = exp(-a delta), which
 * is 0.9 at g = 1/2. */
static void test_next_delta_closed_form(void **unused)
{
	double log_w[6], v[6];

	(void)unused;
	for (double a = 1e-3; a < 1e9; a *= 10) {
		for (size_t i = 0; i < 6; i++) {
			log_w[i] = -log(6);
			v[i] = i % 2 ? 3 - a : 3;
		}
		double delta = log(2) / a;
		assert_near(weights_conditional_ess(6, log_w, v, delta), 0.9, 1e-12);
		/* The bisection stops at a relative width of 1e-9. */
		assert_near(weights_next_delta(6, log_w, v, 2 * delta, 0.9), delta, 2e-9 * delta);
		assert_true(weights_next_delta(6, log_w, v, 0.9 * delta, 0.9) == 0.9 * delta);
	}
}

/* Carried weights 2/3 and 1/3, v = 0 and -1, by hand; and particles that die whatever delta is. */
static void test_conditional_ess_uses_carried_weights(void **unused)
{
	double log_w[3] = { log(0.5), log(0.25), log(0.25) }, v[3] = { 0, -1, -HUGE_VAL };
	double g = exp(-0.5), first = 2. / 3 + g / 3, second = 2. / 3 + g * g / 3;

	(void)unused;
	assert_near(weights_conditional_ess(3, log_w, v, 0.5), first * first / second, 1e-14);
	v[0] = v[1] = -HUGE_VAL;
	assert_true(weights_next_delta(3, log_w, v, 1, 0.9) == 0);
}

/* --- resampling --- */

enum { SLOTS = 50 };

/* Uneven weights, some zero, log-scaled far from 1. */
static void uneven(double *log_w, double *w)
{
	double sum = 0;

	for (size_t i = 0; i < SLOTS; i++)
		sum += w[i] = i % 7 == 3 ? 0 : pow((double)(i * 37 % 50), 2) + 0.3;
	for (size_t i = 0; i < SLOTS; i++) {
		w[i] /= sum;
		log_w[i] = log(w[i]) - 1000;
	}
}

static void count(enum resampling scheme, uint32_t step, const double *log_w, double *counts)
{
	size_t ancestor[SLOTS];
	double scratch[SLOTS];

	resample(scheme, (struct rng){ 5, RNG_RESAMPLE, 1 }, step, SLOTS, log_w, ancestor, scratch);
	memset(counts, 0, SLOTS * sizeof(*counts));
	for (size_t i = 0; i < SLOTS; i++) {
		assert_true(ancestor[i] < SLOTS);
		counts[ancestor[i]] += 1;
	}
}

/* E[copies of i] = n W_i. The variance of the number of copies is at most the multinomial one in
 * every scheme; the systematic one is f (1 - f), f the fraction of n W_i. */
static void test_resampling_unbiased(void **unused)
{
	enum { REPEATS = 4000 };
	double log_w[SLOTS], w[SLOTS], counts[SLOTS];

	(void)unused;
	uneven(log_w, w);
	for (enum resampling scheme = 0; scheme < RESAMPLE_COUNT; scheme++) {
		double mean[SLOTS] = { 0 };
		for (uint32_t r = 0; r < REPEATS; r++) {
			count(scheme, r, log_w, counts);
			for (size_t i = 0; i < SLOTS; i++)
				mean[i] += counts[i] / REPEATS;
		}
		for (size_t i = 0; i < SLOTS; i++) {
			double expected = SLOTS * w[i], f = expected - floor(expected);
			double variance =
				scheme == RESAMPLE_SYSTEMATIC ? f * (1 - f) : expected * (1 - w[i]);
			assert_near(mean[i], expected, sigmas * sqrt(variance / REPEATS) + 1e-12);
		}
	}
}

static void test_resampling_bounds(void **unused)
{
	double log_w[SLOTS], w[SLOTS], counts[SLOTS];

	(void)unused;
	uneven(log_w, w);
	for (uint32_t r = 0; r < 1000; r++) {
		count(RESAMPLE_SYSTEMATIC, r, log_w, counts);
		for (size_t i = 0; i < SLOTS; i++)
			assert_true(fabs(counts[i] - SLOTS * w[i]) < 1);
		count(RESAMPLE_RESIDUAL, r, log_w, counts);
		for (size_t i = 0; i < SLOTS; i++)
			assert_true(counts[i] >= floor(SLOTS * w[i]));
	}
}

/* Equal weights: systematic and residual keep every particle once. One survivor takes all slots. */
static void test_resampling_extremes(void **unused)
{
	double log_w[SLOTS], counts[SLOTS];

	(void)unused;
	for (enum resampling scheme = 0; scheme < RESAMPLE_COUNT; scheme++) {
		for (size_t i = 0; i < SLOTS; i++)
			log_w[i] = -log(SLOTS);
		count(scheme, 3, log_w, counts);
		for (size_t i = 0; i < SLOTS && scheme != RESAMPLE_MULTINOMIAL; i++)
			assert_true(counts[i] == 1);
		for (size_t survivor = 0; survivor < SLOTS; survivor += SLOTS - 1) {
			for (size_t i = 0; i < SLOTS; i++)
				log_w[i] = i == survivor ? -5000 : -HUGE_VAL;
			count(scheme, 4, log_w, counts);
			assert_true(counts[survivor] == SLOTS);
		}
	}
}

/* The counts of multinomial resampling summed over repeats are multinomial: Pearson's statistic. */
static void test_multinomial_chi_square(void **unused)
{
	enum { REPEATS = 2000 };
	double log_w[SLOTS], w[SLOTS], counts[SLOTS], sum[SLOTS] = { 0 }, statistic = 0,
						      classes = 0;

	(void)unused;
	uneven(log_w, w);
	for (uint32_t r = 0; r < REPEATS; r++) {
		count(RESAMPLE_MULTINOMIAL, 10000 + r, log_w, counts);
		for (size_t i = 0; i < SLOTS; i++)
			sum[i] += counts[i];
	}
	for (size_t i = 0; i < SLOTS; i++) {
		double expected = REPEATS * SLOTS * w[i];
		if (expected == 0) {
			assert_true(sum[i] == 0);
			continue;
		}
		statistic += pow(sum[i] - expected, 2) / expected;
		classes++;
	}
	double p = gsl_cdf_chisq_Q(statistic, classes - 1);
	assert_true(p > 1e-5 && p < 1 - 1e-5); /* too good a fit is wrong too */
}

/* --- the tempered path --- */

struct scene {
	struct arena *a;
	struct tempered path;
	struct states s;
	struct mc_scratch scratch;
};

static struct scene scene_new(const char *target, const struct setting *settings, size_t n,
	double sigma0)
{
	struct scene c = { .a = arena_new() };
	struct density *d;

	assert_int_equal(density_new(&d, target, settings, n, c.a), OK);
	c.path = (struct tempered){ d, density_dim(d), sigma0 };
	c.s = states_new(c.a, c.path.dim);
	c.scratch = mc_scratch_new(c.a, c.path.dim);
	return c;
}

static const struct setting off_centre[] = { { "mean", "1.3" }, { "std", "0.6" }, { "dim", "3" } };

static struct scene gaussian_scene(double sigma0)
{
	return scene_new("gaussian", off_centre, 3, sigma0);
}

/* Draws of pi_beta for the target of gaussian_scene: Gaussian with precision (1 - beta) / sigma0^2
 * + beta / 0.36 and mean beta 1.3 / 0.36 / precision. */
struct law {
	double mean, sd;
};

static struct law tempered_law(double beta, double sigma0)
{
	double precision = (1 - beta) / (sigma0 * sigma0) + beta / 0.36;

	return (struct law){ beta * 1.3 / 0.36 / precision, 1 / sqrt(precision) };
}

static void draw_law(struct scene *c, struct law law, uint64_t first_row)
{
	struct rng r = { 11, RNG_TEST, 0 };

	for (size_t k = 0; k < c->path.dim; k++)
		for (size_t i = 0; i < MC_BLOCK; i++)
			c->s.x[k * MC_BLOCK + i] =
				(real)(law.mean +
					law.sd * rng_gauss(r, 0, first_row + i, (uint32_t)k));
	tempered_eval(&c->path, &c->s, &c->scratch);
}

/* Up to a constant, log pi_beta of Gaussians is the log density of tempered_law. */
static void test_tempered_density(void **unused)
{
	struct scene c = gaussian_scene(2.5);

	(void)unused;
	for (double beta = 0; beta <= 1; beta += 0.25) {
		struct law law = tempered_law(beta, 2.5);
		double offset = 0;
		draw_law(&c, law, 0);
		for (size_t i = 0; i < MC_BLOCK; i++) {
			double q = 0;
			for (size_t k = 0; k < 3; k++)
				q += pow(((double)c.s.x[k * MC_BLOCK + i] - law.mean) / law.sd, 2) /
				     2;
			double l = tempered_log_density(beta, c.s.log_rho[i], c.s.log_prior[i]) + q;
			if (i == 0)
				offset = l;
			/* Both are sums in double of a few terms up to about 50. */
			assert_near(l, offset, 1e-12 * 50);
		}
	}
	assert_near(tempered_log_prior(&c.path, 0), -3 * (LOG_2PI / 2 + log(2.5)), 1e-14 * 10);
	assert_true(tempered_log_density(0, -HUGE_VAL, -2) == -2);
	arena_free(c.a);
}

/* Momenta of a block, the same in each call. */
static void momenta(struct scene *c)
{
	rng_normal((struct rng){ 3, RNG_TEST, 1 }, 0, 0, MC_BLOCK, c->path.dim,
		c->scratch.momentum);
}

static void fill_steps(real *step, double value)
{
	for (size_t i = 0; i < MC_BLOCK; i++)
		step[i] = (real)(value * (1 + 0.01 * (double)(i % 10)));
}

/* Forward, then back with negative steps: where it came from. The funnel is far from linear. */
static void test_leapfrog_reversible(void **unused)
{
	struct scene c = scene_new("funnel", NULL, 0, 1);
	size_t n = c.path.dim * MC_BLOCK;
	double scale[10];
	real step[MC_BLOCK];

	(void)unused;
	for (size_t k = 0; k < 10; k++)
		scale[k] = 0.5 + 0.1 * (double)k;
	rng_normal((struct rng){ 8, RNG_TEST, 0 }, 0, 0, MC_BLOCK, c.path.dim, c.s.x);
	tempered_eval(&c.path, &c.s, &c.scratch);
	momenta(&c);
	real *x = ARENA_NEW(c.a, n, real), *p = ARENA_NEW(c.a, n, real);
	memcpy(x, c.s.x, n * sizeof(real));
	memcpy(p, c.scratch.momentum, n * sizeof(real));

	fill_steps(step, 0.03);
	hmc_leapfrog(&c.path, 0.7, 20, scale, step, c.s.x, c.s.grad, c.scratch.momentum);
	double moved = 0;
	for (size_t j = 0; j < n; j++)
		moved = fmax(moved, fabs((double)(c.s.x[j] - x[j])));
	assert_true(moved > 0.3);
	fill_steps(step, -0.03);
	hmc_leapfrog(&c.path, 0.7, 20, scale, step, c.s.x, c.s.grad, c.scratch.momentum);
	/* 40 steps of rounding, magnified by the flow's stretching (below 100 for times below 1)
	 * and by values up to 5. */
	double tolerance = 40 * 100 * 5 * (double)REAL_EPS;
	for (size_t j = 0; j < n; j++) {
		assert_near((double)c.s.x[j], (double)x[j], tolerance);
		assert_near((double)c.scratch.momentum[j], (double)p[j], tolerance);
	}
	arena_free(c.a);
}

/* Mean absolute change of the energy over time 1 with steps of this size. */
static double energy_error(struct scene *c, double size)
{
	double beta = 0.6, before[MC_BLOCK], sum = 0;
	real step[MC_BLOCK];
	size_t steps = (size_t)lround(1 / size);
	size_t n = c->path.dim * MC_BLOCK;

	draw_law(c, (struct law){ 0.2, 1 }, 0);
	momenta(c);
	for (size_t i = 0; i < MC_BLOCK; i++) {
		step[i] = (real)size;
		before[i] = tempered_log_density(beta, c->s.log_rho[i], c->s.log_prior[i]);
	}
	for (size_t j = 0; j < n; j++)
		before[j % MC_BLOCK] -= pow((double)c->scratch.momentum[j], 2) / 2;
	hmc_leapfrog(&c->path, beta, steps, NULL, step, c->s.x, c->s.grad, c->scratch.momentum);
	tempered_eval(&c->path, &c->s, &c->scratch);
	for (size_t j = 0; j < n; j++)
		before[j % MC_BLOCK] += pow((double)c->scratch.momentum[j], 2) / 2;
	for (size_t i = 0; i < MC_BLOCK; i++)
		sum += fabs(
			tempered_log_density(beta, c->s.log_rho[i], c->s.log_prior[i]) - before[i]);
	return sum / MC_BLOCK;
}

/* Second order: half the step, a quarter of the error (the next term is of fourth order: with a
 * step of 0.1 and a frequency of 1.6, 3 % of the error). */
static void test_leapfrog_order(void **unused)
{
	struct scene c = gaussian_scene(2.5);
	double ratio = energy_error(&c, 0.1) / energy_error(&c, 0.05);

	(void)unused;
	assert_near(ratio, 4, 0.2);
	arena_free(c.a);
}

/* Sums for checking the moments of coordinate values. */
struct moment_sums {
	double n, z, z2, z4;
};

static void check_standard_normal(const struct moment_sums *m)
{
	/* Variances of z, z^2 and z^4 under N(0, 1): 1, 2 and 96. */
	assert_near(m->z / m->n, 0, sigmas / sqrt(m->n));
	assert_near(m->z2 / m->n, 1, sigmas * sqrt(2 / m->n));
	assert_near(m->z4 / m->n, 3, sigmas * sqrt(96 / m->n));
}

/* Exact draws of pi_beta stay draws of pi_beta under moves so long that a third is rejected. */
static void test_hmc_invariant_gaussian(void **unused)
{
	enum { BLOCKS = 300, MOVES = 5 };
	struct scene c = gaussian_scene(2.5);
	double scale[3] = { 0.8, 1, 1.3 }, accept[MC_BLOCK];

	(void)unused;
	for (int scaled = 0; scaled < 2; scaled++)
		for (double beta = 0.3; beta <= 1; beta += 0.7) {
			struct law law = tempered_law(beta, 2.5);
			struct mc_kernel h = { MC_HMC, 1.5 * law.sd, 0, 3, NULL };
			struct moment_sums m = { 0 };
			double accepted = 0;
			if (scaled)
				h = (struct mc_kernel){ MC_HMC, 1.2 * law.sd, 0.2, 3, scale };
			for (uint32_t b = 0; b < BLOCKS; b++) {
				draw_law(&c, law, b * MC_BLOCK);
				for (uint32_t t = 0; t < MOVES; t++) {
					struct mc_chance chance = { 17, 0, t, b * MC_BLOCK };
					mc_move(&c.path, beta, &h, chance, &c.s, &c.scratch,
						accept);
					for (size_t i = 0; i < MC_BLOCK; i++)
						accepted += accept[i] / (BLOCKS * MOVES * MC_BLOCK);
				}
				for (size_t j = 0; j < c.path.dim * MC_BLOCK; j++) {
					double z = ((double)c.s.x[j] - law.mean) / law.sd;
					m.n++;
					m.z += z;
					m.z2 += z * z;
					m.z4 += z * z * z * z;
				}
			}
			check_standard_normal(&m);
			/* Otherwise the accept step is not tested. */
			assert_true(accepted > 0.4 && accepted < 0.9);
		}
	arena_free(c.a);
}

/* The same for the funnel at beta = 1, on its first coordinate, N(0, 3^2), and on the others, whose
 * quotient by exp(x_1 / 2) is N(0, 1). */
static void test_hmc_invariant_funnel(void **unused)
{
	enum { BLOCKS = 200, MOVES = 3 };
	struct scene c = scene_new("funnel", NULL, 0, 1);
	struct mc_kernel h = { MC_HMC, 0.4, 0.2, 5, NULL };
	struct moment_sums first = { 0 }, rest = { 0 };
	double x[10], accept[MC_BLOCK], accepted = 0;

	(void)unused;
	for (uint32_t b = 0; b < BLOCKS; b++) {
		for (size_t i = 0; i < MC_BLOCK; i++) {
			struct rng r = { 2, RNG_TEST, 0 };
			assert_int_equal(density_draw(c.path.target, r, b * MC_BLOCK + i, 1, x),
				OK);
			for (size_t k = 0; k < 10; k++)
				c.s.x[k * MC_BLOCK + i] = (real)x[k];
		}
		tempered_eval(&c.path, &c.s, &c.scratch);
		for (uint32_t t = 0; t < MOVES; t++) {
			struct mc_chance chance = { 23, 0, t, b * MC_BLOCK };
			mc_move(&c.path, 1, &h, chance, &c.s, &c.scratch, accept);
			for (size_t i = 0; i < MC_BLOCK; i++)
				accepted += accept[i] / (BLOCKS * MOVES * MC_BLOCK);
		}
		for (size_t j = 0; j < 10 * MC_BLOCK; j++) {
			struct moment_sums *m = j < MC_BLOCK ? &first : &rest;
			double z = j < MC_BLOCK ? (double)c.s.x[j] / 3
						: (double)c.s.x[j] /
							  exp((double)c.s.x[j % MC_BLOCK] / 2);
			m->n++;
			m->z += z;
			m->z2 += z * z;
			m->z4 += z * z * z * z;
		}
	}
	check_standard_normal(&first);
	check_standard_normal(&rest);
	assert_true(accepted > 0.3 && accepted < 0.95);
	arena_free(c.a);
}

/* Log densities kept with accepted states are those of the states, exactly. */
static void test_hmc_keeps_values(void **unused)
{
	struct scene c = gaussian_scene(2.5);
	struct mc_kernel h = { MC_HMC, 0.9, 0.2, 3, NULL };
	double accept[MC_BLOCK], log_rho[MC_BLOCK], log_prior[MC_BLOCK];

	(void)unused;
	draw_law(&c, (struct law){ 0, 1 }, 0);
	for (uint32_t t = 0; t < 4; t++)
		mc_move(&c.path, 0.5, &h, (struct mc_chance){ 1, 0, t, 0 }, &c.s, &c.scratch,
			accept);
	memcpy(log_rho, c.s.log_rho, sizeof(log_rho));
	memcpy(log_prior, c.s.log_prior, sizeof(log_prior));
	real *grad = ARENA_NEW(c.a, 3 * MC_BLOCK, real);
	memcpy(grad, c.s.grad, 3 * MC_BLOCK * sizeof(real));
	tempered_eval(&c.path, &c.s, &c.scratch);
	assert_memory_equal(log_rho, c.s.log_rho, sizeof(log_rho));
	assert_memory_equal(log_prior, c.s.log_prior, sizeof(log_prior));
	assert_memory_equal(grad, c.s.grad, 3 * MC_BLOCK * sizeof(real));
	arena_free(c.a);
}

/* --- clouds --- */

static struct particles *cloud(struct scene *c, size_t n, uint64_t seed)
{
	struct particles *p = particles_new(c->a, c->path.target, n, c->path.sigma0);

	particles_start(p, seed, 0);
	return p;
}

/* Without moves the increments telescope when the weights are carried on: any ladder gives
 * log mean rho / p0. A cloud that forgot its weights would not. */
static void test_weights_are_carried(void **unused)
{
	struct scene c = gaussian_scene(1.5);
	struct particles *one = cloud(&c, 500, 4), *many = cloud(&c, 500, 4);
	double log_w[500];

	(void)unused;
	assert_int_equal(particles_reweight(one, 1), OK);
	for (int k = 1; k <= 16; k++)
		assert_int_equal(particles_reweight(many, pow(k / 16., 2)), OK);
	/* 16 sums of rounding in double. */
	assert_near(many->log_z, one->log_z, 1e-12);
	for (size_t i = 0; i < 500; i++)
		assert_near(many->log_w[i], one->log_w[i], 1e-11);
	assert_true(one->elbo < many->elbo && many->elbo < many->log_z);
	particles_log_weights(many, log_w);
	assert_near(stats_log_sum_exp(log_w, 500, 1) - log(500), one->log_z, 1e-12);
	arena_free(c.a);
}

/* With resampling in between they do not telescope; the estimate stays unbiased. The truth is a
 * Gaussian integral: Z = 1. */
static void test_resampling_keeps_z_unbiased(void **unused)
{
	enum { REPEATS = 3000, N = 100 };
	struct scene c = gaussian_scene(1.5);
	struct particles *p = particles_new(c.a, c.path.target, N, 1.5);

	(void)unused;
	for (enum resampling scheme = 0; scheme < RESAMPLE_COUNT; scheme++) {
		double sum = 0, square = 0;
		for (uint32_t r = 0; r < REPEATS; r++) {
			particles_start(p, 9, r);
			for (uint32_t k = 1; k <= 4; k++) {
				assert_int_equal(particles_reweight(p, k / 4.), OK);
				if (particles_ess(p) < 0.6)
					particles_resample(p, scheme, 9, r, k);
			}
			sum += exp(p->log_z);
			square += exp(2 * p->log_z);
		}
		double mean = sum / REPEATS, variance = square / REPEATS - mean * mean;
		assert_near(mean, 1, sigmas * sqrt(variance / REPEATS));
	}
	arena_free(c.a);
}

/* A resampled cloud holds copies, whole ones: position, gradient and log densities. */
static void test_resampled_are_copies(void **unused)
{
	enum { N = 150 };
	struct scene c = gaussian_scene(1.5);
	struct particles *p = cloud(&c, N, 2);
	double before[N * 3], after[N * 3];

	(void)unused;
	particles_positions(p, before);
	assert_int_equal(particles_reweight(p, 0.5), OK);
	particles_resample(p, RESAMPLE_SYSTEMATIC, 1, 0, 0);
	particles_positions(p, after);
	size_t distinct = 0, last = N;
	for (size_t i = 0; i < N; i++) {
		size_t from = 0;
		while (from < N &&
			memcmp(after + 3 * i, before + 3 * from, 3 * sizeof(double)) != 0)
			from++;
		assert_true(from < N);
		distinct += from != last;
		last = from;
		assert_near(p->log_w[i], -log(N), 1e-14);
	}
	assert_true(distinct > 10 && distinct < N);
	for (size_t b = 0; b < p->blocks; b++) {
		memcpy(c.s.x, p->block[b].x, 3 * MC_BLOCK * sizeof(real));
		tempered_eval(&c.path, &c.s, &c.scratch);
		assert_memory_equal(c.s.log_rho, p->block[b].log_rho, MC_BLOCK * sizeof(double));
		assert_memory_equal(c.s.grad, p->block[b].grad, 3 * MC_BLOCK * sizeof(real));
	}
	arena_free(c.a);
}

/* The scale is the weighted standard deviation: after reweighting to beta = 1, the target's. */
static void test_cloud_scale(void **unused)
{
	enum { N = 20000 };
	struct scene c = gaussian_scene(1.5);
	struct particles *p = cloud(&c, N, 6);
	double sd[3];

	(void)unused;
	assert_int_equal(particles_reweight(p, 1), OK);
	particles_scale(p, sd);
	double effective = particles_ess(p) * N;
	for (size_t k = 0; k < 3; k++)
		/* Relative standard error of a standard deviation: 1 / sqrt(2 n); the weights'
		 * tails make it up to twice that of the effective number. */
		assert_near(sd[k], 0.6, 0.6 * 2 * sigmas / sqrt(2 * effective));
	arena_free(c.a);
}

static void test_next_beta(void **unused)
{
	struct scene c = gaussian_scene(1.5);
	struct particles *p = cloud(&c, 1000, 6);
	int rungs = 0;

	(void)unused;
	while (p->beta < 1) {
		double last = p->beta, beta = particles_next_beta(p, 0.8);
		assert_true(beta > last && beta <= 1);
		double cess = weights_conditional_ess(1000, p->log_w, p->v, beta - last);
		assert_true(beta == 1 ? cess >= 0.8 : fabs(cess - 0.8) < 1e-6);
		assert_int_equal(particles_reweight(p, beta), OK);
		rungs++;
	}
	assert_true(rungs > 3);
	arena_free(c.a);
}

static void test_dead_cloud(void **unused)
{
	struct scene c = gaussian_scene(1.5);
	struct particles *p = cloud(&c, 100, 6);

	(void)unused;
	for (size_t b = 0; b < p->blocks; b++)
		for (size_t i = 0; i < MC_BLOCK; i++)
			p->block[b].log_rho[i] = -HUGE_VAL;
	assert_int_equal(particles_reweight(p, 0.5), ERR_DIVERGED);
	particles_start(p, 6, 0);
	p->block[0].log_rho[0] = (double)NAN;
	assert_int_equal(particles_reweight(p, 0.5), ERR_DIVERGED);
	arena_free(c.a);
}

/* Positions and log Z of a short run, with this number of threads. */
static void short_run(size_t threads, double *x, double *log_z)
{
	enum { N = 300 };

	parallel_use(threads);
	struct scene c = scene_new("funnel", NULL, 0, 1);
	struct particles *p = cloud(&c, N, 12);
	struct mc_kernel h = { MC_HMC, 0.1, 0.2, 4, NULL };
	for (uint32_t k = 1; k <= 5; k++) {
		assert_int_equal(particles_reweight(p, k / 5.), OK);
		if (particles_ess(p) < 0.9)
			particles_resample(p, RESAMPLE_MULTINOMIAL, 12, 0, k);
		particles_move(p, &h, 12, 0, k);
	}
	particles_positions(p, x);
	*log_z = p->log_z;
	assert_int_equal(p->evaluations, N * (1 + 5 * 4));
	arena_free(c.a);
	parallel_use(1);
}

static void test_threads_agree(void **unused)
{
	static double x[3][3000];
	double log_z[3];

	(void)unused;
	short_run(1, x[0], &log_z[0]);
	short_run(2, x[1], &log_z[1]);
	short_run(7, x[2], &log_z[2]);
	for (int t = 1; t < 3; t++) {
		assert_memory_equal(x[0], x[t], sizeof(x[0]));
		assert_memory_equal(&log_z[0], &log_z[t], sizeof(double));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights_sums),
		cmocka_unit_test(test_next_delta_closed_form),
		cmocka_unit_test(test_conditional_ess_uses_carried_weights),
		cmocka_unit_test(test_resampling_unbiased),
		cmocka_unit_test(test_resampling_bounds),
		cmocka_unit_test(test_resampling_extremes),
		cmocka_unit_test(test_multinomial_chi_square),
		cmocka_unit_test(test_tempered_density),
		cmocka_unit_test(test_leapfrog_reversible),
		cmocka_unit_test(test_leapfrog_order),
		cmocka_unit_test(test_hmc_invariant_gaussian),
		cmocka_unit_test(test_hmc_invariant_funnel),
		cmocka_unit_test(test_hmc_keeps_values),
		cmocka_unit_test(test_weights_are_carried),
		cmocka_unit_test(test_resampling_keeps_z_unbiased),
		cmocka_unit_test(test_resampled_are_copies),
		cmocka_unit_test(test_cloud_scale),
		cmocka_unit_test(test_next_beta),
		cmocka_unit_test(test_dead_cloud),
		cmocka_unit_test(test_threads_agree),
	};

	parallel_use(1); /* but where threads are the point */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
