#include "golden_trial.h"

struct arena *trial_arena(const struct trial *t)
{
	return golden_arena(t->g);
}

double *trial_room(const struct trial *t, size_t n)
{
	return ARENA_NEW(trial_arena(t), n, double);
}

real *trial_reals(const struct trial *t, const double *x, size_t n, double factor)
{
	real *r = ARENA_NEW(trial_arena(t), n, real);

	for (size_t i = 0; i < n; i++)
		r[i] = (real)(factor * x[i]);
	return r;
}

/* --- set up ----------------------------------------------------------------------------------- */

static bool done(const struct trial *t, int status)
{
	if (status != OK)
		golden_failed(t->g, "%s: %s", t->name, error_text());
	return status == OK;
}

bool trial_set(struct trial *t, const char *option, const char *value)
{
	return done(t,
		option_set(t->method->options, t->state, "golden", option, value, trial_arena(t)));
}

bool trial_settings(struct trial *t, const char *settings)
{
	char *rest = arena_strdup(trial_arena(t), settings);

	for (char *item; (item = strsep(&rest, ",")) != NULL;) {
		char *value = strchr(item, '=');
		invariant(value != NULL);
		*value++ = '\0';
		if (!trial_set(t, item, value))
			return false;
	}
	return true;
}

bool trial_open(struct trial *t, const char *method, const char *paper)
{
	t->method = method_find(method);
	if (t->method == NULL)
		return done(t, ERR_NAME);
	t->state = arena_zalloc(trial_arena(t), 1, t->method->state_size);
	option_defaults(t->method->options, t->state, trial_arena(t));
	if (paper != NULL && !trial_set(t, "preset", paper))
		return false;
	for (const struct preset *p = t->method->presets; p != NULL && p->settings != NULL; p++)
		if (p->target == NULL &&
			(p->paper == NULL || (paper != NULL && strcmp(p->paper, paper) == 0)))
			if (!trial_settings(t, p->settings))
				return false;
	return true;
}

bool trial_init(struct trial *t, const struct density *d, const struct field *field)
{
	t->cell = (struct cell){ .target = d,
		.field = field != NULL ? field : density_field(d),
		.dim = density_dim(d),
		.arena = trial_arena(t) };
	t->dim = t->cell.dim;
	if (!done(t, t->method->init(t->state, &t->cell)))
		return false;
	(void)t->method->params(t->state, &t->n_params);
	return true;
}

/* --- run -------------------------------------------------------------------------------------- */

struct graph *trial_graph(struct trial *t, const char *what, size_t steps)
{
	t->n_inputs = 0;
	t->n_tapes = 0;
	return t->method->graph(t->state, &t->cell, what, steps, trial_arena(t));
}

void trial_bind(struct trial *t, const char *label, const double *x)
{
	invariant(t->n_inputs < sizeof(t->inputs) / sizeof(t->inputs[0]));
	t->inputs[t->n_inputs++] = (struct binding){ label, NULL, x };
}

void trial_play(struct trial *t, const char *label, const double *x)
{
	invariant(t->n_tapes < sizeof(t->tapes) / sizeof(t->tapes[0]));
	t->tapes[t->n_tapes++] = (struct tape){ label, x };
}

void trial_play_prior(struct trial *t, const double *x0)
{
	double *z = trial_room(t, t->rows * t->dim);

	for (size_t i = 0; i < t->rows * t->dim; i++)
		z[i] = x0[i] / t->sigma0;
	trial_play(t, "prior", z);
}

struct graph_args trial_args(const struct trial *t)
{
	return (struct graph_args){ .rows = t->rows,
		.params = { t->params, t->teacher },
		.inputs = t->inputs,
		.n_inputs = t->n_inputs,
		.tapes = t->tapes,
		.n_tapes = t->n_tapes };
}

double *trial_run(struct trial *t, struct graph *g, const char *label, size_t size)
{
	double *out = trial_room(t, size);
	const struct capture c = { label, out, NULL, NULL };
	struct graph_args args = trial_args(t);

	args.captures = &c;
	args.n_captures = 1;
	graph_forward(g, &args);
	return out;
}

