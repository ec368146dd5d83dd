/* Noise floors at their nominal rate: 95 of 100 further exact sets score below the limit that a floor
 * states. Every metric with a floor, on a target that has modes, a score and a sampler.
 *
 * The sets are exchangeable whatever the metric, the target and the number of points: POINTS decides what a
 * value costs, not how often it is below the limit, and is as small as leaves values that differ. What the test
 * is sharp by is FLOOR and DRAWS. */
#include "core/stats.h"
#include "run/scoring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* The rate's standard deviation: sqrt(0.95 0.05 (1 / DRAWS + 1 / FLOOR)) = 0.018, of which 0.04 are two. */
enum { FLOOR = 400, DRAWS = 200 };
static const size_t POINTS = 32; /* three or four a mode */

static const double rate = 0.95, margin = 0.04;

static double score_draw(const struct metric *m, struct scored *in, double *x, uint32_t draw)
{
	struct score s;
	int code = density_draw(in->target, (struct rng){ .purpose = RNG_FLOOR, .epoch = draw }, 0,
		POINTS, x);

	assert_int_equal(code, OK);
	in->seed = draw;
	scoring_run(m, in, &s, in->arena);
	assert_null(s.failure);
	assert_true(!isnan(s.value.value));
	return s.value.value;
}

static void test_nominal_rate(void **state)
{
	const struct log_z unknown = { .kind = LOG_Z_UNKNOWN };
	struct arena *a = arena_new(), *scratch = arena_new();
	struct density *d;
	struct scored in;
	size_t tested = 0;

	(void)state;
	assert_int_equal(density_new(&d, "gmm9", NULL, 0, a), OK);
	const size_t dim = density_dim(d);
	double *exact = ARENA_NEW(a, POINTS * dim, double), *x = ARENA_NEW(a, POINTS * dim, double);
	assert_int_equal(density_draw(d, (struct rng){ .purpose = RNG_TARGET }, 0, POINTS, exact),
		OK);
	scoring_start(&in, d, &unknown, x, POINTS, dim, exact, POINTS, scratch);
	for (const struct metric *const *m = metrics; *m != NULL; m++) {
		double floor[FLOOR], below = 0, equal = 0;
		if (!(*m)->floor || !scoring_applies(*m, &in))
			continue;
		for (uint32_t i = 0; i < FLOOR; i++)
			floor[i] = score_draw(*m, &in, x, i);
		double limit = stats_quantile(floor, FLOOR, rate);
		for (uint32_t i = 0; i < DRAWS; i++) {
			double value = score_draw(*m, &in, x, FLOOR + i);
			below += value < limit;
			equal += value == limit;
		}
		print_message("           %-20s %.3f below, %.3f at the limit\n", (*m)->name,
			below / DRAWS, equal / DRAWS);
		/* Of a metric with few values many sets may score the limit itself. */
		assert_true((below + equal) / DRAWS >= rate - margin);
		assert_true(below / DRAWS <= rate + margin);
		tested++;
	}
	assert_true(tested >= 10);
	arena_free(scratch);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_nominal_rate) };

	/* Bodies of microseconds: a second thread would only be waited for. */
	parallel_use(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
