#include "cli/cli.h"
#include "cli/verdicts.h"
#include "core/table_file.h"
#include "run/progress.h"
#include "run/record.h"
#include "run/store.h"

#include <stdlib.h>

/* Numbers of a reference set: 1.6 GB of them. */
static const size_t REFERENCE_MAX = 200000000;

enum { NOTES_MAX = 8 };

struct compare_request {
	const char *metrics, *target, *cache;
	struct texts sets;
	size_t n, jobs;
	uint64_t seed, floor_draws;
	bool json, no_cache;
};

/* A comparison in progress. */
struct comparison {
	const struct compare_request *q;
	struct table_file samples, file; /* file: the reference, when it is one */
	struct config config;
	struct plan_target planned;
	struct density *target; /* NULL: none was named */
	struct log_z log_z;
	double *reference; /* [n_reference][dim]; NULL: there is none */
	size_t n_reference;
	struct verdicts verdicts;
	const char *notes[NOTES_MAX + 1];
	size_t n_notes;
	struct arena *arena;
};

static void add_note(struct comparison *c, const char *text)
{
	if (text != NULL && c->n_notes < NOTES_MAX)
		c->notes[c->n_notes++] = text;
}

/* --- what is compared ------------------------------------------------------------------------- */

static int make_target(struct comparison *c)
{
	const struct compare_request *q = c->q;
	struct setting *settings;
	struct config_entry entry = { .name = q->target, .where = "--target" };

	TRY(cli_settings(&settings, q->target, &q->sets, c->arena));
	entry.options =
		(struct written_list){ q->sets.n, ARENA_NEW(c->arena, q->sets.n, struct written) };
	for (size_t i = 0; i < q->sets.n; i++)
		entry.options.items[i] = (struct written){ settings[i].key, settings[i].value,
			arena_printf(c->arena, "--set %s", q->sets.items[i]) };
	TRY(plan_target_make(&c->planned, &c->config, &entry, c->arena));
	TRY(density_new(&c->target, q->target, c->planned.options.settings, c->planned.options.n,
		c->arena));
	density_log_z(c->target, &c->log_z);
	if (c->planned.dim == c->samples.cols)
		return OK;
	return fail(ERR_PARSE, "%s: %zu column%s; target %s takes %zu",
		table_file_place(&c->samples, 0, c->arena), c->samples.cols,
		c->samples.cols == 1 ? "" : "s", q->target, c->planned.dim);
}

static int draw_reference(struct comparison *c)
{
	const struct compare_request *q = c->q;

	if (!c->planned.exact) {
		add_note(c, arena_printf(c->arena,
				    "target %s has no exact sampler: no reference, no noise floors",
				    q->target));
		return OK;
	}
	c->n_reference = q->n > 0 ? q->n : c->samples.rows;
	if (c->n_reference > REFERENCE_MAX / c->planned.dim)
		return fail(ERR_RANGE, "-n %zu; it takes 1 to %zu in %zu dimensions",
			c->n_reference, REFERENCE_MAX / c->planned.dim, c->planned.dim);
	TRY(cell_reference(c->target, c->n_reference, &c->reference, c->arena));
	if (c->n_reference == c->samples.rows &&
		memcmp(c->reference, c->samples.x,
			c->n_reference * c->planned.dim * sizeof(double)) == 0)
		add_note(c, "the samples are the reference set itself, which scores better than "
			    "any other: stride draw with another --seed");
	return OK;
}

static int read_reference(struct comparison *c, const char *path)
{
	TRY(table_file_read(&c->file, path, c->arena));
	TRY(table_file_finite(&c->file));
	if (c->file.cols != c->samples.cols)
		return fail(ERR_PARSE, "%s: %zu column%s; %s has %zu, and both should be equal",
			table_file_place(&c->file, 0, c->arena), c->file.cols,
			c->file.cols == 1 ? "" : "s", c->samples.path, c->samples.cols);
	c->reference = c->file.x;
	c->n_reference = c->file.rows;
	add_note(c, "no noise floors: they need exact samples, drawn anew; --target without "
		    "REFERENCE has them");
	return OK;
}

