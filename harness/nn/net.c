#include "nn/net.h"
#include "core/error.h"

#include <math.h>

/* Frequencies of the Fourier features, and the width of all hidden layers. */
enum { HIDDEN = 64, FREQUENCIES = 64 };
static const double FREQUENCY_FIRST = 0.1, FREQUENCY_LAST = 100;

static struct slice take(size_t *n_params, size_t rows, size_t cols)
{
	struct slice s = { *n_params, rows, cols };

	*n_params += rows * cols;
	return s;
}

/* A chain of dense layers through these widths: kernel, bias, kernel, bias, ... */
static void take_layers(size_t *n_params, size_t n, const size_t *widths, struct slice *out)
{
	for (size_t i = 0; i + 1 < n; i++) {
		out[2 * i] = take(n_params, widths[i], widths[i + 1]);
		out[2 * i + 1] = take(n_params, 1, widths[i + 1]);
	}
}

void control_net_layout(struct control_net *net, size_t dim, bool step_conditioned,
	double bias_init)
{
	size_t embedding = 2 * FREQUENCIES * (step_conditioned ? 2 : 1), *n = &net->n_params;

	*net = (struct control_net){ .dim = dim,
		.step_conditioned = step_conditioned,
		.inner_clip = 100,
		.outer_clip = 1e4,
		.bias_init = bias_init };
	net->phase = take(n, 1, FREQUENCIES);
	take_layers(n, 3, (size_t[]){ embedding, HIDDEN, HIDDEN }, net->state_enc);
	take_layers(n, 5, (size_t[]){ embedding, HIDDEN, HIDDEN, HIDDEN, dim }, net->grad_net);
	take_layers(n, 4, (size_t[]){ dim + HIDDEN, HIDDEN, HIDDEN, dim }, net->trunk);
}

/* A normal number restricted to two standard deviations, by trying columns of the counter. */
static double lecun_normal(struct rng r, uint64_t row)
{
	for (uint32_t trial = 0;; trial++) {
		double z = rng_gauss(r, 0, row, trial);
		if (fabs(z) < 2)
			return z;
	}
}

/* LeCun normal: variance 1 / fan_in after the truncation, whose own deviation is 0.8796... */
static void init_kernel(struct slice s, uint64_t seed, real *params)
{
	const struct rng r = { .seed = seed, .purpose = RNG_INIT };
	double scale = sqrt(1 / (double)s.rows) / 0.87962566103423978;

	for (size_t i = s.offset; i < s.offset + s.rows * s.cols; i++)
		params[i] = (real)(scale * lecun_normal(r, i));
}

static void init_constant(struct slice s, double value, real *params)
{
	for (size_t i = s.offset; i < s.offset + s.rows * s.cols; i++)
		params[i] = (real)value;
}

/* Kernels and biases of n slices; the last kernel is nearly 0. */
static void init_layers(const struct slice *s, size_t n, bool small_last, uint64_t seed,
	real *params)
{
	for (size_t i = 0; i < n; i += 2) {
		init_kernel(s[i], seed, params);
		init_constant(s[i + 1], 0, params);
	}
	if (small_last)
		init_constant(s[n - 2], 1e-8, params);
}

void control_net_init(const struct control_net *net, uint64_t seed, real *params)
{
	init_constant(net->phase, 0, params);
	init_layers(net->state_enc, 4, false, seed, params);
	init_layers(net->grad_net, 8, true, seed, params);
	init_constant(net->grad_net[7], net->bias_init, params);
	init_layers(net->trunk, 6, true, seed, params);
}

/* Rows first .. first + rows - 1 of a kernel. */
static struct slice rows_of(struct slice s, size_t first, size_t rows)
{
	return (struct slice){ s.offset + first * s.cols, rows, s.cols };
}

static struct var dense(struct var x, int set, const struct slice layer[2])
{
	return linear(x, set, layer[0], param(x.g, set, layer[1]));
}

/* A dense layer on the columns of a and b side by side, without putting them there. */
static struct var dense_pair(struct var a, struct var b, int set, const struct slice layer[2])
{
	size_t m = var_cols(a), n = var_cols(b);
	struct var half = linear(b, set, rows_of(layer[0], m, n), param(a.g, set, layer[1]));

	return linear(a, set, rows_of(layer[0], 0, m), half);
}

