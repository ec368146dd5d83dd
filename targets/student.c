/*
 * Mixtures of ten products of Student's t with 2 degrees of freedom, equal weights, scale 1,
 * normalised. With z_kj = x_j - m_kj,
 *
 *     rho(x) = 1/K sum_k prod_j t(z_kj),   t(z) = (1 + z^2/2)^(-3/2) / (2 sqrt 2),             (1)
 *     grad log rho = sum_k r_k g_k,        g_kj = -3 z_kj / (2 + z_kj^2),                      (2)
 *     Hessian v = sum_k r_k (g_k.v - sum_l r_l g_l.v) g_k + sum_k r_k h_k v  (elementwise),
 *                                          h_kj = -3 (2 - z_kj^2) / (2 + z_kj^2)^2,            (3)
 *
 * r_k being the responsibility of component k. A product of univariate t's: not a multivariate t.
 */
#include "stride.h"
#include "core/csv.h"

enum {
	COMPONENTS_MAX = 80,
	CELLS = 200, /* a side of the grid of mode_weights */
};

/* Factors 1 + z^2/2 whose product is taken before its logarithm: at |z| = 1e6 + 10 each is 5e11,
 * and no product leaves the range. */
#ifdef STRIDE_TARGET_F32
enum { GROUP = 3 };
#else
enum { GROUP = 24 };
#endif

struct student {
	size_t components, dim;
	double *location; /* [components][dim] */
	num *centre;      /* the same for eval */
};

#define FILE_2D "student10_2d.csv"
#define FILE_50D "student10_50d.csv"

static int load(struct student *s, const char *file, struct arena *a)
{
	struct csv t;

	TRY(csv_read(&t, data_path(file, a), CSV_FINITE, a));
	TRY(components_at_most(&t, COMPONENTS_MAX));
	s->components = t.rows;
	s->dim = t.cols;
	s->location = t.x;
	s->centre = ARENA_NEW(a, t.rows * t.cols, num);
	for (size_t j = 0; j < t.rows * t.cols; j++)
		s->centre[j] = (num)t.x[j];
	return OK;
}

static int init_2d(void *state, struct arena *a)
{
	return load(state, FILE_2D, a);
}

static int init_50d(void *state, struct arena *a)
{
	return load(state, FILE_50D, a);
}

static size_t dim(const void *state)
{
	const struct student *s = state;

	return s->dim;
}

/* --- evaluation -------------------------------------------------------------------------- */

/* Scratch for a block: a row of points for each component. */
struct block {
	num weight[COMPONENTS_MAX][TARGET_BLOCK]; /* log densities, then r_k */
	num top[TARGET_BLOCK], total[TARGET_BLOCK];
};

/* Log densities of the components without their constant. */
static void log_densities(const struct student *s, size_t n, size_t count, const num *x,
	struct block *b)
{
	for (size_t k = 0; k < s->components; k++) {
		num *w = b->weight[k];
		memset(w, 0, sizeof(b->weight[k]));
		for (size_t first = 0; first < s->dim; first += GROUP) {
			num product[TARGET_BLOCK];
			for (size_t i = 0; i < TARGET_BLOCK; i++)
				product[i] = 1;
			for (size_t j = first; j < s->dim && j < first + GROUP; j++) {
				const num *xj = x + j * n, centre = s->centre[k * s->dim + j];
#pragma omp simd
				for (size_t i = 0; i < count; i++) {
					num z = xj[i] - centre;
					product[i] *= 1 + z * z / 2;
				}
			}
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				w[i] -= (num)1.5 * num_log(product[i]);
		}
	}
}

static void responsibilities(const struct student *s, size_t n, size_t count, const num *x,
	struct block *b)
{
	log_densities(s, n, count, x, b);
	num_softmax(s->components, count, b->weight, b->top, b->total);
}

/* |x| up to 1e6 gives z^2 up to 1e12: see GROUP; the gradient is at most 3 / (2 sqrt 2). */
static void eval_block(const void *state, size_t n, size_t count, const num *x, double *log_rho,
	num *grad)
{
	const struct student *s = state;
	struct block b;

	responsibilities(s, n, count, x, &b);
	if (log_rho != NULL) {
		const double constant = -log((double)s->components) - 1.5 * log(2) * (double)s->dim;
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			log_rho[i] = constant + (double)b.top[i] + (double)num_log(b.total[i]);
	}
	for (size_t j = 0; grad != NULL && j < s->dim; j++) { /* eq. 2 */
		const num *xj = x + j * n;
		num sum[TARGET_BLOCK] = { 0 };
		for (size_t k = 0; k < s->components; k++) {
			const num centre = s->centre[k * s->dim + j];
#pragma omp simd
			for (size_t i = 0; i < count; i++) {
				num z = xj[i] - centre;
				sum[i] += b.weight[k][i] * z / (2 + z * z);
			}
		}
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			grad[j * n + i] = -3 * sum[i];
	}
}

static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	num_eval_blocks(state, n, x, log_rho, grad, eval_block);
}

