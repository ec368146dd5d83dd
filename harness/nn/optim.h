#ifndef STRIDE_NN_OPTIM_H
#define STRIDE_NN_OPTIM_H

#include "core/arena.h"
#include "core/checkpoint.h"
#include "core/real.h"
#include "nn/graph.h"

#include <stdbool.h>
#include <stddef.h>

enum clipping { CLIP_NONE, CLIP_NORM, CLIP_ELEMENT };

/** Settings of a gradient step, in the order in which they act: NaN entries become 0, clipping,
 *  L2 added to the gradient, Adam, decoupled weight decay. */
struct adam {
	double rate;         /* learning rate */
	double beta1, beta2; /* 0.9, 0.999 */
	double eps;          /* 1e-8, outside the root */
	enum clipping clip;
	double clip_bound;   /* global norm, or largest element */
	double clip_slack;   /* added to the norm before it is compared: 1e-6 in PyTorch */
	double l2;           /* added to the gradient: l2 * theta (torch.optim.Adam) */
	double weight_decay; /* AdamW: theta -= rate * weight_decay * theta, on every parameter */
	double decay;        /* the rate is multiplied by it every decay_every steps */
	long decay_every;    /* 0: the rate is constant */
	bool skip; /* leave a step out when the loss or an entry of the gradient is not finite; NaN
		      entries become 0 otherwise */
};

/** Optimiser state over one flat vector. */
struct optimiser {
	size_t n;
	long count; /* steps made */
	real *m, *v;
};

void optimiser_init(struct optimiser *o, size_t n, struct arena *a);

/** One step: theta [n] is updated, grad [n] is overwritten (cleaned and clipped). settings.skip is the
 *  learner's business. */
void adam_step(struct optimiser *o, const struct adam *s, real *theta, real *grad);

/** A moving average of the parameters for evaluation, as in sde_sampler: every `every` steps it is the
 *  parameters themselves up to step `from`, then moves to them by 1 - decay, decay = 1 - (1 +
 *  e)^-power of e = step - from - 1, at most `most` and 0 for e <= 0. */
struct averaging {
	long every; /* 0: none */
	long from;
	double power, most;
};

/** The learning rate of step n = 0, 1, ... */
double adam_rate(const struct adam *s, long n);

/** What the average keeps of itself when it moves at step n = 1, 2, ...: 0, it becomes the parameters. */
double averaging_decay(const struct averaging *s, long n);

/** A trained flat vector: parameters, gradient, optimiser and its settings. */
struct learner {
	size_t n;
	real *theta, *grad;
	struct optimiser optimiser;
	struct adam settings;
	struct averaging averaging;
	real *average;
};

/** n parameters, zero, no averaging, whatever was in *l; the settings are the caller's to fill in
 *  afterwards. */
void learner_init(struct learner *l, size_t n, struct arena *a);

/** Average from now on: the average starts as theta. */
void learner_average(struct learner *l, struct averaging how, struct arena *a);

/** What evaluation runs with: the average, or theta when there is none. */
real *learner_evaluated(const struct learner *l);

/** One update from the gradient of g's loss at l->theta (args->params[0] is set to it), scaled by
 *  `factor` before zeroing and clipping. Returns the loss before the update; NaN when the step was left
 *  out, so that a training which makes no step for long shows. */
double learner_step(struct learner *l, struct graph *g, struct graph_args *args, double factor);

/** As the second half of learner_step: an update from the gradient in l->grad of this loss. false: it
 *  was left out. */
bool learner_update(struct learner *l, double loss);

/** What training changes, for a checkpoint: the pieces' names begin with `name`. */
void learner_keep(struct learner *l, const char *name, struct checkpoint *k);

/** average <- decay average + (1 - decay) theta. */
void ema_update(size_t n, double decay, real *average, const real *theta);

/** Factor on the learning rate at this step: gamma^(number of milestones <= step). */
double step_schedule(const long *milestones, size_t n, double gamma, long step);

#endif
