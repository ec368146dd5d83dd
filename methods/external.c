/*
 * Samples of another program, in the same tables as the others: read from files, or written by a command
 * that is given target, n, steps and seed.
 *
 *     samples   FILE with {target} {n} {dim} {steps} {seed} {repeat}: a CSV or .npy, [n][dim]
 *     log_w     FILE likewise: log weights of these samples row by row, or costs (stride weights)
 *     command   run by /bin/sh -c with the same placeholders, and {out}, an empty folder; writes
 *               samples.npy or samples.csv there, and log_w.npy or log_w.csv where `weights` asks for it.
 *               What it is asked for is also in $STRIDE_TARGET, $STRIDE_N, $STRIDE_DIM, $STRIDE_STEPS,
 *               $STRIDE_SEED, $STRIDE_REPEAT and $STRIDE_OUT.
 *
 * What the weights are cannot be seen in them: `weights` says it, and decides which pass there is. The
 * contents of all files enter the cell's key. Evaluations are unknown, null in the record; the time is the
 * command's alone, without reading what it wrote.
 */
#include "run/external.h"

struct external {
	const char *samples, *log_w, *command, *script, *label;
	int weights; /* enum weights, in the order of the choices */
	bool step_axis;
};

static const char *const kinds[] = { "none", "exact", "detflow", "biased", NULL };

static const struct option options[] = {
	{ "samples", OPTION_TEXT, offsetof(struct external, samples), "", 0, 0, "",
		"samples, {steps} and {seed} in its name standing for these", NULL },
	{ "log_w", OPTION_TEXT, offsetof(struct external, log_w), "", 0, 0, "",
		"log weights of these samples, likewise", NULL },
	{ "command", OPTION_STRING, offsetof(struct external, command), "", 0, 0, "",
		"writes samples.npy or .csv, and log_w.npy or .csv, into the folder {out}", NULL },
	{ "script", OPTION_TEXT, offsetof(struct external, script), "", 0, 0, "",
		"file of the command, {script} there: changed, it makes another cell", NULL },
	{ "weights", OPTION_CHOICE, offsetof(struct external, weights), "none", 0, 0, "",
		"what the log weights are: E[w] = Z, published flow weights, biased", kinds },
	{ "step_axis", OPTION_BOOL, offsetof(struct external, step_axis), "true", 0, 0, "",
		"does it take a number of steps? Otherwise it is run once", NULL },
	{ "label", OPTION_STRING, offsetof(struct external, label), "", 0, 0, "",
		"its name in tables, where a grid has several", NULL },
	{ 0 },
};

static bool given(const char *text)
{
	return text[0] != '\0';
}

static int check_options(const struct external *s)
{
	bool weighted = s->weights != WEIGHTS_NONE;

	if (!given(s->samples) && !given(s->command))
		return fail(ERR_UNSUP,
			"neither samples nor command is set: it takes the name of a file, or a "
			"command that writes one");
	if (given(s->samples) && given(s->command))
		return fail(ERR_RANGE, "both samples and command are set; one is right");
	if (given(s->log_w) && !given(s->samples))
		return fail(ERR_RANGE, "log_w is set without samples; a command writes log_w.npy "
				       "beside its samples");
	if (given(s->script) && !given(s->command))
		return fail(ERR_RANGE, "script is set without command");
	if (given(s->log_w) && !weighted)
		return fail(ERR_RANGE,
			"log_w is set; weights says what they are: exact (E[w] = Z), "
			"detflow or biased");
	if (given(s->samples) && weighted && !given(s->log_w))
		return fail(ERR_RANGE, "weights is %s; log_w names their file", kinds[s->weights]);
	if (given(s->samples) && s->step_axis && strstr(s->samples, "{steps}") == NULL)
		return fail(ERR_RANGE,
			"samples \"%.200s\" is the same for every number of steps: put {steps} "
			"into "
			"it, or set step_axis=false",
			s->samples);
	return OK;
}

static int check_steps(const void *state, size_t steps)
{
	(void)steps;
	return check_options(state);
}

static int init(void *state, struct cell *c)
{
	(void)c;
	return check_options(state);
}

/* A file that is the same for other seeds or repeats would be no other draw. */
static int check_file(const char *pattern, const struct external_call *call)
{
	if (call->seed != 0 && strstr(pattern, "{seed}") == NULL)
		return fail(ERR_RANGE,
			"samples \"%.200s\" is the same for every seed: put {seed} into it, or "
			"take "
			"seed 0 alone",
			pattern);
	if (call->repeat != 0 && strstr(pattern, "{repeat}") == NULL)
		return fail(ERR_RANGE,
			"samples \"%.200s\" is the same for every repeat: put {repeat} into it, or "
			"set repeats to 1",
			pattern);
	return OK;
}

static int find_files(const struct external *s, const struct external_call *call,
	const char **samples, const char **log_w, struct arena *a)
{
	if (!given(s->command)) {
		*samples = external_expand(s->samples, call, a);
		*log_w = external_expand(s->log_w, call, a);
		return check_file(s->samples, call);
	}
	TRY(external_output(call, "samples", samples, a));
	TRY(external_output(call, "log_w", log_w, a));
	if (*samples == NULL)
		return fail(ERR_IO,
			"the command wrote neither samples.npy nor samples.csv into {out}");
	if (*log_w == NULL && s->weights != WEIGHTS_NONE)
		return fail(ERR_IO,
			"the command wrote neither log_w.npy nor log_w.csv into {out}; "
			"weights is %s",
			kinds[s->weights]);
	return OK;
}

static int read_all(const struct external *s, const struct external_call *call, struct draws *d,
	struct arena *a)
{
	const char *samples, *log_w;

	TRY(find_files(s, call, &samples, &log_w, a));
	TRY(external_samples(samples, call, d->x, a));
	return d->log_w != NULL ? external_weights(log_w, d, a) : OK;
}

static int sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	const struct external *s = state;
	struct arena_mark mark = arena_mark(c->arena);
	struct external_call call = { .target = density_target(c->target)->name,
		.n = d->n,
		.dim = c->dim,
		.steps = steps,
		.seed = c->seed,
		.repeat = repeat,
		.script = s->script };
	int code = OK;

	if (pass->weights != (enum weights)s->weights || pass->steps != s->step_axis)
		return fail(ERR_UNSUP, "the options weights and step_axis choose another pass");
	if (given(s->command))
		code = external_run(s->command, &call, c, c->arena);
	double start = clock_seconds();
	if (code == OK)
		code = read_all(s, &call, d, c->arena);
	external_remove(&call);
	c->aside_seconds += clock_seconds() - start;
	arena_release(c->arena, mark);
	return code;
}

/* One of them is had, by the options. */
static const struct pass passes[] = {
	{ "samples", "(samples)", WEIGHTS_NONE, true },
	{ "weighted", "(weighted)", WEIGHTS_EXACT, true },
	{ "flow", "(flow)", WEIGHTS_DETFLOW, true },
	{ "biased", "(biased weights)", WEIGHTS_BIASED, true },
	{ "samples once", "(samples)", WEIGHTS_NONE, false },
	{ "weighted once", "(weighted)", WEIGHTS_EXACT, false },
	{ "flow once", "(flow)", WEIGHTS_DETFLOW, false },
	{ "biased once", "(biased weights)", WEIGHTS_BIASED, false },
	{ 0 },
};

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "External",
	.paper = "another program's samples",
	.version = 1,
	.uncounted = true,
	.state_size = sizeof(struct external),
	.options = options,
	.passes = passes,
	.init = init,
	.check_steps = check_steps,
	.sample = sample,
};
