/* What is known of the targets made of wells beyond the contract. */
#include "targets.h"

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

/* The first five coordinates are independent wells: the distribution of their samples against the
 * integral of the well, by Kolmogorov and Smirnov. Exact samples exceed the limit once in 10^6. */
static void check_wells(const char *name)
{
	enum { WELLS = 5, N = WELLS * DRAWS };
	const double low = -4, step = 1e-4, limit = sqrt(log(2e6) / 2 / N);
	struct fixture f;
	double *columns, mass = 0, total, worst = 0;

	fixture_open(&f, name, NULL, 0);
	double *at = ARENA_NEW(f.a, f.dim, double);
	struct line l = { &f, at, 0, 0 };
	(void)draws(&f, &columns);
	qsort(columns, N, sizeof(*columns), by_value);
	density_eval(f.d, 1, at, &l.offset, NULL);
	total = integral(line_value, &l, 12);
	double x = low + step / 2;
	for (size_t i = 0; i < N; i++) {
		for (; x < columns[i]; x += step)
			mass += step * line_value(x, &l) / total;
		worst = fmax(worst, fabs(mass - (double)i / N));
	}
	check_that(&f, worst <= limit, "wells differ by %g from their distribution, at most %g",
		worst, limit);
	arena_free(f.a);
}

static void test_many_well_draws(void **p)
{
	(void)p;
	check_wells("many_well_5");
	check_wells("many_well_50");
}

static void test_many_well_log_z(void **p)
{
	(void)p;
	check_product("many_well_5");
	check_product("many_well_50");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_well_draws),
		cmocka_unit_test(test_many_well_log_z),
	};

	return run_target_tests("wells", tests);
}
