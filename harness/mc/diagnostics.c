#include "mc/diagnostics.h"

#include "core/stats.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Halves of chains: z [chains][draws]. */
struct halves {
	size_t chains, draws;
	double *z;
	double *mean, *variance; /* [chains] */
	double within, total;    /* W and var+ of the paper, eqs. 2 and 3 */
};

/* z-scores of the ranks, eq. 14; false when there is nothing to rank. */
static bool rank_normalise(size_t n, double *x, struct arena *a)
{
	size_t *order = ARENA_NEW(a, n, size_t);
	double *sorted = ARENA_NEW(a, n, double);

	for (size_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	gsl_sort_index(order, x, 1, n);
	for (size_t i = 0; i < n; i++)
		sorted[i] = x[order[i]];
	for (size_t first = 0, last; first < n; first = last) {
		last = first;
		while (last < n && sorted[last] == sorted[first])
			last++;
		double rank = 0.5 * (double)(first + 1 + last);
		for (size_t i = first; i < last; i++)
			x[order[i]] = gsl_cdf_ugaussian_Pinv((rank - 0.375) / ((double)n + 0.25));
	}
	return sorted[0] < sorted[n - 1];
}

/* Of an odd number of draws the one in the middle is left out. */
static bool split(size_t chains, size_t draws, const double *x, struct halves *h, struct arena *a)
{
	size_t half = draws / 2;

	*h = (struct halves){ 2 * chains, half, ARENA_NEW(a, 2 * chains * half, double),
		ARENA_NEW(a, 2 * chains, double), ARENA_NEW(a, 2 * chains, double), 0, 0 };
	for (size_t c = 0; c < chains; c++) {
		const double *from = x + c * draws;
		memcpy(h->z + 2 * c * half, from, half * sizeof(*from));
		memcpy(h->z + (2 * c + 1) * half, from + draws - half, half * sizeof(*from));
	}
	return half >= 2;
}

/* Ranks, and the variances within chains and in all. */
static bool normalise(struct halves *h, struct arena *a)
{
	double n = (double)h->draws;

	if (!rank_normalise(h->chains * h->draws, h->z, a))
		return false;
	for (size_t c = 0; c < h->chains; c++) {
		h->mean[c] = stats_mean(h->z + c * h->draws, h->draws);
		h->variance[c] = stats_variance(h->z + c * h->draws, h->draws);
	}
	h->within = stats_mean(h->variance, h->chains);
	h->total = (n - 1) / n * h->within + stats_variance(h->mean, h->chains);
	return true;
}

static double rhat(struct halves *h, struct arena *a)
{
	return normalise(h, a) ? sqrt(h->total / h->within) : (double)NAN;
}

double chains_rhat(size_t chains, size_t draws, const double *x, struct arena *a)
{
	struct halves bulk, folded;

	if (!split(chains, draws, x, &bulk, a) || !split(chains, draws, x, &folded, a))
		return (double)NAN;
	size_t n = bulk.chains * bulk.draws;
	double middle = rhat(&bulk, a);
	memcpy(bulk.z, folded.z, n * sizeof(double));
	double median = stats_median(bulk.z, n);
	for (size_t i = 0; i < n; i++)
		folded.z[i] = fabs(folded.z[i] - median);
	double spread = isnan(middle) ? (double)NAN : rhat(&folded, a);
	return spread > middle ? spread : middle;
}

/* The mean over chains of the autocovariance, divisor draws. */
static double autocovariance(const struct halves *h, size_t lag)
{
	double sum = 0;

	for (size_t c = 0; c < h->chains; c++) {
		const double *z = h->z + c * h->draws;
		double mean = h->mean[c];
		for (size_t t = lag; t < h->draws; t++)
			sum += (z[t] - mean) * (z[t - lag] - mean);
	}
	return sum / (double)(h->chains * h->draws);
}

double chains_ess(size_t chains, size_t draws, const double *x, struct arena *a)
{
	struct halves h;

	if (!split(chains, draws, x, &h, a) || !normalise(&h, a))
		return (double)NAN;
	double n = (double)(h.chains * h.draws), tau = -1, last = HUGE_VAL;
	/* Pairs of autocorrelations (eq. 10) as long as they are positive, none larger than the one
	 * before. */
	for (size_t lag = 0; lag + 1 < h.draws; lag += 2) {
		double pair = 0;
		for (size_t j = lag; j < lag + 2; j++)
			pair += j == 0 ? 1 : 1 - (h.within - autocovariance(&h, j)) / h.total;
		if (!(pair > 0))
			break;
		last = fmin(last, pair);
		tau += 2 * last;
	}
	/* Antithetic chains may do better than independent draws, but not without end. */
	return n / fmax(tau, 1 / log10(n));
}
