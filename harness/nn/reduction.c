#include "nn/reduction.h"

#include <math.h>
#include <stdbool.h>

static bool keeps(const struct reduction *r, double value)
{
	if (r->kind == REDUCE_MEAN)
		return true;
	return isfinite(r->bound) ? value < r->bound : (bool)isfinite(value);
}

/* The loss of the rows first, first + stride, ... */
static double reduce_rows(const struct reduction *r, size_t n, const double *values, size_t first,
	size_t stride, double *share)
{
	double total = 0, square = 0, kept = 0;

	for (size_t i = first; i < n; i += stride) {
		bool keep = keeps(r, values[i]);
		total += keep ? values[i] : 0;
		kept += keep;
	}
	double mean = total / kept;
	for (size_t i = first; i < n; i += stride) {
		bool keep = keeps(r, values[i]);
		double away = keep ? values[i] - mean : 0;
		square += away * away;
		if (share == NULL)
			continue;
		if (r->kind == REDUCE_KEPT_VARIANCE)
			share[i] = 2 * away / (kept - 1);
		else
			share[i] = keep ? 1 / kept : 0;
	}
	if (r->kind == REDUCE_KEPT_VARIANCE)
		return kept > 1 ? square / (kept - 1) : (double)NAN;
	return mean;
}

double reduce(const struct reduction *r, size_t n, const double *values, double *share,
	size_t *dropped)
{
	double total = 0, whole = 0;
	size_t lost = 0;

	if (r->groups == 0) {
		for (size_t i = 0; i < n; i++)
			lost += !keeps(r, values[i]);
		if (dropped != NULL)
			*dropped = lost;
		return reduce_rows(r, n, values, 0, 1, share);
	}
	for (size_t j = 0; j < r->groups; j++) {
		bool all = true;
		for (size_t i = j; i < n; i += r->groups)
			all = all && keeps(r, values[i]);
		whole += all;
		lost += all ? 0 : n / r->groups;
		total += all ? reduce_rows(r, n, values, j, r->groups, share) : 0;
		for (size_t i = j; !all && share != NULL && i < n; i += r->groups)
			share[i] = 0;
	}
	for (size_t i = 0; share != NULL && i < n; i++)
		share[i] /= whole;
	if (dropped != NULL)
		*dropped = lost;
	return total / whole;
}
