#include "mc/tempered.h"

#include "stride.h"

struct states states_new(struct arena *a, size_t dim)
{
	struct states s = {
		.x = ARENA_NEW(a, dim * MC_BLOCK, real),
		.grad = ARENA_NEW(a, dim * MC_BLOCK, real),
		.log_rho = ARENA_NEW(a, MC_BLOCK, double),
		.log_prior = ARENA_NEW(a, MC_BLOCK, double),
	};

	return s;
}

struct mc_scratch mc_scratch_new(struct arena *a, size_t dim)
{
	struct mc_scratch s = {
		.proposal = states_new(a, dim),
		.momentum = ARENA_NEW(a, dim * MC_BLOCK, real),
		.wide = ARENA_NEW(a, dim * MC_BLOCK, double),
	};

	return s;
}

double tempered_log_prior(const struct tempered *t, double squared_norm)
{
	double d = (double)t->dim;

	return -0.5 * (squared_norm / (t->sigma0 * t->sigma0) + d * LOG_2PI) - d * log(t->sigma0);
}

double tempered_log_density(double beta, double log_rho, double log_prior)
{
	if (beta == 0)
		return log_prior;
	if (beta == 1)
		return log_rho;
	return beta * log_rho + (1 - beta) * log_prior;
}

/* sum[i] = sum of the squares of column i of v [dim][MC_BLOCK], in double. */
static void squared_norms(size_t dim, const real *v, double *sum)
{
	for (size_t i = 0; i < MC_BLOCK; i++)
		sum[i] = 0;
	for (size_t k = 0; k < dim; k++)
		for (size_t i = 0; i < MC_BLOCK; i++)
			sum[i] += (double)v[k * MC_BLOCK + i] * (double)v[k * MC_BLOCK + i];
}

/* Log densities at s->x, in double. */
static void values(const struct tempered *t, struct states *s, double *wide)
{
	double norm[MC_BLOCK];

	for (size_t j = 0; j < t->dim * MC_BLOCK; j++)
		wide[j] = (double)s->x[j];
	density_eval(t->target, MC_BLOCK, wide, s->log_rho, NULL);
	squared_norms(t->dim, s->x, norm);
	for (size_t i = 0; i < MC_BLOCK; i++)
		s->log_prior[i] = tempered_log_prior(t, norm[i]);
}

void tempered_eval(const struct tempered *t, struct states *s, struct mc_scratch *scratch)
{
	values(t, s, scratch->wide);
	density_eval_real(t->target, MC_BLOCK, s->x, NULL, s->grad);
}

/* momentum += share * step * scale * grad log pi_beta. */
static void kick(const struct tempered *t, double beta, const double *scale, const real *step,
	double share, const real *x, const real *grad, real *momentum)
{
	for (size_t k = 0; k < t->dim; k++) {
		double factor = scale != NULL ? share * scale[k] : share;
		real rho = (real)(factor * beta);
		real prior = (real)(factor * (1 - beta) / (t->sigma0 * t->sigma0));
		const real *xk = x + k * MC_BLOCK, *gk = grad + k * MC_BLOCK;
		real *pk = momentum + k * MC_BLOCK;
		for (size_t i = 0; i < MC_BLOCK; i++)
			pk[i] += step[i] * (rho * gk[i] - prior * xk[i]);
	}
}

/* x += step * scale * momentum. */
static void drift(size_t dim, const double *scale, const real *step, const real *momentum, real *x)
{
	for (size_t k = 0; k < dim; k++) {
		real factor = scale != NULL ? (real)scale[k] : (real)1;
		for (size_t i = 0; i < MC_BLOCK; i++)
			x[k * MC_BLOCK + i] += step[i] * (factor * momentum[k * MC_BLOCK + i]);
	}
}

void hmc_leapfrog(const struct tempered *t, double beta, size_t steps, const double *scale,
	const real *step, real *x, real *grad, real *momentum)
{
	kick(t, beta, scale, step, 0.5, x, grad, momentum);
	for (size_t l = 1; l <= steps; l++) {
		drift(t->dim, scale, step, momentum, x);
		density_eval_real(t->target, MC_BLOCK, x, NULL, grad);
		kick(t, beta, scale, step, l < steps ? 1 : 0.5, x, grad, momentum);
	}
}

