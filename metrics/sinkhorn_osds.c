/*
 * The Sinkhorn divergence as published ("SD" of OSDS and Beyond ELBOs): what OTT 0.4.6 computes, in
 * double. X exact samples, Y the model's, cost |x - y|^2,
 *
 *     S = OT(X, Y) - (OT(X, X) + OT(Y, Y)) / 2   at   eps = 0.05 mean_ij |x_i - y_j|^2.
 *
 * The published code asks for eps = 1e-3 and does not get it: eps moves with the model's samples. The
 * solver stops at a marginal error of 1e-3, looked at every 10 iterations, or at 2000 iterations. So
 * S has a floor and is no distance at a stated eps; `sinkhorn` is the one that is. The standard
 * error is from the potentials, as if converged, with what moves eps.
 */
#include "score/transport.h"
#include "stride.h"

static int sinkhorn_osds(const struct scored *in, struct value *out)
{
	struct cloud x, y;
	struct divergence d;

	TRY(cloud_make(&x, in->exact, in->n_exact, in->dim, in->arena));
	TRY(cloud_make(&y, in->x, in->n, in->dim, in->arena));
	struct transport_rule rule = {
		.eps = 0.05 * cloud_mean_cost(&x, &y),
		.tolerance = 1e-3,
		.every = 10,
		.cap = 2000,
	};
	if (!(rule.eps > 0 && isfinite(rule.eps)))
		return fail(ERR_NUMERIC, "the mean cost gives a regularisation of %g", rule.eps);
	TRY(transport_divergence(&x, &y, &rule, NULL, false, in->arena, &d));
	double *eps_x = ARENA_NEW(in->arena, x.n, double),
	       *eps_y = ARENA_NEW(in->arena, y.n, double);
	cloud_mean_costs(&x, &y, 0.05, eps_x);
	cloud_mean_costs(&y, &x, 0.05, eps_y);
	*out = value_make(d.value, transport_divergence_se(&d, x.n, eps_x, y.n, eps_y, in->arena));
	return OK;
}

const METRIC(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Sinkhorn divergence (OSDS)",
	.unit = "",
	.paper = "OSDS and Beyond ELBOs (Blessing et al. 2024), evaluation code with OTT 0.4.6",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_EXACT,
	.floor = true,
	.pairs = true,
	.eval = sinkhorn_osds,
};
