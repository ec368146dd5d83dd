/* Self-consistent diffusion sampler (SCDS, arXiv 2502.07579). The numbers (1) to (4) are those of
 * run/reversal.h.
 *
 * One network u(x, t, d) steers every step length d. An iteration makes two updates with one optimiser.
 * First the sampling loss of DIS on paths of N steps, with d = 1/N: the variance of log w, eq. 3. Then
 * self-consistency: from a state x of these paths at t, with d of 2/N, 4/N, ..., 1, two half steps of the
 * flow against one,
 *
 *     F(x, t, d) = x + (b x + sigma u(x, t, d)/2) d                                             (5)
 *     |F(F(x, t, d/2), t - d/2, d/2) - F(x, t, d)|^2/D,                                         (6)
 *
 * the former held constant, with the weights that the first update has left. A sample is made by steps
 * of F, one if need be. The log weights that the released code reports along the flow (pass ode) are no
 * bound; those of the stochastic paths with the same network (sde, line) are as in DIS. */
#include "run/reversal.h"

/* Inputs of the consistency loss, a number a row: t and d; b and sigma at t and at t - d/2. */
enum { T, D, B, B_HALF, SIGMA, SIGMA_HALF, COLUMNS };
static const char *const columns[COLUMNS] = { "t", "d", "b", "b_half", "sigma", "sigma_half" };

struct scds {
	struct reversal r;
	struct graph *consistency;
	real *x, *column[COLUMNS];
	uint32_t *place, *length;
};

static const struct option options[] = {
	REVERSAL_OPTIONS,
	{ 0 },
};

static const struct preset presets[] = {
	{ NULL, NULL, REVERSAL_SCDS ",form=line,control_clip=1e4" },
	{ 0 },
};

static const struct note notes[] = {
	CONTROLLED_NOTE_FLOW,
	REVERSAL_NOTE_LINE,
	{ "control_clip=10", "The yaml file's clips on network and score; the released "
			     "configuration overrides them by 1e4, which is the default here." },
	{ "kept",
		"Rate, clips and averages move twice an iteration: with each of its two updates." },
	CONTROLLED_NOTE_PRIOR,
	{ 0 },
};

static const struct pass passes[] = {
	{ "ode", "flow", WEIGHTS_DETFLOW, true },
	{ "sde", "SDE", WEIGHTS_EXACT, true },
	{ "line", "SDE, line integral", WEIGHTS_BIASED, true },
	{ NULL, NULL, 0, false },
};

/* Eq. 5 from t, of length d. */
static struct var flow_step(const struct scds *s, struct var x, struct var t, struct var d,
	struct var b, struct var sigma)
{
	struct reversal_step m = { .time = controlled_time_of(&s->r.base, t),
		.t = t,
		.dt = d,
		.pull = mul(b, d),
		.sigma = sigma };
	struct var u = reversal_control(&s->r, 0, m, x, x);

	return whole(add(x, reversal_drift(m, x, u, 0.5)));
}

/* Eq. 6. */
static struct graph *record_consistency(const struct scds *s, struct cell *c, struct arena *a)
{
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var x = input(g, "x", c->dim), in[COLUMNS];

	for (int j = 0; j < COLUMNS; j++)
		in[j] = input(g, columns[j], 1);
	struct var half = scale(0.5, in[D]), t_half = sub(in[T], half);
	struct var middle = flow_step(s, x, in[T], half, in[B], in[SIGMA]);
	struct var teacher = flow_step(s, middle, t_half, half, in[B_HALF], in[SIGMA_HALF]);
	struct var student = flow_step(s, x, in[T], in[D], in[B], in[SIGMA]);
	struct var away = sub(stop(label(teacher, "teacher")), label(student, "student"));

	graph_loss(label(scale(1 / (double)c->dim, dot(away, away)), "gap"));
	return g;
}

