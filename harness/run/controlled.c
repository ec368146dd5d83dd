#include "run/controlled.h"

int controlled_init(void *state, struct cell *c, double bias_init,
	struct graph *(*paths)(const void *state, struct cell *c, size_t k, bool training,
		struct arena *a),
	struct graph *(*forward)(const void *state, struct cell *c, size_t k, bool published,
		struct arena *a))
{
	struct controlled *base = state;

	base->paths = paths;
	base->forward = forward;
	control_net_layout(&base->net, c->dim, false, bias_init);
	learner_init(&base->learner, base->net.n_params, c->arena);
	base->learner.settings = (struct adam){ .rate = base->rate,
		.beta1 = 0.9,
		.beta2 = 0.999,
		.eps = 1e-8,
		.clip = CLIP_ELEMENT,
		.clip_bound = base->clip_element };
	control_net_init(&base->net, c->seed, base->learner.theta);
	base->loss = paths(state, c, (size_t)base->steps, true, c->arena);
	return OK;
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

	cell_curve(c, "loss", it, learner_step(&base->learner, base->loss, &args, 1));
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

int controlled_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	const struct controlled *base = state;
	struct arena_mark mark = arena_mark(c->arena);

	(void)pass;
	cell_sample(c, base->paths(state, c, steps, false, c->arena), base->learner.theta, repeat,
		d);
	cell_sample_forward(c, base->forward(state, c, steps, base->published_forward, c->arena),
		base->learner.theta, repeat, d);
	arena_release(c->arena, mark);
	return OK;
}

struct var controlled_noise(const struct controlled *base, struct graph *g, bool training,
	size_t dim)
{
	struct var eps = label(normal(g, training ? RNG_NOISE : RNG_PATH, dim), "noise");

	return training ? clip(eps, base->noise_clip) : eps;
}

struct var log_normal(struct var x, double deviation)
{
	double log_norm = (double)var_cols(x) * (log(deviation) + 0.91893853320467274);

	return sub(scale(-0.5 / (deviation * deviation), dot(x, x)), constant(x.g, log_norm));
}

void controlled_conclude(struct var running, struct var stochastic, struct var terminal)
{
	label(running, "running");
	label(stochastic, "stochastic");
	label(terminal, "terminal");
	struct var cost = label(add(running, terminal), "cost");
	label(scale(-1, add(cost, stochastic)), "log_w");
	graph_loss(cost);
}
