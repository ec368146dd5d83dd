/* Path integral sampler (PIS, arXiv 2111.15141), as in the JAX code bases.
 *
 * Brownian motion of variance V, started at 0, is steered to the target by the control u:
 *
 *     l  = sg( (1 - t) grad log rho(x) ),  u = u(x, t, l)                                       (1)
 *     x' = x + sigma u dt + sigma sqrt(dt) eps                                                  (2)
 *     loss = E[ sum |u|^2 dt/2 + log N(x_0; 0, V I) - log rho(x_0) ]                            (3)
 *     log w = -( sum |u|^2 dt/2 + sum u.eps sqrt(dt) + log N(x_0; 0, V I) - log rho(x_0) )      (4)
 *
 * with t from 1 to 0 and V the sum of sigma^2 dt, so that (4) is exact in discrete time. The
 * target-to-prior pass runs the Brownian bridge from an exact sample to 0, whose law is the reference's;
 * with published_forward it is the released code's, which loses the sample in its first step. */
#include "run/controlled.h"

struct pis {
	struct controlled base;
	double sigma_min, sigma_max;
};

static const struct option options[] = {
	CONTROLLED_OPTIONS(struct pis),
	{ "sigma_min", OPTION_REAL, offsetof(struct pis, sigma_min), "0.01", 0, 1e6, "",
		"twice sigma at the target", NULL },
	{ "sigma_max", OPTION_REAL, offsetof(struct pis, sigma_max), "4", 1e-6, 1e6, "",
		"twice sigma at the start", NULL },
	{ 0 },
};

static const struct preset presets[] = {
	{ NULL, "gmm40_2d", "sigma_max=160" },
	{ NULL, "gmm40_50d", "sigma_max=160" },
	{ NULL, "gmm10_2d", "sigma_max=60" },
	{ NULL, "student10_50d", "sigma_max=60" },
	{ NULL, "many_well_5", "sigma_max=10,rate=1e-5" },
	{ NULL, "sonar", "rate=1e-3" },
	{ NULL, "seeds", "rate=1e-3" },
	{ NULL, "brownian", "rate=1e-3" },
	{ NULL, "lgcp", "rate=1e-4" },
	{ NULL, "planar_robot", "sigma_max=0.3,rate=1e-5" },
	{ 0 },
};

static const struct pass passes[] = {
	{ "", "", WEIGHTS_EXACT, true },
	{ NULL, NULL, 0, false },
};

/* The coefficients of k steps: time code and time, what remains of 1 - t, sigma, noise; and of the
 * bridge back, whose variance runs from V to 0. */
struct schedule {
	double *code, *keep, *sigma, *noise, *shrink, *bridge, *inverse;
	double dt, variance;
};

/* The step at place i of the scan: i = 0 leaves the start, or arrives there. */
static struct schedule schedule_of(const struct pis *p, size_t k, bool backwards, struct arena *a)
{
	struct schedule s = { .dt = 1 / (double)k };
	double **arrays[] = { &s.code, &s.keep, &s.sigma, &s.noise, &s.shrink, &s.bridge,
		&s.inverse };

	for (size_t j = 0; j < sizeof(arrays) / sizeof(arrays[0]); j++)
		*arrays[j] = ARENA_NEW(a, k, double);
	for (size_t j = 0; j < k; j++) { /* in the order of the generation, code k - j */
		size_t i = backwards ? k - 1 - j : j;
		double t = (double)(k - j) / (double)k;
		s.code[i] = t * (double)p->base.steps; /* the code that training gave this time */
		s.keep[i] = 1 - t;
		s.sigma[i] = schedule_cosine(t, p->sigma_min, p->sigma_max);
		s.noise[i] = s.sigma[i] * sqrt(s.dt);
		s.inverse[i] = 1 / s.sigma[i];
		double before = s.variance, step = s.noise[i] * s.noise[i];
		s.variance += step;
		s.shrink[i] = before / s.variance;
		s.bridge[i] = sqrt(before * step / s.variance);
	}
	return s;
}

