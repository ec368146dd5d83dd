#include "support.h"

#include "core/version.h"
#include "run/clock.h"
#include "run/curve.h"
#include "run/grid.h"
#include "run/signals.h"

#include <sys/resource.h>

/* --- methods that go wrong in one way each ---------------------------------------------------- */

struct toy {
	char unused;
};

static const struct pass weighted[] = { { "", "", WEIGHTS_EXACT, true }, { 0 } };

static int fine_init(void *state, struct cell *c)
{
	(void)state, (void)c;
	return OK;
}

static int unsupported_init(void *state, struct cell *c)
{
	(void)state, (void)c;
	return fail(ERR_UNSUP, "not on this target");
}

static long hundred(const void *state)
{
	(void)state;
	return 100;
}

static long very_many(const void *state)
{
	(void)state;
	return 1000000000;
}

static int fine_train(void *state, struct cell *c, long it)
{
	(void)state;
	c->counts.network += 3;
	c->counts.target += 2;
	cell_curve(c, "loss", it, 1.0 / (double)(it + 1));
	return OK;
}

/* Two non-finite losses in three: not yet diverged. */
static int shaky_train(void *state, struct cell *c, long it)
{
	(void)state;
	cell_curve(c, "loss", it, it % 3 == 0 ? 1 : (double)NAN);
	return OK;
}

static int nan_train(void *state, struct cell *c, long it)
{
	(void)state;
	cell_curve(c, "loss", it, it < 10 ? 1 : (double)INFINITY);
	return OK;
}

static int failing_train(void *state, struct cell *c, long it)
{
	(void)state, (void)c;
	return it < 5 ? OK : fail(ERR_NUMERIC, "no root in iteration %ld", it);
}

static int diverging_train(void *state, struct cell *c, long it)
{
	(void)state, (void)c, (void)it;
	return fail(ERR_DIVERGED, "the norm is 1e40");
}

static int slow_train(void *state, struct cell *c, long it)
{
	(void)state, (void)c, (void)it;
	usleep(1000);
	return OK;
}

/* Deaf to every request to stop. */
static int stuck_train(void *state, struct cell *c, long it)
{
	(void)state, (void)c, (void)it;
	for (unsigned left = 600; left > 0;)
		left = sleep(left);
	return OK;
}

static void fill(struct cell *c, struct draws *d, size_t bad)
{
	for (size_t i = 0; i < d->n * c->dim; i++)
		d->x[i] = i / c->dim < bad ? (double)NAN : (double)(i % 7) - 3;
	for (size_t i = 0; i < d->n; i++) {
		d->log_w[i] = 0.25 + 0.5 * (double)(i % 2);
		d->log_w_forward[i] = 0;
	}
	c->counts.network += d->n;
	c->counts.target += 2 * d->n;
}

static int fine_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	(void)state, (void)pass, (void)repeat;
	fill(c, d, 0);
	cell_report(c, "acceptance", 0.25);
	cell_report(c, "rounds", (double)INFINITY);
	cell_report(c, "acceptance", (double)steps / 8);
	return OK;
}

static int some_bad_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	(void)state, (void)pass, (void)steps, (void)repeat;
	fill(c, d, 3);
	return OK;
}

static int all_bad_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	(void)state, (void)pass, (void)steps, (void)repeat;
	fill(c, d, d->n);
	return OK;
}

static int failing_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	(void)state, (void)c, (void)pass, (void)repeat, (void)d;
	return steps < 4 ? fine_sample(state, c, pass, steps, repeat, d)
			 : fail(ERR_NUMERIC, "%zu steps are too many", steps);
}

static int late_diverging_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	fine_sample(state, c, pass, steps, repeat, d);
	return steps < 4 ? OK : fail(ERR_DIVERGED, "%zu steps are too long", steps);
}

#define TOY(toy_name)                                                   \
	.name = toy_name, .title = toy_name, .paper = "", .version = 1, \
	.state_size = sizeof(struct toy), .passes = weighted

