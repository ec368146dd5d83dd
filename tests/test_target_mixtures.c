/* What is known beyond the contract of the targets with closed forms: mixtures, rings, the funnel,
 * the Gaussian. */
#include "targets.h"

#include "core/csv.h"

#include <gsl/gsl_cdf.h>

/* --- integrals and distributions --------------------------------------------------------- */

/* Integral over at[0] .. at[n - 1], where the integrand may have kinks at the points between. */
static double pieces(double (*function)(double, void *), void *context, const double *at, size_t n)
{
	gsl_integration_workspace *w = gsl_integration_workspace_alloc(1000);
	gsl_function g = { function, context };
	double sum = 0, value, error;

	for (size_t i = 0; i + 1 < n; i++) {
		assert_int_equal(gsl_integration_qag(&g, at[i], at[i + 1], 1e-13, 1e-12, 1000,
					 GSL_INTEG_GAUSS31, w, &value, &error),
			GSL_SUCCESS);
		sum += value;
	}
	gsl_integration_workspace_free(w);
	return sum;
}

/* The samples are fixed, and a right sampler fails once in 10^6. */
static void check_distribution(const struct fixture *f, double *sample, size_t n, const char *what,
	double (*cdf)(const void *context, size_t k, double x), const void *context)
{
	double p = kolmogorov(sample, n, context, 0, cdf);

	check_that(f, p >= 1e-6, "%s has not its distribution: Kolmogorov's p is %g", what, p);
}

/* rho along a vertical line of the plane, and over a half plane: the distribution function of x_1,
 * from log rho and log Z alone. */
struct half_plane {
	const struct fixture *f;
	double x, log_z;
	const double *at; /* kinks, and the ends of what has mass */
	size_t n;
	bool second; /* the function of x_2 */
};

static double on_line(double y, void *p)
{
	struct half_plane *h = p;
	double point[2] = { h->second ? y : h->x, h->second ? h->x : y }, log_rho;

	density_eval(h->f->d, 1, point, &log_rho, NULL);
	return exp(log_rho - h->log_z);
}

static double line_integral(double x, void *p)
{
	struct half_plane h = *(struct half_plane *)p;

	h.x = x;
	return pieces(on_line, &h, h.at, h.n);
}

static void check_plane_cdf(const char *target, const double *at, size_t n, const double *x,
	size_t points)
{
	struct fixture f;
	struct log_z z;
	double ends[12];

	fixture_open(&f, target, NULL, 0);
	density_log_z(f.d, &z);
	for (size_t i = 0; i < 2 * points; i++) {
		struct half_plane h = { &f, 0, z.value, at, n, i >= points };
		size_t m = 0;
		for (; m < n && at[m] < x[i % points]; m++)
			ends[m] = at[m];
		ends[m++] = x[i % points];
		double want = pieces(line_integral, &h, ends, m);
		double got = f.t->cdf(density_state(f.d), i / points, x[i % points]);
		check_that(&f, fabs(got - want) <= 1e-9,
			"P(x_%zu <= %g) is %.12g by quadrature, %.12g by cdf", i / points + 1,
			x[i % points], want, got);
	}
	arena_free(f.a);
}

/* --- Gaussian mixtures ------------------------------------------------------------------- */

