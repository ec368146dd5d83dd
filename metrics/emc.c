/*
 * Entropic mode coverage: each sample goes to its most likely component, p_k is the share of
 * component k, and
 *
 *     EMC = -sum_k p_k log p_k / log K   in [0, 1].
 *
 * As published: it is right for uniform mixtures only, biased down by about (K - 1) / (2 n log K),
 * and blind to where inside a mode, or how far from all of them, the samples lie. `mode_weights`
 * compares the shares with the true ones.
 */
#include "score/modes.h"
#include "stride.h"

static int emc(const struct scored *in, struct value *out)
{
	struct modes m;

	TRY(modes_count(&m, in, 2));
	*out = modes_entropy(&m);
	return OK;
}

const METRIC(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Entropic mode coverage",
	.unit = "",
	.paper = "Blessing et al. 2024, Beyond ELBOs",
	.version = 1,
	.better = BETTER_HIGHER,
	.needs = NEEDS_SAMPLES | NEEDS_MODES,
	.floor = true,
	.eval = emc,
};
