/* Neural implicit sampler (NIS), KL training (arXiv 2306.04952): a sample is one evaluation of a network,
 *
 *     x = c y,  y = g_theta(z),  z ~ N(0, I),                                                   (1)
 *
 * c the target's unit of length. Its law has no known density; a second network S_phi learns the score
 * of y by denoising, a few updates with theta fixed,
 *
 *     min_phi E[ |sigma S_phi(y + sigma e) + e|^2 / 2 ],  e ~ N(0, I),                          (2)
 *
 * and stands for it in the gradient of KL(law of x || target), one update with phi fixed,
 *
 *     E[ (dy/dtheta)^T ( S_phi(y) - c grad log rho(x) ) ]:                                      (3)
 *
 * the loss is < sg(S_phi(y) - c grad log rho(x)), y >. (2) gives the score of y + sigma e, so that the
 * fixed point is the target less a variance of (c sigma)^2.
 *
 * An extension that is not in the paper, up to 100 dimensions: with the exact Jacobian of g,
 *
 *     log w = log rho(x) - log N(z; 0, I) + log |det dx/dz|.                                    (4)
 *
 * E[w] = integral of rho times the number of z that x has: Z if g is a bijection, and nothing makes it
 * one. Points that no z has are missing from it, those with several count several times; determinants of
 * both signs prove a fold, and the draw reports the share of the rarer sign as "fold fraction".
 *
 * The constants of the paper's experiments are not at hand. Where the authors' code for the Fisher
 * training of such samplers has a number (networks, score updates and their rate, batch, iterations), that
 * is the default, with GELUs in place of its leaky ReLUs and S_phi in place of a scalar network's gradient;
 * sigma, the sampler's rate and its clip are this file's own. */
#include "stride.h"
#include "nn/jacobian.h"

enum { DIM_MOST = 100 }; /* of weights */

struct nis {
	long iterations, batch, width, layers, score_updates;
	double scale, sigma, rate, score_rate, clip_norm;

	struct mlp g, s;
	struct learner sampler, score;
	struct graph *sampler_loss, *score_loss;
};

#define O(field) offsetof(struct nis, field)
static const struct option options[] = {
	{ "iterations", OPTION_INT, O(iterations), "5000", 1, 1e9, "", "training iterations",
		NULL },
	{ "batch", OPTION_INT, O(batch), "2000", 1, 1e6, "rows", "samples an update", NULL },
	{ "width", OPTION_INT, O(width), "256", 1, 65536, "", "of both networks' hidden layers",
		NULL },
	{ "layers", OPTION_INT, O(layers), "4", 1, MLP_LAYERS_MAX, "",
		"of both networks: hidden ones and the last", NULL },
	{ "scale", OPTION_REAL, O(scale), "1", 1e-6, 1e6, "",
		"c of eq. 1, the target's unit of length", NULL },
	{ "sigma", OPTION_REAL, O(sigma), "0.1", 1e-6, 1e3, "", "noise of eq. 2, in that unit",
		NULL },
	{ "score_updates", OPTION_INT, O(score_updates), "5", 1, 1e4, "",
		"updates of the score an iteration", NULL },
	{ "rate", OPTION_REAL, O(rate), "1e-4", 0, 1, "", "learning rate of the sampler's Adam",
		NULL },
	{ "score_rate", OPTION_REAL, O(score_rate), "1e-3", 0, 1, "",
		"learning rate of the score's Adam", NULL },
	{ "clip_norm", OPTION_REAL, O(clip_norm), "10", 1e-9, 1e30, "",
		"global norm of the sampler's gradient", NULL },
	{ 0 },
};

static const struct pass passes[] = {
	{ "samples", "samples", WEIGHTS_NONE, false },
	{ "weighted", "weighted (extension)", WEIGHTS_BIASED, false },
	{ NULL, NULL, 0, false },
};

/* Latent vectors of eq. 3; those of eq. 2 are RNG_PRIOR. */
enum { LATENT = RNG_USER };

/* Eq. 2: phi is set 0, theta set 1. */
static struct graph *record_score_loss(const struct nis *s, struct cell *c, struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var y = mlp(&s->g, 1, label(normal(g, RNG_PRIOR, c->dim), "latent"));
	struct var e = label(normal(g, RNG_NOISE, c->dim), "noise");
	struct var away = add(scale(s->sigma, mlp(&s->s, 0, add(y, scale(s->sigma, e)))), e);

	graph_loss(scale(0.5, dot(away, away)));
	return g;
}

/* Eq. 3: theta is set 0, phi set 1. */
static struct graph *record_sampler_loss(const struct nis *s, struct cell *c, struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var y = label(mlp(&s->g, 0, label(normal(g, LATENT, c->dim), "latent")), "y");
	struct var target = scale(s->scale, score(scale(s->scale, y)));

	graph_loss(dot(label(stop(sub(mlp(&s->s, 1, y), target)), "gap"), y));
	return g;
}

/* Eq. 1, and eq. 4 without the determinant where weights are wanted. */
static struct graph *record_samples(const struct nis *s, struct cell *c, bool weighted,
	struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var z = label(normal(g, RNG_SAMPLE, c->dim), "latent");
	struct var x = label(scale(s->scale, mlp(&s->g, 0, z)), "end");

	if (weighted)
		label(sub(log_density(x), log_gaussian(z, 1)), "log_w");
	return g;
}

/* Eq. 1 at given z with its derivative along v, for the determinant. */
static struct graph *record_map(const struct nis *s, struct cell *c, struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var z = input(g, "x", c->dim), v = input(g, "v", c->dim);
	struct var x = label(scale(s->scale, mlp(&s->g, 0, z)), "y");

	label(jvp(x, z, v), "dy");
	return g;
}

