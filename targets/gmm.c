/*
 * Gaussian mixtures with equal weights and isotropic components, normalised:
 *
 *     rho(x) = 1/K sum_k N(x; m_k, s_k^2 I),
 *     r_k    = N_k(x) / sum_j N_j(x)                             (responsibility)             (1)
 *     grad log rho = sum_k r_k g_k,  g_k = (m_k - x) / s_k^2                                  (2)
 *     Hessian v = sum_k r_k (g_k.v - sum_j r_j g_j.v) g_k - sum_k r_k / s_k^2 v               (3)
 *
 * gmm40_2d and gmm40_50d are the 40-mode mixtures of Beyond ELBOs and OSDS, gmm9 the grid of
 * sde_sampler and SCDS.
 */
#include "stride.h"
#include "core/csv.h"

enum { COMPONENTS_MAX = 80 };

struct mixture {
	const char *means; /* file of the 40-mode mixtures */
	size_t components, dim;
	double half_width;                   /* of the plot window */
	double *mean;                        /* [components][dim] */
	double *std;                         /* [components] */
	num *centre, *precision, *log_scale; /* the same for eval */
};

/* --- preparation ------------------------------------------------------------------------- */

/* mean [components][dim] is kept. */
static void prepare(struct mixture *m, size_t components, size_t dim, double *mean, double std,
	double half_width, struct arena *a)
{
	invariant(components <= COMPONENTS_MAX);
	m->components = components;
	m->dim = dim;
	m->half_width = half_width;
	m->mean = mean;
	m->std = ARENA_NEW(a, components, double);
	m->centre = ARENA_NEW(a, components * dim, num);
	m->precision = ARENA_NEW(a, components, num);
	m->log_scale = ARENA_NEW(a, components, num);
	for (size_t k = 0; k < components; k++) {
		m->std[k] = std;
		m->precision[k] = (num)(1 / (std * std));
		m->log_scale[k] =
			(num)(-log((double)components) - (double)dim * (log(std) + LOG_2PI / 2));
	}
	for (size_t j = 0; j < components * dim; j++)
		m->centre[j] = (num)mean[j];
}

static int init_gmm40(void *state, struct arena *a)
{
	struct mixture *m = state;
	struct csv table;

	TRY(csv_read(&table, data_path(m->means, a), CSV_FINITE, a));
	if (table.rows > COMPONENTS_MAX)
		return fail(ERR_RANGE, "%s:%zu: component %d; at most %d are possible", table.path,
			table.line[COMPONENTS_MAX], COMPONENTS_MAX + 1, COMPONENTS_MAX);
	prepare(m, table.rows, table.cols, table.x, 1, 60, a);
	return OK;
}

#define MEANS(file)                                                                               \
	{                                                                                         \
		{ "means", OPTION_TEXT, offsetof(struct mixture, means), file, 0, 0, "",          \
			"CSV with the mean of a component, of standard deviation 1, in each row", \
			NULL },                                                                   \
			{ 0 },                                                                    \
	}

static const struct option gmm40_2d_options[] = MEANS("gmm40_2d.csv");
static const struct option gmm40_50d_options[] = MEANS("gmm40_50d.csv");

static int init_gmm9(void *state, struct arena *a)
{
	/* sqrt(0.3) as the published code has it, in float32. */
	const double std = (double)0.54772257804870605f;
	double *mean = ARENA_NEW(a, 9 * 2, double);

	for (size_t k = 0; k < 9; k++) {
		mean[2 * k] = 5.0 * (double)(k / 3) - 5;
		mean[2 * k + 1] = 5.0 * (double)(k % 3) - 5;
	}
	prepare(state, 9, 2, mean, std, 5 + 5 * std, a);
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
	num weight[COMPONENTS_MAX][TARGET_BLOCK];   /* log N_k, then r_k / s_k^2 */
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

/* Log densities of the components. Differences are squared and summed directly: expanding
 * |x|^2 - 2 x.m + |m|^2 into a matrix product would lose four of float's seven digits here, as |x|^2
 * is thousands of times |x - m|^2. Four coordinates at a time, as a sum is otherwise loaded and
 * stored for each. */
static void log_densities(const struct mixture *m, size_t n, size_t count, const num *x,
	struct block *b)
{
	for (size_t k = 0; k < m->components; k++) {
		const num *centre = m->centre + k * m->dim;
		const num half = m->precision[k] / 2, log_scale = m->log_scale[k];
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
	log_densities(m, n, count, x, b);
	memcpy(b->top, b->weight[0], sizeof(b->top));
	for (size_t k = 1; k < m->components; k++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			b->top[i] = b->weight[k][i] > b->top[i] ? b->weight[k][i] : b->top[i];
	}
	memset(b->total, 0, sizeof(b->total));
	memset(b->precision, 0, sizeof(b->precision));
	for (size_t k = 0; k < m->components; k++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			num e = num_exp(b->weight[k][i] - b->top[i]);
			b->total[i] += e;
			b->weight[k][i] = e * m->precision[k];
			b->precision[i] += b->weight[k][i];
		}
	}
	num inverse[TARGET_BLOCK];
#pragma omp simd
	for (size_t i = 0; i < count; i++) {
		inverse[i] = 1 / b->total[i];
		b->precision[i] *= inverse[i];
	}
	for (size_t k = 0; k < m->components; k++) {
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			b->weight[k][i] *= inverse[i];
	}
}

/* out [dim][n] = sum_k weight[k] centre[k], weight [components][TARGET_BLOCK]. */
static void weighted_centres(const struct mixture *m, size_t n, size_t count, const num *weight,
	num *out)
{
	num_gemm(true, count, m->dim, m->components, 1, weight, TARGET_BLOCK, m->centre, m->dim, 0,
		out, n);
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
			log_rho[i] = (double)b.top[i] + (double)num_log(b.total[i]);
	}
	if (grad != NULL) { /* eq. 2 */
		weighted_centres(m, n, count, b.weight[0], grad);
		for (size_t j = 0; j < m->dim; j++) {
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				grad[j * n + i] -= b.precision[i] * x[j * n + i];
		}
	}
}

