#ifndef STRIDE_NN_SCHEDULE_H
#define STRIDE_NN_SCHEDULE_H

#include <stddef.h>

/** Noise schedules of the JAX code bases; t in [0, 1], 1 at the prior. methods-osds, section 1. */

/** (s_max - s_min)/2 cos^2(pi/2 (1 + s - t)/(1 + s)) + s_min/2, s = 0.008. */
double schedule_cosine(double t, double s_min, double s_max);

/** DDS: fills beta[0 .. steps] with sqrt(beta) as used at codes 1 .. steps (beta[0] is unused and
 * 0): squares of cosines normalised, scaled by noise_scale, clipped to [0, 1]; code `steps` repeats
 * the entry of code steps - 1, as published. methods-osds, section 5. */
void schedule_dds(size_t steps, double noise_scale, double *beta);

#endif
