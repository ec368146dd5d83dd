/* Metrics: the contract that every file of metrics/ keeps, published numbers, closed forms,
 * invariances and degenerate input. */
#include "core/stats.h"
#include "run/scoring.h"
#include "score/kernel.h"
#include "score/moments.h"
#include "score/pairs.h"
#include "score/reuse.h"
#include "score/transport.h"
#include "score/truncated.h"
#include "metrics.h"

#include <gsl/gsl_cdf.h>

static const double infinity = (double)INFINITY;

/* --- helpers --------------------------------------------------------------------------------- */

/* Equal to a relative tolerance; nan equals nan, inf equals inf. */
static void assert_same(double a, double b, double relative, const char *what)
{
	if ((isnan(a) && isnan(b)) || a == b)
		return;
	assert_near(a, b, relative * fabs(b), what);
}

/* n normal points with this standard deviation and this mean of the first coordinate. */
static double *gaussian(uint32_t epoch, size_t n, size_t dim, double mean, double sd)
{
	struct rng r = { .seed = 7, .purpose = RNG_TEST, .epoch = epoch };
	double *x = arena_alloc(arena, n * dim, sizeof(double));

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			x[i * dim + k] = (k == 0 ? mean : 0) + sd * rng_gauss(r, 0, i, (uint32_t)k);
	return x;
}

/* --- evidence -------------------------------------------------------------------------------- */

static struct scored weights_only(const double *log_w, size_t n)
{
	return (struct scored){ .n = n,
		.log_w = log_w,
		.log_w_forward = log_w,
		.elbo = not_a_number,
		.log_z_own = not_a_number,
		.log_z_se = not_a_number,
		.arena = arena };
}

/* The published functions in double on the same weights. Sums of 2000 terms in another order differ
 * by less than 2000 ulp, 4e-13; the values near 0 have terms of size 1. */
static void test_evidence_as_published(void **state)
{
	const char *columns[][2] = {
		{ "elbo", "osds_elbo_or_eubo_f64" },
		{ "eubo", "osds_elbo_or_eubo_f64" },
		{ "elbo_df", "osds_elbo_or_eubo_f64" },
		{ "logz_rev", "osds_logZ_reverse_f64" },
		{ "logz_df", "osds_logZ_reverse_f64" },
		{ "logz_fwd", "osds_logZ_forward_f64" },
		{ "ess_rev", "osds_ESS_reverse_f64" },
		{ "ess_df", "osds_ESS_reverse_f64" },
		{ "ess_fwd", "osds_ESS_forward_f64" },
	};
	struct csv *expected = read_expected(GOLDEN "shared_expected_logweights.csv");

	(void)state;
	assert_true(expected->rows >= 20);
	for (size_t i = 0; i < expected->rows; i++) {
		const char *name = field(expected, i, "name");
		struct csv *w = read_csv(arena_printf(arena, GOLDEN "logweights/%s.csv", name));
		assert_true((double)w->rows == number(expected, i, "n"));
		struct scored in = weights_only(w->x, w->rows);
		for (size_t c = 0; c < sizeof(columns) / sizeof(*columns); c++) {
			double value = value_of(columns[c][0], &in).value;
			const char *what = arena_printf(arena, "%s of %s", columns[c][0], name);
			double published = number(expected, i, columns[c][1]);
			/* A weight of +inf is a failure here, not an infinite evidence. */
			if (strstr(name, "posinf"))
				assert_true(isnan(value));
			else if (fabs(published) < 0.1 && strncmp(columns[c][0], "ess", 3) != 0)
				assert_near(value, published, 1e-13, what);
			else if (number(expected, i, "exact_log_ESS_forward") < -700)
				assert_near(value, published, 1e-300 + 1e-12 * fabs(published),
					what);
			else
				assert_same(value, published, 1e-11, what);
		}
	}
}

static void test_non_finite_weights(void **state)
{
	const double bad[] = { 0, not_a_number, 1 }, up[] = { 0, infinity, 1 };
	const double some[] = { -infinity, 0, 0, -infinity }, none[] = { -infinity, -infinity };
	const char *all[] = { "elbo", "eubo", "logz_rev", "logz_fwd", "ess_rev", "ess_fwd",
		"delta_logz", "elbo_df", "logz_df", "ess_df", "delta_logz_df" };

	(void)state;
	for (size_t c = 0; c < sizeof(all) / sizeof(*all); c++) {
		struct scored in = weights_only(bad, 3);
		assert_true(isnan(value_of(all[c], &in).value));
		in = weights_only(up, 3);
		assert_true(isnan(value_of(all[c], &in).value));
	}
	struct scored in = weights_only(some, 4);
	assert_near(value_of("logz_rev", &in).value, -log(2), 1e-15, "logz_rev");
	assert_near(value_of("ess_rev", &in).value, 0.5, 0, "ess_rev");
	assert_true(value_of("elbo", &in).value == -infinity);
	assert_true(value_of("logz_fwd", &in).value == -infinity);
	assert_true(value_of("ess_fwd", &in).value == 0);
	in = weights_only(none, 2);
	assert_true(value_of("logz_rev", &in).value == -infinity);
	assert_true(isnan(value_of("ess_rev", &in).value));
}

