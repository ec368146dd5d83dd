/*
 * With Q_ij = exp((f_i + g_j - C_ij) / eps), whose columns sum to n, and r its row sums, which should be m,
 *
 *     grad F = (m - r) / (n m),     -Hess F = (diag r - Q Q' / n) / (eps n m).
 *
 * The second is a Laplacian: its diagonal is made from the weights Q Q' / n of the other columns, so that
 * the digits of rows that share next to nothing are not lost. Within a level Q is held as Q0, of the
 * potentials at its start, and factors exp(phi_i), n / column sums: C is subtracted once, and the
 * rounding of its difference is that of another cost.
 */
#include "score/newton.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/stats.h"
#include "core/vmath.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

enum {
	TILE = 128, /* columns in a piece of parallel work */
	SWEEPS = 6, /* Sinkhorn's, at the start of a level and where Newton's step does not help */
	HALVINGS = 20, /* of a step */
	FAILURES = 3   /* in a row, after which it ends */
};

/* Error at which an intermediate level is good enough to start the next one, and the same in points: a
 * level that leaves the mass of a point where it does not belong leaves the next one a way as long as
 * that point is far, in steps of STEP_MAX. */
static const double LEVEL_TOLERANCE = 1e-2, LEVEL_POINTS = 0.5;

/* The largest change of f / eps in a step: further off, F is no parabola. */
static const double STEP_MAX = 30;

/* Beyond it potentials are absorbed into Q0. */
static const double PHI_MAX = 200;

/* Of F / eps, which is a mean of numbers up to PHI_MAX. */
static const double ROUNDING = 1e-12;

/* Of each diagonal entry, where constants and parts without a link make the Laplacian singular. */
static const double RIDGE = 1e-12;

struct newton {
	const struct cloud *x, *y;
	bool squared;
	size_t n, m;
	double eps;
	double *f, *g;       /* [n], [m] of Q0 */
	double *phi;         /* [n] f = f0 + eps phi */
	double *factor;      /* [n] exp(phi) */
	double *col;         /* [m] column sums of Q0 exp(phi) */
	double *row;         /* [n] row sums of Q */
	double *q0, *q;      /* [n][m] */
	double *laplacian;   /* [n][n], lower triangle by rows */
	double *step;        /* [n] */
	double *trial;       /* [n] */
	double value, error; /* (F - F of Q0) / eps, L1 error of the rows */
};

static size_t tiles(const struct newton *w)
{
	return (w->m + TILE - 1) / TILE;
}

static size_t tile_end(const struct newton *w, size_t tile)
{
	return (tile + 1) * TILE < w->m ? (tile + 1) * TILE : w->m;
}

/* q0_i = costs of row i. */
static void costs_of_row(struct newton *w, size_t i)
{
	double *c = w->q0 + i * w->m;

	cloud_distances(w->x, i, w->y, 0, w->m, c);
	if (!w->squared)
		for (size_t j = 0; j < w->m; j++)
			c[j] = sqrt(c[j]);
}

static void costs_block(void *context, size_t block)
{
	struct newton *w = context;

	for (size_t i = block * CLOUD_BLOCK; i < cloud_block_end(block, w->n); i++)
		costs_of_row(w, i);
}

/* Q0 = exp((f_i + g_j - C_ij) / eps), C being there. */
static void kernel_block(void *context, size_t block)
{
	struct newton *w = context;

	for (size_t i = block * CLOUD_BLOCK; i < cloud_block_end(block, w->n); i++) {
		double *q = w->q0 + i * w->m;
#pragma omp simd
		for (size_t j = 0; j < w->m; j++)
			q[j] = vm_exp(((w->f[i] - q[j]) + w->g[j]) / w->eps);
	}
}

/* Columns: g_j = eps (log n - log sum_i exp((f_i - C_ij) / eps)), C being there. */
static void columns_tile(void *context, size_t tile)
{
	struct newton *w = context;
	const size_t from = tile * TILE, to = tile_end(w, tile);
	double *top = w->col;

	for (size_t j = from; j < to; j++) {
		top[j] = -(double)INFINITY;
		w->g[j] = 0;
	}
	for (size_t i = 0; i < w->n; i++)
#pragma omp simd
		for (size_t j = from; j < to; j++) {
			double t = w->f[i] - w->q0[i * w->m + j];
			top[j] = t > top[j] ? t : top[j];
		}
	for (size_t i = 0; i < w->n; i++)
#pragma omp simd
		for (size_t j = from; j < to; j++)
			w->g[j] += vm_exp((w->f[i] - w->q0[i * w->m + j] - top[j]) / w->eps);
	for (size_t j = from; j < to; j++)
		w->g[j] = w->eps * log((double)w->n / w->g[j]) - top[j];
}

static void columns_exact(struct newton *w)
{
	parallel_for(tiles(w), columns_tile, w);
}

