/*
 * A Brownian path of 30 steps, seen with noise at its first ten and its last ten. Both scales are
 * unknown: x = (z_1, z_2, l_0 .. l_29), with i for innovation and o for observation,
 *
 *     s_i = softplus(z_1),  s_o = softplus(z_2),  log s ~ N(0, 4) each,                        (1)
 *     l_t ~ N(l_{t-1}, s_i^2),  l_{-1} = 0,   y_t ~ N(l_t, s_o^2) where observed,              (2)
 *
 * and log sigmoid(z) is added for each scale, the log derivative of softplus. With w = log s,
 * Q_i = sum_t (l_t - l_{t-1})^2 and N_i = 30, Q_o = sum (y_t - l_t)^2 and N_o = 20,
 *
 *     log rho = sum over both of f(w) + log sigmoid(z) - (1/2) log(2 pi) - log 2  - 25 log(2 pi),
 *     f(w)    = -w^2/8 - (1 + N) w - Q e^-2w / 2,                                              (3)
 *     d/dz    = f'(w) g + 1 - sigmoid(z),   g = dw/dz = sigmoid(z)/s,                          (4)
 *     d2/dz2  = f''(w) g^2 + f'(w) (g (1 - sigmoid(z)) - g^2) - sigmoid(z) (1 - sigmoid(z)).   (5)
 *
 * What is known of it. Let a = log s_i and d = log s_o - a. In units of s_i the path is filtered
 * (Kalman) with noise e^2d, whatever a is. With the variances F of the innovations v,
 *
 *     log p(y, a, d) = log N(a; 0, 4) + log N(a + d; 0, 4)
 *                      - (1/2) sum (log(2 pi F) + v^2 e^-2a / F) - 20 a,                       (6)
 *
 * so that all marginals of (a, d, a + d) are sums over a grid with one exponential a point. The
 * trapezoid rule on it has an error far below rounding, as the integrand is analytic. Exact
 * samples: d by inverse transform, a given d by rejection, as eq. 6 is concave in a, the path
 * backwards from its last filtered state.
 */
#include "stride.h"
#include "core/series.h"

#include <gsl/gsl_integration.h>

#define DATA "brownian.csv"

enum { STEPS = 30, SEEN = 20, DIM = 2 + STEPS };

/* The trapezoid rule's grid: steps of 1/16 over a in [-8, 1] and d in [-15, 8], beyond which the
 * posterior has less than 1e-13 of its mass. log s_o reaches from -16 to 2. */
enum { FINENESS = 16, A_POINTS = 9 * FINENESS + 1, D_POINTS = 23 * FINENESS + 1 };

/* Distribution functions are tabulated in steps of 1/8; within a step the density is integrated by
 * Gauss and Legendre's rule, whose error there is below 1e-12. */
enum { RULE = 6, CELLS_PER_UNIT = 8, CELLS_MAX = 23 * CELLS_PER_UNIT };

struct brownian;

struct axis {
	double (*density)(const struct brownian *b, double x);
	double low;
	size_t cells;
	double mass[CELLS_MAX + 1]; /* of y and all below the start of a cell */
};

/* The path given y and d, in units of s_i: variances are to be multiplied by s_i^2. */
struct filtered {
	double log_det;                    /* sum of log F */
	double square;                     /* sum of v^2 / F */
	double mean[STEPS], spread[STEPS]; /* of l_t given y_0 .. y_t: mean and variance */
};

struct brownian {
	num y[STEPS], seen[STEPS]; /* y is 0 where seen is 0, which otherwise is 1 */
	double rule_x[RULE], rule_w[RULE];
	double a[A_POINTS], precision[A_POINTS], root_half[A_POINTS]; /* e^-2a, e^-a / sqrt 2 */
	double d[D_POINTS], log_det[D_POINTS], square[D_POINTS], ratio[D_POINTS]; /* e^2d */
	struct axis by_a, by_d, by_b;
	double log_z, error;
	double mean[DIM], sd[DIM];
	/* Mixtures: of l_t given d, and where and how a spreads there. */
	double (*path_mean)[STEPS], (*path_sd)[STEPS]; /* [D_POINTS] */
	double (*weight)[A_POINTS];                    /* [D_POINTS] */
	size_t a_first[D_POINTS], a_end[D_POINTS];
};

