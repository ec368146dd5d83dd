#ifndef STRIDE_SCORE_TRUNCATED_H
#define STRIDE_SCORE_TRUNCATED_H

#include "score/cloud.h"

#include <stdbool.h>

/**
 * A number of rounds of Sinkhorn's iteration in the log domain, for the cost |x - y| (not squared) or
 * sum_k |x_k - y_k|. With P_ij = exp((f_i + g_j - C_ij) / eps), weights a, b, and g = eps log b at
 * first, each round makes P's row sums a by f, then its column sums b by g. It ends before the cap when
 * no potential moves by as much as `tolerance`. All in double.
 */
struct truncation {
	double eps, tolerance; /* absolute, in units of the cost */
	long cap;
	bool manhattan;      /* sum_k |x_k - y_k| */
	const double *a, *b; /* [n], [m], positive, of sum 1; NULL: equal */
	double *f, *g;       /* [n], [m] out; NULL: not wanted */
};

struct truncated {
	double value;  /* <P, C>, without entropy */
	double error;  /* L1 error of the marginal a; b is exact */
	double change; /* the largest of a potential in the last round */
	long rounds;
	bool converged;
};

/** Run the rounds. Terms below e^-100 of their row's largest are left out, whole groups of points by
 *  their distance and their last terms. Scratch: 64 m numbers and some of n + m; n m / 16 while n m is
 *  at most 2^28; in more than 16 dimensions also n m while that is at most 2^26. ERR_RANGE for empty
 *  clouds, ERR_NUMERIC when the value is not finite. */
int transport_truncated(const struct cloud *x, const struct cloud *y, const struct truncation *rule,
	struct arena *a, struct truncated *out);

#endif