/* In the order of their seeds in the plan. */
static const struct method toys[] = {
	{ TOY("fine"), .init = fine_init, .iterations = hundred, .train = fine_train,
		.sample = fine_sample },
	{ TOY("shaky"), .init = fine_init, .iterations = hundred, .train = shaky_train,
		.sample = fine_sample },
	{ TOY("nan"), .init = fine_init, .iterations = hundred, .train = nan_train,
		.sample = fine_sample },
	{ TOY("failing"), .init = fine_init, .iterations = hundred, .train = failing_train,
		.sample = fine_sample },
	{ TOY("diverging"), .init = fine_init, .iterations = hundred, .train = diverging_train,
		.sample = fine_sample },
	{ TOY("slow"), .init = fine_init, .iterations = very_many, .train = slow_train,
		.sample = fine_sample },
	{ TOY("unsupported"), .init = unsupported_init, .sample = fine_sample },
	{ TOY("some bad"), .init = fine_init, .sample = some_bad_sample },
	{ TOY("all bad"), .init = fine_init, .sample = all_bad_sample },
	{ TOY("failing late"), .init = fine_init, .sample = failing_sample },
	{ TOY("diverging late"), .init = fine_init, .sample = late_diverging_sample },
};
enum { N_TOYS = sizeof(toys) / sizeof(*toys), SLOW = 5, SAMPLES = 20 };

struct toy_grid {
	const struct folder *f;
	const char *config;
	struct grid_options options;
	const struct method *instead_of_slow;
};

/* The plan of a configuration with one method, cell i being toy i. */
static int plan_toys(struct toy_grid *g, struct config *c, struct plan *p, struct arena *a)
{
	TRY(config_load(c, write_file(g->f, "toys.yaml", g->config), NULL, 0, a));
	TRY(plan_make(p, c, NULL, 0, a));
	for (size_t i = 0; i < N_TOYS; i++) {
		p->cells[i].method =
			i == SLOW && g->instead_of_slow != NULL ? g->instead_of_slow : &toys[i];
		p->cells[i].n_steps = c->n_steps;
		p->cells[i].steps = c->steps;
	}
	return OK;
}

static int run_toys(void *context)
{
	struct toy_grid *g = context;
	struct arena *a = arena_new();
	struct grid_summary summary;
	struct config c;
	struct plan p;
	struct store *s;

	signals_install();
	parallel_use(2);
	TRY(plan_toys(g, &c, &p, a));
	TRY(store_open_to_write(&s, in_folder(g->f, "results"), 0, 0));
	int code = grid_run(&p, s, &g->options, &summary, a);
	store_close(s);
	printf("ran %zu kept %zu not_run %zu stale %zu\n", summary.ran, summary.kept,
		summary.not_run, summary.stale);
	arena_free(a);
	return code;
}

#define TOY_CONFIG                                                                                \
	"seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\nsteps: [1, 4]\nsamples: 20\nfloor_draws: 2\n" \
	"metrics: [elbo, mmd_u]\nmethods: [{ name: exact }]\n"                                    \
	"targets: [{ name: gaussian }]\n"

static void toy_keys(const struct folder *f, const char *config, char keys[N_TOYS][KEY_SIZE])
{
	struct toy_grid g = { .f = f, .config = config };
	struct arena *a = arena_new();
	struct config c;
	struct plan p;

	assert_int_equal(plan_toys(&g, &c, &p, a), OK);
	assert_int_equal(p.n_cells, N_TOYS);
	for (size_t i = 0; i < N_TOYS; i++)
		memcpy(keys[i], p.cells[i].key, KEY_SIZE);
	arena_free(a);
}

static json_t *load_record(const struct folder *f, const char *key)
{
	char name[PATH_LENGTH];
	json_error_t e;

	snprintf(name, sizeof(name), "results/cells/%s.json", key);
	return json_load_file(in_folder(f, name), 0, &e);
}

static const char *text_of(const json_t *record, const char *key)
{
	const char *s = json_string_value(json_object_get(record, key));

	return s != NULL ? s : "";
}

