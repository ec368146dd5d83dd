/* The logistic regressions: each id's definition against a plain computation, what is known of the
 * program's own tables, a user's own table, and bad ones. */
#include "targets.h"

#include "core/csv.h"

#include <lapacke.h>

/* What each id promises. */
static const struct promise {
	const char *id;
	bool centred;
	double sign, prior; /* 0: no prior */
} promises[] = {
	{ "credit", false, -1, 0 },
	{ "credit_prior", false, -1, 10 },
	{ "cancer", false, -1, 0 },
	{ "cancer_prior", false, -1, 10 },
	{ "ionosphere", true, 1, 1 },
	{ "ionosphere_noprior", true, -1, 0 },
	{ "sonar", true, 1, 1 },
};

enum { IDS = sizeof(promises) / sizeof(promises[0]) };

/* --- tables of a user's own -------------------------------------------------------------- */

static int with_table(const char *id, const char *text, const struct setting *more, size_t n,
	struct density **d, struct arena *a)
{
	char path[] = "/tmp/stride_targets_XXXXXX";
	FILE *file = fdopen(mkstemp(path), "w");
	struct setting settings[4] = { { "data", path } };

	assert_non_null(file);
	assert_true(n < 4);
	for (size_t i = 0; i < n; i++)
		settings[i + 1] = more[i];
	fputs(text, file);
	fclose(file);
	int status = density_new(d, id, settings, n + 1, a);
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
	for (size_t id = 0; id < IDS; id++) {
		const char *name = promises[id].id;
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			assert_int_equal(with_table(name, bad[i].text, NULL, 0, &d, a), ERR_PARSE);
			if (strstr(error_text(), bad[i].place) == NULL ||
				strstr(error_text(), bad[i].what) == NULL)
				fail_msg("%s: \"%s\" gave \"%s\"", name, bad[i].text, error_text());
		}
		assert_int_equal(with_table(name, "0,1,1\n0,1e200,0\n", NULL, 0, &d, a), ERR_RANGE);
		assert_non_null(strstr(error_text(), "column 2"));
		/* Constant: not to be scaled, and too large as it is, unless the mean is taken
		 * off. */
		assert_int_equal(with_table(name, "0,1e200,1\n1,1e200,0\n", NULL, 0, &d, a) == OK,
			promises[id].centred);
		const struct setting none = { "data", "/nonexistent/table.csv" };
		assert_int_equal(density_new(&d, name, &none, 1, a), ERR_IO);
		assert_non_null(strstr(error_text(), "/nonexistent/table.csv"));
	}
	arena_free(a);
}

/* Options that make no density. */
static void test_bad_options(void **p)
{
	const struct setting bad[] = { { "prior_std", "-1" }, { "prior_std", "1e-12" },
		{ "prior_std", "nan" }, { "scale_eps", "-1e-8" } };
	struct arena *a = arena_new();
	struct density *d;

	(void)p;
	for (size_t id = 0; id < IDS; id++)
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			assert_int_not_equal(density_new(&d, promises[id].id, &bad[i], 1, a), OK);
	arena_free(a);
}

/* Two points, one feature. The posterior is written out by hand. */
static void test_small_table(void **p)
{
	struct arena *a = arena_new();
	struct density *d;
	const double w[2] = { 0.3, -0.7 };
	double log_rho, grad[2];

	(void)p;
	assert_int_equal(with_table("ionosphere", "# mine\n5,1\n3,0\n", NULL, 0, &d, a), OK);
	assert_int_equal(density_dim(d), 2);
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
	assert_int_equal(with_table("ionosphere", "0.1,1\n0.1,0\n0.1,0\n", NULL, 0, &d, a), OK);
	density_eval(d, 1, w, NULL, grad);
	assert_near(grad[1], -w[1], 1e-14);
	/* Neither centred nor scaled, it is another intercept, 0.1 times as strong. */
	assert_int_equal(with_table("credit", "0.1,1\n0.1,0\n0.1,0\n", NULL, 0, &d, a), OK);
	density_eval(d, 1, w, NULL, grad);
	assert_near(grad[1], 0.1 * grad[0], 1e-14);
	arena_free(a);
}

enum { ROWS = 300, FEATURES = 4 };

/* A table of this many random rows. An odd number of rows of several blocks, off centre and with a
 * column of another size; labels alike where asked for. */
