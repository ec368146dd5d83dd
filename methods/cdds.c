/* Consistency distillation of a diffusion sampler (CDDS, arXiv 2502.07579).
 *
 * The teacher is a trained DIS with the flow dx = (b x + sigma u/2) dt (run/reversal.h, eq. 4). The
 * student maps any point of a path of that flow to the path's end; its level s is 1 at the prior and 0 at
 * the target:
 *
 *     f(x, s) = c_skip x + c_out net(x, s),                                                     (1)
 *     c_skip = sd^2/(s^2 + sd^2),  c_out = s sd/sqrt(s^2 + sd^2),                               (2)
 *     loss = E |f(x_i, s_i) - sg f(x_{i+1}, s_{i+1})|^2/D                                       (3)
 *
 * with x_i, x_{i+1} where the teacher, in N steps, passes neighbours among M levels, i being drawn for each
 * row. One evaluation makes a sample, f(x, 1). More refine it (eq. 4): noise it again by the noising
 * process, to a level in between, and map once more.
 *
 * The update of eq. 3 is no gradient: its target moves along. To first order it takes the error e of the
 * parameters to e - rate sum_i w_i F_i^T (F_i - F_{i+1}) e, F_i being f's derivative at the level i, and
 * F_{M-1} = 0, as f(x, 0) = x. With equal weights w_i, e^T sum_i ... e is half of |F_0 e|^2 + sum_i
 * |(F_i - F_{i+1}) e|^2: errors do not grow. With others they may. The authors' first release draws a level
 * for each row; their second one a level for the batch (per_row=false), whose gradient is then clipped to
 * norm 1 on its own: weights as unequal as the levels' gradients, and at the released rate parameters that
 * grow without end. */
#include "run/reversal.h"

struct cdds {
	struct controlled base;
	long levels, teacher_iterations;
	double deviation;
	bool per_row;

	size_t dim;
	struct reversal *teacher;
	const real *teacher_params;
	struct fourier_mlp net;
	uint32_t *place; /* [levels] on the teacher's grid, 0 at the prior */
	struct graph *paths, *distillation;
	real *x[2], *level[2], *skip[2], *out[2]; /* inputs of eq. 3: at i and at i + 1 */
	uint32_t *before, *behind;                /* steps at which these are captured */
	size_t *drawn;                            /* [levels - 1] rows of each level i */
};

#define O(field) offsetof(struct cdds, field)
static const struct option options[] = {
	CONTROLLED_TRAINING(struct cdds),
	{ "teacher_iterations", OPTION_INT, O(teacher_iterations), "20000", 1, 1e9, "",
		"training iterations of the teacher", NULL },
	{ "levels", OPTION_INT, O(levels), "18", 2, 65536, "",
		"levels M on the teacher's grid, both ends included", NULL },
	{ "deviation", OPTION_REAL, O(deviation), "0.5", 1e-6, 1e6, "", "sd of eq. 2", NULL },
	{ "per_row", OPTION_BOOL, O(per_row), "true", 0, 0, "",
		"a level for each row; false: one for the batch, as last released, which diverges",
		NULL },
	CONTROLLED_OPTIMISER(struct cdds),
	{ 0 },
};
#undef O

static const struct preset presets[] = {
	{ NULL, NULL, CONTROLLED_SCDS_OPTIMISER ",iterations=150000,control_clip=1e4" },
	{ 0 },
};

static const struct note notes[] = {
	{ "teacher", "A dis of its own with preset=scds-paper, teacher_iterations, and the batch, "
		     "steps and width of cdds. What a configuration sets for the method dis does "
		     "not reach it: set these of cdds." },
	{ "per_row=false", "The last release draws one level for the whole batch, whose gradient "
			   "is then clipped alone: the loss grows beyond all bounds. A level for "
			   "each row, as in the first release, is the default." },
	{ "kept", "The teacher is used with its parameters as trained, not with their average, and "
		  "with clips of its own." },
	{ "kept", "The student starts from the teacher's network, whose time runs the other way." },
	CONTROLLED_NOTE_PRIOR,
	{ 0 },
};

