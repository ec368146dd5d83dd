/*
 * Gaussian mixtures with equal weights, normalised. Component k is N(m_k, C_k): isotropic,
 * C_k = s_k^2 I, or of any covariance C_k = L_k L_k'.
 *
 *     rho(x) = 1/K sum_k N(x; m_k, C_k),
 *     r_k    = N_k(x) / sum_j N_j(x)                             (responsibility)             (1)
 *     grad log rho = sum_k r_k g_k,  g_k = C_k^-1 (m_k - x)                                   (2)
 *     Hessian v = sum_k r_k (g_k.v - sum_j r_j g_j.v) g_k - sum_k r_k C_k^-1 v                (3)
 *
 * Three code families draw a mixture of 40 under the same name: gmm40_2d and gmm40_50d are those
 * of Beyond ELBOs and OSDS, gmm40_fab that of sde_sampler and SCDS, who name it after FAB. FAB's
 * own, by the same recipe with other random numbers, is not here.
 */
#include "stride.h"
#include "core/csv.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>

enum {
	COMPONENTS_MAX = 80,
	NEAR = 64 /* coordinates of a block that are copied, see eval */
};

struct mixture {
	const char *means; /* file of the two mixtures of 40 whose table may be another */
	size_t components, dim;
	struct window window;
	double *mean;            /* [components][dim] */
	double *std;             /* [components]; NULL: any covariance */
	double *factor, *whiten; /* L_k and its inverse, [components][dim][dim]; NULL: isotropic */
	num *centre;             /* [components][dim], the mean for eval */
	num *precision;          /* [components], 1 / s_k^2; 1 with any covariance */
	num *inverse;            /* C_k^-1 for eval; NULL: isotropic */
	double *log_scale;       /* [components], log of 1/K and of the normaliser of N_k */
	bool mixed;              /* components of different widths, or of any covariance */
	bool apart;              /* see overlap; not used up to two dimensions */
};

/* --- preparation ------------------------------------------------------------------------- */

static void prepare(struct mixture *m, size_t components, size_t dim, struct arena *a)
{
	m->components = components;
	m->dim = dim;
	m->mean = ARENA_NEW(a, components * dim, double);
	m->centre = ARENA_NEW(a, components * dim, num);
	m->precision = ARENA_NEW(a, components, num);
	m->log_scale = ARENA_NEW(a, components, double);
}

static void set_mean(struct mixture *m, size_t k, const double *mean)
{
	for (size_t j = 0; j < m->dim; j++)
		m->centre[k * m->dim + j] = (num)(m->mean[k * m->dim + j] = mean[j]);
}

static void set_std(struct mixture *m, size_t k, double std)
{
	m->std[k] = std;
	m->precision[k] = (num)(1 / (std * std));
	m->log_scale[k] = -log((double)m->components) - (double)m->dim * (log(std) + LOG_2PI / 2);
	m->mixed |= std != m->std[0];
}

/* Row by row: L from C, and its inverse. False when C is not positive definite. */
static bool factorise(size_t dim, const double *c, double *factor, double *whiten)
{
	for (size_t i = 0; i < dim; i++) {
		double *row = factor + i * dim, *inverse = whiten + i * dim,
		       square = c[i * dim + i];
		for (size_t j = 0; j < i; j++) {
			double sum = c[i * dim + j];
			for (size_t l = 0; l < j; l++)
				sum -= row[l] * factor[j * dim + l];
			row[j] = sum / factor[j * dim + j];
			square -= row[j] * row[j];
		}
		if (!(square > 0))
			return false;
		row[i] = sqrt(square);
		inverse[i] = 1 / row[i];
		for (size_t j = 0; j < i; j++) {
			double sum = 0;
			for (size_t l = j; l < i; l++)
				sum -= row[l] * whiten[l * dim + j];
			inverse[j] = sum / row[i];
		}
	}
	return true;
}

static int bad_row(const struct csv *t, size_t k, const char *what)
{
	return fail(ERR_PARSE, "%s:%zu: %s", t->path, t->line[k], what);
}

/* What float can stand: points and means up to LARGEST, widths from SMALLEST to LARGEST. Then
 * squared distances in widths stay below 1e25 a coordinate, and their gradients below 1e19. */
#define SMALLEST 1e-6
#define LARGEST 1e6

static int check_range(const struct csv *t, size_t k, const char *what, double x, double low)
{
	if (!(x >= low && x <= LARGEST))
		return fail(ERR_RANGE, "%s:%zu: %s %g is not within %g .. %g", t->path, t->line[k],
			what, x, low, LARGEST);
	return OK;
}

/* Row k of a table, c [dim][dim]. The least deviation of a coordinate is the one with all others
 * given: from the diagonal of the inverse, which bounds all of it. */
