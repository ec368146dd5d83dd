#include "mc/resample.h"

#include "core/error.h"
#include "core/stats.h"

#include <math.h>

/* Running sums of weight(i) over all particles; returns the total. */
static double accumulate(size_t n, double *weight)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		weight[i] = sum += weight[i];
	return sum;
}

/* The first particle whose cumulative weight exceeds u. Rounding can put u at the total itself:
 * then the last particle that has any weight. */
static size_t find(size_t n, const double *cumulative, double u)
{
	size_t low = 0, high = n - 1;

	if (u >= cumulative[n - 1])
		u = nextafter(cumulative[n - 1], 0);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (cumulative[middle] > u)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Slots first .. n - 1: independent draws by the cumulative weights. */
static void multinomial(struct rng r, uint32_t step, size_t n, const double *cumulative,
	size_t first, size_t *ancestor)
{
	double total = cumulative[n - 1];

	for (size_t i = first; i < n; i++)
		ancestor[i] = find(n, cumulative, total * rng_uniform(r, step, i, 0));
}

static void systematic(struct rng r, uint32_t step, size_t n, const double *cumulative,
	size_t *ancestor)
{
	double u = rng_uniform(r, step, 0, 0), gap = cumulative[n - 1] / (double)n;

	for (size_t i = 0; i < n; i++)
		ancestor[i] = find(n, cumulative, gap * ((double)i + u));
}

/* weight [n] holds normalised weights: replaced by running sums of the remainders. An n W_i that
 * misses a whole number by rounding alone counts as that number. */
static void residual(struct rng r, uint32_t step, size_t n, double *weight, size_t *ancestor)
{
	size_t taken = 0;

	for (size_t i = 0; i < n; i++) {
		double expected = (double)n * weight[i], copies = floor(expected * (1 + 1e-12));
		for (double c = 0; c < copies && taken < n; c++)
			ancestor[taken++] = i;
		weight[i] = fmax(0, expected - copies);
	}
	accumulate(n, weight);
	multinomial(r, step, n, weight, taken, ancestor);
}

void resample(enum resampling scheme, struct rng r, uint32_t step, size_t n, const double *log_w,
	size_t *ancestor, double *cumulative)
{
	double sum = stats_log_sum_exp(log_w, n, 1);

	invariant(isfinite(sum));
	for (size_t i = 0; i < n; i++)
		cumulative[i] = exp(log_w[i] - sum);
	if (scheme == RESAMPLE_RESIDUAL) {
		residual(r, step, n, cumulative, ancestor);
		return;
	}
	accumulate(n, cumulative);
	if (scheme == RESAMPLE_MULTINOMIAL)
		multinomial(r, step, n, cumulative, 0, ancestor);
	else
		systematic(r, step, n, cumulative, ancestor);
}
