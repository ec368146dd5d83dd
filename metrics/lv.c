/*
 * Variance of the log weights, divisor n - 1:
 *
 *     lv = sum (log w - mean)^2 / (n - 1),
 *
 * 0 when the sampler is exact; the loss "log variance" at the sampler's own paths. In a log-normal model
 * the reverse ESS is exp(-lv), and KL(sampler | target) = lv/2. Its standard error is
 * sqrt((m4 - lv^2 (n - 3)/(n - 1)) / n), m4 the fourth central moment. Paths that end where the target
 * is 0 (log w = -inf) have no variance: NaN, as for NaN and +inf.
 */
#include "core/stats.h"
#include "stride.h"

static int lv(const struct scored *in, struct value *out)
{
	const double n = (double)in->n, mean = stats_mean(in->log_w, in->n);
	double *power = arena_alloc(in->arena, in->n, sizeof(*power));

	*out = value_make(stats_variance(in->log_w, in->n), (double)NAN);
	for (size_t i = 0; i < in->n; i++)
		power[i] = pow(in->log_w[i] - mean, 4);
	if (in->n > 3 && !in->dependent)
		out->se = sqrt(fmax(0, stats_mean(power, in->n) -
					       out->value * out->value * (n - 3) / (n - 1)) /
			       n);
	if (!isfinite(out->value))
		*out = value_make((double)NAN, (double)NAN);
	return OK;
}

const METRIC(lv) = {
	.name = "lv",
	.title = "variance of log w",
	.unit = "nats²",
	.paper = "Richter and Berner 2024, Improved sampling via learned diffusions; sde_sampler",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_WEIGHTS,
	.eval = lv,
};

const METRIC(lv_df) = {
	.name = "lv_df",
	.title = "variance of log w, flow (published)",
	.unit = "nats²",
	.paper = "the same of the published weight of a deterministic flow",
	.version = 1,
	.better = BETTER_NONE,
	.needs = NEEDS_WEIGHTS | NEEDS_DETFLOW,
	.eval = lv,
};
