/*
 * Squared maximum mean discrepancy, Gaussian kernel: the U-statistic of Gretton et al. 2012, eq. 3,
 *
 *     mean_{i != i'} k(x, x') + mean_{j != j'} k(y, y') - 2 mean k(x, y),
 *
 * unbiased, so of either sign when the sampler is good: no root is taken. The bandwidth is the median
 * distance between exact samples alone, so that it does not move with the model. The p-value is of a
 * permutation test (score/pairs.h).
 *
 * Pitfalls: one bandwidth sees differences of its own size best. With modes far apart the median is
 * their distance, and what goes on inside a mode hardly shows.
 */
#include "score/kernel.h"
#include "score/pairs.h"
#include "score/reuse.h"
#include "stride.h"

static int make_bandwidth(const struct scored *in, void **out)
{
	double *h = ARENA_NEW(in->arena, 1, double);
	struct cloud x;

	TRY(cloud_make(&x, in->exact, in->n_exact, in->dim, in->arena));
	*h = kernel_median(&x, 0, in->arena);
	if (!(*h > 0 && isfinite(*h)))
		return fail(ERR_NUMERIC,
			"the median distance of the exact samples is %g: no bandwidth", *h);
	*out = h;
	return OK;
}

static int mmd_u(const struct scored *in, struct value *out)
{
	struct pairs p;
	void *h;

	if (in->n < 2 || in->n_exact < 2)
		return fail(ERR_RANGE, "the MMD needs at least 2 samples on either side");
	TRY(pairs_make(&p, in->exact, in->n_exact, in->x, in->n, in->dim, in->seed, in->arena));
	TRY(reuse_exact(in, make_bandwidth, &h));
	pairs_kernel(&p, *(const double *)h);
	out->value = pairs_u(&p);
	out->se = pairs_se(&p, in->arena);
	out->p = pairs_p_value(&p, in->seed, in->arena);
	return OK;
}

const METRIC(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "MMD², unbiased",
	.unit = "",
	.paper = "Gretton et al. 2012, A Kernel Two-Sample Test",
	.version = 1,
	.better = BETTER_ZERO,
	.needs = NEEDS_SAMPLES | NEEDS_EXACT,
	.floor = true,
	.pairs = true,
	.eval = mmd_u,
};
