/* Denoising diffusion sampler (DDS, arXiv 2302.13834), in the variants of the JAX code bases (preset
 * osds-paper) and of sde_sampler (preset scds-paper).
 *
 * A stationary Ornstein-Uhlenbeck chain with law N(0, sigma0^2 I) is steered by the control u:
 *
 *     u  = u(x, t, grad log rho(x))                                                             (1)
 *     x' = alpha x + beta^2 u + beta sigma0 eps,  alpha = sqrt(1 - beta^2)                      (2)
 *     loss = E[ sum beta^2 |u|^2/(2 sigma0^2) + log p0(x_0) - log rho(x_0) ]                    (3)
 *     log w = -( sum [ beta^2 |u|^2/2 + beta sigma0 u.eps ]/sigma0^2 + log p0(x_0) - log rho(x_0) )  (4)
 *
 * The chain is reversible, so (4) is exact in discrete time, and so is the target-to-prior pass, which
 * evaluates u at the state that the noising step leads to. With published_forward it is evaluated
 * before that step, as in the JAX code: exact only as the steps go to infinity. The variant scds-paper
 * trains on the variance of (4) instead of (3); its beta^2 are the increments of a time grid. */
#include "run/controlled.h"

enum { BETA_OSDS, BETA_TIMES };

struct dds {
	struct controlled base;
	int preset, schedule;
	double sigma0, noise_scale, horizon;
};

static const char *const papers[] = { "osds-paper", "scds-paper", "beyond-elbos", "scds-paper-kl",
	NULL };
static const char *const schedules[] = { "osds", "times", NULL };
#define O(field) offsetof(struct dds, field)
static const struct option options[] = {
	{ "preset", OPTION_CHOICE, O(preset), "osds-paper", 0, 0, "", "variant of which paper",
		papers },
	CONTROLLED_OPTIONS(struct dds),
	{ "sigma0", OPTION_REAL, O(sigma0), "1", 1e-6, 1e6, "", "standard deviation of the prior",
		NULL },
	{ "schedule", OPTION_CHOICE, O(schedule), "osds", 0, 0, "",
		"beta^2: that of the JAX code, or the increments of a time grid", schedules },
	{ "noise_scale", OPTION_REAL, O(noise_scale), "6", 1e-6, 1e6, "",
		"scale of beta^2 before it is clipped to 1, osds", NULL },
	{ "horizon", OPTION_REAL, O(horizon), "12.8", 1e-6, 1e6, "", "end of the time grid, times",
		NULL },
	{ 0 },
};
#undef O

/* What the OSDS repository and Beyond-ELBOs have in common. */
#define JAX_PRESETS(paper)                                                                   \
	{ paper, "gmm40_2d", "sigma0=40" }, { paper, "gmm40_50d", "sigma0=40" },             \
		{ paper, "gmm10_2d", "sigma0=15" }, { paper, "student10_50d", "sigma0=15" }, \
		{ paper, "sonar", "rate=1e-3" }, { paper, "seeds", "sigma0=0.1,rate=1e-4" }, \
		{ paper, "brownian", "sigma0=1e-4,rate=0.1" },                               \
	{                                                                                    \
		paper, "lgcp", "sigma0=0.1,rate=1e-4"                                        \
	}
static const struct preset presets[] = {
	JAX_PRESETS("osds-paper"),
	{ "osds-paper", "many_well_5", "sigma0=0.1,rate=1e-5" },
	{ "osds-paper", "planar_robot", "sigma0=2,rate=1e-3" },
	{ "beyond-elbos", NULL, "batch=2000" },
	JAX_PRESETS("beyond-elbos"),
	{ "beyond-elbos", "student10_2d", "sigma0=15" },
	/* 256 steps asked for make 257, 128 make 129. */
	{ "scds-paper", NULL, CONTROLLED_SCDS ",steps=257,schedule=times" },
	{ "scds-paper-kl", NULL, CONTROLLED_SCDS_KL ",steps=129,schedule=times,horizon=6.4" },
	{ 0 },
};

static const struct note notes[] = {
	{ "published_forward=true", "JAX codes: the released target-to-prior pass takes u before "
				    "the step, which is exact only as the steps go to infinity." },
	{ "kept", "JAX codes: the schedule's last entry is used twice, its first never." },
	{ "kept", "SCDS and sde_sampler: a step more than asked for, the last of length 0." },
	CONTROLLED_NOTE_JAX,
	CONTROLLED_NOTE_PRIOR,
	CONTROLLED_NOTE_KL,
	{ 0 },
};

static const struct pass passes[] = {
	{ "", "", WEIGHTS_EXACT, true },
	{ NULL, NULL, 0, false },
};

/* A step's coefficients: time, alpha, beta^2, beta. */
struct moment {
	struct var time, alpha, square, beta;
	const double *t; /* as the oracle has it: steps, not time, count */
	size_t k;
};

/* Time and beta of the k steps in the order of the generation. sde_sampler keeps its times in float,
 * which makes the last increment exactly 0. */
