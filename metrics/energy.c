/*
 * The energy distance (Szekely and Rizzo 2013), squared form, all pairs,
 *
 *     2 mean |x - y| - mean |x - x'| - mean |y - y'|,
 *
 * a point with itself included: at least 0, and 0 for equal clouds. It is the MMD^2 of the kernel
 * -|x - y|, without a bandwidth, and needs means alone to exist. The p-value is of a permutation test
 * (score/pairs.h).
 *
 * Pitfalls: a perfect sampler scores mean |x - x'| (1/n + 1/m), not 0: read it beside its floor. Often
 * called the energy distance is the root of it, or its half. Far outliers and the means decide it in high
 * dimension; the shape hardly shows there.
 */
#include "score/pairs.h"
#include "stride.h"

static int energy(const struct scored *in, struct value *out)
{
	struct pairs p;

	if (in->n < 1 || in->n_exact < 1)
		return fail(ERR_RANGE, "the energy distance needs samples on either side");
	TRY(pairs_make(&p, in->exact, in->n_exact, in->x, in->n, in->dim, in->seed, in->arena));
	pairs_distance(&p);
	out->value = pairs_v(&p);
	if (!isfinite(out->value))
		return fail(ERR_NUMERIC, "distances overflow: the energy distance is %g",
			out->value);
	out->se = pairs_se(&p, in->arena);
	out->p = pairs_p_value(&p, in->seed, in->arena);
	return OK;
}

const METRIC(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Energy distance",
	.unit = "",
	.paper = "Székely and Rizzo 2013, Energy statistics",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_EXACT,
	.floor = true,
	.pairs = true,
	.eval = energy,
};
