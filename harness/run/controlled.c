#include "run/controlled.h"

/* Where network osds clips the prior's normals. */
static const double PRIOR_CLIP = 4;

const char *const controlled_networks[] = { "osds", "scds", NULL };
const char *const controlled_losses[] = { "kl", "lv", NULL };

/* --- training --------------------------------------------------------------------------------- */

void controlled_learner(struct controlled *base, size_t n_params, struct cell *c)
{
	bool norm = base->clip_norm > 0;

	learner_init(&base->learner, n_params, c->arena);
	base->learner.settings = (struct adam){ .rate = base->rate,
		.beta1 = 0.9,
		.beta2 = 0.999,
		.eps = 1e-8,
		.clip = norm                     ? CLIP_NORM
			: base->clip_element > 0 ? CLIP_ELEMENT
						 : CLIP_NONE,
		.clip_bound = norm ? base->clip_norm : base->clip_element,
		.clip_slack = base->network == NETWORK_SCDS ? 1e-6 : 0,
		.l2 = base->l2,
		.skip = base->network == NETWORK_SCDS };
	if (base->rate_decay < 1) {
		base->learner.settings.decay_every = 100;
		base->learner.settings.decay =
			pow(base->rate_decay, 100 / (double)base->iterations);
	}
}

int controlled_has_hessian(const struct cell *c)
{
	if (c->field->hvp != NULL)
		return OK;
	return fail(ERR_UNSUP,
		"loss = kl differentiates the score, and the target has no Hessian-vector "
		"products; loss = lv does without");
}

void controlled_start_average(struct controlled *base, struct cell *c)
{
	/* Trainings too short for the published numbers average over the same share of theirs. */
	bool brief = base->iterations < 20000;
	const struct averaging last = { .every = brief ? 1 : 5,
		.from = brief ? base->iterations * 37 / 40 : base->iterations - 1500,
		.power = 0.9,
		.most = 0.9999 };

	if (base->average)
		learner_average(&base->learner, last, c->arena);
}

int controlled_init(void *state, struct cell *c, enum control_form form, bool step_conditioned,
	struct graph *(*paths)(const void *state, struct cell *c, size_t k, bool training,
		struct arena *a),
	struct graph *(*forward)(const void *state, struct cell *c, size_t k, bool published,
		struct arena *a))
{
	struct controlled *base = state;

	if (base->score_gradient && base->loss == LOSS_KL)
		TRY(controlled_has_hessian(c));
	base->paths = paths;
	base->forward = forward;
	if (base->network == NETWORK_SCDS) {
		sde_net_layout(&base->sde, form, c->dim, step_conditioned, (size_t)base->width);
		controlled_learner(base, base->sde.n_params, c);
		sde_net_init(&base->sde, c->seed, base->learner.theta);
	} else {
		control_net_layout(&base->net, c->dim, step_conditioned, 1);
		controlled_learner(base, base->net.n_params, c);
		control_net_init(&base->net, c->seed, base->learner.theta);
	}
	controlled_start_average(base, c);
	controlled_ready(base);
	base->record = paths(state, c, (size_t)base->steps, true, c->arena);
	return OK;
}

int controlled_unpublished(const struct controlled *base, const char *method)
{
	if (!base->published_forward)
		return OK;
	return fail(ERR_RANGE,
		"option published_forward of %s: its released code has no target-to-prior pass; "
		"leave it false",
		method);
}

void controlled_ready(struct controlled *base)
{
	double bound = base->control_clip * schedule_clip(base->learner.optimiser.count);

	base->clips = (struct clips){ bound, bound };
}

double controlled_update(struct controlled *base, struct graph *g, struct graph_args *args,
	size_t dim)
{
	double factor = base->scale_loss ? 1 / (double)dim : 1;
	size_t dropped = 0;
	long before = base->learner.optimiser.count;

	controlled_ready(base);
	args->dropped = &dropped;
	double loss = factor * learner_step(&base->learner, g, args, factor);
	args->dropped = NULL;
	base->rows_left_out += dropped;
	base->updates_left_out += base->learner.optimiser.count == before;
	return loss;
}

void controlled_left_out(struct controlled *base, struct cell *c, long it)
{
	cell_curve_add(c, "rows left out", it, (double)base->rows_left_out);
	cell_curve_add(c, "updates left out", it, (double)base->updates_left_out);
	base->rows_left_out = base->updates_left_out = 0;
}

long controlled_iterations(const void *state)
{
	return ((const struct controlled *)state)->iterations;
}

int controlled_train(void *state, struct cell *c, long it)
{
	struct controlled *base = state;
	struct graph_args args = { .rows = (size_t)base->batch,
		.seed = c->seed,
		.epoch = (uint32_t)it };

	cell_curve(c, "loss", it, controlled_update(base, base->record, &args, c->dim));
	controlled_left_out(base, c, it);
	return OK;
}

real *controlled_params(void *state, size_t *n)
{
	struct controlled *base = state;

	*n = base->learner.n;
	return base->learner.theta;
}

void controlled_keep(void *state, struct checkpoint *k)
{
	struct controlled *base = state;

	learner_keep(&base->learner, "learner", k);
}

struct graph *controlled_graph(void *state, struct cell *c, const char *what, size_t steps,
	struct arena *a)
{
	const struct controlled *base = state;

	if (strcmp(what, "loss") == 0 || strcmp(what, "sde") == 0)
		return base->paths(state, c, steps, strcmp(what, "loss") == 0, a);
	if (strcmp(what, "sde_forward") == 0 || strcmp(what, "sde_forward_published") == 0)
		return base->forward(state, c, steps, strcmp(what, "sde_forward") != 0, a);
	return NULL;
}