/* Rows likewise. */
static void rows_block(void *context, size_t block)
{
	struct newton *w = context;

	for (size_t i = block * CLOUD_BLOCK; i < cloud_block_end(block, w->n); i++) {
		const double *c = w->q0 + i * w->m;
		double top = -(double)INFINITY, sum = 0;
#pragma omp simd reduction(max : top)
		for (size_t j = 0; j < w->m; j++)
			top = w->g[j] - c[j] > top ? w->g[j] - c[j] : top;
#pragma omp simd reduction(+ : sum)
		for (size_t j = 0; j < w->m; j++)
			sum += vm_exp((w->g[j] - c[j] - top) / w->eps);
		w->f[i] = w->eps * log((double)w->m / sum) - top;
	}
}

/* Q but for the columns' factors, and column sums, from exp(phi), which `factor` holds. */
static void weigh_tile(void *context, size_t tile)
{
	struct newton *w = context;
	const size_t from = tile * TILE, to = tile_end(w, tile);

	for (size_t j = from; j < to; j++)
		w->col[j] = 0;
	for (size_t i = 0; i < w->n; i++) {
		const double *q0 = w->q0 + i * w->m, scale = w->factor[i];
		double *q = w->q + i * w->m;
#pragma omp simd
		for (size_t j = from; j < to; j++)
			w->col[j] += q[j] = scale * q0[j];
	}
}

/* Columns of sum n, and row sums. */
static void level_block(void *context, size_t block)
{
	struct newton *w = context;

	for (size_t i = block * CLOUD_BLOCK; i < cloud_block_end(block, w->n); i++) {
		double *q = w->q + i * w->m, sum = 0;
#pragma omp simd reduction(+ : sum)
		for (size_t j = 0; j < w->m; j++)
			sum += q[j] *= (double)w->n / w->col[j];
		w->row[i] = sum;
	}
}

/* Q, its sums, value and error from phi. */
static void evaluate(struct newton *w, const double *phi)
{
	const size_t n = w->n, m = w->m;
	double value = 0;

	for (size_t i = 0; i < n; i++)
		w->factor[i] = exp(phi[i]);
	parallel_for(tiles(w), weigh_tile, w);
	parallel_for(cloud_blocks(n), level_block, w);
	for (size_t j = 0; j < m; j++)
		value -= log(w->col[j] / (double)n) / (double)m;
	w->error = 0;
	for (size_t i = 0; i < n; i++) {
		w->error += fabs(1 - w->row[i] / (double)m) / (double)n;
		value += phi[i] / (double)n;
	}
	w->value = value;
}

/* f = f0 + eps phi, with the eps that phi is of. */
static void absorb(struct newton *w)
{
	for (size_t i = 0; i < w->n; i++) {
		w->f[i] += w->eps * w->phi[i];
		w->phi[i] = 0;
	}
}

/* Q0 and phi = 0 at the potentials reached, after some of Sinkhorn's sweeps in the log domain. */
static void begin(struct newton *w, int sweeps)
{
	absorb(w);
	parallel_for(cloud_blocks(w->n), costs_block, w);
	columns_exact(w);
	for (int k = 0; k < sweeps; k++) {
		parallel_for(cloud_blocks(w->n), rows_block, w);
		columns_exact(w);
	}
	parallel_for(cloud_blocks(w->n), kernel_block, w);
	evaluate(w, w->phi);
}

static bool too_far(const struct newton *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (!(fabs(w->phi[i]) < PHI_MAX))
			return true;
	return false;
}

/* Rows of Q Q' / n up to the diagonal. */
static void weights_block(void *context, size_t block)
{
	struct newton *w = context;
	const size_t from = block * CLOUD_BLOCK, to = cloud_block_end(block, w->n);

	cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)(to - from), (int)to, (int)w->m,
		1 / (double)w->n, w->q + from * w->m, (int)w->m, w->q, (int)w->m, 0,
		w->laplacian + from * w->n, (int)w->n);
}

/* step = the Newton step of phi; false when there is none. */
static bool solve(struct newton *w)
{
	const size_t n = w->n;
	double *l = w->laplacian, largest = 0;

	parallel_for(cloud_blocks(n), weights_block, w);
	for (size_t i = 0; i < n; i++)
		l[i * n + i] = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++) {
			l[i * n + i] += l[i * n + k];
			l[k * n + k] += l[i * n + k];
			l[i * n + k] = -l[i * n + k];
		}
	for (size_t i = 0; i < n; i++) {
		l[i * n + i] += RIDGE * (l[i * n + i] + (double)w->m);
		w->step[i] = (double)w->m - w->row[i];
	}
	/* Lower by rows is upper by columns, which LAPACKE need not transpose. */
	if (LAPACKE_dposv(LAPACK_COL_MAJOR, 'U', (lapack_int)n, 1, l, (lapack_int)n, w->step,
		    (lapack_int)n) != 0)
		return false;
	const double mean = stats_mean(w->step, n);
	for (size_t i = 0; i < n; i++)
		largest = fmax(largest, fabs(w->step[i] -= mean));
	for (size_t i = 0; i < n && largest > STEP_MAX; i++)
		w->step[i] *= STEP_MAX / largest;
	return isfinite(mean);
}