double *trial_run_path(struct trial *t, struct graph *g, const char *label, size_t size)
{
	size_t d = t->dim, row = size / t->rows, before = row - d;
	double *x = trial_run(t, g, label, t->rows * before);
	double *end = trial_run(t, g, "end", t->rows * d), *path = trial_room(t, size);

	for (size_t i = 0; i < t->rows; i++) {
		memcpy(path + i * row, x + i * before, before * sizeof(double));
		memcpy(path + i * row + before, end + i * d, d * sizeof(double));
	}
	return path;
}

/* The loss and its derivatives. */
static double loss_of(struct trial *t, struct graph *g, real **grad)
{
	const struct graph_args args = trial_args(t);

	*grad = ARENA_NEW(trial_arena(t), t->n_params, real);
	return graph_gradient(g, &args, t->n_params, *grad);
}

double *trial_run_gradient(struct trial *t, struct graph *g, const char *label, size_t size)
{
	double *out = trial_room(t, size);
	real *grad;

	(void)label;
	invariant(size == t->n_params);
	(void)loss_of(t, g, &grad);
	for (size_t i = 0; i < size; i++)
		out[i] = (double)grad[i];
	return out;
}

double *trial_run_loss(struct trial *t, struct graph *g, const char *label, size_t size)
{
	double *out = trial_room(t, size);
	real *grad;

	(void)label;
	invariant(size == 1);
	*out = loss_of(t, g, &grad);
	return out;
}

/* --- compare ---------------------------------------------------------------------------------- */

/* Move where paths start: scale the recorded prior states or samples. */
static void nudge(const struct trial *t, double factor)
{
	size_t n = t->rows * t->dim;

	for (size_t i = 0; i < t->n_tapes; i++)
		if (strcmp(t->tapes[i].label, "prior") == 0)
			for (size_t k = 0; k < n; k++)
				((double *)(uintptr_t)t->tapes[i].data)[k] *= factor;
	for (size_t i = 0; i < t->n_inputs; i++)
		if (strcmp(t->inputs[i].label, "x_exact") == 0)
			for (size_t k = 0; k < n; k++)
				((double *)(uintptr_t)t->inputs[i].f64)[k] *= factor;
}

void trial_compare_rows(struct trial *t, struct graph *g, trial_result *run, const char *label,
	size_t rows, size_t cols, const double *want, double floor, double tolerance,
	const char *what)
{
	size_t n = rows * cols;
	double *got = run(t, g, label, n);

	if (sizeof(real) < sizeof(double)) {
		const double factor = 1 + 0x1p-22;
		double moved = 0, largest = 0;
		nudge(t, factor);
		const double *other = run(t, g, label, n);
		nudge(t, 1 / factor);
		for (size_t i = 0; i < n; i++) {
			moved = fmax(moved, fabs(other[i] - got[i]));
			largest = fmax(largest, fabs(want[i]));
		}
		tolerance += moved / (floor + largest);
		rows = 1;
		cols = n;
	}
	golden_compare(t->g, rows, cols, got, want, floor, tolerance, "%s %s", t->name, what);
}

void trial_compare(struct trial *t, struct graph *g, trial_result *run, const char *label,
	size_t cols, const double *want, double tolerance, const char *what)
{
	trial_compare_rows(t, g, run, label, t->rows, cols, want, 1, tolerance, what);
}

void trial_compare_metric(struct trial *t, const char *metric, const double *log_w, size_t n,
	double want, double tolerance)
{
	struct scored in = { .n = n,
		.log_w = log_w,
		.log_w_forward = log_w,
		.elbo = (double)NAN,
		.arena = trial_arena(t) };
	struct value value;

	if (done(t, metric_find(metric)->eval(&in, &value)))
		golden_compare(t->g, 1, 1, &value.value, &want, 1, tolerance, "%s %s", t->name,
			metric);
}