struct var control(const struct control_net *net, int set, struct var x, struct var t, struct var d,
	struct var feature)
{
	struct var ft = fourier(t, FREQUENCY_FIRST, FREQUENCY_LAST, set, net->phase);
	struct var state, grad;

	graph_count_network(x.g);
	if (net->step_conditioned) {
		struct var fd = fourier(d, FREQUENCY_FIRST, FREQUENCY_LAST, set, net->phase);
		state = dense_pair(ft, fd, set, net->state_enc);
		grad = dense_pair(ft, fd, set, net->grad_net);
	} else {
		state = dense(ft, set, net->state_enc);
		grad = dense(ft, set, net->grad_net);
	}
	state = dense(gelu_tanh(state), set, net->state_enc + 2);
	grad = dense(gelu_tanh(grad), set, net->grad_net + 2);
	grad = dense(gelu_tanh(grad), set, net->grad_net + 4);
	grad = dense(grad, set, net->grad_net + 6); /* no activation between the last two */

	struct var h = dense_pair(x, state, set, net->trunk);
	h = dense(gelu_tanh(h), set, net->trunk + 2);
	h = dense(gelu_tanh(h), set, net->trunk + 4);
	return add(clip(h, net->outer_clip), mul(grad, clip(feature, net->inner_clip)));
}

/* --- the networks of sde_sampler -------------------------------------------------------------- */

/* Layers of one width: in -> width -> ... -> width -> out. */
static void take_chain(size_t *n_params, size_t in, size_t width, size_t layers, size_t out,
	struct slice *dense)
{
	size_t widths[MLP_LAYERS_MAX + 1] = { in };

	invariant(layers >= 1 && layers <= MLP_LAYERS_MAX);
	for (size_t i = 1; i < layers; i++)
		widths[i] = width;
	widths[layers] = out;
	take_layers(n_params, layers + 1, widths, dense);
}

static void take_time_embed(struct time_embed *net, size_t layers, size_t width, size_t cols,
	size_t *n_params)
{
	invariant(layers <= TIME_EMBED_LAYERS_MAX);
	net->layers = layers;
	net->phase = take(n_params, 1, width);
	take_chain(n_params, 2 * width, width, layers, cols, net->dense);
}

void fourier_mlp_layout(struct fourier_mlp *net, size_t dim, bool step_conditioned, size_t width,
	size_t *n_params)
{
	*net = (struct fourier_mlp){ .dim = dim, .step_conditioned = step_conditioned };
	take_layers(n_params, 2, (size_t[]){ dim, width }, net->input);
	take_time_embed(&net->time, 2, width, width, n_params);
	if (step_conditioned)
		take_time_embed(&net->step, 2, width, width, n_params);
	take_layers(n_params, 4, (size_t[]){ width, width, width, dim }, net->dense);
}

void sde_net_layout(struct sde_net *net, enum control_form form, size_t dim, bool step_conditioned,
	size_t width)
{
	*net = (struct sde_net){ .form = form };
	fourier_mlp_layout(&net->base, dim, step_conditioned, width, &net->n_params);
	if (form != CONTROL_CLIPPED)
		take_time_embed(&net->score_scale, 4, width, 1, &net->n_params);
}

/* Kernels and biases of n layers: uniform within 1 / sqrt(inputs), PyTorch's default. */
static void init_uniform(const struct slice *layers, size_t n, struct rng r, real *params)
{
	for (size_t k = 0; k < 2 * n; k++) {
		double bound = 1 / sqrt((double)layers[k & ~(size_t)1].rows);
		size_t end = layers[k].offset + layers[k].rows * layers[k].cols;
		for (size_t i = layers[k].offset; i < end; i++)
			params[i] = (real)(bound * (2 * rng_uniform(r, 0, i, 0) - 1));
	}
}

static void init_time_embed(const struct time_embed *net, uint64_t seed, real *params)
{
	const struct rng r = { .seed = seed, .purpose = RNG_INIT };

	for (size_t i = net->phase.offset; i < net->phase.offset + net->phase.cols; i++)
		params[i] = (real)rng_gauss(r, 0, i, 0);
	init_uniform(net->dense, net->layers, r, params);
}

/* Make a network's last layer that constant. */
static void init_last(const struct slice layer[2], double value, real *params)
{
	init_constant(layer[0], 0, params);
	init_constant(layer[1], value, params);
}

