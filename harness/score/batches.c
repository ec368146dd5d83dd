#include "score/batches.h"
#include "core/stats.h"
#include "score/cloud.h"

/* Steps of the counters of a seed. */
enum { STEP_X, STEP_EXACT };

/* NULL stays. */
static const double *shuffled(const struct scored *in, const double *x, size_t n, uint32_t step)
{
	const struct rng r = { .seed = in->seed, .purpose = RNG_METRIC };
	double *out = x != NULL ? arena_alloc(in->arena, n * in->dim, sizeof(double)) : NULL;

	if (x != NULL)
		cloud_shuffle(x, n, in->dim, r, step, out, in->arena);
	return out;
}

double score_batches(const struct scored *in,
	int (*core)(const struct scored *in, struct value *out))
{
	const size_t n = in->n / SCORE_BATCHES, m = in->n_exact / SCORE_BATCHES;
	struct arena_mark start = arena_mark(in->arena);
	double values[SCORE_BATCHES];

	if (n < SCORE_BATCH_ROWS || (in->exact != NULL && m < SCORE_BATCH_ROWS))
		return (double)NAN;
	const double *x = shuffled(in, in->x, in->n, STEP_X);
	const double *exact = shuffled(in, in->exact, in->n_exact, STEP_EXACT);
	for (size_t b = 0; b < SCORE_BATCHES; b++) {
		struct scored part = *in;
		struct value v;
		struct arena_mark mark = arena_mark(in->arena);

		part.n = n;
		part.x = x + b * n * in->dim;
		part.n_exact = in->exact != NULL ? m : 0;
		part.exact = exact != NULL ? exact + b * m * in->dim : NULL;
		int code = core(&part, &v);
		arena_release(in->arena, mark);
		values[b] = code == OK && isfinite(v.value) ? v.value : (double)NAN;
	}
	arena_release(in->arena, start);
	return stats_se(values, SCORE_BATCHES);
}
