/*
 * Estimates of the log-normaliser from log weights:
 *
 *     logz_rev = log mean w           under the sampler; E <= log Z (Jensen)
 *     logz_fwd = -log mean (1 / w)    under the target;  E >= log Z
 *     delta_logz = logz_rev - log Z   signed: its absolute value has a floor above 0
 *
 * with standard errors by the delta method. *_df: the same of the published weight of a
 * deterministic flow, which is biased. Non-finite: log w = -inf is weight 0; NaN or +inf make the
 * estimate NaN.
 */
#include "core/stats.h"
#include "stride.h"

static bool usable(const double *log_w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (isnan(log_w[i]) || log_w[i] == (double)INFINITY)
			return false;
	return true;
}

/* Particles that share ancestors say nothing of the error of their mean. */
static void log_mean_w(const struct scored *in, const double *log_w, int sign, struct value *out)
{
	const size_t n = in->n;

	*out = (struct value){ .value = (double)NAN, .se = (double)NAN };
	if (!usable(log_w, n))
		return;
	struct weight_stats s;
	stats_weights(log_w, n, sign, &s);
	*out = (struct value){ .value = sign * s.log_mean,
		.se = in->dependent ? (double)NAN : s.log_mean_se };
}

static int logz_rev(const struct scored *in, struct value *out)
{
	log_mean_w(in, in->log_w, 1, out);
	return OK;
}

static int logz_fwd(const struct scored *in, struct value *out)
{
	log_mean_w(in, in->log_w_forward, -1, out);
	return OK;
}

static int delta_logz(const struct scored *in, struct value *out)
{
	log_mean_w(in, in->log_w, 1, out);
	out->value -= in->log_z.value;
	out->se = hypot(out->se, in->log_z.se);
	return OK;
}

const METRIC(logz_rev) = {
	.name = "logz_rev",
	.title = "log Z, reverse",
	.unit = "nats",
	.paper = "Blessing et al. 2024, Beyond ELBOs",
	.version = 1,
	.better = BETTER_NONE,
	.needs = NEEDS_WEIGHTS,
	.eval = logz_rev,
};

const METRIC(logz_df) = {
	.name = "logz_df",
	.title = "log Z, flow (published)",
	.unit = "nats",
	.paper = "OSDS, evaluation code",
	.version = 1,
	.better = BETTER_NONE,
	.needs = NEEDS_WEIGHTS | NEEDS_DETFLOW,
	.eval = logz_rev,
};

const METRIC(logz_fwd) = {
	.name = "logz_fwd",
	.title = "log Z, forward",
	.unit = "nats",
	.paper = "Blessing et al. 2024, Beyond ELBOs",
	.version = 1,
	.better = BETTER_NONE,
	.needs = NEEDS_FORWARD,
	.eval = logz_fwd,
};

const METRIC(delta_logz) = {
	.name = "delta_logz",
	.title = "log Z error",
	.unit = "nats",
	.paper = "Blessing et al. 2024, Beyond ELBOs; signed here",
	.version = 1,
	.better = BETTER_ZERO,
	.needs = NEEDS_WEIGHTS | NEEDS_LOG_Z,
	.eval = delta_logz,
};

const METRIC(delta_logz_df) = {
	.name = "delta_logz_df",
	.title = "log Z error, flow (published)",
	.unit = "nats",
	.paper = "OSDS, evaluation code; signed here",
	.version = 1,
	.better = BETTER_NONE,
	.needs = NEEDS_WEIGHTS | NEEDS_LOG_Z | NEEDS_DETFLOW,
	.eval = delta_logz,
};
