/* The contract of methods: every registered method is checked, none is listed here. Each runs on a few
 * targets with what options it has for being short. */
#include "core/stats.h"
#include "methods.h"
#include "run/curve.h"

#include <cblas.h>

/* What makes a method quick, when it has such an option. */
static const char *const quick[] = { "iterations=3", "batch=128", "steps=16", "temperatures=16",
	"ess_target=0.5", "leapfrog=3", "teacher_iterations=3", "levels=9", "evaluations=60000",
	"width=32" };

/* Ends well away from a multiple of any block. */
enum { N = 150, MEMORY_RUNS = 3 };

/* Iterations that show that training works, and that move a control visibly. */
enum { BRIEF = 3, LONG = 50 };

/* A target, and what makes paths reach it, for methods that have such options. */
struct setup {
	const char *target, *settings, *reach[3];
	double overlap;  /* of both ways, least: what a check of weights wants */
	double from, to; /* first coordinates by which weights without a way back are checked */
};

static const struct setup setups[] = {
	{ "gaussian", "mean=0.4,std=0.9,dim=3", { NULL }, 0, 0, 0 },
	{ "funnel", "", { NULL }, 0, 0, 0 }, { "gmm40_2d", "", { NULL }, 0, 0, 0 },
	{ "ionosphere", "", { NULL }, 0, 0, 0 }, /* no exact sampler */
};

static const size_t step_counts[] = { 1, 2, 4, 8 };

#define check_that(m, condition, ...)                          \
	do {                                                   \
		if (!(condition)) {                            \
			print_error("method %s: ", (m)->name); \
			fail_msg(__VA_ARGS__);                 \
		}                                              \
	} while (0)

/* Append those settings whose options the method has. */
static void append_settings(const struct method *m, const char *const *settings, size_t n,
	char *text, size_t size)
{
	for (size_t i = 0; i < n && settings[i] != NULL; i++)
		for (const struct option *o = m->options; o != NULL && o->key != NULL; o++)
			if (strncmp(settings[i], o->key, strlen(o->key)) == 0 &&
				settings[i][strlen(o->key)] == '=')
				snprintf(text + strlen(text), size - strlen(text), "%s%s",
					text[0] != '\0' ? "," : "", settings[i]);
}

static const char *quick_settings(const struct method *m, const struct setup *s, char *text,
	size_t size)
{
	text[0] = '\0';
	append_settings(m, quick, sizeof(quick) / sizeof(quick[0]), text, size);
	append_settings(m, s->reach, sizeof(s->reach) / sizeof(s->reach[0]), text, size);
	return text;
}

/* The method on this target, trained; NULL when it does not support the target. */
static struct trial *prepare(const struct method *m, const struct setup *s, uint64_t seed,
	long training)
{
	char settings[256];
	struct trial *t = trial_new(m->name, s->target, s->settings,
		quick_settings(m, s, settings, sizeof(settings)), seed);
	int code = m->init(t->state, &t->cell);

	if (code == ERR_UNSUP) {
		trial_free(t);
		return NULL;
	}
	check_that(m, code == OK, "init: %s", error_text());
	for (long it = 0; m->train != NULL && it < training; it++)
		check_that(m, m->train(t->state, &t->cell, it) == OK, "train: %s", error_text());
	return t;
}

static bool possible(const struct trial *t, const struct pass *pass, size_t steps)
{
	return !pass->steps || t->method->check_steps == NULL ||
	       t->method->check_steps(t->state, steps) == OK;
}

/* The step counts to try in a pass: those that are possible, or none but 0. */
static size_t steps_of(const struct trial *t, const struct pass *pass, size_t *steps)
{
	size_t n = 0;

	if (!pass->steps) {
		steps[0] = 0;
		return 1;
	}
	for (size_t i = 0; i < sizeof(step_counts) / sizeof(step_counts[0]); i++)
		if (possible(t, pass, step_counts[i]))
			steps[n++] = step_counts[i];
	check_that(t->method, n > 0, "pass \"%s\" takes none of the step counts", pass->name);
	return n;
}