static const struct pass passes[] = {
	{ "", "", WEIGHTS_NONE, true },
	{ NULL, NULL, 0, false },
};

/* Eq. 1. */
static struct var consistent(const struct cdds *s, struct var x, struct var level, struct var skip,
	struct var out)
{
	return add(mul(skip, x), mul(out, fourier_mlp(&s->net, 0, x, level, level)));
}

static double level_of(const struct cdds *s, size_t i)
{
	return 1 - (double)s->place[i] / (double)s->base.steps;
}

/* --- training --------------------------------------------------------------------------------- */

/* The teacher from the prior to the level i. */
static struct graph *record_teacher(const struct cdds *s, struct cell *c, size_t i, struct arena *a)
{
	const struct reversal *t = s->teacher;
	struct graph *g = graph_new(a, c->field, &c->counts);
	struct var z = controlled_prior(&t->base, g, true, true, c->dim);

	label(reversal_flow(t, g, 1, scale(t->sigma0, z), (size_t)s->base.steps, 0, s->place[i], a),
		"end");
	return g;
}

/* Eq. 3. */
static struct graph *record_distillation(const struct cdds *s, struct cell *c, struct arena *a)
{
	struct graph *g = graph_new(a, NULL, &c->counts);
	struct var x1 = input(g, "x1", c->dim), x2 = input(g, "x2", c->dim);
	struct var student =
		consistent(s, x1, input(g, "level1", 1), input(g, "skip1", 1), input(g, "out1", 1));
	struct var target =
		consistent(s, x2, input(g, "level2", 1), input(g, "skip2", 1), input(g, "out2", 1));
	struct var away = sub(label(student, "student"), stop(label(target, "target")));

	graph_loss(scale(1 / (double)c->dim, dot(away, away)));
	return g;
}

static void set_level(const struct cdds *s, int which, size_t row, size_t i)
{
	double level = level_of(s, i), skip, out;

	schedule_consistency(level, s->deviation, &skip, &out); /* eq. 2 */
	s->level[which][row] = (real)level;
	s->skip[which][row] = (real)skip;
	s->out[which][row] = (real)out;
}

/* Draws i for every row. Rows are alike, so that the levels can be dealt out in order, from the target's
 * end: paths that end early then stand together. */
static void draw_levels(struct cdds *s, struct rng r)
{
	const size_t n = (size_t)s->levels - 1;
	size_t row = 0;

	memset(s->drawn, 0, n * sizeof(*s->drawn));
	for (size_t k = 0; k < (size_t)s->base.batch; k++)
		s->drawn[rng_below(r, 0, s->per_row ? k : 0, 0, n)]++;
	for (size_t i = n; i-- > 0;)
		for (size_t end = row + s->drawn[i]; row < end; row++) {
			set_level(s, 0, row, i);
			set_level(s, 1, row, i + 1);
			s->before[row] = s->place[i];
			s->behind[row] = s->place[i + 1] - 1;
		}
}

static int train(void *state, struct cell *c, long it)
{
	struct cdds *s = state;
	const struct rng levels = { .seed = c->seed, .purpose = RNG_LEVEL, .epoch = (uint32_t)it };
	struct graph_args args = { .rows = (size_t)s->base.batch,
		.seed = c->seed,
		.epoch = (uint32_t)it,
		.params = { s->base.learner.theta, s->teacher_params } };

	draw_levels(s, levels);
	/* x_i and x_{i+1} on the teacher's paths. */
	const struct capture points[] = { { "x", NULL, s->x[0], s->before },
		{ "next", NULL, s->x[1], s->behind } };
	args.captures = points;
	args.n_captures = 2;
	controlled_ready(&s->base);
	s->teacher->base.clips = s->base.clips;
	graph_forward(s->paths, &args);

	const struct binding inputs[] = { { "x1", s->x[0], NULL }, { "level1", s->level[0], NULL },
		{ "skip1", s->skip[0], NULL }, { "out1", s->out[0], NULL }, { "x2", s->x[1], NULL },
		{ "level2", s->level[1], NULL }, { "skip2", s->skip[1], NULL },
		{ "out2", s->out[1], NULL } };
	args.captures = NULL;
	args.n_captures = 0;
	args.inputs = inputs;
	args.n_inputs = sizeof(inputs) / sizeof(inputs[0]);
	cell_curve(c, "loss", it, controlled_update(&s->base, s->distillation, &args, c->dim));
	controlled_left_out(&s->base, c, it);
	return OK;
}

