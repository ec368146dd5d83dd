#include "core/stats.h"

#include <math.h>
#include <stdbool.h>

/** A sum and its compensation. */
struct sum {
	double value, lost;
};

static void sum_add(struct sum *s, double x)
{
	double t = s->value + x;
	if (fabs(s->value) >= fabs(x))
		s->lost += (s->value - t) + x;
	else
		s->lost += (x - t) + s->value;
	s->value = t;
}

static double sum_get(const struct sum *s)
{
	/* Past an infinity the compensation is NaN and means nothing. */
	return isfinite(s->value) ? s->value + s->lost : s->value;
}

double stats_sum(const double *x, size_t n)
{
	struct sum s = { 0 };
	for (size_t i = 0; i < n; i++)
		sum_add(&s, x[i]);
	return sum_get(&s);
}

double stats_mean(const double *x, size_t n)
{
	return n ? stats_sum(x, n) / (double)n : (double)NAN;
}

double stats_variance(const double *x, size_t n)
{
	if (n < 2)
		return (double)NAN;
	double mean = stats_mean(x, n);
	struct sum s = { 0 };
	for (size_t i = 0; i < n; i++)
		sum_add(&s, (x[i] - mean) * (x[i] - mean));
	return sum_get(&s) / (double)(n - 1);
}

double stats_se(const double *x, size_t n)
{
	return sqrt(stats_variance(x, n) / (double)n);
}

/* The middle one of three. */
static double middle(double a, double b, double c)
{
	return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

/* Brings what is below the pivot, or not above it, to the front of x[from .. to - 1]: where it ends. Swaps
 * without branches: nobody could foretell them. */
static size_t part(double *x, size_t from, size_t to, double pivot, bool ties)
{
	size_t end = from;

	for (size_t i = from; i < to; i++) {
		const double here = x[i];
		x[i] = x[end];
		x[end] = here;
		end += (size_t)(ties ? !(here > pivot) : here < pivot);
	}
	return end;
}

double stats_select(double *x, size_t n, size_t k)
{
	size_t low = 0, high = n; /* rank k lies in x[low .. high - 1] */
	while (high - low > 1) {
		double pivot = middle(x[low], x[low + (high - low) / 2], x[high - 1]);
		size_t less = part(x, low, high, pivot, false);
		if (k < less) {
			high = less;
		} else if (less > low) {
			low = less;
		} else {
			/* The least: all that tie with it (distances between repeated points). */
			low = part(x, low, high, pivot, true);
			if (k < low)
				return pivot;
		}
	}
	return x[low];
}

double stats_quantile(double *x, size_t n, double q)
{
	if (n == 0 || !(q >= 0 && q <= 1))
		return (double)NAN;
	for (size_t i = 0; i < n; i++)
		if (isnan(x[i]))
			return (double)NAN;
	double rank = fmin(fmax(q * (double)(n + 1) - 1, 0), (double)(n - 1));
	size_t k = (size_t)rank;
	double below = stats_select(x, n, k), share = rank - (double)k;
	if (k + 1 == n || share == 0)
		return below;
	/* Selection left everything of higher rank behind position k. */
	double above = x[k + 1];
	for (size_t i = k + 2; i < n; i++)
		above = fmin(above, x[i]);
	return above == below ? below : (1 - share) * below + share * above;
}

double stats_median(double *x, size_t n)
{
	return stats_quantile(x, n, 0.5);
}

/* The largest sign * x[i]; NaN when there is one; -inf when n = 0. */
static double largest(const double *x, size_t n, int sign)
{
	double max = -(double)INFINITY;
	for (size_t i = 0; i < n; i++) {
		double t = sign * x[i];
		if (isnan(t))
			return (double)NAN;
		max = fmax(max, t);
	}
	return max;
}

double stats_log_sum_exp(const double *x, size_t n, int sign)
{
	double max = largest(x, n, sign);
	if (!isfinite(max))
		return max;
	struct sum s = { 0 };
	for (size_t i = 0; i < n; i++)
		sum_add(&s, exp(sign * x[i] - max));
	return max + log(sum_get(&s));
}

struct nonfinite stats_nonfinite(const double *x, size_t n)
{
	struct nonfinite odd = { 0 };

	for (size_t i = 0; i < n; i++) {
		odd.minus += x[i] == -(double)INFINITY;
		odd.nan += isnan(x[i]) != 0;
		odd.plus += x[i] == (double)INFINITY;
	}
	return odd;
}

void stats_weights(const double *log_w, size_t n, int sign, struct weight_stats *out)
{
	double count = (double)n, max = largest(log_w, n, sign);
	*out = (struct weight_stats){ .log_mean = n ? max : (double)NAN,
		.log_mean_se = (double)NAN,
		.ess = (double)NAN,
		.ess_se = (double)NAN };
	if (!isfinite(max))
		return;
	struct sum first = { 0 }, second = { 0 };
	for (size_t i = 0; i < n; i++) {
		double w = exp(sign * log_w[i] - max);
		sum_add(&first, w);
		sum_add(&second, w * w);
	}
	double mean = sum_get(&first) / count, square = sum_get(&second) / count;
	struct sum spread = { 0 }, influence = { 0 };
	for (size_t i = 0; i < n; i++) {
		double w = exp(sign * log_w[i] - max);
		double moved = 2 * (w / mean - 1) - (w * w / square - 1); /* d log ess, in sum 0 */
		sum_add(&spread, (w - mean) * (w - mean));
		sum_add(&influence, moved * moved);
	}
	out->log_mean = max + log(mean);
	out->ess = mean * mean / square;
	if (n > 1) {
		out->log_mean_se = sqrt(sum_get(&spread) / (count - 1) / count) / mean;
		out->ess_se = out->ess * sqrt(sum_get(&influence) / (count - 1) / count);
	}
}

double stats_entropy(const size_t *count, size_t classes)
{
	double total = 0, entropy = 0;
	for (size_t k = 0; k < classes; k++)
		total += (double)count[k];
	if (total == 0)
		return (double)NAN;
	for (size_t k = 0; k < classes; k++) {
		double p = (double)count[k] / total;
		if (p > 0 && p < 1) /* p = 1 would leave a -0 */
			entropy -= p * log(p);
	}
	return entropy;
}
