#ifndef STRIDE_MC_PARTICLES_H
#define STRIDE_MC_PARTICLES_H

#include "core/arena.h"
#include "core/rng.h"
#include "mc/resample.h"
#include "mc/tempered.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * A cloud of n weighted particles on the tempered path of mc/tempered.h. Starts as n draws of the
 * prior with equal weights at beta = 0; one temperature is then, in this order: reweight, resample
 * (or not: the weights are carried on), move. Work runs in parallel over fixed blocks of particles;
 * no number depends on the threads.
 *
 * After any number of temperatures, exp(log_z) estimates the normaliser of pi_beta. With betas,
 * step sizes and scales that are fixed beforehand the estimate is unbiased for every resampling
 * scheme, also when the effective sample size decides whether to resample; chosen from the
 * particles themselves they make a bias that vanishes as n grows (Beskos et al. 2016).
 */
struct particles {
	size_t n;
	double beta;
	double log_z;         /* sum of log sum_i W_i G_i */
	double elbo;          /* sum of sum_i W_i log G_i; at most log_z in every run */
	double *log_w;        /* [n] normalised log weights, -log n after resampling */
	uint64_t evaluations; /* of the target, in points */
	/* Of its random numbers, 0 from particles_new; clouds that live together need rows of their own,
	 * particles_rows(p) each. */
	uint64_t first_row;
	size_t resamplings; /* since the start */
	/* Private: */
	struct tempered path;
	size_t blocks;
	struct states *block, *spare; /* [blocks] */
	struct mc_scratch *scratch;   /* [threads] */
	double *v;                    /* [n] log rho - log p0 */
	double *work;                 /* [n] */
	size_t *ancestor;             /* [n] */
	size_t *eve, *spare_eve; /* [n] the particle at the start that each one descends from */
	bool multinomial;        /* every resampling so far */
};

/** n particles for this target and prior scale, in the arena. Not drawn yet. */
struct particles *particles_new(struct arena *a, const struct density *target, size_t n,
	double sigma0);

/** Draw from the prior: RNG_SAMPLE of this seed and epoch. Back to beta = 0. */
void particles_start(struct particles *p, uint64_t seed, uint32_t epoch);

/** Every particle becomes a draw of the prior, whatever the temperature and the weights: the best move
 *  at beta = 0. RNG_SAMPLE of this seed, epoch and step; particles_start takes step 0. */
void particles_redraw(struct particles *p, uint64_t seed, uint32_t epoch, uint32_t step);

/** The next beta at which the conditional effective sample size (mc/weights.h) is the fraction
 *  target of n; 1 when that is not reached before. The present beta when no step is short enough.
 */
double particles_next_beta(struct particles *p, double target);

/** Go to beta: log G_i = (beta - old beta) (log rho - log p0) into weights, log_z and elbo.
 *  ERR_DIVERGED when no particle has a positive finite weight left. */
int particles_reweight(struct particles *p, double beta);

/** Effective sample size as a fraction of n, in 1/n .. 1. */
double particles_ess(const struct particles *p);

/** Replace the particles by draws in proportion to their weights; the weights become equal.
 *  RNG_RESAMPLE of this seed, epoch and step. */
void particles_resample(struct particles *p, enum resampling scheme, uint64_t seed, uint32_t epoch,
	uint32_t step);

/** One transition of every particle at the present beta. Returns the mean acceptance probability. */
double particles_move(struct particles *p, const struct mc_kernel *k, uint64_t seed, uint32_t epoch,
	uint32_t step);

/** The same for several clouds of one size at once, each with its kernel: accept [clouds] are the
 *  mean acceptance probabilities. */
void particles_move_all(size_t clouds, struct particles *const *p, const struct mc_kernel *k,
	uint64_t seed, uint32_t epoch, uint32_t step, double *accept);

/** log rho - log p0 of every particle [n], as it is now; valid until the cloud changes. */
const double *particles_v(struct particles *p);

/** Particle i of one cloud changes places with particle i of the other where take[i]; weights stay. */
void particles_exchange(struct particles *p, struct particles *q, const bool *take);

/** Rows of random numbers that a cloud takes. */
uint64_t particles_rows(const struct particles *p);

/**
 * Standard error of log_z from this one run: the square root of the relative variance of exp(log_z)
 * by the genealogy, with S_e the weight of all that descends from particle e of the start,
 *     1 - (n / (n - 1))^(resamplings + 1) (1 - sum_e S_e^2)
 * (Lee and Whiteley 2018, eq. 8 with the weights since the last resampling as its function). It is
 * unbiased for multinomial resampling; without resampling it is the delta method for a mean of
 * weights. NaN when another scheme has resampled, when it is negative, and when those that are left
 * descend from fewer than ten particles in effect (1 / sum S_e^2), for it cannot exceed 1.
 */
double particles_log_z_se(const struct particles *p);

/** Weighted standard deviation of each coordinate, sd [dim], as a scale for moves: at least 1e-6
 *  sigma0, so that copies of one particle can still part. */
void particles_scale(struct particles *p, double *sd);

/** Log weights on the scale of the evidence, log_z + log(n W_i): their mean is exp(log_z). */
void particles_log_weights(const struct particles *p, double *log_w);

/** Position x [dim] of particle i. */
void particles_position(const struct particles *p, size_t i, double *x);

/** Positions x [n][dim]. */
void particles_positions(const struct particles *p, double *x);

#endif
