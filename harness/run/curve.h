#ifndef STRIDE_RUN_CURVE_H
#define STRIDE_RUN_CURVE_H

#include "stride.h"

/** Training curves, thinned as they grow: every stride-th value, the stride doubling, and the last
 *  one. */
enum { CURVE_POINTS = 200, CURVE_PATIENCE = 50 /* non-finite values in a row: diverged */ };

struct curve {
	const char *name;
	struct curve *next;
	size_t n;
	long stride, calls;
	bool provisional; /* the last point is off the stride: the next one takes its place */
	long iteration[CURVE_POINTS];
	double value[CURVE_POINTS];
	int bad; /* non-finite values in a row, so far */
};

/** Has one of the curves been non-finite for CURVE_PATIENCE values? Its name, or NULL. */
const char *curve_diverged(const struct curve *first);

#endif
