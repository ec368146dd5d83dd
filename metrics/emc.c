/*
 * Entropic mode coverage: each sample goes to its most likely component, p_k is the share of
 * component k, and
 *
 *     EMC = -sum_k p_k log p_k / log K   in [0, 1].
 *
 * As published: it is right for uniform mixtures only, biased down by about (K - 1) / (2 n log K),
 * and blind to where inside a mode, or how far from all of them, the samples lie.
 */
#include "core/stats.h"
#include "score/cloud.h"
#include "stride.h"

static int emc(const struct scored *in, struct value *out)
{
	const struct target *t = density_target(in->target);
	const void *state = density_state(in->target);
	size_t modes = t->modes && t->classify ? t->modes(state) : 0;

	if (modes < 2)
		return fail(ERR_UNSUP, "target %s has no modes to tell apart", t->name);
	TRY(cloud_check(in->x, in->n, in->dim));
	size_t *count = ARENA_NEW(in->arena, modes, size_t);
	for (size_t i = 0; i < in->n; i++)
		count[t->classify(state, in->x + i * in->dim)]++;
	*out = value_make(stats_entropy(count, modes) / log((double)modes), (double)NAN);
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