static int set_covariance(struct mixture *m, const struct csv *t, size_t k, const double *c)
{
	const size_t dim = m->dim, at = k * dim * dim;
	const double *whiten = m->whiten + at;
	double log_scale = -log((double)m->components) - (double)dim * LOG_2PI / 2;

	for (size_t j = 0; j < dim * dim; j++)
		if (c[j] != c[j % dim * dim + j / dim])
			return bad_row(t, k, "the covariance is not symmetric");
	if (!factorise(dim, c, m->factor + at, m->whiten + at))
		return bad_row(t, k, "the covariance is not positive definite");
	for (size_t i = 0; i < dim; i++) {
		double square = 0;
		for (size_t l = i; l < dim; l++)
			square += whiten[l * dim + i] * whiten[l * dim + i];
		TRY(check_range(t, k, "a standard deviation", sqrt(c[i * dim + i]), SMALLEST));
		TRY(check_range(t, k, "a standard deviation, given the other coordinates,",
			1 / sqrt(square), SMALLEST));
	}
	for (size_t i = 0; i < dim; i++) {
		log_scale -= log(m->factor[at + i * dim + i]);
		for (size_t j = 0; j < dim; j++) {
			double sum = 0;
			for (size_t l = 0; l < dim; l++)
				sum += whiten[l * dim + i] * whiten[l * dim + j];
			m->inverse[at + i * dim + j] = (num)sum;
		}
	}
	m->precision[k] = 1;
	m->log_scale[k] = log_scale;
	m->mixed = true;
	return OK;
}

/* Variance of coordinate j of component k. */
static double variance_of(const struct mixture *m, size_t k, size_t j)
{
	double sum = 0;

	if (m->std != NULL)
		return m->std[k] * m->std[k];
	for (size_t i = 0; i <= j; i++)
		sum += pow(m->factor[(k * m->dim + j) * m->dim + i], 2);
	return sum;
}

/* The density's maximum in one dimension, to a percent: on eight points a deviation. */
static double top_of_density(const struct mixture *m)
{
	double top = 0;

	for (size_t k = 0; k < m->components; k++) {
		for (int i = -24; i <= 24; i++) {
			double x = m->mean[k] + i / 8.0 * sqrt(variance_of(m, k, 0)), sum = 0;
			for (size_t j = 0; j < m->components; j++)
				sum += gsl_ran_gaussian_pdf(x - m->mean[j],
					sqrt(variance_of(m, j, 0)));
			top = fmax(top, sum / (double)m->components);
		}
	}
	return top;
}

/* The window of the published code: five deviations around the extreme means. In one dimension y is
 * the density. */
static void window_of_means(struct mixture *m)
{
	double low[2] = { HUGE_VAL, HUGE_VAL }, high[2] = { -HUGE_VAL, -HUGE_VAL };

	for (size_t k = 0; k < m->components; k++) {
		for (size_t j = 0; j < 2 && j < m->dim; j++) {
			const double mean = m->mean[k * m->dim + j];
			const double reach = 5 * sqrt(variance_of(m, k, j));
			low[j] = fmin(low[j], mean - reach);
			high[j] = fmax(high[j], mean + reach);
		}
	}
	if (m->dim == 1) {
		low[1] = 0;
		high[1] = 1.1 * top_of_density(m);
	}
	m->window = (struct window){ low[0], high[0], low[1], high[1] };
}

/* Variance of component k along p - q, times |p - q|^2. */
static double variance_along(const struct mixture *m, size_t k, const double *p, const double *q)
{
	const size_t dim = m->dim;
	double sum = 0;

	for (size_t j = 0; j < dim; j++) {
		double y = m->std != NULL ? m->std[k] * (p[j] - q[j]) : 0;
		for (size_t i = j; m->factor != NULL && i < dim; i++)
			y += m->factor[(k * dim + i) * dim + j] * (p[i] - q[i]);
		sum += y * y;
	}
	return sum;
}

/* A bound of what components k and j lose to each other: the integral of sqrt(N_k N_j), which is
 * at most that of their projections onto the line through the means, normals with the variances a
 * and b. */
static double overlap(const struct mixture *m, size_t k, size_t j)
{
	const double *p = m->mean + k * m->dim, *q = m->mean + j * m->dim;
	double square = 0;

	for (size_t i = 0; i < m->dim; i++)
		square += (p[i] - q[i]) * (p[i] - q[i]);
	if (!(square > 0))
		return 1;
	double a = variance_along(m, k, p, q) / square, b = variance_along(m, j, p, q) / square;
	return sqrt(2 * sqrt(a * b) / (a + b)) * exp(-square / (4 * (a + b)));
}

/* Do all components together lose less than 1e-6? */
static bool are_apart(const struct mixture *m)
{
	double sum = 0;

	for (size_t k = 0; k < m->components; k++)
		for (size_t j = 0; j < k; j++)
			sum += overlap(m, k, j);
	return sum < 1e-6;
}

