/* Shared statistics on cases whose answers are known. */
#include "core/rng.h"
#include "core/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MANY = 20000 };

static const struct rng stream = { .seed = 11, .purpose = RNG_TEST };
static const double infinity = (double)INFINITY, not_a_number = (double)NAN;

static void assert_near(double a, double b, double tolerance)
{
	if (!(fabs(a - b) <= tolerance))
		fail_msg("%.17g is not within %g of %.17g", a, tolerance, b);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void test_mean_and_spread(void **state)
{
	const double x[] = { 3, 1, 4, 1, 5, 9, 2, 6 };

	(void)state;
	assert_near(stats_sum(x, 8), 31, 0);
	assert_near(stats_mean(x, 8), 3.875, 0);
	/* 173 - 31^2 / 8 = 52.875, over 7: by hand; one rounding. */
	assert_near(stats_variance(x, 8), 52.875 / 7, 1e-15);
	assert_near(stats_se(x, 8), sqrt(52.875 / 7 / 8), 1e-15);
	assert_true(isnan(stats_mean(x, 0)));
	assert_true(isnan(stats_variance(x, 1)));
	assert_true(isnan(stats_se(x, 1)));
	assert_near(stats_mean(x, 1), 3, 0);
}

static void test_sum_is_compensated(void **state)
{
	/* In order: 1 + 1e100 + 1 - 1e100 is 2; a plain loop gives 0. */
	const double x[] = { 1, 1e100, 1, -1e100 };
	double offset[1000];

	(void)state;
	assert_near(stats_sum(x, 4), 2, 0);
	/* A large common offset does not spoil the variance. */
	for (int i = 0; i < 1000; i++)
		offset[i] = 1e9 + (i % 2);
	assert_near(stats_variance(offset, 1000), 0.25 * 1000 / 999, 1e-12);
}

static void test_non_finite_sums(void **state)
{
	const double up[] = { 1, infinity, 2 }, down[] = { 1, -infinity, 2 };
	const double both[] = { infinity, 1, -infinity }, bad[] = { 1, not_a_number };

	(void)state;
	assert_true(stats_mean(up, 3) == infinity);
	assert_true(stats_mean(down, 3) == -infinity);
	assert_true(isnan(stats_mean(both, 3)));
	assert_true(isnan(stats_mean(bad, 2)));
	assert_true(isnan(stats_variance(bad, 2)));
}

/* Against a sorted copy, every rank: with many ties, sorted, reversed and random. */
static void test_select_equals_sort(void **state)
{
	enum { N = 257 };
	double x[N], sorted[N], work[N];

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		for (size_t i = 0; i < N; i++)
			x[i] = kind == 0   ? rng_gauss(stream, 0, i, 0)
			       : kind == 1 ? floor(4 * rng_uniform(stream, 0, i, 0))
			       : kind == 2 ? (double)i
					   : -(double)i;
		memcpy(sorted, x, sizeof(x));
		qsort(sorted, N, sizeof(*sorted), by_value);
		for (size_t k = 0; k < N; k++) {
			memcpy(work, x, sizeof(x));
			assert_true(stats_select(work, N, k) == sorted[k]);
			for (size_t i = 0; i < N; i++)
				assert_true(i < k ? work[i] <= sorted[k] : work[i] >= sorted[k]);
		}
	}
}

/* A further draw lies above the quantile of 19 with the stated probability: of 20 equally likely ranks
 * one. 4000 trials: standard error 0.0034, and 4 of them. */
static void test_quantile_predicts(void **state)
{
	enum { DRAWS = 19, TRIALS = 4000 };
	double x[DRAWS];
	size_t above = 0;

	(void)state;
	for (size_t t = 0; t < TRIALS; t++) {
		for (size_t i = 0; i < DRAWS; i++)
			x[i] = exp(
				rng_gauss((struct rng){ .purpose = RNG_TEST }, (uint32_t)t, i, 0));
		double next =
			exp(rng_gauss((struct rng){ .purpose = RNG_TEST }, (uint32_t)t, DRAWS, 0));
		above += next > stats_quantile(x, DRAWS, 0.95);
	}
	assert_near((double)above / TRIALS, 0.05, 4 * sqrt(0.05 * 0.95 / TRIALS));
}

static void test_quantiles(void **state)
{
	double x[] = { 7, 1, 3, 5 }, one[] = { 2 }, odd[] = { 9, -1, 4 },
	       bad[] = { 1, not_a_number };
	double wide[] = { -infinity, 1, infinity };

	(void)state;
	assert_near(stats_median(x, 4), 4, 0);
	assert_near(stats_quantile(x, 4, 0), 1, 0);
	assert_near(stats_quantile(x, 4, 1), 7, 0);
	/* Rank 0.6 * 5 - 1 = 2, rank 0.75 * 5 - 1 = 2.75: between 5 and 7; rank 3.75: cut at 3. */
	assert_near(stats_quantile(x, 4, 0.6), 5, 1e-14);
	assert_near(stats_quantile(x, 4, 0.75), 5 + 0.75 * 2, 1e-14);
	assert_near(stats_quantile(x, 4, 0.95), 7, 0);
	assert_near(stats_median(one, 1), 2, 0);
	assert_near(stats_median(odd, 3), 4, 0);
	assert_true(isnan(stats_median(odd, 0)));
	assert_true(isnan(stats_median(bad, 2)));
	assert_true(isnan(stats_quantile(x, 4, 1.5)));
	assert_near(stats_median(wide, 3), 1, 0);
	assert_true(stats_quantile(wide, 3, 0.9) == infinity);
}

