/* What is known of wells and of Rosenbrock's chain beyond the contract: all that they hold of
 * numbers is found again by quadrature. */
#include "targets.h"

#include <gsl/gsl_chebyshev.h>

static const struct {
	const char *name;
	size_t wells, stride;
} families[] = {
	{ "double_well", 1, 1 },
	{ "many_well_5", 5, 1 },
	{ "many_well_50", 5, 1 },
	{ "many_well_32", 16, 2 },
};

enum { FAMILIES = sizeof(families) / sizeof(families[0]) };

/* Moments of a coordinate, and its part below a bound. */
struct part {
	struct line line;
	int power;
	double centre;
};

static double part_value(double x, void *p)
{
	struct part *m = p;

	return pow(x - m->centre, m->power) * line_value(x, &m->line);
}

static double integral_between(double low, double high, struct part *p)
{
	gsl_integration_workspace *w = gsl_integration_workspace_alloc(1000);
	gsl_function g = { part_value, p };
	double value, error;

	assert_int_equal(gsl_integration_qag(&g, low, high, 0, 1e-13, 1000, GSL_INTEG_GAUSS61, w,
				 &value, &error),
		GSL_SUCCESS);
	gsl_integration_workspace_free(w);
	return value;
}

/* Through 0 every factor of a product is found on its own axis. */
static void check_product(const char *name)
{
	struct fixture f;
	struct log_z z;
	double log_rho;

	fixture_open(&f, name, NULL, 0);
	double *at = ARENA_NEW(f.a, f.dim, double);
	density_log_z(f.d, &z);
	density_eval(f.d, 1, at, &log_rho, NULL);
	double sum = log_rho;
	for (size_t k = 0; k < f.dim; k++) {
		struct line l = { &f, at, k, log_rho };
		sum += log(integral(line_value, &l, 12));
	}
	check_that(&f, fabs(sum - z.value) <= 1e-11 * (1 + fabs(sum)),
		"log Z is %.15g by quadrature, %.15g by log_z", sum, z.value);
	arena_free(f.a);
}

/* Mean, deviation and distribution function of each coordinate. */
static void check_coordinates(const char *name)
{
	struct fixture f;

	fixture_open(&f, name, NULL, 0);
	const void *state = density_state(f.d);
	double *at = ARENA_NEW(f.a, f.dim, double), *mean = block(&f, 1), *sd = block(&f, 1);
	f.t->moments(state, mean, sd);
	for (size_t k = 0; k < f.dim; k++) {
		struct part p = { { &f, at, k, 0 }, 0, 0 };
		density_eval(f.d, 1, at, &p.line.offset, NULL);
		double total = integral_between(-9, 9, &p);
		p.power = 1;
		/* Exactly 0 where the density is symmetric: no relative error to ask for. */
		p.centre = mean[k] - 1;
		double m = integral_between(-9, 9, &p) / total - 1;
		p.power = 2;
		p.centre = mean[k];
		double deviation = sqrt(integral_between(-9, 9, &p) / total);
		check_that(&f, fabs(m) <= 1e-12, "mean of coordinate %zu is off by %g", k + 1, m);
		check_that(&f, fabs(deviation - sd[k]) <= 1e-12,
			"deviation of coordinate %zu is %.15g by quadrature, %.15g by moments",
			k + 1, deviation, sd[k]);
		p.power = 0;
		for (double x = -4; x < 6; x += 0.37) {
			double below = integral_between(-9, x, &p) / total;
			double got = f.t->cdf(state, k, x);
			check_that(&f, fabs(got - below) <= 1e-12,
				"coordinate %zu is below %g with %.15g by quadrature, %.15g by cdf",
				k + 1, x, below, got);
		}
		check_that(&f,
			f.t->cdf(state, k, -1e6) <= 1e-12 &&
				fabs(f.t->cdf(state, k, 1e6) - 1) <= 1e-12,
			"distribution of coordinate %zu does not end", k + 1);
	}
	arena_free(f.a);
}