/* Computed apart from this program from the published constants; the shortest has 12 digits. */
static void test_moments(void **p)
{
	static const struct {
		const char *target;
		double mean[2], sd[2];
	} known[] = {
		{ "gaussian2d", { -0.56740927696228027, 0.60824823379516602 },
			{ 1.8913153656872619, 0.65782797788410541 } },
		{ "gmm10_2d", { 1.1613000869750976, 0.3271451950073242 },
			{ 6.4050682398468046, 6.657509676116339 } },
		{ "gmm4_1d", { 0.375 }, { 2.1241174637952582 } },
		{ "gmm40_2d", { 4.5758932590484616, 4.4280658245086668 },
			{ 21.603856707968934, 23.505222668091132 } },
		{ "gmm9", { 0, 0 }, { 4.1190613844868817, 4.1190613844868817 } },
		{ "gmm40_fab", { 6.320035147666931, -1.2766527175903319 },
			{ 23.502113837997811, 22.85963386878295 } },
		{ "gmm8_heart", { 0, 0.375 }, { 0.92702481088695787, 0.98226460284385697 } },
		{ "gmm5_dist", { -0.4, -0.4 }, { 2.0099751230327403, 2.6153393652087442 } },
		{ "gmm80", { 8.860020565986634, -16.034250998497008 },
			{ 46.891842097310338, 44.381969267784065 } },
		{ "gmm8_circle", { 1.6292068050205444e-07, 1.0331603306212855e-07 },
			{ 2.880972096839026, 2.8809719798039652 } },
		{ "student10_2d", { 1.1613000869750976, 0.3271451950073242 },
			{ HUGE_VAL, HUGE_VAL } },
		{ "rings", { 0, 0 }, { 2.9167619032099998, 2.9167619032099998 } },
		{ "rings_cos", { 0, 0 }, { 7.9598329816442996, 7.9598329816442996 } },
	};

	(void)p;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct fixture f;
		double mean[2], sd[2];
		fixture_open(&f, known[i].target, NULL, 0);
		f.t->moments(density_state(f.d), mean, sd);
		for (size_t k = 0; k < f.dim; k++) {
			check_that(&f, fabs(mean[k] - known[i].mean[k]) <= 1e-13,
				"mean %zu is %.17g", k + 1, mean[k]);
			check_that(&f,
				sd[k] == known[i].sd[k] ||
					fabs(sd[k] - known[i].sd[k]) <= 2e-12 * known[i].sd[k],
				"deviation %zu is %.17g", k + 1, sd[k]);
		}
		arena_free(f.a);
	}
}

static double chi_square(const void *freedom, size_t k, double x)
{
	(void)k;
	return gsl_cdf_chisq_P(x, *(const double *)freedom);
}

/* log rho of exact samples of a component is below its top by half a chi-square: in one number,
 * that the draws have the covariance that the density has. */
static void test_depths(void **p)
{
	static const struct {
		const char *target;
		double top, freedom;
	} known[] = {
		/* -log(2 pi) - log det C / 2 with det C = 3.57707.. 0.43273.. - 0.26956..^2. */
		{ "gaussian2d", -1.8378770664093453 - 0.19442053355920644, 2 },
		{ "gmm40_50d", -3.6888794541139363 - 25 * LOG_2PI, 50 },
	};

	(void)p;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f;
		double *columns, log_rho[DRAWS];
		fixture_open(&f, known[i].target, NULL, 0);
		(void)draws(&f, &columns);
		density_eval(f.d, DRAWS, columns, log_rho, NULL);
		for (size_t j = 0; j < DRAWS; j++)
			log_rho[j] = 2 * (known[i].top - log_rho[j]);
		check_distribution(&f, log_rho, DRAWS, "the depth below the top", chi_square,
			&known[i].freedom);
		arena_free(f.a);
	}
}

static void test_mixture_cdf(void **p)
{
	static const double near[] = { -20, -10, -5, 0, 5, 10, 20 }, x[] = { -4.5, -1, 0.3, 7 };
	static const double wide[] = { -30, -15, -5, 0, 5, 15, 30 };
	struct fixture f;

	(void)p;
	check_plane_cdf("gaussian2d", near, 7, x, 4);
	check_plane_cdf("gmm10_2d", wide, 7, x, 4);
	check_plane_cdf("gmm9", near, 7, x, 4);
	fixture_open(&f, "gmm4_1d", NULL, 0);
	struct line l = { &f, ARENA_NEW(f.a, 1, double), 0, 0 };
	for (size_t i = 0; i < 4; i++) {
		const double at[] = { -9, x[i] < -3 ? -6 : -3, x[i] };
		assert_near(f.t->cdf(density_state(f.d), 0, x[i]), pieces(line_value, &l, at, 3),
			1e-12);
	}
	arena_free(f.a);
}

/* Of one dimension: classify finds the borders, by bisection, and the distribution function the
 * masses. */
