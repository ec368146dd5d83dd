#include "run/estimate.h"

/* Mean over the records of the method, of this target only if one is given. */
static bool average(const struct store *s, const struct plan_cell *c, const char *target,
	double *seconds)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < store_length(s); i++) {
		const struct store_entry *e = store_at(s, i);
		if (e->state != CELL_OK || strcmp(e->method, c->method->name) != 0)
			continue;
		if (target != NULL && strcmp(e->target, target) != 0)
			continue;
		double train = e->train_seconds;
		if (e->iterations > 0)
			train *= (double)c->iterations / (double)e->iterations;
		sum += train + e->other_seconds;
		n++;
	}
	*seconds = sum / (double)n;
	return n > 0;
}

struct estimate estimate_cell(const struct store *s, const struct plan_cell *c)
{
	double seconds;

	if (average(s, c, c->target->target->name, &seconds))
		return (struct estimate){ ESTIMATE_KNOWN, seconds };
	if (average(s, c, NULL, &seconds))
		return (struct estimate){ ESTIMATE_ROUGH, seconds };
	return (struct estimate){ ESTIMATE_UNKNOWN, (double)NAN };
}
