/* One-step diffusion samplers via self-distillation and deterministic flow (OSDS, arXiv 2512.05251).
 *
 * The noising process dX = -beta X/2 dt + sigma dW, sigma = sigma0 sqrt(beta), leaves the prior
 * N(0, sigma0^2 I) invariant. One network u(x, t, d, l) steers every step length d at once, time t
 * running from 1 (prior) to 0 (target):
 *
 *     l  = sg( sigma [ (1 - t) grad log rho(x) + t grad log p0(x) ] )                          (1)
 *     x' = x + (beta x/2 + sigma u) d + sigma sqrt(d) eps               stochastic step        (2)
 *     x' = x + (beta x/2 + sigma u/2) d                                 step of the flow S     (3)
 *
 * An iteration makes two updates with one optimiser. First the sampling loss on paths of N steps,
 *
 *     E[ sum_c log N(x_{c-1}; m_f, s^2) - log N(x_c; x_{c-1} (1 - beta d/2), s^2)
 *        + log p0(x_N) - log rho(x_0) ],    s = sigma sqrt(d);                                 (4)
 *
 * then self-distillation from states x of these paths: two half steps of the teacher (the moving
 * average) against one of the student, their log volumes L, and the student's Jacobian J,
 *
 *     |x_T - x_S|^2/D + w_trace (L_1 + L_2 - L)^2 + w_jac |J v|^2/D,                            (5)
 *     L = d [ beta D/2 + sigma v^T J v/2 ],  J = du/dx with l held fixed.                       (6)
 *
 * Evaluation draws prior and noise without the clip that training has, so that the weights of the
 * stochastic sampler are exact; the flow's prior stays clipped, as published. */
#include "run/controlled.h"

struct osds {
	struct oracle oracle;
	long steps, batch, iterations;
	double sigma0, rate, weight_decay, clip_norm;
	double beta_min, beta_max;
	double distill_warmup, distill_weight, ema_decay, trace_weight, jacobian_weight;

	size_t dim;
	struct control_net net;
	struct learner learner;
	real *teacher;
	struct graph *sampling, *distill;
	real *x, *t, *d, *beta, *sigma, *beta_half, *sigma_half; /* inputs of the distillation */
	uint32_t *at_step, *length;
};

#define O(field) offsetof(struct osds, field)
static const struct option options[] = {
	{ "iterations", OPTION_INT, O(iterations), "60000", 1, 1e9, "", "training iterations",
		NULL },
	{ "batch", OPTION_INT, O(batch), "1024", 1, 1e6, "rows", "paths an iteration", NULL },
	{ "steps", OPTION_INT, O(steps), "128", 2, 65536, "", "steps N in training, a power of two",
		NULL },
	{ "sigma0", OPTION_REAL, O(sigma0), "1", 1e-6, 1e6, "", "standard deviation of the prior",
		NULL },
	{ "rate", OPTION_REAL, O(rate), "5e-4", 0, 1, "", "learning rate of AdamW", NULL },
	{ "weight_decay", OPTION_REAL, O(weight_decay), "0.1", 0, 10, "", "decoupled weight decay",
		NULL },
	{ "clip_norm", OPTION_REAL, O(clip_norm), "1", 1e-9, 1e9, "", "global norm of the gradient",
		NULL },
	{ "beta_min", OPTION_REAL, O(beta_min), "0.01", 0, 1e3, "", "twice beta at the target",
		NULL },
	{ "beta_max", OPTION_REAL, O(beta_max), "10", 0, 1e3, "", "twice beta at the prior", NULL },
	{ "distill_warmup", OPTION_REAL, O(distill_warmup), "2500", 1, 1e9, "iterations",
		"ramp of the distillation gradient", NULL },
	{ "distill_weight", OPTION_REAL, O(distill_weight), "0.25", 0, 1e3, "",
		"its factor after the ramp", NULL },
	{ "ema_decay", OPTION_REAL, O(ema_decay), "0.999", 0, 1, "", "decay of the teacher", NULL },
	{ "trace_weight", OPTION_REAL, O(trace_weight), "0.25", 0, 1e3, "", "w_trace of eq. 5",
		NULL },
	{ "jacobian_weight", OPTION_REAL, O(jacobian_weight), "1e-4", 0, 1e3, "", "w_jac of eq. 5",
		NULL },
	{ 0 },
};