static void what_goes_wrong_is_a_state(void **state)
{
	static const struct {
		const char *state, *message;
	} expected[N_TOYS] = {
		{ "ok", "" },
		{ "ok", "" },
		{ "diverged", "loss is not finite since iteration 10" },
		{ "failed", "no root in iteration 5" },
		{ "diverged", "the norm is 1e40" },
		{ "timeout", "not done after 0.3 s" },
		{ "skipped", "not on this target" },
		{ "ok", "" },
		{ "diverged", "no sample is finite" },
		{ "failed", "4 steps are too many" },
		{ "ok", "diverged: 4 steps are too long" },
	};
	const struct folder *f = *state;
	struct toy_grid g = { .f = f, .config = TOY_CONFIG "timeout_seconds: 0.3\n" };
	char keys[N_TOYS][KEY_SIZE];

	toy_keys(f, g.config, keys);
	assert_int_equal(run_child(f, run_toys, &g), OK);
	for (size_t i = 0; i < N_TOYS; i++) {
		json_t *r = load_record(f, keys[i]);
		assert_non_null(r);
		if (strcmp(text_of(r, "state"), expected[i].state) != 0 ||
			strstr(text_of(r, "message"), expected[i].message) == NULL)
			fail_msg("toy %s: %s, \"%s\"", toys[i].name, text_of(r, "state"),
				text_of(r, "message"));
		char points[PATH_LENGTH];
		snprintf(points, sizeof(points), "results/cells/%s.samples.csv", keys[i]);
		assert_int_equal(exists(in_folder(f, points)),
			strcmp(expected[i].state, "ok") == 0);
		json_decref(r);
	}
}

/* What a draw gave stays when a later one diverges, which has no value for any metric. */
static void a_diverged_draw_leaves_the_others(void **state)
{
	const struct folder *f = *state;
	struct toy_grid g = { .f = f, .config = TOY_CONFIG "timeout_seconds: 0.3\n" };
	char keys[N_TOYS][KEY_SIZE];

	toy_keys(f, g.config, keys);
	assert_int_equal(run_child(f, run_toys, &g), OK);
	json_t *record = load_record(f, keys[N_TOYS - 1]);
	const json_t *results = json_object_get(record, "results");
	assert_int_equal(json_array_size(results), 2);
	for (size_t i = 0; i < 2; i++) {
		const json_t *r = json_array_get(results, i);
		size_t values = json_object_size(json_object_get(r, "metrics"));
		const json_t *failed = json_object_get(r, "failed_metrics");
		assert_int_equal(values > 0, i == 0);
		assert_int_equal(json_object_get(failed, "elbo") != NULL, i == 1);
		assert_int_equal(json_is_null(json_object_get(r, "diverged")), i == 0);
		assert_true(i == 0 || strcmp(text_of(failed, "elbo"), text_of(r, "diverged")) == 0);
	}
	json_decref(record);
}

/* Not run again, unless asked for. */
static void what_is_there_is_kept(void **state)
{
	const struct folder *f = *state;
	struct toy_grid g = { .f = f, .config = TOY_CONFIG "timeout_seconds: 0.3\n" };

	assert_int_equal(run_child(f, run_toys, &g), OK);
	assert_true(output_has(f, "out", "ran 11 kept 0 not_run 0 stale 0"));
	assert_int_equal(run_child(f, run_toys, &g), OK);
	assert_true(output_has(f, "out", "ran 0 kept 11 not_run 0 stale 0"));
	g.options.retry_failed = true;
	assert_int_equal(run_child(f, run_toys, &g), OK);
	assert_true(output_has(f, "out", "ran 6 kept 5 not_run 0 stale 0"));
	g.options = (struct grid_options){ .rerun_stale = true };
	assert_int_equal(run_child(f, run_toys, &g), OK);
	assert_true(output_has(f, "out", "ran 0 kept 11 not_run 0 stale 0"));
	g.options = (struct grid_options){ .force = true, .serial = true };
	assert_int_equal(run_child(f, run_toys, &g), OK);
	assert_true(output_has(f, "out", "ran 11 kept 0 not_run 0 stale 0"));
}

/* With r, which is released, in the place of that record, a run tells one that is stale, and makes it anew
 * when asked. */
