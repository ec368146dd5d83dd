#ifndef STRIDE_NN_SCHEDULE_H
#define STRIDE_NN_SCHEDULE_H

#include <stddef.h>

/** Noise schedules; t in [0, 1], 1 at the prior. First those of the code of OSDS (arXiv 2512.05251) and
 *  of Beyond ELBOs (arXiv 2406.07423). */

/** (s_max - s_min)/2 cos^2(pi/2 (1 + s - t)/(1 + s)) + s_min/2, s = 0.008. */
double schedule_cosine(double t, double s_min, double s_max);

/** Its integral from 0 to t. */
double schedule_cosine_integral(double t, double s_min, double s_max);

/** DDS: fills beta[0 .. steps] with sqrt(beta) as used at codes 1 .. steps (beta[0] is unused and
 * 0): squares of cosines normalised, scaled by noise_scale, clipped to [0, 1]; code `steps` repeats
 * the entry of code steps - 1, as published. */
void schedule_dds(size_t steps, double noise_scale, double *beta);

/* Those of sde_sampler (github.com/juliusberner/sde_sampler), of which the code of SCDS and CDDS (arXiv
 * 2502.07579) is a fork. */

/** The linear beta of its variance preserving process, b_min + (b_max - b_min) t. */
double schedule_linear(double t, double b_min, double b_max);

/** Its time grid for DDS: times [steps + 1] from 0 to `end` in increments proportional to cos^4. The
 *  published code asks for steps - 1 and makes one more; steps > 1. */
void schedule_dds_times(size_t steps, double end, double *times);

/** The factor on its clips at optimiser step n = 0, 1, ...: 5 from step 200 on, 25 from step 400 on. */
double schedule_clip(long n);

/** The i-th of n > 1 numbers spaced evenly over 0 .. last, rounded to an integer, halves to the even
 *  one: CDDS's levels on a grid. */
size_t schedule_spaced(size_t i, size_t n, size_t last);

/** What CDDS's student at a level 0 .. 1 takes of the state and of the network: sd^2/(level^2 + sd^2)
 *  and level sd/sqrt(level^2 + sd^2). */
void schedule_consistency(double level, double sd, double *skip, double *out);

#endif
