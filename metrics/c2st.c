/*
 * Classifier two-sample test (Lopez-Paz and Oquab 2017). A network learns to tell samples from exact
 * samples on one half of both, and is asked about the other half, and the other way round:
 *
 *     c2st = (share of held-out samples recognised + share of held-out exact samples recognised) / 2,
 *
 * 1/2 where they cannot be told apart, 1 where they always can. For unequal numbers the loss gives both
 * sides equal weight. Inputs are scaled by the mean and standard deviation of all points together.
 *
 * Where nothing can be told, both networks learn accidents, and an accident that the two halves share makes
 * both accuracies high, one in which they differ both low: in few dimensions the accuracy of all points
 * then has up to twice the variance of independent trials. So the p-value is that of the second half alone,
 * whose points are independent of the network that the first half trained: the chance that of its n' samples
 * as many or more are among the points called samples, were these any of its n' + m' points (Fisher's exact
 * test). It is valid for any n' and m', and a little large, as few values are possible. The standard error is
 * the mean of the two halves' binomial ones, its bound under any correlation of the two; far from 1/2 it is
 * too large by up to 1.4.
 *
 * Points are sorted before they are dealt into halves, so that their order means nothing. The effort is
 * bounded: STEPS steps of at most BATCH points.
 *
 * Pitfalls: it says that there is a difference, not how large or whether it matters: a little noise in one
 * coordinate of many gives 1. A small network on few points misses fine structure: 1/2 is no proof.
 * What it scores depends on n.
 */
#include "core/stats.h"
#include "score/cloud.h"
#include "stride.h"

#include <gsl/gsl_cdf.h>
#include <stdlib.h>

enum { WIDTH = 32, LAYERS = 3, BATCH = 256, STEPS = 300, FOLDS = 2 };

/* Steps of the counters of a seed. */
enum { STEP_EXACT, STEP_SAMPLES, STEP_BATCHES };

/* The points of a fold, side by side with what they are. */
struct fold {
	size_t n, exact;         /* points, and how many of them are exact */
	real *x, *sign, *weight; /* [n][dim], +1 samples and -1 exact samples, weight in the loss */
};

/* A point. qsort's comparison sees nothing else. */
struct row {
	const double *x;
	size_t dim;
};

static int compare_rows(const void *a, const void *b)
{
	const struct row *r = a, *s = b;

	for (size_t k = 0; k < r->dim; k++)
		if (r->x[k] != s->x[k])
			return r->x[k] < s->x[k] ? -1 : 1;
	return 0;
}

static struct rng stream(uint64_t seed)
{
	return (struct rng){ .seed = seed, .purpose = RNG_METRIC };
}

/* Rows in rising order, whatever it was, and then shuffled. */
static const struct row *deal(const double *x, size_t n, size_t dim, uint64_t seed, uint32_t step,
	struct arena *a)
{
	struct row *row = arena_alloc(a, n, sizeof(*row));

	for (size_t i = 0; i < n; i++)
		row[i] = (struct row){ x + i * dim, dim };
	qsort(row, n, sizeof(*row), compare_rows);
	for (size_t i = n; i > 1; i--) {
		size_t j = (size_t)rng_below(stream(seed), step, i, 0, i);
		const struct row r = row[i - 1];
		row[i - 1] = row[j];
		row[j] = r;
	}
	return row;
}

/* Mean and one over the standard deviation [dim] of all points, dealt: sums do not know their order. */
static void standardise(const struct scored *in, const struct row *exact, const struct row *samples,
	double *mean, double *scale)
{
	size_t n = in->n + in->n_exact;
	double *column = ARENA_NEW(in->arena, n, double);

	for (size_t k = 0; k < in->dim; k++) {
		for (size_t i = 0; i < n; i++)
			column[i] = i < in->n_exact ? exact[i].x[k] : samples[i - in->n_exact].x[k];
		double sd = sqrt(stats_variance(column, n));
		mean[k] = stats_mean(column, n);
		scale[k] = sd > 0 ? 1 / sd : 0;
	}
}

/* Every FOLDS-th row from `which` on. */
static void fold_fill(struct fold *f, const struct scored *in, const struct row *exact,
	const struct row *samples, size_t which, const double *mean, const double *scale)
{
	size_t all = in->n + in->n_exact, room = all / FOLDS + 2;

	f->x = ARENA_NEW(in->arena, room * in->dim, real);
	f->sign = ARENA_NEW(in->arena, room, real);
	f->weight = ARENA_NEW(in->arena, room, real);
	for (int side = 0; side < 2; side++) {
		size_t n = side ? in->n : in->n_exact;
		for (size_t i = which; i < n; i += FOLDS) {
			const double *row = side ? samples[i].x : exact[i].x;
			for (size_t k = 0; k < in->dim; k++)
				f->x[f->n * in->dim + k] = (real)((row[k] - mean[k]) * scale[k]);
			f->sign[f->n] = side ? 1 : -1;
			f->weight[f->n] = (real)((double)all / (2 * (double)n));
			f->n++;
		}
		f->exact = side ? f->exact : f->n;
	}
}

/* The logarithm of the odds that a point is a sample, and the mean of w log(1 + exp(-sign odds)). */
static struct graph *record(const struct mlp *net, size_t dim, bool training, struct arena *a)
{
	struct graph *g = graph_new(a, NULL, NULL);
	struct var odds = label(mlp(net, 0, input(g, "x", dim)), "odds");

	if (training) {
		struct var sign = input(g, "sign", 1), weight = input(g, "weight", 1);
		graph_loss(mul(weight, softplus(scale(-1, mul(sign, odds)))));
	}
	return g;
}

