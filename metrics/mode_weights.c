/*
 * Modes: each sample goes to one of the K modes by the target's own rule, p_k is the share of mode k
 * and w_k the mass that the target gives it.
 *
 *     mode_weights   total variation 1/2 sum_k |p_k - w_k|, in [0, 1]
 *     modes_found    number of modes with p_k > 0
 *
 * Pitfalls: m exact samples score about sum_k sqrt(w_k (1 - w_k) / (2 pi m)), not 0, and there the standard
 * error, which takes the signs of p_k - w_k for known, is too large by up to 1.7. One stray sample makes a
 * mode found. A point far from all modes counts as one of the nearest: targets do not say how far a mode
 * reaches, so both are blind to where inside a mode the samples lie.
 */
#include "score/modes.h"
#include "stride.h"

static int mode_weights(const struct scored *in, struct value *out)
{
	struct modes m;
	const double *weight;

	TRY(modes_count(&m, in, 1));
	TRY(modes_weights(&m, in, &weight));
	*out = modes_variation(&m, weight);
	return OK;
}

static int found(const struct scored *in, struct value *out)
{
	struct modes m;

	TRY(modes_count(&m, in, 1));
	*out = modes_found(&m);
	return OK;
}

const METRIC(mode_weights) = {
	.name = "mode_weights",
	.title = "Mode weights, total variation",
	.unit = "",
	.paper = "",
	.version = 1,
	.better = BETTER_LOWER,
	.needs = NEEDS_SAMPLES | NEEDS_MODES | NEEDS_MODE_WEIGHTS,
	.floor = true,
	.eval = mode_weights,
};

const METRIC(modes_found) = {
	.name = "modes_found",
	.title = "Modes found",
	.unit = "",
	.paper = "",
	.version = 1,
	.better = BETTER_HIGHER,
	.needs = NEEDS_SAMPLES | NEEDS_MODES,
	.floor = true,
	.eval = found,
};