static void draw_levels(struct scds *s, struct rng r)
{
	size_t steps = (size_t)s->r.base.steps, n = (size_t)s->r.base.batch;

	controlled_levels(r, steps, n, s->place, s->length);
	for (size_t i = 0; i < n; i++) {
		double t = (double)(steps - s->place[i]) / (double)steps;
		double d = (double)s->length[i] / (double)steps;
		s->column[T][i] = (real)t;
		s->column[D][i] = (real)d;
		s->column[B][i] = (real)reversal_b(&s->r, t);
		s->column[B_HALF][i] = (real)reversal_b(&s->r, t - d / 2);
		s->column[SIGMA][i] = (real)reversal_sigma(&s->r, t);
		s->column[SIGMA_HALF][i] = (real)reversal_sigma(&s->r, t - d / 2);
	}
}

static int train(void *state, struct cell *c, long it)
{
	struct scds *s = state;
	struct controlled *base = &s->r.base;
	const struct rng levels = { .seed = c->seed, .purpose = RNG_LEVEL, .epoch = (uint32_t)it };
	struct graph_args args = { .rows = (size_t)base->batch,
		.seed = c->seed,
		.epoch = (uint32_t)it };

	/* The sampling loss, keeping each row's state where its consistency is to be looked at. */
	draw_levels(s, levels);
	const struct capture start = { "x", NULL, s->x, s->place };
	args.captures = &start;
	args.n_captures = 1;
	cell_curve(c, "loss", it, controlled_update(base, base->record, &args, c->dim));

	struct binding inputs[COLUMNS + 1] = { { "x", s->x, NULL } };
	for (int j = 0; j < COLUMNS; j++)
		inputs[j + 1] = (struct binding){ columns[j], s->column[j], NULL };
	args.n_captures = 0;
	args.inputs = inputs;
	args.n_inputs = COLUMNS + 1;
	cell_curve(c, "consistency loss", it,
		controlled_update(base, s->consistency, &args, c->dim)); /* eq. 6 */
	controlled_left_out(base, c, it);
	return OK;
}

static struct graph *graph(void *state, struct cell *c, const char *what, size_t steps,
	struct arena *a)
{
	if (strcmp(what, "consistency") == 0)
		return record_consistency(state, c, a);
	return reversal_graph(state, c, what, steps, a);
}

static int check_steps(const void *state, size_t steps)
{
	return controlled_divides(PLUGIN_NAME, ((const struct reversal *)state)->base.steps, steps);
}

static int init(void *state, struct cell *c)
{
	struct scds *s = state;
	size_t n = (size_t)s->r.base.batch;

	TRY(check_steps(s, (size_t)s->r.base.steps));
	TRY(controlled_unpublished(&s->r.base, PLUGIN_NAME));
	if (s->r.base.network != NETWORK_SCDS)
		return fail(ERR_RANGE,
			"option network of scds: osds takes codes of whole steps for its times, "
			"between which the flow's half steps fall; it takes scds");
	TRY(controlled_init(s, c, CONTROL_LERP, true, reversal_paths, reversal_forward));
	s->consistency = record_consistency(s, c, c->arena);
	s->x = ARENA_NEW(c->arena, n * c->dim, real);
	for (int j = 0; j < COLUMNS; j++)
		s->column[j] = ARENA_NEW(c->arena, n, real);
	s->place = ARENA_NEW(c->arena, n, uint32_t);
	s->length = ARENA_NEW(c->arena, n, uint32_t);
	return OK;
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "SCDS",
	.paper = "Single-Step Consistent Diffusion Samplers, arXiv 2502.07579",
	.version = 1,
	.state_size = sizeof(struct scds),
	.options = options,
	.presets = presets,
	.notes = notes,
	.passes = passes,
	.init = init,
	.iterations = controlled_iterations,
	.train = train,
	.check_steps = check_steps,
	.sample = reversal_sample,
	.graph = graph,
	.flow = reversal_part,
	.map = reversal_map,
	.params = controlled_params,
	.keep = controlled_keep,
};
