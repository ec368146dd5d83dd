#ifndef STRIDE_SCORE_NEWTON_H
#define STRIDE_SCORE_NEWTON_H

#include "score/transport.h"

/**
 * Converged entropic optimal transport at any regularisation, where Sinkhorn's iteration takes for ever:
 * eps far below the costs, or points far from all others. Newton's method on the semi-dual (Cuturi and
 * Peyre 2018, Semidual regularized optimal transport)
 *
 *     F(f) = mean f + mean g,   g_j = -eps log mean_i exp((f_i - C_ij) / eps),
 *
 * from f = 0 along eps that halve from a quarter of the mean cost to the wanted one. Columns' marginals
 * are exact in every step, F is concave, and its Hessian is a graph's Laplacian.
 */
struct newton_rule {
	double eps;       /* absolute, in units of the cost; positive */
	double tolerance; /* of the rows' marginal, L1 */
	long cap;         /* Newton steps at most, of all levels */
	bool squared;     /* C = |x - y|^2; or |x - y| */
};

enum { NEWTON_MAX = 1 << 24 }; /* entries of a matrix at most, 128 MB: 4096 x 4096 */

/** Solve; out->iterations counts Newton steps, and out->converged may be false. f and g are in the arena.
 *  Scratch of 8 (2 n m + n^2) bytes comes from the arena and goes back. A step takes n^2 m + n^3 / 3
 *  operations. Exponents C / eps beyond tolerance times 1e16 are rounded: the answer is that of costs
 *  moved by a relative 1e-16. ERR_RANGE for empty clouds and more than NEWTON_MAX entries, ERR_NUMERIC when the mean cost is not
 *  finite. */
int transport_newton(const struct cloud *x, const struct cloud *y, const struct newton_rule *rule,
	struct arena *a, struct transport *out);

#endif
