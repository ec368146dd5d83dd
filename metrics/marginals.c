/*
 * Distances between the marginals of the samples and those of exact samples, averaged over coordinates:
 *
 *     marginals      Wasserstein distance int |F - G| dt, in the coordinates' unit
 *     marginals_ks   Kolmogorov distance max |F - G|
 *     marginals_tv   total variation of histograms, 50 equal bins over the range of both
 *
 * Pitfalls: all are blind to dependence between coordinates, and depend on the choice of axes. Perfect
 * samplers score about 1/sqrt(n); the histograms sqrt(bins / (pi n)) at most, and one outlier widens all
 * bins. Below a few times that the standard errors, which take the sign of F - G for known, are too large.
 */
#include "score/marginals.h"
#include "stride.h"

static int average(enum marginal what, const struct scored *in, struct value *out)
{
	struct marginals m;

	TRY(marginals_compare(what, in, &m));
	*out = value_make(m.mean, m.se);
	return OK;
}

static int w1(const struct scored *in, struct value *out)
{
	return average(MARGINAL_W1, in, out);
}

static int ks(const struct scored *in, struct value *out)
{
	return average(MARGINAL_KS, in, out);
}

static int tv(const struct scored *in, struct value *out)
{
	return average(MARGINAL_TV, in, out);
}

#define MARGINALS                                                      \
	.unit = "", .paper = "", .version = 1, .better = BETTER_LOWER, \
	.needs = NEEDS_SAMPLES | NEEDS_EXACT, .floor = true

const METRIC(marginals) = {
	.name = "marginals",
	.title = "Marginals, W1",
	MARGINALS,
	.eval = w1,
};

const METRIC(marginals_ks) = {
	.name = "marginals_ks",
	.title = "Marginals, Kolmogorov",
	MARGINALS,
	.eval = ks,
};

const METRIC(marginals_tv) = {
	.name = "marginals_tv",
	.title = "Marginals, total variation",
	MARGINALS,
	.eval = tv,
};