/* A row for each component: its mean, and then, if the header names std1 or c11, a standard
 * deviation for each coordinate, all equal, or a covariance matrix. Otherwise deviations are 1. */
static int load(struct mixture *m, const char *file, struct arena *a)
{
	struct csv t;

	TRY(csv_read(&t, data_path(file, a), CSV_FINITE, a));
	TRY(components_at_most(&t, COMPONENTS_MAX));
	size_t std = t.names != NULL ? csv_column(&t, "std1") : t.cols;
	size_t full = t.names != NULL ? csv_column(&t, "c11") : t.cols;
	size_t dim = std < full ? std : full;
	if (dim == 0 || (std < t.cols && t.cols != 2 * dim) ||
		(full < t.cols && t.cols != dim + dim * dim))
		return bad_row(&t, 0,
			"wrong number of columns: mu1.., or mu1..,std1.., or mu1..,c11,c12..");
	prepare(m, t.rows, dim, a);
	if (full < t.cols) {
		m->factor = ARENA_NEW(a, t.rows * dim * dim, double);
		m->whiten = ARENA_NEW(a, t.rows * dim * dim, double);
		m->inverse = ARENA_NEW(a, t.rows * dim * dim, num);
	} else {
		m->std = ARENA_NEW(a, t.rows, double);
	}
	for (size_t k = 0; k < t.rows; k++) {
		const double *row = t.x + k * t.cols, *spread = row + dim;
		for (size_t j = 0; j < dim; j++)
			TRY(check_range(&t, k, "a mean", row[j], -LARGEST));
		set_mean(m, k, row);
		if (full < t.cols) {
			TRY(set_covariance(m, &t, k, spread));
			continue;
		}
		for (size_t j = 0; std < t.cols && j < dim; j++)
			if (!(spread[j] > 0 && spread[j] == spread[0]))
				return bad_row(&t, k,
					"standard deviations of a component must be positive and "
					"equal; give covariances (c11, c12, ..) instead");
		double s = std < t.cols ? spread[0] : 1;
		TRY(check_range(&t, k, "a standard deviation", s, SMALLEST));
		set_std(m, k, s);
	}
	m->apart = dim > 2 && are_apart(m);
	return OK;
}

/* A file and the half width of a square window around 0; 0: five deviations around the means. */
static int init_file(struct mixture *m, const char *file, double half_width, struct arena *a)
{
	TRY(load(m, file, a));
	m->window = (struct window){ -half_width, half_width, -half_width, half_width };
	if (!(half_width > 0))
		window_of_means(m);
	return OK;
}

#define TABLE(id) #id ".csv"

#define FILE_INIT(id, half_width)                                    \
	static int init_##id(void *state, struct arena *a)           \
	{                                                            \
		return init_file(state, TABLE(id), (half_width), a); \
	}

FILE_INIT(gaussian2d, 15)
FILE_INIT(gmm10_2d, 15)
FILE_INIT(gmm8_circle, 0)
FILE_INIT(gmm8_heart, 0)
FILE_INIT(gmm5_dist, 0)
FILE_INIT(gmm80, 0)
FILE_INIT(gmm40_fab, 0)

/* The published window belongs to the program's own table. */
static int init_means(struct mixture *m, const char *own, struct arena *a)
{
	bool same = strcmp(data_path(m->means, a), data_path(own, a)) == 0;

	return init_file(m, m->means, same ? 60 : 0, a);
}

#define MEANS(id)                                                                                \
	static int init_##id(void *state, struct arena *a)                                       \
	{                                                                                        \
		return init_means(state, TABLE(id), a);                                          \
	}                                                                                        \
	static const struct option id##_options[] = {                                            \
		{ "means", OPTION_TEXT, offsetof(struct mixture, means), TABLE(id), 0, 0, "",    \
			"CSV with a component in each row: its mean, within 1e6 of 0; then, "    \
			"under std1.. or c11,c12.. in the header, its deviations (all equal) "   \
			"or its covariance, deviations from 1e-6 to 1e6; otherwise deviation 1", \
			NULL },                                                                  \
		{ 0 },                                                                           \
	};

MEANS(gmm40_2d)
MEANS(gmm40_50d)

static int init_gmm9(void *state, struct arena *a)
{
	static const double mean[9][2] = { { -5, -5 }, { -5, 0 }, { -5, 5 }, { 0, -5 }, { 0, 0 },
		{ 0, 5 }, { 5, -5 }, { 5, 0 }, { 5, 5 } };
	struct mixture *m = state;

	prepare(m, 9, 2, a);
	m->std = ARENA_NEW(a, 9, double);
	for (size_t k = 0; k < 9; k++) {
		set_mean(m, k, mean[k]);
		/* sqrt(0.3) as the published code has it, in float32. */
		set_std(m, k, (double)0.54772257804870605f);
	}
	window_of_means(m);
	return OK;
}