static void test_bounds_and_errors(void **state)
{
	enum { N = 4000 };
	const double s = 0.6;
	struct rng r = { .seed = 3, .purpose = RNG_TEST };
	double *reverse = arena_alloc(arena, N, sizeof(double));
	double *forward = arena_alloc(arena, N, sizeof(double));

	(void)state;
	/* A log-normal weight with log Z = 5: its log has mean 5 - s^2 / 2 under the sampler and
	 * 5 + s^2 / 2 under the target. */
	for (size_t i = 0; i < N; i++) {
		reverse[i] = 5 - s * s / 2 + s * rng_gauss(r, 0, i, 0);
		forward[i] = 5 + s * s / 2 + s * rng_gauss(r, 0, i, 1);
	}
	struct scored in = {
		.n = N,
		.log_w = reverse,
		.log_w_forward = forward,
		.elbo = not_a_number,
		.log_z = { LOG_Z_ESTIMATE, 5, 0.02, "" },
		.arena = arena,
	};
	struct value elbo = value_of("elbo", &in), eubo = value_of("eubo", &in);
	struct value up = value_of("logz_fwd", &in), down = value_of("logz_rev", &in);
	struct value delta = value_of("delta_logz", &in);
	/* Four standard errors, that of a mean being s / sqrt(n). */
	assert_near(elbo.se, s / sqrt(N), 0.1 * s / sqrt(N), "se of elbo");
	assert_near(elbo.value, 5 - s * s / 2, 4 * elbo.se, "elbo");
	assert_near(eubo.value, 5 + s * s / 2, 4 * eubo.se, "eubo");
	assert_near(down.value, 5, 4 * down.se, "logz_rev");
	assert_near(up.value, 5, 4 * up.se, "logz_fwd");
	assert_near(delta.value, down.value - 5, 0, "delta_logz");
	assert_near(delta.se, hypot(down.se, 0.02), 1e-15, "se of delta_logz");
	assert_near(value_of("ess_rev", &in).value, exp(-s * s), 0.05, "ess_rev");
	assert_near(value_of("ess_fwd", &in).value, exp(-s * s), 0.05, "ess_fwd");
	/* A bound that the method computed itself replaces the mean, but not for flows. */
	in.elbo = 1.5;
	assert_near(value_of("elbo", &in).value, 1.5, 0, "given elbo");
	assert_true(isnan(value_of("elbo", &in).se));
	assert_near(value_of("elbo_df", &in).value, elbo.value, 0, "elbo_df");
}

/* --- samples --------------------------------------------------------------------------------- */

/* The published functions, run in double. 1e-8 relative is the fixtures' own tolerance; `identical` is
 * a difference of equals, whose rounding is that of its terms, of size eps. */
static void test_sinkhorn_as_published(void **state)
{
	struct csv *expected = read_expected(GOLDEN "shared_expected_clouds.csv");
	size_t found = 0;

	(void)state;
	for (size_t i = 0; i < expected->rows; i++) {
		struct scored in;
		struct cloud x, y;
		struct transport xy, xx, yy;
		const char *name = field(expected, i, "case");
		if (!read_clouds(expected, i, &in))
			continue;
		found++;
		double published = number(expected, i, "osds_sd_f64");
		double eps = number(expected, i, "osds_sd_eps_f64");
		assert_near(value_of("sinkhorn_osds", &in).value, published,
			1e-9 * fabs(published) + 1e-13 * eps, name);
		assert_int_equal(cloud_make(&x, in.exact, in.n_exact, in.dim, arena), OK);
		assert_int_equal(cloud_make(&y, in.x, in.n, in.dim, arena), OK);
		assert_same(0.05 * cloud_mean_cost(&x, &y), eps, 1e-13, name);
		struct transport_rule rule = { eps, 1e-3, 10, 2000, false, NULL };
		transport_between(&x, &y, &rule, arena, &xy);
		transport_within(&x, &rule, arena, &xx);
		transport_within(&y, &rule, arena, &yy);
		assert_true((double)xy.iterations == number(expected, i, "osds_sd_iters_xy"));
		assert_true((double)xx.iterations == number(expected, i, "osds_sd_iters_xx"));
		assert_true((double)yy.iterations == number(expected, i, "osds_sd_iters_yy"));
		/* Errors of 1e-9 are differences of numbers of size 1. */
		assert_near(xy.error, number(expected, i, "osds_sd_err_xy_f64"), 1e-11, name);
		assert_near(xx.error, number(expected, i, "osds_sd_err_xx_f64"), 1e-11, name);
		assert_near(yy.error, number(expected, i, "osds_sd_err_yy_f64"), 1e-11, name);
	}
	assert_true(found >= 15);
}

/* The same solver at eps = 1e-3, where the potentials leave the range of the scalings all the time: the
 * published entropic cost after its 2000 iterations, and the converged values, by Newton's method, that
 * the fixtures give to 7e-10. */
static void test_transport_at_small_eps(void **state)
{
	struct csv *expected = read_expected(GOLDEN "shared_expected_clouds.csv");

	(void)state;
	for (size_t i = 0; i < expected->rows; i++) {
		struct scored in;
		struct cloud x, y;
		struct transport out;
		struct divergence d;
		const char *name = field(expected, i, "case");
		if (number(expected, i, "n") > 64 || !read_clouds(expected, i, &in))
			continue;
		assert_int_equal(cloud_make(&x, in.exact, in.n_exact, in.dim, arena), OK);
		assert_int_equal(cloud_make(&y, in.x, in.n, in.dim, arena), OK);
		struct transport_rule rule = { 1e-3, 1e-3, 10, 2000, false, NULL };
		transport_between(&x, &y, &rule, arena, &out);
		assert_true((double)out.iterations == number(expected, i, "osds_eot_iters"));
		assert_same(out.value, number(expected, i, "osds_eot_f64"), 1e-8, name);
		assert_near(out.error, number(expected, i, "osds_eot_err_f64"), 1e-8, name);

		double mean = cloud_mean_cost(&x, &y);
		rule = (struct transport_rule){ 0.05 * mean, 1e-9, 1, 5000, true, NULL };
		if (transport_divergence(&x, &y, &rule, NULL, true, arena, &d) != OK)
			fail_msg("%s: %s", name, error_text());
		assert_near(d.value, number(expected, i, "ref_sd_rel_conv"), 1e-9 * mean, name);
	}
}

static double distance(const double *x, const double *y, size_t dim)
{
	double sum = 0;

	for (size_t k = 0; k < dim; k++)
		sum += (x[k] - y[k]) * (x[k] - y[k]);
	return sqrt(sum);
}

/* The published truncated iteration. Its plan is of exponents of size 1e4 with a rounding of 1e-12,
 * which the rounds carry on; the fixtures' own tolerance is 1e-8. */
