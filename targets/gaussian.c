/* An isotropic Gaussian of any dimension, normalised: the simplest target, whose every number is
 * known. log rho(x) = -|x - m|^2 / (2 s^2) - dim log(s) - dim log(2 pi) / 2. */
#include "stride.h"

#include <gsl/gsl_cdf.h>

struct gaussian {
	double mean, std;
	long dim;
};

static const struct option options[] = {
	{ "mean", OPTION_REAL, offsetof(struct gaussian, mean), "0", -1e6, 1e6, "",
		"mean of every coordinate", NULL },
	{ "std", OPTION_REAL, offsetof(struct gaussian, std), "1", 1e-3, 1e3, "",
		"standard deviation of every coordinate", NULL },
	{ "dim", OPTION_INT, offsetof(struct gaussian, dim), "2", 1, 100000, "", "dimension",
		NULL },
	{ 0 },
};

static size_t dim(const void *state)
{
	const struct gaussian *g = state;

	return (size_t)g->dim;
}

/* |x| up to 1e6 gives (x - m) / s up to 2e9: its square and the sum over coordinates stay far
 * below the largest float. */
static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	const struct gaussian *g = state;
	const num mean = (num)g->mean, inverse = (num)(1 / g->std);
	const double constant = -(double)g->dim * (log(g->std) + LOG_2PI / 2);

	for (size_t i = 0; log_rho != NULL && i < n; i++)
		log_rho[i] = constant;
	for (size_t k = 0; k < dim(g); k++) {
		const num *xk = x + k * n;
		if (log_rho != NULL) {
#pragma omp simd
			for (size_t i = 0; i < n; i++) {
				num z = (xk[i] - mean) * inverse;
				log_rho[i] -= (double)(z * z / 2);
			}
		}
		if (grad != NULL) {
#pragma omp simd
			for (size_t i = 0; i < n; i++)
				grad[k * n + i] = -(xk[i] - mean) * inverse * inverse;
		}
	}
}

/* The Hessian does not depend on x; 0 x lets a NaN of a diverged point through. */
static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	const struct gaussian *g = state;
	const num precision = (num)(1 / (g->std * g->std));

#pragma omp simd
	for (size_t j = 0; j < dim(g) * n; j++)
		hv[j] = 0 * x[j] - precision * v[j];
}

static void draw(const void *state, struct rng r, uint64_t row, double *x)
{
	const struct gaussian *g = state;

	for (size_t k = 0; k < dim(g); k++)
		x[k] = g->mean + g->std * rng_gauss(r, 0, row, (uint32_t)k);
}

static void moments(const void *state, double *mean, double *sd)
{
	const struct gaussian *g = state;

	for (size_t k = 0; k < dim(g); k++) {
		mean[k] = g->mean;
		sd[k] = g->std;
	}
}

static double cdf(const void *state, size_t k, double x)
{
	const struct gaussian *g = state;

	(void)k;
	return gsl_cdf_gaussian_P(x - g->mean, g->std);
}

static void window(const void *state, struct window *out)
{
	const struct gaussian *g = state;
	double low = g->mean - 4 * g->std, high = g->mean + 4 * g->std;

	*out = (struct window){ low, high, low, high };
}

const TARGET(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Gaussian (isotropic)",
	.paper = "isotropic Gaussian, by its formula",
	.note = "Not in the papers' tables. mean=3 std=1 dim=1 is gauss_shift of the SCDS code. "
		"The Gaussian of the OSDS code, with its covariance, is gaussian2d.",
	.state_size = sizeof(struct gaussian),
	.options = options,
	.dim = dim,
	.eval = eval,
	.hvp = hvp,
	.draw = draw,
	.log_z = log_z_normalised,
	.moments = moments,
	.cdf = cdf,
	.window = window,
};
