#ifndef STRIDE_SCORE_MARGINALS_H
#define STRIDE_SCORE_MARGINALS_H

#include "stride.h"

/** Distances between the marginals of two clouds, coordinate by coordinate; F and G are the empirical
 *  distribution functions of a coordinate. */
enum marginal {
	MARGINAL_W1, /* int |F - G| dt, the Wasserstein distance: exact for any two numbers of points */
	MARGINAL_KS, /* max |F - G|, the Kolmogorov distance */
	MARGINAL_TV, /* 1/2 sum |p - q| over MARGINAL_BINS equal bins from the least to the greatest of
			both */
};
enum { MARGINAL_BINS = 50 };

struct marginals {
	double mean, most; /* over coordinates */
	double se;         /* of the mean, by the influence function; NaN for a single point */
};

/** Errors as cloud_check; ERR_RANGE without points; ERR_NUMERIC when a range overflows. */
int marginals_compare(enum marginal what, const struct scored *in, struct marginals *out);

#endif