static void check_stale(const struct folder *f, struct toy_grid *g, const char *key, json_t *r)
{
	char name[PATH_LENGTH];

	snprintf(name, sizeof(name), "results/cells/%s.json", key);
	assert_int_equal(json_dump_file(r, in_folder(f, name), 0), 0);
	json_decref(r);
	assert_int_equal(run_child(f, run_toys, g), OK);
	assert_true(output_has(f, "out", "ran 0 kept 11 not_run 0 stale 1"));
	g->options.rerun_stale = true;
	assert_int_equal(run_child(f, run_toys, g), OK);
	assert_true(output_has(f, "out", "ran 1 kept 10 not_run 0 stale 0"));
}

static void stale_cells_are_told_and_made_anew_when_asked(void **state)
{
	const struct folder *f = *state;
	struct toy_grid g = { .f = f, .config = TOY_CONFIG "timeout_seconds: 0.1\n" };
	char keys[N_TOYS][KEY_SIZE];

	toy_keys(f, g.config, keys);
	assert_int_equal(run_child(f, run_toys, &g), OK);
	json_t *r = load_record(f, keys[0]);
	assert_string_equal(text_of(r, "code"), version.code);
	json_object_set_new(r, "code", json_string("another"));
	check_stale(f, &g, keys[0], r);
}

static void records_hold_what_was_measured(void **state)
{
	const struct folder *f = *state;
	struct toy_grid g = { .f = f, .config = TOY_CONFIG "timeout_seconds: 0.1\nrepeats: 2\n" };
	char keys[N_TOYS][KEY_SIZE];

	toy_keys(f, g.config, keys);
	assert_int_equal(run_child(f, run_toys, &g), OK);
	json_t *r = load_record(f, keys[0]), *results = json_object_get(r, "results"), *one;
	const json_t *cost = json_object_get(r, "cost");
	size_t i;
	assert_int_equal(json_integer_value(json_object_get(cost, "train_network_evaluations")),
		300);
	assert_int_equal(json_integer_value(json_object_get(cost, "train_target_evaluations")),
		200);
	assert_int_equal(json_array_size(results), 4);
	json_array_foreach(results, i, one)
	{
		assert_int_equal(json_integer_value(json_object_get(one, "steps")), i < 2 ? 1 : 4);
		assert_int_equal(json_integer_value(json_object_get(one, "repeat")), i % 2);
		assert_int_equal(json_integer_value(json_object_get(one, "network_evaluations")),
			SAMPLES);
		assert_int_equal(json_integer_value(json_object_get(one, "target_evaluations")),
			2 * SAMPLES);
		const json_t *elbo = json_object_get(json_object_get(one, "metrics"), "elbo");
		assert_true(json_real_value(json_object_get(elbo, "value")) == 0.5);
		const json_t *reports = json_object_get(one, "reports");
		assert_int_equal(json_object_size(reports), 2);
		assert_true(json_real_value(json_object_get(reports, "acceptance")) ==
			    (i < 2 ? 0.125 : 0.5));
		assert_string_equal(text_of(reports, "rounds"), "inf");
	}
	json_decref(r);

	/* Three samples that are not finite: no sample metric, but the weights' are there. */
	r = load_record(f, keys[7]);
	one = json_array_get(json_object_get(r, "results"), 0);
	assert_int_equal(json_integer_value(json_object_get(one, "nonfinite")), 3);
	assert_null(json_object_get(json_object_get(one, "metrics"), "mmd_u"));
	assert_non_null(strstr(text_of(json_object_get(one, "failed_metrics"), "mmd_u"),
		"3 of 20 samples"));
	assert_non_null(json_object_get(json_object_get(one, "metrics"), "elbo"));
	json_decref(r);
}