static const struct preset presets[] = {
	CONTROLLED_OSDS_PRESETS(NULL),
	{ 0 },
};

static const struct note notes[] = {
	CONTROLLED_NOTE_FLOW,
	{ "training alone",
		"The code clips noise and prior at 4 deviations in evaluation too, so that weights "
		"are slightly off. Here evaluation is unclipped but for the prior of the flow." },
	{ 0 },
};

static const struct pass passes[] = {
	{ "ode", "flow", WEIGHTS_DETFLOW, true },
	{ "sde", "SDE", WEIGHTS_EXACT, true },
	{ NULL, NULL, 0, false },
};

/* Probes: of the two half steps and of J in the distillation, of the flow in evaluation. */
enum { PROBE_1 = RNG_USER, PROBE_2, PROBE_JACOBIAN, PROBE_FLOW, PROBE_FLOW_BACK };

static double beta_at(const struct osds *o, double t)
{
	return schedule_cosine(t, o->beta_min, o->beta_max);
}

static double sigma_at(const struct osds *o, double t)
{
	return o->sigma0 * sqrt(fmax(beta_at(o, t), 1e-20));
}

/* A step's coefficients: its time, its length d, beta and sigma there; of a stochastic step also the
 * deviation s of its noise and 1/s^2. */
struct moment {
	struct var t, d, beta, sigma, s, precision;
	const double *times; /* of a scan: t [k] */
	size_t k;
};

/* A scan's n of the k steps of length 1/k from the prior at t = 1, from step `first` on, or to it. */
static struct moment moment_of_part(const struct osds *o, struct graph *g, size_t k, size_t first,
	size_t n, bool to_prior, struct arena *a)
{
	double *t = ARENA_NEW(a, 5 * n, double), *beta = t + n, *sigma = beta + n;
	double *s = sigma + n, *precision = s + n, d = 1 / (double)k;

	for (size_t i = 0; i < n; i++) {
		t[i] = (double)(to_prior ? i + 1 : k - first - i) / (double)k;
		beta[i] = beta_at(o, t[i]);
		sigma[i] = sigma_at(o, t[i]);
		s[i] = sigma[i] * sqrt(d);
		precision[i] = 1 / (s[i] * s[i]);
	}
	return (struct moment){ by_step(g, n, 1, t), constant(g, d), by_step(g, n, 1, beta),
		by_step(g, n, 1, sigma), by_step(g, n, 1, s), by_step(g, n, 1, precision), t, n };
}

/* All k of them. */
static struct moment moment_of_scan(const struct osds *o, struct graph *g, size_t k, bool to_prior,
	struct arena *a)
{
	return moment_of_part(o, g, k, 0, k, to_prior, a);
}

/* The bracket of eq. 1 times sigma. */
static struct var bridge_score(const struct osds *o, struct moment m, struct var x)
{
	struct var to_target = mul(sub(constant(x.g, 1), m.t), score(x));
	struct var to_prior = scale(-1 / (o->sigma0 * o->sigma0), mul(m.t, x));

	return mul(m.sigma, add(to_target, to_prior));
}

/* u(x, t, d, l) with the parameters of `set`. */
static struct var steer_by(const struct osds *o, int set, struct moment m, struct var x,
	struct var feature)
{
	if (o->oracle.control != NULL)
		return o->oracle.control(o->oracle.context, x, m.times, m.k);
	return control(&o->net, set, x, m.t, m.d, feature);
}

/* The same with eq. 1. */
static struct var steer(const struct osds *o, int set, struct moment m, struct var x,
	struct var *feature)
{
	*feature = stop(bridge_score(o, m, x));
	return steer_by(o, set, m, x, *feature);
}