/* The distribution function of a well: its integral from -4 by the midpoint rule in steps of 1e-4,
 * which is below 1e-8 off. */
enum { PER_UNIT = 10000, FROM = -4, SUMS = 11 * PER_UNIT };

static double well_cdf(const void *context, size_t k, double x)
{
	const double *below = context, place = (x - FROM) * PER_UNIT;

	(void)k;
	if (!(place > 0))
		return 0;
	if (place >= SUMS)
		return 1;
	size_t i = (size_t)place;
	return below[i] + (place - (double)i) * (below[i + 1] - below[i]);
}

/* The wells are alike and independent: all of their samples against the integral of the well. Exact
 * samples fail once in 10^6. */
static void check_wells(const char *name, size_t wells, size_t stride)
{
	struct fixture f;
	double *columns;

	fixture_open(&f, name, NULL, 0);
	double *below = ARENA_NEW(f.a, SUMS + 1, double);
	struct line l = { &f, ARENA_NEW(f.a, f.dim, double), 0, 0 };
	(void)draws(&f, &columns);
	for (size_t j = 0; j < wells; j++)
		memmove(columns + j * DRAWS, columns + j * stride * DRAWS,
			DRAWS * sizeof(*columns));
	density_eval(f.d, 1, l.at, &l.offset, NULL);
	for (size_t i = 0; i < SUMS; i++)
		below[i + 1] = below[i] + line_value(FROM + ((double)i + 0.5) / PER_UNIT, &l);
	/* The sum itself must be the integral. */
	double total = integral(line_value, &l, 12);
	check_that(&f, fabs(below[SUMS] / PER_UNIT - total) <= 1e-8 * total,
		"the midpoint rule gives %.15g, not %.15g", below[SUMS] / PER_UNIT, total);
	for (size_t i = 0; i < SUMS; i++)
		below[i] /= below[SUMS];
	below[SUMS] = 1;
	double p = kolmogorov(columns, wells * DRAWS, below, 0, well_cdf);
	check_that(&f, p > 1e-6, "samples of wells have p = %g", p);
	arena_free(f.a);
}

/* The mass of a mode is the product of its sides, and all masses are those of all sign patterns. */
static void check_modes(const char *name, size_t wells, size_t stride)
{
	struct fixture f;
	double sum = 0;

	fixture_open(&f, name, NULL, 0);
	const void *state = density_state(f.d);
	size_t modes = f.t->modes(state);
	assert_int_equal(modes, (size_t)1 << wells);
	double *weight = ARENA_NEW(f.a, modes, double), *x = ARENA_NEW(f.a, f.dim, double);
	f.t->mode_weights(state, weight);
	const double border = strcmp(name, "double_well") == 0 ? 1.5 : 0;
	for (size_t i = 0; i < modes; i++) {
		/* A pattern of sides, in an order that is not the modes'. */
		size_t pattern = (i * 40503 + 77) % modes;
		double want = 1;
		for (size_t j = 0; j < wells; j++) {
			bool right = pattern >> (wells - 1 - j) & 1;
			double left = f.t->cdf(state, j * stride, border);
			x[j * stride] = border + (right ? 1.7 : -1.7);
			want *= right ? 1 - left : left;
		}
		double got = weight[f.t->classify(state, x)];
		check_that(&f, fabs(got - want) <= 1e-12 * want, "mode %zx has mass %g, not %g",
			pattern, got, want);
		sum += want;
	}
	assert_near(sum, 1, 1e-12);
	arena_free(f.a);
}

/* --- Rosenbrock -------------------------------------------------------------------------- */

enum { ROSENBROCK = 15 };

/* What lies ahead of x_i = x, by other means than the target's: adaptive quadrature over x_{i+1},
 * with what lies ahead of that as a Chebyshev series on [-REACH, REACH] and nothing outside. */
static const double REACH = 4.5;