static struct var steer(const struct pis *p, const struct schedule *s, size_t k, struct var x,
	struct var *feature)
{
	struct var code = by_step(x.g, k, 1, s->code);

	*feature = stop(mul(by_step(x.g, k, 1, s->keep), score(x))); /* eq. 1 */
	return control(&p->base.net, 0, x, code, code, *feature);
}

static struct graph *record_paths(const void *state, struct cell *c, size_t k, bool training,
	struct arena *a)
{
	const struct pis *p = state;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct schedule s = schedule_of(p, k, false, a);
	struct var origin = zeros(g, c->dim);

	scan_begin(g, k);
	struct var x = label(scan_state(origin), "x"), feature;
	struct var u = label(steer(p, &s, k, x, &feature), "u");
	struct var eps = controlled_noise(&p->base, g, training, c->dim);
	struct var push = scale(s.dt, mul(by_step(g, k, 1, s.sigma), u));
	scan_next(x, add(add(x, push), mul(by_step(g, k, 1, s.noise), eps))); /* eq. 2 */
	struct var running = scan_total(label(scale(0.5 * s.dt, dot(u, u)), "running_step"));
	struct var stochastic =
		scan_total(label(scale(sqrt(s.dt), dot(u, eps)), "stochastic_step"));
	label(feature, "feature");
	scan_end(g);

	struct var end = label(scan_last(x), "end");
	controlled_conclude(running, stochastic,
		sub(log_normal(end, sqrt(s.variance)), log_density(end))); /* eq. 3, 4 */
	return g;
}

/* The released bridge: its clock is t and not the variance, so the first step, which arrives at t - dt =
 * 0, loses the sample. */
static void use_published_bridge(struct schedule *s, size_t k)
{
	for (size_t i = 0; i < k; i++) {
		s->shrink[i] = (double)i / (double)(i + 1);
		s->bridge[i] = s->sigma[i] * sqrt(s->shrink[i] * s->dt);
	}
}

/* From an exact sample along the bridge; (x - x')/sigma is the control's dt plus the noise of the step
 * from x' to x, which eq. 4 wants. */
static struct graph *record_forward(const void *state, struct cell *c, size_t k, bool published,
	struct arena *a)
{
	const struct pis *p = state;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct schedule s = schedule_of(p, k, true, a);
	struct var start = input(g, "x_exact", c->dim);

	if (published)
		use_published_bridge(&s, k);
	scan_begin(g, k);
	struct var x = label(scan_state(start), "x"), feature;
	struct var eps = label(normal(g, RNG_PATH_BACK, c->dim), "noise");
	struct var next =
		add(mul(by_step(g, k, 1, s.shrink), x), mul(by_step(g, k, 1, s.bridge), eps));
	if (published)
		next = add(next, constant(g, 1e-8));
	struct var u = steer(p, &s, k, published ? x : next, &feature);
	struct var work = published ? scale(sqrt(s.dt), dot(u, eps))
				    : mul(by_step(g, k, 1, s.inverse), dot(u, sub(x, next)));
	struct var running = scan_total(scale(-0.5 * s.dt, dot(u, u)));
	struct var stochastic = scan_total(work);
	scan_next(x, next);
	scan_end(g);

	label(scan_last(x), "end");
	controlled_conclude(running, stochastic,
		sub(log_normal(start, sqrt(s.variance)), log_density(start)));
	return g;
}

static int init(void *state, struct cell *c)
{
	return controlled_init(state, c, 1, record_paths, record_forward);
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "PIS",
	.paper = "Path Integral Sampler, arXiv 2111.15141; as in One-Step Diffusion Samplers, "
		 "arXiv 2512.05251, and Beyond ELBOs, arXiv 2406.07423",
	.version = 2,
	.state_size = sizeof(struct pis),
	.options = options,
	.presets = presets,
	.passes = passes,
	.init = init,
	.iterations = controlled_iterations,
	.train = controlled_train,
	.sample = controlled_sample,
	.graph = controlled_graph,
	.params = controlled_params,
	.keep = controlled_keep,
};
