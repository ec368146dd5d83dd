/*
 * Errors of the moments, against exact samples or, where there are none, the target's own or recorded
 * means and standard deviations:
 *
 *     moments       |mean x - mean y|, Euclidean, in the coordinates' unit
 *     moments_sd    mean_k |sd_k - sd'_k|, divisor n - 1: errors of either sign do not cancel
 *     moments_cov   Frobenius norm of the difference of the covariances, against exact samples alone
 *
 * Standard errors are by the influence functions, at the signs and the direction of the difference seen.
 *
 * Pitfalls: a perfect sampler scores sqrt(2 tr Cov / n), not 0. With heavy tails (funnel) the standard
 * deviation of samples has itself no finite variance: one outlier decides. All modes found with wrong
 * weights, or one mode in the middle of all, may have the right mean.
 */
#include "score/moments.h"
#include "core/stats.h"
#include "score/cloud.h"
#include "stride.h"

/* Means and standard deviations [dim] of either side. */
struct sides {
	double *mean, *sd;           /* of the samples */
	double *true_mean, *true_sd; /* of the target */
};

static int sides_make(struct sides *s, const struct scored *in)
{
	double **all[] = { &s->mean, &s->sd, &s->true_mean, &s->true_sd };

	if (in->n < 2 || (in->exact != NULL && in->n_exact < 2))
		return fail(ERR_RANGE, "moments need at least 2 samples on either side");
	TRY(cloud_check(in->x, in->n, in->dim));
	for (size_t i = 0; i < 4; i++)
		*all[i] = ARENA_NEW(in->arena, in->dim, double);
	moments_marginal(in->x, in->n, in->dim, NULL, s->mean, s->sd, in->arena);
	if (in->exact != NULL) {
		TRY(cloud_check(in->exact, in->n_exact, in->dim));
		moments_marginal(in->exact, in->n_exact, in->dim, NULL, s->true_mean, s->true_sd,
			in->arena);
	} else if (in->target == NULL || !density_moments(in->target, s->true_mean, s->true_sd)) {
		return fail(ERR_UNSUP, "the target's moments are not known");
	}
	return OK;
}

/* What each point of a side adds to an error, and the squared standard error of its mean. */
typedef double influence_at(const struct sides *s, const double *mean, const double *sd,
	const double *x, size_t dim, const double *direction);

static double mean_variance(influence_at *influence, const struct sides *s, const double *mean,
	const double *sd, const double *x, size_t n, const struct scored *in,
	const double *direction)
{
	double *t = ARENA_NEW(in->arena, n, double);

	for (size_t i = 0; i < n; i++)
		t[i] = influence(s, mean, sd, x + i * in->dim, in->dim, direction);
	return stats_variance(t, n) / (double)n;
}

/* The target's moments, where they are given, have no error. */
static double standard_error(influence_at *influence, const struct sides *s,
	const struct scored *in, const double *direction)
{
	double of_x = mean_variance(influence, s, s->mean, s->sd, in->x, in->n, in, direction);
	double of_exact = in->exact == NULL ? 0
					    : mean_variance(influence, s, s->true_mean, s->true_sd,
						      in->exact, in->n_exact, in, direction);
	return sqrt(of_x + of_exact);
}

static int result(double value, double se, struct value *out)
{
	if (!isfinite(value))
		return fail(ERR_NUMERIC, "squares overflow: the error is %g", value);
	*out = value_make(value, se);
	return OK;
}

/* (x - mean).(difference of means), over its length later. */
static double along_mean(const struct sides *s, const double *mean, const double *sd,
	const double *x, size_t dim, const double *direction)
{
	double sum = 0;

	(void)sd;
	(void)direction;
	for (size_t k = 0; k < dim; k++)
		sum += (x[k] - mean[k]) * (s->mean[k] - s->true_mean[k]);
	return sum;
}

static int error_of_mean(const struct scored *in, struct value *out)
{
	struct sides s;
	double square = 0;

	TRY(sides_make(&s, in));
	for (size_t k = 0; k < in->dim; k++)
		square += pow(s.mean[k] - s.true_mean[k], 2);
	double length = sqrt(square), se = standard_error(along_mean, &s, in, NULL);
	return result(length, length > 0 ? se / length : (double)NAN, out);
}

/* sd moves by ((x - mean)^2 - sd^2) / (2 sd). */
static double along_sd(const struct sides *s, const double *mean, const double *sd, const double *x,
	size_t dim, const double *direction)
{
	double sum = 0;

	(void)direction;
	for (size_t k = 0; k < dim; k++)
		if (sd[k] > 0)
			sum += copysign(pow(x[k] - mean[k], 2) / (2 * sd[k]),
				s->sd[k] - s->true_sd[k]);
	return sum / (double)dim;
}

static int error_of_sd(const struct scored *in, struct value *out)
{
	struct sides s;

	TRY(sides_make(&s, in));
	return result(moments_distance(s.sd, s.true_sd, in->dim),
		standard_error(along_sd, &s, in, NULL), out);
}

/* (x - mean)' D (x - mean), D the difference of the covariances; over |D| later. */
static double along_covariance(const struct sides *s, const double *mean, const double *sd,
	const double *x, size_t dim, const double *direction)
{
	double sum = 0;

	(void)s;
	(void)sd;
	for (size_t k = 0; k < dim; k++) {
		double row = 0;
		for (size_t j = 0; j < dim; j++)
			row += direction[k * dim + j] * (x[j] - mean[j]);
		sum += (x[k] - mean[k]) * row;
	}
	return sum;
}

static int error_of_covariance(const struct scored *in, struct value *out)
{
	const size_t size = in->dim * in->dim;
	struct sides s;
	double square = 0;

	TRY(sides_make(&s, in));
	double *d = ARENA_NEW(in->arena, size, double), *c = ARENA_NEW(in->arena, size, double);
	moments_covariance(in->x, in->n, in->dim, s.mean, d, in->arena);
	moments_covariance(in->exact, in->n_exact, in->dim, s.true_mean, c, in->arena);
	for (size_t k = 0; k < size; k++) {
		d[k] -= c[k];
		square += d[k] * d[k];
	}
	double length = sqrt(square), se = standard_error(along_covariance, &s, in, d);
	return result(length, length > 0 ? se / length : (double)NAN, out);
}

const METRIC(moments) = {
	.name = "moments",
	.title = "Error of the mean",
	.unit = "",
	.paper = "",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_MOMENTS,
	.floor = true,
	.eval = error_of_mean,
};

const METRIC(moments_sd) = {
	.name = "moments_sd",
	.title = "Error of the standard deviations",
	.unit = "",
	.paper = "Richter and Berner 2024, arXiv 2307.01198, evaluation code",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_MOMENTS,
	.floor = true,
	.eval = error_of_sd,
};

const METRIC(moments_cov) = {
	.name = "moments_cov",
	.title = "Error of the covariance",
	.unit = "",
	.paper = "",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_EXACT,
	.floor = true,
	.eval = error_of_covariance,
};
