/* Time-reversed diffusion sampler (DIS, arXiv 2211.01364), in the variants of the OSDS repository
 * (preset osds-paper), of Beyond-ELBOs (beyond-elbos) and of sde_sampler (scds-paper, scds-paper-fb).
 *
 * The noising process dX = -b X dt + sigma dW, sigma = sigma0 sqrt(2 b), leaves the prior N(0, sigma0^2 I)
 * invariant. Its reversal is learned as a control u, with t from 1 (prior) to 0 (target):
 *
 *     x' = x + (b x + sigma u) dt + s eps,  s = sigma sqrt(dt)                                  (1)
 *     log w = log rho(x_0) - log p0(x_N) + sum [ log B(x; x') - log N(x'; x + (b x + sigma u) dt, s^2) ]
 *     B(x; x') = N(x; x' - b x' dt, s^2)                                             kernels    (2)
 *     log w = log rho(x_0) - log p0(x_N) - sum [ |u|^2 dt/2 + u.eps sqrt(dt) - D B ],
 *     B = b dt, or the integral of b                                           line integral    (3)
 *     x' = x + (b x + sigma u/2) dt                                    probability flow         (4)
 *
 * (2) is exact in discrete time, (3) as dt -> 0 only. The loss is the mean of -log w, without the term
 * in eps of (3), or the variance of log w. The control's feature is
 *
 *     (1 - t) grad log rho                                   osds-paper
 *     sigma [ (1 - t) grad log rho + t grad log p0 ]         beyond-elbos                       (5)
 *     [ (1 - t) grad log rho + t grad log p0 ], times sigma behind its clip                 scds-paper
 *
 * scds-paper-fb has B of (2) with the coefficients of the step's end, b' and sigma', and, as released
 * (published_sign), with mean x' + b' x' dt: of the wrong sign, so that log w has no meaning. The
 * released target-to-prior passes (published_forward) are not exact either: that of the OSDS repository
 * leaves the state out of the generation's mean, that of Beyond-ELBOs takes u before the step. */
#include "run/controlled.h"

enum { FORM_KERNEL, FORM_LINE };
enum { FEATURE_TARGET, FEATURE_BRIDGE };
enum { B_COSINE, B_LINEAR };
enum { VOLUME_START, VOLUME_INTEGRAL };

struct dis {
	struct controlled base;
	int preset, form, feature, schedule, volume;
	double sigma0, beta_min, beta_max;
	bool end_coefficients, published_sign;
};

static const char *const papers[] = { "osds-paper", "beyond-elbos", "scds-paper", "scds-paper-fb",
	NULL };
static const char *const forms[] = { "kernel", "line", NULL };
static const char *const features[] = { "target", "bridge", NULL };
static const char *const schedules[] = { "cosine", "linear", NULL };
static const char *const volumes[] = { "start", "integral", NULL };
#define O(field) offsetof(struct dis, field)
static const struct option options[] = {
	{ "preset", OPTION_CHOICE, O(preset), "osds-paper", 0, 0, "", "variant of which paper",
		papers },
	CONTROLLED_OPTIONS(struct dis),
	{ "form", OPTION_CHOICE, O(form), "kernel", 0, 0, "",
		"weight in the loss: ratio of kernels, or line integral", forms },
	{ "feature", OPTION_CHOICE, O(feature), "target", 0, 0, "",
		"score in the control: the target's, or interpolated to the prior's", features },
	{ "sigma0", OPTION_REAL, O(sigma0), "1", 1e-6, 1e6, "", "standard deviation of the prior",
		NULL },
	{ "schedule", OPTION_CHOICE, O(schedule), "cosine", 0, 0, "", "b over time", schedules },
	{ "beta_min", OPTION_REAL, O(beta_min), "0.01", 1e-9, 1e3, "", "twice b at the target",
		NULL },
	{ "beta_max", OPTION_REAL, O(beta_max), "10", 1e-9, 1e3, "", "twice b at the prior", NULL },
	{ "volume", OPTION_CHOICE, O(volume), "start", 0, 0, "",
		"divergence of the line integral: b at a step's start, or integrated (b linear)",
		volumes },
	{ "end_coefficients", OPTION_BOOL, O(end_coefficients), "false", 0, 0, "",
		"noising kernel of the loss with b and sigma at the step's end", NULL },
	{ "published_sign", OPTION_BOOL, O(published_sign), "false", 0, 0, "",
		"noising kernel of the loss with the released code's sign, which is wrong", NULL },
	{ 0 },
};
#undef O