static int init_gmm4_1d(void *state, struct arena *a)
{
	static const double mean[4] = { -3, 0.5, 1.5, 2.5 }, std[4] = { 0.5, 0.6, 0.3, 0.4 };
	struct mixture *m = state;

	prepare(m, 4, 1, a);
	m->std = ARENA_NEW(a, 4, double);
	for (size_t k = 0; k < 4; k++) {
		set_mean(m, k, mean + k);
		set_std(m, k, std[k]);
	}
	m->window = (struct window){ -5, 5, 0, 0.45 };
	return OK;
}

static size_t dim(const void *state)
{
	const struct mixture *m = state;

	return m->dim;
}

/* --- evaluation -------------------------------------------------------------------------- */

/* Scratch for a block: one row of points for each component. */
struct block {
	double offset[TARGET_BLOCK];                /* of the log densities */
	num weight[COMPONENTS_MAX][TARGET_BLOCK];   /* log N_k, r_k, at last r_k / s_k^2 */
	num top[TARGET_BLOCK], total[TARGET_BLOCK]; /* of the log-sum-exp */
	num precision[TARGET_BLOCK];                /* sum_k r_k / s_k^2 */
};

/* s[i] += the squared differences in four coordinates, the first at x. */
static inline void add_squares(num *s, size_t n, size_t count, const num *x, const num *centre)
{
	const num c0 = centre[0], c1 = centre[1], c2 = centre[2], c3 = centre[3];
	const num *x0 = x, *x1 = x + n, *x2 = x + 2 * n, *x3 = x + 3 * n;

#pragma omp simd
	for (size_t i = 0; i < count; i++) {
		num d0 = x0[i] - c0, d1 = x1[i] - c1, d2 = x2[i] - c2, d3 = x3[i] - c3;
		s[i] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
	}
}

/*
 * Log densities where components differ in width, in double in both instances. Such components
 * cross far out, where log N_k is some hundreds: rounded to float it would be off by 1e-4, and so
 * would responsibilities and with them, times the square of the g_k, the Hessian. The largest is
 * taken off before the rounding.
 */
static void log_densities_in_double(const struct mixture *m, size_t n, size_t count, const num *x,
	struct block *b)
{
	const size_t dim = m->dim;
	double log_n[COMPONENTS_MAX][TARGET_BLOCK], *top = b->offset;

	for (size_t k = 0; k < m->components; k++) {
		const double *mean = m->mean + k * dim, log_scale = m->log_scale[k];
		memset(log_n[k], 0, sizeof(log_n[k]));
		for (size_t j = 0; j < dim; j++) {
			double y[TARGET_BLOCK] = { 0 };
			for (size_t l = m->whiten != NULL ? 0 : j; l <= j; l++) {
				const double w = m->whiten != NULL
							 ? m->whiten[(k * dim + j) * dim + l]
							 : 1 / m->std[k];
#pragma omp simd
				for (size_t i = 0; i < count; i++)
					y[i] += w * ((double)x[l * n + i] - mean[l]);
			}
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				log_n[k][i] -= y[i] * y[i] / 2;
		}
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			log_n[k][i] += log_scale;
			top[i] = k == 0 || log_n[k][i] > top[i] ? log_n[k][i] : top[i];
		}
	}
	for (size_t k = 0; k < m->components; k++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			b->weight[k][i] = (num)(log_n[k][i] - top[i]);
	}
}

/* Log densities of the components. Differences are squared and summed directly: a matrix product
 * of |x|^2 - 2 x.m + |m|^2 would lose four of float's seven digits here, as |x|^2 is
 * thousands of times |x - m|^2. Four coordinates at a time, as a sum is otherwise loaded and
 * stored for each. */
static void log_densities(const struct mixture *m, size_t n, size_t count, const num *x,
	struct block *b)
{
	for (size_t k = 0; k < m->components; k++) {
		const num *centre = m->centre + k * m->dim;
		const num half = m->precision[k] / 2, log_scale = (num)m->log_scale[k];
		num *s = b->weight[k];
		size_t j = 0;
		memset(s, 0, sizeof(b->weight[k]));
		for (; j + 4 <= m->dim; j += 4)
			add_squares(s, n, count, x + j * n, centre + j);
		for (; j < m->dim; j++) {
			const num *xj = x + j * n;
			const num c = centre[j];
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				s[i] += (xj[i] - c) * (xj[i] - c);
		}
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			s[i] = log_scale - half * s[i];
	}
}

/* Fills b: eq. 1 by log-sum-exp. */
static void responsibilities(const struct mixture *m, size_t n, size_t count, const num *x,
	struct block *b)
{
	memset(b->offset, 0, sizeof(b->offset));
	if (m->mixed)
		log_densities_in_double(m, n, count, x, b);
	else
		log_densities(m, n, count, x, b);
	num_softmax(m->components, count, b->weight, b->top, b->total);
}

