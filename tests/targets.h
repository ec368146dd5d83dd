#ifndef STRIDE_TESTS_TARGETS_H
#define STRIDE_TESTS_TARGETS_H

/* What the tests of targets share: a target in a fixture, its exact samples, estimates with their
 * errors, integrals along a line. */

#include "stride.h"

#include <cblas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_integration.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* cmocka's fail() gives way to stride's. */
#undef fail
#undef fail_msg
#define fail_msg(...) (print_error(__VA_ARGS__), _fail(__FILE__, __LINE__))

enum { DRAWS = 20000 };

static const struct rng stream = { 20, RNG_TEST, 0 };

/* Deviations of a normal estimate: one in 1.7 million is larger, and some thousand are looked at. */
static const double SIGMAS = 5;
/* Of pairs of coordinates there are ten thousand. */
static const double SIGMAS_PAIRS = 6;

struct fixture {
	struct arena *a;
	const struct target *t;
	struct density *d;
	size_t dim;
};

static inline void fixture_open(struct fixture *f, const char *target,
	const struct setting *settings, size_t n)
{
	f->a = arena_new();
	f->t = target_find(target);
	assert_non_null(f->t);
	if (density_new(&f->d, target, settings, n, f->a) != OK)
		fail_msg("%s", error_text());
	f->dim = density_dim(f->d);
}

static inline double *block(const struct fixture *f, size_t n)
{
	return arena_alloc(f->a, f->dim * n, sizeof(double));
}

#define check_that(f, condition, ...)                             \
	do {                                                      \
		if (!(condition)) {                               \
			print_error("target %s: ", (f)->t->name); \
			fail_msg(__VA_ARGS__);                    \
		}                                                 \
	} while (0)

#define assert_near(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))

/* Mean and its standard error of value[0], value[stride], ... */
static inline void mean_of(const double *value, size_t n, size_t stride, double *mean, double *se)
{
	double sum = 0, square = 0;

	for (size_t i = 0; i < n; i++)
		sum += value[i * stride];
	*mean = sum / (double)n;
	for (size_t i = 0; i < n; i++)
		square += pow(value[i * stride] - *mean, 2);
	*se = sqrt(square / (double)(n - 1) / (double)n);
}

/* Samples row-major, and the same coordinate-major. */
static inline double *draws(const struct fixture *f, double **columns)
{
	double *x = block(f, DRAWS);

	assert_int_equal(density_draw(f->d, stream, 0, DRAWS, x), OK);
	*columns = block(f, DRAWS);
	for (size_t i = 0; i < DRAWS; i++)
		for (size_t k = 0; k < f->dim; k++)
			(*columns)[k * DRAWS + i] = x[i * f->dim + k];
	return x;
}

/* An integrand along coordinate k through `at`, divided by rho(at). */
struct line {
	const struct fixture *f;
	double *at;
	size_t k;
	double offset;
};

static inline double line_value(double x, void *p)
{
	struct line *l = p;
	double log_rho, kept = l->at[l->k];

	l->at[l->k] = x;
	density_eval(l->f->d, 1, l->at, &log_rho, NULL);
	l->at[l->k] = kept;
	return exp(log_rho - l->offset);
}

static inline double integral(double (*function)(double, void *), void *context, double reach)
{
	gsl_integration_workspace *w = gsl_integration_workspace_alloc(1000);
	gsl_function g = { function, context };
	double value, error;

	assert_int_equal(gsl_integration_qag(&g, -reach, reach, 0, 1e-12, 1000, GSL_INTEG_GAUSS31,
				 w, &value, &error),
		GSL_SUCCESS);
	gsl_integration_workspace_free(w);
	return value;
}

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}
/* p-value of Kolmogorov and Smirnov's test of n samples against cdf(context, k, x), by the asymptotic
 * distribution with Stephens' correction of n (1970). Sorts the samples. */
static inline double kolmogorov(double *sample, size_t n, const void *context, size_t k,
	double (*cdf)(const void *context, size_t k, double x))
{
	double worst = 0, p = 0, root = sqrt((double)n);

	qsort(sample, n, sizeof(*sample), by_value);
	for (size_t i = 0; i < n; i++) {
		double c = cdf(context, k, sample[i]);
		if (!(c >= -1e-9 && c <= 1 + 1e-9))
			return 0;
		worst = fmax(worst,
			fmax(c - (double)i / (double)n, (double)(i + 1) / (double)n - c));
	}
	double t = (root + 0.12 + 0.11 / root) * worst;
	for (int j = 1; j <= 100; j++)
		p += (j % 2 == 1 ? 2 : -2) * exp(-2.0 * j * j * t * t);
	return t < 0.2 ? 1 : fmin(1, fmax(0, p));
}

/* Run a group of tests as every test program of targets does. */
#define run_target_tests(name, tests)                                    \
	(openblas_set_num_threads(1), (void)gsl_set_error_handler_off(), \
		cmocka_run_group_tests_name(name, tests, NULL, NULL))

#endif
