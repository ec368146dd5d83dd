/*
 * log Z from the exact weights of a deterministic flow, which have signs s_i (harness/run/flow.h):
 *
 *     logz_exact    = log |mean s|w||    E[s|w|] = Z for a flow of degree one, with folds or without
 *     logz_unsigned = log mean |w|       an upper estimate, Z times the mean multiplicity
 *     delta_logz_exact = logz_exact - log Z, signed
 *
 * With signs all equal, all + or all -, the first two are the same: the preimages that would balance a
 * reversal of orientation may lie where the prior has no mass. With mixed signs the mean has to be told
 * from 0: within 2 standard errors of it logz_exact is undefined (ERR_NUMERIC).
 *
 * The standard error is the larger of the delta method's, sd(s|w|) / (|mean| sqrt(n)), and a bootstrap's,
 * the standard deviation of the estimate over BOOTSTRAP resamples: the latter sees the skewness that the
 * former linearises away. Above GROUPS weights it resamples as many groups of them, whose sizes differ by one
 * at most. Non-finite:
 * log |w| = -inf is weight 0; NaN or +inf make the estimate NaN.
 */
#include "core/stats.h"
#include "stride.h"

enum { BOOTSTRAP = 200, GROUPS = 2000 };
static const double CERTAIN = 2; /* standard errors from 0 */

/* Weights over the largest: mean, standard error of the mean. */
struct scaled {
	double *w;
	double log_scale, mean, se;
};

static struct scaled scale_weights(const struct scored *in, const double *sign)
{
	struct scaled s = { arena_alloc(in->arena, in->n, sizeof(double)), -(double)INFINITY,
		(double)NAN, (double)NAN };

	for (size_t i = 0; i < in->n; i++)
		s.log_scale = fmax(s.log_scale, in->log_abs_w[i]);
	for (size_t i = 0; i < in->n; i++) {
		double w = exp(in->log_abs_w[i] - s.log_scale);
		s.w[i] = sign != NULL ? sign[i] * w : w;
	}
	s.mean = stats_mean(s.w, in->n);
	s.se = stats_se(s.w, in->n);
	return s;
}

/* Standard deviation of log |mean w| over resamples of groups of weights. */
static double bootstrap(const struct scored *in, const struct scaled *s)
{
	const struct rng r = { .seed = in->seed, .purpose = RNG_METRIC };
	const size_t groups = in->n < GROUPS ? in->n : GROUPS;
	double *group = ARENA_NEW(in->arena, groups, double), log_mean[BOOTSTRAP];

	for (size_t i = 0; i < in->n; i++)
		group[i % groups] += s->w[i];
	for (size_t b = 0; b < BOOTSTRAP; b++) {
		double sum = 0;
		size_t count = 0;
		for (size_t j = 0; j < groups; j++) {
			size_t k = (size_t)rng_below(r, (uint32_t)b, j, 0, groups);
			sum += group[k];
			count += in->n / groups + (k < in->n % groups);
		}
		log_mean[b] = log(fabs(sum) / (double)count);
	}
	return sqrt(stats_variance(log_mean, BOOTSTRAP));
}

static bool mixed(const double *sign, size_t n)
{
	bool plus = false, minus = false;

	for (size_t i = 0; i < n; i++) {
		plus = plus || sign[i] > 0;
		minus = minus || sign[i] < 0;
	}
	return plus && minus;
}

/* sign NULL: of the sizes. */
static int log_mean(const struct scored *in, const double *sign, struct value *out)
{
	const struct nonfinite odd = stats_nonfinite(in->log_abs_w, in->n);

	*out = value_make((double)NAN, (double)NAN);
	if (odd.nan + odd.plus > 0)
		return OK;
	if (odd.minus == in->n) {
		out->value = -(double)INFINITY;
		return OK;
	}
	const struct scaled s = scale_weights(in, sign);
	if (sign != NULL && fabs(s.mean) <= CERTAIN * s.se)
		return fail(ERR_NUMERIC,
			"undefined: weights of both signs, whose mean is %.2g standard errors from "
			"0",
			fabs(s.mean) / s.se);
	out->value = s.log_scale + log(fabs(s.mean));
	if (in->n > 1)
		out->se = fmax(s.se / fabs(s.mean), bootstrap(in, &s));
	return OK;
}

static int logz_exact(const struct scored *in, struct value *out)
{
	return log_mean(in, mixed(in->sign, in->n) ? in->sign : NULL, out);
}

static int logz_unsigned(const struct scored *in, struct value *out)
{
	return log_mean(in, NULL, out);
}

static int delta_logz_exact(const struct scored *in, struct value *out)
{
	TRY(logz_exact(in, out));
	out->value -= in->log_z.value;
	out->se = hypot(out->se, in->log_z.se);
	return OK;
}

const METRIC(logz_exact) = {
	.name = "logz_exact",
	.title = "log Z, flow (exact)",
	.unit = "nats",
	.paper = "change of variables with signs, area formula (metrics/README.md)",
	.version = 1,
	.better = BETTER_NONE,
	.needs = NEEDS_FLOW,
	.eval = logz_exact,
};

const METRIC(logz_unsigned) = {
	.name = "logz_unsigned",
	.title = "log Z, flow (exact, without signs)",
	.unit = "nats",
	.paper = "the same without signs: Z times the mean multiplicity",
	.version = 1,
	.better = BETTER_NONE,
	.needs = NEEDS_FLOW,
	.eval = logz_unsigned,
};

const METRIC(delta_logz_exact) = {
	.name = "delta_logz_exact",
	.title = "log Z error, flow (exact)",
	.unit = "nats",
	.paper = "logz_exact less the target's log Z",
	.version = 1,
	.better = BETTER_ZERO,
	.needs = NEEDS_FLOW | NEEDS_LOG_Z,
	.eval = delta_logz_exact,
};
