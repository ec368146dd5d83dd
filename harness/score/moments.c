#include "score/moments.h"
#include "core/stats.h"

#include <cblas.h>
#include <math.h>

/* The weights [n], of sum 1. */
static double *weights(const double *log_w, size_t n, struct arena *a)
{
	double *w = ARENA_NEW(a, n, double), log_sum = stats_log_sum_exp(log_w, n, 1);

	/* One that is not finite leaves a NaN: inf - inf. */
	for (size_t i = 0; i < n; i++)
		w[i] = exp(log_w[i] - log_sum);
	double sum = stats_sum(w, n); /* a large logarithm is rounded by more than 1e-16 */
	for (size_t i = 0; i < n; i++)
		w[i] /= sum;
	return w;
}

/* The mean of t [n], which becomes w t; w NULL: plain. */
static double mean_of(double *t, size_t n, const double *w)
{
	if (!w || n == 0)
		return stats_mean(t, n);
	for (size_t i = 0; i < n; i++)
		t[i] *= w[i];
	return stats_sum(t, n);
}

void moments_marginal(const double *x, size_t n, size_t dim, const double *log_w, double *mean,
	double *sd, struct arena *a)
{
	struct arena_mark mark = arena_mark(a);
	const double *w = log_w ? weights(log_w, n, a) : NULL;
	double *t = ARENA_NEW(a, n, double), squares = 1 / (double)n;

	if (w) {
		for (size_t i = 0; i < n; i++)
			t[i] = w[i];
		squares = mean_of(t, n, w);
	}
	for (size_t k = 0; k < dim; k++) {
		for (size_t i = 0; i < n; i++)
			t[i] = x[i * dim + k];
		mean[k] = mean_of(t, n, w);
		for (size_t i = 0; i < n; i++)
			t[i] = (x[i * dim + k] - mean[k]) * (x[i * dim + k] - mean[k]);
		sd[k] = squares < 1 ? sqrt(mean_of(t, n, w) / (1 - squares)) : (double)NAN;
	}
	arena_release(a, mark);
}

static double term(enum moments_of what, double x)
{
	switch (what) {
	case MOMENTS_SQUARE:
		return x * x;
	case MOMENTS_ABS:
		return fabs(x);
	case MOMENTS_SUM:
		return x;
	case MOMENTS_SQUARE_MINUS_SUM:
		return x * x - x;
	}
	return (double)NAN;
}

double moments_expectation(enum moments_of what, const double *x, size_t n, size_t dim,
	const double *log_w, struct arena *a)
{
	struct arena_mark mark = arena_mark(a);
	double *t = ARENA_NEW(a, n, double);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			t[i] += term(what, x[i * dim + k]);
	double mean = mean_of(t, n, log_w ? weights(log_w, n, a) : NULL);
	arena_release(a, mark);
	return mean;
}

double moments_distance(const double *a, const double *b, size_t dim)
{
	double sum = 0;

	for (size_t k = 0; k < dim; k++)
		sum += fabs(a[k] - b[k]);
	return sum / (double)dim;
}

void moments_covariance(const double *x, size_t n, size_t dim, const double *mean, double *cov,
	struct arena *a)
{
	struct arena_mark mark = arena_mark(a);
	double *t = ARENA_NEW(a, n * dim, double), divisor = n > 1 ? (double)(n - 1) : (double)NAN;
	const int d = (int)dim;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			t[i * dim + k] = x[i * dim + k] - mean[k];
	cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, d, d, (int)n, 1 / divisor, t, d, t, d,
		0, cov, d);
	arena_release(a, mark);
}

double moments_inside(const double *x, size_t n, size_t dim, const double *box)
{
	size_t inside = 0;

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		while (k < dim && x[i * dim + k] >= box[2 * k] && x[i * dim + k] <= box[2 * k + 1])
			k++;
		inside += k == dim;
	}
	return (double)inside / (double)n;
}
