/*
 * Evidence bounds from log weights, log w = log rho + backward path - forward path:
 *
 *     elbo = mean of log w under the sampler  <=  log Z  <=  eubo = mean of log w under the target.
 *
 * logZ - elbo = KL(sampler | target) and eubo - logZ = KL(target | sampler) on path space. elbo_df
 * is the published mean for a deterministic flow, whose weight is no weight: no bound. elbo_exact is the
 * mean of log |w| of its exact weight: a bound if the flow is injective, and with folds one of
 * log(Z E[multiplicity]) alone. Non-finite:
 * -inf makes the mean -inf; NaN or +inf make it NaN, never dropped.
 */
#include "core/stats.h"
#include "stride.h"

static void mean_log_w(const double *log_w, size_t n, struct value *out)
{
	out->value = stats_mean(log_w, n);
	out->se = stats_se(log_w, n);
	if (stats_nonfinite(log_w, n).plus > 0)
		out->value = (double)NAN;
	if (!isfinite(out->value))
		out->se = (double)NAN;
}

static int elbo(const struct scored *in, struct value *out)
{
	if (isfinite(in->elbo))
		*out = value_make(in->elbo, (double)NAN);
	else
		mean_log_w(in->log_w, in->n, out);
	return OK;
}

static int elbo_df(const struct scored *in, struct value *out)
{
	mean_log_w(in->log_w, in->n, out);
	return OK;
}

static int elbo_exact(const struct scored *in, struct value *out)
{
	mean_log_w(in->log_abs_w, in->n, out);
	return OK;
}

static int eubo(const struct scored *in, struct value *out)
{
	mean_log_w(in->log_w_forward, in->n, out);
	return OK;
}

const METRIC(elbo) = {
	.name = "elbo",
	.title = "ELBO",
	.unit = "nats",
	.paper = "Blessing et al. 2024, Beyond ELBOs",
	.version = 1,
	.better = BETTER_HIGHER,
	.needs = NEEDS_WEIGHTS,
	.eval = elbo,
};

const METRIC(elbo_df) = {
	.name = "elbo_df",
	.title = "ELBO, flow (published)",
	.unit = "nats",
	.paper = "OSDS, evaluation code",
	.version = 1,
	.better = BETTER_NONE,
	.needs = NEEDS_WEIGHTS | NEEDS_DETFLOW,
	.eval = elbo_df,
};

const METRIC(elbo_exact) = {
	.name = "elbo_exact",
	.title = "ELBO, flow (exact)",
	.unit = "nats",
	.paper = "change of variables with the whole Jacobian (metrics/README.md)",
	.version = 1,
	.better = BETTER_HIGHER,
	.needs = NEEDS_FLOW,
	.eval = elbo_exact,
};

const METRIC(eubo) = {
	.name = "eubo",
	.title = "EUBO",
	.unit = "nats",
	.paper = "Blessing et al. 2024, Beyond ELBOs",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_FORWARD,
	.eval = eubo,
};