static void schedule_of(const struct dds *s, size_t k, double *time, double *beta, struct arena *a)
{
	double *table = ARENA_NEW(a, k + 1, double);

	if (s->schedule == BETA_TIMES)
		schedule_dds_times(k, s->horizon, table);
	else
		schedule_dds(k, s->noise_scale, table);
	for (size_t i = 0; i < k; i++) {
		if (s->schedule == BETA_TIMES) {
			time[i] = (double)(float)table[i];
			beta[i] = fmin(sqrt((double)(float)table[i + 1] - time[i]), 1);
		} else {
			time[i] = controlled_time(&s->base, (double)(k - i) / (double)k, 1);
			beta[i] = table[k - i];
		}
	}
}

static struct moment moment_of_scan(const struct dds *s, struct graph *g, size_t k, bool backwards,
	struct arena *a)
{
	double *time = ARENA_NEW(a, k, double), *table = ARENA_NEW(a, k, double);
	double *v = ARENA_NEW(a, 5 * k, double);

	schedule_of(s, k, time, table, a);
	for (size_t i = 0; i < k; i++) {
		size_t j = backwards ? k - 1 - i : i;
		double beta = table[j];
		v[i] = time[j];
		v[k + i] = sqrt(1 - beta * beta);
		v[2 * k + i] = beta * beta;
		v[3 * k + i] = beta;
		v[4 * k + i] = (double)(k - j) / (double)k;
	}
	return (struct moment){ by_step(g, k, 1, v), by_step(g, k, 1, v + k),
		by_step(g, k, 1, v + 2 * k), by_step(g, k, 1, v + 3 * k), v + 4 * k, k };
}

/* Eq. 1. sde_sampler's u is ours over sigma0^2. */
static struct var steer(const struct dds *s, struct moment m, struct var x, struct var *feature)
{
	double unit = s->base.network == NETWORK_SCDS ? s->sigma0 * s->sigma0 : 1;

	*feature = controlled_score(&s->base, x);
	return scale(unit, controlled_control(&s->base, 0,
				   (struct sight){ .x = x,
					   .time = m.time,
					   .score = *feature,
					   .t = m.t,
					   .k = m.k }));
}

static struct graph *record_paths(const void *state, struct cell *c, size_t k, bool training,
	struct arena *a)
{
	const struct dds *s = state;
	const struct controlled *base = &s->base;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var x0 = scale(s->sigma0, controlled_prior(base, g, training, false, c->dim));
	struct var none = { NULL, 0 };
	double precision = 1 / (s->sigma0 * s->sigma0);

	scan_begin(g, k);
	struct moment m = moment_of_scan(s, g, k, false, a);
	struct var x = label(scan_state(x0), "x"), feature;
	struct var u = label(steer(s, m, x, &feature), "u");
	struct var eps = controlled_noise(base, g, training, c->dim);
	struct var push = mul(m.square, controlled_push(base, training, u));
	struct var kick = scale(s->sigma0, mul(m.beta, eps));
	scan_next(x, add(mul(m.alpha, x), add(push, kick))); /* eq. 2 */
	struct var energy = mul(m.square, controlled_energy(base, training, u, none));
	struct var running = scan_total(label(scale(precision, energy), "running_step"));
	struct var stochastic = scan_total(
		label(scale(1 / s->sigma0, mul(m.beta, dot(u, eps))), "stochastic_step"));
	label(feature, "feature");
	scan_end(g);

	struct var end = label(scan_last(x), "end");
	controlled_conclude(base, running, stochastic,
		sub(log_gaussian(end, s->sigma0), log_density(end))); /* eq. 3, 4 */
	return g;
}

/* From exact samples by the reference's own kernel, which is its reversal too. The weight of a step
 * from x to y is N(x; alpha y, .)/N(x; alpha y + beta^2 u(y), .). */
static struct graph *record_forward(const void *state, struct cell *c, size_t k, bool published,
	struct arena *a)
{
	const struct dds *s = state;
	const struct noising n = controlled_noising(c, k, a);
	double precision = 1 / (s->sigma0 * s->sigma0);

	struct moment m = moment_of_scan(s, n.g, k, true, a);
	struct var x = n.x, eps = n.eps, feature;
	struct var kick = scale(s->sigma0, mul(m.beta, eps));
	struct var next = add(mul(m.alpha, x), kick);
	struct var u = steer(s, m, published ? x : next, &feature);
	struct var work = dot(u, published ? kick : sub(x, mul(m.alpha, next)));
	struct var running = scan_total(scale(-0.5 * precision, mul(m.square, dot(u, u))));
	struct var stochastic = scan_total(scale(precision, work));
	scan_next(x, next);
	scan_end(n.g);

	label(scan_last(x), "end");
	controlled_conclude(&s->base, running, stochastic,
		sub(log_gaussian(n.start, s->sigma0), log_density(n.start)));
	return n.g;
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
	return controlled_init(state, c, CONTROL_SCORE, false, record_paths, record_forward);
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "DDS",
	.paper = "Denoising Diffusion Samplers, arXiv 2302.13834; as in One-Step Diffusion "
		 "Samplers, arXiv 2512.05251, Beyond ELBOs, arXiv 2406.07423, and Single-Step "
		 "Consistent Diffusion Samplers, arXiv 2502.07579",
	.version = 2,
	.state_size = sizeof(struct dds),
	.options = options,
	.presets = presets,
	.notes = notes,
	.passes = passes,
	.init = init,
	.check_steps = check_steps,
	CONTROLLED_HOOKS,
};
