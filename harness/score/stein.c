#include "score/stein.h"
#include "core/parallel.h"
#include "core/stats.h"

#include <math.h>
#include <string.h>

enum { TILE = 256 };

struct summing {
	const struct cloud *x, *s;
	double *sum, *square; /* [n] over h(x_i, x_j) and its square, j != i */
	double *own;          /* [n] h(x_i, x_i) */
};

/* h of point i with points from .. from + count - 1. */
static void stein_kernel(const struct summing *w, size_t i, size_t from, size_t count, double *h)
{
	const struct cloud *x = w->x, *s = w->s;
	const double d = (double)x->dim;
	_Alignas(64) double t[TILE], dot[TILE] = { 0 }, cross[TILE] = { 0 };

	cloud_distances(x, i, x, from, from + count, t);
	for (size_t k = 0; k < x->dim; k++) {
		const double *xk = x->columns + k * x->n, *sk = s->columns + k * x->n;
		double xi = xk[i], si = sk[i];
#pragma omp simd
		for (size_t j = 0; j < count; j++) {
			dot[j] += si * sk[from + j];
			cross[j] += (si - sk[from + j]) * (xi - xk[from + j]);
		}
	}
#pragma omp simd
	for (size_t j = 0; j < count; j++) {
		double c = 1 / (1 + t[j]), k = sqrt(c);
		h[j] = k * (dot[j] + c * (cross[j] + d - 3 * t[j] * c));
	}
}

static void sum_rows(void *context, size_t piece)
{
	struct summing *w = context;
	size_t n = w->x->n, first = piece * CLOUD_BLOCK, end = first + CLOUD_BLOCK;
	_Alignas(64) double h[TILE];

	for (size_t i = first; i < end && i < n; i++)
		for (size_t from = 0; from < n; from += TILE) {
			size_t count = from + TILE < n ? TILE : n - from;
			double sum = 0, square = 0;
			stein_kernel(w, i, from, count, h);
			if (i - from < count) {
				w->own[i] = h[i - from];
				h[i - from] = 0;
			}
#pragma omp simd reduction(+ : sum, square)
			for (size_t j = 0; j < count; j++) {
				sum += h[j];
				square += h[j] * h[j];
			}
			w->sum[i] += sum;
			w->square[i] += square;
		}
}

void stein_discrepancy(const struct cloud *x, const struct cloud *s, struct arena *a,
	struct stein *out)
{
	struct arena_mark mark = arena_mark(a);
	const double n = (double)x->n;
	struct summing w = {
		.x = x,
		.s = s,
		.sum = ARENA_NEW(a, x->n, double),
		.square = ARENA_NEW(a, x->n, double),
		.own = ARENA_NEW(a, x->n, double),
	};

	parallel_for(cloud_blocks(x->n), sum_rows, &w);
	double pairs = n * (n - 1), sum = stats_sum(w.sum, x->n);
	*out = (struct stein){
		.u = x->n > 1 ? sum / pairs : (double)NAN,
		.v = (sum + stats_sum(w.own, x->n)) / (n * n),
		.se = (double)NAN,
	};
	if (x->n > 2) {
		/* As for two samples (score/pairs.h): the means over rows carry a noise of twice the
		 * variance that the statistic has where they are all equal in truth. */
		for (size_t i = 0; i < x->n; i++)
			w.sum[i] /= n - 1;
		double first = 4 * stats_variance(w.sum, x->n) / n;
		double least = 2 / pairs * (stats_sum(w.square, x->n) / pairs);
		out->se = sqrt(fmax(first - least, least));
	}
	arena_release(a, mark);
}