static void test_mode_weights_1d(void **p)
{
	struct fixture f;
	double weight[4], mass[4] = { 0 }, below = 0;

	(void)p;
	fixture_open(&f, "gmm4_1d", NULL, 0);
	const void *state = density_state(f.d);
	f.t->mode_weights(state, weight);
	for (double x = -12; x < 12; x += 0.01) {
		double low = x, high = x + 0.01;
		size_t mode = f.t->classify(state, &low);
		if (f.t->classify(state, &high) == mode)
			continue;
		for (int i = 0; i < 60; i++) {
			double middle = (low + high) / 2;
			*(f.t->classify(state, &middle) == mode ? &low : &high) = middle;
		}
		mass[mode] += f.t->cdf(state, 0, low) - below;
		below = f.t->cdf(state, 0, low);
	}
	double last = 12;
	mass[f.t->classify(state, &last)] += 1 - below;
	for (size_t k = 0; k < 4; k++)
		assert_near(weight[k], mass[k], 1e-8);
	arena_free(f.a);
}

/* Components that overlap: masses against 200000 exact samples, at 5 deviations of a share. */
static void test_mode_weights(void **p)
{
	static const char *const overlapping[] = { "gmm10_2d", "gmm40_2d", "gmm40_fab", "gmm80",
		"student10_2d" };
	enum { N = 200000 };

	(void)p;
	for (size_t i = 0; i < sizeof(overlapping) / sizeof(overlapping[0]); i++) {
		struct fixture f;
		double weight[80], count[80] = { 0 }, x[2];
		fixture_open(&f, overlapping[i], NULL, 0);
		const void *state = density_state(f.d);
		f.t->mode_weights(state, weight);
		for (uint64_t row = 0; row < N; row++) {
			assert_int_equal(density_draw(f.d, stream, row, 1, x), OK);
			count[f.t->classify(state, x)]++;
		}
		for (size_t k = 0; k < f.t->modes(state); k++)
			check_that(&f,
				fabs(count[k] / N - weight[k]) <=
					SIGMAS * sqrt(weight[k] * (1 - weight[k]) / N),
				"mode %zu has mass %g by draws, %g by weights", k, count[k] / N,
				weight[k]);
		arena_free(f.a);
	}
}

/* --- a user's table ---------------------------------------------------------------------- */

static int with_table(const char *text, struct density **d, struct arena *a)
{
	char path[] = "/tmp/stride_mixture_XXXXXX";
	FILE *file = fdopen(mkstemp(path), "w");
	const struct setting means = { "means", path };

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	int status = density_new(d, "gmm40_2d", &means, 1, a);
	unlink(path);
	return status;
}

/* Two components in three dimensions: log rho by hand, derivatives against those of an isotropic
 * mixture, which another piece of code computes. */
static void test_own_covariance(void **p)
{
	static const char full[] = "mu1,mu2,mu3,c11,c12,c13,c21,c22,c23,c31,c32,c33\n"
				   "1,0,-1,4,2,0,2,5,0,0,0,1\n"
				   "0,2,0.5,1,0,0,0,1,0,0,0,1\n";
	static const char spheres[] = "mu1,mu2,mu3,c11,c12,c13,c21,c22,c23,c31,c32,c33\n"
				      "1,0,-1,2.25,0,0,0,2.25,0,0,0,2.25\n"
				      "0,2,0.5,1,0,0,0,1,0,0,0,1\n";
	static const char same[] =
		"mu1,mu2,mu3,std1,std2,std3\n1,0,-1,1.5,1.5,1.5\n0,2,0.5,1,1,1\n";
	const double x[3] = { 0.3, -0.8, 0.4 }, v[3] = { 0.6, 0.2, -1.1 };
	double log_rho[2], grad[2][3], hv[2][3], draw[2][3];
	struct arena *a = arena_new();
	struct density *d[2];

	(void)p;
	assert_int_equal(with_table(full, d, a), OK);
	density_eval(d[0], 1, x, log_rho, NULL);
	/* The inverse of (4 2; 2 5) is (5 -2; -2 4) / 16. */
	double u = x[0] - 1, w = x[1], q1 = (5 * u * u - 4 * u * w + 4 * w * w) / 16 + 1.4 * 1.4;
	double q2 = 0.3 * 0.3 + 2.8 * 2.8 + 0.1 * 0.1;
	assert_near(log_rho[0], log(exp(-q1 / 2) / 4 + exp(-q2 / 2)) - log(2.0) - 1.5 * LOG_2PI,
		1e-13);
	assert_int_equal(with_table(spheres, &d[0], a), OK);
	assert_int_equal(with_table(same, &d[1], a), OK);
	for (size_t i = 0; i < 2; i++) {
		density_eval(d[i], 1, x, &log_rho[i], grad[i]);
		assert_int_equal(density_hvp(d[i], 1, x, v, hv[i]), OK);
		assert_int_equal(density_draw(d[i], stream, 0, 1, draw[i]), OK);
		assert_int_equal(density_target(d[i])->classify(density_state(d[i]), x), 0);
	}
	assert_near(log_rho[0], log_rho[1], 1e-14);
	for (size_t k = 0; k < 3; k++) {
		assert_near(grad[0][k], grad[1][k], 1e-14);
		assert_near(hv[0][k], hv[1][k], 1e-14);
		assert_near(draw[0][k], draw[1][k], 1e-14);
	}
	arena_free(a);
}

