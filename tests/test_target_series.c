/* The time series, Brownian motion and Lorenz bridge, against what is written down here on its own:
 * dense covariances for the one, a particle filter for the other. */
#include "targets.h"

#include "core/csv.h"

#include <gsl/gsl_cdf.h>
#include <lapacke.h>

enum { STEPS = 30, SEEN = 20 };

static const size_t SEEN_AT[SEEN] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 21, 22, 23, 24, 25, 26, 27,
	28, 29 };

/* The last column of a table of observations where they are. */
static void observations(const char *file, double *y, struct arena *a)
{
	struct csv t;

	assert_int_equal(csv_read(&t, data_path(file, a), CSV_ANY, a), OK);
	for (size_t j = 0; j < SEEN; j++)
		y[j] = t.x[SEEN_AT[j] * t.cols + 2];
}

/* --- Brownian motion --------------------------------------------------------------------- */

/* Lower Cholesky factor of the covariance of y given the log scales. */
static void brownian_covariance(double log_si, double log_so, double *c)
{
	for (size_t i = 0; i < SEEN; i++)
		for (size_t j = 0; j < SEEN; j++)
			c[i * SEEN + j] = exp(2 * log_si) * (double)(1 + SEEN_AT[i < j ? i : j]) +
					  (i == j ? exp(2 * log_so) : 0);
	assert_int_equal(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', SEEN, c, SEEN), 0);
}

/* Joint log density of y and the log scales; then mean and variance of the path given both. All by
 * one 20 by 20 covariance. */
static double brownian_joint(const double *y, double log_si, double log_so, double *mean,
	double *variance)
{
	double c[SEEN * SEEN], v[SEEN], result = -SEEN * LOG_2PI / 2;
	const double si2 = exp(2 * log_si);

	brownian_covariance(log_si, log_so, c);
	memcpy(v, y, sizeof(v));
	cblas_dtrsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, SEEN, c, SEEN, v, 1);
	for (size_t i = 0; i < SEEN; i++)
		result -= v[i] * v[i] / 2 + log(c[i * SEEN + i]);
	for (size_t t = 0; mean != NULL && t < STEPS; t++) {
		double k[SEEN];
		for (size_t i = 0; i < SEEN; i++)
			k[i] = si2 * (double)(1 + (SEEN_AT[i] < t ? SEEN_AT[i] : t));
		cblas_dtrsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, SEEN, c, SEEN, k,
			1);
		mean[t] = cblas_ddot(SEEN, k, 1, v, 1);
		variance[t] = si2 * (double)(1 + t) - cblas_ddot(SEEN, k, 1, k, 1);
	}
	/* log s ~ N(0, 4) */
	return result - (log_si * log_si + log_so * log_so) / 8 - 2 * log(2.0) - LOG_2PI;
}

/* The trapezoid rule over both log scales, in steps of 1/12. */
struct node {
	double weight, mean[STEPS], sd[STEPS];
};
enum { PER_UNIT = 12, A_SIDE = 9 * PER_UNIT, B_SIDE = 18 * PER_UNIT };

static double inverse_softplus(double s)
{
	return log(expm1(s));
}

