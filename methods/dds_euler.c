/* Denoising diffusion sampler by the Euler-Maruyama scheme (DDS, arXiv 2302.13834), as in sde_sampler.
 *
 * The reference dX = (beta X/2 + sigma r) dt + sigma dW, sigma = sigma0 sqrt(beta), r = -sigma X/sigma0^2,
 * keeps N(0, sigma0^2 I); a control u takes the place of r. With t from 1 (prior) to 0 (target):
 *
 *     u  = u(x, t, grad log rho(x))                                                             (1)
 *     x' = x + (beta x/2 + sigma u) dt + sigma sqrt(dt) eps                                     (2)
 *     log w = log rho(x_0) - log p0(x_0) - sum [ |u - r|^2 dt/2 + (u - r).eps sqrt(dt) ]        (3)
 *
 * Trained on the variance of (3). The scheme keeps the reference's law as dt -> 0 only: so (3) is exact
 * in that limit, where the method dds is exact for every number of steps. */
#include "run/controlled.h"

struct dds_euler {
	struct controlled base;
	double sigma0, beta_min, beta_max;
};

#define O(field) offsetof(struct dds_euler, field)
static const struct option options[] = {
	CONTROLLED_OPTIONS(struct dds_euler),
	{ "sigma0", OPTION_REAL, O(sigma0), "1", 1e-6, 1e6, "", "standard deviation of the prior",
		NULL },
	{ "beta_min", OPTION_REAL, O(beta_min), "0.1", 1e-9, 1e3, "", "beta at the target", NULL },
	{ "beta_max", OPTION_REAL, O(beta_max), "10", 1e-9, 1e3, "", "beta at the prior", NULL },
	{ 0 },
};
#undef O

static const struct preset presets[] = {
	{ NULL, NULL, CONTROLLED_SCDS },
	{ 0 },
};

static const struct note notes[] = {
	{ "kept", "The weights are those of the continuous process, of which the scheme keeps the "
		  "law as steps get short only. The method dds has exact ones." },
	CONTROLLED_NOTE_PRIOR,
	{ 0 },
};

static const struct pass passes[] = {
	{ "", "", WEIGHTS_BIASED, true },
	{ NULL, NULL, 0, false },
};

/* The coefficients of a step: time, beta dt/2, sigma and its inverse, sigma sqrt(dt), sigma/sigma0^2. */
struct moment {
	struct var time, pull, sigma, s, inverse, reference;
	double dt;
	const double *t;
	size_t k;
};

static struct moment moment_of_scan(const struct dds_euler *e, struct graph *g, size_t k,
	bool to_prior, struct arena *a)
{
	double *v = ARENA_NEW(a, 7 * k, double), dt = 1 / (double)k;

	for (size_t i = 0; i < k; i++) {
		double t = (double)(to_prior ? i + 1 : k - i) / (double)k;
		double beta = schedule_linear(t, e->beta_min, e->beta_max);
		v[i] = controlled_time(&e->base, t, 1);
		v[k + i] = 0.5 * beta * dt;
		v[2 * k + i] = e->sigma0 * sqrt(beta);
		v[3 * k + i] = e->sigma0 * sqrt(beta * dt);
		v[4 * k + i] = 1 / (e->sigma0 * sqrt(beta));
		v[5 * k + i] = sqrt(beta) / e->sigma0;
		v[6 * k + i] = t;
	}
	return (struct moment){ by_step(g, k, 1, v), by_step(g, k, 1, v + k),
		by_step(g, k, 1, v + 2 * k), by_step(g, k, 1, v + 3 * k),
		by_step(g, k, 1, v + 4 * k), by_step(g, k, 1, v + 5 * k), dt, v + 6 * k, k };
}

static struct var steer(const struct dds_euler *e, struct moment m, struct var x,
	struct var *feature)
{
	*feature = controlled_score(&e->base, x); /* eq. 1 */
	return controlled_control(&e->base, 0,
		(struct sight){ .x = x, .time = m.time, .score = *feature, .t = m.t, .k = m.k });
}

static struct var drift(struct moment m, struct var x, struct var u)
{
	return add(mul(m.pull, x), scale(m.dt, mul(m.sigma, u)));
}

static struct graph *record_paths(const void *state, struct cell *c, size_t k, bool training,
	struct arena *a)
{
	const struct dds_euler *e = state;
	const struct controlled *base = &e->base;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var x0 = scale(e->sigma0, controlled_prior(base, g, training, false, c->dim));

	scan_begin(g, k);
	struct moment m = moment_of_scan(e, g, k, false, a);
	struct var x = label(scan_state(x0), "x"), feature;
	struct var u = label(steer(e, m, x, &feature), "u");
	struct var r = scale(-1, mul(m.reference, x));
	struct var eps = controlled_noise(base, g, training, c->dim);
	struct var move = drift(m, x, controlled_push(base, training, u));
	scan_next(x, add(add(x, move), mul(m.s, eps))); /* eq. 2 */
	struct var energy = scale(m.dt, controlled_energy(base, training, u, r));
	struct var running = scan_total(label(energy, "running_step"));
	struct var stochastic =
		scan_total(label(scale(sqrt(m.dt), dot(sub(u, r), eps)), "stochastic_step"));
	label(feature, "feature");
	scan_end(g);

	struct var end = label(scan_last(x), "end");
	controlled_conclude(base, running, stochastic,
		sub(log_gaussian(end, e->sigma0), log_density(end))); /* eq. 3 */
	return g;
}

/* Eq. 3 along the reference backwards from exact samples, whose noise is then what eq. 2 would need. */
static struct graph *record_forward(const void *state, struct cell *c, size_t k, bool published,
	struct arena *a)
{
	const struct dds_euler *e = state;
	const struct noising n = controlled_noising(c, k, a);

	(void)published; /* refused by init */
	struct moment m = moment_of_scan(e, n.g, k, true, a);
	struct var x = n.x, eps = n.eps, feature;
	struct var next = add(sub(x, mul(m.pull, x)), mul(m.s, eps));
	struct var u = steer(e, m, next, &feature);
	struct var v = add(u, mul(m.reference, next));
	struct var moved = sub(x, add(next, drift(m, next, u)));
	struct var energy = scale(0.5 * m.dt, dot(v, v));
	struct var running = scan_total(energy);
	struct var stochastic = scan_total(mul(m.inverse, dot(v, moved)));
	scan_next(x, next);
	scan_end(n.g);

	label(scan_last(x), "end");
	controlled_conclude(&e->base, running, stochastic,
		sub(log_gaussian(n.start, e->sigma0), log_density(n.start)));
	return n.g;
}

static int init(void *state, struct cell *c)
{
	TRY(controlled_unpublished(state, PLUGIN_NAME));
	return controlled_init(state, c, CONTROL_SCORE, false, record_paths, record_forward);
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "DDS (Euler)",
	.paper = "Denoising Diffusion Samplers, arXiv 2302.13834; as in Single-Step Consistent "
		 "Diffusion Samplers, arXiv 2502.07579",
	.version = 1,
	.state_size = sizeof(struct dds_euler),
	.options = options,
	.presets = presets,
	.notes = notes,
	.passes = passes,
	.init = init,
	CONTROLLED_HOOKS,
};
