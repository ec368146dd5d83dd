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
#include "score/reuse.h"
#include "score/transport.h"
#include "stride.h"

/* What the exact samples alone decide. */
struct own {
	struct transport_rule rule;
	struct transport xx;
	double *eps_x; /* first variation of eps */
};

static int make_own(const struct scored *in, void **out)
{
	struct own *own = ARENA_NEW(in->arena, 1, struct own);
	struct cloud x;

	TRY(cloud_make(&x, in->exact, in->n_exact, in->dim, in->arena));
	own->rule = (struct transport_rule){
		.eps = 0.05 * cloud_mean_cost_within(&x),
		.tolerance = 1e-6,
		.every = 1,
		.cap = 5000,
		.accelerate = true,
	};
	if (!(own->rule.eps > 0 && isfinite(own->rule.eps)))
		return fail(ERR_NUMERIC,
			"the mean cost of the exact samples gives a regularisation of %g",
			own->rule.eps);
	transport_within(&x, &own->rule, in->arena, &own->xx);
	/* A mean over pairs moves with a point as its mean over the others does, twice. */
	own->eps_x = ARENA_NEW(in->arena, x.n, double);
	cloud_mean_costs(&x, &x, 2 * 0.05, own->eps_x);
	*out = own;
	return OK;
}

static int sinkhorn(const struct scored *in, struct value *out)
{
	struct cloud x, y;
	struct divergence d;
	void *made;

	if (in->n_exact < 2)
		return fail(ERR_RANGE, "the regularisation needs at least 2 exact samples");
	TRY(transport_fits(in->n_exact, in->n));
	TRY(reuse_exact(in, make_own, &made));
	const struct own *own = made;
	TRY(cloud_make(&x, in->exact, in->n_exact, in->dim, in->arena));
	TRY(cloud_make(&y, in->x, in->n, in->dim, in->arena));
	TRY(transport_divergence(&x, &y, &own->rule, &own->xx, true, in->arena, &d));
	*out = value_make(d.value,
		transport_divergence_se(&d, x.n, own->eps_x, y.n, NULL, in->arena));
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
