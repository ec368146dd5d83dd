#ifndef STRIDE_SCORE_PAIRS_H
#define STRIDE_SCORE_PAIRS_H

#include "score/cloud.h"
#include "stride.h"

/**
 * Two-sample statistics made of sums of a function f over pairs of points,
 *
 *     mean f(x, x') + mean f(y, y') - 2 mean f(x, y):
 *
 * the squared maximum mean discrepancy when f is a kernel, the energy distance when it is minus the
 * distance. The points of either side are shuffled and cut into runs, and the sums are kept by pairs
 * of runs, a few hundred by a few hundred whatever the number of points: enough for a permutation test
 * that exchanges runs (Domingo-Enrich, Dwivedi and Mackey 2025, Cheap Permutation Testing) and for a
 * standard error. Distances are made as they are used and never stored: memory grows with the points, not
 * with the pairs, and a test costs little beside its sums.
 */
struct pairs {
	size_t n, m;    /* points x, the first n of the cloud, and y */
	struct cloud z; /* all of them, shuffled within either side */
	/* Runs: those of `run` points, and a shorter one on either side where it does not divide. The
	 * runs of x come first. */
	size_t run, runs, runs_x;
	size_t *start;   /* [runs + 1] first points */
	double diagonal; /* f of a point with itself */
	double *sum; /* [runs][runs], symmetric: f over the pairs of two runs, within one over ordered
			pairs of different points */
	double xx, yy, xy; /* sums over pairs i < j of a side, and over all pairs of the two */
};

/** Pool n points x and m points y, both [.][dim]: no sums yet. The shuffle is of the seed, purpose
 *  RNG_METRIC. Errors as cloud_check, for y first. */
int pairs_make(struct pairs *out, const double *x, size_t n, const double *y, size_t m, size_t dim,
	uint64_t seed, struct arena *a);

/** Sums of the Gaussian kernel f = exp(-|a - b|^2 / (2 h^2)), or of f = -|a - b|. */
void pairs_kernel(struct pairs *p, double h);
void pairs_distance(struct pairs *p);

/** The statistic without pairs of a point with itself (unbiased: Gretton et al. 2012, eq. 3; n and m at
 *  least 2), and with them. */
double pairs_u(const struct pairs *p);
double pairs_v(const struct pairs *p);

/** The standard error of pairs_u. NaN when a side has less than two full runs.
 *
 *  se^2 = 4 (var g(x) / n + var g'(y) / m) - V, where g(x) = mean_x' f(x, x') - mean_y f(x, y) is half
 *  the influence of x, and V = 2 (1/n + 1/m)^2 E f0^2, f0 being f less its means over rows and columns, is
 *  the variance under the hypothesis that x and y have one law. The g that are seen carry a noise of 2 V
 *  where the part of the statistic that is quadratic in the samples has the variance V: so the formula
 *  holds near the hypothesis and far from it. V is its least value. f is taken as given: what a bandwidth
 *  made from the samples adds is left out. */
double pairs_se(const struct pairs *p, struct arena *a);

/** The p-value of pairs_u under the hypothesis that x and y have one law:
 *
 *  (1 + number of PAIRS_PERMUTATIONS that reach the statistic) / (1 + PAIRS_PERMUTATIONS),
 *
 *  uniform on its grid for any n and m. Runs of full length alone are exchanged. NaN when a side has
 *  none. The permutations are of the seed, purpose RNG_METRIC. */
enum { PAIRS_PERMUTATIONS = 999 };
double pairs_p_value(const struct pairs *p, uint64_t seed, struct arena *a);

#endif