static void test_brownian_quadrature(void **p)
{
	struct fixture f;
	struct log_z z;
	double y[SEEN], mean[2 + STEPS], sd[2 + STEPS], total = 0, worst = 0;
	double first[2 + STEPS] = { 0 }, second[2 + STEPS] = { 0 };

	(void)p;
	fixture_open(&f, "brownian", NULL, 0);
	const void *state = density_state(f.d);
	observations("brownian.csv", y, f.a);
	struct node *nodes = ARENA_NEW(f.a, A_SIDE * B_SIDE, struct node);
	for (size_t i = 0; i < A_SIDE; i++)
		for (size_t j = 0; j < B_SIDE; j++) {
			struct node *q = &nodes[i * B_SIDE + j];
			double a = -8 + (double)i / PER_UNIT, b = -16 + (double)j / PER_UNIT;
			double v[STEPS],
				x[2] = { inverse_softplus(exp(a)), inverse_softplus(exp(b)) };
			q->weight = exp(brownian_joint(y, a, b, q->mean, v)) / PER_UNIT / PER_UNIT;
			total += q->weight;
			for (size_t k = 0; k < 2 + STEPS; k++) {
				double m = k < 2 ? x[k] : q->mean[k - 2];
				first[k] += q->weight * m;
				second[k] += q->weight * (m * m + (k < 2 ? 0 : v[k - 2]));
			}
			for (size_t t = 0; t < STEPS; t++)
				q->sd[t] = sqrt(fmax(v[t], 0));
		}
	density_log_z(f.d, &z);
	assert_int_equal(z.kind, LOG_Z_QUADRATURE);
	/* Dense covariances lose digits where s_o is tiny: 1e-10. */
	assert_near(z.value, log(total), 1e-10);
	/* By a Kalman filter and quadrature, computed independently of stride, to all digits. */
	assert_near(z.value, 1.1877489859204, 2e-12);
	assert_true(z.se < 1e-12);
	f.t->moments(state, mean, sd);
	for (size_t k = 0; k < 2 + STEPS; k++) {
		double m = first[k] / total, s = sqrt(second[k] / total - m * m);
		check_that(&f, fabs(m - mean[k]) <= 1e-9 && fabs(s - sd[k]) <= 1e-9,
			"coordinate %zu has moments %.12g, %.12g; %.12g, %.12g by dense quadrature",
			k + 1, mean[k], sd[k], m, s);
	}
	/* Distribution functions of the path: the mixture over all nodes. */
	for (size_t t = 0; t < STEPS; t += 7)
		for (size_t i = 0; i < 9; i++) {
			double x = mean[2 + t] + ((double)i - 4.3) * 0.7 * sd[2 + t], sum = 0;
			for (size_t q = 0; q < A_SIDE * B_SIDE; q++)
				if (nodes[q].weight > 1e-16)
					sum += nodes[q].weight *
					       erfc((nodes[q].mean[t] - x) / nodes[q].sd[t] /
						       M_SQRT2) /
					       2;
			worst = fmax(worst, fabs(sum / total - f.t->cdf(state, 2 + t, x)));
		}
	check_that(&f, worst <= 1e-9, "cdf of the path is %g off", worst);
	arena_free(f.a);
}

/* A marginal of one log scale: the trapezoid rule over the other. */
struct marginal {
	const double *y;
	bool of_b;
	double at;
};

static double marginal_inner(double other, void *p)
{
	struct marginal *m = p;

	return exp(m->of_b ? brownian_joint(m->y, other, m->at, NULL, NULL)
			   : brownian_joint(m->y, m->at, other, NULL, NULL));
}

static double marginal_density(double at, void *p)
{
	struct marginal m = *(struct marginal *)p;
	double sum = 0;

	m.at = at;
	for (double x = m.of_b ? -8 : -16; x <= 2; x += 1.0 / 12)
		sum += marginal_inner(x, &m) / 12;
	return sum;
}

static void test_brownian_scales(void **p)
{
	struct fixture f;
	struct log_z z;
	double y[SEEN], value, error;
	gsl_integration_workspace *w = gsl_integration_workspace_alloc(100);

	(void)p;
	fixture_open(&f, "brownian", NULL, 0);
	observations("brownian.csv", y, f.a);
	density_log_z(f.d, &z);
	for (size_t k = 0; k < 2; k++) {
		static const double at[2][3] = { { -2.6, -2.1, -1.3 }, { -6, -2.3, -1.6 } };
		struct marginal m = { y, k == 1, 0 };
		gsl_function g = { marginal_density, &m };
		for (size_t i = 0; i < 3; i++) {
			double high = at[k][i], x = inverse_softplus(exp(high));
			assert_int_equal(gsl_integration_qag(&g, k == 1 ? -16 : -8, high, 1e-11,
						 1e-11, 100, GSL_INTEG_GAUSS31, w, &value, &error),
				GSL_SUCCESS);
			double got = f.t->cdf(density_state(f.d), k, x);
			check_that(&f, fabs(got - value / exp(z.value)) <= 1e-9,
				"cdf %zu at %g is %.12g, by quadrature %.12g", k + 1, x, got,
				value / exp(z.value));
		}
	}
	gsl_integration_workspace_free(w);
	arena_free(f.a);
}

