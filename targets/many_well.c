/*
 * Many-well densities: `wells` double wells times a standard normal left without its constant,
 *
 *     log rho(x) = - sum_{k <= wells} (x_k^2 - delta)^2 - 1/2 sum_{k > wells} x_k^2.           (1)
 *
 * many_well_5 is the MW54 of the papers (5 wells, delta 4), many_well_50 the MW52 (5 wells of
 * delta 2 in 50 dimensions).
 */
#include "stride.h"

/* Integrals of one well exp(-(x^2 - delta)^2), by adaptive quadrature to 1e-15. */
struct well {
	double delta;
	double log_z;
	double sd;
};

static const struct well well_2 = { 2, 0.293001736664078, 1.35474784424647 };
static const struct well well_4 = { 4, -0.1082111025758907, 1.983457749067128 };

struct many_well {
	size_t dim, wells;
	const struct well *well;
};

static int init_5(void *state, struct arena *a)
{
	(void)a;
	*(struct many_well *)state = (struct many_well){ 5, 5, &well_4 };
	return OK;
}

static int init_50(void *state, struct arena *a)
{
	(void)a;
	*(struct many_well *)state = (struct many_well){ 50, 5, &well_2 };
	return OK;
}

static size_t dim(const void *state)
{
	const struct many_well *m = state;

	return m->dim;
}

/* |x| up to 1e6 gives x^4 up to 1e24: finite in float. */
static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	const struct many_well *m = state;
	const num delta = (num)m->well->delta;

	for (size_t i = 0; log_rho != NULL && i < n; i++)
		log_rho[i] = 0;
	for (size_t k = 0; k < m->dim; k++) {
		const num *xk = x + k * n;
		bool is_well = k < m->wells;
		if (log_rho != NULL) {
#pragma omp simd
			for (size_t i = 0; i < n; i++) {
				num square = xk[i] * xk[i], d = square - delta;
				log_rho[i] -= (double)(is_well ? d * d : square / 2);
			}
		}
		if (grad != NULL) {
			num *gk = grad + k * n;
#pragma omp simd
			for (size_t i = 0; i < n; i++)
				gk[i] = is_well ? -4 * xk[i] * (xk[i] * xk[i] - delta) : -xk[i];
		}
	}
}

static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	const struct many_well *m = state;
	const num delta = (num)m->well->delta;

	for (size_t k = 0; k < m->dim; k++) {
		bool is_well = k < m->wells;
#pragma omp simd
		for (size_t j = k * n; j < (k + 1) * n; j++)
			hv[j] = (is_well ? 4 * delta - 12 * x[j] * x[j] : -1) * v[j];
	}
}

/*
 * One well by rejection. Proposal q: a sign times N(sqrt(delta), 1/delta), an equal mixture. The
 * ratio of the normalised well to q is at most 2.64369 (delta 2) and 2.79309 (delta 4).
 */
static double draw_well(const struct well *w, struct rng r, uint64_t row, uint32_t k)
{
	const double envelope = 3, centre = sqrt(w->delta);
	double x, log_ratio;
	uint32_t attempt = 0;

	do {
		double sign = rng_uniform(r, attempt, row, 3 * k) < 0.5 ? -1 : 1;
		x = sign * centre + rng_gauss(r, attempt, row, 3 * k + 1) / centre;
		double a = centre * (x - centre), b = centre * (x + centre);
		double log_q = log((exp(-a * a / 2) + exp(-b * b / 2)) / 2) + log(w->delta) / 2 -
			       LOG_2PI / 2;
		double d = x * x - w->delta;
		log_ratio = -d * d - w->log_z - log_q;
	} while (!(rng_uniform(r, attempt++, row, 3 * k + 2) * envelope < exp(log_ratio)));
	return x;
}

static void draw(const void *state, struct rng r, uint64_t row, double *x)
{
	const struct many_well *m = state;

	for (uint32_t k = 0; k < m->dim; k++)
		x[k] = k < m->wells ? draw_well(m->well, r, row, k) : rng_gauss(r, 0, row, 3 * k);
}

static void log_z(const void *state, struct log_z *out)
{
	const struct many_well *m = state;

	*out = (struct log_z){ LOG_Z_QUADRATURE,
		(double)m->wells * m->well->log_z + (double)(m->dim - m->wells) * LOG_2PI / 2,
		1e-14, "one well by adaptive quadrature" };
}

static size_t modes(const void *state)
{
	const struct many_well *m = state;

	return (size_t)1 << m->wells;
}

/* Bit k of the mode: coordinate k is positive. */
static size_t classify(const void *state, const double *x)
{
	const struct many_well *m = state;
	size_t mode = 0;

	for (size_t k = 0; k < m->wells; k++)
		mode |= (size_t)(x[k] > 0) << k;
	return mode;
}

static void mode_weights(const void *state, double *weight)
{
	for (size_t k = 0; k < modes(state); k++)
		weight[k] = 1 / (double)modes(state);
}

static void moments(const void *state, double *mean, double *sd)
{
	const struct many_well *m = state;

	for (size_t k = 0; k < m->dim; k++) {
		mean[k] = 0;
		sd[k] = k < m->wells ? m->well->sd : 1;
	}
}

static void window(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ -3, 3, -3, 3 };
}

#define MANY_WELL                                                                     \
	.state_size = sizeof(struct many_well), .dim = dim, .eval = eval, .hvp = hvp, \
	.draw = draw, .log_z = log_z, .modes = modes, .classify = classify,           \
	.mode_weights = mode_weights, .moments = moments, .window = window

const TARGET(many_well_5) = {
	.name = "many_well_5",
	.title = "Many-well (5-D)",
	.paper = "Noe et al. 2019; MW54 of arXiv 2502.07579",
	.init = init_5,
	MANY_WELL,
};

const TARGET(many_well_50) = {
	.name = "many_well_50",
	.title = "Many-well (50-D)",
	.paper = "Noe et al. 2019; MW52 of arXiv 2502.07579",
	.init = init_50,
	MANY_WELL,
};