static struct draws *draw(struct trial *t, const struct pass *pass, size_t steps, uint32_t repeat)
{
	struct draws *d = draws_new(t, N, pass->weights != WEIGHTS_NONE);

	check_that(t->method, t->method->sample(t->state, &t->cell, pass, steps, repeat, d) == OK,
		"sample: %s", error_text());
	return d;
}

/* Calls check for every method, setup, pass and possible step count. */
static void each_draw(void (
	*check)(struct trial *t, const struct setup *s, const struct pass *pass, size_t steps))
{
	for (size_t i = 0; methods[i] != NULL; i++)
		for (size_t j = 0; j < sizeof(setups) / sizeof(setups[0]); j++) {
			struct trial *t = prepare(methods[i], &setups[j], 1, BRIEF);
			if (t == NULL)
				continue;
			for (const struct pass *p = methods[i]->passes; p->name != NULL; p++) {
				size_t steps[4], n = steps_of(t, p, steps);
				for (size_t k = 0; k < n; k++)
					check(t, &setups[j], p, steps[k]);
			}
			trial_free(t);
		}
}

static bool same_draws(const struct trial *t, const struct draws *a, const struct draws *b)
{
	size_t bytes = N * sizeof(double);

	return memcmp(a->x, b->x, bytes * t->cell.dim) == 0 &&
	       (a->log_w == NULL || memcmp(a->log_w, b->log_w, bytes) == 0) &&
	       (a->log_w_forward == NULL ||
		       memcmp(a->log_w_forward, b->log_w_forward, bytes) == 0) &&
	       memcmp(&a->elbo, &b->elbo, sizeof(double)) == 0;
}

/* --- what a method says of itself -------------------------------------------------------------- */

static void check_passes(const struct method *m)
{
	check_that(m, m->passes != NULL && m->passes[0].name != NULL, "no pass");
	for (const struct pass *p = m->passes; p->name != NULL; p++) {
		check_that(m, p->title != NULL, "pass \"%s\" has no title", p->name);
		for (const struct pass *q = m->passes; q != p; q++)
			check_that(m, strcmp(p->name, q->name) != 0, "two passes \"%s\"", p->name);
		check_that(m, p->name[0] != '\0' || m->passes[1].name == NULL,
			"a pass without a name beside others");
	}
}

