/*
 * Sliced Wasserstein distances (Rabin et al. 2012; Deshpande et al. 2019): of the projections of the exact samples X
 * and the model's Y on L = 256 unit directions theta,
 *
 *     sliced_w2 = (mean over theta of W2^2(theta.X, theta.Y))^(1/2),     max_sliced_w2 = max of W2,
 *
 * each W2 in one dimension by sorting. Without the curse of dimension: floors fall like 1 / sqrt(n). The
 * directions are the same for all methods, seeds and cells of a dimension, so that none is lucky; how well
 * 256 of them stand for all is part of the definition. The largest over a fixed set is below the largest over
 * all directions, by much in many dimensions.
 */
#include "score/sliced.h"
#include "stride.h"

enum { DIRECTIONS = 256 };

static int slices(const struct scored *in, struct sliced *out)
{
	struct cloud x, y;

	TRY(cloud_make(&x, in->exact, in->n_exact, in->dim, in->arena));
	TRY(cloud_make(&y, in->x, in->n, in->dim, in->arena));
	return sliced_costs(&x, &y, sliced_directions(DIRECTIONS, in->dim, in->arena), DIRECTIONS,
		true, in->arena, out);
}

static int sliced_w2(const struct scored *in, struct value *out)
{
	struct sliced s;

	TRY(slices(in, &s));
	*out = value_root(value_make(s.mean, s.mean_se));
	return OK;
}

static int max_sliced_w2(const struct scored *in, struct value *out)
{
	struct sliced s;

	TRY(slices(in, &s));
	*out = value_root(value_make(s.max, s.max_se));
	return OK;
}

const METRIC(sliced_w2) = {
	.name = "sliced_w2",
	.title = "Sliced W2",
	.unit = "",
	.paper = "Rabin et al. 2012, Wasserstein Barycenter and its Application to Texture Mixing",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_EXACT,
	.floor = true,
	.eval = sliced_w2,
};

const METRIC(max_sliced_w2) = {
	.name = "max_sliced_w2",
	.title = "Max-sliced W2",
	.unit = "",
	.paper = "Deshpande et al. 2019, Max-Sliced Wasserstein Distance",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_EXACT,
	.floor = true,
	.eval = max_sliced_w2,
};