/* The slow cell would run for ever; the others are done long before the signal. */
static void interruption_is_quick_and_keeps_what_is_done(void **state)
{
	const struct folder *f = *state;
	struct toy_grid g = { .f = f, .config = TOY_CONFIG };
	char keys[N_TOYS][KEY_SIZE];

	toy_keys(f, g.config, keys);
	pid_t child = start_child(f, run_toys, &g);
	char last[PATH_LENGTH];
	snprintf(last, sizeof(last), "results/cells/%s.json", keys[N_TOYS - 1]);
	while (!exists(in_folder(f, last)))
		usleep(10000);
	double start = clock_seconds();
	kill(child, SIGINT);
	assert_int_equal(wait_child(child), ERR_INTERRUPTED);
	assert_true(clock_seconds() - start < 3);
	assert_true(output_has(f, "out", "ran 10 kept 0 not_run 1"));
	assert_null(load_record(f, keys[SLOW]));
	char partial[PATH_LENGTH];
	snprintf(partial, sizeof(partial), "ls %s | grep -q partial",
		in_folder(f, "results/cells"));
	assert_int_not_equal(system(partial), 0);
}

static void leave(const void *context, const struct grid_summary *s, const struct error *e)
{
	(void)context;
	fprintf(stderr, "left: not_run %zu, error %d\n", s->not_run, e != NULL);
	_exit(EXIT_INTERRUPTED);
}

static void a_deaf_method_does_not_hold_up_the_end(void **state)
{
	static const struct method stuck = { TOY("stuck"), .init = fine_init,
		.iterations = very_many, .train = stuck_train, .sample = fine_sample };
	const struct folder *f = *state;
	struct toy_grid g = { .f = f, .config = TOY_CONFIG, .instead_of_slow = &stuck };

	g.options.leave = leave;
	pid_t child = start_child(f, run_toys, &g);
	while (!output_has_quietly(f, "err", "11 of 12 done"))
		usleep(10000);
	double start = clock_seconds();
	kill(child, SIGINT);
	assert_int_equal(wait_child(child), EXIT_INTERRUPTED);
	assert_true(clock_seconds() - start < 3);
	assert_true(output_has(f, "err", "left: not_run 1, error 0"));
	char command[PATH_LENGTH];
	snprintf(command, sizeof(command), "ls %s | grep -q partial",
		in_folder(f, "results/cells"));
	assert_int_not_equal(system(command), 0);
}

/* A file size limit stands for a full disk. The run stops, with nothing half written. */
static int run_toys_on_full_disk(void *context)
{
	struct rlimit limit = { 1000, 1000 };

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	/* The output files would be full as well. */
	if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
		return 99;
	return run_toys(context);
}

static void a_full_disk_ends_the_run(void **state)
{
	const struct folder *f = *state;
	struct toy_grid g = { .f = f, .config = TOY_CONFIG };

	write_file(f, "toys.yaml", TOY_CONFIG);
	assert_int_equal(run_child(f, run_toys_on_full_disk, &g), ERR_IO);
	assert_int_equal(rmdir(in_folder(f, "results/cells")), 0);
}

/* --- curves ----------------------------------------------------------------------------------- */

static void curves_are_thinned(void **state)
{
	struct arena *a = arena_new();
	struct cell c = { .arena = a };
	(void)state;

	for (long it = 0; it < 12345; it++) {
		cell_curve(&c, "loss", it, (double)it);
		if (it % 10 == 0)
			cell_curve(&c, "distillation", it, 1);
		const struct curve *k = c.curves;
		assert_true(k->n <= CURVE_POINTS);
		assert_int_equal(k->iteration[k->n - 1], it);
	}
	const struct curve *k = c.curves;
	assert_string_equal(k->name, "loss");
	assert_true(k->n > CURVE_POINTS / 2);
	for (size_t i = 0; i < k->n; i++) {
		assert_true(k->value[i] == (double)k->iteration[i]);
		assert_true(i + 1 == k->n || k->iteration[i] == (long)i * k->stride);
	}
	assert_string_equal(k->next->name, "distillation");
	assert_null(curve_diverged(c.curves));
	arena_free(a);
}

/* --- real methods ----------------------------------------------------------------------------- */

/* Batches of three chunks, so that there is something to share out. */
#define BRIEFLY "options: { iterations: 3, batch: 160, steps: 8 }"
static const char small_grid[] =
	"seeds: [0]\nsteps: [1, 4]\nsamples: 200\nfloor_draws: 2\n"
	"methods:\n  - name: exact\n"
	"  - { name: smc, options: { temperatures: 8, ess_target: 0.5, moves: 1 } }\n"
	"  - { name: pis, " BRIEFLY " }\n  - { name: osds, " BRIEFLY " }\n"
	"targets: [{ name: gaussian }, { name: gmm9 }, { name: ionosphere }]\n";

