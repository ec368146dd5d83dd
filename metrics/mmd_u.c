/*
 * Squared maximum mean discrepancy, Gaussian kernel: the U-statistic of Gretton et al. 2012, eq. 3,
 *
 *     mean_{i != i'} k(x, x') + mean_{j != j'} k(y, y') - 2 mean k(x, y),
 *
 * unbiased, so of either sign when the sampler is good: no root is taken. The bandwidth is the median
 * distance between exact samples alone, so that it does not move with the model.
 */
#include "score/kernel.h"
#include "stride.h"

static int mmd_u(const struct scored *in, struct value *out)
{
	struct cloud x, z;
	struct kernel_sums s;

	if (in->n < 2 || in->n_exact < 2)
		return fail(ERR_RANGE, "the MMD needs at least 2 samples on either side");
	TRY(kernel_pool(&z, in->exact, in->n_exact, in->x, in->n, in->dim, in->arena));
	TRY(cloud_make(&x, in->exact, in->n_exact, in->dim, in->arena));
	double h = kernel_median(&x, 0, in->arena);
	if (!(h > 0 && isfinite(h)))
		return fail(ERR_NUMERIC,
			"the median distance of the exact samples is %g: no bandwidth", h);
	kernel_sums(&z, in->n_exact, h, in->arena, &s);
	*out = value_make(kernel_mmd_u(&s, (double)in->n_exact, (double)in->n), (double)NAN);
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
	.eval = mmd_u,
};
