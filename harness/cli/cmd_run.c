#include "cli/cli.h"
#include "report/report.h"
#include "run/estimate.h"
#include "run/grid.h"
#include "run/progress.h"
#include "run/signals.h"

#include <stdlib.h>
#include <unistd.h>

enum { WORDS_MAX = 64 };

struct run_request {
	const char *out, *shard;
	struct texts sets, only;
	size_t jobs, shard_k, shard_n;
	bool dry_run, no_report;
	struct grid_options grid;
};

static int parse_shard(struct run_request *q)
{
	char end;

	if (q->shard == NULL)
		return OK;
	if (sscanf(q->shard, "%zu/%zu%c", &q->shard_k, &q->shard_n, &end) != 2 || q->shard_k < 1 ||
		q->shard_k > q->shard_n)
		return fail(ERR_PARSE, "--shard %.40s: it takes K/N, K from 1 to N", q->shard);
	return OK;
}

/* --- dry run ---------------------------------------------------------------------------------- */

static void print_total(double seconds, size_t unknown, size_t to_run)
{
	char words[WORDS_MAX];

	if (to_run == 0) {
		printf("nothing to run\n");
		return;
	}
	printf("%zu to run: about %s on %zu thread%s", to_run,
		progress_duration(seconds / (double)parallel_threads(), words, sizeof(words)),
		parallel_threads(), parallel_threads() == 1 ? "" : "s");
	if (unknown > 0)
		printf(", and %zu of which it is not known how long they take", unknown);
	printf("\n");
}

/* trained: the part of the training that a checkpoint has. */
static const char *shown_state(const struct store_entry *e, double trained, struct arena *a)
{
	if (e == NULL && trained == 1)
		return "trained";
	if (e == NULL && trained > 0)
		return arena_printf(a, "%.0f %% trained", floor(100 * trained));
	if (e == NULL)
		return "missing";
	if (e->state != CELL_OK)
		return cell_state_name(e->state);
	return grid_stale(e) ? "stale" : "done";
}

/* The cells, what is known of them, and how long the rest will take. */
static int dry_run(const struct plan *p, const char *dir, const struct grid_options *o,
	struct arena *a)
{
	struct store *s;
	struct estimate t = { 0 }, left;
	double total = 0;
	size_t to_run = 0, unknown = 0, resumed = 0, floors = 0;

	TRY(store_open(&s, dir));
	struct trainings *trainings = grid_trainings(s, p, o, NULL, NULL);
	printf("%-18s %-10s %-16s %6s  %-12s %s\n", "key", "method", "target", "seed", "state",
		"estimate");
	for (size_t i = 0; i < p->n_cells; i++) {
		const struct plan_cell *c = &p->cells[i];
		const struct store_entry *e = store_find(s, c->key);
		char words[WORDS_MAX] = "";
		bool run = grid_needs(e, o);
		double trained = run ? trainings_done(trainings, c->training_key) : 0;
		if (!run) {
			t = (struct estimate){ 0 };
		} else {
			t = estimate_best(s, p, i, &t);
			left = estimate_left(t, trained);
			to_run++;
			resumed += trained > 0;
			unknown += t.kind == ESTIMATE_UNKNOWN;
			total += t.kind == ESTIMATE_UNKNOWN ? 0 : left.seconds;
			if (t.kind == ESTIMATE_UNKNOWN)
				snprintf(words, sizeof(words), "unknown");
			else
				progress_duration(left.seconds, words, sizeof(words));
		}
		printf("%-18s %-10s %-16s %6llu  %-12s %s%s\n", c->key, c->method->name,
			c->target->target->name, (unsigned long long)c->seed,
			shown_state(e, trained, a),
			run && (t.kind == ESTIMATE_ROUGH || t.kind == ESTIMATE_PROBED) ? "~ " : "",
			words);
	}
	for (size_t i = 0; i < p->n_targets; i++)
		floors += p->targets[i].floor && store_floor(s, p->targets[i].floor_key) == NULL;
	printf("%zu cells; ", p->n_cells);
	print_total(total, unknown, to_run);
	if (resumed > 0)
		printf("%zu of them go on from checkpoints\n", resumed);
	if (floors > 0)
		printf("noise floors of %zu targets are missing\n", floors);
	trainings_free(trainings);
	store_close(s);
	return OK;
}

/* --- running ---------------------------------------------------------------------------------- */

static void print_summary(const struct grid_summary *g, const char *dir)
{
	printf("%zu cells in %s: %zu run now, %zu there before", g->cells, dir, g->ran, g->kept);
	for (int s = CELL_DIVERGED; s < CELL_STATES; s++)
		if (g->states[s] > 0)
			printf(", %zu %s", g->states[s], cell_state_name((enum cell_state)s));
	printf("\n");
	if (g->resumed + g->trained > 0)
		printf("%zu went on from a checkpoint, %zu had been trained before\n", g->resumed,
			g->trained);
	if (g->stale > 0)
		printf("%zu of them are stale, made by another version of the code: --rerun-stale "
		       "makes them anew\n",
			g->stale);
}

static size_t count_bad(const struct grid_summary *g)
{
	return g->states[CELL_DIVERGED] + g->states[CELL_FAILED] + g->states[CELL_TIMEOUT];
}

