/* The log-Gaussian Cox process against its definition, written out with a covariance, a factor and
 * solves of this file's own. */
#include "targets.h"

#include "core/csv.h"

#include <lapacke.h>

enum { SIDE = 40, CELLS = SIDE * SIDE };

/* log 126 - 1.91 / 2, and half of log det K, computed independently of stride to all digits. */
static const double FIELD_MEAN = 3.881281906951478, HALF_LOG_DET = 225.70547889445027;

/* What the tests share: made once, as a factorisation takes a tenth of a second. */
static struct {
	struct fixture field, white;
	double *factor; /* L [CELLS][CELLS], row-major, lower */
	double half_log_det;
	double *trees; /* [CELLS] from tests/data */
} g;

static double cell_distance(size_t m, size_t n)
{
	double i = (double)(m / SIDE) - (double)(n / SIDE);
	double j = (double)(m % SIDE) - (double)(n % SIDE);

	return sqrt(i * i + j * j);
}

static int set_up(void **p)
{
	struct csv t;

	(void)p;
	fixture_open(&g.field, "lgcp", NULL, 0);
	fixture_open(&g.white, "lgcp_whitened", NULL, 0);
	struct arena *a = g.field.a;
	if (csv_read(&t, "tests/data/lgcp_bin_counts.csv", CSV_FINITE, a) != OK)
		return -1;
	assert_int_equal(t.rows, SIDE);
	assert_int_equal(t.cols, SIDE);
	g.trees = t.x;
	g.factor = arena_alloc(a, (size_t)CELLS * CELLS, sizeof(*g.factor));
	for (size_t m = 0; m < CELLS; m++)
		for (size_t n = 0; n < CELLS; n++)
			g.factor[m * CELLS + n] = 1.91 * exp(-cell_distance(m, n) / (40.0 / 33));
	assert_int_equal(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', CELLS, g.factor, CELLS), 0);
	for (size_t m = 0; m < CELLS; m++)
		g.half_log_det += log(g.factor[m * CELLS + m]);
	return 0;
}

static int tear_down(void **p)
{
	(void)p;
	arena_free(g.field.a);
	arena_free(g.white.a);
	return 0;
}

/* x = L x or L' x. */
static void multiply(CBLAS_TRANSPOSE transpose, double *x)
{
	cblas_dtrmv(CblasRowMajor, CblasLower, transpose, CblasNonUnit, CELLS, g.factor, CELLS, x,
		1);
}

static void solve(CBLAS_TRANSPOSE transpose, double *x)
{
	cblas_dtrsv(CblasRowMajor, CblasLower, transpose, CblasNonUnit, CELLS, g.factor, CELLS, x,
		1);
}

/* A point e of white noise and the field f = L e + mu. */
static void point(uint64_t row, double scale, double *e, double *f)
{
	for (size_t m = 0; m < CELLS; m++)
		f[m] = e[m] = scale * rng_gauss(stream, 0, row, (uint32_t)m);
	multiply(CblasNoTrans, f);
	for (size_t m = 0; m < CELLS; m++)
		f[m] += FIELD_MEAN;
}

/* At the constant field mu the gradient is y - a e^mu, so it shows the counts. */
static void test_counts(void **p)
{
	static double at[CELLS], grad[CELLS];
	static real at_real[CELLS], grad_real[CELLS];
	double total = 0;

	(void)p;
	for (size_t m = 0; m < CELLS; m++)
		at_real[m] = (real)(at[m] = FIELD_MEAN);
	density_eval(g.field.d, 1, at, NULL, grad);
	density_eval_real(g.field.d, 1, at_real, NULL, grad_real);
	for (size_t m = 0; m < CELLS; m++) {
		double expected = exp(FIELD_MEAN) / CELLS;
		assert_near(grad[m] + expected, g.trees[m], 1e-12);
		assert_near((double)grad_real[m] + expected, g.trees[m], 1e-4);
		total += g.trees[m];
	}
	assert_near(total, 126, 0);
	/* ... and there e = 0, where the value is what is left of eq. 2 and 4 of the target. */
	static double zero[CELLS];
	double of_field, of_white;
	density_eval(g.field.d, 1, at, &of_field, NULL);
	density_eval(g.white.d, 1, zero, &of_white, NULL);
	double likelihood = 126 * FIELD_MEAN - exp(FIELD_MEAN);
	/* 1600 equal terms added to 10^3 lose the same bits each time. */
	assert_near(of_white, likelihood - 800 * LOG_2PI, 2e-10);
	assert_near(of_field, of_white - HALF_LOG_DET, 2e-10);
	assert_near(g.half_log_det, HALF_LOG_DET, 1e-10);
}

/* Value, gradient and Hv of both targets by triangular solves. Sums of 1600 terms: 1e-11
 * relative. */
static void test_definition(void **p)
{
	static double e[CELLS], f[CELLS], pull[CELLS], grad[CELLS], hv[CELLS], v[CELLS],
		want[CELLS];

	(void)p;
	for (uint64_t row = 0; row < 6; row++) {
		double log_rho, value = -g.half_log_det - 800 * LOG_2PI;
		point(row, 0.3 + 0.4 * (double)row, e, f);
		for (size_t m = 0; m < CELLS; m++) {
			value += -e[m] * e[m] / 2 + g.trees[m] * f[m] - exp(f[m]) / CELLS;
			pull[m] = e[m];
			v[m] = want[m] = rng_gauss(stream, 1, row, (uint32_t)m);
		}
		density_eval(g.field.d, 1, f, &log_rho, grad);
		assert_near(log_rho, value, 1e-11 * fabs(value));
		solve(CblasTrans, pull); /* K^-1 (f - mu) = L'^-1 e */
		for (size_t m = 0; m < CELLS; m++)
			assert_near(grad[m], g.trees[m] - exp(f[m]) / CELLS - pull[m],
				1e-11 * (1 + exp(f[m]) / CELLS));
		assert_int_equal(density_hvp(g.field.d, 1, f, v, hv), OK);
		solve(CblasNoTrans, want);
		solve(CblasTrans, want);
		for (size_t m = 0; m < CELLS; m++)
			assert_near(hv[m], -want[m] - exp(f[m]) / CELLS * v[m],
				1e-11 * (1 + exp(f[m]) / CELLS));

		double sum = 0;
		density_eval(g.white.d, 1, e, &log_rho, grad);
		assert_near(log_rho, value + g.half_log_det, 1e-11 * fabs(value));
		for (size_t m = 0; m < CELLS; m++) {
			pull[m] = g.trees[m] - exp(f[m]) / CELLS;
			want[m] = v[m];
			sum += exp(f[m]) / CELLS;
		}
		multiply(CblasTrans, pull);
		for (size_t m = 0; m < CELLS; m++)
			assert_near(grad[m], pull[m] - e[m], 1e-11 * (1 + sum));
		assert_int_equal(density_hvp(g.white.d, 1, e, v, hv), OK);
		multiply(CblasNoTrans, want);
		for (size_t m = 0; m < CELLS; m++)
			want[m] *= exp(f[m]) / CELLS;
		multiply(CblasTrans, want);
		for (size_t m = 0; m < CELLS; m++)
			assert_near(hv[m], -want[m] - v[m], 1e-11 * (1 + 10 * sum));
	}
}

/* The mode by Newton's method, with a Hessian of this file's own, and Laplace's approximation of Z,
 * against both computed independently of stride, to the digits given. Newton's steps need the
 * gradient, which in turn shows that the value's maximum is where the gradient vanishes. */
static void test_mode(void **p)
{
	static double f[CELLS], grad[CELLS], trial[CELLS];
	double *h = arena_alloc(g.field.a, (size_t)CELLS * CELLS, sizeof(*h)), log_rho, log_det = 0;
	double *inverse = arena_alloc(g.field.a, (size_t)CELLS * CELLS, sizeof(*h));

	(void)p;
	memcpy(inverse, g.factor, (size_t)CELLS * CELLS * sizeof(*h));
	assert_int_equal(LAPACKE_dpotri(LAPACK_ROW_MAJOR, 'L', CELLS, inverse, CELLS), 0);
	for (size_t m = 0; m < CELLS; m++)
		f[m] = FIELD_MEAN;
	for (size_t iteration = 0; iteration < 10; iteration++) {
		density_eval(g.field.d, 1, f, NULL, grad);
		memcpy(h, inverse, (size_t)CELLS * CELLS * sizeof(*h));
		for (size_t m = 0; m < CELLS; m++)
			h[m * CELLS + m] += exp(f[m]) / CELLS;
		assert_int_equal(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', CELLS, h, CELLS), 0);
		assert_int_equal(LAPACKE_dpotrs(LAPACK_ROW_MAJOR, 'L', CELLS, 1, h, CELLS, grad, 1),
			0);
		for (size_t m = 0; m < CELLS; m++)
			f[m] += grad[m];
	}
	density_eval(g.field.d, 1, f, &log_rho, grad);
	for (size_t m = 0; m < CELLS; m++) {
		assert_near(grad[m], 0, 1e-12);
		log_det += 2 * log(h[m * CELLS + m]);
	}
	assert_near(log_rho, -1111.2006638, 1e-7);
	assert_near(log_rho + 800 * LOG_2PI - log_det / 2, 511.205, 1e-3);
	for (uint64_t row = 0; row < 4; row++) {
		double value;
		for (size_t m = 0; m < CELLS; m++)
			trial[m] = f[m] + 1e-3 * rng_gauss(stream, 2, row, (uint32_t)m);
		density_eval(g.field.d, 1, trial, &value, NULL);
		assert_true(value < log_rho);
	}
}

static double largest(const double *x, size_t n, size_t i)
{
	double size = 0;

	for (size_t k = 0; k < CELLS; k++)
		size = fmax(size, fabs(x[k * n + i]));
	return size;
}

/* The instance of the engine at points it holds exactly, prior draws to ten times as wide ones, and
 * 70 of them, which are a block and a piece: the contract's tolerance, 4 eps^(2/3). Then, bit for
 * bit, that leaving an output out changes nothing. */
static void check_real(const struct fixture *f)
{
	enum { N = 70 };
	const double tolerance = 4 * pow((double)REAL_EPS, 2.0 / 3);
	static double e[CELLS], field[CELLS], log_rho[N], log_rho_real[N], alone[N];
	double *x = block(f, N), *v = block(f, N), *grad = block(f, N), *hv = block(f, N);
	real *xr = arena_alloc(f->a, CELLS * N, sizeof(*xr)),
	     *vr = arena_alloc(f->a, CELLS * N, sizeof(*xr)),
	     *gr = arena_alloc(f->a, CELLS * N, sizeof(*xr)),
	     *other = arena_alloc(f->a, CELLS * N, sizeof(*xr));
	double worst = 0, worst_grad = 0, worst_hv = 0;

	for (size_t i = 0; i < N; i++) {
		point(i, pow(10, (double)i / N), e, field);
		for (size_t k = 0; k < CELLS; k++) {
			size_t j = k * N + i;
			x[j] = (double)(xr[j] = (real)(f == &g.field ? field[k] : e[k]));
			v[j] = (double)(vr[j] = (real)rng_gauss(stream, 3, i, (uint32_t)k));
		}
	}
	density_eval(f->d, N, x, log_rho, grad);
	density_eval_real(f->d, N, xr, log_rho_real, gr);
	assert_int_equal(density_hvp(f->d, N, x, v, hv), OK);
	const struct field *engine = density_field(f->d);
	engine->hvp(engine->context, N, xr, vr, other);
	for (size_t i = 0; i < N; i++) {
		worst = fmax(worst, fabs(log_rho[i] - log_rho_real[i]) / (1 + fabs(log_rho[i])));
		double size = 1 + largest(grad, N, i), size_hv = 1 + largest(hv, N, i);
		for (size_t k = 0; k < CELLS; k++) {
			size_t j = k * N + i;
			worst_grad = fmax(worst_grad, fabs(grad[j] - (double)gr[j]) / size);
			worst_hv = fmax(worst_hv, fabs(hv[j] - (double)other[j]) / size_hv);
		}
	}
	print_message("%s: real against double %.1e, gradient %.1e, Hv %.1e, at most %.1e\n",
		f->t->name, worst, worst_grad, worst_hv, tolerance);
	assert_true(worst <= tolerance && worst_grad <= tolerance && worst_hv <= tolerance);

	density_eval_real(f->d, N, xr, alone, NULL);
	density_eval_real(f->d, N, xr, NULL, other);
	assert_memory_equal(alone, log_rho_real, sizeof(alone));
	assert_memory_equal(other, gr, (size_t)CELLS * N * sizeof(*gr));
}

static void test_real(void **p)
{
	(void)p;
	check_real(&g.field);
	check_real(&g.white);
}

/* Far points: all cells, one cell, both signs, every magnitude to 1e6. And NaN stays. */
static void check_far(const struct fixture *f)
{
	enum { N = 40 };
	static double log_rho[N], log_rho_real[N];
	double *x = block(f, N), *grad = block(f, N);
	real *xr = arena_alloc(f->a, CELLS * N, sizeof(*xr)),
	     *gr = arena_alloc(f->a, CELLS * N, sizeof(*xr));

	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < CELLS; k++) {
			double u = rng_gauss(stream, 4, i, (uint32_t)k);
			double far[] = { 1e6, -1e6, k % 2 == 0 ? 1e6 : -1e6, k == 7 ? 1e6 : 0,
				k == 1599 ? 1e6 : -1e6, 88, 89, 690, 710 };
			x[k * N + i] =
				i < 9 ? far[i] : fmax(-1e6, fmin(1e6, pow(10, (double)i / 6) * u));
		}
	for (size_t j = 0; j < CELLS * N; j++)
		xr[j] = (real)x[j];
	density_eval(f->d, N, x, log_rho, grad);
	density_eval_real(f->d, N, xr, log_rho_real, gr);
	for (size_t i = 0; i < N; i++)
		assert_true(isfinite(log_rho[i]) && isfinite(log_rho_real[i]));
	for (size_t j = 0; j < CELLS * N; j++)
		assert_true(isfinite(grad[j]) && isfinite(gr[j]));

	/* The last cell of a factor touches no other component of f. */
	for (size_t j = 0; j < CELLS * N; j++)
		xr[j] = 0;
	xr[(CELLS - 1) * N + 3] = (real)NAN;
	density_eval_real(f->d, N, xr, log_rho_real, gr);
	for (size_t i = 0; i < N; i++) {
		bool lost = false;
		for (size_t k = 0; k < CELLS; k++)
			lost = lost || isnan(gr[k * N + i]);
		assert_true(isnan(log_rho_real[i]) == (i == 3) && lost == (i == 3));
	}
}

static void test_far(void **p)
{
	(void)p;
	check_far(&g.field);
	check_far(&g.white);
}

/* A wrong table is refused before anything is factorised. */
static void test_tables(void **p)
{
	static const char *const names[] = { "lgcp", "lgcp_whitened" };
	struct arena *a = arena_new();
	char *trees = "";

	(void)p;
	for (size_t i = 0; i < 125; i++)
		trees = arena_printf(a, "%s%g,%g\n", trees, -4 + (double)i / 25, (double)i / 100);
	for (size_t i = 0; i < 2; i++) {
		const char *file = "pines.csv";
		check_refused(names[i], file, arena_printf(a, "x_m,y_m\n%s", trees),
			":126: 125 trees; 126 are needed");
		check_refused(names[i], file, arena_printf(a, "x_m,y_m\n%s1,2\n", trees),
			":127: the tree is at 1, 2;");
		check_refused(names[i], file, arena_printf(a, "x_m,y_m\n%s5,1\n", trees),
			":127: the tree is at 5, 1;");
		check_refused(names[i], file, arena_printf(a, "x_m,y_m\n%s1,nan\n", trees),
			":127: field 2 is nan");
		check_refused(names[i], file, arena_printf(a, "x,y_m\n%s1,1\n", trees),
			":1: no column \"x_m\"");
		check_refused(names[i], file, arena_printf(a, "x_m,y\n%s1,1\n", trees),
			":1: no column \"y_m\"");
		check_refused(names[i], file, arena_printf(a, "%s1,1\n", trees),
			":1: no column \"x_m\"");
		check_refused(names[i], file, "x_m\n1\n", ":1: no column \"y_m\"");
	}
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_definition),
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_tables),
	};

	openblas_set_num_threads(1);
	(void)gsl_set_error_handler_off();
	return cmocka_run_group_tests_name("lgcp", tests, set_up, tear_down);
}
