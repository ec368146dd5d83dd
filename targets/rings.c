/*
 * Two radial densities of the plane, r = |x|:
 *
 *     rings_cos   rho = cos r + 1.001 for r <= c, e^(c - r) beyond,  c = 9/2 pi,              (1)
 *     rings       rho = exp(-100 min_k (r - k)^2),  k = 1, 3, 5.                              (2)
 *
 * With f(r) = log rho and x^ = x / r, the gradient is f' x^, the Hessian
 * f'' x^ x^' + f'/r (I - x^ x^'). All else is integrals over the radius, which are closed:
 *
 *     M_p(r) = integral_0^r s^p rho(s) ds,   Z = 2 pi M_1,   E r^2 = M_3 / M_1,               (3)
 *     P(|x| <= r) = M_1(r) / M_1(infinity)   (inverted by the sampler),                       (4)
 *     P(x_1 > a) = 1/pi integral_0^infinity (1 - P(|x| <= a cosh t)) / cosh t dt.             (5)
 *
 * Eq. 5 averages over the angle, cos(angle) = 1 / cosh t.
 */
#include "stride.h"

enum { RINGS = 3 };

struct shape {
	/* M_p(r), p = 1 or 3, r <= reach. */
	double (*integral)(double r, int p);
	double border[RINGS]; /* outer radii of the rings' cells */
	double reach;         /* all of the mass, to 1e-17 */
	double half_width;    /* of the window */
};

struct rings {
	const struct shape *shape;
};

/* --- profiles ---------------------------------------------------------------------------- */

/*
 * Profiles are computed in double in both instances: in the valleys of rings_cos f' changes by a
 * thousand per unit of r, and on the rings of the other by 200, so that a radius rounded to float
 * would spoil the gradient. In float only x and the results are.
 */
struct profile {
	double value, slope, curvature; /* f, f'/r and f'' */
};

#define EDGE (4.5 * M_PI)

/* sin r and cos r for 0 <= r <= EDGE to 2e-16, without branches: r less a multiple of pi/2 in two
 * parts, Taylor on [-pi/4, pi/4]. */
static inline void sine_cosine(double r, double *s, double *c)
{
	const double round = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to an integer */
	double shifted = r * (2 / M_PI) + round, n = shifted - round;
	double y = (r - n * 1.57079632679489655800) - n * 6.12323399573676603587e-17, z = y * y;
	double sine = 1.0 / 355687428096000.0;
	double cosine = 1.0 / 20922789888000.0;
	uint64_t bits;

	sine = sine * z - 1.0 / 1307674368000.0;
	sine = sine * z + 1.0 / 6227020800.0;
	sine = sine * z - 1.0 / 39916800.0;
	sine = sine * z + 1.0 / 362880.0;
	sine = sine * z - 1.0 / 5040.0;
	sine = sine * z + 1.0 / 120.0;
	sine = sine * z - 1.0 / 6.0;
	sine = sine * z * y + y;
	cosine = cosine * z - 1.0 / 87178291200.0;
	cosine = cosine * z + 1.0 / 479001600.0;
	cosine = cosine * z - 1.0 / 3628800.0;
	cosine = cosine * z + 1.0 / 40320.0;
	cosine = cosine * z - 1.0 / 720.0;
	cosine = cosine * z + 1.0 / 24.0;
	cosine = cosine * z - 0.5;
	cosine = cosine * z + 1;
	memcpy(&bits, &shifted, sizeof(bits));
	double swapped_s = bits & 1 ? cosine : sine, swapped_c = bits & 1 ? sine : cosine;
	*s = bits & 2 ? -swapped_s : swapped_s;
	*c = (bits + 1) & 2 ? -swapped_c : swapped_c;
}

/* Eq. 1. At r = 0 f is smooth: f' / r tends to f''. Automatic differentiation gives NaN there. */
static inline struct profile profile_cos(double r)
{
	double s, c, inner = r <= EDGE ? r : EDGE;

	sine_cosine(inner, &s, &c);
	double rho = c + 1.001, sinc = inner > 0 ? s / inner : 1;
	bool outside = !(r <= EDGE); /* a NaN is, and is kept */
	return (struct profile){
		.value = outside ? EDGE - r : rho,
		.slope = outside ? -1 / r : -sinc / rho,
		.curvature = outside ? 0 : -(1 + 1.001 * c) / (rho * rho),
	};
}

/* Eq. 2. At r = 0 f has a tip: its derivatives are set 0 there. */
static inline struct profile profile_squares(double r)
{
	double d = r - (r < 2 ? 1 : r < 4 ? 3 : 5);

	return (struct profile){
		.value = -100 * d * d,
		.slope = r == 0 ? 0 : -200 * d / r,
		.curvature = r == 0 ? 0 : -200,
	};
}

/* value of rings_cos is rho itself inside of EDGE, as its logarithm is a call. */
static inline double log_of_profile(double r, double value, bool is_log)
{
	return is_log || !(r <= EDGE) ? value : log(value);
}