/* What eq. 2 (share = 1) and eq. 3 (share = 1/2) add to x, noise apart. */
static struct var drift(struct moment m, struct var x, struct var u, double share)
{
	return mul(m.d, add(scale(0.5, mul(m.beta, x)), scale(share, mul(m.sigma, u))));
}

/* Half of beta x d: how far the noising process pulls x in a step. */
static struct var pull(struct moment m, struct var x)
{
	return scale(0.5, mul(m.d, mul(m.beta, x)));
}

/* Eq. 6, with J v by forward mode. */
static struct var log_volume(const struct osds *o, struct moment m, struct var x, struct var u,
	struct var v)
{
	struct var trace = dot(v, jvp(u, x, v));
	struct var linear_part = scale(0.5 * (double)o->dim, m.beta);

	return mul(m.d, add(linear_part, scale(0.5, mul(m.sigma, trace))));
}

/* running and terminal cost, their sum as the loss, and the log weight. */
static void conclude(struct var running, struct var terminal)
{
	struct var cost = add(label(running, "running"), label(terminal, "terminal"));

	label(scale(-1, cost), "log_w");
	graph_loss(cost);
}

/* Paths from the prior by eq. 2 in k steps and their cost, eq. 4. */
static struct graph *record_sde(const struct osds *o, struct cell *c, size_t k, bool training,
	struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var z = label(normal(g, training ? RNG_PRIOR : RNG_SAMPLE, o->dim), "prior");
	struct var x0 = scale(o->sigma0, training ? clip(z, 4) : z);

	scan_begin(g, k);
	struct moment m = moment_of_scan(o, g, k, false, a);
	struct var x = label(scan_state(x0), "x"), feature;
	struct var u = label(steer(o, 0, m, x, &feature), "u");
	struct var eps = label(normal(g, training ? RNG_NOISE : RNG_PATH, o->dim), "noise");
	struct var next = add(add(x, drift(m, x, u, 1)), mul(m.s, eps)); /* eq. 2 */
	/* The two normalisers cancel, and next - m_f is s eps. */
	struct var back = sub(x, sub(next, pull(m, next)));
	struct var cost = sub(mul(m.precision, dot(back, back)), dot(eps, eps));
	struct var running = scan_total(scale(0.5, cost));
	label(feature, "feature");
	scan_next(x, next);
	scan_end(g);

	struct var end = label(scan_last(x), "end");
	conclude(running, sub(log_gaussian(x0, o->sigma0), log_density(end)));
	return g;
}

/* The same paths backwards, from exact samples by the noising kernel. */
static struct graph *record_sde_forward(const struct osds *o, struct cell *c, size_t k,
	struct arena *a)
{
	const struct noising n = controlled_noising(c, k, a);

	struct moment m = moment_of_scan(o, n.g, k, true, a);
	struct var x = n.x, eps = n.eps, feature;
	struct var next = add(sub(x, pull(m, x)), mul(m.s, eps));
	struct var u = steer(o, 0, m, next, &feature);
	struct var ahead = sub(x, add(next, drift(m, next, u, 1)));
	struct var cost = sub(dot(eps, eps), mul(m.precision, dot(ahead, ahead)));
	struct var running = scan_total(scale(0.5, cost));
	scan_next(x, next);
	scan_end(n.g);

	struct var end = label(scan_last(x), "end");
	conclude(running, sub(log_gaussian(end, o->sigma0), log_density(n.start)));
	return n.g;
}

/* The flow's prior. */
static struct var flow_prior(const struct osds *o, struct graph *g)
{
	return scale(o->sigma0, clip(label(normal(g, RNG_SAMPLE, o->dim), "prior"), 4));
}

/* The flow in k steps with its published log weight: from the prior by eq. 3, or from exact samples
 * by explicit Euler steps of opposite sign. */
