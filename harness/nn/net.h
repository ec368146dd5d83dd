#ifndef STRIDE_NN_NET_H
#define STRIDE_NN_NET_H

#include "nn/graph.h"

/**
 * The control network of the JAX code bases (OSDS repository, Beyond-ELBOs): Fourier features of
 * time, a state encoder and a grad net on them, a trunk on [x, state encoding];
 * u = clip(trunk, outer_clip) + grad_net * clip(score feature, inner_clip).
 */
struct control_net {
	size_t dim, hidden;
	bool step_conditioned; /* embeds (t, d), both in (0, 1]; otherwise the raw time code alone
				*/
	double inner_clip, outer_clip;
	double bias_init; /* bias of the grad net's last layer at the start: 1 for PIS, DDS, OSDS */
	struct slice phase;        /* [1][frequencies] */
	struct slice state_enc[4]; /* kernel, bias, kernel, bias */
	struct slice grad_net[8];
	struct slice trunk[6];
	size_t n_params;
};

/** Lay the network out in a flat vector, in the order of the published code: phase, state encoder,
 *  grad net, trunk; each layer kernel [in][out] then bias. */
void control_net_layout(struct control_net *net, size_t dim, bool step_conditioned,
	double bias_init);

/** Published initialisation: truncated LeCun normals, zero biases and phases; last kernels 1e-8. */
void control_net_init(const struct control_net *net, uint64_t seed, real *params);

/** u(x, t, d, feature) with parameter set `set`. t and d have one column; d is ignored (pass any
 * var) unless the net is step-conditioned. Counts a network evaluation. */
struct var control(const struct control_net *net, int set, struct var x, struct var t, struct var d,
	struct var feature);

#endif