static size_t dim(const void *state)
{
	(void)state;
	return 2;
}

/* r^2 in double holds for |x| up to 1e6 and far beyond; f is at least -2e14 there. */
static inline void eval_profile(struct profile (*profile)(double), bool is_log, size_t n,
	size_t count, const num *x, double *log_rho, num *grad)
{
	double r[TARGET_BLOCK], value[TARGET_BLOCK];

#pragma omp simd
	for (size_t i = 0; i < count; i++) {
		double x1 = (double)x[i], x2 = (double)x[n + i];
		r[i] = sqrt(x1 * x1 + x2 * x2);
		struct profile f = profile(r[i]);
		value[i] = f.value;
		if (grad != NULL) {
			grad[i] = (num)(f.slope * x1);
			grad[n + i] = (num)(f.slope * x2);
		}
	}
	for (size_t i = 0; log_rho != NULL && i < count; i++)
		log_rho[i] = log_of_profile(r[i], value[i], is_log);
}

static inline void hvp_profile(struct profile (*profile)(double), size_t n, const num *x,
	const num *v, num *hv)
{
#pragma omp simd
	for (size_t i = 0; i < n; i++) {
		double x1 = (double)x[i], x2 = (double)x[n + i];
		double v1 = (double)v[i], v2 = (double)v[n + i];
		double r = sqrt(x1 * x1 + x2 * x2), inverse = r == 0 ? 0 : 1 / r;
		struct profile f = profile(r);
		double u1 = x1 * inverse, u2 = x2 * inverse;
		double along = (f.curvature - f.slope) * (u1 * v1 + u2 * v2);
		hv[i] = (num)(along * u1 + f.slope * v1);
		hv[n + i] = (num)(along * u2 + f.slope * v2);
	}
}

static void block_cos(const void *state, size_t n, size_t count, const num *x, double *log_rho,
	num *grad)
{
	(void)state;
	eval_profile(profile_cos, false, n, count, x, log_rho, grad);
}

static void block_squares(const void *state, size_t n, size_t count, const num *x, double *log_rho,
	num *grad)
{
	(void)state;
	eval_profile(profile_squares, true, n, count, x, log_rho, grad);
}

static void eval_cos(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	num_eval_blocks(state, n, x, log_rho, grad, block_cos);
}

static void eval_squares(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	num_eval_blocks(state, n, x, log_rho, grad, block_squares);
}

static void hvp_cos(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	(void)state;
	hvp_profile(profile_cos, n, x, v, hv);
}

static void hvp_squares(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	(void)state;
	hvp_profile(profile_squares, n, x, v, hv);
}

/* --- integrals over the radius ----------------------------------------------------------- */

/* Integrals of s^p e^(c - s) from c to r. */
static double tail_integral(double r, int p)
{
	const double c = EDGE;

	if (p == 1)
		return c + 1 - (r + 1) * exp(c - r);
	return ((c + 3) * c + 6) * c + 6 - (((r + 3) * r + 6) * r + 6) * exp(c - r);
}

static double integral_cos(double r, int p)
{
	double q = fmin(r, EDGE), tail = r > EDGE ? tail_integral(r, p) : 0;

	if (p == 1)
		return q * sin(q) - 2 * pow(sin(q / 2), 2) + 1.001 * q * q / 2 + tail;
	return q * (q * q - 6) * sin(q) + 3 * (q * q - 2) * cos(q) + 6 + 1.001 * pow(q, 4) / 4 +
	       tail;
}

/* Integral of s^p exp(-100 (s - c)^2) with z = r - c, from any fixed point: s = c + z is expanded,
 * and the moments of z e^(-100 z^2) are closed. */
static double ring_integral(double c, double z, int p)
{
	double e = exp(-100 * z * z) / 200, m0 = sqrt(M_PI) / 20 * erf(10 * z);

	if (p == 1)
		return c * m0 - e;
	return c * c * c * m0 - 3 * c * c * e + 3 * c * (m0 / 200 - z * e) - (z * z + 0.01) * e;
}

static double integral_squares(double r, int p)
{
	double sum = 0;

	for (size_t k = 0; k < RINGS && 2 * (double)k < r; k++) {
		double centre = 2 * (double)k + 1, end = k + 1 < RINGS ? fmin(r, centre + 1) : r;
		sum += ring_integral(centre, end - centre, p) - ring_integral(centre, -1, p);
	}
	return sum;
}

/* Cells end where rho is least. Beyond the reach e^-40 and e^-100 are left. */
static const struct shape shape_cos = { integral_cos, { M_PI, 3 * M_PI, 60 }, 60, 20 };
static const struct shape shape_squares = { integral_squares, { 2, 4, 7 }, 7,
	6.4142135623730951 /* 5 + 10 deviations of 1/sqrt(50), as in the published code */ };

static int init_cos(void *state, struct arena *a)
{
	(void)a;
	*(struct rings *)state = (struct rings){ &shape_cos };
	return OK;
}

