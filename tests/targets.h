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

/* Hv of both instances: at n points that both hold exactly, [dim][n]. */
struct hvp_block {
	size_t n;
	double *x, *v, *hv;
	real *x_real, *v_real, *hv_real;
};

static inline void hvp_both(const struct fixture *f, const struct hvp_block *b)
{
	const struct field *engine = density_field(f->d);

	for (size_t j = 0; j < f->dim * b->n; j++) {
		b->x[j] = (double)(b->x_real[j] = (real)b->x[j]);
		b->v[j] = (double)(b->v_real[j] = (real)b->v[j]);
	}
	assert_int_equal(density_hvp(f->d, b->n, b->x, b->v, b->hv), OK);
	engine->hvp(engine->context, b->n, b->x_real, b->v_real, b->hv_real);
}

static inline struct hvp_block hvp_block_new(const struct fixture *f, size_t n)
{
	real *reals = arena_alloc(f->a, 3 * f->dim * n, sizeof(*reals));

	return (struct hvp_block){ n, block(f, n), block(f, n), block(f, n), reals,
		reals + f->dim * n, reals + 2 * f->dim * n };
}

/* Far points, |x| up to 1e6: Hv is finite. The first coordinate, or the last, is apart from the others:
 * it may be an exponent (+-690 and +-80 are where targets clamp those) or a variance. */
static inline void check_hvp_far(const struct fixture *f)
{
	static const double corner[] = { 0, 1e6, -1e6, 700, -700, 690, -690, 90, -90, 80, -80, -3e3,
		5, -1, 0.7, 1e-3, -1e-6 };
	enum { CORNERS = sizeof(corner) / sizeof(corner[0]), PAIRS = CORNERS * CORNERS, ANY = 64 };
	struct hvp_block b = hvp_block_new(f, 2 * PAIRS + ANY);

	for (size_t i = 0; i < b.n; i++)
		for (size_t k = 0; k < f->dim; k++) {
			bool apart = i < PAIRS ? k == 0 : k + 1 == f->dim;
			double u = rng_uniform(stream, 30, i, (uint32_t)k);
			b.x[k * b.n + i] =
				i < 2 * PAIRS
					? corner[apart ? i % CORNERS : i % PAIRS / CORNERS]
					: copysign(pow(10, 12 * u - 6),
						  rng_uniform(stream, 31, i, (uint32_t)k) - 0.5);
			b.v[k * b.n + i] = rng_gauss(stream, 32, i, (uint32_t)k);
		}
	hvp_both(f, &b);
	for (size_t j = 0; j < f->dim * b.n; j++)
		check_that(f, isfinite(b.hv[j]) && isfinite((double)b.hv_real[j]),
			"Hv %zu at far point %zu (%g ... %g) is %g in double, %g in real",
			j / b.n + 1, j % b.n, b.x[j % b.n], b.x[(f->dim - 1) * b.n + j % b.n],
			b.hv[j], (double)b.hv_real[j]);
}

/* A NaN in one number of x or of v of a point: Hv has one at this point, and at no other. */
static inline void check_hvp_nan(const struct fixture *f)
{
	enum { N = 5, BAD = 3, LOOKED_UP = 64 };
	const size_t dim = f->dim, step = dim / LOOKED_UP + 1;
	struct hvp_block b = hvp_block_new(f, N);

	for (size_t c = 0; c < 2 * dim; c += step) {
		for (size_t j = 0; j < dim * N; j++) {
			b.x[j] = rng_gauss(stream, 33, j, 0);
			b.v[j] = rng_gauss(stream, 34, j, 0);
		}
		(c < dim ? b.x : b.v)[c % dim * N + BAD] = (double)NAN;
		hvp_both(f, &b);
		for (size_t i = 0; i < N; i++) {
			bool lost = true, lost_real = true;
			for (size_t k = 0; k < dim; k++) {
				lost = lost && !isnan(b.hv[k * N + i]);
				lost_real = lost_real && !isnan((double)b.hv_real[k * N + i]);
			}
			check_that(f, lost == (i != BAD) && lost_real == (i != BAD),
				"%c_%zu of point %d is NaN; NaN in Hv of point %zu: %d in double, "
				"%d in "
				"real",
				c < dim ? 'x' : 'v', c % dim + 1, BAD, i, !lost, !lost_real);
		}
	}
}

static inline void check_hvp_range(const struct fixture *f)
{
	check_hvp_far(f);
	check_hvp_nan(f);
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
