/*
 * Evidence bounds from log weights, log w = log rho + backward path - forward path:
 *
 *     elbo = mean of log w under the sampler  <=  log Z  <=  eubo = mean of log w under the target.
 *
 * logZ - elbo = KL(sampler | target) and eubo - logZ = KL(target | sampler) on path space. elbo_df
 * is the published mean for a deterministic flow, whose weight is no weight: no bound. elbo_exact is the
 * mean of log |w| of its exact weight: a bound if the flow is injective, and with folds one of
 * log(Z E[multiplicity]) alone. Non-finite:
 * -inf makes the mean -inf; NaN or +inf make it NaN, never dropped. Particles that share ancestors give no
 * standard error.
 */
#include "core/stats.h"
#include "stride.h"

static int mean_of(const double *log_w, const struct scored *in, struct value *out)
{
	double mean =
		stats_nonfinite(log_w, in->n).plus > 0 ? (double)NAN : stats_mean(log_w, in->n);
	bool has_error = isfinite(mean) && !in->dependent;

	*out = value_make(mean, has_error ? stats_se(log_w, in->n) : (double)NAN);
	return OK;
}

static int elbo(const struct scored *in, struct value *out)
{
	if (isnan(in->elbo))
		return mean_of(in->log_w, in, out);
	*out = value_make(in->elbo, (double)NAN);
	return OK;
}

static int elbo_df(const struct scored *in, struct value *out)
{
	return mean_of(in->log_w, in, out);
}

static int elbo_exact(const struct scored *in, struct value *out)
{
	return mean_of(in->log_abs_w, in, out);
}

static int eubo(const struct scored *in, struct value *out)
{
	return mean_of(in->log_w_forward, in, out);
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