static void test_truncated_as_published(void **state)
{
	const struct truncation rule = { .eps = 1e-3, .tolerance = 1e-5, .cap = 100 };
	struct csv *expected = read_expected(GOLDEN "shared_expected_clouds.csv");
	size_t found = 0;

	(void)state;
	for (size_t i = 0; i < expected->rows; i++) {
		struct scored in;
		struct cloud x, y;
		struct truncated out;
		const char *name = field(expected, i, "case");
		if (!read_clouds(expected, i, &in) || in.n != in.n_exact)
			continue;
		found++;
		assert_same(value_of("sinkhorn_scds", &in).value,
			number(expected, i, "sde_sinkhorn_f64"), 1e-9, name);
		assert_int_equal(cloud_make(&x, in.exact, in.n_exact, in.dim, arena), OK);
		assert_int_equal(cloud_make(&y, in.x, in.n, in.dim, arena), OK);
		assert_int_equal(transport_truncated(&y, &x, &rule, arena, &out), OK);
		assert_true((double)out.rounds == number(expected, i, "sde_sinkhorn_iters"));
		assert_near(out.error, number(expected, i, "sde_sinkhorn_rowerr"), 1e-9, name);
		assert_int_equal(transport_truncated(&x, &y, &rule, arena, &out), OK);
		assert_same(out.value, number(expected, i, "sde_sinkhorn_swapped_np64"), 1e-9,
			name);
	}
	assert_true(found >= 12);
}

/* Long columns, strips that end early, clouds of unequal size: against the definition. */
static void test_truncated_by_definition(void **state)
{
	enum { N = 70, M = 101, DIM = 3 };
	static const double gaps[] = { 0, 0.3, 40 };

	(void)state;
	for (size_t c = 0; c < 3; c++) {
		double *x = gaussian(50, N, DIM, gaps[c], 1), *y = gaussian(51, M, DIM, 0, 0.2);
		double *f = arena_zalloc(arena, N, sizeof(double)), g[M], t[M], value = 0;
		const double eps = 2e-3;
		const struct truncation rule = { .eps = eps, .cap = 30 };
		struct cloud cx, cy;
		struct truncated out;

		assert_int_equal(cloud_make(&cx, x, N, DIM, arena), OK);
		assert_int_equal(cloud_make(&cy, y, M, DIM, arena), OK);
		for (size_t j = 0; j < M; j++)
			g[j] = -eps * log(M);
		for (int round = 0; round < 30; round++) {
			for (size_t i = 0; i < N; i++) {
				for (size_t j = 0; j < M; j++)
					t[j] = (g[j] - distance(x + i * DIM, y + j * DIM, DIM)) /
					       eps;
				f[i] = eps * (-log(N) - stats_log_sum_exp(t, M, 1));
			}
			for (size_t j = 0; j < M; j++) {
				for (size_t i = 0; i < N; i++)
					t[i] = (f[i] - distance(x + i * DIM, y + j * DIM, DIM)) /
					       eps;
				g[j] = eps * (-log(M) - stats_log_sum_exp(t, N, 1));
			}
		}
		for (size_t i = 0; i < N; i++)
			for (size_t j = 0; j < M; j++) {
				double cost = distance(x + i * DIM, y + j * DIM, DIM);
				value += cost * exp((f[i] + g[j] - cost) / eps);
			}
		assert_int_equal(transport_truncated(&cx, &cy, &rule, arena, &out), OK);
		assert_int_equal(out.rounds, 30);
		/* As above: exponents of size 2e4. */
		assert_same(out.value, value, 1e-9, "truncated");
	}
}

static void test_mmd_as_published(void **state)
{
	struct csv *expected = read_expected(GOLDEN "shared_expected_clouds.csv");
	size_t found = 0;

	(void)state;
	for (size_t i = 0; i < expected->rows; i++) {
		struct scored in;
		struct pairs p;
		const char *name = field(expected, i, "case");
		if (!read_clouds(expected, i, &in))
			continue;
		found++;
		assert_int_equal(pairs_make(&p, in.exact, in.n_exact, in.x, in.n, in.dim, 0, arena),
			OK);
		assert_same(kernel_median(&p.z, p.z.n, arena),
			number(expected, i, "osds_mmd_bandwidth_f64"), 1e-14, name);
		assert_same(value_of("mmd_osds", &in).value, number(expected, i, "osds_mmd_f64"),
			1e-11, name);
		/* The unbiased statistic at the bandwidth of all pairs but the diagonal: differences
		 * of means of size 1. */
		double h = kernel_median(&p.z, 0, arena);
		assert_same(h, number(expected, i, "ref_bw_offdiag"), 1e-14, name);
		pairs_kernel(&p, h);
		assert_near(pairs_u(&p), number(expected, i, "ref_mmd2_U_nodiag"), 1e-13, name);
	}
	assert_true(found >= 15);
}

/* One law against another: unequal numbers, a shift and a spread, heavy enough a computation. */
static struct scored two_laws(size_t n_exact, size_t n, size_t dim)
{
	return samples(gaussian(1, n_exact, dim, 0, 1), n_exact, gaussian(2, n, dim, 0.7, 1.3), n,
		dim);
}

static const char *const distances[] = { "sinkhorn_osds", "sinkhorn", "mmd_osds", "mmd_u" };

/* Only distances count, and squared costs scale by the square. Rotated coordinates differ by rounding,
 * which the solver, contracting, does not enlarge: 1e-10 of the value is a thousand times that. The
 * shift loses digits of the coordinates: 100 times its rounding. */
static void test_invariances(void **state)
{
	struct scored in = two_laws(120, 90, 3);

	(void)state;
	for (size_t c = 0; c < 4; c++) {
		double value = value_of(distances[c], &in).value;
		const double scales[] = { 1, 1, 7 }, shifts[] = { 0, 30, -2 };
		for (size_t k = 0; k < 3; k++) {
			struct scored out = in;
			out.x = moved(in.x, in.n, in.dim, true, scales[k], shifts[k]);
			out.exact = moved(in.exact, in.n_exact, in.dim, true, scales[k], shifts[k]);
			double factor = c < 2 ? scales[k] * scales[k] : 1;
			assert_same(value_of(distances[c], &out).value, factor * value, 1e-10,
				distances[c]);
		}
	}
}

