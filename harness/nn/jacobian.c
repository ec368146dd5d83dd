#include "nn/jacobian.h"
#include "core/arena.h"
#include "core/parallel.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

/* Rows of one run of the graph, about: a row is a column of a Jacobian. */
enum { BLOCK_ROWS = 4096 };

/* A block of points, dim rows each. The Jacobian of point i is transposed at dy + i dim^2. */
struct block {
	size_t dim;
	double *x, *v, *y, *dy;
	lapack_int *pivots;
	double *log_det, *sign;
};

/* log |det| and sign of one point's Jacobian, which is lost. */
static void factor(void *context, size_t i)
{
	struct block *b = context;
	const size_t dim = b->dim;
	double *jacobian = b->dy + i * dim * dim, sign = 1, sum = 0;
	lapack_int *pivots = b->pivots + i * dim, n = (lapack_int)dim;

	for (size_t k = 0; k < dim * dim; k++)
		sum += fabs(jacobian[k]);
	if (!isfinite(sum)) { /* LAPACK does not promise an end for these */
		b->log_det[i] += (double)NAN;
		b->sign[i] = 0;
		return;
	}
	LAPACKE_dgetrf_work(LAPACK_COL_MAJOR, n, n, jacobian, n, pivots);
	for (size_t k = 0; k < dim; k++) {
		double u = jacobian[k * dim + k];
		sign *= u > 0 ? 1 : u < 0 ? -1 : 0;
		if (pivots[k] != (lapack_int)k + 1)
			sign = -sign;
		b->log_det[i] += log(fabs(u));
	}
	b->sign[i] *= sign;
}

static void run_block(struct graph *g, const real *const params[GRAPH_PARAMS_MAX], struct block *b,
	size_t points, const double *x, double *y)
{
	const size_t dim = b->dim, rows = points * dim;
	const struct binding inputs[] = { { "x", NULL, b->x }, { "v", NULL, b->v } };
	const struct capture captures[] = { { "dy", b->dy, NULL, NULL },
		{ "y", b->y, NULL, NULL } };
	struct graph_args args = { .rows = rows,
		.inputs = inputs,
		.n_inputs = 2,
		.captures = captures,
		.n_captures = y != NULL ? 2 : 1 };

	memcpy(args.params, params, sizeof(args.params));
	for (size_t row = 0; row < rows; row++)
		memcpy(b->x + row * dim, x + row / dim * dim, dim * sizeof(double));
	graph_forward(g, &args);
	for (size_t i = 0; y != NULL && i < points; i++)
		memcpy(y + i * dim, b->y + i * dim * dim, dim * sizeof(double));
	parallel_for(points, factor, b);
}

void jacobian_log_det(struct graph *g, const real *const params[GRAPH_PARAMS_MAX], size_t n,
	size_t dim, const double *x, double *y, double *log_det, double *sign)
{
	struct arena *a = arena_new(); /* not the graph's, which grows when it runs */
	size_t most = dim < BLOCK_ROWS ? BLOCK_ROWS / dim : 1, size;

	most = most < n ? most : n;
	size = most * dim * dim;
	struct block b = { .dim = dim,
		.x = arena_alloc(a, size, sizeof(double)),
		.v = ARENA_NEW(a, size, double),
		.y = y != NULL ? arena_alloc(a, size, sizeof(double)) : NULL,
		.dy = arena_alloc(a, size, sizeof(double)),
		.pivots = arena_alloc(a, most * dim, sizeof(lapack_int)) };

	for (size_t row = 0; row < most * dim; row++)
		b.v[row * dim + row % dim] = 1;
	for (size_t first = 0; first < n; first += most) {
		b.log_det = log_det + first;
		b.sign = sign + first;
		run_block(g, params, &b, n - first < most ? n - first : most, x + first * dim,
			y != NULL ? y + first * dim : NULL);
	}
	arena_free(a);
}
