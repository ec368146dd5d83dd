/* What is known of the targets made of wells beyond the contract: all that they hold of constants is
 * found again by quadrature of their own log densities. */
#include "targets.h"

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

/* The wells are alike and independent: the distribution of all of their samples against the integral
 * of the well, by Kolmogorov and Smirnov. Exact samples exceed the limit once in 10^6. */
static void check_wells(const char *name, size_t wells, size_t stride)
{
	const double low = -4, step = 1e-4;
	const size_t n = wells * DRAWS;
	const double limit = sqrt(log(2e6) / 2 / (double)n);
	struct fixture f;
	double *columns, mass = 0, total, worst = 0;

	fixture_open(&f, name, NULL, 0);
	double *at = ARENA_NEW(f.a, f.dim, double);
	struct line l = { &f, at, 0, 0 };
	(void)draws(&f, &columns);
	for (size_t j = 0; j < wells; j++)
		memmove(columns + j * DRAWS, columns + j * stride * DRAWS,
			DRAWS * sizeof(*columns));
	qsort(columns, n, sizeof(*columns), by_value);
	density_eval(f.d, 1, at, &l.offset, NULL);
	total = integral(line_value, &l, 12);
	double x = low + step / 2;
	for (size_t i = 0; i < n; i++) {
		for (; x < columns[i]; x += step)
			mass += step * line_value(x, &l) / total;
		worst = fmax(worst, fabs(mass - (double)i / (double)n));
	}
	check_that(&f, worst <= limit, "wells differ by %g from their distribution, at most %g",
		worst, limit);
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
	};

	return run_target_tests("wells", tests);
}