/* A Newton step, shortened until F grows or, where that is below rounding, the error falls. */
static bool newton_step(struct newton *w)
{
	const double value = w->value, error = w->error;
	double part = 1;

	if (!solve(w))
		return false;
	for (int k = 0; k < HALVINGS; k++, part /= 2) {
		for (size_t i = 0; i < w->n; i++)
			w->trial[i] = w->phi[i] + part * w->step[i];
		evaluate(w, w->trial);
		if (w->value > value + ROUNDING ||
			(w->value > value - ROUNDING && w->error < error)) {
			double *last = w->phi;
			w->phi = w->trial;
			w->trial = last;
			if (too_far(w))
				begin(w, 0);
			return true;
		}
	}
	evaluate(w, w->phi);
	return false;
}

static struct newton newton_new(const struct cloud *x, const struct cloud *y, bool squared,
	struct arena *a)
{
	size_t n = x->n, m = y->n;

	return (struct newton){
		.x = x,
		.y = y,
		.squared = squared,
		.n = n,
		.m = m,
		.f = ARENA_NEW(a, n, double),
		.g = ARENA_NEW(a, m, double),
		.phi = ARENA_NEW(a, n, double),
		.factor = ARENA_NEW(a, n, double),
		.col = ARENA_NEW(a, m, double),
		.row = ARENA_NEW(a, n, double),
		.q0 = ARENA_NEW(a, n * m, double),
		.q = ARENA_NEW(a, n * m, double),
		.laplacian = ARENA_NEW(a, n * n, double),
		.step = ARENA_NEW(a, n, double),
		.trial = ARENA_NEW(a, n, double),
	};
}

static double mean_cost(struct newton *w)
{
	double sum = 0;

	for (size_t i = 0; i < w->n; i++) {
		costs_of_row(w, i);
		sum += stats_mean(w->q0 + i * w->m, w->m);
	}
	return sum / (double)w->n;
}

/* <P, C> */
static double plan_cost(struct newton *w)
{
	double sum = 0;

	for (size_t i = 0; i < w->n; i++) {
		costs_of_row(w, i);
		for (size_t j = 0; j < w->m; j++)
			sum += w->q[i * w->m + j] * w->q0[i * w->m + j];
	}
	return sum / ((double)w->n * (double)w->m);
}

/* Newton's steps until the error is below the tolerance or nothing helps any more. */
static void reach(struct newton *w, double tolerance, long cap, long *steps)
{
	int failures = 0;

	while (w->error >= tolerance && *steps < cap && failures < FAILURES) {
		if (newton_step(w)) {
			failures = 0;
		} else {
			failures++;
			begin(w, SWEEPS);
		}
		++*steps;
	}
}

int transport_newton(const struct cloud *x, const struct cloud *y, const struct newton_rule *rule,
	struct arena *a, struct transport *out)
{
	size_t n = x->n, m = y->n, most = n > m ? n : m;
	const double level = fmin(LEVEL_TOLERANCE, LEVEL_POINTS / (double)most);

	if (n == 0 || m == 0)
		return fail(ERR_RANGE, "there are no samples");
	if (n * most > NEWTON_MAX)
		return fail(ERR_RANGE, "%zu x %zu samples are too many for Newton's method", n, m);
	double *f = ARENA_NEW(a, n, double), *g = ARENA_NEW(a, m, double);
	struct arena_mark mark = arena_mark(a);
	struct newton w = newton_new(x, y, rule->squared, a);

	*out = (struct transport){ .f = f, .g = g };
	w.eps = fmax(rule->eps, mean_cost(&w) / 4);
	if (!(rule->eps > 0 && isfinite(w.eps))) {
		arena_release(a, mark);
		return fail(ERR_NUMERIC, "costs of mean %g at a regularisation of %g", 4 * w.eps,
			rule->eps);
	}
	for (bool last = false; !last; w.eps = fmax(rule->eps, w.eps / 2)) {
		last = w.eps <= rule->eps;
		begin(&w, SWEEPS);
		reach(&w, last ? rule->tolerance : level, rule->cap, &out->iterations);
		absorb(&w);
	}
	out->error = w.error;
	out->converged = w.error < rule->tolerance;
	memcpy(f, w.f, n * sizeof(*f));
	for (size_t j = 0; j < m; j++)
		g[j] = w.g[j] + rule->eps * log((double)n / w.col[j]);
	out->value = stats_mean(f, n) + stats_mean(g, m);
	out->cost = plan_cost(&w);
	arena_release(a, mark);
	return OK;
}
