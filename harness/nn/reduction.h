#ifndef STRIDE_NN_REDUCTION_H
#define STRIDE_NN_REDUCTION_H

#include <stddef.h>

/** How the values of a batch's rows make its loss. */
enum reduction_kind {
	REDUCE_MEAN,         /* of all rows */
	REDUCE_KEPT_MEAN,    /* of the rows that are kept */
	REDUCE_KEPT_VARIANCE /* unbiased, of the rows that are kept: the log-variance loss */
};

/** Rows below `bound` are kept, where it is finite; otherwise those that are finite. With groups > 0
 *  there are n / groups rows in each, group j being rows j, j + groups, ...: the loss is the mean
 *  over the groups whose rows are all kept. As in sde_sampler. */
struct reduction {
	enum reduction_kind kind;
	double bound;  /* INFINITY: none */
	size_t groups; /* 0: the batch is one */
};

/** The loss of n rows, NaN when too few are kept. share [n], unless NULL, receives its derivatives with
 *  respect to them; *dropped, unless NULL, how many have no part in it. */
double reduce(const struct reduction *r, size_t n, const double *values, double *share,
	size_t *dropped);

#endif
