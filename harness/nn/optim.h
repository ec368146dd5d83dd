#ifndef STRIDE_NN_OPTIM_H
#define STRIDE_NN_OPTIM_H

#include "core/arena.h"
#include "core/real.h"
#include "nn/graph.h"

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
	double l2;           /* added to the gradient: l2 * theta (torch.optim.Adam) */
	double weight_decay; /* AdamW: theta -= rate * weight_decay * theta, on every parameter */
};

/** Optimiser state over one flat vector. */
struct optimiser {
	size_t n;
	long count; /* steps made */
	real *m, *v;
};

void optimiser_init(struct optimiser *o, size_t n, struct arena *a);

/** One step: theta [n] is updated, grad [n] is overwritten (cleaned and clipped). */
void adam_step(struct optimiser *o, const struct adam *s, real *theta, real *grad);

/** A trained flat vector: parameters, gradient, optimiser and its settings. */
struct learner {
	size_t n;
	real *theta, *grad;
	struct optimiser optimiser;
	struct adam settings;
};

/** n parameters, zero; the settings are the caller's to fill in. */
void learner_init(struct learner *l, size_t n, struct arena *a);

/** One update from the gradient of g's loss at l->theta (args->params[0] is set to it), scaled by
 *  `factor` before zeroing and clipping. Returns the loss before the update. */
double learner_step(struct learner *l, struct graph *g, struct graph_args *args, double factor);

/** average <- decay average + (1 - decay) theta. */
void ema_update(size_t n, double decay, real *average, const real *theta);

/** Factor on the learning rate at this step: gamma^(number of milestones <= step). */
double step_schedule(const long *milestones, size_t n, double gamma, long step);

#endif