static void fourier_mlp_init(const struct fourier_mlp *net, uint64_t seed, real *params)
{
	const struct rng r = { .seed = seed, .purpose = RNG_INIT };

	init_uniform(net->input, 1, r, params);
	init_time_embed(&net->time, seed, params);
	if (net->step_conditioned)
		init_time_embed(&net->step, seed, params);
	init_uniform(net->dense, 3, r, params);
	init_last(net->dense + 4, 0, params);
}

void sde_net_init(const struct sde_net *net, uint64_t seed, real *params)
{
	fourier_mlp_init(&net->base, seed, params);
	if (net->form == CONTROL_CLIPPED)
		return;
	init_time_embed(&net->score_scale, seed, params);
	init_last(net->score_scale.dense + 2 * (net->score_scale.layers - 1),
		net->form == CONTROL_LERP ? 1 : 0.01, params);
}

/* n layers, each after a GELU. */
static struct var gelu_layers(struct var h, int set, const struct slice *layers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = dense(gelu_erf(h), set, layers + 2 * i);
	return h;
}

/* n layers with GELUs between them. */
static struct var chain(struct var x, int set, const struct slice *layers, size_t n)
{
	return gelu_layers(dense(x, set, layers), set, layers + 2, n - 1);
}

struct var time_embed(const struct time_embed *net, int set, struct var tau)
{
	struct var features = fourier(tau, FREQUENCY_FIRST, FREQUENCY_LAST, set, net->phase);

	return chain(features, set, net->dense, net->layers);
}

struct var fourier_mlp(const struct fourier_mlp *net, int set, struct var x, struct var t,
	struct var d)
{
	struct var embedding = time_embed(&net->time, set, t);

	graph_count_network(x.g);
	if (net->step_conditioned)
		embedding = add(embedding, time_embed(&net->step, set, d));
	/* On a time grid the bias is a step's: its cost does not grow with the rows. */
	struct var bias = add(param(x.g, set, net->input[1]), embedding);
	return gelu_layers(linear(x, set, net->input[0], bias), set, net->dense, 3);
}

struct var lerp(struct var w, struct var a, struct var b)
{
	if (a.g == NULL)
		return mul(w, b);
	struct var part = mul(sub(constant(w.g, 1), w), a);
	return b.g == NULL ? part : add(part, mul(w, b));
}

struct var control_clipped(const struct sde_net *net, int set, const struct clips *clips,
	struct var x, struct var t, struct var d)
{
	return clip_at(fourier_mlp(&net->base, set, x, t, d), &clips->model);
}

/* The score as controls see it. */
static struct var scaled_score(const struct sde_net *net, int set, const struct clips *clips,
	struct var t, struct var score)
{
	struct var s = time_embed(&net->score_scale, set, t);

	return mul(clip_at(score, &clips->score), clip_at(s, &clips->model));
}

struct var control_score(const struct sde_net *net, int set, const struct clips *clips,
	struct var x, struct var t, struct var d, struct var target_score)
{
	invariant(net->form == CONTROL_SCORE);
	return add(control_clipped(net, set, clips, x, t, d),
		scaled_score(net, set, clips, t, target_score));
}

struct var control_lerp(const struct sde_net *net, int set, const struct clips *clips, struct var x,
	struct var t, struct var d, struct var sigma, struct var feature)
{
	invariant(net->form == CONTROL_LERP);
	return add(control_clipped(net, set, clips, x, t, d),
		mul(sigma, scaled_score(net, set, clips, t, feature)));
}

/* --- a plain network -------------------------------------------------------------------------- */

void mlp_layout(struct mlp *net, size_t in, size_t width, size_t layers, size_t out)
{
	*net = (struct mlp){ .layers = layers };
	take_chain(&net->n_params, in, width, layers, out, net->dense);
}

void mlp_init(const struct mlp *net, uint64_t seed, uint32_t which, real *params)
{
	const struct rng r = { .seed = seed, .purpose = RNG_INIT, .epoch = which };

	init_uniform(net->dense, net->layers, r, params);
}

struct var mlp(const struct mlp *net, int set, struct var x)
{
	graph_count_network(x.g);
	return chain(x, set, net->dense, net->layers);
}
