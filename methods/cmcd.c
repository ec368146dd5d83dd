/* Controlled Monte Carlo diffusions (CMCD, arXiv 2307.01050), and two samplers that are cases of it: Monte
 * Carlo diffusions (MCD, arXiv 2208.07698) and the bridge of unadjusted Langevin steps (ULA, arXiv
 * 2106.15921), as in Beyond ELBOs.
 *
 * Langevin steps follow the annealed densities from the prior p0 = N(0, sigma0^2 I) to the target, and a
 * control u makes up for what the steps lag behind. At step k of N, dt = 1/N,
 *
 *     log pi_k = beta_k log rho + (1 - beta_k) log p0                                           (1)
 *     forward   N( x';  x  + sigma_k^2 (grad log pi_k(x)  + u(x, k)) dt,      2 sigma_k^2 dt I )  (2)
 *     backward  N( x ;  x' + sigma_k^2 (grad log pi_k(x') - u(x', k + 1)) dt, 2 sigma_k^2 dt I )  (3)
 *     log w = log rho(x_N) - log p0(x_0) + sum of log backward - log forward                    (4)
 *     loss = -E[ log w ]  (kl),  or the variance of log w along paths that are given  (lv)      (5)
 *
 * sigma_k = g_k softplus(c) with a cosine g, and beta_k the sum of softplus(b_0) ... softplus(b_k) over
 * that of all, are trained with the network: beta_0 is 1/N at the start, the last is 1. With k steps
 * instead of N, beta is read off the straight lines between these sums at the end of each step. Only the
 * score that the network sees is constant under differentiation: the loss kl needs the target's
 * Hessian-vector products. MCD has u in (3) alone, ULA no u.
 *
 * With a = sigma sqrt(dt/2), h the sum of the two drifts and eps the noise of a step,
 *
 *     x' = x + 2 a (eps + a drift),  log forward - log backward = a h.eps + a^2 |h|^2/2,        (6)
 *
 * and the same with the other sign for a step made by the backward kernel: the target-to-prior pass. With
 * published_forward that pass has the beta and sigma of the step behind, as released: its weights are not
 * exact. */
#include "run/controlled.h"

struct cmcd {
	struct controlled base;
	double sigma0, sigma_min, sigma_max, score_clip;
	bool controlled[2];                  /* has the kernel a control? FORWARDS, BACKWARDS */
	struct slice annealing, coefficient; /* b, c */
};

#define O(field) offsetof(struct cmcd, field)
static const struct option options[] = {
	CONTROLLED_TRAINING(struct cmcd),
	{ "loss", OPTION_CHOICE, O(base.loss), "kl", 0, 0, "",
		"mean cost along paths that carry the gradient, or variance of the cost along "
		"paths that do not",
		controlled_losses },
	{ "rate", OPTION_REAL, O(base.rate), "5e-4", 0, 1, "", "learning rate of Adam", NULL },
	{ "clip_element", OPTION_REAL, O(base.clip_element), "1", 0, 1e9, "",
		"largest element of the gradient; 0: none", NULL },
	{ "sigma0", OPTION_REAL, O(sigma0), "1", 1e-6, 1e6, "", "standard deviation of the prior",
		NULL },
	{ "sigma_min", OPTION_REAL, O(sigma_min), "0.01", 0, 1e6, "",
		"twice sigma at the target, before training", NULL },
	{ "sigma_max", OPTION_REAL, O(sigma_max), "1", 1e-6, 1e6, "",
		"twice sigma at the prior, before training", NULL },
	{ "score_clip", OPTION_REAL, O(score_clip), "1e4", 0, 1e30, "",
		"largest element of the target's score in the drifts; 0: none, as released", NULL },
	{ "published_forward", OPTION_BOOL, O(base.published_forward), "false", 0, 0, "",
		"released target-to-prior pass: its weights are not exact", NULL },
	{ 0 },
};
#undef O

/* many_well_5: the scale of the OSDS repository, whose learning rate is not known; that of its DIS. */
#define PRESETS_OF_ALL                                                                      \
	{ NULL, "gmm10_2d", "sigma0=15" }, { NULL, "student10_2d", "sigma0=15" },           \
		{ NULL, "student10_50d", "sigma0=15" },                                     \
		{ NULL, "many_well_5", "sigma0=0.1,rate=1e-5" },                            \
		{ NULL, "sonar", "sigma0=0.1,rate=1e-3" }, { NULL, "seeds", "sigma0=0.1" }, \
	{                                                                                   \
		NULL, "planar_robot", "sigma0=2,rate=1e-3"                                  \
	}

static const struct preset presets_cmcd[] = {
	PRESETS_OF_ALL,
	{ NULL, "gmm40_2d", "sigma0=40,sigma_max=10" },
	{ NULL, "gmm40_50d", "sigma0=40,sigma_max=10" },
	{ 0 },
};

static const struct preset presets_langevin[] = {
	PRESETS_OF_ALL,
	{ NULL, "funnel", "sigma_max=10" },
	{ NULL, "brownian", "sigma0=0.1,rate=1e-3" },
	{ 0 },
};

