/*
 * N = 13 particles in three dimensions, held together by pairs and by springs to their centre:
 *
 *     log rho(x) = - sum_{i < j} [ d_ij^-12 - 2 d_ij^-6 ] - 1/2 sum_i |x_i - c|^2,            (1)
 *     c = mean of x_i,
 *
 * d_ij = |x_i - x_j|, which counts as 1 where it is 0. Coordinate 3 i + a of the target is axis a
 * of particle i. With q = d^2, e(q) = q^-6 - 2 q^-3 and u = x_i - x_j,
 *
 *     d e / d x_i = 2 e'(q) u,   (Hessian of e over u) v = 2 e' v + 4 e'' (u.v) u.            (2)
 */
#include "stride.h"

enum { PARTICLES = 13, AXES = 3, DIM = PARTICLES * AXES };

/*
 * q below SMALLEST counts as SMALLEST in e and its derivatives, so that q^-8 stays in range: in
 * float that is a distance of 0.01 (log rho of -1e24), in double one of 1e-18, below the rounding
 * of coordinates of order 1.
 */
#ifdef STRIDE_TARGET_F32
#define SMALLEST 1e-4f
#else
#define SMALLEST 1e-36
#endif

static size_t dim(const void *state)
{
	(void)state;
	return DIM;
}

/* 1 / q, 1 where q is 0; NaN stays. */
static inline num inverse(num q)
{
	num bounded = q < SMALLEST ? SMALLEST : q;

	return 1 / (q == 0 ? 1 : bounded);
}

/* out[k] = x[k] minus the mean of x along its axis. */
static inline void centred(size_t n, size_t count, const num *x, num out[DIM][TARGET_BLOCK])
{
	for (size_t a = 0; a < AXES; a++) {
		num sum[TARGET_BLOCK] = { 0 };
		for (size_t k = a; k < DIM; k += AXES)
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				sum[i] += x[k * n + i];
		for (size_t k = a; k < DIM; k += AXES)
#pragma omp simd
			for (size_t i = 0; i < count; i++)
				out[k][i] = x[k * n + i] - sum[i] / PARTICLES;
	}
}

/* Two particles: u, s = 1/q, s^3 and -2 e'(q). */
struct pair {
	num u[AXES], s, cube, pull;
};

/* Those at coordinates k and l in point i of a block of n. */
static inline struct pair pair_of(size_t n, const num *x, size_t k, size_t l, size_t i)
{
	struct pair p;

	for (size_t a = 0; a < AXES; a++)
		p.u[a] = x[(k + a) * n + i] - x[(l + a) * n + i];
	p.s = inverse(p.u[0] * p.u[0] + p.u[1] * p.u[1] + p.u[2] * p.u[2]);
	p.cube = p.s * p.s * p.s;
	p.pull = 12 * p.s * p.cube * (p.cube - 1);
	return p;
}

/* At most TARGET_BLOCK points of a block of n. */
static void eval_block(const void *state, size_t n, size_t count, const num *x, double *log_rho,
	num *grad)
{
	num spring[DIM][TARGET_BLOCK], force[DIM][TARGET_BLOCK] = { { 0 } };
	double value[TARGET_BLOCK] = { 0 };

	(void)state;
	centred(n, count, x, spring);
	for (size_t k = 0; k < DIM; k++)
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			value[i] -= (double)(spring[k][i] * spring[k][i]) / 2;
	for (size_t k = 0; k < DIM; k += AXES)
		for (size_t l = k + AXES; l < DIM; l += AXES)
#pragma omp simd
			for (size_t i = 0; i < count; i++) {
				struct pair p = pair_of(n, x, k, l, i);
				value[i] -= (double)(p.cube * (p.cube - 2));
				for (size_t a = 0; a < AXES; a++) {
					force[k + a][i] += p.pull * p.u[a];
					force[l + a][i] -= p.pull * p.u[a];
				}
			}
	for (size_t i = 0; log_rho != NULL && i < count; i++)
		log_rho[i] = value[i];
	for (size_t k = 0; grad != NULL && k < DIM; k++)
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			grad[k * n + i] = force[k][i] - spring[k][i];
}

static void eval(const void *state, size_t n, const num *x, double *log_rho, num *grad)
{
	num_eval_blocks(state, n, x, log_rho, grad, eval_block);
}

static void hvp_block(const void *state, size_t n, size_t count, const num *x, const num *v,
	num *hv)
{
	num spring[DIM][TARGET_BLOCK], force[DIM][TARGET_BLOCK] = { { 0 } };

	(void)state;
	centred(n, count, v, spring);
	for (size_t k = 0; k < DIM; k += AXES)
		for (size_t l = k + AXES; l < DIM; l += AXES)
#pragma omp simd
			for (size_t i = 0; i < count; i++) {
				struct pair p = pair_of(n, x, k, l, i);
				num w[AXES];
				for (size_t a = 0; a < AXES; a++)
					w[a] = v[(k + a) * n + i] - v[(l + a) * n + i];
				num along = p.s * (p.u[0] * w[0] + p.u[1] * w[1] + p.u[2] * w[2]);
				along *= p.s * p.cube * (96 - 168 * p.cube); /* -4 e'' u.v */
				for (size_t a = 0; a < AXES; a++) {
					num h = p.pull * w[a] + along * p.u[a];
					force[k + a][i] += h;
					force[l + a][i] -= h;
				}
			}
	for (size_t k = 0; k < DIM; k++)
#pragma omp simd
		for (size_t i = 0; i < count; i++)
			hv[k * n + i] = force[k][i] - spring[k][i];
}

static void hvp(const void *state, size_t n, const num *x, const num *v, num *hv)
{
	num_hvp_blocks(state, n, x, v, hv, hvp_block);
}

static void log_z(const void *state, struct log_z *out)
{
	(void)state;
	*out = (struct log_z){ LOG_Z_INFINITE, (double)INFINITY, 0,
		"improper: the same wherever the centre of the particles is" };
}

static void window(const void *state, struct window *out)
{
	(void)state;
	*out = (struct window){ -3, 3, -3, 3 };
}

const TARGET(lennard_jones13) = {
	.name = "lennard_jones13",
	.title = "Lennard-Jones (13 particles)",
	.paper = "Koehler, Klein and Noe 2020, arXiv 2006.02425; code of OSDS, arXiv 2512.05251",
	.note = "Improper: moving all particles together changes nothing, so that Z is infinite "
		"and a distance of samples means little; on the subspace of centre 0 the density "
		"is proper. In the published configuration `dim` is the number of particles, 13, "
		"not 39, and there are no settings for samplers. Two particles in the same place "
		"count as at distance 1, as published; nearer than 1e-18 (0.01 in float) the "
		"energy is that at this distance.",
	.dim = dim,
	.eval = eval,
	.hvp = hvp,
	.log_z = log_z,
	.window = window,
};
