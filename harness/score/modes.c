#include "score/modes.h"
#include "core/stats.h"
#include "score/cloud.h"

int modes_count(struct modes *out, const struct scored *in, size_t least)
{
	const struct target *t = density_target(in->target);
	const void *state = density_state(in->target);
	size_t modes = t->modes && t->classify ? t->modes(state) : 0;

	if (modes < least)
		return fail(ERR_UNSUP, "target %s has no modes to tell apart", t->name);
	TRY(cloud_check(in->x, in->n, in->dim));
	*out = (struct modes){ in->n, modes, ARENA_NEW(in->arena, modes, size_t) };
	for (size_t i = 0; i < in->n; i++)
		out->count[t->classify(state, in->x + i * in->dim)]++;
	return OK;
}

bool modes_known(const struct density *d, double *weight)
{
	const struct target *t = density_target(d);
	bool known = t->mode_weights != NULL;

	if (known)
		t->mode_weights(density_state(d), weight);
	for (size_t k = 0; known && k < t->modes(density_state(d)); k++)
		known = isfinite(weight[k]);
	return known;
}

int modes_weights(const struct modes *m, const struct scored *in, const double **weight)
{
	double *own = ARENA_NEW(in->arena, m->modes, double);

	*weight = in->mode_weights ? in->mode_weights : own;
	if (in->mode_weights || modes_known(in->target, own))
		return OK;
	return fail(ERR_UNSUP, "the masses of the modes of %s are not known",
		density_target(in->target)->name);
}

static double share(const struct modes *m, size_t k)
{
	return (double)m->count[k] / (double)m->n;
}

struct value modes_found(const struct modes *m)
{
	double found = 0, variance = 0;

	for (size_t k = 0; k < m->modes; k++) {
		double missed = exp(-(double)m->count[k]);
		found += m->count[k] > 0;
		variance += m->count[k] > 0 ? missed * (1 - missed) : 0;
	}
	return value_make(found, sqrt(variance));
}

struct value modes_entropy(const struct modes *m)
{
	double entropy = stats_entropy(m->count, m->modes), square = 0;

	for (size_t k = 0; k < m->modes; k++)
		if (m->count[k] > 0)
			square += share(m, k) * pow(log(share(m, k)), 2);
	double variance = fmax(0, square - entropy * entropy) / (double)m->n;
	return value_make(entropy / log((double)m->modes), sqrt(variance) / log((double)m->modes));
}

double modes_entropy_corrected(const struct modes *m)
{
	double bias = (modes_found(m).value - 1) / (2 * (double)m->n);

	return modes_entropy(m).value + bias / log((double)m->modes);
}

struct value modes_variation(const struct modes *m, const double *weight)
{
	double sum = 0, mean = 0, square = 0;

	for (size_t k = 0; k < m->modes; k++) {
		double p = share(m, k), sign = (p > weight[k]) - (p < weight[k]);
		sum += fabs(p - weight[k]);
		mean += sign * p;
		square += sign * sign * p;
	}
	return value_make(sum / 2, sqrt(fmax(0, square - mean * mean) / (double)m->n) / 2);
}

/* p log(p / q), 0 for p = 0. */
static double relative(double p, double q)
{
	return p > 0 ? p * log(p / q) : 0;
}

double modes_kl(const struct modes *m, const double *weight)
{
	double sum = 0;

	for (size_t k = 0; k < m->modes; k++)
		sum += relative(share(m, k), weight[k]);
	return sum;
}

double modes_ejs(const struct modes *m, const double *weight)
{
	double sum = 0;

	for (size_t k = 0; k < m->modes; k++) {
		double p = share(m, k), middle = (p + weight[k]) / 2;
		sum += relative(p, middle) + relative(weight[k], middle);
	}
	return 1 - sum / (2 * log(2));
}