static void results_do_not_depend_on_threads(void **state)
{
	const struct folder *f = *state;

	write_file(f, "grid.yaml", small_grid);
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/one -j 1"), EXIT_DONE);
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/two -j 2"), EXIT_DONE);
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/seven -j 7"), EXIT_DONE);
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/serial -j 2 --serial"), EXIT_DONE);
	assert_true(same_results(f, "one", "two"));
	assert_true(same_results(f, "one", "seven"));
	assert_true(same_results(f, "one", "serial"));
}

static void shards_together_are_the_whole(void **state)
{
	const struct folder *f = *state;

	write_file(f, "grid.yaml", small_grid);
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/whole"), EXIT_DONE);
	for (int k = 1; k <= 3; k++) {
		char words[PATH_LENGTH];
		snprintf(words, sizeof(words), "run %%s/grid.yaml --out %%s/parts --shard %d/3", k);
		assert_int_equal(stride(f, words), EXIT_DONE);
	}
	assert_true(same_results(f, "whole", "parts"));
}

/* --- trainings that several cells want --------------------------------------------------------- */

enum { PUPILS = 5 };

/* Its training is that of another method. */
static int pupil_init(void *state, struct cell *c)
{
	static const struct setting settings[] = { { "iterations", "100" }, { "batch", "200" },
		{ "steps", "8" } };
	struct trained teacher;
	(void)state;

	return cell_trained(c, "pis", settings, 3, &teacher);
}

/* Every cell wants the same teacher, and the first is the teacher itself. */
static int run_pupils(void *context)
{
	static const struct method pupil = { TOY("pupil"), .init = pupil_init,
		.iterations = hundred, .train = fine_train, .sample = fine_sample };
	const struct folder *f = context;
	struct arena *a = arena_new();
	struct grid_options options = { 0 };
	struct grid_summary summary;
	struct config c;
	struct plan p;
	struct store *s;

	parallel_use(3);
	TRY(config_load(&c,
		write_file(f, "pupils.yaml",
			"seeds: [0, 1, 2, 3, 4]\nsteps: [1, 4]\nsamples: 20\nfloor_draws: 0\n"
			"methods: [{ name: pis, options: { iterations: 100, batch: 200, "
			"steps: 8 } }]\ntargets: [{ name: gaussian }]\n"),
		NULL, 0, a));
	TRY(plan_make(&p, &c, NULL, 0, a));
	for (size_t i = 0; i < PUPILS; i++) {
		p.cells[i].seed = 0;
		if (i == 0)
			continue;
		p.cells[i].method = &pupil;
		p.cells[i].options.n = 0;
		p.cells[i].training_key[0] = '\0';
	}
	TRY(store_open_to_write(&s, in_folder(f, "results"), 0, 0));
	int code = grid_run(&p, s, &options, &summary, a);
	store_close(s);
	printf("ran %zu not_run %zu ok %zu\n", summary.ran, summary.not_run,
		summary.states[CELL_OK]);
	for (size_t i = 0; i < PUPILS; i++)
		printf("%s\n", p.cells[i].key);
	printf("teacher %s\n", p.cells[0].training_key);
	arena_free(a);
	return code;
}