/* --- sampling --------------------------------------------------------------------------------- */

/* Eq. 4: k evaluations, at levels that go down from 1; with the noising process in between. As released,
 * the times of the teacher's grid are taken for levels, which the grid's symmetry allows. The marginal
 * at the level s has mean e^a x and variance sigma0^2 (1 - e^2a), a = -(integral of b up to s). */
static struct graph *record_sample(const struct cdds *s, struct cell *c, size_t k, struct arena *a)
{
	const struct reversal *t = s->teacher;
	struct graph *g = graph_new(a, NULL, &c->counts);
	double *v[5];

	for (int j = 0; j < 5; j++)
		v[j] = ARENA_NEW(a, k, double);
	for (size_t i = 0; i < k; i++) {
		size_t last = (size_t)s->levels - 1;
		double level = 1 - level_of(s, schedule_spaced(k - i, k + 1, last));
		double next = 1 - level_of(s, schedule_spaced(k - i - 1, k + 1, last));
		double pull = -reversal_integral(t, next);
		v[0][i] = level;
		schedule_consistency(level, s->deviation, &v[1][i], &v[2][i]); /* eq. 2 */
		v[3][i] = exp(pull);
		v[4][i] = t->sigma0 * sqrt(-expm1(2 * pull));
	}
	struct var z = controlled_prior(&t->base, g, false, true, c->dim);
	struct var x0 = scale(t->sigma0, z);

	scan_begin(g, k);
	struct var x = label(scan_state(x0), "x");
	struct var eps = label(normal(g, RNG_PATH, c->dim), "noise");
	struct var end = consistent(s, x, by_step(g, k, 1, v[0]), by_step(g, k, 1, v[1]),
		by_step(g, k, 1, v[2]));
	label(end, "mapped");
	scan_next(x, add(mul(by_step(g, k, 1, v[3]), end), mul(by_step(g, k, 1, v[4]), eps)));
	scan_end(g);
	label(scan_last(x), "end"); /* the last level is 0: nothing is added */
	return g;
}

/* One step is a map; more draw noise between them. The last level is 0, where the process adds nothing. The
 * network is not bounded, so that nothing makes the map's degree one. */
static int map(void *state, struct cell *c, const struct pass *pass, size_t k, size_t step,
	struct flow_map *out, struct arena *a)
{
	struct cdds *s = state;
	double skip, share;

	(void)pass, (void)step;
	if (k > 1)
		return fail(ERR_UNSUP,
			"cdds draws fresh noise between steps: no map but for one step");
	controlled_ready(&s->base);
	schedule_consistency(1, s->deviation, &skip, &share); /* eq. 2 */
	struct graph *g = graph_new(a, NULL, &c->counts);
	struct var x = input(g, "x", c->dim), v = input(g, "v", c->dim);
	struct var y =
		label(consistent(s, x, constant(g, 1), constant(g, skip), constant(g, share)), "y");
	label(jvp(y, x, v), "dy");
	*out = (struct flow_map){ g, learner_evaluated(&s->base.learner), s->teacher->sigma0 };
	return OK;
}

static int sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	struct cdds *s = state;
	struct arena_mark mark = arena_mark(c->arena);

	(void)pass;
	controlled_run(&s->base, c, record_sample(s, c, steps, c->arena), NULL, repeat, d);
	arena_release(c->arena, mark);
	return OK;
}