/* Nothing separates a cloud from itself. The published stopping rule leaves 1e-3 of the marginals,
 * and an error of second order in it times eps. */
static void test_identical_clouds(void **state)
{
	enum { N = 150 };
	double *x = gaussian(3, N, 2, 0, 2);
	struct scored in = samples(x, N, x, N, 2);
	struct cloud cloud;
	struct pairs p;

	(void)state;
	assert_int_equal(cloud_make(&cloud, x, N, 2, arena), OK);
	double eps = 0.05 * cloud_mean_cost_within(&cloud);
	assert_near(value_of("sinkhorn", &in).value, 0, 1e-6 * eps, "sinkhorn");
	assert_near(value_of("sinkhorn_osds", &in).value, 0, 1e-3 * eps, "sinkhorn_osds");
	/* sqrt(2 (mean k) / (n - 1)), the mean over all ordered pairs; the bandwidth is that of the
	 * pooled cloud, where each point stands twice. */
	assert_int_equal(pairs_make(&p, x, N, x, N, 2, 0, arena), OK);
	pairs_kernel(&p, kernel_median(&p.z, 2 * N, arena));
	double mean = (2 * p.xx + N) / ((double)N * N);
	assert_near(value_of("mmd_osds", &in).value, sqrt(2 * mean / (N - 1)), 1e-12, "mmd_osds");
	/* The unbiased one has no diagonal within, and one between: slightly below 0. */
	pairs_kernel(&p, kernel_median(&cloud, 0, arena));
	mean = 2 * p.xx / ((double)N * (N - 1));
	assert_near(value_of("mmd_u", &in).value, 2 * (mean - 1) / N, 1e-12, "mmd_u");
}

/* The divergence of a cloud and its translate is the squared shift, at any eps: the plan and the cost
 * change by marginal terms alone. */
static void test_sinkhorn_of_a_shift(void **state)
{
	enum { N = 200 };
	double *x = gaussian(4, N, 2, 0, 1), *y = gaussian(4, N, 2, 3, 1);
	struct scored in = samples(x, N, y, N, 2);

	(void)state;
	/* Converged to 1e-6 of the marginals, times the largest potentials. */
	assert_near(value_of("sinkhorn", &in).value, 9, 1e-5, "shift");
}

/* Entropic transport between one-dimensional Gaussians N(0, s^2) and N(0, t^2) is known (Janati et
 * al. 2020; Mallasto et al. 2021). With cost |x - y|^2 and eps = 2 sigma^2, D = sqrt(4 s^2 t^2 +
 * sigma^4): OT = s^2 + t^2 - D + sigma^2 (1 - log(2 sigma^2) + log(D + sigma^2)). */
static double gaussian_ot(double s, double t, double eps)
{
	double sigma2 = eps / 2, d = sqrt(4 * s * s * t * t + sigma2 * sigma2);

	return s * s + t * t - d + sigma2 * (1 - log(2 * sigma2) + log(d + sigma2)) - sigma2;
}

static void test_sinkhorn_of_gaussians(void **state)
{
	enum { N = 1200 };
	double *x = arena_alloc(arena, N, sizeof(double)),
	       *y = arena_alloc(arena, N, sizeof(double));
	struct cloud cx, cy;
	struct divergence d;

	(void)state;
	/* Quantiles in place of samples: the error is of order 1 / N, mostly of the cut tails. */
	for (size_t i = 0; i < N; i++) {
		x[i] = gsl_cdf_ugaussian_Pinv(((double)i + 0.5) / N);
		y[i] = 1.8 * x[i];
	}
	assert_int_equal(cloud_make(&cx, x, N, 1, arena), OK);
	assert_int_equal(cloud_make(&cy, y, N, 1, arena), OK);
	for (double eps = 0.1; eps < 5; eps *= 6) {
		struct transport_rule rule = { eps, 1e-8, 1, 5000, true, NULL };
		if (transport_divergence(&cx, &cy, &rule, NULL, true, arena, &d) != OK)
			fail_msg("%s", error_text());
		double expected = gaussian_ot(1, 1.8, eps) -
				  (gaussian_ot(1, 1, eps) + gaussian_ot(1.8, 1.8, eps)) / 2;
		assert_near(d.value, expected, 4. / N, "gaussians");
	}
}

/* MMD^2 between N(0, I) and N(a, s^2 I) for the kernel of width h is a Gaussian integral: mean of
 * exp(-|u|^2 / 2 h^2) for u ~ N(b, v I) in dim d is (1 + v / h^2)^(-d/2) exp(-|b|^2 / 2 (h^2 + v)). */
static void test_mmd_of_gaussians(void **state)
{
	enum { N = 3000, DIM = 3 };
	struct scored in =
		samples(gaussian(5, N, DIM, 0, 1), N, gaussian(6, N, DIM, 0.7, 1.3), N, DIM);
	struct cloud x;

	(void)state;
	assert_int_equal(cloud_make(&x, in.exact, N, DIM, arena), OK);
	double h2 = pow(kernel_median(&x, 0, arena), 2), v = 1 + 1.3 * 1.3;
	double expected = pow(1 + 2 / h2, -DIM / 2.) + pow(1 + 2 * 1.69 / h2, -DIM / 2.) -
			  2 * pow(1 + v / h2, -DIM / 2.) * exp(-0.49 / (2 * (h2 + v)));
	/* The statistic's standard deviation is about 2 sd(k) / sqrt(N) times the root of the MMD
	 * itself, here below 0.003; four of these. */
	assert_near(value_of("mmd_u", &in).value, expected, 0.012, "mmd_u");
	/* Of two good samples it is 0 on average, and not the floor of the published one. */
	in.x = gaussian(7, N, DIM, 0, 1);
	assert_near(value_of("mmd_u", &in).value, 0, 6. / N, "mmd_u, same law");
	double floor = sqrt(2. / (N - 1));
	assert_near(value_of("mmd_osds", &in).value, floor, 0.3 * floor, "mmd_osds, same law");
}