static void test_bad_tables(void **p)
{
	static const struct {
		const char *text, *place, *what;
	} bad[] = {
		{ "mu1,mu2,std1\n1,2,1\n", ":2:", "columns" },
		{ "mu1,mu2,c11,c12,c21\n1,2,1,0,0\n", ":2:", "columns" },
		{ "mu1,mu2,std1,std2\n1,2,1,1\n1,2,1,1.5\n", ":3:", "equal" },
		{ "mu1,mu2,std1,std2\n1,2,0,0\n", ":2:", "positive" },
		{ "mu1,mu2,c11,c12,c21,c22\n1,2,1,0,0,1\n1,2,1,0.5,0.4,1\n", ":3:", "symmetric" },
		{ "mu1,mu2,c11,c12,c21,c22\n1,2,1,2,2,1\n", ":2:", "definite" },
	}, far[] = {
		{ "mu1,mu2\n1,2\n1,-1.1e6\n", ":3:", "mean -1.1e+06" },
		{ "mu1,mu2,std1,std2\n1,2,1,1\n1,2,9e-7,9e-7\n", ":3:", "deviation 9e-07" },
		{ "mu1,mu2,std1,std2\n1,2,2e6,2e6\n", ":2:", "deviation 2e+06" },
		{ "mu1,mu2,c11,c12,c21,c22\n1,2,1,0,0,1.1e12\n", ":2:", "deviation 1.04" },
		{ "mu1,mu2,c11,c12,c21,c22\n1,2,1e-13,0,0,1\n", ":2:", "deviation 3.16" },
		/* Widths of 1, and 4e-7 across. */
		{ "mu1,mu2,c11,c12,c21,c22\n1,2,1,0.9999999999999,0.9999999999999,1\n", ":2:",
			"given" },
	};
	char many[81 * 4 + 5] = "mu1\n";
	struct arena *a = arena_new();
	struct density *d;

	(void)p;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(with_table(bad[i].text, &d, a), ERR_PARSE);
		if (strstr(error_text(), bad[i].place) == NULL ||
			strstr(error_text(), bad[i].what) == NULL)
			fail_msg("\"%s\" gave \"%s\"", bad[i].text, error_text());
	}
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		assert_int_equal(with_table(far[i].text, &d, a), ERR_RANGE);
		if (strstr(error_text(), far[i].place) == NULL ||
			strstr(error_text(), far[i].what) == NULL)
			fail_msg("\"%s\" gave \"%s\"", far[i].text, error_text());
	}
	assert_int_equal(with_table("mu1,mu2,std1,std2\n1e6,-1e6,1e-6,1e-6\n0,0,1e6,1e6\n", &d, a),
		OK);
	for (size_t i = 0; i < 81; i++)
		strcat(many, "1\n");
	assert_int_equal(with_table(many, &d, a), ERR_RANGE);
	assert_non_null(strstr(error_text(), ":82: component 81; at most 80"));
	arena_free(a);
}

