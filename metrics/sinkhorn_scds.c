/*
 * The "Sinkhorn" of sde_sampler and of the SCDS code, in double. Rows are the model's samples Y,
 * columns the exact ones X, the cost is the distance |y - x|, not its square:
 *
 *     value = <P, C> of the plan after 100 rounds of Sinkhorn's iteration at eps = 1e-3,
 *
 * f of Y first, then g of X, from g = eps log(1/n). Neither debiased nor with an entropy, no root, and at
 * this eps far from converged: the marginal of Y is still off, and the value is not the Wasserstein
 * distance that it is named after, but below or above it. It depends on the order of its arguments and on
 * n, and compares with itself only, at equal n. `sinkhorn` is a distance.
 */
#include "score/batches.h"
#include "score/truncated.h"
#include "stride.h"

static int truncated(const struct scored *in, struct value *out)
{
	const struct truncation rule = { .eps = 1e-3, .tolerance = 1e-5, .cap = 100 };
	struct cloud rows, columns;
	struct truncated plan;

	TRY(cloud_make(&rows, in->x, in->n, in->dim, in->arena));
	TRY(cloud_make(&columns, in->exact, in->n_exact, in->dim, in->arena));
	TRY(transport_truncated(&rows, &columns, &rule, in->arena, &plan));
	*out = value_make(plan.value, (double)NAN);
	return OK;
}

static int sinkhorn_scds(const struct scored *in, struct value *out)
{
	TRY(truncated(in, out));
	out->se = score_batches(in, truncated);
	return OK;
}

const METRIC(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Sinkhorn (SCDS)",
	.unit = "",
	.paper = "Single-Step Consistent Diffusion Samplers (arXiv 2502.07579), evaluation code, "
		 "as in sde_sampler",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_EXACT,
	.floor = true,
	.pairs = true,
	.eval = sinkhorn_scds,
};
