/*
 * Maximum mean discrepancy as published (OSDS, Beyond ELBOs), Gaussian kernel, X the n exact samples
 * and Y the m of the model:
 *
 *     h = median over i <= j of |z_i - z_j|, Z = X and Y together, with the n + m zeros of i = j;
 *     T = sum k(x, x') / (m (m - 1)) + sum k(y, y') / (n (n - 1)) - 2 mean k(x, y);
 *     MMD = sqrt(max(1e-20, T)).
 *
 * The sums keep their diagonals and the normalisers are swapped, as in the published code: a perfect
 * sampler scores sqrt(1/(n-1) + 1/(m-1)), and n != m gives nonsense. `mmd_u` is the unbiased one.
 * The standard error is that of the unbiased MMD^2, which for n = m is T but for a constant, over 2 MMD.
 */
#include "score/kernel.h"
#include "score/pairs.h"
#include "stride.h"

static int mmd_osds(const struct scored *in, struct value *out)
{
	double n = (double)in->n_exact, m = (double)in->n;
	struct pairs p;

	if (in->n < 2 || in->n_exact < 2)
		return fail(ERR_RANGE, "the MMD needs at least 2 samples on either side");
	TRY(pairs_make(&p, in->exact, in->n_exact, in->x, in->n, in->dim, in->seed, in->arena));
	double h = kernel_median(&p.z, p.z.n, in->arena);
	if (!(h > 0 && isfinite(h)))
		return fail(ERR_NUMERIC, "the median distance is %g: no bandwidth", h);
	pairs_kernel(&p, h);
	double t = (2 * p.xx + n) / (m * (m - 1)) + (2 * p.yy + m) / (n * (n - 1)) -
		   2 * p.xy / (n * m);
	double mmd = sqrt(fmax(1e-20, t));
	double se = in->n == in->n_exact ? pairs_se(&p, in->arena) : (double)NAN;
	*out = value_make(mmd, se / (2 * mmd));
	return OK;
}

const METRIC(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "MMD (OSDS)",
	.unit = "",
	.paper = "OSDS and Beyond ELBOs (Blessing et al. 2024), evaluation code",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_EXACT,
	.floor = true,
	.pairs = true,
	.eval = mmd_osds,
};
