#ifndef STRIDE_SCORE_EXACT_H
#define STRIDE_SCORE_EXACT_H

#include "score/cloud.h"

#include <stdbool.h>

/**
 * Optimal transport without regularisation between clouds of n and m equally weighted points,
 *
 *     min_P <P, C>,   P 1 = 1/n,  P' 1 = 1/m,   C_ij = |x_i - y_j|^2, or |x_i - y_j|.
 *
 * The answer proves itself: f and g with f_i + g_j <= C_ij for all i, j make mean f + mean g a lower
 * bound of the optimum, and the plan's cost is an upper one. The two agree up to rounding. The plan
 * and the potentials, unlike the value, need not be unique.
 */
struct exact {
	double value;  /* <P, C> */
	double bound;  /* mean f + mean g */
	double *f, *g; /* [n], [m], in the arena */
	size_t pivots, rounds;
};

enum { EXACT_MAX = 1 << 27 }; /* costs kept at most, 0.5 GB: 11585 x 11585 */

/** Solve. Scratch of 5 n m bytes and some hundred (n + m) comes from the arena and goes back. ERR_RANGE for empty
 *  clouds and for more than EXACT_MAX pairs, ERR_NUMERIC when a cost is not finite or bound and value
 *  disagree, ERR_INTERRUPTED. */
int transport_exact(const struct cloud *x, const struct cloud *y, bool squared, struct arena *a,
	struct exact *out);

#endif
