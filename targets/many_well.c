/*
 * Many-well densities: coordinates that are double wells and coordinates that are standard normals
 * left without their constant,
 *
 *     log rho(x) = sum_wells [ -(t^2 - delta)^2 + slope t + level ] - 1/2 sum_others x_k^2,
 *     t = x_k - shift.                                                                        (1)
 *
 * The wells are the coordinates 1, 1 + stride, 1 + 2 stride, ... With FAB's a / 2 + 6 a^2 - a^4 as
 * -(a^2 - 3)^2 + a / 2 + 9 all of them are one family.
 */
#include "stride.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_integration.h>

/* A well and its integrals, by quadrature to 1e-15: log of the total, moments of t, the part of t <
 * 0. */
struct well {
	double delta, slope, level, shift;
	double log_z, mean, sd, left;
};

static const struct well well_2 = { 2, 0, 0, 0, 0.293001736664078, 0, 1.35474784424647, 0.5 };
static const struct well well_shifted = { 2, 0, 0, 1.5, 0.293001736664078, 0, 1.35474784424647,
	0.5 };
static const struct well well_4 = { 4, 0, 0, 0, -0.1082111025758907, 0, 1.983457749067128, 0.5 };
static const struct well well_fab = { 3, 0.5, 9, 0, 9.3745411738691952, 1.1879609833761466,
	1.2444094151302921, 0.15569290378886083 };

struct many_well {
	size_t dim, wells, stride;
	const struct well *well;
};

static int init_5(void *state, struct arena *a)
{
	(void)a;
	*(struct many_well *)state = (struct many_well){ 5, 5, 1, &well_4 };
	return OK;
}

static int init_50(void *state, struct arena *a)
{
	(void)a;
	*(struct many_well *)state = (struct many_well){ 50, 5, 1, &well_2 };
	return OK;
}

static int init_32(void *state, struct arena *a)
{
	(void)a;
	*(struct many_well *)state = (struct many_well){ 32, 16, 2, &well_fab };
	return OK;
}

static int init_1(void *state, struct arena *a)
{
	(void)a;
	*(struct many_well *)state = (struct many_well){ 1, 1, 1, &well_shifted };
	return OK;
}

static size_t dim(const void *state)
{
	const struct many_well *m = state;

	return m->dim;
}

static bool is_well(const struct many_well *m, size_t k)
{
	return k % m->stride == 0 && k / m->stride < m->wells;
}

/* |x| up to 1e6 gives x^4 up to 1e24: finite in float. */
static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	const struct many_well *m = state;
	const struct well *w = m->well;
	const num delta = (num)w->delta, slope = (num)w->slope, shift = (num)w->shift;

	for (size_t i = 0; log_rho != NULL && i < n; i++)
		log_rho[i] = (double)m->wells * w->level;
	for (size_t k = 0; k < m->dim; k++) {
		const num *xk = x + k * n;
		bool well = is_well(m, k);
		if (log_rho != NULL) {
#pragma omp simd
			for (size_t i = 0; i < n; i++) {
				num t = xk[i] - shift, d = t * t - delta;
				log_rho[i] +=
					(double)(well ? slope * t - d * d : -xk[i] * xk[i] / 2);
			}
		}
		if (grad != NULL) {
			num *gk = grad + k * n;
#pragma omp simd
			for (size_t i = 0; i < n; i++) {
				num t = xk[i] - shift;
				gk[i] = well ? slope - 4 * t * (t * t - delta) : -xk[i];
			}
		}
	}
}

static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	const struct many_well *m = state;
	const num delta = (num)m->well->delta, shift = (num)m->well->shift;

	for (size_t k = 0; k < m->dim; k++) {
		bool well = is_well(m, k);
#pragma omp simd
		for (size_t j = k * n; j < (k + 1) * n; j++) {
			num t = x[j] - shift;
			/* In all coordinates NaN stays. */
			hv[j] = (well ? 4 * delta - 12 * t * t : -1 + 0 * t) * v[j];
		}
	}
}

/* The normalised density of t. */
static double well_density(double t, void *p)
{
	const struct well *w = p;
	double d = t * t - w->delta;

	return exp(w->slope * t + w->level - d * d - w->log_z);
}

/*
 * One well by rejection. Proposal q: N(-sqrt(delta), 1/delta) with the mass of t < 0, otherwise
 * N(sqrt(delta), 1/delta). The ratio of the normalised well to q is at most 2.64369 (delta 2),
 * 2.79310 (delta 4), 2.81854 (FAB).
 */
static double draw_well(const struct well *w, struct rng r, uint64_t row, uint32_t k)
{
	const double envelope = 3, centre = sqrt(w->delta);
	double t, q;
	uint32_t attempt = 0;

	do {
		double sign = rng_uniform(r, attempt, row, 3 * k) < w->left ? -1 : 1;
		t = sign * centre + rng_gauss(r, attempt, row, 3 * k + 1) / centre;
		double a = centre * (t - centre), b = centre * (t + centre);
		q = ((1 - w->left) * exp(-a * a / 2) + w->left * exp(-b * b / 2)) * centre *
		    exp(-LOG_2PI / 2);
	} while (!(rng_uniform(r, attempt++, row, 3 * k + 2) * envelope * q <
		   well_density(t, (void *)w)));
	return w->shift + t;
}

static void draw(const void *state, struct rng r, uint64_t row, double *x)
{
	const struct many_well *m = state;

	for (uint32_t k = 0; k < m->dim; k++)
		x[k] = is_well(m, k) ? draw_well(m->well, r, row, k) : rng_gauss(r, 0, row, 3 * k);
}