/* Against a sort of all distances: ties, two clusters, tiny sets, extra zeros. */
static void test_median_of_distances(void **state)
{
	const size_t sizes[] = { 2, 3, 4, 65, 300 };

	(void)state;
	for (size_t s = 0; s < 5; s++)
		for (int kind = 0; kind < 4; kind++) {
			size_t n = sizes[s], pairs = n * (n - 1) / 2, at = 0;
			double *x = gaussian(8, n, 2, 0, 3);
			for (size_t i = 0; i < 2 * n; i++)
				x[i] = kind == 1   ? floor(x[i])
				       : kind == 2 ? x[i] + (i / 2 < n / 2 ? 1000 : 0)
				       : kind == 3 ? (double)(i == 0)
						   : x[i];
			double *all = ARENA_NEW(arena, pairs + n, double);
			for (size_t i = 0; i < n; i++)
				for (size_t j = 0; j < i; j++)
					all[at++] = hypot(x[2 * i] - x[2 * j],
						x[2 * i + 1] - x[2 * j + 1]);
			struct cloud cloud;
			assert_int_equal(cloud_make(&cloud, x, n, 2, arena), OK);
			assert_same(kernel_median(&cloud, 0, arena), stats_median(all, pairs),
				1e-15, "median");
			assert_same(kernel_median(&cloud, n, arena), stats_median(all, pairs + n),
				1e-15, "median with zeros");
		}
}

/* A number, or an error that says what is wrong; never a crash, never NaN as a result. */
static void test_degenerate_clouds(void **state)
{
	const double one[] = { 1, 2 }, same[] = { 1, 2, 1, 2, 1, 2 },
		     far[] = { 1e8, 0, 1e8, 1, -1e8, 5 };
	const double huge[] = { 1e200, 0, -1e200, 3, 0, 1e200 };
	const double *clouds[] = { one, same, far, huge };
	const size_t sizes[] = { 1, 3, 3, 3 };

	(void)state;
	for (size_t c = 0; c < 4; c++)
		for (size_t i = 0; i < 4; i++)
			for (size_t j = 0; j < 4; j++) {
				struct scored in =
					samples(clouds[i], sizes[i], clouds[j], sizes[j], 2);
				struct value out;
				int code = eval(distances[c], &in, &out);
				assert_true(code == OK ? isfinite(out.value)
						       : code == ERR_NUMERIC || code == ERR_RANGE);
				if (code != OK)
					assert_true(strlen(error_text()) > 10);
			}
	/* One point each: the squared distance. */
	const double other[] = { 4, 6 };
	struct scored in = samples(one, 1, other, 1, 2);
	assert_near(value_of("sinkhorn_osds", &in).value, 25, 1e-12, "two points");
	assert_int_equal(eval("sinkhorn", &in, &(struct value){ 0 }), ERR_RANGE);
	assert_int_equal(eval("mmd_u", &in, &(struct value){ 0 }), ERR_RANGE);
	for (size_t c = 0; c < 4; c++) {
		in = samples(same, 3, other, 0, 2);
		assert_int_not_equal(eval(distances[c], &in, &(struct value){ 0 }), OK);
	}
	/* A model that collapsed to one point far away: |x - y|^2 averaged, less half of OT(X, X). */
	in = samples(gaussian(9, 100, 2, 0, 1), 100, one, 1, 2);
	assert_true(value_of("sinkhorn", &in).value > 4);
}

/* A threshold that cannot be met is said, not hidden. */
static void test_unconverged_is_an_error(void **state)
{
	struct scored in = two_laws(50, 60, 2);
	struct cloud x, y;
	struct divergence d;

	(void)state;
	assert_int_equal(cloud_make(&x, in.exact, in.n_exact, 2, arena), OK);
	assert_int_equal(cloud_make(&y, in.x, in.n, 2, arena), OK);
	struct transport_rule rule = { 0.01, 1e-30, 1, 3, true, NULL };
	assert_int_equal(transport_divergence(&x, &y, &rule, NULL, true, arena, &d), ERR_NUMERIC);
	assert_non_null(strstr(error_text(), "after 3 iterations"));
	assert_int_equal(transport_divergence(&x, &y, &rule, NULL, false, arena, &d), OK);
}

static void test_too_many_samples(void **state)
{
	enum { MANY = 20000 };
	double *x = gaussian(10, MANY, 1, 0, 1);
	struct scored in = samples(x, MANY, x, MANY, 1);
	struct value out;

	(void)state;
	assert_int_equal(eval("sinkhorn", &in, &out), ERR_RANGE);
	assert_non_null(strstr(error_text(), "16384"));
	/* Without a kernel in memory there is no such bound; the order of the data is no matter. */
	struct cloud cloud;
	assert_int_equal(cloud_make(&cloud, x, MANY, 1, arena), OK);
	/* The median of |u - v| for standard normals is sqrt(2) * 0.6745; its error for n points is
	 * below 1 / sqrt(n). */
	assert_near(kernel_median(&cloud, 0, arena), 0.9539, 4 / sqrt(MANY), "median of 2e8");
}

/* The published coverage: classes by the fixtures' means, largest density first. */
static void test_coverage_as_published(void **state)
{
	struct csv *expected = read_expected(GOLDEN "shared_expected_emc.csv");
	size_t found = 0, scored = 0;

	(void)state;
	for (size_t i = 0; i < expected->rows; i++) {
		const char *name = field(expected, i, "name");
		const char *path = arena_printf(arena, GOLDEN "emc/%s.csv", name);
		FILE *f = fopen(path, "r");
		if (!f)
			continue;
		fclose(f);
		found++;
		struct csv *x = read_csv(path);
		struct csv *mean = read_csv(
			arena_printf(arena, GOLDEN "emc/shared_gmm40_d%zu_means.csv", x->cols));
		size_t count[64] = { 0 };
		assert_true(mean->rows == 40);
		for (size_t s = 0; s < x->rows; s++) {
			size_t best = 0;
			double nearest = infinity;
			for (size_t k = 0; k < mean->rows; k++) {
				double square = 0;
				for (size_t c = 0; c < x->cols; c++)
					square += pow(x->x[s * x->cols + c] -
							      mean->x[k * x->cols + c],
						2);
				if (square < nearest) {
					nearest = square;
					best = k;
				}
			}
			count[best]++;
		}
		double value = number(expected, i, "emc_f64");
		assert_near(stats_entropy(count, 40) / log(40), value, 1e-14, name);
		struct density *d;
		if (x->cols == 2 && density_new(&d, "gmm40_2d", NULL, 0, arena) == OK) {
			struct scored in = samples(NULL, 0, x->x, x->rows, x->cols);
			in.target = d;
			assert_near(value_of("emc", &in).value, value, 1e-14, name);
			scored++;
		}
	}
	assert_true(found >= 8 && scored >= 4);
}

