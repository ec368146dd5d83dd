#ifndef STRIDE_SCORE_KERNEL_H
#define STRIDE_SCORE_KERNEL_H

#include "score/cloud.h"

/** The median of |z_i - z_j| over i < j together with `zeros` further zeros: of an even number the
 *  mean of the two middle values: the bandwidth of kernels. Exact. NaN when there is nothing to take
 *  it of. Distances are made as they are used, twice, and never stored: memory grows with the points,
 *  not with the pairs. */
double kernel_median(const struct cloud *z, size_t zeros, struct arena *a);

#endif
