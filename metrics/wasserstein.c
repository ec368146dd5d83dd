/*
 * Wasserstein distances between the exact samples X and the model's Y, all points of equal weight, by
 * exact optimal transport:
 *
 *     w1 = min_P <P, |x - y|>,     w2 = (min_P <P, |x - y|^2>)^(1/2),     P 1 = 1/n, P' 1 = 1/m.
 *
 * Two finite sets of one law are a distance apart that falls like n^(-1/dim) in more than 2 (w1) or 4 (w2)
 * dimensions: read them beside the floor, and compare at equal n and m. One far point decides w2 of a
 * heavy-tailed target; w1 forgives it. The standard error is that of sampling, by the optimal potentials f,
 * g: var(f) / n + var(g) / m (del Barrio and Loubes 2019), for w2 divided by (2 w2)^2. It leaves out the
 * bias, and near the floor it is no measure of what the value means.
 */
#include "core/stats.h"
#include "score/exact.h"
#include "stride.h"

/* The optimal cost, with its standard error. */
static int optimum(const struct scored *in, bool squared, struct value *out)
{
	struct cloud x, y;
	struct exact e;

	TRY(cloud_make(&x, in->exact, in->n_exact, in->dim, in->arena));
	TRY(cloud_make(&y, in->x, in->n, in->dim, in->arena));
	TRY(transport_exact(&x, &y, squared, in->arena, &e));
	*out = value_make(e.value, hypot(stats_se(e.f, x.n), stats_se(e.g, y.n)));
	return OK;
}

static int w1(const struct scored *in, struct value *out)
{
	return optimum(in, false, out);
}

static int w2(const struct scored *in, struct value *out)
{
	TRY(optimum(in, true, out));
	*out = value_root(*out);
	return OK;
}

#define WASSERSTEIN                                                                                \
	.unit = "", .paper = "Villani 2009, Optimal Transport; error: del Barrio and Loubes 2019", \
	.version = 1, .better = BETTER_LOWER, .needs = NEEDS_SAMPLES | NEEDS_EXACT, .floor = true, \
	.pairs = true

const METRIC(w1) = {
	.name = "w1",
	.title = "W1",
	WASSERSTEIN,
	.eval = w1,
};

const METRIC(w2) = {
	.name = "w2",
	.title = "W2",
	WASSERSTEIN,
	.eval = w2,
};