static void test_descriptions(void **unused)
{
	(void)unused;
	for (size_t i = 0; methods[i] != NULL; i++) {
		const struct method *m = methods[i];
		check_that(m, i == 0 || strcmp(methods[i - 1]->name, m->name) < 0, "not sorted");
		check_that(m, method_find(m->name) == m, "not found by its name");
		check_that(m, m->title != NULL && m->title[0] != '\0', "no title");
		check_that(m, m->paper != NULL && m->paper[0] != '\0', "no paper");
		check_that(m, m->version >= 1, "no version");
		check_that(m, m->init != NULL && m->sample != NULL, "a required hook is missing");
		check_that(m, (m->train != NULL) == (m->iterations != NULL),
			"train and iterations go together");
		check_that(m, m->train == NULL || m->keep != NULL, "train without keep");
		check_passes(m);
	}
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Defaults lie in their ranges and presets apply: trial_new sets both as a user's text is set. */
static void test_options_and_presets(void **unused)
{
	(void)unused;
	for (size_t i = 0; methods[i] != NULL; i++) {
		const struct method *m = methods[i];
		struct arena *a = arena_new();
		void *state = arena_zalloc(a, 1, m->state_size);
		for (const struct option *o = m->options; o != NULL && o->key != NULL; o++) {
			check_that(m, o->help != NULL && o->help[0] != '\0', "%s has no help",
				o->key);
			check_that(m,
				option_set(m->options, state, m->name, o->key, o->value, a) == OK,
				"default: %s", error_text());
		}
		for (const struct preset *p = m->presets; p != NULL && p->settings != NULL; p++) {
			struct trial t = { .method = m, .state = state, .cell = { .arena = a } };
			check_that(m, m->options != NULL, "presets without options");
			for_each_setting(p->settings, a, set_method_option, &t);
			for (const struct preset *q = m->presets; q != p; q++)
				check_that(m,
					!same_text(p->target, q->target) ||
						!same_text(p->paper, q->paper),
					"two presets for %s", p->target);
		}
		arena_free(a);
	}
}

/* --- draws ---------------------------------------------------------------------------------- */

static void check_finite(struct trial *t, const struct setup *s, const struct pass *pass,
	size_t steps)
{
	const struct draws *d = draw(t, pass, steps, 0);
	const struct method *m = t->method;

	for (size_t j = 0; j < N * t->cell.dim; j++)
		check_that(m, isfinite(d->x[j]), "%s, %zu steps: x[%zu] = %g", s->target, steps, j,
			d->x[j]);
	for (size_t i = 0; d->log_w != NULL && i < N; i++)
		check_that(m, d->log_w[i] < HUGE_VAL, "%s, %zu steps: log_w[%zu] = %g", s->target,
			steps, i, d->log_w[i]);
	for (size_t i = 0; d->log_w_forward != NULL && !d->no_forward && i < N; i++)
		check_that(m, isfinite(d->log_w_forward[i]),
			"%s, %zu steps: log_w_forward[%zu] = %g", s->target, steps, i,
			d->log_w_forward[i]);
	if (!isnan(d->elbo))
		check_that(m, d->elbo <= stats_log_sum_exp(d->log_w, N, 1) - log(N),
			"%s: the ELBO is above log Z", s->target);
}

static void test_draws_are_finite(void **unused)
{
	(void)unused;
	each_draw(check_finite);
}

/* The same call, the same bits; another repeat, other numbers in every row. */
static void check_repeats(struct trial *t, const struct setup *s, const struct pass *pass,
	size_t steps)
{
	const struct draws *first = draw(t, pass, steps, 0), *other = draw(t, pass, steps, 1);
	const struct method *m = t->method;

	check_that(m, same_draws(t, first, draw(t, pass, steps, 0)),
		"%s, %zu steps: two equal calls differ", s->target, steps);
	for (size_t i = 0; i < N; i++)
		check_that(m,
			memcmp(first->x + i * t->cell.dim, other->x + i * t->cell.dim,
				t->cell.dim * sizeof(double)) != 0,
			"%s, %zu steps: row %zu is the same in another repeat", s->target, steps,
			i);
}

static void test_repeats(void **unused)
{
	(void)unused;
	each_draw(check_repeats);
}

/* Within a factor of 2, or both 0. */
static bool alike(uint64_t a, uint64_t b)
{
	return a <= 2 * b && b <= 2 * a;
}

/* Evaluations are counted, the same in each call where training fixes what is run; a ladder of
 * temperatures, or rounds of a method that refines another's samples, may depend on the draw, but not by
 * much. Weights need the target's value. */
static void check_counts(struct trial *t, const struct setup *s, const struct pass *pass,
	size_t steps)
{
	struct counts c[3] = { t->cell.counts };

	for (size_t i = 1; i < 3; i++) {
		draw(t, pass, steps, (uint32_t)i);
		c[i] = t->cell.counts;
	}
	bool weighted = pass->weights != WEIGHTS_NONE;
	uint64_t least = weighted ? N : 0;
	check_that(t->method, c[1].target - c[0].target >= least,
		"%s: %llu evaluations of the target", s->target,
		(unsigned long long)(c[1].target - c[0].target));
	uint64_t target[] = { c[1].target - c[0].target, c[2].target - c[1].target };
	uint64_t network[] = { c[1].network - c[0].network, c[2].network - c[1].network };
	bool adapts = t->method->train == NULL;
	check_that(t->method,
		adapts ? alike(target[0], target[1]) && alike(network[0], network[1])
		       : target[0] == target[1] && network[0] == network[1],
		"%s: counts differ between repeats", s->target);
	/* A method that trained without a network (ULA's bridge) has the target at each step instead. */
	uint64_t at_steps = c[0].network > 0 ? network[0] : target[0];
	if (pass->steps && t->method->train != NULL)
		check_that(t->method, at_steps >= N * steps, "%s: evaluations are not counted",
			s->target);
}

static void test_counts(void **unused)
{
	(void)unused;
	each_draw(check_counts);
}

/* Sampling again takes no more memory from the cell's arena. */
static void check_memory(struct trial *t, const struct setup *s, const struct pass *pass,
	size_t steps)
{
	struct draws *d = draws_new(t, N, pass->weights != WEIGHTS_NONE);
	struct arena_mark before = arena_mark(t->cell.arena);

	for (uint32_t i = 0; i < MEMORY_RUNS; i++) {
		t->method->sample(t->state, &t->cell, pass, steps, i, d);
		struct arena_mark after = arena_mark(t->cell.arena);
		check_that(t->method, before.block == after.block && before.used == after.used,
			"%s: sample keeps memory", s->target);
	}
}

static void test_memory(void **unused)
{
	(void)unused;
	each_draw(check_memory);
}

/* n of k steps of the flow from step `first` on, with the repeat 2. */
static void run_part(struct trial *t, size_t k, size_t first, size_t n, const double *from,
	double *to)
{
	const struct binding start = { "start", NULL, from };
	const struct capture end = { "end", to, NULL, NULL };
	struct graph_args args = { .rows = N,
		.seed = t->cell.seed,
		.epoch = 2,
		.inputs = &start,
		.n_inputs = first > 0,
		.captures = &end,
		.n_captures = 1 };
	struct graph *g =
		t->method->flow(t->state, &t->cell, k, first, n, &args.params[0], t->cell.arena);

	graph_forward(g, &args);
}

/* The parts of the flow, one after the other, are what the pass "ode" draws. */
static void check_flow(struct trial *t, const struct setup *s, const struct pass *pass,
	size_t steps)
{
	size_t first = (steps + 1) / 2, bytes = N * t->cell.dim * sizeof(double);

	if (t->method->flow == NULL || strcmp(pass->name, "ode") != 0)
		return;
	double *middle = ARENA_NEW(t->cell.arena, N * t->cell.dim, double);
	double *end = ARENA_NEW(t->cell.arena, N * t->cell.dim, double);
	run_part(t, steps, 0, first, NULL, middle);
	if (steps > first)
		run_part(t, steps, first, steps - first, middle, end);
	check_that(t->method,
		memcmp(steps > first ? end : middle, draw(t, pass, steps, 2)->x, bytes) == 0,
		"%s, %zu steps: parts of the flow are not the flow", s->target, steps);
}

static void test_flow_in_parts(void **unused)
{
	(void)unused;
	each_draw(check_flow);
}

/* --- training, seeds, threads ------------------------------------------------------------------ */

/* A digest of everything that a method does on this target: parameters and all draws. */
static uint64_t digest(const struct method *m, const struct setup *s, uint64_t seed, size_t threads)
{
	uint64_t h = 14695981039346656037u;

	parallel_use(threads);
	struct trial *t = prepare(m, s, seed, BRIEF);
	for (const struct pass *p = m->passes; t != NULL && p->name != NULL; p++) {
		size_t steps[4], n = steps_of(t, p, steps);
		for (size_t k = 0; k < n; k++) {
			const struct draws *d = draw(t, p, steps[k], 0);
			const double *parts[] = { d->x, d->log_w, d->log_w_forward };
			size_t lengths[] = { N * t->cell.dim, N, N };
			for (size_t part = 0; part < 3; part++)
				for (size_t j = 0; parts[part] != NULL && j < lengths[part] * 8;
					j++)
					h = (h ^ ((const unsigned char *)parts[part])[j]) *
					    1099511628211u; /* FNV-1a */
		}
	}
	if (t != NULL)
		trial_free(t);
	parallel_use(1);
	return h;
}

static void test_seeds_and_threads(void **unused)
{
	(void)unused;
	for (size_t i = 0; methods[i] != NULL; i++)
		for (size_t j = 0; j < sizeof(setups) / sizeof(setups[0]); j++) {
			const struct method *m = methods[i];
			struct trial *t = prepare(m, &setups[j], 1, 0);
			if (t == NULL)
				continue;
			trial_free(t);
			uint64_t one = digest(m, &setups[j], 1, 1);
			check_that(m, digest(m, &setups[j], 1, 2) == one, "%s: 2 threads differ",
				setups[j].target);
			check_that(m, digest(m, &setups[j], 1, 7) == one, "%s: 7 threads differ",
				setups[j].target);
			check_that(m, digest(m, &setups[j], 2, 1) != one,
				"%s: the seed has no effect", setups[j].target);
		}
}

/* Training reports losses, moves the parameters, counts; parameters are finite. */
static void test_training(void **unused)
{
	char text[256];

	(void)unused;
	for (size_t i = 0; methods[i] != NULL; i++) {
		const struct method *m = methods[i];
		if (m->train == NULL)
			continue;
		struct trial *t = trial_new(m->name, setups[0].target, setups[0].settings,
			quick_settings(m, &setups[0], text, sizeof(text)), 4);
		check_that(m, m->init(t->state, &t->cell) == OK, "%s", error_text());
		check_that(m, m->iterations(t->state) == 3, "iterations=3 has no effect");
		size_t n = 0;
		real *p = m->params != NULL ? m->params(t->state, &n) : NULL;
		real *before = ARENA_NEW(t->cell.arena, n, real);
		if (n > 0)
			memcpy(before, p, n * sizeof(real));
		check_that(m, m->train(t->state, &t->cell, 0) == OK, "%s", error_text());
		check_that(m, t->cell.curves != NULL && isfinite(t->cell.curves->value[0]),
			"no loss is reported");
		check_that(m, t->cell.counts.network + t->cell.counts.target > 0,
			"training counts no evaluations");
		for (size_t j = 0; j < n; j++)
			check_that(m, isfinite(p[j]), "parameter %zu is not finite", j);
		check_that(m, n == 0 || memcmp(before, p, n * sizeof(real)) != 0,
			"training leaves the parameters as they are");
		trial_free(t);
	}
}

static struct checkpoint *pieces(struct trial *t, bool complete)
{
	struct checkpoint *k = checkpoint_new(complete, t->cell.arena);

	t->method->keep(t->state, k);
	return k;
}

static void state_digest(struct trial *t, char digest[KEY_SIZE])
{
	checkpoint_digest(pieces(t, false), digest);
}

/* From one state to another, by a file. */
static void carry(struct trial *from, struct trial *to, bool complete)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	checkpoint_write(pieces(from, complete), f);
	rewind(f);
	check_that(from->method, checkpoint_read(pieces(to, complete), f) == OK, "%s",
		error_text());
	fclose(f);
}