static double uniform(const void *context, size_t k, double u)
{
	(void)context;
	(void)k;
	return u;
}

/* y' C^-1 y, C the covariance of the observations given the scales. */
static double brownian_square(const double *y, double log_si, double log_so)
{
	double log_det = 0, c[SEEN * SEEN];

	brownian_covariance(log_si, log_so, c);
	for (size_t i = 0; i < SEEN; i++)
		log_det += 2 * log(c[i * SEEN + i]);
	return -2 * brownian_joint(y, log_si, log_so, NULL, NULL) - log_det - SEEN * LOG_2PI -
	       (log_si * log_si + log_so * log_so) / 4 - 2 * (2 * log(2.0) + LOG_2PI);
}

/* Distribution function of a = log s_i given d = log s_o - a, at a: Simpson's rule in steps of 0.02
 * over where the density of eq. 6 is not negligible. */
static double brownian_a_given_d(double square, double a, double d)
{
	enum { HALF = 100 };
	double part[2];
	/* The density has its mode within 0.2 of `centre` and a deviation below 0.16. */
	const double centre = log(square / SEEN) / 2, from = centre - 2, to[2] = { a, centre + 2 };

	for (size_t c = 0; c < 2; c++) {
		double sum = 0, h = (to[c] - from) / (2 * HALF);
		for (size_t j = 0; j <= 2 * HALF; j++) {
			double x = from + h * (double)j;
			double weight = j == 0 || j == 2 * HALF ? 1 : j % 2 == 1 ? 4 : 2;
			sum += weight * exp(-SEEN * (x - centre) - square * exp(-2 * x) / 2 -
						(x * x + (x + d) * (x + d)) / 8);
		}
		part[c] = sum * h;
	}
	return part[0] / part[1];
}

static void check_uniform(const struct fixture *f, double *u, size_t n, double level,
	const char *what)
{
	double value = kolmogorov(u, n, NULL, 0, uniform);

	check_that(f, value > level, "%s: p-value %g", what, value);
}

/*
 * Exact samples against their distribution functions. Then what the sampler is made of, at more
 * samples: a given d; the path given both scales, whose quadratic form about its mean (the joint
 * one less that of y) is chi-squared with 30 degrees of freedom; and the middle of the gap given
 * both ends of it, a bridge. Of 35 tests one fails in 10^5 runs.
 */