static const struct note notes[] = {
	{ "published_forward=true", "The released target-to-prior pass has beta and sigma of the "
				    "step behind: its weights are not exact." },
	{ "score_clip=0", "As released, the score in the drifts is not bounded, and overflows." },
	{ 0 },
};

static const struct pass passes[] = {
	{ "", "", WEIGHTS_EXACT, true },
	{ NULL, NULL, 0, false },
};

enum { FORWARDS, BACKWARDS };

/* Beta is read by a table of steps by steps. */
enum { STEPS_MAX = 4096 };

/* What a step of the scan has: beta and a, and for each kernel the time at the state that it leaves, 1 at
 * the prior and 0 at the target, and what the network calls this time. */
struct moment {
	struct var beta, a;
	const double *time[2];
	struct var code[2];
	size_t k;
};

/* A way through the steps. */
struct course {
	int kernel;          /* that makes the path */
	bool given;          /* the path is constant under differentiation */
	size_t late;         /* steps by which beta and sigma are those of one behind */
	uint32_t randomness; /* its noise */
};

static struct moment moment_of_scan(const struct cmcd *s, struct graph *g, const struct course *way,
	size_t k, struct arena *a)
{
	size_t n = (size_t)s->base.steps;
	double *time[2], *code[2], *size = ARENA_NEW(a, k, double);
	double *shares = ARENA_NEW(a, k * n, double);

	for (int kernel = FORWARDS; kernel <= BACKWARDS; kernel++) {
		time[kernel] = ARENA_NEW(a, k, double);
		code[kernel] = ARENA_NEW(a, k, double);
	}
	for (size_t i = 0; i < k; i++) {
		size_t j = way->kernel == FORWARDS ? i : k - 1 - i;
		for (size_t kernel = FORWARDS; kernel <= BACKWARDS; kernel++) {
			time[kernel][i] = 1 - (double)(j + kernel) / (double)k;
			/* The code that training gave this time. */
			code[kernel][i] = (double)(j + kernel) * (double)n / (double)k;
		}
		j += way->late;
		double t = 1 - (double)j / (double)k;
		size[i] = sqrt(0.5 / (double)k) * schedule_cosine(t, s->sigma_min, s->sigma_max);
		/* Of the n shares of beta those that are over at the end of the step, one perhaps in
		 * part. */
		double over = fmin((double)(j + 1) * (double)n / (double)k, (double)n);
		for (size_t share = 0; share < n; share++)
			shares[i * n + share] = fmin(fmax(over - (double)share, 0), 1);
	}
	struct var b = softplus(param(g, 0, s->annealing));
	struct var c = softplus(param(g, 0, s->coefficient));
	return (struct moment){ .beta = mul(dot(by_step(g, k, n, shares), b), reciprocal(sum(b))),
		.a = mul(by_step(g, k, 1, size), c),
		.time = { time[FORWARDS], time[BACKWARDS] },
		.code = { by_step(g, k, 1, code[FORWARDS]), by_step(g, k, 1, code[BACKWARDS]) },
		.k = k };
}

/* The drift over sigma^2 of the kernel that leaves x, where the target's score is rho_score. */
static struct var drift_of(const struct cmcd *s, const struct moment *m, int kernel, struct var x,
	struct var rho_score)
{
	const struct oracle *oracle = &s->base.oracle;
	struct var pull = scale(1 / (s->sigma0 * s->sigma0), x), u;
	struct var langevin = sub(mul(m->beta, add(rho_score, pull)), pull); /* eq. 1 */

	if (!s->controlled[kernel])
		return langevin;
	if (oracle->control != NULL)
		u = oracle->control(oracle->context, x, m->time[kernel], m->k);
	else
		u = control(&s->base.net, 0, x, m->code[kernel], m->code[kernel], stop(langevin));
	return kernel == FORWARDS ? add(langevin, u) : sub(langevin, u); /* eq. 2, 3 */
}

/* The target's score as the drifts have it. Whatever they are, eq. 4 is exact: bounded, they do not
 * overflow where a step is too long for the target. */
static struct var target_score(const struct cmcd *s, struct var x)
{
	return s->score_clip > 0 ? clip(score(x), s->score_clip) : score(x);
}

/* Walk k steps from start. Returns the sum of log forward - log backward, and where the walk ends. */
static struct var walk(const struct cmcd *s, const struct course *way, struct var start, size_t k,
	struct var *end, struct arena *a)
{
	struct graph *g = start.g;
	struct var start_score = target_score(s, start);

