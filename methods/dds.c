/* Denoising diffusion sampler (DDS, arXiv 2302.13834), as in the JAX code bases.
 *
 * A stationary Ornstein-Uhlenbeck chain with law N(0, sigma0^2 I) is steered by the control u:
 *
 *     l  = sg( grad log rho(x) ),  u = u(x, t, l)                                               (1)
 *     x' = alpha x + beta^2 u + beta sigma0 eps,  alpha = sqrt(1 - beta^2)                      (2)
 *     loss = E[ sum beta^2 |u|^2/(2 sigma0^2) + log p0(x_0) - log rho(x_0) ]                    (3)
 *     log w = -( sum [ beta^2 |u|^2/2 + beta sigma0 u.eps ]/sigma0^2 + log p0(x_0) - log rho(x_0) )  (4)
 *
 * The chain is reversible, so (4) is exact in discrete time, and so is the target-to-prior pass, which
 * evaluates u at the state that the noising step leads to. With published_forward it is evaluated
 * before that step, as in the released code: exact only as the steps go to infinity. */
#include "run/controlled.h"

struct dds {
	struct controlled base;
	double sigma0, noise_scale;
};

static const struct option options[] = {
	CONTROLLED_OPTIONS(struct dds),
	{ "sigma0", OPTION_REAL, offsetof(struct dds, sigma0), "1", 1e-6, 1e6, "",
		"standard deviation of the prior", NULL },
	{ "noise_scale", OPTION_REAL, offsetof(struct dds, noise_scale), "6", 1e-6, 1e6, "",
		"scale of beta^2 before it is clipped to 1", NULL },
	{ 0 },
};

static const struct preset presets[] = {
	{ NULL, "gmm40_2d", "sigma0=40" },
	{ NULL, "gmm40_50d", "sigma0=40" },
	{ NULL, "gmm10_2d", "sigma0=15" },
	{ NULL, "student10_50d", "sigma0=15" },
	{ NULL, "many_well_5", "sigma0=0.1,rate=1e-5" },
	{ NULL, "sonar", "rate=1e-3" },
	{ NULL, "seeds", "sigma0=0.1,rate=1e-4" },
	{ NULL, "brownian", "sigma0=1e-4,rate=0.1" },
	{ NULL, "lgcp", "sigma0=0.1,rate=1e-4" },
	{ NULL, "planar_robot", "sigma0=2,rate=1e-3" },
	{ 0 },
};

static const struct pass passes[] = {
	{ "", "", WEIGHTS_EXACT, true },
	{ NULL, NULL, 0, false },
};

/* A step's coefficients: time code, alpha, beta^2, beta. */
struct moment {
	struct var code, alpha, square, beta;
};

static struct moment moment_of_scan(const struct dds *s, struct graph *g, size_t k, bool backwards,
	struct arena *a)
{
	double *table = ARENA_NEW(a, k + 1, double), *v = ARENA_NEW(a, 4 * k, double);

	schedule_dds(k, s->noise_scale, table);
	for (size_t i = 0; i < k; i++) {
		size_t code = backwards ? i + 1 : k - i;
		double beta = table[code];
		/* The code that training gave this time. */
		v[i] = (double)code * (double)s->base.steps / (double)k;
		v[k + i] = sqrt(1 - beta * beta);
		v[2 * k + i] = beta * beta;
		v[3 * k + i] = beta;
	}
	return (struct moment){ by_step(g, k, 1, v), by_step(g, k, 1, v + k),
		by_step(g, k, 1, v + 2 * k), by_step(g, k, 1, v + 3 * k) };
}

static struct var steer(const struct dds *s, struct moment m, struct var x, struct var *feature)
{
	*feature = stop(score(x)); /* eq. 1 */
	return control(&s->base.net, 0, x, m.code, m.code, *feature);
}

static struct graph *record_paths(const void *state, struct cell *c, size_t k, bool training,
	struct arena *a)
{
	const struct dds *s = state;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var z = label(normal(g, training ? RNG_PRIOR : RNG_SAMPLE, c->dim), "prior");
	struct var x0 = scale(s->sigma0, training ? clip(z, 4) : z);
	double precision = 1 / (s->sigma0 * s->sigma0);

	scan_begin(g, k);
	struct moment m = moment_of_scan(s, g, k, false, a);
	struct var x = label(scan_state(x0), "x"), feature;
	struct var u = label(steer(s, m, x, &feature), "u");
	struct var eps = controlled_noise(&s->base, g, training, c->dim);
	struct var push = add(mul(m.square, u), scale(s->sigma0, mul(m.beta, eps)));
	scan_next(x, add(mul(m.alpha, x), push)); /* eq. 2 */
	struct var running =
		scan_total(label(scale(0.5 * precision, mul(m.square, dot(u, u))), "running_step"));
	struct var stochastic = scan_total(
		label(scale(1 / s->sigma0, mul(m.beta, dot(u, eps))), "stochastic_step"));
	label(feature, "feature");
	scan_end(g);

	struct var end = label(scan_last(x), "end");
	controlled_conclude(running, stochastic,
		sub(log_normal(end, s->sigma0), log_density(end))); /* eq. 3, 4 */
	return g;
}

/* From exact samples by the reference's own kernel, which is its reversal too. The weight of a step
 * from x to y is N(x; alpha y, .)/N(x; alpha y + beta^2 u(y), .). */
static struct graph *record_forward(const void *state, struct cell *c, size_t k, bool published,
	struct arena *a)
{
	const struct dds *s = state;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var start = input(g, "x_exact", c->dim);
	double precision = 1 / (s->sigma0 * s->sigma0);

	scan_begin(g, k);
	struct moment m = moment_of_scan(s, g, k, true, a);
	struct var x = label(scan_state(start), "x"), feature;
	struct var eps = label(normal(g, RNG_PATH_BACK, c->dim), "noise");
	struct var kick = scale(s->sigma0, mul(m.beta, eps));
	struct var next = add(mul(m.alpha, x), kick);
	struct var u = steer(s, m, published ? x : next, &feature);
	struct var work = dot(u, published ? kick : sub(x, mul(m.alpha, next)));
	struct var running = scan_total(scale(-0.5 * precision, mul(m.square, dot(u, u))));
	struct var stochastic = scan_total(scale(precision, work));
	scan_next(x, next);
	scan_end(g);

	label(scan_last(x), "end");
	controlled_conclude(running, stochastic,
		sub(log_normal(start, s->sigma0), log_density(start)));
	return g;
}

static int check_steps(const void *state, size_t steps)
{
	(void)state;
	if (steps < 2)
		return fail(ERR_UNSUP, "the noise schedule of DDS needs 2 steps or more, not %zu",
			steps);
	return OK;
}

static int init(void *state, struct cell *c)
{
	return controlled_init(state, c, 1, record_paths, record_forward);
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "DDS",
	.paper = "Denoising Diffusion Samplers, arXiv 2302.13834; as in One-Step Diffusion "
		 "Samplers, "
		 "arXiv 2512.05251, and Beyond ELBOs, arXiv 2406.07423",
	.version = 2,
	.state_size = sizeof(struct dds),
	.options = options,
	.presets = presets,
	.passes = passes,
	.init = init,
	.iterations = controlled_iterations,
	.train = controlled_train,
	.check_steps = check_steps,
	.sample = controlled_sample,
	.graph = controlled_graph,
	.params = controlled_params,
	.keep = controlled_keep,
};