static void hvp_block(const void *state, size_t n, size_t count, const num *x, const num *v,
	num *hv)
{
	const struct student *s = state;
	struct block b;
	num slope[COMPONENTS_MAX][TARGET_BLOCK]; /* g_k.v, then less their mean, times r_k */

	responsibilities(s, n, count, x, &b);
	memset(slope, 0, sizeof(slope));
	for (size_t k = 0; k < s->components; k++) {
		for (size_t j = 0; j < s->dim; j++) {
			const num *xj = x + j * n, *vj = v + j * n,
				  centre = s->centre[k * s->dim + j];
#pragma omp simd
			for (size_t i = 0; i < count; i++) {
				num z = xj[i] - centre;
				slope[k][i] -= 3 * z / (2 + z * z) * vj[i];
			}
		}
	}
	num_centre_slopes(s->components, count, b.weight, slope);
	for (size_t j = 0; j < s->dim; j++) { /* eq. 3 */
		const num *xj = x + j * n, *vj = v + j * n;
		num sum[TARGET_BLOCK] = { 0 };
		for (size_t k = 0; k < s->components; k++) {
			const num centre = s->centre[k * s->dim + j];
#pragma omp simd
			for (size_t i = 0; i < count; i++) {
				num z = xj[i] - centre, q = 1 / (2 + z * z);
				sum[i] += (slope[k][i] * z + b.weight[k][i] * (4 * q - 1) * vj[i]) *
					  q;
			}
		}
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			hv[j * n + i] = -3 * sum[i];
	}
}

static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	num_hvp_blocks(state, n, x, v, hv, hvp_block);
}

/* --- what is known ----------------------------------------------------------------------- */

/* The inverse of the distribution function 1/2 + z / (2 sqrt(2 + z^2)). */
static double quantile(double u)
{
	return (2 * u - 1) / sqrt(2 * u * (1 - u));
}

static void draw(const void *state, struct rng r, uint64_t row, double *x)
{
	const struct student *s = state;
	size_t k = (size_t)rng_below(r, 0, row, 0, s->components);

	for (size_t j = 0; j < s->dim; j++)
		x[j] = s->location[k * s->dim + j] +
		       quantile(rng_uniform(r, 0, row, (uint32_t)j + 1));
}

static size_t modes(const void *state)
{
	const struct student *s = state;

	return s->components;
}

/* The component with the largest density: the smallest product of 1 + z^2/2. Its logarithm is taken
 * every 16 factors, which |z| up to 1e9 lets stay finite. */
static size_t classify(const void *state, const double *x)
{
	const struct student *s = state;
	size_t best = 0;
	double least = HUGE_VAL;

	for (size_t k = 0; k < s->components; k++) {
		double sum = 0, product = 1;
		for (size_t j = 0; j < s->dim; j++) {
			double z = x[j] - s->location[k * s->dim + j];
			product *= 1 + z * z / 2;
			if (j % 16 == 15 || j + 1 == s->dim) {
				sum += log(product);
				product = 1;
			}
		}
		if (sum < least) {
			least = sum;
			best = k;
		}
	}
	return best;
}

/* What classify gives to a mode. In the plane the components overlap: each is cut into CELLS x
 * CELLS pieces of equal mass, classified at their centres, to 1e-4. In 50 dimensions they are
 * apart by 49. */
static void mode_weights(const void *state, double *weight)
{
	const struct student *s = state;
	const double share = 1.0 / ((double)s->components * CELLS * CELLS);

	for (size_t k = 0; k < s->components; k++)
		weight[k] = s->dim == 2 ? 0 : 1 / (double)s->components;
	for (size_t k = 0; s->dim == 2 && k < s->components; k++) {
		for (size_t cell = 0; cell < (size_t)CELLS * CELLS; cell++) {
			double x[2] = { ((double)(cell % CELLS) + 0.5) / CELLS,
				((double)(cell / CELLS) + 0.5) / CELLS };
			for (size_t j = 0; j < 2; j++)
				x[j] = s->location[2 * k + j] + quantile(x[j]);
			weight[classify(s, x)] += share;
		}
	}
}

static void moments(const void *state, double *mean, double *sd)
{
	const struct student *s = state;

	for (size_t j = 0; j < s->dim; j++) {
		mean[j] = 0;
		for (size_t k = 0; k < s->components; k++)
			mean[j] += s->location[k * s->dim + j] / (double)s->components;
		sd[j] = HUGE_VAL;
	}
}

static double cdf(const void *state, size_t j, double x)
{
	const struct student *s = state;
	double sum = 0;

	for (size_t k = 0; k < s->components; k++) {
		double z = x - s->location[k * s->dim + j];
		sum += 0.5 + z / (2 * sqrt(2 + z * z));
	}
	return sum / (double)s->components;
}

static void window(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ -15, 15, -15, 15 };
}

#define STUDENT                                                                                    \
	.state_size = sizeof(struct student), .dim = dim, .eval = eval, .hvp = hvp, .draw = draw,  \
	.log_z = log_z_normalised, .modes = modes, .classify = classify,                           \
	.mode_weights = mode_weights, .moments = moments, .cdf = cdf, .window = window,            \
	.note = "Products of univariate t's with 2 degrees of freedom: the variance is infinite, " \
		"and a mean of samples converges slower than 1/sqrt(n). Metrics made of squared "  \
		"distances depend on the largest samples."

const TARGET(student10_2d) = {
	.name = "student10_2d",
	.title = "Student-10 (2-D)",
	.paper = "Blessing et al. 2024, arXiv 2406.07423 (MoS)",
	.data = FILE_2D,
	.init = init_2d,
	STUDENT,
};

const TARGET(student10_50d) = {
	.name = "student10_50d",
	.title = "Student-10 (50-D)",
	.paper = "Blessing et al. 2024, arXiv 2406.07423 (MoS); "
		 "Jutras-Dube et al. 2025, arXiv 2512.05251 (code)",
	.data = FILE_50D,
	.init = init_50d,
	STUDENT,
};
