#ifndef STRIDE_MC_DIAGNOSTICS_H
#define STRIDE_MC_DIAGNOSTICS_H

#include "core/arena.h"

#include <stddef.h>

/**
 * What chains of one quantity say of themselves: x [chains][draws]. Rank-normalised as in Vehtari,
 * Gelman, Simpson, Carpenter and Bürkner 2021 (Bayesian Analysis 16, 667-718): ranks of the pooled
 * draws (ties share their mean rank) through the normal quantile, each chain cut in two. At least four
 * draws a chain; fewer, a value that is not finite or draws that are all equal give NaN. Scratch is
 * taken from the arena.
 */

/** Split R-hat: the larger of that of the draws and that of their distances from the median. */
double chains_rhat(size_t chains, size_t draws, const double *x, struct arena *a);

/** Bulk effective sample size, of chains * draws draws, with Geyer's initial monotone sequence. */
double chains_ess(size_t chains, size_t draws, const double *x, struct arena *a);

#endif