/* --- moments --------------------------------------------------------------------------------- */

/* Weights 1, 2, 3 mean what repeats mean, but for the divisor: n - 1 = 5 of six repeats is there the sum
 * less that of the squares over the sum, 6 - 14/6. Log weights of 700 are rounded to 1e-13, the mean of
 * values up to 30 by less than 1e-11. */
static void test_moments_of_weights(void **state)
{
	const double x[] = { 1, -2, 4, 0.5, -3, 5 }, shift = 700;
	const double log_w[] = { shift, shift + log(2), shift + log(3) };
	const double repeats[] = { 1, -2, 4, 0.5, 4, 0.5, -3, 5, -3, 5, -3, 5 };
	double mean[2], sd[2], mean_repeats[2], sd_repeats[2];

	(void)state;
	moments_marginal(x, 3, 2, log_w, mean, sd, arena);
	moments_marginal(repeats, 6, 2, NULL, mean_repeats, sd_repeats, arena);
	assert_near(mean_repeats[0], 0, 1e-15, "mean");
	assert_near(sd_repeats[0], sqrt((1 + 2 * 16 + 3 * 9) / 5.0), 1e-14, "sd");
	for (size_t k = 0; k < 2; k++) {
		assert_near(mean[k], mean_repeats[k], 1e-12, "weighted mean");
		assert_near(sd[k], sd_repeats[k] * sqrt(5 / (6 - 14 / 6.0)), 1e-12, "weighted sd");
	}
	const double sums[] = { 60 + (4 + 2 * 0.25 + 3 * 25), 18 + (2 + 2 * 0.5 + 3 * 5),
		0 + (-2 + 2 * 0.5 + 3 * 5), 60 + 79.5 - 14 };
	for (int f = MOMENTS_SQUARE; f <= MOMENTS_SQUARE_MINUS_SUM; f++) {
		enum moments_of what = (enum moments_of)f;
		assert_near(moments_expectation(what, repeats, 6, 2, NULL, arena), sums[f] / 6,
			1e-13, "expectation");
		assert_near(moments_expectation(what, x, 3, 2, log_w, arena), sums[f] / 6, 1e-11,
			"weighted expectation");
	}
	assert_near(moments_distance(x, x + 2, 2), (3 + 2.5) / 2, 0, "distance");
}

/* Equal weights are none; a weight of 0 leaves its point out; bad weights are NaN. Sums of four numbers of
 * size 100 are rounded to less than 1e-13. */
static void test_moments_at_the_edges(void **state)
{
	const double x[] = { 1, 4, -2, 9 }, equal[] = { -700, -700, -700, -700 };
	const double three[] = { 0, 0, 0, -infinity };
	const double bad[][4] = { { 0, not_a_number, 0, 0 }, { 0, infinity, 0, 0 },
		{ -infinity, -infinity, -infinity, -infinity } };
	double mean, sd, m, s;

	(void)state;
	moments_marginal(x, 4, 1, NULL, &mean, &sd, arena);
	moments_marginal(x, 4, 1, equal, &m, &s, arena);
	assert_near(m, mean, 1e-13, "mean");
	assert_near(s, sd, 1e-13, "sd");
	moments_marginal(x, 3, 1, NULL, &mean, &sd, arena);
	moments_marginal(x, 4, 1, three, &m, &s, arena);
	assert_near(m, mean, 1e-13, "mean");
	assert_near(s, sd, 1e-13, "sd");
	for (size_t b = 0; b < 3; b++) {
		moments_marginal(x, 4, 1, bad[b], &m, &s, arena);
		assert_true(isnan(m) && isnan(s));
		assert_true(isnan(moments_expectation(MOMENTS_ABS, x, 4, 1, bad[b], arena)));
	}
	moments_marginal(x, 1, 1, NULL, &m, &s, arena);
	assert_true(m == 1 && isnan(s));
	moments_marginal(x, 0, 1, NULL, &m, &s, arena);
	assert_true(isnan(m) && isnan(s) && isnan(moments_inside(x, 0, 1, x)));
}

static void test_share_inside(void **state)
{
	const double box[] = { -1, 2, 0, 3 };
	const double x[] = { -1, 3, 2.5, 1, 0, -0.1, 1, not_a_number, 2, 0 };

	(void)state;
	assert_near(moments_inside(x, 5, 2, box), 0.4, 0, "two corners of five");
}

/* --- the contract ---------------------------------------------------------------------------- */

enum { CONTRACT_N = 150, CONTRACT_EXACT = 130 };