/* At the ends of the ranges log rho and gradient are finite in float, far out and at a mean. */
static void test_extreme_tables(void **p)
{
	static const char *const tables[] = {
		"mu1,mu2\n1e6,-1e6\n0,0\n",
		"mu1,mu2,std1,std2\n1e6,-1e6,1e-6,1e-6\n-1e6,1e6,1e-6,1e-6\n",
		"mu1,mu2,std1,std2\n1e6,-1e6,1e-6,1e-6\n0,0,1e6,1e6\n",
		"mu1,mu2,c11,c12,c21,c22\n1e6,1e6,1,1e-3,1e-3,1e-5\n-1e6,-1e6,1e12,0,0,1e-12\n",
	};
	static const double at[] = { -1e6, 0, 3e-7, 1, 1e6 };
	struct arena *a = arena_new();
	struct density *d;

	(void)p;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		assert_int_equal(with_table(tables[i], &d, a), OK);
		for (size_t j = 0; j < 25; j++) {
			real x[2] = { (real)at[j % 5], (real)at[j / 5] }, grad[2];
			double log_rho;
			density_eval_real(d, 1, x, &log_rho, grad);
			if (!isfinite(log_rho) || !isfinite(grad[0]) || !isfinite(grad[1]))
				fail_msg("table %zu at %g %g: %g, gradient %g %g", i, (double)x[0],
					(double)x[1], log_rho, (double)grad[0], (double)grad[1]);
		}
	}
	arena_free(a);
}

static struct window window_of(const struct density *d)
{
	struct window w;

	density_target(d)->window(density_state(d), &w);
	return w;
}

/* The published window for the program's own table, by any path; otherwise that of the means. */
static void test_windows(void **p)
{
	struct arena *a = arena_new();
	const struct setting own = { "means", data_path("gmm40_2d.csv", a) };
	struct density *d;

	(void)p;
	assert_int_equal(density_new(&d, "gmm40_2d", NULL, 0, a), OK);
	assert_true(window_of(d).x_min == -60 && window_of(d).y_max == 60);
	assert_int_equal(density_new(&d, "gmm40_2d", &own, 1, a), OK);
	assert_true(window_of(d).x_min == -60 && window_of(d).y_max == 60);
	assert_int_equal(with_table("mu1,mu2\n100,-3\n250,4\n", &d, a), OK);
	assert_true(window_of(d).x_min == 95 && window_of(d).x_max == 255);
	assert_true(window_of(d).y_min == -8 && window_of(d).y_max == 9);
	assert_int_equal(with_table("mu1,mu2,c11,c12,c21,c22\n1,2,4,1,1,9\n", &d, a), OK);
	assert_near(window_of(d).x_min, -9, 1e-13);
	assert_near(window_of(d).x_max, 11, 1e-13);
	assert_near(window_of(d).y_min, -13, 1e-13);
	assert_near(window_of(d).y_max, 17, 1e-13);
	/* y is the density, to a tenth above its top. */
	assert_int_equal(with_table("mu1\n7\n7\n", &d, a), OK);
	assert_near(window_of(d).y_max, 1.1 / sqrt(2 * M_PI), 1e-13);
	/* The top is between the means. */
	assert_int_equal(with_table("mu1,std1\n-1,1\n1.1,1\n", &d, a), OK);
	assert_true(window_of(d).x_min == -6 && window_of(d).x_max == 6.1);
	assert_true(window_of(d).y_min == 0);
	double top = 0;
	for (double x = -2; x < 2; x += 1e-4) {
		double log_rho;
		density_eval(d, 1, &x, &log_rho, NULL);
		top = fmax(top, exp(log_rho));
	}
	assert_true(window_of(d).y_max >= 1.09 * top && window_of(d).y_max <= 1.1001 * top);
	arena_free(a);
}