static size_t leapfrog_steps(const struct mc_kernel *k)
{
	return k->kind == MC_HMC ? k->leapfrog : k->kind == MC_WALK ? 0 : 1;
}

size_t mc_evaluations(const struct mc_kernel *k)
{
	return k->kind == MC_WALK ? 1 : leapfrog_steps(k);
}

double mc_acceptance(enum mc_kind kind)
{
	static const double target
		[MC_COUNT] = { [MC_HMC] = 0.725, [MC_MALA] = 0.57, [MC_WALK] = 0.23, [MC_ULA] = 1 };

	return target[kind];
}

static void step_sizes(const struct mc_kernel *k, struct mc_chance c, real *step)
{
	struct rng r = { c.seed, RNG_ACCEPT, c.epoch };

	for (size_t i = 0; i < MC_BLOCK; i++) {
		double spread =
			k->jitter > 0
				? k->jitter * (2 * rng_uniform(r, c.step, c.first_row + i, 1) - 1)
				: 0;
		step[i] = (real)(k->step * (1 + spread));
	}
}

/* Take over the proposals of the states that accept. */
static void adopt(size_t dim, const bool *take, const struct states *proposal, struct states *s)
{
	for (size_t k = 0; k < dim; k++)
		for (size_t i = 0; i < MC_BLOCK; i++) {
			size_t j = k * MC_BLOCK + i;
			s->x[j] = take[i] ? proposal->x[j] : s->x[j];
			s->grad[j] = take[i] ? proposal->grad[j] : s->grad[j];
		}
	for (size_t i = 0; i < MC_BLOCK; i++)
		if (take[i]) {
			s->log_rho[i] = proposal->log_rho[i];
			s->log_prior[i] = proposal->log_prior[i];
		}
}

void mc_move(const struct tempered *t, double beta, const struct mc_kernel *k, struct mc_chance c,
	struct states *s, struct mc_scratch *scratch, double *accept)
{
	struct rng momenta = { c.seed, RNG_MOMENTUM, c.epoch };
	struct rng decisions = { c.seed, RNG_ACCEPT, c.epoch };
	bool unadjusted = k->kind == MC_ULA;
	struct states *new = unadjusted ? s : &scratch->proposal;
	double before[MC_BLOCK], after[MC_BLOCK];
	real step[MC_BLOCK];
	bool take[MC_BLOCK];

	rng_normal(momenta, c.step, c.first_row, MC_BLOCK, t->dim, scratch->momentum);
	squared_norms(t->dim, scratch->momentum, before);
	step_sizes(k, c, step);
	if (!unadjusted) {
		memcpy(new->x, s->x, t->dim * MC_BLOCK * sizeof(real));
		memcpy(new->grad, s->grad, t->dim * MC_BLOCK * sizeof(real));
	}
	if (k->kind == MC_WALK)
		drift(t->dim, k->scale, step, scratch->momentum, new->x);
	else
		hmc_leapfrog(t, beta, leapfrog_steps(k), k->scale, step, new->x, new->grad,
			scratch->momentum);
	if (unadjusted) {
		for (size_t i = 0; i < MC_BLOCK; i++)
			accept[i] = 1;
		return;
	}
	values(t, new, scratch->wide);
	squared_norms(t->dim, scratch->momentum, after); /* of the walk: as before */
	for (size_t i = 0; i < MC_BLOCK; i++) {
		double growth = tempered_log_density(beta, new->log_rho[i], new->log_prior[i]) -
				tempered_log_density(beta, s->log_rho[i], s->log_prior[i]) -
				0.5 * (after[i] - before[i]);
		double u = rng_uniform(decisions, c.step, c.first_row + i, 0);
		take[i] = growth > log(u); /* false for NaN */
		accept[i] = growth > 0 ? 1 : growth <= 0 ? exp(growth) : 0;
	}
	adopt(t->dim, take, new, s);
}
