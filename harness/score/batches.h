#ifndef STRIDE_SCORE_BATCHES_H
#define STRIDE_SCORE_BATCHES_H

#include "stride.h"

/**
 * Standard error of a metric that has no formula for it, by batches: the samples and the exact samples are
 * shuffled, as files may be sorted, and cut into SCORE_BATCHES runs of rows, each pair of runs is scored,
 * and the standard deviation of these values over the root of their number is the answer. It takes the
 * fluctuation of the metric to fall with the root of the sample size, as that of every smooth function of
 * the samples does while they differ from the target; for a sampler that is exact it is too large. Its own
 * relative error is about 1 / sqrt(2 (SCORE_BATCHES - 1)).
 */
enum {
	SCORE_BATCHES = 10,
	SCORE_BATCH_ROWS = 20 /* fewer say nothing */
};

/** core scores a part: what the metric computes, without an error of its own. NaN when a batch would
 *  have fewer than SCORE_BATCH_ROWS rows, or a batch has no finite value. Exact samples may be missing.
 *  Costs 1 / SCORE_BATCHES of the metric itself, when that is quadratic in the samples. */
double score_batches(const struct scored *in,
	int (*core)(const struct scored *in, struct value *out));

#endif