struct ahead {
	const gsl_cheb_series *next; /* NULL: 1 */
	double square;
	gsl_integration_workspace *w;
};

static double ahead_integrand(double y, void *p)
{
	const struct ahead *s = p;
	double r = y - s->square;

	return exp(-10 * r * r - (1 - y) * (1 - y) / 10) *
	       (s->next == NULL ? 1 : gsl_cheb_eval(s->next, y));
}

static double ahead_value(double x, void *p)
{
	struct ahead *s = p;
	gsl_function g = { ahead_integrand, p };
	double low, high, value, error;

	s->square = x * x;
	low = s->square - 2;
	high = s->square + 2;
	if (s->next != NULL) {
		low = fmin(REACH, fmax(-REACH, low));
		high = fmin(REACH, high);
	}
	assert_int_equal(gsl_integration_qag(&g, low, high, 1e-15, 1e-12, 1000, GSL_INTEG_GAUSS61,
				 s->w, &value, &error),
		GSL_SUCCESS);
	return value;
}

static double first_value(double x, void *p)
{
	return exp(-(1 - x) * (1 - x) / 10) * gsl_cheb_eval(p, x);
}

/* log Z, and the distribution of x_1. */
static void test_rosenbrock_chain(void **p)
{
	enum { ORDER = 400 };
	gsl_cheb_series *series[2] = { gsl_cheb_alloc(ORDER), gsl_cheb_alloc(ORDER) };
	struct ahead s = { NULL, 0, gsl_integration_workspace_alloc(1000) };
	gsl_function value = { ahead_value, &s };
	struct fixture f;
	struct log_z z;
	double sum, part, error;

	(void)p;
	fixture_open(&f, "rosenbrock", NULL, 0);
	for (size_t i = ROSENBROCK - 2; i >= 1; i--) {
		gsl_cheb_init(series[i % 2], &value, -REACH, REACH);
		s.next = series[i % 2];
	}
	gsl_function first = { first_value, series[1] };
	assert_int_equal(gsl_integration_qag(&first, -REACH, REACH, 0, 1e-12, 1000,
				 GSL_INTEG_GAUSS61, s.w, &sum, &error),
		GSL_SUCCESS);
	/* The integral over the last coordinate is the same for all that is before it. */
	double log_z = log(1e5) + log(sum) + log(sqrt(acos(-1) / 10));
	density_log_z(f.d, &z);
	check_that(&f, fabs(log_z - z.value) <= 1e-11, "log Z is %.15g by series, %.15g by log_z",
		log_z, z.value);
	for (double x = -1.9; x < 2; x += 0.17) {
		assert_int_equal(gsl_integration_qag(&first, -REACH, x, 1e-13, 1e-11, 1000,
					 GSL_INTEG_GAUSS61, s.w, &part, &error),
			GSL_SUCCESS);
		double got = f.t->cdf(density_state(f.d), 0, x);
		check_that(&f, fabs(got - part / sum) <= 1e-10,
			"x_1 is below %g with %.15g by series, %.15g by cdf", x, part / sum, got);
	}
	gsl_integration_workspace_free(s.w);
	gsl_cheb_free(series[0]);
	gsl_cheb_free(series[1]);
	arena_free(f.a);
}

/* log Z by simulation of the chain without what lies ahead, and weights for that: no table, no
 * grid. c(x) is the integral over x_{i+1} of the factors of x_i and x_{i+1} that are Gaussian in
 * it. */
