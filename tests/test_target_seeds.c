/* Seeds: the density by its definition, the data, and the proposal for importance sampling. */
#include "targets.h"

enum { PLATES = 21, DIM = 26, THETA = 25 };

/* Crowder 1978, table 3. */
static const struct {
	unsigned r, n;
	double x1, x2;
} table[PLATES] = { { 10, 39, 0, 0 }, { 23, 62, 0, 0 }, { 23, 81, 0, 0 }, { 26, 51, 0, 0 },
	{ 17, 39, 0, 0 }, { 5, 6, 0, 1 }, { 53, 74, 0, 1 }, { 55, 72, 0, 1 }, { 32, 51, 0, 1 },
	{ 46, 79, 0, 1 }, { 10, 13, 0, 1 }, { 8, 16, 1, 0 }, { 10, 30, 1, 0 }, { 8, 28, 1, 0 },
	{ 23, 45, 1, 0 }, { 0, 4, 1, 0 }, { 3, 12, 1, 1 }, { 22, 41, 1, 1 }, { 15, 30, 1, 1 },
	{ 32, 51, 1, 1 }, { 3, 7, 1, 1 } };

static double log_normal(double x, double sd)
{
	return -log(sd) - LOG_2PI / 2 - pow(x / sd, 2) / 2;
}

/* log of the probability of r of n, the coefficient as a product. */
static double log_binomial(unsigned r, unsigned n, double eta)
{
	double p = 1 / (1 + exp(-eta)), sum = r * log(p) + (n - r) * log(1 - p);

	for (unsigned k = 1; k <= r; k++)
		sum += log((double)(n - r + k) / k);
	return sum;
}

/* Factor by factor; theta has the density of tau times dtau/dtheta. */
static double by_definition(const double *x)
{
	const double tau = exp(x[THETA]), shape = 0.01, rate = 0.01;
	double sum =
		shape * log(rate) - lgamma(shape) + (shape - 1) * log(tau) - rate * tau + log(tau);

	for (size_t j = 0; j < 4; j++)
		sum += log_normal(x[j], 10);
	for (size_t i = 0; i < PLATES; i++) {
		double x1 = table[i].x1, x2 = table[i].x2, b = x[4 + i];
		double eta = x[0] + x[1] * x1 + x[2] * x1 * x2 + x[3] * x2 + b;
		sum += log_normal(b, 1 / sqrt(tau));
		sum += log_binomial(table[i].r, table[i].n, eta);
	}
	return sum;
}

static void test_definition(void **p)
{
	struct fixture f;
	double x[DIM], log_rho;

	(void)p;
	fixture_open(&f, "seeds", NULL, 0);
	assert_int_equal(f.dim, DIM);
	for (size_t i = 0; i < 100; i++) {
		for (size_t k = 0; k < DIM; k++)
			x[k] = 1.5 * rng_gauss(stream, 1, i, (uint32_t)k);
		density_eval(f.d, 1, x, &log_rho, NULL);
		double want = by_definition(x);
		/* Rounding; 1 - p loses digits where p is near 1, by up to e^8 here. */
		check_that(&f, fabs(log_rho - want) <= 1e-12 * (1 + fabs(want)),
			"log rho is %.17g, by definition %.17g", log_rho, want);
	}
	arena_free(f.a);
}

/* e^theta beyond the range of double: log rho and gradient stay numbers, and point the right
 * way. */
static void test_range(void **p)
{
	static const double thetas[] = { -1e6, -800, -95, 95, 800, 1e6 };
	struct fixture f;
	double x[DIM], grad[DIM], log_rho;

	(void)p;
	fixture_open(&f, "seeds", NULL, 0);
	for (size_t i = 0; i < sizeof(thetas) / sizeof(thetas[0]); i++)
		for (double b = -1e6; b <= 1e6; b += 1e6) {
			for (size_t k = 0; k < DIM; k++)
				x[k] = k < 4 ? 0 : b;
			x[THETA] = thetas[i];
			density_eval(f.d, 1, x, &log_rho, grad);
			check_that(&f, isfinite(log_rho) && log_rho < 0, "log rho is %g", log_rho);
			for (size_t k = 0; k < DIM; k++)
				check_that(&f, isfinite(grad[k]), "gradient %zu is %g", k + 1,
					grad[k]);
			check_that(&f, grad[THETA] * thetas[i] < 0, "gradient %g along theta at %g",
				grad[THETA], thetas[i]);
		}
	arena_free(f.a);
}

/* Computed independently of stride, with these errors: by quadrature (theta) and quasi-random
 * importance sampling (a), the random effects integrated out, another way than the proposal's. */
static const struct {
	double mean, se;
} known[DIM] = { { -0.5493211218, 9.6e-05 }, { 0.0720694141, 0.00054 }, { -0.8304618005, 0.0015 },
	{ 1.356569762, 0.00041 }, { -0.2220214582, 4.4e-05 }, { 0.007937834253, 5.5e-05 },
	{ -0.2234944466, 5.9e-05 }, { 0.3042635275, 5.2e-05 }, { 0.1301458418, 4.6e-05 },
	{ 0.0842843684, 6e-05 }, { 0.06707830838, 0.00028 }, { 0.1978497687, 0.00027 },
	{ -0.1438562705, 0.00025 }, { -0.2881106358, 0.0003 }, { 0.08422582312, 0.00011 },
	{ 0.1370441932, 0.00019 }, { -0.08251408823, 0.00026 }, { -0.1588303524, 0.00025 },
	{ 0.261955864, 0.00032 }, { -0.1559812106, 6.1e-05 }, { -0.2434713801, 0.00019 },
	{ 0.05429268219, 0.00039 }, { -0.01269125091, 0.00033 }, { 0.2512924615, 0.00042 },
	{ -0.04905260525, 0.00013 }, { 2.470294812, 1.1e-05 } };