/* Beyond two dimensions weights are 1/K for components that are apart, otherwise unknown. */
static void test_own_mode_weights(void **p)
{
	static const struct {
		const char *text;
		bool known;
	} table[] = {
		{ "mu1,mu2,mu3\n0,0,0\n0,0,12\n", true },
		{ "mu1,mu2,mu3\n0,0,0\n0,0,4\n", false },
		{ "mu1,mu2,mu3\n0,0,0\n0,0,0\n", false },
		/* Apart in the narrow direction, not in the wide one. */
		{ "mu1,mu2,mu3,c11,c12,c13,c21,c22,c23,c31,c32,c33\n"
		  "0,0,0,9,0,0,0,9,0,0,0,0.01\n0,0,3,9,0,0,0,9,0,0,0,0.01\n",
			true },
		{ "mu1,mu2,mu3,c11,c12,c13,c21,c22,c23,c31,c32,c33\n"
		  "0,0,0,9,0,0,0,9,0,0,0,0.01\n0,3,0,9,0,0,0,9,0,0,0,0.01\n",
			false },
	};
	struct arena *a = arena_new();
	struct density *d;
	double weight[2];

	(void)p;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(with_table(table[i].text, &d, a), OK);
		density_target(d)->mode_weights(density_state(d), weight);
		assert_true(table[i].known ? weight[0] == 0.5 && weight[1] == 0.5
					   : isnan(weight[0]) && isnan(weight[1]));
	}
	arena_free(a);
}

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

/* --- Student's t ------------------------------------------------------------------------- */

static double student_t(const void *context, size_t k, double x)
{
	(void)context, (void)k;
	return gsl_cdf_tdist_P(x, 2);
}

/* Less the location of its own component each coordinate is a t: in 50 dimensions classify finds
 * it. */
static void test_student_draws(void **p)
{
	struct fixture f;
	struct csv t;
	double *columns;

	(void)p;
	fixture_open(&f, "student10_50d", NULL, 0);
	assert_int_equal(csv_read(&t, data_path("student10_50d.csv", f.a), CSV_FINITE, f.a), OK);
	double *x = draws(&f, &columns);
	for (size_t i = 0; i < DRAWS; i++) {
		size_t mode = f.t->classify(density_state(f.d), x + i * f.dim);
		for (size_t k = 0; k < f.dim; k++)
			x[i * f.dim + k] -= t.x[mode * f.dim + k];
	}
	check_distribution(&f, x, DRAWS * f.dim, "a coordinate", student_t, NULL);
	for (size_t i = 0; i < 7; i++) {
		double at = 2 * (double)i - 7, sum = 0;
		for (size_t k = 0; k < t.rows; k++)
			sum += gsl_cdf_tdist_P(at - t.x[k * f.dim + 1], 2) / 10;
		assert_near(f.t->cdf(density_state(f.d), 1, at), sum, 1e-14);
	}
	arena_free(f.a);
}

/* E q / rho = 1 for the mixture q of N(location, 1.35^2 I): the width whose ratio to a t has the
 * smallest second moment, 1.08 a coordinate, 50 in all of them. */
static void test_student_log_z(void **p)
{
	const double width = 1.35;
	struct fixture f;
	struct csv t;
	double *columns, log_rho[DRAWS], mean, se;

	(void)p;
	fixture_open(&f, "student10_50d", NULL, 0);
	assert_int_equal(csv_read(&t, data_path("student10_50d.csv", f.a), CSV_FINITE, f.a), OK);
	double *x = draws(&f, &columns);
	density_eval(f.d, DRAWS, columns, log_rho, NULL);
	for (size_t i = 0; i < DRAWS; i++) {
		double sum = 0;
		for (size_t k = 0; k < t.rows; k++) {
			double square = 0;
			for (size_t j = 0; j < f.dim; j++)
				square += pow((x[i * f.dim + j] - t.x[k * f.dim + j]) / width, 2);
			sum += exp(-square / 2 - log_rho[i] -
				       (double)f.dim * (log(width) + LOG_2PI / 2)) /
			       (double)t.rows;
		}
		log_rho[i] = sum;
	}
	mean_of(log_rho, DRAWS, 1, &mean, &se);
	check_that(&f, se < 0.1 && fabs(mean - 1) <= 4 * se, "E q / rho is %g +- %g", mean, se);
	arena_free(f.a);
}

/* --- rings ------------------------------------------------------------------------------- */

/* r^power rho(r) on a ray that is no axis. */
struct ray {
	const struct fixture *f;
	int power;
	double total, start;
};

static double on_ray(double r, void *p)
{
	const struct ray *l = p;
	double point[2] = { 0.6 * r, -0.8 * r }, log_rho;

	density_eval(l->f->d, 1, point, &log_rho, NULL);
	return pow(r, l->power) * exp(log_rho);
}

