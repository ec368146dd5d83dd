#ifndef STRIDE_SCORE_CLOUD_H
#define STRIDE_SCORE_CLOUD_H

#include "core/arena.h"
#include "core/rng.h"

#include <stddef.h>

/**
 * Clouds of points and the squared distances between them, for the sample metrics. Distances are sums
 * of squared differences in double, never |x|^2 + |y|^2 - 2 x.y: repeated points are exactly 0 apart
 * and nothing cancels far from the origin.
 */
struct cloud {
	size_t n, dim;
	const double *x;       /* [n][dim], borrowed */
	const double *columns; /* the same coordinate by coordinate, [dim][n] */
};

enum { CLOUD_BLOCK = 64 }; /* rows in a piece of parallel work: fixed, so that sums are too */

/** Number of pieces of CLOUD_BLOCK rows. */
static inline size_t cloud_blocks(size_t n)
{
	return (n + CLOUD_BLOCK - 1) / CLOUD_BLOCK;
}

/** Behind the last row of a piece. */
static inline size_t cloud_block_end(size_t block, size_t n)
{
	return (block + 1) * CLOUD_BLOCK < n ? (block + 1) * CLOUD_BLOCK : n;
}

/** ERR_NUMERIC, with the number of bad rows, unless every coordinate of x [n][dim] is finite. */
int cloud_check(const double *x, size_t n, size_t dim);

/** out [n][dim]: the rows of x in random order, of the counters (r, step). */
void cloud_shuffle(const double *x, size_t n, size_t dim, struct rng r, uint32_t step, double *out,
	struct arena *a);

/** Make a cloud of x [n][dim], in the arena. Errors as cloud_check. */
int cloud_make(struct cloud *out, const double *x, size_t n, size_t dim, struct arena *a);

/** out[j - from] = |x_i - y_j|^2 for j = from .. to - 1, x_i being row i of one cloud and y_j of
 *  another (or the same) of equal dim. */
void cloud_distances(const struct cloud *x, size_t i, const struct cloud *y, size_t from, size_t to,
	double *out);

/** Mean of |x_i - y_j|^2 over all pairs, from the means and the spreads: O(n dim). */
double cloud_mean_cost(const struct cloud *x, const struct cloud *y);

/** out[i] = factor times the mean of |x_i - y_j|^2 over j: O((n + m) dim). */
void cloud_mean_costs(const struct cloud *x, const struct cloud *y, double factor, double *out);

/** Mean of |x_i - x_j|^2 over i < j; NaN for n = 1. */
double cloud_mean_cost_within(const struct cloud *x);

#endif