#define SCDS_DIS CONTROLLED_SCDS ",feature=bridge,schedule=linear,beta_min=0.1"
static const struct preset presets[] = {
	{ "osds-paper", "gmm40_2d", "sigma0=40,rate=1e-4" },
	{ "osds-paper", "many_well_5", "sigma0=0.1,rate=1e-5" },
	{ "osds-paper", "planar_robot", "sigma0=2,rate=1e-3" },
	{ "osds-paper", "gmm40_50d", "sigma0=40" },
	{ "osds-paper", "gmm10_2d", "sigma0=15" },
	{ "osds-paper", "student10_50d", "sigma0=15" },
	{ "osds-paper", "brownian", "sigma0=0.1" },
	{ "osds-paper", "lgcp", "sigma0=0.1,rate=1e-4" },
	{ "beyond-elbos", NULL, "batch=2000,form=line,feature=bridge" },
	{ "beyond-elbos", "gmm40_2d", "sigma0=40" },
	{ "beyond-elbos", "gmm40_50d", "sigma0=40" },
	{ "beyond-elbos", "gmm10_2d", "sigma0=15" },
	{ "beyond-elbos", "student10_2d", "sigma0=15" },
	{ "beyond-elbos", "student10_50d", "sigma0=15" },
	{ "beyond-elbos", "brownian", "sigma0=0.1" },
	{ "beyond-elbos", "lgcp", "sigma0=0.1,rate=1e-4" },
	{ "scds-paper", NULL, SCDS_DIS ",form=line,volume=integral" },
	{ "scds-paper-fb", NULL, SCDS_DIS ",form=kernel,end_coefficients=true" },
	{ 0 },
};

enum { KERNEL, LINE, FLOW };
static const struct pass passes[] = {
	[KERNEL] = { "sde", "SDE", WEIGHTS_EXACT, true },
	[LINE] = { "line", "SDE, line integral", WEIGHTS_BIASED, true },
	[FLOW] = { "ode", "flow", WEIGHTS_NONE, true },
	{ NULL, NULL, 0, false },
};

static double b_at(const struct dis *s, double t)
{
	return s->schedule == B_COSINE ? schedule_cosine(t, s->beta_min, s->beta_max)
				       : 0.5 * schedule_linear(t, s->beta_min, s->beta_max);
}

/* The coefficients of a step: what the control sees; b dt, sigma, s of eq. 1 and 1/s; the volume of
 * eq. 3; and b' dt, 1/s'^2 and D log(s'/s) of the kernel B. */
struct moment {
	struct var time, t, pull, sigma, s, inverse, volume;
	struct var pull_back, precision_back, log_ratio;
	double dt;
};

static struct moment moment_of_scan(const struct dis *s, struct graph *g, size_t k, bool to_prior,
	bool end, struct arena *a)
{
	enum { COLUMNS = 10 };
	double *v[COLUMNS], dt = 1 / (double)k;
	struct var at[COLUMNS];

	for (int j = 0; j < COLUMNS; j++)
		v[j] = ARENA_NEW(a, k, double);
	for (size_t i = 0; i < k; i++) {
		double t = (double)(to_prior ? i + 1 : k - i) / (double)k;
		double b = b_at(s, t), next = b_at(s, t - dt), back = end ? next : b;
		double deviation = s->sigma0 * sqrt(2 * b * dt);
		double deviation_back = s->sigma0 * sqrt(2 * back * dt);
		v[0][i] = controlled_time(&s->base, t, 1);
		v[1][i] = t;
		v[2][i] = b * dt;
		v[3][i] = s->sigma0 * sqrt(2 * b);
		v[4][i] = deviation;
		v[5][i] = 1 / deviation;
		v[6][i] = (s->volume == VOLUME_START ? b : 0.5 * (b + next)) * dt;
		v[7][i] = back * dt;
		v[8][i] = 1 / (deviation_back * deviation_back);
		v[9][i] = log(deviation_back / deviation);
	}
	for (int j = 0; j < COLUMNS; j++)
		at[j] = by_step(g, k, 1, v[j]);
	return (struct moment){ at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7], at[8],
		at[9], dt };
}

/* Eq. 5 at x. */
static struct var feature_at(const struct dis *s, struct moment m, struct var x)
{
	struct var to_target = mul(sub(constant(x.g, 1), m.t), controlled_score(&s->base, x));

