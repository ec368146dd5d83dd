/*
 * Log-Gaussian Cox process on a grid of 40 by 40 cells: where 126 pines stand. With cell (i, j) at
 * index m = 40 i + j, the number y_m of trees in it, and a = 1/1600 its area, the log intensity f
 * is normal,
 *
 *     f ~ N(mu, K),   K_mn = s2 exp(-|m - n| 33/40),   mu = log 126 - s2/2,   s2 = 1.91,       (1)
 *     y_m | f ~ Poisson(a e^f_m), without its constant -log y_m!,
 *
 * |m - n| the distance of the two cells in units of the grid. The posterior of f, and that of the
 * white noise e with f = L e + mu, K = L L' (L lower triangular), are
 *
 *     log rho(f) = -(f - mu)' K^-1 (f - mu) / 2 - log det K / 2 - 800 log(2 pi)
 *                  + sum_m (y_m f_m - a e^f_m),                                                (2)
 *     gradient   = -K^-1 (f - mu) + r,   r_m = y_m - a e^f_m,                                  (3)
 *     log rho(e) = -|e|^2 / 2 - 800 log(2 pi) + sum_m (y_m f_m - a e^f_m),                     (4)
 *     gradient   = -e + L' r.                                                                  (5)
 *
 * Both have the same log Z. K is factorised once, in double. K^-1 is then made from the factor: one
 * product with it takes as many multiplications as two triangular solves, without their order. The
 * condition number of K is 28, so float loses nothing by it.
 */
#include "stride.h"
#include "core/csv.h"

#include <lapacke.h>

#define DATA "pines.csv"

enum { SIDE = 40, CELLS = SIDE * SIDE };

/* Columns of a product that are made at a time: all outputs of eval come from the same pieces, and
 * where one is not wanted a piece takes 50 kB (double: 100 kB) of the stack. */
enum { PANEL = 200 };
_Static_assert(CELLS % PANEL == 0, "panels cover the grid");

static const double VARIANCE = 1.91, TREES = 126, AREA = 1.0 / CELLS;

struct lgcp {
	num *matrix; /* [CELLS][CELLS]: lgcp K^-1, lgcp_whitened L with zeros above its diagonal */
	num *shift;  /* [CELLS]: lgcp K^-1 mu */
	num *trees;  /* [CELLS] y */
	double log_det;
};

/* --- preparation ------------------------------------------------------------------------- */

static size_t cell_of(double metres)
{
	return (size_t)floor(SIDE * (metres / 10));
}

/* The window of the survey is [-5, 5] x [-8, 2] metres. */
static int count_trees(num *trees, struct arena *a)
{
	const char *const names[] = { "x_m", "y_m", NULL };
	struct csv t;
	size_t column[2];

	TRY(csv_read(&t, data_path(DATA, a), CSV_FINITE, a));
	TRY(csv_columns(&t, names, column));
	for (size_t i = 0; i < t.rows; i++) {
		double x = t.x[i * t.cols + column[0]] + 5, y = t.x[i * t.cols + column[1]] + 8;
		if (!(x >= 0 && x < 10 && y >= 0 && y < 10))
			return fail(ERR_PARSE,
				"%s:%zu: the tree is at %g, %g; [-5, 5) x [-8, 2) is the window",
				t.path, t.line[i], x - 5, y - 8);
		trees[SIDE * cell_of(x) + cell_of(y)] += 1;
	}
	if ((double)t.rows != TREES)
		return fail(ERR_PARSE, "%s:%zu: %zu trees; %g are needed", t.path,
			t.line[t.rows - 1], t.rows, TREES);
	return OK;
}

/* k [CELLS][CELLS] becomes L (eq. 1) with zeros above the diagonal; log det K in *log_det. What is
 * the lower triangle here is the upper one of LAPACK's columns. */