static struct graph *record_ode(const struct osds *o, struct cell *c, size_t k, bool to_prior,
	struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var start = to_prior ? input(g, "x_exact", o->dim) : flow_prior(o, g);

	scan_begin(g, k);
	struct moment m = moment_of_scan(o, g, k, to_prior, a);
	struct var x = label(scan_state(start), "x"), feature;
	struct var u = steer(o, 0, m, x, &feature);
	struct var v =
		label(rademacher(g, to_prior ? PROBE_FLOW_BACK : PROBE_FLOW, o->dim), "probe");
	struct var volume = scan_total(log_volume(o, m, x, u, v));
	struct var move = drift(m, x, u, 0.5);
	scan_next(x, to_prior ? sub(x, move) : add(x, move)); /* eq. 3 */
	scan_end(g);

	struct var end = label(scan_last(x), "end");
	struct var terminal = to_prior ? sub(log_gaussian(end, o->sigma0), log_density(start))
				       : sub(log_gaussian(start, o->sigma0), log_density(end));
	label(volume, "volume");
	conclude(scale(-1, volume), terminal);
	return g;
}

/* Eq. 3, n times. */
static struct graph *flow(void *state, struct cell *c, size_t k, size_t first, size_t n,
	const real **params, struct arena *a)
{
	const struct osds *o = state;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var start =
		first == 0 ? label(flow_prior(o, g), "start") : input(g, "start", o->dim);

	scan_begin(g, n);
	struct moment m = moment_of_part(o, g, k, first, n, false, a);
	struct var x = scan_state(start), feature;
	struct var u = steer(o, 0, m, x, &feature);
	scan_next(x, add(x, drift(m, x, u, 0.5)));
	scan_end(g);
	label(scan_last(x), "end");
	*params = o->learner.theta;
	return g;
}

/* Eq. 3 as a map: its derivative goes through l, and so through the score. */
static int map(void *state, struct cell *c, const struct pass *pass, size_t k, size_t step,
	struct flow_map *out, struct arena *a)
{
	const struct osds *o = state;

	if (strcmp(pass->name, "ode") != 0)
		return OK;
	TRY(cell_smooth_score(c));
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var start = input(g, "x", o->dim), v = input(g, "v", o->dim);
	scan_begin(g, 1);
	struct moment m = moment_of_part(o, g, k, step, 1, false, a);
	struct var x = scan_state(start);
	struct var u = steer_by(o, 0, m, x, bridge_score(o, m, x));
	struct var y = label(add(x, drift(m, x, u, 0.5)), "y");
	label(jvp(y, x, v), "dy");
	scan_next(x, y);
	scan_end(g);
	*out = (struct flow_map){ g, o->learner.theta, o->sigma0 };
	return OK;
}

/* One step S of the flow from x, and its log volume along the probe v. */
static struct var flow_step(const struct osds *o, int set, struct moment m, struct var x,
	struct var v, struct var *u, struct var *volume)
{
	struct var feature;

	*u = steer(o, set, m, x, &feature);
	*volume = log_volume(o, m, x, *u, v);
	return whole(add(x, drift(m, x, *u, 0.5)));
}

/* Eq. 5: rows start at x with a time and a step length of their own. */
static struct graph *record_distillation(const struct osds *o, struct cell *c, struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var x = input(g, "x", o->dim), t = input(g, "t", 1), d = input(g, "d", 1);
	struct var half = scale(0.5, d);
	struct var v1 = label(rademacher(g, PROBE_1, o->dim), "probe_1");
	struct var v2 = label(rademacher(g, PROBE_2, o->dim), "probe_2");
	struct var vj = label(rademacher(g, PROBE_JACOBIAN, o->dim), "probe_jacobian");
	struct moment full = { .t = t,
		.d = d,
		.beta = input(g, "beta", 1),
		.sigma = input(g, "sigma", 1) };
	struct moment first = full, last = { .t = sub(t, half),
		.d = half,
		.beta = input(g, "beta_half", 1),
		.sigma = input(g, "sigma_half", 1) };
	struct var u, volume, volume_1, volume_2;

	first.d = half;
	struct var x_mid = flow_step(o, 1, first, x, v1, &u, &volume_1);
	struct var x_teacher = flow_step(o, 1, last, x_mid, v2, &u, &volume_2);
	struct var x_student = flow_step(o, 0, full, x, v1, &u, &volume);

	double mean = 1 / (double)o->dim;
	struct var away = sub(x_teacher, x_student);
	struct var gap = sub(add(volume_1, volume_2), volume);
	struct var jv = jvp(u, x, vj);
	struct var l_state = label(scale(mean, dot(away, away)), "L_state");
	struct var l_trace = label(mul(gap, gap), "L_trace");
	struct var l_jac = label(scale(mean, dot(jv, jv)), "L_jac");
	label(x_mid, "x_mid");
	label(x_teacher, "x_teacher");
	label(x_student, "x_student");
	label(volume_1, "volume_1");
	label(volume_2, "volume_2");
	label(volume, "volume");
	graph_loss(label(add(l_state, add(scale(o->trace_weight, l_trace),
					      scale(o->jacobian_weight, l_jac))),
		"total"));
	return g;
}

