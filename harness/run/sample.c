/* What the sample() hooks of graph-based methods share. */
#include "run/clock.h"
#include "stride.h"

void cell_sample(struct cell *c, struct graph *g, const real *params, uint32_t repeat,
	struct draws *d)
{
	const struct capture captures[] = { { "end", d->x, NULL, NULL },
		{ "log_w", d->log_w, NULL, NULL } };
	const struct graph_args args = { .rows = d->n,
		.seed = c->seed,
		.epoch = repeat,
		.params = { params },
		.captures = captures,
		.n_captures = d->log_w != NULL ? 2 : 1 };

	graph_forward(g, &args);
}

void cell_sample_forward(struct cell *c, struct graph *g, const real *params, uint32_t repeat,
	struct draws *d)
{
	const struct binding input = { "x_exact", NULL, d->x_exact };
	const struct capture capture = { "log_w", d->log_w_forward, NULL, NULL };
	const struct graph_args args = { .rows = d->n,
		.seed = c->seed,
		.epoch = repeat,
		.params = { params },
		.inputs = &input,
		.n_inputs = 1,
		.captures = &capture,
		.n_captures = 1 };

	if (d->x_exact == NULL)
		return;
	const struct counts before = c->counts;
	double start = clock_seconds();
	graph_forward(g, &args);
	c->aside_seconds += clock_seconds() - start;
	c->counts = before;
}