static int factorise(double *k, double *log_det)
{
	double by_distance[SIDE][SIDE];

	for (size_t i = 0; i < SIDE; i++)
		for (size_t j = 0; j < SIDE; j++)
			by_distance[i][j] =
				VARIANCE * exp(-hypot((double)i, (double)j) * 33 / SIDE);
	for (size_t m = 0; m < CELLS; m++)
		for (size_t n = 0; n < CELLS; n++) {
			size_t i = m / SIDE > n / SIDE ? m / SIDE - n / SIDE : n / SIDE - m / SIDE;
			size_t j = m % SIDE > n % SIDE ? m % SIDE - n % SIDE : n % SIDE - m % SIDE;
			k[m * CELLS + n] = n <= m ? by_distance[i][j] : 0;
		}
	if (LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', CELLS, k, CELLS) != 0)
		return fail(ERR_NUMERIC, "the covariance of the process has no Cholesky factor");
	*log_det = 0;
	for (size_t m = 0; m < CELLS; m++)
		*log_det += 2 * log(k[m * CELLS + m]);
	return OK;
}

static int load(struct lgcp *g, double *k, struct arena *a)
{
	TRY(count_trees(g->trees, a));
	return factorise(k, &g->log_det);
}

static double mean_of_field(void)
{
	return log(TREES) - VARIANCE / 2;
}

static int init(void *state, struct arena *a)
{
	struct lgcp *g = state;

	g->matrix = arena_alloc(a, (size_t)CELLS * CELLS, sizeof(*g->matrix));
	g->shift = arena_alloc(a, CELLS, sizeof(*g->shift));
	g->trees = ARENA_NEW(a, CELLS, num);
	struct arena_mark mark = arena_mark(a);
	double *k = arena_alloc(a, (size_t)CELLS * CELLS, sizeof(*k));
	TRY(load(g, k, a));
	if (LAPACKE_dpotri_work(LAPACK_COL_MAJOR, 'U', CELLS, k, CELLS) != 0)
		return fail(ERR_NUMERIC, "the covariance of the process has no inverse");
	for (size_t m = 0; m < CELLS; m++) {
		double row = 0;
		for (size_t n = 0; n < CELLS; n++) {
			double entry = n <= m ? k[m * CELLS + n] : k[n * CELLS + m];
			g->matrix[m * CELLS + n] = (num)entry;
			row += entry;
		}
		g->shift[m] = (num)(row * mean_of_field());
	}
	arena_release(a, mark);
	return OK;
}

static int init_whitened(void *state, struct arena *a)
{
	struct lgcp *g = state;

	g->matrix = arena_alloc(a, (size_t)CELLS * CELLS, sizeof(*g->matrix));
	g->trees = ARENA_NEW(a, CELLS, num);
	struct arena_mark mark = arena_mark(a);
	double *k = arena_alloc(a, (size_t)CELLS * CELLS, sizeof(*k));
	TRY(load(g, k, a));
	for (size_t j = 0; j < (size_t)CELLS * CELLS; j++)
		g->matrix[j] = (num)k[j];
	arena_release(a, mark);
	return OK;
}

static size_t dim(const void *state)
{
	(void)state;
	return CELLS;
}

/* --- the likelihood, a cell at a time ---------------------------------------------------- */

/*
 * a e^f, in double in both instances, so that float has log rho for every f. The exponent is
 * clamped at 690, which keeps log rho above -1e300 and finite; what enters a gradient is clamped at
 * LARGE, which the sums of eq. 5 then keep in the range of num. That changes the gradient in float
 * for f > 88.
 */
#ifdef STRIDE_TARGET_F32
#define LARGE 1e35
#else
#define LARGE 1e297
#endif

static void expected(size_t count, const num *f, double *rate)
{
#pragma omp simd
	for (size_t i = 0; i < count; i++) {
		double exponent = (double)f[i];
		rate[i] = AREA * vm_exp(exponent > 690 ? 690 : exponent);
	}
}

static inline num bounded(double x)
{
	return num_bounded(x, LARGE);
}

static void add_likelihood(size_t count, num trees, const num *f, const double *rate,
	double *log_rho)
{
#pragma omp simd
	for (size_t i = 0; i < count; i++)
		log_rho[i] += (double)(trees * f[i]) - rate[i];
}

/* --- the field itself (eq. 2, 3) --------------------------------------------------------- */

static void eval_block(const void *state, size_t n, size_t count, const num *x, double *log_rho,
	num *grad)
{
	const struct lgcp *g = state;
	const double mu = mean_of_field(), constant = -(g->log_det + CELLS * LOG_2PI) / 2;
	double rate[TARGET_BLOCK];
	num piece[PANEL * TARGET_BLOCK];

	for (size_t i = 0; log_rho != NULL && i < count; i++)
		log_rho[i] = constant;
	for (size_t first = 0; first < CELLS; first += PANEL) {
		num *pull = grad != NULL ? grad + first * n : piece;
		size_t pitch = grad != NULL ? n : TARGET_BLOCK;
		num_gemm(false, count, PANEL, CELLS, -1, x, n, g->matrix + first * CELLS, CELLS, 0,
			pull, pitch);
		for (size_t m = first; m < first + PANEL; m++, pull += pitch) {
			const num *f = x + m * n, shift = g->shift[m], trees = g->trees[m];
			expected(count, f, rate);
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				pull[i] += shift;
			if (log_rho != NULL) {
				add_likelihood(count, trees, f, rate, log_rho);
#pragma omp simd
				for (size_t i = 0; i < count; i++)
					log_rho[i] += ((double)f[i] - mu) * (double)pull[i] / 2;
			}
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				pull[i] += trees - bounded(rate[i]);
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
	const struct lgcp *g = state;
	double rate[TARGET_BLOCK];

	num_gemm(false, count, CELLS, CELLS, -1, v, n, g->matrix, CELLS, 0, hv, n);
	for (size_t m = 0; m < CELLS; m++) {
		expected(count, x + m * n, rate);
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			hv[m * n + i] -= bounded(rate[i] * (double)v[m * n + i]);
	}
}

static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	num_hvp_blocks(state, n, x, v, hv, hvp_block);
}

static double flops(const void *state)
{
	(void)state;
	return 2.0 * CELLS * CELLS;
}

/* --- white noise (eq. 4, 5) -------------------------------------------------------------- */

/* out = L x, its components first .. first + PANEL - 1; nothing is multiplied by the zeros
 * beyond. */
static void colour(const struct lgcp *g, size_t first, size_t n, size_t count, const num *x,
	num *out, size_t pitch)
{
	num_gemm(false, count, PANEL, first + PANEL, 1, x, n, g->matrix + first * CELLS, CELLS, 0,
		out, pitch);
}

/* r = L' r - x. A panel of L' r has no part of the panels before it, so they can be overwritten. */
static void uncolour(const struct lgcp *g, size_t n, size_t count, const num *x, num *r)
{
	num piece[PANEL][TARGET_BLOCK];

	for (size_t first = 0; first < CELLS; first += PANEL) {
		num_gemm(true, count, PANEL, CELLS - first, 1, r + first * n, n,
			g->matrix + first * CELLS + first, CELLS, 0, piece[0], TARGET_BLOCK);
		for (size_t j = 0; j < PANEL; j++) {
			const num *xm = x + (first + j) * n;
			num *rm = r + (first + j) * n;
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				rm[i] = piece[j][i] - xm[i];
		}
	}
}

static void eval_whitened_block(const void *state, size_t n, size_t count, const num *x,
	double *log_rho, num *grad)
{
	const struct lgcp *g = state;
	const num mu = (num)mean_of_field();
	double rate[TARGET_BLOCK];
	num piece[PANEL * TARGET_BLOCK];

	for (size_t i = 0; log_rho != NULL && i < count; i++)
		log_rho[i] = -CELLS * LOG_2PI / 2;
	for (size_t first = 0; first < CELLS; first += PANEL) {
		num *f = grad != NULL ? grad + first * n : piece;
		size_t pitch = grad != NULL ? n : TARGET_BLOCK;
		colour(g, first, n, count, x, f, pitch);
		for (size_t m = first; m < first + PANEL; m++, f += pitch) {
			const num *e = x + m * n, trees = g->trees[m];
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				f[i] += mu;
			expected(count, f, rate);
			if (log_rho != NULL) {
				add_likelihood(count, trees, f, rate, log_rho);
#pragma omp simd
				for (size_t i = 0; i < count; i++)
					log_rho[i] -= (double)e[i] * (double)e[i] / 2;
			}
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				f[i] = trees - bounded(rate[i]);
		}
	}
	if (grad != NULL)
		uncolour(g, n, count, x, grad);
}

static void eval_whitened(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	num_eval_blocks(state, n, x, log_rho, grad, eval_whitened_block);
}

/* H v = -L' (a e^f L v) - v. */
static void hvp_whitened_block(const void *state, size_t n, size_t count, const num *x,
	const num *v, num *hv)
{
	const struct lgcp *g = state;
	const num mu = (num)mean_of_field();
	double rate[TARGET_BLOCK];
	num f[PANEL][TARGET_BLOCK];

	for (size_t first = 0; first < CELLS; first += PANEL) {
		colour(g, first, n, count, x, f[0], TARGET_BLOCK);
		colour(g, first, n, count, v, hv + first * n, n);
		for (size_t j = 0; j < PANEL; j++) {
			num *lv = hv + (first + j) * n;
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				f[j][i] += mu;
			expected(count, f[j], rate);
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				lv[i] = -bounded(rate[i] * (double)lv[i]);
		}
	}
	uncolour(g, n, count, v, hv);
}

static void hvp_whitened(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	num_hvp_blocks(state, n, x, v, hv, hvp_whitened_block);
}

/* The two triangular products by panels, with what their diagonal blocks have of zeros. */
static double flops_whitened(const void *state)
{
	(void)state;
	return 2.0 * CELLS * (CELLS + PANEL);
}

/* --- what is known ----------------------------------------------------------------------- */

/* Eq. 1. */
static void prior(const void *state, double *mean, double *factor)
{
	double log_det;

	(void)state;
	invariant(factorise(factor, &log_det) == OK);
	for (size_t m = 0; m < CELLS; m++)
		mean[m] = mean_of_field();
}

static void prior_whitened(const void *state, double *mean, double *factor)
{
	(void)state;
	memset(mean, 0, CELLS * sizeof(*mean));
	memset(factor, 0, (size_t)CELLS * CELLS * sizeof(*factor));
	for (size_t m = 0; m < CELLS; m++)
		factor[m * CELLS + m] = 1;
}

static void window(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ 0, 8, 0, 8 };
}

static void window_whitened(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ -4, 4, -4, 4 };
}

#define LGCP                                                                                     \
	.paper = "Møller, Syversveen and Waagepetersen 1998, Log Gaussian Cox processes (data " \
		 "and model); Blessing et al. 2024, arXiv 2406.07423 (posterior)",               \
	.data = DATA, .state_size = sizeof(struct lgcp), .dim = dim

#define CONSTANT                                                                           \
	"The log Z of 512.6 that published code compares with is not this density's. The " \
	"factorials y! of the counts are left out."

const TARGET(lgcp) = {
	.name = "lgcp",
	.title = "LGCP",
	.note = CONSTANT " lgcp_whitened is the same posterior in coordinates of white noise.",
	.init = init,
	.eval = eval,
	.hvp = hvp,
	.prior = prior,
	.window = window,
	.flops = flops,
	LGCP,
};

const TARGET(lgcp_whitened) = {
	.name = "lgcp_whitened",
	.title = "LGCP (whitened)",
	.note = CONSTANT " An option of the published code, off by default there: lgcp is what "
			 "the papers report.",
	.init = init_whitened,
	.eval = eval_whitened,
	.hvp = hvp_whitened,
	.prior = prior_whitened,
	.window = window_whitened,
	.flops = flops_whitened,
	LGCP,
};
