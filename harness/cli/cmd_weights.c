#include "cli/cli.h"
#include "cli/verdicts.h"
#include "run/record.h"
#include "run/weights_file.h"

#include <stdlib.h>

struct weights_request {
	const char *metrics, *columns, *log_z;
	size_t jobs;
	uint64_t seed;
	bool json, detflow;
};

/* VALUE or VALUE,SE. */
static int parse_log_z(const char *text, struct log_z *out)
{
	char *end;

	*out = (struct log_z){ .kind = LOG_Z_UNKNOWN, .value = (double)NAN, .source = "--log-z" };
	if (text == NULL)
		return OK;
	out->value = strtod(text, &end);
	if (end != text && *end == ',') {
		const char *se = end + 1;
		out->se = strtod(se, &end);
		end = end != se ? end : (char *)text;
	}
	if (end == text || *end != '\0' || !isfinite(out->value) || !(out->se >= 0) ||
		isinf(out->se))
		return fail(ERR_PARSE, "--log-z %.80s: it takes VALUE or VALUE,SE, finite numbers",
			text);
	out->kind = out->se > 0 ? LOG_Z_ESTIMATE : LOG_Z_EXACT;
	return OK;
}

/* What the numbers cannot say. */
static const char *remark(const struct weights_file *w, const char *name, struct nonfinite c,
	struct arena *a)
{
	if (c.minus == w->n)
		return arena_printf(a,
			"every %s is -inf: all weights are 0, and say nothing of the target", name);
	if (c.nan + c.plus > 0)
		return arena_printf(a,
			"%zu of %zu %s are NaN and %zu +inf: what averages them is undefined",
			c.nan, w->n, name, c.plus);
	return NULL;
}

static void print_odd(const struct weights_file *w, const char *name, const double *log_w,
	struct nonfinite c)
{
	if (log_w == NULL)
		return;
	printf("%s: %zu %s; %zu -inf, %zu NaN, %zu +inf\n", w->path, w->n, name, c.minus, c.nan,
		c.plus);
}

static json_t *odd_json(const double *log_w, struct nonfinite c)
{
	if (log_w == NULL)
		return json_null();
	return json_pack("{s:I, s:I, s:I}", "-inf", (json_int_t)c.minus, "nan", (json_int_t)c.nan,
		"inf", (json_int_t)c.plus);
}

static int weights(void *request, const struct texts *words, int *status, struct arena *a)
{
	const struct weights_request *q = request;
	const char *notes[4] = { NULL }, *note;
	size_t n_notes = 0;
	struct weights_file w;
	struct verdicts v;
	struct scored in;
	struct log_z z;
	struct nonfinite odd[SCORED_WEIGHTS];

	if (q->jobs > 0)
		parallel_use(q->jobs);
	TRY(parse_log_z(q->log_z, &z));
	TRY(verdicts_choose(&v, q->metrics, true, a));
	TRY(weights_file_read(&w, words->items[0], q->columns, a));

	struct arena *scratch = arena_new();
	scoring_start(&in, NULL, &z, NULL, w.n, 0, NULL, 0, scratch);
	in.log_w = w.log_w;
	in.log_w_forward = w.log_w_forward;
	in.weights = q->detflow ? WEIGHTS_DETFLOW : WEIGHTS_EXACT;
	in.seed = q->seed;
	scoring_count_odd(&in, odd);
	for (int k = SCORED_LOG_W; k <= SCORED_FORWARD; k++)
		if ((note = remark(&w, scored_weights[k], odd[k], a)) != NULL)
			notes[n_notes++] = note;
	int code = verdicts_score(&v, &in, a);
	arena_free(scratch);
	TRY(code);
	if (q->json) {
		verdicts_print_json(&v, notes,
			json_pack("{s:i, s:o, s:I, s:s, s:o, s:o}", "schema", STORE_SCHEMA,
				"weights", record_text(w.path), "n", (json_int_t)w.n, "kind",
				q->detflow ? "detflow" : "exact", "log_w",
				odd_json(w.log_w, odd[SCORED_LOG_W]), "log_w_forward",
				odd_json(w.log_w_forward, odd[SCORED_FORWARD])),
			stdout);
	} else {
		print_odd(&w, "log weights", w.log_w, odd[SCORED_LOG_W]);
		print_odd(&w, "log weights of paths from exact samples", w.log_w_forward,
			odd[SCORED_FORWARD]);
		verdicts_print(&v, notes, stdout, a);
	}
	*status = verdicts_status(&v);
	return OK;
}

int cmd_weights(int argc, char **argv)
{
	static const struct command c = { "weights", "FILE",
		"Evidence from log weights that any program made, in a CSV or .npy file (-: "
		"standard\ninput): a column, or those called log_w and log_w_forward (of paths "
		"from "
		"exact\nsamples), or the costs running, stochastic and terminal, log w = -(their "
		"sum).\nE[exp(log_w)] should be Z. Exit status 1: a metric failed or is undefined",
		1, 1 };
	struct weights_request q = { 0 };
	const struct flag flags[] = {
		{ "columns", 0, FLAG_TEXT, &q.columns, "NAME,...",
			"the columns of a file without a header" },
		{ "log-z", 0, FLAG_TEXT, &q.log_z, "VALUE[,SE]", "the true log Z, for delta_logz" },
		{ "detflow", 0, FLAG_BOOL, &q.detflow, NULL,
			"they are published weights of a deterministic flow" },
		{ "metrics", 0, FLAG_TEXT, &q.metrics, "ID,...", "these; all by default" },
		{ "seed", 0, FLAG_SEED, &q.seed, "S",
			"of metrics that draw random numbers, 0 by default" },
		{ "json", 0, FLAG_BOOL, &q.json, NULL, "print JSON" },
		{ "jobs", 'j', FLAG_SIZE, &q.jobs, "N", "threads; all cores by default" },
		{ 0 },
	};

	return command_run(&c, flags, argc, argv, weights, &q);
}
