#ifndef STRIDE_CORE_STATS_H
#define STRIDE_CORE_STATS_H

#include <stddef.h>

/**
 * Statistics of arrays of doubles. All are pure and safe on any thread; NaN in gives NaN out unless
 * a comment says otherwise. n = 0 gives NaN (an empty sum of exponentials: -inf).
 */

/** Sum with a running compensation (Neumaier 1974): the error does not grow with n. Infinities add
 *  up as they do in a plain loop. */
double stats_sum(const double *x, size_t n);

double stats_mean(const double *x, size_t n);

/** Sample variance, divisor n - 1, by two passes; NaN for n < 2. */
double stats_variance(const double *x, size_t n);

/** Standard error of the mean, sqrt(variance / n); NaN for n < 2. */
double stats_se(const double *x, size_t n);

/** The value of rank k (0 = the smallest) of x, 0 <= k < n. Reorders x so that nothing before
 *  position k is larger and nothing after it smaller. No NaN in x. */
double stats_select(double *x, size_t n, size_t k);

/** Quantile 0 <= q <= 1 by linear interpolation at rank q (n + 1) - 1, within 0 .. n - 1 (type 6 of Hyndman
 *  and Fan 1996): one more value of the same law exceeds it with probability 1 - q, whatever the law,
 *  as far as n values can tell. Reorders x. */
double stats_quantile(double *x, size_t n, double q);

/** Median: the mean of the two middle values when n is even. Reorders x. */
double stats_median(double *x, size_t n);

/** log sum_i exp(sign x_i), sign = +1 or -1, without overflow. -inf terms count as 0. */
double stats_log_sum_exp(const double *x, size_t n, int sign);

/** How many of them are -inf, NaN and +inf. */
struct nonfinite {
	size_t minus, nan, plus;
};
struct nonfinite stats_nonfinite(const double *x, size_t n);

/** What log weights say: see stats_weights. */
struct weight_stats {
	double log_mean;    /* log of the mean of w = exp(sign log_w) */
	double log_mean_se; /* its standard error by the delta method, sd(w) / (mean(w) sqrt(n)) */
	double ess;         /* (sum w)^2 / (n sum w^2), in [1/n, 1] */
	double ess_se;      /* likewise: the ratio of two means that depend on each other */
};

/** Summarise n log weights in the log domain. A term of -inf is a weight of 0; any NaN or +inf
 * among the sign log_w[i] makes log_mean NaN or +inf and the rest NaN. All weights 0: log_mean
 * -inf, the rest NaN. */
void stats_weights(const double *log_w, size_t n, int sign, struct weight_stats *out);

/** Entropy -sum p log p in nats of the shares p = count / total; empty classes contribute 0, a
 * total of 0 gives NaN. */
double stats_entropy(const size_t *count, size_t classes);

#endif
