#ifndef STRIDE_RUN_CONTROLLED_H
#define STRIDE_RUN_CONTROLLED_H

#include "stride.h"

/**
 * What path integral sampler, denoising diffusion sampler and their like share: a plain control net,
 * trained by Adam with elementwise clipping on a loss over whole paths. Put struct controlled first in
 * the method's state, CONTROLLED_OPTIONS first in its table, and the hooks below in its struct method.
 * methods-osds, section 7.
 */
struct controlled {
	long steps, batch, iterations;
	double rate, clip_element, noise_clip;
	bool published_forward;
	/* What the method itself records, given the whole state: paths from the prior in k steps, with
	 * training's clips or without, and from exact samples (the input "x_exact") backwards. */
	struct graph *(*paths)(const void *state, struct cell *c, size_t k, bool training,
		struct arena *a);
	struct graph *(*forward)(const void *state, struct cell *c, size_t k, bool published,
		struct arena *a);
	struct control_net net;
	struct learner learner;
	struct graph *loss;
};

/** Table entries for the fields of a struct controlled called `base` in `type`. */
#define CONTROLLED_OPTIONS(type)                                                                   \
	{ "iterations", OPTION_INT, offsetof(type, base.iterations), "40000", 1, 1e9, "",          \
		"training iterations", NULL },                                                     \
		{ "batch", OPTION_INT, offsetof(type, base.batch), "1024", 1, 1e6, "rows",         \
			"paths an iteration", NULL },                                              \
		{ "steps", OPTION_INT, offsetof(type, base.steps), "128", 2, 65536, "",            \
			"steps in training", NULL },                                               \
		{ "rate", OPTION_REAL, offsetof(type, base.rate), "5e-4", 0, 1, "",                \
			"learning rate of Adam", NULL },                                           \
		{ "clip_element", OPTION_REAL, offsetof(type, base.clip_element), "1", 1e-9, 1e9,  \
			"", "largest element of the gradient", NULL },                             \
		{ "noise_clip", OPTION_REAL, offsetof(type, base.noise_clip), "4", 1, 100, "",     \
			"largest element of the noise in training", NULL },                        \
	{                                                                                          \
		"published_forward", OPTION_BOOL, offsetof(type, base.published_forward), "false", \
			0, 0, "", "released target-to-prior pass: its weights are not exact", NULL \
	}

/** The method's init(): lay out and initialise net and learner, record the loss. bias_init as in
 *  control_net_layout; paths and forward as in struct controlled. */
int controlled_init(void *state, struct cell *c, double bias_init,
	struct graph *(*paths)(const void *state, struct cell *c, size_t k, bool training,
		struct arena *a),
	struct graph *(*forward)(const void *state, struct cell *c, size_t k, bool published,
		struct arena *a));

/* Hooks of struct method. Training is one Adam update on the loss an iteration, reported as the curve
 * "loss". The graphs are "loss", "sde", "sde_forward" and "sde_forward_published". */
long controlled_iterations(const void *state);
int controlled_train(void *state, struct cell *c, long it);
int controlled_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d);
struct graph *controlled_graph(void *state, struct cell *c, const char *what, size_t steps,
	struct arena *a);
real *controlled_params(void *state, size_t *n);
void controlled_keep(void *state, struct checkpoint *k);

/** The noise of a step: clipped in training, as published, and not in evaluation, so that weights are
 *  exact. Labelled "noise". */
struct var controlled_noise(const struct controlled *base, struct graph *g, bool training,
	size_t dim);

/** log N(x; 0, deviation^2 I): one column. */
struct var log_normal(struct var x, double deviation);

/** Label the costs; loss = running + terminal, log w = -(running + stochastic + terminal). */
void controlled_conclude(struct var running, struct var stochastic, struct var terminal);

#endif
