/* Self-refining diffusion sampling (SRDS, arXiv 2412.08292): the N steps of another method's trained flow
 * by parareal iteration, in fewer evaluations one after another.
 *
 * The N steps are cut into P blocks of L = N/P. F_p is the flow over block p in its L steps, G_p the flow
 * over it in one step of length 1/P. With x_0 from the prior,
 *
 *     x_{p+1}^0 = G_p(x_p^0)                                                  the flow in P steps  (1)
 *     x_{p+1}^r = F_p(x_p^{r-1}) + G_p(x_p^r) - G_p(x_p^{r-1})                 round r              (2)
 *
 * until x_P moves by tol at most, a norm that is the root mean square over coordinates. Every sample stops
 * by itself, so that none depends on the others. After round r the states up to x_r are those of the N
 * steps one after another: x_r^r = F_{r-1}(x_{r-1}^{r-1}), the two G being equal; blocks before need
 * nothing more, and round P ends where the flow does. Blocks of one step (L = 1) need no round.
 *
 * Evaluations of a sample that takes R rounds: in all P + sum over r <= R of (P - r + 1) L + P - r. On the
 * longest chain of those that wait for each other, every block starting as soon as its state is there,
 *
 *     P + R (L - 1)                                                                                (3)
 *
 * which is N at most. Time is measured for blocks one after another, the samples in parallel. */
#include "run/controlled.h"

struct srds {
	int flow, preset;
	long iterations, batch, steps, blocks, rounds;
	double tol;

	struct trained trained;
};

enum { FLOW_OSDS, FLOW_SCDS, FLOW_DIS };
static const char *const flows[] = { "osds", "scds", "dis", NULL };
static const char *const papers[] = { "default", "osds-paper", "beyond-elbos", "scds-paper",
	"scds-paper-fb", NULL };

#define O(field) offsetof(struct srds, field)
static const struct option options[] = {
	{ "flow", OPTION_CHOICE, O(flow), "osds", 0, 0, "", "method whose trained flow is used",
		flows },
	{ "preset", OPTION_CHOICE, O(preset), "default", 0, 0, "",
		"the flow's variant, where it has that option; default: its own", papers },
	{ "iterations", OPTION_INT, O(iterations), "0", 0, 1e9, "",
		"the flow's training iterations; 0: its own for the target", NULL },
	{ "batch", OPTION_INT, O(batch), "0", 0, 1e6, "rows",
		"paths in an iteration of the flow's training; 0: its own", NULL },
	{ "steps", OPTION_INT, O(steps), "128", 2, 65536, "", "steps in the flow's training",
		NULL },
	{ "blocks", OPTION_INT, O(blocks), "0", 0, 65536, "",
		"blocks P, a divisor of the steps; 0: the one nearest to their root", NULL },
	{ "tol", OPTION_REAL, O(tol), "0.01", 0, 1e9, "",
		"a sample that a round moves by so little is done, in the target's unit; 0: none "
		"is before the last round",
		NULL },
	{ "rounds", OPTION_INT, O(rounds), "0", 0, 65536, "",
		"most rounds; 0: as many as blocks, which ends at the flow's own samples", NULL },
	{ 0 },
};
#undef O

static const struct note notes[] = {
	{ "flow", "The flow's method is trained for itself: with its presets for the target, and "
		  "iterations and batch of srds where these are not 0. What a configuration sets "
		  "for that method does not reach it." },
	{ 0 },
};

static const struct pass passes[] = {
	{ "", "", WEIGHTS_NONE, true },
	{ NULL, NULL, 0, false },
};

/* --- maps ------------------------------------------------------------------------------------- */

/* F_p or G_p. */
struct map {
	struct graph *g;
	const real *params;
	bool from_prior;
};

/* What a draw is made of. Samples that go on are rows 0 .. n - 1 of all states, `row` being where they are
 * in the draw. */
struct parareal {
	struct cell *c;
	uint32_t repeat;
	size_t dim, blocks, block_steps; /* P, L */
	struct map *fine, *coarse;       /* [P] */
	size_t n, *row;
	real **x;                /* [P + 1] states [n][dim]; x_0 is drawn where it is needed */
	real **jump;             /* [P] G_p(x_p) [n][dim] */
	real *next, *end, *leap; /* the new x_{p+1}, F_p(x_p), the new G_p(x_p) */
	double *rounds;          /* [n of the draw] */
};