/* The control and the flow's map at single points, and their derivatives along v: of u with l held
 * fixed, and of the map whole, through l as well. For inspection. */
static struct graph *record_points(const struct osds *o, struct cell *c, struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var x = input(g, "x", o->dim), v = input(g, "v", o->dim), feature;
	struct moment m = { .t = input(g, "t", 1),
		.d = input(g, "d", 1),
		.beta = input(g, "beta", 1),
		.sigma = input(g, "sigma", 1) };
	struct var u = label(steer(o, 0, m, x, &feature), "u");
	struct var through = steer_by(o, 0, m, x, bridge_score(o, m, x));

	label(feature, "feature");
	label(jvp(u, x, v), "du");
	label(jvp(add(x, drift(m, x, through, 0.5)), x, v), "dx");
	label(log_density(x), "log_rho");
	return g;
}

static struct graph *graph(void *state, struct cell *c, const char *what, size_t steps,
	struct arena *a)
{
	const struct osds *o = state;

	if (strcmp(what, "loss") == 0)
		return record_sde(o, c, steps, true, a);
	if (strcmp(what, "points") == 0)
		return record_points(o, c, a);
	if (strcmp(what, "distillation") == 0)
		return record_distillation(o, c, a);
	if (strcmp(what, "sde") == 0)
		return record_sde(o, c, steps, false, a);
	if (strcmp(what, "sde_forward") == 0)
		return record_sde_forward(o, c, steps, a);
	if (strcmp(what, "ode") == 0)
		return record_ode(o, c, steps, false, a);
	if (strcmp(what, "ode_forward") == 0)
		return record_ode(o, c, steps, true, a);
	return NULL;
}

static int check_steps(const void *state, size_t steps)
{
	return controlled_divides(PLUGIN_NAME, ((const struct osds *)state)->steps, steps);
}

static int init(void *state, struct cell *c)
{
	struct osds *o = state;
	size_t n = (size_t)o->batch;

	TRY(check_steps(o, (size_t)o->steps));
	o->dim = c->dim;
	control_net_layout(&o->net, o->dim, true, 1);
	learner_init(&o->learner, o->net.n_params, c->arena);
	o->learner.settings = (struct adam){ .rate = o->rate,
		.beta1 = 0.9,
		.beta2 = 0.999,
		.eps = 1e-8,
		.clip = CLIP_NORM,
		.clip_bound = o->clip_norm,
		.weight_decay = o->weight_decay };
	control_net_init(&o->net, c->seed, o->learner.theta);
	o->teacher = ARENA_NEW(c->arena, o->net.n_params, real);
	memcpy(o->teacher, o->learner.theta, o->net.n_params * sizeof(real));
	o->sampling = record_sde(o, c, (size_t)o->steps, true, c->arena);
	o->distill = record_distillation(o, c, c->arena);
	o->x = ARENA_NEW(c->arena, n * o->dim, real);
	o->t = ARENA_NEW(c->arena, 6 * n, real);
	o->d = o->t + n;
	o->beta = o->d + n;
	o->sigma = o->beta + n;
	o->beta_half = o->sigma + n;
	o->sigma_half = o->beta_half + n;
	o->at_step = ARENA_NEW(c->arena, n, uint32_t);
	o->length = ARENA_NEW(c->arena, n, uint32_t);
	return OK;
}