static const double cos_kinks[] = { 0, 3.1415926535897931, 9.4247779607693793, 14.137166941154069,
	60 };
static const double square_kinks[] = { 0, 1, 2, 3, 4, 5, 8 };

static void check_rings(const char *target, const double *at, size_t n, double log_z, double square,
	const double *mass)
{
	struct fixture f;
	struct log_z z;
	double sd[2], mean[2], weight[3];

	fixture_open(&f, target, NULL, 0);
	struct ray l = { .f = &f, .power = 1 };
	double m1 = pieces(on_ray, &l, at, n);
	l.power = 3;
	double m3 = pieces(on_ray, &l, at, n);
	density_log_z(f.d, &z);
	f.t->moments(density_state(f.d), mean, sd);
	f.t->mode_weights(density_state(f.d), weight);
	assert_near(z.value, log(2 * M_PI * m1), 1e-12);
	assert_near(z.value, log_z, 1e-13);
	assert_near(2 * sd[0] * sd[0], m3 / m1, 1e-11 * square);
	assert_near(2 * sd[0] * sd[0], square, 1e-5);
	for (size_t k = 0; k < 3; k++)
		assert_near(weight[k], mass[k], 1e-9);
	/* Defined at the origin, and as small beside it as f'/r lets it be. */
	real x[4] = { 0, (real)1e-30, 0, 0 }, grad[4];
	double y[2] = { 0, 0 }, g[2];
	density_eval_real(f.d, 2, x, NULL, grad);
	density_eval(f.d, 1, y, NULL, g);
	assert_true(g[0] == 0 && g[1] == 0 && grad[0] == 0 && grad[2] == 0);
	assert_true(isfinite(grad[1]) && grad[3] == 0);
	arena_free(f.a);
}

/* Published numbers; masses by GSL. */
static void test_rings(void **p)
{
	const double ninths[3] = { 1.0 / 9, 3.0 / 9, 5.0 / 9 };
	struct fixture f;
	double mass[3];

	(void)p;
	check_rings("rings", square_kinks, 7, 2.30488149367622, 17.015, ninths);
	fixture_open(&f, "rings_cos", NULL, 0);
	struct ray l = { .f = &f, .power = 1 };
	double total = pieces(on_ray, &l, cos_kinks, 5);
	mass[0] = pieces(on_ray, &l, cos_kinks, 2) / total;
	mass[1] = pieces(on_ray, &l, cos_kinks + 1, 2) / total;
	mass[2] = 1 - mass[0] - mass[1];
	check_rings("rings_cos", cos_kinks, 5, 6.692279578290412, 126.717882, mass);
	arena_free(f.a);
}

/* The share of the mass below r, by quadrature. Called with rising r, as kolmogorov does: the
 * integral goes on from where it was. */
struct radii {
	struct ray ray;
	double whole;
};

static double radius_below(const void *context, size_t k, double r)
{
	struct radii *q = *(struct radii *const *)context;
	const double at[2] = { q->ray.start, r };

	(void)k;
	if (r > q->ray.start)
		q->ray.total += pieces(on_ray, &q->ray, at, 2);
	q->ray.start = r;
	return q->ray.total / q->whole;
}

static double angle_below(const void *context, size_t k, double angle)
{
	(void)context, (void)k;
	return angle / (2 * M_PI) + 0.5;
}

static void check_radii(const char *target, const double *at, size_t n)
{
	struct fixture f;
	double r[DRAWS], angle[DRAWS], x[2];

	fixture_open(&f, target, NULL, 0);
	struct radii q = { .ray = { .f = &f, .power = 1 } }, *pointer = &q;
	q.whole = pieces(on_ray, &q.ray, at, n);
	for (size_t i = 0; i < DRAWS; i++) {
		assert_int_equal(density_draw(f.d, stream, i, 1, x), OK);
		r[i] = hypot(x[0], x[1]);
		angle[i] = atan2(x[1], x[0]);
	}
	check_distribution(&f, r, DRAWS, "the radius", radius_below, &pointer);
	check_distribution(&f, angle, DRAWS, "the angle", angle_below, NULL);
	arena_free(f.a);
}