	if (s->feature == FEATURE_TARGET)
		return to_target;
	struct var to_prior = scale(-1 / (s->sigma0 * s->sigma0), mul(m.t, x));
	struct var bridge = add(to_target, to_prior);
	return s->base.network == NETWORK_OSDS ? mul(m.sigma, bridge) : bridge;
}

static struct var steer(const struct dis *s, struct moment m, struct var x, size_t k,
	struct var feature)
{
	return controlled_control(&s->base, 0,
		(struct sight){ .x = x,
			.time = m.time,
			.score = feature,
			.sigma = m.sigma,
			.k = k });
}

/* What eq. 1 (share = 1) and eq. 4 (share = 1/2) add to x, noise apart. */
static struct var drift(struct moment m, struct var x, struct var u, double share)
{
	return add(mul(m.pull, x), scale(share * m.dt, mul(m.sigma, u)));
}

/* -log B(x; next), its normaliser shared with the generation's kernel left out: eq. 2. sign -1 is the
 * noising process, 1 the released one. */
static struct var noising_cost(struct moment m, struct var x, struct var next, double sign)
{
	struct var away = sub(x, add(next, scale(sign, mul(m.pull_back, next))));
	struct var ratio = scale((double)var_cols(x), m.log_ratio);

	return add(scale(0.5, mul(m.precision_back, dot(away, away))), ratio);
}

/* Paths from the prior by eq. 1, with the weights of eq. 2 or eq. 3. */
static struct graph *record_sde(const struct dis *s, struct cell *c, size_t k, bool training,
	bool line, struct arena *a)
{
	const struct controlled *base = &s->base;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var x0 = scale(s->sigma0, controlled_prior(base, g, training, false, c->dim));
	struct var none = { NULL, 0 };

	scan_begin(g, k);
	struct moment m = moment_of_scan(s, g, k, false, training && s->end_coefficients, a);
	struct var x = label(scan_state(x0), "x"), feature = feature_at(s, m, x);
	struct var u = label(steer(s, m, x, k, feature), "u");
	struct var eps = controlled_noise(base, g, training, c->dim);
	struct var push = controlled_push(base, training, u);
	struct var next = add(add(x, drift(m, x, push, 1)), mul(m.s, eps)); /* eq. 1 */
	struct var cost, work;
	if (line) { /* eq. 3 */
		struct var energy = scale(m.dt, controlled_energy(base, training, u, none));
		cost = sub(energy, scale((double)c->dim, m.volume));
		work = scale(sqrt(m.dt), dot(u, eps));
	} else { /* eq. 2: the generation's kernel has moved by eps + sqrt(dt) (push - u) of its s */
		struct var off = add(eps, scale(sqrt(m.dt), sub(push, u)));
		double sign = training && s->published_sign ? 1 : -1;
		cost = sub(noising_cost(m, x, next, sign), scale(0.5, dot(off, off)));
		work = zeros(g, 1);
	}
	struct var running = scan_total(label(cost, "running_step"));
	struct var stochastic = scan_total(label(work, "stochastic_step"));
	label(feature, "feature");
	scan_next(x, next);
	scan_end(g);

	struct var end = label(scan_last(x), "end");
	controlled_conclude(base, running, stochastic,
		sub(log_normal(x0, s->sigma0), log_density(end)));
	return g;
}

/* The same weights along the noising process from exact samples. */
static struct graph *record_back(const struct dis *s, struct cell *c, size_t k, bool line,
	struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var start = input(g, "x_exact", c->dim), none = { NULL, 0 };

	scan_begin(g, k);
	struct moment m = moment_of_scan(s, g, k, true, false, a);
	struct var x = label(scan_state(start), "x");
	struct var eps = label(normal(g, RNG_PATH_BACK, c->dim), "noise");
	struct var next = add(sub(x, mul(m.pull, x)), mul(m.s, eps));
	struct var u = steer(s, m, next, k, feature_at(s, m, next));
	struct var noise =
		mul(m.inverse, sub(x, add(next, drift(m, next, u, 1)))); /* eps of eq. 1 */
	struct var cost, work;
	if (line) {
		struct var energy = scale(m.dt, controlled_energy(&s->base, false, u, none));
		cost = sub(energy, scale((double)c->dim, m.volume));
		work = scale(sqrt(m.dt), dot(u, noise));
	} else {
		cost = scale(0.5, sub(dot(eps, eps), dot(noise, noise)));
		work = zeros(g, 1);
	}
	struct var running = scan_total(cost), stochastic = scan_total(work);
	scan_next(x, next);
	scan_end(g);

	struct var end = label(scan_last(x), "end");
	controlled_conclude(&s->base, running, stochastic,
		sub(log_normal(end, s->sigma0), log_density(start)));
	return g;
}