/* --- the path given its scales: of the instance in double alone, as is the next part ------ */

#ifndef STRIDE_TARGET_F32

static const double A_LOW = -8, D_LOW = -15, B_LOW = -16, MESH = 1.0 / FINENESS;

static void filter(const struct brownian *b, double d, struct filtered *out)
{
	const double noise = exp(2 * d);
	double mean = 0, spread = 0, product = 1;

	out->log_det = out->square = 0;
	for (size_t t = 0; t < STEPS; t++) {
		spread += 1;
		if (b->seen[t] > 0) {
			double f = spread + noise, v = (double)b->y[t] - mean;
			out->square += v * v / f;
			product *= f;
			if (product > 1e100) {
				out->log_det += log(product);
				product = 1;
			}
			mean += spread / f * v;
			spread *= noise / f;
		}
		out->mean[t] = mean;
		out->spread[t] = spread;
	}
	out->log_det += log(product);
}

/* Mean and variance of l_t given all of y, backwards: with j = P/(P + 1), P the filtered
 * variance. */
static void smooth(const struct filtered *f, double *mean, double *spread)
{
	mean[STEPS - 1] = f->mean[STEPS - 1];
	spread[STEPS - 1] = f->spread[STEPS - 1];
	for (size_t t = STEPS - 1; t-- > 0;) {
		double j = f->spread[t] / (f->spread[t] + 1);
		mean[t] = f->mean[t] + j * (mean[t + 1] - f->mean[t]);
		spread[t] = j + j * j * spread[t + 1];
	}
}

/* --- the scales: marginals of eq. 6 ------------------------------------------------------ */

/* Sum over a grid, as LANES partial sums: in this order whatever the width of vectors is. */
static double sum_of(const double *term, size_t n)
{
	enum { LANES = 8 };
	double lane[LANES] = { 0 }, sum = 0;

	for (size_t i = 0; i < n; i++)
		lane[i % LANES] += term[i];
	for (size_t k = 0; k < LANES; k++)
		sum += lane[k];
	return sum;
}

static double joint_constant(void)
{
	return -2 * log(2.0) - LOG_2PI - SEEN * LOG_2PI / 2;
}

static double density_of_d(const struct brownian *b, double d)
{
	struct filtered f;
	double term[A_POINTS];

	filter(b, d, &f);
	const double c = joint_constant() - f.log_det / 2, half = f.square / 2;
#pragma omp simd
	for (size_t i = 0; i < A_POINTS; i++) {
		double a = b->a[i];
		term[i] = vm_exp(
			c - (a * a + (a + d) * (a + d)) / 8 - SEEN * a - half * b->precision[i]);
	}
	return sum_of(term, A_POINTS) * MESH;
}

static double density_of_a(const struct brownian *b, double a)
{
	const double c = joint_constant() - a * a / 8 - SEEN * a, half = exp(-2 * a) / 2;
	double term[D_POINTS];

#pragma omp simd
	for (size_t j = 0; j < D_POINTS; j++) {
		double log_so = a + b->d[j];
		term[j] = vm_exp(c - log_so * log_so / 8 - b->log_det[j] / 2 - half * b->square[j]);
	}
	return sum_of(term, D_POINTS) * MESH;
}

static double density_of_b(const struct brownian *b, double log_so)
{
	const double c = joint_constant() - log_so * log_so / 8, half = exp(-2 * log_so) / 2;
	double term[D_POINTS];

#pragma omp simd
	for (size_t j = 0; j < D_POINTS; j++) {
		double a = log_so - b->d[j];
		term[j] = vm_exp(c - a * a / 8 - SEEN * a - b->log_det[j] / 2 -
				 half * b->ratio[j] * b->square[j]);
	}
	return sum_of(term, D_POINTS) * MESH;
}

