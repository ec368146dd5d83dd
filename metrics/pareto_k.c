/*
 * Shape k of the upper tail of the weights: the m = min(0.2 n, 3 sqrt(n)) largest of them are fitted by a
 * generalised Pareto distribution above the next smaller one u,
 *
 *     P(w - u > y) = (1 + k y / sigma)^(-1/k),    y_1 <= ... <= y_m.                            (1)
 *
 * Moments of w of order 1/k and more are infinite: with k > 1/2 log Z has no standard error, with k > 1
 * no mean. Above 0.7 `logz_rev` and `ess_rev` are unusable at any practical n. The fit is that of Zhang and
 * Stephens (2009): with theta = -k/sigma the profile likelihood is
 *
 *     l(theta) = log(theta/kappa(theta)) - kappa(theta) - 1, up to signs,
 *     kappa(theta) = mean log(1 - theta y),                                                     (2)
 *
 * over a grid of g = 30 + floor(sqrt(m)) points, y* = y_[m/4 + 1/2] being the first quartile,
 *
 *     theta_j = 1/y_m + (1 - sqrt(g/(j - 1/2))) / (3 y*),                                       (3)
 *
 * theta is their mean under weights proportional to exp(m l), k = kappa(theta), and k is drawn to 1/2 by
 * a prior worth 10 points: (m k + 5) / (m + 10) (Vehtari et al. 2024, Pareto smoothed importance sampling).
 *
 * Everything is scaled by y*, and y enters by its logarithm, so that no spread of log weights is too wide.
 * The standard error is that of the maximum likelihood, (1 + k)/sqrt(m), times m/(m + 10). A value
 * of -inf: the largest weights are equal, and there is no tail. A tail of fewer than 5 points or with a
 * quarter of it tied is ERR_NUMERIC. Of weights with signs the tail is that of their size.
 */
#include "core/stats.h"
#include "stride.h"

#include <gsl/gsl_sort.h>

enum { TAIL_LEAST = 5, GRID = 30, PRIOR_POINTS = 10 };
static const double PRIOR_SHAPE = 0.5;

/* m exceedances by their logarithms, over y*. */
struct tail {
	size_t m;
	const double *log_y;
};

/* log(1 - theta y). theta is below 1/y_m (eq. 3). */
static double log_factor(double theta, double log_y)
{
	if (theta > 0)
		return log1p(-theta * exp(log_y));
	double t = log(-theta) + log_y; /* log(1 + e^t) */
	return t > 0 ? t + log1p(exp(-t)) : log1p(exp(t));
}

/* Eq. 2. */
static double shape_at(const struct tail *t, double theta)
{
	double sum = 0;

	for (size_t i = 0; i < t->m; i++)
		sum += log_factor(theta, t->log_y[i]);
	return sum / (double)t->m;
}

/* The k of the likelihood, without the prior. */
static double fit(const struct tail *t, struct arena *a)
{
	const size_t grid = GRID + (size_t)sqrt((double)t->m);
	double *theta = arena_alloc(a, grid, sizeof(*theta));
	double *likelihood = arena_alloc(a, grid, sizeof(*likelihood)), mean = 0;

	for (size_t j = 0; j < grid; j++) { /* eq. 3 */
		theta[j] =
			exp(-t->log_y[t->m - 1]) + (1 - sqrt((double)grid / ((double)j + 0.5))) / 3;
		double k = shape_at(t, theta[j]);
		likelihood[j] = (double)t->m * (log(-theta[j] / k) - k - 1);
	}
	double total = stats_log_sum_exp(likelihood, grid, 1);
	for (size_t j = 0; j < grid; j++)
		mean += theta[j] * exp(likelihood[j] - total);
	return shape_at(t, mean);
}

/* Of n log weights, which are sorted here. */
static int shape(double *log_w, size_t n, struct value *out, struct arena *a)
{
	const size_t m = (size_t)ceil(fmin(0.2 * (double)n, 3 * sqrt((double)n)));

	if (m < TAIL_LEAST)
		return fail(ERR_NUMERIC, "%zu weights have a tail of %zu points; it takes %d", n, m,
			TAIL_LEAST);
	gsl_sort(log_w, 1, n);
	double *top = log_w + n - m, cut = top[-1];
	if (!isfinite(top[m - 1]))
		return fail(ERR_NUMERIC, "all of the %zu weights are 0", n);
	if (cut == top[m - 1]) {
		*out = value_make(-(double)INFINITY, (double)NAN);
		return OK;
	}
	for (size_t i = 0; i < m; i++) /* log(e^w - e^u) */
		top[i] = top[i] > cut ? top[i] + log(-expm1(cut - top[i])) : -(double)INFINITY;
	double quartile = top[(size_t)((double)m / 4 + 0.5) - 1];
	if (!isfinite(quartile))
		return fail(ERR_NUMERIC, "a quarter of the %zu largest of %zu weights are equal", m,
			n);
	for (size_t i = 0; i < m; i++)
		top[i] -= quartile;
	const struct tail t = { m, top };
	const double points = (double)m, all = points + PRIOR_POINTS, k = fit(&t, a);
	*out = value_make((points * k + PRIOR_POINTS * PRIOR_SHAPE) / all,
		(1 + k) / sqrt(points) * points / all);
	return OK;
}

static int of_weights(const double *log_w, const struct scored *in, struct value *out)
{
	const struct nonfinite odd = stats_nonfinite(log_w, in->n);
	double *sorted = arena_alloc(in->arena, in->n, sizeof(*sorted));

	*out = value_make((double)NAN, (double)NAN);
	if (odd.nan + odd.plus > 0)
		return OK;
	memcpy(sorted, log_w, in->n * sizeof(*sorted));
	TRY(shape(sorted, in->n, out, in->arena));
	if (in->dependent)
		out->se = (double)NAN;
	return OK;
}

static int pareto_k(const struct scored *in, struct value *out)
{
	return of_weights(in->log_w, in, out);
}

static int pareto_k_exact(const struct scored *in, struct value *out)
{
	return of_weights(in->log_abs_w, in, out);
}

const METRIC(pareto_k) = {
	.name = "pareto_k",
	.title = "Pareto k of w",
	.unit = "",
	.paper = "Vehtari et al. 2024, Pareto smoothed importance sampling, arXiv 1507.02646",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_WEIGHTS,
	.eval = pareto_k,
};

const METRIC(pareto_k_df) = {
	.name = "pareto_k_df",
	.title = "Pareto k, flow (published)",
	.unit = "",
	.paper = "the same of the published weight of a deterministic flow",
	.version = 1,
	.better = BETTER_NONE,
	.needs = NEEDS_WEIGHTS | NEEDS_DETFLOW,
	.eval = pareto_k,
};

const METRIC(pareto_k_exact) = {
	.name = "pareto_k_exact",
	.title = "Pareto k, flow (exact)",
	.unit = "",
	.paper = "the same of the exact weight's size",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_FLOW,
	.eval = pareto_k_exact,
};