/* w_k /= s_k^2, and the sum of these. */
static void times_precision(const struct mixture *m, size_t count, num (*w)[TARGET_BLOCK], num *sum)
{
	memset(sum, 0, count * sizeof(*sum));
	for (size_t k = 0; k < m->components; k++) {
		const num precision = m->precision[k];
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			w[k][i] *= precision;
			sum[i] += w[k][i];
		}
	}
}

/* out [dim][n] = sum_k weight[k] centre[k], weight [components][TARGET_BLOCK]. */
static void weighted_centres(const struct mixture *m, size_t n, size_t count, const num *weight,
	num *out)
{
	num_gemm(true, count, m->dim, m->components, 1, weight, TARGET_BLOCK, m->centre, m->dim, 0,
		out, n);
}

/* out [dim][n] += C_k^-1 (c (m_k - x) - e v) for component k of any covariance, c and e numbers a
 * point; v NULL: without it. */
static void add_component(const struct mixture *m, size_t k, size_t n, size_t count, const num *x,
	const num *v, const num *c, const num *e, num *out)
{
	const size_t dim = m->dim;

	for (size_t b = 0; b < dim; b++) {
		const num centre = m->centre[k * dim + b], *xb = x + b * n;
		num y[TARGET_BLOCK];
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			y[i] = c[i] * (centre - xb[i]);
		for (size_t i = 0; v != NULL && i < count; i++)
			y[i] -= e[i] * v[b * n + i];
		for (size_t a = 0; a < dim; a++) {
			const num inverse = m->inverse[(k * dim + a) * dim + b];
			num *out_a = out + a * n;
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				out_a[i] += inverse * y[i];
		}
	}
}

/* Eq. 2, isotropic or not. */
static void gradient(const struct mixture *m, size_t n, size_t count, const num *x, struct block *b,
	num *grad)
{
	times_precision(m, count, b->weight, b->precision);
	if (m->inverse == NULL) {
		weighted_centres(m, n, count, b->weight[0], grad);
		for (size_t j = 0; j < m->dim; j++) {
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				grad[j * n + i] -= b->precision[i] * x[j * n + i];
		}
		return;
	}
	for (size_t j = 0; j < m->dim; j++)
		memset(grad + j * n, 0, count * sizeof(*grad));
	for (size_t k = 0; k < m->components; k++)
		add_component(m, k, n, count, x, NULL, b->weight[k], NULL, grad);
}

/* |x| up to 1e6 gives squared distances up to dim * 1e12 / s^2: log rho and the gradient are finite
 * in float too, and the nearest component takes all. */
static void eval_block(const void *state, size_t n, size_t count, const num *x, double *log_rho,
	num *grad)
{
	const struct mixture *m = state;
	struct block b;

	responsibilities(m, n, count, x, &b);
	if (log_rho != NULL) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			log_rho[i] = b.offset[i] + (double)b.top[i] + (double)num_log(b.total[i]);
	}
	if (grad != NULL)
		gradient(m, n, count, x, &b, grad);
}

/* Coordinates of many points are far apart, often by a power of two that maps all of them to a
 * few lines of the cache: each block is copied into one piece, which halves the time in 50
 * dimensions. */
static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	const struct mixture *m = state;
	num near[NEAR][TARGET_BLOCK], slope[NEAR][TARGET_BLOCK];

	if (n <= TARGET_BLOCK || m->dim > NEAR) {
		num_eval_blocks(state, n, x, log_rho, grad, eval_block);
		return;
	}
	for (size_t first = 0; first < n; first += TARGET_BLOCK) {
		size_t count = n - first < TARGET_BLOCK ? n - first : TARGET_BLOCK;
		for (size_t j = 0; j < m->dim; j++)
			memcpy(near[j], x + j * n + first, count * sizeof(*x));
		eval_block(state, TARGET_BLOCK, count, near[0],
			log_rho != NULL ? log_rho + first : NULL, grad != NULL ? slope[0] : NULL);
		for (size_t j = 0; grad != NULL && j < m->dim; j++)
			memcpy(grad + j * n + first, slope[j], count * sizeof(*grad));
	}
}

/* s[i] += g_k.v for component k of any covariance. */
static void add_slopes(const struct mixture *m, size_t k, size_t n, size_t count, const num *x,
	const num *v, num *s)
{
	const size_t dim = m->dim;

	for (size_t a = 0; a < dim; a++) {
		for (size_t b = 0; b < dim; b++) {
			const num inverse = m->inverse[(k * dim + a) * dim + b];
			const num centre = m->centre[k * dim + b];
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				s[i] += inverse * (centre - x[b * n + i]) * v[a * n + i];
		}
	}
}