static double integrate(const struct brownian *b, const struct axis *x, double from, double to)
{
	double sum = 0, half = (to - from) / 2;

	for (size_t q = 0; q < RULE; q++)
		sum += b->rule_w[q] * x->density(b, from + half * (1 + b->rule_x[q]));
	return sum * half;
}

static double cell_start(const struct axis *x, size_t cell)
{
	return x->low + (double)cell / CELLS_PER_UNIT;
}

static void axis_make(const struct brownian *b, struct axis *x, double low, size_t width,
	double (*density)(const struct brownian *b, double x))
{
	x->density = density;
	x->low = low;
	x->cells = width * CELLS_PER_UNIT;
	x->mass[0] = 0;
	for (size_t c = 0; c < x->cells; c++)
		x->mass[c + 1] =
			x->mass[c] + integrate(b, x, cell_start(x, c), cell_start(x, c + 1));
}

static double axis_total(const struct axis *x)
{
	return x->mass[x->cells];
}

static double axis_cdf(const struct brownian *b, const struct axis *x, double at)
{
	double place = (at - x->low) * CELLS_PER_UNIT;

	if (!(place > 0))
		return 0;
	if (place >= (double)x->cells)
		return 1;
	size_t cell = (size_t)place;
	double mass = x->mass[cell] + integrate(b, x, cell_start(x, cell), at);
	return fmin(1, mass / axis_total(x));
}

/* Where the distribution function is u: its cell by bisection, then Newton's method kept inside. */
static double axis_quantile(const struct brownian *b, const struct axis *x, double u)
{
	const double mass = u * axis_total(x);
	size_t cell = 0, end = x->cells;

	while (end - cell > 1) {
		size_t middle = (cell + end) / 2;
		if (x->mass[middle] <= mass)
			cell = middle;
		else
			end = middle;
	}
	double low = cell_start(x, cell), high = cell_start(x, cell + 1), start = low;
	double at =
		low + (high - low) * (mass - x->mass[cell]) / (x->mass[cell + 1] - x->mass[cell]);
	for (size_t iteration = 0; iteration < 60; iteration++) {
		double excess = x->mass[cell] + integrate(b, x, start, at) - mass;
		double step = excess / x->density(b, at);
		if (!(fabs(step) > 1e-12))
			return at - step;
		*(excess > 0 ? &high : &low) = at;
		at -= step;
		if (!(at > low && at < high))
			at = (low + high) / 2;
	}
	return at;
}

/* Eq. 6 as a function of a, and its derivative. */
struct conditional {
	double square, d;
};

static inline double height(struct conditional c, double a)
{
	return -SEEN * a - c.square * exp(-2 * a) / 2 - (a * a + (a + c.d) * (a + c.d)) / 8;
}

static inline double slope(struct conditional c, double a)
{
	return -SEEN + c.square * exp(-2 * a) - (2 * a + c.d) / 4;
}

/* a given d. As its log density is concave, the tangents at some distance of the mode and the
 * height there are an envelope, whatever the numbers are; seven in eight proposals are accepted. */
static double draw_a(struct conditional c, struct rng r, uint64_t row)
{
	double mode = log(c.square / SEEN) / 2, curvature = 1;

	for (size_t iteration = 0; iteration < 8; iteration++) {
		curvature = 2 * c.square * exp(-2 * mode) + 0.5;
		mode += slope(c, mode) / curvature;
	}
	const double reach = sqrt(2 / curvature), top = height(c, mode);
	const double left = mode - reach, right = mode + reach;
	const double rise = slope(c, left), fall = -slope(c, right);
	/* Where the tangents meet the top. */
	const double from = left + (top - height(c, left)) / rise;
	const double to = right - (top - height(c, right)) / fall;
	const double total = 1 / rise + (to - from) + 1 / fall;
	for (uint32_t attempt = 1;; attempt++) {
		double u = total * rng_uniform(r, attempt, row, 0), a, hat = top;
		if (u < 1 / rise) {
			a = from + log(u * rise) / rise;
			hat += rise * (a - from);
		} else if (u < total - 1 / fall) {
			a = from + (u - 1 / rise);
		} else {
			a = to - log((total - u) * fall) / fall;
			hat -= fall * (a - to);
		}
		if (log(rng_uniform(r, attempt, row, 1)) <= height(c, a) - hat)
			return a;
	}
}