static void test_rings_draws(void **p)
{
	(void)p;
	check_radii("rings", square_kinks, 7);
	check_radii("rings_cos", cos_kinks, 5);
}

static void test_rings_cdf(void **p)
{
	static const double x[] = { -4.9, -1e-3, 1, 3.02 }, y[] = { -14, -3, 1e-6, 9.5 };
	static const double at[] = { -7, -5, -3, -1, 0, 1, 3, 5, 7 };
	static const double wide[] = { -60, -20, -14, -9, -4, 0, 4, 9, 14, 20, 60 };

	(void)p;
	check_plane_cdf("rings", at, 9, x, 4);
	check_plane_cdf("rings_cos", wide, 11, y, 4);
}

/* --- funnel ------------------------------------------------------------------------------ */

static double funnel_below(double v, void *x)
{
	return gsl_cdf_ugaussian_P(*(double *)x * exp(-v / 2)) * exp(-v * v / 18) /
	       (3 * sqrt(2 * M_PI));
}

static void test_funnel_cdf(void **p)
{
	static const double at[] = { -30, -10, 0, 10, 30 };
	static const double points[] = { -1e4, -30, -1, -1e-3, 0, 1e-6, 0.2, 4, 25, 3e3 };
	const struct setting clip = { "clip", "30" };
	struct fixture f;

	(void)p;
	fixture_open(&f, "funnel", NULL, 0);
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		double x = points[i];
		assert_near(f.t->cdf(density_state(f.d), 4, x), pieces(funnel_below, &x, at, 5),
			1e-12);
		assert_near(f.t->cdf(density_state(f.d), 0, x), gsl_cdf_ugaussian_P(x / 3), 1e-15);
	}
	arena_free(f.a);
	fixture_open(&f, "funnel", &clip, 1);
	assert_true(isnan(f.t->cdf(density_state(f.d), 0, 1)));
	assert_true(isnan(f.t->cdf(density_state(f.d), 3, 1)));
	arena_free(f.a);
}

/* The weights of the proposal: bounded, as their supremum says, and with the variance that follows
 * from the integrals of N(v; 0, 1)^2 / t(v), 1.0161566 by quadrature, and of N(x; 0, 1)^2 / N(x;
 * 0, 1.2), 1.2 / sqrt(1.4). */
static void test_funnel_proposal(void **p)
{
	const double known = 1.0161566230504893 * pow(1.2 / sqrt(1.4), 9) - 1;
	struct fixture f;
	double w[DRAWS], square[DRAWS], x[10], log_rho, mean, se;

	(void)p;
	fixture_open(&f, "funnel", NULL, 0);
	for (size_t i = 0; i < DRAWS; i++) {
		double log_q = f.t->propose(density_state(f.d), stream, i, x);
		density_eval(f.d, 1, x, &log_rho, NULL);
		w[i] = exp(log_rho - log_q);
		square[i] = (w[i] - 1) * (w[i] - 1);
		assert_true(w[i] <= 2.4);
	}
	mean_of(w, DRAWS, 1, &mean, &se);
	check_that(&f, fabs(mean - 1) <= 4 * se, "E rho / q is %g +- %g", mean, se);
	mean_of(square, DRAWS, 1, &mean, &se);
	check_that(&f, fabs(mean - known) <= 4 * se, "the variance of rho / q is %g +- %g, not %g",
		mean, se, known);
	arena_free(f.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gmm40_centres),
		cmocka_unit_test(test_moments),
		cmocka_unit_test(test_depths),
		cmocka_unit_test(test_mixture_cdf),
		cmocka_unit_test(test_mode_weights_1d),
		cmocka_unit_test(test_mode_weights),
		cmocka_unit_test(test_own_covariance),
		cmocka_unit_test(test_bad_tables),
		cmocka_unit_test(test_extreme_tables),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_own_mode_weights),
		cmocka_unit_test(test_student_draws),
		cmocka_unit_test(test_student_log_z),
		cmocka_unit_test(test_rings),
		cmocka_unit_test(test_rings_draws),
		cmocka_unit_test(test_rings_cdf),
		cmocka_unit_test(test_funnel_cdf),
		cmocka_unit_test(test_funnel_proposal),
	};

	return run_target_tests("mixtures", tests);
}
