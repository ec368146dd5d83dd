/* The oracle: the target's own sampler, so that every table has the row of a perfect method. */
#include "stride.h"

struct exact {
	char unused;
};

static int exact_init(void *state, struct cell *c)
{
	(void)state;
	if (density_target(c->target)->draw == NULL)
		return fail(ERR_UNSUP, "target %s has no exact sampler",
			density_target(c->target)->name);
	return OK;
}

static int exact_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	struct rng r = { .seed = c->seed, .purpose = RNG_SAMPLE, .epoch = repeat };

	(void)state, (void)pass, (void)steps;
	return density_draw(c->target, r, 0, d->n, d->x);
}

static const struct pass passes[] = {
	{ "", "", WEIGHTS_NONE, false },
	{ 0 },
};

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "exact",
	.paper = "the target's own definition",
	.version = 1,
	.state_size = sizeof(struct exact),
	.passes = passes,
	.init = exact_init,
	.sample = exact_sample,
};