static double inverse_softplus(double s)
{
	return s > 30 ? s + log1p(-exp(-s)) : log(expm1(s));
}

static double log_softplus(double z)
{
	return z < -30 ? z : z > 30 ? log(z) : log(log1p(exp(z)));
}

/* --- tables ------------------------------------------------------------------------------ */

static int read_rule(struct brownian *b)
{
	gsl_integration_glfixed_table *t = gsl_integration_glfixed_table_alloc(RULE);

	if (t == NULL)
		return fail(ERR_NUMERIC, "no rule of %d points", RULE);
	for (size_t q = 0; q < RULE; q++)
		gsl_integration_glfixed_point(-1, 1, q, &b->rule_x[q], &b->rule_w[q], t);
	gsl_integration_glfixed_table_free(t);
	return OK;
}

/* Moments of z = inverse softplus of e^x. */
static void scale_moments(const struct brownian *b, const struct axis *x, double *mean, double *sd)
{
	const double half = 0.5 / CELLS_PER_UNIT;
	double total = 0, first = 0, second = 0;

	for (size_t c = 0; c < x->cells; c++)
		for (size_t q = 0; q < RULE; q++) {
			double at = cell_start(x, c) + half * (1 + b->rule_x[q]);
			double w = b->rule_w[q] * x->density(b, at), z = inverse_softplus(exp(at));
			total += w;
			first += w * z;
			second += w * z * z;
		}
	*mean = first / total;
	*sd = sqrt(second / total - *mean * *mean);
}

/* The mixtures that l_t are: weights, and what of a's grid carries weight at all. */
static void path_tables(struct brownian *b, struct arena *arena)
{
	double *first = b->mean + 2, *second = b->sd + 2, total = 0;

	b->path_mean = arena_alloc(arena, D_POINTS, sizeof(*b->path_mean));
	b->path_sd = arena_alloc(arena, D_POINTS, sizeof(*b->path_sd));
	b->weight = arena_alloc(arena, D_POINTS, sizeof(*b->weight));
	for (size_t j = 0; j < D_POINTS; j++) {
		struct filtered f;
		double d = b->d[j], mass = 0, scaled = 0;
		const double top = joint_constant() - b->log_z + 2 * log(MESH);
		filter(b, d, &f);
		smooth(&f, b->path_mean[j], b->path_sd[j]);
#pragma omp simd
		for (size_t i = 0; i < A_POINTS; i++) {
			double a = b->a[i];
			b->weight[j][i] = vm_exp(top - (a * a + (a + d) * (a + d)) / 8 - SEEN * a -
						 f.log_det / 2 - f.square * b->precision[i] / 2);
		}
		b->a_first[j] = A_POINTS;
		b->a_end[j] = 0;
		for (size_t i = 0; i < A_POINTS; i++) {
			mass += b->weight[j][i];
			scaled += b->weight[j][i] / b->precision[i];
			if (b->weight[j][i] < 1e-14)
				continue;
			b->a_end[j] = i + 1;
			if (b->a_first[j] == A_POINTS)
				b->a_first[j] = i;
		}
		total += mass;
		for (size_t t = 0; t < STEPS; t++) {
			double m = b->path_mean[j][t], spread = b->path_sd[j][t];
			first[t] += mass * m;
			second[t] += mass * m * m + scaled * spread;
			b->path_sd[j][t] = sqrt(spread);
		}
	}
	for (size_t t = 0; t < STEPS; t++) {
		first[t] /= total;
		second[t] = sqrt(second[t] / total - first[t] * first[t]);
	}
}

