#ifndef STRIDE_SCORE_MOMENTS_H
#define STRIDE_SCORE_MOMENTS_H

#include "core/arena.h"

#include <stddef.h>

/**
 * Moments of points x [n][dim], plain (log_w NULL) or under self-normalised importance weights
 * w_i = exp(log_w_i) / sum_j exp(log_w_j), log_w [n]. A log weight of -inf is a weight of 0, which does
 * not hide a point that is not finite. NaN or +inf among the log weights, weights that are all 0, and
 * n = 0 make every value NaN. Scratch is taken from the arena and goes back.
 */

/** Mean and standard deviation [dim] of each coordinate: sd^2 = sum w (x - mean)^2 / (1 - sum w^2),
 *  which has divisor n - 1 when weights are equal. NaN when one point has all the weight. */
void moments_marginal(const double *x, size_t n, size_t dim, const double *log_w, double *mean,
	double *sd, struct arena *a);

/** Functions of a point whose expectations the evaluation code of sde_sampler reports. */
enum moments_of {
	MOMENTS_SQUARE,           /* sum_k x_k^2 */
	MOMENTS_ABS,              /* sum_k |x_k| */
	MOMENTS_SUM,              /* sum_k x_k */
	MOMENTS_SQUARE_MINUS_SUM, /* sum_k (x_k^2 - x_k) */
};

double moments_expectation(enum moments_of what, const double *x, size_t n, size_t dim,
	const double *log_w, struct arena *a);

/** Mean over coordinates of |a_k - b_k|, both [dim]: with standard deviations, errors of either sign do
 *  not cancel. */
double moments_distance(const double *a, const double *b, size_t dim);

/** Covariance matrix [dim][dim] of plain points about their mean, divisor n - 1; NaN for n < 2. */
void moments_covariance(const double *x, size_t n, size_t dim, const double *mean, double *cov,
	struct arena *a);

/** Share of points inside the closed box [dim][2] of lower and upper bounds; NaN is outside. */
double moments_inside(const double *x, size_t n, size_t dim, const double *box);

#endif