static void test_brownian_draws(void **p)
{
	enum { N = 3000 };
	const double level = 1e-5 / 35;
	struct fixture f;
	double y[SEEN];

	(void)p;
	fixture_open(&f, "brownian", NULL, 0);
	observations("brownian.csv", y, f.a);
	double *x = block(&f, DRAWS), *column = arena_alloc(f.a, N, sizeof(*column));
	double *scale = arena_alloc(f.a, DRAWS, 8), *path = arena_alloc(f.a, DRAWS, 8),
	       *gap = arena_alloc(f.a, DRAWS, 8);
	assert_int_equal(density_draw(f.d, stream, 0, DRAWS, x), OK);
	for (size_t k = 0; k < f.dim; k++) {
		for (size_t i = 0; i < N; i++)
			column[i] = x[i * f.dim + k];
		double value = kolmogorov(column, N, density_state(f.d), k, f.t->cdf);
		check_that(&f, value > level, "coordinate %zu: p-value %g", k + 1, value);
	}
	for (size_t i = 0; i < DRAWS; i++) {
		const double *row = x + i * f.dim, *l = row + 2;
		double a = log(log1p(exp(row[0]))), b = log(log1p(exp(row[1])));
		double square = brownian_square(y, a, b), form = -square;
		for (size_t t = 0; t < STEPS; t++)
			form += pow(l[t] - (t > 0 ? l[t - 1] : 0), 2) * exp(-2 * a);
		for (size_t j = 0; j < SEEN; j++)
			form += pow(y[j] - l[SEEN_AT[j]], 2) * exp(-2 * b);
		double mean = l[9] + (l[20] - l[9]) * 5 / 11, variance = exp(2 * a) * 5 * 6 / 11;
		gap[i] = erfc((mean - l[14]) / sqrt(2 * variance)) / 2;
		path[i] = gsl_cdf_chisq_P(form, STEPS);
		scale[i] = brownian_a_given_d(square * exp(2 * a), a, b - a);
	}
	check_uniform(&f, gap, DRAWS, level, "the bridge over the gap");
	check_uniform(&f, path, DRAWS, level, "the path given the scales");
	check_uniform(&f, scale, DRAWS, level, "log s_i given log s_o - log s_i");
	arena_free(f.a);
}

/* The definition far out, where softplus is e^z or z to all digits, and in between. */
static void test_brownian_scales_far(void **p)
{
	static const double at[] = { -250, -90, -40.3, -17, -1, 0, 0.4, 3, 20, 36, 900 };
	struct fixture f;
	double y[SEEN], x[2 + STEPS], grad[2 + STEPS], log_rho;

	(void)p;
	fixture_open(&f, "brownian", NULL, 0);
	observations("brownian.csv", y, f.a);
	for (size_t c = 0; c < sizeof(at) / sizeof(at[0]); c++) {
		double q[2] = { 0, 0 }, want = 0;
		x[0] = at[c];
		x[1] = at[sizeof(at) / sizeof(at[0]) - 1 - c];
		for (size_t t = 0; t < STEPS; t++) {
			x[2 + t] = rng_gauss(stream, 0, c, (uint32_t)t);
			q[0] += pow(x[2 + t] - (t > 0 ? x[1 + t] : 0), 2);
		}
		for (size_t j = 0; j < SEEN; j++)
			q[1] += pow(y[j] - x[2 + SEEN_AT[j]], 2);
		for (size_t k = 0; k < 2; k++) {
			double z = x[k], n = k == 0 ? STEPS : SEEN;
			double s = z > 0 ? z + log1p(exp(-z)) : log1p(exp(z)), w = log(s);
			want += -w * w / 8 - w - log(2.0) - LOG_2PI / 2 - n * (w + LOG_2PI / 2) -
				q[k] / 2 / s / s + (z > 0 ? 0 : z) - log1p(exp(-fabs(z)));
		}
		density_eval(f.d, 1, x, &log_rho, grad);
		check_that(&f, fabs(log_rho - want) <= 1e-12 * fabs(want),
			"log rho is %.17g at z = %g, %g; %.17g by definition", log_rho, x[0], x[1],
			want);
	}
	arena_free(f.a);
}

/* --- Lorenz bridge ----------------------------------------------------------------------- */

enum { AXES = 3, LORENZ = AXES * STEPS };

static const double LORENZ_H = 0.02, LORENZ_Q = 2e-4;

static void lorenz_next(const double *s, double *m)
{
	m[0] = s[0] + LORENZ_H * 10 * (s[1] - s[0]);
	m[1] = s[1] + LORENZ_H * (s[0] * (28 - s[2]) - s[1]);
	m[2] = s[2] + LORENZ_H * (s[0] * s[1] - 8 * s[2] / 3);
}