static void train_some(struct trial *t, long from, long to)
{
	for (long it = from; it < to; it++)
		check_that(t->method, t->method->train(t->state, &t->cell, it) == OK, "train: %s",
			error_text());
}

static void check_same_draws(struct trial *a, struct trial *b, const struct setup *s)
{
	for (const struct pass *p = a->method->passes; p->name != NULL; p++) {
		size_t steps[4], n = steps_of(a, p, steps);
		for (size_t k = 0; k < n; k++)
			check_that(a->method,
				same_draws(a, draw(a, p, steps[k], 0), draw(b, p, steps[k], 0)),
				"%s, pass \"%s\": draws differ", s->target, p->name);
	}
}

/* Training that stops after CUT iterations, and goes on in a fresh state from what keep() names, ends
 * in the same bits; what it keeps of a complete training is enough to sample. keep() names something
 * that every iteration changes. */
static void check_keep(const struct method *m, const struct setup *s)
{
	enum { CUT = 2, ALL = 5 };
	struct trial *t[4];
	char fresh[KEY_SIZE], cut[KEY_SIZE], end[KEY_SIZE], whole[KEY_SIZE];

	for (size_t i = 0; i < 4; i++)
		t[i] = prepare(m, s, 6, 0);
	state_digest(t[0], fresh);
	train_some(t[0], 0, ALL);
	state_digest(t[0], whole);
	train_some(t[1], 0, CUT);
	state_digest(t[1], cut);
	carry(t[1], t[2], false);
	train_some(t[2], CUT, ALL);
	state_digest(t[2], end);
	carry(t[0], t[3], true);
	check_that(m, strcmp(fresh, cut) != 0 && strcmp(cut, end) != 0,
		"keep names nothing that training changes");
	check_that(m, strcmp(whole, end) == 0, "%s: what training changed differs", s->target);
	check_same_draws(t[0], t[2], s);
	check_same_draws(t[0], t[3], s);
	for (size_t i = 0; i < 4; i++)
		trial_free(t[i]);
}