/* Ordinary input with everything in it, on a target with modes. */
static void contract_input(struct scored *in)
{
	struct density *d = NULL;
	size_t n = CONTRACT_N;

	for (size_t t = 0; targets[t] && !d; t++)
		if (targets[t]->modes && targets[t]->classify && targets[t]->draw)
			if (density_new(&d, targets[t]->name, NULL, 0, arena) != OK)
				fail_msg("%s", error_text());
	if (!d && density_new(&d, "gaussian", NULL, 0, arena) != OK)
		fail_msg("%s", error_text());
	size_t dim = density_dim(d);
	double *x = arena_alloc(arena, n * dim, sizeof(double));
	double *exact = arena_alloc(arena, CONTRACT_EXACT * dim, sizeof(double));
	struct rng r = { .seed = 1, .purpose = RNG_TEST };
	if (density_draw(d, r, 0, n, x) != OK)
		fail_msg("%s", error_text());
	if (density_draw(d, r, n, CONTRACT_EXACT, exact) != OK)
		fail_msg("%s", error_text());
	for (size_t i = 0; i < n * dim; i++)
		x[i] = 1.1 * x[i] + 0.2;
	double *log_w = arena_alloc(arena, n, sizeof(double));
	double *forward = arena_alloc(arena, n, sizeof(double));
	double *size = arena_alloc(arena, n, sizeof(double));
	double *sign = arena_alloc(arena, n, sizeof(double));
	for (size_t i = 0; i < n; i++) {
		log_w[i] = rng_gauss(r, 1, i, 0);
		forward[i] = 1 + rng_gauss(r, 1, i, 1);
		size[i] = 0.5 * rng_gauss(r, 1, i, 2);
		sign[i] = i % 8 == 3 ? -1 : 1;
	}
	*in = (struct scored){
		.n = n,
		.dim = dim,
		.x = x,
		.n_exact = CONTRACT_EXACT,
		.exact = exact,
		.log_w = log_w,
		.log_w_forward = forward,
		.log_abs_w = size,
		.sign = sign,
		.elbo = not_a_number,
		.log_z_own = 0.5,
		.log_z_se = 0.125,
		.target = d,
		.log_z = { LOG_Z_EXACT, 0.25, 0, "" },
		.seed = 5,
		.arena = arena,
	};
}

/* The input with all taken away that the metric does not declare. */
static struct scored declared(const struct metric *m, struct scored in)
{
	if (!(m->needs & NEEDS_SAMPLES))
		in.x = NULL;
	if (!(m->needs & (NEEDS_EXACT | NEEDS_MOMENTS))) {
		in.exact = NULL;
		in.n_exact = 0;
	}
	if (!(m->needs & (NEEDS_WEIGHTS | NEEDS_EVIDENCE)))
		in.log_w = NULL;
	if (!(m->needs & NEEDS_EVIDENCE))
		in.log_z_own = in.log_z_se = not_a_number;
	if (!(m->needs & NEEDS_FORWARD))
		in.log_w_forward = NULL;
	if (!(m->needs & NEEDS_FLOW))
		in.log_abs_w = in.sign = NULL;
	in.weights = m->needs & NEEDS_DETFLOW ? WEIGHTS_DETFLOW : WEIGHTS_EXACT;
	if (!(m->needs & NEEDS_LOG_Z))
		in.log_z = (struct log_z){ LOG_Z_UNKNOWN, not_a_number, not_a_number, "" };
	return in;
}

static const double *reversed(const double *x, size_t n, size_t dim)
{
	double *out = x ? arena_alloc(arena, n * dim, sizeof(double)) : NULL;

	for (size_t i = 0; x && i < n; i++)
		memcpy(out + i * dim, x + (n - 1 - i) * dim, dim * sizeof(double));
	return out;
}

