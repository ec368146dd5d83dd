/*
 * Effective sample sizes as shares of n, from log weights:
 *
 *     ess_rev = (sum w)^2 / (n sum w^2)       under the sampler, in [1/n, 1]
 *     ess_fwd = 1 / (mean w * mean (1 / w))   under the target, in (0, 1]
 *
 * ess_rev is blind to what was never sampled: a collapsed sampler scores near 1. ess_fwd is
 * computed as exp(2 log n - LSE(log w) - LSE(-log w)), so that it does not underflow on the way.
 * Standard errors by the delta method: small when one weight rules, as nothing else was seen.
 * ess_exact: of the size of a deterministic flow's exact weights. ess_df: the same as ess_rev of the published weight of a deterministic flow. Non-finite: log w =
 * -inf is weight 0 (and ess_fwd 0); NaN or +inf make the value NaN, as do weights that are all 0.
 */
#include "core/stats.h"
#include "stride.h"

static int ess_rev(const struct scored *in, struct value *out)
{
	struct weight_stats s;
	stats_weights(in->log_w, in->n, 1, &s);
	*out = value_make(s.ess, in->dependent ? (double)NAN : s.ess_se);
	return OK;
}

static int ess_exact(const struct scored *in, struct value *out)
{
	struct weight_stats s;
	stats_weights(in->log_abs_w, in->n, 1, &s);
	*out = value_make(s.ess, s.ess_se);
	return OK;
}

/* The standard deviation of w / mean w + (1/w) / mean(1/w), whose mean is 2, over sqrt(n). */
static double relative_error(const double *log_w, size_t n, double up, double down)
{
	double sum = 0, count = (double)n;

	for (size_t i = 0; i < n; i++) {
		double moved = count * exp(log_w[i] - up) + count * exp(-log_w[i] - down) - 2;
		sum += moved * moved;
	}
	return sqrt(sum / (count - 1) / count);
}

static int ess_fwd(const struct scored *in, struct value *out)
{
	double up = stats_log_sum_exp(in->log_w_forward, in->n, 1);
	double down = stats_log_sum_exp(in->log_w_forward, in->n, -1);
	double value =
		up == (double)INFINITY ? (double)NAN : exp(2 * log((double)in->n) - up - down);
	*out = value_make(value, (double)NAN);
	if (isfinite(up) && isfinite(down) && in->n > 1 && !in->dependent)
		out->se = value * relative_error(in->log_w_forward, in->n, up, down);
	return OK;
}

const METRIC(ess_rev) = {
	.name = "ess_rev",
	.title = "ESS, reverse",
	.unit = "",
	.paper = "Blessing et al. 2024, Beyond ELBOs",
	.version = 1,
	.better = BETTER_HIGHER,
	.needs = NEEDS_WEIGHTS,
	.eval = ess_rev,
};

const METRIC(ess_df) = {
	.name = "ess_df",
	.title = "ESS, flow (published)",
	.unit = "",
	.paper = "OSDS, evaluation code",
	.version = 1,
	.better = BETTER_NONE,
	.needs = NEEDS_WEIGHTS | NEEDS_DETFLOW,
	.eval = ess_rev,
};

const METRIC(ess_exact) = {
	.name = "ess_exact",
	.title = "ESS, flow (exact)",
	.unit = "",
	.paper = "the same of the exact weight's size",
	.version = 1,
	.better = BETTER_HIGHER,
	.needs = NEEDS_FLOW,
	.eval = ess_exact,
};

const METRIC(ess_fwd) = {
	.name = "ess_fwd",
	.title = "ESS, forward",
	.unit = "",
	.paper = "Blessing et al. 2024, Beyond ELBOs",
	.version = 1,
	.better = BETTER_HIGHER,
	.needs = NEEDS_FORWARD,
	.eval = ess_fwd,
};
