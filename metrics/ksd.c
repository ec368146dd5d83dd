/*
 * The squared kernel Stein discrepancy from the target (Liu, Lee and Jordan 2016; Chwialkowski et al.
 * 2016), kernel k(x, y) = (1 + |x - y|^2)^(-1/2) (Gorham and Mackey 2017), score s = grad log rho:
 *
 *     mean_{i != j} s_i.s_j k + s_i.grad_y k + s_j.grad_x k + tr grad_x grad_y k.
 *
 * The U-statistic: unbiased, so of either sign when the sampler is good, and 0 on average for exact
 * samples; the V-statistic, with i = j, is positive and grows with the mean of |s|^2 + d over n. It needs
 * scores alone: no exact samples, no normaliser.
 *
 * Pitfalls: blind to the weights of modes that lie apart, and to modes without any sample: between them
 * the score does not say how much mass is where. Refused where the density jumps, for the same reason.
 * The kernel has length 1 whatever the target's scale is, and few points are that near in high dimension:
 * compare on one target only. With heavy tails (funnel) a few large scores decide.
 */
#include "score/stein.h"
#include "stride.h"

/* Scores by pieces of rows. */
struct scores {
	const struct scored *in;
	double *s;                     /* [n][dim] */
	double *x_columns, *s_columns; /* scratch, as s */
};

static void score_piece(void *context, size_t piece)
{
	struct scores *w = context;
	size_t first = piece * CLOUD_BLOCK, dim = w->in->dim, n = w->in->n - first;
	const double *x = w->in->x + first * dim;
	double *in = w->x_columns + first * dim, *out = w->s_columns + first * dim;

	n = n < CLOUD_BLOCK ? n : CLOUD_BLOCK;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			in[k * n + i] = x[i * dim + k];
	density_eval(w->in->target, n, in, NULL, out);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < dim; k++)
			w->s[(first + i) * dim + k] = out[k * n + i];
}

static int ksd(const struct scored *in, struct value *out)
{
	struct cloud x, s;
	struct stein stein;
	struct scores w = { .in = in };

	if (density_target(in->target)->jumps)
		return fail(ERR_UNSUP, "the density of %s jumps: its score does not determine it",
			density_target(in->target)->name);
	if (in->n < 2)
		return fail(ERR_RANGE, "the Stein discrepancy needs at least 2 samples");
	TRY(cloud_make(&x, in->x, in->n, in->dim, in->arena));
	w.s = arena_alloc(in->arena, in->n * in->dim, sizeof(double));
	w.x_columns = arena_alloc(in->arena, in->n * in->dim, sizeof(double));
	w.s_columns = arena_alloc(in->arena, in->n * in->dim, sizeof(double));
	parallel_for(cloud_blocks(in->n), score_piece, &w);
	if (cloud_make(&s, w.s, in->n, in->dim, in->arena) != OK)
		return fail(ERR_NUMERIC, "the target's score is not finite at some of %zu samples",
			in->n);
	stein_discrepancy(&x, &s, in->arena, &stein);
	if (!isfinite(stein.u))
		return fail(ERR_NUMERIC, "scores overflow: the Stein discrepancy is %g", stein.u);
	*out = value_make(stein.u, stein.se);
	return OK;
}

const METRIC(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "KSD², unbiased",
	.unit = "",
	.paper = "Gorham and Mackey 2017, Measuring Sample Quality with Kernels",
	.version = 1,
	.better = BETTER_ZERO,
	.needs = NEEDS_SAMPLES | NEEDS_TARGET,
	.floor = true,
	.pairs = true,
	.eval = ksd,
};