/* The released passes from exact samples. */
static struct graph *record_back_published(const struct dis *s, struct cell *c, size_t k,
	struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var start = input(g, "x_exact", c->dim), none = { NULL, 0 };

	scan_begin(g, k);
	struct moment m = moment_of_scan(s, g, k, true, false, a);
	struct var x = label(scan_state(start), "x");
	struct var eps = label(normal(g, RNG_PATH_BACK, c->dim), "noise");
	struct var next = add(sub(x, mul(m.pull, x)), mul(m.s, eps));
	struct var cost, work;
	if (s->form == FORM_LINE) {
		struct var u = steer(s, m, x, k, feature_at(s, m, x));
		struct var energy = scale(m.dt, controlled_energy(&s->base, false, u, none));
		cost = sub(scale((double)c->dim, m.volume), energy);
		work = scale(sqrt(m.dt), dot(u, eps));
	} else {
		struct var u = steer(s, m, x, k, feature_at(s, m, next));
		struct var away = mul(m.inverse, sub(x, drift(m, x, u, 1)));
		cost = scale(0.5, sub(dot(away, away), dot(eps, eps)));
		work = zeros(g, 1);
	}
	struct var running = scan_total(cost), stochastic = scan_total(work);
	scan_next(x, next);
	scan_end(g);

	struct var end = label(scan_last(x), "end");
	controlled_conclude(&s->base, running, stochastic,
		sub(log_normal(end, s->sigma0), log_density(start)));
	return g;
}

/* The flow, eq. 4. */
static struct graph *record_ode(const struct dis *s, struct cell *c, size_t k, struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var x0 = scale(s->sigma0, controlled_prior(&s->base, g, false, true, c->dim));

	scan_begin(g, k);
	struct moment m = moment_of_scan(s, g, k, false, false, a);
	struct var x = label(scan_state(x0), "x");
	struct var u = label(steer(s, m, x, k, feature_at(s, m, x)), "u");
	scan_next(x, add(x, drift(m, x, u, 0.5)));
	scan_end(g);
	label(scan_last(x), "end");
	return g;
}

static struct graph *record_paths(const void *state, struct cell *c, size_t k, bool training,
	struct arena *a)
{
	const struct dis *s = state;

	return record_sde(s, c, k, training, s->form == FORM_LINE, a);
}

static struct graph *record_forward(const void *state, struct cell *c, size_t k, bool published,
	struct arena *a)
{
	const struct dis *s = state;

	return published ? record_back_published(s, c, k, a)
			 : record_back(s, c, k, s->form == FORM_LINE, a);
}

static struct graph *graph(void *state, struct cell *c, const char *what, size_t steps,
	struct arena *a)
{
	if (strcmp(what, "ode") == 0)
		return record_ode(state, c, steps, a);
	return controlled_graph(state, c, what, steps, a);
}

static int sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	struct dis *s = state;
	struct arena_mark mark = arena_mark(c->arena);
	struct graph *paths, *back = NULL;
	bool line = pass == &passes[LINE];

	if (pass == &passes[FLOW]) {
		paths = record_ode(s, c, steps, c->arena);
	} else {
		paths = record_sde(s, c, steps, false, line, c->arena);
		back = s->base.published_forward ? record_back_published(s, c, steps, c->arena)
						 : record_back(s, c, steps, line, c->arena);
	}
	controlled_run(&s->base, c, paths, back, repeat, d);
	arena_release(c->arena, mark);
	return OK;
}

static int init(void *state, struct cell *c)
{
	return controlled_init(state, c, CONTROL_LERP, false, record_paths, record_forward);
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "DIS",
	.paper = "Time-reversed Diffusion Sampler, arXiv 2211.01364; as in One-Step Diffusion "
		 "Samplers, arXiv 2512.05251, Beyond ELBOs, arXiv 2406.07423, and Single-Step "
		 "Consistent Diffusion Samplers, arXiv 2502.07579",
	.version = 1,
	.state_size = sizeof(struct dis),
	.options = options,
	.presets = presets,
	.passes = passes,
	.init = init,
	.iterations = controlled_iterations,
	.train = controlled_train,
	.sample = sample,
	.graph = graph,
	.params = controlled_params,
};
