#ifndef STRIDE_MC_RESAMPLE_H
#define STRIDE_MC_RESAMPLE_H

#include "core/rng.h"

#include <stddef.h>

/** Resampling schemes. Each particle's expected number of copies is n W_i in all of them. */
enum resampling {
	RESAMPLE_MULTINOMIAL, /* n independent draws */
	RESAMPLE_SYSTEMATIC,  /* one uniform, n points at equal distances (Carpenter et al. 1999):
				 the  number of copies is n W_i rounded down or up */
	RESAMPLE_RESIDUAL, /* floor(n W_i) copies, the remainder multinomial (Liu and Chen 1998) */
	RESAMPLE_COUNT
};

/** Their names in the order of the enum, for tables of choices. */
#define RESAMPLE_NAMES "multinomial", "systematic", "residual"

/**
 * Draw ancestors: ancestor[i] is the index of the particle that slot i copies. log_w [n] need not
 * be normalised; particles of weight zero are never drawn; at least one weight is positive and
 * finite, none is NaN. cumulative [n] is scratch. Random numbers: r at this step.
 */
void resample(enum resampling scheme, struct rng r, uint32_t step, size_t n, const double *log_w,
	size_t *ancestor, double *cumulative);

#endif