static char *random_table(double x[ROWS][FEATURES + 1], bool alike, struct arena *a)
{
	char *text = arena_alloc(a, ROWS * (FEATURES + 1) * 32, 1), *end = text;

	for (size_t i = 0; i < ROWS; i++) {
		for (size_t k = 0; k < FEATURES; k++) {
			double size = k == 2 ? 1e6 : 1;
			x[i][k] = size * (1 + 0.7 * rng_gauss(stream, 10, i, (uint32_t)k));
		}
		x[i][FEATURES] = alike || rng_uniform(stream, 11, i, 0) < 0.4 ? 1 : 0;
		for (size_t k = 0; k <= FEATURES; k++)
			end += sprintf(end, "%.17g%s", x[i][k], k < FEATURES ? "," : "\n");
	}
	return text;
}

/* log rho of an id by its definition, term by term. */
static double by_definition(const struct promise *id, double prior, double eps,
	double x[ROWS][FEATURES + 1], const double *w)
{
	double scale[FEATURES], centre[FEATURES], sum = 0;

	for (size_t k = 0; k < FEATURES; k++) {
		double mean = 0, square = 0;
		for (size_t i = 0; i < ROWS; i++)
			mean += x[i][k] / ROWS;
		for (size_t i = 0; i < ROWS; i++)
			square += pow(x[i][k] - mean, 2) / ROWS;
		scale[k] = sqrt(square) + eps;
		centre[k] = id->centred ? mean : 0;
	}
	for (size_t i = 0; i < ROWS; i++) {
		double z = w[0];
		for (size_t k = 0; k < FEATURES; k++)
			z += w[k + 1] * (x[i][k] - centre[k]) / scale[k];
		double towards = x[i][FEATURES] > 0 ? id->sign * z : -id->sign * z;
		sum -= log1p(exp(-towards));
	}
	for (size_t k = 0; prior > 0 && k <= FEATURES; k++)
		sum -= w[k] * w[k] / (2 * prior * prior) + log(prior) + LOG_2PI / 2;
	return sum;
}

static void check_definition(const struct promise *id, const struct setting *settings, size_t n,
	double prior, double eps, bool alike)
{
	struct arena *a = arena_new();
	double x[ROWS][FEATURES + 1], log_rho;
	char *text = random_table(x, alike, a);
	struct density *d;
	struct log_z z;

	assert_int_equal(with_table(id->id, text, settings, n, &d, a), OK);
	assert_int_equal(density_dim(d), FEATURES + 1);
	density_log_z(d, &z); /* nothing is known of a user's table */
	assert_int_equal(z.kind, LOG_Z_UNKNOWN);
	for (size_t i = 0; i < 20; i++) {
		double w[FEATURES + 1];
		for (size_t k = 0; k <= FEATURES; k++)
			w[k] = 2 * rng_gauss(stream, 12, i, (uint32_t)k);
		density_eval(d, 1, w, &log_rho, NULL);
		double want = by_definition(id, prior, eps, x, w);
		/* Rounding of some hundred terms. */
		if (!(fabs(log_rho - want) <= 1e-12 * (1 + fabs(want))))
			fail_msg("%s: log rho %.17g, by definition %.17g", id->id, log_rho, want);
	}
	arena_free(a);
}

static void test_definitions(void **p)
{
	const struct setting settings[] = { { "prior_std", "2.5" }, { "scale_eps", "0.25" } };
	const struct setting without = { "prior_std", "0" };

	(void)p;
	for (size_t i = 0; i < IDS; i++) {
		const struct promise *id = &promises[i];
		check_definition(id, NULL, 0, id->prior, 0, false);
		check_definition(id, NULL, 0, id->prior, 0, true);
		check_definition(id, settings, 2, 2.5, 0.25, false);
		check_definition(id, &without, 1, 0, 0, false);
	}
}

/* --- the program's tables ---------------------------------------------------------------- */

/* The Hessian at w by columns; -H = L L' in h. */
static void factorise(const struct fixture *f, const double *w, double *h)
{
	double *x = block(f, f->dim), *axes = block(f, f->dim);

	for (size_t k = 0; k < f->dim; k++)
		for (size_t i = 0; i < f->dim; i++) {
			x[k * f->dim + i] = w[k];
			axes[k * f->dim + i] = k == i ? -1 : 0;
		}
	assert_int_equal(density_hvp(f->d, f->dim, x, axes, h), OK);
	/* Fails unless log rho is strictly concave here. */
	check_that(f, LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (int)f->dim, h, (int)f->dim) == 0,
		"-Hessian is not positive definite");
}