static void apply(const struct parareal *s, const struct map *m, const real *from, real *to)
{
	const struct binding start = { "start", from, NULL };
	const struct capture end = { "end", NULL, to, NULL };
	const struct graph_args args = { .rows = s->n,
		.seed = s->c->seed,
		.epoch = s->repeat,
		.params = { m->params },
		.inputs = &start,
		.n_inputs = m->from_prior ? 0 : 1,
		.captures = &end,
		.n_captures = 1 };

	graph_forward(m->g, &args);
}

/* n of k steps of the flow from step `first` on. */
static struct map map_of(const struct srds *s, struct cell *c, size_t k, size_t first, size_t n)
{
	struct map m = { .from_prior = first == 0 };

	m.g = s->trained.method->flow(s->trained.state, c, k, first, n, &m.params, c->arena);
	return m;
}

static void swap(real **a, real **b)
{
	real *keep = *a;

	*a = *b;
	*b = keep;
}

/* --- rounds ----------------------------------------------------------------------------------- */

/* Eq. 1. */
static void begin(struct parareal *s)
{
	for (size_t p = 0; p < s->blocks; p++) {
		apply(s, &s->coarse[p], s->x[p], s->jump[p]);
		memcpy(s->x[p + 1], s->jump[p], s->n * s->dim * sizeof(real));
	}
}

/* Eq. 2 in round r. Leaves the old x_P in s->next. */
static void refine(struct parareal *s, size_t r)
{
	apply(s, &s->fine[r - 1], s->x[r - 1], s->next);
	for (size_t p = r; p < s->blocks; p++) {
		swap(&s->x[p], &s->next); /* next: the old x_p */
		apply(s, &s->fine[p], s->next, s->end);
		apply(s, &s->coarse[p], s->x[p], s->leap);
		for (size_t j = 0; j < s->n * s->dim; j++)
			s->next[j] = s->end[j] + (s->leap[j] - s->jump[p][j]);
		swap(&s->jump[p], &s->leap);
	}
	swap(&s->x[s->blocks], &s->next);
}

/* How far the round has moved this row of x_P. */
static double moved(const struct parareal *s, size_t i)
{
	const real *now = s->x[s->blocks] + i * s->dim, *before = s->next + i * s->dim;
	double square = 0;

	for (size_t k = 0; k < s->dim; k++) {
		double away = (double)now[k] - (double)before[k];
		square += away * away;
	}
	return sqrt(square / (double)s->dim);
}

static void move_row(const struct parareal *s, real *x, size_t from, size_t to)
{
	if (x != NULL && from != to)
		memcpy(x + to * s->dim, x + from * s->dim, s->dim * sizeof(real));
}

/* Put the ends into the draw, and leave those out that this round has moved by tol at most. */
static void settle(struct parareal *s, double tol, size_t r, double *out)
{
	size_t left = 0;

	for (size_t i = 0; i < s->n; i++) {
		const real *end = s->x[s->blocks] + i * s->dim;
		for (size_t k = 0; k < s->dim; k++)
			out[s->row[i] * s->dim + k] = (double)end[k];
		s->rounds[s->row[i]] = (double)r;
		if (r > 0 && tol > 0 && moved(s, i) <= tol)
			continue;
		for (size_t p = 0; p <= s->blocks; p++)
			move_row(s, s->x[p], i, left);
		for (size_t p = 0; p < s->blocks; p++)
			move_row(s, s->jump[p], i, left);
		s->row[left++] = s->row[i];
	}
	s->n = left;
}

/* --- sampling --------------------------------------------------------------------------------- */

/* The divisor of the steps that is nearest to their root. */
static size_t nearest_root(size_t steps)
{
	double root = sqrt((double)steps);
	size_t nearest = 1;

	for (size_t p = 1; p <= steps; p++)
		if (steps % p == 0 && fabs((double)p - root) < fabs((double)nearest - root))
			nearest = p;
	return nearest;
}