static int prepare(struct brownian *b, struct arena *arena)
{
	struct filtered f;

	TRY(read_rule(b));
	for (size_t i = 0; i < A_POINTS; i++) {
		b->a[i] = A_LOW + MESH * (double)i;
		b->precision[i] = exp(-2 * b->a[i]);
		b->root_half[i] = exp(-b->a[i]) * M_SQRT1_2;
	}
	for (size_t j = 0; j < D_POINTS; j++) {
		b->d[j] = D_LOW + MESH * (double)j;
		b->ratio[j] = exp(2 * b->d[j]);
		filter(b, b->d[j], &f);
		b->log_det[j] = f.log_det;
		b->square[j] = f.square;
	}
	axis_make(b, &b->by_a, A_LOW, 9, density_of_a);
	axis_make(b, &b->by_d, D_LOW, 23, density_of_d);
	axis_make(b, &b->by_b, B_LOW, 18, density_of_b);
	/* Three orders of integration, each by another rule: their agreement is the error. */
	b->log_z = log(axis_total(&b->by_d));
	b->error = 1e-13 + fabs(log(axis_total(&b->by_a)) - b->log_z) +
		   fabs(log(axis_total(&b->by_b)) - b->log_z);
	scale_moments(b, &b->by_a, &b->mean[0], &b->sd[0]);
	scale_moments(b, &b->by_b, &b->mean[1], &b->sd[1]);
	path_tables(b, arena);
	return OK;
}

#endif

/* --- preparation ------------------------------------------------------------------------- */

static int read_observations(struct brownian *b, struct arena *a)
{
	double y[STEPS];
	bool seen[STEPS];

	TRY(series_read(data_path(DATA, a), "y", STEPS, SEEN, y, seen, a));
	for (size_t t = 0; t < STEPS; t++) {
		b->y[t] = (num)y[t];
		b->seen[t] = seen[t];
	}
	return OK;
}

static int init(void *state, struct arena *arena)
{
	TRY(read_observations(state, arena));
#ifndef STRIDE_TARGET_F32
	TRY(prepare(state, arena));
#endif
	return OK;
}

static size_t dim(const void *state)
{
	(void)state;
	return DIM;
}

/* --- evaluation -------------------------------------------------------------------------- */

/* What a scale's z gives. Everything is finite, and accurate, for any |z|. */
struct scale {
	num w, slope;             /* log s, dw/dz */
	num sigmoid, log_sigmoid; /* of z */
	double precision;         /* 1/s^2 */
};

static inline struct scale scale_of(num z)
{
	num e = num_exp(z < 0 ? z : -z), u = 1 + e;
	/* log(1 + e)/e to all digits: the error of u cancels. */
	num ratio = u > 1 ? num_log(u) / (u - 1) : u;
	/* s e^-min(z, 0): never small. */
	num part = z < 0 ? ratio : z + e * ratio;
	num w = (z < 0 ? z : 0) + num_log(part);
	double exponent = -2 * (double)w;

	/* Up to e^600 the sums below are finite in double; beyond, w < -300. */
	return (struct scale){ w, 1 / (u * part), (z < 0 ? e : 1) / u, (z < 0 ? z : 0) - num_log(u),
		vm_exp(exponent > 600 ? 600 : exponent) };
}

/* Gradients are clamped at what float holds; double reaches it for no |x| <= 1e6. */
static inline num bounded(double x)
{
	return num_bounded(x, (double)NUM_LARGE);
}

/* Q_i and Q_o: up to 2e14. */
static void squares(const struct brownian *b, size_t n, size_t count, const num *x, num *q_i,
	num *q_o)
{
	for (size_t i = 0; i < count; i++)
		q_i[i] = q_o[i] = 0;
	for (size_t t = 0; t < STEPS; t++) {
		const num *l = x + (2 + t) * n, *before = t > 0 ? l - n : l;
		const num keep = t > 0, y = b->y[t], seen = b->seen[t];
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			num step = l[i] - keep * before[i], miss = seen * (y - l[i]);
			q_i[i] += step * step;
			q_o[i] += miss * miss;
		}
	}
}

/* f(w) and what goes with it. */
static inline double scale_log_density(struct scale s, num q, double count)
{
	double w = (double)s.w;

	return -w * w / 8 - (1 + count) * w - (double)q * s.precision / 2 + (double)s.log_sigmoid;
}

