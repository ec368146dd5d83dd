/*
 * Share of the exact weights of a deterministic flow whose sign is the rarer one:
 *
 *     p = min(n+, n-) / (n+ + n-).
 *
 * Determinants of both signs prove that the flow folds; then elbo_exact is no bound of log Z. None seen
 * proves little: the upper 95 % limit of p is then 3/n, which stands in the place of the standard error
 * sqrt(p (1 - p)/n). NaN where a weight is NaN or infinite.
 */
#include "core/stats.h"
#include "stride.h"

static int fold_fraction(const struct scored *in, struct value *out)
{
	const struct nonfinite odd = stats_nonfinite(in->log_abs_w, in->n);
	const double n = (double)in->n;
	size_t minus = 0, plus = 0;

	*out = value_make((double)NAN, (double)NAN);
	if (odd.nan + odd.plus > 0)
		return OK;
	for (size_t i = 0; i < in->n; i++) {
		minus += in->sign[i] < 0;
		plus += in->sign[i] > 0;
	}
	if (minus + plus == 0)
		return OK;
	double p = (double)(minus < plus ? minus : plus) / (double)(minus + plus);
	*out = value_make(p, p > 0 ? sqrt(p * (1 - p) / n) : 3 / n);
	return OK;
}

const METRIC(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "share of folds",
	.unit = "",
	.paper = "share of the rarer sign of the flow's determinants",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_FLOW,
	.eval = fold_fraction,
};
