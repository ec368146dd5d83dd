#ifndef STRIDE_MC_TEMPERED_H
#define STRIDE_MC_TEMPERED_H

#include "core/arena.h"
#include "core/real.h"
#include "core/rng.h"

#include <stddef.h>
#include <stdint.h>

/**
 * The path between a Gaussian prior and a target,
 *     log pi_beta(x) = (1 - beta) log p0(x) + beta log rho(x),    p0 = N(0, sigma0^2 I) normalised,
 * and Markov kernels that leave pi_beta invariant, for blocks of MC_BLOCK states: what SMC,
 * annealed importance sampling, parallel tempering, HMC, MALA and ULA are made of.
 *
 * Positions, momenta and gradients are real, coordinate-major: x[k * MC_BLOCK + i]. Log densities,
 * kinetic energies and decisions are double, from the target in double, so that rounding of the
 * fast path touches the proposals alone: an accepted state has its exact log density.
 *
 * A point at which a gradient is taken counts as one evaluation of the target, whether or not its
 * value is taken too.
 */
enum { MC_BLOCK = 64 };

struct density;

struct tempered {
	const struct density *target;
	size_t dim;
	double sigma0;
};

/** A block of states with what is known about them. */
struct states {
	real *x;           /* [dim][MC_BLOCK] */
	real *grad;        /* [dim][MC_BLOCK], of log rho */
	double *log_rho;   /* [MC_BLOCK] */
	double *log_prior; /* [MC_BLOCK] */
};

/** Memory for one block's kernel; one a thread. */
struct mc_scratch {
	struct states proposal;
	real *momentum; /* [dim][MC_BLOCK] */
	double *wide;   /* [dim][MC_BLOCK], positions in double */
};

struct states states_new(struct arena *a, size_t dim);
struct mc_scratch mc_scratch_new(struct arena *a, size_t dim);

/** log p0 of one state's squared norm. */
double tempered_log_prior(const struct tempered *t, double squared_norm);

/** beta log rho + (1 - beta) log p0, where a beta of 0 (1) leaves the target (prior) out. */
double tempered_log_density(double beta, double log_rho, double log_prior);

/** Fill in log_rho, log_prior and grad at s->x. */
void tempered_eval(const struct tempered *t, struct states *s, struct mc_scratch *scratch);

/** Which random numbers a transition takes: row first_row + i belongs to the block's state i.
 * Momenta and other proposals are RNG_MOMENTUM, decisions RNG_ACCEPT column 0, step jitter
 * RNG_ACCEPT column 1. */
struct mc_chance {
	uint64_t seed;
	uint32_t epoch, step;
	uint64_t first_row;
};

/** Transitions. All but the last leave pi_beta invariant. */
enum mc_kind {
	MC_HMC,  /* Hamiltonian Monte Carlo with fresh momenta */
	MC_MALA, /* x + step^2 / 2 grad log pi + step N(0, I), accepted or not: HMC of one step */
	MC_WALK, /* x + step N(0, I), accepted or not: needs values alone */
	MC_ULA,  /* MALA's proposal, always taken: biased at the first order of step^2. Its
			states' log densities are not kept up to date */
	MC_COUNT
};

/** Names of the exact kernels in the order of the enum, for tables of choices. */
#define MC_NAMES "hmc", "mala", "walk"

struct mc_kernel {
	enum mc_kind kind;
	double step;     /* step size, > 0, in units of scale */
	double jitter;   /* a state's own step size is step * (1 + jitter * U(-1, 1)); 0: none */
	size_t leapfrog; /* leapfrog steps of HMC, >= 1 */
	const double *scale; /* [dim] square roots of the inverse mass; NULL: all one */
};

/** Evaluations of the target that a transition of one state takes. */
size_t mc_evaluations(const struct mc_kernel *k);

/** The acceptance at which such a kernel moves fastest: for the walk and MALA the limits of many
 *  dimensions (Roberts, Gelman and Gilks 1997; Roberts and Rosenthal 1998), for HMC 0.725, the middle
 *  of 0.65 .. 0.8. */
double mc_acceptance(enum mc_kind kind);

/**
 * Leapfrog steps of the Hamiltonian |p|^2 / 2 - log pi_beta(scale y): half kick, drift and kick in
 * turn, half kick (Neal 2011, eqs. 5.18 to 5.20). x, grad (at x) and momentum are replaced. step
 * [MC_BLOCK] is each state's step size; negative runs backwards. Evaluates the gradient `steps`
 * times.
 */
void hmc_leapfrog(const struct tempered *t, double beta, size_t steps, const double *scale,
	const real *step, real *x, real *grad, real *momentum);

/**
 * One transition of every state in the block: accepted when log pi - |p|^2 / 2 (of the walk: log pi)
 * grows by more than -E, E ~ Exp(1); NaN is rejected. accept [MC_BLOCK]: each state's acceptance
 * probability min(1, exp(growth)); 1 with ULA.
 */
void mc_move(const struct tempered *t, double beta, const struct mc_kernel *k, struct mc_chance c,
	struct states *s, struct mc_scratch *scratch, double *accept);

#endif