static void test_checkpoints(void **unused)
{
	(void)unused;
	for (size_t i = 0; methods[i] != NULL; i++)
		for (size_t j = 0; j < sizeof(setups) / sizeof(setups[0]); j++) {
			struct trial *t = methods[i]->keep != NULL
						  ? prepare(methods[i], &setups[j], 6, 0)
						  : NULL;
			if (t == NULL)
				continue;
			trial_free(t);
			check_keep(methods[i], &setups[j]);
		}
}

/* What check_steps refuses comes with a message. check_finite runs what it allows. */
static void test_impossible_steps(void **unused)
{
	char text[256];

	(void)unused;
	for (size_t i = 0; methods[i] != NULL; i++) {
		const struct method *m = methods[i];
		struct trial *t = trial_new(m->name, setups[0].target, setups[0].settings,
			quick_settings(m, &setups[0], text, sizeof(text)), 4);
		for (size_t steps = 0; steps < 20 && m->check_steps != NULL; steps++) {
			int code = m->check_steps(t->state, steps);
			check_that(m, code == OK || code == ERR_RANGE || code == ERR_UNSUP,
				"%zu steps: code %d", steps, code);
			check_that(m, code == OK || error_text()[0] != '\0', "no message");
		}
		trial_free(t);
	}
}