/* Log density of a path alone, without observations. */
static double lorenz_prior(const double *s)
{
	double sum = -3 * LOG_2PI / 2 - 87 * log(2 * M_PI * LORENZ_Q) / 2, m[AXES];

	for (size_t k = 0; k < AXES; k++)
		sum -= s[k] * s[k] / 2;
	for (size_t t = 1; t < STEPS; t++) {
		lorenz_next(s + AXES * (t - 1), m);
		for (size_t k = 0; k < AXES; k++)
			sum -= pow(s[AXES * t + k] - m[k], 2) / (2 * LORENZ_Q);
	}
	return sum;
}

static void test_lorenz_definition(void **p)
{
	struct fixture f;
	double o[SEEN], x[LORENZ], log_rho;

	(void)p;
	fixture_open(&f, "lorenz", NULL, 0);
	observations("lorenz.csv", o, f.a);
	for (uint64_t row = 0; row < 8; row++) {
		for (size_t k = 0; k < LORENZ; k++)
			x[k] = pow(10, (double)row / 2) * rng_gauss(stream, 0, row, (uint32_t)k);
		double want = lorenz_prior(x) - 10 * LOG_2PI;
		for (size_t j = 0; j < SEEN; j++)
			want -= pow(o[j] - x[AXES * SEEN_AT[j]], 2) / 2;
		density_eval(f.d, 1, x, &log_rho, NULL);
		assert_near(log_rho, want, 1e-13 * fabs(want));
	}
	arena_free(f.a);
}

/* The largest coordinates with all signs: what grows as x y and its square stays finite in
 * float. */
static void test_lorenz_far(void **p)
{
	enum { N = 64 };
	struct fixture f;
	double log_rho[N];

	(void)p;
	fixture_open(&f, "lorenz", NULL, 0);
	real *x = arena_alloc(f.a, LORENZ * N, sizeof(*x)),
	     *g = arena_alloc(f.a, LORENZ * N, sizeof(*g)),
	     *hv = arena_alloc(f.a, LORENZ * N, sizeof(*g));
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < LORENZ; k++) {
			uint64_t bit =
				i < 32 ? i >> (k % 5) & 1 : rng_below(stream, 0, i, (uint32_t)k, 2);
			x[k * N + i] = bit ? 1e6f : -1e6f;
		}
	density_eval_real(f.d, N, x, log_rho, g);
	const struct field *engine = density_field(f.d);
	engine->hvp(engine->context, N, x, x, hv);
	for (size_t i = 0; i < N; i++)
		assert_true(isfinite(log_rho[i]) && log_rho[i] < -1e20);
	for (size_t j = 0; j < LORENZ * N; j++)
		assert_true(isfinite(g[j]) && isfinite(hv[j]));
	arena_free(f.a);
}

/* One run of a particle filter that proposes from the dynamics and resamples at each observation:
 * its Z is unbiased. */
static double lorenz_filter(const double *o, uint32_t run, size_t n, struct arena *a)
{
	double *s = arena_alloc(a, AXES * n, sizeof(*s)),
	       *other = arena_alloc(a, AXES * n, sizeof(*s));
	double *w = arena_alloc(a, n, sizeof(*w)), log_z = 0;
	const struct rng r = { 21, RNG_TEST, run };

	for (size_t t = 0, seen = 0; t < STEPS; t++) {
		for (size_t i = 0; i < n; i++) {
			double m[AXES] = { 0 };
			if (t > 0)
				lorenz_next(s + AXES * i, m);
			for (uint32_t k = 0; k < AXES; k++)
				s[AXES * i + k] = m[k] + (t > 0 ? sqrt(LORENZ_Q) : 1) *
								 rng_gauss(r, (uint32_t)t, i, k);
		}
		if (seen == SEEN || SEEN_AT[seen] != t)
			continue;
		double total = 0, sum = 0, u = rng_uniform(r, (uint32_t)t, n, 0);
		for (size_t i = 0; i < n; i++)
			total += w[i] = exp(-pow(o[seen] - s[AXES * i], 2) / 2 - LOG_2PI / 2);
		log_z += log(total / (double)n);
		seen++;
		for (size_t i = 0, next = 0; i < n; i++) {
			sum += w[i] / total * (double)n;
			for (; next < n && (sum > (double)next + u || i + 1 == n); next++)
				memcpy(other + AXES * next, s + AXES * i, AXES * sizeof(*s));
		}
		double *swap = s;
		s = other;
		other = swap;
	}
	return log_z;
}