static inline double scale_slope(struct scale s, num q, double count)
{
	return -(double)s.w / 4 - (1 + count) + (double)q * s.precision; /* f'(w) */
}

/* Second difference of a path at t: l_t's derivative of Q_i / 2. */
static inline num bend(const num *l, size_t n, size_t t, size_t i)
{
	num before = t > 0 ? l[(t - 1) * n + i] : 0;
	num here = l[t * n + i];

	return t + 1 < STEPS ? (here - before) - (l[(t + 1) * n + i] - here) : here - before;
}

static void eval_block(const void *state, size_t n, size_t count, const num *x, double *log_rho,
	num *grad)
{
	const struct brownian *b = state;
	const double c = -2 * log(2.0) - (DIM + SEEN) * LOG_2PI / 2;
	num q_i[TARGET_BLOCK], q_o[TARGET_BLOCK];
	double precision_i[TARGET_BLOCK], precision_o[TARGET_BLOCK];

	squares(b, n, count, x, q_i, q_o);
#pragma omp simd
	for (size_t i = 0; i < count; i++) {
		struct scale in = scale_of(x[i]), ob = scale_of(x[n + i]);
		precision_i[i] = in.precision;
		precision_o[i] = ob.precision;
		if (log_rho != NULL)
			log_rho[i] = c + scale_log_density(in, q_i[i], STEPS) +
				     scale_log_density(ob, q_o[i], SEEN);
		if (grad != NULL) { /* eq. 4 */
			grad[i] = bounded(scale_slope(in, q_i[i], STEPS) * (double)in.slope) + 1 -
				  in.sigmoid;
			grad[n + i] = bounded(scale_slope(ob, q_o[i], SEEN) * (double)ob.slope) +
				      1 - ob.sigmoid;
		}
	}
	const num *l = x + 2 * n;
	for (size_t t = 0; grad != NULL && t < STEPS; t++) {
		const num y = b->y[t], seen = b->seen[t];
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			num miss = seen * (y - l[t * n + i]);
			grad[(2 + t) * n + i] = bounded((double)miss * precision_o[i] -
							(double)bend(l, n, t, i) * precision_i[i]);
		}
	}
}

static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	num_eval_blocks(state, n, x, log_rho, grad, eval_block);
}

/* The row of a scale: eq. 5 times v, and the path's part, with along = half the derivative of Q
 * along the path's v. */
static inline num scale_hv(struct scale s, num q, double count, num v, num along)
{
	double slope = (double)s.slope, sigmoid = (double)s.sigmoid, rest = 1 - sigmoid;
	double curvature = (-0.25 - 2 * (double)q * s.precision) * slope * slope +
			   scale_slope(s, q, count) * (slope * rest - slope * slope) -
			   sigmoid * rest;

	return bounded(curvature * (double)v + 2 * slope * s.precision * (double)along);
}

static void hvp_block(const void *state, size_t n, size_t count, const num *x, const num *v,
	num *hv)
{
	const struct brownian *b = state;
	num q_i[TARGET_BLOCK], q_o[TARGET_BLOCK], along_i[TARGET_BLOCK], along_o[TARGET_BLOCK];
	double precision_i[TARGET_BLOCK], precision_o[TARGET_BLOCK];
	double turn_i[TARGET_BLOCK], turn_o[TARGET_BLOCK];
	const num *l = x + 2 * n, *vl = v + 2 * n;

	squares(b, n, count, x, q_i, q_o);
#pragma omp simd
	for (size_t i = 0; i < count; i++) {
		struct scale in = scale_of(x[i]), ob = scale_of(x[n + i]);
		precision_i[i] = in.precision;
		precision_o[i] = ob.precision;
		/* How a precision changes along v. */
		turn_i[i] = -2 * (double)(in.slope * v[i]) * in.precision;
		turn_o[i] = -2 * (double)(ob.slope * v[n + i]) * ob.precision;
		along_i[i] = along_o[i] = 0;
	}
	for (size_t t = 0; t < STEPS; t++) {
		const num y = b->y[t], seen = b->seen[t];
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			num miss = seen * (y - l[t * n + i]), turned = bend(l, n, t, i);
			num vt = vl[t * n + i];
			along_i[i] += turned * vt;
			along_o[i] -= miss * vt;
			hv[(2 + t) * n + i] = bounded((double)miss * turn_o[i] -
						      (double)(seen * vt) * precision_o[i] -
						      (double)turned * turn_i[i] -
						      (double)bend(vl, n, t, i) * precision_i[i]);
		}
	}