static void test_unknown_graph(void **unused)
{
	(void)unused;
	for (size_t i = 0; methods[i] != NULL; i++) {
		struct trial *t =
			methods[i]->graph != NULL ? prepare(methods[i], &setups[0], 0, 0) : NULL;
		if (t == NULL)
			continue;
		check_that(methods[i],
			methods[i]->graph(t->state, &t->cell, "no such graph", 2, t->cell.arena) ==
				NULL,
			"a graph for any name");
		trial_free(t);
	}
}

/* --- weights --------------------------------------------------------------------------------- */

/* The part of the samples whose first coordinate is looked at. */
static double share_within(const struct setup *s, const struct draws *d, size_t dim)
{
	double inside = 0;

	for (size_t i = 0; i < d->n; i++)
		inside += d->x[i * dim] > s->from && d->x[i * dim] < s->to;
	return inside / (double)d->n;
}

/* For passes without a way back, whose samples are drawn by their weights: the estimate of Z times the
 * part of the samples in a region has the mass of the region for its mean, on any number of particles.
 * Particles share ancestors, so the errors are those of independent repeats; 5 of them are exceeded once
 * in 130000 (Student's t). The region is all of space, or where no weight is rare and large: elsewhere
 * the errors of few repeats say nothing. */
static void check_mass(struct trial *t, const struct setup *s, const struct pass *pass)
{
	enum { REPEATS = 50, PARTICLES = 400 };
	const struct target *target = density_target(t->target);
	double mass[REPEATS], whole = 1;
	struct weight_stats w;

	if (isfinite(s->from) || isfinite(s->to))
		whole = target->cdf(density_state(t->target), 0, s->to) -
			target->cdf(density_state(t->target), 0, s->from);
	for (uint32_t r = 0; r < REPEATS; r++) {
		struct draws *d = draws_new(t, PARTICLES, true);
		check_that(t->method, t->method->sample(t->state, &t->cell, pass, 0, r, d) == OK,
			"%s", error_text());
		stats_weights(d->log_w, PARTICLES, 1, &w);
		mass[r] = exp(w.log_mean) * share_within(s, d, t->cell.dim) / whole;
	}
	double mean = stats_mean(mass, REPEATS), se = stats_se(mass, REPEATS);
	check_that(t->method, se < 0.1, "%s, pass \"%s\": weights too uneven to judge by",
		s->target, pass->name);
	check_that(t->method, fabs(mean - 1) <= 5 * se,
		"%s, pass \"%s\": mean weight times share is off by a factor %g, standard error %g",
		s->target, pass->name, mean, se);
}

