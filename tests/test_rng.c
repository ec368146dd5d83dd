/* Random numbers: the Philox blocks are Random123's, the laws are right, nothing depends on
 * cutting. */
#include "core/rng.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort.h>
#include <math.h>
#include <Random123/philox.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ROWS = 1 << 17 };

static const struct rng stream = { .seed = 0x123456789abcdefu, .purpose = RNG_TEST, .epoch = 5 };

/* The sign of a Rademacher number is the top bit of a Philox word: compare with the library. */
static void test_blocks_are_philox(void **state)
{
	real out[6 * 40];

	(void)state;
	rng_rademacher(stream, 3, 1000, 40, 6, out);
	philox4x32_key_t key = { { (uint32_t)stream.seed,
		(uint32_t)(stream.seed >> 32) + RNG_TEST * 0x9e3779b9u } };
	for (uint32_t i = 0; i < 40; i++) {
		for (uint32_t k = 0; k < 6; k++) {
			philox4x32_ctr_t c = { { 1000 + i, 3, k / 4, 5 } };
			uint32_t word = philox4x32(c, key).v[k % 4];
			assert_true(out[k * 40 + i] == (word >> 31 ? (real)-1 : (real)1));
		}
	}
}

static void test_independent_of_cutting(void **state)
{
	enum { N = 100, D = 7 };
	real whole[N * D], part[33 * D];

	(void)state;
	rng_normal(stream, 1, 64, N, D, whole);
	rng_normal(stream, 1, 64 + 30, 33, D, part);
	for (size_t k = 0; k < D; k++)
		for (size_t i = 0; i < 33; i++)
			assert_true(part[k * 33 + i] == whole[k * N + 30 + i]);
	real narrow[N * 2];
	rng_normal(stream, 1, 64, N, 2, narrow);
	for (size_t j = 0; j < N * 2; j++)
		assert_true(narrow[j] == whole[j]);
}

/* Kolmogorov's distance of n numbers from the standard normal law; sorts them. */
static double kolmogorov(double *x, size_t n)
{
	double worst = 0;

	gsl_sort(x, 1, n);
	for (size_t i = 0; i < n; i++) {
		double p = gsl_cdf_ugaussian_P(x[i]);
		worst = fmax(worst,
			fmax(p - (double)i / (double)n, (double)(i + 1) / (double)n - p));
	}
	return worst;
}

static void test_normal_law(void **state)
{
	real *x = malloc(ROWS * 4 * sizeof(real));
	double *column = malloc(ROWS * sizeof(double));

	(void)state;
	rng_normal(stream, 0, 0, ROWS, 4, x);
	double largest = 0;
	for (size_t k = 0; k < 4; k++) {
		double moment[5] = { 0 };
		for (size_t i = 0; i < ROWS; i++) {
			double v = column[i] = (double)x[k * ROWS + i];
			for (int p = 1; p <= 4; p++)
				moment[p] += pow(v, p) / ROWS;
			largest = fmax(largest, fabs(v));
		}
		double se = 1 / sqrt(ROWS); /* four standard errors of each moment */
		assert_true(fabs(moment[1]) < 4 * se);
		assert_true(fabs(moment[2] - 1) < 4 * sqrt(2) * se);
		assert_true(fabs(moment[3]) < 4 * sqrt(15) * se);
		assert_true(fabs(moment[4] - 3) < 4 * sqrt(96) * se);
		/* 1.95: the 0.1 % level of Kolmogorov's statistic. */
		assert_true(kolmogorov(column, ROWS) * sqrt(ROWS) < 1.95);
	}
	assert_true(largest > 4.2 && largest < 6.8);
	double product = 0;
	for (size_t i = 0; i < ROWS; i++)
		product += (double)x[i] * (double)x[ROWS + i] / ROWS;
	assert_true(fabs(product) < 4 / sqrt(ROWS));
	free(column);
	free(x);
}

static void test_scalars(void **state)
{
	double *x = malloc(ROWS * sizeof(double));
	double mean = 0;
	size_t count[7] = { 0 };

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		x[i] = rng_gauss(stream, 0, i, 0);
		double u = rng_uniform(stream, 0, i, 1);
		assert_true(u > 0 && u < 1);
		mean += u / ROWS;
		count[rng_below(stream, 0, i, 2, 7)]++;
	}
	assert_true(kolmogorov(x, ROWS) * sqrt(ROWS) < 1.95);
	assert_true(fabs(mean - 0.5) < 4 * sqrt(1. / 12 / ROWS));
	double chi2 = 0, expected = ROWS / 7.;
	for (int j = 0; j < 7; j++)
		chi2 += ((double)count[j] - expected) * ((double)count[j] - expected) / expected;
	assert_true(gsl_cdf_chisq_Q(chi2, 6) > 1e-4);
	assert_int_equal(rng_below(stream, 0, 0, 0, 1), 0);
	free(x);
}

/* Every coordinate of the counter matters. */
static void test_streams_differ(void **state)
{
	struct rng other = stream;

	(void)state;
	double base = rng_gauss(stream, 1, 2, 3);
	assert_true(base != rng_gauss(stream, 2, 2, 3));
	assert_true(base != rng_gauss(stream, 1, 3, 3));
	assert_true(base != rng_gauss(stream, 1, 2, 4));
	other.epoch++;
	assert_true(base != rng_gauss(other, 1, 2, 3));
	other = stream;
	other.purpose++;
	assert_true(base != rng_gauss(other, 1, 2, 3));
	other = stream;
	other.seed++;
	assert_true(base != rng_gauss(other, 1, 2, 3));
	other.seed = stream.seed ^ 0x100000000u;
	assert_true(base != rng_gauss(other, 1, 2, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_are_philox),
		cmocka_unit_test(test_independent_of_cutting),
		cmocka_unit_test(test_normal_law),
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_streams_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
