/*
 * The debiased Sinkhorn divergence (Feydy et al. 2019), cost |x - y|^2,
 *
 *     S = OT(X, Y) - (OT(X, X) + OT(Y, Y)) / 2,
 *
 * at a regularisation that the target alone decides, eps = 0.05 mean_{i<j} |x_i - x_j|^2 over the
 * exact samples X (an unbiased estimate of the mean cost between two independent exact points), and
 * converged to a marginal error of 1e-6, by Newton's method where a few points far from all others hold
 * Sinkhorn's iteration up (at most 4096 points). So values of different methods on a target compare; for a
 * good sampler they do not fall to 0 but to the floor of two finite exact sets. The standard error is
 * from the potentials (score/transport.h).
 */
#include "score/transport.h"
#include "stride.h"

static int sinkhorn(const struct scored *in, struct value *out)
{
	struct cloud x, y;
	struct divergence d;

	if (in->n_exact < 2)
		return fail(ERR_RANGE, "the regularisation needs at least 2 exact samples");
	TRY(cloud_make(&x, in->exact, in->n_exact, in->dim, in->arena));
	TRY(cloud_make(&y, in->x, in->n, in->dim, in->arena));
	struct transport_rule rule = {
		.eps = 0.05 * cloud_mean_cost_within(&x),
		.tolerance = 1e-6,
		.every = 1,
		.cap = 5000,
		.accelerate = true,
	};
	if (!(rule.eps > 0 && isfinite(rule.eps)))
		return fail(ERR_NUMERIC,
			"the mean cost of the exact samples gives a regularisation of %g",
			rule.eps);
	TRY(transport_divergence(&x, &y, &rule, true, in->arena, &d));
	/* A mean over pairs moves with a point as its mean over the others does, twice. */
	double *eps_x = ARENA_NEW(in->arena, x.n, double);
	cloud_mean_costs(&x, &x, 2 * 0.05, eps_x);
	*out = value_make(d.value, transport_divergence_se(&d, x.n, eps_x, y.n, NULL, in->arena));
	return OK;
}

const METRIC(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Sinkhorn divergence",
	.unit = "",
	.paper = "Feydy et al. 2019, Interpolating between Optimal Transport and MMD",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_EXACT,
	.floor = true,
	.pairs = true,
	.eval = sinkhorn,
};