static int check_words(const struct compare_request *q, const struct texts *words)
{
	if (words->n < 2 && q->target == NULL)
		return fail(ERR_PARSE,
			"nothing to compare with; stride compare takes SAMPLES REFERENCE, or "
			"SAMPLES --target TARGET");
	if (words->n == 2 && q->n > 0)
		return fail(ERR_PARSE,
			"-n %zu: the reference is %s as it is; -n is of one drawn from --target",
			q->n, words->items[1]);
	if (words->n == 2 && strcmp(words->items[0], "-") == 0 && strcmp(words->items[1], "-") == 0)
		return fail(ERR_PARSE,
			"- -: both cannot come from standard input; give the name of a file for "
			"one of the two");
	if (q->target == NULL && q->sets.n > 0)
		return fail(ERR_PARSE,
			"--set %.80s: it is an option of a target; name it by "
			"--target",
			q->sets.items[0]);
	return OK;
}

/* --- noise floors ----------------------------------------------------------------------------- */

/* Where floors are kept; NULL: nowhere. */
static const char *cache_folder(const struct compare_request *q, struct arena *a)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (q->no_cache)
		return NULL;
	if (q->cache != NULL)
		return q->cache;
	if (cache != NULL && cache[0] == '/')
		return arena_printf(a, "%s/stride", cache);
	return home != NULL && home[0] != '\0' ? arena_printf(a, "%s/.cache/stride", home) : NULL;
}

static void on_tick(void *context, double fraction)
{
	progress_tick(context, 0, fraction);
}

/* Floors of the metrics that have a value. */
static int find_floors(struct comparison *c)
{
	const struct compare_request *q = c->q;
	struct verdicts *v = &c->verdicts;
	const struct metric **wanted = ARENA_NEW(c->arena, v->n, const struct metric *);
	struct floor *found = ARENA_NEW(c->arena, v->n, struct floor);
	const char *name = arena_printf(c->arena, "floors of %s", q->target), *note;
	const double weight = 1;
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++)
		if (v->of[i].lacks == NULL && v->of[i].score.failure == NULL)
			wanted[n++] = v->of[i].metric;
	struct progress *p = progress_new(1, &name, &weight);
	progress_patience(p, 2);
	progress_begin(p, 0);
	const struct floors_request request = { .target = &c->planned,
		.samples = c->samples.rows,
		.reference = c->n_reference,
		.draws = (size_t)q->floor_draws,
		.n = n,
		.metrics = wanted,
		.folder = cache_folder(q, c->arena),
		.ticker = &(struct ticker){ on_tick, p } };
	int code = floors_find(&request, found, &note, c->arena);
	progress_end(p, 0, code == OK ? "done" : "failed", NULL);
	progress_free(p);
	add_note(c, note);
	n = 0;
	for (size_t i = 0; i < v->n; i++)
		if (v->of[i].lacks == NULL && v->of[i].score.failure == NULL)
			v->of[i].floor = found[n++];
	return code;
}

/* --- the command ------------------------------------------------------------------------------ */

static void print_head(const struct comparison *c)
{
	const struct compare_request *q = c->q;

	printf("%s: %zu samples of %zu dimension%s", c->samples.path, c->samples.rows,
		c->samples.cols, c->samples.cols == 1 ? "" : "s");
	if (c->reference != NULL)
		printf(", against %zu of %s", c->n_reference,
			c->file.path != NULL ? c->file.path : q->target);
	if (c->target != NULL && (c->reference == NULL || c->file.path != NULL))
		printf(", target %s", q->target);
	printf("\n");
}