/* Newton's method with halved steps; log rho at the mode, and Laplace's log Z. */
static double maximise(const struct fixture *f, double *w, double *laplace)
{
	double *h = arena_alloc(f->a, f->dim * f->dim, sizeof(*h));
	double *step = block(f, 1), *next = block(f, 1), value, moved, log_det = 0;

	memset(w, 0, f->dim * sizeof(*w));
	for (size_t it = 0; it < 100; it++) {
		double slope = 0;
		density_eval(f->d, 1, w, &value, step);
		double *grad = block(f, 1);
		memcpy(grad, step, f->dim * sizeof(*grad));
		factorise(f, w, h);
		assert_int_equal(LAPACKE_dpotrs(LAPACK_ROW_MAJOR, 'L', (int)f->dim, 1, h,
					 (int)f->dim, step, 1),
			0);
		for (size_t k = 0; k < f->dim; k++)
			slope += grad[k] * step[k];
		if (slope < 1e-18 * (1 + fabs(value)))
			break;
		double c = 2;
		do {
			c /= 2;
			for (size_t k = 0; k < f->dim; k++)
				next[k] = w[k] + c * step[k];
			density_eval(f->d, 1, next, &moved, NULL);
		} while (!(moved >= value) && c > 1e-6);
		memcpy(w, next, f->dim * sizeof(*w));
	}
	factorise(f, w, h);
	for (size_t k = 0; k < f->dim; k++)
		log_det += 2 * log(h[k * f->dim + k]);
	*laplace = value + (double)f->dim * LOG_2PI / 2 - log_det / 2;
	return value;
}

/* Largest log rho and Laplace's log Z, computed independently of stride to the digits given. Each
 * depends on every number of the table. A finite mode with a definite Hessian also shows that these
 * posteriors are proper, credit without its prior among them. */
static void test_modes(void **p)
{
	static const struct {
		const char *id;
		double top, laplace; /* laplace 0: not given */
		double digits;
	} known[] = {
		{ "credit", -467.66729136, 0, 1e-8 },
		{ "credit_prior", -548.2648450104, 0, 1e-10 },
		{ "cancer_prior", -121.5717308470, -80.2436, 1e-10 },
		{ "ionosphere", -107.4252413461, -112.605, 1e-10 },
		{ "sonar", -110.5549669510, -111.433, 1e-10 },
	};

	(void)p;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct fixture f;
		double laplace;
		fixture_open(&f, known[i].id, NULL, 0);
		assert_int_equal(density_own_log_z(f.d).kind, LOG_Z_UNKNOWN);
		double top = maximise(&f, block(&f, 1), &laplace);
		check_that(&f, fabs(top - known[i].top) <= 2 * known[i].digits,
			"log rho at the mode is %.10f", top);
		check_that(&f, known[i].laplace >= 0 || fabs(laplace - known[i].laplace) <= 1e-3,
			"Laplace's log Z is %.10f", laplace);
		arena_free(f.a);
	}
}

static void assert_infinite(const struct fixture *f, const char *why)
{
	struct log_z z;

	density_log_z(f->d, &z);
	check_that(f, z.kind == LOG_Z_INFINITE && isinf(z.value) && z.value > 0,
		"log Z is %g of kind %d", z.value, (int)z.kind);
	check_that(f, strstr(z.source, why) != NULL, "log Z is infinite \"%s\"", z.source);
}

/* Tables that a plane separates: the mode under a very wide prior is such a plane's normal w, and
 * along it the likelihood rises to 1: every margin is positive. Then it does so in a cone, whose
 * volume is infinite. */
static void check_separable(const char *id)
{
	const struct setting wide = { "prior_std", "1e4" }, none = { "prior_std", "0" };
	struct fixture f, g;
	double laplace, value;

	fixture_open(&f, id, &wide, 1);
	fixture_open(&g, id, &none, 1);
	double *w = block(&f, 1);
	maximise(&f, w, &laplace);
	for (double c = 1; c < 1e5; c *= 10) {
		double *far = block(&g, 1);
		for (size_t k = 0; k < f.dim; k++)
			far[k] = c * w[k];
		density_eval(g.d, 1, far, &value, NULL);
	}
	check_that(&g, value <= 0 && value > -1e-12, "log likelihood %g far along a plane's normal",
		value);
	assert_infinite(&g, "separates");
	arena_free(f.a);
	arena_free(g.a);
}