static void log_z(const void *state, struct log_z *out)
{
	const struct many_well *m = state;

	*out = (struct log_z){ LOG_Z_QUADRATURE,
		(double)m->wells * m->well->log_z + (double)(m->dim - m->wells) * LOG_2PI / 2,
		(double)m->wells * 2e-15, "one well by adaptive quadrature" };
}

static size_t modes(const void *state)
{
	const struct many_well *m = state;

	return (size_t)1 << m->wells;
}

/* Bit j of the mode: well j is on the right. */
static size_t classify(const void *state, const double *x)
{
	const struct many_well *m = state;
	size_t mode = 0;

	for (size_t j = 0; j < m->wells; j++)
		mode |= (size_t)(x[j * m->stride] > m->well->shift) << j;
	return mode;
}

static void mode_weights(const void *state, double *weight)
{
	const struct many_well *m = state;

	for (size_t mode = 0; mode < modes(state); mode++) {
		weight[mode] = 1;
		for (size_t j = 0; j < m->wells; j++)
			weight[mode] *= mode >> j & 1 ? 1 - m->well->left : m->well->left;
	}
}

static void moments(const void *state, double *mean, double *sd)
{
	const struct many_well *m = state;

	for (size_t k = 0; k < m->dim; k++) {
		bool well = is_well(m, k);
		mean[k] = well ? m->well->shift + m->well->mean : 0;
		sd[k] = well ? m->well->sd : 1;
	}
}

/*
 * The part of t < 0 and the integral from there. Beyond 3.5 a well has less than 1e-29. Kronrod's
 * 61 points integrate polynomials of degree 91: less than 1e-14 is left of a bump that is a
 * twentieth of the interval wide.
 */
static double cdf(const void *state, size_t k, double x)
{
	const struct many_well *m = state;
	const double reach = 3.5;
	double from_0, error, absolute, deviation;

	if (isnan(x))
		return x;
	if (!is_well(m, k))
		return gsl_cdf_ugaussian_P(x);
	double t = fmax(-reach, fmin(reach, x - m->well->shift));
	gsl_function density = { well_density, (void *)m->well };
	gsl_integration_qk61(&density, 0, t, &from_0, &error, &absolute, &deviation);
	return m->well->left + from_0;
}

static void window(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ -3, 3, -3, 3 };
}

static void window_1(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ -1.5, 4.5, 0, 1.1 };
}

#define MANY_WELL                                                                     \
	.state_size = sizeof(struct many_well), .dim = dim, .eval = eval, .hvp = hvp, \
	.draw = draw, .log_z = log_z, .modes = modes, .classify = classify,           \
	.mode_weights = mode_weights, .moments = moments, .cdf = cdf

const TARGET(double_well) = {
	.name = "double_well",
	.title = "Double well (1-D)",
	.paper = "Richter and Berner 2024, arXiv 2307.01198; Jutras-Dube, Pynadath and Zhang "
		 "2025, arXiv 2502.07579 (dw_shift)",
	.note = "One well of many_well_50, moved to 1.5. Published code sets log Z by Boole's "
		"rule in float: 0.292977 instead of 0.293002.",
	.init = init_1,
	.window = window_1,
	MANY_WELL,
};

const TARGET(many_well_5) = {
	.name = "many_well_5",
	.title = "Many-well (5-D)",
	.paper = "Richter and Berner 2024, arXiv 2307.01198; Jutras-Dube, Pynadath and Zhang "
		 "2025, arXiv 2502.07579 (MW54); code of OSDS, arXiv 2512.05251",
	.note = "delta 4. Errors of log Z in the literature may be against other values than this "
		"one: the code of OSDS (arXiv 2512.05251) takes a random Riemann sum in float, "
		"-0.548758 instead of -0.541056; that of SCDS (arXiv 2502.07579) Boole's rule in "
		"float, -0.108231 a well instead of -0.108211. OSDS starts it at the standard "
		"deviation 0.1, SCDS at 1.",
	.init = init_5,
	.window = window,
	MANY_WELL,
};

const TARGET(many_well_50) = {
	.name = "many_well_50",
	.title = "Many-well (50-D)",
	.paper = "Richter and Berner 2024, arXiv 2307.01198; Jutras-Dube, Pynadath and Zhang "
		 "2025, arXiv 2502.07579 (MW52); code of OSDS, arXiv 2512.05251",
	.note = "delta 2; wells in the first 5 coordinates. Errors of log Z in the literature may "
		"be against other values than this one: the class of OSDS (arXiv 2512.05251) "
		"takes a random Riemann sum in float, 42.827564 instead of 42.817243; SCDS (arXiv "
		"2502.07579) Boole's rule in float, 0.292977 a well instead of 0.293002.",
	.init = init_50,
	.window = window,
	MANY_WELL,
};

const TARGET(many_well_32) = {
	.name = "many_well_32",
	.title = "Many-well (32-D)",
	.paper = "Midgley et al. 2023, arXiv 2208.01893; Blessing et al. 2024, arXiv 2406.07423 "
		 "(many_well)",
	.note = "Wells in the odd coordinates, of unequal depth: left 0.1557, right 0.8443 of the "
		"mass. log Z is that of the published constant, 11784.50927 a well, to all its "
		"digits. Published code has no exact sampler. Its test set puts a point at -1.7 "
		"or 1.7 in each well, all 65536 equally often, and counts a mode as hit in "
		"[-1.75, -1.65] and [1.7, 1.8]; the wells' bottoms are at -1.7108 and 1.7525, and "
		"a mode here is all of the side that it is on.",
	.init = init_32,
	.window = window,
	MANY_WELL,
};