static struct parareal *prepare(const struct srds *s, struct cell *c, size_t steps, uint32_t repeat,
	size_t n)
{
	struct parareal *o = ARENA_NEW(c->arena, 1, struct parareal);
	size_t blocks = s->blocks > 0 ? (size_t)s->blocks : nearest_root(steps);

	*o = (struct parareal){ .c = c,
		.repeat = repeat,
		.dim = c->dim,
		.blocks = blocks,
		.block_steps = steps / blocks,
		.fine = ARENA_NEW(c->arena, blocks, struct map),
		.coarse = ARENA_NEW(c->arena, blocks, struct map),
		.n = n,
		.row = ARENA_NEW(c->arena, n, size_t),
		.x = ARENA_NEW(c->arena, blocks + 1, real *),
		.jump = ARENA_NEW(c->arena, blocks, real *),
		.next = ARENA_NEW(c->arena, n * c->dim, real),
		.end = ARENA_NEW(c->arena, n * c->dim, real),
		.leap = ARENA_NEW(c->arena, n * c->dim, real),
		.rounds = ARENA_NEW(c->arena, n, double) };
	for (size_t p = 0; p < blocks; p++) {
		o->fine[p] = map_of(s, c, steps, p * o->block_steps, o->block_steps);
		o->coarse[p] = map_of(s, c, blocks, p, 1);
		o->x[p + 1] = ARENA_NEW(c->arena, n * c->dim, real);
		o->jump[p] = ARENA_NEW(c->arena, n * c->dim, real);
	}
	for (size_t i = 0; i < n; i++)
		o->row[i] = i;
	return o;
}

/* Of a sample: rounds, evaluations, and those that wait for each other (eq. 3). */
static void report(struct parareal *s, size_t n, uint64_t evaluations)
{
	double mean = 0, most = 0;

	for (size_t i = 0; i < n; i++) {
		mean += s->rounds[i];
		most = fmax(most, s->rounds[i]);
	}
	mean /= (double)n;
	cell_report(s->c, "rounds", mean);
	cell_report(s->c, "most rounds", most);
	cell_report(s->c, "evaluations", (double)evaluations / (double)n);
	cell_report(s->c, "serial evaluations",
		(double)s->blocks + mean * (double)(s->block_steps - 1));
}

static int sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	const struct srds *s = state;
	struct arena_mark mark = arena_mark(c->arena);
	struct parareal *o = prepare(s, c, steps, repeat, d->n);
	size_t most = o->block_steps > 1 ? o->blocks : 0;
	uint64_t before = c->counts.network;

	(void)pass;
	if (s->rounds > 0 && (size_t)s->rounds < most)
		most = (size_t)s->rounds;
	begin(o);
	settle(o, s->tol, 0, d->x);
	for (size_t r = 1; r <= most && o->n > 0; r++) {
		refine(o, r);
		settle(o, s->tol, r, d->x);
	}
	report(o, d->n, c->counts.network - before);
	d->no_forward = true;
	arena_release(c->arena, mark);
	return OK;
}

/* --- the flow --------------------------------------------------------------------------------- */

static int check_steps(const void *state, size_t steps)
{
	const struct srds *s = state;

	if (s->flow != FLOW_DIS)
		TRY(controlled_divides(PLUGIN_NAME, s->steps, steps));
	if (steps == 0)
		return fail(ERR_RANGE, "steps is 0; it takes 1 at least");
	if (s->blocks > 0 && steps % (size_t)s->blocks != 0)
		return fail(ERR_UNSUP, "%ld blocks do not divide %zu steps", s->blocks, steps);
	return OK;
}

static int init(void *state, struct cell *c)
{
	struct srds *s = state;
	struct setting settings[4];
	size_t n = 0;

	settings[n++] = (struct setting){ "steps", arena_printf(c->arena, "%ld", s->steps) };
	if (s->preset > 0)
		settings[n++] = (struct setting){ "preset", papers[s->preset] };
	if (s->iterations > 0)
		settings[n++] = (struct setting){ "iterations",
			arena_printf(c->arena, "%ld", s->iterations) };
	if (s->batch > 0)
		settings[n++] =
			(struct setting){ "batch", arena_printf(c->arena, "%ld", s->batch) };
	return cell_trained(c, flows[s->flow], settings, n, &s->trained);
}

/* The flow's. */
static real *params(void *state, size_t *n)
{
	struct srds *s = state;

	return s->trained.method->params(s->trained.state, n);
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "SRDS",
	.paper = "Self-Refining Diffusion Samplers, arXiv 2412.08292",
	.version = 1,
	.state_size = sizeof(struct srds),
	.options = options,
	.passes = passes,
	.notes = notes,
	.init = init,
	.check_steps = check_steps,
	.sample = sample,
	.params = params,
};