/* Each waits its turn, or is trained for the others; nobody waits for ever. */
static void cells_share_a_teacher(void **state)
{
	struct folder *f = *state;
	char key[KEY_SIZE] = "", teacher[KEY_SIZE] = "";
	double seconds = -1;

	assert_int_equal(run_child(f, run_pupils, f), OK);
	assert_true(output_has(f, "out", "ran 5 not_run 0 ok 5"));
	print_message("cells waited: %s\n", output_has_quietly(f, "err", "wait  ") ? "yes" : "no");
	char *out = read_file(in_folder(f, "out")), *at = strchr(out, '\n') + 1;
	sscanf(strstr(out, "teacher ") + 8, "%16s", teacher);
	for (size_t i = 0; i < PUPILS; i++, at = strchr(at, '\n') + 1) {
		sscanf(at, "%16s", key);
		json_t *r = load_record(f, key);
		assert_non_null(r);
		const json_t *training = json_object_get(r, "training");
		const json_t *of = json_array_get(json_object_get(training, "of"), 0);
		const json_t *cost = json_object_get(r, "cost");
		const json_t *curves = json_object_get(training, "curves");
		double took = json_number_value(json_object_get(cost, "train_seconds"));
		if (i == 0) {
			assert_string_equal(text_of(training, "key"), teacher);
			assert_null(of);
			seconds = took;
		} else {
			assert_string_equal(text_of(of, "method"), "pis");
			assert_string_equal(text_of(of, "key"), teacher);
			assert_non_null(json_object_get(curves, "loss"));
			assert_non_null(json_object_get(curves, "teacher loss"));
			assert_true(took >= seconds); /* the teacher's and its own */
		}
		assert_string_equal(
			json_string_value(json_array_get(json_object_get(training, "code"), 0)),
			version.training);
		assert_int_equal(json_array_size(json_object_get(training, "code")), 1);
		uint64_t evaluations = (uint64_t)json_integer_value(
			json_object_get(cost, "train_network_evaluations"));
		assert_int_equal(evaluations, 100 * 200 * 8 + (i > 0 ? 300 : 0));
		json_decref(r);
	}
	free(out);
}

/* A record whose training other sources had part in is stale like one of other sources. */
static void training_by_other_sources_is_stale(void **state)
{
	const struct folder *f = *state;
	struct toy_grid g = { .f = f, .config = TOY_CONFIG "timeout_seconds: 0.1\n" };
	char keys[N_TOYS][KEY_SIZE];

	toy_keys(f, g.config, keys);
	assert_int_equal(run_child(f, run_toys, &g), OK);
	json_t *r = load_record(f, keys[0]);
	json_t *codes = json_object_get(json_object_get(r, "training"), "code");
	assert_int_equal(json_array_size(codes), 1);
	json_array_insert_new(codes, 0, json_string("another"));
	check_stale(f, &g, keys[0], r);
}

/* nis has weights up to 100 dimensions. */
static void a_pass_that_cannot_be_had_is_left_out(void **state)
{
	const struct folder *f = *state;

	write_file(f, "grid.yaml",
		"seeds: [0]\nsteps: [1]\nsamples: 20\nfloor_draws: 2\n"
		"methods: [{ name: nis, options: { iterations: 1, batch: 8, width: 8 } }]\n"
		"targets: [{ name: gaussian }]\n");
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/most --set gaussian.dim=100"),
		EXIT_DONE);
	assert_int_equal(stride(f, "run %s/grid.yaml --out %s/more --set gaussian.dim=101"),
		EXIT_DONE);
	assert_true(output_has(f, "most/report/long.csv", ",samples,"));
	assert_true(output_has(f, "more/report/long.csv", ",samples,"));
	assert_true(output_has(f, "most/report/long.csv", ",weighted,"));
	assert_false(output_has_quietly(f, "more/report/long.csv", ",weighted,"));
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(what_goes_wrong_is_a_state),
		IN_FOLDER(a_diverged_draw_leaves_the_others),
		IN_FOLDER(what_is_there_is_kept),
		IN_FOLDER(stale_cells_are_told_and_made_anew_when_asked),
		IN_FOLDER(training_by_other_sources_is_stale),
		IN_FOLDER(cells_share_a_teacher),
		IN_FOLDER(records_hold_what_was_measured),
		IN_FOLDER(interruption_is_quick_and_keeps_what_is_done),
		IN_FOLDER(a_deaf_method_does_not_hold_up_the_end),
		IN_FOLDER(a_full_disk_ends_the_run),
		cmocka_unit_test(curves_are_thinned),
		IN_FOLDER(results_do_not_depend_on_threads),
		IN_FOLDER(shards_together_are_the_whole),
		IN_FOLDER(a_pass_that_cannot_be_had_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
