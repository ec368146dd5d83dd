/* log Z and moments of the targets, known or on record, against values computed independently of stride
 * (tests/data/gold.csv). */
#include "targets.h"
#include "core/csv.h"
#include "run/reference.h"

#include <gsl/gsl_cdf.h>

static const struct {
	const char *gold, *target;
} ids[] = {
	{ "credit25_noprior", "credit" },
	{ "credit25_prior10", "credit_prior" },
	{ "cancer31_noprior", "cancer" },
	{ "cancer31_prior10", "cancer_prior" },
	{ "ionosphere35_noprior", "ionosphere_noprior" },
	{ "ionosphere35_prior1", "ionosphere" },
	{ "sonar61_prior1", "sonar" },
	{ "seeds26", "seeds" },
	{ "brownian32", "brownian" },
	{ "lgcp1600_unwhitened", "lgcp" },
	{ "planar_robot10_g1", "planar_robot" },
	{ "planar_robot10_g4", "planar_robot4" },
	{ "manywell_5_5_4", "many_well_5" },
	{ "manywell_50_5_2", "many_well_50" },
	{ "manywell32_fab", "many_well_32" },
	{ "rings_scds", "rings" },
	{ "rings_osds", "rings_cos" },
	{ "doublewell1d_shift_scds", "double_well" },
};
enum { N_IDS = sizeof(ids) / sizeof(ids[0]) };

/* Rows that nothing is compared with: a density that is no target; the scales of brownian, which are its
 * x_1 and x_2 by another function. */
static bool is_left_out(const char *gold, const char *quantity)
{
	return strcmp(gold, "sonar61_noprior") == 0 || strncmp(quantity, "sigma_", 6) == 0;
}

static const char *cell(const struct csv *t, size_t row, const char *column)
{
	return t->cell[row * t->cols + csv_column(t, column)];
}

static double number(const struct csv *t, size_t row, const char *column)
{
	return strtod(cell(t, row, column), NULL);
}

static bool is(const struct csv *t, size_t row, const char *gold, const char *quantity)
{
	return strcmp(cell(t, row, "target"), gold) == 0 &&
	       strcmp(cell(t, row, "quantity"), quantity) == 0;
}

/* The row of log Z: the combination of several ways where there is one, otherwise the first. */
static size_t row_of_log_z(const struct csv *t, const char *gold)
{
	size_t found = t->rows;

	for (size_t i = 0; i < t->rows; i++)
		if (is(t, i, gold, "logZ") &&
			(found == t->rows || strcmp(cell(t, i, "name"), "combined") == 0))
			found = i;
	return found;
}

/* Standard errors that a mean over repeats misses once in 16000: 4 where the error is known. That of four
 * repeats is itself off by half, and Student's t with three degrees of freedom has it at 17. */
static double quantile(const struct csv *t, size_t row)
{
	const char *repeats = strstr(cell(t, row, "method"), " repeats)");
	const double level = gsl_cdf_ugaussian_Q(4);

	if (repeats == NULL)
		return 4;
	while (repeats[-1] != '(')
		repeats--;
	return gsl_cdf_tdist_Qinv(level, strtod(repeats, NULL) - 1);
}

static void check_log_z(const struct fixture *f, const struct csv *t, const char *gold)
{
	struct log_z z;
	size_t row = row_of_log_z(t, gold);

	assert_true(row < t->rows);
	double value = number(t, row, "value"), se = number(t, row, "mc_std_error");
	density_log_z(f->d, &z);
	if (isinf(value)) {
		assert_int_equal(z.kind, LOG_Z_INFINITE);
		return;
	}
	check_that(f,
		fabs(z.value - value) <=
			1e-10 * fabs(value) + hypot(quantile(t, row) * se, 4 * z.se),
		"log Z is %.10g +- %.2g, independently %.10g +- %.2g", z.value, z.se, value, se);
}

static size_t count_rows(const struct csv *t, const char *gold, const char *quantity)
{
	size_t n = 0;

	for (size_t i = 0; i < t->rows; i++)
		n += is(t, i, gold, quantity);
	return n;
}

/* Differences are those of estimates whose standard errors come from a few repeats: in units of them they
 * are of order 1 on average, and none is a tenth of the posterior's width. */
static void check_moment(const struct fixture *f, const struct csv *t, const char *gold,
	const char *quantity, const double *value, const double *se, const double *sd)
{
	double squares = 0;
	size_t n = 0;

	for (size_t i = 0; i < t->rows; i++) {
		if (!is(t, i, gold, quantity))
			continue;
		size_t k = (size_t)number(t, i, "index") - 1;
		double other = number(t, i, "value"), error = number(t, i, "mc_std_error");
		assert_true(k < f->dim);
		check_that(f, fabs(value[k] - other) <= 0.1 * sd[k],
			"%s of coordinate %zu is %g, independently %g; its deviation is %g",
			quantity, k + 1, value[k], other, sd[k]);
		squares += pow((value[k] - other) / hypot(error, se[k]), 2);
		n++;
	}
	check_that(f, sqrt(squares / (double)n) <= 1.75,
		"%ss differ from independent ones by %g standard errors in the mean", quantity,
		sqrt(squares / (double)n));
}

static void check_target(const struct csv *t, const char *gold, const char *target)
{
	struct fixture f;
	const struct reference *r;

	fixture_open(&f, target, NULL, 0);
	double *mean = block(&f, 1), *sd = block(&f, 1), *none = ARENA_NEW(f.a, f.dim, double);
	check_log_z(&f, t, gold);
	assert_int_equal(reference_find(&r, f.d, f.a), OK);
	if (count_rows(t, gold, "mean") > 0) {
		check_that(&f, density_moments(f.d, mean, sd), "moments are not known");
		check_that(&f,
			count_rows(t, gold, "mean") == f.dim && count_rows(t, gold, "std") == f.dim,
			"not all moments are compared");
		check_moment(&f, t, gold, "mean", mean, r != NULL ? r->mean_se : none, sd);
		check_moment(&f, t, gold, "std", sd, r != NULL ? r->sd_se : none, sd);
	}
	arena_free(f.a);
}

static void test_gold(void **p)
{
	struct arena *a = arena_new();
	struct csv t;

	(void)p;
	if (csv_read_text(&t, "tests/data/gold.csv", a) != OK)
		fail_msg("%s", error_text());
	for (size_t i = 0; i < N_IDS; i++)
		check_target(&t, ids[i].gold, ids[i].target);
	for (size_t row = 0; row < t.rows; row++) {
		const char *gold = cell(&t, row, "target"), *quantity = cell(&t, row, "quantity");
		bool compared = is_left_out(gold, quantity);
		for (size_t i = 0; i < N_IDS; i++)
			compared = compared || strcmp(ids[i].gold, gold) == 0;
		if (!compared)
			fail_msg("nothing is compared with %s of %s", quantity, gold);
	}
	arena_free(a);
}

/* The same integral in other coordinates. */
static void test_whitened(void **p)
{
	struct fixture f, g;
	struct log_z y, z;

	(void)p;
	fixture_open(&f, "lgcp", NULL, 0);
	fixture_open(&g, "lgcp_whitened", NULL, 0);
	density_log_z(f.d, &y);
	density_log_z(g.d, &z);
	check_that(&f, fabs(y.value - z.value) <= 4 * hypot(y.se, z.se),
		"log Z is %g +- %g, whitened %g +- %g", y.value, y.se, z.value, z.se);
	arena_free(f.a);
	arena_free(g.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_gold),
		cmocka_unit_test(test_whitened) };

	return run_target_tests("gold", tests);
}