static void test_log_sum_exp(void **state)
{
	const double x[] = { 1000, 1000 + log(3), -1e4 }, none[] = { -infinity, -infinity };
	const double one[] = { -infinity, 2 }, up[] = { infinity, 0 },
		     bad[] = { not_a_number, infinity };

	(void)state;
	/* 1 ulp of 1001.4 is 1.1e-13. */
	assert_near(stats_log_sum_exp(x, 3, 1), 1000 + log(4), 3e-13);
	assert_near(stats_log_sum_exp(x, 3, -1), 1e4, 0);
	assert_near(stats_log_sum_exp(one, 2, 1), 2, 0);
	assert_true(stats_log_sum_exp(none, 2, 1) == -infinity);
	assert_true(stats_log_sum_exp(x, 0, 1) == -infinity);
	assert_true(stats_log_sum_exp(up, 2, 1) == infinity);
	assert_true(isnan(stats_log_sum_exp(bad, 2, 1)));
}

/* Log-normal weights of spread s: log mean w = s^2 / 2, ESS = exp(-s^2). */
static void test_weights_of_known_law(void **state)
{
	static double log_w[MANY];
	const double s = 0.5;
	struct weight_stats out;

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		log_w[i] = 700 + s * rng_gauss(stream, 1, i, 0);
	stats_weights(log_w, MANY, 1, &out);
	assert_near(out.log_mean, 700 + s * s / 2, 4 * out.log_mean_se);
	/* sd(w) / mean(w) = sqrt(exp(s^2) - 1); its estimate has about 2 % error here. */
	assert_near(out.log_mean_se * sqrt(MANY), sqrt(expm1(s * s)), 0.05);
	assert_near(out.ess, exp(-s * s), 0.02);
	stats_weights(log_w, MANY, -1, &out);
	assert_near(out.log_mean, -700 + s * s / 2, 4 * out.log_mean_se);
}

/* The standard error is the spread of the estimate over repetitions. */
static void test_standard_error_of_log_mean(void **state)
{
	enum { N = 400, REPEATS = 500 };
	double log_w[N], estimate[REPEATS], se[REPEATS];
	struct weight_stats out;

	(void)state;
	for (size_t r = 0; r < REPEATS; r++) {
		for (size_t i = 0; i < N; i++)
			log_w[i] = 0.5 * rng_gauss(stream, 2, r * N + i, 0);
		stats_weights(log_w, N, 1, &out);
		estimate[r] = out.log_mean;
		se[r] = out.log_mean_se;
	}
	/* A standard deviation from 500 values has a relative error of 3 %; four of these. */
	double ratio = sqrt(stats_variance(estimate, REPEATS)) / stats_mean(se, REPEATS);
	assert_near(ratio, 1, 0.13);
}

static void test_weights_at_the_edges(void **state)
{
	const double equal[] = { -7.5, -7.5, -7.5 },
		     single[] = { -infinity, -3, -infinity, -infinity };
	const double none[] = { -infinity, -infinity }, bad[] = { 0, not_a_number };
	struct weight_stats out;

	(void)state;
	stats_weights(equal, 3, 1, &out);
	assert_near(out.log_mean, -7.5, 0);
	assert_near(out.log_mean_se, 0, 0);
	assert_near(out.ess, 1, 0);
	stats_weights(single, 4, 1, &out);
	assert_near(out.log_mean, -3 - log(4), 1e-15);
	assert_near(out.ess, 0.25, 0);
	stats_weights(none, 2, 1, &out);
	assert_true(out.log_mean == -infinity && isnan(out.ess) && isnan(out.log_mean_se));
	stats_weights(bad, 2, 1, &out);
	assert_true(isnan(out.log_mean) && isnan(out.ess));
	stats_weights(equal, 1, 1, &out);
	assert_true(out.log_mean == -7.5 && out.ess == 1 && isnan(out.log_mean_se));
}

static void test_entropy(void **state)
{
	const size_t even[] = { 5, 5, 5, 5 }, one[] = { 0, 8, 0 }, none[] = { 0, 0 },
		     mixed[] = { 1, 3 };

	(void)state;
	assert_near(stats_entropy(even, 4), log(4), 1e-15);
	assert_true(stats_entropy(one, 3) == 0 && !signbit(stats_entropy(one, 3)));
	assert_true(isnan(stats_entropy(none, 2)));
	assert_near(stats_entropy(mixed, 2), 0.25 * log(4) + 0.75 * log(4. / 3), 1e-15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mean_and_spread),
		cmocka_unit_test(test_sum_is_compensated),
		cmocka_unit_test(test_non_finite_sums),
		cmocka_unit_test(test_select_equals_sort),
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_quantile_predicts),
		cmocka_unit_test(test_log_sum_exp),
		cmocka_unit_test(test_weights_of_known_law),
		cmocka_unit_test(test_standard_error_of_log_mean),
		cmocka_unit_test(test_weights_at_the_edges),
		cmocka_unit_test(test_entropy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