static void hvp_block(const void *state, size_t n, size_t count, const num *x, const num *v,
	num *hv)
{
	const struct mixture *m = state;
	struct block b;
	num slope[COMPONENTS_MAX][TARGET_BLOCK]; /* g_k.v, at last what multiplies m_k - x */
	num constant[TARGET_BLOCK];              /* the sum of that */

	responsibilities(m, n, count, x, &b);
	memset(slope, 0, sizeof(slope));
	for (size_t k = 0; k < m->components; k++) {
		const num precision = m->precision[k];
		if (m->inverse != NULL)
			add_slopes(m, k, n, count, x, v, slope[k]);
		for (size_t j = 0; m->inverse == NULL && j < m->dim; j++) {
			const num centre = m->centre[k * m->dim + j];
			const num *xj = x + j * n, *vj = v + j * n;
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				slope[k][i] += precision * (centre - xj[i]) * vj[i];
		}
	}
	num_centre_slopes(m->components, count, b.weight, slope); /* eq. 3 */
	times_precision(m, count, slope, constant);
	times_precision(m, count, b.weight, b.precision);
	if (m->inverse != NULL) {
		for (size_t j = 0; j < m->dim; j++)
			memset(hv + j * n, 0, count * sizeof(*hv));
		for (size_t k = 0; k < m->components; k++)
			add_component(m, k, n, count, x, v, slope[k], b.weight[k], hv);
		return;
	}
	weighted_centres(m, n, count, slope[0], hv);
	for (size_t j = 0; j < m->dim; j++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			hv[j * n + i] -= constant[i] * x[j * n + i] + b.precision[i] * v[j * n + i];
	}
}

static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	num_hvp_blocks(state, n, x, v, hv, hvp_block);
}

/* --- what is known ----------------------------------------------------------------------- */

static void draw(const void *state, struct rng r, uint64_t row, double *x)
{
	const struct mixture *m = state;
	const size_t dim = m->dim, k = (size_t)rng_below(r, 0, row, 0, m->components);

	for (size_t j = 0; j < dim; j++)
		x[j] = m->mean[k * dim + j];
	for (size_t j = 0; j < dim; j++) {
		double z = rng_gauss(r, 0, row, (uint32_t)j + 1);
		if (m->factor == NULL)
			x[j] += m->std[k] * z;
		for (size_t i = j; m->factor != NULL && i < dim; i++)
			x[i] += m->factor[(k * dim + i) * dim + j] * z;
	}
}

static size_t modes(const void *state)
{
	const struct mixture *m = state;

	return m->components;
}

/* log N_k(x) up to what the components share. */
static double component_log_density(const struct mixture *m, size_t k, const double *x)
{
	const size_t dim = m->dim;
	const double *mean = m->mean + k * dim;
	double s = 0, log_det = m->std != NULL ? (double)dim * log(m->std[k]) : 0;

	for (size_t j = 0; j < dim; j++) {
		double z = 0;
		if (m->std != NULL)
			z = (x[j] - mean[j]) / m->std[k];
		for (size_t i = 0; m->whiten != NULL && i <= j; i++)
			z += m->whiten[(k * dim + j) * dim + i] * (x[i] - mean[i]);
		if (m->factor != NULL)
			log_det += log(m->factor[(k * dim + j) * dim + j]);
		s += z * z;
	}
	return -s / 2 - log_det;
}

static size_t classify(const void *state, const double *x)
{
	const struct mixture *m = state;
	size_t best = 0;
	double top = -HUGE_VAL;

	for (size_t k = 0; k < m->components; k++) {
		double density = component_log_density(m, k, x);
		if (density > top) {
			top = density;
			best = k;
		}
	}
	return best;
}

/* log N_k on the line p + t d, up to what the components share: c[0] + c[1] t + c[2] t^2. */
static void log_density_on_line(const struct mixture *m, size_t k, const double *p, const double *d,
	double *c)
{
	const size_t dim = m->dim;

	c[0] = component_log_density(m, k, p);
	c[1] = c[2] = 0;
	for (size_t j = 0; j < dim; j++) {
		double y = 0, u = 0;
		for (size_t i = 0; i <= j; i++) {
			double w = m->whiten != NULL ? m->whiten[(k * dim + j) * dim + i]
				   : i == j          ? 1 / m->std[k]
						     : 0;
			y += w * (p[i] - m->mean[k * dim + i]);
			u += w * d[i];
		}
		c[1] -= y * u;
		c[2] -= u * u / 2;
	}
}

/* Where a becomes larger than b: the first such t from `from` on, infinity when there is none. */
static double overtakes(const double *a, const double *b, double from)
{
	const double c0 = a[0] - b[0], c1 = a[1] - b[1], c2 = a[2] - b[2];
	const double discriminant = c1 * c1 - 4 * c2 * c0;

	if (!(discriminant > 0))
		return HUGE_VAL;
	/* Of the two roots the one with a positive slope, 2 c2 t + c1 = sqrt(discriminant); written
	 * such that nothing cancels. */
	double root = sqrt(discriminant);
	double t = c1 > 0 ? -2 * c0 / (c1 + root) : (root - c1) / (2 * c2);
	return t >= from && isfinite(t) ? t : HUGE_VAL;
}

