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

static int result(double value, double se, struct value *out)
{
	if (!isfinite(value))
		return fail(ERR_NUMERIC, "squares overflow: the error is %g", value);
	*out = value_make(value, se);
	return OK;
}

/* What a point adds to the error, up to a constant. direction is the error's derivative by the moments. */
typedef double influence_at(const double *x, const double *mean, const double *sd, size_t dim,
	const double *direction);

static double mean_variance(influence_at *influence, const double *x, size_t n, const double *mean,
	const double *sd, const struct scored *in, const double *direction)
{
	double *t = ARENA_NEW(in->arena, n, double);

	for (size_t i = 0; i < n; i++)
		t[i] = influence(x + i * in->dim, mean, sd, in->dim, direction);
	return stats_variance(t, n) / (double)n;
}

/* The target's own moments have no error. */
static double standard_error(influence_at *influence, const struct sides *s,
	const struct scored *in, const double *direction)
{
	double sum = mean_variance(influence, in->x, in->n, s->mean, s->sd, in, direction);

	if (in->exact != NULL)
		sum += mean_variance(influence, in->exact, in->n_exact, s->true_mean, s->true_sd,
			in, direction);
	return sqrt(sum);
}

/* Makes the difference of two vectors their direction; returns its length. */
static double direction_of(double *a, const double *b, size_t n)
{
	double square = 0;

	for (size_t k = 0; k < n; k++) {
		a[k] -= b[k];
		square += a[k] * a[k];
	}
	for (size_t k = 0; k < n; k++)
		a[k] /= sqrt(square);
	return sqrt(square);
}

static double along_mean(const double *x, const double *mean, const double *sd, size_t dim,
	const double *direction)
{
	double sum = 0;

	(void)sd;
	for (size_t k = 0; k < dim; k++)
		sum += (x[k] - mean[k]) * direction[k];
	return sum;
}

static int error_of_mean(const struct scored *in, struct value *out)
{
	struct sides s;

	TRY(sides_make(&s, in));
	double *d = ARENA_NEW(in->arena, in->dim, double);
	memcpy(d, s.mean, in->dim * sizeof(double));
	double length = direction_of(d, s.true_mean, in->dim);
	return result(length, standard_error(along_mean, &s, in, d), out);
}

/* A standard deviation moves by ((x - mean)^2 - sd^2) / (2 sd). */
static double along_sd(const double *x, const double *mean, const double *sd, size_t dim,
	const double *direction)
{
	double sum = 0;

	for (size_t k = 0; k < dim; k++)
		if (sd[k] > 0)
			sum += (x[k] - mean[k]) * (x[k] - mean[k]) / (2 * sd[k]) * direction[k];
	return sum;
}

static int error_of_sd(const struct scored *in, struct value *out)
{
	struct sides s;

	TRY(sides_make(&s, in));
	double *d = ARENA_NEW(in->arena, in->dim, double);
	for (size_t k = 0; k < in->dim; k++)
		d[k] = copysign(1 / (double)in->dim, s.sd[k] - s.true_sd[k]);
	return result(moments_distance(s.sd, s.true_sd, in->dim),
		standard_error(along_sd, &s, in, d), out);
}

static double along_covariance(const double *x, const double *mean, const double *sd, size_t dim,
	const double *direction)
{
	double sum = 0;

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

	TRY(sides_make(&s, in));
	double *d = ARENA_NEW(in->arena, size, double), *c = ARENA_NEW(in->arena, size, double);
	moments_covariance(in->x, in->n, in->dim, s.mean, d, in->arena);
	moments_covariance(in->exact, in->n_exact, in->dim, s.true_mean, c, in->arena);
	double length = direction_of(d, c, size);
	return result(length, standard_error(along_covariance, &s, in, d), out);
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
