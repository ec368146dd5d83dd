#ifndef STRIDE_MC_WEIGHTS_H
#define STRIDE_MC_WEIGHTS_H

#include <stddef.h>

/**
 * Log weights of particles; see core/stats.h for sums and effective sample sizes. -inf is a weight of
 * zero, which takes no part in a sum, whatever it would be multiplied by. NaN passes through.
 */

/** Subtract the log of their sum, so that the weights sum to one; returns it. Weights that are all
 *  zero stay as they are. */
double weights_normalise(size_t n, double *log_w);

/** Conditional effective sample size of a reweighting by exp(delta v[i]) as a fraction,
 *  (sum W G)^2 / sum W G^2 with normalised W (Zhou, Johansen and Aston 2016, eq. 12 over N). What
 *  delta > 0 kills at once (v = -inf) is left out of W: no choice of delta would keep it. In
 *  0 .. 1, falls with delta; NaN when nothing is left. */
double weights_conditional_ess(size_t n, const double *log_w, const double *v, double delta);

/** The largest delta in (0, max] whose conditional effective sample size is at least target: max
 *  itself, or by bisection to a relative width of 1e-9. Zero when there is none. */
double weights_next_delta(size_t n, const double *log_w, const double *v, double max,
	double target);

#endif