static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	num_eval_blocks(state, n, x, log_rho, grad, eval_block);
}

static void hvp_block(const void *state, size_t n, size_t count, const num *x, const num *v,
	num *hv)
{
	const struct mixture *m = state;
	struct block b;
	num slope[COMPONENTS_MAX][TARGET_BLOCK]; /* g_k.v */
	num mean_slope[TARGET_BLOCK] = { 0 }, constant[TARGET_BLOCK] = { 0 };

	responsibilities(m, n, count, x, &b);
	memset(slope, 0, sizeof(slope));
	for (size_t k = 0; k < m->components; k++) {
		const num precision = m->precision[k];
		for (size_t j = 0; j < m->dim; j++) {
			const num centre = m->centre[k * m->dim + j];
			const num *xj = x + j * n, *vj = v + j * n;
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				slope[k][i] += precision * (centre - xj[i]) * vj[i];
		}
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			mean_slope[i] += b.weight[k][i] / precision * slope[k][i];
	}
	for (size_t k = 0; k < m->components; k++) { /* eq. 3 */
#pragma omp simd
		for (size_t i = 0; i < count; i++) {
			slope[k][i] = b.weight[k][i] * (slope[k][i] - mean_slope[i]);
			constant[i] += slope[k][i];
		}
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
	size_t k = (size_t)rng_below(r, 0, row, 0, m->components);

	for (size_t j = 0; j < m->dim; j++)
		x[j] = m->mean[k * m->dim + j] + m->std[k] * rng_gauss(r, 0, row, (uint32_t)j + 1);
}

static void log_z(const void *state, struct log_z *out)
{
	(void)state;
	*out = (struct log_z){ LOG_Z_EXACT, 0, 0, "normalised" };
}

static size_t modes(const void *state)
{
	const struct mixture *m = state;

	return m->components;
}

static size_t classify(const void *state, const double *x)
{
	const struct mixture *m = state;
	size_t best = 0;
	double top = -HUGE_VAL;

	for (size_t k = 0; k < m->components; k++) {
		double s = 0;
		for (size_t j = 0; j < m->dim; j++) {
			double z = (x[j] - m->mean[k * m->dim + j]) / m->std[k];
			s += z * z;
		}
		double density = -s / 2 - (double)m->dim * log(m->std[k]);
		if (density > top) {
			top = density;
			best = k;
		}
	}
	return best;
}

static void mode_weights(const void *state, double *weight)
{
	const struct mixture *m = state;

	for (size_t k = 0; k < m->components; k++)
		weight[k] = 1 / (double)m->components;
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
			variance += (d * d + m->std[k] * m->std[k]) / count;
		}
		sd[j] = sqrt(variance);
	}
}

static void window(const void *state, struct window *out)
{
	const struct mixture *m = state;
	double w = m->half_width;

	*out = (struct window){ -w, w, -w, w };
}

/* Distances and weighted centres: two products of a point with components x dim numbers. */
static double flops(const void *state)
{
	const struct mixture *m = state;

	return 4 * (double)m->components * (double)m->dim;
}

#define MIXTURE                                                                                   \
	.state_size = sizeof(struct mixture), .dim = dim, .eval = eval, .hvp = hvp, .draw = draw, \
	.log_z = log_z, .modes = modes, .classify = classify, .mode_weights = mode_weights,       \
	.moments = moments, .window = window, .flops = flops

const TARGET(gmm40_2d) = {
	.name = "gmm40_2d",
	.title = "GMM-40 (2-D)",
	.paper = "Blessing et al. 2024, arXiv 2406.07423 (MoG)",
	.options = gmm40_2d_options,
	.init = init_gmm40,
	MIXTURE,
};

const TARGET(gmm40_50d) = {
	.name = "gmm40_50d",
	.title = "GMM-40 (50-D)",
	.paper = "Blessing et al. 2024, arXiv 2406.07423 (MoG)",
	.options = gmm40_50d_options,
	.init = init_gmm40,
	MIXTURE,
};

const TARGET(gmm9) = {
	.name = "gmm9",
	.title = "GMM-9",
	.paper = "Zhang and Chen 2022, arXiv 2111.15141; grid of 9 modes",
	.init = init_gmm9,
	MIXTURE,
};
