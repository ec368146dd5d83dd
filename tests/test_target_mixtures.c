/* What is known of the mixtures beyond the contract. */
#include "targets.h"

/* At the centre of a far-off component the others do not count. */
static void test_gmm40_centres(void **p)
{
	struct fixture f;
	double mean[50], sd[50], log_rho;

	(void)p;
	fixture_open(&f, "gmm40_50d", NULL, 0);
	double *x = block(&f, DRAWS), *centre = ARENA_NEW(f.a, 40 * f.dim, double);
	double count[40] = { 0 };
	assert_int_equal(density_draw(f.d, stream, 0, DRAWS, x), OK);
	for (size_t i = 0; i < DRAWS; i++) {
		size_t mode = f.t->classify(density_state(f.d), x + i * f.dim);
		count[mode]++;
		for (size_t k = 0; k < f.dim; k++)
			centre[mode * f.dim + k] += x[i * f.dim + k];
	}
	/* log rho at the mean of count exact samples of a component is below its top by half a
	 * chi-square with 50 degrees of freedom over count: at most 1/8 at count 400. */
	for (size_t mode = 0; mode < 40; mode++) {
		for (size_t k = 0; k < f.dim; k++)
			centre[mode * f.dim + k] /= count[mode];
		density_eval(f.d, 1, centre + mode * f.dim, &log_rho, NULL);
		double top = -log(40.0) - 25 * LOG_2PI;
		assert_true(count[mode] > 400 && log_rho <= top && log_rho > top - 0.125);
		assert_int_equal(f.t->classify(density_state(f.d), centre + mode * f.dim), mode);
	}
	/* Published moments of the first coordinate. */
	f.t->moments(density_state(f.d), mean, sd);
	assert_near(mean[0], -0.8292136669158936, 1e-12);
	assert_near(sd[0], 21.332871635757257, 1e-12);
	arena_free(f.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gmm40_centres),
	};

	return run_target_tests("mixtures", tests);
}
