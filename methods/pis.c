/* Path integral sampler (PIS, arXiv 2111.15141), in the variants of the JAX code bases (preset
 * osds-paper) and of sde_sampler (preset scds-paper).
 *
 * Brownian motion of variance V, started at 0, is steered to the target by the control u:
 *
 *     u  = u(x, t, l),  l = (1 - t) grad log rho(x), or grad log rho(x) in scds-paper           (1)
 *     x' = x + sigma u dt + sigma sqrt(dt) eps                                                  (2)
 *     loss = E[ sum |u|^2 dt/2 + log N(x_0; 0, V I) - log rho(x_0) ]                            (3)
 *     log w = -( sum |u|^2 dt/2 + sum u.eps sqrt(dt) + log N(x_0; 0, V I) - log rho(x_0) )      (4)
 *
 * with t from 1 to 0 and V the sum of sigma^2 dt, so that (4) is exact in discrete time. The variant
 * scds-paper trains on the variance of (4) instead of (3), has a constant sigma and a horizon of 5. The
 * target-to-prior pass runs the Brownian bridge from an exact sample to 0, whose law is the
 * reference's; with published_forward it is the JAX code's, which loses the sample in its first step. */
#include "run/controlled.h"

enum { SIGMA_COSINE, SIGMA_CONSTANT };

struct pis {
	struct controlled base;
	int preset, schedule;
	double sigma_min, sigma_max, sigma, horizon;
	bool interpolate;
};

static const char *const papers[] = { "osds-paper", "scds-paper", "beyond-elbos", "scds-paper-kl",
	NULL };
static const char *const schedules[] = { "cosine", "constant", NULL };
#define O(field) offsetof(struct pis, field)
static const struct option options[] = {
	{ "preset", OPTION_CHOICE, O(preset), "osds-paper", 0, 0, "", "variant of which paper",
		papers },
	CONTROLLED_OPTIONS(struct pis),
	{ "schedule", OPTION_CHOICE, O(schedule), "cosine", 0, 0, "", "sigma over time",
		schedules },
	{ "sigma_min", OPTION_REAL, O(sigma_min), "0.01", 0, 1e6, "",
		"twice sigma at the target, cosine", NULL },
	{ "sigma_max", OPTION_REAL, O(sigma_max), "4", 1e-6, 1e6, "",
		"twice sigma at the start, cosine", NULL },
	{ "sigma", OPTION_REAL, O(sigma), "0.4472135954999579", 1e-6, 1e6, "", "sigma, constant",
		NULL },
	{ "horizon", OPTION_REAL, O(horizon), "1", 1e-6, 1e6, "", "time from start to target",
		NULL },
	{ "interpolate", OPTION_BOOL, O(interpolate), "true", 0, 0, "",
		"factor 1 - t on the score in the control", NULL },
	{ 0 },
};
#undef O

/* What the OSDS repository and Beyond-ELBOs have in common. */
#define JAX_PRESETS(paper)                                                                         \
	{ paper, "gmm40_2d", "sigma_max=160" }, { paper, "gmm40_50d", "sigma_max=160" },           \
		{ paper, "gmm10_2d", "sigma_max=60" }, { paper, "student10_50d", "sigma_max=60" }, \
		{ paper, "sonar", "rate=1e-3" }, { paper, "seeds", "rate=1e-3" },                  \
		{ paper, "brownian", "rate=1e-3" },                                                \
	{                                                                                          \
		paper, "lgcp", "rate=1e-4"                                                         \
	}
#define SCDS_PRESET ",schedule=constant,horizon=5,interpolate=false"
static const struct preset presets[] = {
	JAX_PRESETS("osds-paper"),
	{ "osds-paper", "many_well_5", "sigma_max=10,rate=1e-5" },
	{ "osds-paper", "planar_robot", "sigma_max=0.3,rate=1e-5" },
	{ "beyond-elbos", NULL, "batch=2000" },
	JAX_PRESETS("beyond-elbos"),
	{ "beyond-elbos", "student10_2d", "sigma_max=60" },
	{ "scds-paper", NULL, CONTROLLED_SCDS SCDS_PRESET },
	{ "scds-paper-kl", NULL, CONTROLLED_SCDS_KL SCDS_PRESET },
	{ 0 },
};

static const struct note notes[] = {
	{ "published_forward=true",
		"JAX codes: the released target-to-prior pass loses the exact sample in its first "
		"step, so that its weights are not of that sample." },
	CONTROLLED_NOTE_JAX,
	CONTROLLED_NOTE_KL,
	{ 0 },
};

static const struct pass passes[] = {
	{ "", "", WEIGHTS_EXACT, true },
	{ NULL, NULL, 0, false },
};

/* The coefficients of k steps: time, what is kept of the score, sigma, noise; and of the
 * bridge back, whose variance runs from V to 0. */
struct schedule {
	double *t, *time, *keep, *sigma, *noise, *shrink, *bridge, *inverse;
	double dt, variance;
};