	scan_begin(g, k);
	struct moment m = moment_of_scan(s, g, way, k, a);
	struct var x = label(scan_state(start), "x"), x_score = scan_state(start_score);
	struct var eps = label(normal(g, way->randomness, var_cols(start)), "noise");
	struct var drift = label(drift_of(s, &m, way->kernel, x, x_score), "drift");
	struct var move = scale(2, mul(m.a, add(eps, mul(m.a, drift)))); /* eq. 6 */
	if (way->given) {
		move = stop(move);
		eps = sub(mul(reciprocal(scale(2, m.a)), move), mul(m.a, drift));
	}
	struct var next = add(x, move), next_score = target_score(s, next);
	struct var back = drift_of(s, &m, !way->kernel, next, next_score);
	struct var ah = mul(m.a, add(drift, back));
	struct var log_ratio = dot(ah, add(eps, scale(0.5, ah))); /* eq. 6 */
	struct var total = scan_total(way->kernel == FORWARDS ? log_ratio : scale(-1, log_ratio));
	scan_next(x, next);
	scan_next(x_score, next_score);
	scan_end(g);
	*end = label(scan_last(x), "end");
	return total;
}

static struct graph *record_paths(const void *state, struct cell *c, size_t k, bool training,
	struct arena *a)
{
	const struct cmcd *s = state;
	const struct course way = { .kernel = FORWARDS,
		.given = training && s->base.loss == LOSS_LV,
		.randomness = training ? RNG_NOISE : RNG_PATH };
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var z = label(normal(g, training ? RNG_PRIOR : RNG_SAMPLE, c->dim), "prior");
	struct var start = scale(s->sigma0, z), end;
	struct var running = walk(s, &way, start, k, &end, a);

	controlled_conclude(&s->base, running, constant(g, 0),
		sub(log_gaussian(start, s->sigma0), log_density(end))); /* eq. 4, 5 */
	return g;
}

static struct graph *record_forward(const void *state, struct cell *c, size_t k, bool published,
	struct arena *a)
{
	const struct cmcd *s = state;
	const struct course way = { .kernel = BACKWARDS,
		.late = published,
		.randomness = RNG_PATH_BACK };
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var start = input(g, "x_exact", c->dim), end;
	struct var running = walk(s, &way, start, k, &end, a);

	controlled_conclude(&s->base, running, constant(g, 0),
		sub(log_gaussian(end, s->sigma0), log_density(start)));
	return g;
}

static int prepare(struct cmcd *s, struct cell *c, bool forwards, bool backwards)
{
	const double one = 0.54132485461291809; /* log(1 + e^this) = 1 */
	size_t n = 0, steps = (size_t)s->base.steps;

	if (steps > STEPS_MAX)
		return fail(ERR_RANGE, "steps = %zu: an annealing that is learned has %d at most",
			steps, STEPS_MAX);
	if (s->base.loss == LOSS_KL)
		TRY(controlled_has_hessian(c));
	s->controlled[FORWARDS] = forwards;
	s->controlled[BACKWARDS] = backwards;
	if (forwards || backwards) {
		control_net_layout(&s->base.net, c->dim, false, 0);
		n = s->base.net.n_params;
	}
	s->annealing = (struct slice){ n, 1, steps };
	s->coefficient = (struct slice){ n + steps, 1, 1 };
	s->base.rate_decay = 1;
	controlled_learner(&s->base, n + steps + 1, c);
	if (n > 0)
		control_net_init(&s->base.net, c->seed, s->base.learner.theta);
	for (size_t i = 0; i < steps; i++)
		s->base.learner.theta[n + i] = 1;
	s->base.learner.theta[n + steps] = (real)one;
	s->base.paths = record_paths;
	s->base.forward = record_forward;
	s->base.record = record_paths(s, c, steps, true, c->arena);
	return OK;
}

static int init_cmcd(void *state, struct cell *c)
{
	return prepare(state, c, true, true);
}

static int init_mcd(void *state, struct cell *c)
{
	return prepare(state, c, false, true);
}

static int init_ula(void *state, struct cell *c)
{
	return prepare(state, c, false, false);
}

/* What the three have in common. */
#define BRIDGE                                                                               \
	.version = 1, .state_size = sizeof(struct cmcd), .options = options, .notes = notes, \
	.passes = passes, CONTROLLED_HOOKS

const METHOD(cmcd) = {
	.name = "cmcd",
	.title = "CMCD",
	.paper = "Transport meets Variational Inference: Controlled Monte Carlo Diffusions, arXiv "
		 "2307.01050; as in Beyond ELBOs, arXiv 2406.07423",
	.presets = presets_cmcd,
	.init = init_cmcd,
	BRIDGE,
};

const METHOD(mcd) = {
	.name = "mcd",
	.title = "MCD",
	.paper =
		"Score-Based Diffusion meets Annealed Importance Sampling, arXiv 2208.07698; as in "
		"Beyond ELBOs, arXiv 2406.07423",
	.presets = presets_langevin,
	.init = init_mcd,
	BRIDGE,
};

const METHOD(ula_bridge) = {
	.name = "ula_bridge",
	.title = "ULA bridge",
	.paper = "Monte Carlo Variational Auto-Encoders, arXiv 2106.15921; as in Beyond ELBOs, "
		 "arXiv 2406.07423",
	.presets = presets_langevin,
	.init = init_ula,
	BRIDGE,
};