#pragma omp simd
	for (size_t i = 0; i < count; i++) {
		hv[i] = scale_hv(scale_of(x[i]), q_i[i], STEPS, v[i], along_i[i]);
		hv[n + i] = scale_hv(scale_of(x[n + i]), q_o[i], SEEN, v[n + i], along_o[i]);
	}
}

static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	num_hvp_blocks(state, n, x, v, hv, hvp_block);
}

/* --- what is known ----------------------------------------------------------------------- */

#ifndef STRIDE_TARGET_F32

static void draw(const void *state, struct rng r, uint64_t row, double *x)
{
	const struct brownian *b = state;
	struct filtered f;
	double *l = x + 2;

	double d = axis_quantile(b, &b->by_d, rng_uniform(r, 0, row, 0));
	filter(b, d, &f);
	double a = draw_a((struct conditional){ f.square, d }, r, row), s = exp(a);
	x[0] = inverse_softplus(s);
	x[1] = inverse_softplus(exp(a + d));
	for (size_t t = STEPS; t-- > 0;) {
		double mean = f.mean[t], spread = f.spread[t];
		if (t + 1 < STEPS) {
			double j = spread / (spread + 1);
			mean += j * (l[t + 1] - mean);
			spread = j;
		}
		l[t] = mean + s * sqrt(spread) * rng_gauss(r, 0, row, (uint32_t)(1 + t));
	}
}

static void log_z(const void *state, struct log_z *out)
{
	const struct brownian *b = state;

	*out = (struct log_z){ LOG_Z_QUADRATURE, b->log_z, b->error,
		"path integrated out, quadrature over both scales in three ways" };
}

static void moments(const void *state, double *mean, double *sd)
{
	const struct brownian *b = state;

	memcpy(mean, b->mean, sizeof(b->mean));
	memcpy(sd, b->sd, sizeof(b->sd));
}

/* The mixture of l_t over every other point of the grid in both directions, which is 2e-11 off. */
static double cdf(const void *state, size_t k, double x)
{
	const struct brownian *b = state;
	double sum = 0;

	if (isnan(x))
		return x;
	if (k < 2)
		return axis_cdf(b, k == 0 ? &b->by_a : &b->by_b, log_softplus(x));
	for (size_t j = 0; j < D_POINTS; j += 2) {
		double z = (x - b->path_mean[j][k - 2]) / b->path_sd[j][k - 2];
		for (size_t i = b->a_first[j] + b->a_first[j] % 2; i < b->a_end[j]; i += 2)
			sum += b->weight[j][i] * erfc(-z * b->root_half[i]);
	}
	return fmin(1, 2 * sum);
}

#endif

static void window(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ -4, -0.5, -5, 0 };
}

const TARGET(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Brownian motion",
	.paper = "Sountsov et al. 2020, Inference Gym (data and model, unknown scales, missing "
		 "middle observations); Blessing et al. 2024, arXiv 2406.07423 (posterior)",
	.note = "The left tail of log s_o falls no faster than its prior: one sample in 1340 has "
		"log s_o < -6, and its path is pinned to the data. Inference Gym's stored ground "
		"truth has means of 0.1198 and 0.1011 (+- 0.0006) for the scales, which are "
		"0.11553 and 0.11266. The published code computes in float32 whatever is asked; "
		"that of SCDS does so through numpy, and thus has no gradient.",
	.data = DATA,
	.state_size = sizeof(struct brownian),
	.init = init,
	.dim = dim,
	.eval = eval,
	.hvp = hvp,
	.window = window,
#ifndef STRIDE_TARGET_F32
	.draw = draw,
	.log_z = log_z,
	.moments = moments,
	.cdf = cdf,
#endif
};
