/*
 * Neal's funnel in ten dimensions. With v = x_1 and S = sum_{j >= 2} x_j^2,
 *
 *     v ~ N(0, 9),   x_j | v ~ N(0, e^v),  j = 2 .. 10,
 *     log rho(x) = -v^2/18 - log 3 - 5 log(2 pi) - 9 v/2 - S e^-v / 2.                        (1)
 */
#include "stride.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>

enum { DIM = 10, NECK = DIM - 1 /* coordinates whose scale is e^(v/2) */ };

struct funnel {
	double clip;
};

static const struct option options[] = {
	{ "clip", OPTION_REAL, offsetof(struct funnel, clip), "0", 0, 1e9, "",
		"clamp the exact samples to [-clip, clip]; 0: no. The reference samples of "
		"Beyond ELBOs and OSDS are clamped at 30, which the density is not",
		NULL },
	{ 0 },
};

/*
 * e^-v leaves the range of float for v < -88 and of double for v < -709. Its exponent is therefore
 * clamped at NUM_EXPONENT, and the products with e^-v at NUM_LARGE: so log rho stays finite instead
 * of -inf (or NaN where S = 0), and the gradient and H v finite, for |x| up to 1e6. The density is
 * unchanged for |v| < NUM_EXPONENT as long as S e^-v < NUM_LARGE, where log rho is below -1e36.
 */
static size_t dim(const void *state)
{
	(void)state;
	return DIM;
}

static inline num bounded(num x)
{
	return num_clamp(x, -NUM_LARGE, NUM_LARGE);
}

static inline num precision_of(num v)
{
	return num_exp(-num_clamp(v, -NUM_EXPONENT, NUM_EXPONENT));
}

/* At most TARGET_BLOCK points of a block of n. */
static void eval_block(const void *state, size_t n, size_t count, const num *x, double *log_rho,
	num *grad)
{
	num precision[TARGET_BLOCK], s[TARGET_BLOCK];

	(void)state;
#pragma omp simd
	for (size_t i = 0; i < count; i++) {
		precision[i] = precision_of(x[i]);
		s[i] = 0;
	}
	for (size_t k = 1; k < DIM; k++) {
		const num *xk = x + k * n;
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			s[i] += xk[i] * xk[i];
	}
#pragma omp simd
	for (size_t i = 0; i < count; i++)
		s[i] = num_clamp(s[i] * precision[i], 0, NUM_LARGE);
	if (log_rho != NULL) {
		const double constant = -log(3.0) - DIM * LOG_2PI / 2;
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			double v = (double)x[i];
			log_rho[i] = constant - v * v / 18 - NECK * v / 2 - (double)s[i] / 2;
		}
	}
	if (grad != NULL) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			grad[i] = s[i] / 2 - x[i] / 9 - (num)NECK / 2;
		for (size_t k = 1; k < DIM; k++) {
			const num *xk = x + k * n;
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				grad[k * n + i] = bounded(-xk[i] * precision[i]);
		}
	}
}

static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	num_eval_blocks(state, n, x, log_rho, grad, eval_block);
}

static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	(void)state;
#pragma omp simd
	for (size_t i = 0; i < n; i++) {
		num precision = precision_of(x[i]), s = 0, sv = 0;
		for (size_t k = 1; k < DIM; k++) {
			num xk = x[k * n + i], vk = v[k * n + i];
			s += xk * xk;
			sv += xk * vk;
			hv[k * n + i] = bounded(precision * (xk * v[i] - vk));
		}
		hv[i] = bounded(precision * (sv - s * v[i] / 2)) - v[i] / 9;
	}
}

static void draw(const void *state, struct rng r, uint64_t row, double *x)
{
	const struct funnel *f = state;

	x[0] = 3 * rng_gauss(r, 0, row, 0);
	for (uint32_t k = 1; k < DIM; k++)
		x[k] = exp(x[0] / 2) * rng_gauss(r, 0, row, k);
	for (size_t k = 0; f->clip > 0 && k < DIM; k++)
		x[k] = fmax(-f->clip, fmin(f->clip, x[k]));
}

/*
 * For importance sampling: v is 3 times a t with ten degrees of freedom, x_j | v ~ N(0, w^2 e^v).
 * Its tails are heavier than those of rho in all directions; the weights rho / q are at most 2.4
 * and have a variance of 0.16. No uniform of 52 bits takes |v| beyond 310, far from where e^v
 * overflows.
 */
static double propose(const void *state, struct rng r, uint64_t row, double *x)
{
	const double freedom = 10, w = sqrt(1.2);
	double t = gsl_cdf_tdist_Pinv(rng_uniform(r, 0, row, 0), freedom), square = 0;

	(void)state;
	x[0] = 3 * t;
	for (uint32_t k = 1; k < DIM; k++) {
		double z = rng_gauss(r, 0, row, k);
		x[k] = w * exp(x[0] / 2) * z;
		square += z * z;
	}
	return log(gsl_ran_tdist_pdf(t, freedom) / 3) - square / 2 -
	       NECK * (log(w) + x[0] / 2 + LOG_2PI / 2);
}

/* E x_j^2 = E e^v = e^(9/2). Of clamped samples only the mean is known: 0 by symmetry. */
static void moments(const void *state, double *mean, double *sd)
{
	const struct funnel *f = state;

	for (size_t k = 0; k < DIM; k++) {
		mean[k] = 0;
		sd[k] = f->clip > 0 ? (double)NAN : k == 0 ? 3 : exp(2.25);
	}
}

/*
 * x_j <= x has probability E Phi(x e^(-v/2)) over v = 3 u: the trapezoid rule over u. Its error
 * falls as e^(-2 pi d / step), where d = pi / 6 is the width of the strip around the real axis in
 * which the integrand stays bounded: to 1e-13. Of clamped samples, which do not follow the density,
 * nothing is said.
 */
static double cdf(const void *state, size_t k, double x)
{
	const struct funnel *f = state;
	const double step = 0.1;
	double sum = 0, total = 0;

	if (f->clip > 0 || isnan(x))
		return (double)NAN;
	if (k == 0)
		return gsl_cdf_gaussian_P(x, 3);
	for (int i = -85; i <= 85; i++) {
		double u = step * i, density = exp(-u * u / 2);
		sum += density * gsl_cdf_ugaussian_P(x * exp(-1.5 * u));
		total += density;
	}
	return sum / total;
}

static void window(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ -10, 5, -5, 5 };
}

const TARGET(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Funnel",
	.paper = "Neal 2003, Annals of Statistics 31, 705-767, section 8",
	.note = "OSDS and Beyond ELBOs clamp every coordinate of their exact samples to [-30, 30], "
		"which moves 3 % of the samples and takes the variance of x_2.. from 90.0 to 24.9. "
		"SCDS does not. Option clip=30 reproduces the clamped samples; the density is the "
		"same in all of them. In SCDS the variance of x_1 is the dimension less one, 9 "
		"here: the codes agree in ten dimensions only.",
	.state_size = sizeof(struct funnel),
	.options = options,
	.dim = dim,
	.eval = eval,
	.hvp = hvp,
	.draw = draw,
	.propose = propose,
	.log_z = log_z_normalised,
	.moments = moments,
	.cdf = cdf,
	.window = window,
};