static int init_squares(void *state, struct arena *a)
{
	(void)a;
	*(struct rings *)state = (struct rings){ &shape_squares };
	return OK;
}

/* --- what is known ----------------------------------------------------------------------- */

static double mass_within(const struct shape *s, double r)
{
	return s->integral(fmin(r, s->reach), 1) / s->integral(s->reach, 1);
}

/* Bisection, to the last digit: eq. 4 is flat between rings, where Newton's method goes astray. */
static double radius_at(const struct shape *s, double mass)
{
	double low = 0, high = s->reach;

	for (double middle; middle = low + (high - low) / 2, middle > low && middle < high;)
		*(mass_within(s, middle) < mass ? &low : &high) = middle;
	return high;
}

static void draw(const void *state, struct rng r, uint64_t row, double *x)
{
	const struct rings *s = state;
	double radius = radius_at(s->shape, rng_uniform(r, 0, row, 0));
	double angle = 2 * M_PI * rng_uniform(r, 0, row, 1);

	x[0] = radius * cos(angle);
	x[1] = radius * sin(angle);
}

/* Eq. 3. */
static void log_z(const void *state, struct log_z *out)
{
	const struct rings *s = state;
	double z = 2 * M_PI * s->shape->integral(s->shape->reach, 1);

	*out = (struct log_z){ LOG_Z_EXACT, log(z), 0, "closed form" };
}

static size_t modes(const void *state)
{
	(void)state;
	return RINGS;
}

static size_t classify(const void *state, const double *x)
{
	const struct rings *s = state;
	double r = hypot(x[0], x[1]);
	size_t ring = 0;

	while (ring + 1 < RINGS && r > s->shape->border[ring])
		ring++;
	return ring;
}

static void mode_weights(const void *state, double *weight)
{
	const struct rings *s = state;
	double inner = 0;

	for (size_t k = 0; k < RINGS; k++) {
		double outer = mass_within(s->shape, s->shape->border[k]);
		weight[k] = outer - inner;
		inner = outer;
	}
}

static void moments(const void *state, double *mean, double *sd)
{
	const struct rings *s = state;
	const struct shape *shape = s->shape;

	mean[0] = mean[1] = 0;
	sd[0] = sd[1] =
		sqrt(shape->integral(shape->reach, 3) / shape->integral(shape->reach, 1) / 2);
}

/* Eq. 5 by the trapezoid rule. The narrowest edge, a ring of deviation 1/sqrt(200) at r = 5, has a
 * deviation of 0.014 in t, nearly three steps: the error is e^-150. The third derivative of
 * P(|x| <= r) jumps at EDGE, which leaves 1e-10. Steps end where 1 / cosh t is below 2e-13, or
 * where no mass is left. */
static double cdf(const void *state, size_t k, double x)
{
	const struct rings *s = state;
	const double step = 0.005, a = fabs(x);
	double sum = 0.5 * (1 - mass_within(s->shape, a));

	(void)k;
	if (isnan(x))
		return x;
	for (double t = step; t < 30; t += step) {
		double c = cosh(t);
		if (a * c >= s->shape->reach)
			break;
		sum += (1 - mass_within(s->shape, a * c)) / c;
	}
	double above = a > 0 ? sum * step / M_PI : 0.5;
	return x > 0 ? 1 - above : above;
}

static void window(const void *state, struct window *out)
{
	const struct rings *s = state;
	double w = s->shape->half_width;

	*out = (struct window){ -w, w, -w, w };
}

#define RADIAL                                                                                  \
	.state_size = sizeof(struct rings), .dim = dim, .draw = draw, .log_z = log_z,           \
	.modes = modes, .classify = classify, .mode_weights = mode_weights, .moments = moments, \
	.cdf = cdf, .window = window, .kinks = true

const TARGET(rings_cos) = {
	.name = "rings_cos",
	.title = "Rings (cosine)",
	.paper = "Jutras-Dube et al. 2025, arXiv 2512.05251 (code: rings)",
	.note = "The published sampler takes the radial profile for the density of the radius and "
		"leaves out the factor r of the plane: its samples have E r^2 = 84.87, this "
		"density 126.72. Samples here follow the density. The gradient at 0 is 0, where "
		"automatic differentiation gives NaN. The rings of SCDS are another density: "
		"rings.",
	.init = init_cos,
	.eval = eval_cos,
	.hvp = hvp_cos,
	RADIAL,
};

const TARGET(rings) = {
	.name = "rings",
	.title = "Rings (Gaussian)",
	.paper = "Richter and Berner 2024, arXiv 2307.01198 (code); "
		 "Jutras-Dube, Pynadath and Zhang 2025, arXiv 2502.07579 (code)",
	.note = "The gradient is that of the density; the published score divides by r + 1e-8 and "
		"differs by up to 4e-6. At 0, where the density has a tip, it is set 0. The "
		"published code has no exact sampler. The rings of OSDS are another density: "
		"rings_cos.",
	.init = init_squares,
	.eval = eval_squares,
	.hvp = hvp_squares,
	RADIAL,
};