/* Eq. 1 is one map, in either pass. */
static int map(void *state, struct cell *c, const struct pass *pass, size_t k, size_t step,
	struct flow_map *out, struct arena *a)
{
	const struct nis *s = state;

	(void)pass, (void)k, (void)step;
	*out = (struct flow_map){ record_map(s, c, a), s->sampler.theta, 1 };
	return OK;
}

static struct graph *graph(void *state, struct cell *c, const char *what, size_t steps,
	struct arena *a)
{
	(void)steps;
	if (strcmp(what, "loss") == 0)
		return record_sampler_loss(state, c, a);
	if (strcmp(what, "score_loss") == 0)
		return record_score_loss(state, c, a);
	if (strcmp(what, "samples") == 0)
		return record_samples(state, c, false, a);
	if (strcmp(what, "map") == 0)
		return record_map(state, c, a);
	return NULL;
}

static void prepare(struct learner *l, const struct mlp *net, struct adam settings, uint32_t which,
	struct cell *c)
{
	learner_init(l, net->n_params, c->arena);
	l->settings = settings;
	mlp_init(net, c->seed, which, l->theta);
}

static int init(void *state, struct cell *c)
{
	struct nis *s = state;
	struct adam adam = { .rate = s->rate,
		.beta1 = 0.9,
		.beta2 = 0.999,
		.eps = 1e-8,
		.clip = CLIP_NORM,
		.clip_bound = s->clip_norm };

	mlp_layout(&s->g, c->dim, (size_t)s->width, (size_t)s->layers, c->dim);
	s->s = s->g;
	prepare(&s->sampler, &s->g, adam, 0, c);
	adam.rate = s->score_rate;
	adam.clip = CLIP_NONE;
	prepare(&s->score, &s->s, adam, 1, c);
	s->sampler_loss = record_sampler_loss(s, c, c->arena);
	s->score_loss = record_score_loss(s, c, c->arena);
	return OK;
}

static long iterations(const void *state)
{
	return ((const struct nis *)state)->iterations;
}

static int train(void *state, struct cell *c, long it)
{
	struct nis *s = state;
	struct graph_args args = { .rows = (size_t)s->batch, .seed = c->seed };
	double score_loss = 0;

	args.params[1] = s->sampler.theta;
	for (long k = 0; k < s->score_updates; k++) { /* eq. 2 */
		args.epoch = (uint32_t)(it * s->score_updates + k);
		score_loss = learner_step(&s->score, s->score_loss, &args, 1);
	}
	args.params[1] = s->score.theta;
	args.epoch = (uint32_t)it;
	double loss = learner_step(&s->sampler, s->sampler_loss, &args, 1); /* eq. 3 */
	cell_curve(c, "loss", it, loss);
	cell_curve(c, "score loss", it, score_loss);
	return OK;
}

/* The share of the rarer sign of the determinants. */
static double fold_fraction(const double *sign, size_t n)
{
	size_t negative = 0;

	for (size_t i = 0; i < n; i++)
		negative += sign[i] < 0;
	return (double)(2 * negative < n ? negative : n - negative) / (double)n;
}

/* Eq. 4: adds the determinant to log_w. */
static void add_volume(const struct nis *s, struct cell *c, const double *latent, struct draws *d)
{
	const real *const params[GRAPH_PARAMS_MAX] = { s->sampler.theta };
	double *sign = arena_alloc(c->arena, d->n, sizeof(*sign));

	for (size_t i = 0; i < d->n; i++)
		sign[i] = 1;
	jacobian_log_det(record_map(s, c, c->arena), params, d->n, c->dim, latent, NULL, d->log_w,
		sign);
	cell_report(c, "fold fraction", fold_fraction(sign, d->n));
}

static int sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	const struct nis *s = state;
	bool weighted = pass->weights != WEIGHTS_NONE;
	struct arena_mark mark = arena_mark(c->arena);

	(void)steps;
	if (weighted && c->dim > DIM_MOST)
		return fail(ERR_UNSUP, "nis: weights take at most %d dimensions, not %zu", DIM_MOST,
			c->dim);
	double *latent = arena_alloc(c->arena, d->n * c->dim, sizeof(*latent));
	const struct capture captures[] = { { "end", d->x, NULL, NULL },
		{ "latent", latent, NULL, NULL }, { "log_w", d->log_w, NULL, NULL } };
	const struct graph_args args = { .rows = d->n,
		.seed = c->seed,
		.epoch = repeat,
		.params = { s->sampler.theta },
		.captures = captures,
		.n_captures = weighted ? 3 : 1 };
	graph_forward(record_samples(s, c, weighted, c->arena), &args);
	if (weighted)
		add_volume(s, c, latent, d);
	d->no_forward = true;
	arena_release(c->arena, mark);
	return OK;
}

static real *params(void *state, size_t *n)
{
	struct nis *s = state;

	*n = s->sampler.n;
	return s->sampler.theta;
}

static void keep(void *state, struct checkpoint *k)
{
	struct nis *s = state;

	learner_keep(&s->sampler, "sampler", k);
	learner_keep(&s->score, "score", k);
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "NIS",
	.paper = "Entropy-based Training Methods for Scalable Neural Implicit Sampler, arXiv "
		 "2306.04952: KL training",
	.version = 1,
	.state_size = sizeof(struct nis),
	.options = options,
	.passes = passes,
	.init = init,
	.iterations = iterations,
	.train = train,
	.sample = sample,
	.graph = graph,
	.map = map,
	.params = params,
	.keep = keep,
};