static json_t *head_json(const struct comparison *c)
{
	json_t *options = json_object();

	for (size_t i = 0; i < c->planned.options.n; i++)
		json_object_set_new(options, c->planned.options.settings[i].key,
			record_text(c->planned.options.settings[i].value));
	return json_pack("{s:i, s:o, s:I, s:I, s:o, s:I, s:o, s:o, s:I, s:I}", "schema",
		STORE_SCHEMA, "samples", record_text(c->samples.path), "n",
		(json_int_t)c->samples.rows, "dim", (json_int_t)c->samples.cols, "reference",
		record_text(c->file.path), "n_reference", (json_int_t)c->n_reference, "target",
		record_text(c->q->target), "target_options", options, "floor_draws",
		(json_int_t)c->q->floor_draws, "seed", (json_int_t)c->q->seed);
}

static int score_samples(struct comparison *c)
{
	struct arena *scratch = arena_new();
	struct scored in;

	scoring_start(&in, c->target, &c->log_z, c->samples.x, c->samples.rows, c->samples.cols,
		c->reference, c->n_reference, scratch);
	in.seed = c->q->seed;
	int code = verdicts_score(&c->verdicts, &in, c->arena);
	arena_free(scratch);
	return code;
}

static int compare(void *request, const struct texts *words, int *status, struct arena *a)
{
	const struct compare_request *q = request;
	struct comparison c = { .q = q, .log_z.value = (double)NAN, .arena = a };

	if (q->jobs > 0)
		parallel_use(q->jobs);
	TRY(check_words(q, words));
	TRY(verdicts_choose(&c.verdicts, q->metrics, false, a));
	TRY(table_file_read(&c.samples, words->items[0], a));
	TRY(table_file_finite(&c.samples));
	if (q->target != NULL)
		TRY(make_target(&c));
	TRY(words->n == 2 ? read_reference(&c, words->items[1]) : draw_reference(&c));
	TRY(score_samples(&c));
	if (c.reference != NULL && c.file.path == NULL)
		TRY(find_floors(&c));
	if (q->json) {
		verdicts_print_json(&c.verdicts, c.notes, head_json(&c), stdout);
	} else {
		print_head(&c);
		verdicts_print(&c.verdicts, c.notes, stdout, a);
	}
	*status = verdicts_status(&c.verdicts);
	return OK;
}

int cmd_compare(int argc, char **argv)
{
	static const struct command c = { "compare", "SAMPLES [REFERENCE]",
		"Score samples that any program made, in a CSV or .npy file (-: standard input),\n"
		"against those of another file, or with --target against exact ones, with noise "
		"floors.\nExit status 1: a metric failed or is undefined",
		1, 2 };
	struct compare_request q = { .floor_draws = 19 };
	const struct flag flags[] = {
		{ "target", 0, FLAG_TEXT, &q.target, "TARGET", "what they are samples of" },
		TARGET_SET_FLAG(&q.sets),
		{ "metrics", 0, FLAG_TEXT, &q.metrics, "ID,...", "these; all by default" },
		{ "number", 'n', FLAG_SIZE, &q.n, "N",
			"exact samples to compare with; as many as there are samples by default" },
		{ "seed", 0, FLAG_SEED, &q.seed, "S",
			"of metrics that draw random numbers, 0 by default" },
		{ "floor-draws", 0, FLAG_SEED, &q.floor_draws, "K",
			"exact sets for the noise floors, 19 by default; 0: no floors" },
		{ "cache", 0, FLAG_TEXT, &q.cache, "DIR",
			"keeps floors; $XDG_CACHE_HOME/stride or ~/.cache/stride by default" },
		{ "no-cache", 0, FLAG_BOOL, &q.no_cache, NULL, "make floors anew and keep none" },
		{ "json", 0, FLAG_BOOL, &q.json, NULL, "print JSON" },
		{ "jobs", 'j', FLAG_SIZE, &q.jobs, "N", "threads; all cores by default" },
		{ 0 },
	};

	return command_run(&c, flags, argc, argv, compare, &q);
}
