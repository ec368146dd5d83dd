#include "score/cloud.h"
#include "core/error.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

int cloud_check(const double *x, size_t n, size_t dim)
{
	size_t bad = 0;

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		while (k < dim && isfinite(x[i * dim + k]))
			k++;
		bad += k < dim;
	}
	if (bad > 0)
		return fail(ERR_NUMERIC, "%zu of %zu samples are not finite", bad, n);
	return OK;
}

void cloud_shuffle(const double *x, size_t n, size_t dim, struct rng r, uint32_t step, double *out,
	struct arena *a)
{
	struct arena_mark mark = arena_mark(a);
	size_t *order = ARENA_NEW(a, n, size_t);

	for (size_t i = 0; i < n; i++) {
		size_t j = (size_t)rng_below(r, step, i, 0, i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	for (size_t i = 0; i < n; i++)
		memcpy(out + i * dim, x + order[i] * dim, dim * sizeof(double));
	arena_release(a, mark);
}

int cloud_make(struct cloud *out, const double *x, size_t n, size_t dim, struct arena *a)
{
	double *columns = ARENA_NEW(a, dim * n, double);

	TRY(cloud_check(x, n, dim));
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			columns[k * n + i] = x[i * dim + k];
	*out = (struct cloud){ .n = n, .dim = dim, .x = x, .columns = columns };
	return OK;
}

/* out[j] = |x - y_j|^2 over some coordinates, on top of what is there unless it is the first. The columns of y
 * are `stride` apart. */
static void distances_1(double x0, const double *y0, bool first, size_t n, double *restrict out)
{
#pragma omp simd
	for (size_t j = 0; j < n; j++) {
		double d0 = x0 - y0[j];
		out[j] = (first ? 0 : out[j]) + d0 * d0;
	}
}

static void distances_2(double x0, double x1, const double *y0, size_t stride, bool first, size_t n,
	double *restrict out)
{
	const double *y1 = y0 + stride;

#pragma omp simd
	for (size_t j = 0; j < n; j++) {
		double d0 = x0 - y0[j], d1 = x1 - y1[j];
		out[j] = (first ? 0 : out[j]) + (d0 * d0 + d1 * d1);
	}
}

static void distances_4(const double x[4], const double *y0, size_t stride, bool first, size_t n,
	double *restrict out)
{
	const double *y1 = y0 + stride, *y2 = y1 + stride, *y3 = y2 + stride;
	const double x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];

#pragma omp simd
	for (size_t j = 0; j < n; j++) {
		double d0 = x0 - y0[j], d1 = x1 - y1[j], d2 = x2 - y2[j], d3 = x3 - y3[j];
		double sum = (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
		out[j] = (first ? 0 : out[j]) + sum;
	}
}

void cloud_distances(const struct cloud *x, size_t i, const struct cloud *y, size_t from, size_t to,
	double *restrict out)
{
	const double *at = x->x + i * x->dim;
	const size_t n = to - from;

	for (size_t k = 0, step; k < y->dim; k += step) {
		const size_t left = y->dim - k;
		const double *column = y->columns + k * y->n + from;
		step = left >= 4 ? 4 : left >= 2 ? 2 : 1;
		if (step == 4)
			distances_4(at + k, column, y->n, k == 0, n, out);
		else if (step == 2)
			distances_2(at[k], at[k + 1], column, y->n, k == 0, n, out);
		else
			distances_1(at[k], column, k == 0, n, out);
	}
}

/* Mean of one coordinate and mean square distance from it (divisor n). */
static void coordinate_moments(const struct cloud *x, size_t k, double *mean, double *square)
{
	const double *v = x->columns + k * x->n;
	double sum = 0, spread = 0;

	for (size_t i = 0; i < x->n; i++)
		sum += v[i];
	*mean = sum / (double)x->n;
	for (size_t i = 0; i < x->n; i++)
		spread += (v[i] - *mean) * (v[i] - *mean);
	*square = spread / (double)x->n;
}

double cloud_mean_cost(const struct cloud *x, const struct cloud *y)
{
	double cost = 0;

	for (size_t k = 0; k < x->dim; k++) {
		double mean_x, mean_y, square_x, square_y;
		coordinate_moments(x, k, &mean_x, &square_x);
		coordinate_moments(y, k, &mean_y, &square_y);
		cost += square_x + square_y + (mean_x - mean_y) * (mean_x - mean_y);
	}
	return cost;
}

void cloud_mean_costs(const struct cloud *x, const struct cloud *y, double factor, double *out)
{
	for (size_t i = 0; i < x->n; i++)
		out[i] = 0;
	for (size_t k = 0; k < x->dim; k++) {
		double mean, square;
		coordinate_moments(y, k, &mean, &square);
		for (size_t i = 0; i < x->n; i++) {
			double gap = x->columns[k * x->n + i] - mean;
			out[i] += factor * (gap * gap + square);
		}
	}
}

double cloud_mean_cost_within(const struct cloud *x)
{
	/* Over all n^2 ordered pairs, with the n zeros taken out of the count. */
	return cloud_mean_cost(x, x) * (double)x->n / (double)(x->n - 1);
}