void controlled_run(struct controlled *base, struct cell *c, struct graph *paths,
	struct graph *back, uint32_t repeat, struct draws *d)
{
	const real *params = learner_evaluated(&base->learner);

	controlled_ready(base);
	cell_sample(c, paths, params, repeat, d);
	if (back != NULL)
		cell_sample_forward(c, back, params, repeat, d);
}

int controlled_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	struct controlled *base = state;
	struct arena_mark mark = arena_mark(c->arena);
	struct graph *paths = base->paths(state, c, steps, false, c->arena);

	(void)pass;
	d->biased = base->published_forward;
	controlled_run(base, c, paths,
		base->forward(state, c, steps, base->published_forward, c->arena), repeat, d);
	arena_release(c->arena, mark);
	return OK;
}

void controlled_levels(struct rng r, size_t steps, size_t n, uint32_t *place, uint32_t *length)
{
	uint64_t scales = 0;

	while (steps >> (scales + 1) > 0)
		scales++;
	for (size_t i = 0; i < n; i++) {
		length[i] = (uint32_t)2 << rng_below(r, 0, i, 0, scales);
		place[i] = (uint32_t)rng_below(r, 0, i, 1, steps / length[i]) * length[i];
	}
}

int controlled_divides(const char *method, long training, size_t steps)
{
	if ((training & (training - 1)) != 0)
		return fail(ERR_RANGE, "option steps of %s is %ld; it takes a power of two", method,
			training);
	if (steps == 0 || (size_t)training % steps != 0)
		return fail(ERR_RANGE, "steps %zu does not divide the %ld steps of training", steps,
			training);
	return OK;
}

/* --- what paths are made of ------------------------------------------------------------------- */

double controlled_time(const struct controlled *base, double t, double horizon)
{
	return base->network == NETWORK_OSDS ? t * (double)base->steps : horizon * (1 - t);
}

struct var controlled_time_of(const struct controlled *base, struct var t)
{
	if (base->network == NETWORK_OSDS)
		return scale((double)base->steps, t);
	return sub(constant(t.g, 1), t);
}

struct var controlled_score(const struct controlled *base, struct var x)
{
	struct var s = score(x);

	return base->score_gradient || base->through ? s : stop(s);
}

struct var controlled_control(const struct controlled *base, int set, struct sight s)
{
	struct var d = s.length.g != NULL ? s.length : s.time;

	if (base->oracle.control != NULL)
		return base->oracle.control(base->oracle.context, s.x, s.t, s.k);
	if (base->network == NETWORK_OSDS)
		return control(&base->net, set, s.x, s.time, d,
			base->through ? s.score : stop(s.score));
	if (base->sde.form == CONTROL_LERP)
		return control_lerp(&base->sde, set, &base->clips, s.x, s.time, d, s.sigma,
			s.score);
	return control_score(&base->sde, set, &base->clips, s.x, s.time, d, s.score);
}

struct var controlled_prior(const struct controlled *base, struct graph *g, bool training,
	bool bounded, size_t dim)
{
	uint32_t purpose = training ? RNG_PRIOR : RNG_SAMPLE;
	bool bound = training || bounded;

	/* As released: the KL solvers of sde_sampler draw the whole prior. */
	if (base->network == NETWORK_SCDS && base->loss == LOSS_KL)
		bound = false;
	if (bound && base->network == NETWORK_SCDS)
		return label(truncated_normal(g, purpose, dim, CONTROLLED_BOUND), "prior");
	struct var z = label(normal(g, purpose, dim), "prior");
	return bound ? clip(z, PRIOR_CLIP) : z;
}

struct var controlled_noise(const struct controlled *base, struct graph *g, bool training,
	size_t dim)
{
	struct var eps = label(normal(g, training ? RNG_NOISE : RNG_PATH, dim), "noise");

	return training && base->noise_clip > 0 ? clip(eps, base->noise_clip) : eps;
}

struct noising controlled_noising(struct cell *c, size_t k, struct arena *a)
{
	struct noising n = { .g = graph_new(a, c->field, &c->counts) };

	n.start = input(n.g, "x_exact", c->dim);
	scan_begin(n.g, k);
	n.x = label(scan_state(n.start), "x");
	n.eps = label(normal(n.g, RNG_PATH_BACK, c->dim), "noise");
	return n;
}

static bool detached(const struct controlled *base, bool training)
{
	return training && base->loss == LOSS_LV;
}

struct var controlled_push(const struct controlled *base, bool training, struct var u)
{
	return detached(base, training) ? stop(u) : u;
}

struct var controlled_energy(const struct controlled *base, bool training, struct var u,
	struct var r)
{
	struct var v = r.g != NULL ? sub(u, r) : u;

	if (!detached(base, training))
		return scale(0.5, dot(v, v));
	struct var middle = scale(0.5, r.g != NULL ? add(u, r) : u);
	return dot(v, sub(stop(u), middle));
}

void controlled_conclude(const struct controlled *base, struct var running, struct var stochastic,
	struct var terminal)
{
	label(running, "running");
	label(stochastic, "stochastic");
	label(terminal, "terminal");
	struct var cost = label(add(running, terminal), "cost");
	struct var rnd = label(add(cost, stochastic), "rnd");
	label(scale(-1, rnd), "log_w");
	double bound = base->max_cost > 0 ? base->max_cost : (double)INFINITY;
	if (base->loss == LOSS_LV)
		graph_loss_by(rnd, (struct reduction){ REDUCE_KEPT_VARIANCE, bound, 0 });
	else if (base->network == NETWORK_SCDS)
		graph_loss_by(cost, (struct reduction){ REDUCE_KEPT_MEAN, (double)INFINITY, 0 });
	else
		graph_loss(cost);
}
