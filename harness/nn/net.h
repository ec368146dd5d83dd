#ifndef STRIDE_NN_NET_H
#define STRIDE_NN_NET_H

#include "nn/graph.h"

/**
 * The control network of the JAX code bases (OSDS repository, Beyond-ELBOs): Fourier features of
 * time, a state encoder and a grad net on them, a trunk on [x, state encoding];
 * u = clip(trunk, outer_clip) + grad_net * clip(score feature, inner_clip).
 */
struct control_net {
	size_t dim;
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

/* --- the networks of the PyTorch code base sde_sampler: SCDS, CDDS, DIS, PIS, DDS ------------- */

enum { SDE_WIDTH = 64, TIME_EMBED_LAYERS_MAX = 4 };

/** Time embedding: Fourier features at `width` frequencies, then `layers` dense layers with GELU (the
 * erf form, as everywhere in this code base) between them. */
struct time_embed {
	size_t layers;
	struct slice phase;                            /* [1][width], for sin and cos */
	struct slice dense[2 * TIME_EMBED_LAYERS_MAX]; /* kernel, bias, kernel, bias, ... */
};

/** FourierMLP: an affine map of x plus embeddings of the time and, if step-conditioned, of the step
 *  length; then three layers, each after a GELU. The student of CDDS is one of its own. */
struct fourier_mlp {
	size_t dim;
	bool step_conditioned;
	struct slice input[2];
	struct time_embed time, step;
	struct slice dense[6];
};

/** How the code base makes the control of its base network. */
enum control_form {
	CONTROL_LERP,   /* DIS, SCDS, teacher of CDDS */
	CONTROL_SCORE,  /* PIS, DDS */
	CONTROL_CLIPPED /* variants that see no score */
};

/** A control: the base network and, unless the form is CONTROL_CLIPPED, a time embedding with one
 *  output that scales the score. */
struct sde_net {
	enum control_form form;
	struct fourier_mlp base;
	struct time_embed score_scale;
	size_t n_params;
};

/** Bounds of the networks' values and of the score. Graphs read them when they run, so that a schedule
 *  may raise them while training: they outlive the graph. */
struct clips {
	double model, score;
};

/** Lay the network out from parameter *n_params on, which moves to its end, in the order of the
 *  published state dict: input, time, step, layers; each layer kernel [in][out] (there [out][in])
 *  then bias. */
void fourier_mlp_layout(struct fourier_mlp *net, size_t dim, bool step_conditioned, size_t width,
	size_t *n_params);

/** Layout of a control: the base network, then the scale of the score. The published width is
 *  SDE_WIDTH. */
void sde_net_layout(struct sde_net *net, enum control_form form, size_t dim, bool step_conditioned,
	size_t width);

/** Published initialisation: kernels and biases uniform within 1/sqrt(inputs), phases standard
 *  normal; the base network starts at 0 and the scale of the score at 1 (CONTROL_LERP) or 0.01. */
void sde_net_init(const struct sde_net *net, uint64_t seed, real *params);

/** The embedding of tau (one column). */
struct var time_embed(const struct time_embed *net, int set, struct var tau);

/** net(x, t, d); t and d have one column, d is ignored (pass any var) unless the net is
 *  step-conditioned. Counts a network evaluation. */
struct var fourier_mlp(const struct fourier_mlp *net, int set, struct var x, struct var t,
	struct var d);

/** (1 - w) a + w b, w with one column: with w = t / T, a the prior's score and b the target's, the
 *  feature of control_lerp. Either of a and b may be absent (g == NULL), which is 0. */
struct var lerp(struct var w, struct var a, struct var b);

/** u = clip(net(x, t, d)) + sigma clip(feature) clip(s(t)): CONTROL_LERP. */
struct var control_lerp(const struct sde_net *net, int set, const struct clips *clips, struct var x,
	struct var t, struct var d, struct var sigma, struct var feature);

/** u = clip(net(x, t, d)) + clip(score) clip(s(t)): CONTROL_SCORE. */
struct var control_score(const struct sde_net *net, int set, const struct clips *clips,
	struct var x, struct var t, struct var d, struct var target_score);

/** u = clip(net(x, t, d)): CONTROL_CLIPPED. */
struct var control_clipped(const struct sde_net *net, int set, const struct clips *clips,
	struct var x, struct var t, struct var d);

/* --- a plain network -------------------------------------------------------------------------- */

enum { MLP_LAYERS_MAX = 8 };

/** Dense layers with GELU (the erf form) between them. */
struct mlp {
	size_t layers;
	struct slice dense[2 * MLP_LAYERS_MAX]; /* kernel, bias, kernel, bias, ... */
	size_t n_params;
};

/** in -> width -> ... -> width -> out by `layers` layers, 1 to MLP_LAYERS_MAX. */
void mlp_layout(struct mlp *net, size_t in, size_t width, size_t layers, size_t out);

/** Kernels and biases uniform within 1/sqrt(inputs), PyTorch's default. Another `which`, other
 *  numbers from the same seed: for several networks of a method. */
void mlp_init(const struct mlp *net, uint64_t seed, uint32_t which, real *params);

/** net(x). Counts a network evaluation. */
struct var mlp(const struct mlp *net, int set, struct var x);

#endif
