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

/* Deviations of a normal estimate: one in 1.7 million is larger, and some thousand are looked
 * at. */
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
/* p-value of Kolmogorov and Smirnov's test of n samples against cdf(context, k, x), by the
 * asymptotic distribution with Stephens' correction of n (1970). Sorts the samples. */
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

/* The Hessian-vector products of both instances at far points, |x| up to 1e6, are finite; and where
 * one number of x or of v is NaN, so is one of them. */
static inline void check_hvp_range(const struct fixture *f)
{
	enum { FAR = 64, LOOKED_UP = 64 };
	static const double corner[] = { 0, 1e6, -1e6, 90, -90, 700, -700, 1e-3 };
	enum { CORNERS = sizeof(corner) / sizeof(corner[0]) };
	const struct field *engine = density_field(f->d);
	const size_t dim = f->dim, step = dim / LOOKED_UP + 1;
	double *x = block(f, FAR), *v = block(f, FAR), *hv = block(f, FAR);
	real *xr = arena_alloc(f->a, dim * FAR, sizeof(*xr));
	real *vr = arena_alloc(f->a, dim * FAR, sizeof(*vr));
	real *hvr = arena_alloc(f->a, dim * FAR, sizeof(*hvr));

	for (size_t i = 0; i < FAR; i++)
		for (size_t k = 0; k < dim; k++) {
			/* The first or last coordinate and the others at corners; then all
			 * magnitudes. */
			double u = rng_uniform(stream, 30, i, (uint32_t)k);
			bool apart = i % 2 == 0 ? k == 0 : k + 1 == dim;
			double at = i < 2 * CORNERS   ? (apart ? corner[i / 2] : 1e6 * (2 * u - 1))
				    : i < 4 * CORNERS ? corner[(i / 2 + (apart ? 1 : 0)) % CORNERS]
						      : copysign(pow(10, 12 * u - 6), u - 0.7);
			size_t j = k * FAR + i;
			x[j] = (double)(xr[j] = (real)at);
			v[j] = (double)(vr[j] = (real)rng_gauss(stream, 31, i, (uint32_t)k));
		}
	assert_int_equal(density_hvp(f->d, FAR, x, v, hv), OK);
	engine->hvp(engine->context, FAR, xr, vr, hvr);
	for (size_t j = 0; j < dim * FAR; j++)
		check_that(f, isfinite(hv[j]) && isfinite((double)hvr[j]),
			"Hv %zu of far point %zu is %g, real %g", j / FAR + 1, j % FAR, hv[j],
			(double)hvr[j]);
	for (size_t c = 0; c < 2 * dim; c += step) {
		bool lost = false, lost_real = false;
		for (size_t k = 0; k < dim; k++) {
			x[k] = (double)(xr[k] = (real)rng_gauss(stream, 32, 0, (uint32_t)k));
			v[k] = (double)(vr[k] = (real)rng_gauss(stream, 33, 0, (uint32_t)k));
		}
		*(c < dim ? &x[c] : &v[c - dim]) = (double)NAN;
		*(c < dim ? &xr[c] : &vr[c - dim]) = (real)NAN;
		assert_int_equal(density_hvp(f->d, 1, x, v, hv), OK);
		engine->hvp(engine->context, 1, xr, vr, hvr);
		for (size_t k = 0; k < dim; k++) {
			lost = lost || isnan(hv[k]);
			lost_real = lost_real || isnan((double)hvr[k]);
		}
		check_that(f, lost && lost_real, "no NaN in Hv where %c_%zu is NaN",
			c < dim ? 'x' : 'v', c % dim + 1);
	}
}

/* NaN in gives NaN out, of every coordinate. */
static inline void check_cdf_nan(const struct fixture *f)
{
	for (size_t k = 0; k < f->dim; k++)
		check_that(f, isnan(f->t->cdf(density_state(f->d), k, (double)NAN)),
			"the distribution function of x_%zu at NaN is a number", k + 1);
}

/* With this text as its table in $STRIDE_DATA the target is refused by ERR_PARSE and these
 * words. */
static inline void check_refused(const char *target, const char *file, const char *text,
	const char *words)
{
	char folder[] = "/tmp/stride_refused_XXXXXX";
	struct arena *a = arena_new();
	struct density *d;

	assert_non_null(mkdtemp(folder));
	const char *path = arena_printf(a, "%s/%s", folder, file);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	setenv("STRIDE_DATA", folder, 1);
	int status = density_new(&d, target, NULL, 0, a);
	unsetenv("STRIDE_DATA");
	unlink(path);
	rmdir(folder);
	if (status != ERR_PARSE || strstr(error_text(), path) == NULL ||
		strstr(error_text(), words) == NULL)
		fail_msg("%s: %s \"%s\"; \"%s\" was expected", target, error_name(status),
			error_text(), words);
	arena_free(a);
}

#endif