/* The weights of one pass, for every number of steps. Returns the best overlap of both ways. */
static double check_weights(struct trial *t, const struct setup *s, const struct pass *pass)
{
	static const size_t counts[] = { 1, 8, 64 };
	double best = 0;

	if (draw(t, pass, pass->steps ? 8 : 0, 0)->no_forward) {
		/* Steps adapted to the wide end make particles in a funnel's neck rare and heavy: frozen
		 * ladders are looked at where that is not so, and with few particles in test_smc. */
		if (!(isfinite(s->from) && strcmp(pass->name, "frozen") == 0))
			check_mass(t, s, pass);
		return 0.5;
	}
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (possible(t, pass, counts[i]))
			best = fmax(best, check_balance(t, pass, counts[i], 0));
	return best;
}

/* Exact weights have a mean of Z, trained or not, for every number of steps: by what can be relied on
 * where few weights count. Targets have log Z = 0; the paths overlap enough for the check to say something. */
static void test_exact_weights(void **unused)
{
	static const struct setup targets_here[] = {
		{ "gaussian", "mean=0.3,std=0.8,dim=2", { "steps=64" }, 0.1, -HUGE_VAL, HUGE_VAL },
		{ "gmm9", "", { "steps=64", "sigma0=4", "sigma_max=12" }, 0.05, -HUGE_VAL,
			HUGE_VAL },
		/* Annealing from N(0, 1) reaches the wide end, x_1 > log 2 of an infinite second moment,
		 * and the neck by rare particles. */
		{ "funnel", "", { "steps=64", "sigma_max=4" }, 0.005, -1, 0.5 },
	};

	(void)unused;
	for (size_t i = 0; methods[i] != NULL; i++)
		for (size_t j = 0; j < sizeof(targets_here) / sizeof(targets_here[0]); j++) {
			const struct setup *s = &targets_here[j];
			const struct method *m = methods[i];
			bool exact = false;
			for (const struct pass *p = m->passes; p->name != NULL; p++)
				exact = exact || p->weights == WEIGHTS_EXACT;
			struct trial *t = exact ? prepare(m, s, 3, 0) : NULL;
			for (int trained = 0; t != NULL && trained <= (m->train != NULL);
				trained++) {
				if (trained)
					train_some(t, 0, LONG);
				for (const struct pass *p = m->passes; p->name != NULL; p++) {
					if (p->weights != WEIGHTS_EXACT)
						continue;
					double overlap = check_weights(t, s, p);
					check_that(m, !trained || overlap > s->overlap,
						"%s, pass \"%s\": an overlap of %g says nothing",
						s->target, p->name, overlap);
				}
			}
			if (t != NULL)
				trial_free(t);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptions),
		cmocka_unit_test(test_options_and_presets),
		cmocka_unit_test(test_draws_are_finite),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_flow_in_parts),
		cmocka_unit_test(test_seeds_and_threads),
		cmocka_unit_test(test_training),
		cmocka_unit_test(test_checkpoints),
		cmocka_unit_test(test_impossible_steps),
		cmocka_unit_test(test_unknown_graph),
		cmocka_unit_test(test_exact_weights),
	};

	openblas_set_num_threads(1);
	parallel_use(1); /* but where threads are the point */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