/* Adds the mass of a standard normal t on the line p + t d to the components that are largest
 * there, from one crossing of the largest to the next. */
static void add_line(const struct mixture *m, const double *p, const double *d, double mass,
	double *weight)
{
	const double end = 9;
	double c[COMPONENTS_MAX][3], t = -end;
	size_t k = 0;

	for (size_t j = 0; j < m->components; j++) {
		log_density_on_line(m, j, p, d, c[j]);
		if (c[j][0] + t * (c[j][1] + t * c[j][2]) > c[k][0] + t * (c[k][1] + t * c[k][2]))
			k = j;
	}
	while (t < end) {
		double next = end;
		size_t over = k;
		for (size_t j = 0; j < m->components; j++) {
			/* Three that meet in a point may cross in any order of rounding. */
			double at = j != k ? overtakes(c[j], c[k], t - 1e-9) : HUGE_VAL;
			if (at < next) {
				next = at;
				over = j;
			}
		}
		weight[k] += mass * (gsl_cdf_ugaussian_P(next) - gsl_cdf_ugaussian_P(t));
		t = next;
		k = over;
	}
}

/* What classify gives to a mode: 1/K but for components that overlap, of which a narrow one takes
 * from a wide one and one in the middle loses on all sides. In one dimension a component is a line;
 * in two, lines side by side, summed by the trapezoid rule, to 1e-5. In more dimensions it is 1/K
 * where the components are apart, as those of gmm40_50d are by 80 deviations, and NaN (unknown)
 * where those of a user's table overlap. */
static void mode_weights(const void *state, double *weight)
{
	const struct mixture *m = state;
	const double step = 1.0 / 16, reach = 8;
	double total = 0;

	for (size_t k = 0; k < m->components; k++)
		weight[k] = m->dim <= 2 ? 0 : m->apart ? 1 : (double)NAN;
	for (size_t k = 0; m->dim <= 2 && k < m->components; k++) {
		const double *mean = m->mean + k * m->dim, *l = NULL;
		double s = 1;
		if (m->factor != NULL)
			l = m->factor + k * m->dim * m->dim;
		else
			s = m->std[k];
		if (m->dim == 1) {
			add_line(m, mean, l != NULL ? l : &s, 1, weight);
			continue;
		}
		const double d[2] = { 0, l != NULL ? l[3] : s };
		for (double z = -reach; z <= reach; z += step) {
			const double p[2] = { mean[0] + z * (l != NULL ? l[0] : s),
				mean[1] + z * (l != NULL ? l[2] : 0) };
			add_line(m, p, d, exp(-z * z / 2), weight);
		}
	}
	for (size_t k = 0; k < m->components; k++)
		total += weight[k];
	for (size_t k = 0; k < m->components; k++)
		weight[k] /= total;
}

static void moments(const void *state, double *mean, double *sd)
{
	const struct mixture *m = state;
	const double count = (double)m->components;

	for (size_t j = 0; j < m->dim; j++) {
		double sum = 0, variance = 0;
		for (size_t k = 0; k < m->components; k++)
			sum += m->mean[k * m->dim + j];
		mean[j] = sum / count;
		for (size_t k = 0; k < m->components; k++) {
			double d = m->mean[k * m->dim + j] - mean[j];
			variance += (d * d + variance_of(m, k, j)) / count;
		}
		sd[j] = sqrt(variance);
	}
}

static double cdf(const void *state, size_t j, double x)
{
	const struct mixture *m = state;
	double sum = 0;

	for (size_t k = 0; k < m->components; k++)
		sum += gsl_cdf_gaussian_P(x - m->mean[k * m->dim + j], sqrt(variance_of(m, k, j)));
	return sum / (double)m->components;
}

static void window(const void *state, struct window *out)
{
	const struct mixture *m = state;

	*out = m->window;
}

/*
 * Distances and weighted centres: 2 K D flops each, what two products of the points with the table
 * of means would take. Only the weighted centres are such a product here; the distances do the
 * work of one in plain loops (see log_densities), and the other operations that they take for it
 * do not count. Nothing is counted with any covariance: a matrix for each component is in loops
 * throughout. Mixtures of up to two dimensions, where exponentials take the time, have no such
 * hook.
 */
static double flops(const void *state)
{
	const struct mixture *m = state;

	return m->inverse == NULL && m->dim > 2 ? 4 * (double)m->components * (double)m->dim : 0;
}

#define MIXTURE                                                                                   \
	.state_size = sizeof(struct mixture), .dim = dim, .eval = eval, .hvp = hvp, .draw = draw, \
	.log_z = log_z_normalised, .modes = modes, .classify = classify,                          \
	.mode_weights = mode_weights, .moments = moments, .cdf = cdf, .window = window