static void test_rosenbrock_simulation(void **p)
{
	enum { N = 300000 };
	struct fixture f;
	struct log_z z;
	double mean, se;

	(void)p;
	fixture_open(&f, "rosenbrock", NULL, 0);
	density_log_z(f.d, &z);
	double *w = arena_alloc(f.a, N, sizeof(*w));
	for (size_t i = 0; i < N; i++) {
		double x = 1 + sqrt(5) * rng_gauss(stream, 0, i, 0), log_w = 0;
		for (uint32_t k = 1; k < ROSENBROCK - 1 && log_w > -60; k++) {
			log_w += log(acos(-1) / 10.1) / 2 - pow(x * x - 1, 2) / 10.1;
			x = (10 * x * x + 0.1) / 10.1 + rng_gauss(stream, 0, i, k) / sqrt(20.2);
		}
		w[i] = exp(log_w);
	}
	mean_of(w, N, 1, &mean, &se);
	double constant = log(1e5) + log(10 * acos(-1)) / 2 + log(acos(-1) / 10) / 2;
	check_that(&f,
		se < 0.02 * mean && fabs(constant + log(mean) - z.value) <= SIGMAS * se / mean,
		"log Z is %g +- %g by simulation, %g by log_z", constant + log(mean), se / mean,
		z.value);
	arena_free(f.a);
}

/* Samples against the distribution function (exact ones fail once in 10^6), and the mean of that
 * against moments: E x = integral over x > 0 of 1 - F minus that over x < 0 of F. */
struct distribution {
	const struct fixture *f;
	size_t k;
	int power;
};

static double distribution_value(double x, void *p)
{
	const struct distribution *d = p;
	double below = d->f->t->cdf(density_state(d->f->d), d->k, x);

	return (d->power == 2 ? 2 * x : 1) * (x < 0 ? -below : 1 - below);
}

static void test_rosenbrock_distribution(void **p)
{
	struct fixture f;
	double *columns;

	(void)p;
	fixture_open(&f, "rosenbrock", NULL, 0);
	double *mean = block(&f, 1), *sd = block(&f, 1);
	(void)draws(&f, &columns);
	f.t->moments(density_state(f.d), mean, sd);
	for (size_t k = 0; k < f.dim; k++) {
		double value =
			kolmogorov(columns + k * DRAWS, DRAWS, density_state(f.d), k, f.t->cdf);
		check_that(&f, value > 1e-6, "samples of coordinate %zu have p = %g", k + 1, value);
		/* The tail of x_D ends at 400. */
		for (int power = 1; power <= 2; power++) {
			struct distribution d = { &f, k, power };
			double high = k + 2 < f.dim ? 5 : k + 1 < f.dim ? 21 : 400, got = 0;
			const double piece = 0.5;
			for (double low = -3; low < high; low += piece) {
				double error, absolute, deviation, part;
				gsl_function g = { distribution_value, &d };
				gsl_integration_qk31(&g, low, low + piece, &part, &error, &absolute,
					&deviation);
				got += part;
			}
			double want = power == 1 ? mean[k] : sd[k] * sd[k] + mean[k] * mean[k];
			check_that(&f, fabs(got - want) <= 1e-9 * fmax(1, want),
				"E x_%zu^%d is %.15g by cdf, %.15g by moments", k + 1, power, got,
				want);
		}
	}
	arena_free(f.a);
}

/* --- all of it --------------------------------------------------------------------------- */

static void test_draws(void **p)
{
	(void)p;
	for (size_t i = 0; i < FAMILIES; i++)
		check_wells(families[i].name, families[i].wells, families[i].stride);
}

static void test_log_z(void **p)
{
	(void)p;
	for (size_t i = 0; i < FAMILIES; i++)
		check_product(families[i].name);
}

static void test_coordinates(void **p)
{
	(void)p;
	for (size_t i = 0; i < FAMILIES; i++)
		check_coordinates(families[i].name);
}

static void test_modes(void **p)
{
	(void)p;
	for (size_t i = 0; i < FAMILIES; i++)
		check_modes(families[i].name, families[i].wells, families[i].stride);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_draws),
		cmocka_unit_test(test_log_z),
		cmocka_unit_test(test_coordinates),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_rosenbrock_chain),
		cmocka_unit_test(test_rosenbrock_simulation),
		cmocka_unit_test(test_rosenbrock_distribution),
	};

	return run_target_tests("wells", tests);
}