/* The proposal: its weights, their mean against that of particle filters, and its density, which by
 * a twentieth contains that of the dynamics, so that the ratio of the two is at most 20 and of mean
 * 1. */
static void test_lorenz_proposal(void **p)
{
	enum { N = 20000, RUNS = 8, PARTICLES = 40000 };
	struct fixture f;
	double o[SEEN], mean, se, by_filter[RUNS], filter_mean, filter_se, square = 0, most = 0;

	(void)p;
	fixture_open(&f, "lorenz", NULL, 0);
	observations("lorenz.csv", o, f.a);
	double *x = block(&f, N), *w = arena_alloc(f.a, N, 8), *prior = arena_alloc(f.a, N, 8);
	for (size_t i = 0; i < N; i++) {
		double log_rho, log_q = f.t->propose(density_state(f.d), stream, i, x + LORENZ * i);
		density_eval(f.d, 1, x + LORENZ * i, &log_rho, NULL);
		/* -29.2 scales the numbers; no result depends on it. */
		w[i] = exp(log_rho - log_q + 29.2);
		square += w[i] * w[i];
		prior[i] = exp(lorenz_prior(x + LORENZ * i) - log_q);
		most = fmax(most, prior[i]);
	}
	/* Where the dynamics lead far from the data they are all there is of the proposal. */
	check_that(&f, fabs(most - 20) <= 1e-8, "prior / proposal is up to %.10g", most);
	mean_of(prior, N, 1, &mean, &se);
	check_that(&f, fabs(mean - 1) <= 4 * se && se < 0.04, "E prior / proposal is %g +- %g",
		mean, se);
	mean_of(w, N, 1, &mean, &se);
	double share = mean * mean * N / square;
	check_that(&f, share > 0.75, "the weights' sample size is a share of %g", share);
	for (uint32_t run = 0; run < RUNS; run++)
		by_filter[run] = exp(lorenz_filter(o, run, PARTICLES, f.a) + 29.2);
	mean_of(by_filter, RUNS, 1, &filter_mean, &filter_se);
	print_message("lorenz: log Z %.4f +- %.4f by its proposal, %.3f +- %.3f by filters\n",
		log(mean) - 29.2, se / mean, log(filter_mean) - 29.2, filter_se / filter_mean);
	/* The error of a mean of eight is itself off by a quarter. */
	check_that(&f,
		filter_se < 0.06 * filter_mean &&
			fabs(filter_mean - mean) <= 5 * hypot(se, filter_se),
		"Z is %g +- %g by the proposal, %g +- %g by particle filters", mean, se,
		filter_mean, filter_se);
	arena_free(f.a);
}

/* --- tables that are not theirs ---------------------------------------------------------- */

/* A table of 30 steps whose line for t = 11, in line 13, is another. */
static char *series_table(const char *header, const char *line_13, struct arena *a)
{
	char *text = arena_printf(a, "%s\n", header);

	for (size_t t = 0; t < STEPS; t++) {
		bool seen = t < 10 || t >= 20;
		const char *line = t == 11 ? line_13
				   : seen  ? arena_printf(a, "%zu,1,0.5", t)
					   : arena_printf(a, "%zu,0,nan", t);
		text = arena_printf(a, "%s%s\n", text, line);
	}
	return text;
}