static void test_improper(void **p)
{
	const struct setting none = { "prior_std", "0" }, some = { "prior_std", "10" };
	const char *const constant[] = { "ionosphere", "ionosphere_noprior" };
	const char *const as_published[] = { "cancer", "ionosphere_noprior" };
	struct fixture f;
	struct log_z z;

	(void)p;
	check_separable("cancer");
	check_separable("cancer_prior");
	check_separable("sonar");
	/* The third weight is free: nothing changes along it. */
	for (size_t i = 0; i < 2; i++) {
		fixture_open(&f, constant[i], &none, 1);
		double *w = block(&f, 1), *grad = block(&f, 1), value, far;
		for (size_t k = 0; k < f.dim; k++)
			w[k] = rng_gauss(stream, 13, 0, (uint32_t)k);
		density_eval(f.d, 1, w, &value, grad);
		w[2] = 1e6;
		density_eval(f.d, 1, w, &far, NULL);
		assert_true(far == value && grad[2] == 0);
		assert_infinite(&f, "V2");
		arena_free(f.a);
	}
	/* As published they are improper; a prior mends it. */
	for (size_t i = 0; i < 2; i++) {
		fixture_open(&f, as_published[i], NULL, 0);
		density_log_z(f.d, &z);
		assert_int_equal(z.kind, LOG_Z_INFINITE);
		arena_free(f.a);
		fixture_open(&f, as_published[i], &some, 1);
		density_log_z(f.d, &z);
		assert_int_equal(z.kind, LOG_Z_UNKNOWN);
		arena_free(f.a);
	}
}

/* The program's table is known by its numbers, not by the name it is given; another of its size
 * under its name is a user's. */
static void test_own_table(void **p)
{
	static const char *const improper[] = { "cancer", "ionosphere_noprior" };
	static const char *const tables[] = { "cancer.csv", "ionosphere.csv" };
	char folder[] = "/tmp/stride_own_XXXXXX";

	(void)p;
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < 2; i++) {
		struct fixture f, g;
		struct csv t;
		struct log_z z;
		struct arena *a = arena_new();
		const char *path = data_path(tables[i], a);
		const struct setting by_path = { "data", path };
		fixture_open(&f, improper[i], &by_path, 1);
		assert_infinite(&f, i == 0 ? "separates" : "V2");
		/* One digit of one number changes. */
		assert_int_equal(csv_read(&t, path, CSV_FINITE, a), OK);
		t.x[t.cols + 3] *= 1 + 1e-9;
		const char *copy = arena_printf(a, "%s/%s", folder, tables[i]);
		FILE *file = fopen(copy, "w");
		assert_int_equal(csv_write(file, copy, t.names, t.rows, t.cols, t.x), OK);
		fclose(file);
		setenv("STRIDE_DATA", folder, 1);
		fixture_open(&g, improper[i], NULL, 0);
		unsetenv("STRIDE_DATA");
		unlink(copy);
		assert_int_equal(g.dim, f.dim);
		density_log_z(g.d, &z);
		assert_int_equal(z.kind, LOG_Z_UNKNOWN);
		assert_non_null(strstr(density_target(g.d)->note, "option data reads another"));
		arena_free(f.a);
		arena_free(g.a);
		arena_free(a);
	}
	rmdir(folder);
}

/* log rho of id at c w, with this prior. */
static void values(const char *id, const char *prior, double c, size_t n, double *log_rho)
{
	const struct setting setting = { "prior_std", prior };
	struct fixture f;

	fixture_open(&f, id, &setting, 1);
	double *w = block(&f, n);
	for (size_t j = 0; j < f.dim * n; j++)
		w[j] = c * rng_gauss(stream, 14, j, 0);
	density_eval(f.d, n, w, log_rho, NULL);
	arena_free(f.a);
}

/* The ids of one table differ by their prior and sign alone. */
static void test_relatives(void **p)
{
	enum { N = 70 };
	double a[N], b[N];

	(void)p;
	values("credit", "10", 1, N, a);
	values("credit_prior", "10", 1, N, b);
	assert_memory_equal(a, b, sizeof(a));
	values("cancer", "10", 1, N, a);
	values("cancer_prior", "10", 1, N, b);
	assert_memory_equal(a, b, sizeof(a));
	values("ionosphere", "1", 1, N, a);
	values("ionosphere_noprior", "1", -1, N, b);
	assert_memory_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_tables),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_small_table),
		cmocka_unit_test(test_definitions),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_improper),
		cmocka_unit_test(test_own_table),
		cmocka_unit_test(test_relatives),
	};

	return run_target_tests("logistic", tests);
}