static bool same_bits(struct value a, struct value b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static void test_contract(void **state)
{
	struct scored whole;

	(void)state;
	contract_input(&whole);
	double *x = arena_alloc(arena, whole.n * whole.dim, sizeof(double));
	memcpy(x, whole.x, whole.n * whole.dim * sizeof(double));
	for (const struct metric *const *p = metrics; *p; p++) {
		const struct metric *m = *p;
		struct scored in = declared(m, whole), turned = in;
		if (!scoring_applies(m, &in))
			continue;
		print_message("           %s\n", m->name);
		assert_true(strlen(m->title) > 0 && m->unit && m->paper && m->version >= 1);
		assert_true(m->needs != 0);
		assert_ptr_equal(metric_find(m->name), m);
		/* A floor is exact samples against exact samples: it needs samples alone. */
		if (m->floor)
			assert_false(m->needs & (NEEDS_WEIGHTS | NEEDS_FORWARD | NEEDS_LOG_Z));

		struct value first = value_of(m->name, &in);
		assert_true(isfinite(first.value));
		assert_true(isnan(first.se) || first.se >= 0);
		/* What is not declared changes nothing, and neither do repeats or threads. */
		assert_true(same_bits(first, value_of(m->name, &whole)));
		const size_t threads[] = { 1, 2, 7 };
		for (size_t t = 0; t < 3; t++) {
			parallel_use(threads[t]);
			assert_true(same_bits(first, value_of(m->name, &in)));
		}
		parallel_use(2);
		/* The order of samples means nothing. Sums in another order: 1e-10 is a thousand
		 * times their rounding, and far below any effect of pairing rows by number. */
		turned.x = reversed(in.x, in.n, in.dim);
		turned.log_w = reversed(in.log_w, in.n, 1);
		turned.log_w_forward = reversed(in.log_w_forward, in.n, 1);
		turned.log_abs_w = reversed(in.log_abs_w, in.n, 1);
		turned.sign = reversed(in.sign, in.n, 1);
		turned.exact = reversed(in.exact, in.n_exact, in.dim);
		struct value again = value_of(m->name, &turned);
		assert_near(again.value, first.value, 1e-10 * (1 + fabs(first.value)), m->name);
		assert_memory_equal(x, whole.x, whole.n * whole.dim * sizeof(double));
	}
}

static int count_rows(const struct scored *in, void **out)
{
	size_t *rows = ARENA_NEW(in->arena, 1, size_t);

	if (in->n_exact == 0)
		return cloud_check(&not_a_number, 1, 1);
	*rows = in->n_exact;
	*out = rows;
	return OK;
}

/* What is kept of the exact samples changes no bit, of the first draw or of a later one. */
static void test_contract_reuse(void **state)
{
	struct scored whole;
	void *first, *again, *other;

	(void)state;
	contract_input(&whole);
	struct scored next = whole, reusing = whole, part = whole;
	next.x = reversed(whole.x, whole.n / 2, whole.dim);
	next.n = whole.n / 2;
	reusing.reuse = part.reuse = reuse_new(whole.exact, whole.n_exact);
	for (const struct metric *const *p = metrics; *p; p++) {
		const struct metric *m = *p;
		if (!scoring_applies(m, &whole) || !(m->needs & NEEDS_EXACT))
			continue;
		struct value a = value_of(m->name, &whole), b = value_of(m->name, &next);
		reusing.x = whole.x;
		reusing.n = whole.n;
		struct value c = value_of(m->name, &reusing);
		reusing.x = next.x;
		reusing.n = next.n;
		struct value d = value_of(m->name, &reusing);
		assert_true(memcmp(&a, &c, sizeof(a)) == 0 && memcmp(&b, &d, sizeof(b)) == 0);
		assert_true(memcmp(&a, &b, sizeof(a)) != 0);
	}
	/* Made once; other exact samples have their own. */
	assert_int_equal(reuse_exact(&reusing, count_rows, &first), OK);
	assert_int_equal(reuse_exact(&reusing, count_rows, &again), OK);
	part.n_exact = 7;
	assert_int_equal(reuse_exact(&part, count_rows, &other), OK);
	assert_true(first == again && first != other);
	assert_int_equal(*(size_t *)first, whole.n_exact);
	assert_int_equal(*(size_t *)other, 7);
	reuse_free(reusing.reuse);
	part.reuse = reuse_new(whole.exact, 0);
	part.n_exact = 0;
	assert_int_equal(reuse_exact(&part, count_rows, &other), ERR_NUMERIC);
	reuse_free(part.reuse);
}

/* One bad number among good ones is an error or NaN, never a good-looking value. */
static void test_contract_non_finite(void **state)
{
	struct scored whole;
	const double bad[] = { not_a_number, infinity };

	(void)state;
	contract_input(&whole);
	double *x = arena_alloc(arena, whole.n * whole.dim, sizeof(double));
	double *log_w = arena_alloc(arena, whole.n, sizeof(double));
	memcpy(x, whole.x, whole.n * whole.dim * sizeof(double));
	memcpy(log_w, whole.log_w, whole.n * sizeof(double));
	whole.x = x;
	whole.log_w = whole.log_w_forward = whole.log_abs_w = log_w;
	for (size_t b = 0; b < 2; b++) {
		x[17 * whole.dim] = bad[b];
		log_w[17] = bad[b];
		for (const struct metric *const *p = metrics; *p; p++) {
			struct value out;
			if (!scoring_applies(*p, &whole))
				continue;
			int code = eval((*p)->name, &whole, &out);
			assert_true(code == ERR_NUMERIC || (code == OK && isnan(out.value)));
			if (code == ERR_NUMERIC && ((*p)->needs & NEEDS_SAMPLES))
				assert_non_null(strstr(error_text(), "1 of 150 samples"));
		}
	}
}

static int refuse(const struct scored *in, struct value *out)
{
	(void)in;
	(void)out;
	return cloud_check(&not_a_number, 1, 1);
}

/* Metrics side by side score what they score alone, on any number of threads, and say why where they do not. */
static void test_side_by_side(void **state)
{
	const struct metric refusing = { .name = "refusing",
		.needs = NEEDS_SAMPLES,
		.eval = refuse };
	const size_t threads[] = { 1, 2, 7 };
	struct arena *texts = arena_new();
	struct scored whole;
	size_t n = 0;

	(void)state;
	contract_input(&whole);
	while (metrics[n])
		n++;
	const struct metric **from = ARENA_NEW(arena, n + 2, const struct metric *);
	struct score *scores = ARENA_NEW(arena, n + 2, struct score), alone;
	from[0] = &refusing;
	memcpy(from + 1, metrics, n * sizeof(*from));
	from[n + 1] = &refusing;
	size_t applying = scoring_list(from, n + 2, &whole, scores), refused = 0;
	for (size_t t = 0; t < 3; t++) {
		parallel_use(threads[t]);
		assert_int_equal(scoring_run_all(scores, applying, &whole, texts), OK);
		for (size_t i = 0, k = 0; k < n + 2; k++) {
			if (!scoring_applies(from[k], &whole))
				continue;
			assert_ptr_equal(scores[i].metric, from[k]);
			scoring_run(from[k], &whole, &alone, texts);
			assert_true(same_bits(scores[i].value, alone.value));
			assert_int_equal(scores[i].failure != NULL, alone.failure != NULL);
			if (alone.failure != NULL)
				assert_string_equal(scores[i].failure, alone.failure);
			refused += from[k] == &refusing && scores[i].failure != NULL;
			i++;
		}
	}
	parallel_use(2);
	arena_free(texts);
	assert_int_equal(refused, 2 * 3);
}

/* Log Z of particles that share ancestors has the error that the method knows, or none; without weights
 * the method's own estimate is scored. */
static void test_log_z_of_the_method(void **state)
{
	const double log_w[] = { -1, 0.5, 0, 2 };
	struct scored in = weights_only(log_w, 4);

	(void)state;
	in.log_z = (struct log_z){ LOG_Z_ESTIMATE, 0.25, 0.04, "" };
	struct value alone = value_of("logz_rev", &in);
	in.dependent = true;
	struct value related = value_of("logz_rev", &in);
	assert_true(isfinite(alone.se) && isnan(related.se) && alone.value == related.value);
	in.log_z_se = 0.03;
	assert_true(value_of("logz_rev", &in).se == 0.03);
	assert_near(value_of("delta_logz", &in).se, 0.05, 1e-15, "delta_logz");
	in.log_w = NULL;
	in.log_z_own = -3;
	assert_true(value_of("logz_rev", &in).value == -3);
	assert_true(value_of("delta_logz", &in).value == -3.25);
	assert_near(value_of("delta_logz", &in).se, 0.05, 1e-15, "delta_logz");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_evidence_as_published, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_non_finite_weights, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bounds_and_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log_z_of_the_method, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sinkhorn_as_published, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_transport_at_small_eps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_truncated_as_published, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_truncated_by_definition, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mmd_as_published, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_invariances, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_identical_clouds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sinkhorn_of_a_shift, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sinkhorn_of_gaussians, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mmd_of_gaussians, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_median_of_distances, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_degenerate_clouds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unconverged_is_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many_samples, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_coverage_as_published, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moments_of_weights, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moments_at_the_edges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_share_inside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_contract, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_contract_reuse, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_contract_non_finite, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_side_by_side, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
