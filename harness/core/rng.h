#ifndef STRIDE_CORE_RNG_H
#define STRIDE_CORE_RNG_H

#include "core/real.h"

#include <stddef.h>
#include <stdint.h>

/**
 * Random numbers by counter: every number is a pure function of (seed, purpose, epoch, step, row,
 * column), by Random123's Philox4x32-10. So a result never depends on threads, chunks or order.
 * The generator has no state: nothing here needs locking. Seeds below 2^32 have streams of their own.
 */
enum rng_purpose {
	RNG_INIT,      /* network parameters */
	RNG_PRIOR,     /* initial states in training */
	RNG_NOISE,     /* Brownian increments in training */
	RNG_LEVEL,     /* random times, levels, step lengths */
	RNG_PROBE,     /* Hutchinson probes, where a method has one kind of them */
	RNG_TARGET,    /* exact samples of a target: the reference set */
	RNG_FORWARD,   /* exact samples that start target-to-prior passes */
	RNG_SAMPLE,    /* initial states in evaluation */
	RNG_PATH,      /* noise in evaluation */
	RNG_PATH_BACK, /* noise of target-to-prior passes */
	RNG_MOMENTUM,  /* HMC momenta and other MCMC proposals */
	RNG_ACCEPT,    /* Metropolis acceptance */
	RNG_RESAMPLE,  /* particle resampling */
	RNG_METRIC,    /* subsets, projections, permutations, bootstrap */
	RNG_FLOOR,     /* exact samples for noise floors */
	RNG_TEST,      /* tests */
	RNG_USER,      /* first value free for a plug-in: RNG_USER + 0, 1, ... */
	/* Initial states for the exact evidence of a flow; far from what plug-ins count up from. */
	RNG_EVIDENCE = 0x10000
};

/** A stream of random numbers. */
struct rng {
	uint64_t seed;
	uint32_t purpose; /* enum rng_purpose */
	uint32_t epoch;   /* training iteration, repetition, temperature, ... */
};

/**
 * Numbers for rows first_row .. first_row + n - 1 at step, coordinate-major: out[k * n + i] is
 * column k < cols of row first_row + i. Same (rng, step, row, column), same number, whatever n,
 * cols and first_row are. Rows below 2^32.
 */
void rng_normal(struct rng r, uint32_t step, uint64_t first_row, size_t n, size_t cols, real *out);
void rng_rademacher(struct rng r, uint32_t step, uint64_t first_row, size_t n, size_t cols,
	real *out);

/** As rng_normal, standard normals given that they lie in [-bound, bound]: rng_truncated of the uniform
 *  of each row and column. For initial states: not made for speed. */
void rng_truncated_normal(struct rng r, uint32_t step, uint64_t first_row, size_t n, size_t cols,
	double bound, real *out);

/** The standard normal truncated to [-bound, bound] whose distribution function is u, by inversion. */
double rng_truncated(double u, double bound);

/** One uniform in the open interval (0, 1), 52 bits: column `column` of row `row` at `step`. */
double rng_uniform(struct rng r, uint32_t step, uint64_t row, uint32_t column);

/** One standard normal in double (tails to 8.5 standard deviations). Not the numbers of rng_normal,
 *  which are made for speed. */
double rng_gauss(struct rng r, uint32_t step, uint64_t row, uint32_t column);

/** One uniform integer in 0 .. bound - 1, bound >= 1, without modulo bias above 2^-32. */
uint64_t rng_below(struct rng r, uint32_t step, uint64_t row, uint32_t column, uint64_t bound);

#endif