static const double known_log_z = -73.40475205, known_log_z_se = 0.00093;
static const double known_sd_theta = 0.878002177;

/* Weights rho / q of draws, divided by Z as it is known. */
static void weigh(const struct fixture *f, size_t n, double *x, double *w)
{
	for (size_t i = 0; i < n; i++) {
		double log_rho;
		double log_q = f->t->propose(density_state(f->d), stream, i, x + i * DIM);
		density_eval(f->d, 1, x + i * DIM, &log_rho, NULL);
		w[i] = exp(log_rho - log_q - known_log_z);
	}
}

/* Mean of value under the weights, with its standard error. */
static double weighted_mean(size_t n, const double *w, const double *value, size_t stride,
	double *se)
{
	double total = 0, mean = 0, square = 0;

	for (size_t i = 0; i < n; i++) {
		total += w[i];
		mean += w[i] * value[i * stride];
	}
	mean /= total;
	for (size_t i = 0; i < n; i++)
		square += pow(w[i] * (value[i * stride] - mean), 2);
	*se = sqrt(square) / total;
	return mean;
}

static void test_proposal(void **p)
{
	enum { N = 5000 };
	struct fixture f;
	double again[DIM], mean, se;

	(void)p;
	fixture_open(&f, "seeds", NULL, 0);
	double *x = block(&f, N), *w = arena_alloc(f.a, N, sizeof(*w));
	double *square = arena_alloc(f.a, N, sizeof(*square));
	weigh(&f, N, x, w);
	mean_of(w, N, 1, &mean, &se);
	/* Their relative variance is 0.09, which gives 0.0042. */
	check_that(&f, se < 0.006, "the weights' standard error is %g", se);
	check_that(&f, fabs(log(mean)) <= 4 * hypot(se / mean, known_log_z_se),
		"log Z is %.5f +- %.5f", known_log_z + log(mean), se / mean);
	for (size_t k = 0; k < DIM; k++) {
		mean = weighted_mean(N, w, x + k, DIM, &se);
		check_that(&f, fabs(mean - known[k].mean) <= SIGMAS * hypot(se, known[k].se),
			"mean %zu is %g +- %g, known %g", k + 1, mean, se, known[k].mean);
		check_that(&f, se < 0.01 * (k == THETA || k < 4 ? 2 : 1), "error %zu is %g", k + 1,
			se);
	}
	for (size_t i = 0; i < N; i++)
		square[i] = pow(x[i * DIM + THETA] - known[THETA].mean, 2);
	mean = weighted_mean(N, w, square, 1, &se);
	check_that(&f, fabs(mean - pow(known_sd_theta, 2)) <= SIGMAS * se,
		"variance of theta is %g +- %g", mean, se);
	/* Pure: the same counter, the same draw. */
	f.t->propose(density_state(f.d), stream, 1234, again);
	assert_memory_equal(again, x + 1234 * DIM, sizeof(again));
	arena_free(f.a);
}

/* The data with another last line. */
static char *table_text(const char *header, const char *last, struct arena *a)
{
	char *text = arena_printf(a, "%s\n", header);

	for (size_t k = 0; k < PLATES - 1; k++)
		text = arena_printf(a, "%s%u,%u,%g,%g\n", text, table[k].r, table[k].n, table[k].x1,
			table[k].x2);
	return arena_printf(a, "%s%s\n", text, last);
}

static void test_bad_data(void **p)
{
	static const struct {
		const char *plate, *words;
	} bad[] = {
		{ "5,4,0,0", ":22: r = 5 of n = 4" },
		{ "-1,4,0,0", ":22: r = -1 of n = 4" },
		{ "10.5,14,0,0", ":22: r = 10.5 of n = 14; whole numbers" },
		{ "10,14.5,0,0", ":22: r = 10 of n = 14.5; whole numbers" },
		{ "10,1e7,0,0", ":22: r = 10 of n = 1e+07" },
		{ "1,4,0,1e4", ":22: x1 = 0, x2 = 10000" },
		{ "1,4,nan,0", ":22: field 3 is nan" },
		{ "1,4,0", ":22: 3 fields" },
		{ "1,,0,0", ":22: field 2 is missing" },
		{ "", ":21: 20 rows; 21 are needed" },
	};
	static const char *const headers[] = { "a,n,x1,x2", "r,b,x1,x2", "r,n,c,x2", "r,n,x1,d" };
	static const char *const lacking[] = { "\"r\"", "\"n\"", "\"x1\"", "\"x2\"" };
	struct arena *a = arena_new();

	(void)p;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_refused("seeds", "seeds.csv", table_text("r,n,x1,x2", bad[i].plate, a),
			bad[i].words);
	for (size_t i = 0; i < 4; i++)
		check_refused("seeds", "seeds.csv", table_text(headers[i], "1,4,0,0", a),
			arena_printf(a, ":1: no column %s", lacking[i]));
	check_refused("seeds", "seeds.csv", "1,4,0,0\n", ":1: no column \"r\"");
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_definition),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_proposal),
		cmocka_unit_test(test_bad_data),
	};

	return run_target_tests("seeds", tests);
}