/* The step at place i of the scan: i = 0 leaves the start, or arrives there. */
static struct schedule schedule_of(const struct pis *p, size_t k, bool backwards, struct arena *a)
{
	struct schedule s = { .dt = p->horizon / (double)k };
	double **arrays[] = { &s.t, &s.time, &s.keep, &s.sigma, &s.noise, &s.shrink, &s.bridge,
		&s.inverse };

	for (size_t j = 0; j < sizeof(arrays) / sizeof(arrays[0]); j++)
		*arrays[j] = ARENA_NEW(a, k, double);
	for (size_t j = 0; j < k; j++) { /* in the order of the generation */
		size_t i = backwards ? k - 1 - j : j;
		double t = (double)(k - j) / (double)k;
		s.t[i] = t;
		s.time[i] = controlled_time(&p->base, t, p->horizon);
		s.keep[i] = p->interpolate ? 1 - t : 1;
		s.sigma[i] = p->schedule == SIGMA_COSINE
				     ? schedule_cosine(t, p->sigma_min, p->sigma_max)
				     : p->sigma;
		s.noise[i] = s.sigma[i] * sqrt(s.dt);
		s.inverse[i] = 1 / s.sigma[i];
		double before = s.variance, step = s.noise[i] * s.noise[i];
		s.variance += step;
		s.shrink[i] = before / s.variance;
		s.bridge[i] = sqrt(before * step / s.variance);
	}
	return s;
}

/* Eq. 1. */
static struct var steer(const struct pis *p, const struct schedule *s, size_t k, struct var x,
	struct var *feature)
{
	*feature = mul(by_step(x.g, k, 1, s->keep), controlled_score(&p->base, x));
	return controlled_control(&p->base, 0,
		(struct sight){ .x = x,
			.time = by_step(x.g, k, 1, s->time),
			.score = *feature,
			.t = s->t,
			.k = k });
}

static struct graph *record_paths(const void *state, struct cell *c, size_t k, bool training,
	struct arena *a)
{
	const struct pis *p = state;
	const struct controlled *base = &p->base;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct schedule s = schedule_of(p, k, false, a);
	struct var origin = zeros(g, c->dim), none = { NULL, 0 };

	scan_begin(g, k);
	struct var x = label(scan_state(origin), "x"), feature;
	struct var u = label(steer(p, &s, k, x, &feature), "u");
	struct var eps = controlled_noise(base, g, training, c->dim);
	struct var push = mul(by_step(g, k, 1, s.sigma), controlled_push(base, training, u));
	struct var kick = mul(by_step(g, k, 1, s.noise), eps);
	scan_next(x, add(add(x, scale(s.dt, push)), kick)); /* eq. 2 */
	struct var energy = scale(s.dt, controlled_energy(base, training, u, none));
	struct var running = scan_total(label(energy, "running_step"));
	struct var stochastic =
		scan_total(label(scale(sqrt(s.dt), dot(u, eps)), "stochastic_step"));
	label(feature, "feature");
	scan_end(g);

	struct var end = label(scan_last(x), "end");
	controlled_conclude(base, running, stochastic,
		sub(log_gaussian(end, sqrt(s.variance)), log_density(end))); /* eq. 3, 4 */
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
	const struct noising n = controlled_noising(c, k, a);
	struct schedule s = schedule_of(p, k, true, a);

	if (published)
		use_published_bridge(&s, k);
	struct var x = n.x, eps = n.eps, feature;
	struct var next =
		add(mul(by_step(n.g, k, 1, s.shrink), x), mul(by_step(n.g, k, 1, s.bridge), eps));
	if (published)
		next = add(next, constant(n.g, 1e-8));
	struct var u = steer(p, &s, k, published ? x : next, &feature);
	struct var work = published ? scale(sqrt(s.dt), dot(u, eps))
				    : mul(by_step(n.g, k, 1, s.inverse), dot(u, sub(x, next)));
	struct var running = scan_total(scale(-0.5 * s.dt, dot(u, u)));
	struct var stochastic = scan_total(work);
	scan_next(x, next);
	scan_end(n.g);

	label(scan_last(x), "end");
	controlled_conclude(&p->base, running, stochastic,
		sub(log_gaussian(n.start, sqrt(s.variance)), log_density(n.start)));
	return n.g;
}

static int init(void *state, struct cell *c)
{
	return controlled_init(state, c, CONTROL_SCORE, false, record_paths, record_forward);
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "PIS",
	.paper = "Path Integral Sampler, arXiv 2111.15141; as in One-Step Diffusion Samplers, "
		 "arXiv 2512.05251, Beyond ELBOs, arXiv 2406.07423, and Single-Step Consistent "
		 "Diffusion Samplers, arXiv 2502.07579",
	.version = 2,
	.state_size = sizeof(struct pis),
	.options = options,
	.presets = presets,
	.notes = notes,
	.passes = passes,
	.init = init,
	CONTROLLED_HOOKS,
};
