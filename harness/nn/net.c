#include "nn/net.h"
#include "core/error.h"

#include <math.h>

/* Frequencies of the Fourier features, and the width of all hidden layers. */
enum { HIDDEN = 64, FREQUENCIES = 64 };
static const double FREQUENCY_FIRST = 0.1, FREQUENCY_LAST = 100;

static struct slice take(struct control_net *net, size_t rows, size_t cols)
{
	struct slice s = { net->n_params, rows, cols };

	net->n_params += rows * cols;
	return s;
}

/* A chain of dense layers through these widths: kernel, bias, kernel, bias, ... */
static void take_layers(struct control_net *net, size_t n, const size_t *widths, struct slice *out)
{
	for (size_t i = 0; i + 1 < n; i++) {
		out[2 * i] = take(net, widths[i], widths[i + 1]);
		out[2 * i + 1] = take(net, 1, widths[i + 1]);
	}
}

void control_net_layout(struct control_net *net, size_t dim, bool step_conditioned,
	double bias_init)
{
	size_t embedding = 2 * FREQUENCIES * (step_conditioned ? 2 : 1);

	*net = (struct control_net){ .dim = dim,
		.hidden = HIDDEN,
		.step_conditioned = step_conditioned,
		.inner_clip = 100,
		.outer_clip = 1e4,
		.bias_init = bias_init };
	net->phase = take(net, 1, FREQUENCIES);
	take_layers(net, 3, (size_t[]){ embedding, HIDDEN, HIDDEN }, net->state_enc);
	take_layers(net, 5, (size_t[]){ embedding, HIDDEN, HIDDEN, HIDDEN, dim }, net->grad_net);
	take_layers(net, 4, (size_t[]){ dim + HIDDEN, HIDDEN, HIDDEN, dim }, net->trunk);
}

/* A normal number restricted to two standard deviations, by trying columns of the counter. */
static double truncated_normal(struct rng r, uint64_t row)
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
		params[i] = (real)(scale * truncated_normal(r, i));
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