#define FROM_FILE(id) .data = TABLE(id), .init = init_##id
#define FROM_MEANS(id) .options = id##_options, .init = init_##id

#define BEYOND_ELBOS "Blessing et al. 2024, arXiv 2406.07423"
#define OSDS "Jutras-Dube et al. 2025, arXiv 2512.05251"
#define SDE_SAMPLER "Richter and Berner 2024, arXiv 2307.01198"
#define SCDS "Jutras-Dube, Pynadath and Zhang 2025, arXiv 2502.07579"

#define GMM40_NOTE                                                                                \
	"Of the program's table: the GMM40 of Beyond ELBOs and OSDS, with standard deviation 1; " \
	"the means in 2 and in 50 dimensions are separate draws. The mixture of 40 of "           \
	"sde_sampler and SCDS is another density, gmm40_fab, and FAB's own yet another. Option "  \
	"means reads another table, to which this does not apply."
#define SCDS_UNUSED "Defined in the code of sde_sampler and SCDS; no experiment of theirs uses it."

const TARGET(gaussian2d) = {
	.name = "gaussian2d",
	.title = "Gaussian (2-D)",
	.paper = OSDS " (code); " BEYOND_ELBOS,
	.note = "Mean and covariance were drawn in float32 by the published code.",
	FROM_FILE(gaussian2d),
	MIXTURE,
};

const TARGET(gmm4_1d) = {
	.name = "gmm4_1d",
	.title = "GMM-4 (1-D)",
	.paper = OSDS " (code: gmm1d)",
	.init = init_gmm4_1d,
	MIXTURE,
};

const TARGET(gmm9) = {
	.name = "gmm9",
	.title = "GMM-9 (grid)",
	.paper = "Zhang and Chen 2022, arXiv 2111.15141",
	.note = "The gmm of sde_sampler and SCDS. The variance 0.3 enters as its root in float32, "
		"0.54772258, as it does there.",
	.init = init_gmm9,
	MIXTURE,
};

const TARGET(gmm8_circle) = {
	.name = "gmm8_circle",
	.title = "GMM-8 (circle)",
	.paper = SDE_SAMPLER " (code: circle)",
	.note = SCDS_UNUSED,
	FROM_FILE(gmm8_circle),
	MIXTURE,
};

const TARGET(gmm8_heart) = {
	.name = "gmm8_heart",
	.title = "GMM-8 (heart)",
	.paper = SDE_SAMPLER " (code: heart)",
	.note = SCDS_UNUSED,
	FROM_FILE(gmm8_heart),
	MIXTURE,
};

const TARGET(gmm5_dist) = {
	.name = "gmm5_dist",
	.title = "GMM-5 (distances)",
	.paper = SDE_SAMPLER " (code: dist)",
	.note = SCDS_UNUSED,
	FROM_FILE(gmm5_dist),
	MIXTURE,
};

const TARGET(gmm10_2d) = {
	.name = "gmm10_2d",
	.title = "GMM-10 (2-D)",
	.paper = BEYOND_ELBOS "; " OSDS " (code)",
	.note = "The locations of student10_2d are the means of this mixture.",
	FROM_FILE(gmm10_2d),
	MIXTURE,
};

const TARGET(gmm80) = {
	.name = "gmm80",
	.title = "GMM-80 (2-D)",
	.paper = SDE_SAMPLER " (code: multi)",
	.note = SCDS_UNUSED,
	FROM_FILE(gmm80),
	MIXTURE,
};

const TARGET(gmm40_2d) = {
	.name = "gmm40_2d",
	.title = "GMM-40 (2-D)",
	.paper = BEYOND_ELBOS " (MoG)",
	.note = GMM40_NOTE,
	FROM_MEANS(gmm40_2d),
	MIXTURE,
};

const TARGET(gmm40_50d) = {
	.name = "gmm40_50d",
	.title = "GMM-40 (50-D)",
	.paper = BEYOND_ELBOS " (MoG)",
	.note = GMM40_NOTE,
	.flops = flops,
	FROM_MEANS(gmm40_50d),
	MIXTURE,
};

const TARGET(gmm40_fab) = {
	.name = "gmm40_fab",
	.title = "GMM-40 (sde_sampler)",
	.paper = SDE_SAMPLER " (code: fab); " SCDS " (code)",
	.note = "Not FAB's own mixture. Named fab in sde_sampler, by the recipe of Midgley et al. "
		"2023 (arXiv 2208.01893), standard deviation log(1 + e) = 1.3132616 and means "
		"80 (u - 1/2), but with other random numbers: seed 42. FAB's own code draws its "
		"means with seed 0, which is another density and not here. The GMM40 of Beyond "
		"ELBOs and OSDS is another one too: gmm40_2d.",
	FROM_FILE(gmm40_fab),
	MIXTURE,
};
