#ifndef STRIDE_SCORE_SLICED_H
#define STRIDE_SCORE_SLICED_H

#include "score/cloud.h"

#include <stdbool.h>

/**
 * Optimal transport between one-dimensional projections of two clouds of equally weighted points, by sorting: points
 * are coupled by their quantiles, also when the clouds differ in size.
 */
struct sliced {
	size_t count;
	double *cost;   /* [count] optimal cost in each direction: mean |s - t|, or of the square */
	double mean;    /* over directions, */
	double mean_se; /* with the standard error of sampling, by the potentials (score/exact.h) */
	double max;     /* the largest */
	double max_se;  /* at that direction */
};

/** Costs in the given unit directions [count][dim]. Results live in the arena. ERR_RANGE for empty clouds or no
 *  direction; ERR_NUMERIC when a cost is not finite. */
int sliced_costs(const struct cloud *x, const struct cloud *y, const double *directions,
	size_t count, bool squared, struct arena *a, struct sliced *out);

/** Unit directions [count][dim], uniform on the sphere and always the same ones: values of different
 *  methods and seeds on a target then compare. In the arena. */
const double *sliced_directions(size_t count, size_t dim, struct arena *a);

#endif
