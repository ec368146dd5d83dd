/* Tables of the logistic regressions: a user's own, and bad ones. */
#include "targets.h"

static int with_table(const char *text, struct density **d, struct arena *a)
{
	char path[] = "/tmp/stride_targets_XXXXXX";
	FILE *file = fdopen(mkstemp(path), "w");
	const struct setting data = { "data", path };

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	int status = density_new(d, "ionosphere", &data, 1, a);
	unlink(path);
	return status;
}

static void test_bad_tables(void **p)
{
	static const struct {
		const char *text, *place, *what;
	} bad[] = {
		{ "", ":1:", "no numbers" },
		{ "V1,label\n", ":1:", "no numbers" },
		{ "V1,V2,label\n1,2,1\n1,2\n", ":3:", "2 fields" },
		{ "V1,V2,label\n1,2,1\n1,2,3,0\n", ":3:", "4 fields" },
		{ "V1,label\n0.5,1\n,0\n", ":3:", "missing" },
		{ "V1,label\n0.5,1\n?,0\n", ":3:", "\"?\"" },
		{ "V1,label\n0.5,1\n# remark\n0.1,g\n", ":4:", "\"g\"" },
		{ "V1,label\n0.5,1\nnan,0\n", ":3:", "finite" },
		{ "V1,label\n0.5,1\n0.1,2\n", ":3:", "label" },
		{ "V1,label\n0.5,1\n0.1,0.5\n", ":3:", "label" },
		{ "V1,label\n0.5,-1\n", ":2:", "label" },
		{ "label\n1\n0\n", ":2:", "one field" },
	};
	struct arena *a = arena_new();
	struct density *d;

	(void)p;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(with_table(bad[i].text, &d, a), ERR_PARSE);
		if (strstr(error_text(), bad[i].place) == NULL ||
			strstr(error_text(), bad[i].what) == NULL)
			fail_msg("\"%s\" gave \"%s\"", bad[i].text, error_text());
	}
	const struct setting none = { "data", "/nonexistent/table.csv" };
	assert_int_equal(density_new(&d, "ionosphere", &none, 1, a), ERR_IO);
	assert_non_null(strstr(error_text(), "/nonexistent/table.csv"));
	arena_free(a);
}

/* A user's table: two points, one feature. The posterior is written out by hand. */
static void test_own_table(void **p)
{
	struct arena *a = arena_new();
	struct density *d;
	struct log_z z;
	const double w[2] = { 0.3, -0.7 };
	double log_rho, grad[2];

	(void)p;
	assert_int_equal(with_table("# mine\n5,1\n3,0\n", &d, a), OK);
	assert_int_equal(density_dim(d), 2);
	density_log_z(d, &z);
	assert_int_equal(z.kind, LOG_Z_UNKNOWN);
	density_eval(d, 1, w, &log_rho, grad);
	/* Standardised, the feature is 1 and -1: margins are w1 + w2 for label 1, w1 - w2 for 0. */
	double one = w[0] + w[1], zero = w[0] - w[1];
	assert_near(log_rho,
		-log1p(exp(-one)) - log1p(exp(zero)) - (w[0] * w[0] + w[1] * w[1]) / 2 - LOG_2PI,
		1e-14);
	double r1 = 1 / (1 + exp(one)), r0 = 1 / (1 + exp(-zero));
	assert_near(grad[0], r1 - r0 - w[0], 1e-14);
	assert_near(grad[1], r1 + r0 - w[1], 1e-14);
	/* A column that is constant up to rounding carries nothing: w_2 keeps its prior. */
	assert_int_equal(with_table("0.1,1\n0.1,0\n0.1,0\n", &d, a), OK);
	density_eval(d, 1, w, NULL, grad);
	assert_near(grad[1], -w[1], 1e-14);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_tables),
		cmocka_unit_test(test_own_table),
	};

	return run_target_tests("logistic", tests);
}