static void check_tables(const char *target, const char *file, const char *header)
{
	static const struct {
		const char *line, *words;
	} bad[] = {
		{ "12,0,nan", ":13: t is 12; 11 is needed" },
		{ "nan,0,nan", ":13: t is nan" },
		{ "11.5,0,nan", ":13: t is 11.5" },
		{ "11,nan,0.2", ":13: observed is nan; 0 or 1" },
		{ "11,0.3,0.2", ":13: observed is 0.3; 0 or 1" },
		{ "11,-1,0.2", ":13: observed is -1; 0 or 1" },
		{ "11,1,nan", "is nan; where observed is 1 a finite number" },
		{ "11,1,inf", "is inf; where observed is 1 a finite number" },
		{ "11,1,0.2", ":31: 21 observations; 20 are needed" },
		{ "11,0", ":13: 2 fields" },
		{ "11,0,", ":13: field 3 is missing" },
		{ "", ":31: 29 rows; 30 are needed" },
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_refused(target, file, series_table(header, bad[i].line, a), bad[i].words);
	const char *headers[] = { "step,observed,value", "t,seen,value", "t,observed,value" };
	const char *words[] = { ":1: no column \"t\"", ":1: no column \"observed\"",
		":1: no column \"" };
	for (size_t i = 0; i < 3; i++)
		check_refused(target, file, series_table(headers[i], "11,0,nan", a), words[i]);
	/* Without a header the first line is numbers. */
	check_refused(target, file, "0,1,0.5\n1,1,0.5\n", ":1: no column \"t\"");
	arena_free(a);
}

static void test_tables(void **p)
{
	(void)p;
	check_tables("brownian", "brownian.csv", "t,observed,y");
	check_tables("lorenz", "lorenz.csv", "t,observed,x_obs");
	/* Each other's. */
	check_refused("brownian", "brownian.csv", "t,observed,x_obs\n0,1,0.5\n", "\"y\"");
	check_refused("lorenz", "lorenz.csv", "t,observed,y\n0,1,0.5\n", "\"x_obs\"");
}

/* Columns are found by their names. */
static void test_order_of_columns(void **p)
{
	char folder[] = "/tmp/stride_series_XXXXXX";
	struct fixture f, g;
	double y[SEEN], x[2 + STEPS], want, got;

	(void)p;
	fixture_open(&f, "brownian", NULL, 0);
	observations("brownian.csv", y, f.a);
	assert_non_null(mkdtemp(folder));
	const char *path = arena_printf(f.a, "%s/brownian.csv", folder);
	FILE *file = fopen(path, "w");
	fputs("y,more,t,observed\n", file);
	for (size_t t = 0, j = 0; t < STEPS; t++) {
		bool seen = j < SEEN && SEEN_AT[j] == t;
		fprintf(file, "%.17g,7,%zu,%d\n", seen ? y[j] : 5, t, seen);
		j += seen;
	}
	fclose(file);
	setenv("STRIDE_DATA", folder, 1);
	fixture_open(&g, "brownian", NULL, 0);
	unsetenv("STRIDE_DATA");
	unlink(path);
	rmdir(folder);
	for (size_t k = 0; k < 2 + STEPS; k++)
		x[k] = rng_gauss(stream, 9, 0, (uint32_t)k);
	density_eval(f.d, 1, x, &want, NULL);
	density_eval(g.d, 1, x, &got, NULL);
	assert_true(want == got);
	arena_free(f.a);
	arena_free(g.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_brownian_quadrature),
		cmocka_unit_test(test_brownian_scales),
		cmocka_unit_test(test_brownian_draws),
		cmocka_unit_test(test_brownian_scales_far),
		cmocka_unit_test(test_lorenz_definition),
		cmocka_unit_test(test_lorenz_far),
		cmocka_unit_test(test_lorenz_proposal),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_order_of_columns),
	};

	return run_target_tests("series", tests);
}
