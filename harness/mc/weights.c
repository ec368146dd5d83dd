#include "mc/weights.h"

#include "core/stats.h"

#include <math.h>

double weights_normalise(size_t n, double *log_w)
{
	double sum = stats_log_sum_exp(log_w, n, 1);

	if (sum > -HUGE_VAL)
		for (size_t i = 0; i < n; i++)
			log_w[i] -= sum;
	return sum;
}

double weights_conditional_ess(size_t n, const double *log_w, const double *v, double delta)
{
	double max = -HUGE_VAL, mass = 0, first = 0, second = 0;

	for (size_t i = 0; i < n; i++)
		if (log_w[i] > -HUGE_VAL && !(v[i] <= max))
			max = v[i];
	for (size_t i = 0; i < n; i++) {
		if (!(log_w[i] > -HUGE_VAL) || v[i] == -HUGE_VAL)
			continue;
		double w = exp(log_w[i]), g = exp(delta * (v[i] - max));
		mass += w;
		first += w * g;
		second += w * g * g;
	}
	/* With W divided by the mass that is left: (first / mass)^2 / (second / mass). */
	return first * first / (second * mass);
}

double weights_next_delta(size_t n, const double *log_w, const double *v, double max, double target)
{
	double low = 0, high = max;

	if (weights_conditional_ess(n, log_w, v, max) >= target)
		return max;
	/* A first step may be minute beside max, hence a relative width; halving 1074 times reaches
	 * the smallest number there is. */
	for (int i = 0; i < 1100 && high - low > 1e-9 * high; i++) {
		double middle = 0.5 * (low + high);
		if (weights_conditional_ess(n, log_w, v, middle) >= target)
			low = middle;
		else
			high = middle;
	}
	return low;
}
