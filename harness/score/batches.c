#include "score/batches.h"
#include "core/stats.h"

double score_batches(const struct scored *in,
	int (*core)(const struct scored *in, struct value *out))
{
	const size_t n = in->n / SCORE_BATCHES, m = in->n_exact / SCORE_BATCHES;
	double values[SCORE_BATCHES];

	if (n < SCORE_BATCH_ROWS || (in->exact != NULL && m < SCORE_BATCH_ROWS))
		return (double)NAN;
	for (size_t b = 0; b < SCORE_BATCHES; b++) {
		struct scored part = *in;
		struct value v;
		struct arena_mark mark = arena_mark(in->arena);

		part.n = n;
		part.x = in->x + b * n * in->dim;
		part.n_exact = in->exact != NULL ? m : 0;
		part.exact = in->exact != NULL ? in->exact + b * m * in->dim : NULL;
		int code = core(&part, &v);
		arena_release(in->arena, mark);
		if (code != OK || !isfinite(v.value))
			return (double)NAN;
		values[b] = v.value;
	}
	return stats_se(values, SCORE_BATCHES);
}
