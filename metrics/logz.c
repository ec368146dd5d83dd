/*
 * Estimates of the log-normaliser from log weights:
 *
 *     logz_rev = log mean w           under the sampler; E <= log Z (Jensen)
 *     logz_fwd = -log mean (1 / w)    under the target;  E >= log Z
 *     delta_logz = logz_rev - log Z   signed: its absolute value has a floor above 0
 *
 * with standard errors by the delta method; of particles that share ancestors with the one that the
 * method knows, if any. A method without weights that estimates log Z otherwise (parallel tempering)
 * has that estimate scored in place of logz_rev. *_df: the same of the published weight of a
 * deterministic flow, which is biased. Non-finite: log w = -inf is weight 0; NaN or +inf make the
 * estimate NaN.
 */
#include "core/stats.h"
#include "stride.h"

static void log_mean_w(const double *log_w, size_t n, int sign, struct value *out)
{
	const struct nonfinite odd = stats_nonfinite(log_w, n);

	*out = value_make((double)NAN, (double)NAN);
	if (odd.nan + odd.plus > 0)
		return;
	struct weight_stats s;
	stats_weights(log_w, n, sign, &s);
	*out = value_make(sign * s.log_mean, s.log_mean_se);
}

static int logz_rev(const struct scored *in, struct value *out)
{
	if (in->log_w == NULL) {
		*out = value_make(in->log_z_own, in->log_z_se);
		return OK;
	}
	log_mean_w(in->log_w, in->n, 1, out);
	if (in->dependent) /* ancestors in common: the weights say nothing of their mean's error */
		out->se = in->log_z_se;
	return OK;
}

static int logz_fwd(const struct scored *in, struct value *out)
{
	log_mean_w(in->log_w_forward, in->n, -1, out);
	if (in->dependent)
		out->se = (double)NAN;
	return OK;
}

static int delta_logz(const struct scored *in, struct value *out)
{
	TRY(logz_rev(in, out));
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
	.needs = NEEDS_EVIDENCE,
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
	.needs = NEEDS_EVIDENCE | NEEDS_LOG_Z,
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