static int interrupted(const struct grid_summary *g, const char *dir)
{
	return fail(ERR_INTERRUPTED,
		"interrupted: %zu of %zu cells are kept in %s; the same command goes on from there",
		g->cells - g->not_run, g->cells, dir);
}

/* The run would not stop in time: end the process. */
static void leave(const void *context, const struct grid_summary *g, const struct error *e)
{
	if (e != NULL)
		(void)error_set(e);
	else
		(void)interrupted(g, context);
	_exit(cli_fail());
}

/* The keys of all cells and floors that this configuration is about, for the report: the directory
 * may hold records of others. whole: the plan before any part of it was selected. */
static int save_keys(const struct store *s, const struct plan *whole)
{
	json_t *cells = json_array(), *floors = json_array(), *document;
	int code;

	for (size_t i = 0; i < whole->n_cells; i++)
		json_array_append_new(cells, json_string(whole->cells[i].key));
	for (size_t i = 0; i < whole->n_targets; i++)
		if (whole->targets[i].floor)
			json_array_append_new(floors, json_string(whole->targets[i].floor_key));
	document = json_pack("{s:i, s:s, s:o, s:o}", "schema", STORE_SCHEMA, "kind", "grid",
		"cells", cells, "floors", floors);
	code = store_save(s, "grid.json", document);
	json_decref(document);
	return code;
}

static int run_grid(const struct plan *p, const struct plan *whole, const struct run_request *q,
	const char *dir, struct arena *a, int *code)
{
	struct grid_options options = q->grid;
	struct grid_summary g;
	struct store *s;

	options.leave = leave;
	options.leave_context = dir;
	signals_install();
	TRY(store_open_to_write(&s, dir, q->shard_k, q->shard_n));
	*code = store_save_text(s, "config.yaml", p->config->text);
	if (*code == OK)
		*code = save_keys(s, whole);
	if (*code == OK)
		*code = grid_run(p, s, &options, &g, a);
	store_close(s);
	if (*code == ERR_INTERRUPTED)
		return interrupted(&g, dir);
	TRY(*code);
	print_summary(&g, dir);
	/* Shards report when all are there: by `stride report`. */
	if (!q->no_report && q->shard_n == 0) {
		TRY(report_summary(dir, stdout));
		TRY(cli_report(dir, NULL));
	}
	*code = EXIT_DONE;
	if (count_bad(&g) > 0) {
		fflush(stdout);
		fprintf(stderr, "stride: %zu of %zu cells did not end well; the first is %s\n",
			count_bad(&g), g.cells, g.problem);
		*code = EXIT_CELLS;
	}
	return OK;
}

static int run(void *request, const struct texts *words, int *status, struct arena *a)
{
	struct run_request *q = request;
	struct config config;
	struct plan plan, whole;

	if (q->jobs > 0)
		parallel_use(q->jobs);
	TRY(parse_shard(q));
	TRY(config_load(&config, words->items[0], q->sets.items, q->sets.n, a));
	TRY(plan_make(&plan, &config, q->only.items, q->only.n, a));
	whole = plan;
	/* What --only leaves out may lack its data here: then the grid is what can be run. */
	if ((q->only.n > 0 || q->shard_n > 0) && plan_make(&whole, &config, NULL, 0, a) != OK)
		TRY(plan_make(&whole, &config, q->only.items, q->only.n, a));
	if (q->shard_n > 0)
		plan_shard(&plan, q->shard_k, q->shard_n);
	const char *dir = q->out != NULL ? q->out : arena_printf(a, "results/%s", config.name);
	if (q->dry_run)
		return dry_run(&plan, dir, &q->grid, a);
	return run_grid(&plan, &whole, q, dir, a, status);
}

int cmd_run(int argc, char **argv)
{
	static const struct command c = { "run", "CONFIG",
		"Run the cells of a configuration that are not in the results directory yet", 1,
		1 };
	struct run_request q = { 0 };
	const struct flag flags[] = {
		{ "set", 0, FLAG_TEXTS, &q.sets, "KEY=VALUE",
			"change the configuration: steps=1,2 or osds.iterations=10" },
		{ "only", 0, FLAG_TEXTS, &q.only, "METHOD:TARGET",
			"these cells; either may be empty" },
		{ "out", 'o', FLAG_TEXT, &q.out, "DIR",
			"results directory; results/NAME by default" },
		{ "jobs", 'j', FLAG_SIZE, &q.jobs, "N", "threads; all cores by default" },
		{ "shard", 0, FLAG_TEXT, &q.shard, "K/N", "the K-th of N parts of the grid" },
		{ "dry-run", 0, FLAG_BOOL, &q.dry_run, NULL,
			"print the cells, their state and an estimated time" },
		{ "serial", 0, FLAG_BOOL, &q.grid.serial, NULL, "one cell at a time: for timings" },
		{ "no-report", 0, FLAG_BOOL, &q.no_report, NULL,
			"run only; no tables, no figures" },
		{ "force", 0, FLAG_BOOL, &q.grid.force, NULL, "run every cell again" },
		{ "retry-failed", 0, FLAG_BOOL, &q.grid.retry_failed, NULL,
			"run failed, diverged and timed-out cells again" },
		{ "rerun-stale", 0, FLAG_BOOL, &q.grid.rerun_stale, NULL,
			"run cells again that another version of the code made" },
		{ 0 },
	};

	return command_run(&c, flags, argc, argv, run, &q);
}
