#ifndef STRIDE_SCORE_STEIN_H
#define STRIDE_SCORE_STEIN_H

#include "score/cloud.h"

/**
 * The squared kernel Stein discrepancy (Liu, Lee and Jordan 2016; Chwialkowski et al. 2016) of points x
 * from a law with score s, inverse multiquadric kernel k(x, y) = c^-1/2, c = 1 + |x - y|^2 (Gorham and
 * Mackey 2017): the mean over pairs of
 *
 *     h(x, y) = s(x).s(y) k + s(x).grad_y k + s(y).grad_x k + tr grad_x grad_y k
 *             = s(x).s(y) c^-1/2 + ((s(x) - s(y)).(x - y) + d) c^-3/2 - 3 |x - y|^2 c^-5/2.
 *
 * Nothing is kept by pairs: memory grows with the points.
 */
struct stein {
	double u, v; /* without and with pairs of a point with itself; u NaN for one point */
	double se;   /* of u; NaN for fewer than 3 points */
};

/** x and s are clouds of the same shape. */
void stein_discrepancy(const struct cloud *x, const struct cloud *s, struct arena *a,
	struct stein *out);

#endif