/* Points of a batch, drawn with replacement: no epochs to keep, and any number of points. */
static void draw_batch(const struct fold *f, size_t dim, uint64_t seed, uint32_t epoch,
	const struct fold *batch)
{
	struct rng r = { .seed = seed, .purpose = RNG_METRIC, .epoch = epoch };

	for (size_t b = 0; b < batch->n; b++) {
		size_t i = (size_t)rng_below(r, STEP_BATCHES, b, 0, f->n);
		memcpy(batch->x + b * dim, f->x + i * dim, dim * sizeof(real));
		batch->sign[b] = f->sign[i];
		batch->weight[b] = f->weight[i];
	}
}

/* What a classifier makes of a fold: recognised exact samples and samples. */
struct verdict {
	double n[2], recognised[2];
};

/* Learn on one fold, classify another. */
static int learn(const struct fold *train, const struct fold *test, const struct scored *in,
	uint32_t which, struct verdict *out)
{
	struct arena *a = in->arena;
	struct mlp net;
	struct learner l;
	const size_t rows = train->n < BATCH ? train->n : BATCH;
	const struct fold batch = { .n = rows,
		.x = ARENA_NEW(a, BATCH * in->dim, real),
		.sign = ARENA_NEW(a, BATCH, real),
		.weight = ARENA_NEW(a, BATCH, real) };
	const struct binding inputs[] = { { .label = "x", .as_real = batch.x },
		{ .label = "sign", .as_real = batch.sign },
		{ .label = "weight", .as_real = batch.weight } };
	struct graph_args args = { .rows = rows, .inputs = inputs, .n_inputs = 3 };

	mlp_layout(&net, in->dim, WIDTH, LAYERS, 1);
	learner_init(&l, net.n_params, a);
	mlp_init(&net, in->seed, which, l.theta);
	l.settings = (struct adam){ .rate = 3e-3,
		.beta1 = 0.9,
		.beta2 = 0.999,
		.eps = 1e-8,
		.weight_decay = 0.01,
		.decay = 0.1,
		.decay_every = STEPS * 2 / 3 };
	struct graph *g = record(&net, in->dim, true, a);
	for (uint32_t it = 0; it < STEPS; it++) {
		draw_batch(train, in->dim, in->seed, which * STEPS + it, &batch);
		if (!isfinite(learner_step(&l, g, &args, 1)))
			return fail(ERR_NUMERIC, "the classifier's training diverged");
	}
	double *odds = ARENA_NEW(a, test->n, double);
	const struct binding points = { .label = "x", .as_real = test->x };
	const struct capture capture = { .label = "odds", .f64 = odds };
	const struct graph_args run = { .rows = test->n,
		.params = { l.theta },
		.inputs = &points,
		.n_inputs = 1,
		.captures = &capture,
		.n_captures = 1 };
	graph_forward(record(&net, in->dim, false, a), &run);
	*out = (struct verdict){ .n = { (double)test->exact, (double)(test->n - test->exact) } };
	for (size_t i = 0; i < test->n; i++)
		out->recognised[i >= test->exact] += (odds[i] > 0) == (i >= test->exact);
	return OK;
}

static double binomial_error(const struct verdict *v)
{
	double variance = 0;

	for (int side = 0; side < 2; side++) {
		double share = v->recognised[side] / v->n[side];
		variance += share * (1 - share) / v->n[side];
	}
	return sqrt(variance) / 2;
}

static double p_value(const struct verdict *v)
{
	double exact = v->n[0], samples = v->n[1], right = v->recognised[1];
	double called = exact - v->recognised[0] + right;

	if (right == 0)
		return 1;
	return gsl_cdf_hypergeometric_Q((unsigned)right - 1, (unsigned)called,
		(unsigned)(exact + samples - called), (unsigned)samples);
}

static int c2st(const struct scored *in, struct value *out)
{
	struct verdict verdict[FOLDS];
	struct fold fold[FOLDS] = { { 0 } };

	if (in->n < 2 * FOLDS || in->n_exact < 2 * FOLDS)
		return fail(ERR_RANGE, "the classifier needs at least %d samples on either side",
			2 * FOLDS);
	TRY(cloud_check(in->x, in->n, in->dim));
	TRY(cloud_check(in->exact, in->n_exact, in->dim));
	const struct row *exact =
		deal(in->exact, in->n_exact, in->dim, in->seed, STEP_EXACT, in->arena);
	const struct row *samples = deal(in->x, in->n, in->dim, in->seed, STEP_SAMPLES, in->arena);
	double *mean = ARENA_NEW(in->arena, in->dim, double);
	double *scale = ARENA_NEW(in->arena, in->dim, double);
	standardise(in, exact, samples, mean, scale);
	for (size_t k = 0; k < FOLDS; k++)
		fold_fill(&fold[k], in, exact, samples, k, mean, scale);
	for (size_t k = 0; k < FOLDS; k++)
		TRY(learn(&fold[1 - k], &fold[k], in, (uint32_t)k, &verdict[k]));

	double of_exact =
		(verdict[0].recognised[0] + verdict[1].recognised[0]) / (double)in->n_exact;
	double of_samples = (verdict[0].recognised[1] + verdict[1].recognised[1]) / (double)in->n;
	*out = value_make((of_exact + of_samples) / 2,
		(binomial_error(&verdict[0]) + binomial_error(&verdict[1])) / 2);
	out->p = p_value(&verdict[1]);
	return OK;
}

const METRIC(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Classifier two-sample test",
	.unit = "",
	.paper = "Lopez-Paz and Oquab 2017, Revisiting Classifier Two-Sample Tests",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_EXACT,
	.floor = true,
	.eval = c2st,
};