static long iterations(const void *state)
{
	return ((const struct osds *)state)->iterations;
}

/* Times, lengths and coefficients of the rows' distillations. */
static void draw_levels(struct osds *o, struct rng r)
{
	size_t steps = (size_t)o->steps;

	controlled_levels(r, steps, (size_t)o->batch, o->at_step, o->length);
	for (size_t i = 0; i < (size_t)o->batch; i++) {
		double t = (double)(steps - o->at_step[i]) / (double)steps;
		double d = (double)o->length[i] / (double)steps;
		o->t[i] = (real)t;
		o->d[i] = (real)d;
		o->beta[i] = (real)beta_at(o, t);
		o->sigma[i] = (real)sigma_at(o, t);
		o->beta_half[i] = (real)beta_at(o, t - d / 2);
		o->sigma_half[i] = (real)sigma_at(o, t - d / 2);
	}
}

static int train(void *state, struct cell *c, long it)
{
	struct osds *o = state;
	struct learner *l = &o->learner;
	const struct rng levels = { .seed = c->seed, .purpose = RNG_LEVEL, .epoch = (uint32_t)it };
	struct graph_args args = { .rows = (size_t)o->batch,
		.seed = c->seed,
		.epoch = (uint32_t)it };

	/* Eq. 4, keeping each row's state at the step where its distillation starts. */
	draw_levels(o, levels);
	const struct capture start = { "x", NULL, o->x, o->at_step };
	args.captures = &start;
	args.n_captures = 1;
	double loss = learner_step(l, o->sampling, &args, 1);
	ema_update(l->n, o->ema_decay, o->teacher, l->theta);
	cell_curve(c, "loss", it, loss);

	/* Eq. 5, with the gradient ramped up. */
	const struct binding inputs[] = { { "x", o->x, NULL }, { "t", o->t, NULL },
		{ "d", o->d, NULL }, { "beta", o->beta, NULL }, { "sigma", o->sigma, NULL },
		{ "beta_half", o->beta_half, NULL }, { "sigma_half", o->sigma_half, NULL } };
	args.n_captures = 0;
	args.inputs = inputs;
	args.n_inputs = sizeof(inputs) / sizeof(inputs[0]);
	args.params[1] = o->teacher;
	double ramp = o->distill_weight * fmin(1, (double)it / o->distill_warmup);
	loss = learner_step(l, o->distill, &args, ramp);
	ema_update(l->n, o->ema_decay, o->teacher, l->theta);
	cell_curve(c, "distillation loss", it, loss);
	return OK;
}

static int sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	const struct osds *o = state;
	bool ode = strcmp(pass->name, "ode") == 0;
	struct arena_mark mark = arena_mark(c->arena);

	cell_sample(c,
		ode ? record_ode(o, c, steps, false, c->arena)
		    : record_sde(o, c, steps, false, c->arena),
		o->learner.theta, repeat, d);
	cell_sample_forward(c,
		ode ? record_ode(o, c, steps, true, c->arena)
		    : record_sde_forward(o, c, steps, c->arena),
		o->learner.theta, repeat, d);
	arena_release(c->arena, mark);
	return OK;
}

static real *params(void *state, size_t *n)
{
	struct osds *o = state;

	*n = o->learner.n;
	return o->learner.theta;
}

static void keep(void *state, struct checkpoint *k)
{
	struct osds *o = state;

	learner_keep(&o->learner, "learner", k);
	checkpoint_add_passing(k, "teacher", o->teacher, o->learner.n * sizeof(real));
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "OSDS",
	.paper = "One-Step Diffusion Samplers via Self-Distillation and Deterministic Flow, "
		 "arXiv 2512.05251",
	.version = 1,
	.state_size = sizeof(struct osds),
	.options = options,
	.presets = presets,
	.notes = notes,
	.passes = passes,
	.init = init,
	.iterations = iterations,
	.train = train,
	.check_steps = check_steps,
	.sample = sample,
	.graph = graph,
	.flow = flow,
	.map = map,
	.params = params,
	.keep = keep,
};
