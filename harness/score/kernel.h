#ifndef STRIDE_SCORE_KERNEL_H
#define STRIDE_SCORE_KERNEL_H

#include "score/cloud.h"

/**
 * Sums of a Gaussian kernel over all pairs of points, and its bandwidth. Distances are made as they
 * are used, twice, and never stored: memory grows with the points, not with the pairs.
 */

/** The median of |z_i - z_j| over i < j together with `zeros` further zeros: of an even number the
 *  mean of the two middle values. Exact. NaN when there is nothing to take it of. */
double kernel_median(const struct cloud *z, size_t zeros, struct arena *a);

/** Sums of exp(-|z_i - z_j|^2 / (2 h^2)) over pairs of the pooled cloud z, whose first `split` points
 *  are X and the others Y. */
struct kernel_sums {
	double xx, yy; /* over i < j */
	double xy;     /* over all */
};
void kernel_sums(const struct cloud *z, size_t split, double h, struct arena *a,
	struct kernel_sums *out);

/** The unbiased statistic of Gretton et al. 2012, eq. 3, for n points X and m points Y, both at least
 *  2: mean k(x, x') + mean k(y, y') - 2 mean k(x, y), no pair of a point with itself. */
double kernel_mmd_u(const struct kernel_sums *s, double n, double m);

/** The cloud of the n_x rows of x and then the n_y of y. Errors as cloud_check, for y first. */
int kernel_pool(struct cloud *out, const double *x, size_t n_x, const double *y, size_t n_y,
	size_t dim, struct arena *a);

#endif