static struct graph *graph(void *state, struct cell *c, const char *what, size_t steps,
	struct arena *a)
{
	const struct cdds *s = state;

	if (strcmp(what, "loss") == 0)
		return record_distillation(s, c, a);
	if (strcmp(what, "teacher") == 0) /* up to the level `steps` */
		return record_teacher(s, c, steps, a);
	if (strcmp(what, "sample") == 0)
		return record_sample(s, c, steps, a);
	return NULL;
}

static int check_steps(const void *state, size_t steps)
{
	const struct cdds *s = state;

	if (steps < 1 || steps > (size_t)s->levels - 1)
		return fail(ERR_UNSUP, "%ld levels allow 1 to %ld steps, not %zu", s->levels,
			s->levels - 1, steps);
	return OK;
}

static int make_teacher(struct cdds *s, struct cell *c)
{
	struct arena *a = c->arena;
	const struct setting settings[] = { { "preset", "scds-paper" },
		{ "iterations", arena_printf(a, "%ld", s->teacher_iterations) },
		{ "batch", arena_printf(a, "%ld", s->base.batch) },
		{ "steps", arena_printf(a, "%ld", s->base.steps) },
		{ "width", arena_printf(a, "%ld", s->base.width) } };
	struct trained teacher;
	size_t n;

	TRY(cell_trained(c, "dis", settings, sizeof(settings) / sizeof(settings[0]), &teacher));
	s->teacher = teacher.state;
	s->teacher_params = teacher.method->params(teacher.state, &n);
	return OK;
}

static int init(void *state, struct cell *c)
{
	struct cdds *s = state;
	size_t n = (size_t)s->base.batch, n_params = 0;

	if (s->levels > s->base.steps + 1)
		return fail(ERR_RANGE, "option levels of cdds is %ld; %ld steps allow %ld at most",
			s->levels, s->base.steps, s->base.steps + 1);
	s->base.network = NETWORK_SCDS;
	TRY(make_teacher(s, c));
	fourier_mlp_layout(&s->net, c->dim, false, (size_t)s->base.width, &n_params);
	controlled_learner(&s->base, n_params, c);
	memcpy(s->base.learner.theta, s->teacher_params, n_params * sizeof(real));
	controlled_start_average(&s->base, c);

	s->place = ARENA_NEW(c->arena, (size_t)s->levels, uint32_t);
	for (size_t i = 0; i < (size_t)s->levels; i++)
		s->place[i] =
			(uint32_t)schedule_spaced(i, (size_t)s->levels, (size_t)s->base.steps);
	s->paths = record_teacher(s, c, (size_t)s->levels - 1, c->arena);
	s->distillation = record_distillation(s, c, c->arena);
	for (int j = 0; j < 2; j++) {
		s->x[j] = ARENA_NEW(c->arena, n * c->dim, real);
		s->level[j] = ARENA_NEW(c->arena, n, real);
		s->skip[j] = ARENA_NEW(c->arena, n, real);
		s->out[j] = ARENA_NEW(c->arena, n, real);
	}
	s->drawn = ARENA_NEW(c->arena, (size_t)s->levels - 1, size_t);
	s->before = ARENA_NEW(c->arena, n, uint32_t);
	s->behind = ARENA_NEW(c->arena, n, uint32_t);
	return OK;
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "CDDS",
	.paper = "Single-Step Consistent Diffusion Samplers, arXiv 2502.07579",
	.version = 1,
	.state_size = sizeof(struct cdds),
	.options = options,
	.presets = presets,
	.notes = notes,
	.passes = passes,
	.init = init,
	.iterations = controlled_iterations,
	.train = train,
	.check_steps = check_steps,
	.sample = sample,
	.graph = graph,
	.map = map,
	.params = controlled_params,
	.keep = controlled_keep,
};
